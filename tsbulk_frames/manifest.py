"""The manifest: durable state of one import, in a file that outlives its process; floor 6.

The run notes each fact of a partition here, before and after it happens: what a killed import was about is read from
this file alone. Nothing secret is kept: no token, no credentials.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import numpy as np
import pandas as pd

from tsbulk_frames.errors import ConfigError
from tsbulk_frames.ledger import (
    NO_JOB,
    STATES,
    Entry,
    FileEntry,
    Header,
    State,
    Value,
    add_planned,
    bound,
    count_uploads,
    fill,
    forget_unsent,
    mark_upload,
    put_files,
    read_entries,
    read_header,
    update,
)
from tsbulk_frames.messages import ImportJob, JobStatus
from tsbulk_frames.statefile import (
    StateFile,
    absolute_path,
    explained,
    private_folder,
    sound,
    write_new,
)
from tsbulk_frames.statefolder import default_place, folder_of

__all__ = ["Entry", "FileEntry", "Header", "Manifest", "State"]

_FROM: dict[str, frozenset[str]] = {
    "staged": STATES - {"running"},
    "uploading": STATES - {"planned", "running", "done"},
    "uploaded": STATES - {"planned", "running", "done"},
    "posting": frozenset({"uploaded", "posting", "failed", "unknown"}),
    "answered": frozenset({"posting", "running", "unknown"}),
    "failed": STATES,
    "unknown": STATES,
    "settled": frozenset({"posting", "running", "unknown"}),
    "verified": frozenset({"done"}),
    "cleaned": STATES,
}
"""In which states of a partition a fact can happen to it."""


class Manifest:
    """State of one import, in a file held by one process (and one `Manifest` in it) at a time, for all its threads.

    ::

        planned ─▶ staged ─▶ uploaded ─▶ posting ─▶ running ─▶ done
                     ▲                      │          │        ▲
                     │                      ├──────────┼──▶ unknown   its end is not known: look, then settle
                     │                      │          │        │     or post again
                     └───── once more ──────┴──────────┴─▶ failed

    ``posting`` in the manifest of a process that died means the same as ``unknown``: look before posting again. Those
    two keep their state while files go up again; a failed partition begins anew. Any partition that is not running can
    be staged again, which forgets its job. A fact that cannot happen in a state is a `RuntimeError`; one that cannot be
    written (disk full, closed) is a `ConfigError`. Nothing is changed then, unless only the wait for the disk failed.

    Each method is one transaction: a process killed at any instant leaves the facts noted until then, each whole. After
    such an end a file ``<path>-wal`` lies beside the manifest and belongs to it.

    Attributes
    ----------
    path : pathlib.Path
        The file, absolute; rights 0600.
    folder : pathlib.Path
        ``<path>.files``, where import files wait on disk; rights 0700.
    header : Header
        What the import is.
    complete : bool
        Whether the source was read to its end.

    Examples
    --------
    >>> import tempfile, time
    >>> from tsbulk_frames.manifest import Header, Manifest
    >>> from tsbulk_frames.model import TwinType
    >>> header = Header("pump-1", "flow", TwinType.PERFORMANCE, "left", "https://host", "{}", "raise", False, True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Manifest.create(f"{folder}/night.sqlite", header, clock=time.time) as manifest:
    ...         manifest.plan([("2026-03-01", 86400, 9_000_000, "2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z")])
    ...     with Manifest.open(f"{folder}/night.sqlite", clock=time.time) as manifest:
    ...         [(entry.name, entry.state) for entry in manifest.entries()]
    [('2026-03-01', 'planned')]
    """

    def __init__(self, file: StateFile, clock: Callable[[], float], event: str) -> None:
        """Not for callers: see `create` and `open`."""
        self._file, self._clock = file, clock
        self.path = file.path
        self.folder = folder_of(file.path)
        with file.transaction() as db, sound(file.path):
            self.header, self.complete = read_header(db)
        self.entries()  # what was edited to nonsense shows now, not in the middle of the import
        with explained(self.path):
            private_folder(self.folder, new=event == "created")
            self.path.chmod(0o600)
        with file.transaction() as db:
            self._log(db, "", event, f"process {os.getpid()}")

    @classmethod
    def create(cls, path: str | os.PathLike[str] | None, header: Header, *, clock: Callable[[], float]) -> Manifest:
        """Begin the manifest of a new import.

        Parameters
        ----------
        path : str or path, optional
            A file that does not exist, in a folder that does. Default: a file of its own in the user's state folder,
            where imports that ended well more than 30 days ago are deleted now.
        header : Header
            What the import is.
        clock : callable
            Gives the seconds since the epoch.

        Raises
        ------
        ConfigError
            The file exists (the message says what it holds), or cannot be made.
        """
        place = default_place(header.entity, clock()) if path is None else absolute_path(path)
        if os.path.lexists(place):
            _refuse_existing(place)
        write_new(place, lambda db: fill(db, header))
        file = StateFile(place)
        try:
            return cls(file, clock, "created")
        except BaseException:
            file.remove()
            raise

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, clock: Callable[[], float]) -> Manifest:
        """Open the manifest of an import that was begun.

        Parameters
        ----------
        path : str or path
            Of the file.
        clock : callable
            Gives the seconds since the epoch.

        Raises
        ------
        ConfigError
            No such file, no manifest, a damaged one, one of another version, or in use.
        """
        file = StateFile(absolute_path(path))
        try:
            return cls(file, clock, "opened")
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        """Let go of the file; closing twice is no error."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Manifest({str(self.path)!r})"

    def plan(self, entries: Iterable[tuple[str, int, int, str, str]]) -> None:
        """Note all partitions at once: name, rows, estimated bytes, first, last. Those begun stay as they are."""
        rows = list(entries)
        with self._file.transaction() as db:
            add_planned(db, rows)
            self._log(db, "", "planned", f"{len(rows)} partitions")

    def staged(self, name: str, files: Sequence[FileEntry]) -> Entry:
        """Note the import files of a partition, at least one; what is known of an earlier job of it is forgotten."""
        rows, size = sum(int(one.file.rows) for one in files), sum(int(one.file.bytes) for one in files)
        first, last = files[0].file.first, files[-1].file.last
        with self._file.transaction() as db:
            add_planned(db, [(name, rows, size, first, last)])
            columns = {"state": "staged", "rows": rows, "bytes": size, "first": first, "last": last, **NO_JOB}
            self._change(db, name, "staged", f"{len(files)} files, {rows} rows, {size} bytes", columns)
            put_files(db, name, files, self.folder)
            count_uploads(db, name)
        return Entry(
            name, "staged", rows, size, first, last, tuple(files), None, "PENDING", "", None, None, None, False
        )

    def begin_again(self, source: str) -> None:
        """Note that the data is given anew: what was not sent of the former is forgotten."""
        with self._file.transaction() as db:
            forget_unsent(db, source)
            self._log(db, "", "begin_again", "")
        self.header, self.complete = replace(self.header, source=source), False

    def discard(self) -> None:
        """Delete the file and its folder: nothing was sent that they would have to remember."""
        self._file.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def uploading(self, name: str, number: int) -> None:
        """Note that a file of a partition, counted from 0, goes up now."""
        self._uploads("uploading", name, number, None)

    def uploaded(self, name: str, number: int, etag: int | None) -> None:
        """Note that a file of a partition, counted from 0, is in the file service."""
        self._uploads("uploaded", name, number, etag)

    def _uploads(self, event: str, name: str, number: int, etag: int | None) -> None:
        """Note how far one file is, and with it its partition."""
        with self._file.transaction() as db:
            state = self._change(db, name, event, f"file {number}" + ("" if etag is None else f", ETag {etag}"), {})
            if state == "failed":
                update(db, name, {"state": "staged", **NO_JOB})
            if not mark_upload(db, name, number, event == "uploaded", etag):
                raise RuntimeError(f"partition {name!r} has no file {number}; files count from 0, as in Entry.files")
            count_uploads(db, name)

    def posting(self, name: str) -> None:
        """Note that the job of a partition is posted now. Of all facts this must not be lost, not even with power."""
        with self._file.transaction(durable=True) as db:
            self._change(db, name, "posting", "", {"state": "posting", **NO_JOB, "posted_at": float(self._clock())})

    def answered(self, name: str, job: ImportJob) -> None:
        """Note what the service says of the job of a partition; late words on a job that has ended change nothing."""
        state = {JobStatus.SUCCESS: "done", JobStatus.ERROR: "failed"}.get(job.status, "running")
        with self._file.transaction(durable=job.final) as db:  # its files are deleted next
            known = db.execute("SELECT state, job_id FROM partitions WHERE name = ?", [bound(name)]).fetchone()
            before, job_id = known or (None, None)
            if before in ("done", "failed") and job_id is not None:
                return
            self._change(
                db,
                name,
                "answered",
                f"job {job.id}: {job.status} {job.message or ''}",
                {
                    "state": state,
                    "job_id": bound(job.id) if job_id is None else job_id,
                    "status": str(job.status),
                    "message": job.message or "",
                    "start_time": job.start_time,
                    "last_modified": job.last_modified,
                },
            )

    def failed(self, name: str, message: str, *, unknown: bool = False) -> None:
        """Note why a partition has no job, or that it is not known whether it has one or how that ended."""
        word = "unknown" if unknown else "failed"
        with self._file.transaction() as db:
            status = "UNKNOWN" if unknown else "FAILED"
            self._change(db, name, word, message, {"state": word, "status": status, "message": message})

    def settled(self, name: str) -> None:
        """Note that a partition whose end was not known is in the series."""
        found = {"state": "done", "status": "SUCCESS", "message": "found in the series"}
        with self._file.transaction(durable=True) as db:
            self._change(db, name, "settled", "", found)

    def verified(self, name: str) -> None:
        """Note that what is stored of a partition is what was sent."""
        with self._file.transaction() as db:
            self._change(db, name, "verified", "", {"verified": 1})

    def cleaned(self, name: str) -> None:
        """Note that the staging files of a partition are gone."""
        with self._file.transaction() as db:
            self._change(db, name, "cleaned", "", {"cleaned": 1})

    def read_to_end(self) -> None:
        """Note that the source was read wholly: no partition comes any more."""
        with self._file.transaction(durable=True) as db:
            db.execute("UPDATE import SET complete = 1")
            self._log(db, "", "read_to_end", "")
        self.complete = True

    def entries(self) -> list[Entry]:
        """Give all partitions in time order.

        Raises
        ------
        ConfigError
            The file was edited: a value cannot be what it says.
        """
        with self._file.transaction() as db, sound(self.path):
            return read_entries(db, self.folder)

    def events(self) -> pd.DataFrame:
        """Give the log, for people.

        Returns
        -------
        pandas.DataFrame, shape (n_facts, 4)
            In the order noted: ``time`` (``datetime64[ns, UTC]``), ``partition`` (empty: of the whole import),
            ``event``, ``detail``.
        """
        with self._file.transaction() as db:
            rows = db.execute("SELECT time, partition, event, detail FROM events ORDER BY number").fetchall()
        frame = pd.DataFrame([row[1:] for row in rows], columns=["partition", "event", "detail"], dtype="str")
        with sound(self.path):
            times = np.array([row[0] for row in rows], "int64").view("datetime64[ns]")
        frame.insert(0, "time", pd.DatetimeIndex(times, tz="UTC"))
        return frame

    def _change(self, db: sqlite3.Connection, name: str, event: str, detail: str, columns: Mapping[str, Value]) -> str:
        """Note one fact of a partition, if it can happen in the state it is in; give that state."""
        found = db.execute("SELECT state FROM partitions WHERE name = ?", [bound(name)]).fetchone()
        if found is None:
            raise RuntimeError(f"partition {name!r} is not in {self.path}; plan or stage it first")
        if found[0] not in _FROM[event]:
            raise RuntimeError(
                f"partition {name!r} is {found[0]}: {event!r} cannot happen to it; it can in {sorted(_FROM[event])}"
            )
        update(db, name, columns)
        self._log(db, name, event, detail)
        return str(found[0])

    def _log(self, db: sqlite3.Connection, name: str, event: str, detail: str) -> None:
        """Write a line for people: what cannot be shown is spelled out."""
        texts = (text.encode("utf-8", "backslashreplace").decode() for text in (name, event, detail[:1000]))
        db.execute(
            "INSERT INTO events (time, partition, event, detail) VALUES (?, ?, ?, ?)",
            [round(self._clock() * 1e6) * 1000, *texts],
        )


def _refuse_existing(path: Path) -> NoReturn:
    """Say what a file holds that is in the way of a new manifest."""
    try:
        with closing(StateFile(path)) as file, file.transaction() as db:
            header, _ = read_header(db)
            done, count = db.execute("SELECT total(state = 'done'), count(*) FROM partitions").fetchone()
    except ValueError as error:  # a ConfigError as well
        raise ConfigError(f"{path} is there already, and is never overwritten; name another file ({error})") from error
    raise ConfigError(
        f"manifest {path} is there already: an import into {header.entity}/{header.property_set}, {done:.0f} of "
        f"{count} partitions done; go on with tsb.resume_import({str(path)!r}), or name another file"
    )
