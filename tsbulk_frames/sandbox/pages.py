"""One page of a range: the leaves of the store, rendered once and kept for a while, cut at the right record."""

from __future__ import annotations

import itertools
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from tsbulk_frames.sandbox.moments import MAX_NS, MIN_NS
from tsbulk_frames.sandbox.store import Leaf, SeriesStore
from tsbulk_frames.sandbox.wire import Rendered, render

__all__ = ["Page", "Pages", "Query"]

_CACHE_BYTES = 384_000_000
_UNIT = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


@dataclass(frozen=True)
class Query:
    """What is asked of a series.

    Attributes
    ----------
    after, upto : int
        The range ``(after, upto]`` in nanoseconds.
    columns : tuple of str
        Properties and quality codes, in the order in which they are written.
    descending : bool
        Latest first.
    limit : int or None
        Most records in all.
    """

    entity: str
    property_set: str
    after: int
    upto: int
    columns: tuple[str, ...]
    descending: bool = False
    limit: int | None = None

    def resumed(self, at: int) -> Query:
        """Give the range from where a page said that the next one begins."""
        return replace(self, upto=at) if self.descending else replace(self, after=at)


@dataclass(frozen=True)
class Page:
    """Records as text.

    Attributes
    ----------
    records : bytes
        ``{…},{…}`` without a comma at the end.
    count : int
        How many.
    resume : int or None
        Where the next page begins: the range's new open beginning, or its new closed end when descending. None:
        nothing is left.
    """

    records: bytes
    count: int
    resume: int | None


@dataclass(frozen=True)
class _Run:
    """Records ``first`` to ``stop - 1`` of a leaf, which are read in one direction."""

    rendered: Rendered
    first: int
    stop: int
    descending: bool

    def __len__(self) -> int:
        return self.stop - self.first

    def time(self, at: int) -> int:
        """Give the time of a record by its place in reading order; -1 is the last."""
        place = (-1 - at if self.descending else at) % len(self)
        return int(self.rendered.times[self.first + place])

    def split(self, count: int) -> tuple[_Run, _Run]:
        """Cut off so many records from the side that is read first."""
        middle = self.stop - count if self.descending else self.first + count
        low, high = replace(self, stop=middle), replace(self, first=middle)
        return (high, low) if self.descending else (low, high)

    def fitting(self, size: int) -> int:
        """Count the records within `size` bytes."""
        return self.rendered.fit(self.first, self.stop, size, descending=self.descending)

    def reaching(self, bound: int) -> int:
        """Count the records that do not lie behind `bound`, in reading order, the one at it included."""
        times = self.rendered.times[self.first : self.stop]
        if self.descending:
            return len(self) - int(np.searchsorted(times, bound, "left"))
        return int(np.searchsorted(times, bound, "right"))

    @property
    def size(self) -> int:
        """Bytes of text."""
        return self.rendered.size(self.first, self.stop)

    def text(self) -> bytes:
        """Give the records, a comma behind each."""
        return self.rendered.cut(self.first, self.stop, descending=self.descending)


