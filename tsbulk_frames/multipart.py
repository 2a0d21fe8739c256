"""A file in parts: start, parts side by side, complete with the last bytes, or abort.

The gateway cuts a request at 60 s, so that a large file cannot go up in one piece. Each part is sent again by itself
when its answer is lost (the same number overwrites). Parts of a file on disk are read as they are sent; of anything
else at most `max_workers` parts and one more are in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from tsbulk_frames.body import FileSlice
from tsbulk_frames.content import MAX_PARTS
from tsbulk_frames.errors import AuthError, FrameError, ServiceError, TsBulkError
from tsbulk_frames.remote import RemoteFile
from tsbulk_frames.stop import Stop
from tsbulk_frames.transport import Answer

__all__ = ["PartUpload", "passing"]

logger = logging.getLogger("tsbulk_frames")


@dataclass(frozen=True, slots=True)
class PartUpload:
    """One upload in parts.

    Parameters
    ----------
    remote : RemoteFile
        Where the file goes.
    headers : mapping of str to str
        Sent with each request.
    max_workers : int
        Parts on their way at once.
    keep : bool
        Whether parts stay for a later try when the way there is what failed; else they are dropped at once.
    stored : callable
        Whether the service has the whole file: asked when the completion is refused after a lost answer.
    stop : Stop, optional
        Ends the requests; the one this thread works under, if there is one.
    """

    remote: RemoteFile
    headers: Mapping[str, str] = field(repr=False)
    max_workers: int
    keep: bool = False
    stored: Callable[[], bool] = lambda: False
    stop: Stop = field(default_factory=lambda: Stop.current() or Stop())

    def run(self, parts: Iterator[bytes] | Iterator[FileSlice], there: Collection[int] = ()) -> tuple[int, str | None]:
        """Send the parts, the last one with the completion.

        Parameters
        ----------
        parts : iterator of bytes or FileSlice
            In order.
        there : collection of int
            Numbers (from 1) of those that an earlier try has sent: its upload is carried on.

        Returns
        -------
        size : int
            Bytes of all parts.
        etag : str or None
            As in the last answer's header.
        """
        if not there:
            self._control("start")
        try:
            size, last = self._send(parts, there)
            return size, self._complete(last)
        except BaseException as error:
            if not (self.keep and passing(error)):
                self.abort()
            raise

    def abort(self) -> None:
        """Have the parts deleted; a failure here must not hide the one that led here."""
        try:
            self.remote.put(None, self.headers, {"upload": "abort"}, retry="never", stop=Stop())
        except TsBulkError as error:
            logger.warning("an upload could not be aborted, the service drops it after 2 days: %s", error)

    def _control(self, step: str, body: bytes | FileSlice = b"") -> Answer:
        """Start or complete."""
        return self.remote.put(body or None, self.headers, {"upload": step}, stop=self.stop)

    def _complete(self, last: bytes | FileSlice) -> str | None:
        """Complete; one that is refused as an earlier try, whose answer was lost, has done it already, is done."""
        try:
            return self._control("complete", last).headers.get("ETag")
        except ServiceError as error:
            if error.attempts == 1 or passing(error) or not self.stored():
                raise
            return None

    def _send(
        self, parts: Iterator[bytes] | Iterator[FileSlice], there: Collection[int]
    ) -> tuple[int, bytes | FileSlice]:
        """Send all parts but the last and those that are there; returns the size of all and the last part."""
        running: set[Future[Answer]] = set()
        size = number = 0
        last: bytes | FileSlice | None = None
        with ThreadPoolExecutor(self.max_workers, thread_name_prefix="tsbulk-part") as pool:
            try:
                for part in parts:
                    size += len(part)
                    if last is not None:
                        number += 1
                        if number > MAX_PARTS:
                            raise FrameError(f"the file needs more than {MAX_PARTS} parts; raise part_bytes")
                        if number not in there:
                            running.add(pool.submit(self._part, number, last))
                            running = _finished(running, below=self.max_workers)  # before another is in memory
                    last = part
                _finished(running, below=1)
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                if not isinstance(error, Exception):
                    self.stop.now()  # after Ctrl-C nobody waits for parts under way
                raise
        return size, last or b""

    def _part(self, number: int, part: bytes | FileSlice) -> Answer:
        """Send one part."""
        return self.remote.put(part, self.headers, {"part": str(number)}, stop=self.stop)


def passing(error: BaseException) -> bool:
    """Whether what was sent is still worth something: the way there, the token or the caller failed, not the file."""
    return isinstance(error, AuthError) or not isinstance(error, TsBulkError) or error.transient


def _finished(running: set[Future[Answer]], *, below: int) -> set[Future[Answer]]:
    """Wait until fewer than `below` are running; raises what any of them raised."""
    while len(running) >= below:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return running
