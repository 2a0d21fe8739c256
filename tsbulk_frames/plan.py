"""Planning: what an import would be, before anything of it is done; floor 6.2.

``pieces → check → partition → estimate → plan``: every rule that would be broken is collected, none is raised.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tsbulk_frames._check import EmptyRows, check_empty_rows
from tsbulk_frames._estimate import bytes_up_to, encoded_bytes
from tsbulk_frames.aspect import ask_target, check_variables
from tsbulk_frames.assets import Variable
from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import FrameError
from tsbulk_frames.importplan import ImportPlan, PlannedPartition, ProblemList
from tsbulk_frames.model import NS_PER_SECOND, Closed, Series, TwinType, format_time
from tsbulk_frames.paging import times_of
from tsbulk_frames.partition import FILE_BYTES, Partition, check_age, check_partition, cut_partitions
from tsbulk_frames.progress import Meter, Progress, check_progress, meter
from tsbulk_frames.sources import WriteData, check_pieces, count_rows, pieces_of

__all__ = ["plan_import", "survey"]

_CLOSE = 0.8
"""An estimate above this share of a partition's limit is not trusted: the records are encoded and counted."""
_BLOCK_ROWS = 262_144


def plan_import(
    data: WriteData,
    entity: str,
    property_set: str,
    *,
    twin_type: TwinType | str | None = None,
    empty_rows: EmptyRows = "raise",
    progress: Progress = None,
    connection: Connection | None = None,
) -> ImportPlan:
    """Plan an import without doing any of it: nothing is written or uploaded, and no job is started.

    Parameters
    ----------
    data : DataFrame, pyarrow.Table, pyarrow.RecordBatchReader, iterable of frames, or path
        As for `write_timeseries`; never changed. A reader or an iterator is consumed, and has nothing left for
        `write_timeseries` afterwards; the records of one partition of it are kept at a time. Parquet is read piece by
        piece, files of a folder in the order of their times.
    entity, property_set : str
        The asset and the aspect.
    twin_type : {"performance", "simulation"}, optional
        Kind of the asset; given, no request is made. Default: the asset is asked, and the columns are held against
        the variables of its aspect, too.
    empty_rows : {"raise", "drop"}
        What to do with rows that hold no value at all: call them a problem, or leave them out.
    progress : bool or callable, optional
        True: a progress bar (tqdm) in a terminal or a notebook, nothing elsewhere. A function: called with each
        further number of records looked at.
    connection : Connection, optional
        Default: the one made from the environment; with `twin_type`, none at all. It knows the gateway, what time it
        is, and which partition owns a record at exactly the border of two (without one: the later).

    Returns
    -------
    ImportPlan
        The partitions with their rows, times, files and bytes, and every rule that would be broken. Bytes are
        estimated from some of the rows, as a rule within 5 %; those of a partition near its limit are counted.

    Raises
    ------
    FrameError
        There is nothing to plan with: data of a wrong kind, no times or times without a zone, a Parquet file that
        cannot be read. All other faults are in the plan's ``problems``; see `ImportPlan.raise_for_problems`.
    NotFoundError
        The asset was asked: there is none, or it has no such aspect.

    Notes
    -----
    Source: the rules of ``POST /api/iottsbulk/v3/importJobs``: ascending times, one UTC hour (at most 350 MB) or day
    (at most 1 GB, older than 30 minutes) a job, 100 files; ``GET /api/assetmanagement/v3/assets/{id}`` and its
    ``/aspects``: kind of the asset, names and types of the variables.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01T09:59:58", periods=4, freq="s", tz="UTC")
    >>> data = pd.DataFrame({"rate": [1.5, 2.5, float("inf"), 4.5]}, index=times)
    >>> plan = tsb.plan_import(data, "pump-1", "flow", twin_type="simulation")
    >>> plan.to_frame()[["partition", "rows", "files"]].values.tolist()
    [['2026-03-01T09', 2, 1], ['2026-03-01T10', 2, 1]]
    >>> print(plan.problems[0].message)
    column 'rate': 1 of 4 values are inf (first at 2026-03-01T10:00:00Z); drop or replace them before write_timeseries
    """
    series = Series(entity, property_set)
    twin = None if twin_type is None else TwinType.parse(twin_type)
    check_empty_rows(empty_rows)
    check_progress(progress)
    pieces = pieces_of(data)
    if twin is None or connection is not None:
        connection = use_connection(connection)
    variables = None
    if twin is None:
        target = ask_target(series, use_connection(connection))
        twin, variables = target.twin_type, target.variables
    with meter(progress, f"plan {series}", unit="rows", total=count_rows(pieces) if progress else None) as told:
        return survey(
            pieces,
            series,
            twin,
            closed="left" if connection is None else connection.config.closed,
            now_ns=int((time.time if connection is None else connection.clock)() * NS_PER_SECOND),
            empty_rows=empty_rows,
            variables=variables,
            told=told,
        )


