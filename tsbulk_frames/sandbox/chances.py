"""What may go wrong at random: the kinds of trouble, which requests they can hit, and how one is drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from tsbulk_frames.sandbox import variants
from tsbulk_frames.sandbox.trouble import Action, Answer, Bend, Cut, Drip, Drop, Hang, Revoke, Rewrite, Throttle

__all__ = ["KINDS", "Kind", "check_kinds", "route_of"]


@dataclass(frozen=True)
class Kind:
    """One kind of trouble.

    Parameters
    ----------
    name : str
        As the log and its counts tell it.
    make : callable
        Draws the action, from a seeded ``random.Random``.
    routes : collection of str
        Requests it can hit, as `route_of` names them; empty: any.
    """

    name: str
    make: Callable[[random.Random], Action]
    routes: Collection[str] = field(default=())

    def hits(self, route: str) -> bool:
        """Whether it can hit such a request."""
        return not self.routes or route in self.routes


def route_of(method: str, path: str, query: str = "") -> str:
    """Name a request by its method and what it is for.

    Parameters
    ----------
    method : str
        In capitals.
    path : str
        Decoded.
    query : str
        As sent.

    Returns
    -------
    str
        One of ``POST token``, ``GET records``, ``PUT records``, ``POST job``, ``GET job``, ``PUT file``, ``GET file``,
        ``DELETE file``, ``GET files`` (a listing), ``GET parts``, ``PUT start``, ``PUT part``, ``PUT complete``,
        ``PUT abort``, ``GET asset``, ``POST asset``, or ``other`` behind the method.

    Examples
    --------
    >>> from tsbulk_frames.sandbox.chances import route_of
    >>> route_of("PUT", "/api/iotfile/v3/files/e/a.json", "part=2")
    'PUT part'
    """
    steps = path.strip("/").split("/")
    service, what = (steps[1], steps[3:]) if steps[0] == "api" and len(steps) > 3 else ("", [])
    noun = "other"
    if path.endswith("/oauth/token"):
        noun = "token"
    elif service in ("iottsbulk", "iottimeseries"):
        noun = "records" if what[0] == "timeseries" else "job"
    elif service == "assetmanagement":
        noun = "asset"
    elif service == "iotfile":
        steps_of_upload = {
            "upload=start": "start",
            "part=": "part",
            "upload=complete": "complete",
            "upload=abort": "abort",
        }
        if what[0] == "fileslist":
            noun = "parts"
        else:
            noun = "files" if method == "GET" and len(what) == 2 else "file"
            if method == "PUT":
                noun = next((word for mark, word in steps_of_upload.items() if mark in query), noun)
    return f"{method} {noun}"


_READ_JSON = ("POST token", "GET records", "POST job", "GET job", "GET files", "GET parts", "GET asset")
_WITH_BODY = (*_READ_JSON, "GET file")
_WRITES = ("PUT records", "POST job", "PUT file", "DELETE file", "PUT start", "PUT part", "PUT complete", "PUT abort")
_WITH_TOKEN = (*_WRITES, "GET records", "GET job", "GET file", "GET files", "GET parts", "GET asset", "POST asset")
_PHRASES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}


def _failure(status: int, *, after_work: bool = False) -> Callable[[random.Random], Action]:
    """Draw an answer of that status, with a body of any of the forms that have been seen."""

    def make(draw: random.Random) -> Action:
        phrase = _PHRASES[status]
        bodies: tuple[str | dict[str, Any], ...] = (
            "",
            f"<html><head><title>{status} {phrase}</title></head><body><h1>{status} {phrase}</h1></body></html>",
            {"errors": [{"code": f"mdsp.{status}", "message": phrase, "logref": f"{draw.getrandbits(32):08x}"}]},
            {
                "timestamp": "2026-01-01T00:00:00.000Z",
                "status": status,
                "error": phrase,
                "message": phrase,
                "path": "/",
            },
        )
        return Answer(status, draw.choice(bodies), after_work=after_work)

    return make


def _expired(_: random.Random) -> Action:
    """Answer as to a token whose time is over."""
    body = {"errors": [{"code": "mdsp.Unauthorized", "message": "the token has expired; fetch a new one"}]}
    return Answer(401, body, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _always(action: Action) -> Callable[[random.Random], Action]:
    """Give the same each time."""
    return lambda _: action


KINDS: tuple[Kind, ...] = (
    Kind("429", _always(Throttle())),
    Kind("429 seconds", lambda draw: Throttle(draw.randint(0, 2))),
    Kind("429 date", lambda draw: Throttle(draw.randint(0, 2), date=True)),
    *(Kind(str(status), _failure(status)) for status in _PHRASES),
    Kind("502 done", _failure(502, after_work=True), _WRITES),
    Kind("504 done", _failure(504, after_work=True), _WRITES),
    Kind("refused", _always(Drop(reset=True))),
    Kind("dropped", _always(Drop())),
    Kind("reset during answer", lambda draw: Drop(answered=draw.uniform(0.05, 0.95), reset=True), _WITH_BODY),
    Kind("done, not told", _always(Drop(after_work=True, reset=True)), _WRITES),
    Kind("closed behind answer", _always(Drop(answered=1.0))),
    Kind("cut", lambda draw: Cut(draw.random()), _WITH_BODY),
    Kind("cut to length", lambda draw: Cut(draw.random(), "sent"), _READ_JSON),
    Kind("cut in chunks", lambda draw: Cut(draw.random(), "chunked"), _WITH_BODY),
    Kind("drip", lambda draw: Drip(draw.randint(2, 8), 0.005), _WITH_BODY),
    Kind("hang", _always(Hang())),
    Kind("done, then hang", _always(Hang(after_work=True)), _WRITES),
    Kind("hang in answer", lambda draw: Hang(answered=draw.uniform(0.05, 0.95)), _WITH_BODY),
    Kind("expired token", _expired, _WITH_TOKEN),
    Kind("revoked token", _always(Revoke()), _WITH_TOKEN),
    Kind("listing lags", lambda draw: Bend(listing_lag=draw.uniform(0.5, 3.0)), ("GET files",)),
    Kind("part lost", _always(Answer(201)), ("PUT part",)),
    Kind("job stuck", lambda draw: Bend(job_seconds=draw.uniform(1.0, 20.0)), ("POST job",)),
    Kind("job fails", _always(Bend(job_error="internal error")), ("POST job",)),
    Kind("job accepted", _always(Rewrite(variants.job_accepted)), ("POST job",)),
    Kind("job in list", _always(Rewrite(variants.job_in_list)), ("POST job", "GET job")),
    Kind("old job names", _always(Rewrite(variants.old_job_names)), ("POST job", "GET job")),
    Kind("next elsewhere", _always(Rewrite(variants.next_elsewhere)), ("GET records",)),
    Kind("next as link", _always(Rewrite(variants.next_as_link)), ("GET records",)),
    Kind("next null", _always(Rewrite(variants.next_null)), ("GET records",)),
    Kind("token alone", _always(Rewrite(variants.token_alone)), ("POST token",)),
    Kind("gzip", _always(Rewrite(variants.gzipped)), _WITH_BODY),
    Kind("gzip broken", _always(Rewrite(variants.broken_gzip)), _WITH_BODY),
    Kind("gzip cut", _always(Rewrite(variants.cut_gzip)), _READ_JSON),
    Kind("gzip false", _always(Rewrite(variants.false_gzip)), _WITH_BODY),
)
"""All there are. None touches what the service has taken: a job that fails imports nothing, stored records stay."""


def check_kinds(kinds: Collection[str | Kind] | None) -> tuple[Kind, ...]:
    """Give the kinds named; None: all.

    Raises
    ------
    ValueError
        A name that is not known.
    """
    if kinds is None:
        return KINDS
    by_name = {kind.name: kind for kind in KINDS}
    unknown = sorted(kind for kind in kinds if isinstance(kind, str) and kind not in by_name)
    if isinstance(kinds, str) or unknown:
        raise ValueError(
            f"kinds={kinds if isinstance(kinds, str) else unknown!r} is not known; give a list of: {', '.join(by_name)}"
        )
    return tuple(by_name[kind] if isinstance(kind, str) else kind for kind in kinds)
