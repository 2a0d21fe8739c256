"""Plans, without a server: the same partitions as are written, sizes close by, and every broken rule at once."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tsbulk_frames as tsb
from tests.benchmarks._data import SHAPES, frame
from tsbulk_frames import _estimate, plan
from tsbulk_frames._estimate import bytes_up_to, encoded_bytes
from tsbulk_frames.frames import from_frame
from tsbulk_frames.importplan import ImportPlan, PlannedPartition, Problem
from tsbulk_frames.model import MB, NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND, Series, TwinType, parse_moment
from tsbulk_frames.partition import STAGING_BYTES
from tsbulk_frames.sources import open_source, pieces_of

SERIES = Series("a", "b")
DAY0 = parse_moment("2026-03-01", "day")
NOW = parse_moment("2026-06-01", "now")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment to connect with."""
    for name in ("MDSP_KEY_STORE_CLIENT_ID", "MDSP_KEY_STORE_CLIENT_SECRET", "TSBULK_GATEWAY"):
        monkeypatch.delenv(name, raising=False)


def times(rows: int, freq: str = "s", start: str = "2026-03-01") -> pd.DatetimeIndex:
    """Make regular times."""
    return pd.date_range(start, periods=rows, freq=freq, tz="UTC", name="_time", unit="ns")


def small(rows: int = 3, freq: str = "s", start: str = "2026-03-01") -> pd.DataFrame:
    """Make a frame of one float."""
    return pd.DataFrame({"speed": np.arange(rows) + 0.5}, index=times(rows, freq, start))


def hours(data: object, **options: object) -> ImportPlan:
    """Plan for a simulation asset."""
    return tsb.plan_import(data, "a", "b", twin_type="simulation", **options)


def survey(pieces: object, twin: TwinType = TwinType.SIMULATION, **options: object) -> ImportPlan:
    """Plan on a clock of the test's."""
    return plan.survey(pieces, SERIES, twin, **{"closed": "left", "now_ns": NOW, **options})


def messages(planned: ImportPlan) -> list[str]:
    """List what is wrong, in short."""
    return [one.message for one in planned.problems]


# ---- what would be written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("twin", list(TwinType))
def test_a_plan_is_what_is_written(shape: str, twin: TwinType, tmp_path: Path) -> None:
    """Partitions, rows, first and last times are exact; bytes of each partition within 5 %."""
    data = frame(shape, 30_000)
    data.index = times(len(data), "17s")
    planned = tsb.plan_import(data, "a", "b", twin_type=twin)
    written = tsb.write_import_files(data, "a", "b", tmp_path, twin_type=twin)
    assert planned.ok
    assert [(one.partition, one.rows, one.first, one.last, one.files) for one in planned.partitions] == [
        (file.partition, file.rows, file.first, file.last, 1) for file in written
    ]
    assert planned.bytes == pytest.approx(sum(file.bytes for file in written), rel=0.01)
    for one, file in zip(planned.partitions, written, strict=True):
        assert one.bytes == pytest.approx(file.bytes, rel=0.05)


