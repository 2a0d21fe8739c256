"""DataFrame → Arrow: a caller's frame, column by column, under the rules of `_cells` and `_check`; pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tsbulk_frames._cells import PLAIN, Nanoseconds, Tell, check_column, check_scalars, presence, refuse
from tsbulk_frames._check import EmptyRows, assemble, check_names, check_times, nanoseconds, ticks_of
from tsbulk_frames.errors import FrameError
from tsbulk_frames.kinds import EXACT, Cells, Column, exact_column
from tsbulk_frames.model import TIME

__all__ = ["from_frame"]

_FIXES = {
    "M": "write it as text, e.g. df[{name!r}].dt.strftime('%Y-%m-%dT%H:%M:%S.%fZ')",
    "m": "write it as a number, e.g. df[{name!r}].dt.total_seconds()",
    "c": "give the real and the imaginary part a column each",
    "S": "write it as text, e.g. df[{name!r}].str.decode('utf-8')",
    "V": "give each field a column of its own",
}


def from_frame(df: pd.DataFrame, *, empty_rows: EmptyRows = "raise", tell: Tell = refuse) -> pa.Table:
    """Check a caller's frame wholly, and turn it into the table that `encode_rows` takes.

    Parameters
    ----------
    df : pandas.DataFrame
        Times: a `DatetimeIndex` with a zone (any zone, unit and name), or a column ``_time`` (then the index does not
        matter); strictly increasing. Columns: bool, integers, floats, text, object columns of those, pandas' nullable
        and Arrow types, categoricals; ``<p>_qc`` is the quality code of ``<p>``, an integer. The frame is not changed.
    empty_rows : {"raise", "drop"}, default "raise"
        What to do with rows that have no value at all; the service has no record for such.
    tell : callable
        Takes each broken rule; see `tsbulk_frames.frames.check_table`.

    Returns
    -------
    pyarrow.Table
        As `tsbulk_frames.frames.check_table` returns it. NaN, NA and None are missing. Shares memory with the frame
        where possible.

    Raises
    ------
    FrameError
        Anything that cannot be written exactly as it is: the message names column, count, first time and the fix.

    Examples
    --------
    >>> times = pd.date_range("2026-03-01", periods=2, freq="h", tz="Europe/Berlin")
    >>> from_frame(pd.DataFrame({"speed": [94.0, None], "state": ["RUN", "IDLE"]}, index=times)).schema
    _time: timestamp[ns, tz=UTC]
    speed: double
    state: string
    """
    if not isinstance(df, pd.DataFrame):
        raise FrameError(
            f"data is a {type(df).__name__}; accepted is a pandas.DataFrame, e.g. series.to_frame('speed')"
        )
    if isinstance(df.columns, pd.MultiIndex):
        raise FrameError("the columns are a MultiIndex; accepted is one level: df.droplevel(0, axis=1)")
    if isinstance(df.index, pd.MultiIndex):
        raise FrameError(
            f"the index is a MultiIndex {list(df.index.names)}; accepted is one series at a time: df.xs(entity)"
        )
    names = list(df.columns)
    if names.count(TIME) > 1:
        check_names(names, rows=len(df))
    times = nanoseconds(pa.chunked_array([_times(df)]), tell)
    given = [at for at, name in enumerate(names) if name != TIME]
    names = check_names([names[at] for at in given], rows=len(df), tell=tell)
    ns = ticks_of(times)
    check_times(ns, tell)
    columns = {name: _column(name, df.iloc[:, at], ns, tell) for name, at in zip(names, given, strict=True)}
    return assemble(times, columns, empty_rows, tell)


def _times(df: pd.DataFrame) -> Cells:
    """Take the times of a frame, from its index or from its column of times."""
    indexed = _is_time(df.index.dtype)
    if indexed and TIME in df.columns:
        raise FrameError(
            f"column {TIME!r} stands beside a time index; drop one of them, e.g. df.reset_index(drop=True)", column=TIME
        )
    if not indexed and TIME not in df.columns:
        raise FrameError(
            f"no times: the index is {df.index.dtype} and there is no column {TIME!r}; accepted is a DatetimeIndex "
            "with a zone, e.g. df.set_index(pd.to_datetime(df['time'], utc=True))"
        )
    times = df.index.array if indexed else df[TIME].array
    if not _is_time(times.dtype):
        raise FrameError(
            f"column {TIME!r} is {times.dtype}; accepted are times with a zone: df[{TIME!r}] = "
            f"pd.to_datetime(df[{TIME!r}], utc=True)",
            column=TIME,
        )
    if getattr(times, "tz", None) is not None:
        times = times.tz_convert("UTC")  # Arrow does not know every zone that Python does
    return pa.array(times)  # type: ignore[no-any-return]


def _is_time(dtype: object) -> bool:
    """Whether a type is one of times, with or without zone, of NumPy, pandas or Arrow."""
    if isinstance(dtype, pd.ArrowDtype):
        return pa.types.is_timestamp(dtype.pyarrow_dtype)
    return getattr(dtype, "kind", "") == "M"


def _column(name: str, series: pd.Series, ns: Nanoseconds, tell: Tell) -> Column:
    """Arrow's view of a column, checked."""
    try:
        cells = _cells(name, series, ns, tell)
        column = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
        if column.type == EXACT and not isinstance(series.dtype, pd.ArrowDtype):
            return column  # made of checked objects just now
        return check_column(name, column, ns, tell)
    except FrameError as error:
        tell(error)
        return presence(series.notna().to_numpy())


