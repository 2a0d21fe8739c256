"""DataFrames in and out: every check of a caller's frame, types of both pandas lines, round trips."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbulk_frames.codec import decode_pages, encode_rows, split_page
from tsbulk_frames.errors import FrameError
from tsbulk_frames.frames import check_table, from_frame, to_frame

PANDAS_3 = pd.__version__ >= "3"


def times(rows, **options):
    """Make times a second apart."""
    return pd.date_range("2026-03-01", periods=rows, freq="s", **{"tz": "UTC", **options})


def round_trip(df, **options):
    """Write a frame as pages, and read it again."""
    text = b"".join(bytes(chunk.data[: chunk.offsets[-1]]) for chunk in encode_rows(from_frame(df)))
    return to_frame(decode_pages([split_page(b'{"records":[' + text[:-1] + b"]}")]), **options)


def refused(df, **options):
    """Catch the error for a frame; the frame is as it was."""
    before = df.copy(deep=True)
    with pytest.raises(FrameError) as caught:
        from_frame(df, **options)
    if isinstance(df, pd.DataFrame):
        pd.testing.assert_frame_equal(df, before)
    return caught.value


def test_infinite_values_are_counted_and_located():
    """The message names the column, all offenders, the first time, and the next step."""
    speed = np.ones(86_400)
    speed[[7_207, 7_208, 80_000]] = [np.inf, -np.inf, np.inf]
    error = refused(pd.DataFrame({"a": 1, "speed": speed}, index=times(86_400)))
    assert str(error) == (
        "column 'speed': 3 of 86400 values are inf (first at 2026-03-01T02:00:07Z); "
        "drop or replace them before write_timeseries"
    )
    assert (error.column, error.rows) == ("speed", (7_207, 7_208, 80_000))


COLUMNS = {
    "inf in objects": (pd.Series([1, float("inf"), "x"], dtype=object), "inf", (1,)),
    "inf in Float64": (pd.Series([1, float("inf"), None], dtype="Float64"), "inf", (1,)),
    "inf in float32": (np.array([1, 2, np.inf], np.float32), "inf", (2,)),
    "uint64": (np.array([1, 2**63, 2**64 - 1], np.uint64), "beyond 64 bits", (1, 2)),
    "big int": ([1, 2**63, -(2**63) - 1], "beyond 64 bits", (1, 2)),
    "surrogates": (pd.Series(["x", "\ud800", None], dtype=object), "lone surrogates", (1,)),
    "surrogates in string": (pd.Series(["x", "\ud800", None], dtype=pd.StringDtype("python")), "lone surrogates", (1,)),
    "surrogate category": (pd.Categorical(pd.Series(["x", "\ud800", "x"], dtype=object)), "lone surrogates", (1,)),
    "datetime": (pd.to_datetime(["2026-03-01"] * 3, utc=True), "strftime", ()),
    "naive datetime": (np.array(["2026-03-01"] * 3, "M8[s]"), "strftime", ()),
    "timedelta": (np.array([1, 2, 3], "m8[s]"), "total_seconds", ()),
    "complex": (np.array([1j, 2, 3]), "imaginary", ()),
    "longdouble": (np.ones(3, np.longdouble), "cannot be written", ()),
    "period": (pd.period_range("2026", periods=3), "astype", ()),
    "interval": (pd.interval_range(0, 3), "astype", ()),
    "datetime category": (pd.Categorical(pd.to_datetime(["2026-03-01"] * 3)), "strftime", ()),
    "decimal": (pd.Series([decimal.Decimal(1)] * 3, dtype=object), "Decimal", (0, 1, 2)),
    "bytes": (pd.Series([b"x", "x", "x"], dtype=object), "bytes", (0,)),
    "dict": (pd.Series([1, {"a": 1}, [1]], dtype=object), "dict, list", (1, 2)),
    "date": (pd.Series([dt.date(2026, 3, 1)] * 3, dtype=object), "date", (0, 1, 2)),
    "numpy datetime": (pd.Series([np.datetime64(1, "s"), np.timedelta64(1, "s"), 1], dtype=object),
                       "datetime64", (0, 1)),
    "arrow decimal": (pd.array([1, 2, 3], dtype=pd.ArrowDtype(pa.decimal128(5))), "astype", ()),
    "arrow list": (pd.array([[1], [2], [3]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))), "json.dumps", ()),
    "arrow date": (pd.array([dt.date(2026, 3, 1)] * 3, dtype=pd.ArrowDtype(pa.date32())), "astype", ()),
    "arrow duration": (pd.array([1, 2, 3], dtype=pd.ArrowDtype(pa.duration("s"))), "total_seconds", ()),
    "arrow binary": (pd.array([b"x"] * 3, dtype=pd.ArrowDtype(pa.binary())), "cannot be written", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_values_that_cannot_be_written(name):
    """Each is refused with its column, its rows and the way out."""
    given, words, rows = COLUMNS[name]
    error = refused(pd.DataFrame({"ok": 1, "p": pd.Series(given).set_axis(times(3))}, index=times(3)))
    assert words in str(error)
    assert (error.column, error.rows) == ("p", rows)


def frame(**columns):
    """Make a small frame."""
    return pd.DataFrame(columns or {"p": [1.0, 2.0, 3.0]}, index=times(3))


FRAMES = {
    "no frame": (pd.Series([1.0], index=times(1)), "to_frame"),
    "no times": (pd.DataFrame({"p": [1]}), "no times"),
    "naive": (frame().tz_localize(None), "tz_localize"),
    "naive column": (frame().tz_localize(None).rename_axis("_time").reset_index(), "tz_localize"),
    "text times": (pd.DataFrame({"_time": ["2026-03-01T00:00:00Z"], "p": 1}), "to_datetime"),
    "NaT": (frame().set_axis(times(3).where([True, False, True])), "1 of 3 times are missing"),
    "unsorted": (frame().iloc[[0, 2, 1]], "1 of 3 times are earlier"),
    "unsorted and twice": (frame().iloc[[2, 2, 0]], "1 of 3 times are earlier"),
    "duplicate": (frame().iloc[[0, 1, 1]], "1 of 3 times are the same"),
    "too late": (frame().set_axis(pd.DatetimeIndex(np.array([0, 1, 2**40], "M8[s]")).tz_localize("UTC")),
                 "1677-09-21"),
    "too early": (frame().set_axis(pd.DatetimeIndex(np.array([-(2**40), 1, 2], "M8[s]")).tz_localize("UTC")),
                 "1677-09-21"),
    "time twice": (frame(_time=times(3)), "beside a time index"),
    "no columns": (frame()[[]], "no column"),
    "empty name": (frame().rename(columns={"p": ""}), "empty"),
    "name no text": (frame().rename(columns={"p": 5}), "astype"),
    "name surrogate": (pd.DataFrame([[1.0]], columns=pd.Index(["\ud800"], dtype=object), index=times(1)), "Unicode"),
    "name twice": (frame(p=[1] * 3, q=[2] * 3).rename(columns={"q": "p"}), "twice"),
    "two levels of names": (pd.concat({"x": frame()}, axis=1), "droplevel"),
    "two levels of rows": (pd.concat({"asset": frame()}), "df.xs"),
    "code alone": (frame(p_qc=[1] * 3), "add the property"),
    "code float": (frame(p=[1.0] * 3, p_qc=[1.0, None, 2.0]), "Int64"),
    "code text": (frame(p=[1.0] * 3, p_qc=["1"] * 3), "Int64"),
    "code mixed": (frame(p=[1.0] * 3, p_qc=pd.Series([1, "x", 1], index=times(3), dtype=object)), "mixed"),
    "time column twice": (pd.DataFrame([[1, 2]], columns=["_time", "_time"]), "twice"),
    "empty rows": (frame(p=[None, 1.0, None], q=[None, None, np.nan]), "2 of 3 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_cannot_be_written(name):
    """Each is refused before anything else happens, with the way out in the message."""
    given, words = FRAMES[name]
    assert words in str(refused(given))


@pytest.mark.parametrize("name", [*COLUMNS, *FRAMES])
def test_rules_can_be_collected_instead(name):
    """What is told first is what is raised by default, word for word; but for what leaves nothing to look at."""
    if name in COLUMNS:
        values = pd.Series(COLUMNS[name][0]).set_axis(times(3))
        df = pd.DataFrame({"ok": 1, "p": values}, index=times(3))
    else:
        df = FRAMES[name][0]
    error, told = refused(df), []
    try:
        from_frame(df, tell=told.append)
    except FrameError as pointless:
        told.append(pointless)
    assert (str(told[0]), told[0].column, told[0].rows) == (str(error), error.column, error.rows)


def test_tables_at_fault_keep_their_rows():
    """Collected: a table comes back whole, columns at fault show where they have values, their type tells them."""
    told = []
    days = pa.array([1, None, 2], pa.date32())
    table = pa.table({"_time": pa.array([0, 1, 1], pa.timestamp("s", "UTC")), "day": days, "": [1.0, 2.0, None]})
    checked = check_table(table, tell=told.append)
    assert ["empty" in str(told[0]), "the same as" in str(told[1]), "date32" in str(told[2])] == [True] * 3
    assert checked.column_names == ["_time", "day", "(column 1)"]
    assert checked["day"].type == pa.int8()
    assert checked["day"].to_pylist() == [1, None, 1]
    assert checked.num_rows == 3


def test_rows_of_time_errors():
    """Rows are positions from 0, five at most, of the rows at fault."""
    assert refused(frame().iloc[[0, 2, 1]]).rows == (2,)
    assert refused(pd.DataFrame({"p": 1}, index=times(1).repeat(9))).rows == (1, 2, 3, 4, 5)
    assert refused(frame(p=[None, 1.0, None])).rows == (0, 2)


def test_empty_rows_may_be_dropped():
    """Rows without any value are dropped on request; any other word is refused."""
    df = frame(p=[None, 1.0, None], q=["x", None, None])
    assert from_frame(df, empty_rows="drop")["p"].to_pylist() == [None, 1.0]
    assert from_frame(frame(p=[1, 2, 3]), empty_rows="drop").num_rows == 3
    assert from_frame(df.iloc[:2]).num_rows == 2
    assert "empty_rows='ignore'" in str(refused(df, empty_rows="ignore"))


def test_no_rows_are_fine():
    """A frame without rows is a table without rows, even without columns: what was read can be written."""
    assert from_frame(frame().iloc[:0]).num_rows == 0
    for columns in ([], ["p", "p_qc"], ["p_qc"]):
        df = to_frame(empty(*columns))
        assert list(df) == columns
        assert from_frame(df).schema.names == ["_time", *columns]
        assert check_table(empty(*columns)).num_rows == 0


def test_zones_that_arrow_does_not_know():
    """Any zone of Python's is fine, even one off by a second."""
    odd = dt.timezone(dt.timedelta(seconds=3601))
    df = frame().set_axis(times(3).as_unit("ns").rename("_time")).tz_convert(odd)
    pd.testing.assert_frame_equal(round_trip(df, tz=odd), df, check_freq=False)


