"""Pages → Arrow → frames: envelopes, random pages against `json`, any split of records, errors that say where."""

import json

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbulk_frames._cut import join_records, pieces_of
from tsbulk_frames.codec import RawPage, Room, decode_pages, first_time, split_page, unify
from tsbulk_frames.errors import DecodeError, PageError
from tsbulk_frames.frames import to_frame

TIME = "2026-03-01T00:00:00Z"


def body(records, following=None, *, compact=True):
    """Spell a page as the service does."""
    separators = (",", ":") if compact else None
    return json.dumps({"records": records, "nextRecord": following}, separators=separators).encode()


def decode(*pages):
    """Decode pages given as lists of records."""
    return decode_pages([split_page(body(page), page=n) for n, page in enumerate(pages, 1)])


def values(table, name):
    """Python values of a column; None is missing."""
    return [None if v is None or v is pd.NA or v != v else v for v in to_frame(table)[name].tolist()]


def same(got, expected):
    """Whether values are equal and of the same kind, down to the sign of zero."""
    return repr(got) == repr(expected)


@pytest.mark.parametrize(
    "text",
    [
        b'{"records":[%s],"nextRecord":"https://x/a?b=1"}',
        b'{"nextRecord":"https://x/a?b=1","records":[%s]}',
        b' {\n "records" : [ %s ] , "nextRecord" : "https://x/a?b=1" } \n',
        b'{"records":[%s],"nextRecord":"https:\\/\\/x\\/a?b=1"}',
        b'{"a":[{}],"records":[%s],"nextRecord":"https://x/a?b=1","warnings":[{"a":1}]}',
        b'{"records":[%s],"nextRecord":"https://x/a?b=1","links":[{"href":"x"}]}',
        b'{"records":[%s] , "links":[{"href":"x"}],"nextRecord":"https://x/a?b=1"}',
        b'\xef\xbb\xbf{"records":[%s],"nextRecord":"https://x/a?b=1"}',
        b'{"records":[%s],"nextRecord":"https://x/a?b=1","nextRecord":"https://x/a?b=1"}',
        b'{"nextRecord":null,"records":[%s],"nextRecord":"https://x/a?b=1"}',
    ],
)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_spelling_of_the_envelope_is_understood(text, count):
    """Order, white space, escapes and further members of the envelope do not matter."""
    record = b'{"_time":"2026-03-01T00:00:00Z","a":"},{]}"}'
    page = split_page(text % b",".join([record] * count), page=4)
    assert (page.next_record, page.number) == ("https://x/a?b=1", 4)
    assert json.loads(b"[" + page.body[page.start : page.stop] + b"]") == [json.loads(record)] * count
    assert decode_pages([page]).num_rows == count


@pytest.mark.parametrize("following", [b'"nextRecord":null', b'"nextRecord":""', b'"x":1'])
def test_no_next_page(following):
    """Null, empty and absent all mean that this page was the last."""
    assert split_page(b'{"records":[],' + following + b"}").next_record is None


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b"{}", b'{"records":null}', b'{"records":{}}', b"1", b"\xff"])
@pytest.mark.parametrize("tail", [b"", b" garbage"])
def test_what_is_no_page_is_a_page_error(text, tail):
    """An answer without a list of records is refused with its page number and beginning."""
    with pytest.raises(PageError, match="page 7") as caught:
        split_page(text + tail, page=7)
    assert caught.value.page == 7


@pytest.mark.parametrize("space", [b"\x0b", b"\x0c", b"\xc2\xa0", b"\x1f"])
@pytest.mark.parametrize("form", [b'%b{"records":[]}', b'{"records"%b:[]}', b'{"records":[%b]}', b'{"records":[]}%b'])
def test_white_space_is_what_json_says_it_is(space, form):
    """A vertical tab is white space for regular expressions, not for JSON."""
    with pytest.raises(PageError):
        split_page(form % space)


