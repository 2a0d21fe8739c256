"""Ending requests under way: after Ctrl-C or an early ``break`` nobody waits for the network, and never too long.

A thread that waits on a socket hears nothing else; so its socket is shut down under it. The connections made here
know their socket for that, and let no read wait longer than `patience` allows.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3.connection
import urllib3.connectionpool

__all__ = ["POOL_CLASSES", "Stop", "patience"]

_current = threading.local()


class Stop:
    """A switch that ends the requests made under it, and pauses between them, at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._wakers: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        """Whether the switch was thrown."""
        return self._asked.is_set()

    def now(self) -> None:
        """End everything under way, and whatever is begun later."""
        self._asked.set()
        with self._lock:
            for one in self._sockets:
                _shut(one)
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def sleep(self, seconds: float) -> None:
        """Pause, but not beyond `now`."""
        self._asked.wait(seconds)

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have somebody who waits for something else than a socket woken by `now`, in its thread."""
        with self._lock:
            self._wakers.append(wake)
        try:
            yield
        finally:
            with self._lock:
                self._wakers.remove(wake)

    @staticmethod
    def current() -> Stop | None:
        """Give the switch this thread works under, if any."""
        return getattr(_current, "stop", None)

    @contextmanager
    def over(self) -> Iterator[None]:
        """Make the requests of this thread end with the switch."""
        before, _current.stop = Stop.current(), self
        try:
            yield
        finally:
            _current.stop = before
            with self._lock:
                self._sockets -= getattr(_current, "sockets", set())
            _current.sockets = set()

    def _watch(self, sock: socket.socket) -> None:
        """Remember the socket a request of this thread waits on."""
        with self._lock:
            self._sockets.add(sock)
        _current.sockets = {*getattr(_current, "sockets", ()), sock}
        if self.asked:
            _shut(sock)


def _shut(sock: socket.socket) -> None:
    """Wake whoever waits on a socket; one that is gone already is as good."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def patience(longest: Callable[[], float]) -> Iterator[None]:
    """Let no read of the answers this thread asks for meanwhile wait longer than `longest` says when it begins.

    The timeouts of a socket bound each wait, not their sum: a head that comes line by line, or a body that comes byte
    by byte, would outlive any deadline. `longest` may raise as well.
    """
    before, _current.longest = getattr(_current, "longest", None), longest
    try:
        yield
    finally:
        _current.longest = before


class _Timely(io.RawIOBase):
    """What comes from a socket, each read with the time that is left for it."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, longest: Callable[[], float]) -> None:
        self._raw = raw
        self._sock = sock
        self._longest = longest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._longest())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer read in time, from its first byte on."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        longest = getattr(_current, "longest", None)
        if longest is not None:
            self.fp = io.BufferedReader(_Timely(self.fp.detach(), sock, longest))


class _Watched(urllib3.connection.HTTPConnection):
    """A connection that tells the switch, if one is set, on which socket it waits."""

    response_class = _Response

    def endheaders(self, *args: Any, **more: Any) -> None:
        super().endheaders(*args, **more)
        self._tell()  # sending a body can wait as well

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        self._tell()
        return super().getresponse()

    def _tell(self) -> None:
        """Tell the switch."""
        stop = Stop.current()
        if stop is not None and self.sock is not None:
            stop._watch(self.sock)


class _WatchedTLS(_Watched, urllib3.connection.HTTPSConnection):
    """The same over TLS."""


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


POOL_CLASSES = {"http": _Pool, "https": _TLSPool}
"""For a urllib3 pool manager: connections that a `Stop` can end."""
