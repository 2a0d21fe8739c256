"""Windows and pages, without a server: nothing lost, nothing twice, no circle."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbulk_frames import paging
from tsbulk_frames.codec import RawPage, Room, decode_pages, split_page
from tsbulk_frames.errors import PageError
from tsbulk_frames.model import (
    MAX_NS,
    MAX_WINDOW_NS,
    NS_PER_DAY,
    NS_PER_HOUR,
    NS_PER_MS,
    TimeRange,
    format_time,
    parse_moment,
)
from tsbulk_frames.paging import Chain, cut_range, decode_chain, join_page, split_rest, times_of, trim

T0 = parse_moment("2026-03-01", "start")


def page_of(times: list[int], next_record: str | None = None, number: int = 1) -> RawPage:
    """Make a page with one value a record."""
    records = [{"_time": format_time(time), "a": index} for index, time in enumerate(times)]
    return split_page(json.dumps({"records": records, "nextRecord": next_record}).encode(), page=number)


def table_of(times: list[int]) -> pa.Table:
    """Make a table of times alone."""
    return pa.table({"_time": pa.array(times, pa.timestamp("ns", "UTC"))})


def next_link(time: int | str, limit: int | None = None) -> str:
    """Make a nextRecord as published: wrong host, wrong path."""
    text = time if isinstance(time, str) else format_time(time)
    return f"https://gateway.eu1.mindsphere.oi/api/iottimeseries/v3/x?from={text}" + (
        f"&limit={limit}" if limit is not None else ""
    )


@given(st.integers(-(2**60), 2**60), st.integers(1, 800 * NS_PER_DAY), st.integers(1, 100 * NS_PER_DAY))
def test_windows_cover_the_range_exactly(start: int, length: int, longest: int) -> None:
    """Windows touch, none is empty or too long, and together they are the range."""
    if length / longest > 2_000:
        longest = length // 2_000 + 1
    windows = cut_range(TimeRange(start, start + length), 1, longest)
    assert windows[0].start_ns == start
    assert windows[-1].stop_ns == start + length
    assert all(a.stop_ns == b.start_ns for a, b in itertools.pairwise(windows))
    assert all(0 < one.stop_ns - one.start_ns <= longest + 1 + NS_PER_MS for one in windows)


@pytest.mark.parametrize(("hours", "pieces", "windows"), [(1, 8, 1), (5, 8, 1), (6, 8, 2), (48, 8, 8), (48, 16, 16)])
def test_windows_give_all_connections_work_from_the_start(hours: int, pieces: int, windows: int) -> None:
    """As many as are welcome, but none under three hours: a short range is one request."""
    cut = cut_range(TimeRange(T0, T0 + hours * NS_PER_HOUR), pieces)
    assert len(cut) == windows
    assert (cut[0].start_ns, cut[-1].stop_ns) == (T0, T0 + hours * NS_PER_HOUR)


@pytest.mark.parametrize(("days", "windows"), [(2, 1), (89, 1), (91, 2), (366, 5)])
def test_a_range_is_cut_no_more_than_it_must_be(days: int, windows: int) -> None:
    """Unless more windows are welcome, there are as many as the longest request asks for."""
    assert len(cut_range(TimeRange(T0, T0 + days * NS_PER_DAY))) == windows


def test_an_empty_range_has_no_window() -> None:
    """Nothing to read costs no request."""
    assert cut_range(TimeRange(T0, T0)) == []


@pytest.mark.parametrize("days", [1, 89, 90, 91, 180, 366, 3653])
def test_every_request_stays_under_90_days(days: int) -> None:
    """``to - from`` is under 90 days with the margins that are asked in addition."""
    for window in cut_range(TimeRange(T0 + 1, T0 + days * NS_PER_DAY + 1)):
        query = Chain(window).query
        assert parse_moment(query.to, "to") - parse_moment(query.from_, "from") < MAX_WINDOW_NS


@given(st.integers(1, 10**15), st.integers(1, 20), st.one_of(st.none(), st.integers(1, 10**14)))
def test_a_split_covers_the_rest_exactly(length: int, pieces: int, piece_ns: int | None) -> None:
    """Pieces touch, none is empty, and together they are what was left."""
    rest = TimeRange(T0 + 1, T0 + 1 + length)
    parts = split_rest(rest, pieces, piece_ns)
    assert parts[0].start_ns == rest.start_ns
    assert parts[-1].stop_ns == rest.stop_ns
    assert all(a.stop_ns == b.start_ns for a, b in itertools.pairwise(parts))
    assert all(not one.empty for one in parts)
    assert len(parts) <= pieces


@pytest.mark.parametrize(
    ("length_us", "pieces", "piece_us", "edges_us"),
    [
        (100_000, 1, 10_000, [0, 100_000]),
        (100_000, 2, 10_000, [0, 10_000, 100_000]),
        (100_000, 3, 10_000, [0, 10_000, 20_000, 100_000]),
        (100_000, 4, None, [0, 25_000, 50_000, 75_000, 100_000]),
        (100_000, 4, 60_000, [0, 25_000, 50_000, 75_000, 100_000]),
        (5_000, 2, 2_500, [0, 2_000, 5_000]),
        (5_001, 2, 2_500, [0, 2_500, 5_001]),
        (100_000, 2, 50_000, [0, 50_000, 100_000]),
    ],
)
def test_a_split_keeps_the_front_short(length_us: int, pieces: int, piece_us: int | None, edges_us: list[int]) -> None:
    """All windows but the last are as long as asked, the last takes the rest; equal ones if none would be longer."""
    piece_ns = None if piece_us is None else piece_us * 1_000
    parts = split_rest(TimeRange(T0, T0 + length_us * 1_000), pieces, piece_ns)
    assert [(one.start_ns - T0) // 1_000 for one in parts] == edges_us[:-1]
    assert [(one.stop_ns - T0) // 1_000 for one in parts] == edges_us[1:]


@pytest.mark.parametrize(
    ("length_ns", "pieces", "edges_ns"),
    [
        (4_000_000, 2, [0, 1_999_999, 4_000_000]),
        (3_999_999, 2, [0, 1_999_999, 3_999_999]),
        (3_999_998, 2, [0, 1_999_999, 3_999_998]),
        (2_999_996, 2, [0, 1_499_998, 2_999_996]),
        (6_000_003, 3, [0, 1_999_999, 3_999_999, 6_000_003]),
        (5_999_997, 3, [0, 1_999_999, 3_999_998, 5_999_997]),
        (10, 3, [0, 3, 6, 10]),
        (3, 20, [0, 1, 2, 3]),
        (1, 5, [0, 1]),
    ],
)
def test_cuts_lie_on_milliseconds_where_there_is_room(length_ns: int, pieces: int, edges_ns: list[int]) -> None:
    """Two of them a window at least; shorter ranges are cut to the nanosecond, and never into nothing."""
    begin = T0 + 1
    parts = split_rest(TimeRange(begin, begin + length_ns), pieces)
    assert [one.start_ns - begin for one in parts] == edges_ns[:-1]
    assert [one.stop_ns - begin for one in parts] == edges_ns[1:]


def test_a_window_asks_for_slightly_more_in_whole_milliseconds() -> None:
    """A server comparing at milliseconds, whichever way it rounds, still sends all that is wanted."""
    query = Chain(TimeRange(T0 + 1_234_567, T0 + 5_000_001)).query
    assert query.from_ == "2026-03-01T00:00:00Z"
    assert query.to == "2026-03-01T00:00:00.006Z"


@given(st.lists(st.integers(0, 10**7), unique=True, min_size=0, max_size=30), st.data())
def test_trim_keeps_exactly_the_half_open_window(offsets: list[int], data: st.DataObject) -> None:
    """A record at the start is kept, one at the end is not."""
    times = sorted(T0 + one for one in offsets)
    edges = st.sampled_from([*times, T0 - 1, T0 + 10**7])
    low, high = sorted([data.draw(edges), data.draw(edges)])
    kept = times_of(trim(table_of(times), TimeRange(low, high))).tolist()
    assert kept == [one for one in times if low <= one < high]


def test_a_chain_follows_only_from_and_limit_of_next_record() -> None:
    """Host and path of nextRecord are never used; its from and limit are."""
    chain = Chain(TimeRange(T0, T0 + NS_PER_DAY), first_limit=10)
    assert chain.query.limit == 10
    assert chain.advance(page_of([T0], next_link(T0 + 123_456_789, limit=9)))
    assert chain.query.from_ == "2026-03-01T00:00:00.123456789Z"
    assert chain.query.limit == 9
    assert chain.rest == TimeRange(T0 + 123_456_790, T0 + NS_PER_DAY)


@pytest.mark.parametrize("end", [None, next_link(T0 + NS_PER_DAY), next_link(T0 + 5, limit=0)])
def test_a_chain_ends(end: str | None) -> None:
    """No nextRecord, one at the end of the window, or a limit used up."""
    assert not Chain(TimeRange(T0, T0 + NS_PER_DAY), first_limit=1).advance(page_of([T0], end))


@pytest.mark.parametrize(("left", "goes_on"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_chain_ends_when_nothing_can_follow(left: int, goes_on: bool) -> None:
    """``from`` is not included: one nanosecond before the end there is nothing more to ask for."""
    chain = Chain(TimeRange(T0, T0 + NS_PER_DAY))
    assert chain.advance(page_of([T0], next_link(T0 + NS_PER_DAY - left))) is goes_on
    assert chain.rest.empty is not goes_on


def test_a_chain_that_stands_still_is_refused() -> None:
    """A nextRecord that asks the same page again would never end."""
    chain = Chain(TimeRange(T0, T0 + NS_PER_DAY))
    assert chain.advance(page_of([T0 + 5], next_link(T0 + 5)))
    with pytest.raises(PageError, match=r"page 2.*repeat for ever") as caught:
        chain.advance(page_of([T0 + 5], next_link(T0 + 5)))
    assert caught.value.page == 2


def test_a_chain_that_goes_back_is_refused() -> None:
    """A nextRecord earlier than what was asked is a circle."""
    with pytest.raises(PageError, match="repeat for ever"):
        Chain(TimeRange(T0, T0 + NS_PER_DAY)).advance(page_of([T0], next_link(T0 - NS_PER_DAY)))


@pytest.mark.parametrize("bad", ["", "from=yesterday", "limit=3"])
def test_a_next_record_without_a_time_is_refused(bad: str) -> None:
    """Guessing where to go on could lose records."""
    with pytest.raises(PageError, match="no time"):
        Chain(TimeRange(T0, T0 + NS_PER_DAY)).advance(page_of([T0], f"https://host/path?{bad}"))


def test_a_next_record_with_a_bad_limit_is_refused() -> None:
    """A limit is a count."""
    with pytest.raises(PageError, match="not a count"):
        Chain(TimeRange(T0, T0 + NS_PER_DAY), 5).advance(page_of([T0], next_link(T0 + 1) + "&limit=-1"))
    for digits in ("9" * 5000, "9" * 19):
        with pytest.raises(PageError, match="not a count"):
            Chain(TimeRange(T0, T0 + NS_PER_DAY), 5).advance(page_of([T0], next_link(T0 + 1) + f"&limit={digits}"))


REFUSED = {
    "no time": ("https://host/path?from=yesterday", "from='yesterday', which is no time"),
    "no from": ("https://host/path?limit=3", "from='', which is no time"),
    "no URL": ("http://[::1?from=2026-03-01T00:00:00Z", "from='', which is no time"),
    "long": (f"https://host/path?from={'x' * 200}", f"from='{'x' * 80}', which"),
    "a circle": (next_link(T0 - NS_PER_DAY), "from 2026-02-28T00:00:00Z, .* asked from 2026-02-28T23:59:59.999Z: "),
    "no limit": (next_link(T0 + 1) + "&limit=-1", "limit='-1', not a count"),
    "long limit": (next_link(T0 + 1, limit=10**199), f"limit='1{'0' * 79}', not a count"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_next_record_that_is_refused_is_shown(name: str) -> None:
    """The error names the page, shows enough of what came, and says what to do."""
    link, shown = REFUSED[name]
    chain = Chain(TimeRange(T0, T0 + NS_PER_DAY), first_limit=5)
    chain.pages = 6
    with pytest.raises(PageError, match=rf"^page 7: nextRecord .*{shown}") as caught:
        chain.advance(page_of([T0], link))
    assert caught.value.page == 7
    assert caught.value.__cause__ is None
    for step in ("without limit, and" if "limit" in name else "Read a shorter range, and", "the operator of the serv"):
        assert step in str(caught.value)


def test_steps_of_a_microsecond_do_not_crawl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record a microsecond, a record a page, is an honest chain."""
    monkeypatch.setattr(paging, "_CRAWLING", 3)
    chain = Chain(TimeRange(T0, T0 + NS_PER_DAY))
    assert all(chain.advance(page_of([T0 + at], next_link(T0 + at))) for at in range(0, 20_000, 1_000))


