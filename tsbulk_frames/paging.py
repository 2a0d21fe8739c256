"""Windows and pages: cutting a range, walking ``nextRecord``, joining pages without loss; floor 2, pure.

The service compares ``(from, to]`` at a precision nobody documents. So every window asks for slightly more, in whole
milliseconds, and `trim` cuts exactly: windows that touch can neither lose a record nor return it twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tsbulk_frames.codec import RawPage, Room, decode_pages, unify
from tsbulk_frames.errors import PageError
from tsbulk_frames.model import MAX_WINDOW_NS, NS_PER_HOUR, NS_PER_MS, TIME, TimeRange, format_time, parse_moment

__all__ = ["Chain", "Query", "cut_range", "decode_chain", "join_page", "split_rest", "tail_of", "times_of", "trim"]

# `from` and `to` are each moved outwards by up to 2 ms, and must still be under the service's 90 days apart.
_LONGEST_NS = MAX_WINDOW_NS - 1_000 * NS_PER_MS
_TAIL = 100_000
_LIMIT_DIGITS = 18
_CRAWL_NS = 1_000
_CRAWLING = 10_000
"""Pages in a row that may each go on by less than a microsecond. A page of the service has thousands of records, no two
in the same nanosecond: not even records numbered by the nanosecond, a few to a page, make so many."""
_EMPTY = 1_000_000
"""Pages in a row that may go on without a record. A service may give one up after the time it has for a request, or
look for the properties selected only in what it has read. That takes it seconds: so many are days without a record."""
_SHORTEST_NS = 3 * NS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Query:
    """What one request asks: times as text, ``(from_, to]``."""

    from_: str
    to: str
    limit: int | None = None


def cut_range(whole: TimeRange, pieces: int = 1, longest_ns: int = _LONGEST_NS) -> list[TimeRange]:
    """Cut a range into windows of equal length, each of them one chain of pages.

    Parameters
    ----------
    whole : TimeRange
        Half open, like the windows returned: they touch, in time order, and together are `whole`.
    pieces : int
        How many are welcome, so that all connections have work from the start; a window is not made shorter than
        three hours for that.
    longest_ns : int
        Length a window may have, whatever `pieces` says. Default: just under the service's 90 days
        (``GET /timeseries``).

    Returns
    -------
    list of TimeRange
        Empty for an empty range.
    """
    if whole.empty:
        return []
    length = whole.stop_ns - whole.start_ns
    return _cut(whole, max(1, math.ceil(length / longest_ns), min(pieces, length // _SHORTEST_NS)))


def split_rest(rest: TimeRange, pieces: int, piece_ns: int | None = None) -> list[TimeRange]:
    """Cut what is left of a window into `pieces` windows to be fetched side by side.

    Parameters
    ----------
    rest : TimeRange
        What no page has covered yet.
    pieces : int
        How many windows to make.
    piece_ns : int, optional
        Longest length of all windows but the last, which takes what remains: keeps the work near the front
        when its results must wait for one another.

    Returns
    -------
    list of TimeRange
        Touching, in time order, none empty, together `rest`.
    """
    if pieces < 2 or piece_ns is None or rest.stop_ns - rest.start_ns <= pieces * piece_ns:
        return _cut(rest, pieces)
    front = TimeRange(rest.start_ns, rest.start_ns + (pieces - 1) * piece_ns)
    return [*_cut(front, pieces - 1), TimeRange(front.stop_ns, rest.stop_ns)]


def _cut(whole: TimeRange, pieces: int) -> list[TimeRange]:
    """Equal pieces; edges on whole milliseconds where that leaves none empty, so that requests overlap least."""
    length = whole.stop_ns - whole.start_ns
    unit = NS_PER_MS if length >= 2 * pieces * NS_PER_MS else 1
    edges = {(whole.start_ns + length * i // pieces) // unit * unit for i in range(1, pieces)}
    inner = sorted(edge for edge in edges if whole.start_ns < edge < whole.stop_ns)
    bounds = [whole.start_ns, *inner, whole.stop_ns]
    return [TimeRange(a, b) for a, b in itertools.pairwise(bounds)]


@dataclass(slots=True)
class Chain:
    """One window on its way through its pages: what to ask next, and the guard against going in circles.

    Attributes
    ----------
    window : TimeRange
        What is wanted, exactly. Its end may be moved forward while the chain is under way.
    first_limit : int or None
        ``limit`` of the first request.
    pages : int
        Pages taken so far.
    """

    window: TimeRange
    first_limit: int | None = None
    pages: int = 0
    _from: str = field(init=False)
    _from_ns: int = field(init=False)
    _limit: int | None = field(init=False)
    _crawling: int = field(init=False, default=0)
    _empty: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._from_ns = (self.window.start_ns // NS_PER_MS - 1) * NS_PER_MS
        self._from = format_time(self._from_ns)
        self._limit = self.first_limit

    @property
    def query(self) -> Query:
        """The request for the next page."""
        to_ms = -(-self.window.stop_ns // NS_PER_MS)
        return Query(self._from, format_time(to_ms * NS_PER_MS), self._limit)

    @property
    def rest(self) -> TimeRange:
        """What no page has covered yet: everything after the last page's end."""
        return TimeRange(max(self.window.start_ns, self._from_ns + 1), self.window.stop_ns)

    def advance(self, page: RawPage) -> bool:
        """Take a page; return whether there is another to ask for.

        Only the ``from`` and ``limit`` of ``nextRecord`` are used: its host and path are never trusted, as
        published samples have wrong ones.

        Raises
        ------
        PageError
            ``nextRecord`` names no usable ``from``, or one that is not later than the one before, or hardly later or
            without any record for longer than can be believed: the chain would never end.
        """
        self.pages += 1
        if page.next_record is None:
            return False
        text = ""
        try:
            asked = parse_qs(urlsplit(page.next_record).query)
            text = asked.get("from", [""])[0]
            from_ns = parse_moment(text, "from")
        except ValueError:  # a FrameError, or no URL at all
            raise PageError(
                f"page {self.pages}: nextRecord has from={text[:80]!r}, which is no time; a chain of pages cannot "
                "go on from there. Read a shorter range, and report it to the operator of the service",
                page=self.pages,
            ) from None
        if from_ns <= self._from_ns:
            raise PageError(
                f"page {self.pages}: nextRecord goes on from {text}, but this page was already asked from "
                f"{self._from}: the pages would repeat for ever. Read a shorter range, and report it to the "
                "operator of the service",
                page=self.pages,
            )
        self._crawling = self._crawling + 1 if from_ns - self._from_ns < _CRAWL_NS else 0
        self._empty = self._empty + 1 if page.body.find(b"{", page.start, page.stop) < 0 else 0
        self._from, self._from_ns = text, from_ns
        if self._crawling > _CRAWLING or self._empty > _EMPTY:
            slow = f"{self._crawling} pages in a row moved it by less than a microsecond each"
            raise PageError(
                f"page {self.pages}: nextRecord goes on from {text}, but "
                f"{slow if self._crawling > _CRAWLING else f'{self._empty} pages in a row had no record'}: the pages "
                "would hardly ever end. Read a shorter range, and report it to the operator of the service",
                page=self.pages,
            )
        if self.first_limit is not None and "limit" in asked:  # a limit nobody asked for must not end the chain
            limit = asked["limit"][0]
            if not limit.isdecimal() or len(limit) > _LIMIT_DIGITS:
                raise PageError(
                    f"page {self.pages}: nextRecord has limit={limit[:80]!r}, not a count; read without limit, and "
                    "report it to the operator of the service",
                    page=self.pages,
                )
            self._limit = int(limit)
        return from_ns < self.window.stop_ns - 1 and self._limit != 0


