"""One schema for a stream: the types the asset model declares, and how tables are brought to them; floor 7.2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames.aspect import AspectQuestion
from tsbulk_frames.assetmodel import Aspect, Variable
from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import DecodeError, ProtocolError, ServiceError
from tsbulk_frames.kinds import EXACT, TIME_TYPE, Column, arrange, floats_hold, missing, settle, widen
from tsbulk_frames.model import QC_SUFFIX, TIME, is_quality_code
from tsbulk_frames.notes import Notes, notes_of
from tsbulk_frames.request import ReadRequest

__all__ = ["Model", "Types", "arrow_type", "ask_model", "conform", "types_of"]

Types: TypeAlias = dict[str, pa.DataType]
"""Arrow type of each column, in order, ``_time`` first."""

_TYPES: Types = {
    "BOOLEAN": pa.bool_(),
    "INT": pa.int64(),
    "LONG": pa.int64(),
    "DOUBLE": pa.float64(),
    "STRING": pa.string(),
    "BIG_STRING": pa.string(),
    "TIMESTAMP": pa.string(),
}


def arrow_type(variable: Variable) -> pa.DataType:
    """Type of a variable's column in a stream; of a data type nobody knows: whatever comes, exactly."""
    return _TYPES.get(variable.data_type, EXACT)


def types_of(read: ReadRequest, connection: Connection) -> Types | None:
    """Ask the asset model for the types of what is to be read.

    Parameters
    ----------
    read : ReadRequest
        Which series, and which of their properties.
    connection : Connection
        Where.

    Returns
    -------
    dict or None
        None: the asset model cannot be read with these credentials, or does not know the aspect or a property.

    Notes
    -----
    Source: ``GET /api/assetmanagement/v3/assets/{id}/aspects``.
    """
    model = ask_model(read, connection)
    return None if model is None else model.types


@dataclass(frozen=True)
class Model:
    """What the asset model says of what is to be read.

    Attributes
    ----------
    types : dict or None
        None: it does not know a property that was named.
    notes : Notes
        Units and descriptions.
    """

    types: Types | None
    notes: Notes

    @property
    def schema(self) -> pa.Schema | None:
        """The types as a schema, with what is said of each column; None where there are no types."""
        return None if self.types is None else self.notes.annotate(pa.schema(list(self.types.items())))


def ask_model(read: ReadRequest, connection: Connection, *, needed: bool = False) -> Model | None:
    """Ask the asset model once for each series, side by side.

    Parameters
    ----------
    read : ReadRequest
        Which series, and which of their properties.
    connection : Connection
        Where.
    needed : bool
        Raise why it cannot be had.

    Returns
    -------
    Model or None
        None: it cannot be read with these credentials, or does not know the aspect.

    Raises
    ------
    NotFoundError, ServiceError, ProtocolError
        If it is needed.
    ServiceError, TransportError
        In any case where it is the way there or the service that failed: types must not depend on such luck.

    Notes
    -----
    Source: ``GET /api/assetmanagement/v3/assets/{id}/aspects``.
    """
    try:
        with AspectQuestion(read.series, connection) as question:
            aspects = question.aspects()
    except (ServiceError, ProtocolError) as error:
        if needed or error.transient:
            raise
        return None
    by_entity = {series.entity: aspect for series, aspect in zip(read.series, aspects, strict=True)}
    return Model(_types(read, aspects), notes_of(by_entity, read.select))


def _types(read: ReadRequest, aspects: Sequence[Aspect]) -> Types | None:
    """Types of the columns wanted: those that hold what each entity declares."""
    found: dict[str, list[pa.DataType]] = {}
    for aspect in aspects:
        for variable in aspect.variables:
            found.setdefault(variable.name, []).append(arrow_type(variable))
            if variable.quality_code:
                found.setdefault(variable.name + QC_SUFFIX, []).append(pa.int64())
    names = [name for name in arrange(found) if name != TIME]
    if read.select is not None:
        if not set(read.select) <= set(found):
            return None
        names = [name for one in read.select for name in (one, one + QC_SUFFIX) if name in found]
    if read.quality == "drop":
        names = [name for name in names if not is_quality_code(name)]
    return {TIME: TIME_TYPE} | {
        name: found[name][0] if len(set(found[name])) == 1 else settle([missing(1, kind) for kind in found[name]])
        for name in dict.fromkeys(names)
    }


def conform(table: pa.Table, types: Types, *, declared: bool = True) -> pa.Table:
    """Bring a table to the types of its stream, without losing a digit.

    Parameters
    ----------
    table : pyarrow.Table
        As decoded.
    types : dict
        The columns wanted; one that the table lacks is missing in it.
    declared : bool
        Whether they are all there should be, so that a quality code besides is left out; else it is a column as others.

    Raises
    ------
    DecodeError
        A value does not fit, or the table has a column that the stream does not have.
    """
    for name in table.column_names:
        code = is_quality_code(name) and name[: -len(QC_SUFFIX)] in types
        if name not in types and not (code and declared):
            instead = (
                "leave quality codes out with quality='drop'" if code else "name the properties wanted with select="
            )
            raise DecodeError(
                f"property {name!r} came up, but the stream began without it (columns: {', '.join(types)}); read it "
                f"with read_timeseries, or {instead}",
                property=name,
            )
    columns = [
        _fit(name, table[name], kind) if name in table.column_names else missing(table.num_rows, kind)
        for name, kind in types.items()
    ]
    return pa.table(columns, schema=pa.schema(list(types.items())))


def _fit(name: str, column: Column, kind: pa.DataType) -> Column:
    """Bring one column to its type."""
    if column.type == kind or column.null_count == len(column) or kind == EXACT:
        return widen(column, kind)
    numbers = column.type in (pa.int64(), pa.float64(), EXACT)
    if kind == pa.float64() and numbers and floats_hold(column):
        return widen(column, kind)
    if kind == pa.int64() and column.type == pa.float64():
        try:
            return column.cast(kind)  # safe: refuses a fraction
        except pa.ArrowInvalid:
            pass
    first = pc.index(pc.is_valid(column), True).as_py()
    raise DecodeError(
        f"property {name!r} is {kind} in this stream, but came as {column.type} (e.g. {column[first].as_py()!r}); "
        "read it with read_timeseries, which settles types over the whole range",
        property=name,
    )