def test_a_page_is_empty_by_its_records_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by what stands behind them, as in a URL; and one whose records begin at once is not empty."""
    monkeypatch.setattr(paging, "_EMPTY", 5)
    chain = Chain(TimeRange(T0, T0 + NS_PER_DAY))
    for at in range(10):
        full = RawPage(b'{"_time":"2026-03-01T00:00:00Z"}', 0, 32, next_link(T0 + at * NS_PER_MS), 1)
        assert chain.advance(full)
    for at in range(10, 15):
        assert chain.advance(page_of([], next_link(T0 + at * NS_PER_MS) + "&x={}"))
    with pytest.raises(
        PageError, match=r"6 pages in a row had no record: .* hardly ever end\. Read a shorter range, and"
    ):
        chain.advance(page_of([], next_link(T0 + 15 * NS_PER_MS) + "&x={}"))


def test_a_large_limit_is_a_count() -> None:
    """Eighteen digits are more records than there will ever be, and still a number."""
    chain = Chain(TimeRange(T0, T0 + NS_PER_DAY), 5)
    assert chain.advance(page_of([T0], next_link(T0 + 1, limit=10**18 - 1)))
    assert chain.query.limit == 10**18 - 1


@pytest.mark.parametrize("bad", ["http://[::1?from=2026-03-01T00:00:00Z", "https://\u2100/?from=2026-03-01T00:00:00Z"])
def test_what_is_no_url_is_a_page_error(bad: str) -> None:
    """The standard library refuses some URLs in words of its own."""
    with pytest.raises(PageError, match="no time"):
        Chain(TimeRange(T0, T0 + NS_PER_DAY)).advance(page_of([T0], bad))


def test_a_limit_nobody_asked_for_does_not_end_the_chain() -> None:
    """A server's own limit in nextRecord, lowered to 0, would lose the rest."""
    chain = Chain(TimeRange(T0, T0 + NS_PER_DAY))
    assert chain.advance(page_of([T0], next_link(T0 + 1, limit=0)))
    assert chain.query.limit is None


