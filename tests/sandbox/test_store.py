"""The store: leaves of bounded size, one rename a write, nothing lost at a restart."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tsbulk_frames.sandbox.store import SeriesStore

INSTANT = pa.timestamp("ns", "UTC")


def table(times: list[int], **columns: list[object]) -> pa.Table:
    """Build records at nanoseconds, one numeric column unless told otherwise."""
    columns = columns or {"speed": [float(ns) for ns in times]}
    return pa.table({"_time": pa.array(times, pa.int64()).cast(INSTANT), **columns})


def stored(store: SeriesStore, after: int = -(2**63), upto: int = 2**63 - 1) -> dict[int, object]:
    """Read times and speeds of everything in a range, through `scan`."""
    found: dict[int, object] = {}
    for part in store.scan("e", "p", after, upto):
        times = part["_time"].cast(pa.int64()).to_pylist()
        assert not found or times[0] > max(found)
        assert times == sorted(set(times))
        found.update(zip(times, part["speed"].to_pylist(), strict=True))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    writes=st.lists(st.lists(st.integers(-50, 50), min_size=1, unique=True).map(sorted), max_size=6),
    after=st.integers(-60, 60),
    upto=st.integers(-60, 60),
)
def test_store_behaves_like_a_dict(
    tmp_path_factory: pytest.TempPathFactory, writes: list[list[int]], after: int, upto: int
) -> None:
    """Any writes in any order leave what a dict by time would hold, in leaves that never overlap or grow too large."""
    store = SeriesStore(tmp_path_factory.mktemp("series"), leaf_rows=4)
    model: dict[int, float] = {}
    for number, times in enumerate(writes):
        store.write("e", "p", table(times, speed=[number * 1000.0 + ns for ns in times]))
        model.update({ns: number * 1000.0 + ns for ns in times})
    assert stored(store) == dict(sorted(model.items()))
    assert stored(store, after, upto) == {ns: value for ns, value in sorted(model.items()) if after < ns <= upto}
    leaf = store.leaf_after("e", "p", -(2**63))
    while leaf:
        assert leaf.rows <= 4
        following = store.leaf_after("e", "p", leaf.last)
        assert following is None or following.first > leaf.last
        assert store.leaf_upto("e", "p", leaf.last) == leaf
        leaf = following


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, 60), min_size=1, unique=True).map(sorted),
    cuts=st.lists(st.integers(0, 60), max_size=5).map(sorted),
    old=st.lists(st.integers(0, 60), min_size=1, unique=True).map(sorted),
)
def test_tables_of_one_write_may_come_in_pieces(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], cuts: list[int], old: list[int]
) -> None:
    """However a write is cut into tables, the result is that of one table."""
    store = SeriesStore(tmp_path_factory.mktemp("series"), leaf_rows=3)
    store.write("e", "p", table(old, speed=[-1.0] * len(old)))
    whole = table(times)
    bounds = [0, *(min(cut, len(times)) for cut in cuts), len(times)]
    store.write("e", "p", (whole.slice(low, high - low) for low, high in itertools.pairwise(bounds)))
    assert stored(store) == dict(sorted({**dict.fromkeys(old, -1.0), **{ns: float(ns) for ns in times}}.items()))


def test_what_comes_later_leaves_what_is_stored_alone(tmp_path: Path) -> None:
    """Hour after hour is appended: no file that is there is written again."""
    store = SeriesStore(tmp_path, leaf_rows=4)
    for hour in range(5):
        before = set(tmp_path.rglob("*.parquet"))
        store.write("e", "p", table([10 * hour + at for at in range(3)]))
        assert before < set(tmp_path.rglob("*.parquet"))
    assert list(stored(store)) == [10 * hour + at for hour in range(5) for at in range(3)]


def test_many_small_writes_make_few_files(tmp_path: Path) -> None:
    """Records that come one by one still share files, at least half full."""
    store = SeriesStore(tmp_path, leaf_rows=4)
    for ns in range(40):
        store.write("e", "p", table([ns]))
    assert len(list(tmp_path.rglob("*.parquet"))) <= 20
    assert list(stored(store)) == list(range(40))


@pytest.mark.parametrize("rows", [1, 3, 9])
def test_types_are_held_where_nothing_is_read(tmp_path: Path, rows: int) -> None:
    """However many records come behind what is stored, a column of another type is refused."""
    store = SeriesStore(tmp_path, leaf_rows=4)
    store.write("e", "p", table([1, 2, 3]))
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        store.write("e", "p", table(list(range(10, 10 + rows)), speed=["text"] * rows))
    assert list(stored(store)) == [1, 2, 3]
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_record_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A later write of the same time leaves nothing of the earlier record's other properties."""
    store = SeriesStore(tmp_path)
    store.write("e", "p", table([1, 2], speed=[1.0, 2.0], state=["a", "b"]))
    store.write("e", "p", table([2], speed=[9.0], state=[None]))
    frame = store.frame("e", "p")
    assert frame["speed"].tolist() == [1.0, 9.0]
    assert frame["state"].isna().tolist() == [False, True]


def test_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """When the tables raise in the middle, neither records nor files stay."""
    store = SeriesStore(tmp_path, leaf_rows=2)
    store.write("e", "p", table([1]))
    before = sorted(tmp_path.rglob("*"))

    def broken() -> object:
        yield table([2, 3, 4, 5, 6, 7, 8])
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        store.write("e", "p", broken())
    assert stored(store) == {1: 1.0}
    assert sorted(tmp_path.rglob("*")) == before


