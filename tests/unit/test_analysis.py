"""Helpers before an analysis: each held against a plain loop over Python numbers."""

import datetime as dt
import itertools
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tsbulk_frames as tsb
from tsbulk_frames.errors import FrameError

BIG = 2**53 + 1
DAY = 86_400 * 10**9
MOMENT = pd.Timestamp("2026-03-29T00:59:59.999999990Z").value  # ten nanoseconds before Berlin's clocks go forward


def indexed(ns, tz="UTC", entity=None):
    """Make an index of nanoseconds."""
    times = pd.DatetimeIndex(np.array(ns, np.int64).view("M8[ns]"), name="_time").tz_localize("UTC").tz_convert(tz)
    return times if entity is None else pd.MultiIndex.from_arrays([list(entity), times], names=["entity", "_time"])


def seconds(count):
    """Make times a second apart."""
    return indexed(MOMENT + 10**9 * np.arange(count))


def cells(series):
    """Python values of a column, None where missing."""
    return [None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in series.tolist()]


# ------------------------------------------------------------------------------------------------ mask_quality


@pytest.fixture
def coded():
    """Give a frame with a column of every kind, all with codes."""
    columns = {
        "whole": np.array([BIG, 2, 3, 4], np.int64),
        "gaps": pd.array([BIG, None, 3, 4], "Int64"),
        "real": [0.5, np.nan, 1.5, 2.5],
        "on": [True, False, True, False],
        "text": ["a", "b", "c", None],
        "mixed": pd.Series([2**70, "x", 1.5, None], dtype=object, index=seconds(4)),
        "kind": pd.Categorical(["a", "b", "a", "b"]),
    }
    frame = pd.DataFrame({**columns, "bare": [1, 2, 3, 4]}, index=seconds(4))
    for name in columns:
        frame[f"{name}_qc"] = pd.array([192, 64, None, 192], dtype="Int64")
    frame.attrs["entity"] = ["pump-1"]
    return frame


def test_doubtful_values_become_missing_and_the_others_stay_exact(coded):
    """Integers stay integers, bool stays bool, text stays text; what has no code is as it was."""
    before = coded.copy(deep=True)
    masked = tsb.mask_quality(coded, [192])
    assert list(masked.columns) == ["whole", "gaps", "real", "on", "text", "mixed", "kind", "bare"]
    assert {name: cells(masked[name]) for name in masked} == {
        "whole": [BIG, None, None, 4],
        "gaps": [BIG, None, None, 4],
        "real": [0.5, None, None, 2.5],
        "on": [True, None, None, False],
        "text": ["a", None, None, None],
        "mixed": [2**70, None, None, None],
        "kind": ["a", None, None, "b"],
        "bare": [1, 2, 3, 4],
    }
    assert [str(masked[name].dtype) for name in ("whole", "gaps", "real", "on", "bare")] == [
        "Int64", "Int64", "float64", "boolean", "int64",
    ]  # fmt: skip
    assert (masked["text"].dtype, masked["kind"].dtype) == (coded["text"].dtype, coded["kind"].dtype)
    assert masked["mixed"].tolist() == [2**70, None, None, None]
    assert masked.attrs == {"entity": ["pump-1"]}
    pd.testing.assert_index_equal(masked.index, coded.index)
    masked.loc[masked.index[0], "bare"] = 99
    masked.attrs["entity"].append("x")
    pd.testing.assert_frame_equal(coded, before)
    assert coded.attrs == {"entity": ["pump-1"]}


def test_codes_stay_if_asked_and_types_if_nothing_is_doubtful(coded):
    """Codes are kept as they were; a column that loses nothing keeps its type."""
    kept = tsb.mask_quality(coded, {192, np.int64(64)}, missing_ok=True, keep_codes=True)
    pd.testing.assert_frame_equal(kept, coded)
    bounds = tsb.mask_quality(coded, range(192, 256), keep_codes=True)
    assert cells(bounds["whole"]) == [BIG, None, None, 4]
    pd.testing.assert_series_equal(bounds["whole_qc"], coded["whole_qc"])


@pytest.mark.parametrize(("missing_ok", "third"), [(False, None), (True, 3)])
def test_a_missing_code_is_good_only_if_said(coded, missing_ok, third):
    """Whatever a function makes of a missing code, `missing_ok` decides."""
    for good in (
        [192],
        lambda code: code == 192,
        lambda code: code.fillna(192) == 192,
        lambda code: (code != 64).array,
    ):
        assert cells(tsb.mask_quality(coded, good, missing_ok=missing_ok)["whole"]) == [BIG, None, third, 4]


