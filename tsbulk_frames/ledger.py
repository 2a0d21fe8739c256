"""What a manifest holds, and how it is written down: the header, partitions, import files, as rows; floor 5.5.

Texts come back as they were given: one that is no Unicode (a path, a message) is kept as its bytes.
"""

# ruff: noqa: S608 -- what is put into statements here are names of columns, constants of this file
from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args

from tsbulk_frames.failures import redacted_url
from tsbulk_frames.model import Closed, TwinType
from tsbulk_frames.staging import ImportFile

__all__ = [
    "NO_JOB",
    "STATES",
    "Entry",
    "FileEntry",
    "Header",
    "State",
    "Value",
    "add_planned",
    "bound",
    "count_uploads",
    "fill",
    "forget_unsent",
    "mark_upload",
    "put_files",
    "read_entries",
    "read_header",
    "update",
]

State: TypeAlias = Literal["planned", "staged", "uploaded", "posting", "running", "done", "failed", "unknown"]
STATES: frozenset[str] = frozenset(get_args(State))
Value: TypeAlias = str | int | float | bytes | None

NO_JOB: Mapping[str, Value] = {
    "job_id": None,
    "status": "PENDING",
    "message": "",
    "start_time": None,
    "last_modified": None,
    "posted_at": None,
    "verified": 0,
    "cleaned": 0,
}
"""Columns of a partition that has no job (yet)."""
_HEADER = "entity, property_set, twin_type, closed, gateway, source, empty_rows, keep_files, verify, complete"
_ENTRY = (
    "name, state, rows, bytes, first, last, job_id, status, message, start_time, last_modified, posted_at, "
    "verified, cleaned"
)
_FILE = "partition, number, path, rows, bytes, first, last, digest, remote, etag, uploaded"
_SCHEMA = (
    f"CREATE TABLE import ({_HEADER})",
    f"CREATE TABLE partitions ({_ENTRY}, PRIMARY KEY (name))",
    f"CREATE TABLE files ({_FILE}, PRIMARY KEY (partition, number))",
    "CREATE TABLE events (number INTEGER PRIMARY KEY, time, partition, event, detail)",
)


@dataclass(frozen=True, slots=True)
class Header:
    """What an import is.

    Attributes
    ----------
    entity, property_set : str
        The series it goes to.
    twin_type : TwinType
        Kind of the asset.
    closed : {"left", "right"}
        Which partition owns a record at exactly its border.
    gateway : str
        Address of the service; a user name or password in it is not kept.
    source : str
        JSON text that says where the data comes from.
    empty_rows : str
        What to do with rows that hold no value at all.
    keep_files, verify : bool
        Whether import files stay in the file service, and whether what is stored is looked at in the end.
    """

    entity: str
    property_set: str
    twin_type: TwinType
    closed: Closed
    gateway: str
    source: str
    empty_rows: str
    keep_files: bool
    verify: bool


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An import file: itself, its path and ETag in the file service, and whether it is there."""

    file: ImportFile
    remote: str
    etag: int | None
    uploaded: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A partition and its job.

    Attributes
    ----------
    name : str
        The UTC hour (``2026-03-01T05``) or day (``2026-03-01``).
    state : State
        How far it is; see `Manifest`.
    rows, bytes : int
        What it holds; bytes are estimated until it is staged.
    first, last : str
        ``_time`` of the first and last record.
    files : tuple of FileEntry
        Its import files in time order; none until it is staged.
    job_id, status, message, start_time, last_modified
        As in `PartitionReport`.
    posted_at : float or None
        Seconds since the epoch, just before the job was posted.
    verified, cleaned : bool
        Whether what is stored was found to be what was sent, and whether its staging files are gone.
    """

    name: str
    state: State
    rows: int
    bytes: int
    first: str
    last: str
    files: tuple[FileEntry, ...]
    job_id: str | None
    status: str
    message: str
    start_time: str | None
    last_modified: str | None
    posted_at: float | None
    verified: bool
    cleaned: bool = False


def fill(db: sqlite3.Connection, header: Header) -> None:
    """Write the tables of a new manifest."""
    for statement in _SCHEMA:
        db.execute(statement)
    texts = (header.entity, header.property_set, header.twin_type, header.closed, redacted_url(header.gateway))
    flags = (int(header.keep_files), int(header.verify), 0)
    values = (*map(bound, texts), bound(header.source), bound(header.empty_rows), *flags)
    db.execute(f"INSERT INTO import ({_HEADER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def read_header(db: sqlite3.Connection) -> tuple[Header, bool]:
    """Read what the import is, and whether its source was read to its end.

    Raises
    ------
    ValueError
        Something that was never written.
    """
    rows = db.execute(f"SELECT {_HEADER} FROM import").fetchall()
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} headers")
    *texts, keep_files, verify, complete = rows[0]
    entity, property_set, twin_type, closed, gateway, source, empty_rows = map(_text, texts)
    side = _one_of(closed, get_args(Closed))
    header = Header(
        entity, property_set, TwinType(twin_type), side, gateway, source, empty_rows, _flag(keep_files), _flag(verify)
    )
    return header, _flag(complete)


def add_planned(db: sqlite3.Connection, entries: Sequence[tuple[str, int, int, str, str]]) -> None:
    """Add partitions (name, rows, estimated bytes, first, last); those begun stay as they are."""
    db.executemany(
        f"INSERT INTO partitions ({_ENTRY}) "
        "VALUES (?, 'planned', ?, ?, ?, ?, NULL, 'PENDING', '', NULL, NULL, NULL, 0, 0) "
        "ON CONFLICT (name) DO UPDATE SET rows = excluded.rows, bytes = excluded.bytes, "
        "first = excluded.first, last = excluded.last WHERE state = 'planned'",
        [(bound(name), int(rows), int(size), bound(first), bound(last)) for name, rows, size, first, last in entries],
    )


