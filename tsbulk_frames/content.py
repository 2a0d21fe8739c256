"""What is to be uploaded: bytes, a file on disk or a stream, and how it is cut into parts."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tsbulk_frames.body import FileSlice
from tsbulk_frames.errors import FrameError

__all__ = [
    "MAX_PARTS",
    "check_part_bytes",
    "file_on_disk",
    "open_content",
    "part_size",
    "read_blocks",
    "size_of_part",
    "taken",
]

MIN_PART = 5_000_000
"""Bytes of a part at least, but for the last (``PUT …?part=N``)."""
MAX_PARTS = 1000
"""Parts of one upload at most."""


def check_part_bytes(part_bytes: int, max_workers: int) -> None:
    """Refuse sizes the service would refuse later."""
    if not isinstance(part_bytes, int) or isinstance(part_bytes, bool) or part_bytes < MIN_PART:
        raise FrameError(f"part_bytes={part_bytes!r} is not accepted; give an int from {MIN_PART} (5 MB)")
    if not isinstance(max_workers, int) or isinstance(max_workers, bool) or max_workers < 1:
        raise FrameError(f"max_workers={max_workers!r} is not accepted; give an int from 1")


def file_on_disk(content: object) -> FileSlice | None:
    """Give a file that can be read in parts, from disk; None for any other content.

    Raises
    ------
    FrameError
        There is no such file, or it cannot be read.
    """
    try:
        return FileSlice.of(content) if isinstance(content, Path) else None
    except OSError as error:
        raise _unreadable(content, error) from error


def _unreadable(path: object, error: OSError) -> FrameError:
    """Tell what is wrong with a path."""
    return FrameError(f"content={str(path)!r} cannot be read: {error}; check the path")


@contextmanager
def open_content(content: bytes | Path | BinaryIO) -> Iterator[BinaryIO]:
    """Give a binary file over the content; a file that was given stays open."""
    if isinstance(content, bytes):
        yield io.BytesIO(content)
    elif isinstance(content, Path):
        try:
            opened = content.open("rb")
        except OSError as error:
            raise _unreadable(content, error) from error
        with opened as source:
            yield source
    elif _is_binary(content):
        yield content
    else:
        raise FrameError(
            f"content is a {type(content).__name__}; give bytes, a pathlib.Path or a file opened with 'rb'"
        )


def _is_binary(content: object) -> bool:
    """Whether it gives bytes: a file opened as text would be counted in characters."""
    return callable(getattr(content, "read", None)) and not isinstance(content, io.TextIOBase)


def part_size(source: BinaryIO, part_bytes: int) -> int:
    """Size of a part, larger than asked for where the file would need too many."""
    if not source.seekable():
        return part_bytes
    here = source.tell()
    size = source.seek(0, io.SEEK_END) - here
    source.seek(here)
    return size_of_part(size, part_bytes)


def size_of_part(size: int, part_bytes: int) -> int:
    """Size of a part by that of the file alone, so that a later try cuts it alike."""
    return max(part_bytes, -(-size // MAX_PARTS))


def read_blocks(source: BinaryIO, size: int) -> Iterator[bytes]:
    """Read blocks of `size` bytes, only the last one shorter: a pipe may give less than asked for at a time."""
    while block := _read_block(source, size):
        yield block


def _read_block(source: BinaryIO, size: int) -> bytes:
    """Read a block; in one go, it is not copied."""
    block = source.read(size)
    if not block or len(block) == size:
        return block
    whole = io.BytesIO()
    while block:
        whole.write(block)
        block = source.read(size - whole.tell())
    return whole.getvalue()


def taken(blocks: deque[bytes], more: Iterator[bytes]) -> Iterator[bytes]:
    """Give the blocks read already, each without keeping it, and then the others."""
    while blocks:
        yield blocks.popleft()
    yield from more
