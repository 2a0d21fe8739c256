"""What the sandbox is asked, seen before its handlers: noted, and a process killed at the request that was chosen."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from tsbulk_frames.sandbox.server import connection

Moment = Literal["unsent", "untold", "told"]
MOMENTS: tuple[Moment, ...] = ("unsent", "untold", "told")
_PATIENCE = 90.0


@dataclass(frozen=True)
class Kill:
    """When a life ends: `seconds` after its start, or at the `nth` request of a kind.

    Of a request, ``unsent``: nothing is done; ``untold``: done, but never answered; ``told``: `seconds` after the
    answer was sent.
    """

    seconds: float = 0.0
    request: str = ""
    nth: int = 1
    moment: Moment = "told"

    def __str__(self) -> str:
        if not self.request:
            return f"after {self.seconds:.3f} s"
        late = f" + {self.seconds * 1e3:.0f} ms" if self.moment == "told" else ""
        return f"{self.request} {self.nth} {self.moment}{late}"


@dataclass
class Seen:
    """A request as the sandbox saw it."""

    life: int
    request: str
    begun: float
    partition: str = ""
    job: str | None = None


def kind_of(method: str, path: str, query: str) -> str:
    """Name a request by what it is for."""
    if "/importJobs" in path:
        return f"{method} job"
    if "/fileslist/" in path:
        return "GET parts"
    if "/files/" in path:
        for word in ("upload=start", "part=", "upload=complete", "upload=abort"):
            if word in query:
                return f"PUT {word.removeprefix('upload=').strip('=')}"
        return "GET files" if method == "GET" and path.count("/") == 5 else f"{method} file"
    if "/timeseries/" in path:
        return "GET records"
    return "GET asset" if "/assets/" in path else "token"


class Watch:
    """Sees every request of the sandbox before its handler: notes it, and kills at the one that was chosen."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.life = 0
        self._kill: Kill | None = None
        self._pid: int | None = None
        self._known = threading.Event()
        self._count = 0
        self.held = threading.Event()
        """Somebody waits at the request that is held up."""
        self._hold = ""

    def hold(self, request: str) -> None:
        """Answer no request of this kind before `release`."""
        self.held.clear()
        self._hold = request

    def release(self) -> None:
        """Hold nobody up any more."""
        self._hold = ""

    def begin(self, kill: Kill | None) -> None:
        """Start a new life, of which the process is not known yet."""
        self._known.clear()
        self._pid, self._kill, self._count = None, kill if kill is not None and kill.request else None, 0
        self.life += 1

    def follow(self, pid: int | None) -> None:
        """Know the process; None: there is none any more, and nobody to be killed."""
        self._pid = pid
        if pid is None:
            self._kill = None
        self._known.set()

    async def __call__(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        request = kind_of(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
        seen = Seen(self.life, request, time.time())
        self.seen.append(seen)
        while self._hold == request:
            self.held.set()
            await asyncio.sleep(0.01)
            if connection(scope).is_closing():
                await _gone(receive)
                return
        kill = self._kill
        if kill is not None and kill.request == request:
            self._count += 1
        due = kill is not None and kill.request == request and self._count == kill.nth
        if request == "POST job":
            receive, send = self._reading(seen, receive), self._hearing(seen, send)
        if kill is None or not due:
            await app(scope, receive, send)
        elif kill.moment == "told":
            await app(scope, receive, send)
            threading.Timer(kill.seconds, self.strike).start()
        else:
            if kill.moment == "untold":
                await app(scope, receive, self._hearing(seen, _nobody))
            self.strike()
            connection(scope).abort()
            await _gone(receive)

    def strike(self) -> None:
        """Kill the process of this life."""
        self._known.wait(_PATIENCE)
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)

    @staticmethod
    def _reading(seen: Seen, receive: Any) -> Any:
        """Read along which partition is asked for."""
        body = bytearray()

        async def read() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            if message["type"] == "http.request" and not message.get("more_body"):
                seen.partition = json.loads(bytes(body))["data"][0]["timeseriesFiles"][0]["from"]
            return message

        return read

    @staticmethod
    def _hearing(seen: Seen, send: Any) -> Any:
        """Hear which job was made, told or not."""
        body = bytearray()

        async def hear(message: Any) -> None:
            body.extend(message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body"):
                document = json.loads(bytes(body) or b"{}")
                seen.job = document.get("id") if "startTime" in document else None
            await send(message)

        return hear


async def _nobody(_: Any) -> None:
    """Where an answer goes that nobody is told."""


async def _gone(receive: Any) -> None:
    """Wait until the server has seen the connection end, or it would try to answer on it."""
    while (await receive())["type"] != "http.disconnect":
        pass
