"""Two readers of import content that must agree, and blocks that may be cut anywhere."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbulk_frames.sandbox import records as module
from tsbulk_frames.sandbox.model import Aspect, Variable
from tsbulk_frames.sandbox.records import iter_tables
from tsbulk_frames.sandbox.validation import Invalid

KINDS = ("DOUBLE", "LONG", "INT", "BOOLEAN", "STRING", "BIG_STRING")
ASPECT = Aspect("pump", {kind.lower(): Variable(kind.lower(), kind) for kind in KINDS})
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.sampled_from(["},{", '"},{"', "\\", "[", "]"])
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
    "long": st.integers(-(2**63), 2**63 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "string": TEXT,
    "big_string": TEXT,
    "double_qc": st.integers(0, 2**40),
}
RECORDS = st.lists(
    st.fixed_dictionaries({}, optional=VALUES).filter(bool),  # type: ignore[arg-type]
    min_size=1,
    max_size=12,
)


def stamped(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each record a time."""
    return [{"_time": f"2026-03-01T10:00:{at:02d}Z", **record} for at, record in enumerate(records)]


def read(content: bytes) -> list[dict[str, Any]]:
    """Read content and give what is there, without missing values; the time as nanoseconds."""
    tables = list(iter_tables(io.BytesIO(content), ASPECT))
    rows = pa.concat_tables(
        [table.set_column(0, "_time", table["_time"].cast(pa.int64())) for table in tables]
    ).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def exact(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Make values comparable with their types and signs."""
    return [
        tuple(f"{name}={value!r}" for name, value in sorted(record.items()) if name != "_time") for record in records
    ]


@settings(max_examples=150, deadline=None)
@given(records=RECORDS, block=st.integers(1, 400))
def test_both_readers_agree_with_the_standard_library(records: list[dict[str, Any]], block: int) -> None:
    """Packed or spaced, in blocks of any size: the same values, of the same type, to the last bit."""
    wanted = [
        {name: float(value) if name == "double" else value for name, value in record.items()} for record in records
    ]
    packed = json.dumps(stamped(records), separators=(",", ":")).encode()
    unescaped = json.dumps(stamped(records), separators=(",", ":"), ensure_ascii=False).encode()
    spaced = json.dumps(stamped(records), indent=1).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        for content in (packed, unescaped, spaced):
            assert exact(read(content)) == exact(wanted)


ODD = (
    *("-0", "0", "-0.0", "1.0", "1e3", "1E5", "0.1", "1e400", "-1e400", "4.9e-324", "2.2250738585072011e-308", "null"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615"),
    *("2147483648", "1" * 30, "1" * 400, "01", "1.", ".5", "+1", "1e", "--1", "NaN", "-Infinity", "true", "True", ""),
    *(
        '"1"',
        '"1.5"',
        '""',
        '"true"',
        '"NaN"',
        '" 1"',
        '"x' + "y" * 260 + '"',
        "{}",
        "[1]",
        '{"a":1}',
        "[",
        "}",
        '"',
        "\\",
    ),
    *(
        '"},{"',
        '"}\\n{"',
        '"}\n{"',
        '"\\""',
        '"\\u0000"',
        '"\x00"',
        '"\x01"',
        '"\x7f"',
        '"\t"',
        '"\\x"',
        '"\\u12"',
        '"é"',
    ),
    *(
        '"\\ud800"',
        '"\\udc00"',
        '"\\ud83d\\ude00"',
        '"\\ude00\\ud83d"',
        '"2026-03-01T00:00:00+01:00"',
        '"2026-02-30T00:00:00Z"',
    ),
    *(
        '1,"long":2',
        '1,"lon\\u0067":2',
        '1,"typo":2',
        '1,"string_qc":2',
        "1,",
        "1 ",
        "1/**/",
        '1},{"long":2',
        "1}{",
        "1]",
    ),
)
MOMENTS = st.sampled_from(
    [
        *('"2026-03-01T10:00:00Z"', '"2026-03-01T10:00:00.123456789Z"', '"2026-03-01T10:00:00.1234567890Z"'),
        *('"2026-03-01T10:00:00.5Z"', '"2026-03-01T10:00:00.Z"', '"2026-03-01 10:00:00Z"', '"2026-03-01T10:00:00z"'),
        *('"2026-03-01T10:00Z"', '"2026-03-01T10:00:00"', '"2026-03-01T10:00:00+00:00"', '"2026-13-01T10:00:00Z"'),
        *('"2026-03-01T24:00:00Z"', '"2026-03-01T10:00:60Z"', '"1600-03-01T10:00:00Z"', '"9999-03-01T10:00:00Z"'),
        *('"2026-03-01T10:0a:00Z"', '"２026-03-01T10:00:00Z"', '""', "null", "1", '"2026-03-01T1/:00:00Z"'),
    ]
)


def verdict(content: bytes) -> object:
    """Tell what comes of content: its values, or which record is refused (each reader has words of its own)."""
    try:
        records = read(content)
        return exact(records), [record["_time"] for record in records]
    except Invalid as error:
        return error.record


@settings(max_examples=600, deadline=None)
@given(
    cells=st.lists(
        st.tuples(
            st.just('"2026-03-01T10:00:00Z"') | MOMENTS,
            st.sampled_from([*VALUES, "doubl\\u0065", "typo", "_time"]),
            st.sampled_from(ODD) | st.sampled_from(["1", "2.5", '"a"', "true"]),
        ),
        min_size=1,
        max_size=6,
    ),
    odd=st.integers(0, 5),
    comma=st.sampled_from([",", ",", ",", ",,", "", "\n", ", ", ",\n", "\x0c"]),
    end=st.sampled_from(["]", "]", "]", "]\n", "] ", "]]", ",]", "", "]x", "]\x0c", "]\x00"]),
    raw=st.sampled_from([b"", b"", b"", b"\xff", b"\xed\xa0\x80"]),
    block=st.integers(1, 400) | st.just(1_000_000),
)
def test_both_readers_judge_alike(
    cells: list[tuple[str, str, str]], odd: int, comma: str, end: str, raw: bytes, block: int
) -> None:
    """Whatever stands in a file: quick or slow, it is the same values or the same refusal of the same record."""
    rows = [
        f'{{"_time":{moment},"{name}":{value}}}' if at == odd else f'{{"_time":"2026-03-01T10:00:00Z","long":{at}}}'
        for at, (moment, name, value) in enumerate(cells)
    ]
    for separators in (comma, ","):
        text = ("[" + separators.join(rows) + end).encode().replace(b'"a"', b'"a' + raw + b'"')
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_BLOCK", block)
            patch.setattr(module, "_BATCH", 1)  # of two faults both shall see the first
            quick = verdict(text)
            patch.setattr(module._FastReader, "_decode", lambda *_: None)
            assert verdict(text) == quick


@pytest.mark.parametrize("block", [1, 64, 4_000_000])
@pytest.mark.parametrize("bad", ['{"typo":1}', '{"long":1.5}', "7", '{"long":1,"long":1}', '{"string":"\\ud800"}'])
@pytest.mark.parametrize("comma", [",", " ,\n"])
def test_position_of_a_bad_record_is_that_in_the_file(
    block: int, bad: str, comma: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever blocks end and whichever reader finds it, record 40 is record 40."""
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "_BATCH", 16)
    rows = [json.dumps(record, separators=(",", ":")) for record in stamped([{"long": at} for at in range(50)])]
    rows[40] = bad.replace("{", '{"_time":"2026-03-01T10:00:40Z",') if bad.startswith("{") else bad
    with pytest.raises(Invalid) as caught:
        read(f"[{comma.join(rows)}]".encode())
    assert caught.value.record == 40


@pytest.mark.parametrize("head", [1, 40, 4096])
def test_usual_content_takes_the_fast_reader(monkeypatch: pytest.MonkeyPatch, head: int) -> None:
    """What a writer without spaces sends never meets the slow reader, whatever its first records do not have."""
    monkeypatch.setattr(module, "_HEAD", head)

    def refuse(*_: object) -> None:
        raise AssertionError("the exact reader was asked")

    monkeypatch.setattr(module, "_exact_batches", refuse)
    content = json.dumps(stamped([{"double": 1.5, "string": "a"}, {"long": 2}]), separators=(",", ":")).encode()
    assert len(read(content)) == 2
    assert len(read(content + b"\n")) == 2
