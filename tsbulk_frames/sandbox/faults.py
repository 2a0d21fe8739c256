"""Injected trouble: what shall go wrong, for which request and how often; by a script, at random, or both.

A fault stands between the network and the handlers, so neither knows of it:

    Faults([
        Fault(Answer(503), "GET", r"/timeseries/", times=2),                    # the first two reads fail
        Fault(Drop(after_work=True), "POST", r"/importJobs$"),                  # done, but not told
        Fault(Cut(1000), "GET", r"/iottsbulk/", nth=3),                         # the third page breaks off
        Fault(Rewrite(next_as_link), "GET", r"/iottsbulk/.*/timeseries", times=None),
    ])
    Faults(seed=7, rate=0.1)                                                    # every tenth request, anything
    Faults(seed=7, rate=0.3, kinds=["502 done", "done, not told"])
"""

from __future__ import annotations

import random
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tsbulk_frames.sandbox.chances import KINDS, Kind, check_kinds, route_of
from tsbulk_frames.sandbox.trouble import (
    REVOKE,
    Action,
    Answer,
    Bend,
    Cut,
    Delay,
    Drip,
    Drop,
    Hang,
    Reply,
    Revoke,
    Rewrite,
    Throttle,
)
from tsbulk_frames.sandbox.variants import (
    job_in_list,
    next_as_link,
    next_elsewhere,
    old_job_names,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "KINDS",
    "Action",
    "Answer",
    "Bend",
    "Cut",
    "Delay",
    "Drip",
    "Drop",
    "Fault",
    "Faults",
    "Hang",
    "Injected",
    "Injection",
    "Kind",
    "Reply",
    "Revoke",
    "Rewrite",
    "Throttle",
    "job_in_list",
    "next_as_link",
    "next_elsewhere",
    "old_job_names",
]


@dataclass(frozen=True)
class Fault:
    """One line of the script.

    Parameters
    ----------
    action : Action
        `Answer`, `Delay`, `Drop`, `Cut`, `Rewrite`, or anything that behaves like them.
    method : str
        In capitals; ``"*"`` is any.
    path : str
        Regular expression, searched in the decoded path with its query, as in ``/files/x?part=2``.
    nth : int
        From which matching request on, counted from 1.
    times : int or None
        For how many matching requests; None: for ever.
    """

    action: Action
    method: str = "*"
    path: str = ""
    nth: int = 1
    times: int | None = 1

    def __post_init__(self) -> None:
        if self.nth < 1 or (self.times is not None and self.times < 1):
            raise ValueError(f"nth={self.nth} and times={self.times} count requests from 1; times=None means for ever")
        re.compile(self.path)

    def matches(self, method: str, target: str) -> bool:
        """Whether this request is one of those counted."""
        return self.method in ("*", method) and re.search(self.path, target) is not None


@dataclass(frozen=True)
class Injection:
    """One request that was troubled.

    Attributes
    ----------
    method, target : str
        The request: decoded path, with ``?`` and the query if there is one.
    action : Action
        What was done to it.
    kind : str
        Name of the kind, when it was hit at random; else the status of an `Answer`, or the action's own name.
    number : int
        Of the request among all that came in, from 1.
    time : float
        Epoch seconds by the sandbox's clock.
    """

    method: str
    target: str
    action: Action
    kind: str
    number: int
    time: float