def test_mixed_columns_are_looked_at_once(monkeypatch):
    """Python objects that were checked and spelled are not parsed, checked and spelled again."""
    import tsbulk_frames._cells as cells

    monkeypatch.delattr(cells, "_parsed")
    mixed = pd.Series([1, "x", 2.5], index=times(3), dtype=object)
    assert from_frame(frame(p=mixed))["p"].cast(pa.string()).to_pylist() == ["1", '"x"', "2.5"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", dt.timezone(dt.timedelta(hours=-3))])
@pytest.mark.parametrize("where", ["index", "column", "arrow"])
def test_times_of_any_unit_and_zone(unit, zone, where):
    """Moments are the same whatever the unit, the zone, and the place they stand in."""
    df = pd.DataFrame({"p": [1.0, 2.0]}, index=times(2).as_unit(unit).tz_convert(zone))
    if where == "column":
        df = df.rename_axis("_time").reset_index()
    elif where == "arrow" and isinstance(zone, str):
        df.index = pd.Index(pd.array(df.index, dtype=pd.ArrowDtype(pa.timestamp(unit, zone))), name="t")
    table = from_frame(df)
    assert table.schema.field("_time").type == pa.timestamp("ns", "UTC")
    assert table["_time"].cast(pa.int64()).to_pylist() == times(2).as_unit("ns").asi8.tolist()


WRITABLE = {
    "bool": (np.array([True, False, True]), [True, False, True], pa.bool_()),
    "int8": (np.array([1, -2, 3], np.int8), [1, -2, 3], pa.int64()),
    "uint64": (np.array([1, 2, 2**63 - 1], np.uint64), [1, 2, 2**63 - 1], pa.int64()),
    "float16": (np.array([0.1, np.nan, 3], np.float16), [float(np.float16(0.1)), None, 3.0], pa.float64()),
    "float32": (np.array([0.1, 2, 3], np.float32), [float(np.float32(0.1)), 2.0, 3.0], pa.float64()),
    "float64": (np.array([0.1, np.nan, 3]), [0.1, None, 3.0], pa.float64()),
    "strided": (np.arange(6.0)[::2], [0.0, 2.0, 4.0], pa.float64()),
    "Int64": (pd.array([2**53 + 1, None, 1], "Int64"), [2**53 + 1, None, 1], pa.int64()),
    "UInt8": (pd.array([1, None, 255], "UInt8"), [1, None, 255], pa.int64()),
    "Float32": (pd.array([0.5, None, 1], "Float32"), [0.5, None, 1.0], pa.float64()),
    "boolean": (pd.array([True, None, False], "boolean"), [True, None, False], pa.bool_()),
    "string": (pd.array(["x", None, "é"], "string"), ["x", None, "é"], pa.string()),
    "objects": (pd.Series(["x", None, np.nan], dtype=object), ["x", None, None], pa.string()),
    "numpy text": (pd.Series([np.str_("x"), pd.NA, "y"], dtype=object), ["x", None, "y"], pa.string()),
    "numpy scalars": (pd.Series([np.int8(1), np.uint16(2), None], dtype=object), [1, 2, None], pa.int64()),
    "numpy bools": (pd.Series([np.bool_(True), False, pd.NaT], dtype=object), [True, False, None], pa.bool_()),
    "numpy floats": (pd.Series([np.float32(0.5), 1.5, np.nan], dtype=object), [0.5, 1.5, None], pa.float64()),
    "mixed": (pd.Series([np.int64(1), 2.0, "x"], dtype=object), ["1", "2.0", '"x"'], pa.json_()),
    "all missing": (pd.Series([None, np.nan, pd.NA], dtype=object), [None] * 3, pa.null()),
    "category": (pd.Categorical(["b", None, "b"]), ["b", None, "b"], pa.string()),
    "int category": (pd.Categorical([2**53 + 1, None, 5]), None, pa.int64()),
    "bool category": (pd.Categorical([True, None, False]), [True, None, False], pa.bool_()),
    "sparse": (pd.arrays.SparseArray([0.0, 0.0, 1.5]), [0.0, 0.0, 1.5], pa.float64()),
    "arrow int": (pd.array([1, None, 3], pd.ArrowDtype(pa.int16())), [1, None, 3], pa.int64()),
    "arrow NaN": (pd.Series(pd.arrays.ArrowExtensionArray(pa.array([1.5, np.nan, None]))),
                  [1.5, None, None], pa.float64()),
    "arrow text": (pd.array(["x", None, "y"], pd.ArrowDtype(pa.large_string())), ["x", None, "y"], pa.string()),
    "arrow category": (pd.Series(pd.arrays.ArrowExtensionArray(pa.array(["x", None, "x"]).dictionary_encode())),
                       ["x", None, "x"], pa.string()),
}  # fmt: skip
WRITABLE["int category"] = (
    pd.Categorical.from_codes([1, -1, 0], categories=pd.Index([5, 2**53 + 1])),
    [2**53 + 1, None, 5],
    pa.int64(),
)


@pytest.mark.parametrize("name", WRITABLE)
def test_columns_that_can_be_written(name):
    """Every supported type arrives exactly, missing cells as missing; the frame stays as it was."""
    given, expected, kind = WRITABLE[name]
    df = pd.DataFrame({"ok": 1, "p": pd.Series(given).set_axis(times(3))}, index=times(3))
    before = df.copy(deep=True)
    table = from_frame(df)
    assert table.schema.field("p").type == kind
    column = table["p"].cast(pa.string()) if kind == pa.json_() else table["p"]
    assert repr(column.to_pylist()) == repr(expected)
    pd.testing.assert_frame_equal(df, before)


def test_floats_are_not_copied():
    """A float column without gaps shares its memory with the table."""
    values = np.arange(1000.0)
    table = from_frame(pd.DataFrame({"p": values}, index=times(1000), copy=False))
    assert table["p"].chunk(0).buffers()[1].address == values.__array_interface__["data"][0]


def test_arrow_tables_obey_the_same_rules():
    """A caller's table or batch is checked as a frame is."""
    stamp = pa.array([0, 1], pa.timestamp("s", "UTC"))
    batch = pa.record_batch({"p": pa.array([1, 2], pa.int8()), "_time": stamp})
    assert check_table(batch).to_pydict()["p"] == [1, 2]
    assert check_table(batch).column_names == ["_time", "p"]
    exact = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", '"x"']))
    assert check_table(pa.table({"_time": stamp, "p": exact}))["p"].cast(pa.string()).to_pylist() == ["1", '"x"']
    views = pa.table({"_time": stamp, "p": pa.array(["x", "y"], pa.string_view())})
    assert check_table(views)["p"].to_pylist() == ["x", "y"]
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"x"]).buffers())
    for columns, words in (
        ({"p": [1, 2]}, "0 columns '_time'"),
        ({"_time": [1, 2], "p": [1, 2]}, "int64"),
        ({"_time": stamp, "p": broken}, "UTF-8"),
        ({"_time": stamp, "p": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["[1]", "1"]))}, "list"),
        ({"_time": stamp, "p": pa.array(stamp)}, "strftime"),
    ):
        with pytest.raises(FrameError, match=words):
            check_table(pa.table(columns))


