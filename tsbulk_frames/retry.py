"""When a request may be tried again, and how long to wait before; clock and sleep come from the transport.

What is tried again and what is not is the table at the top of `transport`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from tsbulk_frames.errors import TsBulkError

if TYPE_CHECKING:
    import tenacity

__all__ = ["Course", "Failure", "Retry", "backoff", "repeat", "repeatable_status", "retry_after"]

_Usable = TypeVar("_Usable")

Retry: TypeAlias = Literal["always", "unsent", "never"]
"""``"always"``: the request may arrive twice. ``"unsent"``: only when it certainly was not carried out. ``"never"``."""

BASE = 0.5
"""Seconds: upper bound of the first pause."""
CAP = 20.0
"""Seconds: upper bound of any pause the service did not ask for."""


LONGEST_ASKED = 3600.0
"""Seconds: upper bound of a pause it did ask for, as a slip of some digits must not keep a process out for good."""


def repeatable_status(status: int, retry: Retry) -> bool:
    """Whether an answer with this status is worth another try: only a 429 says for certain that nothing was done."""
    if status == 429:
        return retry != "never"
    return retry == "always" and status in (500, 502, 503, 504)


def backoff(attempt: int, draw: Callable[[float, float], float]) -> float:
    """Full jitter: anything between 0 and a bound that doubles with each attempt (from 1), in seconds."""
    return draw(0.0, min(CAP, BASE * 2.0 ** min(attempt - 1, 16)))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the service asks to wait, an hour at most; None where it does not say, or asks for none.

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
    return min(seconds, LONGEST_ASKED) if math.isfinite(seconds) and seconds > 0 else None


def _http_date(value: str | None) -> float | None:
    """Seconds since the epoch of an HTTP date; None when it is not one."""
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Course:
    """How a request went until it was given up: what its error tells, whichever it is.

    Attributes
    ----------
    attempts : int
        How often it was sent.
    elapsed : float
        Seconds since it was asked for, pauses included.
    limits : tuple of str
        Settings, with their values, that ended it: with larger ones it might have gone on.
    unknown : bool
        Whether one of the tries may have been carried out, though nobody was told.
    """

    attempts: int
    elapsed: float
    limits: tuple[str, ...] = ()
    unknown: bool = False

    @property
    def told(self) -> str:
        """Attempts and time, in words."""
        return f"{self.attempts} attempt{'' if self.attempts == 1 else 's'} in {self.elapsed:.1f} s"

    @property
    def ended(self) -> str:
        """The settings, as the beginning of a clause; empty when none would have changed anything."""
        return f"stopped by {' and '.join(self.limits)}; " if self.limits else ""

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings."""
        return tuple(limit.partition("=")[0] for limit in self.limits)


@dataclass(frozen=True, slots=True)
class Failure:
    """One try that brought no usable answer.

    Attributes
    ----------
    again : bool
        Whether another may follow.
    wait : float or None
        Seconds to wait before, where that is not left to us.
    status : int or None
        HTTP status, if there was an answer.
    error : callable
        Builds the error if none follows, from how the request went.
    sent : bool
        Whether anything was sent.
    unknown : bool
        Whether it may have been carried out.
    limit : str
        The setting, with its value, that made it fail; empty if none.
    gone : str
        What went wrong, where that may mean that the service is not there.
    held : bool
        Whether to wait only as long as the service is held back.
    """

    again: bool
    wait: float | None
    status: int | None
    error: Callable[[Course], TsBulkError]
    sent: bool = True
    unknown: bool = False
    limit: str = ""
    gone: str = ""
    held: bool = False


def repeat(
    attempt: Callable[[], _Usable | Failure],
    *,
    max_attempts: int,
    budget: float,
    clock: Callable[[], float],
    draw: Callable[[float, float], float],
    pause: Callable[[Failure, float], None],
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
    clock, draw : callable
        Monotonic seconds, a random number between two bounds.
    pause : callable
        Waits for some seconds before the try that follows a failure.

    Raises
    ------
    TsBulkError
        What the last failure builds.
    """
    began = clock()
    first = attempt()
    if not isinstance(first, Failure):
        return first
    import tenacity  # only for what fails: it brings asyncio along, and tornado if there is one

    failures: list[Failure] = []
    tries: Iterator[_Usable | Failure] = chain([first], iter(attempt, None))

    def noted() -> _Usable | Failure:
        outcome = next(tries)
        if isinstance(outcome, Failure):
            failures.append(outcome)
        return outcome

    def wait(state: tenacity.RetryCallState) -> float:
        asked = failures[-1].wait
        return backoff(state.attempt_number, draw) if asked is None else asked

    def stop(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= max_attempts or clock() - began + state.upcoming_sleep > budget

    retrying = tenacity.Retrying(
        sleep=lambda _: None,
        before_sleep=lambda state: pause(failures[-1], state.upcoming_sleep),
        wait=wait,
        stop=stop,
        retry=tenacity.retry_if_result(lambda outcome: isinstance(outcome, Failure) and outcome.again),
        retry_error_callback=lambda _: failures[-1],
    )
    outcome: _Usable | Failure = retrying(noted)
    if not isinstance(outcome, Failure):
        return outcome
    out = f"max_attempts={max_attempts}" if len(failures) >= max_attempts else f"retry_budget={budget:g} s"
    limits = (out if outcome.again else "", outcome.limit)
    unknown = any(failure.unknown for failure in failures)
    sent = sum(failure.sent for failure in failures)
    raise outcome.error(Course(sent, clock() - began, tuple(filter(None, limits)), unknown))
