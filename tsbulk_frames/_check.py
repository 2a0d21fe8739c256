"""What a caller's data must be, before anything is sent: the rules of an Arrow table to be written; pure.

``from_frame`` ends here too: the rules exist once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Literal, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames.errors import FrameError
from tsbulk_frames.kinds import EXACT, TIME_TYPE, Column, exact_column
from tsbulk_frames.model import MAX_NS, MIN_NS, QC_SUFFIX, TIME, format_time, is_quality_code

__all__ = ["EmptyRows", "Nanoseconds", "check_names", "check_scalars", "check_table", "check_times", "nanoseconds"]

EmptyRows: TypeAlias = Literal["raise", "drop"]
Mask: TypeAlias = npt.NDArray[np.bool_]
Nanoseconds: TypeAlias = npt.NDArray[np.int64]

_NEXT_STEP = "before write_timeseries"
_FIXES: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_timestamp, "write it as text, e.g. .dt.strftime('%Y-%m-%dT%H:%M:%S.%fZ')"),
    (pa.types.is_date, "write it as text, e.g. .astype(str)"),
    (pa.types.is_time, "write it as text, e.g. .astype(str)"),
    (pa.types.is_duration, "write it as a number, e.g. .dt.total_seconds()"),
    (pa.types.is_decimal, "turn it into a number, e.g. .astype('float64')"),
    (pa.types.is_nested, "give each member a column of its own, or write it as text with json.dumps"),
)


def check_table(table: pa.Table | pa.RecordBatch, *, empty_rows: EmptyRows = "raise") -> pa.Table:
    """Check an Arrow table to be written, and bring it to the types of the codec.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        ``_time``: a timestamp with a zone, of any unit, strictly increasing, not null. Other columns: bool, integers,
        floats, text, dictionaries of those; ``<p>_qc`` is the quality code of ``<p>``, an integer.
    empty_rows : {"raise", "drop"}, default "raise"
        What to do with rows that have no value at all; the service has no record for such.

    Returns
    -------
    pyarrow.Table
        ``_time`` first, ``timestamp[ns, UTC]``; then bool, int64, float64 (NaN is missing), string and exact columns,
        in the order given. Columns that need no change are shared, not copied.

    Raises
    ------
    FrameError
        Anything that cannot be written exactly as it is; `.column` and `.rows` say where.

    Examples
    --------
    >>> import pyarrow as pa
    >>> times = pa.array([0, 1], pa.timestamp("s", "UTC"))
    >>> check_table(pa.table({"_time": times, "speed": pa.array([94, None], pa.int16()), "on": [True, False]})).schema
    _time: timestamp[ns, tz=UTC]
    speed: int64
    on: bool
    """
    if empty_rows not in ("raise", "drop"):
        raise FrameError(f"empty_rows={empty_rows!r} is not known; accepted are 'raise' and 'drop'")
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    names = table.column_names
    if names.count(TIME) != 1:
        raise FrameError(
            f"the table has {names.count(TIME)} columns {TIME!r}, columns are {names[:10]}; accepted is one, a "
            "timestamp with a zone; rename the column of times"
        )
    check_names([name for name in names if name != TIME])
    times = nanoseconds(table[TIME])
    ns = times.cast(pa.int64()).to_numpy()
    check_times(ns)
    columns = {name: _plain(name, table[name], ns) for name in names if name != TIME}
    for name, column in columns.items():
        if is_quality_code(name) and not pa.types.is_int64(column.type) and column.null_count < len(column):
            kind = "of mixed values" if column.type == EXACT else column.type
            raise FrameError(
                f"column {name!r} is {kind}; quality codes are integers: .astype('Int64') {_NEXT_STEP}", column=name
            )
    return _without_empty_rows(pa.table({TIME: times, **columns}), ns, empty_rows)  # type: ignore[dict-item]


def check_names(names: Sequence[object]) -> None:
    """Refuse column names that no record can have.

    Raises
    ------
    FrameError
        Not text, empty, not Unicode, twice the same, or a quality code without its property.
    """
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise FrameError(
                f"column name {name!r} is a {type(name).__name__}; accepted is str: df.columns.astype(str)"
            )
        if not name.strip():
            raise FrameError(f"column name {name!r} is empty; name the property it belongs to", column=name)
        if not _is_unicode(name):
            raise FrameError(f"column name {name!r} is not Unicode text (a lone surrogate); rename it", column=name)
        if name in seen:
            raise FrameError(f"column {name!r} occurs twice; rename or drop one of them", column=name)
        seen.add(name)
    if not seen:
        raise FrameError("there is no column but the time; accepted is at least one property")
    for name in seen:
        if is_quality_code(name) and name[: -len(QC_SUFFIX)] not in seen:
            raise FrameError(
                f"column {name!r} is the quality code of {name[: -len(QC_SUFFIX)]!r}, which is not there; "
                "add the property, or rename the column",
                column=name,
            )


def check_times(ns: Nanoseconds) -> None:
    """Refuse times that are not strictly increasing.

    Raises
    ------
    FrameError
        Times going back, or twice the same.
    """
    step = ns[1:] > ns[:-1]  # a difference could overflow
    if step.all():
        return
    back = np.flatnonzero(ns[1:] < ns[:-1]) + 1
    if len(back):
        raise FrameError(
            f"time: {len(back)} of {len(ns)} times are earlier than the one before (first at "
            f"{format_time(int(ns[back[0]]))}); sort with df.sort_index() {_NEXT_STEP}",
            rows=back.tolist(),
        )
    again = np.flatnonzero(~step) + 1
    raise FrameError(
        f"time: {len(again)} of {len(ns)} times are the same as the one before (first at "
        f"{format_time(int(ns[again[0]]))}); keep one of them, e.g. "
        f"df[~df.index.duplicated(keep='last')], {_NEXT_STEP}",
        rows=again.tolist(),
    )


def _offend(name: str, what: str, fix: str, bad: Mask, ns: Nanoseconds) -> NoReturn:
    """Raise the one form of message for values at fault, all of them counted."""
    rows = np.flatnonzero(bad)
    raise FrameError(
        f"column {name!r}: {len(rows)} of {len(bad)} values are {what} (first at {format_time(int(ns[rows[0]]))}); "
        f"{fix} {_NEXT_STEP}",
        column=name,
        rows=rows.tolist(),
    )


def check_scalars(name: str, values: Sequence[object], ns: Nanoseconds) -> None:
    """Refuse Python values that no cell of a record can have.

    Raises
    ------
    FrameError
        Anything but None, bool, integers within 64 bits, finite floats and Unicode text.
    """
    for what, fix, is_bad in _SCALAR_RULES:
        bad = np.fromiter((is_bad(value) for value in values), np.bool_, len(values))
        if bad.any():
            kinds = sorted({type(value).__name__ for value, flag in zip(values, bad, strict=True) if flag})
            _offend(name, what.format(kinds=", ".join(kinds)), fix, bad, ns)


_SCALAR_RULES: tuple[tuple[str, str, Callable[[object], bool]], ...] = (
    (
        "of a type that cannot be written ({kinds})",
        "write them as number, bool or text (e.g. .astype(str), .dt.strftime, json.dumps)",
        lambda value: value is not None and not isinstance(value, (bool, int, float, str)),
    ),
    ("inf", "drop or replace them", lambda value: isinstance(value, float) and math.isinf(value)),
    (
        "integers beyond 64 bits",
        "write them as text or float",
        lambda value: isinstance(value, int) and not -(2**63) <= value < 2**63,
    ),
    (
        "not Unicode text (lone surrogates)",
        "replace them, e.g. .map(lambda s: s.encode('utf-8', 'replace').decode()),",
        lambda value: isinstance(value, str) and not _is_unicode(value),
    ),
)


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold a text: lone surrogates are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def nanoseconds(times: Column) -> Column:
    """Bring times to ns UTC, exactly.

    Raises
    ------
    FrameError
        Not times, without zone, missing, or outside of what ns can hold.
    """
    kind = times.type
    if not pa.types.is_timestamp(kind):
        raise FrameError(
            f"column {TIME!r} is {kind}; accepted is a timestamp with a zone, e.g. pandas.to_datetime(..., utc=True)",
            column=TIME,
        )
    if kind.tz is None:
        raise FrameError(
            "the times have no zone; say which one they are in, e.g. df.tz_localize('UTC') or "
            "df.tz_localize('Europe/Berlin')",
            column=TIME,
        )
    if times.null_count:
        rows = np.flatnonzero(times.is_null().to_numpy())
        raise FrameError(
            f"time: {len(rows)} of {len(times)} times are missing (NaT); drop those rows {_NEXT_STEP}",
            column=TIME,
            rows=rows.tolist(),
        )
    if kind.unit == "ns":
        return times.cast(TIME_TYPE)
    scale = {"s": 10**9, "ms": 10**6, "us": 10**3}[kind.unit]
    ticks = times.cast(pa.int64()).to_numpy()
    rows = np.flatnonzero((ticks < -(-MIN_NS // scale)) | (ticks > MAX_NS // scale))
    if len(rows):
        raise FrameError(
            f"time: {len(rows)} of {len(times)} times lie outside of 1677-09-21 to 2262-04-11, what nanoseconds in "
            f"64 bits can hold (first: {np.datetime64(int(ticks[rows[0]]), kind.unit)}); drop those rows {_NEXT_STEP}",
            column=TIME,
            rows=rows.tolist(),
        )
    return times.cast(TIME_TYPE)


def _plain(name: str, column: Column, ns: Nanoseconds) -> Column:
    """Column in one of the codec's types, its values checked."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if kind == EXACT:
        values = [None if text is None else json.loads(text) for text in column.cast(pa.string()).to_pylist()]
        check_scalars(name, values, ns)
        return pa.chunked_array([exact_column(values)])
    if pa.types.is_floating(kind):
        return _finite(name, column.cast(pa.float64()), ns)
    if pa.types.is_uint64(kind):
        bad = pc.greater(column, pa.scalar(2**63 - 1, pa.uint64())).fill_null(False)
        if pc.any(bad, min_count=0).as_py():  # type: ignore[arg-type]
            _offend(name, "integers beyond 64 bits", "write them as text or float", bad.to_numpy(), ns)
        return column.cast(pa.int64())
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _text(name, column, ns)
    fix = next((fix for test, fix in _FIXES if test(kind)), "write it as number, bool or text")
    raise FrameError(f"column {name!r} is {kind}, which cannot be written; {fix}", column=name)


