"""What a worker of a cluster does for one partition: reads a window, or imports a piece of a frame; floor 7.7."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tsbulk_frames._check import EmptyRows
from tsbulk_frames._ticket import Ticket
from tsbulk_frames.aspect import refuse_variables
from tsbulk_frames.assetmodel import Variable
from tsbulk_frames.errors import ConfigError, FrameError, JobTimeout, PartialImportError, TsBulkError
from tsbulk_frames.frames import Backend, from_frame, to_frame
from tsbulk_frames.model import QC_SUFFIX, TIME, Series, TimeRange, TwinType, is_quality_code
from tsbulk_frames.report import ImportReport, PartitionReport
from tsbulk_frames.request import ReadRequest, stream_tables
from tsbulk_frames.schema import Types, conform
from tsbulk_frames.writer import write_timeseries

__all__ = ["ENTITY", "Outcome", "ReadPart", "WritePart", "check_columns"]

ENTITY = "entity"
"""Column that says whose a row is, where several are read."""
LOCK_PATIENCE = 120.0
"""Seconds a manifest may stay locked by a worker that the scheduler has given up, but that has not ended yet."""
_FIXED = {pa.int64(): "Int64", pa.bool_(): "boolean"}


@dataclass(frozen=True, eq=False)
class ReadPart:
    """Reads one window into a frame whose types do not depend on what is found.

    Attributes
    ----------
    ticket : Ticket
        Where.
    request : ReadRequest
        What, but for the window.
    types : dict
        Of all columns.
    tz, dtype_backend
        As for `tsbulk_frames.read_timeseries`.
    """

    ticket: Ticket
    request: ReadRequest
    types: Types
    tz: str | tzinfo
    dtype_backend: Backend | None

    def __dask_tokenize__(self) -> object:
        return ("tsbulk-read", self.ticket.id)

    def __call__(self, window: TimeRange, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a window, and of it only these columns; the name of the parameter is how Dask knows that it may ask."""
        connection = self.ticket.connection()
        wanted = dict.fromkeys(self._property(name) for name in columns or () if name != ENTITY)
        types = self.types
        request = replace(self.request, range=window)
        if wanted:  # else the rows count, and those are what holds any property
            types = {name: kind for name, kind in types.items() if name == TIME or self._property(name) in wanted}
            request = replace(request, select=tuple(wanted))
        parts: list[list[pa.Table]] = [[] for _ in request.series]
        workers = self.ticket.limit  # what all tasks together may have under way is the budget's to hold
        for number, table in stream_tables(request, connection, workers=workers, advance=_unseen):
            parts[number].append(conform(table, types))
        counts = [sum(table.num_rows for table in tables) for tables in parts]
        tables = [_no_rows(types), *(table for some in parts for table in some)]
        parts.clear()
        frame = self._frame(tables, types, counts)
        return frame if columns is None else frame[list(columns)]

    def meta(self) -> pd.DataFrame:
        """Make a frame without rows, of the types all partitions have."""
        return self._frame([_no_rows(self.types)], self.types, [0] * len(self.request.series))

    def _frame(self, tables: list[pa.Table], types: Types, counts: Sequence[int]) -> pd.DataFrame:
        """Make the frame; what may hold missing cells has a type that can."""
        joined = [pa.concat_tables(tables)]
        tables.clear()
        frame = to_frame(joined.pop(), tz=self.tz, dtype_backend=self.dtype_backend)
        if self.dtype_backend is None:
            frame = frame.astype({name: _FIXED[kind] for name, kind in types.items() if kind in _FIXED})
        if self.request.several:
            names = [series.entity for series in self.request.series]
            owner: Any = pd.Categorical.from_codes(np.repeat(np.arange(len(names)), counts), categories=pd.Index(names))
            frame.insert(0, ENTITY, owner)
            frame = frame.take(np.argsort(frame.index.to_numpy(np.int64), kind="stable"))
        return frame

    def _property(self, column: str) -> str:
        """Name the property whose value or quality code a column holds."""
        owner = column[: -len(QC_SUFFIX)]
        return owner if is_quality_code(column) and owner in self.types else column


