"""When a request may be tried again, and how long to wait before; clock and sleep come from the transport."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, TypeAlias, TypeVar

import tenacity

from tsbulk_frames.errors import TsBulkError

__all__ = ["Failure", "Retry", "Throttle", "backoff", "repeat", "repeatable_status", "retry_after"]

_Usable = TypeVar("_Usable")

Retry: TypeAlias = Literal["always", "unsent", "never"]
"""``"always"``: the request may arrive twice. ``"unsent"``: only when it certainly was not carried out. ``"never"``."""

BASE = 0.5
"""Seconds: upper bound of the first pause."""
CAP = 20.0
"""Seconds: upper bound of any pause the service did not ask for."""


def repeatable_status(status: int, method: str, retry: Retry) -> bool:
    """Whether an answer with this status is worth another try.

    Only a 429 says for certain that nothing was done; after a 5xx the outcome is unknown, and a 500 is mostly the
    same again, so that only reading tries it again.
    """
    if retry == "never":
        return False
    if status == 429:
        return True
    return retry == "always" and (status in (502, 503, 504) or (status == 500 and method == "GET"))


def backoff(attempt: int, draw: Callable[[float, float], float]) -> float:
    """Full jitter: anything between 0 and a bound that doubles with each attempt (from 1), in seconds."""
    return draw(0.0, min(CAP, BASE * 2.0 ** min(attempt - 1, 16)))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the service asks to wait, or None.

    Parameters
    ----------
    headers : mapping of str to str
        Of the answer; looked up as ``Retry-After`` (seconds or an HTTP date) and ``Date``.
    now : float
        Seconds since the epoch here; only used when the answer has no ``Date``, whose clock is the same as that of
        the date to wait for.

    Examples
    --------
    >>> from tsbulk_frames.retry import retry_after
    >>> retry_after({"Retry-After": "Mon, 01 Jan 2024 00:00:30 GMT", "Date": "Mon, 01 Jan 2024 00:00:00 GMT"}, now=0)
    30.0
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until, date = _http_date(value), _http_date(headers.get("Date"))
        if until is None:
            return None
        seconds = max(0.0, until - (now if date is None else date))
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _http_date(value: str | None) -> float | None:
    """Seconds since the epoch of an HTTP date; None when it is not one."""
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Failure:
    """One try that brought no usable answer.

    Attributes
    ----------
    again : bool
        Whether another may follow.
    wait : float or None
        Seconds the service asked to wait before.
    status : int or None
        HTTP status, if there was an answer.
    error : callable
        Builds the error if none follows, from the number of tries.
    """

    again: bool
    wait: float | None
    status: int | None
    error: Callable[[int], TsBulkError]


def repeat(
    attempt: Callable[[], _Usable | Failure],
    *,
    max_attempts: int,
    budget: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    draw: Callable[[float, float], float],
    pausing: Callable[[Failure, float], None],
) -> _Usable:
    """Try until there is an answer, a failure that stays, or no more budget.

    Parameters
    ----------
    attempt : callable
        One try.
    max_attempts : int
        Tries, the first included.
    budget : float
        Seconds after the first try in which another may begin.
    clock, sleep, draw : callable
        Monotonic seconds, pause, a random number between two bounds.
    pausing : callable
        Called before each pause, with the failure and the seconds.

    Raises
    ------
    TsBulkError
        What the last failure builds.
    """
    began = clock()
    attempts = 0

    def count(state: tenacity.RetryCallState) -> None:
        nonlocal attempts
        attempts = state.attempt_number

    def wait(state: tenacity.RetryCallState) -> float:
        asked = _failure(state).wait
        return backoff(state.attempt_number, draw) if asked is None else asked

    def stop(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= max_attempts or clock() - began + state.upcoming_sleep > budget

    retrying = tenacity.Retrying(
        sleep=sleep,
        before=count,
        before_sleep=lambda state: pausing(_failure(state), state.upcoming_sleep),
        wait=wait,
        stop=stop,
        retry=tenacity.retry_if_result(lambda outcome: isinstance(outcome, Failure) and outcome.again),
        retry_error_callback=_failure,
    )
    outcome: _Usable | Failure = retrying(attempt)
    if isinstance(outcome, Failure):
        raise outcome.error(attempts)
    return outcome


def _failure(state: tenacity.RetryCallState) -> Failure:
    """Give the failure tenacity is looking at."""
    assert state.outcome is not None
    failure: Failure = state.outcome.result()
    return failure


class Throttle:
    """A pause that all threads of a transport keep, because the limit is the service's, not a thread's."""

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