def test_the_seam_of_a_page_is_not_doubled() -> None:
    """What the previous page ended with is dropped; the rest is kept."""
    joined = join_page(table_of([T0 + 2, T0 + 3, T0 + 4]), np.array([T0 + 1, T0 + 2, T0 + 3]), page=2)
    assert times_of(joined).tolist() == [T0 + 4]


def test_a_page_repeated_whole_adds_nothing() -> None:
    """The same page again is all seam."""
    assert join_page(table_of([T0, T0 + 1]), np.array([T0, T0 + 1]), page=2).num_rows == 0


@pytest.mark.parametrize("times", [[T0, T0 + 9], [T0 + 1, T0 + 3, T0 + 9], [T0 - 5]])
def test_a_page_that_goes_back_is_refused(times: list[int]) -> None:
    """Earlier records that the page before did not have are disorder, not a seam: told with both times."""
    said = (
        f"^page 2 begins at {format_time(times[0])}, before the end .* at {format_time(T0 + 3)}, .* Report it to the op"
    )
    with pytest.raises(PageError, match=said) as caught:
        join_page(table_of(times), np.array([T0 + 1, T0 + 2, T0 + 3]), page=2)
    assert caught.value.page == 2


@pytest.mark.parametrize("times", [[T0, T0], [T0 + 2, T0 + 1], [T0 + 2, T0 + 1, T0 + 9, T0 + 9]])
def test_disorder_inside_a_page_is_refused(times: list[int]) -> None:
    """A page ascends strictly: the first record that does not is told, and the one before it."""
    said = f"^page 3: record 1 is at {format_time(times[1])}, not after .* at {format_time(times[0])}; .* Report it to"
    with pytest.raises(PageError, match=said) as caught:
        join_page(table_of(times), None, page=3)
    assert caught.value.page == 3