JSON = pa.json_()


@pytest.mark.parametrize("kind", [pa.json_(), pa.json_(pa.large_string())])
@pytest.mark.parametrize("storage", ["x{", "NaN", "[" * 100_000, "1,2", "-Infinity", "1e999", "1" * 5_000])
def test_json_texts_of_a_caller_are_checked(kind, storage):
    """A text that is no JSON value of a cell is refused with its row, in a table and in a frame."""
    texts = pa.array(["1", None, storage], kind.storage_type)
    column = pa.ExtensionArray.from_storage(kind, texts)
    stamp = pa.array([0, 1, 2], pa.timestamp("s", "UTC"))
    with pytest.raises(FrameError, match="1 of 3 values") as caught:
        check_table(pa.table({"_time": stamp, "p": column}))
    assert (caught.value.column, caught.value.rows) == ("p", (2,))
    given = pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([column])), index=times(3))
    assert refused_json(pd.DataFrame({"p": given}, index=times(3))).rows == (2,)
    good = pa.ExtensionArray.from_storage(kind, texts.slice(0, 2))
    assert check_table(pa.table({"_time": stamp.slice(0, 2), "k": [1, 2], "p": good})).schema.field("p").type == JSON


def refused_json(df):
    """Catch the error for a frame that pandas cannot compare."""
    with pytest.raises(FrameError) as caught:
        from_frame(df)
    return caught.value


