"""Windows fetched side by side: each record once and in order, in bounded memory."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from tsbulk_frames import fetch
from tsbulk_frames.codec import RawPage, split_page
from tsbulk_frames.fetch import Fetch, Source
from tsbulk_frames.model import TimeRange, format_time, parse_moment
from tsbulk_frames.paging import Query, times_of
from tsbulk_frames.stop import Stop

START = 1_772_323_200_000_000_000


class Body(bytes):
    """Bytes of a page that are counted as long as they live."""

    alive = 0
    most = 0
    lock = threading.Lock()

    def __new__(cls, content: bytes) -> Body:
        with cls.lock:
            cls.alive += 1
            cls.most = max(cls.most, cls.alive)
        return super().__new__(cls, content)

    def __del__(self) -> None:
        with Body.lock:
            Body.alive -= 1


class Service:
    """Answers queries ``(from, to]`` from a list of times, so many records a page."""

    def __init__(self, times_ns: np.ndarray, per_page: int) -> None:
        self.times_ns = times_ns
        self.per_page = per_page
        self.asked: list[Query] = []

    def fetch(self, query: Query, number: int) -> RawPage:
        """Give one page."""
        self.asked.append(query)
        first = int(np.searchsorted(self.times_ns, parse_moment(query.from_, "from"), side="right"))
        stop = int(np.searchsorted(self.times_ns, parse_moment(query.to, "to"), side="right"))
        last = min(first + self.per_page, stop)
        records = [
            {"_time": format_time(int(ns)), "n": at} for at, ns in enumerate(self.times_ns[first:last].tolist(), first)
        ]
        following = f"https://x/y?from={records[-1]['_time']}" if last < stop else None
        body = json.dumps({"records": records, "nextRecord": following}, separators=(",", ":")).encode()
        return split_page(Body(body), page=number)


def even(rows: int) -> np.ndarray:
    """Give times a second apart."""
    return START + np.arange(rows) * 1_000_000_000


def test_no_page_outlives_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages held at any moment are those of the bound and those under way: idle workers keep none."""
    size = len(Service(even(2_000), 100).fetch(Query(format_time(START), format_time(START + 10**12)), 1).body)
    monkeypatch.setattr(fetch, "_BOUNDED_BYTES", 4 * size)
    monkeypatch.setattr(fetch, "_GROUP_BYTES", size)
    service = Service(even(20_000), 100)
    window = TimeRange(START, START + 20_000 * 1_000_000_000)
    Body.most = Body.alive
    with Fetch([Source(service.fetch, [window])], workers=16, stop=Stop(), bounded=True) as pages:
        got = np.concatenate([times_of(table) for _, table in pages])
    assert got.tolist() == service.times_ns.tolist()
    assert Body.most <= 10
    assert Body.alive == 0
