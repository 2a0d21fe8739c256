"""The life of a token: one for all threads of a transport, asked for in time, forgotten at the end."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

from tsbulk_frames.auth import Token
from tsbulk_frames.errors import TsBulkError
from tsbulk_frames.stop import Stop

__all__ = ["TokenCache"]

REFRESH_MARGIN = 300.0
"""A token is replaced this many seconds before its end."""


class TokenCache:
    """Keeps one token for all threads and asks for the next one in time.

    Parameters
    ----------
    fetch : callable
        Gets a new `Token`, under the `Stop` of the thread that asks, if it has one; called by one thread at a time,
        the others wait for its result.
    clock : callable
        Monotonic seconds.

    Notes
    -----
    A token is replaced 5 minutes before its end; one that lives under 10 minutes, after half of its life.
    """

    def __init__(self, fetch: Callable[[Stop | None], Token], *, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._rounds = 0
        self._closed = False
        self._token: str | None = None
        self._fresh_until = 0.0
        self._failure: TsBulkError | None = None

    def __repr__(self) -> str:
        return f"TokenCache({'***' if self._token else 'empty'})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a TokenCache holds a token and is not pickled; send the credentials instead")

    def get(self, stop: Stop | None = None) -> str:
        """Return a token that is still good for a while, asking for a new one if need be.

        Parameters
        ----------
        stop : Stop, optional
            Ends the asking; who waited for it asks anew.

        Raises
        ------
        TsBulkError
            What `fetch` raised; threads that waited for that very attempt get the same error, not one try each.
        """
        seen = self._rounds
        with self._lock:
            if self._token is not None and self._clock() < self._fresh_until:
                return self._token
            if self._rounds != seen and self._failure is not None:
                raise copy.copy(self._failure)
            return self._refresh(stop)

    def invalidate(self, token: str) -> None:
        """Drop this very token after the service refused it; a newer one stays."""
        with self._lock:
            if self._token == token:
                self._token = None

    def close(self) -> None:
        """Forget the token and keep none any more; does not wait for a thread that is asking for one."""
        self._closed = True
        self._token = None

    def _refresh(self, stop: Stop | None) -> str:
        """Ask for a token; the life is counted from before the request, as the server's clock starts then at best."""
        asked = self._clock()
        self._token = self._failure = None
        try:
            token = self._fetch(stop)
        except TsBulkError as error:
            if stop is None or not stop.asked:  # else it says nothing about the token endpoint
                self._failure = error
            raise
        finally:
            self._rounds += 1
        margin = REFRESH_MARGIN if token.lifetime >= 2 * REFRESH_MARGIN else token.lifetime / 2
        self._fresh_until = asked + token.lifetime - margin
        self._token = token.value
        if self._closed:
            self._token = None
        return token.value