class Pages:
    """Cutter of pages; one for all requests, because what one has rendered the next one needs.

    Parameters
    ----------
    series : SeriesStore
        What is read.
    compare : {"ns", "us", "ms", "s"}
        Precision at which the ends of a range are compared with a record's time.
    """

    def __init__(self, series: SeriesStore, compare: Literal["ns", "us", "ms", "s"]) -> None:
        self._series = series
        self._unit = _UNIT[compare]
        self._cache = _Cache(_CACHE_BYTES)

    def cut(self, query: Query, *, size: int | None, records: int | None) -> Page:
        """Give the first page of a range; a page of a range that holds records has at least one.

        Parameters
        ----------
        query : Query
            The range; what a former page gave as `Page.resume` is set into it by the caller.
        size : int or None
            Bytes of records on the page, unless one moment has more.
        records : int or None
            Most records on the page, unless one moment has more.
        """
        limit = sys.maxsize if query.limit is None else query.limit
        most = min(limit, sys.maxsize if records is None else records)
        room = sys.maxsize if size is None else size
        taken, count = list[_Run](), 0
        runs = self._runs(query)
        rest: _Run | None = None
        for run in runs:
            mine, after = run.split(min(max(run.fitting(room), not taken), most - count))
            if len(mine):
                taken.append(mine)
                count, room = count + len(mine), room - mine.size
            if len(after):
                rest = after
                break
        if rest is not None and count < limit and self._same_moment(taken[-1].time(-1), rest.time(0)):
            taken, rest = self._whole_moments(taken, rest, runs, limit - count)
        count = sum(map(len, taken))
        resume = None if rest is None or count == limit else self._resume(taken[-1].time(-1), query)
        return Page(b"".join(run.text() for run in taken)[:-1], count, resume)

    def prepare(self, query: Query) -> None:
        """Render what the first page of a range will need, while the client still reads the page before."""
        for _ in itertools.islice(self._runs(query), 2):
            pass

    def _same_moment(self, one: int, other: int) -> bool:
        """Whether the ends of a range could not come between the two."""
        return one // self._unit == other // self._unit

    def _whole_moments(
        self, taken: list[_Run], rest: _Run, runs: Iterator[_Run], limit: int
    ) -> tuple[list[_Run], _Run | None]:
        """Move the end of a page to where a range can begin: back, or on when the page is all one moment."""
        begin = taken[-1].time(-1) // self._unit * self._unit
        end = begin + self._unit - 1
        before, upto = (end + 1, begin) if rest.descending else (begin - 1, end)
        kept = [run.split(run.reaching(before))[0] for run in taken]
        kept = [run for run in kept if len(run)]
        if kept:
            return kept, rest
        for run in itertools.chain([rest], runs):
            mine, after = run.split(min(run.reaching(upto), limit))
            if len(mine):
                taken.append(mine)
                limit -= len(mine)
            if len(after):
                return taken, after
        return taken, None

    def _resume(self, last: int, query: Query) -> int:
        """Give the moment behind which the next page begins, or with which it ends when descending."""
        return last // self._unit * self._unit - 1 if query.descending else last

    def _runs(self, query: Query) -> Iterator[_Run]:
        """Yield the range's records leaf by leaf, in reading order."""
        low, high = (moment // self._unit * self._unit + self._unit - 1 for moment in (query.after, query.upto))
        low, high = max(low, MIN_NS - 1), min(high, MAX_NS)
        find = self._series.leaf_upto if query.descending else self._series.leaf_after
        position = high if query.descending else low
        while leaf := find(query.entity, query.property_set, position):
            if leaf.last <= low or leaf.first > high:
                return
            try:
                rendered = self._cache.get((leaf, query.columns), partial(self._render, leaf, query.columns))
            except FileNotFoundError:  # replaced by a write meanwhile; what took its place is found the same way
                continue
            after, upto = (position, high) if not query.descending else (low, position)
            first, stop = (int(np.searchsorted(rendered.times, bound, "right")) for bound in (after, upto))
            if stop > first:
                yield _Run(rendered, first, stop, query.descending)
            position = leaf.first - 1 if query.descending else leaf.last

    def _render(self, leaf: Leaf, columns: tuple[str, ...]) -> Rendered:
        """Read and spell a leaf."""
        return render(self._series.read(leaf, columns), columns)


class _Cache:
    """The rendered leaves used last, within a bound of bytes; each is made once, however many ask at the same time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._changing = threading.Lock()
        self._entries: OrderedDict[tuple[Leaf, tuple[str, ...]], Future[Rendered]] = OrderedDict()

    def get(self, key: tuple[Leaf, tuple[str, ...]], make: Callable[[], Rendered]) -> Rendered:
        """Give the entry, made now if it is not there."""
        with self._changing:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            else:
                mine = self._entries[key] = Future[Rendered]()
        if entry is not None:
            return entry.result()
        try:
            rendered = make()
        except BaseException as error:
            with self._changing:
                del self._entries[key]
            mine.set_exception(error)
            raise
        mine.set_result(rendered)
        with self._changing:
            self._held += rendered.nbytes
            self._forget_replaced(key[0])
            self._shrink()
        return rendered

    def _forget_replaced(self, leaf: Leaf) -> None:
        """Let go of leaves in whose place this one was written: nobody will ask for them again."""
        for key, entry in list(self._entries.items()):
            other = key[0]
            replaced = other != leaf and other.path.parent == leaf.path.parent
            if replaced and other.first <= leaf.last and leaf.first <= other.last and entry.done():
                del self._entries[key]
                self._held -= entry.result().nbytes

    def _shrink(self) -> None:
        """Let go of what was not used for longest; what is still being made weighs nothing yet."""
        for key, entry in list(self._entries.items()):
            if self._held <= self._most:
                return
            if entry.done():
                del self._entries[key]
                self._held -= entry.result().nbytes
