"""The listing's query language: ``filter`` and ``order`` to SQL over the table of files, values always bound."""

from __future__ import annotations

import datetime as dt
import re

from tsbulk_frames.sandbox.refusals import Refusal

__all__ = ["parse_filter", "parse_order"]

_MAX_PARTS = 100
_COLUMNS = {
    "name": "name",
    "path": "folder",
    "type": "type",
    "size": "size",
    "timestamp": "timestamp",
    "created": "created",
    "updated": "updated",
    "etag": "etag",
}
_OPERATORS = {
    "eq": "=",
    "=": "=",
    "gt": ">",
    ">": ">",
    "gte": ">=",
    ">=": ">=",
    "lt": "<",
    "<": "<",
    "lte": "<=",
    "<=": "<=",
}
_WORDS = "gte|gt|lte|lt|eq"
_OPENING = rf"\w+(?:\s+(?:{_WORDS})(?:\s|$)|\s*(?:>=|<=|=|>|<))"
# A value may hold blanks, even " and ": only an "and" in front of the next comparison ends it.
_AND = re.compile(rf"\s+and\s+(?={_OPENING})", re.IGNORECASE)
_COMPARISON = re.compile(rf"(\w+)(?:\s+({_WORDS})(?:\s|$)|\s*(>=|<=|=|>|<))\s*(.*)", re.IGNORECASE | re.DOTALL)


def parse_filter(text: str) -> tuple[str, list[str | float]]:
    """Condition and its values, of comparisons joined by ``and``.

    Parameters
    ----------
    text : str
        As in ``name eq a.json and path eq dir/``. Operators: ``eq gt gte lt lte`` or their signs. A value may stand in
        quotes; in ``eq``, ``*`` stands for any text; the folder of a file at the top may be written ``""``, ``/``
        or ``./``.

    Raises
    ------
    Refusal
        400: not of that form, an unknown field, or over 100 comparisons.
    """
    conditions: list[str] = []
    values: list[str | float] = []
    parts = _AND.split(text.strip())
    _check_number(parts, "filter")
    for part in parts:
        match = _COMPARISON.fullmatch(part)
        if match is None:
            raise Refusal(400, f"filter: {part!r} is no comparison; write it like: name eq a.json and path eq dir/")
        field, word, sign, raw = match.groups()
        column, operator = _COLUMNS.get(field), _OPERATORS[(word or sign).lower()]
        if column is None:
            raise Refusal(400, f"filter: {field!r} is not a field; there are {', '.join(_COLUMNS)}")
        value = _value(field, raw.strip())
        if operator == "=" and isinstance(value, str) and "*" in value:
            conditions.append(f"{column} GLOB ?")
            value = re.sub(r"[\[?]", lambda special: f"[{special[0]}]", value)
        else:
            conditions.append(f"{column} {operator} ?")
        values.append(value)
    return " AND ".join(conditions), values


def _check_number(parts: list[str], name: str) -> None:
    """Refuse what would be more than the database takes in one statement."""
    if len(parts) > _MAX_PARTS:
        raise Refusal(400, f"{name}: {len(parts)} terms are too many; accepted are at most {_MAX_PARTS}")


def _value(field: str, raw: str) -> str | float:
    """Value of a comparison in the column's type."""
    quoted = len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "'\""
    text = raw[1:-1] if quoted else raw
    if not text and not quoted and field != "path":
        raise Refusal(400, f"filter: {field} is compared with nothing; add a value")
    try:
        match field:
            case "size" | "etag":
                if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
                    raise ValueError(text)
                return int(text)
            case "created" | "updated":
                moment = dt.datetime.fromisoformat(text)
                return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
            case "path":
                return "" if text in ("/", "./") else text.removeprefix("./").removeprefix("/")
            case _:
                return text
    except ValueError:
        raise Refusal(400, f"filter: {text!r} does not suit {field}") from None


def parse_order(text: str) -> str:
    """Ordering of ``field``, ``field asc`` or ``field desc``, several joined by commas; always total.

    Raises
    ------
    Refusal
        400: anything else, or over 100 fields.
    """
    terms: list[str] = []
    parts = text.split(",")
    _check_number(parts, "order")
    for part in filter(None, (part.strip() for part in parts)):
        field, _, direction = part.partition(" ")
        if field not in _COLUMNS or direction.strip().lower() not in ("", "asc", "desc"):
            raise Refusal(400, f"order: {part!r} is not known; write a field ({', '.join(_COLUMNS)}), then asc or desc")
        terms.append(f"{_COLUMNS[field]} {direction.strip().lower() or 'asc'}")
    return ", ".join([*terms, "folder", "name"])