class Faults:
    """What shall go wrong in one sandbox.

    Every fault of the script counts its own matching requests; of several that are due, the first acts. A request that
    none of them hits is hit at random, with the probability `rate`, by one of the `kinds` that can hit such a request.

    Parameters
    ----------
    faults : sequence of Fault
        The script, checked in this order.
    seed : int or None
        Of the random trouble; None: one is drawn, and can be read and used again.
    rate : float
        Probability from 0 to 1 that a request is hit at random.
    kinds : collection of str or Kind, optional
        What may be drawn: names of `KINDS`, or kinds of one's own. Default: all of them.

    Attributes
    ----------
    seed : int
        See above.
    rate : float
        Can be set at any time: 0 ends the random trouble.

    Notes
    -----
    Reproducible means: what becomes of the n-th request of a route (``PUT file``, ``GET job``, see
    ``route_of`` in the module ``chances``) depends on `seed`, `rate`, `kinds`, the route and n alone. Requests of
    other routes, threads and time change nothing in it. Which of several requests under way at the same time is the
    n-th of its route is up to the client and its threads; with one thread all is the same again.

    Examples
    --------
    >>> from tsbulk_frames.sandbox import Answer, Fault, Faults
    >>> faults = Faults([Fault(Answer(503), "GET", r"/assets/")])
    >>> faults.choose("GET", "/api/assetmanagement/v3/assets/root").status
    503
    >>> faults.choose("GET", "/api/assetmanagement/v3/assets/root") is None
    True
    >>> one, other = (Faults(seed=7, rate=0.5) for _ in range(2))
    >>> [one.choose("GET", "/a") for _ in range(20)] == [other.choose("GET", "/a") for _ in range(20)]
    True
    """

    def __init__(
        self,
        faults: Sequence[Fault] = (),
        *,
        seed: int | None = None,
        rate: float = 0.0,
        kinds: Collection[str | Kind] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._script = [(fault, [0]) for fault in faults]
        self._kinds = check_kinds(kinds)
        self._routes: Counter[str] = Counter()
        self._log: list[Injection] = []
        self._number = 0
        self.seed = secrets.randbits(32) if seed is None else seed
        self.rate = rate

    def __repr__(self) -> str:
        return f"Faults({len(self._script)} scripted, seed={self.seed}, rate={self.rate})"

    @property
    def rate(self) -> float:
        """Probability that a request is hit at random."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"rate={rate} is no probability; give a number from 0 to 1")
        self._rate = rate

    @property
    def log(self) -> list[Injection]:
        """What was injected so far, in order."""
        with self._lock:
            return list(self._log)

    def counts(self) -> dict[str, int]:
        """Tell how often each kind was injected so far, the most frequent first."""
        return dict(Counter(one.kind for one in self.log).most_common())

    def add(self, *faults: Fault) -> None:
        """Append to the script of a running sandbox."""
        with self._lock:
            self._script.extend((fault, [0]) for fault in faults)

    def choose(self, method: str, target: str, *, now: float | None = None) -> Action | None:
        """Decide what happens to this request, and note it; None: nothing.

        Parameters
        ----------
        method : str
            In capitals.
        target : str
            Decoded path, with ``?`` and the query as sent if there is one.
        now : float, optional
            Epoch seconds for the log. Default: the time of this machine.
        """
        with self._lock:
            self._number += 1
            chosen, kind = self._scripted(method, target), ""
            drawn = self._drawn(route_of(method, *target.split("?", 1)))  # counts, whatever the script says
            if chosen is None and drawn is not None:
                kind, chosen = drawn
            if chosen is not None:
                at = time.time() if now is None else now
                self._log.append(Injection(method, target, chosen, kind or _name(chosen), self._number, at))
        return chosen

    def _scripted(self, method: str, target: str) -> Action | None:
        """Count the request, and give what the script has for it."""
        chosen: Action | None = None
        for fault, seen in self._script:
            if not fault.matches(method, target):
                continue
            seen[0] += 1
            due = fault.nth <= seen[0] and (fault.times is None or seen[0] < fault.nth + fault.times)
            if due and chosen is None:
                chosen = fault.action
        return chosen

    def _drawn(self, route: str) -> tuple[str, Action] | None:
        """Count the request, and draw what happens to it."""
        self._routes[route] += 1
        draw = random.Random(f"{self.seed}/{route}/{self._routes[route]}")  # noqa: S311 (to be repeated, not secret)
        if draw.random() >= self._rate:
            return None
        kinds = [kind for kind in self._kinds if kind.hits(route)]
        if not kinds:
            return None
        kind = draw.choice(kinds)
        return kind.name, kind.make(draw)


class Injected:
    """ASGI layer that lets `faults` act.

    Parameters
    ----------
    app : ASGI application
        The untroubled rest.
    faults : Faults
        What acts.
    clock : callable
        Epoch seconds, for the log.
    revoke : callable
        Makes all tokens worthless.
    """

    def __init__(self, app: ASGIApp, faults: Faults, *, clock: Callable[[], float], revoke: Callable[[], None]) -> None:
        self._app = app
        self._faults = faults
        self._clock = clock
        self._revoke = revoke

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        action = self._faults.choose(scope["method"], target, now=self._clock())
        if action is None:
            await self._app(scope, receive, send)
        else:
            scope["extensions"][REVOKE] = {"revoke": self._revoke}
            await action(self._app, scope, receive, send)


def _name(action: Action) -> str:
    """Name an action of a script for the log."""
    if isinstance(action, Answer):
        return str(action.status)
    return str(getattr(action, "__name__", type(action).__name__)).lower()
