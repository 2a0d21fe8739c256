"""Arrow ↔ DataFrame, both directions; the checks of a caller's data live next door in `tsbulk_frames._check`; pure.

Reading: ``decode_pages → unify → to_frame``. Writing: ``from_frame`` or ``check_table → encode_rows``. What was
read can be written again unchanged. Types: see `tsbulk_frames.kinds`.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from tsbulk_frames._check import check_table
from tsbulk_frames._columns import from_frame
from tsbulk_frames.kinds import EXACT, TIME_TYPE, Column, arrange, exact_values
from tsbulk_frames.model import TIME, is_quality_code

__all__ = ["Backend", "check_table", "from_frame", "to_frame"]

Backend: TypeAlias = Literal["numpy_nullable", "pyarrow"]


def to_frame(table: pa.Table, *, tz: str | tzinfo = "UTC", dtype_backend: Backend | None = None) -> pd.DataFrame:
    """Turn a decoded table into a DataFrame.

    Parameters
    ----------
    table : pyarrow.Table
        As `tsbulk_frames.codec.decode_pages` or `unify` return it. Each column is let go as soon as it is
        converted: pass the table without keeping a name for it, and the peak stays low.
    tz : str or tzinfo, default "UTC"
        Zone of the index; the moments stay the same.
    dtype_backend : {"numpy_nullable", "pyarrow"}, optional
        As in pandas' own readers. By default NumPy's types, and pandas' nullable ones where cells of an integer or
        bool column are missing.

    Returns
    -------
    pandas.DataFrame, shape (n_rows, n_properties)
        Index ``_time``: ``datetime64[ns, tz]``, in the order of the table. Quality codes stand behind their property
        and are nullable integers (``Int64``). A column without any value is float64 with NaN. Exact columns are
        object columns of Python values.

    Examples
    --------
    >>> from tsbulk_frames.codec import decode_pages, split_page
    >>> body = b'{"records":[{"_time":"2026-03-01T00:00:00Z","speed":94,"speed_qc":192}]}'
    >>> to_frame(decode_pages([split_page(body)])).dtypes.to_dict()
    {'speed': dtype('int64'), 'speed_qc': Int64Dtype()}
    """
    names = arrange(table.column_names)[1:]
    columns = {name: table[name] for name in table.column_names}
    del table
    ns = columns.pop(TIME).cast(TIME_TYPE).cast(pa.int64()).to_numpy()
    index = _index(ns, tz)
    data = {}
    for name in names:
        column = columns.pop(name)
        data[name] = _objects(column, index) if column.type == EXACT else _plain(name, column, dtype_backend)
        del column
    return pd.DataFrame(data, index=index, columns=pd.Index(names, dtype=object) if not names else None, copy=False)


def _index(ns: np.ndarray, tz: str | tzinfo) -> pd.DatetimeIndex:
    """Index of a frame, exact to the nanosecond; always of unit ns."""
    return pd.DatetimeIndex(ns.view("M8[ns]"), name=TIME).tz_localize("UTC").tz_convert(tz)


def _objects(column: Column, index: pd.DatetimeIndex) -> pd.Series:
    """Python values of an exact column; a series, as pandas would guess a type for a bare array of objects."""
    values = np.empty(len(column), object)
    values[:] = exact_values(column)
    return pd.Series(values, index=index, dtype=object)


def _plain(name: str, column: Column, backend: Backend | None) -> object:
    """Pandas' or NumPy's array of a column; never a read-only view of Arrow's memory."""
    kind = column.type
    if is_quality_code(name):
        column = _quality_code(column)
        kind = column.type
    if backend == "pyarrow":
        return pd.ArrowDtype(kind).__from_arrow__(column)  # type: ignore[attr-defined]
    if pa.types.is_string(kind):
        return pd.StringDtype().__from_arrow__(column) if backend else column.to_pandas().array  # type: ignore[attr-defined]
    if pa.types.is_int64(kind) and (backend or column.null_count or is_quality_code(name)):
        return pd.Int64Dtype().__from_arrow__(column)  # type: ignore[attr-defined]
    if pa.types.is_boolean(kind) and (backend or column.null_count):
        return pd.BooleanDtype().__from_arrow__(column)  # type: ignore[attr-defined]
    if pa.types.is_null(kind):
        return pd.array([pd.NA] * len(column), dtype="Int64") if backend else np.full(len(column), np.nan)
    if backend:
        return pd.Float64Dtype().__from_arrow__(column)  # type: ignore[attr-defined]
    values = column.to_numpy()
    return values if values.flags.writeable else values.copy()


def _quality_code(column: Column) -> Column:
    """Quality codes are integers, even where the service wrote 192.0 or none at all."""
    if pa.types.is_null(column.type):
        return column.cast(pa.int64())
    if pa.types.is_float64(column.type):
        try:
            return column.cast(pa.int64())  # safe: refuses a fraction
        except pa.ArrowInvalid:
            return column
    return column