def empty(*names):
    """Make a table without rows."""
    return pa.table({"_time": pa.array([], pa.timestamp("ns", "UTC")), **{name: pa.nulls(0) for name in names}})


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", dt.UTC])
@pytest.mark.parametrize("backend", [None, "numpy_nullable", "pyarrow"])
@pytest.mark.parametrize("columns", [[], ["p", "q"]])
def test_empty_frames(tz, backend, columns):
    """No rows: the same index type, the columns of the table, nothing else."""
    df = to_frame(empty(*columns), tz=tz, dtype_backend=backend)
    assert (df.index.name, df.index.dtype.unit, str(df.index.tz)) == ("_time", "ns", str(tz))
    assert len(df) == 0
    assert list(df) == columns


def full_table():
    """One column of each kind, with and without gaps."""
    return pa.table(
        {
            "_time": pa.array([0, 1], pa.timestamp("ns", "UTC")),
            "i": [1, 2], "ig": [1, None], "i_qc": [1, 2], "f": [1.5, 2.5], "fg": [1.5, None], "b": [True, False],
            "bg": [True, None], "s": ["x", "y"], "sg": ["x", None], "n": pa.nulls(2), "n_qc": pa.nulls(2),
            "f_qc": [192.0, None], "s_qc": [0.5, None],
            "x": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", '"x"'])),
        }
    )  # fmt: skip


