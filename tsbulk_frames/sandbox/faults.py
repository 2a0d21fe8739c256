"""Injected trouble: a script of what shall go wrong, for which request, and how often.

A fault stands between the network and the handlers, so neither knows of it::

    Faults([
        Fault(Answer(503), "GET", r"/timeseries/", times=2),                    # the first two reads fail
        Fault(Drop(after_work=True), "POST", r"/importJobs$"),                  # done, but not told
        Fault(Cut(1000), "GET", r"/iottsbulk/", nth=3),                         # the third page breaks off
        Fault(Rewrite(next_as_link), "GET", r"/iottsbulk/.*/timeseries", times=None),
    ])
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import Response

from tsbulk_frames.sandbox.server import connection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "Action",
    "Answer",
    "Cut",
    "Delay",
    "Drop",
    "Fault",
    "Faults",
    "Injected",
    "Injection",
    "Reply",
    "Rewrite",
    "job_in_list",
    "next_as_link",
    "next_elsewhere",
    "old_job_names",
]


_LOOK_SECONDS = 0.05


class Action(Protocol):
    """What a fault does to one request; it may call `app`, the untroubled rest of the sandbox."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or leave it unanswered."""


@dataclass(frozen=True)
class Answer:
    """Answer this instead of doing the work.

    Parameters
    ----------
    status : int
        HTTP status.
    body : str or bytes or dict or list
        A dict or list becomes JSON.
    headers : mapping
        For example ``{"Retry-After": "1"}``.
    """

    status: int
    body: str | bytes | dict[str, Any] | list[Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        structured = isinstance(self.body, dict | list)
        content = json.dumps(self.body) if isinstance(self.body, dict | list) else self.body
        media_type = "application/json" if structured else "text/html"
        await Response(content, self.status, dict(self.headers), media_type)(scope, receive, send)


@dataclass(frozen=True)
class Delay:
    """Wait, then do the work as usual."""

    seconds: float

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self.seconds
        while (left := due - loop.time()) > 0:
            if connection(scope).is_closing():  # a client that gave up need not be waited for
                await _gone(receive)
                return
            await asyncio.sleep(min(left, _LOOK_SECONDS))
        await app(scope, receive, send)


@dataclass(frozen=True)
class Drop:
    """Close the connection without a word: before the work is done, or after it (done, but not told)."""

    after_work: bool = False

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self.after_work:
            await app(scope, receive, _swallow)
        connection(scope).abort()
        await _gone(receive)


@dataclass(frozen=True)
class Cut:
    """Do the work, announce the whole answer, send its first `size` bytes and close the connection."""

    size: int

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        reply = await Reply.of(app, scope, receive)
        await send(reply.start())
        await send({"type": "http.response.body", "body": reply.body[: self.size], "more_body": True})
        connection(scope).close()  # unlike abort: what was sent so far still arrives
        await _gone(receive)


@dataclass(frozen=True)
class Rewrite:
    """Do the work, then let `change` alter the answer; a JSON answer comes parsed as ``reply.json``."""

    change: Callable[[Reply], None]

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        reply = await Reply.of(app, scope, receive)
        self.change(reply)
        await send(reply.start())
        await send({"type": "http.response.body", "body": reply.body})


@dataclass
class Reply:
    """A whole answer, to be altered in place.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : dict
        Names in lower case; ``content-length`` follows `body` by itself.
    body : bytes
        As it is sent.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    async def of(cls, app: ASGIApp, scope: Scope, receive: Receive) -> Reply:
        """Keep back what `app` answers."""
        reply = cls(500, {}, b"")
        chunks: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in message["headers"]}
            else:
                chunks.append(bytes(message.get("body", b"")))

        await app(scope, receive, keep)
        reply.body = b"".join(chunks)
        return reply

    @property
    def json(self) -> Any:
        """The body, parsed; assign to replace it. None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @json.setter
    def json(self, document: object) -> None:
        self.body = json.dumps(document, ensure_ascii=False).encode()

    def start(self) -> Message:
        """First ASGI message, its length right again."""
        headers = dict(self.headers)
        if self.status not in (204, 304):
            headers["content-length"] = str(len(self.body))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return {"type": "http.response.start", "status": self.status, "headers": raw}


def job_in_list(reply: Reply) -> None:
    """Answer a job as the only element of a list, as some versions of the service do."""
    if isinstance(reply.json, dict):
        reply.json = [reply.json]


def old_job_names(reply: Reply) -> None:
    """Answer a job under the field names of older versions: ``jobId``, ``jobStartTime``, ``jobLastModified``."""
    names = {"id": "jobId", "startTime": "jobStartTime", "lastModified": "jobLastModified"}
    if isinstance(reply.json, dict):
        reply.json = {names.get(name, name): value for name, value in reply.json.items()}


def next_elsewhere(reply: Reply) -> None:
    """Give ``nextRecord`` a wrong host and the path of another service: only its query is to be trusted."""
    page = reply.json
    if isinstance(page, dict) and page.get("nextRecord"):
        wrong = re.sub(r"^https?://[^/]+", "https://gateway.eu1.mindsphere.example", page["nextRecord"])
        reply.json = page | {"nextRecord": wrong.replace("/iottsbulk/", "/iottimeseries/")}


def next_as_link(reply: Reply) -> None:
    """Announce the next page in a ``Link`` header, with no ``nextRecord`` in the body."""
    page = reply.json
    if isinstance(page, dict) and page.get("nextRecord"):
        reply.headers["link"] = f'<{page["nextRecord"]}>; rel="next"'
        reply.json = {name: value for name, value in page.items() if name != "nextRecord"}


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
    """One request that was troubled."""

    method: str
    target: str
    action: Action


class Faults:
    """What shall go wrong in one sandbox.

    Every fault counts its own matching requests; of several that are due, the first in the script acts.

    Parameters
    ----------
    script : sequence of Fault
        Checked in this order.

    Attributes
    ----------
    log : list of Injection
        What was injected, in order.

    Examples
    --------
    >>> faults = Faults([Fault(Answer(503), "GET", r"/assets/")])
    >>> faults.choose("GET", "/api/assetmanagement/v3/assets/root").status
    503
    >>> faults.choose("GET", "/api/assetmanagement/v3/assets/root") is None
    True
    """

    def __init__(self, script: Sequence[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._script = [(fault, [0]) for fault in script]
        self.log: list[Injection] = []

    def add(self, *faults: Fault) -> None:
        """Append to the script of a running sandbox."""
        with self._lock:
            self._script.extend((fault, [0]) for fault in faults)

    def choose(self, method: str, target: str) -> Action | None:
        """Decide what happens to this request, and note it; None: nothing.

        Parameters
        ----------
        method : str
            In capitals.
        target : str
            Decoded path, with ``?`` and the query as sent if there is one.
        """
        chosen: Action | None = None
        with self._lock:
            for fault, seen in self._script:
                if not fault.matches(method, target):
                    continue
                seen[0] += 1
                due = fault.nth <= seen[0] and (fault.times is None or seen[0] < fault.nth + fault.times)
                if due and chosen is None:
                    chosen = fault.action
            if chosen is not None:
                self.log.append(Injection(method, target, chosen))
        return chosen


class Injected:
    """ASGI layer that lets `faults` act."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        query = scope["query_string"].decode("latin-1")
        action = self._faults.choose(scope["method"], scope["path"] + (f"?{query}" if query else ""))
        if action is None:
            await self._app(scope, receive, send)
        else:
            await action(self._app, scope, receive, send)


async def _swallow(_: Message) -> None:
    """Where an answer goes that nobody is told."""


async def _gone(receive: Receive) -> None:
    """Wait until the server has seen the connection end, or it would try to answer on it."""
    while (await receive())["type"] != "http.disconnect":
        pass
