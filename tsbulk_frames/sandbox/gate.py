"""What every request passes before its handler: the log, the slow line, the check of its token."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect

from tsbulk_frames.sandbox.refusals import refuse
from tsbulk_frames.sandbox.server import connection
from tsbulk_frames.sandbox.tokens import APP_TOKEN_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tsbulk_frames.sandbox.tokens import TokenIssuer

__all__ = ["Authorized", "Recorded", "RequestRecord", "SlowLine"]

_KEPT_REQUESTS = 100_000
_SLICE_SECONDS = 0.02


@dataclass(slots=True)
class RequestRecord:
    """One request that came in.

    Attributes
    ----------
    method : str
        In capitals.
    path : str
        Percent-decoded.
    query : str
        As it was sent, percent-encoded, without the ``?``.
    status : int or None
        Of the answer as the client could see it; None while there is none, or when the connection was dropped.
    """

    method: str
    path: str
    query: str
    status: int | None = None

    @property
    def params(self) -> dict[str, str]:
        """The query, decoded; of a repeated name the last value."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


class Recorded:
    """Keep what was asked, in order of arrival."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._records: deque[RequestRecord] = deque(maxlen=_KEPT_REQUESTS)

    @property
    def records(self) -> list[RequestRecord]:
        """The latest requests, oldest first."""
        return list(self._records)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        record = RequestRecord(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
        self._records.append(record)

        async def noted(message: Message) -> None:
            gone = connection(scope).is_closing()  # an answer that nobody gets is none
            if message["type"] == "http.response.start" and not gone:
                record.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except (ClientDisconnect, asyncio.CancelledError):
            if not connection(scope).is_closing():
                raise
            # else nobody is left to answer


class SlowLine:
    """Play a distant gateway: seconds of latency per request, bytes per second of each connection, both ways."""

    def __init__(self, app: ASGIApp, *, latency: float, bandwidth: float | None) -> None:
        self._app = app
        self._latency = latency
        self._bandwidth = bandwidth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self._latency:
            await asyncio.sleep(self._latency)
        if self._bandwidth is None:
            await self._app(scope, receive, send)
        else:
            # HTTP/1.1 answers one request of a connection at a time, so pacing each request paces the connection.
            line = _Line(self._bandwidth)
            await self._app(scope, line.slow_receive(receive), line.slow_send(send))


class _Line:
    """One request's share of its connection."""

    def __init__(self, bandwidth: float) -> None:
        self._bandwidth = bandwidth
        self._slice = max(1, int(bandwidth * _SLICE_SECONDS))
        self._free_at = 0.0

    async def _carry(self, size: int) -> None:
        """Wait until `size` more bytes would have passed."""
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + size / self._bandwidth
        await asyncio.sleep(self._free_at - loop.time())

    def slow_receive(self, receive: Receive) -> Receive:
        """Bodies arrive at the line's pace: what is not read yet stays with the sender."""

        async def paced() -> Message:
            message = await receive()
            await self._carry(len(message.get("body", b"")))
            return message

        return paced

    def slow_send(self, send: Send) -> Send:
        """Bodies leave in slices at the line's pace."""

        async def paced(message: Message) -> None:
            body = memoryview(message.get("body", b""))
            while len(body) > self._slice:
                await self._carry(self._slice)
                await send({"type": message["type"], "body": bytes(body[: self._slice]), "more_body": True})
                body = body[self._slice :]
            await self._carry(len(body))
            await send({**message, "body": bytes(body)} if body else message)

        return paced


class Authorized:
    """Let only requests with a good token through to ``/api/``; the token services themselves stay open."""

    def __init__(self, app: ASGIApp, *, tokens: TokenIssuer, clock: Callable[[], float]) -> None:
        self._app = app
        self._tokens = tokens
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        path = scope["path"]
        if path.startswith("/api/") and path != APP_TOKEN_PATH:
            header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            reason = self._tokens.check(header.decode("latin-1"))
            if reason is not None:
                answer = refuse(
                    "", 401, reason, now=self._clock(), headers={"WWW-Authenticate": 'Bearer realm="sandbox"'}
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
