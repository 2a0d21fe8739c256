"""Waiting for a place at the gate: it ends with the caller's stop, or with the time the request has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import requests_mock
from wireside import Clock

from tsbulk_frames.auth import AppCredentials
from tsbulk_frames.errors import TransportError
from tsbulk_frames.gate import Gate
from tsbulk_frames.stop import Stop
from tsbulk_frames.transport import Transport

HOST = "https://gateway.test"
Connect = Callable[..., Transport]


class Waiting:
    """Somebody who waits for a place, in a thread of their own."""

    def __init__(self, gate: Gate, stop: Stop | None = None, until: float = 1e9) -> None:
        self.outcome: list[bool] = []
        self._thread = threading.Thread(target=self._wait, args=[gate, stop, until])
        self._thread.start()

    def _wait(self, gate: Gate, stop: Stop | None, until: float) -> None:
        with gate.slot(stop, until) as held:
            self.outcome.append(held)

    def end(self) -> bool:
        """Tell whether there was a place in the end."""
        self._thread.join(10)
        assert not self._thread.is_alive(), "still waiting"
        return self.outcome[0]


def crowd(gate: Gate, count: int) -> None:
    """Wait until so many wait for a place."""
    for _ in range(10_000):
        with gate._free:
            if len(gate._free._waiters) >= count:  # type: ignore[attr-defined]
                return
        threading.Event().wait(0.001)
    raise AssertionError("nobody waits")


@pytest.fixture
def gate(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Gate]:
    """Give a gate with one place, which is taken; parametrized indirectly with another clock."""
    gate = Gate(getattr(request, "param", clock))
    gate.widen(1)
    with ExitStack() as taken:
        taken.enter_context(gate.slot())
        gate.let_go = taken.close  # type: ignore[attr-defined]
        yield gate


@pytest.mark.parametrize("gate", [time.monotonic], indirect=True)
def test_a_stop_ends_the_waiting(gate: Gate) -> None:
    """At once, and of those who heed it alone; the place goes to who still waits."""
    stop, other = Stop(), Stop()
    leaving, staying = Waiting(gate, stop), Waiting(gate, other)
    crowd(gate, 2)
    stop.now()
    assert leaving.end() is False
    assert not staying.outcome
    gate.let_go()  # type: ignore[attr-defined]
    assert staying.end() is True
    assert gate._busy == 0


def test_a_stop_thrown_before_ends_it_as_well(gate: Gate) -> None:
    """There is nothing to wake then."""
    stop = Stop()
    stop.now()
    assert Waiting(gate, stop).end() is False
    assert not stop._wakers


def test_the_time_ends_the_waiting(gate: Gate, clock: Clock) -> None:
    """When its own is over; another's is not."""
    soon, late = Waiting(gate, until=clock.now + 5), Waiting(gate, until=clock.now + 50)
    crowd(gate, 2)
    clock.now += 4.9
    assert not soon.outcome
    clock.now += 0.2
    assert soon.end() is False
    gate.let_go()  # type: ignore[attr-defined]
    assert late.end() is True


def test_a_free_place_needs_no_time(gate: Gate, clock: Clock) -> None:
    """Who comes late still gets what is free."""
    gate.let_go()  # type: ignore[attr-defined]
    assert Waiting(gate, until=clock.now - 1).end() is True


@pytest.fixture
def full(connect: Connect, clock: Clock) -> Iterator[Transport]:
    """Give a connection with one place, which is taken."""
    transport = connect(max_connections=1, retry_budget=20.0, request_deadline=30.0)
    with transport._gate.slot():
        yield transport


def test_a_request_without_a_place_says_so(full: Transport, clock: Clock) -> None:
    """After the budget and the time of one try: nothing was sent, nothing is unknown, and the setting is named."""
    with requests_mock.Mocker() as mock:
        mock.post(f"{HOST}/x")
        errors: list[TransportError] = []

        def ask() -> None:
            with pytest.raises(TransportError) as caught:
                full.request("POST", ["x"], retry="unsent")
            errors.append(caught.value)

        asking = threading.Thread(target=ask)
        asking.start()
        crowd(full._gate, 1)
        clock.now += 49
        assert not errors
        clock.now += 2
        asking.join(10)
        assert not asking.is_alive()
        assert mock.call_count == 0
    error = errors[0]
    assert "max_connections=1" in str(error)
    assert (error.attempts, error.unknown_outcome, error.stopped_by) == (0, False, ("max_connections",))


@pytest.mark.parametrize("credentials", [None, AppCredentials("app", "1", "host", "user", "my-id", "my-s3cret")])
def test_a_request_that_waits_ends_with_the_stop(connect: Connect, credentials: AppCredentials | None) -> None:
    """Also where it is the token's request that waits; nothing is sent."""
    transport, stop, ended = connect(credentials=credentials, max_connections=1), Stop(), threading.Event()

    def ask() -> None:
        with pytest.raises(TransportError, match="left"):
            transport.request("GET", ["x"], stop=stop)
        ended.set()

    with requests_mock.Mocker() as mock, transport._gate.slot():
        asking = threading.Thread(target=ask)
        asking.start()
        crowd(transport._gate, 1)
        stop.now()
        asking.join(10)
        assert mock.call_count == 0
    assert ended.is_set()
