"""What of a long series a picture can show: its extremes, its gaps, the spans of its states; floor 2.47, pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsbulk_frames._instants import present

__all__ = ["Trace", "numbers_of", "spans_of", "thin", "usual_step"]

Ns = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_GAP_STEPS = 10
"""A silence this many times the usual distance of records is a gap: it hardly ever happens by chance."""
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Trace:
    """A line to draw.

    Attributes
    ----------
    ns : ndarray of int64
        Times, ascending.
    values : ndarray of float64
        NaN where the line is interrupted.
    alone : ndarray of int
        Points without a neighbour: no line leads to them.
    """

    ns: Ns
    values: Floats
    alone: npt.NDArray[np.intp]


def numbers_of(values: pd.Series) -> tuple[npt.NDArray[np.intp], Floats, int] | None:
    """Which rows of a column have a value, and all values as float64 above a base; None if it holds no numbers.

    The base is 0 unless integers are so large that as floats they would run into one another.
    """
    if pd.api.types.is_bool_dtype(values.dtype):
        return None
    if pd.api.types.is_float_dtype(values.dtype):
        floats = values.to_numpy(np.float64, na_value=np.nan)
        return np.flatnonzero(np.isfinite(floats)), floats, 0
    there = np.flatnonzero(present(values))
    if pd.api.types.is_integer_dtype(values.dtype):
        kind = np.uint64 if str(values.dtype).lower().startswith("u") else np.int64
        whole = values.to_numpy(kind, na_value=0)
        least, most = (int(whole[there].min()), int(whole[there].max())) if len(there) else (0, 0)
        if max(abs(least), abs(most)) > _EXACT:
            return there, (whole - kind(least)).view(np.uint64).astype(np.float64), least
        return there, whole.astype(np.float64), 0
    cells = values.iloc[there].tolist()
    if values.dtype != object or not cells or not all(type(one) in (int, float) for one in cells):
        return None
    large = all(isinstance(one, int) for one in cells) and max(map(abs, cells)) > _EXACT
    base = min(cells) if large else 0
    floats = np.full(len(values), np.nan)
    try:
        floats[there] = [one - base for one in cells]
    except OverflowError:  # integers that no float reaches
        return None
    return there[np.isfinite(floats[there])], floats, base


def usual_step(ns: Ns) -> int:
    """Nanoseconds from one record to the next, as a rule; 0 if there are not two."""
    return int(np.median(np.diff(ns))) if len(ns) > 1 else 0


def thin(ns: Ns, values: Floats, points: int, max_gap: int | None) -> Trace:
    """Choose about so many of the points that the picture is the same: least and greatest of each stretch of time.

    Parameters
    ----------
    ns, values : ndarray
        Ascending times, and finite values.
    points : int
        How many are to be drawn, at most; besides them, the ends of gaps.
    max_gap : int or None
        Nanoseconds without a record that no line crosses; None: ten times the usual distance of two.
    """
    if max_gap is None:
        max_gap = _GAP_STEPS * usual_step(ns)
    before = np.flatnonzero(np.diff(ns) > max_gap) if max_gap else np.empty(0, np.intp)  # the last point of each piece
    kept = np.arange(len(ns))
    if len(ns) > points:
        kept = _extremes(ns, values, points)
        ends = before
        if len(ends) > points // 4:  # more gaps than can be seen: the ends of the longest are drawn exactly
            ends = ends[np.argpartition(ns[ends] - ns[ends + 1], points // 4)[: points // 4]]
        kept = np.unique(np.concatenate([[0, len(ns) - 1], kept, ends, ends + 1]))
    pieces = np.searchsorted(before, kept)  # number of the piece that each point is in
    breaks = np.flatnonzero(np.diff(pieces)) + 1
    at = ns[kept]
    between = at[breaks - 1] + (at[breaks] - at[breaks - 1]) // 2
    starts, stops = np.concatenate([[0], breaks]), np.concatenate([breaks, [len(kept)]])
    single = starts[stops - starts == 1]
    return Trace(
        np.insert(at, breaks, between),
        np.insert(values[kept], breaks, np.nan),
        single + np.searchsorted(breaks, single, side="right"),
    )


def _extremes(ns: Ns, values: Floats, points: int) -> npt.NDArray[np.intp]:
    """Rows of the least and the greatest value of each of `points` / 2 stretches of equal length."""
    from tsdownsample import MinMaxDownsampler

    count = max(2, points // 2 * 2)
    found = MinMaxDownsampler().downsample(np.ascontiguousarray(ns), np.ascontiguousarray(values), n_out=count)
    return np.asarray(found, dtype=np.intp)


def spans_of(ns: Ns, codes: npt.NDArray[np.intp], points: int, max_gap: int | None) -> list[tuple[int, Ns, Ns]]:
    """When a series was in which state: for each state its spans' begins and lengths, in nanoseconds.

    A state lasts until the next record, but no longer than a gap may be; of more spans than `points` each stretch of
    time shows the state that it was in longest.
    """
    if not len(ns):
        return []
    step = usual_step(ns)
    max_gap = _GAP_STEPS * step if max_gap is None else max_gap
    length = np.append(np.diff(ns), step or 1)
    last = length > (max_gap or length.max())
    length[last] = step or 1  # what came after is not known
    first = np.concatenate([[True], (codes[1:] != codes[:-1]) | last[:-1]])
    begins = np.flatnonzero(first)
    lengths = np.add.reduceat(length, begins)
    starts, states = ns[begins], codes[begins]
    if len(begins) > points:
        edge = max(1, -(-int(ns[-1] + length[-1] - ns[0]) // points))
        spans = pd.DataFrame({"stretch": (starts - ns[0]) // edge, "state": states, "length": lengths})
        share = spans.groupby(["stretch", "state"])["length"].sum().reset_index()
        longest = share.loc[share.groupby("stretch")["length"].idxmax()]
        starts = ns[0] + longest["stretch"].to_numpy() * edge
        states = longest["state"].to_numpy()
        lengths = np.minimum(np.append(np.diff(starts), edge), edge)
    return [(int(one), starts[states == one], lengths[states == one]) for one in np.unique(states)]