def update(db: sqlite3.Connection, name: str, columns: Mapping[str, Value]) -> None:
    """Change columns of a partition."""
    if columns:
        places = ", ".join(f"{column} = ?" for column in columns)
        values = [bound(value) if isinstance(value, str) else value for value in (*columns.values(), name)]
        db.execute(f"UPDATE partitions SET {places} WHERE name = ?", values)


def put_files(db: sqlite3.Connection, name: str, files: Sequence[FileEntry], folder: Path) -> None:
    """Replace the files of a partition; paths within the folder are kept relative to it, so that both can move."""
    db.execute("DELETE FROM files WHERE partition = ?", [bound(name)])
    for number, one in enumerate(files):
        file, path = one.file, one.file.path
        place = path.relative_to(folder) if path.is_relative_to(folder) else path
        sizes = (int(file.rows), int(file.bytes))
        texts = [bound(text) for text in (file.first, file.last, file.digest, one.remote)]
        values = (bound(name), number, bound(str(place)), *sizes, *texts, _etag(one.etag), int(one.uploaded))
        db.execute(f"INSERT INTO files ({_FILE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def forget_unsent(db: sqlite3.Connection, source: str) -> None:
    """Take another source, and forget the partitions of the former one that cannot have been imported."""
    db.execute("UPDATE import SET source = ?, complete = 0", [bound(source)])
    db.execute("DELETE FROM partitions WHERE state IN ('planned', 'staged', 'uploaded', 'failed')")
    db.execute("DELETE FROM files WHERE partition NOT IN (SELECT name FROM partitions)")


def mark_upload(db: sqlite3.Connection, name: str, number: int, uploaded: bool, etag: int | None) -> bool:
    """Note whether a file is in the file service; False: there is no such file."""
    found = db.execute(
        "UPDATE files SET uploaded = ?, etag = ? WHERE partition = ? AND number = ?",
        [int(uploaded), _etag(etag), bound(name), number],
    )
    return found.rowcount == 1


def count_uploads(db: sqlite3.Connection, name: str) -> None:
    """Bring the state of a partition, as far as uploads decide it, in line with its files."""
    db.execute(
        "UPDATE partitions SET state = CASE WHEN EXISTS (SELECT 1 FROM files WHERE partition = name AND NOT uploaded) "
        "THEN 'staged' ELSE 'uploaded' END WHERE name = ? AND state IN ('staged', 'uploaded')",
        [bound(name)],
    )


def read_entries(db: sqlite3.Connection, folder: Path) -> list[Entry]:
    """Read all partitions and their files, in time order.

    Raises
    ------
    ValueError
        Something that was never written.
    """
    files: dict[object, list[FileEntry]] = {}
    for row in db.execute(f"SELECT {_FILE} FROM files ORDER BY partition, number"):
        files.setdefault(row[0], []).append(_file_entry(row, folder))
    rows = db.execute(f"SELECT {_ENTRY} FROM partitions ORDER BY name").fetchall()
    return [_entry(row, tuple(files.get(row[0], ()))) for row in rows]


def _file_entry(row: Sequence[object], folder: Path) -> FileEntry:
    """Check one row of files."""
    partition, _, path, rows, size, first, last, digest, remote, etag, uploaded = row
    file = ImportFile(
        folder / _text(path), _text(partition), _count(rows), _count(size), _text(first), _text(last), _text(digest)
    )
    return FileEntry(file, _text(remote), None if etag is None else int(_text(etag)), _flag(uploaded))


def _entry(row: Sequence[object], files: tuple[FileEntry, ...]) -> Entry:
    """Check one row of partitions."""
    name, state, rows, size, first, last, job_id, status, message, start_time, modified, posted_at, verified, gone = row
    if posted_at is not None and not isinstance(posted_at, float):
        raise ValueError(f"posted_at is {posted_at!r}")
    return Entry(
        name=_text(name),
        state=_one_of(_text(state), get_args(State)),
        rows=_count(rows),
        bytes=_count(size),
        first=_text(first),
        last=_text(last),
        files=files,
        job_id=_maybe(job_id),
        status=_text(status),
        message=_text(message),
        start_time=_maybe(start_time),
        last_modified=_maybe(modified),
        posted_at=posted_at,
        verified=_flag(verified),
        cleaned=_flag(gone),
    )


def bound(text: str) -> str | bytes:
    """Give a text as SQLite can hold it: lone surrogates are no Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return str(text)


def _text(value: object) -> str:
    """Read what `bound` gave."""
    text = value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise ValueError(f"{value!r} is no text")
    return text


def _maybe(value: object) -> str | None:
    """Read a text that may be missing."""
    return None if value is None else _text(value)


def _count(value: object) -> int:
    """Read a number from 0 on."""
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _flag(value: object) -> bool:
    """Read yes or no."""
    if value not in (0, 1):
        raise ValueError(f"{value!r} is neither 0 nor 1")
    return bool(value)


_Word = TypeVar("_Word", bound=str)


def _one_of(value: str, known: Sequence[_Word]) -> _Word:
    """Read one of a few words."""
    for word in known:
        if word == value:
            return word
    raise ValueError(f"{value!r} is none of {', '.join(known)}")


def _etag(etag: int | None) -> str | None:
    """Keep a number of any size."""
    return None if etag is None else str(etag)