def survey(
    pieces: Iterable[object],
    series: Series,
    twin: TwinType,
    *,
    closed: Closed,
    now_ns: int,
    empty_rows: EmptyRows = "raise",
    variables: Sequence[Variable] | None = None,
    told: Meter | None = None,
) -> ImportPlan:
    """Go through data once, and note what there is and what is wrong with it. No input or output but the data's own.

    Parameters
    ----------
    pieces : iterable
        As `tsbulk_frames.sources.pieces_of` gives them. Gone through once more when a partition comes close to its
        limit; of what can be gone through only once, the records of one partition are kept until then.
    series : Series
        Whose data it is.
    twin : TwinType
        Kind of the asset.
    closed : {"left", "right"}
        Which partition owns a record at exactly its border.
    now_ns : int
        What time it is.
    empty_rows : {"raise", "drop"}
        What to do with rows that hold no value at all.
    variables : sequence of Variable, optional
        Of the aspect. Default: any column will do.
    told : Meter, optional
        Told of the records looked at.

    Raises
    ------
    FrameError
        As of `plan_import`.
    """
    problems = ProblemList()
    once = iter(pieces) is pieces
    tallies: dict[Partition, _Tally] = {}
    current: _Tally | None = None
    seen = 0
    for table in check_pieces(pieces, empty_rows=empty_rows, tell=problems.tell):
        _check_age(table, now_ns, twin, closed, problems)
        if variables is not None:
            check_variables(table, variables, problems.tell)
        for part in _cut(table, twin, closed):
            tally = tallies.get(part.partition)
            if tally is None:
                tally = tallies[part.partition] = _Tally(twin.max_partition_bytes)
            if current is not None and current is not tally:
                current.held.clear()
            current = tally
            tally.add(part, hold=once)
            if told is not None:
                told.advance(part.stop - part.first)
                seen += part.stop - part.first
                told.tell(at=seen, partitions=len(tallies))
    close = {partition for partition, tally in tallies.items() if tally.close}
    if close and not once:
        for table in check_pieces(pieces, empty_rows=empty_rows, tell=_ignore):
            for part in _cut(table, twin, closed):
                if part.partition in close:
                    tallies[part.partition].count(part)
    planned = []
    for partition, tally in sorted(tallies.items()):
        files = -(-tally.bytes // FILE_BYTES)
        size = tally.bytes + files  # each file: two brackets, and no separator behind its last record
        if tally.close:
            _check_size(partition, twin, size, files, problems)
        first, last = format_time(tally.first_ns), format_time(tally.last_ns)
        planned.append(PlannedPartition(partition.name, tally.rows, first, last, files, size))
    return ImportPlan(series, twin, planned, problems.to_list())


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one partition in a block of rows, and about how many bytes they will be."""

    partition: Partition
    block: pa.Table
    first: int
    stop: int
    first_ns: int
    last_ns: int
    size: float


def _cut(table: pa.Table, twin: TwinType, closed: Closed) -> Iterator[_Part]:
    """Cut a table by partitions; in bounded memory, however large it is."""
    for batch in table.to_batches(max_chunksize=_BLOCK_ROWS):
        if not batch.num_rows:  # what pandas joined from a part without rows has such pieces
            continue
        block = pa.Table.from_batches([batch])
        times = times_of(block)
        cuts = cut_partitions(times, twin, closed)
        sizes = np.diff(bytes_up_to(block, np.array([0, *(stop for _, _, stop in cuts)])))
        for (partition, first, stop), size in zip(cuts, sizes.tolist(), strict=True):
            yield _Part(partition, block, first, stop, int(times[first]), int(times[stop - 1]), size)


class _Tally:
    """What is known of one partition so far."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.rows = 0
        self.first_ns = self.last_ns = 0
        self.held: list[_Part] = []
        self._estimate = 0.0
        self._covered = 0.0
        self._counted = 0

    def add(self, part: _Part, *, hold: bool) -> None:
        """Take note of rows; `hold` keeps them until it is clear whether they have to be counted."""
        self.first_ns = min(self.first_ns, part.first_ns) if self.rows else part.first_ns
        self.last_ns = max(self.last_ns, part.last_ns) if self.rows else part.last_ns
        self.rows += part.stop - part.first
        self._estimate += part.size
        if hold:
            self.held.append(part)
            if self.close:
                for one in self.held:
                    self.count(one)
                self.held.clear()

    def count(self, part: _Part) -> None:
        """Count the bytes instead of estimating them; past the limit it is proven, and no more is encoded."""
        if self._counted <= self.limit:
            self._counted += encoded_bytes(part.block.slice(part.first, part.stop - part.first))
            self._covered += part.size

    @property
    def close(self) -> bool:
        """Whether the estimate comes near the limit."""
        return self._estimate > _CLOSE * self.limit

    @property
    def bytes(self) -> int:
        """Those that were counted, and an estimate of the others."""
        return self._counted + max(0, round(self._estimate - self._covered))


def _check_age(table: pa.Table, now_ns: int, twin: TwinType, closed: Closed, problems: ProblemList) -> None:
    """Tell of records that are too young, and in which partition they begin."""
    times = times_of(table)
    try:
        check_age(times, now_ns, twin)
    except FrameError as error:
        partition, _, _ = cut_partitions(times[error.rows[0] :][:1], twin, closed)[0]
        problems.tell(error, partition.name)


def _check_size(partition: Partition, twin: TwinType, size: int, files: int, problems: ProblemList) -> None:
    """Tell of a partition that no job can carry."""
    try:
        check_partition(partition, twin, size, files)
    except FrameError as error:
        problems.tell(error, partition.name)


def _ignore(error: FrameError) -> None:
    """Let go what was told the first time through."""
