"""Cutting pages: whatever the sizes of leaves and pages and the precision, a chain is the range itself."""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbulk_frames.sandbox import pages as module
from tsbulk_frames.sandbox.arrow import INSTANT
from tsbulk_frames.sandbox.pages import Page, Pages, Query
from tsbulk_frames.sandbox.store import SeriesStore

UNIT = {"ns": 1, "us": 1000}


def filled(folder: Path, times: list[int], leaf_rows: int) -> SeriesStore:
    """Store a record at each time, its value the time."""
    store = SeriesStore(folder, leaf_rows=leaf_rows)
    if times:
        store.write("e", "p", pa.table({"_time": pa.array(times).cast(INSTANT), "v": pa.array(times, pa.int64())}))
    return store


def values(page: Page) -> list[int]:
    """Read a page's records."""
    found = [record["v"] for record in json.loads(b"[" + page.records + b"]")]
    assert len(found) == page.count
    return found


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(st.sampled_from([1, 2, 400, 999, 1000, 3000]), max_size=14),
    leaf_rows=st.integers(1, 5),
    compare=st.sampled_from(["ns", "us"]),
    records=st.none() | st.integers(1, 5),
    size=st.none() | st.integers(1, 250),
    limit=st.none() | st.integers(1, 12),
    ends=st.tuples(st.integers(-10, 6000), st.integers(-10, 16000)),
    descending=st.booleans(),
)
def test_chain_of_pages_is_the_range(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    steps: list[int],
    leaf_rows: int,
    compare: Literal["ns", "us"],
    records: int | None,
    size: int | None,
    limit: int | None,
    ends: tuple[int, int],
    descending: bool,
) -> None:
    """Nothing is lost or doubled; a page is larger than allowed only where it is a single moment."""
    times, unit = list(itertools.accumulate(steps)), UNIT[compare]
    cutter = Pages(filled(tmp_path_factory.mktemp("series"), times, leaf_rows), compare)
    query = Query("e", "p", min(ends), max(ends), ("v",), descending=descending, limit=limit)
    expected = [ns for ns in times if query.after // unit < ns // unit <= query.upto // unit]
    expected = (expected[::-1] if descending else expected)[:limit]
    got: list[int] = []
    while True:
        page = cutter.cut(query, size=size, records=records)
        found = values(page)
        got += found
        moments = {ns // unit for ns in found}
        assert len(moments) <= 1 or records is None or page.count <= records
        assert len(moments) <= 1 or size is None or len(page.records) + 1 <= size
        if page.resume is None:
            break
        assert found
        query = query.resumed(page.resume)
        if query.limit is not None:
            query = Query(
                "e", "p", query.after, query.upto, ("v",), descending=descending, limit=query.limit - len(found)
            )
    assert got == expected


def test_leaf_is_rendered_once_for_all_who_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight readers of one leaf at the same time cost one rendering, and so does a chain of its pages."""
    cutter = Pages(filled(tmp_path, list(range(100)), 1000), "ns")
    rendered, together = [], threading.Barrier(8)
    original = module.render

    def counted(*arguments: object) -> object:
        rendered.append(arguments)
        return original(*arguments)  # type: ignore[arg-type]

    def read(_: int) -> int:
        together.wait(20)
        return cutter.cut(Query("e", "p", -1, 99, ("v",)), size=None, records=10).count

    monkeypatch.setattr(module, "render", counted)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [10] * 8
    assert len(rendered) == 1


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered leaves are let go of beyond the bound, those used longest ago first."""
    store = filled(tmp_path, list(range(100)), 10)
    one = Pages(store, "ns")
    one.cut(Query("e", "p", -1, 5, ("v",)), size=None, records=None)
    weight = one._cache._held
    monkeypatch.setattr(module, "_CACHE_BYTES", 3 * weight)
    cutter = Pages(store, "ns")
    assert cutter.cut(Query("e", "p", -1, 99, ("v",)), size=None, records=None).count == 100
    assert 0 < cutter._cache._held <= 3 * weight
    assert [key[0].last for key in cutter._cache._entries] in ([79, 89, 99][-3:], [89, 99])


def test_what_was_replaced_is_not_kept(tmp_path: Path) -> None:
    """Records written again and again weigh as much as once; leaves beside them, and of another series, stay."""
    store = filled(tmp_path, list(range(20)), 10)
    other = pa.table({"_time": pa.array(range(20)).cast(INSTANT), "v": pa.array(range(20), pa.int64())})
    store.write("e", "q", other)
    cutter = Pages(store, "ns")
    for name in ("p", "q"):
        cutter.cut(Query("e", name, -1, 19, ("v",)), size=None, records=None)
    weight, kept = cutter._cache._held, list(cutter._cache._entries)
    for value in range(5):
        times = pa.array(range(10)).cast(INSTANT)
        store.write("e", "p", pa.table({"_time": times, "v": pa.array([10 + value] * 10, pa.int64())}))
        page = cutter.cut(Query("e", "p", -1, 19, ("v",)), size=None, records=None)
        assert values(page)[:10] == [10 + value] * 10
    assert cutter._cache._held <= 1.5 * weight
    assert len(cutter._cache._entries) == len(kept)
    assert set(kept[1:]) <= set(cutter._cache._entries)


def test_range_is_read_on_while_it_is_overwritten(tmp_path: Path) -> None:
    """A leaf that goes away between finding and reading it is found again."""
    store = filled(tmp_path, list(range(50)), 10)
    cutter, done = Pages(store, "ns"), threading.Event()

    def overwrite() -> None:
        for _ in range(30):
            filled_again = pa.table({"_time": pa.array(range(50)).cast(INSTANT), "v": pa.array(range(50), pa.int64())})
            store.write("e", "p", filled_again)
        done.set()

    writer = threading.Thread(target=overwrite)
    writer.start()
    try:
        while not done.is_set():
            assert values(cutter.cut(Query("e", "p", -1, 99, ("v",)), size=None, records=None)) == list(range(50))
    finally:
        writer.join()
