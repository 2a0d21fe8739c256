"""An import on its way: partitions are staged, and carried side by side, in bounded disk space; floor 7.3.

::

    stage (the caller's thread) ──► room on disk, and under way? ──► carry (a thread a partition) ──► report
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType

import pyarrow as pa

from tsbulk_frames.carry import Carrier, FailedError, StoppedError
from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import ConfigError, FrameError, JobTimeout, TsBulkError
from tsbulk_frames.importjob import remote_path
from tsbulk_frames.ledger import Entry, FileEntry
from tsbulk_frames.look import Extent
from tsbulk_frames.manifest import Manifest
from tsbulk_frames.model import Series
from tsbulk_frames.partition import STAGING_BYTES
from tsbulk_frames.progress import Board, Progress, meter
from tsbulk_frames.report import ImportReport, PartitionReport
from tsbulk_frames.spool import Origin, disk_error
from tsbulk_frames.staging import StagedPartition, stage
from tsbulk_frames.stop import Stop

__all__ = ["SENT", "run_import"]

SENT = ("posting", "running", "unknown", "done")
"""States of a partition whose job was, or may have been, started."""
IN_FLIGHT = 32
"""Partitions at most between the disk and the end of their job."""


def run_import(
    connection: Connection,
    manifest: Manifest,
    tables: Callable[[], Iterable[pa.Table]],
    *,
    ready: Iterable[Entry] = (),
    skip: Collection[str] = (),
    workers: int,
    wait: bool = True,
    timeout: float | None,
    settle_timeout: float,
    progress: Progress,
) -> ImportReport:
    """Import what is ready, then what is staged from the data; the manifest tells, and is told, what is done.

    Parameters
    ----------
    connection : Connection
        Where to.
    manifest : Manifest
        Of this import.
    tables : callable
        Gives the data, once what is ready is on its way.
    ready : iterable of Entry
        Partitions that can go on from where they stand.
    skip : collection of str
        Partitions not to be staged.
    workers, timeout, settle_timeout
        See `tsbulk_frames.carry.Carrier`.
    wait : bool
        False: a partition is through as soon as its job was started.
    progress : bool or callable, optional
        See `tsbulk_frames.progress`.

    Returns
    -------
    ImportReport
        Of all partitions of the manifest.

    Raises
    ------
    PartialImportError, JobTimeout, AuthError, NotFoundError, FrameError, ConfigError
        See `tsbulk_frames.write_timeseries`.
    """
    header = manifest.header
    series = Series(header.entity, header.property_set)
    known = manifest.entries()
    origin = Origin.from_json(header.source)
    total = len(known) if manifest.complete or origin.kind != "stream" else None
    before = [entry.name for entry in known if entry.state == "done"]
    stop = Stop()
    with meter(progress, f"write {series}", unit="B", total=total, done=len(before)) as told:
        board = Board(told, total, before, awaited=wait)
        carrier = Carrier(
            connection,
            manifest,
            workers=workers,
            timeout=timeout,
            settle_timeout=settle_timeout,
            board=board,
            stop=stop,
        )
        keep_failed = origin.kind == "stream"
        with _Run(carrier, manifest, known, stop, wait=wait, timeout=timeout, keep_failed=keep_failed) as run:
            for entry in ready:
                run.carry(entry)
            theirs: list[OSError] = []
            data = _heeded(tables(), theirs)
            try:
                run.send(stage(data, series, header.twin_type, manifest.folder, closed=header.closed, skip=skip))
            except OSError as error:
                if error in theirs:
                    raise
                raise disk_error(manifest.folder, error) from error
            run.finish()
    report = run.report()
    if report.ok and not header.keep_files:
        shutil.rmtree(manifest.folder, ignore_errors=True)
    report.raise_for_status()
    return report


class _Run:
    """Partitions under way, each in a thread; a context manager.

    Parameters
    ----------
    carrier : Carrier
        What they go through.
    manifest : Manifest
        What is to be done, and what has been.
    known : sequence of Entry
        What the manifest held before.
    stop : Stop
        Ends all work.
    wait : bool
        False: a partition is through as soon as its job was started.
    timeout : float or None
        Seconds to wait for a job, for messages.
    keep_failed : bool
        Whether the staging files of a partition that failed are kept, as they cannot be made again.
    """

    def __init__(
        self,
        carrier: Carrier,
        manifest: Manifest,
        known: Sequence[Entry],
        stop: Stop,
        *,
        wait: bool,
        timeout: float | None,
        keep_failed: bool,
    ) -> None:
        self._carrier = carrier
        self._manifest = manifest
        self._stop = stop
        self._wait = wait
        self._timeout = timeout
        self._keep_failed = keep_failed
        self._errors: dict[str, TsBulkError] = {}
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="tsbulk-import")
        self._changed = threading.Condition()
        self._under_way: set[str] = set()
        self._on_disk: dict[str, int] = {}
        self._posted: list[Entry] = []
        self._late: list[str] = []
        self._failure: BaseException | None = None
        self._known = {entry.name: entry for entry in known}

    def __enter__(self) -> _Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, TsBulkError):
            self._stop.now()
        try:
            self._pool.shutdown(wait=True)
        except BaseException as interrupt:
            self._stop.now()
            self._pool.shutdown(wait=True)
            self._explain(interrupt)
            raise
        error = error or self._failure
        if error is not None:
            self._explain(error)
            if kind is None:
                raise error

    def send(self, staged: Iterable[StagedPartition]) -> None:
        """Carry partitions as they are staged; waits while too much is on disk or under way.

        Raises
        ------
        FrameError
            A partition whose job was started by an earlier call holds other data now.
        """
        for one in staged:
            entry = self._take_up(one)
            if entry is not None:
                self.carry(entry)
            if self._carrier.hopeless is not None:
                return
        self._manifest.read_to_end()

    def _take_up(self, one: StagedPartition) -> Entry | None:
        """Put a staged partition into the manifest; one that was sent before only has its files again."""
        name = one.partition.name
        files = tuple(FileEntry(file, remote_path(file), None, False) for file in one.files)
        old = self._known.get(name)
        if old is None or old.state not in SENT:
            return self._manifest.staged(name, files)
        if [file.remote for file in old.files] != [file.remote for file in files]:
            raise FrameError(
                f"partition {name}: the data is not what this import sent before ({_extent(old.files)}; now "
                f"{_extent(files)}, or other values); give the same data, or begin a new import with another manifest="
            )
        if old.state == "done" and old.cleaned:
            if not self._manifest.header.keep_files:
                self._carrier.unlink(files)
            return None
        return replace(old, files=files)

    def carry(self, entry: Entry) -> None:
        """Take a partition from where it stands to its end, in a thread of its own."""
        with self._changed:
            self._on_disk[entry.name] = entry.bytes if entry.state != "done" else 0
            self._under_way.add(entry.name)
        self._pool.submit(self._carry, entry, self._wait)
        while self._full():
            self._make_room()

    def finish(self) -> None:
        """Wait until all that was sent is through; what can never succeed is told at once.

        Raises
        ------
        AuthError, NotFoundError
            Nothing was started, as the service refuses all of it.
        JobTimeout
            Jobs are still running.
        """
        with self._changed:
            while self._under_way and self._failure is None:
                self._changed.wait()
        if self._failure is not None:
            raise self._failure
        if self._carrier.hopeless is not None:
            entries = self._manifest.entries()
            if not any(entry.job_id or entry.state in ("done", "posting", "unknown") for entry in entries):
                raise self._carrier.hopeless
            for entry in entries:
                if entry.state in ("planned", "staged", "uploaded"):
                    self._manifest.failed(entry.name, str(self._carrier.hopeless))
                    self._errors[entry.name] = self._carrier.hopeless
        if self._late:
            report = self.report()
            failed = report.names("failed")
            more = f"; {len(failed)} other partitions failed (first: {failed[0]}), see .report" if failed else ""
            raise JobTimeout(
                f"{len(self._late)} import jobs are still running after timeout={self._timeout} s (first: "
                f"{self._late[0]}); this is no failure: await them again with wait_for_jobs(error.job_ids), or with "
                f"tsb.resume_import({str(self._manifest.path)!r}){more}",
                job_ids=self._late,
                report=report,
            )

    def report(self) -> ImportReport:
        """Tell what has become of every partition, as the manifest has it."""
        rows = [
            PartitionReport(
                partition=entry.name,
                files=len(entry.files),
                rows=entry.rows,
                bytes=entry.bytes,
                first=entry.first,
                last=entry.last,
                job_id=entry.job_id,
                status="UNKNOWN" if entry.state == "posting" else entry.status or "PENDING",
                message=entry.message,
                start_time=entry.start_time,
                last_modified=entry.last_modified,
                verified=entry.verified,
                skipped=entry.name in self._known and self._known[entry.name].state == "done",
            )
            for entry in self._manifest.entries()
        ]
        return ImportReport(rows, self._errors, self._manifest.path)

    def _explain(self, error: BaseException) -> None:
        """Tell with an error what was started, and how to go on."""
        jobs = [entry.job_id for entry in self._manifest.entries() if entry.job_id is not None]
        if jobs:
            error.add_note(f"import jobs started before: {', '.join(jobs)}; see tsb.wait_for_jobs")
        if jobs or not isinstance(error, TsBulkError):  # else nothing is left to go on with
            error.add_note(f"go on with tsb.resume_import({str(self._manifest.path)!r})")

    def _full(self) -> bool:
        """Whether another partition has to wait; raises what a thread could not handle."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            return len(self._under_way) >= IN_FLIGHT or sum(self._on_disk.values()) > STAGING_BYTES

    def _make_room(self) -> None:
        """Wait until something has gone through; what was only started is awaited now."""
        with self._changed:
            entry = self._posted.pop(0) if self._posted and len(self._under_way) < IN_FLIGHT else None
            if entry is None:
                if self._under_way and self._failure is None:
                    self._changed.wait()
                elif self._failure is None:
                    self._on_disk.clear()  # all that is left there failed: it waits for a resume
                return
            self._under_way.add(entry.name)
        self._pool.submit(self._carry, entry, True)

    def _carry(self, entry: Entry, wait: bool) -> None:
        """Take one partition to its end; what the service refuses is filed, all else stops the run."""
        gone = False
        try:
            started = self._carrier.carry(entry, wait=wait)
            gone = started is None
            if started is not None:
                self._posted.append(started)
        except StoppedError:
            pass
        except FailedError as failed:
            self._errors[entry.name] = failed.error
            if not self._keep_failed:
                self._carrier.unlink(entry.files)
                gone = True
        except JobTimeout as error:
            self._late.extend(error.job_ids)
        except BaseException as error:  # noqa: BLE001  (handed to the caller's thread, which raises it)
            if isinstance(error, TsBulkError) and not isinstance(error, ConfigError):
                self._errors[entry.name] = error
            else:
                self._failure = self._failure or error
                self._stop.now()
        finally:
            with self._changed:
                if gone:
                    self._on_disk.pop(entry.name, None)
                self._under_way.discard(entry.name)
                self._changed.notify_all()


def _heeded(tables: Iterable[pa.Table], errors: list[OSError]) -> Iterator[pa.Table]:
    """Pass the data on, and note an error of the caller's iterator: it says nothing of the staging folder."""
    try:
        yield from tables
    except OSError as error:
        errors.append(error)
        raise


def _extent(files: Sequence[FileEntry]) -> Extent:
    """Sum up what import files hold."""
    return Extent(sum(one.file.rows for one in files), files[0].file.first, files[-1].file.last)
