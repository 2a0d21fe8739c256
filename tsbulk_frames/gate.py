"""What all requests of this process to one gateway share: how many may be under way, and the pause it asked for."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tsbulk_frames.retry import Throttle

__all__ = ["Gate", "gate_to"]


class Gate:
    """One budget of connections and one throttle: the limit is the gateway's, not a thread's or a connection's.

    Attributes
    ----------
    throttle : Throttle
        The pause that all keep.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.throttle = Throttle(clock)
        self._free = threading.Condition()
        self._limit = 0
        self._busy = 0

    def widen(self, limit: int) -> None:
        """Allow as many at once as the most generous of its connections is set to."""
        with self._free:
            self._limit = max(self._limit, limit)
            self._free.notify_all()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the places; wait for it as long as it takes."""
        with self._free:
            while self._busy >= self._limit:
                self._free.wait()
            self._busy += 1
        try:
            yield
        finally:
            with self._free:
                self._busy -= 1
                self._free.notify()


_gates: weakref.WeakValueDictionary[str, Gate] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def gate_to(host_url: str, limit: int, clock: Callable[[], float]) -> Gate:
    """Give the gate to a gateway, shared by all its connections; one with a clock of its own is not shared.

    Parameters
    ----------
    host_url : str
        The gateway.
    limit : int
        Requests under way at once; the largest that any connection asks for holds.
    clock : callable
        Monotonic seconds.
    """
    if clock is not time.monotonic:
        gate = Gate(clock)
    else:
        with _lock:
            gate = _gates.get(host_url) or Gate(clock)
            _gates[host_url] = gate
    gate.widen(limit)
    return gate
