"""One import job: upload its import files, start it, await it; floor 6."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import ConfigError, ConflictError, FrameError, JobTimeout, NotFoundError, TsBulkError
from tsbulk_frames.files import StoredFile
from tsbulk_frames.manifest import Manifest
from tsbulk_frames.messages import (
    BulkImportInput,
    CreateImportJobRequest,
    Data,
    FileInfo,
    ImportJob,
    RetrieveImportJobRequest,
)
from tsbulk_frames.model import Series
from tsbulk_frames.progress import Board, Progress, check_progress, meter
from tsbulk_frames.staging import ImportFile

__all__ = [
    "await_jobs",
    "delete_import_file",
    "frame_of_jobs",
    "remote_path",
    "start_import_job",
    "upload_import_file",
    "wait_for_jobs",
]

_LISTING_PAUSES = (0.5, 1.0, 2.0, 4.0)
_OUTCOMES = {"SUCCESS": "done", "ERROR": "failed"}
_FIRST_POLL, _LONGEST_POLL, _POLL_GROWTH = 0.1, 15.0, 1.5


def remote_path(file: ImportFile) -> str:
    """Name of an import file in the file service: the same data has the same name, whenever it is written."""
    return f"tsbulk-frames/{file.partition}-{file.digest}.json"


def upload_import_file(
    connection: Connection, series: Series, file: ImportFile, *, sent: bool = False, max_workers: int = 1
) -> StoredFile:
    """Upload an import file, a large one in `max_workers` parts at once; return it as it is stored.

    A file of that name there already is the same data, sent by an earlier try: it is kept, and replaced only when it
    is not what it should be. With `sent` one that is known to have gone up is looked for first.

    Notes
    -----
    Source: ``PUT /api/iotfile/v3/files/{entity}/{path}``.
    """
    path = remote_path(file)
    there = connection.files.find_file(series.entity, path) if sent else None
    if there is not None and there.size == file.bytes:
        return there
    try:
        return connection.files.put_file(series.entity, path, file.path, max_workers=max_workers, resume=True)
    except ConflictError:
        there = _listed(connection, series.entity, path)
        if there is None:
            raise
    return connection.files.put_file(
        series.entity, path, file.path, if_match=there.etag, max_workers=max_workers, resume=True
    )


def _listed(connection: Connection, entity: str, path: str) -> StoredFile | None:
    """Find a file that is certainly there: the listing may lag behind by seconds."""
    for pause in (*_LISTING_PAUSES, None):
        there = connection.files.find_file(entity, path)
        if there is not None or pause is None:
            return there
        connection.sleep(pause)
    return None


def start_import_job(
    connection: Connection, series: Series, files: Sequence[ImportFile], paths: Sequence[str]
) -> ImportJob:
    """Start the import job of one partition. Never repeated when the answer is lost: it may have been heard.

    Notes
    -----
    Source: ``POST /api/iottsbulk/v3/importJobs``.
    """
    infos = [FileInfo(file_path=path, _from=file.first, to=file.last) for file, path in zip(files, paths, strict=True)]
    data = Data(entity=series.entity, property_set_name=series.property_set, timeseries_files=infos)
    request = CreateImportJobRequest(bulk_import_input=BulkImportInput(data=[data]))
    return connection.imports.create_import_job(request)


def delete_import_file(connection: Connection, series: Series, path: str) -> None:
    """Remove an import file that its job has read; one that is gone already is as good."""
    try:
        connection.files.delete_file(series.entity, path)
    except NotFoundError:
        return


def await_jobs(
    connection: Connection,
    job_ids: Iterable[str],
    *,
    timeout: float | None = None,
    poll_interval: float | None = None,
    max_workers: int = 8,
    on_change: Callable[[str, ImportJob], None] | None = None,
    sleep: Callable[[float], object] | None = None,
) -> Iterator[tuple[str, ImportJob | TsBulkError]]:
    """Poll jobs until each has ended; one that cannot be asked for does not stop the others.

    Parameters
    ----------
    connection : Connection
        Where the jobs are.
    job_ids : iterable of str
        Their ids.
    timeout : float, optional
        Seconds for all of them together. None: as long as it takes.
    poll_interval : float, optional
        Seconds between two looks at a job. None: 0.1 at first, growing to 15; of many jobs those started first are
        looked at first, as that is the order in which they end.
    max_workers : int
        Jobs asked for at once.
    on_change : callable, optional
        Called with every answer of the service, and the id it was asked for.
    sleep : callable, optional
        How to wait between two looks. Default: as the connection does. What it returns tells whether there is news:
        then the next looks are close again.

    Yields
    ------
    (str, ImportJob or TsBulkError)
        Each id once: how its job ended, or why it cannot be asked for.

    Raises
    ------
    JobTimeout
        Some are still running at the deadline; each was looked at once more. They can be awaited again.
    """
    waiting = deque(dict.fromkeys(job_ids))
    sleep = sleep or connection.sleep
    first = _FIRST_POLL if poll_interval is None else poll_interval
    interval, deadline = first, None if timeout is None else connection.monotonic() + timeout

    def look(job_id: str) -> ImportJob | TsBulkError:
        try:
            return connection.imports.retrieve_import_job(RetrieveImportJobRequest(id=job_id))
        except TsBulkError as error:
            return error

    with ThreadPoolExecutor(max(1, min(max_workers, len(waiting))), thread_name_prefix="tsbulk-poll") as pool:
        while waiting:
            late = deadline is not None and connection.monotonic() >= deadline
            count = min(max_workers, len(waiting)) if poll_interval is None and not late else len(waiting)
            batch = [waiting.popleft() for _ in range(count)]
            ended = 0
            looks = pool.map(look, batch) if count > 1 else map(look, batch)
            for job_id, job in zip(batch, looks, strict=True):
                if isinstance(job, ImportJob) and on_change is not None:
                    on_change(job_id, job)
                if isinstance(job, ImportJob) and not job.final:
                    waiting.append(job_id)
                else:
                    ended += 1
                    yield job_id, job
            if late and waiting:
                raise JobTimeout(
                    f"{len(waiting)} import jobs are still running after timeout={timeout} s (first: {waiting[0]}); "
                    "this is no failure: await them again with wait_for_jobs(error.job_ids)",
                    job_ids=list(waiting),
                )
            if ended and poll_interval is None:
                interval = first  # where one has ended the next may have, too
            elif waiting:
                pause = max(_FIRST_POLL, interval * count / len(waiting)) if poll_interval is None else first
                news = sleep(pause if deadline is None else max(0.0, min(pause, deadline - connection.monotonic())))
                interval = first if news else min(interval * _POLL_GROWTH, _LONGEST_POLL)


def check_seconds(name: str, value: float | None) -> None:
    """Refuse a time that is none."""
    good = value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9)
    if not good:
        raise ConfigError(f"{name}={value!r} is not a number of seconds; give one from 0 on, or None for the default")


def wait_for_jobs(
    job_ids: str | os.PathLike[str] | Iterable[str],
    *,
    timeout: float | None = None,
    poll_interval: float | None = None,
    progress: Progress = None,
    connection: Connection | None = None,
) -> pd.DataFrame:
    """Await import jobs.

    Parameters
    ----------
    job_ids : str, iterable of str, or path
        Ids of jobs, as in ``report.job_ids``; or the manifest of an import (``report.manifest``): then all its jobs,
        and how they ended is written to it.
    timeout : float, optional
        Seconds for all of them together. Default: as long as it takes.
    poll_interval : float, optional
        Seconds between two looks at a job. Default: 0.1 at first, growing to 15.
    progress : bool or callable, optional
        True: a progress bar (tqdm) in a terminal or a notebook, nothing elsewhere: jobs by state. A function: called
        with 1 for each job that has ended.
    connection : Connection, optional
        Default: the one made from the environment.

    Returns
    -------
    pandas.DataFrame, shape (n_jobs, 5)
        A row a job, in the order given: ``job_id``, ``status`` (``SUCCESS`` or ``ERROR``: a job that failed does not
        raise here), ``message``, ``start_time``, ``last_modified`` (text, as the service says).

    Raises
    ------
    JobTimeout
        Some are still running at the deadline.
    NotFoundError
        The service knows no such job; raised once all others have ended.
    FrameError
        An id that is not text.
    ConfigError
        The manifest cannot be used.

    Notes
    -----
    Source: ``GET /api/iottsbulk/v3/importJobs/{id}``.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01", periods=3, freq="s", tz="UTC")
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", twin_type="simulation", aspects={"flow": {"rate": "DOUBLE"}})
    ...     data = pd.DataFrame({"rate": [1.5, 2.5, 3.5]}, index=times)
    ...     report = tsb.write_timeseries(data, "pump-1", "flow", wait=False, connection=con)
    ...     jobs = tsb.wait_for_jobs(report.job_ids, connection=con)
    >>> jobs["status"].tolist()
    ['SUCCESS']
    """
    check_seconds("timeout", timeout)
    check_seconds("poll_interval", poll_interval)
    check_progress(progress)
    if isinstance(job_ids, os.PathLike) or (isinstance(job_ids, str) and os.path.isfile(job_ids)):
        con = use_connection(connection)
        with Manifest.open(job_ids, clock=con.clock) as manifest:
            names = {one.job_id: one.name for one in manifest.entries() if one.job_id is not None}

            def note(job_id: str, job: ImportJob) -> None:
                manifest.answered(names[job_id], job)

            return _ended(con, list(names), timeout, poll_interval, progress, note)
    if not isinstance(job_ids, Iterable):
        raise FrameError(f"job_ids={job_ids!r} is a {type(job_ids).__name__}; give one id, or a list of them")
    ids = [job_ids] if isinstance(job_ids, str) else list(job_ids)
    bad = [one for one in ids if not isinstance(one, str) or not one.strip()]
    if bad:
        raise FrameError(f"job id {bad[0]!r} is not one; give the ids as str, as in report.job_ids")
    return _ended(use_connection(connection), ids, timeout, poll_interval, progress, None)


def _ended(
    connection: Connection,
    ids: Sequence[str],
    timeout: float | None,
    poll_interval: float | None,
    progress: Progress,
    on_change: Callable[[str, ImportJob], None] | None,
) -> pd.DataFrame:
    """Await jobs, and tell how each ended."""
    total = len(dict.fromkeys(ids))
    with meter(progress, "await import jobs", unit="", total=total) as told:
        board = Board(told, total, noun="jobs")

        def changed(job_id: str, job: ImportJob) -> None:
            if on_change is not None:
                on_change(job_id, job)
            board.job(job_id, job.status)

        ended: dict[str, ImportJob | TsBulkError] = {}
        for job_id, job in await_jobs(
            connection,
            ids,
            timeout=timeout,
            poll_interval=poll_interval,
            max_workers=connection.config.max_workers,
            on_change=changed,
        ):
            ended[job_id] = job
            board.sent(1)
            board.put(job_id, "unknown" if isinstance(job, TsBulkError) else _OUTCOMES[job.status])
    return frame_of_jobs(ids, ended)


def frame_of_jobs(ids: Iterable[str], seen: Mapping[str, ImportJob | TsBulkError]) -> pd.DataFrame:
    """Give a row a job, in the order asked for.

    Raises
    ------
    TsBulkError
        The first that could not be asked for.
    """
    names = ("status", "message", "start_time", "last_modified")
    rows = []
    for one in ids:
        job = seen[one]
        if isinstance(job, TsBulkError):
            raise job
        rows.append([one, job.status.value, *(getattr(job, name) for name in names[1:])])
    return pd.DataFrame(rows, columns=["job_id", *names])