def test_a_name_that_is_half_a_surrogate_pair_is_told():
    """No column can be named so, also where its values are text."""
    with pytest.raises(DecodeError, match="not Unicode"):
        decode_pages([split_page(b'{"records":[{"_time":"2026-03-01T00:00:00Z","\\ud800":"a"}]}')])


@pytest.mark.parametrize("following", ["5", "[]", "{}", "true"])
def test_next_record_is_text(following):
    """A nextRecord that is neither text nor null is refused."""
    with pytest.raises(PageError, match="nextRecord"):
        split_page(b'{"records":[],"nextRecord":' + following.encode() + b"}")


@pytest.mark.parametrize("following", ['"\t"', '"\\q"'])
def test_next_record_is_json(following):
    """A nextRecord that is no JSON text is refused."""
    with pytest.raises(PageError):
        split_page(b'{"records":[],"nextRecord":' + following.encode() + b"}")


@pytest.mark.parametrize("depth", [50, 2_000, 100_000])
@pytest.mark.parametrize("opener", ["[", '{"a":'])
def test_deep_nesting_never_crashes(depth, opener):
    """However deep a value nests: it is read exactly, or refused; the process lives."""
    closer = "]" if opener == "[" else "}"
    text = opener * depth + ("1" if opener != "[" else "") + closer * depth
    for envelope in ('{"records":[{"_time":"%s","a":%s}]}', '{"x":1,"records":[{"_time":"%s","a":%s}]}'):
        try:
            table = decode_pages([split_page((envelope % (TIME, text)).encode())])
        except (DecodeError, PageError) as error:
            outcome = str(error)
        else:
            outcome = table["a"].to_pylist()[0]
        assert outcome == text if depth == 50 else "deep" in outcome


@pytest.mark.parametrize(
    "inside",
    [
        '{"_time":"%s","a":NaN}',
        '{"_time":"%s","a":Infinity}',
        '{"_time":"%s","a":-Infinity}',
        '{"_time":"%s","a":1.5},{"_time":"%s","a":NaN}',
        '{"_time":"%s","a":1e400}',
        '{"_time":"%s","a":[1e400]}',
        '{"_time":"%s","a":1,}',
        '{"_time":"%s","a":01}',
        '{"_time":"%s"}{"_time":"%s"}',
        '{"_time":"%s"} {"_time":"%s"}',
        '{"_time":"%s"}\n{"_time":"%s"}',
        '{"_time":"%s"},,{"_time":"%s"}',
        '{"_time":"%s"},',
        ',{"_time":"%s"}',
        '{"_time":"%s","a":"x\ny"}',
        '{"_time":"%s","a":"},\n{"}',
        '{"_time":"%s","a":"\\q"}',
        '{"_time":"%s"} garbage',
        '{"_time":"%s"},5',
        '{"_time":"%s"},[]',
        '{"_time":"%s"},null',
        '{"_time":"%s","\\ud800":1}',
        '{"_time":"%s","a":' + "9" * 5_000 + "}",
    ],
)
def test_what_is_not_json_is_refused(inside):
    """Whatever `json` refuses, or no 64-bit float holds, is a DecodeError with its page: never a value."""
    text = '{"records":[' + inside.replace("%s", TIME) + '],"nextRecord":null}'
    with pytest.raises((DecodeError, PageError)) as caught:
        decode_pages([split_page(text.encode(), page=3)])
    assert caught.value.page == 3


@pytest.mark.parametrize("where", [b'"a":"\xff"', b'"\xff":1', b'"a":"\xed\xa0\x80"'])
def test_invalid_utf8_is_refused(where):
    """Bytes that are not UTF-8 are refused in names and in values."""
    with pytest.raises(DecodeError, match="utf-8"):
        decode_pages([split_page(b'{"records":[{"_time":"2026-03-01T00:00:00Z",' + where + b"}]}")])


