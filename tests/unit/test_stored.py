"""What the file service tells: parts of an upload in every plausible form, and nothing read into other forms."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbulk_frames.stored import parse_etag, parse_parts

KEY = "e1/dir/a.json"
NUMBERS = ["partNo", "part", "partNumber", "PartNumber", "part_number", "number"]
SIZES = ["size", "partSize", "length", "contentLength", "bytes"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("size", SIZES)
def test_parts_by_any_name(number: str, size: str) -> None:
    """Whatever the fields are called, as numbers or as text; a size that is not told is None."""
    content = json.dumps([{number: 1, size: 8}, {number: "2", size: "9"}, {number: 3}]).encode()
    assert parse_parts(content, KEY) == {1: 8, 2: 9, 3: None}


def test_an_etag_fits_64_bits() -> None:
    """A longer one is none: Python itself refuses to read over 4,300 digits."""
    assert parse_etag("9" * 18) == 10**18 - 1
    assert [parse_etag(digits) for digits in ("9" * 19, "9" * 5000, "-1", "1.0", "²", "", True)] == [None] * 7


def test_the_vendors_form() -> None:
    """Key, number and time; the parts of another file, whose key is another, are not this one's."""
    parts = [
        {"objectKey": f"tenant/{KEY}", "partNo": 1, "created": "2017-10-01T00:00:00.001Z"},
        {"objectKey": f"tenant/{KEY}2", "partNo": 2, "created": "2017-10-01T00:00:00.001Z"},
    ]
    assert parse_parts(json.dumps(parts).encode(), KEY) == {1: None}


@pytest.mark.parametrize(
    "document",
    [
        [1, 2],
        ["1", "2"],
        {"parts": [1, 2]},
        {"fileslist": [{"part": 1}, {"part": 2}], "count": 2},
        {"_embedded": {"parts": [1, 2]}, "page": {"size": 2}},
        {"data": {"upload": {"parts": [1, 2]}}},
    ],
)
def test_lists_of_numbers_and_lists_in_objects(document: object) -> None:
    """One list, wherever it is."""
    assert parse_parts(json.dumps(document).encode(), KEY) == {1: None, 2: None}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"null",
        b"3",
        b'"parts"',
        b"{}",
        b"[]",
        b"[null]",
        b"[[1]]",
        b"[true]",
        b"[1.5]",
        b"[-1]",
        b'[{"size": 8}]',
        b'[{"part": 1}, {"name": "x"}]',
        b'{"a": [1], "b": [2]}',
        b'{"a": {"b": {"c": {"d": [1]}}}}',
        b"\xff",
    ],
)
def test_what_is_not_understood_is_nothing(content: bytes) -> None:
    """Then all parts are sent, which is right in any case."""
    assert parse_parts(content, KEY) == {}


def test_a_part_told_twice_with_two_sizes_has_none_that_fits() -> None:
    """It is sent again; told twice alike it counts."""
    parts = [{"part": 1, "size": 8}, {"part": 1, "size": 9}, {"part": 2, "size": 8}, {"part": 2, "size": 8}]
    assert parse_parts(json.dumps(parts).encode(), KEY) == {1: 0, 2: 8}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_answer_is_an_error(document: object) -> None:
    """Numbers from 0 and sizes from 0, or nothing."""
    parts = parse_parts(json.dumps(document).encode(), KEY)
    assert all(number >= 0 and (size is None or size >= 0) for number, size in parts.items())
