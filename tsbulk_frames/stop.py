"""Ending requests under way from another thread: after Ctrl-C or an early ``break`` nobody waits for the network.

A thread that waits on a socket hears nothing else; so its socket is shut down under it. The connections made here
know their socket for that, and for `wait_at_most`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3.connection
import urllib3.connectionpool

__all__ = ["POOL_CLASSES", "Stop", "wait_at_most"]

_current = threading.local()


class Stop:
    """A switch that ends the requests made under it, and pauses between them, at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

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

    def sleep(self, seconds: float) -> None:
        """Pause, but not beyond `now`."""
        self._asked.wait(seconds)

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


class _Watched(urllib3.connection.HTTPConnection):
    """A connection that tells the switch, if one is set, on which socket it waits."""

    answering: socket.socket | None = None

    def endheaders(self, *args: Any, **more: Any) -> None:
        super().endheaders(*args, **more)
        self._tell()  # sending a body can wait as well

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        self.answering = self.sock  # an answer that ends the connection takes `sock` away, and is still to be read
        self._tell()
        return super().getresponse()

    def _tell(self) -> None:
        """Tell the switch."""
        stop = Stop.current()
        if stop is not None and self.sock is not None:
            stop._watch(self.sock)


def wait_at_most(seconds: float, connection: object) -> None:
    """Let the next read from a connection wait no longer; one that has been read to its end cannot wait."""
    if isinstance(connection, _Watched) and connection.answering is not None:
        with suppress(OSError):
            connection.answering.settimeout(seconds)


class _WatchedTLS(_Watched, urllib3.connection.HTTPSConnection):
    """The same over TLS."""


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


POOL_CLASSES = {"http": _Pool, "https": _TLSPool}
"""For a urllib3 pool manager: connections that a `Stop` can end."""
