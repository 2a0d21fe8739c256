"""Pictures, by their data: nothing that matters is thinned away, no line crosses a gap, no gap looks like little."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import dates as mdates
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import tsbulk_frames as tsb
from tsbulk_frames import _calendar, _thin
from tsbulk_frames.importplan import ImportPlan, PlannedPartition, Problem
from tsbulk_frames.model import Series, TwinType
from tsbulk_frames.report import PartitionReport

mpl.use("Agg")
NS = 10**9


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No figure outlives its test, and no setting is changed."""
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def frame(rows: int, freq: str = "s", tz: str = "UTC", **columns: object) -> pd.DataFrame:
    """Make a regular frame."""
    index = pd.date_range("2026-03-01", periods=rows, freq=freq, tz=tz, name="_time", unit="ns")
    return pd.DataFrame(columns or {"rate": np.sin(np.arange(rows) / 50)}, index=index)


def points_of(line: object) -> pd.Series:
    """Give what a line shows, by its times."""
    times = pd.DatetimeIndex(mdates.num2date(line.get_xdata())).round("ms")  # type: ignore[attr-defined]
    return pd.Series(line.get_ydata(), index=times)  # type: ignore[attr-defined]


def test_a_spike_among_two_million_stays() -> None:
    """One sample up and one down, drawn with two thousand points."""
    data = frame(2_000_000, rate=np.zeros(2_000_000))
    data.iloc[1_234_567, 0], data.iloc[1_234_569, 0] = 50, -50
    (line,) = tsb.plot.series(data).lines
    shown = points_of(line)
    assert len(shown) <= 2_002
    assert shown[data.index[1_234_567]] == 50
    assert shown[data.index[1_234_569]] == -50
    assert (shown.index[0], shown.index[-1]) == (data.index[0], data.index[-1])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=50, max_size=400), st.integers(2, 12), st.data())
def test_least_and_greatest_of_each_stretch_are_kept(values: list[float], pairs: int, data: st.DataObject) -> None:
    """Whatever the values and the times are: each of the equal stretches of time keeps both its extremes."""
    steps = data.draw(st.lists(st.integers(1, 5), min_size=len(values), max_size=len(values)))
    ns = np.cumsum(np.array(steps, np.int64)) * NS
    floats = np.array(values)
    trace = _thin.thin(ns, floats, 2 * pairs, max_gap=10**18)
    assert not np.isnan(trace.values).any()
    edges = np.linspace(ns[0], ns[-1], pairs + 1)
    for first, stop in itertools.pairwise(edges):
        inner = (ns > first + 1) & (ns < stop - 1)  # a point at an edge may belong to either side
        near = (trace.ns >= first - 1) & (trace.ns <= stop + 1)
        if inner.any():
            assert trace.values[near].min() <= floats[inner].min()
            assert trace.values[near].max() >= floats[inner].max()


