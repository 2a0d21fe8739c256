"""Doors a test puts before the sandbox's handlers: they count who is inside, keep a crowd together, kill a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
from watching import kind_of

from tsbulk_frames.sandbox import Answer
from tsbulk_frames.sandbox.server import connection


class Door:
    """Counts the requests of a kind that are under way at once, and keeps the first until so many are inside.

    Parameters
    ----------
    request : str
        See `watching.kind_of`.
    together : int
        How many to wait for; more than this must never come.
    """

    def __init__(self, request: str, together: int) -> None:
        self._request = request
        self._together = together
        self._inside = 0
        self.most = 0
        self.count = 0

    async def __call__(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if kind_of(scope["method"], scope["path"], scope["query_string"].decode("latin-1")) != self._request:
            await app(scope, receive, send)
            return
        self._inside += 1
        self.count += 1
        self.most = max(self.most, self._inside)
        try:
            for _ in range(1000):
                if self.most >= self._together:
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)  # because one too many must have time to come in
            await app(scope, receive, send)
        finally:
            self._inside -= 1


class Reaper:
    """Kills the process that sent the nth request of a kind, before the request is handled or after.

    Parameters
    ----------
    request : str
        See `watching.kind_of`.
    handled : bool
        Whether what was asked is done; told it is to nobody.
    among : callable
        Gives the processes of which one is to go.
    """

    def __init__(self, request: str, handled: bool, among: Callable[[], list[int]], nth: int = 1) -> None:
        self._request = request
        self._handled = handled
        self._among = among
        self._nth = nth
        self.killed: list[int] = []
        self._count = 0
        self._lock = threading.Lock()

    async def __call__(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        kind = kind_of(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
        self._count += kind == self._request
        if kind != self._request or self._count < self._nth or self.killed:
            await app(scope, receive, send)
            return
        port = scope["client"][1]
        pid = next(one for one in self._among() if port in ports_of(one))
        self.killed.append(pid)
        if self._handled:
            await app(scope, receive, _nobody)
        os.kill(pid, signal.SIGKILL)
        connection(scope).abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class Refusal:
    """Refuses the first request of a kind with 429 and a pause, and notes when that and all others came.

    Parameters
    ----------
    request : str
        See `watching.kind_of`.
    seconds : int
        What ``Retry-After`` says.
    """

    def __init__(self, request: str, seconds: int) -> None:
        self._request = request
        self._answer = Answer(429, headers={"Retry-After": str(seconds)})
        self.times: list[float] = []

    async def __call__(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        first = False
        if kind_of(scope["method"], scope["path"], scope["query_string"].decode("latin-1")) == self._request:
            first = not self.times
            self.times.append(time.monotonic())
        await (self._answer(app, scope, receive, send) if first else app(scope, receive, send))


async def _nobody(_: Any) -> None:
    """Where an answer goes that nobody is told."""


def ports_of(pid: int) -> set[int]:
    """Give the local ports of a process's connections."""
    return {one.laddr.port for one in psutil.Process(pid).net_connections("tcp")}
