"""A file in parts: start, parts side by side, complete with the last bytes, or abort.

The gateway cuts a request at 60 s, so that a large file cannot go up in one piece. Each part is sent again by itself
when its answer is lost (the same number overwrites); at most `max_workers` parts and one more are in memory.
"""

from __future__ import annotations

import io
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tsbulk_frames.errors import FrameError, TsBulkError
from tsbulk_frames.transport import Answer, Transport

__all__ = ["check_part_bytes", "open_content", "part_size", "read_blocks", "taken", "upload_parts"]

MIN_PART = 5_000_000
"""Bytes of a part at least, but for the last (``PUT …?part=N``)."""
MAX_PARTS = 1000
"""Parts of one upload at most."""

logger = logging.getLogger("tsbulk_frames")


def check_part_bytes(part_bytes: int, max_workers: int) -> None:
    """Refuse sizes the service would refuse later."""
    if not isinstance(part_bytes, int) or isinstance(part_bytes, bool) or part_bytes < MIN_PART:
        raise FrameError(f"part_bytes={part_bytes!r} is not accepted; give an int from {MIN_PART} (5 MB)")
    if not isinstance(max_workers, int) or isinstance(max_workers, bool) or max_workers < 1:
        raise FrameError(f"max_workers={max_workers!r} is not accepted; give an int from 1")


@contextmanager
def open_content(content: bytes | Path | BinaryIO) -> Iterator[BinaryIO]:
    """Give a binary file over the content; a file that was given stays open."""
    if isinstance(content, bytes):
        yield io.BytesIO(content)
    elif isinstance(content, Path):
        try:
            opened = content.open("rb")
        except OSError as error:
            raise FrameError(f"content={str(content)!r} cannot be read: {error}; check the path") from error
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
    return max(part_bytes, -(-size // MAX_PARTS))


def upload_parts(
    transport: Transport,
    segments: Sequence[str],
    headers: Mapping[str, str],
    blocks: Iterator[bytes],
    *,
    max_workers: int,
) -> tuple[int, str | None]:
    """Send the blocks as parts, the last one with the completion.

    Returns
    -------
    size : int
        Bytes sent.
    etag : str or None
        As in the last answer's header.
    """
    upload = _Upload(transport, segments, headers)
    upload.control("start")
    try:
        size, last = upload.send(blocks, max_workers)
        answer = upload.control("complete", last)
    except BaseException:
        upload.abort()
        raise
    return size, answer.headers.get("ETag")


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


class _Upload:
    """The requests of one upload."""

    def __init__(self, transport: Transport, segments: Sequence[str], headers: Mapping[str, str]) -> None:
        self._transport = transport
        self._segments = segments
        self._headers = headers

    def control(self, step: str, body: bytes = b"") -> Answer:
        """Start or complete."""
        return self._transport.request(
            "PUT", self._segments, query={"upload": step}, headers=self._headers, body=body or None
        )

    def abort(self) -> None:
        """Have the parts deleted; a failure here must not hide the one that led here."""
        try:
            self._transport.request(
                "PUT", self._segments, query={"upload": "abort"}, headers=self._headers, retry="never"
            )
        except TsBulkError as error:
            logger.warning("an upload could not be aborted, the service drops it after 2 days: %s", error)

    def send(self, blocks: Iterator[bytes], max_workers: int) -> tuple[int, bytes]:
        """Send all blocks but the last; returns all bytes and the last block."""
        running: set[Future[Answer]] = set()
        size = number = 0
        last: bytes | None = None
        with ThreadPoolExecutor(max_workers, thread_name_prefix="tsbulk-part") as pool:
            try:
                for block in blocks:
                    size += len(block)
                    if last is not None:
                        number += 1
                        if number > MAX_PARTS:
                            raise FrameError(f"the file needs more than {MAX_PARTS} parts; raise part_bytes")
                        running.add(pool.submit(self._part, number, last))
                        running = _finished(running, below=max_workers)  # before another is read into memory
                    last = block
                _finished(running, below=1)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return size, last or b""

    def _part(self, number: int, block: bytes) -> Answer:
        """Send one part."""
        return self._transport.request(
            "PUT", self._segments, query={"part": str(number)}, headers=self._headers, body=block
        )


def _finished(running: set[Future[Answer]], *, below: int) -> set[Future[Answer]]:
    """Wait until fewer than `below` are running; raises what any of them raised."""
    while len(running) >= below:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return running
