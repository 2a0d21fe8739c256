"""A file in parts: start, parts side by side, complete with the last bytes, or abort.

The gateway cuts a request at 60 s, so that a large file cannot go up in one piece. Each part is sent again by itself
when its answer is lost (the same number overwrites), or when the service turns out to have lost it though it had said
that it was there. Parts of a file on disk are read as they are sent; of anything else at most `max_workers` parts and
one more are in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeAlias

from tsbulk_frames.body import FileSlice
from tsbulk_frames.content import MAX_PARTS
from tsbulk_frames.errors import AuthError, ConflictError, FrameError, ServiceError, TsBulkError
from tsbulk_frames.remote import RemoteFile
from tsbulk_frames.stop import Stop
from tsbulk_frames.transport import Answer

__all__ = ["PROBE", "Part", "PartUpload", "Parts", "Sent", "passing"]

PROBE = 4096
"""Bytes looked at on either side of a place, to know what was stored."""

logger = logging.getLogger("tsbulk_frames")

Part: TypeAlias = bytes | FileSlice
"""What one request takes along."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A file cut into parts.

    Attributes
    ----------
    every : iterator of bytes or FileSlice
        In order; can be taken once.
    size : int
        Bytes of each but the last.
    again : callable or None
        Gives a part by its number, from 1, any number of times; None where the file can be read only once.
    """

    every: Iterator[Part]
    size: int
    again: Callable[[int], Part] | None = None

    def anew(self, sent: Sent) -> Iterator[Part]:
        """Give all that was sent once more, in order."""
        assert self.again is not None
        for number in range(1, sent.count + 1):
            yield self.again(number)
        yield sent.last


@dataclass(frozen=True, slots=True)
class Sent:
    """What went up: its size, the number of parts before the last, that part and its last bytes."""

    size: int
    count: int
    last: Part = field(repr=False)
    tail: bytes = field(repr=False)


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

    def run(
        self, every: Iterator[Part], parts: Parts, tries: Iterator[int], there: Collection[int] = ()
    ) -> tuple[Sent, str | None]:
        """Send the parts, the last one with the completion; where that is refused, those that were lost once more.

        Parameters
        ----------
        every : iterator of bytes or FileSlice
            What to send, in order.
        parts : Parts
            Where to get a part again.
        tries : iterator of int
            Used up by one whenever lost parts are sent again; wholly where the service does not tell which.
        there : collection of int
            Numbers (from 1) of those that an earlier try has sent: its upload is carried on.

        Returns
        -------
        sent : Sent
        etag : str or None
            As in the last answer's header.
        """
        if not there:
            self._control("start")
        try:
            sent = self._send(every, there)
            while True:
                try:
                    return sent, self._complete(sent.last)
                except ServiceError as refusal:
                    again = parts.again
                    lost = self._lost(refusal, sent, parts.size) if again is not None else []
                    if again is None or not lost or next(tries, None) is None:
                        raise
                    if len(lost) == sent.count:  # maybe it only does not tell: this must be all there is to it
                        tries = iter(())
                        self.abort()
                        self._control("start")
                    self._carry((number, again(number)) for number in lost)
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

    def _control(self, step: str, body: Part = b"") -> Answer:
        """Start or complete."""
        return self.remote.put(body or None, self.headers, {"upload": step}, stop=self.stop)

    def _complete(self, last: Part) -> str | None:
        """Complete; one that is refused as an earlier try, whose answer was lost, has done it already, is done."""
        try:
            return self._control("complete", last).headers.get("ETag")
        except ServiceError as error:
            if error.attempts == 1 or passing(error) or not self.stored():
                raise
            return None

    def _lost(self, refusal: ServiceError, sent: Sent, part: int) -> list[int]:
        """Give the numbers of the parts whose loss may be why the completion was refused; all if nobody tells."""
        if passing(refusal) or isinstance(refusal, ConflictError):
            return []
        try:
            listed = self.remote.parts()
        except ServiceError as error:
            if error.transient:
                raise
            listed = {}
        numbers = range(1, sent.count + 1)
        if not listed:  # after a lost answer the upload may be gone because it is complete
            return list(numbers) if refusal.attempts == 1 else []
        return [number for number in numbers if listed.get(number, 0) not in (None, part)]

    def _send(self, every: Iterator[Part], there: Collection[int]) -> Sent:
        """Send all parts but the last and those that are there."""
        size = number = 0
        last: Part | None = None

        def numbered() -> Iterator[tuple[int, Part]]:
            nonlocal size, number, last
            for part in every:
                size += len(part)
                if last is not None:
                    number += 1
                    if number > MAX_PARTS:
                        raise FrameError(f"the file needs more than {MAX_PARTS} parts; raise part_bytes")
                    if number not in there:
                        yield number, last
                last = part

        self._carry(numbered())
        return Sent(size, number, last or b"", _tail(last or b""))

    def _carry(self, numbered: Iterable[tuple[int, Part]]) -> None:
        """Send parts side by side."""
        running: set[Future[Answer]] = set()
        with ThreadPoolExecutor(self.max_workers, thread_name_prefix="tsbulk-part") as pool:
            try:
                for number, part in numbered:
                    running.add(pool.submit(self._part, number, part))
                    del part
                    running = _finished(running, below=self.max_workers)  # before another is in memory
                _finished(running, below=1)
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                if not isinstance(error, Exception):
                    self.stop.now()  # after Ctrl-C nobody waits for parts under way
                raise

    def _part(self, number: int, part: Part) -> Answer:
        """Send one part."""
        return self.remote.put(part, self.headers, {"part": str(number)}, stop=self.stop)


def _tail(part: Part) -> bytes:
    """Give the last bytes of a part; of a file they are read before it is complete, as it may be changed after."""
    if isinstance(part, bytes):
        return part[-PROBE:]
    return part.part(max(part.start, part.stop - PROBE), part.stop).read()


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
