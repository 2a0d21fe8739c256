"""Windows fetched side by side, decoded off the main thread, handed out in time order; floor 6.

::

    windows ──► workers (one page at a time, earliest window first) ──► groups of pages ──► decoders ──► in order

A worker that finds nothing to do makes the others cut what is left of their windows: a dense hour is shared by
all connections, an empty year costs one request a window. What is fetched but not yet used is bounded in bytes.
"""

from __future__ import annotations

import heapq
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tsbulk_frames.codec import RawPage, Room, decode_pages, first_time
from tsbulk_frames.errors import TsBulkError
from tsbulk_frames.model import TimeRange
from tsbulk_frames.paging import Chain, Query, decode_chain, join_page, split_rest, tail_of, times_of, trim
from tsbulk_frames.stop import Stop

__all__ = ["Fetch", "FetchPage", "Source", "limited"]

FetchPage = Callable[[Query, int], RawPage]
"""Ask for one page: the query and the page's number in its chain."""

_GROUP_BYTES = 4_000_000  # smaller groups lose the decoder's speed on wide records, larger ones its parallelism
_AHEAD_BYTES = 32_000_000
_BOUNDED_BYTES = 24_000_000  # less costs speed where pages are large, more has no use


@dataclass(frozen=True)
class Source:
    """One series to read: how to ask for a page, and the windows it is cut into."""

    fetch: FetchPage
    windows: Sequence[TimeRange]


@dataclass(eq=False)
class _Window:
    """A chain of pages and what has become of them."""

    source: int
    chain: Chain
    start_ns: int
    pages: list[RawPage] = field(default_factory=list)
    held: int = 0
    tables: deque[tuple[Future[pa.Table], int, int]] = field(default_factory=deque)
    before: npt.NDArray[np.int64] | None = None
    complete: bool = False
    page_ns: int = 0
    page_bytes: int = 1

    def __lt__(self, other: _Window) -> bool:
        return (self.source, self.start_ns) < (other.source, other.start_ns)


