"""Files at rest: their bytes under random names, everything else about them in one SQLite table.

A client's names never become names on disk, so none can lead out of the folder, clash in case, be too long, or be a
file and a folder at once. A file changes in the instant its row changes: a crash leaves the old one or the new one.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tsbulk_frames.sandbox.refusals import Refusal

__all__ = ["FileInfo", "FileStore", "StoredFile", "split_path"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    entity TEXT, folder TEXT, name TEXT, object TEXT, size INTEGER, type TEXT, description TEXT, timestamp TEXT,
    created REAL, updated REAL, etag INTEGER, completed TEXT, PRIMARY KEY (entity, folder, name));
CREATE TABLE IF NOT EXISTS uploads (
    entity TEXT, path TEXT, id TEXT, started REAL, type TEXT, description TEXT, timestamp TEXT,
    PRIMARY KEY (entity, path));
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT, number INTEGER, object TEXT, size INTEGER, PRIMARY KEY (upload, number));
"""
_COLUMNS = "entity, folder, name, object, size, type, description, timestamp, created, updated, etag, completed"


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a client says about a file in headers; None where it says nothing."""

    type: str | None = None
    description: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One row of the table: a file as it is now."""

    entity: str
    folder: str
    name: str
    object: str
    size: int
    type: str
    description: str
    timestamp: str | None
    created: float
    updated: float
    etag: int
    completed: str | None


def split_path(path: str) -> tuple[str, str]:
    """Folder (empty, or ending in ``/``) and name of a file path."""
    head, slash, name = path.rpartition("/")
    return head + slash, name


def check_match(current: StoredFile | None, if_match: int | None) -> None:
    """Hold the rule of ``If-Match``: required and current where the file exists, absent where it does not."""
    if current is None:
        if if_match is not None:
            raise Refusal(412, f"If-Match: {if_match} was sent, but there is no such file; write it without If-Match")
    elif if_match is None:
        raise Refusal(409, "the file exists already; send its etag as If-Match to replace it")
    elif if_match != current.etag:
        raise Refusal(409, f"If-Match: {if_match} is not the file's etag, which is {current.etag}")


class FileStore:
    """The committed files of one sandbox.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the bytes and the table; made when absent, and held exclusively until `close`.
    clock : callable
        Epoch seconds, for ``created`` and ``updated``.

    Raises
    ------
    RuntimeError
        Another sandbox works on this folder.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self._objects = root / "objects"
        self._objects.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(root / "files.sqlite", timeout=0, check_same_thread=False)
        try:
            self.db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = NORMAL")
            self.db.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            self.db.close()
            raise RuntimeError(f"{root} is in use by another sandbox ({error}); close that one first") from error
        self._sweep()

    def _sweep(self) -> None:
        """Bytes that no row knows are left over from a crash."""
        known = {row[0] for row in self.db.execute("SELECT object FROM files UNION SELECT object FROM parts")}
        for path in self._objects.iterdir():
            if path.name not in known:
                path.unlink()

    def close(self) -> None:
        """Let go of the folder."""
        with self.lock:
            self.db.close()

    def new_object(self) -> Path:
        """Path for bytes to come; they belong to nobody until they are committed."""
        return self._objects / uuid.uuid4().hex

    def object_path(self, name: str) -> Path:
        """Where the bytes of an object lie."""
        return self._objects / name

    def discard(self, *objects: str) -> None:
        """Remove bytes that no row points to any more."""
        for name in objects:
            (self._objects / name).unlink(missing_ok=True)

    def lookup(self, entity: str, file_path: str) -> StoredFile | None:
        """Row of a file; the caller holds `lock`."""
        row = self.db.execute(
            f"SELECT {_COLUMNS} FROM files WHERE entity = ? AND folder = ? AND name = ?",  # noqa: S608 (constant)
            (entity, *split_path(file_path)),
        ).fetchone()
        return None if row is None else StoredFile(*row)

    def find(self, entity: str, file_path: str) -> StoredFile | None:
        """Return the file as it is now, None when there is none."""
        with self.lock:
            return self.lookup(entity, file_path)

    def open(self, entity: str, file_path: str) -> tuple[StoredFile, BinaryIO] | None:
        """Open the committed bytes for reading, None when there is no such file.

        Bytes that were opened stay what they are. A file that is replaced between the look at its row and the opening
        has a new row by then, so it is looked at again.
        """
        file = self.find(entity, file_path)
        while file is not None:
            try:
                return file, (self._objects / file.object).open("rb")
            except FileNotFoundError:
                lost = file.object
                file = self.find(entity, file_path)
                if file is not None and file.object == lost:
                    raise
        return None

    def size(self, entity: str, file_path: str) -> int | None:
        """Size in bytes, None when there is no such file."""
        file = self.find(entity, file_path)
        return None if file is None else file.size

    def put(
        self, entity: str, file_path: str, received: Path, info: FileInfo, *, if_match: int | None
    ) -> tuple[StoredFile, bool]:
        """Commit received bytes as the file; also tell whether it is new.

        Raises
        ------
        Refusal
            409, 412: see `check_match`. The received bytes are left to the caller.
        """
        with self.lock:
            old = self.lookup(entity, file_path)
            check_match(old, if_match)
            with self.db:
                file = self.commit(entity, file_path, received, info, old=old)
        if old is not None:
            self.discard(old.object)
        return file, old is None

    def commit(
        self,
        entity: str,
        file_path: str,
        received: Path,
        info: FileInfo,
        *,
        old: StoredFile | None,
        completed: str | None = None,
    ) -> StoredFile:
        """Write the row of a file; the caller holds `lock` and a transaction, and discards the old bytes after it."""
        now = self.clock()
        file = StoredFile(
            entity,
            *split_path(file_path),
            object=received.name,
            size=received.stat().st_size,
            type=info.type or "application/octet-stream",
            description=info.description or "",
            timestamp=info.timestamp,
            created=now if old is None else old.created,
            updated=now,
            etag=0 if old is None else old.etag + 1,
            completed=completed,
        )
        values = [getattr(file, column) for column in _COLUMNS.split(", ")]
        self.db.execute(f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", values)  # noqa: S608
        return file

    def delete(self, entity: str, file_path: str, *, if_match: int | None) -> bool:
        """Remove a file; False when there is none.

        Raises
        ------
        Refusal
            409: an etag was given and it is not the file's.
        """
        with self.lock:
            file = self.lookup(entity, file_path)
            if file is None:
                return False
            if if_match is not None:
                check_match(file, if_match)
            with self.db:
                self.db.execute(
                    "DELETE FROM files WHERE entity = ? AND folder = ? AND name = ?", (entity, file.folder, file.name)
                )
        self.discard(file.object)
        return True

    def select(
        self, entity: str, where: str, values: Sequence[str | float], order: str, *, limit: int, offset: int
    ) -> list[StoredFile]:
        """Files of an entity; `where` and `order` are SQL made by `listing`, never a client's text."""
        with self.lock:
            rows = self.db.execute(
                f"SELECT {_COLUMNS} FROM files WHERE entity = ? AND ({where}) ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
                (entity, *values, limit, offset),
            ).fetchall()
        return [StoredFile(*row) for row in rows]

    def count(self, entity: str, where: str, values: Sequence[str | float]) -> int:
        """How many files of an entity `where` selects."""
        with self.lock:
            query = f"SELECT count(*) FROM files WHERE entity = ? AND ({where})"  # noqa: S608
            return int(self.db.execute(query, (entity, *values)).fetchone()[0])
