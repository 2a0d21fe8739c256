"""A server whose pages go on for ever: reading ends in an error, in whatever way, and leaves no thread at work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

import pandas as pd
import pytest
from plant import Site, open_site
from starlette.types import ASGIApp, Receive, Scope, Send

import tsbulk_frames as tsb
from tsbulk_frames import paging
from tsbulk_frames.model import format_time, parse_moment
from tsbulk_frames.sandbox import Answer, Fault


@dataclass(frozen=True)
class Creep:
    """Answer an empty page, and a next one that begins so much later, as long as that is within what was asked for."""

    step_ns: int

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        at = parse_moment(asked["from"], "from") + self.step_ns
        more = at < parse_moment(asked["to"], "to")
        url = f"https://h/x?from={quote(format_time(at))}&limit={asked.get('limit', '')}"
        page = {"records": [], "nextRecord": url if more else None}
        await Answer(200, page)(app, scope, receive, send)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Give a site."""
    yield from open_site()


def whole(entity: str, con: tsb.Connection, **settings: object) -> pd.DataFrame:
    """Read a few days."""
    return tsb.read_timeseries(entity, "pump", "2026-03-01", "2026-03-05", connection=con, **settings)


WAYS: list[Callable[[str, tsb.Connection], object]] = [
    whole,
    lambda entity, con: whole(entity, con, limit=5),
    lambda entity, con: whole(entity, con, max_workers=1),
    lambda entity, con: list(tsb.iter_timeseries(entity, "pump", "2026-03-01", "2026-03-05", connection=con)),
]


@pytest.mark.parametrize("way", WAYS, ids=["side by side", "limit", "one worker", "iterator"])
@pytest.mark.parametrize(("constant", "step_ns"), [("_CRAWLING", 1), ("_EMPTY", 10**6)])
def test_pages_that_never_end_are_an_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, way: Callable[..., object], constant: str, step_ns: int
) -> None:
    """After so many for each chain, of which there is one for each worker."""
    monkeypatch.setattr(paging, constant, 20)
    entity, before = site.asset(), len(site.sandbox.requests)
    site.sandbox.faults.add(Fault(Creep(step_ns), "GET", f"/timeseries/{entity}", times=None))
    with pytest.raises(tsb.PageError, match="hardly ever end"):
        way(entity, site.con)
    assert 21 <= len(site.sandbox.requests) - before <= 25 * 8
    assert not [one.name for one in threading.enumerate() if one.name.startswith("tsbulk-fetch")]


def test_an_empty_range_looked_through_by_the_hour_is_empty(site: Site) -> None:
    """A service that gives an empty page for each hour is honest: the end is reached."""
    entity = site.asset()
    site.sandbox.faults.add(Fault(Creep(3_600 * 10**9), "GET", f"/timeseries/{entity}", times=None))
    assert whole(entity, site.con).empty
    assert len(site.sandbox.requests) > 90