def test_a_code_without_its_property_is_no_code_of_anything():
    """Nothing is masked by it, and it is not left out."""
    frame = pd.DataFrame({"a_qc": pd.array([1, 2], "Int64"), "_qc": [1, 2], 7: [1, 2]}, index=seconds(2))
    pd.testing.assert_frame_equal(tsb.mask_quality(frame, [0]), frame)


def test_several_entities_and_doubled_rows_are_masked_by_row():
    """Rows are not looked up by their index: it may hold anything."""
    frame = pd.DataFrame({"a": [1, 2, 3], "a_qc": [0, 1, 0]}, index=indexed([5, 5, 5], entity="xxy"))
    assert cells(tsb.mask_quality(frame, [0])["a"]) == [1, None, 3]
    assert tsb.mask_quality(frame.iloc[:0], [0])["a"].dtype == np.int64


@pytest.mark.parametrize(
    ("good", "words"),
    [
        (192, "good=\\[192\\]"),
        ("192", "good=\\[192\\]"),
        ([True], "holds True"),
        (["192"], "holds '192'"),
        ([192.0], "holds 192.0"),
        (lambda code: code, "gave Int64"),
        (lambda code: [True], "length 1; accepted"),
        (lambda code: (code == 192).where(code != 64), "True or False for each of 4"),
    ],
)
def test_good_must_be_codes_or_a_function_of_them(coded, good, words):
    """Anything else is refused, with what to write instead."""
    with pytest.raises(FrameError, match=words):
        tsb.mask_quality(coded, good)


@pytest.mark.parametrize("dtype", ["string", object])
def test_codes_that_are_text_are_refused(coded, dtype):
    """No text is an integer: all values would be masked without a word."""
    text = coded.assign(whole_qc=pd.Series("192", index=coded.index, dtype=dtype))
    with pytest.raises(FrameError, match=r"'whole_qc' holds text \('192'\).*astype\('Int64'\)"):
        tsb.mask_quality(text, [192])
    assert tsb.mask_quality(text.assign(whole_qc=None), [192])["whole"].isna().all()


def test_what_is_no_frame_of_columns_is_not_masked():
    """No frame, or a column twice: refused, as nobody can say which code belongs to which value."""
    with pytest.raises(FrameError, match="frame is a Series"):
        tsb.mask_quality(pd.Series([1]), [192])
    with pytest.raises(FrameError, match=r"'a'.* there twice"):
        tsb.mask_quality(pd.DataFrame([[1, 2, 192]], columns=["a", "a", "a_qc"]), [192])


@given(
    st.lists(
        st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.sampled_from([0, 64, 192])), max_size=20
    ),
    st.sets(st.sampled_from([0, 64, 192, 255])),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_masking_is_what_a_loop_does(rows, good, missing_ok):
    """Each value stays exactly or goes, by its own code alone."""
    values = pd.array([value for value, _ in rows], "Int64")
    frame = pd.DataFrame({"a": values, "a_qc": pd.array([code for _, code in rows], "Int64")}, index=seconds(len(rows)))
    wanted = [value if (missing_ok if code is None else code in good) else None for value, code in rows]
    assert cells(tsb.mask_quality(frame, good, missing_ok=missing_ok)["a"]) == wanted


# ----------------------------------------------------------------------------------------------------- to_grid


def grid_of(times, method, step, zero):
    """Points of the grid by counting."""
    if not times:
        return []
    low = min(times) - (min(times) - zero) % step
    points = range(low, max(times) + step, step)
    if method == "mean":
        return [point for point in points if point <= max(times)]
    ends = max(times) if method == "linear" else max(times) + step - 1
    return [point for point in points if min(times) <= point <= ends]


def previous_of(series, point, gap):
    """Last value at or before the point."""
    before = [(ns, value) for ns, value in series if ns <= point]
    return before[-1][1] if before and point - before[-1][0] <= gap else None


def linear_of(series, point, gap):
    """Value on the line, as a fraction."""
    if point in dict(series):
        return Fraction(dict(series)[point])
    for (left, low), (right, high) in itertools.pairwise(series):
        if left < point < right and right - left <= gap:
            return Fraction(low) + (Fraction(high) - Fraction(low)) * (point - left) / (right - left)
    return None


