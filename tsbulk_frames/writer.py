"""Writing: a DataFrame becomes import files, import jobs and a report; floor 7.5.

``DataFrame → check → partition → encode → upload → job → report``: the stations are `sources` and `frames`, `plan`,
`partition`, `codec` and `staging`, `run` and `importjob`, `report`; `manifest` remembers how far each partition came.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from tsbulk_frames._check import EmptyRows
from tsbulk_frames.aspect import ask_target, refuse_variables
from tsbulk_frames.assetmodel import Variable
from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import FrameError
from tsbulk_frames.importjob import check_seconds
from tsbulk_frames.ledger import Header
from tsbulk_frames.model import NS_PER_SECOND, Closed, Series, TwinType
from tsbulk_frames.paging import times_of
from tsbulk_frames.partition import check_age
from tsbulk_frames.pickup import is_ready, manifest_of, open_manifest
from tsbulk_frames.plan import survey
from tsbulk_frames.progress import Progress, check_progress, meter
from tsbulk_frames.report import ImportReport
from tsbulk_frames.request import check_workers
from tsbulk_frames.run import run_import
from tsbulk_frames.sources import WriteData, count_rows, open_source, pieces_of
from tsbulk_frames.spool import Origin, in_memory, open_origin, origin_of, save_tables
from tsbulk_frames.staging import ImportFile, stage

__all__ = ["resume_import", "write_import_files", "write_timeseries"]

SETTLE_TIMEOUT = 30.0
"""Seconds during which a job that nobody answered for is looked for, before it is started again."""


def write_import_files(
    data: WriteData,
    entity: str,
    property_set: str,
    directory: str | os.PathLike[str],
    *,
    twin_type: TwinType | str,
    empty_rows: EmptyRows = "raise",
    closed: Closed = "left",
    progress: Progress = None,
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
    progress : bool or callable, optional
        True: a progress bar (tqdm) in a terminal or a notebook, nothing elsewhere. A function: called with the bytes
        of each partition that is written.

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
    check_progress(progress)
    tables = open_source(data, empty_rows=empty_rows)
    try:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, TypeError) as error:
        raise FrameError(f"directory={directory!r} cannot be used: {error}; name a folder to write to") from error
    files: list[ImportFile] = []
    rows = 0
    total = count_rows(pieces_of(data)) if progress is True else None
    with meter(progress, f"write {series}", unit="B", total=total) as told:
        for one in stage(tables, series, twin, folder, closed=closed):
            files += one.files
            rows += one.rows
            told.advance(one.bytes)
            told.tell(at=rows, rows=rows, files=len(files))
    return files


def write_timeseries(
    data: WriteData,
    entity: str,
    property_set: str,
    *,
    twin_type: TwinType | str | None = None,
    wait: bool = True,
    timeout: float | None = None,
    empty_rows: EmptyRows = "raise",
    manifest: str | os.PathLike[str] | None = None,
    keep_files: bool = False,
    verify: bool = False,
    max_workers: int | None = None,
    progress: Progress = None,
    connection: Connection | None = None,
) -> ImportReport:
    """Import a frame: one import job for each UTC day (performance assets) or hour (simulation assets) of data.

    Everything is checked before the first byte is uploaded, as far as the data can be read twice. Then partitions are
    encoded, uploaded and imported at the same time, in bounded memory and disk space (a frame is saved to disk whole;
    of an iterator or reader each partition that failed stays there as well, as it cannot be read again). What was done
    is kept in a manifest: after an error, an interruption or a crash `resume_import` goes on from there. A later import
    of the same time replaces what is stored.

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
        Kind of the asset; given, the asset is not asked. Default: it is, and the columns are held against the variables
        of its aspect (names, types, quality codes, lengths of texts) before anything of them is uploaded.
    wait : bool
        False: return as soon as all jobs are started; see `wait_for_jobs`.
    timeout : float, optional
        Seconds to wait for a job once it was started. Default: as long as it takes.
    empty_rows : {"raise", "drop"}
        What to do with rows that hold no value at all: refuse them, or leave them out.
    manifest : str or path, optional
        Where to keep the state of the import, an SQLite file; import files lie beside it until their job succeeded.
        Default: a new file in the user's state folder (``report.manifest``). One that is there already: the import it
        holds is gone on with; `data` must be the same, what is done is skipped.
    keep_files : bool
        Leave the import files beside the manifest and in the file service. Default: those of jobs that succeeded are
        deleted.
    verify : bool
        After each job that succeeded, compare count, first and last time of what is stored with what was sent.
    max_workers : int, optional
        Uploads under way at once. Default: ``max_workers`` of the connection's settings (8).
    progress : bool or callable, optional
        True: a progress bar (tqdm) in a terminal or a notebook, nothing elsewhere: bytes, partitions, jobs by state,
        and how long the rest takes. A function: called with the bytes of each partition whose job was started.
    connection : Connection, optional
        Default: the one made from the environment.

    Returns
    -------
    ImportReport
        A row per partition: files, rows, bytes, job id, status, message, times. No rows of data: no partition.

    Raises
    ------
    FrameError
        The data cannot be imported: no or naive or unsorted or doubled times, infinities, unsupported types, bad
        column names, integers beyond 64 bits, rows without any value, records younger than 30 minutes (performance
        assets), more than 1 GB a day or 350 MB an hour; columns that do not fit the aspect, where the asset was asked.
        Frames, tables and Parquet: nothing was uploaded. Iterators and readers: what came before has been imported, as
        the notes of the error say, and nothing of the partition at fault. Or `data` is not what the manifest began
        with.
    ConfigError
        The manifest cannot be used, is in use by another process, or belongs to another import; or the disk is full.
    NotFoundError
        No such asset or aspect.
    PartialImportError
        Some jobs ended in ``ERROR``, could not be started or verified, after all others were awaited. Nothing of a
        failed job is stored. Its message names the command to go on with.
    JobTimeout
        Jobs were still running at the deadline; they can be awaited again.

    Notes
    -----
    Import files are named after their content. Two imports of the same data into the same series at the same time share
    them: the first that is through deletes them, and jobs of the other may fail for want of them (resume it then).

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
    if in_memory(data):
        tables = list(tables)
    con = use_connection(connection)
    workers = check_workers(max_workers, con)
    variables: Sequence[Variable] | None = None
    if twin is None:
        target = ask_target(series, con)
        twin, variables = target.twin_type, target.variables
    origin = origin_of(data)
    planned: list[tuple[str, int, int, str, str]] = []
    if origin.kind != "stream":
        pieces = tables if origin.kind == "frame" else pieces_of(data)
        total = count_rows(pieces) if progress is True else None
        with meter(progress is True, f"check {series}", unit="rows", total=total) as told:
            plan = survey(
                pieces,
                series,
                twin,
                closed=con.config.closed,
                now_ns=_now(con),
                empty_rows=empty_rows,
                variables=variables,
                told=told,
            )
        plan.raise_for_problems()
        planned = [(one.partition, one.rows, one.bytes, one.first, one.last) for one in plan.partitions]
        if not planned:
            return ImportReport([], {})
        del pieces
    header = Header(
        entity=entity,
        property_set=property_set,
        twin_type=twin,
        closed=con.config.closed,
        gateway=con.config.host_url,
        source=origin.to_json(),
        empty_rows=empty_rows,
        keep_files=keep_files,
        verify=verify,
    )
    with manifest_of(manifest, header, con) as book:
        book.plan(planned)
        if origin.kind == "frame":
            save_tables(tables, book.folder)
        stream = _checked(tables, twin, variables, con) if origin.kind == "stream" else None
        del tables  # what lies on disk is not held in memory as well
        return run_import(
            con,
            book,
            lambda: open_origin(origin, book.folder, empty_rows) if stream is None else stream,
            workers=workers,
            wait=wait,
            timeout=timeout,
            settle_timeout=SETTLE_TIMEOUT,
            progress=progress,
        )


