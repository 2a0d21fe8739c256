"""The rows of a caller's frame as instants: which entity, which nanosecond; floor 2.46, pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import format_time

__all__ = ["Instants", "Span", "instants_of", "present", "span_of", "with_values"]

Rows = npt.NDArray[np.intp]
Span: TypeAlias = str | dt.timedelta | np.timedelta64 | pd.offsets.BaseOffset
"""A fixed length of time."""


@dataclass(frozen=True, slots=True)
class Instants:
    """The rows of a frame.

    Attributes
    ----------
    ns : ndarray of int64
        Nanoseconds since the epoch, a row each.
    owner : ndarray of int
        Which of `entities` a row belongs to; all 0 without entities.
    entities : pandas.Index or None
        In order of appearance; None: the frame's index holds only times.
    tz : tzinfo
        Zone of the times.
    """

    ns: npt.NDArray[np.int64]
    owner: Rows
    entities: pd.Index | None
    tz: tzinfo

    def groups(self) -> Iterator[tuple[int, Rows]]:
        """Each entity's number and its rows, in the order of the frame."""
        count = 1 if self.entities is None else len(self.entities)
        order = np.argsort(self.owner, kind="stable")
        cuts = np.searchsorted(self.owner[order], np.arange(count + 1))
        for number in range(count):
            yield number, order[cuts[number] : cuts[number + 1]]

    def index(self, ns: npt.NDArray[np.int64], owner: Rows, names: list[Hashable]) -> pd.Index:
        """Index of other rows, of the same kind as this frame's."""
        times = pd.DatetimeIndex(ns.view("M8[ns]"), name=names[-1]).tz_localize("UTC").tz_convert(self.tz)
        if self.entities is None:
            return times
        return pd.MultiIndex.from_arrays([self.entities.take(owner), times], names=names)


def instants_of(frame: pd.DataFrame, name: str, *, rising: bool = False) -> Instants:
    """Take the rows of a frame apart.

    Parameters
    ----------
    frame : pandas.DataFrame
        Index: times with a zone, or (entity, time), as the readers return them.
    name : str
        What the caller calls it, for messages.
    rising : bool
        Whether times must increase strictly (of each entity), or may not only be there twice.

    Raises
    ------
    FrameError
        No frame, no times, times without a zone, missing, doubled, out of order, or beyond what nanoseconds hold; a
        column twice.
    """
    if not isinstance(frame, pd.DataFrame):
        raise FrameError(f"{name} is a {type(frame).__name__}; accepted is a pandas.DataFrame, e.g. series.to_frame()")
    if not frame.columns.is_unique:
        doubled = frame.columns[frame.columns.duplicated()][0]
        raise FrameError(f"{name}: column {doubled!r} is there twice; rename or drop one", column=str(doubled))
    index, times, owner, entities = frame.index, frame.index, np.zeros(len(frame), np.intp), None
    if isinstance(index, pd.MultiIndex):
        if index.nlevels != 2:
            raise FrameError(
                f"{name}: the index has levels {list(index.names)}; accepted are a time, or (entity, time)"
            )
        owner, entities = pd.factorize(index.get_level_values(0))
        times = index.get_level_values(1)
        if (owner < 0).any():
            rows = np.flatnonzero(owner < 0)
            raise FrameError(f"{name}: {len(rows)} rows have no entity; drop them", rows=rows.tolist())
    if not isinstance(times, pd.DatetimeIndex) or times.tz is None:
        kind = "times without a zone" if isinstance(times, pd.DatetimeIndex) else f"of {times.dtype}"
        raise FrameError(
            f"{name}: the index is {kind}; accepted is a DatetimeIndex with a zone, or (entity, time): "
            "frame.tz_localize('UTC'), or frame.set_index(pd.to_datetime(frame['time'], utc=True))"
        )
    if times.hasnans:
        rows = np.flatnonzero(times.isna())
        raise FrameError(f"{name}: {len(rows)} of {len(frame)} times are missing; drop these rows", rows=rows.tolist())
    try:
        ns = times.as_unit("ns").asi8
    except ValueError as error:  # pandas' out-of-bounds error
        raise FrameError(f"{name}: times cannot be used: {error}; accepted are times from 1678 to 2262") from error
    found = Instants(ns, owner, entities, times.tz)
    _check_order(found, name, rising)
    return found


