"""Which Arrow type a property gets: the one rule table, shared by decoding, unifying and framing; pure.

========================================  =======================  ======================================
JSON values of a property                 Arrow                    pandas (default back end)
========================================  =======================  ======================================
true, false                               bool                     bool; ``boolean`` where cells are missing
integers, all within 64 bits              int64                    int64; ``Int64`` where cells are missing
numbers with fraction or exponent         float64                  float64, missing is NaN
integers and floats, each integer exact   float64                  float64
integers and floats, an integer inexact   exact                    object: Python int and float
integers beyond 64 bits                   exact                    object: Python int
text, whatever it looks like              string                   ``str`` (pandas 2: object with None)
text with lone surrogates                 exact                    object: Python str
bool, number, text beside one another     exact                    object: Python values
objects, arrays                           exact                    object: dict, list
only null                                 null                     float64, all NaN
integers of a ``<property>_qc``           int64                    ``Int64``, always
========================================  =======================  ======================================

*Exact* is the extension type ``pyarrow.json_()``: the JSON text of each value, equal to what `json.loads` gives.
An integer is *exact* as a float if ``int(float(i)) == i``. Where pages decoded apart meet and one of them had
already settled integers and floats as float64, its integers stay floats of the same value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames.model import QC_SUFFIX, TIME, is_quality_code

__all__ = [
    "EXACT",
    "Cells",
    "Column",
    "TIME_TYPE",
    "arrange",
    "as_exact",
    "column_of",
    "exact_column",
    "exact_values",
    "missing",
    "settle",
    "widen",
]

Cells: TypeAlias = "pa.Array[Any]"
"""Part of a column, in one piece."""
Column: TypeAlias = "pa.ChunkedArray[Any]"
"""Column of a table."""
TIME_TYPE: pa.DataType = pa.timestamp("ns", "UTC")
"""Type of ``_time``."""
EXACT: pa.DataType = pa.json_()
"""Type of what no plain column holds without loss."""
EXACT_FLOAT_LIMIT = 2**53
"""Up to here every integer is a float64 too."""
_SPELL = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def arrange(names: Iterable[str]) -> list[str]:
    """Order of a table's columns: ``_time``, then by first appearance, each quality code behind its property."""
    seen = dict.fromkeys(names)
    seen.pop(TIME, None)
    owned = {name for name in seen if is_quality_code(name) and name[: -len(QC_SUFFIX)] in seen}
    ordered = [TIME]

    def place(name: str) -> None:
        while True:  # a quality code may itself be the property of another
            ordered.append(name)
            name += QC_SUFFIX
            if name not in owned:
                return

    for name in seen:
        if name not in owned:
            place(name)
    return ordered


def settle(columns: Sequence[Column]) -> pa.DataType:
    """Type in which the parts of one property can stand in one column without losing a digit."""
    filled = [column for column in columns if column.null_count < len(column)]
    if not filled:
        return next((column.type for column in columns if not pa.types.is_null(column.type)), pa.null())
    types = {column.type for column in filled}
    if len(types) == 1:
        return types.pop()  # type: ignore[no-any-return]
    if pa.float64() in types and types <= {pa.int64(), pa.float64(), EXACT}:
        return pa.float64() if all(floats_hold(column) for column in filled) else EXACT
    return EXACT


def floats_hold(column: Column) -> bool:
    """Whether every value is a number, and the same number as a float64."""
    if pa.types.is_floating(column.type):
        return True
    if column.type == EXACT:
        values = exact_values(column)
        return {type(value) for value in values} <= {int, float, type(None)} and all(
            value is None or (abs(value) < 2**1023 and float(value) == value) for value in values
        )
    return _floats_hold_integers(column)


def exact_values(exact: Column) -> list[Any]:
    """Python values of a column of the exact kind."""
    texts = exact.cast(pa.string()).to_pylist()
    values: list[Any] = json.loads(f"[{','.join('null' if text is None else text for text in texts)}]")
    return values


def _floats_hold_integers(integers: Column) -> bool:
    """Whether every integer of an int64 column is the same number as a float64."""
    bounds = pc.min_max(integers).as_py()
    if bounds["min"] is None or (bounds["min"] >= -EXACT_FLOAT_LIMIT and bounds["max"] <= EXACT_FLOAT_LIMIT):  # type: ignore[call-overload]
        return True
    return all(int(float(value)) == value for value in integers.to_pylist() if value is not None)


def widen(column: Column, target: pa.DataType) -> Column:
    """Bring a part of a property to the type that `settle` found for the whole."""
    if column.type == target:
        return column
    if column.null_count == len(column):
        return missing(len(column), target)
    if target == EXACT:
        return as_exact(column)
    if column.type == EXACT:
        floats = [None if value is None else float(value) for value in exact_values(column)]
        return pa.chunked_array([pa.array(floats, pa.float64())])
    return column.cast(target, safe=False)  # `settle` proved that floats hold these integers


def missing(rows: int, kind: pa.DataType) -> Column:
    """Build a column without any value: Arrow makes none of an extension type by itself."""
    if kind == EXACT:
        return pa.chunked_array([pa.ExtensionArray.from_storage(EXACT, pa.nulls(rows, pa.string()))])  # type: ignore[arg-type, list-item]
    return pa.chunked_array([pa.nulls(rows, kind)])  # type: ignore[call-overload]


def as_exact(column: Column) -> Column:
    """Turn a plain column into the JSON text of its values."""
    return pa.chunked_array([exact_column(column.to_pylist())])


def exact_column(values: Iterable[object]) -> Cells:
    """JSON text of Python values, as `json.loads` reads them back; None is missing.

    Raises
    ------
    ValueError
        A float that JSON has no spelling for.
    """
    texts = [None if value is None else _SPELL(value) for value in values]
    return pa.ExtensionArray.from_storage(EXACT, pa.array(texts, pa.string()))  # type: ignore[arg-type]


def column_of(values: Sequence[object], *, exact: bool = False) -> Cells:
    """Column of parsed JSON values by the rule table, or of the exact kind right away.

    Raises
    ------
    ValueError
        A float that JSON has no spelling for (``1e400``, read as infinity).
    """
    kinds = {type(value) for value in values} - {type(None)}
    if float in kinds and not np.isfinite([value for value in values if type(value) is float]).all():
        raise ValueError("a number is too large for a 64-bit float")
    if not kinds and not exact:
        return pa.nulls(len(values))
    if exact or (len(kinds) > 1 and kinds != {int, float}):
        return exact_column(values)
    try:
        if kinds == {str}:
            return pa.array(values, pa.string())
        if kinds == {bool}:
            return pa.array(values, pa.bool_())
        if kinds == {int}:
            return pa.array(values, pa.int64())
        if kinds == {float}:
            return pa.array(values, pa.float64())
        if kinds == {int, float} and all(int(float(v)) == v for v in values if type(v) is int):
            return pa.array([None if v is None else float(v) for v in values], pa.float64())  # type: ignore[arg-type]
    except (OverflowError, UnicodeEncodeError):
        pass  # beyond 64 bits, or text that is not Unicode: only the exact kind holds these
    return exact_column(values)
