"""Bytes of a page, before any record is parsed: where the records lie, and one record a line; pure.

Arrow's JSON reader wants a record a line. Cutting is a guess that proves itself: a cut inside of a text leaves a
raw line break in a JSON string, which the reader refuses; a separator that was missing or doubled shows in the
number of rows; and as Arrow's parser recurses (deep nesting ends the process), nothing nested ever reaches it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "Lines",
    "PageBody",
    "RawPage",
    "Room",
    "Text",
    "cut_by_quotes",
    "cut_optimistic",
    "find_records",
    "is_utf8",
    "join_records",
    "pieces_of",
]

PageBody: TypeAlias = bytes | mmap.mmap
"""A page as it came; a large one lies in memory of its own, which the system has back as soon as it is done with."""
Text: TypeAlias = npt.NDArray[np.uint8]
"""Records as they came, a comma between them."""
_BLOCK = 1 << 16
"""Cut block by block: temporaries stay in the processor's cache."""
_COMMA, _OPEN, _CLOSE, _LIST, _QUOTE, _ESCAPE = b',{}["\\'
_LINE_FEED, _RETURN, _SPACE = b"\n\r "

_WHITE = rb"[ \t\n\r]*"  # all that JSON takes for white space: less than \s
_NEXT = rb'"nextRecord"%b:%b(null|"[^"\\]*")%b' % (_WHITE, _WHITE, _WHITE)
_HEAD = re.compile(rb'%b\{%b(?:%b,)?%b"records"%b:%b\[%b' % (_WHITE, _WHITE, _NEXT, *4 * [_WHITE]))
_TAIL = re.compile(rb"\]%b(?:,%b%b)?\}%b\Z" % (_WHITE, _WHITE, _NEXT, _WHITE))
_TAIL_BYTES = 16_384
_EARLIER_END = re.compile(rb'\}%b\]%b,%b"' % (_WHITE, _WHITE, _WHITE))
_SEPARATOR = re.compile(rb"\}%b(,)%b(?=\{)" % (_WHITE, _WHITE))


@dataclass(frozen=True, slots=True)
class RawPage:
    """One answer of the service, its records not parsed yet.

    Attributes
    ----------
    body : bytes or mmap
        The answer.
    start, stop : int
        ``body[start:stop]`` is the inside of ``records[…]``; equal if there are none.
    next_record : str or None
        URL of the next page, None on the last.
    number : int
        Number of the page in its chain, from 1.
    """

    body: PageBody
    start: int
    stop: int
    next_record: str | None
    number: int


@dataclass(frozen=True, slots=True)
class Lines:
    """Records of one or more pages, one a line, in one buffer."""

    buffer: pa.Buffer
    records: int


def find_records(body: PageBody) -> tuple[int, int, bytes | None] | None:
    """Start and stop of the inside of ``records[…]`` and the token of ``nextRecord``; None if not in plain sight."""
    head = _HEAD.match(body)
    if head is None:
        return None
    start, tail, closing = head.end(), None, len(body)
    while tail is None:  # the last "]", or one before it: a URL may hold some
        closing = body.rfind(b"]", max(start, len(body) - _TAIL_BYTES), closing)
        if closing < 0:
            return None
        tail = _TAIL.match(body, closing)
    if head[1] is not None and tail[1] is not None:
        return None
    stop = closing
    while stop > start and body[stop - 1] in b" \t\r\n":
        stop -= 1
    if start < stop and not (body[start] == _OPEN and body[stop - 1] == _CLOSE):
        return None
    if body.find(b"]", start, stop) >= 0 and _EARLIER_END.search(body, start, stop):
        return None  # maybe the list ends earlier, and another one stands behind it
    return start, stop, head[1] if head[1] is not None else tail[1]