def test_a_seam_longer_than_what_a_page_added_is_no_disorder() -> None:
    """A server that cuts `from` to milliseconds repeats all of that millisecond, page after page."""
    first, second, third = [T0, T0 + 1, T0 + 2], [T0, T0 + 1, T0 + 2, T0 + 3], [T0, T0 + 1, T0 + 2, T0 + 3, T0 + 4]
    pages = [page_of(times, number=number) for number, times in enumerate([first, second, third], 1)]
    assert times_of(decode_chain(pages)).tolist() == third


def test_the_last_nanosecond_there_is_can_be_trimmed() -> None:
    """An end beyond 64 bits is no float."""
    times = [MAX_NS - 107, MAX_NS - 106, MAX_NS]
    assert times_of(trim(table_of(times), TimeRange(MAX_NS - 106, MAX_NS + 1))).tolist() == times[1:]


def test_an_empty_page_joins() -> None:
    """A page without records is no fault."""
    assert join_page(table_of([]), np.array([T0]), page=2).num_rows == 0


@given(st.lists(st.integers(0, 50), unique=True, max_size=20).map(sorted), st.data())
def test_any_pages_with_any_seams_give_every_record_once(offsets: list[int], data: st.DataObject) -> None:
    """However a chain is cut into pages, and however much of its end a page repeats, each record comes once."""
    times = [T0 + one for one in offsets]
    pages, at, previous = [], 0, 0
    while at < len(times):
        size = data.draw(st.integers(1, 5))
        again = data.draw(st.integers(0, previous))
        pages.append(page_of(times[at - again : at + size], number=len(pages) + 1))
        previous = min(size, len(times) - at)
        at += size
    if pages:
        assert times_of(decode_chain(pages)).tolist() == times