def _cells(name: str, series: pd.Series, ns: Nanoseconds, tell: Tell) -> Cells | Column:
    """Arrow's view of a column; only Python objects are checked here."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(name, series, ns, tell)
    if isinstance(dtype, pd.SparseDtype):
        return _cells(name, series.sparse.to_dense(), ns, tell)  # type: ignore[attr-defined]
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _objects(name, series.to_numpy(), ns, tell)
    if isinstance(dtype, pd.StringDtype):
        try:
            return pa.array(series.array)  # type: ignore[no-any-return]
        except UnicodeEncodeError:
            return _objects(name, series.to_numpy(object), ns, tell)
    if isinstance(dtype, pd.ArrowDtype) or (dtype.kind in "biuf" and not isinstance(dtype, np.dtype)):
        return pa.array(series.array, from_pandas=True)  # type: ignore[no-any-return]
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.itemsize <= 8:
        values = series.to_numpy()
        return pa.array(values.astype(np.float64, copy=False) if dtype.kind == "f" else values, from_pandas=True)  # type: ignore[no-any-return]
    fix = _FIXES.get(dtype.kind, "write it as number, bool or text, e.g. .astype(str)").format(name=name)
    raise FrameError(f"column {name!r} is {dtype}, which cannot be written; {fix}", column=name)


def _categories(name: str, series: pd.Series, ns: Nanoseconds, tell: Tell) -> Cells | Column:
    """Values of a categorical: each category is converted once."""
    categories = series.cat.categories
    if categories.dtype.kind == "O":  # text as well: lone surrogates are to be counted by row
        return _objects(name, series.to_numpy(object), ns, tell)
    codes = series.cat.codes.to_numpy()
    return _cells(name, categories.to_series(), ns, tell).take(pa.array(codes, mask=codes < 0))  # type: ignore[arg-type]


def _objects(name: str, values: npt.NDArray[np.object_], ns: Nanoseconds, tell: Tell) -> Cells:
    """Column of Python objects: text, or whatever mixture reading may have given."""
    if pd.api.types.infer_dtype(values, skipna=True) == "string":
        try:
            return pa.array(values, pa.string(), from_pandas=True)
        except UnicodeEncodeError:
            pass  # the rule below counts the rows
    if set(map(type, values)) <= PLAIN:
        cells = [None if value != value else value for value in values.tolist()]
    else:
        cells = [_cell(value) for value in values]
    check_scalars(name, cells, ns, tell)
    kinds = {type(cell) for cell in cells if cell is not None}
    return exact_column(cells) if len(kinds) > 1 else pa.array(cells)


def _cell(value: object) -> object:
    """Plain Python value of a cell; None where it is missing. What is no scalar stays as it is."""
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case np.bool_():
            return bool(value)
        case np.timedelta64() | np.longdouble():  # type: ignore[misc]
            return value
        case int() | np.integer():
            return int(value)
        case float() | np.floating():
            return None if value != value else float(value)
    return None if value is pd.NA or value is pd.NaT else value
