"""What all requests of this process to one gateway share: how many may be under way, its pauses, and its outages.

::

    slot ──► throttle: a pause the gateway asked for ──► circuit: does the service answer at all ──► the wire

A circuit belongs to one service of the gateway (``/api/iotfile/v3``), because the gateway hands requests on to
services that fail one by one: the files must not wait because the assets are gone. A gateway that is gone as a whole is
found out by each of its four services, which costs it `THRESHOLD` requests each, not one per worker and attempt.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from tsbulk_frames.stop import Stop

__all__ = ["Circuit", "Gate", "Throttle", "gate_to"]

THRESHOLD = 8
"""Failures in a row, with no sign of life between, that open a circuit: more than the tries of a single request."""
FIRST_COOL_DOWN = 1.0
"""Seconds until the first look at a service that does not answer; doubled with each look in vain."""
LONGEST_COOL_DOWN = 20.0
_LOOK = 0.05
"""Seconds after which one who waits for a place looks at the time, where it is told: such a clock wakes nobody."""
_SOON = 1e-3
"""Seconds that are no reason to wait again: sleeping is not that exact."""

logger = logging.getLogger("tsbulk_frames")


class Throttle:
    """A pause that all threads keep, because the limit is the gateway's, not a thread's."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until = -math.inf

    def pause(self, seconds: float) -> None:
        """Let nobody send for this long; a longer pause already on stays."""
        with self._lock:
            self._until = max(self._until, self._clock() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds to wait before sending, 0 if none."""
        with self._lock:
            return max(0.0, self._until - self._clock())


class Circuit:
    """Keeps requests from a service that does not answer, but for one that looks now and then, for all of them.

    Closed, it lets everything through. `THRESHOLD` failures in a row open it: nothing is sent for a cool-down, then
    one request, and so on with longer and longer ones. Whatever answers closes it. A look that takes longer than a
    cool-down is not waited for: one that hangs must not hold up all the others.

    Parameters
    ----------
    service : str
        How to name it.
    clock : callable
        Monotonic seconds.

    Attributes
    ----------
    failures : int
        In a row, up to now.
    reason : str
        What went wrong with the last one.
    """

    def __init__(self, service: str, clock: Callable[[], float]) -> None:
        self.service = service
        self.failures = 0
        self.reason = ""
        self._clock = clock
        self._lock = threading.Lock()
        self._cool_down = FIRST_COOL_DOWN
        self._next_look = -math.inf
        self._open = False

    @property
    def open(self) -> bool:
        """Whether requests are held back."""
        return self._open

    @property
    def remaining(self) -> float:
        """Seconds until the next look, 0 if nothing is held back."""
        with self._lock:
            return max(0.0, self._next_look - self._clock()) if self._open else 0.0

    def admit(self) -> float:
        """Let a request through (0), as the one that looks if need be, or give the seconds until the next look."""
        with self._lock:
            if not self._open:
                return 0.0
            left = self._next_look - self._clock()
            if left > _SOON:
                return left
            self._cool_down = min(2 * self._cool_down, LONGEST_COOL_DOWN)
            self._next_look = self._clock() + self._cool_down
            return 0.0

    def failed(self, reason: str) -> None:
        """Note a request without a sign of life."""
        with self._lock:
            self.failures += 1
            self.reason = reason
            if self._open or self.failures < THRESHOLD:
                return
            self._open = True
            self._cool_down = FIRST_COOL_DOWN
            self._next_look = self._clock() + self._cool_down
        logger.warning("%s does not answer (%s): requests wait while one at a time looks", self.service, reason)

    def answered(self) -> None:
        """Note a sign of life."""
        with self._lock:
            was_open, self._open, self.failures = self._open, False, 0
        if was_open:
            logger.warning("%s answers again", self.service)


class Gate:
    """One budget of connections, one throttle, a circuit a service: limits and outages are the gateway's.

    Attributes
    ----------
    throttle : Throttle
        The pause that all keep.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.throttle = Throttle(clock)
        self._clock = clock
        self._circuits: dict[str, Circuit] = {}
        self._free = threading.Condition()
        self._limit = 0
        self._busy = 0

    def circuit(self, service: str) -> Circuit:
        """Give the circuit of a service, the same to all."""
        found = self._circuits.get(service)
        return found if found is not None else self._circuits.setdefault(service, Circuit(service, self._clock))

    def widen(self, limit: int) -> None:
        """Allow as many at once as the most generous of its connections is set to."""
        with self._free:
            self._limit = max(self._limit, limit)
            self._free.notify_all()

    @property
    def limit(self) -> int:
        """How many may be under way at once."""
        return self._limit

    @contextmanager
    def slot(self, stop: Stop | None = None, until: float = math.inf) -> Iterator[bool]:
        """Hold one of the places; false where none came free before the stop was thrown or the time was over.

        Parameters
        ----------
        stop : Stop, optional
            Ends the waiting.
        until : float
            When the waiting ends, by the gate's clock.
        """
        with self._free:
            held = self._busy < self._limit or self._await_place(stop, until)
            self._busy += held
        try:
            yield held
        finally:
            if held:
                with self._free:
                    self._busy -= 1
                    self._free.notify()

    def _await_place(self, stop: Stop | None, until: float) -> bool:
        """Wait for a place, which is not taken yet (lock held)."""
        with nullcontext() if stop is None else stop.waking(self._wake):
            while self._busy >= self._limit:
                left = until - self._clock()
                if left <= 0 or (stop is not None and stop.asked):
                    self._free.notify()  # what woke this one may have been meant for another
                    return False
                if self._clock is not time.monotonic:
                    left = min(left, _LOOK)
                self._free.wait(None if left == math.inf else left)
        return True

    def _wake(self) -> None:
        """Let all who wait for a place look whether they still should."""
        with self._free:
            self._free.notify_all()


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
