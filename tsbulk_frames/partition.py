"""Partitions: which UTC hour or day owns a record, and where encoded rows are cut; floor 2, pure.

One import job carries one partition: all data of a job must lie in the same UTC hour (simulation assets) or day
(performance assets), in at most 100 import files of together at most 350 MB or 1 GB (``POST /importJobs``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import (
    MAX_FILES_PER_JOB,
    MB,
    NS_PER_DAY,
    NS_PER_SECOND,
    Closed,
    TwinType,
    format_time,
)

__all__ = ["FILE_BYTES", "STAGING_BYTES", "Partition", "check_age", "check_partition", "cut_partitions", "cut_rows"]

FILE_BYTES = 64 * MB
"""Size at which an import file is closed and the next begun: 16 files carry a full day."""
STAGING_BYTES = 512 * MB
"""Bytes of import files that wait on disk at most, besides the partition being written."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One UTC hour or day of data, named by its beginning."""

    start_ns: int
    length_ns: int

    @property
    def name(self) -> str:
        """``2026-03-01`` for a day, ``2026-03-01T05`` for an hour."""
        return format_time(self.start_ns)[: 10 if self.length_ns == NS_PER_DAY else 13]

    def __str__(self) -> str:
        return self.name


def cut_partitions(
    times: npt.NDArray[np.int64], twin_type: TwinType, closed: Closed = "left"
) -> list[tuple[Partition, int, int]]:
    """Cut ascending times into partitions.

    Parameters
    ----------
    times : ndarray of int64
        Nanoseconds since the epoch, ascending.
    twin_type : TwinType
        Hours or days.
    closed : {"left", "right"}
        Which partition owns a record at exactly its border: ``"left"`` the one that begins there (the calendar day,
        ``[00:00, 24:00)``), ``"right"`` the one that ends there. The service's documentation shows both.

    Returns
    -------
    list of (Partition, first, stop)
        Half-open row ranges that touch, cover all rows, and are in time order.
    """
    length = twin_type.partition_ns
    keys = (times if closed == "left" else times - 1) // length
    edges = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), len(keys)] if len(keys) else [0]
    return [(Partition(int(keys[first]) * length, length), first, stop) for first, stop in itertools.pairwise(edges)]


def cut_rows(offsets: npt.NDArray[np.int64], room: int, file_bytes: int = FILE_BYTES) -> Iterator[tuple[int, int]]:
    """Cut encoded rows into stretches that fit into files.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n_rows + 1,)
        Where each row begins in the encoded bytes, and where the last one ends.
    room : int
        Bytes left in the file that is open. A first row that is larger than that opens a new file.
    file_bytes : int
        Size of a file. A single row that is larger has a file of its own.

    Yields
    ------
    (first, stop)
        Half-open row ranges that touch and cover all rows. The first goes into the open file (and may be empty, when
        not even one row fits), each further one into a new file.
    """
    rows, first = len(offsets) - 1, 0
    while True:
        stop = int(np.searchsorted(offsets, offsets[first] + room, side="right")) - 1
        if room == file_bytes:
            stop = max(stop, first + 1)
        stop = min(max(stop, first), rows)
        yield first, stop
        if stop >= rows:
            return
        first, room = stop, file_bytes


def check_age(times: npt.NDArray[np.int64], now_ns: int, twin_type: TwinType) -> None:
    """Refuse records that are too young for the asset.

    Parameters
    ----------
    times : ndarray of int64
        Ascending.
    now_ns : int
        What time it is.
    twin_type : TwinType
        Kind of the asset.

    Raises
    ------
    FrameError
        Records of a performance asset that are not older than 30 minutes (``POST /importJobs``).
    """
    newest = now_ns - twin_type.min_age_ns
    if twin_type.min_age_ns and len(times) and times[-1] >= newest:
        first = int(np.searchsorted(times, newest))
        raise FrameError(
            f"{len(times) - first} of {len(times)} records are too young (first at {format_time(int(times[first]))}): "
            f"a performance asset takes only records older than {twin_type.min_age_ns // NS_PER_SECOND // 60} minutes, "
            f"now those before {format_time(newest)}. Leave the newest rows out and write them later",
            rows=range(first, len(times)),
        )


def check_partition(partition: Partition, twin_type: TwinType, size: int, files: int) -> None:
    """Refuse a partition that no import job can carry.

    Raises
    ------
    FrameError
        More than 350 MB in an hour (simulation), 1 GB in a day (performance), or 100 files.
    """
    if size > twin_type.max_partition_bytes:
        unit = "day" if partition.length_ns == NS_PER_DAY else "hour"
        raise FrameError(
            f"partition {partition}: {size / MB:,.1f} MB of import files, but a {twin_type.value} asset takes at most "
            f"{twin_type.max_partition_bytes // MB} MB a UTC {unit}; write fewer columns or rows of this {unit}"
        )
    if files > MAX_FILES_PER_JOB:
        raise FrameError(
            f"partition {partition}: {files} import files, but a job takes at most {MAX_FILES_PER_JOB}; "
            "write fewer columns or rows, or larger files"
        )