def times_of(table: pa.Table) -> npt.NDArray[np.int64]:
    """View the `_time` column as int64 nanoseconds."""
    return table.column(TIME).to_numpy().view("int64")


def trim(table: pa.Table, window: TimeRange) -> pa.Table:
    """Keep exactly the records inside the half-open window.

    Parameters
    ----------
    table : pyarrow.Table
        With `_time` strictly increasing.
    window : TimeRange
        Half open.

    Returns
    -------
    pyarrow.Table
        A zero-copy slice.
    """
    times = times_of(table)
    if not len(times) or (times[0] >= window.start_ns and times[-1] < window.stop_ns):
        return table
    first = np.searchsorted(times, np.int64(window.start_ns), side="left")
    last = np.searchsorted(times, np.int64(window.stop_ns - 1), side="right")  # the end itself may be 2**63
    return table.slice(int(first), int(last - first))


def decode_chain(
    pages: Sequence[RawPage], before: npt.NDArray[np.int64] | None = None, *, room: Room | None = None
) -> pa.Table:
    """Decode consecutive pages of one chain into one table with `_time` strictly increasing.

    Parameters
    ----------
    pages : sequence of RawPage
        In the order they came.
    before : ndarray of int64, optional
        Times of what came before in the same chain (the last page's are enough).
    room : Room, optional
        See `tsbulk_frames.codec.decode_pages`.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    PageError
        A page goes backwards in time or holds a time twice.
    DecodeError
        A page is not what the contract says.
    """
    table = decode_pages(pages, room=room)
    times = times_of(table)
    if _increasing(times) and (before is None or not len(before) or not len(times) or times[0] > before[-1]):
        return table
    tables = []
    for page in pages:
        joined = join_page(decode_pages([page], room=room), before, page=page.number)
        before = tail_of(before, joined)
        tables.append(joined)
    return unify(tables)


