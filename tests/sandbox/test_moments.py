"""Times by the column are those that are spelled and read one by one."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbulk_frames.sandbox.arrow import INSTANT
from tsbulk_frames.sandbox.moments import MAX_NS, MIN_NS, format_column, format_ns, in_range, parse_column, parse_ns

DIGITS = "0123456789"


@settings(max_examples=300, deadline=None)
@given(
    moments=st.lists(st.integers(MIN_NS, MAX_NS) | st.integers(-3 * 10**14, 3 * 10**14), min_size=1, max_size=20),
    unit=st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000, 86_400_000_000_000]),
)
def test_a_column_is_spelled_like_its_times(moments: list[int], unit: int) -> None:
    """Any days, before the epoch too, with any digits beside one another."""
    times = sorted({in_range(moment // unit * unit) for moment in moments})
    for ascending in (times, times[:1], sorted({time // unit * unit for time in times if time > MIN_NS + unit})):
        if ascending:
            texts = format_column(pa.array(ascending, pa.int64()).cast(INSTANT)).to_pylist()
            assert texts == [format_ns(time) for time in ascending]


@settings(max_examples=300, deadline=None)
@given(
    digits=st.integers(0, 9),
    changes=st.lists(
        st.tuples(st.integers(0, 29), st.sampled_from([*DIGITS, "-", ":", ".", "Z", "T", " ", "/", "é", "\n"])),
        max_size=3,
    ),
)
def test_a_column_is_read_like_its_texts(digits: int, changes: list[tuple[int, str]]) -> None:
    """Whatever stands at whatever place: all texts of one length are read, or refused, as one alone is."""
    good = "2026-03-01T10:20:30" + ("." + "123456789"[:digits] if digits else "") + "Z"
    letters = list(good)
    for at, letter in changes:
        letters[at % len(letters)] = letter
    odd = "".join(letters)
    try:
        wanted = parse_ns(odd, utc_only=True)
    except ValueError:
        wanted = None
    column = pa.array([good, odd, good])
    if wanted is None or wanted != in_range(wanted):
        with pytest.raises(ValueError, match="_time") as caught:
            parse_column(column)
        assert caught.value.args[1] == 1
    else:
        for part in (column, column.slice(1, 1), column.slice(1)):
            assert wanted in parse_column(part).cast(pa.int64()).to_pylist()
        assert parse_column(column).cast(pa.int64()).to_pylist() == [parse_ns(good), wanted, parse_ns(good)]
