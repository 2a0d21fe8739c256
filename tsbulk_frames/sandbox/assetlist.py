"""How assets are asked for together: the filter, the order and the page of ``GET /assets`` and of aspects.

The filter is JSON: fields with a value or with functions, all of which must hold, joined by ``not``, ``or``, ``and``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from starlette.datastructures import QueryParams

from tsbulk_frames.sandbox.bodies import parse_json
from tsbulk_frames.sandbox.refusals import Refusal

__all__ = ["page_of", "parse_filter", "parse_order"]

Body: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Body], bool]

DEFAULT_SIZE = 10
_FIELDS = (
    *("assetId", "tenantId", "name", "externalId", "t2tenant", "subTenant", "timezone", "twinType", "deleted"),
    *("parentId", "typeId", "fileId", "hasType"),
)
"""What a filter can be about; a field of another name is ignored, as the service does."""
_SPELLED = {"hasType": "typeId", "t2tenant": "t2Tenant"}
"""Where a field is found in an asset; each type here has no other type above it."""
_MOST_TERMS = 1_000
_DEEPEST = 20


def parse_filter(text: str) -> Test:
    """Make a test of a filter.

    Raises
    ------
    Refusal
        400: not JSON, or no filter.
    """
    try:
        document = parse_json(text.encode())
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"filter: not JSON: {error}") from None
    return _Parsing().of(document, 0)


class _Parsing:
    """One filter on its way to a test, which may not grow beyond a bound."""

    def __init__(self) -> None:
        self._terms = 0

    def of(self, document: object, depth: int) -> Test:
        """Test what an object says: all of its entries."""
        return _all(self._entries(document, depth))

    def _entries(self, document: object, depth: int) -> list[Test]:
        """Test each entry of an object, or of a list of objects."""
        if isinstance(document, list):
            return [self.of(one, depth + 1) for one in document]
        if not isinstance(document, dict) or depth > _DEEPEST:
            raise Refusal(400, f"filter: {document!r:.100} is no object of fields (or is too deep)")
        return [test for name, value in document.items() if (test := self._entry(name, value, depth)) is not None]

    def _entry(self, name: str, value: object, depth: int) -> Test | None:
        """Test one field, or join others; None for a field that is ignored."""
        self._terms += 1
        if self._terms > _MOST_TERMS:
            raise Refusal(400, f"filter: more than {_MOST_TERMS} terms")
        if name == "not":
            inner = self.of(value, depth + 1)
            return lambda body: not inner(body)
        if name in ("or", "and"):
            return (_any if name == "or" else _all)(self._entries(value, depth + 1))
        return self._field(name, value, depth) if name in _FIELDS else None

    def _field(self, name: str, value: object, depth: int) -> Test:
        """Test one field by a value, by functions, or by functions joined."""
        key = _SPELLED.get(name, name)
        if not isinstance(value, dict):
            return _function(key, "eq", value)
        if depth > _DEEPEST:
            raise Refusal(400, "filter: too deep")
        tests: list[Test] = []
        for word, given in value.items():
            self._terms += 1
            if word == "not":
                inner = self._field(name, given, depth + 1)
                tests.append(lambda body, inner=inner: not inner(body))  # type: ignore[misc]
            elif word in ("or", "and"):
                some = given if isinstance(given, list) else [{inner_word: one} for inner_word, one in _items(given)]
                if len(some) > _MOST_TERMS:
                    raise Refusal(400, f"filter: more than {_MOST_TERMS} terms")
                tests.append((_any if word == "or" else _all)([self._field(name, one, depth + 1) for one in some]))
            else:
                tests.append(_function(key, word, given))
        return _all(tests)


def _items(given: object) -> Iterable[tuple[str, object]]:
    """Give the entries of an object."""
    if not isinstance(given, dict):
        raise Refusal(400, f"filter: {given!r:.100} is neither an object nor a list")
    return given.items()


def _all(tests: Sequence[Test]) -> Test:
    """Join by *and*."""
    return lambda body: all(test(body) for test in tests)


def _any(tests: Sequence[Test]) -> Test:
    """Join by *or*."""
    return lambda body: any(test(body) for test in tests)


_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
    "before": str.__lt__,
    "after": str.__gt__,
}


def _function(key: str, word: str, given: object) -> Test:
    """Test one field by one function."""
    if word == "eq" and (given is None or isinstance(given, str | bool | int | float)):
        return lambda body: body.get(key) == given
    if word == "in":
        values = given.get("value") if isinstance(given, dict) else given
        if isinstance(values, list):
            return lambda body: body.get(key) in values
    if word in _TEXTS and isinstance(given, str):
        return lambda body: isinstance(body.get(key), str) and _TEXTS[word](body[key], given)
    if word == "between" and isinstance(given, str) and (match := re.fullmatch(r"([\[(])(.+),\s*(.+)([\])])", given)):
        opened, first, last, closed = match.groups()
        return lambda body: (
            isinstance(value := body.get(key), str)
            and (
                (first < value or (opened == "[" and value == first))
                and (value < last or (closed == "]" and value == last))
            )
        )
    raise Refusal(
        400,
        f"filter: {word!r} with {given!r:.100} is not understood; functions are eq, in, startsWith, endsWith, "
        "contains, before, after, between",
    )


def parse_order(texts: Sequence[str]) -> Callable[[Sequence[Body]], Sequence[Body]]:
    """Make an order of ``sort=field,desc`` (any number, the first counts most); default: by name.

    Raises
    ------
    Refusal
        400: another direction.
    """
    orders: list[tuple[str, bool]] = []
    for text in texts[:10]:
        *fields, last = (part.strip() for part in text.split(","))
        if last.lower() not in ("asc", "desc"):
            fields, last = [*fields, last], "asc"
        if not fields or not all(re.fullmatch(r"\w+", field, re.ASCII) for field in fields):
            raise Refusal(400, f"sort={text} is no order; give fields, then asc or desc, as in sort=name,desc")
        orders += [(field, last.lower() == "desc") for field in fields]

    def ordered(bodies: Sequence[Body]) -> Sequence[Body]:
        for field, down in reversed(orders or [("name", False)]):
            bodies = sorted(bodies, key=lambda body: _rank(body.get(field)), reverse=down)
        return bodies

    return ordered


def _rank(value: object) -> tuple[int, float, str]:
    """Put what cannot be compared with each other side by side: nothing, numbers, texts."""
    if isinstance(value, int | float):
        return 1, float(value), ""
    return (2, 0.0, value) if isinstance(value, str) else (0, 0.0, "")


def page_of(bodies: Sequence[Body], query: QueryParams, key: str, most: int) -> dict[str, Any]:
    """Answer one page of a list: ``page`` (from 0) and ``size`` of a query, the latter cut to the most there may be.

    Raises
    ------
    Refusal
        400: not a page.
    """
    size = min(most, _whole(query.get("size"), "size", DEFAULT_SIZE, 1))
    number = _whole(query.get("page"), "page", 0, 0)
    shown = bodies[number * size : (number + 1) * size]
    page = {"size": size, "totalElements": len(bodies), "totalPages": -(-len(bodies) // size), "number": number}
    return {"_embedded": {key: shown}, "page": page}


def _whole(text: str | None, name: str, default: int, least: int) -> int:
    """Whole number of a query."""
    if not text:
        return default
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < least:
        raise Refusal(400, f"{name}={text} is not a whole number from {least} on")
    return int(text)
