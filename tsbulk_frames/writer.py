"""Writing: a DataFrame becomes import files, import jobs and a report; floor 7.

``DataFrame → check → partition → encode → upload → job → report``: the stations are `sources` and `frames`,
`partition`, `codec` and `staging`, `importjob`, `report`.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from tsbulk_frames._check import EmptyRows
from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import AuthError, FrameError, JobTimeout, NotFoundError, TsBulkError
from tsbulk_frames.importjob import (
    await_jobs,
    check_seconds,
    delete_import_file,
    remote_path,
    start_import_job,
    upload_import_file,
)
from tsbulk_frames.messages import ImportJob
from tsbulk_frames.model import NS_PER_SECOND, Closed, Series, TwinType
from tsbulk_frames.paging import times_of
from tsbulk_frames.partition import check_age
from tsbulk_frames.progress import Progress, check_progress, meter
from tsbulk_frames.report import ImportReport, PartitionReport, failure, job_error
from tsbulk_frames.request import check_workers
from tsbulk_frames.sources import WriteData, open_source
from tsbulk_frames.staging import ImportFile, StagedPartition, stage

__all__ = ["write_import_files", "write_timeseries"]

logger = logging.getLogger("tsbulk_frames")


def write_import_files(
    data: WriteData,
    entity: str,
    property_set: str,
    directory: str | os.PathLike[str],
    *,
    twin_type: TwinType | str,
    empty_rows: EmptyRows = "raise",
    closed: Closed = "left",
) -> list[ImportFile]:
    """Write the import files of a frame to a local folder, and nothing else: no request is made.

    Parameters
    ----------
    data : DataFrame, pyarrow.Table, pyarrow.RecordBatchReader, iterable of frames, or path
        As for `write_timeseries`.
    entity, property_set : str
        The asset and the aspect it belongs to.
    directory : str or path
        Made if it is not there. Files of the same name are replaced.
    twin_type : {"performance", "simulation"}
        Whether a file holds data of one UTC day or of one UTC hour.
    empty_rows : {"raise", "drop"}
        What to do with rows that hold no value at all.
    closed : {"left", "right"}
        Which day or hour owns a record at exactly its border: the one that begins there, or the one that ends there.

    Returns
    -------
    list of ImportFile
        In time order: path, partition, rows, bytes, first and last time, digest.

    Raises
    ------
    FrameError
        The data cannot be written; see `write_timeseries`. Files already begun are left in the folder.

    Notes
    -----
    Source: file format and partitions of ``POST /api/iottsbulk/v3/importJobs``.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01T23:59:59", periods=2, freq="s", tz="UTC")
    >>> data = pd.DataFrame({"rate": [1.5, 2.5]}, index=times)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = tsb.write_import_files(data, "pump-1", "flow", folder, twin_type="performance")
    ...     print(files[1].partition, files[1].path.read_text())
    2026-03-02 [{"_time":"2026-03-02T00:00:00.000000000Z","rate":2.5}]
    """
    series = Series(entity, property_set)
    twin = TwinType.parse(twin_type)
    if closed not in ("left", "right"):
        raise FrameError(f"closed={closed!r} is not known; accepted are 'left' and 'right'")
    tables = open_source(data, empty_rows=empty_rows)
    try:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, TypeError) as error:
        raise FrameError(f"directory={directory!r} cannot be used: {error}; name a folder to write to") from error
    return [file for one in stage(tables, series, twin, folder, closed=closed) for file in one.files]


def write_timeseries(
    data: WriteData,
    entity: str,
    property_set: str,
    *,
    twin_type: TwinType | str | None = None,
    wait: bool = True,
    timeout: float | None = None,
    empty_rows: EmptyRows = "raise",
    keep_files: bool = False,
    max_workers: int | None = None,
    progress: Progress = None,
    connection: Connection | None = None,
) -> ImportReport:
    """Import a frame: one import job for each UTC day (performance assets) or hour (simulation assets) of data.

    Everything is checked and encoded before the first byte is uploaded. A later import of the same time replaces
    what is stored.

    Parameters
    ----------
    data : DataFrame, pyarrow.Table, pyarrow.RecordBatchReader, iterable of frames, or path
        A frame has a time index with a zone, or a ``_time`` column; strictly increasing. One column a property, its
        quality code beside it as ``<property>_qc``. What `read_timeseries` returned can be written unchanged.
        Missing cells are left out of their record. Frames of an iterable follow each other in time; a path names a
        Parquet file or a folder of them. The caller's data is never changed.
    entity, property_set : str
        The asset and the aspect.
    twin_type : {"performance", "simulation"}, optional
        Kind of the asset. Default: the asset is asked, and also whether it has the aspect.
    wait : bool
        False: return as soon as all jobs are started; see `wait_for_jobs`.
    timeout : float, optional
        Seconds to wait for all jobs together. Default: as long as it takes.
    empty_rows : {"raise", "drop"}
        What to do with rows that hold no value at all: refuse them, or leave them out.
    keep_files : bool
        Leave the import files in the file service. Default: those of jobs that succeeded are deleted there.
    max_workers : int, optional
        Requests under way at once. Default: ``max_workers`` of the connection's settings (8).
    progress : bool or callable, optional
        True: a progress bar (tqdm). A function: called with the bytes of each partition whose job was started.
    connection : Connection, optional
        Default: the one made from the environment.

    Returns
    -------
    ImportReport
        A row per partition: files, rows, bytes, job id, status, message, times. No rows of data: no partition.

    Raises
    ------
    FrameError
        The data cannot be imported, nothing was uploaded: no or naive or unsorted or doubled times, infinities,
        unsupported types, bad column names, integers beyond 64 bits, rows without any value, records younger than 30
        minutes (performance assets), more than 1 GB a day or 350 MB an hour, more than 100 files.
    NotFoundError
        No such asset or aspect.
    PartialImportError
        Some jobs ended in ``ERROR`` or could not be started, after all others were awaited. Nothing of a failed
        job is stored.
    JobTimeout
        Jobs were still running at the deadline; they can be awaited again.

    Notes
    -----
    Source: ``PUT /api/iotfile/v3/files/{entity}/{path}``, ``POST /api/iottsbulk/v3/importJobs``,
    ``GET /api/iottsbulk/v3/importJobs/{id}``.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01T09:59:59", periods=2, freq="s", tz="UTC")
    >>> data = pd.DataFrame({"rate": [1.5, 2.5]}, index=times)
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", twin_type="simulation", aspects={"flow": {"rate": "DOUBLE"}})
    ...     report = tsb.write_timeseries(data, "pump-1", "flow", connection=con)
    >>> report.to_frame()[["partition", "rows", "status"]].values.tolist()
    [['2026-03-01T09', 1, 'SUCCESS'], ['2026-03-01T10', 1, 'SUCCESS']]
    """
    series = Series(entity, property_set)
    check_seconds("timeout", timeout)
    check_progress(progress)
    twin = None if twin_type is None else TwinType.parse(twin_type)
    tables = open_source(data, empty_rows=empty_rows)
    con = use_connection(connection)
    workers = check_workers(max_workers, con)
    if twin is None:
        twin = _ask_twin_type(series, con)
    with tempfile.TemporaryDirectory(prefix="tsbulk-") as folder:
        staged = list(stage(_old_enough(tables, twin, con), series, twin, Path(folder), closed=con.config.closed))
        run = _Run(series, con, staged)
        with meter(progress, f"write {series}", unit="B", total=sum(one.bytes for one in staged)) as advance:
            run.start(workers, advance)
    if wait:
        run.wait(workers, timeout)
        if not keep_files:
            run.clean_up(workers)
    run.report.raise_for_status()
    return run.report


def _ask_twin_type(series: Series, connection: Connection) -> TwinType:
    """Ask the asset of which kind it is, and whether it has the aspect at all."""
    asset = connection.assets.get_asset(series.entity)
    aspects = sorted(aspect.name for aspect in connection.assets.get_aspects(series.entity))
    if series.property_set not in aspects:
        raise NotFoundError(
            f"asset {series.entity!r} has no aspect {series.property_set!r}; it has {', '.join(aspects) or 'none'}",
            status=404,
        )
    return asset.twin_type


def _old_enough(tables: Iterable[pa.Table], twin: TwinType, connection: Connection) -> Iterator[pa.Table]:
    """Pass tables on once their age is checked."""
    for table in tables:
        check_age(times_of(table), int(connection.clock() * NS_PER_SECOND), twin)
        yield table


class _Run:
    """One import on its way: every partition uploaded, its job started, awaited, and its outcome on record."""

    def __init__(self, series: Series, connection: Connection, staged: Sequence[StagedPartition]) -> None:
        self.series = series
        self.connection = connection
        self.staged = staged
        rows = [
            PartitionReport(
                one.partition.name, len(one.files), one.rows, one.bytes, one.files[0].first, one.files[-1].last
            )
            for one in staged
        ]
        self.report = ImportReport(rows, {})
        self._hopeless: TsBulkError | None = None
        self._interrupted = False
        self._part_workers = 1

    def start(self, workers: int, advance: Callable[[int], None]) -> None:
        """Upload all partitions side by side, and start the job of each.

        What is wrong with all of them (no such asset, no permission) stops at once, as long as nothing was started.
        """

        def start_one(number: int) -> None:
            self._start_partition(number)
            advance(self.staged[number].bytes)

        self._part_workers = max(1, workers // max(1, len(self.staged)))
        try:
            with ThreadPoolExecutor(workers, thread_name_prefix="tsbulk-import") as pool:
                try:
                    list(pool.map(start_one, range(len(self.staged))))
                except BaseException:
                    self._interrupted = True  # what is uploading now starts no job any more
                    raise
        except BaseException as error:
            if self.report.job_ids:
                error.add_note(f"import jobs started before: {', '.join(self.report.job_ids)}; see tsb.wait_for_jobs")
            raise
        if self._hopeless is not None and not self.report.job_ids and not self.report.names("unknown"):
            raise self._hopeless

    def _start_partition(self, number: int) -> None:
        """Upload the files of one partition and start its job; an error is filed, not raised."""
        row, one = self.report.partitions[number], self.staged[number]
        posted = False
        try:
            if self._hopeless is not None:
                raise self._hopeless
            paths = [upload_import_file(self.connection, self.series, file, self._part_workers) for file in one.files]
            if self._interrupted:
                return
            posted = True
            row.update(start_import_job(self.connection, self.series, one.files, paths))
            if row.status == "ERROR":
                self.report.errors[row.partition] = job_error(row, paths)
        except TsBulkError as error:
            if isinstance(error, AuthError | NotFoundError):
                self._hopeless = error
            failure(row, error, posted=posted)
            self.report.errors[row.partition] = error

    def wait(self, workers: int, timeout: float | None) -> None:
        """Await all jobs that were started, and file how each ended."""
        by_job = {row.job_id: number for number, row in enumerate(self.report.partitions) if row.job_id is not None}

        def file_answer(job_id: str, job: ImportJob) -> None:
            self.report.partitions[by_job[job_id]].update(job)

        try:
            for job_id, job in await_jobs(
                self.connection, self.report.job_ids, timeout=timeout, max_workers=workers, on_change=file_answer
            ):
                row = self.report.partitions[by_job[job_id]]
                if isinstance(job, TsBulkError):  # how it ends is not known
                    row.status, row.message = "UNKNOWN", str(job)
                    self.report.errors[row.partition] = job
                elif job.status == "ERROR":
                    paths = [remote_path(file) for file in self.staged[by_job[job_id]].files]
                    self.report.errors[row.partition] = job_error(row, paths)
        except JobTimeout as error:
            failed = self.report.names("failed")
            more = f"; {len(failed)} other partitions failed (first: {failed[0]}), see .report" if failed else ""
            raise JobTimeout(f"{error}{more}", job_ids=error.job_ids, report=self.report) from None

    def clean_up(self, workers: int) -> None:
        """Delete the import files of jobs that succeeded; what cannot be deleted only takes room."""
        paths = [
            remote_path(file)
            for row, one in zip(self.report.partitions, self.staged, strict=True)
            if row.outcome == "done"
            for file in one.files
        ]

        def delete(path: str) -> None:
            try:
                delete_import_file(self.connection, self.series, path)
            except TsBulkError as error:
                logger.warning("import file %s of %s is left in the file service: %s", path, self.series, error)

        with ThreadPoolExecutor(workers, thread_name_prefix="tsbulk-clean") as pool:
            list(pool.map(delete, paths))