def _check_order(rows: Instants, name: str, rising: bool) -> None:
    """Refuse the same time twice, and if asked for, times out of order."""
    for _, at in rows.groups():
        ns = rows.ns[at]
        ahead = ns[1:] > ns[:-1]
        if ahead.all():
            continue
        if rising and (bad := np.flatnonzero(ns[1:] < ns[:-1])).size:
            raise FrameError(
                f"{name}: {len(bad)} times are earlier than the one before (first {format_time(int(ns[bad[0] + 1]))}); "
                "use frame.sort_index()",
                rows=at[bad + 1].tolist(),
            )
        order = np.argsort(ns, kind="stable")
        same = order[1:][ns[order][1:] == ns[order][:-1]]
        if same.size:
            raise FrameError(
                f"{name}: {len(same)} times are there twice (first {format_time(int(ns[same[0]]))}); "
                "keep one of each: frame[~frame.index.duplicated(keep='last')]",
                rows=at[np.sort(same)].tolist(),
            )


def present(values: pd.Series) -> npt.NDArray[np.bool_]:
    """Tell which cells hold a value; NaN is none, also where a nullable type knows NA beside it."""
    there = values.notna().to_numpy()
    if pd.api.types.is_float_dtype(values.dtype) and not isinstance(values.dtype, np.dtype):
        there = there & ~np.isnan(values.to_numpy(np.float64, na_value=np.nan))
    return np.asarray(there, dtype=bool)


def _with_room(values: pd.Series) -> pd.Series:
    """Give the same values in a type that has missing cells: integers stay integers, exactly."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        nullable = pd.api.types.pandas_dtype(f"{'U' if dtype.kind == 'u' else ''}Int{8 * dtype.itemsize}")
        return values.astype(nullable)
    if isinstance(dtype, np.dtype) and dtype.kind == "b":
        return values.astype("boolean")
    return values


def with_values(values: pd.Series, rows: Rows, index: pd.Index) -> pd.Series:
    """Take rows of a column, with missing cells where a row is -1; the type changes only if it has no missing cells."""
    there = rows >= 0
    if there.all():
        return pd.Series(values.array.take(rows), index=index, dtype=values.dtype)
    if values.dtype == object:
        cells = np.full(len(rows), None, object)
        cells[there] = values.to_numpy()[rows[there]]
        return pd.Series(cells, index=index, dtype=object)
    values = _with_room(values)
    return pd.Series(values.array.take(rows, allow_fill=True), index=index, dtype=values.dtype)


def span_of(value: Span, name: str) -> int:
    """Nanoseconds of a fixed length of time given by the caller.

    Raises
    ------
    FrameError
        It has none, or is not above 0.
    """
    wrong = f"{name}={value!r} is not a fixed length of time; accepted are '5min', '1h', '1D', pandas.Timedelta(…)"
    if not isinstance(value, str | dt.timedelta | np.timedelta64 | pd.offsets.BaseOffset):
        raise FrameError(wrong)
    text = value.strip() if isinstance(value, str) else ""
    if text.isdecimal():
        raise FrameError(f"{wrong}; without a unit it would be nanoseconds")
    try:
        span = pd.Timedelta(f"1{text}" if text.isalpha() else value)  # type: ignore[arg-type]
        ns = int(span.as_unit("ns").value)
    except (ValueError, OverflowError, AttributeError) as error:  # AttributeError: NaT has no unit
        raise FrameError(wrong) from error
    if ns <= 0:
        raise FrameError(f"{name}={value!r} is not positive; accepted are '5min', '1h', '1D', pandas.Timedelta(…)")
    return ns