def mean_of(series, point, step, gap):
    """Mean over time, nanosecond by nanosecond."""
    held = [previous_of(series, ns, gap - 1) for ns in range(point, point + step)]
    held = [Fraction(value) for value in held if value is not None]
    return sum(held) / len(held) if held else None


@st.composite
def histories(draw):
    """Draw records of up to three entities, some cells empty; times in nanoseconds about a change of clocks."""
    several = draw(st.booleans())
    names = draw(st.lists(st.sampled_from("xyz"), max_size=3, unique=True)) if several else [None]
    rows = []
    for name in names:
        ticks = sorted(draw(st.sets(st.integers(0, 60), max_size=12)))
        rows += [(name, MOMENT + tick) for tick in ticks]
    columns = {
        "real": [draw(st.none() | st.floats(-1e6, 1e6)) for _ in rows],
        "whole": [draw(st.none() | st.integers(-(10**6), 10**6)) for _ in rows],
        "text": [draw(st.none() | st.sampled_from(["run", "stop"])) for _ in rows],
        "on": [draw(st.none() | st.booleans()) for _ in rows],
        "code": [draw(st.none() | st.sampled_from([0, 64, 192])) for _ in rows],
    }
    frame = pd.DataFrame(
        {
            "real": pd.array(columns["real"], "Float64").to_numpy(float, na_value=np.nan),
            "real_qc": pd.array(columns["code"], "Int64"),
            "whole": pd.array(columns["whole"], "Int64"),
            "text": pd.Series(columns["text"], dtype=object).array,
            "on": pd.array(columns["on"], "boolean"),
            "on_qc": pd.array(columns["code"], "Int64"),
        },
        index=indexed([ns for _, ns in rows], "Europe/Berlin", [name for name, _ in rows] if several else None),
    )
    return frame, names, rows, columns


@given(
    histories(),
    st.sampled_from(["previous", "linear", "mean"]),
    st.integers(1, 25),
    st.integers(1, 40),
    st.integers(-30, 30),
)
@settings(max_examples=100, deadline=None)
def test_a_grid_is_what_a_loop_makes_of_it(history, method, step, gap, zero):
    """Points, values, codes and what stays missing, for each entity by itself, exact to the nanosecond."""
    frame, names, rows, columns = history
    before = frame.copy(deep=True)
    zero += MOMENT
    origin = indexed([zero])[0]
    span = [pd.Timedelta(n, "ns") for n in (step, gap)]
    result = tsb.to_grid(frame, span[0], max_gap=span[1], method=method, origin=origin)
    pd.testing.assert_frame_equal(frame, before)
    wanted = {name: [] for name in ("key", "real", "whole", "text", "on", "real_code", "on_code")}
    for name in names:
        own = [(at, ns) for at, (owner, ns) in enumerate(rows) if owner == name]
        series = {
            key: [(ns, values[at]) for at, ns in own if values[at] is not None] for key, values in columns.items()
        }
        codes = {
            key: [(ns, columns["code"][at]) for at, ns in own if columns[key][at] is not None] for key in ("real", "on")
        }
        for point in grid_of([ns for _, ns in own], method, step, zero):
            wanted["key"].append(point if name is None else (name, point))
            for key in ("text", "on"):
                wanted[key].append(previous_of(series[key], point, gap))
            for key in ("real", "whole"):
                if method == "previous":
                    wanted[key].append(previous_of(series[key], point, gap))
                elif method == "linear":
                    wanted[key].append(linear_of(series[key], point, gap))
                else:
                    wanted[key].append(mean_of(series[key], point, step, gap))
            for key in ("real", "on"):
                wanted[f"{key}_code"].append(previous_of(codes[key], point, gap))
    index = result.index
    assert index.names == frame.index.names
    times = index if names == [None] else index.get_level_values(1)
    assert str(times.dtype) == "datetime64[ns, Europe/Berlin]"
    ns = times.asi8.tolist()
    assert (ns if names == [None] else list(zip(index.get_level_values(0), ns, strict=True))) == wanted["key"]
    for key in ("text", "on"):
        assert cells(result[key]) == wanted[key]
    assert cells(result["on_qc"]) == wanted["on_code"]
    for key in ("real", "whole"):
        if method == "previous":
            assert cells(result[key]) == wanted[key]
        else:
            assert result[key].dtype == np.float64
            floats = [
                None if value is None else pytest.approx(float(value), rel=1e-9, abs=1e-6) for value in wanted[key]
            ]
            assert cells(result[key]) == floats
    assert ("real_qc" in result) == (method == "previous")
    if method == "previous":
        assert cells(result["real_qc"]) == wanted["real_code"]


