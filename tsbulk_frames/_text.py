"""Counts, sizes and tables in words, for whatever shows itself; floor 1.1, pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TypeVar

from tsbulk_frames.model import MB

__all__ = [
    "MOST_ROWS",
    "as_columns",
    "as_count",
    "as_item",
    "as_size",
    "in_line",
    "left_out",
    "pick",
    "shortened",
    "wrapped",
]

WIDTH = 79
MOST_ROWS = 20
"""Rows of a table that is looked at; of more, those that matter most are shown, and the rest is counted."""
_Row = TypeVar("_Row")


def as_count(number: int, noun: str) -> str:
    """``1 file``, ``2,000 files``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def as_size(size: float) -> str:
    """About so many bytes, for people."""
    if size >= 1_000 * MB:
        return f"{size / (1_000 * MB):,.1f} GB"
    if size >= 10 * MB:
        return f"{size / MB:,.0f} MB"
    return f"{size / MB:.1f} MB" if size >= MB // 10 else f"{max(1, round(size / 1_000))} kB" if size else "0 B"


def in_line(text: str) -> str:
    """Show foreign text within a line: what is not printable (line breaks, terminal commands) is spelled out."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def shortened(text: str, most: int) -> str:
    """Show foreign text within a line, and not too much of it."""
    text = in_line(text[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


def wrapped(text: str) -> str:
    """Break a text to the width of a terminal."""
    return textwrap.fill(in_line(text), WIDTH)


def as_item(text: str) -> str:
    """One item of a list in a terminal; a line break within it does not break the list."""
    return textwrap.fill(in_line(" ".join(text.split())), WIDTH, initial_indent="- ", subsequent_indent="  ")


def as_columns(columns: Sequence[str], rows: Sequence[Sequence[object] | None], of: int) -> str:
    """Rows under one another, numbers to the right; None where some are left out, `of` is how many there are in all."""
    known = [row for row in rows if row is not None]
    table = [
        ["…", *[""] * (len(columns) - 1)]
        if row is None
        else [f"{one:,}" if isinstance(one, int) else in_line(str(one)) for one in row]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(columns, *table, strict=True)]
    numbers = [isinstance(one, int) for one in (known[0] if known else columns)]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in (columns, *table)
    ]
    rest = left_out(len(known), of)
    return "\n".join([*lines, rest] if rest else lines)


def pick(rows: Sequence[_Row], matters: Sequence[bool], most: int = MOST_ROWS) -> list[_Row | None]:
    """Choose what to show of many rows, in their order: those that matter, then the first and last of the others.

    None stands where rows are left out that others follow.
    """
    if len(rows) <= most:
        return list(rows)
    loud = [at for at, one in enumerate(matters) if one][:most]
    rest = [at for at, one in enumerate(matters) if not one]
    room = most - len(loud)
    quiet = [*rest[: room - room // 2], *(rest[-(room // 2) :] if room // 2 else [])] if room < len(rest) else rest
    shown: list[_Row | None] = []
    following = 0
    for at in sorted({*loud, *quiet}):
        shown += [rows[at]] if at == following else [None, rows[at]]
        following = at + 1
    return shown


def left_out(shown: int, rows: int) -> str:
    """Say how many rows are not shown; nothing if all are."""
    return f"… and {rows - shown:,} more" if rows > shown else ""