def resume_import(
    manifest: str | os.PathLike[str],
    *,
    timeout: float | None = None,
    settle_timeout: float = SETTLE_TIMEOUT,
    max_workers: int | None = None,
    progress: Progress = None,
    connection: Connection | None = None,
) -> ImportReport:
    """Go on with an import that was interrupted, killed, or that failed in part.

    What is done is left alone. A job that was started is awaited. One that may have been started without an answer is
    looked for in the series, value by value; only if it does not show up is it started again. What failed is tried
    once more, what was never sent is sent.

    Parameters
    ----------
    manifest : str or path
        Of the import: ``report.manifest``, ``error.manifest``, or what was given to `write_timeseries`.
    timeout : float, optional
        Seconds to wait for a job. Default: as long as it takes.
    settle_timeout : float
        Seconds, counted from the moment a job was to be started, during which one that nobody answered for is looked
        for. Longer than an import job takes is right.
    max_workers : int, optional
        Uploads under way at once. Default: ``max_workers`` of the connection's settings (8).
    progress : bool or callable, optional
        As for `write_timeseries`.
    connection : Connection, optional
        To the same gateway as before. Default: the one made from the environment.

    Returns
    -------
    ImportReport
        A row per partition; what had been done before has the outcome ``skipped``.

    Raises
    ------
    ConfigError
        The file is no manifest, is damaged or in use by another process, or belongs to another gateway.
    FrameError
        The source has changed, or cannot be read again: an iterator or reader that was not read to its end. What had
        been staged of it has been imported.
    PartialImportError, JobTimeout
        As for `write_timeseries`.

    Notes
    -----
    Source: ``GET /api/iottsbulk/v3/importJobs/{id}``, ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``,
    and those of `write_timeseries`.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01T09:59:59", periods=2, freq="s", tz="UTC")
    >>> data = pd.DataFrame({"rate": [1.5, 2.5]}, index=times)
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", twin_type="simulation", aspects={"flow": {"rate": "DOUBLE"}})
    ...     report = tsb.write_timeseries(data, "pump-1", "flow", wait=False, connection=con)
    ...     report = tsb.resume_import(report.manifest, connection=con)
    >>> report.ok
    True
    """
    check_seconds("timeout", timeout)
    check_seconds("settle_timeout", settle_timeout)
    check_progress(progress)
    con = use_connection(connection)
    workers = check_workers(max_workers, con)
    with open_manifest(manifest, con) as book:
        origin, empty_rows = Origin.from_json(book.header.source), book.header.empty_rows
        entries = book.entries()
        series = Series(book.header.entity, book.header.property_set)
        ready = [entry for entry in entries if is_ready(entry, series)]
        skip = {entry.name for entry in (*ready, *(one for one in entries if one.state == "done"))}
        unread = not book.complete or any(entry.name not in skip for entry in entries)
        return run_import(
            con,
            book,
            lambda: open_origin(origin, book.folder, empty_rows) if unread else (),
            ready=ready,
            skip=skip,
            workers=workers,
            timeout=timeout,
            settle_timeout=settle_timeout,
            progress=progress,
        )


def _now(connection: Connection) -> int:
    """Nanoseconds since the epoch."""
    return int(connection.clock() * NS_PER_SECOND)


def _checked(
    tables: Iterable[pa.Table], twin: TwinType, variables: Sequence[Variable] | None, connection: Connection
) -> Iterator[pa.Table]:
    """Pass tables on once their age is checked, and their columns against the aspect: what `survey` does beforehand."""
    for table in tables:
        check_age(times_of(table), _now(connection), twin)
        if variables is not None:
            refuse_variables(table, variables)
        yield table