@pytest.mark.parametrize("method", ["previous", "linear", "mean"])
@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=8), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_no_value_leaves_what_was_measured(method, values, step):
    """Rounding never gives a value above the highest or below the lowest measurement; equal values stay equal."""
    frame = pd.DataFrame({"a": values, "same": 0.1}, index=indexed([MOMENT + 49 * at for at in range(len(values))]))
    result = tsb.to_grid(frame, pd.Timedelta(step, "ns"), max_gap=pd.Timedelta(49, "ns"), method=method)
    if method == "linear":
        assert result["a"].notna().all()
    found = result["a"].dropna()
    assert found.between(min(values), max(values)).all()
    assert set(result["same"].dropna()) <= {0.1}


def test_a_grid_stands_on_instants_where_clocks_change():
    """An hour each, through the hour that is there twice and the one that is missing; a day is 24 hours."""
    for start, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        begin = pd.Timestamp(start, tz="Europe/Berlin")
        times = pd.date_range(begin, begin + pd.DateOffset(days=1), freq="30min")
        frame = pd.DataFrame({"a": np.arange(len(times))}, index=times)
        grid = tsb.to_grid(frame, "1h", max_gap="1h")
        assert len(grid) == hours + 1
        assert (np.diff(grid.index.asi8) == 3_600 * 10**9).all()
        assert grid["a"].tolist() == list(range(0, 2 * hours + 1, 2))
        assert grid.index.tz == times.tz
    days = tsb.to_grid(frame, "D", max_gap="1h", method="mean", origin="2026-10-25T00:00+02:00")
    assert [str(time) for time in days.index] == ["2026-10-25 00:00:00+02:00", "2026-10-25 23:00:00+01:00"]


@pytest.mark.parametrize("method", ["previous", "linear", "mean"])
@pytest.mark.parametrize("entity", [None, ""])
def test_an_empty_frame_stays_empty(method, entity):
    """The same columns, kinds and index; attrs as well."""
    frame = pd.DataFrame({"a": [1], "t": ["x"]}, index=indexed([MOMENT], entity=None if entity is None else "x"))
    frame.attrs["property_set"] = "flow"
    empty = frame.iloc[:0]
    empty.attrs = frame.attrs
    result = tsb.to_grid(empty, "1s", max_gap="1s", method=method)
    assert result.shape == (0, 2)
    assert result.dtypes.to_dict() == {"a": np.int64 if method == "previous" else float, "t": frame["t"].dtype}
    assert result.index.names == frame.index.names
    assert result.index.get_level_values(-1).dtype == "datetime64[ns, UTC]"
    assert result.attrs == {"property_set": "flow"}
    bare = tsb.to_grid(frame[[]], "1ns", max_gap="1s", method=method)
    assert bare.shape == (1, 0)


def test_attrs_are_kept_and_the_callers_own():
    """What is changed in the grid's attrs does not reach the frame's."""
    frame = pd.DataFrame({"a": [1]}, index=seconds(1))
    frame.attrs["units"] = {"a": "bar"}
    grid = tsb.to_grid(frame, "1ns", max_gap="1ns")
    assert grid.attrs == frame.attrs
    grid.attrs["units"]["a"] = "psi"
    assert frame.attrs == {"units": {"a": "bar"}}


@pytest.mark.parametrize(
    ("method", "offset", "wanted"),
    [("previous", 0, [7]), ("previous", 1, [7]), ("linear", 0, [7.0]), ("linear", 1, []), ("mean", 1, [7.0])],
)
def test_a_single_row(method, offset, wanted):
    """It is worth the points it says something about, no more."""
    frame = pd.DataFrame({"a": [7]}, index=indexed([DAY + offset]))
    assert tsb.to_grid(frame, "1h", max_gap="1h", method=method)["a"].tolist() == wanted