@pytest.mark.parametrize(
    "time",
    [None, 5, True, "", "yesterday", "2026-03-01", "2026-03-01T00:00:00", "2026-03-01T00:00:00.5",
     "2026-02-30T00:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T00:00:60Z", "2026-03-01T00:00:00.1234567891Z",
     "1600-01-01T00:00:00Z",
     "2300-01-01T00:00:00Z", "2262-04-11T23:47:16.854775808Z", "2026-03-01T00:00:00+24:00", "0000-01-01T00:00:00Z",
     "2026-03-01T00:00:00Z ", "２０２６-03-01T00:00:00Z", [], ...],
)  # fmt: skip
def test_time_must_be_usable(time):
    """A time that is missing, no text, without zone, or outside of 64-bit nanoseconds names page and record."""
    good = {"_time": TIME, "a": 1}
    bad = {"a": 1} if time is ... else {"_time": time, "a": 1}
    with pytest.raises(DecodeError, match="'_time'") as caught:
        decode([good], [good, good, bad, good])
    assert (caught.value.page, caught.value.record, caught.value.property) == (2, 2, "_time")


def test_times_are_exact():
    """0 to 9 fraction digits mixed freely, Z or offset, the ends of the range: exact to the nanosecond."""
    texts = ["2018-11-01T10:00:00" + ("." + "123456789"[:n] if n else "") + "Z" for n in range(10)]
    texts += ["2018-11-01T11:00:00.5+01:00", "2018-11-01T04:30:00-0530", "2018-11-01T11:00:00+01", "2018-11-01 10:00Z"]
    expected = [1541066400_000000000 + (int("123456789"[:n].ljust(9, "0")) if n else 0) for n in range(10)]
    expected += [1541066400_500000000] + [1541066400_000000000] * 3
    table = decode([{"_time": text} for text in texts])
    assert table["_time"].cast(pa.int64()).to_pylist() == expected
    ends = decode([{"_time": "1677-09-21T00:12:43.145224193Z"}, {"_time": "2262-04-11T23:47:16.854775807Z"}] * 2)
    assert ends["_time"].cast(pa.int64()).to_pylist() == [-(2**63) + 1, 2**63 - 1] * 2


def test_columns_stand_in_order_of_appearance():
    """A quality code stands behind its property, whichever came first; codes without property stay where they are."""
    table = decode([{"a_qc": 0, "_time": TIME, "b": 1}], [{"_time": TIME, "z_qc": 1, "a": 1, "b_qc": 2, "b_qc_qc": 3}])
    assert table.column_names == ["_time", "b", "b_qc", "b_qc_qc", "z_qc", "a", "a_qc"]
    assert decode([{"n": 1, "": 2, "s": "x", "_time": TIME, "t": "y"}]).column_names == ["_time", "n", "", "s", "t"]


def test_no_tables():
    """Nothing to unify is a table of times without rows."""
    assert unify([]).schema == pa.schema([("_time", pa.timestamp("ns", "UTC"))])
    assert decode([], []).num_rows == 0


def test_one_odd_page_leaves_the_others_alone(monkeypatch):
    """Only the page that needs it goes through `json`."""
    import tsbulk_frames.codec as codec

    read, original = [], codec.read_exact
    monkeypatch.setattr(codec, "read_exact", lambda page, *exact: read.append(page.number) or original(page, *exact))
    plain = [{"_time": TIME, "a": 1.5, "s": '},{ [x] \\" '}] * 3
    table = decode(plain, [{"_time": TIME, "a": {"b": 1}}], plain)
    assert read == [2]
    decode([{"_time": TIME, "a": {"b": 1}}])
    assert read == [2, 1]
    assert values(table, "a") == [1.5] * 3 + [{"b": 1}] + [1.5] * 3


def test_arrow_refuses_a_line_break_in_a_text():
    """The canary: a cut in the wrong place is loud only as long as Arrow's parser is this strict."""
    import pyarrow.json as pj

    for text in (b'{"a":"}\n{"}', b'{"a":"}\n{","b":1}', b'{"a":[{"b":1}\n{"b":2}]}'):
        with pytest.raises(pa.ArrowInvalid):
            pj.read_json(pa.BufferReader(text))


