"""What a caller's data must be, before anything is sent: the rules of an Arrow table to be written; pure.

``from_frame`` asks the same functions, column by column: the rules exist once. Each says what is wrong to `tell`, which
by default raises it. A plan collects instead: what is at fault is then replaced by something harmless, and the rest is
looked at all the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames._cells import (
    AT_FAULT,
    NAT,
    NEXT_STEP,
    Nanoseconds,
    Tell,
    check_column,
    is_unicode,
    presence,
    refuse,
    spell_moment,
)
from tsbulk_frames.errors import FrameError
from tsbulk_frames.kinds import EXACT, TIME_TYPE, Column
from tsbulk_frames.model import MAX_NS, MIN_NS, QC_SUFFIX, TIME, is_quality_code

__all__ = [
    "EmptyRows",
    "assemble",
    "check_empty_rows",
    "check_names",
    "check_table",
    "check_times",
    "in_order",
    "nanoseconds",
    "ticks_of",
]

EmptyRows: TypeAlias = Literal["raise", "drop"]


def check_table(table: pa.Table | pa.RecordBatch, *, empty_rows: EmptyRows = "raise", tell: Tell = refuse) -> pa.Table:
    """Check an Arrow table to be written, and bring it to the types of the codec.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        ``_time``: a timestamp with a zone, of any unit, strictly increasing, not null. Other columns: bool, integers,
        floats, text, dictionaries of those; ``<p>_qc`` is the quality code of ``<p>``, an integer.
    empty_rows : {"raise", "drop"}, default "raise"
        What to do with rows that have no value at all; the service has no record for such.
    tell : callable
        Takes each broken rule. Default: it is raised. One that returns gets them all, but for what leaves nothing to
        look at: no column of times, or times without a zone.

    Returns
    -------
    pyarrow.Table
        ``_time`` first, ``timestamp[ns, UTC]``; then bool, int64, float64 (NaN is missing), string and exact columns,
        in the order given. Columns that need no change are shared, not copied. After something was told: times at
        fault are null, columns at fault only show where they have values (see also `in_order`).

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
    given = [column for name, column in zip(names, table.columns, strict=True) if name != TIME]
    names = check_names([name for name in names if name != TIME], rows=table.num_rows, tell=tell)
    times = nanoseconds(table[TIME], tell)
    ns = ticks_of(times)
    check_times(ns, tell)
    columns = {}
    for name, column in zip(names, given, strict=True):
        try:
            columns[name] = check_column(name, column, ns, tell)
        except FrameError as error:
            tell(error)
            columns[name] = presence(column.is_valid().to_numpy())
    return assemble(times, columns, empty_rows, tell)


def assemble(times: Column, columns: Mapping[str, Column], empty_rows: EmptyRows, tell: Tell = refuse) -> pa.Table:
    """Put checked columns together, by the rules that look at a column or a row as a whole.

    Raises
    ------
    FrameError
        A quality code that is no integer; rows without any value.
    """
    check_empty_rows(empty_rows)
    for name, column in columns.items():
        if is_quality_code(name) and column.type not in (pa.int64(), AT_FAULT) and column.null_count < len(column):
            kind = "of mixed values" if column.type == EXACT else column.type
            tell(
                FrameError(
                    f"column {name!r} is {kind}; quality codes are integers: .astype('Int64') {NEXT_STEP}",
                    column=name,
                )
            )
    return _without_empty_rows(pa.table({TIME: times, **columns}), empty_rows, tell)  # type: ignore[dict-item]


def check_empty_rows(empty_rows: str) -> None:
    """Refuse a word that is not known.

    Raises
    ------
    FrameError
        Neither ``"raise"`` nor ``"drop"``.
    """
    if empty_rows not in ("raise", "drop"):
        raise FrameError(f"empty_rows={empty_rows!r} is not known; accepted are 'raise' and 'drop'")


def in_order(table: pa.Table) -> pa.Table:
    """Bring a table whose faults were told to what can be planned: rows that have a time, ascending."""
    ns = ticks_of(table[TIME])
    if (ns[1:] >= ns[:-1]).all() and (not len(ns) or ns[0] != NAT):
        return table
    order = np.argsort(ns, kind="stable")
    return table.take(order[np.count_nonzero(ns == NAT) :])