def join_page(table: pa.Table, before: npt.NDArray[np.int64] | None, *, page: int) -> pa.Table:
    """Drop what a page repeats of the one before it; refuse any other disorder.

    A server that cuts ``from`` to milliseconds sends the records of the seam's millisecond again: their times are
    those the previous page ended with. Anything else that is not later than that page is a fault.

    Parameters
    ----------
    table : pyarrow.Table
        One page.
    before : ndarray of int64 or None
        Times of the page before.
    page : int
        Number of the page, for the message.

    Returns
    -------
    pyarrow.Table
        The new records only.

    Raises
    ------
    PageError
        Times out of order or doubled inside the page, or earlier ones that the page before did not have.
    """
    times = times_of(table)
    wrong = np.flatnonzero(np.diff(times) <= 0)
    if len(wrong):
        row = int(wrong[0])
        raise PageError(
            f"page {page}: record {row + 1} is at {format_time(int(times[row + 1]))}, not after the one before it at "
            f"{format_time(int(times[row]))}; a page must ascend in time. Report it to the operator of the service",
            page=page,
        )
    if before is None or not len(before) or not len(times) or times[0] > before[-1]:
        return table
    repeated = int(np.searchsorted(times, before[-1], side="right"))
    if not np.array_equal(times[:repeated], before[-repeated:]):
        raise PageError(
            f"page {page} begins at {format_time(int(times[0]))}, before the end of the page before it at "
            f"{format_time(int(before[-1]))}, and is no repetition of it; pages must ascend in time. "
            "Report it to the operator of the service",
            page=page,
        )
    return table.slice(repeated)


def tail_of(before: npt.NDArray[np.int64] | None, joined: pa.Table) -> npt.NDArray[np.int64]:
    """Give the times a next page may repeat: the last ones of all that came, however few this page added."""
    times = times_of(joined)
    return times if before is None or len(times) >= _TAIL else np.concatenate([before, times])[-_TAIL:]


def _increasing(times: npt.NDArray[np.int64]) -> bool:
    """Whether strictly so; the one pass every record pays for."""
    return bool((times[1:] > times[:-1]).all())