def test_types_and_large_integers_stay_with_previous():
    """Full columns keep their type; a gap makes it nullable, not a float; codes go with their value."""
    frame = pd.DataFrame(
        {
            "turns": [BIG, BIG + 2],
            "on": [True, False],
            "mixed": pd.Series([2**70, "x"], index=indexed([0, 10]), dtype=object),
            "small": np.array([1, 2], np.uint8),
            "turns_qc": pd.array([192, None], "Int64"),
        },
        index=indexed([0, 10]),
    )
    full = tsb.to_grid(frame, pd.Timedelta(5, "ns"), max_gap="1s")
    pd.testing.assert_series_equal(full.dtypes, frame.dtypes)
    assert full["turns"].tolist() == [BIG, BIG, BIG + 2]
    holes = tsb.to_grid(frame, pd.Timedelta(5, "ns"), max_gap=pd.Timedelta(4, "ns"))
    assert [str(kind) for kind in holes.dtypes] == ["Int64", "boolean", "object", "UInt8", "Int64"]
    assert cells(holes["turns"]) == [BIG, None, BIG + 2]
    assert holes["mixed"].tolist() == [2**70, None, "x"]
    assert cells(holes["turns_qc"]) == [192, None, None]
    assert cells(holes["small"]) == [1, None, 2]


def test_both_ends_of_time():
    """Times as far apart as nanoseconds can be: distances do not overflow, points beyond are left out."""
    low, high = -(2**63) + 1, 2**63 - 1
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=indexed([low, high]))
    for method, values in (("previous", [2.0]), ("linear", []), ("mean", [1.0, 2.0])):
        result = tsb.to_grid(frame, "36500D", max_gap="1D", method=method)
        assert result["a"].dropna().tolist() == (values if method == "mean" else [])
        assert result.index.asi8.tolist() == sorted(result.index.asi8.tolist())
    near = tsb.to_grid(frame, pd.Timedelta(2**62, "ns"), max_gap=pd.Timedelta(2**62, "ns"), origin="1970-01-01")
    assert cells(near["a"]) == [1.0, None, None]


@pytest.mark.parametrize("method", ["linear", "mean"])
def test_what_has_no_line_between_its_values_follows_previous(method):
    """Complex numbers, times, categories: kept as they were, not pressed into floats."""
    columns = {"z": [1j, 2.0], "t": pd.to_timedelta([1, 2], unit="s"), "c": pd.Categorical([1, 2])}
    frame = pd.DataFrame(columns, index=indexed([0, 10]))
    result = tsb.to_grid(frame, pd.Timedelta(5, "ns"), max_gap="1s", method=method)
    pd.testing.assert_series_equal(result.dtypes, frame.dtypes)
    assert result["z"].tolist()[:2] == [1j, 1j]


def test_missing_cells_are_no_measurements():
    """Each property by itself: the value before a gap reaches as far as it may, also past records of others."""
    frame = pd.DataFrame({"a": [1.0, np.nan, np.nan], "b": [np.nan, 5.0, np.nan]}, index=indexed([0, 10, 20]))
    result = tsb.to_grid(frame, pd.Timedelta(10, "ns"), max_gap=pd.Timedelta(10, "ns"))
    assert cells(result["a"]) == [1.0, 1.0, None]
    assert cells(result["b"]) == [None, 5.0, 5.0]


GRID_FAULTS = {
    "method": ({"method": "nearest"}, "accepted are 'previous'"),
    "calendar": ({"freq": "1ME"}, "fixed length"),
    "month": ({"freq": pd.offsets.MonthEnd()}, "fixed length"),
    "number": ({"freq": 60}, "fixed length"),
    "text number": ({"max_gap": "60"}, "nanoseconds"),
    "nothing": ({"freq": ""}, "not positive"),
    "NaT": ({"max_gap": "nat"}, "fixed length"),
    "negative": ({"max_gap": dt.timedelta(-1)}, "not positive"),
    "zero": ({"freq": "0s"}, "not positive"),
    "too fine": ({"freq": "ns"}, "2,000,000,001 rows"),
    "naive origin": ({"origin": dt.datetime(2026, 3, 1)}, "no time zone"),
}


@pytest.mark.parametrize("name", GRID_FAULTS)
def test_arguments_of_a_grid_that_cannot_be_used(name):
    """Each is refused with what is accepted."""
    changed, words = GRID_FAULTS[name]
    with pytest.raises(FrameError, match=words):
        tsb.to_grid(pd.DataFrame({"a": [1, 2, 3]}, index=seconds(3)), **{"freq": "1s", "max_gap": "1s", **changed})