def _no_rows(types: Types) -> pa.Table:
    """Table without rows."""
    return pa.schema(list(types.items())).empty_table()


def _unseen(_: int) -> None:
    """Nobody follows the bytes of a worker: the cluster has its own dashboard."""


@dataclass(frozen=True)
class Outcome:
    """What became of one part of a frame: it travels back to who asked.

    Attributes
    ----------
    partitions : list of PartitionReport
        A row per UTC day or hour.
    errors : dict of str to TsBulkError
        By partition.
    late : tuple of str
        Jobs still running at the deadline.
    refusal : TsBulkError or None
        Why nothing at all was done.
    """

    partitions: list[PartitionReport]
    errors: dict[str, TsBulkError]
    late: tuple[str, ...] = ()
    refusal: TsBulkError | None = None


@dataclass(frozen=True, eq=False)
class WritePart:
    """Imports one part of a frame, with a manifest of its own that a second try goes on from.

    Attributes
    ----------
    ticket : Ticket
        Where.
    series : Series
        What.
    twin_type : TwinType
        Of the asset.
    variables : tuple of Variable or None
        Of the aspect; None where the asset was not asked.
    folder : Path
        Seen by all workers.
    mark : str
        A file in it that who began the import has written.
    wait, timeout, empty_rows, keep_files, verify
        As for `tsbulk_frames.write_timeseries`.
    """

    ticket: Ticket
    series: Series
    twin_type: TwinType
    variables: tuple[Variable, ...] | None
    folder: Path
    mark: str
    wait: bool
    timeout: float | None
    empty_rows: EmptyRows
    keep_files: bool
    verify: bool

    def __call__(self, frame: pd.DataFrame, name: str) -> Outcome:
        """Import a part; `name` is that of its manifest. What goes wrong is told, not raised: other parts go on."""
        if not len(frame):
            return Outcome([], {})
        try:
            if not (self.folder / self.mark).is_file():
                raise ConfigError(
                    f"manifest={str(self.folder)!r} is not there on this worker; name a folder that the client and all "
                    "workers see under the same path: a worker that takes over from another goes on from what it finds"
                )
            if self.variables is not None:
                check_columns(frame, self.variables)
            report = self._write(frame, self.folder / f"{name}.sqlite")
        except (PartialImportError, JobTimeout) as error:
            late = error.job_ids if isinstance(error, JobTimeout) else ()
            found = error.report
            if isinstance(found, ImportReport):
                return Outcome(found.partitions, found.errors, late)
            return Outcome([], {}, late, error)
        except TsBulkError as error:
            return Outcome([], {}, refusal=error)
        return Outcome(report.partitions, report.errors)

    def _write(self, frame: pd.DataFrame, manifest: Path) -> ImportReport:
        """Import, once a worker that was given up but still lives has let go of the manifest."""
        connection = self.ticket.connection()
        deadline = connection.monotonic() + LOCK_PATIENCE
        while True:
            try:
                return write_timeseries(
                    frame,
                    self.series.entity,
                    self.series.property_set,
                    twin_type=self.twin_type,
                    wait=self.wait,
                    timeout=self.timeout,
                    empty_rows=self.empty_rows,
                    manifest=manifest,
                    keep_files=self.keep_files,
                    verify=self.verify,
                    max_workers=min(self.ticket.limit, connection.config.max_workers),
                    connection=connection,
                )
            except ConfigError as error:
                if not _in_use(error) or connection.monotonic() > deadline:
                    raise
            connection.sleep(1.0)


def check_columns(frame: pd.DataFrame, variables: Sequence[Variable]) -> None:
    """Refuse a frame that does not fit the variables of its aspect; what else is wrong with it is left to the import.

    Raises
    ------
    FrameError
        See `tsbulk_frames.aspect.refuse_variables`.
    """
    refuse_variables(from_frame(frame, empty_rows="drop", tell=_ignore), variables)


def _ignore(_: FrameError) -> None:
    """Leave it to the import, which looks again and tells everything."""


def _in_use(error: BaseException) -> bool:
    """Whether the manifest is locked by another process."""
    code: Any = getattr(error.__cause__, "sqlite_errorcode", 0)
    return int(code) & 0xFF == sqlite3.SQLITE_BUSY
