"""Before the analysis: doubtful values taken out, a regular grid that invents nothing; floor 2.5, pure, on frames."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Hashable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsbulk_frames._grid import mean_cells, next_point, point_before, points_linear, rows_before
from tsbulk_frames._instants import Rows, Span, instants_of, present, span_of, with_values
from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import MAX_NS, MIN_NS, QC_SUFFIX, Moment, is_quality_code, parse_moment

__all__ = ["mask_quality", "to_grid"]

Good: TypeAlias = Collection[int] | Callable[[pd.Series], pd.Series]
GridMethod: TypeAlias = Literal["previous", "linear", "mean"]

_MOST_POINTS = 100_000_000
"""A grid of more rows is a slip of the pen (``"ns"`` for ``"min"``), and would take all memory."""


def mask_quality(
    frame: pd.DataFrame, good: Good, *, missing_ok: bool = False, keep_codes: bool = False
) -> pd.DataFrame:
    """Take out the values whose quality code is not a good one.

    Parameters
    ----------
    frame : pandas.DataFrame
        As the readers return it: the code of ``<p>`` stands in ``<p>_qc``. Of one entity or several. Never changed.
    good : collection of int, or function
        The good codes; or a function that takes a column of codes (``Int64`` where they were read) and returns a
        bool for each. There is no default, as installations differ: 192 is good where codes come from OPC DA (and so
        is each from 192 to 255: ``lambda code: code // 64 == 3``), 0 where they come from OPC UA.
    missing_ok : bool
        Whether a value without a code is good. Default: it is not, as nobody vouched for it.
    keep_codes : bool
        Keep the quality codes, as they were. Default: they have done their work, and are left out.

    Returns
    -------
    pandas.DataFrame, shape (n_rows, n_properties [+ n_quality_codes])
        The same rows, index, order and ``attrs``. Types stay, but where an integer or bool column lost a value:
        ``int64`` becomes ``Int64`` (every digit is kept), ``bool`` becomes ``boolean``. Columns without codes, and
        codes without their property, are as they were.

    Raises
    ------
    FrameError
        `good` is neither, or the function does not say yes or no for each code; the codes are text.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01", periods=3, freq="s", tz="UTC")
    >>> codes = pd.array([192, 64, None], dtype="Int64")
    >>> frame = pd.DataFrame({"turns": [7, 2**53 + 1, 9], "turns_qc": codes}, index=times)
    >>> tsb.mask_quality(frame, good=[192])["turns"].tolist()
    [7, <NA>, <NA>]
    >>> tsb.mask_quality(frame, good=lambda code: code >= 64)["turns"].tolist()
    [7, 9007199254740993, <NA>]
    """
    if not isinstance(frame, pd.DataFrame):
        raise FrameError(f"frame is a {type(frame).__name__}; accepted is a pandas.DataFrame")
    if not frame.columns.is_unique:
        raise FrameError(f"columns {frame.columns[frame.columns.duplicated()].tolist()} are there twice; rename one")
    masked, codes = {}, []
    for name in frame.columns:
        owner = _property_of(name, frame.columns)
        if owner is None:
            continue
        codes.append(name)
        bad = ~_is_good(frame[name], good, missing_ok)
        if bad.any():
            masked[owner] = with_values(frame[owner], np.where(bad, -1, np.arange(len(frame))), frame.index)
    result = frame.assign(**masked)
    return result if keep_codes else result.drop(columns=codes)


def _property_of(name: object, columns: pd.Index) -> str | None:
    """Property whose quality code a column is, if the property is there."""
    if not isinstance(name, str) or not is_quality_code(name):
        return None
    owner = name[: -len(QC_SUFFIX)]
    return owner if owner in columns else None


def _is_good(codes: pd.Series, good: Good, missing_ok: bool) -> npt.NDArray[np.bool_]:
    """Which rows have a good code."""
    there = codes.notna().to_numpy()
    if callable(good):
        said = pd.Series(good(codes))
        answer = said.astype("boolean") if said.dtype in (np.dtype(bool), pd.BooleanDtype()) else None
        if answer is None or len(answer) != len(codes) or answer.isna().to_numpy()[there].any():
            raise FrameError(
                f"good({codes.name}) gave {said.dtype} of length {len(said)}; accepted is True or False for each of "
                f"{len(codes)} codes, e.g. lambda code: code == 192",
                column=str(codes.name),
            )
        found = answer.fillna(False).to_numpy(bool)
    else:
        if isinstance(good, str | bytes) or not isinstance(good, Collection):
            raise FrameError(f"good={good!r} is no collection of codes and no function; write e.g. good=[192]")
        odd = [code for code in good if isinstance(code, bool) or not isinstance(code, int | np.integer)]
        if odd:
            raise FrameError(f"good holds {odd[0]!r}; quality codes are integers, e.g. good=[192]")
        if there.any() and pd.api.types.is_string_dtype(codes[there]):
            raise FrameError(
                f"column {codes.name!r} holds text ({codes[there].iloc[0]!r}), quality codes are integers; convert it: "
                f"frame[{codes.name!r}].astype('Int64')",
                column=str(codes.name),
            )
        found = codes.isin([int(code) for code in good]).to_numpy(bool)
    return np.asarray(np.where(there, found, missing_ok), dtype=bool)


def to_grid(
    frame: pd.DataFrame,
    freq: Span,
    *,
    max_gap: Span,
    method: GridMethod = "previous",
    origin: Moment = "1970-01-01",
) -> pd.DataFrame:
    """Bring a history to a regular grid without inventing data: what nobody measured stays missing.

    Parameters
    ----------
    frame : pandas.DataFrame
        As the readers return it, of one entity or several; times strictly increasing. Each property is taken by
        itself: a cell without a value is no measurement of it. Never changed.
    freq : str, timedelta or offset
        From one point of the grid to the next: ``"5min"``, ``"1h"``, ``pandas.Timedelta(...)``. A fixed length: a
        ``"1D"`` is 24 hours, also where clocks change.
    max_gap : str, timedelta or offset
        How far a measurement reaches; beyond it nothing is filled. There is no default: it is known to whoever knows
        how often the property is measured.
    method : {"previous", "linear", "mean"}
        ``"previous"``: the last measurement at or before the point, if not older than `max_gap`.

        ``"linear"``: on the line between the measurements before and after the point, if these are not more than
        `max_gap` apart; a measurement at exactly the point is taken as it is.

        ``"mean"``: mean over time of ``[point, point + freq)``, in which each measurement holds until the next, for
        `max_gap` at most; stretches in which none holds have no weight, and without any there is no mean. (The mean
        of the values, whatever time they stand for, is ``frame.resample(freq).mean()``.)

        Text, booleans and other columns that are no numbers always follow ``"previous"``.
    origin : str, datetime, date or pandas.Timestamp
        A point of the grid; the others are multiples of `freq` away from it. Default: round UTC times. Midnight in
        Berlin: ``"2026-03-01T00:00+01:00"``.

    Returns
    -------
    pandas.DataFrame, shape (n_points [of each entity], n_properties [+ n_quality_codes])
        Index as before: same names, zone and entities; a row for each point of the grid, evenly spaced in real time
        (a day on which clocks change has 23 or 25 hours). It begins with the first point at or after the first record
        and ends with the last one at or before the last record; with ``"previous"`` with the first at or after it;
        with ``"mean"`` it holds the cells in which the first and the last record lie, and all between. No point lies
        between: 0 rows. ``attrs`` are kept.

        ``"previous"`` keeps types (``Int64``, ``boolean`` where cells are missing) and gives each value the quality
        code it had. ``"linear"`` and ``"mean"`` give float64 (integers beyond 2**53 are rounded), and drop quality
        codes, as a value made of several has none: use `mask_quality` first.

    Raises
    ------
    FrameError
        The index holds no times with a zone, or they do not increase; `freq` or `max_gap` has no fixed length; the
        grid would have more than a hundred million rows.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.to_datetime(["2026-03-01T00:00", "2026-03-01T00:02", "2026-03-01T00:09"], utc=True)
    >>> frame = pd.DataFrame({"level": [10, 12, 19]}, index=times)
    >>> tsb.to_grid(frame, "1min", max_gap="2min")["level"].tolist()
    [10, 10, 12, 12, 12, <NA>, <NA>, <NA>, <NA>, 19]
    >>> tsb.to_grid(frame, "1min", max_gap="2min", method="linear")["level"].tolist()
    [10.0, 11.0, 12.0, nan, nan, nan, nan, nan, nan, 19.0]
    >>> tsb.to_grid(frame, "3min", max_gap="2min", method="mean")["level"].round(2).tolist()
    [10.67, 12.0, nan, 19.0]
    """
    if method not in ("previous", "linear", "mean"):
        raise FrameError(f"method={method!r} is not known; accepted are 'previous', 'linear' and 'mean'")
    step, gap, zero = span_of(freq, "freq"), span_of(max_gap, "max_gap"), parse_moment(origin, "origin")
    rows = instants_of(frame, "frame", rising=True)
    groups = [(number, at) for number, at in rows.groups() if len(at)]
    ends = [_ends(int(rows.ns[at[0]]), int(rows.ns[at[-1]]), step, zero, method) for _, at in groups]
    sizes = [max(0, (last - first) // step + 1) for first, last in ends]
    if sum(sizes) > _MOST_POINTS:
        raise FrameError(
            f"freq={freq!r} makes a grid of {sum(sizes):,} rows; accepted are {_MOST_POINTS:,}; take a longer freq, "
            "or a shorter range at a time"
        )
    grids = [first + step * np.arange(size, dtype=np.int64) for (first, _), size in zip(ends, sizes, strict=True)]
    ns = np.concatenate([np.empty(0, np.int64), *grids])
    owner = np.repeat(np.array([number for number, _ in groups], np.intp), sizes)
    index = rows.index(ns, owner, list[Hashable](frame.index.names))

    def sources(name: str) -> Rows:
        """Row whose value of a property holds at each point, -1 for none."""
        there = present(frame[name])
        found = [np.empty(0, np.intp)]
        for (_, at), grid in zip(groups, grids, strict=True):
            at = at[there[at]]
            before = rows_before(rows.ns[at], grid, gap)
            found.append(np.where(before < 0, -1, at[before]) if len(at) else before)
        return np.concatenate(found)

    def computed(name: str) -> npt.NDArray[np.float64]:
        """Value of a property at each point, or over each cell."""
        values = frame[name].to_numpy(np.float64, na_value=np.nan)
        there = ~np.isnan(values)
        found = [np.empty(0)]
        for (_, at), grid in zip(groups, grids, strict=True):
            at = at[there[at]]
            if method == "linear":
                found.append(points_linear(rows.ns[at], values[at], grid, gap))
            else:
                found.append(mean_cells(rows.ns[at], values[at], grid, step, gap))
        return np.concatenate(found)

    columns: dict[object, pd.Series] = {}
    for name in frame.columns:
        owner_of = _property_of(name, frame.columns)
        numbers = method != "previous" and _is_number(frame[name if owner_of is None else owner_of])
        if not numbers:
            columns[name] = with_values(frame[name], sources(name if owner_of is None else owner_of), index)
        elif not (isinstance(name, str) and is_quality_code(name)):
            columns[name] = pd.Series(computed(name), index=index)
    result = pd.DataFrame(columns, index=index, columns=pd.Index([], dtype=object) if not columns else None, copy=False)
    result.attrs.update(copy.deepcopy(frame.attrs))
    return result


def _is_number(values: pd.Series) -> bool:
    """Whether there can be something between two values of a column."""
    kinds = pd.api.types
    return bool(kinds.is_numeric_dtype(values.dtype)) and not (
        kinds.is_bool_dtype(values.dtype) or kinds.is_complex_dtype(values.dtype)
    )


def _ends(first: int, last: int, step: int, zero: int, method: GridMethod) -> tuple[int, int]:
    """First and last point of the grid, within what nanoseconds can hold."""
    low = point_before(first, step, zero) if method == "mean" else next_point(first, step, zero)
    high = next_point(last, step, zero) if method == "previous" else point_before(last, step, zero)
    return max(low, next_point(MIN_NS, step, zero)), min(high, point_before(MAX_NS, step, zero))
