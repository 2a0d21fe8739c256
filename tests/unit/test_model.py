"""Moments and ranges as callers write them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import MAX_NS, MIN_NS, Series, TimeRange, TwinType, format_time, is_quality_code, parse_moment

DAY0 = 1_772_323_200_000_000_000  # 2026-03-01T00:00:00Z


@pytest.mark.parametrize(
    ("given", "extra"),
    [
        ("2026-03-01", 0),
        ("2026-03-01T00:00", 0),
        ("2026-03-01 00:00:00", 0),
        ("2026-03-01T00:00:00Z", 0),
        ("2026-03-01T00:00:00.5", 500_000_000),
        ("2026-03-01T00:00:00.123456789Z", 123_456_789),
        ("2026-03-01T01:00:00.000000001+01:00", 1),
        ("2026-02-28T19:00:00-0500", 0),
        (dt.date(2026, 3, 1), 0),
        (dt.datetime(2026, 3, 1, 0, 0, 0, 7, tzinfo=dt.UTC), 7_000),
        (pd.Timestamp("2026-03-01T01:00:00.000000009", tz="Europe/Berlin"), 9),
        (pd.Timestamp("2026-03-01", tz="UTC").as_unit("s"), 0),
    ],
)
def test_moments_are_exact(given: object, extra: int) -> None:
    """Offsets are honoured; an ISO string without one, and a date, mean UTC."""
    assert parse_moment(given, "start") == DAY0 + extra


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dt.datetime(2026, 3, 1), "no time zone"),
        (pd.Timestamp("2026-03-01"), "no time zone"),
        ("yesterday", "not an ISO 8601 time"),
        ("2026-3-1", "not an ISO 8601 time"),
        ("2026-02-30", "cannot be used"),
        ("1500-01-01", "1678 to 2262"),
        ("", "not an ISO 8601 time"),
        (pd.NaT, "is not a time"),
        (np.datetime64("2026-03-01"), "datetime64"),
        (1_772_323_200, "is a int"),
        (None, "is a NoneType"),
        (dt.datetime(9999, 1, 1, tzinfo=dt.UTC), "cannot be used"),
    ],
)
def test_what_is_no_moment_is_refused(given: object, words: str) -> None:
    """A naive time means another moment on every machine, and a guess is worse than an error."""
    with pytest.raises(FrameError, match=words):
        parse_moment(given, "start")


@given(st.integers(MIN_NS, MAX_NS))
def test_format_and_parse_are_inverse(ns: int) -> None:
    """No nanosecond is lost in text."""
    assert parse_moment(format_time(ns), "time") == ns


@pytest.mark.parametrize(
    ("inclusive", "low", "high"), [("left", 0, 10), ("right", 1, 11), ("both", 0, 11), ("neither", 1, 10)]
)
def test_inclusive_is_exact_to_the_nanosecond(inclusive: str, low: int, high: int) -> None:
    """Each meaning as a half-open range of integers."""
    span = TimeRange.parse(format_time(DAY0), format_time(DAY0 + 10), inclusive)
    assert (span.start_ns, span.stop_ns) == (DAY0 + low, DAY0 + high)


def test_one_instant() -> None:
    """From a moment to itself: one instant with both ends, else nothing."""
    assert not TimeRange.parse("2026-03-01", "2026-03-01", "both").empty
    assert all(TimeRange.parse("2026-03-01", "2026-03-01", one).empty for one in ("left", "right", "neither"))


def test_bad_ranges_are_refused() -> None:
    """An end before the start, and a word pandas does not know."""
    with pytest.raises(FrameError, match="ends before it starts"):
        TimeRange.parse("2026-03-02", "2026-03-01")
    with pytest.raises(FrameError, match="inclusive='yes'"):
        TimeRange.parse("2026-03-01", "2026-03-02", "yes")


@pytest.mark.parametrize("bad", ["", "  ", None, 7, ".", ".."])
def test_a_series_has_names(bad: object) -> None:
    """Entity and property set are non-empty text."""
    with pytest.raises(FrameError, match="entity="):
        Series(bad, "pump")
    with pytest.raises(FrameError, match="property_set="):
        Series("pump", bad)


def test_twin_types() -> None:
    """The service's spelling, or a clear error."""
    assert TwinType.parse("simulation") is TwinType.SIMULATION
    with pytest.raises(FrameError, match="'digital'"):
        TwinType.parse("digital")


def test_quality_code_names() -> None:
    """The suffix alone is no quality code."""
    assert is_quality_code("speed_qc")
    assert not is_quality_code("_qc")
    assert not is_quality_code("speed")


def test_nouns_read_well() -> None:
    """What messages show."""
    assert str(Series("a", "b")) == "a/b"
    assert str(TimeRange(DAY0, DAY0 + 1)) == "[2026-03-01T00:00:00Z, 2026-03-01T00:00:00.000000001Z)"
