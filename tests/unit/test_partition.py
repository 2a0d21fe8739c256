"""Partitions, without a server: each record in the one that owns it, and limits kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND, TwinType, parse_moment
from tsbulk_frames.partition import Partition, check_age, check_partition, cut_partitions, cut_rows

DAY0 = parse_moment("2026-03-01", "day")
DAY = Partition(DAY0, NS_PER_DAY)


@given(
    st.lists(st.integers(-(2**61), 2**61), unique=True, max_size=40).map(sorted),
    st.sampled_from(list(TwinType)),
    st.sampled_from(["left", "right"]),
)
def test_partitions_recombine_to_all_rows(times: list[int], twin: TwinType, closed: str) -> None:
    """Row ranges touch and cover everything, and every record lies in its partition."""
    parts = cut_partitions(np.array(times, dtype="int64"), twin, closed)
    assert [row for _, first, stop in parts for row in range(first, stop)] == list(range(len(times)))
    assert len({part for part, _, _ in parts}) == len(parts)
    for part, first, stop in parts:
        assert part.start_ns % part.length_ns == 0
        for time in times[first:stop]:
            age = time - part.start_ns
            assert 0 <= age < part.length_ns if closed == "left" else 0 < age <= part.length_ns


def test_midnight_belongs_to_the_day_it_begins() -> None:
    """By default the calendar day: [00:00, 24:00)."""
    times = np.array([DAY0, DAY0 + NS_PER_DAY - 1, DAY0 + NS_PER_DAY])
    names = [part.name for part, _, _ in cut_partitions(times, TwinType.PERFORMANCE)]
    assert names == ["2026-03-01", "2026-03-02"]


def test_midnight_belongs_to_the_day_it_ends_if_so_set() -> None:
    """The other reading of the documentation: (00:00, 24:00]."""
    parts = cut_partitions(np.array([DAY0, DAY0 + 1, DAY0 + NS_PER_DAY]), TwinType.PERFORMANCE, "right")
    assert [(part.name, stop - first) for part, first, stop in parts] == [("2026-02-28", 1), ("2026-03-01", 2)]


def test_simulation_assets_have_hours() -> None:
    """One partition an hour, named by the hour."""
    parts = cut_partitions(np.array([DAY0 + 5 * NS_PER_HOUR]), TwinType.SIMULATION)
    assert str(parts[0][0]) == "2026-03-01T05"


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 100), st.integers(-5, 100))
def test_files_recombine_to_all_rows_and_keep_their_size(sizes: list[int], file_bytes: int, room: int) -> None:
    """Stretches touch and cover all rows; none is larger than a file unless it is one row."""
    room = min(room, file_bytes)
    offsets = np.concatenate([[7], 7 + np.cumsum(sizes)])
    cuts = list(cut_rows(offsets, room, file_bytes))
    assert [row for a, b in cuts for row in range(a, b)] == list(range(len(sizes)))
    for number, (a, b) in enumerate(cuts):
        size = offsets[b] - offsets[a]
        fresh = number > 0 or room == file_bytes
        assert size <= (file_bytes if fresh else max(room, 0)) or (fresh and b == a + 1)
        assert b > a or number == 0


@pytest.mark.parametrize(
    ("sizes", "room", "cuts"),
    [
        ([5, 5, 5, 5], 10, [(0, 2), (2, 4)]),
        ([5, 5, 5, 5], 9, [(0, 1), (1, 3), (3, 4)]),
        ([5, 5, 5, 5], 5, [(0, 1), (1, 3), (3, 4)]),
        ([5, 5, 5, 5], 4, [(0, 0), (0, 2), (2, 4)]),
        ([5, 5, 5, 5], -1, [(0, 0), (0, 2), (2, 4)]),
        ([5, 6, 5], 10, [(0, 1), (1, 2), (2, 3)]),
        ([30, 5, 5], 10, [(0, 1), (1, 3)]),
        ([30, 5], 9, [(0, 0), (0, 1), (1, 2)]),
        ([5, 5], 10, [(0, 2)]),
    ],
)
def test_files_are_filled(sizes: list[int], room: int, cuts: list[tuple[int, int]]) -> None:
    """As many rows as fit go into a file, to the last byte; a row larger than a file has one of its own."""
    assert list(cut_rows(np.concatenate([[7], 7 + np.cumsum(sizes)]), room, 10)) == cuts


def test_a_record_of_exactly_half_an_hour_is_too_young() -> None:
    """The service takes what is older, not what is as old."""
    now = DAY0 + 1_800 * NS_PER_SECOND
    check_age(np.array([DAY0 - 1]), now, TwinType.PERFORMANCE)
    with pytest.raises(FrameError, match="1 of 1 records are too young") as caught:
        check_age(np.array([DAY0]), now, TwinType.PERFORMANCE)
    assert "write them later" in str(caught.value)


def test_young_records_of_a_performance_asset_are_refused() -> None:
    """Not older than 30 minutes: refused with count, first row and the border."""
    times = np.array([DAY0 - 2, DAY0 - 1, DAY0, DAY0 + 1])
    with pytest.raises(FrameError, match=r"2 of 4 records are too young.*30 minutes.*before 2026-03-01T00:00:00Z") as e:
        check_age(times, DAY0 + 1_800 * NS_PER_SECOND, TwinType.PERFORMANCE)
    assert e.value.rows == (2, 3)


def test_old_enough_records_pass() -> None:
    """Strictly older than 30 minutes is enough; simulation assets have no minimum age."""
    check_age(np.array([DAY0 - 1]), DAY0 + 1_800 * NS_PER_SECOND, TwinType.PERFORMANCE)
    check_age(np.array([DAY0 + NS_PER_DAY]), DAY0, TwinType.SIMULATION)
    check_age(np.array([], dtype="int64"), DAY0, TwinType.PERFORMANCE)


@pytest.mark.parametrize(
    ("twin", "size", "unit", "said"),
    [
        (TwinType.PERFORMANCE, 1_000_000_000, "day", "2026-03-01: 1,000.0 MB"),
        (TwinType.SIMULATION, 350_000_000, "hour", "2026-03-01T00: 350.0 MB"),
    ],
)
def test_a_partition_keeps_the_size_rule(twin: TwinType, size: int, unit: str, said: str) -> None:
    """Exactly the limit passes, one byte more does not: the error tells partition, size, limit and what to do."""
    partition = Partition(DAY0, twin.partition_ns)
    check_partition(partition, twin, size, 1)
    limit = f"a {twin} asset takes at most {size // 1_000_000} MB a UTC {unit}; write fewer .* of this {unit}"
    with pytest.raises(FrameError, match=f"^partition {said} of import files, but {limit}"):
        check_partition(partition, twin, size + 1, 1)


def test_a_partition_keeps_the_file_rule() -> None:
    """100 files pass, 101 do not."""
    check_partition(DAY, TwinType.PERFORMANCE, 1, 100)
    with pytest.raises(FrameError, match=r"101 import files, but a job takes at most 100; write fewer .* larger files"):
        check_partition(DAY, TwinType.PERFORMANCE, 1, 101)
