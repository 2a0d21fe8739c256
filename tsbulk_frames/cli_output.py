"""What a command prints: one JSON document for scripts, or text and tables for people; floor 8.1.

What came from elsewhere is shown without control characters: a name must not steer the terminal.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table", "as_json", "plain", "show", "table_of", "visible"]

_MOST_ROWS = 40
"""Rows of a table on a terminal: more would push the rest off the screen; a pipe and JSON have all."""


@dataclass(frozen=True)
class Table:
    """Rows to be looked at.

    Attributes
    ----------
    columns : sequence of str
        Their heads.
    rows : sequence of sequence
        Any values; None is an empty cell.
    marked : sequence of int
        Positions of rows that are shown where not all are.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    marked: Sequence[int] = ()


def plain(value: object) -> object:
    """Turn a value into what JSON has, exactly: times as ISO 8601 to the nanosecond, missing as None.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsbulk_frames.cli_output import plain
    >>> plain({"n": 2**63 - 1, "x": float("nan"), "t": pd.Timestamp("2026-03-01T00:00:00.000000001Z"), "m": pd.NA})
    {'n': 9223372036854775807, 'x': None, 't': '2026-03-01T00:00:00.000000001Z', 'm': None}
    """
    if value is None or isinstance(value, str | bool | int):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if hasattr(value, "isoformat"):  # a date, a time, pandas.Timestamp; of these NaT is missing
        text = str(value.isoformat())
        return None if text == "NaT" else text.removesuffix("+00:00") + "Z" * text.endswith("+00:00")
    if hasattr(value, "tolist"):  # NumPy
        return plain(value.tolist())
    return None if str(value) == "<NA>" else str(value)


def as_json(document: Mapping[str, object]) -> str:
    """Spell a document: one line, no NaN, ASCII alone, so that no encoding of a pipe or a terminal can spoil it."""
    return json.dumps(plain(document), allow_nan=False)


def table_of(frame: pd.DataFrame) -> Table:
    """Take a frame, its row index left out, as a table."""
    return Table([str(name) for name in frame.columns], [list(row) for row in frame.itertuples(index=False)])


def visible(text: str) -> str:
    r"""Spell out what cannot be seen, and what would steer a terminal.

    Examples
    --------
    >>> from tsbulk_frames.cli_output import visible
    >>> visible("pump\x1b[31m")
    'pump\\x1b[31m'
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def show(document: Mapping[str, object], parts: Iterable[str | Table], *, json_wanted: bool) -> None:
    """Print a result, in one of its two forms.

    Parameters
    ----------
    document : mapping
        For scripts.
    parts : iterable of str or Table
        The same for people.
    json_wanted : bool
        Which of them.
    """
    if json_wanted:
        click.echo(as_json(document))
        return
    for part in parts:
        if isinstance(part, str):
            click.echo(visible(part))
        elif sys.stdout.isatty():
            _print_rich(part)
        else:
            _print_plain(part)


def _cell(value: object) -> str:
    """Spell a cell for people."""
    found = plain(value)
    if found is None:
        return ""
    if isinstance(found, bool):
        return "yes" if found else "no"
    return visible(str(found))


def _numeric(table: Table) -> list[bool]:
    """Tell which columns hold numbers: these stand at the right."""
    found = []
    for at in range(len(table.columns)):
        kinds = {type(plain(row[at])) for row in table.rows} - {type(None)}
        found.append(bool(kinds) and kinds <= {int, float})
    return found


def _print_plain(table: Table) -> None:
    """Print all rows, each on one line."""
    cells = [[visible(one) for one in table.columns], *([_cell(one) for one in row] for row in table.rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(table.columns))]
    right = _numeric(table)
    for row in cells:
        line = (
            cell.rjust(width) if side else cell.ljust(width)
            for cell, width, side in zip(row, widths, right, strict=True)
        )
        click.echo("  ".join(line).rstrip())


def _print_rich(table: Table) -> None:
    """Print as wide as the terminal is, and say how many rows are left out."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    rich = RichTable(header_style="bold")
    for name, right in zip(table.columns, _numeric(table), strict=True):
        rich.add_column(Text(visible(name)), justify="right" if right else "left", overflow="fold")
    places = dict.fromkeys([*table.marked, *range(len(table.rows))])
    for at in sorted(list(places)[:_MOST_ROWS]):
        rich.add_row(*(Text(_cell(one)) for one in table.rows[at]))
    console = Console(file=sys.stdout)
    console.print(rich)
    if len(table.rows) > _MOST_ROWS:
        click.echo(f"… and {len(table.rows) - _MOST_ROWS:,} more rows; a pipe or --json has all")