class Fetch:
    """Read several windows of one or more series at once; iterate over ``(source number, table)``.

    Tables come in the order of the sources and, within one, of time; each is exact to its window.

    Parameters
    ----------
    sources : sequence of Source
        What to read.
    workers : int
        Requests under way at once.
    stop : Stop
        What ends the requests under way when the block is left; `sources` ask under it.
    bounded : bool
        True: pages count against the memory bound until the consumer took their table, so that a slow consumer
        slows the network down. False: only until they are decoded.
    collect : bool
        True: a source that fails is left out from then on, and its error kept. False: the first error stops all.
    on_page : callable, optional
        Called with the bytes of each page as it arrives, from a worker's thread.
    on_reach : callable, optional
        Called after each page, from a worker's thread: with the nanoseconds that all pages so far cover, and how many
        windows are through, of how many there are by now.

    Attributes
    ----------
    errors : dict of int to TsBulkError
        With `collect`: what failed, by source number. Tables of such a source may have come before.

    Notes
    -----
    Used as a context manager: leaving it stops every thread, whatever the reason.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        workers: int,
        stop: Stop,
        bounded: bool = False,
        collect: bool = False,
        on_page: Callable[[int], None] | None = None,
        on_reach: Callable[[int, int, int], None] | None = None,
    ) -> None:
        self._sources = sources
        self._workers = workers
        self._stop = stop
        self._bounded = bounded
        self._ahead = _BOUNDED_BYTES if bounded else _AHEAD_BYTES
        self._collect = collect
        self.errors: dict[int, TsBulkError] = {}
        self._on_page = on_page
        self._on_reach = on_reach
        self._covered_ns = self._through = 0
        self._changed = threading.Condition()
        self._line = [
            _Window(number, Chain(window), window.start_ns)
            for number, source in enumerate(sources)
            for window in source.windows
        ]
        heapq.heapify(self._line)  # by (source, start): the order of the results
        self._known = len(self._line)
        self._ready: list[tuple[int, _Window]] = [(0, window) for window in self._line]
        heapq.heapify(self._ready)
        self._busy = 0
        self._buffered = 0
        self._page_bytes = self._ahead if bounded else 0  # of what is asked for next: not known yet
        self._failure: BaseException | None = None
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._local = threading.local()
        self._decoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="tsbulk-decode")

    def __enter__(self) -> Fetch:
        for number in range(self._workers if self._line else 0):
            thread = threading.Thread(target=self._work, name=f"tsbulk-fetch-{number}", daemon=True)
            self._threads.append(thread)
            try:
                thread.start()
            except BaseException:  # Ctrl-C comes at any moment, and nobody leaves what was not entered
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._stop.now()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._decoders.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[int, pa.Table]]:
        while (taken := self._take()) is not None:
            window, future, size, number = taken
            try:
                table = join_page(future.result(), window.before, page=number)
            except TsBulkError as error:
                self._fail(window, error)
                continue
            finally:
                if self._bounded:
                    self._release(size)
            window.before = tail_of(window.before, table)
            table = trim(table, window.chain.window)
            if table.num_rows:
                yield window.source, table
            if self._bounded:
                del table, future, taken
                pa.default_memory_pool().release_unused()  # else Arrow keeps what was, besides what comes

    def _take(self) -> tuple[_Window, Future[pa.Table], int, int] | None:
        """Wait for the next table of the front window; None when all windows are through."""
        with self._changed:
            while True:
                if self._failure is not None:
                    raise self._failure
                if not self._line:
                    return None
                front = self._line[0]
                if front.tables and front.source not in self.errors:
                    return front, *front.tables.popleft()
                if front.complete or front.source in self.errors:
                    heapq.heappop(self._line)
                    self._changed.notify_all()  # the new front may pass the memory bound
                else:
                    self._changed.wait()

    def _work(self) -> None:
        """Fetch page after page until nothing is left; the first failure stops all workers."""
        while (window := self._next_window()) is not None:
            try:
                source = self._sources[window.source]
                page = source.fetch(window.chain.query, window.chain.pages + 1)
                if self._on_page is not None:
                    self._on_page(len(page.body))
                with self._changed:
                    self._accept(window, page)
                    self._changed.notify_all()
                    reached = self._covered_ns, self._through, self._known
                if self._on_reach is not None:
                    self._on_reach(*reached)
                del page  # else an idle worker holds the last one
            except BaseException as error:  # noqa: BLE001  (handed to the consumer, who raises it)
                with self._changed:
                    self._busy -= 1
                self._fail(window, error)

    def _fail(self, window: _Window, error: BaseException) -> None:
        """Stop everything, or with `collect` leave this source out."""
        with self._changed:
            if self._collect and isinstance(error, TsBulkError):
                self.errors.setdefault(window.source, error)
                self._ready = [entry for entry in self._ready if entry[1].source != window.source]
                heapq.heapify(self._ready)
                for one in self._line:
                    if one.source == window.source:
                        self._buffered -= one.held + (sum(entry[1] for entry in one.tables) if self._bounded else 0)
                        one.held = 0
                        one.pages.clear()
                        one.tables.clear()
            else:
                self._failure = self._failure or error
                self._closed = True
            self._changed.notify_all()

    def _next_window(self) -> _Window | None:
        """Wait for the earliest window that may be worked on; None when no work will come any more."""
        with self._changed:
            while not self._closed:
                expected = self._buffered + self._busy * self._page_bytes  # a page under way takes room already
                if self._ready and (expected < self._ahead or self._ready[0][1] is self._line[0]):
                    self._busy += 1
                    return heapq.heappop(self._ready)[1]
                if not self._ready and not self._busy:
                    return None
                self._changed.wait()
            return None

    def _accept(self, window: _Window, page: RawPage) -> None:
        """File a page with its window, and put what follows it back into the queue (lock held)."""
        size = len(page.body)
        began = window.chain.rest.start_ns
        if window.chain.pages == 0:
            began = max(began, first_time(page) or began)
        before_ns, stop_ns = window.chain.rest.start_ns, window.chain.window.stop_ns
        more = window.chain.advance(page)
        self._covered_ns += max(0, (min(window.chain.rest.start_ns, stop_ns) if more else stop_ns) - before_ns)
        self._through += not more
        self._busy -= 1
        if window.source in self.errors:
            return
        self._buffered += size
        self._page_bytes = max(size, self._page_bytes // 2)
        window.pages.append(page)
        window.held += size
        if more:
            window.page_ns = max(1, window.chain.rest.start_ns - began)
            window.page_bytes = max(1, size)
            self._queue(window)
            self._share(window)
        if not more or window.held >= _GROUP_BYTES:
            self._decode(window)
        if self._buffered >= self._ahead:  # many windows hold a little each: none may wait for its group to fill
            for _, waiting in self._ready:
                if waiting.pages:
                    self._decode(waiting)
        window.complete = not more

    def _queue(self, window: _Window) -> None:
        """Put a window back: the earliest first where results must come in order, else all in turn (lock held)."""
        heapq.heappush(self._ready, (0 if self._bounded else window.chain.pages, window))

    def _share(self, window: _Window) -> None:
        """Cut what is left of a window among the workers with nothing to do (lock held)."""
        rest = window.chain.rest
        spare = self._workers - self._busy - len(self._ready)
        pieces = min(spare + 1, (rest.stop_ns - rest.start_ns) // window.page_ns)
        if pieces < 2:
            return
        # Of records as dense as these a piece is two groups, at least two pages; what may be empty is the last's.
        piece_ns = window.page_ns * max(2, 2 * _GROUP_BYTES // window.page_bytes)
        mine, *others = split_rest(rest, pieces, piece_ns)
        window.chain.window = TimeRange(window.chain.window.start_ns, mine.stop_ns)
        self._known += len(others)
        for other in others:
            fresh = _Window(window.source, Chain(other), other.start_ns)
            heapq.heappush(self._line, fresh)
            self._queue(fresh)

    def _decode(self, window: _Window) -> None:
        """Send the pages held to a decoder (lock held)."""
        pages, window.pages = window.pages, []
        size, window.held = window.held, 0
        future = self._decoders.submit(self._read, pages)
        if not self._bounded:
            future.add_done_callback(lambda _: self._release(size))
        window.tables.append((future, size, pages[0].number))

    def _read(self, pages: Sequence[RawPage]) -> pa.Table:
        """Decode in a decoder's thread, in memory it keeps; what the parser needed besides is given back."""
        if not hasattr(self._local, "room"):
            self._local.room = Room()
        table = decode_chain(pages, room=self._local.room)
        if self._bounded:
            pa.default_memory_pool().release_unused()  # each thread has a store of its own
        return table

    def _release(self, size: int) -> None:
        """Give bytes back to the workers."""
        with self._changed:
            self._buffered -= size
            self._changed.notify_all()


