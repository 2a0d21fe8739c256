"""The exact way to read: records by `json`, for pages that Arrow refuses or might read differently; pure.

Slow, complete, and precise about what is wrong: each error names page, record and property.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import pyarrow as pa

from tsbulk_frames._cut import RawPage
from tsbulk_frames.errors import DecodeError
from tsbulk_frames.kinds import TIME_TYPE, Cells, column_of
from tsbulk_frames.model import MAX_NS, MIN_NS, NS_PER_SECOND, TIME

__all__ = ["STRICT", "parse_json", "read_exact", "reason"]

_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?"
    r"(?:Z|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)",
    re.ASCII,
)


def read_exact(page: RawPage, exact: Collection[str] = ()) -> pa.Table:
    """Read one page by `json`, saying where it breaks the contract; columns `exact` keep each value's own kind."""
    number = page.number
    try:
        records = parse_json(b"[" + page.body[page.start : page.stop] + b"]")
    except (ValueError, RecursionError) as error:
        raise DecodeError(
            f"page {number} is not JSON: {reason(error)}; nothing of it was used; ask for the range again, and report "
            "it if it stays",
            page=number,
        ) from error
    names: dict[str, None] = {}
    times = []
    for at, record in enumerate(records):
        if not isinstance(record, dict):
            _refuse(page, at, None, f"is {record!r:.80}; expected is an object")
        names.update(dict.fromkeys(record))
        times.append(_parse_time(page, at, record))
    columns: dict[str, Cells] = {TIME: pa.array(times, pa.int64()).cast(TIME_TYPE)}
    for name in names:
        if name == TIME:
            continue
        values = [record.get(name) for record in records]
        try:
            name.encode()
            columns[name] = column_of(values, exact=name in exact)
        except UnicodeEncodeError as error:
            first = next(at for at, record in enumerate(records) if name in record)
            _refuse(page, first, name, "has a name that is not Unicode text", error)
        except (ValueError, RecursionError) as error:
            first = next(at for at, value in enumerate(values) if not _spellable(value))
            _refuse(page, first, name, f"is {values[first]!r:.80}; expected is a 64-bit number", error)
    return pa.table(columns)


def _parse_time(page: RawPage, at: int, record: Mapping[str, object]) -> int:
    """Nanoseconds since the epoch, exactly, or the error that names the record."""
    text = record.get(TIME)
    if not isinstance(text, str):
        _refuse(page, at, TIME, f"is {text!r:.80}" if TIME in record else "is missing")
    match = _TIME.fullmatch(text)
    if match is None:
        _refuse(page, at, TIME, f"is {text!r:.80}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    except ValueError as error:
        _refuse(page, at, TIME, f"is {text!r} ({error})", error)
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    offset = (int(match[9] or 0) * 60 + int(match[10] or 0)) * 60 * (-1 if match[8] == "-" else 1)
    ns = (since.days * 86_400 + since.seconds - offset) * NS_PER_SECOND + int((match[7] or "").ljust(9, "0"))
    if not MIN_NS <= ns <= MAX_NS:
        _refuse(page, at, TIME, f"is {text!r}, outside of 1677-09-21 to 2262-04-11")
    return ns


def _refuse(page: RawPage, at: int, name: str | None, what: str, cause: BaseException | None = None) -> NoReturn:
    """Raise the one form of message for a record that breaks the contract."""
    place = f"page {page.number}, record {at}" + (f": {name!r}" if name is not None else "")
    advice = "; expected is ISO 8601 with Z, up to nanoseconds" if name == TIME else ""
    raise DecodeError(
        f"{place} {what}{advice}; nothing of this page was used", page=page.number, record=at, property=name
    ) from cause


def parse_json(text: bytes) -> Any:
    """Parse as `json` does, but strictly: UTF-8 (a byte order mark is let pass), and no NaN or Infinity."""
    return STRICT.decode(text.decode("utf-8-sig"))


def _no_constant(name: str) -> NoReturn:
    """Refuse what JSON does not know."""
    raise ValueError(f"{name} is not JSON")


STRICT = json.JSONDecoder(parse_constant=_no_constant)
"""As `json` decodes, without NaN and Infinity."""


def _spellable(value: object) -> bool:
    """Whether JSON has a spelling for a value."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return True


def reason(error: Exception) -> str:
    """Say what `json` met, in one line."""
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
