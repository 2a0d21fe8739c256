"""Time as the services spell it: ISO 8601 text to nanoseconds and back, one by one or a column at once."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pyarrow as pa

from tsbulk_frames.sandbox.arrow import INSTANT, Column, compute

__all__ = [
    "MAX_NS",
    "MIN_NS",
    "NS",
    "format_column",
    "format_ns",
    "in_range",
    "parse_column",
    "parse_ns",
]

NS = 1_000_000_000
"""Nanoseconds in a second."""
MIN_NS, MAX_NS = -(2**63) + 1, 2**63 - 1
"""What 64-bit nanoseconds can hold: 1677-09-21 to 2262-04-11."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECONDS = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_MOMENT = re.compile(rf"(?P<seconds>{_SECONDS})(?:\.(?P<fraction>[0-9]{{1,9}}))?(?P<zone>Z|[+-][0-9]{{2}}:[0-9]{{2}})")
_LOWEST = {
    len(text): np.frombuffer(text.encode(), np.uint8)
    for text in ("0000-00-00T00:00:00Z", *(f"0000-00-00T00:00:00.{'0' * digits}Z" for digits in range(1, 10)))
}
"""Spellings of a record's time by their length; a zero stands for any digit."""
_WIDEST = _LOWEST[30]
_RECORD_TIME = rf"\A{_SECONDS}(\.[0-9]{{1,9}})?Z\z"


def parse_ns(text: str, *, utc_only: bool = False) -> int:
    """Parse an ISO 8601 time such as ``2018-11-01T10:00:00.051035Z``.

    Parameters
    ----------
    text : str
        Date and time to the second, 0 to 9 fraction digits, ``Z`` or an offset ``+01:00``.
    utc_only : bool
        Refuse offsets: the time of a record ends in ``Z``.

    Returns
    -------
    int
        Exact to the nanosecond; may lie outside of what 64 bits can hold (see `in_range`).

    Raises
    ------
    ValueError
        Not such a time; the message holds the text.
    """
    match = _MOMENT.fullmatch(text)
    if match is None or (utc_only and match["zone"] != "Z"):
        zones = "'Z'" if utc_only else "'Z' or an offset"
        raise ValueError(f"{text[:60]!r} is not an ISO 8601 time with {zones} and at most 9 fraction digits")
    zone = "+00:00" if match["zone"] == "Z" else match["zone"]
    try:
        since = dt.datetime.fromisoformat(match["seconds"] + zone) - _EPOCH
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is not a time: {error}") from None
    fraction = (match["fraction"] or "").ljust(9, "0")
    return (since.days * 86_400 + since.seconds) * NS + int(fraction)


def in_range(ns: int) -> int:
    """Give the same moment, or the nearest one that 64-bit nanoseconds can hold."""
    return min(max(ns, MIN_NS), MAX_NS)


def format_ns(ns: int) -> str:
    """ISO 8601 with ``Z`` and 0, 3, 6 or 9 fraction digits, as few as are exact."""
    seconds, fraction = divmod(ns, NS)
    text = (_EPOCH + dt.timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    if fraction:
        digits = f"{fraction:09d}"
        while digits.endswith("000"):
            digits = digits[:-3]
        text += f".{digits}"
    return text + "Z"


def parse_column(texts: Column) -> Column:
    """Parse a column of record times, each ending in ``Z``.

    Raises
    ------
    ValueError
        One of them is missing or no time; ``error.args[1]`` is its position.
    """
    if (
        _evenly_spelled(texts)
        or compute.all(compute.match_substring_regex(texts, _RECORD_TIME), skip_nulls=False).as_py()
    ):
        try:
            return texts.cast(INSTANT)
        except pa.ArrowInvalid:  # right in form, but no such day or outside of 64 bits: the loop below names it
            pass
    for position, text in enumerate(texts.to_pylist()):
        if text is None:
            raise ValueError("_time is missing", position)
        try:
            ns = parse_ns(text, utc_only=True)
        except ValueError as error:
            raise ValueError(f"_time {error}", position) from None
        if ns != in_range(ns):
            raise ValueError(f"_time {text!r} is outside of what nanoseconds can hold (1677 to 2262)", position)
    raise AssertionError("unreachable: Arrow refused a time that was found right")


def _evenly_spelled(texts: Column) -> bool:
    """Whether all are `_RECORD_TIME` with as many digits each: a look at the bytes is quicker than the expression."""
    _, offsets, data = texts.buffers()
    if texts.null_count or not len(texts) or offsets is None or data is None:
        return False
    ends = np.frombuffer(memoryview(offsets), np.int32)[texts.offset : texts.offset + len(texts) + 1]
    width = int(ends[1] - ends[0])
    if width not in _LOWEST or (np.diff(ends) != width).any():
        return False
    letters = np.frombuffer(memoryview(data), np.uint8)[ends[0] : ends[-1]].reshape(-1, width)
    lowest = _LOWEST[width]
    return bool((letters - lowest <= np.where(lowest == ord("0"), np.uint8(9), np.uint8(0))).all())


def format_column(times: Column) -> Column:
    """Spell times as `format_ns` does; at least one time, ascending, none missing."""
    ns = times.cast(pa.int64()).to_numpy()
    seconds = ns // NS
    days = seconds // 86_400
    fraction, clock = (ns - seconds * NS).astype(np.uint32), (seconds - days * 86_400).astype(np.uint32)
    letters = np.empty((len(ns), len(_WIDEST)), np.uint8)
    letters[:] = _WIDEST
    new = np.diff(days, prepend=days[0] - 1) != 0
    dates = np.datetime_as_string(days[new].astype("datetime64[D]")).astype("S10").view("(10,)u1")
    letters[:, :10] = dates[0] if len(dates) == 1 else dates[np.cumsum(new) - 1]
    minutes = clock // 60
    hours = minutes // 60
    for at, digits, number in (
        (11, 2, hours),
        (14, 2, minutes - hours * 60),
        (17, 2, clock - minutes * 60),
        (20, 9, fraction),
    ):
        for place in range(at + digits - 1, at - 1, -1):
            tens = number // 10
            letters[:, place] = number - tens * 10 + ord("0")
            number = tens
    micros, millis = fraction // 1_000, fraction // 1_000_000
    width = np.select([fraction == 0, fraction == millis * 1_000_000, fraction == micros * 1_000], [20, 24, 27], 30)
    letters[np.arange(len(ns)), width - 1] = ord("Z")
    widest = int(width.max())
    text = letters[:, :widest].ravel() if (width == widest).all() else letters[np.arange(30) < width[:, None]]
    ends = np.zeros(len(ns) + 1, np.int32)
    np.cumsum(width, out=ends[1:])
    return pa.StringArray.from_buffers(len(ns), pa.py_buffer(ends.data), pa.py_buffer(text.data))