def limited(source: Source, limit: int, on_page: Callable[[int], None] | None = None) -> Iterator[pa.Table]:
    """Read the first `limit` records of a series, page after page: nothing far beyond them is fetched.

    Parameters
    ----------
    source : Source
        What to read.
    limit : int
        How many records, exactly, unless there are fewer.
    on_page : callable, optional
        Called with the bytes of each page.

    Yields
    ------
    pyarrow.Table
        In time order, exact to the windows.
    """
    for window in source.windows:
        rest, asked = window, limit
        while not rest.empty:
            chain, seen, more = Chain(rest, first_limit=asked), 0, True
            before: npt.NDArray[np.int64] | None = None
            while more:
                page = source.fetch(chain.query, chain.pages + 1)
                if on_page is not None:
                    on_page(len(page.body))
                more = chain.advance(page)
                table = decode_pages([page])
                seen += table.num_rows
                table = join_page(table, before, page=page.number)
                if not table.num_rows:
                    continue
                before = tail_of(before, table)
                table = trim(table, rest).slice(0, limit)
                if table.num_rows:
                    yield table
                    limit -= table.num_rows
                    rest = TimeRange(int(times_of(table)[-1]) + 1, rest.stop_ns)
                if limit == 0:
                    return
            if seen < asked:
                break
            asked *= 2  # the margin asked for in addition has used the limit up
