"""How things show themselves in a notebook: one style, everything escaped, for dark and light; floor 1.2, pure.

Colours are tints behind text in the notebook's own colour, and never say anything that words do not say as well.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tsbulk_frames._text import left_out

__all__ = ["Badge", "Tone", "as_box", "as_code", "as_facts", "as_head", "as_list", "as_table"]

Tone: TypeAlias = Literal["good", "quiet", "busy", "doubtful", "bad"]
_TINTS: Mapping[Tone, tuple[str, str]] = {  # told apart by the colour-blind as well, and on any background
    "good": ("✓", "0,158,115"),
    "quiet": ("–", "128,128,128"),
    "busy": ("…", "86,180,233"),
    "doubtful": ("?", "230,159,0"),
    "bad": ("✗", "213,94,0"),
}
_CELL = "padding:0.2em 0.7em;vertical-align:top;max-width:60em;overflow-wrap:anywhere"


@dataclass(frozen=True, slots=True)
class Badge:
    """A word with a colour behind it and a sign before it."""

    text: str
    tone: Tone

    def to_html(self) -> str:
        """As a piece of a page."""
        sign, tint = _TINTS[self.tone]
        style = f"background:rgba({tint},0.25);border-left:3px solid rgb({tint});padding:0 0.5em;white-space:nowrap"
        return f'<span style="{style}">{sign} {_text(self.text)}</span>'


def as_head(kind: str, *parts: str | Badge) -> str:
    """Say what it is, and in a few words what is in it."""
    return f"<p><b>{_text(kind)}</b> {' &nbsp;'.join(map(_cell, parts))}</p>"


def as_list(title: str, items: Sequence[str]) -> str:
    """List texts under a title."""
    return f"<p><b>{_text(title)}</b></p><ul>{''.join(f'<li>{_text(one)}</li>' for one in items)}</ul>"


def as_code(title: str, code: str) -> str:
    """Show something to be typed."""
    return f"<p>{_text(title)}<code>{_text(code)}</code></p>"


def as_facts(facts: Iterable[tuple[str, object]]) -> str:
    """Names and values, one under the other."""
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL};text-align:left">{_text(name)}</th>'
        f'<td style="{_CELL};text-align:left">{_cell(value)}</td></tr>'
        for name, value in facts
    )
    return f"<table><tbody>{rows}</tbody></table>"


def as_table(columns: Sequence[str], rows: Sequence[Sequence[object] | None], of: int) -> str:
    """Rows of cells, numbers to the right; None where some are left out, `of` is how many there are in all."""
    known = [row for row in rows if row is not None]
    numbers = [isinstance(cell, int) for cell in (known[0] if known else columns)]
    styles = [f"{_CELL};text-align:{'right' if number else 'left'}" for number in numbers]
    head = "".join(
        f'<th scope="col" style="{style}">{_text(name)}</th>' for name, style in zip(columns, styles, strict=True)
    )
    body = "".join(
        _note("…", len(columns))
        if row is None
        else "<tr>"
        + "".join(f'<td style="{style}">{_cell(cell)}</td>' for cell, style in zip(row, styles, strict=True))
        + "</tr>"
        for row in rows
    )
    rest = left_out(len(known), of)
    foot = _note(rest, len(columns)) if rest else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}{foot}</tbody></table>"


def _note(text: str, columns: int) -> str:
    """Give a row without cells: a word across all columns."""
    return f'<tr><td colspan="{columns}" style="{_CELL};text-align:left">{_text(text)}</td></tr>'


def as_box(*parts: str) -> str:
    """Put pieces of a page together."""
    return f"<div>{''.join(parts)}</div>"


def _cell(value: object) -> str:
    """One value, as people read it."""
    if isinstance(value, Badge):
        return value.to_html()
    return _text(f"{value:,}" if isinstance(value, int) else "" if value is None else str(value))


def _text(text: str) -> str:
    """Foreign text as text, never as markup."""
    return html.escape(text, quote=True)