def _finite(name: str, column: Column, ns: Nanoseconds) -> Column:
    """Floats without NaN, which is a missing cell here; infinities are none of JSON's numbers."""
    if pc.all(pc.is_finite(column), min_count=0).as_py():
        return column
    infinite = pc.is_inf(column).fill_null(False)
    if pc.any(infinite).as_py():  # type: ignore[arg-type]
        _offend(name, "inf", "drop or replace them", infinite.to_numpy(), ns)
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)  # type: ignore[no-any-return]


def _text(name: str, column: Column, ns: Nanoseconds) -> Column:
    """Text of any Arrow type, as 32-bit strings; what is not UTF-8 is refused."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raw = column.cast(pa.large_binary()).to_pylist()
        bad = np.fromiter((value is not None and not _is_utf8(value) for value in raw), np.bool_, len(raw))
        _offend(name, "not UTF-8 text", "replace them", bad, ns)
    if pa.types.is_string(column.type):
        return column
    return pa.chunked_array([chunk.cast(pa.string()) for chunk in column.chunks], pa.string())


def _is_utf8(raw: bytes) -> bool:
    """Whether bytes are UTF-8 text."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_empty_rows(table: pa.Table, ns: Nanoseconds, empty_rows: EmptyRows) -> pa.Table:
    """Drop or refuse rows in which every cell is missing."""
    columns = [column for name, column in zip(table.column_names, table.columns, strict=True) if name != TIME]
    if any(column.null_count == 0 for column in columns):
        return table
    empty = np.ones(table.num_rows, np.bool_)
    for column in columns:
        empty &= column.is_null().to_numpy()
    if not empty.any():
        return table
    if empty_rows == "drop":
        return table.filter(pa.array(~empty))
    rows = np.flatnonzero(empty)
    raise FrameError(
        f"{len(rows)} of {table.num_rows} rows have no value at all (first at {format_time(int(ns[rows[0]]))}); drop "
        "them with df.dropna(how='all') or empty_rows='drop'",
        rows=rows.tolist(),
    )
