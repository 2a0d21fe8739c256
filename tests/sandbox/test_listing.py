"""Listings of the file service: what they tell, filters, order, pages, lag."""

from __future__ import annotations

from pathlib import Path

import pytest
from furniture import PERFORMANCE, Clock, Http, furnish

from tsbulk_frames.sandbox import Rules, Sandbox
from tsbulk_frames.sandbox.files import FileInfo

FILES = f"/api/iotfile/v3/files/{PERFORMANCE}"


def test_listing_items(http: Http, clock: Clock):
    """An item tells name, folder with its slash, type, size, the three times and the etag."""
    headers = {"type": "application/json", "description": "data", "timestamp": "2026-03-01T00:00:00.000Z"}
    http.put(FILES + "/dir/sub/a.json", data=b"[1]", headers=headers)
    clock.now += 60
    http.put(FILES + "/dir/sub/a.json", data=b"[12]", headers={"If-Match": "0", "TIMESTAMP": "2026-03-02T00:00:00Z"})
    (item,) = http.get(FILES).json()
    assert item == {
        "name": "a.json",
        "path": "dir/sub/",
        "type": "application/octet-stream",
        "size": 4,
        "timestamp": "2026-03-02T00:00:00Z",
        "created": "2027-01-15T08:00:00.000Z",
        "updated": "2027-01-15T08:01:00.000Z",
        "etag": 1,
        "description": "",
    }


@pytest.fixture
def shelf(http: Http, clock: Clock) -> Http:
    """Six files, a minute apart."""
    for name in ["a.json", "dir/a.json", "dir/b.json", "dir/sub/a.json", "rock and roll.txt", "x y.json"]:
        http.put(f"{FILES}/{name}", data=b"x" * len(name), headers={"type": "text/plain"})
        clock.now += 60
    return http


def names(http: Http, **params) -> list[str]:
    """List the paths that an answer holds."""
    answer = http.get(FILES, params=params)
    assert answer.status_code == 200, answer.text
    return [item["path"] + item["name"] for item in answer.json()]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("name eq a.json and path eq dir/", ["dir/a.json"]),
        ("path eq dir/ and name eq b.json", ["dir/b.json"]),
        ("name eq a.json", ["a.json", "dir/a.json", "dir/sub/a.json"]),
        ("path eq dir/", ["dir/a.json", "dir/b.json"]),
        ("name eq a.json and path eq /", ["a.json"]),
        ("name eq a.json and path eq ./", ["a.json"]),
        ("name eq a.json and path eq ", ["a.json"]),
        ('name eq "a.json" and path eq "dir/"', ["dir/a.json"]),
        ("name eq x y.json", ["x y.json"]),
        ("name eq rock and roll.txt", ["rock and roll.txt"]),
        ("name eq rock and roll.txt and path eq /", ["rock and roll.txt"]),
        ("name eq a.JSON", []),
        ("name = a.json and path=dir/", ["dir/a.json"]),
        ("path eq dir/*", ["dir/a.json", "dir/b.json", "dir/sub/a.json"]),
        ("name eq *.txt", ["rock and roll.txt"]),
        ("name eq [ab].json*", []),
        ("size gt 14", ["rock and roll.txt"]),
        ("size >= 14 and size < 17", ["dir/sub/a.json"]),
        ("size lte 6", ["a.json"]),
        ("updated gte 2027-01-15T08:04:00Z", ["rock and roll.txt", "x y.json"]),
        ("updated lt 2027-01-15T08:01:00.000Z", ["a.json"]),
        ("name eq nothing", []),
    ],
)
def test_filters(shelf: Http, condition: str, found: list[str]):
    """A filter selects by comparisons joined with ``and``; nothing found is an empty list."""
    assert names(shelf, filter=condition) == found


@pytest.mark.parametrize(
    "condition",
    [
        "name",
        "name eq",
        "name a.json",
        "name like a",
        "owner eq me",
        "and name eq a",
        "size eq many",
        "size eq 99999999999999999999",
        "updated gt yesterday",
        "1=1; DROP TABLE files",
        " and ".join(["size gt 1"] * 2000),
    ],
)
def test_bad_filters(shelf: Http, condition: str):
    """A filter that cannot be understood is 400 and says so; it is never ignored."""
    answer = shelf.get(FILES, params={"filter": condition})
    assert answer.status_code == 400
    assert "filter" in answer.json()["message"]


def test_a_filter_takes_what_was_listed(shelf: Http):
    """Name and folder of every file, as the listing spells them, find that file alone; joined, they are its path."""
    items = shelf.get(FILES).json()
    assert [item["path"] for item in items] == ["", "", "", "dir/", "dir/", "dir/sub/"]
    for item in items:
        whole = item["path"] + item["name"]
        assert shelf.get(f"{FILES}/{whole}").status_code == 200
        for condition in ["name eq {name} and path eq {path}", "path eq {path} and name eq {name}"]:
            assert names(shelf, filter=condition.format_map(item)) == [whole]


def test_order_offset_limit_count(shelf: Http):
    """Listings are ordered by folder and name unless asked otherwise, and paged without gap or overlap."""
    assert names(shelf, order="updated desc")[0] == "x y.json"
    assert names(shelf, order="name desc, path asc")[:2] == ["x y.json", "rock and roll.txt"]
    everything = names(shelf)
    assert everything == ["a.json", "rock and roll.txt", "x y.json", "dir/a.json", "dir/b.json", "dir/sub/a.json"]
    paged = [name for offset in range(0, 8, 2) for name in names(shelf, offset=offset, limit=2)]
    assert paged == everything
    assert names(shelf, offset=99) == []
    assert shelf.get(FILES, params={"count": "true", "limit": 1}).headers["X-Total-Count"] == "6"


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "501"},
        {"limit": "0"},
        {"limit": "x"},
        {"limit": "-1"},
        {"offset": "-1"},
        {"offset": "1.5"},
        {"order": "owner"},
        {"order": "name sideways"},
        {"order": "name;--"},
        {"order": ",".join(["name"] * 3000)},
    ],
)
def test_bad_paging(http: Http, params: dict[str, str]):
    """Limits over 500, negative offsets and unknown orders are 400."""
    assert http.get(FILES, params=params).status_code == 400


def test_at_most_500_are_listed(sandbox: Sandbox, http: Http, tmp_path: Path):
    """A page holds 500 files unless fewer are asked for."""
    files = sandbox._opened().state.files
    for number in range(501):
        path = files.new_object()
        path.write_bytes(b"")
        files.put(PERFORMANCE, f"{number:03d}", path, FileInfo(), if_match=None)
    assert len(http.get(FILES).json()) == 500
    assert names(http, offset=500, limit=500) == ["500"]


def test_listing_lag(clock: Clock):
    """With a lag, a new file and a new etag show in the listing only after it; reading is never behind."""
    with Sandbox(clock=clock, rules=Rules(listing_lag=5)) as sandbox:
        furnish(sandbox)
        with Http(sandbox) as http:
            http.put(FILES + "/a", data=b"1")
            assert http.get(FILES).json() == []
            assert http.get(FILES + "/a").content == b"1"
            clock.now += 5
            http.put(FILES + "/a", data=b"2", headers={"If-Match": "0"})
            assert [item["etag"] for item in http.get(FILES).json()] == [0]
            clock.now += 5
            assert [item["etag"] for item in http.get(FILES).json()] == [1]
