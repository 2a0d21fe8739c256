"""The real socket: uvicorn in a thread of its own, ready when `start` returns and gone when `close` returns."""

from __future__ import annotations

import asyncio
import http
import ipaddress
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tsbulk_frames.sandbox.refusals import refuse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

__all__ = ["Server", "check_host", "connection"]

_TRANSPORT = "sandbox.transport"

_ACCEPTING_STEPS = 8
"""Turns of the loop, more than it takes, until what was accepted just before the end has become a connection."""
_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.002
_WAKE_SECONDS = 1.0
_KEEP_ALIVE_SECONDS = 75
_MAX_HEAD = 65_536
_LINGER_SECONDS = 2.0
_TOO_LARGE = f"the request line and its headers have over {_MAX_HEAD} bytes; send less of them"


class _Protocol(HttpToolsProtocol):
    """HTTP connection with a bound on what comes before and behind a body.

    It hands its transport to the application: ASGI itself has no way to drop one.
    """

    _head = 0
    """Bytes of this request's line and headers."""
    _held = 0
    """Bytes that the parser keeps back until it has seen the end of something."""
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # asyncio does this only where the listening socket names its protocol; without, each answer waits 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._held += len(data)
        super().data_received(data)
        if self._held > _MAX_HEAD:
            self._refuse(431)

    def on_message_begin(self) -> None:
        self._head = self._held = 0
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        self._refuse(431 if self._head > _MAX_HEAD else 400)

    def _count(self, size: int) -> None:
        """Bound what is kept of a request before anybody looks at it."""
        self._head += size
        self._held = 0
        if self._head > _MAX_HEAD:
            raise ValueError("too large a head")  # comes back as `send_400_response`

    def _refuse(self, status: int) -> None:
        """Answer what no handler gets to see, and go on taking, or the answer would be lost with what is under way."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        message = _TOO_LARGE if status == 431 else "this is no HTTP request"
        answer = refuse("", status, message, now=0.0, headers={"Connection": "close"})
        phrase = http.HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {phrase}".encode(), *(b": ".join(header) for header in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*lines, b"", answer.body]))
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)


class _Uvicorn(uvicorn.Server):
    """Uvicorn that says when it listens and stops when told: nobody polls."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready.set()
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running requests end, for a while; unlike the original this takes no longer than they need."""
        await self._accept_no_more()
        connections, tasks = self.server_state.connections, self.server_state.tasks
        for open_connection in list(connections):
            open_connection.shutdown()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _GRACE_SECONDS
        await asyncio.sleep(0)
        while (connections or tasks) and loop.time() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
        for open_connection in list(connections):
            open_connection.transport.abort()
        await asyncio.sleep(0)  # so that a request knows that its connection is gone before it is cancelled
        for task in tasks:
            task.cancel()

    async def _accept_no_more(self) -> None:
        """Close what listens once all that was accepted is a connection: before, it would be nobody's and stay open."""
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listening in server.sockets:
                with suppress(NotImplementedError):  # a loop that has other means than readers
                    loop.remove_reader(listening.fileno())
        for _ in range(_ACCEPTING_STEPS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    def stop(self) -> None:
        """End the main loop, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)


def connection(scope: Scope) -> asyncio.Transport:
    """Find the connection that a request came by, so that a fault can really close it."""
    transport: asyncio.Transport = scope["extensions"][_TRANSPORT]["transport"]
    return transport


def check_host(host: str, *, allow_remote: bool) -> None:
    """Refuse to listen beyond this machine unless told to.

    Raises
    ------
    ValueError
        Not a loopback address, and `allow_remote` is False.
    """
    if allow_remote or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            f"host={host!r} is reachable from other machines and the sandbox is no hardened server; "
            "use '127.0.0.1', or pass allow_remote=True if that is what you want"
        )


class Server:
    """One application on one socket.

    Parameters
    ----------
    app : ASGI application
        What answers.
    host : str
        Address to bind.
    port : int
        0 picks a free one.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=256)
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._uvicorn = _Uvicorn(config)
        bound: str
        bound, self._port = self._socket.getsockname()[:2]
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, bound)  # noqa: S104 (compared, not bound)
        self._host = f"[{reachable}]" if ":" in reachable else reachable
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sandbox:{self._port}", daemon=True)

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        return f"http://{self._host}:{self._port}"

    def start(self) -> None:
        """Answer requests from now on.

        Raises
        ------
        RuntimeError
            The server could not start; its thread has said why on standard error.
        """
        self._thread.start()
        self._uvicorn.ready.wait()
        if not self._uvicorn.started:
            self.close()
            raise RuntimeError(f"the server for {self.url} did not start; the error of its thread says why")

    def wait(self) -> None:
        """Block while the server runs; an interrupt leaves it running."""
        # No join, because an interrupted one takes the thread for ended; woken, because Windows interrupts no wait.
        while not self._ended.wait(_WAKE_SECONDS):
            pass

    def close(self) -> None:
        """Finish what is running, close every connection and join the thread."""
        if self._thread.ident is not None:
            self._uvicorn.ready.wait()  # before that there is no loop to be told
            self._uvicorn.stop()
            self._ended.wait()
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        """Body of the thread: a loop of its own, whatever the caller's thread does."""
        try:
            asyncio.run(self._uvicorn.serve([self._socket]))
        finally:
            self._uvicorn.ready.set()
            self._ended.set()
