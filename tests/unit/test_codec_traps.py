"""Each known trap of reading and writing time series as JSON, with the input that shows it."""

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tsbulk_frames.codec import decode_pages, encode_rows, split_page, unify
from tsbulk_frames.frames import from_frame, to_frame

TIME = "2026-03-01T00:00:00Z"
BIG = 2**53 + 1


def pages(*columns, spaced=False):
    """Pages with the given cells of property a; `...` is a record without it."""
    out = []
    for cells in columns:
        records = [{"_time": TIME} if cell is ... else {"_time": TIME, "a": cell} for cell in cells]
        out.append(split_page(json.dumps({"records": records}, separators=None if spaced else (",", ":")).encode()))
    return out


def cells(table):
    """Python values of property a in the frame, None where missing."""
    return [None if v is None or v is pd.NA or v != v else v for v in to_frame(table)["a"].tolist()]


READING = {
    "big integer beside a float": ([[BIG, 2.5]], [BIG, 2.5], "object"),
    "big negative integer beside a float": ([[-BIG, 2.5]], [-BIG, 2.5], "object"),
    "big negative integer apart": ([[-BIG], [2.5], [7]], [-BIG, 2.5, 7], "object"),
    "big integer here, float there": ([[BIG], [2.5]], [BIG, 2.5], "object"),
    "float here, big integer there": ([[2.5], [BIG]], [2.5, BIG], "object"),
    "small integers beside them": ([[1, 2.5], [BIG], [3, 4.5]], [1, 2.5, BIG, 3, 4.5], "object"),
    "big integer beside a gap": ([[BIG, ..., 1]], [BIG, None, 1], "Int64"),
    "big integer here, gap there": ([[BIG], [...]], [BIG, None], "Int64"),
    "large but exact integer beside a float": ([[2**60, 0.5]], [2.0**60, 0.5], "float64"),
    "large but exact here, float there": ([[2**60], [0.5]], [2.0**60, 0.5], "float64"),
    "integers then floats": ([[1, 2], [2.5]], [1.0, 2.0, 2.5], "float64"),
    "beyond 64 bits": ([[18446744073709551615, 1]], [18446744073709551615, 1], "object"),
    "beyond 64 bits, apart": ([[18446744073709551615], [1]], [18446744073709551615, 1], "object"),
    "beyond 64 bits beside a float": ([[0.5, 10**30]], [0.5, 10**30], "object"),
    "beyond 64 bits but exact, beside a float": ([[2**63, 0.5]], [2.0**63, 0.5], "float64"),
    "beyond 64 bits but exact, apart": ([[2**63], [1], [0.5]], [2.0**63, 1.0, 0.5], "float64"),
    "beyond 64 bits and inexact, apart": ([[2**63 + 1], [0.5]], [2**63 + 1, 0.5], "object"),
    "dates": ([["2018-11-01", "2019-01-01"]], ["2018-11-01", "2019-01-01"], "text"),
    "times": ([["2024-01-01T00:00:00Z"], ["x"]], ["2024-01-01T00:00:00Z", "x"], "text"),
    "text, then times": ([["x"], ["2024-01-01T00:00:00Z"]], ["x", "2024-01-01T00:00:00Z"], "text"),
    "dates, gaps, text": ([["2018-11-01"], [None], ["x", ...]], ["2018-11-01", None, "x", None], "text"),
    "numbers as text": ([["123", "1.5", "true", "", "null", "NaN"]], ["123", "1.5", "true", "", "null", "NaN"], "text"),
    "bool and gap": ([[True, None, False]], [True, None, False], "boolean"),
    "bools": ([[True], [False]], [True, False], "bool"),
    "bool here, number there": ([[True], [1], [0.5]], [True, 1, 0.5], "object"),
    "bool beside a number": ([[1, True]], [1, True], "object"),
    "text here, number there": ([["x"], [1]], ["x", 1], "object"),
    "text beside a bool": ([["x", False]], ["x", False], "object"),
    "only null": ([[None], [None, ...]], [None, None, None], "float64"),
    "null, then integers": ([[None], [1]], [None, 1], "Int64"),
    "late": ([[...], [1.5]], [None, 1.5], "float64"),
    "vanishing": ([[1.5], [...]], [1.5, None], "float64"),
    "separators in text": ([["x},{y", "z\\", '"},{"b":1', "é🎉{}", "[]"]],
                           ["x},{y", "z\\", '"},{"b":1', "é🎉{}", "[]"], "text"),
    "escaped quotes": ([['\\"},{\\', '\\\\"', "a"]], ['\\"},{\\', '\\\\"', "a"], "text"),
    "nested": ([[{"b": [{"c": 1}, {"c": 2}]}], [[]], [{}]], [{"b": [{"c": 1}, {"c": 2}]}, [], {}], "object"),
    "lone surrogate": ([["\ud800", "x"]], ["\ud800", "x"], "object"),
    "lone surrogate apart": ([["\ud800"], ["x"]], ["\ud800", "x"], "object"),
    "surrogate pair": ([["\U0001f600"]], ["\U0001f600"], "text"),
    "signs and kinds": ([[-0.0, 45.0, 5e-324, 1.7976931348623157e308]],
                        [-0.0, 45.0, 5e-324, 1.7976931348623157e308], "float64"),
}  # fmt: skip


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("name", READING)
def test_reading(name, spaced):
    """Each trap is read exactly: decoded together and apart."""
    given, expected, dtype = READING[name]
    raw = pages(*given, spaced=spaced)
    apart, together = unify([decode_pages([page]) for page in raw]), decode_pages(raw)
    assert repr(cells(together)) == repr(expected)
    assert cells(apart) == expected
    assert [type(v) is bool for v in cells(apart)] == [type(v) is bool for v in expected]
    text = "str" if pd.__version__ >= "3" else "object"
    assert str(to_frame(together)["a"].dtype) == (text if dtype == "text" else dtype)