FRAME_FAULTS = {
    "no frame": (pd.Series([1], index=seconds(1)), "to_frame"),
    "no times": (pd.DataFrame({"a": [1]}), "set_index"),
    "naive": (pd.DataFrame({"a": [1]}, index=seconds(1).tz_localize(None)), "tz_localize"),
    "NaT": (pd.DataFrame({"a": [1, 2]}, index=seconds(2).where([True, False])), "1 of 2 times are missing"),
    "twice": (pd.DataFrame({"a": [1, 2]}, index=seconds(2).take([0, 0])), "there twice"),
    "column twice": (pd.DataFrame([[1, 2]], columns=["a", "a"], index=seconds(1)), "'a' is there twice"),
    "three levels": (
        pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_arrays([["x"], ["y"], seconds(1)])),
        "accepted are a time",
    ),
    "entity missing": (
        pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_arrays([[None], seconds(1)])),
        "1 rows have no entity",
    ),
    "beyond": (
        pd.DataFrame({"a": [1]}, index=pd.DatetimeIndex(np.array([2**40], "M8[s]")).tz_localize("UTC")),
        "1678 to 2262",
    ),
}


@pytest.mark.parametrize("name", FRAME_FAULTS)
def test_frames_that_cannot_be_used(name):
    """Refused alike by the grid and, on either side, by the comparison."""
    frame, words = FRAME_FAULTS[name]
    fine = pd.DataFrame({"a": [1]}, index=seconds(1))
    for call in (
        lambda: tsb.to_grid(frame, "1s", max_gap="1s"),
        lambda: tsb.compare_frames(frame, fine),
        lambda: tsb.compare_frames(fine, frame),
    ):
        with pytest.raises(FrameError, match=words):
            call()


def test_a_grid_needs_times_in_order():
    """Of each entity; the message says which rows."""
    frame = pd.DataFrame({"a": [1, 2, 3, 4]}, index=indexed([5, 1, 4, 2], entity="xyxy"))
    with pytest.raises(FrameError, match="earlier") as caught:
        tsb.to_grid(frame, "1s", max_gap="1s")
    assert caught.value.rows == (2,)
    mixed = pd.DataFrame({"a": range(400)}, index=indexed(np.arange(400), entity="xy" * 200))
    assert cells(tsb.to_grid(mixed, pd.Timedelta(2, "ns"), max_gap="1ns")["a"]) == [
        *range(0, 400, 2),
        *range(1, 400, 2),
    ]


# ------------------------------------------------------------------------------------------------ compare_frames


def listed(found):
    """Differences as tuples, times as nanoseconds."""
    columns = [column for column in ("_time", "entity", "property", "expected", "actual", "kind") if column in found]
    rows = found[columns].astype({"_time": object}).values.tolist()
    return [(row[0].value, *row[1:]) for row in rows]


