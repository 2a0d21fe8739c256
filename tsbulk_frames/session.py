"""The pooled session beneath the transport: what ``requests`` must not do by itself, and what its errors mean.

`Deadline` bounds what it does: the sum of all waits on a socket, where its timeouts bound each wait.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy

import requests
import requests.auth
import urllib3.exceptions

from tsbulk_frames._cut import PageBody
from tsbulk_frames.stop import POOL_CLASSES

__all__ = [
    "Answer",
    "Bearer",
    "Deadline",
    "TooLarge",
    "bare",
    "chunks_of",
    "never_sent",
    "overrun",
    "prepare_session",
    "unusable",
    "whole_body",
]

CHUNK = 1 << 20
"""Bytes read from the socket at most before deadline and size are looked at again."""
_SMALL_CHUNK = 1 << 16
_LARGE = 1 << 18
_DIGITS = 18
"""What 64 bits always hold: no body is longer."""
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : mapping of str to str
        Looked up in any case.
    content : bytes or mmap
        The whole body, decompressed; a large one outside of the heap.
    data : bytes
        The same as bytes.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: PageBody = field(repr=False)

    @property
    def data(self) -> bytes:
        """The body as bytes."""
        return self.content[:]


class Deadline:
    """The end of the time for one try of a request, body included.

    Parameters
    ----------
    seconds : float
        From now.
    read_timeout : float
        Seconds a single wait for the answer may take.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, seconds: float, read_timeout: float, clock: Callable[[], float]) -> None:
        self._read_timeout = read_timeout
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds left.

        Raises
        ------
        TimeoutError
            None are.
        """
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError("not done in time")
        return left

    def wait(self) -> float:
        """Seconds a single wait for the answer may take now; raises like `left`."""
        return min(self._read_timeout, self.left())

    @property
    def over(self) -> bool:
        """Whether no time is left; sockets are woken by the millisecond."""
        return self._end - self._clock() < 0.002


def chunks_of(response: requests.Response, size: int, deadline: Deadline) -> Iterator[bytes]:
    """Give the body, decompressed, as it comes: waiting for full chunks, a trickle would outlive any deadline.

    Raises
    ------
    OSError, urllib3.exceptions.HTTPError
        It broke off, or did not come in time.
    """
    raw = response.raw
    packed = response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate")
    unpack = _Unpacking(size) if packed else None
    while True:
        deadline.left()
        chunk: bytes = raw.read1(size, decode_content=False)
        if not chunk:
            break
        yield from unpack.feed(chunk) if unpack else [chunk]
    if unpack:
        unpack.end()


class _Unpacking:
    """Decompression that notices a missing end, which urllib3 does not, and gives no more than `size` bytes at once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Decompress; after the end there may be more members, or zeros."""
        self._begun = True
        try:
            while chunk:
                if self._member.eof:
                    chunk = chunk.lstrip(b"\0")
                    if not chunk:
                        return
                    self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
                if found := self._member.decompress(chunk, self._size):
                    yield found
                chunk = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as error:
            raise urllib3.exceptions.DecodeError(f"the compressed body is broken: {error}") from None

    def end(self) -> None:
        """Complain where the end is missing; a body of no bytes at all has none."""
        if self._begun and not self._member.eof:
            raise urllib3.exceptions.DecodeError("the compressed body ends before its end")


class TooLarge(Exception):
    """An answer beyond ``max_answer_bytes``: raised between two chunks, gone before anybody sees it."""


def whole_body(response: requests.Response, limit: int, deadline: Deadline) -> PageBody:
    """Read the body, as long as it is not too large.

    A large one goes into pages of memory of its own: on the heap, what several threads free by turns is kept by the
    allocator, and streaming would need several times its bound.

    Raises
    ------
    TooLarge
        It has more than `limit` bytes.
    OSError, urllib3.exceptions.HTTPError
        See `chunks_of`.
    """
    told = _length_told(response.headers)
    whole = mmap.mmap(-1, told) if told is not None and _LARGE <= told <= limit else None
    chunks: list[bytes] = []
    size = 0
    for chunk in chunks_of(response, CHUNK if whole is None else _SMALL_CHUNK, deadline):
        if whole is None:
            chunks.append(chunk)
        elif size + len(chunk) > len(whole):
            raise ConnectionError(f"the body has more than the {len(whole)} bytes that were told")
        else:
            whole[size : size + len(chunk)] = chunk
        size += len(chunk)
        if size > limit:
            raise TooLarge(
                f"the answer is larger than max_answer_bytes={limit}; ask for less (a shorter range, a limit, a "
                "byte range) or raise max_answer_bytes"
            )
    if whole is not None:
        if size != len(whole):
            raise ConnectionError(f"the body ended after {size} of {len(whole)} bytes")
        return whole
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _length_told(headers: Mapping[str, str]) -> int | None:
    """Read the length of a body as it will come out; None where it is not told, in chunks or compressed.

    Raises
    ------
    ConnectionError
        What is told is no length: then nobody knows where the body ends.
    """
    told = headers.get("Content-Length")
    if told is None or "Transfer-Encoding" in headers:
        return None
    one, *others = {value.strip() for value in told.split(",")}  # proxies have been seen to tell it twice
    if others or not one.isascii() or not one.isdecimal() or len(one) > _DIGITS:
        raise ConnectionError(f"the answer has Content-Length: {told[:40]!r}, which is no length")
    return None if "Content-Encoding" in headers else int(one)


def prepare_session(session: requests.Session, connections: int) -> requests.Session:
    """Take from a session what is decided elsewhere: proxies and ~/.netrc, cookies, retries.

    Parameters
    ----------
    session : requests.Session
        A new one.
    connections : int
        How many sockets to keep open.
    """
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_maxsize=connections, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections that can be ended from another thread."""

    def init_poolmanager(self, *args: object, **more: object) -> None:
        super().init_poolmanager(*args, **more)  # type: ignore[arg-type]
        self.poolmanager.pool_classes_by_scheme = POOL_CLASSES

    def proxy_manager_for(self, *args: object, **more: object) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **more)  # type: ignore[arg-type]
        manager.pool_classes_by_scheme = POOL_CLASSES
        return manager

    def close(self) -> None:
        """Close the sockets now: a pool merely let go of keeps them as long as an error's traceback holds it."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 (it cannot be iterated over, as others may change it)
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()


class Bearer(requests.auth.AuthBase):
    """Sets the token as an auth object, because requests would replace a mere header by what ~/.netrc says."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


_UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
"""What requests raises for an address, a header or a proxy it cannot work with."""


def unusable(error: BaseException) -> bool:
    """Whether the request could not be put together, so that nothing was sent; a header may be the answer's as well."""
    answered = isinstance(error.args[0] if error.args else None, urllib3.exceptions.InvalidHeader)
    return isinstance(error, _UNUSABLE) and not answered


def never_sent(error: BaseException) -> bool:
    """Whether no connection came about, so that the service cannot have seen the request."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def overrun(error: BaseException, deadline: Deadline) -> str:
    """Name the setting whose time has run out; empty when it was not time that ended a try."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "request_deadline" if deadline.over else "connect_timeout"
    if isinstance(error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return "request_deadline" if deadline.over else "read_timeout"
    if any(isinstance(one, TimeoutError) for one in _causes(error)):
        return "request_deadline" if deadline.over else "connect_timeout"
    return ""


def bare(error: Exception, text: str) -> Exception:
    """Give an error of the same kind with nothing but a text: the original holds the request, and that the token."""
    return type(error)(text) if isinstance(error, requests.RequestException) else ConnectionError(text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all that it was made from."""
    yield error
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
