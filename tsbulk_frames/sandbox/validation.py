"""What the contract says of import content: columns by data type, values, times; and of a job's request.

Here is only what can be decided by looking at a table of records or at the request's numbers; how records come out of a
file is the matter of `records`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tsbulk_frames.sandbox.arrow import INSTANT, Column, compute, flat
from tsbulk_frames.sandbox.model import Aspect, DataType
from tsbulk_frames.sandbox.moments import parse_column, parse_ns

__all__ = ["Invalid", "JsonValue", "check_table", "convert", "wire_schema"]

JsonValue = object
"""What the JSON decoder gives for a value."""

_ARROW: dict[DataType, Any] = {
    "BOOLEAN": pa.bool_(),
    "INT": pa.int64(),
    "LONG": pa.int64(),
    "DOUBLE": pa.float64(),
    "STRING": pa.string(),
    "BIG_STRING": pa.string(),
    "TIMESTAMP": pa.string(),
}
_MAX_LENGTH: dict[DataType, int] = {"STRING": 255, "BIG_STRING": 100_000}
_INT = (-(2**31), 2**31 - 1)
_LONG = (-(2**63), 2**63 - 1)
_INTEGER_TEXT = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER_TEXT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass
class Invalid(ValueError):
    """Content that the service refuses.

    Attributes
    ----------
    message : str
        What is wrong, with the value seen and what is accepted.
    record : int or None
        Position of the record at fault, from 0.
    """

    message: str
    record: int | None = None

    def __str__(self) -> str:
        return self.message if self.record is None else f"record {self.record}: {self.message}"


def wire_schema(aspect: Aspect) -> pa.Schema:
    """Columns that a record of `aspect` may have: ``_time`` as text, each property, its quality code behind it."""
    fields: list[pa.Field[Any]] = [pa.field("_time", pa.string())]
    for variable in aspect.variables.values():
        fields.append(pa.field(variable.name, _ARROW[variable.data_type]))
        if variable.quality_code:
            fields.append(pa.field(f"{variable.name}_qc", pa.int64()))
    return pa.schema(fields)


def convert(data_type: DataType) -> Callable[[JsonValue], JsonValue]:
    """Give the conversion of a JSON value to a property's data type, JSON strings included.

    The conversion gives None for a missing value (null or, unless a text is expected, an empty text) and raises
    ValueError for what does not convert. Lengths and times are checked by `check_table`.
    """
    return _CONVERT[data_type]


def _boolean(value: JsonValue) -> JsonValue:
    """JSON booleans and their names."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if value == "":
        return None
    raise ValueError("accepted are true and false")


def _integer(low: int, high: int) -> Callable[[JsonValue], JsonValue]:
    """JSON integers, and texts of them, within the type's range."""

    def converted(value: JsonValue) -> JsonValue:
        if value is None or value == "":
            return None
        if isinstance(value, str) and _INTEGER_TEXT.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"accepted are integers from {low} to {high}")
        return value

    return converted


def _double(value: JsonValue) -> JsonValue:
    """JSON numbers, and texts of them, that are finite."""
    if value is None or value == "":
        return None
    number = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    elif isinstance(value, str) and _NUMBER_TEXT.fullmatch(value):
        number = float(value)
    if not math.isfinite(number):
        raise ValueError("accepted are finite numbers")
    return number


def _text(value: JsonValue) -> JsonValue:
    """JSON strings; a number is not a text."""
    if value is None or isinstance(value, str):
        return value
    raise ValueError("accepted are JSON strings")


_CONVERT: dict[DataType, Callable[[JsonValue], JsonValue]] = {
    "BOOLEAN": _boolean,
    "INT": _integer(*_INT),
    "LONG": _integer(*_LONG),
    "DOUBLE": _double,
    "STRING": _text,
    "BIG_STRING": _text,
    "TIMESTAMP": _text,
}


def check_table(table: pa.Table, aspect: Aspect) -> pa.Table:
    """Check records in Arrow's types and parse their times.

    Parameters
    ----------
    table : pyarrow.Table
        Of `wire_schema`; numbers and texts as they came.
    aspect : Aspect
        Data types and lengths.

    Returns
    -------
    pyarrow.Table
        The same with ``_time`` as ``timestamp[ns, UTC]``, and with empty texts of TIMESTAMP properties missing.

    Raises
    ------
    Invalid
        A time that is none, a value outside of its type's range, a record without any value; with the record's
        position in the table.
    """
    try:
        times = parse_column(flat(table["_time"]))
    except ValueError as error:
        raise Invalid(*error.args) from None
    for variable in aspect.variables.values():
        if variable.data_type == "TIMESTAMP":
            table = _empty_is_missing(table, variable.name)
        _check_values(flat(table[variable.name]), variable.name, variable.data_type, variable.length)
    valued = np.zeros(table.num_rows, bool)
    for name in table.column_names[1:]:
        if valued.all():
            break
        valued |= table[name].is_valid().to_numpy()
    if not valued.all():
        raise Invalid("holds no value; a record needs at least one property", int(np.argmin(valued)))
    return table.set_column(0, pa.field("_time", INSTANT), times)


def _check_values(values: Column, name: str, data_type: DataType, length: int | None) -> None:
    """Refuse what Arrow's type admits and the property's data type does not."""
    if values.null_count == len(values):
        return
    if data_type == "DOUBLE":
        _refuse_if(compute.invert(compute.is_finite(values)), values, f"{name} is not finite")
    elif data_type == "INT":
        wrong = compute.or_(compute.less(values, _INT[0]), compute.greater(values, _INT[1]))
        _refuse_if(wrong, values, f"{name} does not fit into INT (32 bit)")
    elif data_type in _MAX_LENGTH:
        most = min(_MAX_LENGTH[data_type], length or _MAX_LENGTH[data_type])
        wrong = compute.greater(compute.utf8_length(values), most)
        _refuse_if(wrong, values, f"{name} is longer than the {most} characters of {data_type}")
    elif data_type == "TIMESTAMP":
        _check_moments(values, name)


def _check_moments(values: Column, name: str) -> None:
    """Refuse texts that are no times; the usual kind is looked at all at once."""
    try:
        parse_column(values.drop_null())
    except ValueError:
        for position, text in enumerate(values.to_pylist()):
            try:
                if text is not None:
                    parse_ns(text)
            except ValueError as error:
                raise Invalid(f"{name}: {error}", position) from None


def _empty_is_missing(table: pa.Table, name: str) -> pa.Table:
    """Drop empty texts where a time is expected: programs that write everything as text mean a missing value."""
    values = flat(table[name])
    empty = compute.fill_null(compute.equal(values, ""), False)
    if not compute.any(empty).as_py():
        return table
    at = table.column_names.index(name)
    return table.set_column(at, table.field(name), compute.if_else(empty, pa.scalar(None, pa.string()), values))


def _refuse_if(wrong: Column, values: Column, message: str) -> None:
    """Raise for the first value at fault."""
    position = compute.index(wrong, True).as_py()
    if position >= 0:
        raise Invalid(f"{message}: {str(values[position].as_py())[:60]!r}", position)