SAME = {
    "nullable": ([1, BIG], pd.array([1, BIG], "Int64")),
    "whole floats": ([1, 2**53], [1.0, 2.0**53]),
    "unsigned": (np.array([1, 2**63], np.uint64), pd.Series([1, 2**63], dtype=object)),
    "unsigned and signed": (np.array([1, 2], np.uint8), [1, 2]),
    "short floats": (np.array([0.5, 1.5], np.float32), [0.5, 1.5]),
    "signs of zero": ([0.0, -0.0], [-0.0, 0.0]),
    "missing": ([1.5, np.nan], pd.array([1.5, None], "Float64")),
    "NaN in nullable": (pd.array([0.0, 1.0], "Float64") / pd.array([0.0, 1.0], "Float64"), [None, 1.0]),
    "missing objects": (pd.Series([None, float("nan")], dtype=object), pd.Series([pd.NA, pd.NaT], dtype=object)),
    "text": (pd.Series(["a", None], dtype=object), pd.array(["a", None], "string")),
    "category": (pd.Categorical(["a", "b"]), ["a", "b"]),
    "bool": ([True, False], pd.array([True, False], "boolean")),
    "bool objects": ([True, False], pd.Series([True, np.False_], dtype=object)),
    "arrow": ([1, BIG], pd.array([1, BIG], "int64[pyarrow]")),
    "mixed": (pd.Series([2**70, 1.0], dtype=object), pd.Series([2**70, 1], dtype=object)),
    "lists": (pd.Series([[1], {"a": 1}], dtype=object), pd.Series([[1], {"a": 1}], dtype=object)),
    "infinite": ([np.inf, 1.0], [np.inf, 1]),
}
DIFFERENT = {
    "next integer": ([BIG - 1], [BIG]),
    "integer and its float": ([BIG], [float(BIG)]),
    "negative integer and its float": (pd.array([-BIG], "Int64"), [float(-BIG)]),
    "NumPy's integer among objects": (pd.Series([np.int64(BIG)], dtype=object), [float(BIG)]),
    "last bit": ([0.1 + 0.2], [0.3]),
    "True is not 1": ([True], [1]),
    "False is not 0.0": (pd.Series([False], dtype=object), [0.0]),
    "text is no number": (["1"], [1]),
    "space": (["a"], ["a "]),
    "beyond 64 bits": (pd.Series([2**70], dtype=object), pd.Series([2**70 + 1], dtype=object)),
    "unsigned": (np.array([2**63], np.uint64), [-(2**63)]),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_values_are_equal_whatever_their_type(name):
    """Nothing is found, in either direction, and what is found has the same columns and kinds all the same."""
    one, other = (pd.DataFrame({"a": pd.Series(values).array}, index=seconds(2)) for values in SAME[name])
    for found in (tsb.compare_frames(one, other), tsb.compare_frames(other, one)):
        assert found.empty
        assert list(found.columns) == ["_time", "property", "expected", "actual", "kind"]
        assert found["_time"].dtype == "datetime64[ns, UTC]"
        assert found.attrs == {"count": 0, "kinds": {}}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_values_are_found_however_close(name):
    """The very values are shown, in either direction."""
    values = [pd.Series(some).array for some in DIFFERENT[name]]
    one, other = (pd.DataFrame({"a": some}, index=seconds(1)) for some in values)
    a, b = (pd.Series(some).astype(object).tolist()[0] for some in values)
    a, b = (value.item() if isinstance(value, np.generic) else value for value in (a, b))
    for found, wanted in ((tsb.compare_frames(one, other), (a, b)), (tsb.compare_frames(other, one), (b, a))):
        assert [tuple(row) for row in found[["property", "expected", "actual", "kind"]].values.tolist()] == [
            ("a", *wanted, "value")
        ]
        assert [type(value) for value in found.loc[0, ["expected", "actual"]]] == [type(value) for value in wanted]


def test_every_kind_of_difference_in_time_order():
    """Records first by time, then by column; both sides' columns and zones."""
    one = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "only": [9, 9, 9]}, index=indexed([1, 2, 3]))
    two = pd.DataFrame(
        {"b": ["x", "new", None], "a": [1, 5, 7], "more": [None, None, 4]},
        index=indexed([1, 2, 4], "Asia/Tokyo"),
    )
    found = tsb.compare_frames(one, two.iloc[::-1])
    assert listed(found) == [
        (1, "only", 9, None, "missing value"),
        (2, "a", 2, 5, "value"),
        (2, "b", None, "new", "extra value"),
        (2, "only", 9, None, "missing value"),
        (3, None, None, None, "missing record"),
        (4, None, None, None, "extra record"),
    ]
    assert found.attrs == {
        "count": 6,
        "kinds": {"missing record": 1, "extra record": 1, "value": 1, "missing value": 2, "extra value": 1},
    }
    few = tsb.compare_frames(one, two, limit=2)
    assert listed(few) == listed(found)[:2]
    assert few.attrs == found.attrs
    assert tsb.compare_frames(one, two, limit=0).shape == (0, 5)
    assert listed(tsb.compare_frames(one, two, limit=None)) == listed(found)


def test_differences_are_listed_entity_after_entity():
    """In the order of the expected frame; entities only the other has come last."""
    one = pd.DataFrame({"a": [1, 2, 3]}, index=indexed([5, 1, 2], entity="yxx"))
    two = pd.DataFrame({"a": [7, 8, 9]}, index=indexed([0, 2, 1], entity="wxx"))
    found = tsb.compare_frames(one, two)
    assert [(entity, ns) for ns, entity, *_ in listed(found)] == [("y", 5), ("x", 1), ("x", 2), ("w", 0)]


