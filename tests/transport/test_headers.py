"""Headers of an answer that make no sense: a typed error or no matter, never another exception, never a wrong body."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler

import pytest
from wireside import Clock, Seen, Server

from tsbulk_frames.errors import ThrottledError, TransportError
from tsbulk_frames.retry import LONGEST_ASKED, retry_after
from tsbulk_frames.stored import parse_etag
from tsbulk_frames.transport import Transport

Connect = Callable[..., Transport]
SMALL, LARGE = b"x" * 10, b"y" * 400_000
"""The latter goes into memory of its own, whose size is what is told."""


@pytest.fixture
def answer(server: Server, connect: Connect) -> Callable[..., bytes]:
    """Give what sends a head and a body as they are, and reads them; the connection ends behind them."""

    def ask(body: bytes, *head: str, method: str = "GET", **settings: object) -> bytes:
        def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
            lines = "".join(f"{line}\r\n" for line in head)
            handler.wfile.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("latin-1") + body)
            handler.close_connection = True

        server.script = script
        with closing(connect(server.url, max_attempts=2, **settings)) as transport:
            return transport.request(method, ["x"], retry="unsent" if method == "POST" else "always").data

    return ask


ABSURD = [
    "9" * 5000,
    "9" * 19,
    "-5",
    "-" + "9" * 5000,
    "ten",
    "",
    "+10",
    "1_0",
    "0x0a",
    "1e1",
    "\xb2",
    "10.0",
    "10;q=1",
]


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("length", ABSURD, ids=lambda text: text[:8])
def test_a_length_that_is_none_is_no_answer(
    server: Server, answer: Callable[..., bytes], body: bytes, length: str
) -> None:
    """Nobody knows where such a body ends: asked for again, then an error that shows it, in short."""
    with pytest.raises(TransportError, match="Content-Length") as caught:
        answer(body, f"Content-Length: {length}")
    assert (caught.value.attempts, len(server.seen)) == (2, 2)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("lengths", [("10", "11"), ("10, 11",), ("400000, 10",)])
def test_two_lengths_are_no_answer(server: Server, answer: Callable[..., bytes], lengths: tuple[str, ...]) -> None:
    """It was the answer that was wrong, not the request: that may have been carried out."""
    with pytest.raises(TransportError, match="Content-Length") as caught:
        answer(SMALL, *(f"Content-Length: {length}" for length in lengths), method="POST")
    assert (caught.value.unknown_outcome, len(server.seen)) == (True, 1)


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_one_length_told_twice_is_one(answer: Callable[..., bytes], body: bytes) -> None:
    """As proxies do."""
    assert answer(body, f"Content-Length: {len(body)}, {len(body)}") == body


def test_more_than_was_told_is_no_answer(answer: Callable[..., bytes]) -> None:
    """Where the length is told in a way only we read."""
    with pytest.raises(TransportError, match="more than the 300000 bytes"):
        answer(LARGE, "Content-Length: 300000, 300000")


@pytest.mark.parametrize("length", ["300000", "400000", "500000", "9" * 5000, "-1", "ten"], ids=lambda text: text[:8])
def test_in_chunks_the_length_does_not_count(answer: Callable[..., bytes], length: str) -> None:
    """Neither a smaller nor a larger one, nor none at all."""
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE)
    assert answer(chunks, "Transfer-Encoding: chunked", f"Content-Length: {length}") == LARGE


def test_a_length_larger_than_allowed_is_read_no_further(answer: Callable[..., bytes]) -> None:
    """What is told is never taken for memory to get."""
    with pytest.raises(TransportError, match="IncompleteRead"):
        answer(SMALL, "Content-Length: " + "9" * 18)


def test_a_compressed_body_has_the_length_of_what_is_sent(answer: Callable[..., bytes]) -> None:
    """Not of what comes out."""
    packed = gzip.compress(LARGE)
    assert answer(packed, "Content-Encoding: gzip", f"Content-Length: {len(packed)}") == LARGE


PAST, FUTURE = "Wed, 31 Dec 1969 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("9" * 5000, None),
        ("1e300", LONGEST_ASKED),
        ("100000", LONGEST_ASKED),
        ("3599", 3599),
        (FUTURE, LONGEST_ASKED),
        (PAST, None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 99 Jan 2026 77:00:00 GMT", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
    ],
    ids=lambda text: str(text)[:12],
)
def test_a_pause_asked_for_is_believable(asked: str, seconds: float | None) -> None:
    """An hour at most; what is no time at all is none."""
    assert retry_after({"Retry-After": asked}, now=0.0) == seconds


def test_an_absurd_pause_ends(server: Server, connect: Connect, clock: Clock) -> None:
    """It keeps all from the gateway as other pauses do, and not for good."""

    def throttled(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        handler.wfile.write(b"HTTP/1.1 429 Slow\r\nRetry-After: 1e300\r\nContent-Length: 0\r\n\r\n")
        server.script = lambda handler, _: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server.script = throttled
    transport = connect(server.url, max_attempts=1)
    with pytest.raises(ThrottledError) as caught:
        transport.request("GET", ["x"])
    assert caught.value.retry_after == LONGEST_ASKED
    with pytest.raises(ThrottledError):
        transport.request("GET", ["x"])
    clock.now += LONGEST_ASKED
    assert transport.request("GET", ["x"]).data == b"ok"
    assert len(server.seen) == 2


@pytest.mark.parametrize("etag", ["9" * 5000, "-1", "\xb2", "1.5", "1e3", "", '"', "W/", True, 1.0, None, math.inf])
def test_an_etag_that_is_none_is_unknown(etag: object) -> None:
    """Never an exception, never a number that nobody sent."""
    assert parse_etag(etag) in (None, 1) if etag is True else parse_etag(etag) is None
