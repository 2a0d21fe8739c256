"""Spelling of a request: path, query and header values, such that nothing on the way can change them; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from tsbulk_frames.errors import FrameError

__all__ = ["header_value", "next_link", "path_of", "query_of"]

_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s\",;]*))?)*)\s*(?:,|$)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s\",;]*))", re.IGNORECASE)


def path_of(segments: Sequence[str]) -> str:
    """Escape each segment by itself (RFC 3986) and join them.

    Raises
    ------
    FrameError
        A segment is empty, ``.`` or ``..``: proxies and servers resolve those, whatever their escaping.

    Examples
    --------
    >>> from tsbulk_frames.wire import path_of
    >>> path_of(["files", "a b/ä", "%2e"])
    '/files/a%20b%2F%C3%A4/%252e'
    """
    return "".join("/" + _segment(segment) for segment in segments)


def _segment(segment: str) -> str:
    """Escape everything that is not unreserved."""
    if not isinstance(segment, str) or segment in ("", ".", ".."):
        raise FrameError(
            f"{segment!r} cannot be part of a path; give a non-empty str other than '.' and '..' as each part of an "
            "entity, property set, job id or file path"
        )
    return _quoted(segment, "")


def query_of(query: Mapping[str, str]) -> str:
    """Escape names and values; ``:`` and ``,`` stay readable.

    Raises
    ------
    FrameError
        A value that is no text UTF-8 can hold.

    Examples
    --------
    >>> from tsbulk_frames.wire import query_of
    >>> query_of({"from": "2024-01-01T00:00:00+01:00", "select": "a,b c"})
    '?from=2024-01-01T00:00:00%2B01:00&select=a,b%20c'
    """
    pairs = (f"{_quoted(name, '')}={_quoted(value, ':,')}" for name, value in query.items())
    text = "&".join(pairs)
    return f"?{text}" if text else ""


def _quoted(text: str, safe: str) -> str:
    """Percent-encode, refusing what has no UTF-8 form."""
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise FrameError(f"{text!r} holds half a surrogate pair and cannot be sent; remove it") from None


def header_value(name: str, value: str) -> str:
    """Accept only what every server reads alike: printable ASCII.

    Raises
    ------
    FrameError
        Any other character; the value is shown, as no secret passes here.
    """
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        raise FrameError(f"{name}={value!r} cannot be sent as a header; accepted are printable ASCII characters")
    return value


def next_link(header: str | None) -> str | None:
    """Find the URL of ``rel="next"`` in a ``Link`` header.

    Examples
    --------
    >>> from tsbulk_frames.wire import next_link
    >>> next_link('<https://a/1>; rel="first", <https://a/2?x=1,2>; rel="next"')
    'https://a/2?x=1,2'
    """
    for match in _LINK.finditer(header or ""):
        rel = _REL.search(match[2])
        if rel and "next" in (rel[1] or rel[2] or "").lower().split() and match[1]:
            return match[1]
    return None