def test_a_nanosecond_is_another_record():
    """Times are compared exactly, and only by their instant."""
    one = pd.DataFrame({"a": [1]}, index=indexed([MOMENT]))
    assert listed(tsb.compare_frames(one, one.set_axis(indexed([MOMENT + 1])))) == [
        (MOMENT, None, None, None, "missing record"),
        (MOMENT + 1, None, None, None, "extra record"),
    ]
    coarse = pd.DataFrame({"a": [1]}, index=indexed([DAY]).as_unit("s"))
    assert tsb.compare_frames(coarse, one.set_axis(indexed([DAY]))).empty


def test_only_so_many_differences_are_listed():
    """A million differences are counted, a thousand shown."""
    ns = np.arange(300_000)
    one = pd.DataFrame({"a": ns, "b": 1.5}, index=indexed(ns))
    found = tsb.compare_frames(one, one + 1)
    assert (len(found), found.attrs["count"]) == (1_000, 600_000)
    assert found["_time"].max().value == 499


@pytest.mark.parametrize("limit", [-1, True, 1.5, "1"])
def test_a_limit_is_a_count(limit):
    """Anything else is refused."""
    frame = pd.DataFrame({"a": [1]}, index=seconds(1))
    with pytest.raises(FrameError, match="limit="):
        tsb.compare_frames(frame, frame, limit=limit)


def test_one_entity_and_several_are_not_compared():
    """The way out is in the message."""
    one, several = (pd.DataFrame({"a": [1]}, index=indexed([1], entity=entity)) for entity in (None, "x"))
    with pytest.raises(FrameError, match=r"actual\.xs"):
        tsb.compare_frames(one, several)
    with pytest.raises(FrameError, match=r"expected\.xs"):
        tsb.compare_frames(several, one)


VALUES = st.none() | st.sampled_from([0, 1, BIG, BIG - 1, float(BIG), -0.0, 0.5, True, False, "1", "", "x"])
RECORDS = st.dictionaries(
    st.tuples(st.sampled_from("xyz"), st.integers(0, 4)),
    st.dictionaries(st.sampled_from("abc"), VALUES),
    max_size=8,
)


def framed(records, order):
    """Build a frame of records in a given order, each column of the type pandas thinks best."""
    keys = sorted(records, key=lambda key: ((key[1] + order) % 5, key[0]), reverse=order > 1)
    names = sorted({name for record in records.values() for name in record})
    columns = {name: pd.Series([records[key].get(name) for key in keys], dtype=object) for name in names}
    for name, column in columns.items():
        kinds = {type(value) for value in column if value is not None}
        if kinds == {int} and order % 2:
            columns[name] = column.astype("Int64")
        elif kinds == {float}:
            columns[name] = column.astype(float)
    index = indexed([ns for _, ns in keys], entity=[entity for entity, _ in keys])
    return pd.DataFrame({name: column.array for name, column in columns.items()}, index=index)


@given(RECORDS, RECORDS, st.booleans(), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_a_comparison_is_what_a_loop_finds(ours, theirs, much_the_same, first, second):
    """Every difference and none but these; of random records, in any order and of any type."""
    if much_the_same:
        theirs = {**ours, **dict(list(theirs.items())[:1])}
    wanted = set()
    for key in {*ours, *theirs}:
        if key not in theirs or key not in ours:
            wanted.add((key[1], key[0], None, None, None, "missing record" if key in ours else "extra record"))
            continue
        for name in {*ours[key], *theirs[key]}:
            a, b = ours[key].get(name), theirs[key].get(name)
            if a is None and b is None:
                continue
            if a is None or b is None:
                wanted.add((key[1], key[0], name, repr(a), repr(b), "extra value" if a is None else "missing value"))
            elif isinstance(a, bool) != isinstance(b, bool) or a != b:
                wanted.add((key[1], key[0], name, repr(a), repr(b), "value"))
    found = tsb.compare_frames(framed(ours, first), framed(theirs, second))
    shown = [
        (*row[:3], *(None if row[2] is None else repr(value) for value in row[3:5]), row[5]) for row in listed(found)
    ]
    assert len(shown) == len(set(shown)) == found.attrs["count"]
    assert set(shown) == wanted
    assert sum(found.attrs["kinds"].values()) == len(wanted)