def is_utf8(text: pa.Buffer) -> bool:
    """Whether the bytes are UTF-8, asked of Arrow, which drops the GIL for it."""
    offsets = pa.py_buffer(np.array([0, text.size], np.int64))  # type: ignore[arg-type]
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, text]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def pieces_of(pages: Sequence[RawPage], size: int) -> Iterator[list[memoryview]]:
    """Insides of pages, about `size` bytes together: small ones side by side, large ones cut where a record ends.

    That too is a guess that proves itself: Arrow refuses the two halves of a record.
    """
    piece: list[memoryview] = []
    held = 0
    for page in pages:
        view, start = memoryview(page.body), page.start
        while start < page.stop:
            wanted = start + size - held
            edge = _SEPARATOR.search(page.body, wanted, page.stop) if wanted + size // 2 < page.stop else None
            stop = page.stop if edge is None else edge.start(1)
            piece.append(view[start:stop])
            held += stop - start
            start = stop if edge is None else edge.end()
            if held >= size:
                yield piece
                piece, held = [], 0
    if piece:
        yield piece


class Room:
    """Memory that a decoding thread uses again and again, as the heap keeps what several threads free by turns."""

    def __init__(self) -> None:
        self._text: Text = np.empty(0, np.uint8)

    def take(self, size: int) -> Text:
        """Give so many bytes; they are overwritten by the next call."""
        if len(self._text) < size:
            self._text = np.empty(size + size // 8, np.uint8)
        return self._text[:size]


def join_records(piece: Sequence[memoryview], room: Room | None = None) -> Text:
    """Put records behind one another."""
    text = (room or Room()).take(sum(map(len, piece)) + len(piece) - 1)
    at = 0
    for part in piece:
        if at:
            text[at] = _COMMA
            at += 1
        text[at : at + len(part)] = np.frombuffer(part, np.uint8)
        at += len(part)
    return text


def cut_optimistic(text: Text) -> Lines | None:
    """Cut at each ``},{``, in place; None if something may be nested: then the text is spoilt.

    Equally many ``{`` as records and no ``[``: then each ``{`` opens a record, or stands in a text.
    """
    size = len(text)
    opened = int(np.count_nonzero(text[:2] == _OPEN))  # neither is a comma between records
    found = 0
    here, there = np.empty(_BLOCK, np.bool_), np.empty(_BLOCK, np.bool_)
    for first in range(2, size, _BLOCK):
        last = min(first + _BLOCK, size)
        mask, also = here[: last - first], there[: last - first]
        if np.equal(text[first:last], _LIST, out=mask).any():
            return None
        np.equal(text[first:last], _OPEN, out=mask)
        opened += int(np.count_nonzero(mask))
        commas = text[first - 1 : last - 1]
        mask &= np.equal(commas, _COMMA, out=also)
        mask &= np.equal(text[first - 2 : last - 2], _CLOSE, out=also)
        found += int(np.count_nonzero(mask))
        step = mask.view(np.uint8)
        step *= np.uint8(_COMMA - _LINE_FEED)  # 44 - 34 = 10: a comma becomes a line feed without a branch
        commas -= step
    return Lines(pa.py_buffer(text), found + 1) if opened == found + 1 else None  # type: ignore[arg-type]


def cut_by_quotes(text: Text) -> Lines | None:
    """Cut outside of texts only, whatever the white space; None if something is nested."""
    outside = ~_inside_texts(text)
    structure = np.where(outside, text, np.uint8(_QUOTE))
    commas = [match.start(1) for match in _SEPARATOR.finditer(structure.tobytes())]
    if (structure == _LIST).any() or np.count_nonzero(structure == _OPEN) != len(commas) + 1:
        return None
    lines = text.copy()
    lines[(structure == _LINE_FEED) | (structure == _RETURN)] = _SPACE  # pretty-printed: a record is one line
    lines[commas] = _LINE_FEED
    return Lines(pa.py_buffer(lines), len(commas) + 1)  # type: ignore[arg-type]


def _inside_texts(source: Text) -> npt.NDArray[np.bool_]:
    """Which bytes lie in a JSON string (its opening quote included), by the parity of quotes that are not escaped."""
    quotes = source == _QUOTE
    escapes = np.flatnonzero(source == _ESCAPE)
    if len(escapes):
        starts = np.flatnonzero(np.diff(escapes, prepend=-2) != 1)
        lengths = np.diff(np.append(starts, len(escapes)))
        after = escapes[starts] + lengths
        after = after[(lengths % 2 == 1) & (after < len(source))]
        quotes[after] = False
    inside: npt.NDArray[np.bool_] = np.logical_xor.accumulate(quotes)
    return inside
