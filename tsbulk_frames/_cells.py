"""The rules for the cells of one column to be written, whatever table or frame it stands in; pure.

Each says what is wrong by a `FrameError`. Those that can say several things give them to `tell`, which by default
raises the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames._exact import STRICT
from tsbulk_frames.errors import FrameError
from tsbulk_frames.kinds import Column, exact_column
from tsbulk_frames.model import format_time

__all__ = [
    "AT_FAULT",
    "NAT",
    "Mask",
    "NEXT_STEP",
    "PLAIN",
    "Nanoseconds",
    "Tell",
    "check_column",
    "check_scalars",
    "is_unicode",
    "offence",
    "presence",
    "refuse",
    "spell_moment",
]

PLAIN = frozenset({NoneType, bool, int, float, str})
"""Types of the Python values that a cell can have."""
NAT = -(2**63)
"""How NumPy spells a missing time."""
NEXT_STEP = "before write_timeseries"

AT_FAULT: pa.DataType = pa.int8()
"""Type of what stands in for a column that was told to be at fault; no good column has it."""

Mask: TypeAlias = npt.NDArray[np.bool_]
Nanoseconds: TypeAlias = npt.NDArray[np.int64]
Tell: TypeAlias = Callable[[FrameError], None]
"""Where a broken rule goes."""

_FIXES: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_timestamp, "write it as text, e.g. .dt.strftime('%Y-%m-%dT%H:%M:%S.%fZ')"),
    (pa.types.is_date, "write it as text, e.g. .astype(str)"),
    (pa.types.is_time, "write it as text, e.g. .astype(str)"),
    (pa.types.is_duration, "write it as a number, e.g. .dt.total_seconds()"),
    (pa.types.is_decimal, "turn it into a number, e.g. .astype('float64')"),
    (pa.types.is_nested, "give each member a column of its own, or write it as text with json.dumps"),
)


def refuse(error: FrameError) -> None:
    """Raise the first broken rule: right for everybody but a plan.

    Raises
    ------
    FrameError
        What it was given.
    """
    raise error


def presence(present: Mask) -> Column:
    """Stand in for a column at fault: it shows where there are values, which the rules for rows ask."""
    return pa.chunked_array([pa.array(np.ones(len(present), np.int8), AT_FAULT, mask=~present)])


def offence(name: str, what: str, fix: str, bad: Mask, ns: Nanoseconds) -> FrameError:
    """Word values at fault in the one form, all of them counted."""
    rows = np.flatnonzero(bad)
    return FrameError(
        f"column {name!r}: {len(rows)} of {len(bad)} values are {what} (first at {spell_moment(ns[rows[0]])}); "
        f"{fix} {NEXT_STEP}",
        column=name,
        rows=rows.tolist(),
    )


def spell_moment(ns: np.int64) -> str:
    """Spell the time of a row, which may itself be at fault."""
    return "a missing time" if ns == NAT else format_time(int(ns))


def check_scalars(name: str, values: Sequence[object], ns: Nanoseconds, tell: Tell = refuse) -> None:
    """Refuse Python values that no cell of a record can have.

    Raises
    ------
    FrameError
        Anything but None, bool, integers within 64 bits, finite floats and Unicode text. The last rule broken; those
        before it were told.
    """
    present = set(map(type, values))
    found: FrameError | None = None
    for suspect, what, fix, is_bad in _SCALAR_RULES:
        if suspect not in present if suspect else present <= PLAIN:
            continue
        bad = np.fromiter((is_bad(value) for value in values), np.bool_, len(values))
        if bad.any():
            kinds = sorted({type(value).__name__ for value, flag in zip(values, bad, strict=True) if flag})
            if found is not None:
                tell(found)
            found = offence(name, what.format(kinds=", ".join(kinds)), fix, bad, ns)
    if found is not None:
        raise found


_SCALAR_RULES: tuple[tuple[type | None, str, str, Callable[[Any], bool]], ...] = (
    (
        None,
        "of a type that cannot be written ({kinds})",
        "write them as number, bool or text (e.g. .astype(str), .dt.strftime, json.dumps)",
        lambda value: type(value) not in PLAIN,
    ),
    (float, "inf", "drop or replace them", lambda value: type(value) is float and math.isinf(value)),
    (
        int,
        "integers beyond 64 bits",
        "write them as text or float",
        lambda value: type(value) is int and not -(2**63) <= value < 2**63,
    ),
    (
        str,
        "not Unicode text (lone surrogates)",
        "replace them, e.g. .map(lambda s: s.encode('utf-8', 'replace').decode()),",
        lambda value: type(value) is str and not is_unicode(value),
    ),
)


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold a text: lone surrogates are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_column(name: str, column: Column, ns: Nanoseconds, tell: Tell = refuse) -> Column:
    """Bring a column to one of the codec's types, and check its values.

    Raises
    ------
    FrameError
        A type, or a value, that no record can have. What else is wrong with the column was told.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if isinstance(kind, pa.JsonType):
        values = _parsed(name, column.cast(kind.storage_type), ns)
        check_scalars(name, values, ns, tell)
        return pa.chunked_array([exact_column(values)])
    if pa.types.is_floating(kind):
        return _finite(name, column.cast(pa.float64()), ns)
    if pa.types.is_uint64(kind):
        bad = pc.greater(column, pa.scalar(2**63 - 1, pa.uint64())).fill_null(False)
        if pc.any(bad, min_count=0).as_py():  # type: ignore[arg-type]
            raise offence(name, "integers beyond 64 bits", "write them as text or float", bad.to_numpy(), ns)
        return column.cast(pa.int64())
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _text(name, column, ns)
    fix = next((fix for test, fix in _FIXES if test(kind)), "write it as number, bool or text")
    raise FrameError(f"column {name!r} is {kind}, which cannot be written; {fix}", column=name)


def _finite(name: str, column: Column, ns: Nanoseconds) -> Column:
    """Floats without NaN, which is a missing cell here; infinities are none of JSON's numbers."""
    if pc.all(pc.is_finite(column), min_count=0).as_py():
        return column
    infinite = pc.is_inf(column).fill_null(False)
    if pc.any(infinite).as_py():  # type: ignore[arg-type]
        raise offence(name, "inf", "drop or replace them", infinite.to_numpy(), ns)
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)  # type: ignore[no-any-return]


def _text(name: str, column: Column, ns: Nanoseconds) -> Column:
    """Text of any Arrow type, as 32-bit strings; what is not UTF-8 is refused."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raw = column.cast(pa.large_binary()).to_pylist()
        bad = np.fromiter((value is not None and not _is_utf8(value) for value in raw), np.bool_, len(raw))
        raise offence(name, "not UTF-8 text", "replace them", bad, ns) from None
    if pa.types.is_string(column.type):
        return column
    return pa.chunked_array([chunk.cast(pa.string()) for chunk in column.chunks], pa.string())


def _parsed(name: str, texts: Column, ns: Nanoseconds) -> list[object]:
    """Values of a caller's JSON texts."""
    values: list[object] = []
    bad = np.zeros(len(texts), np.bool_)
    for at, text in enumerate(_text(name, texts, ns).to_pylist()):
        try:
            values.append(None if text is None else STRICT.decode(text))
        except (ValueError, RecursionError):
            bad[at] = True
    if bad.any():
        raise offence(name, "not JSON", "replace them", bad, ns)
    return values


def _is_utf8(raw: bytes) -> bool:
    """Whether bytes are UTF-8 text."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
