"""Reading over a real socket: ranges, pages, links and values of both services."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from furniture import PERFORMANCE, Clock, Http, furnish

from tsbulk_frames.sandbox import Rules, Sandbox

BULK = f"/api/iottsbulk/v3/timeseries/{PERFORMANCE}/pump"
ORDINARY = f"/api/iottimeseries/v3/timeseries/{PERFORMANCE}/pump"
DAY = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}
BEGIN = datetime(2026, 3, 1, 10, tzinfo=UTC)


def fill(http: Http, records: list[dict[str, Any]]) -> None:
    """Store records by the ordinary service, in no particular order."""
    answer = http.put(ORDINARY, json=records[::-1])
    assert answer.status_code == 204, answer.text


def seconds(count: int) -> list[dict[str, Any]]:
    """Build a record a second; every third has another property than the others."""
    moments = [(BEGIN + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ") for at in range(count)]
    return [
        {"_time": moment, "state": f"s{at}"} if at % 3 == 2 else {"_time": moment, "speed": at / 4}
        for at, moment in enumerate(moments)
    ]


def pages(http: Http, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """Walk a chain of pages of the bulk service."""
    answer = http.get(BULK, params={**DAY, **query})
    while True:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        yield body["records"]
        if "nextRecord" not in body:
            return
        answer = http.get(body["nextRecord"])


def walk(http: Http, **query: Any) -> list[dict[str, Any]]:
    """Read all records of a chain."""
    return [record for page in pages(http, **query) for record in page]


@pytest.fixture
def small() -> Iterator[Http]:
    """Session with a sandbox whose pages hold next to nothing."""
    with Sandbox(page_bytes=1) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        yield http


@pytest.mark.parametrize("page_records", [1, 7, 1000])
@pytest.mark.parametrize(
    "query", [{}, {"sort": "desc"}, {"select": "state"}, {"limit": 23}, {"limit": 23, "sort": "desc"}]
)
def test_walking_pages_loses_and_doubles_nothing(page_records: int, query: dict[str, Any]) -> None:
    """Whatever the page size, a chain of pages is the range itself."""
    records = seconds(60)
    with Sandbox(rules=Rules(page_records=page_records)) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        fill(http, records)
        got = list(pages(http, **query))
    expected = [record for record in records if "select" not in query or "state" in record]
    expected = expected[::-1] if "sort" in query else expected
    expected = expected[: query.get("limit")]
    assert [record for page in got for record in page] == expected
    assert all(0 < len(page) <= page_records for page in got)
    assert len(got) == -(-len(expected) // page_records)


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_page_holds_what_fits_its_bytes(sort: str) -> None:
    """A page is as full as it can be, and never fuller, unless a single record is."""
    records = seconds(50)
    with Sandbox(page_bytes=200) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        fill(http, records)
        got = list(pages(http, sort=sort))
    sizes = [[len(json.dumps(record, separators=(",", ":"))) + 1 for record in page] for page in got]
    assert [record for page in got for record in page] == (records if sort == "asc" else records[::-1])
    for page, following in itertools.pairwise(sizes):
        assert sum(page) <= 200 < sum(page) + following[0]


def test_page_has_at_least_one_record(small: Http) -> None:
    """A record larger than a page is a page of its own."""
    fill(small, seconds(3))
    assert [len(page) for page in pages(small)] == [1, 1, 1]


def test_range_is_open_at_from_and_closed_at_to(http: Http) -> None:
    """``(from, to]`` to the nanosecond."""
    stamps = [f"2026-03-01T10:00:00.00000000{digit}Z" for digit in range(1, 6)]
    fill(http, [{"_time": stamp, "speed": 1.0} for stamp in stamps])
    got = walk(http, **{"from": stamps[1], "to": stamps[3]})
    assert [record["_time"] for record in got] == stamps[2:4]


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("page_records", [1, 2, 5])
@pytest.mark.parametrize(("compare", "unit"), [("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9)])
def test_precision_of_the_range_is_a_rule(compare: str, unit: int, page_records: int, sort: str) -> None:
    """`Rules.compare` cuts both sides; a chain of pages still loses and doubles nothing."""
    steps = [0, 1, 2, 999, 1000, 1001, 10**6 - 1, 10**6, 10**6 + 5, 10**6 + 1000, 999_999_999]
    records = [{"_time": f"2026-03-01T10:00:00.{step:09d}Z", "speed": float(step)} for step in steps]
    with Sandbox(rules=Rules(compare=compare, page_records=page_records)) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        fill(http, records)
        for low in (0, 2, 1000, 10**6):
            query = {"from": f"2026-03-01T10:00:00.{low:09d}Z", "to": "2026-03-01T10:00:00.001000005Z"}
            expected = [float(step) for step in steps if low // unit < step // unit <= (10**6 + 5) // unit]
            got = [record["speed"] for record in walk(http, **query, sort=sort)]
            assert got == (expected if sort == "asc" else expected[::-1])


def test_limit_cuts_within_one_moment() -> None:
    """Where several records are one moment, ``limit`` still counts records."""
    records = [{"_time": f"2026-03-01T10:00:00.00000{step}Z", "speed": float(step)} for step in range(5)]
    with Sandbox(rules=Rules(compare="s", page_records=1)) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        fill(http, records)
        assert [len(page) for page in pages(http, limit=3)] == [3]
        assert [len(page) for page in pages(http)] == [5]


def test_next_link_is_the_request_moved_on(small: Http) -> None:
    """``nextRecord``: same host, path and query, ``from`` the last ``_time``, ``limit`` lowered by what came."""
    fill(small, seconds(5))
    answer = small.get(
        f"{BULK}?from=2026-03-01T01%3A00%3A00%2B01%3A00&to=2026-03-02T00:00:00Z&limit=4&select=speed,state"
    )
    link = urlsplit(answer.json()["nextRecord"])
    assert f"{link.scheme}://{link.netloc}" == small.base
    assert link.path == BULK
    assert parse_qs(link.query) == {
        "from": ["2026-03-01T10:00:00Z"],
        "to": ["2026-03-02T00:00:00Z"],
        "limit": ["3"],
        "select": ["speed,state"],
    }


def test_link_names_the_host_as_it_was_asked(small: Http) -> None:
    """The Host header decides, so that links work through a forwarded port."""
    fill(small, seconds(2))
    answer = small.get(BULK, params=DAY, headers={"Host": "elsewhere.example:1234"})
    assert answer.json()["nextRecord"].startswith(f"http://elsewhere.example:1234{BULK}?")


def test_values_come_back_exactly(http: Http) -> None:
    """Doubles look like doubles and round-trip, integers are exact, texts survive every kind of character."""
    doubles = [45.0, -0.0, 0.1 + 0.2, 1e21, 1e22, 1.7976931348623157e308, 5e-324, -1e-7, 123456789012345680.0, 2.0**53]
    texts = ["", '"', "\\", "},{", "a\nb\t\x00\x1f", "ü€😀\u2028\x7f", "2018-11-01", "null"]
    records: list[dict[str, Any]] = [
        {"_time": f"2026-03-01T10:00:{at:02d}Z", "speed": value} for at, value in enumerate(doubles)
    ]
    records += [{"_time": f"2026-03-01T11:00:{at:02d}Z", "state": text} for at, text in enumerate(texts)]
    records += [
        {"_time": "2026-03-01T12:00:00Z", "speed_qc": 192, "count": 2**63 - 1, "small": -(2**31), "on": True},
        {"_time": "2026-03-01T12:00:01Z", "count": -(2**63), "on": False, "at": "2026-03-01T00:00:00.5+01:00"},
    ]
    fill(http, records)
    text = http.get(BULK, params=DAY).text
    assert json.loads(text)["records"] == records
    written = [
        record["speed"] for record in json.loads(text, parse_float=str, parse_int=int)["records"][: len(doubles)]
    ]
    assert all(isinstance(number, str) for number in written)
    assert [str(float(number)) for number in written] == [str(number) for number in doubles]


def test_times_have_no_more_digits_than_they_need(http: Http) -> None:
    """0, 3, 6 or 9 fraction digits, record by record; times before 1970 too."""
    stamps = [
        "1965-03-01T10:00:00.000000001Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00Z",
        "2026-03-01T10:00:00.500Z",
        "2026-03-01T10:00:00.500001Z",
        "2026-03-01T10:00:00.500001002Z",
        "2026-03-01T10:00:01Z",
    ]
    fill(http, [{"_time": stamp, "speed": 1.0} for stamp in stamps])
    assert [record["_time"] for record in http.get(ORDINARY).json()] == stamps


def test_select_gives_properties_with_their_quality_codes(http: Http) -> None:
    """Selected properties only, in the records that have one of them."""
    first = {"_time": "2026-03-01T10:00:00Z", "speed": 1.0, "speed_qc": 4, "state": "a", "count": 7}
    fill(http, [first, {"_time": "2026-03-01T10:00:01Z", "state": "b"}])
    assert walk(http, select="speed") == [{"_time": first["_time"], "speed": 1.0, "speed_qc": 4}]
    assert walk(http, select="count,speed") == [{"_time": first["_time"], "speed": 1.0, "speed_qc": 4, "count": 7}]
    assert walk(http, select="note") == []


def test_empty_range_is_one_empty_page(http: Http) -> None:
    """No records: an empty list and no link."""
    assert http.get(BULK, params=DAY).json() == {"records": []}
    assert http.get(ORDINARY).json() == []


@pytest.mark.parametrize(
    "query",
    [
        {"from": None},
        {"to": None},
        {"from": ""},
        {"from": "2026-03-01"},
        {"from": "2026-03-01T00:00:00"},
        {"from": "2026-02-30T00:00:00Z"},
        {"from": "2026-03-01T00:00:00.0000000001Z"},
        {"to": DAY["from"]},
        {"to": "2026-02-01T00:00:00Z"},
        {"to": "2026-05-30T00:00:00Z"},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "1.0"},
        {"limit": "many"},
        {"limit": "9" * 5000},
        {"limit": "²"},
        {"sort": "up"},
        {"select": "typo"},
        {"select": "speed,typo"},
        {"select": ""},
        {"select": "speed_qc"},
    ],
    ids=str,
)
def test_bad_query_is_refused(http: Http, query: dict[str, str | None]) -> None:
    """400 with the bulk service's error body."""
    answer = http.get(BULK, params={**DAY, **query})
    assert answer.status_code == 400
    assert set(answer.json()) == {"timestamp", "status", "error", "exception", "message", "path"}


