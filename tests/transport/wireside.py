"""A clock that only moves when told, and a server on a real socket that answers what a test scripts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tsbulk_frames.auth import UserToken
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.transport import Transport


class Clock:
    """Seconds that pass by sleeping, or when told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Pass the time at once."""
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Seen:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]


@dataclass
class Server:
    """Answers each request by `script`, which gets the handler and the request."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    script: Callable[[BaseHTTPRequestHandler, Seen], None] = lambda handler, _: reply(handler, 200, b"ok")


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Send a whole answer; underscores in header names become hyphens."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def clock() -> Clock:
    """Give a fresh clock."""
    return Clock()


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server on a free port of this machine."""
    yield from open_server()


def open_server() -> Iterator[Server]:
    """Run one more."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version: ClassVar[str] = "test"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Seen(self.command, self.path, dict(self.headers.items()), body, self.client_address)
            state.seen.append(request)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                state.script(self, request)

        do_GET = do_PUT = do_POST = do_DELETE = do_CONNECT = answer

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.block_on_close = False
        state.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        running.shutdown()
        thread.join(5)


@pytest.fixture
def connect(clock: Clock) -> Iterator[Callable[..., Transport]]:
    """Build transports on the test's clock; they are closed at the end."""
    opened = []

    def make(url: str = "https://gateway.test", credentials: object = None, **settings: object) -> Transport:
        config = RestClientConfig(host_url=url, **settings)
        transport = Transport(config, credentials or UserToken("t0ken-of-user"), clock=clock, sleep=clock.sleep)
        opened.append(transport)
        return transport

    yield make
    for transport in opened:
        transport.close()
