"""What a series holds of an import: settles a job nobody answered for, verifies one that succeeded; floor 7.1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames.codec import RawPage, decode_pages, unify
from tsbulk_frames.connection import Connection
from tsbulk_frames.model import TIME, Series, TimeRange, format_time
from tsbulk_frames.paging import times_of
from tsbulk_frames.request import ReadRequest, stream_tables
from tsbulk_frames.staging import ImportFile

__all__ = ["Extent", "extent_of", "holds"]


@dataclass(frozen=True, slots=True)
class Extent:
    """How many records there are, and the times of the first and last one."""

    rows: int
    first: str | None
    last: str | None

    def __str__(self) -> str:
        return f"{self.rows:,} records from {self.first} to {self.last}" if self.rows else "no records"


def extent_of(connection: Connection, series: Series, first: str, last: str) -> Extent:
    """Count what the series holds between two times, both included.

    Notes
    -----
    Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``.
    """
    rows = 0
    ends: list[int] = []
    for table in _stored(connection, series, first, last):
        times = times_of(table)
        rows += len(times)
        ends = [*ends[:1], *times[[0, -1]].tolist()]
    return Extent(rows, format_time(ends[0]) if ends else None, format_time(ends[-1]) if ends else None)


def holds(connection: Connection, series: Series, files: Iterable[ImportFile]) -> bool:
    """Whether the series holds every record of the import files, value by value; what it holds besides is let be.

    The last record of each file is looked for first: as long as it is not there, nothing more is read.

    Notes
    -----
    Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``.
    """
    files = list(files)
    if not all(extent_of(connection, series, file.last, file.last).rows == 1 for file in reversed(files)):
        return False
    for file in files:
        body = file.path.read_bytes()
        sent = decode_pages([RawPage(body, 1, len(body) - 1, None, 1)])
        stored = unify(list(_stored(connection, series, file.first, file.last)))
        if not _within(sent, stored):
            return False
    return True


def _stored(connection: Connection, series: Series, first: str, last: str) -> Iterator[pa.Table]:
    """Read what the series holds between two times, both included."""
    request = ReadRequest((series,), False, TimeRange.parse(first, last, "both"), None, None, "columns", {})
    tables = stream_tables(request, connection, workers=connection.config.max_workers, advance=lambda _: None)
    return (table for _, table in tables)


def _within(sent: pa.Table, stored: pa.Table) -> bool:
    """Whether each record sent is stored with the same values."""
    times, there = times_of(sent), times_of(stored)
    if not len(there) or not set(sent.column_names) <= set(stored.column_names):
        return False
    rows = np.minimum(np.searchsorted(there, times), len(there) - 1)
    if not np.array_equal(there[rows], times):
        return False
    both = unify([sent, stored.take(rows).select(sent.column_names)])  # of one type, as far as there is one
    for name in set(sent.column_names) - {TIME}:
        column = both[name]
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.cast(column.type.storage_type)
        ours = column.slice(0, sent.num_rows)
        same = pc.equal(ours, column.slice(sent.num_rows))
        if same.null_count > ours.null_count or not pc.all(same, min_count=0).as_py():
            return False  # what was not sent may be there, but not the other way round
    return True
