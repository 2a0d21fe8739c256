"""Values on a regular grid, in integer nanoseconds; floor 2.46, pure.

Distances are counted modulo 2**64, where they fit even if the times stand at both ends of what int64 holds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["mean_cells", "next_point", "point_before", "points_linear", "rows_before"]

Ns = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Unsigned = npt.NDArray[np.uint64]


def point_before(ns: int, step: int, zero: int) -> int:
    """Last point of the grid at or before a time."""
    return ns - (ns - zero) % step


def next_point(ns: int, step: int, zero: int) -> int:
    """First point of the grid at or after a time."""
    return ns + (zero - ns) % step


def _since(late: Ns, early: Ns) -> Unsigned:
    """Nanoseconds from one time to a later one; however far apart, they fit."""
    return late.view(np.uint64) - early.view(np.uint64)


def rows_before(times: Ns, grid: Ns, gap: int) -> npt.NDArray[np.intp]:
    """Find the last time at or before each point, -1 if there is none or it is older than the gap."""
    found = np.searchsorted(times, grid, side="right") - 1
    if len(times):
        age = _since(grid, times[np.maximum(found, 0)])
        found[(found >= 0) & (age > np.uint64(gap))] = -1
    return found


def points_linear(times: Ns, values: Floats, grid: Ns, gap: int) -> Floats:
    """Value at each point on the line between its neighbours, if these are not farther apart than the gap."""
    result = np.full(len(grid), np.nan)
    if not len(times):
        return result
    before = np.searchsorted(times, grid, side="right") - 1
    exact = before >= 0
    exact[exact] = times[before[exact]] == grid[exact]
    result[exact] = values[before[exact]]
    between = ~exact & (before >= 0) & (before < len(times) - 1)
    left = before[between]
    width = _since(times[left + 1], times[left])
    near = width <= np.uint64(gap)
    between[between] = near
    left, width = left[near], width[near]
    low, high = values[left], values[left + 1]
    with np.errstate(invalid="ignore"):
        share = _since(grid[between], times[left]) / width
        line = low * (1.0 - share) + high * share
    result[between] = np.clip(line, np.minimum(low, high), np.maximum(low, high))  # rounding never leaves the line
    return result


def mean_cells(times: Ns, values: Floats, grid: Ns, step: int, gap: int) -> Floats:
    """Mean over time of each cell ``[point, point + step)``: each value holds until the next, for the gap at most."""
    result = np.full(len(grid), np.nan)
    if not len(times) or not len(grid):
        return result
    first = grid[0]
    size = len(grid) * step  # Python's int: no overflow
    begin = _since(times, np.full_like(times, first))
    begin[times < first] = 0  # only where the cell's own beginning is no time that int64 holds
    until = np.empty_like(begin)
    until[:-1] = begin[1:]
    until[-1] = min(size, 2**64 - 1)
    hold = np.minimum(until - begin, np.uint64(gap))
    end = np.minimum(begin + hold, np.uint64(min(size, 2**64 - 1)))
    use = end > begin
    begin, end, values = begin[use], end[use], values[use]
    unit = np.uint64(step)
    cell, last = begin // unit, (end - np.uint64(1)) // unit
    pieces = (last - cell + np.uint64(1)).astype(np.intp)
    # a value that holds over several cells is a piece in each
    source = np.repeat(np.arange(len(begin)), pieces)
    nth = np.arange(len(source)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    at = cell[source] + nth.astype(np.uint64)
    start = np.maximum(begin[source], at * unit)
    width = np.minimum(end[source] - start, unit - (start - at * unit))
    share = width * 2.0 ** -step.bit_length()  # a power of two costs no digit, and keeps large values from overflowing
    cuts = np.flatnonzero(np.r_[True, at[1:] != at[:-1]]) if len(at) else np.empty(0, np.intp)
    if not len(cuts):
        return result
    held = values[source]
    with np.errstate(invalid="ignore"):
        mean = np.add.reduceat(held * share, cuts) / np.add.reduceat(share, cuts)
    # rounding never leaves what was measured: the mean of equal values is that value
    low, high = np.minimum.reduceat(held, cuts), np.maximum.reduceat(held, cuts)
    result[at[cuts].astype(np.intp)] = np.clip(mean, low, high)
    return result
