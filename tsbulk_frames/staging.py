"""Encoded rows become import files on disk, one partition after the other; floor 5.

Rows are encoded in big chunks and their bytes cut at row offsets, so many small partitions cost no more than few
large ones. Files are private to the user.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tsbulk_frames.codec import SEPARATOR, EncodedRows, encode_rows
from tsbulk_frames.model import Closed, Series, TwinType, format_time
from tsbulk_frames.paging import times_of
from tsbulk_frames.partition import FILE_BYTES, Partition, check_partition, cut_partitions, cut_rows

__all__ = ["ImportFile", "StagedPartition", "is_intact", "stage"]

_DIGITS = 32


@dataclass(frozen=True, slots=True)
class ImportFile:
    """One import file: a JSON array of records, ascending in time.

    Attributes
    ----------
    path : pathlib.Path
        Where it lies.
    partition : str
        The UTC hour (``2026-03-01T05``) or day (``2026-03-01``) it belongs to.
    rows, bytes : int
        Its size.
    first, last : str
        ``_time`` of its first and last record, ISO 8601, exact.
    digest : str
        Of its bytes and its series: the same data has the same name in the file service.
    """

    path: Path
    partition: str
    rows: int
    bytes: int
    first: str
    last: str
    digest: str


@dataclass(frozen=True, slots=True)
class StagedPartition:
    """The import files of one partition, in time order."""

    partition: Partition
    files: tuple[ImportFile, ...]

    @property
    def rows(self) -> int:
        """Records in all files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def is_intact(file: ImportFile, series: Series) -> bool:
    """Whether an import file still lies on disk as it was written."""
    try:
        with file.path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: _digest_of(series)).hexdigest()[:_DIGITS] == file.digest
    except OSError:
        return False


def _digest_of(series: Series) -> hashlib._Hash:
    """Begin the digest of a file of this series."""
    return hashlib.sha256(f"{series}\n".encode())


class _OpenFile:
    """An import file being written; `close` turns it into what it is."""

    def __init__(self, path: Path, series: Series) -> None:
        self.path = path
        self.rows = 0
        self.first_ns = 0
        self.last_ns = 0
        self._digest = _digest_of(series)
        self._stream = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._write(b"[")

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._stream.tell()

    def add(self, data: memoryview, first_ns: int, last_ns: int, rows: int) -> None:
        """Append rows: each record but the file's last is followed by the separator."""
        if self.rows:
            self._write(SEPARATOR)
        else:
            self.first_ns = first_ns
        self._write(data[: -len(SEPARATOR)])
        self.rows += rows
        self.last_ns = last_ns

    def close(self, partition: Partition) -> ImportFile:
        """Finish the JSON array."""
        self._write(b"]")
        size = self.size
        self.discard()
        return ImportFile(
            path=self.path,
            partition=partition.name,
            rows=self.rows,
            bytes=size,
            first=format_time(self.first_ns),
            last=format_time(self.last_ns),
            digest=self._digest.hexdigest()[:_DIGITS],
        )

    def discard(self) -> None:
        """Close the file on disk as it is."""
        self._stream.close()

    def _write(self, data: bytes | memoryview) -> None:
        """Write and digest."""
        self._stream.write(data)
        self._digest.update(data)


def stage(
    tables: Iterable[pa.Table],
    series: Series,
    twin_type: TwinType,
    directory: Path,
    *,
    closed: Closed = "left",
    file_bytes: int = FILE_BYTES,
    skip: Collection[str] = (),
) -> Iterator[StagedPartition]:
    """Write import files, partition by partition.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Checked, and ascending in time over all of them.
    series : Series
        Whose data it is.
    twin_type : TwinType
        Hours or days.
    directory : pathlib.Path
        An existing folder.
    closed : {"left", "right"}
        Which partition owns a record at exactly its border.
    file_bytes : int
        Size at which a file is closed and the next begun.
    skip : collection of str
        Names of partitions to leave out: they are not even encoded.

    Yields
    ------
    StagedPartition
        As soon as its last record is written.

    Raises
    ------
    FrameError
        A partition is larger than a job may be.
    OSError
        The folder cannot be written.
    """
    if skip:
        tables = _without(tables, twin_type, closed, skip)
    current: Partition | None = None
    done: list[ImportFile] = []
    file: _OpenFile | None = None
    try:
        for rows, times in _encoded(tables):
            for partition, first, stop in cut_partitions(times, twin_type, closed):
                if partition != current and current is not None and file is not None:
                    done.append(file.close(current))
                    file = None
                    _check(current, twin_type, done)
                    yield StagedPartition(current, tuple(done))
                    done = []
                current = partition
                offsets = rows.offsets[first : stop + 1]
                room = file_bytes if file is None else file_bytes - file.size
                for number, (a, b) in enumerate(cut_rows(offsets, room, file_bytes)):
                    if number and file is not None:
                        done.append(file.close(current))
                        file = None
                    if a == b:
                        continue
                    if file is None:
                        file = _OpenFile(directory / f"{current}-{len(done) + 1:03d}.json", series)
                    low, high = first + a, first + b
                    file.add(rows.data[offsets[a] : offsets[b]], int(times[low]), int(times[high - 1]), b - a)
                    size = file.size + sum(one.bytes for one in done)
                    check_partition(partition, twin_type, size, len(done) + 1)
        if current is not None and file is not None:
            done.append(file.close(current))
            _check(current, twin_type, done)
            yield StagedPartition(current, tuple(done))
    finally:
        if file is not None:
            file.discard()


def _check(partition: Partition, twin_type: TwinType, files: Sequence[ImportFile]) -> None:
    """Hold the rules against what was really written."""
    check_partition(partition, twin_type, sum(file.bytes for file in files), len(files))


def _without(
    tables: Iterable[pa.Table], twin_type: TwinType, closed: Closed, skip: Collection[str]
) -> Iterator[pa.Table]:
    """Leave out the rows of some partitions; what touches stays together."""
    for table in tables:
        first = stop = 0
        for partition, begin, end in cut_partitions(times_of(table), twin_type, closed):
            if partition.name in skip:
                continue
            if begin != stop:
                yield table.slice(first, stop - first)
                first = begin
            stop = end
        yield table.slice(first, stop - first)


def _encoded(tables: Iterable[pa.Table]) -> Iterator[tuple[EncodedRows, npt.NDArray[np.int64]]]:
    """Chunks of encoded rows beside their times."""
    for table in tables:
        times, row = times_of(table), 0
        for rows in encode_rows(table):
            count = len(rows.offsets) - 1
            yield rows, times[row : row + count]
            row += count
