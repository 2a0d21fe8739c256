"""One partition on its way, step by step: upload → POST → await → verify → clean up; floor 7.2.

Each step is written to the manifest before and after it is done, so that another process can go on from there. A job
whose POST got no answer is looked for in the series before it is started again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import AuthError, ConfigError, JobError, JobTimeout, NotFoundError, TsBulkError
from tsbulk_frames.importjob import await_jobs, delete_import_file, start_import_job, upload_import_file
from tsbulk_frames.ledger import Entry, FileEntry
from tsbulk_frames.look import Extent, extent_of, holds
from tsbulk_frames.manifest import Manifest
from tsbulk_frames.messages import ImportJob
from tsbulk_frames.model import Series
from tsbulk_frames.progress import Board
from tsbulk_frames.report import heard, job_error
from tsbulk_frames.stop import Stop

__all__ = ["Carrier", "FailedError", "StoppedError"]

logger = logging.getLogger("tsbulk_frames")

_VERIFY_PAUSES = (0.5, 2.0)
"""What was imported may show up a little later."""
_STOP_LOOK = 0.2
_FIRST_LOOK, _LOOK_GROWTH, _LONGEST_LOOK = 0.2, 1.5, 5.0


class FailedError(Exception):
    """A partition failed for certain: nothing of it is on its way."""

    def __init__(self, error: TsBulkError) -> None:
        super().__init__(str(error))
        self.error = error


class StoppedError(Exception):
    """The run was stopped; whoever is at work leaves things as they are."""


class Carrier:
    """Takes partitions from where they stand to their end; for use by many threads.

    Parameters
    ----------
    connection : Connection
        Where to.
    manifest : Manifest
        What is to be done, and what has been.
    workers : int
        Uploads and starts of jobs under way at once.
    timeout : float or None
        Seconds to wait for a job once it was started.
    settle_timeout : float
        Seconds after its POST during which a job nobody answered for is looked for, before it is started again.
    board : Board
        Told of each partition how far it is.
    stop : Stop
        Ends all work when thrown.

    Attributes
    ----------
    hopeless : TsBulkError or None
        Why no partition can succeed: no permission, no such asset.
    """

    def __init__(
        self,
        connection: Connection,
        manifest: Manifest,
        *,
        workers: int,
        timeout: float | None,
        settle_timeout: float,
        board: Board,
        stop: Stop,
    ) -> None:
        self.hopeless: TsBulkError | None = None
        self._series = Series(manifest.header.entity, manifest.header.property_set)
        self._connection = connection
        self._manifest = manifest
        self._timeout = timeout
        self._settle_timeout = settle_timeout
        self._board = board
        self._stop = stop
        self._slots = threading.BoundedSemaphore(workers)
        self._parts = min(workers, 3)
        self._waiting: dict[str, threading.Event] = {}  # in the order of their start

    def carry(self, entry: Entry, *, wait: bool) -> Entry | None:
        """Import one partition; give it back as it is now if its job was started, and is not to be awaited.

        Raises
        ------
        FailedError
            It failed, and nothing of it is on its way.
        JobTimeout
            Its job is still running.
        TsBulkError
            How it ended, or will end, is not known.
        StoppedError
            The run was stopped.
        """
        with self._stop.over():
            try:
                started = None if entry.state == "done" else self._imported(entry, wait)
                if started is None:
                    self._verify(entry)
                    self._board.put(entry.name, "done")
                    self._clean_up(entry)
            except FailedError:
                self._board.put(entry.name, "failed")
                raise
            except JobTimeout:  # it goes on
                raise
            except TsBulkError:
                self._board.put(entry.name, "unknown")
                raise
        return started

    def unlink(self, files: Iterable[FileEntry]) -> None:
        """Delete staging files, and nothing else, whatever a manifest says."""
        for one in files:
            if one.file.path.parent == self._manifest.folder:
                one.file.path.unlink(missing_ok=True)

    def _imported(self, entry: Entry, wait: bool) -> Entry | None:
        """See to it that a partition is imported; give it back if its job was started, and is not to be awaited."""
        if entry.job_id is not None and entry.state in ("running", "unknown"):
            if entry.state == "running" and not wait:
                return entry
            try:
                self._await(entry)
                return None
            except NotFoundError:
                if entry.state == "running" or not entry.files:
                    raise
        if entry.state in ("posting", "unknown") and self._shows_up(entry):
            return None
        entry, job = self._started(entry)
        if job.final:
            self._judge(entry, job)
        elif wait:
            self._await(entry)
        else:
            return entry
        return None

    def _shows_up(self, entry: Entry) -> bool:
        """Look for a job that nobody answered for, until the series holds its data or its time is over."""
        passed = max(0.0, self._connection.clock() - (entry.posted_at or 0.0))
        deadline, pause = self._connection.monotonic() + self._settle_timeout - passed, _FIRST_LOOK
        while True:
            if holds(self._connection, self._series, [one.file for one in entry.files]):
                self._manifest.settled(entry.name)
                return True
            if self._connection.monotonic() >= deadline:
                return False
            self._sleep(pause)
            pause = min(pause * _LOOK_GROWTH, _LONGEST_LOOK)

    def _await(self, entry: Entry) -> None:
        """Wait until the job of a partition has succeeded."""

        def changed(_: str, job: ImportJob) -> None:
            self._check_stop()
            self._manifest.answered(entry.name, job)
            self._board.job(entry.name, job.status)

        turn = self._waiting[entry.name] = threading.Event()
        try:
            for _, job in await_jobs(
                self._connection,
                [entry.job_id or ""],
                timeout=self._timeout,
                on_change=changed,
                sleep=lambda seconds: self._sleep(seconds, turn),
            ):
                if isinstance(job, TsBulkError):  # how it ends is not known
                    self._check_stop()
                    self._manifest.failed(entry.name, str(job), unknown=True)
                    raise job
                self._judge(entry, job)
        finally:
            del self._waiting[entry.name]
            for following in list(self._waiting.values())[:1]:
                following.set()  # where one job has ended, the next may have, too

    def _started(self, entry: Entry) -> tuple[Entry, ImportJob]:
        """Upload the files of a partition and start its job."""
        posted = False
        try:
            with self._slots:
                self._check_stop()
                if self.hopeless is not None:
                    raise self.hopeless
                self._board.put(entry.name, "uploading")
                for number, one in enumerate(entry.files):
                    self._manifest.uploading(entry.name, number)
                    stored = upload_import_file(
                        self._connection, self._series, one.file, sent=one.uploaded, max_workers=self._parts
                    )
                    self._manifest.uploaded(entry.name, number, stored.etag)
                    self._check_stop()
                self._manifest.posting(entry.name)
                posted = True
                files = [one.file for one in entry.files]
                job = start_import_job(self._connection, self._series, files, [one.remote for one in entry.files])
                self._manifest.answered(entry.name, job)
                self._board.job(entry.name, job.status)
        except ConfigError:  # the manifest cannot be written: what it says last is true
            raise
        except TsBulkError as error:
            self._check_stop()
            if isinstance(error, AuthError | NotFoundError):
                self.hopeless = error
            maybe = posted and heard(error)
            self._manifest.failed(entry.name, str(error), unknown=maybe)
            if maybe:
                raise
            raise FailedError(error) from error
        self._board.sent(entry.bytes)
        return replace(entry, state="running", job_id=job.id), job

    def _judge(self, entry: Entry, job: ImportJob) -> None:
        """Raise why a job failed, if it did."""
        if job.status == "ERROR":
            raise FailedError(job_error(entry.name, job, [one.remote for one in entry.files]))

    def _verify(self, entry: Entry) -> None:
        """Compare what the series holds with what was sent.

        Raises
        ------
        FailedError
            It is not the same.
        TsBulkError
            It cannot be read: whether it is the same is not known.
        """
        if not self._manifest.header.verify or entry.verified:
            return
        sent = Extent(entry.rows, entry.first, entry.last)
        for pause in (*_VERIFY_PAUSES, None):
            try:
                stored = extent_of(self._connection, self._series, entry.first, entry.last)
            except TsBulkError as error:
                self._check_stop()
                self._manifest.failed(entry.name, f"its job succeeded, but was not verified: {error}", unknown=True)
                raise
            if stored == sent:
                self._manifest.verified(entry.name)
                return
            if pause is not None:
                self._sleep(pause)
        message = f"partition {entry.name}: sent were {sent}, but the series holds {stored}"
        self._manifest.failed(entry.name, message)
        mismatch = JobError(
            f"{message}, although its import job ended in SUCCESS; if the series held other records of this time "
            "before, that is why. Read the range and compare, or send it again with tsb.resume_import",
            job=entry.job_id or "",
            message=message,
            files=[one.remote for one in entry.files],
        )
        raise FailedError(mismatch)

    def _clean_up(self, entry: Entry) -> None:
        """Delete the import files, here and in the file service; what cannot be deleted there only takes room."""
        gone = True
        if not self._manifest.header.keep_files:
            for one in entry.files:
                try:
                    delete_import_file(self._connection, self._series, one.remote)
                except TsBulkError as error:
                    self._check_stop()
                    gone = gone and not error.transient
                    logger.warning(
                        "import file %s of %s is left in the file service: %s", one.remote, self._series, error
                    )
            self.unlink(entry.files)
        if gone:  # else a resume tries again
            self._manifest.cleaned(entry.name)

    def _sleep(self, seconds: float, turn: threading.Event | None = None) -> bool:
        """Pause, but not beyond a stop, nor when it is one's turn; tells whether it is."""
        if self._connection.sleep is not time.sleep:
            self._connection.sleep(seconds)
        elif turn is None:
            self._stop.sleep(seconds)
        else:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0 and not turn.wait(min(left, _STOP_LOOK)):
                self._check_stop()
        self._check_stop()
        if turn is None or not turn.is_set():
            return False
        turn.clear()
        return True

    def _check_stop(self) -> None:
        """Leave, if the run was stopped."""
        if self._stop.asked:
            raise StoppedError