def test_a_chain_goes_on_from_what_came_before() -> None:
    """Times before the first page count as the page before it."""
    table = decode_chain([page_of([T0, T0 + 1])], np.array([T0 - 1, T0]))
    assert times_of(table).tolist() == [T0 + 1]


@pytest.mark.parametrize(
    ("times", "before"), [([T0], []), ([], [T0]), ([], []), ([T0 + 3, T0 + 4], [T0, T0 + 1, T0 + 2])]
)
def test_a_chain_in_order_is_decoded_at_once(
    monkeypatch: pytest.MonkeyPatch, times: list[int], before: list[int]
) -> None:
    """Page by page would take far longer; in the memory that was given."""
    asked: list[tuple[int, Room | None]] = []

    def decode(pages: list[RawPage], *, room: Room | None = None) -> pa.Table:
        asked.append((len(pages), room))
        return decode_pages(pages, room=room)

    monkeypatch.setattr(paging, "decode_pages", decode)
    room = Room()
    pages = [page_of(times[:1]), page_of(times[1:])]
    for earlier in (np.array(before, np.int64), None):
        assert times_of(decode_chain(pages, earlier, room=room)).tolist() == times
    assert asked == [(2, room), (2, room)]
    asked.clear()
    decode_chain([page_of([T0]), page_of([T0, T0 + 1])], room=room)
    assert asked == [(2, room), (1, room), (1, room)]


@pytest.mark.parametrize("times", [[T0 + 3, T0 + 9], [T0 + 5, T0 + 4]])
def test_disorder_in_a_chain_names_its_page(times: list[int]) -> None:
    """Against the last record before it, and not another."""
    with pytest.raises(PageError, match=r"^page 8") as caught:
        decode_chain([page_of(times, number=8)], np.array([T0 - 1, T0, T0 + 2, T0 + 4]))
    assert caught.value.page == 8
    with pytest.raises(PageError, match=r"^page 9") as caught:
        decode_chain([page_of([T0 - 5], number=8), page_of([T0 - 9], number=9)])
    assert caught.value.page == 9
