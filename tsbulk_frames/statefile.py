"""A private SQLite file that one process holds: there whole or not at all, its errors put into words; floor 5.

Why SQLite's write-ahead log: a fact costs one write and no wait for the disk, and a torn end is left out when the file
is opened again. As the holder is alone, the log needs no shared memory, which network file systems do not have. What
must outlive a power cut as well waits for the disk outside of the lock, and all threads that wait share one flush.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tsbulk_frames.errors import ConfigError

__all__ = ["StateFile", "absolute_path", "explained", "make_folder", "private_folder", "sound", "write_new"]

_OURS, _VERSION = 0x7473_626D, 1
_ANEW = "begin anew with another manifest: a later import of the same time replaces what is stored"
_NO_ACCESS = "cannot be opened or written ({error}); check the rights of the file and of its folder"
_CLOSED = "cannot be used ({error}); open it once more if it is closed"
_REASONS = {
    sqlite3.SQLITE_BUSY: "is in use by another process, or twice by this one; wait until that has ended, or end it",
    sqlite3.SQLITE_FULL: "cannot be written, the disk is full; make room, then go on with tsb.resume_import({path!r})",
    sqlite3.SQLITE_IOERR: "cannot be read or written ({error}); check the disk and its free room, then go on with "
    "tsb.resume_import({path!r})",
    sqlite3.SQLITE_NOTADB: f"is no manifest but some other file; name the manifest of an import, or {_ANEW}",
    sqlite3.SQLITE_CANTOPEN: _NO_ACCESS,
    sqlite3.SQLITE_PERM: _NO_ACCESS,
    sqlite3.SQLITE_READONLY: _NO_ACCESS,
}
_DAMAGED = (
    f"is damaged ({{error}}); put a good copy in its place, together with its -wal file if it has one, or {_ANEW}"
)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say of a file into a ConfigError.

    Raises
    ------
    ConfigError
        In use, full, damaged, foreign, not to be written.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # absent when Python itself refuses
        reason = _CLOSED if isinstance(error, sqlite3.ProgrammingError) else _REASONS.get(code & 0xFF, _DAMAGED)
        raise ConfigError(f"manifest {path} {reason.format(error=error, path=str(path))}") from error
    except OSError as error:
        raise ConfigError(
            f"manifest {path} cannot be used: {error.strerror or error}; name a file in an existing folder of yours, "
            "on a disk with room"
        ) from error


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Refuse a file that holds values which were never written.

    Raises
    ------
    ConfigError
        Reading them was a ValueError.
    """
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"manifest {path} {_DAMAGED.format(error=error)}") from error


class StateFile:
    """An open file: held exclusively until it is closed, or its process ends, however it does.

    Nothing else of this process may open the file meanwhile, be it to copy it: the system's locks end with the first
    handle that is closed.

    Parameters
    ----------
    path : pathlib.Path
        Absolute.

    Raises
    ------
    ConfigError
        No such file, foreign, damaged, of another version, or in use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self._written = self._flushed = 0
        self._log: int | None = None
        with explained(path):
            if not path.exists():
                raise ConfigError(
                    f"manifest {path} does not exist; check the path, or begin one with "
                    f"tsb.write_timeseries(..., manifest={str(path)!r})"
                )
            if not path.is_file():
                raise ConfigError(f"manifest {path} is no file; name the file of an import")
            if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # SQLite calls it a broken disk
            self._db = sqlite3.connect(
                f"{path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None, check_same_thread=False
            )
            try:
                self._take_hold()
            except BaseException:
                self._db.close()
                raise

    def _take_hold(self) -> None:
        """Lock the file and check that it is one of ours, before anything is written to it."""
        self._db.execute(
            "PRAGMA locking_mode = EXCLUSIVE"
        )  # before the first look: then the log needs no shared memory
        if self._pragma("application_id") != _OURS:
            what = "some other file" if self.path.stat().st_size else "an empty one"
            raise ConfigError(f"manifest {self.path} is no manifest but {what}; name the one of an import, or {_ANEW}")
        if self._pragma("user_version") != _VERSION:
            raise ConfigError(
                f"manifest {self.path} is of version {self._pragma('user_version')}, this library reads {_VERSION}; "
                f"go on with the release that began the import, or {_ANEW}"
            )
        if (found := self._pragma("quick_check(1)")) != "ok":
            raise ConfigError(f"manifest {self.path} {_DAMAGED.format(error=found)}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")

    def _pragma(self, name: str) -> object:
        """Ask for one value."""
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Do several things at once or not at all.

        Parameters
        ----------
        durable : bool
            Return only when it would outlive a power cut as well, with all that was written before.

        Raises
        ------
        ConfigError
            See `explained`; nothing was changed then.
        """
        with explained(self.path):
            with self._lock:
                try:
                    self._db.execute("BEGIN IMMEDIATE")
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # closed, or undone by SQLite itself
                        self._db.rollback()
                    raise
                self._written += 1
                mine = self._written
            if durable:
                self._flush(mine)

    def _flush(self, mine: int) -> None:
        """Wait for the disk, unless another thread's wait has covered this transaction."""
        with self._flushing:
            if self._flushed >= mine:
                return
            if self._log is None:
                self._log = os.open(f"{self.path}-wal", os.O_RDWR)
            covered = self._written
            os.fsync(self._log)
            self._flushed = covered

    def close(self) -> None:
        """Let go of the file, all of it in one piece again; closing twice is no error."""
        with self._flushing, self._lock, explained(self.path):
            if self._log is not None:
                os.close(self._log)
                self._log = None
            self._db.close()  # writes all of the log into the file, and waits for the disk
            self._flushed = self._written

    def remove(self) -> None:
        """Close the file and delete it."""
        self.close()
        self.path.unlink(missing_ok=True)