@settings(max_examples=40)
@given(
    st.lists(st.integers(DAY0, DAY0 + 3 * NS_PER_DAY), unique=True, min_size=1, max_size=60).map(sorted),
    st.lists(st.integers(0, 60), max_size=4).map(sorted),
    st.sampled_from(list(TwinType)),
    st.sampled_from(["left", "right"]),
)
def test_plans_do_not_depend_on_pieces(ns: list[int], cuts: list[int], twin: TwinType, closed: str) -> None:
    """However data is cut, and however often it can be gone through, the plan is that of the whole."""
    index = pd.DatetimeIndex(np.array(ns).view("M8[ns]"), name="_time").tz_localize("UTC")
    data = pd.DataFrame({"p": np.arange(len(ns)), "q": ["x" * (n % 7) for n in range(len(ns))]}, index=index)
    pieces = [data.iloc[a:b] for a, b in itertools.pairwise([0, *cuts, len(ns)])]
    whole = survey([data], twin, closed=closed)
    assert survey(pieces, twin, closed=closed) == survey(iter(pieces), twin, closed=closed) == whole
    assert whole.rows == len(ns)
    length = twin.partition_ns
    assert len(whole) == len({(one if closed == "left" else one - 1) // length for one in ns})
    assert whole.bytes == encoded_bytes(from_frame(data)) + len(whole)  # so few rows are all encoded


def test_every_kind_of_data_has_the_same_plan(tmp_path: Path) -> None:
    """Frames, Arrow tables and readers, iterators, Parquet files and folders."""
    data = small(100, "70s")
    table = pa.Table.from_pandas(data)
    pq.write_table(table, tmp_path / "one.parquet")
    (tmp_path / "many").mkdir()
    data.iloc[:40].to_parquet(tmp_path / "many" / "a.parquet")
    data.iloc[40:].to_parquet(tmp_path / "many" / "b.parquet")
    expected = hours(data)
    assert len(expected) == 2
    for other in (
        table,
        table.to_reader(max_chunksize=7),
        (data.iloc[i : i + 30] for i in range(0, 100, 30)),
        [data.iloc[:50], table.slice(50)],
        tmp_path / "one.parquet",
        str(tmp_path / "many"),
    ):
        assert hours(other) == expected


def test_nothing_is_nothing_to_import() -> None:
    """No rows, or no pieces: no partitions, no problems."""
    for data in (small(0), [], iter([]), small(0)[[]]):
        planned = hours(data)
        assert (len(planned), planned.rows, planned.bytes, planned.disk_bytes, planned.ok) == (0, 0, 0, 0, True)
        assert "nothing to import" in repr(planned)
        assert "nothing to import" in planned._repr_html_()
        assert planned.to_frame()["rows"].dtype == "int64"


def test_data_is_not_changed() -> None:
    """The caller's frame is as it was, whatever is wrong with it."""
    data = small(4).iloc[[0, 3, 1, 1]]
    data["bad"] = pd.Series([1, "x", np.inf, {}], dtype=object).to_numpy()
    before = data.copy(deep=True)
    assert not hours(data).ok
    pd.testing.assert_frame_equal(data, before)


def test_what_is_pointless_to_plan_is_refused_at_once(tmp_path: Path) -> None:
    """Data of a wrong kind, no times, no Parquet, words that are not known."""
    (tmp_path / "x.parquet").write_text("no parquet")
    for bad in (
        7,
        [7],
        {"a": 1},
        "/nowhere",
        tmp_path / "x.parquet",
        pd.DataFrame({"p": [1]}),
        small().tz_localize(None),
    ):
        with pytest.raises(tsb.FrameError):
            hours(bad)
    with pytest.raises(tsb.FrameError, match="empty_rows='keep'"):
        hours(small(), empty_rows="keep")
    with pytest.raises(tsb.FrameError, match="'digital'"):
        tsb.plan_import(small(), "a", "b", twin_type="digital")
    with pytest.raises(tsb.FrameError, match="entity"):
        tsb.plan_import(small(), "", "b", twin_type="simulation")
    with pytest.raises(tsb.ConfigError, match="connection"):
        hours(small(), connection="gateway")
    with pytest.raises(tsb.ConfigError):
        tsb.plan_import(small(), "a", "b")


# ---- sizes -----------------------------------------------------------------------------------------------------------


def test_few_rows_are_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 50 in a large piece: planning costs a fraction of encoding."""
    encoded = []
    real = _estimate.encode_rows

    def counted(table: pa.Table) -> object:
        encoded.append(table.num_rows)
        return real(table)

    monkeypatch.setattr(_estimate, "encode_rows", counted)
    planned = hours(small(300_000, "ms"))
    assert planned.rows == 300_000
    assert sum(encoded) <= 300_000 / 35


def test_what_comes_every_so_many_rows_is_not_missed() -> None:
    """Columns with a value each minute, and long texts now and then, count as often as they come."""
    rows = 200_000
    data = pd.DataFrame({"p": np.arange(rows) % 7 + 0.5}, index=times(rows))
    for every in (50, 60, 100):
        data[f"slow_{every}"] = np.where(np.arange(rows) % every == 0, 1234.5, np.nan)
    data["log"] = np.where(np.arange(rows) % 9_973 == 0, "x" * 20_000, None)
    table = from_frame(data)
    edges = np.linspace(0, rows, 6).astype(int)
    exact = [encoded_bytes(table.slice(a, b - a)) for a, b in itertools.pairwise(edges)]
    assert np.diff(bytes_up_to(table, edges)) == pytest.approx(exact, rel=0.02)


def wrong_estimate(factor: float) -> object:
    """Estimate off by a factor."""
    return lambda table, rows: factor * bytes_up_to(table, rows)


@pytest.mark.parametrize("once", [False, True])
def test_a_partition_near_its_limit_is_counted(monkeypatch: pytest.MonkeyPatch, once: bool) -> None:
    """The estimate alone condemns nothing: exactly the limit passes, one byte more does not."""
    pieces = [small(2_000), small(1_000, start="2026-03-01T00:35")]
    sizes = [encoded_bytes(from_frame(one)) for one in pieces]
    monkeypatch.setattr(plan, "bytes_up_to", wrong_estimate(1.7))
    for limit, ok in ((sum(sizes) + 1, True), (sum(sizes), False)):
        monkeypatch.setattr(TwinType, "max_partition_bytes", property(lambda self: limit))  # noqa: B023
        planned = survey(iter(pieces) if once else pieces)
        assert planned.ok == ok
        assert planned.bytes == sum(sizes) + 1
    assert messages(planned)[0].startswith("partition 2026-03-01T00: ")
    assert planned.problems[0].partition == "2026-03-01T00"


def test_counting_stops_where_too_large_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a partition far beyond its limit no more is encoded than proves it; the size told is that of all."""
    encoded = []
    monkeypatch.setattr(plan, "encoded_bytes", lambda table: encoded.append(table.num_rows) or encoded_bytes(table))
    monkeypatch.setattr(TwinType, "max_partition_bytes", property(lambda self: 10_000))
    pieces = [small(100, start=f"2026-03-01T00:{minute:02d}") for minute in range(0, 60, 2)]
    total = sum(encoded_bytes(from_frame(one)) for one in pieces)
    for given_ in (pieces, iter(pieces)):
        encoded.clear()
        planned = survey(given_)
        assert not planned.ok
        assert planned.bytes == pytest.approx(total, rel=0.05)
        assert 0 < sum(encoded) < 0.2 * planned.rows


def test_only_partitions_near_their_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are left alone."""
    encoded = []
    monkeypatch.setattr(plan, "encoded_bytes", lambda table: encoded.append(table.num_rows) or encoded_bytes(table))
    data = pd.concat([small(1_000), small(3_000, start="2026-03-01T01"), small(1_000, start="2026-03-01T02")])
    monkeypatch.setattr(TwinType, "max_partition_bytes", property(lambda self: 180_000))
    for pieces in ([data], iter([data.iloc[:2_000], data.iloc[2_000:]])):
        encoded.clear()
        assert survey(pieces).ok
        assert sum(encoded) == 3_000


def test_of_an_iterator_one_partition_is_kept() -> None:
    """Not all of it: an iterator may be larger than memory."""
    held = []

    def tables() -> Iterator[pa.Table]:
        for hour in range(40):
            held.append(pa.total_allocated_bytes())
            yield pa.table({"_time": times(40, "h")[hour : hour + 1], "p": pa.array(["x" * 1_000_000])})

    assert len(survey(tables())) == 40
    assert max(held) - held[0] < 8_000_000


def test_files_and_disk() -> None:
    """A file each 64 MB; staging takes no more than its share and the largest partition."""
    days = [PlannedPartition(f"2026-03-{day:02d}", 1, "", "", 16, 900 * MB) for day in range(1, 4)]
    assert ImportPlan(SERIES, TwinType.PERFORMANCE, days[:1], []).disk_bytes == 900 * MB
    assert ImportPlan(SERIES, TwinType.PERFORMANCE, days, []).disk_bytes == STAGING_BYTES + 900 * MB
    large = pd.DataFrame({"note": ["x" * 10_000_000] * 7}, index=times(7))
    assert hours(large).files == 2


# ---- every broken rule, at once --------------------------------------------------------------------------------------

RULES_OF_COLUMNS = {
    "inf": ([1.0, np.inf, -np.inf, 2.0], "2 of 4 values are inf"),
    "time": (times(4), "strftime"),
    "big": (np.array([1, 2**64 - 1, 1, 1], np.uint64), "1 of 4 values are integers beyond 64 bits"),
    "list": (pd.Series([[1]] * 4, dtype=object), "cannot be written (list)"),
    "lone_qc": ([1] * 4, "add the property"),
    "inf_qc": ([0.5] * 4, "quality codes are integers"),
    "": ([1] * 4, "is empty"),
}


def test_every_broken_rule_is_told_at_once() -> None:
    """All bad columns, times unsorted and doubled: one problem each, the good rest is planned."""
    data = pd.DataFrame(
        {
            name: np.asarray(values, object if name == "list" else None)
            for name, (values, _) in RULES_OF_COLUMNS.items()
            if name != "list"
        }
    )
    data["list"] = [[1]] * 4
    data[5] = 1
    data["good"] = 1.5
    data.index = times(4)[[0, 2, 1, 1]]
    planned = hours(data)
    told = messages(planned)
    for name, (_, words) in RULES_OF_COLUMNS.items():
        found = [one for one in planned.problems if one.column == name]
        assert [words in one.message for one in found] == [True], name
    assert sum("earlier than the one before" in one for one in told) == 1
    assert sum("the same as the one before" in one for one in told) == 1
    assert sum("column name 5 is a int" in one for one in told) == 1
    assert len(told) == len(RULES_OF_COLUMNS) + 3
    assert (planned.rows, planned.partitions[0].first) == (4, "2026-03-01T00:00:00Z")
    assert planned.partitions[0].last == "2026-03-01T00:00:02Z"


def test_a_column_may_break_several_rules() -> None:
    """Mixed values: each kind of offender is counted."""
    data = small(5)
    data["p"] = pd.Series([np.inf, 2**70, "\ud800", {}, "fine"], index=data.index, dtype=object)
    found = hours(data).problems
    assert [one.column for one in found] == ["p"] * 4
    for one, words in zip(found, ("dict", "inf", "64 bits", "surrogates"), strict=True):
        assert words in one.message


def test_columns_that_occur_twice_are_looked_into() -> None:
    """Neither hides what is wrong with the other, in frames and in tables."""
    data = pd.DataFrame([[1.0, np.inf], [2.0, 1.0]], columns=["p", "p"], index=times(2))
    table = pa.table([times(2), [1.0, 2.0], [np.inf, 1.0]], names=["_time", "p", "p"])
    for given_ in (data, table):
        planned = hours(given_)
        assert len(planned.problems) == 2
        assert "occurs twice" in messages(planned)[0]
        assert "inf" in messages(planned)[1]
        assert planned.rows == 2


def test_rows_without_a_time_are_told_and_left_out() -> None:
    """Missing times, and times beyond nanoseconds; the other faults of such rows are told all the same."""
    data = small(4).set_axis(times(4).where([True, False, True, True]))
    data.iloc[1, 0] = np.inf
    planned = hours(data)
    assert planned.rows == 3
    assert "1 of 4 times are missing" in messages(planned)[0]
    assert "first at a missing time" in messages(planned)[1]
    late = pd.DatetimeIndex(np.array([0, 5, 2**40, 4], "M8[s]")).tz_localize("UTC")
    planned = hours(small(4).set_axis(late))
    assert (planned.rows, len(planned.problems)) == (3, 2)
    assert "2262" in messages(planned)[0]
    assert "1 of 4 times are earlier" in messages(planned)[1]


def test_empty_rows_are_told_or_left_out() -> None:
    """By the caller's word; a bad column is not an empty one."""
    data = pd.DataFrame({"p": [1.0, None, None, 2.0], "q": [None, np.inf, None, None]}, index=times(4))
    planned = hours(data)
    assert ["inf" in one or "1 of 4 rows have no value" in one for one in messages(planned)] == [True, True]
    assert hours(data[["p"]], empty_rows="drop").rows == 2
    assert messages(hours(small()[[]])) == ["there is no column but the time; accepted is at least one property"]


def test_pieces_that_overlap_are_told() -> None:
    """Each seam that is wrong; the rows are planned in their partitions."""
    pieces = [
        small(3),
        small(3, start="2026-03-01T00:00:02"),
        small(3, start="2026-02-28T23:59:59"),
        small(1, start="2026-03-02"),
    ]
    planned = survey(pieces)
    assert [one.times for one in planned.problems] == [2]
    assert "piece 2 of data begins at 2026-03-01T00:00:02Z" in messages(planned)[0]
    assert messages(planned)[0].endswith(" (and 1 times more, further on)")
    assert [(one.partition, one.rows) for one in planned.partitions] == [
        ("2026-02-28T23", 1),
        ("2026-03-01T00", 8),
        ("2026-03-02T00", 1),
    ]


def test_every_piece_within_an_earlier_one_is_told() -> None:
    """The last time so far is what a piece has to come after, not that of the piece before."""
    pieces = [small(10), small(2, start="2026-03-01T00:00:02"), small(2, start="2026-03-01T00:00:05")]
    assert [one.times for one in survey(pieces).problems] == [2]


def test_the_same_in_many_pieces_is_one_problem() -> None:
    """Counted, not kept: a plan of any length stays small."""
    pieces = [small(3, start=f"2026-03-01T00:{minute}") for minute in range(10, 40)]
    for number, one in enumerate(pieces):
        one.iloc[number % 3, 0] = np.inf
    planned = survey(pieces)
    assert [(one.column, one.times) for one in planned.problems] == [("speed", 30)]
    assert planned.problems[0].error.__traceback__ is None
    assert "first at 2026-03-01T00:10:00Z" in messages(planned)[0]


def test_young_records_are_told() -> None:
    """With the partition they begin in; a simulation asset takes any age."""
    now = DAY0 + NS_PER_DAY + 1_800 * NS_PER_SECOND
    data = small(5, start="2026-03-01T23:59:58")
    planned = survey([data], TwinType.PERFORMANCE, now_ns=now)
    assert "3 of 5 records are too young" in messages(planned)[0]
    assert planned.problems[0].partition == "2026-03-02"
    assert planned.problems[0].error.rows == (2, 3, 4)
    assert planned.rows == 5
    assert survey([data], TwinType.SIMULATION, now_ns=now).ok
    assert survey([data], TwinType.PERFORMANCE, now_ns=now + NS_PER_HOUR).ok


def test_age_is_judged_by_the_real_clock_without_a_connection() -> None:
    """What is to come is too young."""
    assert "too young" in messages(tsb.plan_import(small(start="2200-01-01"), "a", "b", twin_type="performance"))[0]
    assert tsb.plan_import(small(), "a", "b", twin_type="performance").ok


# ---- Parquet ---------------------------------------------------------------------------------------------------------


def split(folder: Path, data: pd.DataFrame, **options: object) -> list[str]:
    """Write a folder whose names do not sort by time; names in the order of time."""
    parts = [data.iloc[a : a + 10] for a in range(0, len(data), 10)]
    for number, part in enumerate(parts, 1):
        part.to_parquet(folder / f"part-{number}.parquet", **options)
    return [f"part-{number}.parquet" for number in range(1, len(parts) + 1)]


@pytest.mark.parametrize("name", ["_time", "when", "column"])
@pytest.mark.parametrize("unit", ["ms", "ns"])
def test_files_of_a_folder_are_taken_by_time(tmp_path: Path, name: str, unit: str) -> None:
    """Whatever they are called, and wherever they keep the time; files of different units side by side."""
    data = small(110, "s", "1969-12-31T23:59")
    data.index = data.index.as_unit(unit).rename(name if name != "column" else "_time")
    if name == "column":
        data = data.reset_index()
    names = split(tmp_path, data)
    extra = small(5, start="1970-01-01T02")
    extra.index = extra.index.as_unit("us")
    extra.to_parquet(tmp_path / "a.parquet")
    extra.iloc[:0].to_parquet(tmp_path / "z.parquet")
    assert [file.name for file in pieces_of(tmp_path).files] == ["z.parquet", *names, "a.parquet"]
    assert hours(tmp_path).ok
    assert sum(table.num_rows for table in open_source(tmp_path)) == 115


def test_without_statistics_files_are_taken_by_name(tmp_path: Path) -> None:
    """All of them, or none: half an order is none. Then the plan tells that they overlap."""
    split(tmp_path, small(110))
    assert hours(tmp_path).ok
    small(10).to_parquet(tmp_path / "part-1.parquet", write_statistics=False)
    assert [file.name for file in pieces_of(tmp_path).files][:3] == [
        "part-1.parquet",
        "part-10.parquet",
        "part-11.parquet",
    ]
    assert "not after the end of the piece before" in messages(hours(tmp_path))[0]


# ---- the plan itself -------------------------------------------------------------------------------------------------


def bad_plan() -> ImportPlan:
    """Plan something with names that want escaping."""
    data = pd.DataFrame({"<b>x</b>": [np.inf, 1.0], "line\nbreak": [np.inf, 1.0]}, index=times(2, "2h"))
    return tsb.plan_import(data, "<script>", "b", twin_type="simulation")


def test_frames_of_a_plan_have_good_types() -> None:
    """A row per partition; times are times, in nanoseconds."""
    data = small(3, "40min")
    data.index = data.index + pd.Timedelta(1)
    table = hours(data).to_frame()
    assert table.columns.tolist() == ["partition", "rows", "first", "last", "files", "bytes"]
    assert [str(table[name].dtype) for name in ("rows", "files", "bytes")] == ["int64"] * 3
    assert [str(table[name].dtype) for name in ("first", "last")] == ["datetime64[ns, UTC]"] * 2
    assert table["last"].tolist() == [data.index[1], data.index[2]]
    assert hours(data)["rows"].tolist() == [2, 1]
    problems = bad_plan().problems_frame()
    assert problems.columns.tolist() == ["partition", "column", "times", "message"]
    assert problems["column"].tolist() == ["<b>x</b>", "line\nbreak"]
    assert problems["partition"].isna().all()


def test_plans_cross_processes() -> None:
    """Pickled and back, the errors within them, too."""
    planned = bad_plan()
    back = pickle.loads(pickle.dumps(planned))
    assert back.partitions == planned.partitions
    assert messages(back) == messages(planned)
    assert back.problems[0].error.rows == (0,)


def test_plans_fit_a_terminal() -> None:
    """No line is longer than 79 characters, none is missing for a line break in a name; long tables are shortened."""
    wide = tsb.plan_import(frame("wide", 2_000).set_axis(times(2_000, "h")), "a" * 40, "b" * 40, twin_type="simulation")
    for planned in (bad_plan(), wide):
        lines = repr(planned).splitlines()
        assert max(map(len, lines)) <= 79
        assert len(lines) < 40
    head = " ".join(repr(wide).split())
    assert "2,000 partitions (UTC hours), 2,000 records, ≈ " in head
    assert " in 2,000 files, 2,000 jobs, at most " in head
    assert repr(bad_plan()).count("\n- column") == 2


def test_plans_are_safe_in_a_notebook() -> None:
    """What came from data is text there."""
    page = bad_plan()._repr_html_()
    assert "<script>" not in page
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "2 partitions (UTC hours), 2 records" in page
    assert page.count("<li>") == 2
    assert "2 rules would be broken" in page


def test_a_good_plan_raises_nothing() -> None:
    """And is short of nothing."""
    planned = hours(small())
    planned.raise_for_problems()
    assert planned.ok
    assert (planned.jobs, len(planned), planned.files, planned.rows) == (1, 1, 1, 3)


def test_problems_can_be_raised() -> None:
    """One: that very error. Several: the first, with a note of the others, however often it is raised."""
    one = hours(small().assign(speed=np.inf))
    with pytest.raises(tsb.FrameError) as caught:
        one.raise_for_problems()
    assert caught.value is one.problems[0].error
    assert not hasattr(caught.value, "__notes__")
    several = bad_plan()
    for _ in range(2):
        with pytest.raises(tsb.FrameError) as caught:
            several.raise_for_problems()
        assert caught.value is several.problems[0].error
        assert len(caught.value.__notes__) == 1
        assert several.problems[1].message in caught.value.__notes__[0]


def test_a_note_of_many_problems_is_short() -> None:
    """Twenty are listed, the rest is counted; so in pictures."""
    problems = [Problem(None, str(n), tsb.FrameError(f"column {n}")) for n in range(30)]
    planned = ImportPlan(SERIES, TwinType.SIMULATION, [], problems)
    with pytest.raises(tsb.FrameError, match="column 0") as caught:
        planned.raise_for_problems()
    assert "- column 20\n- and 9 more" in caught.value.__notes__[0]
    assert repr(planned).count("\n- ") == planned._repr_html_().count("<li>") == 10
    assert "all are in .problems_frame()" in " ".join(repr(planned).split())


def test_a_frame_joined_from_parts_without_rows_is_planned() -> None:
    """Text columns that pandas joined have pieces without rows; they count for nothing."""
    times = pd.date_range("2026-03-01", periods=3, freq="h", tz="UTC")
    frame = pd.DataFrame({"state": pd.array(["a", "b", "c"], dtype="string[pyarrow]")}, index=times)
    joined = pd.concat([frame[:0], frame[:2], frame[2:2], frame[2:]])
    plan = tsb.plan_import(joined, "pump-1", "flow", twin_type="simulation")
    assert [one.rows for one in plan.partitions] == [1, 1, 1]