def test_types_of_the_frame():
    """The documented type of each kind, for each back end."""
    text = "str" if PANDAS_3 else "object"
    df = to_frame(full_table())
    assert df.dtypes.astype(str).to_dict() == {
        "i": "int64", "i_qc": "Int64", "ig": "Int64", "f": "float64", "f_qc": "Int64", "fg": "float64", "b": "bool",
        "bg": "boolean", "s": text, "s_qc": "float64", "sg": text, "n": "float64", "n_qc": "Int64", "x": "object",
    }  # fmt: skip
    assert list(df)[:3] == ["i", "i_qc", "ig"]
    df.iloc[0, 0] = 5
    df.iloc[0, 3] = 5.5
    nullable = to_frame(full_table(), dtype_backend="numpy_nullable").dtypes.astype(str)
    assert nullable[["i", "f", "fg", "b", "s", "n", "x"]].tolist() == [
        "Int64", "Float64", "Float64", "boolean", "string", "Int64", "object",
    ]  # fmt: skip
    arrow = to_frame(full_table(), dtype_backend="pyarrow").dtypes.astype(str)
    assert arrow[["i", "f", "b", "s", "n", "n_qc", "x"]].tolist() == [
        "int64[pyarrow]", "double[pyarrow]", "bool[pyarrow]", "string[pyarrow]", "null[pyarrow]", "int64[pyarrow]",
        "object",
    ]  # fmt: skip