def test_a_missing_end_is_named(http: Http) -> None:
    """Without ``from`` or ``to`` the answer says which one is required and was not given."""
    for name in DAY:
        message = http.get(BULK, params={**DAY, name: None}).json()["message"]
        assert f"'{name}' is required and was not given" in message


def test_range_may_be_just_under_ninety_days(http: Http) -> None:
    """The limit is on what reaches 90 days, not on what stays under."""
    assert http.get(BULK, params={**DAY, "to": "2026-05-29T23:59:59.999999999Z"}).status_code == 200


@pytest.mark.parametrize("service", ["iottsbulk", "iottimeseries"])
@pytest.mark.parametrize("series", [f"{'f' * 32}/pump", f"{PERFORMANCE}/other"])
def test_unknown_series_is_not_found(http: Http, service: str, series: str) -> None:
    """404 for an asset or aspect that is not there, on both services."""
    assert http.get(f"/api/{service}/v3/timeseries/{series}", params=DAY).status_code == 404


def test_ordinary_service_pages_by_link(http: Http) -> None:
    """A bare list, at most 2,000 records, the next page as a ``Link`` header in just this spelling."""
    records = seconds(3500)
    fill(http, records)
    first = http.get(ORDINARY, params={**DAY, "limit": 5000})
    assert first.json() == records[:2000]
    link = first.headers["Link"]
    assert link.startswith(f"<{http.base}{ORDINARY}?")
    assert link.endswith('>; rel="next"')
    second = http.get(link[1 : link.index(">")])
    assert second.json() == records[2000:]
    assert "Link" not in second.headers


