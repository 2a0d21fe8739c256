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


def test_usual_content_takes_the_fast_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a writer without spaces sends never meets the slow reader."""

    def refuse(*_: object) -> None:
        raise AssertionError("the exact reader was asked")

    monkeypatch.setattr(module, "_exact_batches", refuse)
    content = json.dumps(stamped([{"double": 1.5, "string": "a"}, {"long": 2}]), separators=(",", ":")).encode()
    assert len(read(content)) == 2
    assert len(read(content + b"\n")) == 2
