"""Where the data of an import comes from, so that it can be read once more after a crash; floor 5.

A frame is saved beside the manifest before anything is sent. Parquet is read where it lies; its digest tells whether
it is still the same. What can be read only once, an iterator or a reader, is not kept: only its import files are.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import pandas as pd
import pyarrow as pa

from tsbulk_frames.errors import ConfigError, FrameError
from tsbulk_frames.sources import WriteData, open_source

__all__ = ["Origin", "disk_error", "forget_tables", "in_memory", "open_origin", "origin_of", "save_tables"]

Kind: TypeAlias = Literal["frame", "parquet", "stream"]

_SPOOL = "source"
_SPOOL_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the data of an import comes from.

    Attributes
    ----------
    kind : {"frame", "parquet", "stream"}
        Saved beside the manifest, read where it lies, or to be had only once.
    path : str
        Of Parquet: the file or folder, absolute.
    files : list of (str, int, int, str)
        Of Parquet: path, bytes, time of the last change in nanoseconds, and digest of each file.
    """

    kind: Kind
    path: str = ""
    files: list[tuple[str, int, int, str]] | None = None

    def to_json(self) -> str:
        """Spell it for the manifest."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Origin:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            It did not write this.
        """
        try:
            found = json.loads(text)
            kind, path, files = found["kind"], found["path"], [tuple(one) for one in found["files"] or []]
            good = kind in get_args(Kind) and all(list(map(type, one)) == [str, int, int, str] for one in files)
        except (ValueError, KeyError, TypeError, RecursionError):
            good = False
        if not good or not isinstance(path, str):
            raise ValueError(f"its source is {text[:200]!r}")
        return cls(kind, path, files)


def in_memory(data: WriteData) -> bool:
    """Whether the caller holds all of the data already."""
    return isinstance(data, pd.DataFrame | pa.Table | list | tuple)


def origin_of(data: WriteData) -> Origin:
    """Tell where data comes from; the files of Parquet are read once for their digest."""
    if in_memory(data):
        return Origin("frame")
    if isinstance(data, str | os.PathLike):
        path = Path(data).absolute()
        return Origin("parquet", str(path), [_fingerprint(file) for file in _files(path)])
    return Origin("stream")


def forget_tables(folder: Path) -> None:
    """Delete what `save_tables` wrote; first its name, so that a part of it is never taken for all."""
    written, target = folder / f"{_SPOOL}.part", folder / _SPOOL
    try:
        for _ in range(2):
            if written.exists():
                shutil.rmtree(written)
            if target.exists():
                target.rename(written)
    except OSError as error:
        raise disk_error(folder, error) from error


def save_tables(tables: Iterable[pa.Table], folder: Path) -> None:
    """Save checked tables beside the manifest, under their name only once all are there."""
    forget_tables(folder)
    written, target = folder / f"{_SPOOL}.part", folder / _SPOOL
    options = pa.ipc.IpcWriteOptions(compression="lz4" if pa.Codec.is_available("lz4") else None)
    try:
        written.mkdir(mode=0o700)
        for number, table in enumerate(tables):
            path = os.open(written / f"{number:06d}.arrow", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(path, "wb") as stream, pa.ipc.new_file(stream, table.schema, options=options) as writer:
                writer.write_table(table, max_chunksize=_SPOOL_ROWS)
        written.rename(target)
    except OSError as error:
        raise disk_error(folder, error) from error


def open_origin(origin: Origin, folder: Path, empty_rows: str) -> Iterable[pa.Table]:
    """Read the data once more.

    Raises
    ------
    FrameError
        It is not there any more, or not the same.
    """
    if origin.kind == "parquet":
        _check_unchanged(origin)
        return open_source(origin.path, empty_rows="drop" if empty_rows == "drop" else "raise")
    if origin.kind == "frame" and (folder / _SPOOL).is_dir():
        return _saved(folder / _SPOOL)
    again = "call tsb.write_timeseries(data, …, manifest=…) with the same data and this manifest"
    if origin.kind == "frame":
        raise FrameError(f"the data of this import had not been saved yet when it was interrupted; {again}")
    raise FrameError(
        "the data of this import came from an iterator or reader that was not read to its end; what had come of it is "
        f"imported, to go on {again}: partitions that are done are skipped"
    )


def disk_error(folder: Path, error: OSError) -> ConfigError:
    """Say that the staging folder cannot be written."""
    return ConfigError(
        f"import files cannot be written to {str(folder)!r}: {error}; free some space, or name a manifest on another "
        "disk (manifest=): import files lie beside it"
    )


def _saved(path: Path) -> Iterator[pa.Table]:
    """Read what `save_tables` wrote, piece by piece."""
    try:
        for file in sorted(path.iterdir()):
            with file.open("rb") as stream:
                reader = pa.ipc.open_file(stream)
                for number in range(reader.num_record_batches):
                    yield pa.Table.from_batches([reader.get_batch(number)])
    except (pa.ArrowException, OSError) as error:
        raise FrameError(
            f"the saved data {str(path)!r} cannot be read: {error}; call tsb.write_timeseries(data, …, manifest=…) "
            "with the same data and this manifest"
        ) from error


def _files(path: Path) -> list[Path]:
    """Name one file, or all Parquet files of a folder."""
    return sorted(path.rglob("*.parquet")) if path.is_dir() else [path]


def _fingerprint(path: Path) -> tuple[str, int, int, str]:
    """Tell a file from what it may become."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            status = os.fstat(stream.fileno())
    except OSError as error:
        raise FrameError(f"data={str(path)!r} cannot be read: {error}; check the path") from error
    return str(path), status.st_size, status.st_mtime_ns, digest


def _check_unchanged(origin: Origin) -> None:
    """Refuse Parquet that is not what the import began with; one that was only touched is the same."""
    known = {name: (size, changed, digest) for name, size, changed, digest in origin.files or []}
    found = {str(file) for file in _files(Path(origin.path)) if file.is_file()}
    for name in sorted(known.keys() | found):
        if name not in found:
            what = "is not there any more"
        elif name not in known:
            what = "is new"
        else:
            size, changed, digest = known[name]
            status = os.stat(name)
            if (status.st_size, status.st_mtime_ns) == (size, changed) or _fingerprint(Path(name))[3] == digest:
                continue
            what = f"has changed ({status.st_size} bytes, was {size})"
        raise FrameError(
            f"the source of this import is not what it was: {name!r} {what}; put the former data back to go on, or "
            "begin a new import with tsb.write_timeseries"
        )