@pytest.mark.parametrize("rows", [600, 60_000])
def test_no_line_crosses_a_gap(rows: int) -> None:
    """Thinned or not: between the last record before it and the first after it the line is interrupted."""
    data = frame(rows, rate=np.where(np.arange(rows) % 2, 1.0, -1.0))
    hole = data.index[rows // 3 : rows // 2]
    data.iloc[[rows // 3 - 1, rows // 2]] = 0.5  # no extremes
    (line,) = tsb.plot.series(data.drop(hole)).lines
    shown = points_of(line)
    inside = shown[(shown.index >= hole[0]) & (shown.index <= hole[-1])]
    assert inside.isna().tolist() == [True]
    assert {data.index[rows // 3 - 1], data.index[rows // 2]} <= set(shown.dropna().index)


def test_gaps_are_what_the_caller_says() -> None:
    """A silence is a gap from `max_gap` on, whatever is usual."""
    data = frame(100).drop(frame(100).index[50:55])
    for gap, breaks in (("4s", 1), ("6s", 0), (pd.Timedelta("2s"), 1), (None, 0)):
        (line,) = tsb.plot.series(data, max_gap=gap).lines
        assert int(np.isnan(line.get_ydata()).sum()) == breaks


def test_missing_values_are_no_records() -> None:
    """A slow sensor beside a fast one is a whole line; NaN, NA and inf are drawn nowhere."""
    data = frame(600, fast=np.arange(600.0), slow=pd.array([n if n % 60 == 0 else None for n in range(600)], "Int64"))
    data.iloc[5, 0], data.iloc[7, 0] = np.inf, np.nan
    figure = tsb.plot.series(data)
    fast, slow = (axes.lines[0].get_ydata() for axes in figure.axes)
    assert slow.tolist() == list(range(0, 600, 60))
    assert np.isfinite(fast).all()
    assert len(fast) == 598


def test_a_record_alone_is_marked() -> None:
    """No line leads to it: it is a point."""
    data = frame(100)
    data = pd.concat([data.iloc[:40], data.iloc[60:61], data.iloc[80:]])
    (line,) = tsb.plot.series(data, max_gap="5s").lines
    (alone,) = line.get_markevery()
    assert line.get_ydata()[alone] == data.iloc[40, 0]


def test_integers_beyond_floats_are_told_apart() -> None:
    """They are drawn above a base that the axis names; smaller ones as they are."""
    data = frame(5, large=np.int64(2**60) + np.arange(5), small=np.arange(5), huge=[2**70 + n for n in range(5)])
    figure = tsb.plot.series(data.astype({"huge": object}))
    by_name = {axes.get_ylabel().partition("\n")[0]: axes for axes in figure.axes}
    assert by_name["large"].lines[0].get_ydata().tolist() == [0, 1, 2, 3, 4]
    assert f"{2**60:,}" in by_name["large"].get_ylabel()
    assert by_name["huge"].lines[0].get_ydata().tolist() == [0, 1, 2, 3, 4]
    assert by_name["small"].get_ylabel() == "small"
    data["huge"] = pd.Series([10**400, 1, 2, 3, 4], index=data.index, dtype=object)  # beyond what any float reaches
    assert len(tsb.plot.series(data).axes) == 2
    low = frame(3, count=np.array([-(2**63), 0, 2**63 - 1], np.int64))
    assert tsb.plot.series(low).lines[0].get_ydata().tolist() == [0.0, 2.0**63, 2.0**64]


def test_units_share_axes() -> None:
    """Columns of one unit stand in one panel, each of no known unit in its own; quality codes are left out."""
    data = frame(9, a=1.0, b=2.0, c=3.0, a_qc=192)
    data.attrs["units"] = {"a": "bar", "b": "bar", "c": "m³/h"}
    figure = tsb.plot.series(data)
    assert isinstance(figure, Figure)
    assert [axes.get_ylabel() for axes in figure.axes] == ["bar", "c [m³/h]"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["a", "b"]
    del data.attrs["units"]
    assert [axes.get_ylabel() for axes in tsb.plot.series(data).axes] == ["a", "b", "c"]
    assert tsb.plot.series(data, "a_qc").get_ylabel() == "a_qc"


def test_an_axes_of_the_callers_is_used() -> None:
    """And no figure made; what does not fit one panel is refused."""
    _, ax = plt.subplots()
    data = frame(9, a=1.0, b=2.0, state="on")
    assert tsb.plot.series(data, ["a", "b"], ax=ax) is ax
    assert len(ax.lines) == 2
    assert tsb.plot.coverage(data, ax=plt.subplots()[1]).images
    assert len(plt.get_fignums()) == 2
    with pytest.raises(tsb.FrameError, match="2 panels"):
        tsb.plot.series(data, ax=ax)


HOSTILE = ["$\\frac", "_hidden", "bell\a", "x" * 1_000]


def test_foreign_names_are_drawn_as_they_are() -> None:
    """A dollar begins no formula, an underscore hides nothing; what is too long is cut, what is not printable named."""
    shown = ["$\\frac", "_hidden", "bell\\x07", "x" * 39 + "…"]
    data = frame(9, **dict.fromkeys(HOSTILE, 1.0) | {"$state^": HOSTILE + ["on"] * 5})
    data.attrs["units"] = dict.fromkeys(HOSTILE, "$/$^h")
    figure = tsb.plot.series(data)
    assert [axes.get_ylabel() for axes in figure.axes] == ["$/$^h", "$state^"]
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes]
    assert legends[0] == shown
    assert sorted(legends[1]) == sorted([*shown, "on"])
    calendar = tsb.plot.coverage(dict.fromkeys(HOSTILE, data))
    assert [text.get_text() for text in calendar.get_yticklabels()] == shown
    alone = tsb.plot.coverage({HOSTILE[0]: data})
    assert HOSTILE[0] in alone.get_title("left")
    plan = days_of_plan([10])
    for one in (figure, calendar.figure, alone.figure, replace(plan, series=Series("$^", "$_")).plot().figure):
        one.draw_without_rendering()


def test_many_strips_share_the_height() -> None:
    """A picture of hundreds of entities is no longer than one of thirty; every so many of them is named."""
    data = pd.concat({f"pump-{n}": frame(2, state=["on", "off"]) for n in range(90)}, names=["entity"])
    axes = tsb.plot.series(data)
    assert axes.figure.get_size_inches()[1] < 11
    assert [text.get_text() for text in axes.get_yticklabels()] == [f"pump-{n}" for n in range(0, 90, 3)]
    assert len(axes.collections) == 180


def test_only_what_is_for_users_is_public() -> None:
    """The bars of a plan are drawn by `plan.plot`."""
    assert tsb.plot.__all__ == ["coverage", "series"]
    assert not hasattr(tsb.plot, "bars")


def test_times_are_those_of_the_zone() -> None:
    """The axis names the zone of the frame, and its ticks are in it."""
    axes = tsb.plot.series(frame(48, "h", "Europe/Berlin"))
    assert axes.get_xlabel() == "time (Europe/Berlin)"
    assert str(axes.xaxis.get_major_formatter()._tz) == "Europe/Berlin"


def test_each_entity_has_a_line() -> None:
    """Named in the legend, in the order of the frame; of many the first are named."""
    data = pd.concat({f"pump-{n}": frame(9) + n for n in range(30)}, names=["entity"])
    axes = tsb.plot.series(data)
    assert [line.get_ydata()[0] for line in axes.lines] == list(range(30))
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [f"pump-{n}" for n in range(10)]
    assert "the first 10 of 30" in legend.get_title().get_text()
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines[:28]}
    assert len(looks) == 28


def test_states_are_strips() -> None:
    """A state lasts until the next record, not across a gap; text and booleans alike."""
    data = frame(100, state=["on"] * 30 + ["off"] * 70, flag=[True] * 30 + [False] * 70)
    figure = tsb.plot.series(data.drop(data.index[50:80]))
    for axes in figure.axes:
        spans = [path.get_extents() for strip in axes.collections for path in strip.get_paths()]
        seconds = sorted((round(one.x0 * 86_400 % 86_400), round(one.width * 86_400)) for one in spans)
        assert seconds == [(0, 30), (30, 20), (80, 20)]
    names = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes]
    assert names == [["off", "on"], ["False", "True"]]


def test_many_states_are_summed_up() -> None:
    """Beyond eight the rare ones are others; beyond `points` each stretch shows the state it was in longest."""
    data = frame(10_000, state=[f"s{n % 20 if n % 2 else 0}" for n in range(10_000)])
    axes = tsb.plot.series(data, points=100)
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert (len(names), names[0], names[-1]) == (8, "s0", "4 others")
    assert sum(len(strip.get_paths()) for strip in axes.collections) <= 101
    assert to_hex(axes.collections[0].get_facecolor()[0]) == "#56b4e9"
    assert len(axes.collections) == 1


def test_objects_are_not_drawn() -> None:
    """Left out and named if nobody asked for them; refused if somebody did."""
    data = frame(3, rate=1.0, where=[{"x": 1}, None, {"x": 2}])
    axes = tsb.plot.series(data)
    assert any("where" in text.get_text() for text in axes.texts)
    with pytest.raises(tsb.FrameError, match="'where' holds neither"):
        tsb.plot.series(data, "where")
    with pytest.raises(tsb.FrameError, match="nothing of the frame"):
        tsb.plot.series(data[["where"]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"columns": "speed"}, "'speed' is not in the frame; it has: rate"),
        ({"points": 3}, "points=3"),
        ({"points": True}, "points=True"),
        ({"max_gap": "soon"}, "max_gap='soon'"),
        ({"max_gap": "-1s"}, "not positive"),
        ({"max_gap": "60"}, "without a unit"),
        ({"columns": 5}, "columns=5 is a int"),
        ({"columns": [["rate"]]}, "is not in the frame; it has: rate"),
        ({"ax": "here"}, "give axes of matplotlib"),
        ({"frame": frame(3).tz_localize(None)}, "without a zone"),
        ({"frame": frame(3).iloc[::-1]}, "earlier than the one before"),
        ({"frame": frame(3)["rate"]}, "is a Series"),
        ({"frame": frame(2, **{f"c{n}": 1.0 for n in range(13)})}, "13 panels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change: dict[str, object], words: str) -> None:
    """What, the value seen, what is accepted."""
    with pytest.raises(tsb.FrameError, match=words):
        tsb.plot.series(**{"frame": frame(3)} | change)  # type: ignore[arg-type]


def test_no_rows_are_an_empty_picture() -> None:
    """As a read of an empty range."""
    assert not tsb.plot.series(frame(3).iloc[:0]).lines


# coverage


def test_a_month_is_days_by_hours() -> None:
    """Shares are exact; no record is something else than few, and what lies outside of the range is neither."""
    data = frame(3 * 1440, "min")
    data = data.drop(data.index[60:120]).drop(data.index[1440:1490])
    data.attrs["range"] = ["2026-03-01T00:00:00Z", "2026-03-03T12:00:00Z"]
    shares = tsb.plot.coverage(data.loc[:"2026-03-03T11:59"]).images[0].get_array()
    assert shares.shape == (24, 3)
    assert shares[1, 0] == -1
    assert shares[0, 1] == pytest.approx(10 / 60)
    assert shares.mask[12:, 2].all()
    assert not shares.mask[:12, 2].any()
    others = np.ma.masked_less(shares, 0.9)
    assert others.count() == 24 * 3 - 12 - 2
    assert (others.compressed() == 1).all()


def test_gaps_have_a_color_of_their_own() -> None:
    """Not the lowest of the scale."""
    image = tsb.plot.coverage(frame(3000, "min")).images[0]
    assert to_hex(image.cmap(-1.0)) == "#d55e00"
    assert to_hex(image.cmap(0.0)) == "#dceaf6"


def test_days_are_those_of_the_zone() -> None:
    """The hour that a change to summer time leaves out is outside, the one it brings twice is expected twice."""
    spring = pd.date_range("2026-03-28", "2026-03-31", freq="min", tz="Europe/Berlin", inclusive="left", unit="ns")
    shares = tsb.plot.coverage(pd.DataFrame({"a": 1.0}, index=spring)).images[0].get_array()
    assert shares.shape == (24, 3)
    assert shares.mask[2, 1]
    assert shares.mask.sum() == 1
    assert (shares.compressed() == 1).all()
    autumn = pd.date_range("2026-10-25", "2026-10-26", freq="min", tz="Europe/Berlin", inclusive="left", unit="ns")
    half = pd.DataFrame({"a": 1.0}, index=autumn).drop(autumn[120:180])
    shares = tsb.plot.coverage(half).images[0].get_array()
    assert shares[2, 0] == 0.5


def test_a_year_is_weeks_by_weekdays() -> None:
    """Columns are weeks from Monday on, rows weekdays; named so."""
    data = frame(365 * 24, "h")  # 1 March 2026 is a Sunday
    data = data.drop(data.index[9 * 24 : 10 * 24])  # Tuesday, 10 March
    axes = tsb.plot.coverage(data)
    shares = axes.images[0].get_array()
    assert shares.shape == (7, 53)
    assert shares[1, 2] == -1
    assert shares.mask[:6, 0].all()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert axes.get_xticklabels()[0].get_text() == "23 Feb\n2026"


def test_several_series_are_rows() -> None:
    """Each by its own pace; one that was asked for and has no record at all is there as well."""
    data = pd.concat({"a": frame(4 * 1440, "min"), "b": frame(2 * 24, "h")}, names=["entity"])
    data.attrs.update(entity=["a", "b", "c"], range=["2026-03-01T00:00:00Z", "2026-03-05T00:00:00Z"])
    axes = tsb.plot.coverage(data)
    assert axes.images[0].get_array().tolist() == [[1, 1, 1, 1], [1, 1, -1, -1], [-1, -1, -1, -1]]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]
    two = tsb.plot.coverage({"x": frame(2880, "min"), "y": frame(1440, "min")}, freq="1min")
    assert [text.get_text() for text in two.get_yticklabels()] == ["x", "y"]
    assert len(tsb.plot.coverage([frame(2880, "min")] * 3).images[0].get_array()) == 3


def test_the_pace_can_be_given() -> None:
    """Half of the records that `freq` says are half of what is expected; more than all is all."""
    data = frame(2 * 1440, "min")
    assert np.allclose(tsb.plot.coverage(data, freq="30s").images[0].get_array(), 0.5)
    assert np.allclose(tsb.plot.coverage(data, freq="1h").images[0].get_array(), 1.0)


def days_of_plan(
    rows: list[int], twin: TwinType = TwinType.PERFORMANCE, problems: tuple[Problem, ...] = ()
) -> ImportPlan:
    """Make a plan of days, or hours."""
    unit = "D" if twin is TwinType.PERFORMANCE else "h"
    names = pd.date_range("2026-03-02", periods=len(rows), freq=unit).strftime(
        "%Y-%m-%d" if unit == "D" else "%Y-%m-%dT%H"
    )
    parts = [PlannedPartition(name, n, name, name, 1, 1_000_000 * n) for name, n in zip(names, rows, strict=True) if n]
    return ImportPlan(Series("pump-1", "flow"), twin, parts, list(problems))


def test_plans_and_reports_have_calendars() -> None:
    """By partitions: a usual one is whole, a missing one a gap; of a report what is not done is not there."""
    shares = tsb.plot.coverage(days_of_plan([10, 10, 5, 0, 10])).images[0].get_array()
    assert shares[:5, 0].tolist() == [1, 1, 0.5, -1, 1]
    hours = tsb.plot.coverage(days_of_plan([10] * 30, TwinType.SIMULATION)).images[0].get_array()
    assert hours.shape == (24, 2)
    rows = [
        PartitionReport(f"2026-03-0{n}", 1, 10, 1, "", "", None, status)
        for n, status in enumerate(("SUCCESS", "ERROR", "SUCCESS"), 2)
    ]
    report = tsb.plot.coverage(tsb.ImportReport(rows, {})).images[0].get_array()
    assert report[:3, 0].tolist() == [1, -1, 1]


def test_a_plan_is_bars() -> None:
    """As high as the bytes, where the partitions are; those with problems look different, and all are counted."""
    bad = Problem("2026-03-03", None, tsb.FrameError("too large"))
    axes = days_of_plan([10, 20, 0, 5], problems=(bad,)).plot()
    bars = {round(bar.get_x()): (bar.get_height(), bar.get_hatch()) for bar in axes.patches}
    first = round(mdates.date2num(np.datetime64("2026-03-02")))
    assert bars == {first: (10, None), first + 1: (20, "////"), first + 3: (5, None)}
    assert axes.get_ylabel() == "MB a day (estimated)"
    assert "1 rule would be broken" in axes.texts[0].get_text()
    assert "pump-1/flow: 3 partitions" in axes.get_title("left")
    assert days_of_plan([]).plot().get_title("left").endswith("nothing to import")


@pytest.mark.parametrize("data", [5, "text", [5], frame(0), {}])
def test_what_has_no_calendar_is_refused(data: object) -> None:
    """What it is, or that there is nothing."""
    with pytest.raises(tsb.FrameError, match=r"accepted are|give frames|nothing to draw"):
        tsb.plot.coverage(data)  # type: ignore[arg-type]


def test_expected_records_count_the_ends_in_part() -> None:
    """A range that begins in the middle of a slot expects only what can be in it."""
    (one,) = _calendar.covered_frame(frame(60, "min").iloc[7:], None, None)
    assert one.expected[0] == pytest.approx(8)
    assert (one.counts[0], one.counts.sum(), one.expected.sum()) == (8, 53, pytest.approx(53))


def test_a_missing_extra_is_named() -> None:
    """Without matplotlib: the command that installs them, and only when a picture is asked for."""
    code = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "import tsbulk_frames as tsb\n"
        "try:\n"
        "    tsb.plot\n"
        "except ModuleNotFoundError as error:\n"
        "    assert 'tsbulk-frames[plot]' in str(error), error\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
