"""What a caller's data must be, before anything is sent: the rules of an Arrow table to be written; pure.

``from_frame`` asks the same functions, column by column: the rules exist once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames._exact import STRICT
from tsbulk_frames.errors import FrameError
from tsbulk_frames.kinds import EXACT, TIME_TYPE, Column, exact_column
from tsbulk_frames.model import MAX_NS, MIN_NS, QC_SUFFIX, TIME, format_time, is_quality_code

__all__ = [
    "PLAIN",
    "EmptyRows",
    "Nanoseconds",
    "assemble",
    "check_column",
    "check_names",
    "check_scalars",
    "check_table",
    "check_times",
    "nanoseconds",
]

PLAIN = frozenset({NoneType, bool, int, float, str})
"""Types of the Python values that a cell can have."""

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
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    names = table.column_names
    if names.count(TIME) != 1:
        raise FrameError(
            f"the table has {names.count(TIME)} columns {TIME!r}, columns are {names[:10]}; accepted is one, a "
            "timestamp with a zone; rename the column of times"
        )
    check_names([name for name in names if name != TIME], rows=table.num_rows)
    times = nanoseconds(table[TIME])
    ns = times.cast(pa.int64()).to_numpy()
    check_times(ns)
    columns = {name: check_column(name, table[name], ns) for name in names if name != TIME}
    return assemble(times, columns, empty_rows)


def assemble(times: Column, columns: Mapping[str, Column], empty_rows: EmptyRows) -> pa.Table:
    """Put checked columns together, by the rules that look at a column or a row as a whole.

    Raises
    ------
    FrameError
        A quality code that is no integer; rows without any value.
    """
    if empty_rows not in ("raise", "drop"):
        raise FrameError(f"empty_rows={empty_rows!r} is not known; accepted are 'raise' and 'drop'")
    for name, column in columns.items():
        if is_quality_code(name) and not pa.types.is_int64(column.type) and column.null_count < len(column):
            kind = "of mixed values" if column.type == EXACT else column.type
            raise FrameError(
                f"column {name!r} is {kind}; quality codes are integers: .astype('Int64') {_NEXT_STEP}", column=name
            )
    return _without_empty_rows(pa.table({TIME: times, **columns}), empty_rows)  # type: ignore[dict-item]


def check_names(names: Sequence[object], *, rows: int) -> None:
    """Refuse column names that no record can have; without rows nothing need be there, as nothing is written.

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
    if not rows:
        return
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
    present = set(map(type, values))
    for suspect, what, fix, is_bad in _SCALAR_RULES:
        if suspect not in present if suspect else present <= PLAIN:
            continue
        bad = np.fromiter((is_bad(value) for value in values), np.bool_, len(values))
        if bad.any():
            kinds = sorted({type(value).__name__ for value, flag in zip(values, bad, strict=True) if flag})
            _offend(name, what.format(kinds=", ".join(kinds)), fix, bad, ns)


_SCALAR_RULES: tuple[tuple[type | None, str, str, Callable[[Any], bool]], ...] = (
    (
        None,
        "of a type that cannot be written ({kinds})",
        "write them as number, bool or text (e.g. .astype(str), .dt.strftime, json.dumps)",
        lambda value: type(value) not in PLAIN,
    ),
    (float, "inf", "drop or replace them", lambda value: type(value) is float and math.isinf(value)),
    (
        int,
        "integers beyond 64 bits",
        "write them as text or float",
        lambda value: type(value) is int and not -(2**63) <= value < 2**63,
    ),
    (
        str,
        "not Unicode text (lone surrogates)",
        "replace them, e.g. .map(lambda s: s.encode('utf-8', 'replace').decode()),",
        lambda value: type(value) is str and not _is_unicode(value),
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


def check_column(name: str, column: Column, ns: Nanoseconds) -> Column:
    """Bring a column to one of the codec's types, and check its values.

    Raises
    ------
    FrameError
        A type, or a value, that no record can have.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if isinstance(kind, pa.JsonType):
        values = _parsed(name, column.cast(kind.storage_type), ns)
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


def _parsed(name: str, texts: Column, ns: Nanoseconds) -> list[object]:
    """Values of a caller's JSON texts."""
    values: list[object] = []
    bad = np.zeros(len(texts), np.bool_)
    for at, text in enumerate(_text(name, texts, ns).to_pylist()):
        try:
            values.append(None if text is None else STRICT.decode(text))
        except (ValueError, RecursionError):
            bad[at] = True
    if bad.any():
        _offend(name, "not JSON", "replace them", bad, ns)
    return values


def _is_utf8(raw: bytes) -> bool:
    """Whether bytes are UTF-8 text."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_empty_rows(table: pa.Table, empty_rows: EmptyRows) -> pa.Table:
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
    first = format_time(table[TIME][int(rows[0])].value)
    raise FrameError(
        f"{len(rows)} of {table.num_rows} rows have no value at all (first at {first}); drop "
        "them with df.dropna(how='all') or empty_rows='drop'",
        rows=rows.tolist(),
    )