def test_duplicate_keys():
    """The last of equal keys counts, as in `json`."""
    page = split_page(b'{"records":[{"a":1,"a":2,"_time":"2026-03-01T00:00:00Z"}]}')
    assert cells(decode_pages([page])) == [2]


def encoded(df, **options):
    """Spell a frame as records."""
    table = from_frame(df, **options)
    return b"".join(bytes(chunk.data[: chunk.offsets[-1]]) for chunk in encode_rows(table, rows=3))


def parsed(df):
    """Read the records of a frame back with `json`."""
    return json.loads(b"[" + encoded(df)[:-1] + b"]")


def index(rows):
    """Make times for a frame."""
    return pd.date_range("2026-03-01", periods=rows, freq="s", tz="UTC")


def test_writing_floats():
    """A float keeps its kind, its sign and each of its digits."""
    numbers = [
        45.0,
        -0.0,
        0.0,
        0.1 + 0.2,
        1e22,
        1e16,
        1e15,
        123456789012.0,
        1e9,
        1e10,
        1e11,
        5e-324,
        1.7976931348623157e308,
    ]
    numbers += np.frombuffer(np.random.default_rng(1).bytes(8 * 20_000), np.float64).tolist()
    numbers += [float(10**n) for n in range(23)] + [float(2**n) for n in range(70)] + [10.0**-n for n in range(30)]
    numbers = [number for number in numbers if math.isfinite(number)]
    got = [record["a"] for record in parsed(pd.DataFrame({"a": numbers}, index=index(len(numbers))))]
    assert [repr(value) for value in got] == [repr(value) for value in numbers]


def test_missing_cells_leave_their_key_out():
    """NaN, NA and None are no JSON numbers: the key is not written."""
    df = pd.DataFrame(
        {
            "f": [1.0, np.nan, 2.0],
            "i": pd.array([None, 2**63 - 1, -(2**63)], "Int64"),
            "s": ["x", None, "y"],
            "b": pd.array([True, None, False], "boolean"),
            "n": [None] * 3,
            "k": [1, 2, 3],
        },
        index=index(3),
    )
    assert encoded(df).decode() == (
        '{"_time":"2026-03-01T00:00:00.000000000Z","f":1.0,"s":"x","b":true,"k":1},'
        '{"_time":"2026-03-01T00:00:01.000000000Z","i":9223372036854775807,"k":2},'
        '{"_time":"2026-03-01T00:00:02.000000000Z","f":2.0,"i":-9223372036854775808,"s":"y","b":false,"k":3},'
    )