def test_what_was_read_can_be_written_again():
    """A frame of every kind, of every back end, is written and read as the same frame."""
    for backend in (None, "numpy_nullable", "pyarrow"):
        df = to_frame(full_table().drop_columns(["s_qc", "n", "n_qc"]), dtype_backend=backend)
        pd.testing.assert_frame_equal(round_trip(df, dtype_backend=backend), df)


def optional(strategy):
    """Cells, some missing."""
    return st.lists(st.none() | strategy, min_size=8, max_size=8)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(["},{", "2018-11-01", '\\"'])


@given(
    st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=8, max_size=8, unique=True).map(sorted),
    optional(st.floats(allow_nan=False, allow_infinity=False)),
    optional(st.integers(-(2**63), 2**63 - 1)),
    optional(st.booleans()),
    optional(TEXT),
    optional(st.booleans() | st.integers(-(2**60), 2**60) | TEXT),
)
@settings(max_examples=80, deadline=None)
def test_round_trip(ns, floats, integers, bools, texts, mixed):
    """Write, read: the same values, kinds and nanoseconds, gaps included."""
    index = pd.DatetimeIndex(np.array(ns, "M8[ns]"), name="_time").tz_localize("UTC")
    df = pd.DataFrame(
        {
            "i": pd.array(integers, "Int64"),
            "b": pd.array(bools, "boolean"),
            "s": pd.Series(texts, index=index, dtype="str" if PANDAS_3 else object),
            "f": np.array([np.nan if v is None else v for v in floats]),
            "x": pd.Series([*mixed[:-3], True, 1, "x"], index=index, dtype=object),
            "k": range(8),
            "k_qc": pd.array([192] * 8, "Int64"),
        },
        index=index,
    )
    got = round_trip(df)
    pd.testing.assert_index_equal(got.index, df.index)
    for name in df:
        if df[name].isna().all():
            assert name not in got
            continue
        column = got[name].astype(df[name].dtype) if not df[name].isna().any() else got[name]
        pd.testing.assert_series_equal(column, df[name], check_exact=True)
    if "f" in got:
        assert np.signbit(got["f"]).tolist() == np.signbit(df["f"]).tolist()