def write_new(path: Path, fill: Callable[[sqlite3.Connection], object]) -> None:
    """Make a file that is there whole, and private, as soon as it has its name; what has that name already stays.

    Raises
    ------
    ConfigError
        It cannot be made; a file of that name came meanwhile; the log of one that is gone would be taken for its own.
    """
    for log in (f"{path}-wal", f"{path}-journal"):
        if os.path.lexists(log):
            raise ConfigError(
                f"{log} belongs to a manifest that is not there; put that back, or delete the log, or name another file"
            )
    with explained(path):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            db.execute(f"PRAGMA application_id = {_OURS}")
            db.execute(f"PRAGMA user_version = {_VERSION}")
            fill(db)
            content = db.serialize()
        if not _write_nameless(content, path):
            _write_renamed(content, path)
        _sync_folder(path.parent)


def _write_nameless(content: bytes, path: Path) -> bool:
    """Write a file that has no name until it is whole, so that a killed process leaves nothing; False: not possible."""
    try:
        handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except (OSError, AttributeError):  # not every system and file system has such files
        return False
    try:
        _write_all(handle, content)
        try:
            # only with a folder's handle, whichever, does Python follow the link to the file itself
            os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle, follow_symlinks=True)
        except FileExistsError:
            raise
        except OSError:  # no /proc, or no links
            return False
    finally:
        os.close(handle)
    return True


def _write_renamed(content: bytes, path: Path) -> None:
    """Write a file under another name first, and give it its own without taking that of another file."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)  # 0600
    try:
        try:
            _write_all(handle, content)
        finally:
            os.close(handle)
        try:
            os.link(name, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links: claim the name first
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _write_all(handle: int, content: bytes) -> None:
    """Write all bytes, and have them on the disk."""
    while content:
        content = content[os.write(handle, content) :]
    os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    """Have a new name outlive a power cut, where folders can be flushed."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def absolute_path(path: object) -> Path:
    """Accept the path of a file.

    Raises
    ------
    ConfigError
        No path.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(text := os.fspath(path), str):
        raise ConfigError(f"manifest={path!r} is a {type(path).__name__}; give the path of a file")
    if not text or "\0" in text:
        raise ConfigError(f"manifest={text!r} is no path; give the path of a file")
    return Path(os.path.abspath(text))


def private_folder(folder: Path, *, new: bool) -> None:
    """Have a folder that is the user's alone; a new one must not hold anything of others.

    Raises
    ------
    ConfigError
        It cannot be had, or is there already and not empty though it should be new.
    """
    if new and os.path.lexists(folder):
        try:
            folder.rmdir()
        except OSError as error:
            raise ConfigError(
                f"folder {folder} is there already ({error.strerror}), perhaps of a manifest that was deleted; delete "
                "it if it is not needed, or name another manifest"
            ) from error
    if new or not os.path.lexists(folder):
        folder.mkdir(mode=0o700)
    elif folder.is_symlink() or not folder.is_dir():
        raise ConfigError(f"{folder} is no folder, but import files of the manifest lie there; move it out of the way")
    else:
        folder.chmod(0o700)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each for the user alone from the start."""
    for one in (*reversed(folder.parents), folder):
        if not one.exists():
            one.mkdir(mode=0o700, exist_ok=True)
