"""What was read once, kept on this machine: off unless asked for; floor 7.1.

Only ranges that ended a day ago or earlier are kept, as the past is not expected to change. Each file is private to the
user, complete or not there at all, and the ones not used for longest go when the cache grows beyond its size.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from tsbulk_frames._html import as_box, as_facts, as_head
from tsbulk_frames._text import as_count, as_size
from tsbulk_frames.auth import AppCredentials, Credentials, TenantCredentials
from tsbulk_frames.errors import ConfigError
from tsbulk_frames.model import NS_PER_DAY, Series, TimeRange

__all__ = ["CacheInfo", "CacheSetting", "ReadCache", "cache_info", "clear_cache", "open_cache"]

CacheSetting: TypeAlias = bool | str | os.PathLike[str] | None
"""None or False: no cache. True: the user's cache folder. A path: a folder of its own."""
MAX_BYTES = 4_000_000_000
"""Size from which the files not used for longest are deleted."""
_AGE_NS = NS_PER_DAY
_VERSION = 1


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What a cache holds.

    Attributes
    ----------
    directory : pathlib.Path
        Where.
    files : int
        How many reads.
    bytes : int
        On disk.
    max_bytes : int
        Size from which the files not used for longest are deleted.
    """

    directory: Path
    files: int
    bytes: int
    max_bytes: int

    def __str__(self) -> str:
        return f"CacheInfo: {as_count(self.files, 'read')}, {self._sizes} in {self.directory}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_box(
            as_head("CacheInfo", f"{as_count(self.files, 'read')}, {self._sizes}"),
            as_facts([("directory", self.directory)]),
        )

    @property
    def _sizes(self) -> str:
        """How full it is."""
        return f"{as_size(self.bytes)} of at most {as_size(self.max_bytes)}"


class ReadCache:
    """A folder of Parquet files, one for each read.

    Parameters
    ----------
    directory : pathlib.Path
        Made when something is kept, for the user alone.
    gateway : str
        Part of every key.
    credentials : Credentials
        Their tenant is part of every key (of a user token, a digest).
    max_bytes : int
        Size of the whole folder.
    """

    def __init__(self, directory: Path, gateway: str, credentials: Credentials, *, max_bytes: int = MAX_BYTES) -> None:
        self.directory = directory
        self._scope = [_VERSION, gateway, _tenant(credentials)]
        self._max_bytes = max_bytes

    def get(self, series: Series, span: TimeRange, select: tuple[str, ...] | None) -> pa.Table | None:
        """Give what was kept of a read; None if nothing was, or it cannot be read any more."""
        path = self._path(series, span, select)
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException):
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        _touch(path)
        return table

    def put(
        self, series: Series, span: TimeRange, select: tuple[str, ...] | None, table: pa.Table, *, now_ns: int
    ) -> None:
        """Keep what a read brought, unless its range is too young; a disk that is full is no failure of the read."""
        if span.stop_ns > now_ns - _AGE_NS:
            return
        path = self._path(series, span, select)
        with suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(suffix=".part", dir=self.directory)  # private by itself
            try:
                with os.fdopen(handle, "wb") as stream:
                    pq.write_table(table, stream)
                os.replace(name, path)
                _touch(path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
            self._shrink()

    def _path(self, series: Series, span: TimeRange, select: tuple[str, ...] | None) -> Path:
        """Name a read by all it depends on."""
        chosen = None if select is None else list(select)
        key = [*self._scope, series.entity, series.property_set, span.start_ns, span.stop_ns, chosen]
        return self.directory / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()}.parquet"

    def _shrink(self) -> None:
        """Delete the files not used for longest until the rest fits."""
        files = sorted(_files(self.directory), key=lambda entry: entry[1].st_mtime_ns, reverse=True)
        size = 0
        for path, status in files:
            size += status.st_size
            if size > self._max_bytes:
                path.unlink(missing_ok=True)


def _tenant(credentials: Credentials) -> str:
    """Name whose data it is, without any secret."""
    if isinstance(credentials, TenantCredentials):
        return f"tenant {credentials.tenant}"
    if isinstance(credentials, AppCredentials):
        return f"app {credentials.host_tenant} {credentials.user_tenant}"
    return "user " + hashlib.sha256(credentials.authorization.encode()).hexdigest()


def _touch(path: Path) -> None:
    """Note that a file is used now, finer than a file system's own clock ticks."""
    now = time.time_ns()
    with suppress(OSError):
        os.utime(path, ns=(now, now))


def _files(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """List the files of a cache; one that another process deletes meanwhile is left out."""
    for path in directory.glob("*.parquet"):
        with suppress(FileNotFoundError):
            yield path, path.stat()


def default_directory() -> Path:
    """Name the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("tsbulk_frames")) / "reads"


def _directory_of(cache: CacheSetting) -> Path:
    """Turn a setting into a folder."""
    if cache is None or isinstance(cache, bool):
        return default_directory()
    if not isinstance(cache, str | os.PathLike) or not str(cache):
        raise ConfigError(f"cache={cache!r} is not known; accepted are None, True, False and the path of a folder")
    return Path(cache)


def open_cache(cache: CacheSetting, gateway: str, credentials: Credentials) -> ReadCache | None:
    """Open the cache a caller asked for.

    Raises
    ------
    ConfigError
        Neither None, a bool nor a path.
    """
    if cache is None or cache is False:
        return None
    return ReadCache(_directory_of(cache), gateway, credentials)


def cache_info(cache: CacheSetting = True) -> CacheInfo:
    """Tell what a cache holds.

    Parameters
    ----------
    cache : True or path
        As given to `read_timeseries` or `connect`. Default: the user's cache folder.

    Returns
    -------
    CacheInfo
        Directory, files, bytes, and the size it is kept under.

    Examples
    --------
    >>> import tempfile
    >>> import tsbulk_frames as tsb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tsb.cache_info(folder).files
    0
    """
    directory = _directory_of(cache)
    sizes = [status.st_size for _, status in _files(directory)]
    return CacheInfo(directory, len(sizes), sum(sizes), MAX_BYTES)


def clear_cache(cache: CacheSetting = True) -> int:
    """Delete what a cache holds.

    Parameters
    ----------
    cache : True or path
        As given to `read_timeseries` or `connect`. Default: the user's cache folder.

    Returns
    -------
    int
        How many files were deleted.

    Examples
    --------
    >>> import tempfile
    >>> import tsbulk_frames as tsb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tsb.clear_cache(folder)
    0
    """
    paths = [path for path, _ in _files(_directory_of(cache))]
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)