def check_names(names: Sequence[object], *, rows: int, tell: Tell = refuse) -> list[str]:
    """Refuse column names that no record can have; without rows nothing need be there, as nothing is written.

    Returns
    -------
    list of str
        The names, each once; a stand-in for each that was at fault.

    Raises
    ------
    FrameError
        Not text, empty, not Unicode, twice the same, or a quality code without its property.
    """
    usable: dict[str, None] = {}
    stand_ins = (f"(column {at})" for at in itertools.count(1))
    for name in names:
        wrong = _wrong_name(name, usable)
        if wrong is not None:
            tell(wrong)
            name = next(one for one in stand_ins if one not in names)
        usable[name] = None  # type: ignore[index]
    if rows and not usable:
        tell(FrameError("there is no column but the time; accepted is at least one property"))
    for name in usable if rows else ():
        if is_quality_code(name) and name[: -len(QC_SUFFIX)] not in usable:
            tell(
                FrameError(
                    f"column {name!r} is the quality code of {name[: -len(QC_SUFFIX)]!r}, which is not there; "
                    "add the property, or rename the column",
                    column=name,
                )
            )
    return list(usable)


def _wrong_name(name: object, before: Container[str]) -> FrameError | None:
    """Say what is wrong with a column name, if anything is."""
    if not isinstance(name, str):
        return FrameError(
            f"column name {name!r} is a {type(name).__name__}; accepted is str: df.columns.astype(str)",
            column=str(name),
        )
    if not name.strip():
        return FrameError(f"column name {name!r} is empty; name the property it belongs to", column=name)
    if not is_unicode(name):
        return FrameError(f"column name {name!r} is not Unicode text (a lone surrogate); rename it", column=name)
    if name in before:
        return FrameError(f"column {name!r} occurs twice; rename or drop one of them", column=name)
    return None


def check_times(ns: Nanoseconds, tell: Tell = refuse) -> None:
    """Refuse times that are not strictly increasing; those that are missing were told before.

    Raises
    ------
    FrameError
        Times going back, or twice the same.
    """
    if (ns[1:] > ns[:-1]).all():  # a difference could overflow
        return
    known = np.flatnonzero(ns != NAT)
    earlier, later, rows = ns[known[:-1]], ns[known[1:]], known[1:]
    for bad, what, fix in (
        (rows[later < earlier], "earlier than", "sort with df.sort_index()"),
        (rows[later == earlier], "the same as", "keep one of them, e.g. df[~df.index.duplicated(keep='last')],"),
    ):
        if len(bad):
            tell(
                FrameError(
                    f"time: {len(bad)} of {len(ns)} times are {what} the one before (first at "
                    f"{spell_moment(ns[bad[0]])}); {fix} {NEXT_STEP}",
                    rows=bad.tolist(),
                )
            )


def ticks_of(times: Column) -> Nanoseconds:
    """View times as integers; `NAT` where one is missing."""
    return times.to_numpy().view("int64")


def nanoseconds(times: Column, tell: Tell = refuse) -> Column:
    """Bring times to ns UTC, exactly; null where one was told to be missing or outside of what ns can hold.

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
        tell(
            FrameError(
                f"time: {len(rows)} of {len(times)} times are missing (NaT); drop those rows {NEXT_STEP}",
                column=TIME,
                rows=rows.tolist(),
            )
        )
    if kind.unit == "ns":
        return times.cast(TIME_TYPE)
    scale = {"s": 10**9, "ms": 10**6, "us": 10**3}[kind.unit]
    ticks = times.cast(pa.int64()).fill_null(pa.scalar(0)).to_numpy()
    outside = (ticks < -(-MIN_NS // scale)) | (ticks > MAX_NS // scale)
    if outside.any():
        rows = np.flatnonzero(outside)
        tell(
            FrameError(
                f"time: {len(rows)} of {len(times)} times lie outside of 1677-09-21 to 2262-04-11, what nanoseconds in "
                f"64 bits can hold (first: {np.datetime64(int(ticks[rows[0]]), kind.unit)}); drop those rows "
                f"{NEXT_STEP}",
                column=TIME,
                rows=rows.tolist(),
            )
        )
        times = pc.if_else(pa.array(outside), pa.scalar(None, kind), times)
    return times.cast(TIME_TYPE)


def _without_empty_rows(table: pa.Table, empty_rows: EmptyRows, tell: Tell) -> pa.Table:
    """Drop or refuse rows in which every cell is missing."""
    columns = [column for name, column in zip(table.column_names, table.columns, strict=True) if name != TIME]
    if not columns or any(column.null_count == 0 for column in columns):
        return table
    empty = np.ones(table.num_rows, np.bool_)
    for column in columns:
        empty &= column.is_null().to_numpy()
    if not empty.any():
        return table
    if empty_rows == "drop":
        return table.filter(pa.array(~empty))
    rows = np.flatnonzero(empty)
    first = spell_moment(ticks_of(table[TIME])[rows[0]])
    tell(
        FrameError(
            f"{len(rows)} of {table.num_rows} rows have no value at all (first at {first}); drop "
            "them with df.dropna(how='all') or empty_rows='drop'",
            rows=rows.tolist(),
        )
    )
    return table