def test_types_do_not_change_silently(tmp_path: Path) -> None:
    """A column of another type than the stored one is refused, and what was stored stays."""
    store = SeriesStore(tmp_path)
    store.write("e", "p", table([1]))
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        store.write("e", "p", table([2], speed=["text"]))
    assert stored(store) == {1: 1.0}


def test_restart_finds_everything_and_sweeps_what_a_crash_left(tmp_path: Path) -> None:
    """A new store on the folder holds the same; files that no index names are gone."""
    store = SeriesStore(tmp_path, leaf_rows=2)
    store.write("e", "p", table([1, 2, 3]))
    folder = next(tmp_path.iterdir())
    (folder / "half.parquet").write_bytes(b"PAR1")
    (folder / "index.json.draft").write_text("{")
    again = SeriesStore(tmp_path, leaf_rows=2)
    assert stored(again) == {1: 1.0, 2: 2.0, 3: 3.0}
    assert {path.name for path in folder.iterdir()} == {"index.json"} | {
        leaf.path.name for leaf in (again.leaf_after("e", "p", 0), again.leaf_after("e", "p", 1)) if leaf
    }


def test_token_is_written_once_even_after_a_restart(tmp_path: Path) -> None:
    """A write of a known name changes nothing, so a job may be run again."""
    store = SeriesStore(tmp_path)
    assert store.write("e", "p", table([1], speed=[1.0]), token="job")
    store.write("e", "p", table([1], speed=[2.0]))
    again = SeriesStore(tmp_path)
    assert again.written("e", "p", "job")
    assert not again.write("e", "p", table([1], speed=[1.0]), token="job")
    assert stored(again) == {1: 2.0}


def test_replaced_files_go_away(tmp_path: Path) -> None:
    """A series that is overwritten again and again does not grow on disk."""
    store = SeriesStore(tmp_path)
    for _ in range(5):
        store.write("e", "p", table([1, 2, 3]))
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_any_text_names_a_series(tmp_path: Path) -> None:
    """Names with separators, dots, umlauts or thousands of letters neither collide nor leave the folder."""
    store = SeriesStore(tmp_path / "inside")
    names = ["../x", "a/b", "a", "ü ", ".", "", "n" * 5000, "a\x00b", "con"]
    for number, name in enumerate(names):
        store.write(name, name, table([number]))
        store.write(name, "p", table([number, 100]))
    assert [list(store.frame(name, name)["speed"]) for name in names] == [[float(n)] for n in range(len(names))]
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


def test_frame_keeps_every_type(tmp_path: Path) -> None:
    """Integers and booleans with gaps are nullable, quality codes stand behind their property, nothing is rounded."""
    store = SeriesStore(tmp_path)
    columns = {
        "count": pa.array([2**63 - 1, None], pa.int64()),
        "whole": pa.array([1, 2], pa.int64()),
        "on": pa.array([True, None]),
        "state": pa.array(["", None]),
        "never": pa.array([None, None], pa.float64()),
        "whole_qc": pa.array([None, 0], pa.int64()),
    }
    store.write("e", "p", table([1_541_066_400_000_000_001, 1_541_066_400_000_000_002], **columns))
    frame = store.frame("e", "p")
    assert list(frame.columns) == ["count", "whole", "whole_qc", "on", "state"]
    assert frame.index.dtype == "datetime64[ns, UTC]"
    assert frame.index.name == "_time"
    assert frame.index[0].value == 1_541_066_400_000_000_001
    assert frame["count"].dtype == pd.Int64Dtype()
    assert frame["count"].iloc[0] == 2**63 - 1
    assert frame["whole"].dtype == np.int64
    assert frame["whole_qc"].dtype == pd.Int64Dtype()
    assert frame["on"].dtype == pd.BooleanDtype()
    assert frame["state"].iloc[0] == ""


def test_frame_of_unknown_series_is_empty(tmp_path: Path) -> None:
    """Nothing stored: no rows, the same index."""
    frame = SeriesStore(tmp_path).frame("nobody", "nothing")
    assert frame.shape == (0, 0)
    assert frame.index.dtype == "datetime64[ns, UTC]"
    assert frame.index.name == "_time"


def test_new_property_appears_beside_old_records(tmp_path: Path) -> None:
    """An aspect that gets a property later: older records have no value of it."""
    store = SeriesStore(tmp_path)
    store.write("e", "p", table([1], speed=[1.0]))
    store.write("e", "p", table([2], speed=[2.0], level=[7]))
    assert store.frame("e", "p")["level"].tolist() == [pd.NA, 7]


def test_readers_go_on_while_a_writer_replaces_files(tmp_path: Path) -> None:
    """A scan never fails, never goes back in time, and never sees half of a write that replaces every record."""
    store = SeriesStore(tmp_path, leaf_rows=100)
    times = list(range(50))
    store.write("e", "p", table(times, speed=[0.0] * 50))
    done = threading.Event()

    def overwrite() -> None:
        for round_ in range(1, 40):
            store.write("e", "p", table(times, speed=[float(round_)] * 50))
        done.set()

    writer = threading.Thread(target=overwrite)
    writer.start()
    try:
        while not done.is_set():
            values = stored(store)
            assert len(values) == 50
            assert len(set(values.values())) == 1
    finally:
        writer.join()
