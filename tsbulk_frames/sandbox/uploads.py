"""Multipart uploads: start, parts in any order and several at once, then ``complete`` with the last bytes."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tsbulk_frames.sandbox.files import FileInfo, FileStore, StoredFile, check_match
from tsbulk_frames.sandbox.refusals import Refusal

if TYPE_CHECKING:
    from tsbulk_frames.sandbox.model import Rules

__all__ = ["Uploads"]

_COPY_BYTES = 1 << 20


class Uploads:
    """The unfinished uploads of one sandbox, kept beside its files, so a restart does not end them.

    Parameters
    ----------
    files : FileStore
        Where finished uploads go.
    rules : Rules
        ``min_part_bytes``, ``max_parts``, ``upload_seconds``.
    """

    def __init__(self, files: FileStore, rules: Rules) -> None:
        self._files = files
        self._rules = rules

    def start(self, entity: str, file_path: str, info: FileInfo, *, if_match: int | None) -> bool:
        """Begin an upload; parts of an earlier one that was not finished are dropped. Tell whether the file is new.

        Raises
        ------
        Refusal
            409, 412: the rule of ``If-Match``.
        """
        files = self._files
        now = files.clock()
        with files.lock:
            current = files.lookup(entity, file_path)
            check_match(current, if_match)
            with files.db:
                dropped = self._forget("started < ?", now - self._rules.upload_seconds)
                dropped += self._forget("entity = ? AND path = ?", entity, file_path)
                files.db.execute(
                    "INSERT INTO uploads VALUES (?,?,?,?,?,?,?)",
                    (entity, file_path, uuid.uuid4().hex, now, info.type, info.description, info.timestamp),
                )
        files.discard(*dropped)
        return current is None

    def add_part(self, entity: str, file_path: str, number: int, received: Path, *, if_match: int | None) -> None:
        """Keep one part; the same number again replaces it. The bytes are committed, or left to the caller on error.

        Raises
        ------
        Refusal
            400: no upload was started, the part is too small or its number out of range; 409, 412.
        """
        self.check_part(entity, file_path, number, if_match=if_match)
        size = received.stat().st_size
        if size < self._rules.min_part_bytes:
            raise Refusal(
                400,
                f"part {number} has {size} bytes, at least {self._rules.min_part_bytes} are needed; "
                "only the last bytes, sent with upload=complete, may be fewer",
            )
        files = self._files
        with files.lock:
            upload = self._running(entity, file_path)
            with files.db:
                replaced = files.db.execute(
                    "SELECT object FROM parts WHERE upload = ? AND number = ?", (upload, number)
                ).fetchall()
                files.db.execute("INSERT OR REPLACE INTO parts VALUES (?,?,?,?)", (upload, number, received.name, size))
        files.discard(*(row[0] for row in replaced))

    def check_part(self, entity: str, file_path: str, number: int, *, if_match: int | None) -> None:
        """Refuse a part before its bytes are read.

        Raises
        ------
        Refusal
            As `add_part`, but for the size.
        """
        if not 1 <= number <= self._rules.max_parts:
            raise Refusal(400, f"part={number} is out of range; parts are numbered 1 to {self._rules.max_parts}")
        with self._files.lock:
            check_match(self._files.lookup(entity, file_path), if_match)
            self._running(entity, file_path)

    def parts(self, entity: str, file_path: str) -> list[tuple[int, int]]:
        """List number and size of the parts present, in order.

        Raises
        ------
        Refusal
            404: no upload is running.
        """
        with self._files.lock:
            upload = self._running(entity, file_path, status=404)
            rows = self._files.db.execute(
                "SELECT number, size FROM parts WHERE upload = ? ORDER BY number", (upload,)
            ).fetchall()
        return [(number, size) for number, size in rows]

    def complete(
        self, entity: str, file_path: str, last: Path, digest: str, info: FileInfo, *, if_match: int | None
    ) -> tuple[StoredFile, bool]:
        """Join the parts and the last bytes to the file; also tell whether it is new.

        Repeating it with the same last bytes answers as the first time did and changes nothing.

        Raises
        ------
        Refusal
            400: no upload was started, or a part is missing; 409, 412: the rule of ``If-Match``.
        """
        files = self._files
        with files.lock:
            if self._upload(entity, file_path) is None:
                return self._repeated(entity, file_path, digest)
            upload = self._running(entity, file_path)
            parts = files.db.execute(
                "SELECT number, object FROM parts WHERE upload = ? ORDER BY number", (upload,)
            ).fetchall()
            begun = files.db.execute(
                "SELECT type, description, timestamp FROM uploads WHERE id = ?", (upload,)
            ).fetchone()
        missing = sorted(set(range(1, len(parts) + 1)) - {number for number, _ in parts})
        if missing:
            raise Refusal(400, f"part {missing[0]} is missing; upload it, then complete again")
        whole = files.new_object()
        unused = [whole.name]
        try:
            present = _join(whole, [*(files.object_path(name) for _, name in parts), last])
            with files.lock:
                if self._upload(entity, file_path) != upload:  # the same request, sent twice, was faster
                    return self._repeated(entity, file_path, digest)
                if not present:
                    raise Refusal(409, "a part was replaced while the upload was completed; complete it again")
                old = files.lookup(entity, file_path)
                check_match(old, if_match)
                merged = FileInfo(*(new or first for new, first in zip(_texts(info), begun, strict=True)))
                with files.db:
                    mark = f"{201 if old is None else 204}:{digest}"
                    file = files.commit(entity, file_path, whole, merged, old=old, completed=mark)
                    dropped = self._forget("id = ?", upload)
                unused = [*dropped, *([] if old is None else [old.object])]
        finally:
            files.discard(*unused)
        return file, old is None

    def abort(self, entity: str, file_path: str) -> None:
        """Drop what was sent; harmless when nothing was."""
        with self._files.lock, self._files.db:
            dropped = self._forget("entity = ? AND path = ?", entity, file_path)
        self._files.discard(*dropped)

    def _repeated(self, entity: str, file_path: str, digest: str) -> tuple[StoredFile, bool]:
        """Answer of a ``complete`` that was done before, or the refusal of one that never had an upload."""
        file = self._files.lookup(entity, file_path)
        status, _, done = (file.completed or "").partition(":") if file is not None else ("", "", "")
        if file is None or done != digest:
            raise Refusal(400, "no upload is running for this file; begin with upload=start")
        return file, status == "201"

    def _upload(self, entity: str, file_path: str) -> str | None:
        """Id of the running upload; the caller holds the lock."""
        row = self._files.db.execute(
            "SELECT id FROM uploads WHERE entity = ? AND path = ? AND started >= ?",
            (entity, file_path, self._files.clock() - self._rules.upload_seconds),
        ).fetchone()
        return None if row is None else str(row[0])

    def _running(self, entity: str, file_path: str, *, status: int = 400) -> str:
        """Id of the running upload, which must be there; the caller holds the lock."""
        upload = self._upload(entity, file_path)
        if upload is None:
            raise Refusal(status, "no upload is running for this file; begin with upload=start")
        return upload

    def _forget(self, where: str, *values: str | float) -> list[str]:
        """Delete uploads with their parts; the objects returned are to be discarded after the transaction."""
        db = self._files.db
        of_these = f"SELECT id FROM uploads WHERE {where}"  # noqa: S608 (written in this file only)
        rows = db.execute(f"SELECT object FROM parts WHERE upload IN ({of_these})", values).fetchall()  # noqa: S608
        db.execute(f"DELETE FROM parts WHERE upload IN ({of_these})", values)  # noqa: S608
        db.execute(f"DELETE FROM uploads WHERE {where}", values)  # noqa: S608
        return [row[0] for row in rows]


def _texts(info: FileInfo) -> tuple[str | None, str | None, str | None]:
    """Return the fields of `info` in the order of the table."""
    return info.type, info.description, info.timestamp


def _join(target: Path, sources: Iterable[Path]) -> bool:
    """Bytes of many files in one, in bounded memory; False when one is no longer there."""
    with target.open("wb") as joined:
        for source in sources:
            try:
                part = source.open("rb")
            except FileNotFoundError:
                return False
            with part:
                shutil.copyfileobj(part, joined, _COPY_BYTES)
    return True