def test_as_many_rows_as_were_cut():
    """The second lock on a wrong cut: rows and cuts are counted, even if the parser were lenient."""
    import tsbulk_frames.codec as codec
    from tsbulk_frames._cut import Lines

    line = pa.py_buffer(b'{"_time":"2026-03-01T00:00:00Z"}')
    assert codec._parse_lines(Lines(line, 1)).num_rows == 1
    assert codec._parse_lines(Lines(line, 2)) is None


@pytest.mark.parametrize("stamp", ["2024-01-01T00:00:00Z", "2018-11-01"])
@pytest.mark.parametrize("late", [False, True])
def test_text_that_looks_like_a_time_is_read_once(monkeypatch, stamp, late):
    """Such text is told from the first records; only where it comes later the page is read a second time."""
    import pyarrow.json as pj

    calls, read_json = [], pj.read_json
    monkeypatch.setattr(pj, "read_json", lambda *args, **options: calls.append(1) or read_json(*args, **options))
    records = [{"_time": TIME, "n": n, "s": stamp, "x": n + 0.5, "y": stamp} for n in range(2_000)]
    for record in records[: 1_000 if late else 0]:
        del record["s"], record["y"]
    table = decode(records)
    assert len(calls) == 1 + late
    assert table.column_names == (["_time", "n", "x", "s", "y"] if late else ["_time", "n", "s", "x", "y"])
    assert table["y"].to_pylist() == [record.get("y") for record in records]


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("further", [0, 400])
@pytest.mark.parametrize("first", [["2018-11-01"], [None, "2018-11-01"], ["2018-11-01", None], [..., "2018-11-01"]])
def test_one_text_among_the_first_records_is_enough(monkeypatch, first, further, compact):
    """Whichever of them has it, on a page of one record or of many, however it is spelled: Arrow is asked once."""
    import pyarrow.json as pj

    cells = first + [None] * further
    calls, read_json = [], pj.read_json
    monkeypatch.setattr(pj, "read_json", lambda *args, **options: calls.append(1) or read_json(*args, **options))
    records = [{"_time": TIME} if cell is ... else {"_time": TIME, "a": cell} for cell in cells]
    table = decode_pages([split_page(body(records, compact=compact))])
    assert values(table, "a") == [None if cell is ... else cell for cell in cells]
    assert len(calls) == 1


def test_large_records_and_large_pages():
    """Pages of many blocks, and a record larger than a block, are read like any other."""
    many = [{"_time": f"2026-03-01T00:00:{n % 60:02d}Z", "n": n, "x": n + 0.5, "s": "y" * 300} for n in range(45_000)]
    table = decode(many)
    assert table["n"].to_pylist() == list(range(45_000))
    huge = decode([{"_time": TIME, "s": "y" * 3_000_000}, {"_time": TIME, "s": "},{"}])
    assert [len(text) for text in huge["s"].to_pylist()] == [3_000_000, 3]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "123", "true", "null", "2018-11-01", "2024-01-01T00:00:00Z", "},{", '"},{"b":1', "\\", "[", "{"]
    ),
    st.text(alphabet='},{"\\[]: \n\x00aé🎉\ud800', max_size=6),
)
JSON = SCALARS | st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)
NAMES = st.sampled_from(["a", "b", "a_qc", 'd"},{', "é", "_", "e\\"])
RECORDS = st.lists(
    st.tuples(st.dictionaries(NAMES, st.one_of(SCALARS, JSON), max_size=3)).map(lambda r: {"_time": TIME, **r[0]}),
    max_size=6,
)
PLAIN = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "a_qc"]), st.sampled_from([1, 2.5, -0.0, 45.0, None, 2**53 + 1]), max_size=2
    ).map(lambda r: {"_time": TIME, **r}),
    max_size=6,
)


def numbers_are(got, expected):
    """Equal values; integers beside floats may have become the same number as a float."""
    if isinstance(expected, int) and not isinstance(expected, bool) and isinstance(got, float):
        return got == expected and int(got) == expected
    return repr(got) == repr(expected)


