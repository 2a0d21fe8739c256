"""What can go wrong with one request: actions between the network and the handlers, which know nothing of them.

Each does only what the real service, its gateway or the way there may do as well. All end when their client leaves.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Literal, Protocol

from starlette.responses import Response

from tsbulk_frames.sandbox.model import BENT, Rules
from tsbulk_frames.sandbox.server import connection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "REVOKE",
    "Action",
    "Answer",
    "Bend",
    "Cut",
    "Delay",
    "Drip",
    "Drop",
    "Hang",
    "Reply",
    "Revoke",
    "Rewrite",
    "Throttle",
]

REVOKE = "sandbox.revoke"
"""Extension of a request's scope: makes all tokens worthless."""
BENDABLE = ("job_error", "job_seconds", "listing_lag")
"""The rules that one request can have otherwise."""
_LOOK_SECONDS = 0.02


class Action(Protocol):
    """What a fault does to one request; it may call `app`, the untroubled rest of the sandbox."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or leave it unanswered."""


@dataclass(frozen=True)
class Answer:
    """Answer this, in place of the work or of what the work would have answered.

    Parameters
    ----------
    status : int
        HTTP status.
    body : str or bytes or dict or list
        A dict or list becomes JSON.
    headers : mapping
        For example ``{"Retry-After": "1"}``.
    after_work : bool
        Do the work all the same, as behind a gateway that gave up waiting for it.
    """

    status: int
    body: str | bytes | dict[str, Any] | list[Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after_work: bool = False

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self.after_work:
            await app(scope, receive, _swallow)
        structured = isinstance(self.body, dict | list)
        content = json.dumps(self.body) if isinstance(self.body, dict | list) else self.body
        media_type = "application/json" if structured else "text/html"
        await Response(content, self.status, dict(self.headers), media_type)(scope, receive, send)


@dataclass(frozen=True)
class Throttle:
    """Answer 429.

    Parameters
    ----------
    seconds : int or None
        What ``Retry-After`` asks for; None: there is none.
    date : bool
        Ask for a moment (an HTTP date, with ``Date`` beside it) instead of seconds.
    """

    seconds: int | None = None
    date: bool = False

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        headers = {}
        if self.seconds is not None:
            headers["Retry-After"] = str(self.seconds)
            if self.date:
                now = time.time()
                headers = {
                    "Retry-After": formatdate(now + self.seconds, usegmt=True),
                    "Date": formatdate(now, usegmt=True),
                }
        body = {"errors": [{"code": "mdsp.TooManyRequests", "message": "rate limit exceeded"}]}
        await Answer(429, body, headers)(app, scope, receive, send)


@dataclass(frozen=True)
class Delay:
    """Wait, then do the work as usual."""

    seconds: float

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if await _stays(scope, self.seconds):
            await app(scope, receive, send)
        else:
            await _gone(receive)


@dataclass(frozen=True)
class Hang:
    """Take the request and say nothing, until the client leaves or the gateway cuts.

    Parameters
    ----------
    seconds : float
        After so many the gateway answers 504; or, when a part of the answer is out already, closes the connection.
    after_work : bool
        Do the work before: done, but not told.
    answered : float
        Share of the answer's body that comes before it stands still; above 0 the work is done.
    """

    seconds: float = 60.0
    after_work: bool = False
    answered: float = 0.0

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self.answered:
            await _begin(await Reply.of(app, scope, receive), self.answered, send)
        elif self.after_work:
            await app(scope, receive, _swallow)
        else:
            await _drain(receive)
        if await _stays(scope, self.seconds) and not self.answered:
            await Answer(504, "<html><h1>504 Gateway Time-out</h1></html>")(app, scope, receive, send)
            return
        connection(scope).close()
        await _gone(receive)


@dataclass(frozen=True)
class Drop:
    """Close the connection without a word: before the work is done, or after it (done, but not told).

    Parameters
    ----------
    after_work : bool
        Do the work before.
    answered : float
        Share of the answer's body that is sent before; above 0 the work is done. 1: all of it, so that the connection
        turns out to be closed when it is used again.
    reset : bool
        With a TCP reset, as when nobody listens; before the work not even the request is read then.
    """

    after_work: bool = False
    answered: float = 0.0
    reset: bool = False

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        line = connection(scope)
        if self.answered:
            reply = await Reply.of(app, scope, receive)
            await _begin(reply, self.answered, send)
            if self.answered >= 1.0:
                await send({"type": "http.response.body", "body": b""})
                line.close()  # unlike abort: what was sent so far still arrives
                return
        elif self.after_work:
            await app(scope, receive, _swallow)
        if self.reset and not line.is_closing():
            line.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.abort()
        await _gone(receive)


@dataclass(frozen=True)
class Cut:
    """Do the work, send the beginning of the answer's body and close the connection.

    Parameters
    ----------
    size : int or float
        Bytes that are sent; a float is a share of the body.
    length : {"whole", "sent", "chunked"}
        What is announced: the length of the whole answer; that of what is sent, so that only the content tells; or
        none, in chunks of which the last is missing.
    """

    size: int | float
    length: Literal["whole", "sent", "chunked"] = "whole"

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        reply = await Reply.of(app, scope, receive)
        size = self.size if isinstance(self.size, int) else int(len(reply.body) * self.size)
        if self.length == "sent":
            reply.body = reply.body[:size]
            await reply.send(send)
            return
        await send(reply.start(chunked=self.length == "chunked"))
        await send({"type": "http.response.body", "body": reply.body[:size], "more_body": True})
        connection(scope).close()  # unlike abort: what was sent so far still arrives
        await _gone(receive)


@dataclass(frozen=True)
class Drip:
    """Do the work, and send the answer's body in so many pieces with so many seconds between them."""

    pieces: int = 10
    pause: float = 0.01

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        reply = await Reply.of(app, scope, receive)
        await send(reply.start())
        for number in range(self.pieces):
            first, stop = (len(reply.body) * edge // self.pieces for edge in (number, number + 1))
            await send({"type": "http.response.body", "body": reply.body[first:stop], "more_body": True})
            if not await _stays(scope, self.pause):
                await _gone(receive)
                return
        await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True)
class Rewrite:
    """Do the work, then let `change` alter the answer; a JSON answer comes parsed as ``reply.json``."""

    change: Callable[[Reply], None]

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        reply = await Reply.of(app, scope, receive)
        reply.gzip_accepted = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
        self.change(reply)
        await reply.send(send)


@dataclass(frozen=True)
class Revoke:
    """Make every token issued so far worthless, then do the work: the request itself is the first to be refused."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        scope["extensions"][REVOKE]["revoke"]()
        await app(scope, receive, send)


class Bend:
    """Do the work of this one request by other `Rules`.

    Parameters
    ----------
    **rules : float or str
        ``listing_lag`` (for a listing), ``job_seconds`` and ``job_error`` (for the creation of a job).

    Examples
    --------
    >>> from tsbulk_frames.sandbox import Bend, Fault
    >>> Fault(Bend(job_error="internal error"), "POST", r"/importJobs$", nth=2).action
    Bend(job_error='internal error')
    """

    def __init__(self, **rules: float | str) -> None:
        known = {one.name for one in fields(Rules)} & set(BENDABLE)
        if not rules or not known.issuperset(rules):
            raise ValueError(f"{sorted(rules)} cannot be bent for one request; accepted are {', '.join(BENDABLE)}")
        self.rules = rules

    def __repr__(self) -> str:
        return f"Bend({', '.join(f'{name}={value!r}' for name, value in self.rules.items())})"

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await app({**scope, "extensions": {**scope["extensions"], BENT: self.rules}}, receive, send)


@dataclass
class Reply:
    """A whole answer, to be altered in place.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : dict
        Names in lower case; ``content-length`` follows `body` by itself.
    body : bytes
        As it is sent.
    gzip_accepted : bool
        Whether the client said that it accepts gzip.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    gzip_accepted: bool = False

    @classmethod
    async def of(cls, app: ASGIApp, scope: Scope, receive: Receive) -> Reply:
        """Keep back what `app` answers."""
        reply = cls(500, {}, b"")
        chunks: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in message["headers"]}
            else:
                chunks.append(bytes(message.get("body", b"")))

        await app(scope, receive, keep)
        reply.body = b"".join(chunks)
        return reply

    @property
    def json(self) -> Any:
        """The body, parsed; assign to replace it. None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @json.setter
    def json(self, document: object) -> None:
        self.body = json.dumps(document, ensure_ascii=False).encode()

    def start(self, *, chunked: bool = False) -> Message:
        """First ASGI message, its length right again, or left out so that the body goes in chunks."""
        headers = dict(self.headers)
        if chunked:
            headers.pop("content-length", None)
        elif self.status not in (204, 304):
            headers["content-length"] = str(len(self.body))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return {"type": "http.response.start", "status": self.status, "headers": raw}

    async def send(self, send: Send) -> None:
        """Send it whole."""
        await send(self.start())
        await send({"type": "http.response.body", "body": self.body})


async def _begin(reply: Reply, share: float, send: Send) -> None:
    """Send the first share of an answer."""
    await send(reply.start())
    await send({"type": "http.response.body", "body": reply.body[: int(len(reply.body) * share)], "more_body": True})


async def _stays(scope: Scope, seconds: float) -> bool:
    """Wait; False as soon as the client has left: one that gave up need not be waited for."""
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    while (left := due - loop.time()) > 0:
        if connection(scope).is_closing():
            return False
        await asyncio.sleep(min(left, _LOOK_SECONDS))
    return not connection(scope).is_closing()


async def _drain(receive: Receive) -> None:
    """Read the request to its end, and forget it."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


async def _swallow(_: Message) -> None:
    """Where an answer goes that nobody is told."""


async def _gone(receive: Receive) -> None:
    """Wait until the server has seen the connection end, or it would try to answer on it."""
    while (await receive())["type"] != "http.disconnect":
        pass
