"""How many of the records that could be expected are there, by hour, day, week and series; floor 2.48, pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsbulk_frames._instants import instants_of
from tsbulk_frames._thin import usual_step
from tsbulk_frames.model import NS_PER_DAY, parse_moment

__all__ = ["Calendar", "Coverage", "calendar_of", "covered_frame", "covered_partitions"]

Ints = npt.NDArray[np.int64]
_SLOT = NS_PER_DAY // 96
"""A quarter of an hour: the offset of every zone is a whole number of them."""
_MOST_DAYS, _MOST_DAY_COLUMNS = 62, 400
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one series holds, slot by slot.

    Attributes
    ----------
    name : str
        Whose it is.
    tz : tzinfo
        Zone of the calendar.
    starts : ndarray of int64
        Begins of the slots, in nanoseconds.
    slot : int
        Nanoseconds of a slot.
    counts, expected : ndarray of float64
        Records that are there, and that could be expected.
    """

    name: str
    tz: tzinfo
    starts: npt.NDArray[np.int64]
    slot: int
    counts: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Shares of the expected records, and what stands at their rows and columns."""

    shares: npt.NDArray[np.float64]
    rows: list[str]
    row_ticks: list[int]
    row_name: str
    columns: list[pd.Timestamp]
    column_ticks: list[int]
    column_name: str
    title: str


def covered_frame(frame: pd.DataFrame, name: str | None, step: int | None) -> list[Coverage]:
    """Count the records of each series of a frame, over the range that was read."""
    rows = instants_of(frame, "frame")
    span = _range_of(frame.attrs)
    found = []
    groups: Any = [(None, slice(None))] if rows.entities is None else rows.groups()
    for number, at in groups:
        own = frame.attrs.get("entity") if number is None and rows.entities is None else rows.entities[number]  # type: ignore[index]
        label = " · ".join(str(one) for one in (name, own) if isinstance(one, str) and one)
        one = _covered(np.sort(rows.ns[at]), span, label, rows.tz, step)
        found += [] if one is None else [one]
    asked = frame.attrs.get("entity")
    if rows.entities is not None and isinstance(asked, list) and span is not None:
        known = {str(one) for one in rows.entities}
        for entity in asked:  # one without any record is not in the index
            if entity not in known:
                missing = _covered(np.empty(0, np.int64), span, str(entity), rows.tz, step)
                found += [] if missing is None else [missing]
    return found


def _range_of(attrs: dict[Any, Any]) -> tuple[int, int] | None:
    """Find the range a frame was read for, if it says so."""
    said = attrs.get("range")
    if not isinstance(said, list | tuple) or len(said) != 2:
        return None
    start, stop = (parse_moment(one, "range") for one in said)
    return (start, stop) if start < stop else None


def _covered(
    ns: npt.NDArray[np.int64], span: tuple[int, int] | None, name: str, tz: tzinfo, step: int | None
) -> Coverage | None:
    """Count the records of a series, and those that could be expected."""
    usual = usual_step(ns) or step or NS_PER_DAY
    step = step or usual
    if span is None:
        if not len(ns):
            return None
        span = int(ns[0]), int(ns[-1]) + usual
    first = span[0] // _SLOT
    number = -(-span[1] // _SLOT) - first
    edges = (first + np.arange(number + 1)) * _SLOT
    inside = ns[(ns >= span[0]) & (ns <= span[1])] // _SLOT - first
    counts = np.bincount(np.minimum(inside, number - 1), minlength=number).astype(np.float64)
    lengths = np.minimum(edges[1:], span[1]) - np.maximum(edges[:-1], span[0])
    return Coverage(name, tz, edges[:-1], _SLOT, counts, (lengths / step).astype(np.float64))


def covered_partitions(partitions: Sequence[tuple[str, int]], step: int | None) -> list[Coverage]:
    """Count the records of partitions; expected is what a usual one holds, or by the step."""
    if not partitions:
        return []
    slot = NS_PER_DAY // 24 if "T" in partitions[0][0] else NS_PER_DAY
    begins = pd.to_datetime([name for name, _ in partitions], format="ISO8601", utc=True).as_unit("ns").asi8
    rows = np.array([rows for _, rows in partitions], np.float64)
    starts = np.arange(begins.min(), begins.max() + slot, slot)
    counts = np.bincount((begins - starts[0]) // slot, rows, len(starts)).astype(np.float64)
    usual = slot / step if step else float(np.median(rows[rows > 0])) if (rows > 0).any() else 1.0
    return [Coverage("", UTC, starts, slot, counts, np.full(len(starts), usual))]


def calendar_of(found: Sequence[Coverage]) -> Calendar:
    """Choose the calendar that suits, and sum up its cells."""
    tz = found[0].tz
    clocks = _clocks(found, tz)
    first, last = min(int(day.min()) for day, _ in clocks), max(int(day.max()) for day, _ in clocks)
    counted, wanted = (sum(float(getattr(one, name).sum()) for one in found) for name in ("counts", "expected"))
    share = f"{min(1.0, counted / wanted):.1%} of the expected records" if wanted else "no records"
    if len(found) > 1:
        width = 1 if last - first < _MOST_DAY_COLUMNS else 7
        first -= (first + 3) % 7 if width == 7 else 0  # day 0 of the epoch was a Thursday
        shape = len(found), (last - first) // width + 1
        names, row_name = [one.name for one in found], ""
        row_ticks = list(range(0, len(found), max(1, len(found) // 40)))
        title = f"{len(found):,} series: {share}"
    elif last - first < _MOST_DAYS and found[0].slot < NS_PER_DAY:
        width, shape = 1, (24, last - first + 1)
        names, row_name, row_ticks = [f"{hour:02d}" for hour in range(24)], f"hour of day ({tz})", [0, 6, 12, 18, 23]
        title = f"{found[0].name}: {share}" if found[0].name else share
    else:
        width = 7
        first -= (first + 3) % 7
        shape = 7, (last - first) // 7 + 1
        names, row_name, row_ticks = _WEEKDAYS, "", list(range(7))
        title = f"{found[0].name}: {share}" if found[0].name else share
    counts, expected = np.zeros(shape), np.zeros(shape)
    for number, (one, (day, hour)) in enumerate(zip(found, clocks, strict=True)):
        row = number if len(found) > 1 else hour if width == 1 else (day + 3) % 7
        cell = row * shape[1] + (day - first) // width
        np.add.at(counts.ravel(), cell, one.counts)
        np.add.at(expected.ravel(), cell, one.expected)
    shares = np.full(shape, np.nan)
    np.divide(counts, expected, out=shares, where=expected > 0)
    columns = [pd.Timestamp((first + number * width) * NS_PER_DAY) for number in range(shape[1])]
    ticks = list(range(0, shape[1], max(1, -(-shape[1] // 9))))
    column_name = f"{'Monday of the week' if width == 7 else 'day'} ({tz})"
    return Calendar(np.minimum(shares, 1.0), names, row_ticks, row_name, columns, ticks, column_name, title)


def _clocks(found: Sequence[Coverage], tz: tzinfo) -> list[tuple[Ints, Ints]]:
    """Day and hour of each slot on the clock of a zone; series of the same range share them."""
    known: dict[tuple[int, int, int], tuple[Ints, Ints]] = {}
    clocks = []
    for one in found:
        key = int(one.starts[0]), len(one.starts), one.slot
        if key not in known:
            local = pd.DatetimeIndex(one.starts.view("M8[ns]")).tz_localize("UTC").tz_convert(tz).tz_localize(None)
            ns = local.as_unit("ns").asi8
            known[key] = ns // NS_PER_DAY, ns % NS_PER_DAY // (NS_PER_DAY // 24)
        clocks.append(known[key])
    return clocks