def test_writing_text_and_names():
    """Text and names are escaped as JSON asks for, and nothing else is."""
    texts = ["".join(map(chr, range(32))), '"', "\\", "\x7f", "\u2028", "é🎉", "},{", "", "null"]
    names = ["a", 'k"ey\n', "é", "}", "a,b"]
    df = pd.DataFrame(dict.fromkeys(names, texts), index=index(len(texts)))
    text = encoded(df)
    records = parsed(df)
    assert [[record[name] for name in names] for record in records] == [[value] * len(names) for value in texts]
    assert "é🎉".encode() in text


def test_rows_are_cut_at_their_offsets():
    """Each row is the bytes between two offsets, its separator included, in every chunk."""
    df = pd.DataFrame({"a": [1.5, np.nan, 3.0, 4.0], "b": ["x", "é", "\n", ""]}, index=index(4))
    rows = []
    for chunk in encode_rows(from_frame(df), rows=3):
        assert chunk.offsets.dtype == np.int64
        for start, stop in zip(chunk.offsets[:-1], chunk.offsets[1:], strict=True):
            assert bytes(chunk.data[stop - 2 : stop]) == b"},"
            rows.append(json.loads(bytes(chunk.data[start : stop - 1])))
    assert [set(row) for row in rows] == [{"_time", "a", "b"}, {"_time", "b"}, {"_time", "a", "b"}, {"_time", "a", "b"}]
    assert list(encode_rows(from_frame(df.iloc[:0]))) == []


@pytest.mark.parametrize("columns", [1, 10, 400])
def test_chunks_are_of_a_size_however_wide_the_table(columns):
    """Text is made in chunks of some megabytes, of few rows where the rows are long."""
    rows = 3_000_000 // (50 + 30 * columns)
    numbers = np.random.default_rng(0).random((rows * 4, columns))
    df = pd.DataFrame(numbers, columns=[f"sensor_{n:04d}" for n in range(columns)], index=index(rows * 4))
    sizes = [len(chunk.data) for chunk in encode_rows(from_frame(df))]
    assert sizes[0] > 3e6
    assert max(sizes) < 9e6
    long = pd.DataFrame({"s": ["x" * 200_000] * 100}, index=index(100))
    assert all(len(chunk.data) < 9e6 for chunk in encode_rows(from_frame(long)))


def test_writing_times():
    """Nine digits and Z, for any zone, before 1970 too."""
    times = pd.DatetimeIndex(["1677-09-21T00:12:43.145224193Z", "1969-12-31T23:59:59.999999999Z",
                              "2026-03-01T01:02:03.5Z", "2262-04-11T23:47:16.854775807Z"])  # fmt: skip
    records = parsed(pd.DataFrame({"a": 1}, index=times.tz_convert("Asia/Kolkata")))
    assert [record["_time"] for record in records] == [
        "1677-09-21T00:12:43.145224193Z",
        "1969-12-31T23:59:59.999999999Z",
        "2026-03-01T01:02:03.500000000Z",
        "2262-04-11T23:47:16.854775807Z",
    ]


def test_escaped_text_with_few_and_many_values():
    """Repeated and distinct texts that need escapes are the same text again."""
    texts = ['a"b', "plain", None] * 20 + [f'"{n}' for n in range(40)]
    df = pd.DataFrame({"a": pd.Series(texts, dtype=object), "k": 1}).set_index(index(100))
    got = [record.get("a") for record in parsed(df)]
    assert got == texts


def test_exact_cells_are_written_as_they_came():
    """Mixed cells keep their kinds."""
    df = pd.DataFrame({"a": [1, 2.0, True, "x", None, 2**53 + 1], "k": 1}, index=index(6), dtype=object)
    got = [record.get("a") for record in parsed(df)]
    assert repr(got) == repr([1, 2.0, True, "x", None, 2**53 + 1])


def test_sliced_tables_are_encoded_like_whole_ones():
    """A batch that is a slice of another starts at its own rows."""
    df = pd.DataFrame({"a": [1.5, np.nan, 3.0, 4.0], "s": ["w", "x", "y", "z"]}, index=index(4))
    table = from_frame(df)
    cut = pa.Table.from_batches([table.to_batches()[0].slice(1, 2)])
    (chunk,) = encode_rows(cut)
    (whole,) = encode_rows(table)
    assert bytes(chunk.data[chunk.offsets[0] : chunk.offsets[-1]]) == bytes(
        whole.data[whole.offsets[1] : whole.offsets[3]]
    )
