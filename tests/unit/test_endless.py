"""Chains of pages that go on for ever though each goes on: ended; and those that only look like it: not."""

from __future__ import annotations

import json

import pytest

from tsbulk_frames import paging
from tsbulk_frames.codec import split_page
from tsbulk_frames.errors import PageError
from tsbulk_frames.model import NS_PER_DAY, TimeRange, format_time, parse_moment
from tsbulk_frames.paging import Chain

BEGIN = parse_moment("2026-03-01T00:00:00Z", "begin")


def walk(chain: Chain, pages: int, step_ns: int, records: int = 0, filling: str = "") -> int:
    """Take pages that each go on by so much, and hold so many records; tells where the next one begins."""
    at = max(BEGIN, chain.rest.start_ns - 1)
    for number in range(pages):
        times = [format_time(at + i * step_ns // max(1, records)) for i in range(records)]
        at += step_ns
        held = ",".join(json.dumps({"_time": time, "a": 1}) for time in times)
        body = f'{{"records":[{filling}{held}{filling}],"nextRecord":"https://h/x?from={format_time(at)}"}}'
        assert chain.advance(split_page(body.encode(), page=number + 1))
    return at


def chain() -> Chain:
    """Begin a chain of 80 days."""
    return Chain(TimeRange(BEGIN, BEGIN + 80 * NS_PER_DAY))


@pytest.mark.parametrize("records", [0, 1])
@pytest.mark.parametrize("step_ns", [1, 999])
def test_a_chain_that_crawls_is_ended(monkeypatch: pytest.MonkeyPatch, step_ns: int, records: int) -> None:
    """By the nanosecond, with or without records: after so many pages, not one before."""
    monkeypatch.setattr(paging, "_CRAWLING", 50)
    crawling = chain()
    walk(crawling, 51, step_ns, records)  # the first one leads to the beginning
    with pytest.raises(PageError, match=r"page 52: .*51 pages in a row moved it by less than a microsecond") as caught:
        walk(crawling, 1, step_ns, records)
    assert caught.value.page == 52


@pytest.mark.parametrize("filling", ["", " ", "\n" * 5_000])
def test_a_chain_without_any_record_is_ended(monkeypatch: pytest.MonkeyPatch, filling: str) -> None:
    """However far each page goes, and whatever stands in place of the records."""
    monkeypatch.setattr(paging, "_EMPTY", 50)
    empty = chain()
    walk(empty, 50, 10**9, filling=filling)
    with pytest.raises(PageError, match="51 pages in a row had no record"):
        walk(empty, 1, 10**9, filling=filling)


def test_what_goes_on_now_and_then_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record ends a run without, a microsecond one that crawls: only what comes in a row is counted."""
    monkeypatch.setattr(paging, "_CRAWLING", 50)
    monkeypatch.setattr(paging, "_EMPTY", 50)
    going = chain()
    for _ in range(5):
        walk(going, 50, 10**9)
        walk(going, 1, 10**9, records=1)
        walk(going, 49, 999, records=2)
        walk(going, 1, 1_000, records=1)
    assert going.pages == 5 * 101


def test_every_minute_of_a_window_may_be_empty() -> None:
    """As many pages without a record as 90 days have minutes, and a hundred times a page of a few nanoseconds."""
    assert paging._EMPTY > 90 * 24 * 60
    honest = chain()
    walk(honest, 100, 7, records=7)
    walk(honest, 2_000, 60 * 10**9)
    assert honest.pages == 2_100
