"""What a request sends: bytes, a file, or a stretch of one, read from disk anew for each try.

Bodies go out in blocks with their length told beforehand. Of a file on disk no more than a block is in memory, and
what is sent is what was there when the upload began, or an error.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from tsbulk_frames.errors import FrameError

__all__ = ["Body", "FileSlice", "Sendable", "Upload"]

SMALL = 1 << 16
"""Bytes up to which a body is sent in one go."""
BLOCK = 1 << 17
"""Bytes sent in one go: each has to pass within a socket timeout, so that larger ones would fail on slow lines."""


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A stretch of a file on disk, which must stay as it was.

    Attributes
    ----------
    path : pathlib.Path
        Where it lies.
    start, stop : int
        Bytes from `start`, without `stop`.
    state : tuple of int
        Device, number, size and time of change of the file when the upload began.
    """

    path: Path
    start: int
    stop: int
    state: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> FileSlice | None:
        """Take all of a file as it is now; None for a pipe or a device, which can only be read once.

        Raises
        ------
        OSError
            There is none, or it cannot be read.
        """
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb", buffering=0) as source:
            state = os.fstat(source.fileno())
        return cls(path, 0, state.st_size, _state(state))

    def __len__(self) -> int:
        return self.stop - self.start

    def part(self, start: int, stop: int) -> FileSlice:
        """Cut out a part; positions are those of the file."""
        return FileSlice(self.path, start, min(stop, self.stop), self.state)

    def cut(self, size: int) -> Iterator[FileSlice]:
        """Cut it into parts of this size, only the last one smaller."""
        for start in range(self.start, self.stop, size):
            yield self.part(start, start + size)

    def read(self) -> bytes:
        """Give the bytes; see `blocks`."""
        return b"".join(self.blocks())

    def blocks(self) -> Iterator[bytes]:
        """Read the bytes from disk, a block at a time.

        Raises
        ------
        FrameError
            The file cannot be read, or has changed since: before the block that would be wrong.
        """
        try:
            with self.path.open("rb", buffering=0) as source:
                source.seek(self.start)
                left = len(self)
                while left:
                    block = source.read(min(BLOCK, left))
                    if not block or _state(os.fstat(source.fileno())) != self.state:
                        raise FrameError(
                            f"{str(self.path)!r} was changed while it was uploaded, which was given up; leave the file "
                            "alone and upload it again"
                        )
                    left -= len(block)
                    yield block
        except OSError as error:
            raise FrameError(
                f"{str(self.path)!r} could not be read while it was uploaded, which was given up: {error}"
            ) from error


def _state(state: os.stat_result) -> tuple[int, ...]:
    """Sum up what tells a file from another, and from what it was."""
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


Sendable: TypeAlias = bytes | BinaryIO | FileSlice
"""What can be sent."""


class Body:
    """What a request sends, as often as need be: a file is wound back to where it stood.

    Parameters
    ----------
    content : bytes, binary file, FileSlice or None
        A file that cannot be wound back is read whole.
    """

    def __init__(self, content: Sendable | None) -> None:
        if content is not None and not isinstance(content, bytes | FileSlice) and not content.seekable():
            content = content.read()
        if isinstance(content, bytes) and len(content) > SMALL:
            content = io.BytesIO(content)
        self._content = content
        self._start = 0 if content is None or isinstance(content, bytes | FileSlice) else content.tell()

    def open(self, in_time: Callable[[], object]) -> bytes | Upload | None:
        """Give the body for one try; `in_time` is called before each block and may raise."""
        content = self._content
        if content is None or isinstance(content, bytes):
            return content
        if isinstance(content, FileSlice):
            size, blocks = len(content), content.blocks()
        else:
            size = content.seek(0, io.SEEK_END) - self._start
            content.seek(self._start)
            blocks = iter(lambda: content.read(BLOCK), b"")
        return Upload(size, blocks, in_time) if size else b""  # without a size it would be sent as chunks


class Upload:
    """A body handed out in blocks: sent in one go, all of it would have to pass within one socket timeout.

    Not a file to look at, but for its length: what sends it shall neither wind it back nor choose the blocks.
    """

    def __init__(self, size: int, blocks: Iterator[bytes], in_time: Callable[[], object]) -> None:
        self._size = size
        self._blocks = blocks
        self._in_time = in_time

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._in_time()
            yield block