@pytest.mark.parametrize("query", ["", "?limit=7", "?limit=7&sort=desc", "?limit=7&select=state"])
def test_ordinary_service_walks_without_a_range(http: Http, query: str) -> None:
    """``from`` and ``to`` may be left out; a page has ``limit`` records, a chain has all; a bare ``?`` is no harm."""
    records = seconds(40)
    fill(http, records)
    url, got = f"{ORDINARY}{query or '?'}", []
    while url:
        answer = http.get(url)
        assert len(answer.json()) <= 7 or not query
        got += answer.json()
        url = answer.headers["Link"][1:].split(">")[0] if "Link" in answer.headers else ""
    expected = [record for record in records if "select" not in query or "state" in record]
    assert got == (expected[::-1] if "desc" in query else expected)


def test_ordinary_service_takes_records_in_any_order(http: Http, sandbox: Sandbox) -> None:
    """Of two records with the same time the later counts, and a stored one is replaced as a whole."""
    at = "2026-03-01T10:00:00Z"
    fill(http, [{"_time": at, "state": "old", "speed": 1.0}])
    answer = http.put(ORDINARY, json=[{"_time": at, "speed": 2.0}, {"_time": at, "speed": 3.0}])
    assert answer.status_code == 204
    frame = sandbox.records(PERFORMANCE, "pump")
    assert frame["speed"].tolist() == [3.0]
    assert "state" not in frame


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'[{"_time":"2026-03-01T10:00:00Z","speed":"x"}]', b"\xff"])
def test_ordinary_service_refuses_what_is_no_list_of_records(http: Http, sandbox: Sandbox, content: bytes) -> None:
    """400, and nothing is stored."""
    answer = http.put(ORDINARY, data=content)
    assert answer.status_code == 400
    assert len(sandbox.records(PERFORMANCE, "pump")) == 0


def test_what_was_written_is_seen_at_once(http: Http) -> None:
    """Rendered pages are kept, but never longer than they are true."""
    at = "2026-03-01T10:00:00Z"
    for value in (1.0, 2.0, 3.0):
        fill(http, [{"_time": at, "speed": value}])
        assert walk(http) == [{"_time": at, "speed": value}]


def test_reading_survives_a_restart(tmp_path: Any, clock: Clock) -> None:
    """The same records from the same folder."""
    records = seconds(10)
    with Sandbox(tmp_path, clock=clock) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        fill(http, records)
    with Sandbox(tmp_path, clock=clock) as sandbox, Http(sandbox) as http:
        assert walk(http) == records


def test_reading_needs_a_token(sandbox: Sandbox) -> None:
    """No token, no records."""
    assert requests.get(sandbox.url + BULK, params=DAY, timeout=10).status_code == 401