def check(table, records):
    """Every cell is what `json` reads, and nothing else is there."""
    names = {name for record in records for name in record} - {"_time"}
    assert set(table.column_names) == names | {"_time"}
    frame = to_frame(table)
    for name in names:
        for got, record in zip(values(table, name), records, strict=True):
            assert numbers_are(got, record.get(name)) or (name == "a_qc" and got == record.get(name)), (
                name,
                got,
                record,
            )
    assert len(frame) == len(records)
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"


@given(st.lists(RECORDS | PLAIN, max_size=4), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_random_pages_are_read_as_json_reads_them(pages, compact, ascii_only):
    """Whatever the service may send is read as the `json` module reads it."""
    bodies = []
    for page in pages:
        separators = (",", ":") if compact else None
        text = json.dumps({"records": page, "nextRecord": None}, separators=separators, ensure_ascii=ascii_only)
        bodies.append(text.encode("utf-8", "surrogatepass") if "\ud800" not in text else body(page, compact=compact))
    raw = [split_page(text, page=n) for n, text in enumerate(bodies, 1)]
    check(decode_pages(raw), [record for page in pages for record in page])


@given(st.lists(RECORDS | PLAIN, max_size=4), st.booleans(), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_large_pages_are_read_piece_by_piece(pages, compact, size):
    """Wherever a page is cut for decoding, also inside of a text, no record is lost, doubled or read otherwise."""
    raw = [split_page(body(page, compact=compact), page=n) for n, page in enumerate(pages, 1)]
    pieces = list(pieces_of(raw, size))
    assert all(len(piece) <= len(pages) for piece in pieces)
    parts = [bytes(join_records(piece)) for piece in pieces]
    inside = [page.body[page.start : page.stop] for page in raw if page.start < page.stop]
    separator = b"," if compact else b", "  # a cut takes the white space along
    assert b",".join(parts).replace(b", {", b",{") == b",".join(inside).replace(separator + b"{", b",{")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tsbulk_frames.codec._PIECE", size)
        check(decode_pages(raw), [record for page in pages for record in page])


def test_a_piece_ends_with_a_record():
    """Pieces hold the records they were cut for: the first end at or after the size, small pages side by side."""
    raw = [split_page(body([{"_time": TIME, "n": n} for n in range(count)])) for count in (40, 1, 1)]
    record = len('{"_time":"2026-03-01T00:00:00Z","n":10}')
    sizes = [sum(map(len, piece)) for piece in pieces_of(raw, 10 * record)]
    assert max(sizes) <= 11 * record
    assert all(10 * record <= size for size in sizes[:-1])
    assert [len(piece) for piece in pieces_of(raw[1:], 1 << 20)] == [2]


@given(RECORDS | PLAIN, st.data())
@settings(max_examples=150, deadline=None)
def test_any_split_into_pages_gives_the_same_frame(records, data):
    """Where pages and batches end never shows in the frame."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=3)))
    pages = [records[a:b] for a, b in zip([0, *cuts], [*cuts, len(records)], strict=True)]
    whole = to_frame(decode(records))
    together, apart = to_frame(decode(*pages)), to_frame(unify([decode(page) for page in pages]))
    for frame in (together, apart):
        pd.testing.assert_index_equal(frame.index, whole.index)
        pd.testing.assert_index_equal(frame.columns, whole.columns)
        assert list(frame.dtypes) == list(whole.dtypes)
        for name in whole:
            assert frame[name].isna().tolist() == whole[name].isna().tolist()
            assert frame[name].dropna().tolist() == whole[name].dropna().tolist()


@pytest.mark.parametrize(
    ("inside", "seconds"),
    [
        ('{"_time":"1970-01-01T00:00:01Z"},{"_time":"1970-01-01T00:00:09Z"}', 1),
        ('{"a":"_time","_time" : "1970-01-01T00:00:02.5+00:00"}', 2.5),
        ('{"a":"' + "x" * 65_000 + '","_time":"1970-01-01T00:00:03Z"}', 3),
        ('{"a":"' + "x" * 65_536 + '","_time":"1970-01-01T00:00:03Z"}', None),
        ('{"_time":"1970-01-01"},{"_time":"1970-01-01T00:00:09Z"}', 0),
        ('{"_time":"T+Z"},{"_time":"1970-01-01T00:00:09Z"}', None),
        ('{"_time":"yesterday"}', None),
        ('{"_time":5}', None),
        ("", None),
    ],
)
def test_the_first_time_of_a_page_is_found_without_decoding(inside, seconds):
    """Only among its records, only near their beginning; a time that is none is no error yet."""
    earlier, later = b'{"_time":"1969-01-01T00:00:00Z"}', b'{"_time":"1971-01-01T00:00:00Z"}'
    page = RawPage(earlier + inside.encode() + later, len(earlier), len(earlier) + len(inside), None, 1)
    assert first_time(page) == (None if seconds is None else seconds * 1_000_000_000)


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_first_time_is_looked_for_in_the_first_64_kib(beyond):
    """An estimate may not cost more; a time that ends there is found, one a byte later is not."""
    end = '","_time":"1970-01-01T00:00:03Z"'
    inside = '{"a":"' + "x" * (65_536 - 6 - len(end) + beyond) + end + "}"
    found = first_time(split_page(b'{"records":[' + inside.encode() + b"]}"))
    assert found == (None if beyond else 3_000_000_000)


def test_unify_puts_a_quality_code_behind_its_property():
    """Also where every table has them the other way round, and all columns are of one type."""
    odd = pa.table({"_time": pa.array([0], pa.timestamp("ns", "UTC")), "a_qc": [1], "a": [2], "b": [3]})
    table = unify([odd, odd])
    assert table.column_names == ["_time", "a", "a_qc", "b"]
    assert table.drop(["_time"]).to_pydict() == {"a": [2, 2], "a_qc": [1, 1], "b": [3, 3]}


@pytest.mark.parametrize(
    "cells",
    [[1, 2], ["x", "y"], [True, None], [1e308, 1e308], [-1e308, -1e308, 1.0], [2**60], ["y" * 3_500_000]],
    ids=lambda cells: repr(cells)[:30],
)
def test_what_arrow_reads_exactly_never_goes_through_json(monkeypatch, cells):
    """The exact way is a hundred times slower: a sum that overflows, or no float at all, is no reason for it."""
    monkeypatch.setattr("tsbulk_frames.codec.read_exact", None)
    assert values(decode([{"_time": TIME, "a": cell} for cell in cells]), "a") == cells


REFUSED = {
    "no JSON": (b"<html>" + b"x" * 200, r"is not JSON \(.*; it begins with b'<html>x{74}';", "gateway and proxy"),
    "no records": (
        b'{"a":"' + b"x" * 200 + b'"}',
        r"has no list .* begins with b'{\"a\":\"x{74}';",
        "gateway and path",
    ),
    "nextRecord": (b'{"records":[],"nextRecord":"\t"}', r": nextRecord is not JSON \(", "report this answer"),
    "no URL": (b'{"records":[],"nextRecord":5}', r": nextRecord is 5; expected is a URL or null", ""),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("number", [None, 7])
def test_an_envelope_that_is_refused_is_shown(name, number):
    """The error names the page, the first by default, shows how it begins, and says what is expected and to do."""
    text, said, step = REFUSED[name]
    with pytest.raises(PageError, match=f"^page {number or 1}:? ?{said.lstrip(': ')}") as caught:
        split_page(text) if number is None else split_page(text, page=number)
    assert caught.value.page == (number or 1)
    assert step in str(caught.value)
    if "begins" in said:
        assert "expected is an object with 'records' and 'nextRecord'; check" in str(caught.value)


@pytest.mark.parametrize("value", ["1e400", "[" * 50 + "-1e400" + "]" * 50])
def test_an_envelope_spelled_otherwise_holds_what_json_can_spell(value):
    """A number that is infinite as a float is told with its page, at once."""
    text = f'{{"x":1,"records":[{{"_time":"{TIME}","a":{value}}}]}}'.encode()
    with pytest.raises(DecodeError, match=r"^page 5 holds what JSON cannot spell: Out of range") as caught:
        split_page(text, page=5)
    assert caught.value.page == 5


def test_decoding_works_in_the_memory_given(monkeypatch):
    """Page by page as well as together, whichever way the records are cut."""
    import tsbulk_frames.codec as codec

    rooms, join = [], codec.join_records
    monkeypatch.setattr(codec, "join_records", lambda piece, room: rooms.append(room) or join(piece, room))
    room = Room()
    for inside in ('"a":1', '"a":{"b":1}', '"a":"},{", "b": 1'):
        page = split_page(f'{{"records":[{{"_time":"{TIME}",{inside}}}]}}'.encode())
        decode_pages([page, page], room=room)
    assert len(rooms) >= 8
    assert all(one is room for one in rooms)


@pytest.mark.parametrize(("spare", "threads"), [(-1, True), (0, True), (1, False)])
def test_arrow_has_threads_of_its_own_for_much_at_once(monkeypatch, spare, threads):
    """From a size on, counted in records alone; little is decoded side by side by the caller."""
    import pyarrow.json as pj

    pages = [split_page(body([{"_time": TIME, "a": 1}])) for _ in range(3)]
    monkeypatch.setattr("tsbulk_frames.codec._THREADED", sum(one.stop - one.start for one in pages) + spare)
    seen, read_json = [], pj.read_json

    def read(source, *, read_options, parse_options):
        seen.append(read_options.use_threads)
        return read_json(source, read_options=read_options, parse_options=parse_options)

    monkeypatch.setattr(pj, "read_json", read)
    assert decode_pages(pages).num_rows == 3
    assert seen == [threads]


def test_pieces_of_a_page_are_put_together_without_json(monkeypatch):
    """Unless their types differ so that digits or kinds would be lost: then the page is read again, exactly."""
    monkeypatch.setattr("tsbulk_frames.codec._PIECE", 60)
    cells = [2**53 + 1, 2**53 + 1, 1, 2.5, 3, 4.5]
    records = [{"_time": TIME, "a": cell} for cell in cells]
    assert same(values(decode(records), "a"), cells)
    monkeypatch.setattr("tsbulk_frames.codec.read_exact", None)
    assert values(decode(records[:3]), "a") == cells[:3]
    assert values(decode(records[2:]), "a") == [1.0, 2.5, 3.0, 4.5]


def test_a_nested_value_is_never_taken_as_arrow_reads_it():
    """The lock behind the cut: even if a nested value got through, its page would be read by `json`."""
    import tsbulk_frames.codec as codec

    nested = pa.table({"_time": pa.array([0], codec.TIME_TYPE), "a": [{"b": 1.5}]})
    assert not codec._is_exact(nested, pa.py_buffer(b""))
    assert codec._is_exact(nested.select(["_time"]), pa.py_buffer(b""))


def test_raw_page_is_a_value():
    """A page is immutable and compares by content."""
    page = RawPage(b"", 0, 0, None, 1)
    assert page == RawPage(b"", 0, 0, None, 1)
    with pytest.raises(AttributeError):
        page.start = 1


def test_memory_that_is_used_again_is_not_what_was_read():
    """A table outlives the room it was decoded in: the next page, of any size, does not show in it."""
    room = Room()

    def read(word, rows):
        records = [{"_time": f"2026-03-01T00:00:{row:02d}Z", "p": f"{word} {row}"} for row in range(rows)]
        return decode_pages([split_page(body(records))], room=room)["p"]

    first = read("text", 50)
    for rows in (3, 60, 1):
        read("xxxx", rows)
    assert first.to_pylist() == [f"text {row}" for row in range(50)]
