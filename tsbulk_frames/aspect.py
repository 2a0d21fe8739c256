"""What assets say of themselves before data is read or written: kind, and variables of an aspect; floor 6.1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames._cells import AT_FAULT, Mask, Tell, offence
from tsbulk_frames.assetmodel import Aspect, Variable
from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import FrameError, NotFoundError, TsBulkError
from tsbulk_frames.kinds import EXACT, Column, exact_values
from tsbulk_frames.model import QC_SUFFIX, TIME, Series, TwinType, is_quality_code
from tsbulk_frames.paging import times_of
from tsbulk_frames.stop import Stop

__all__ = ["AspectQuestion", "Target", "ask_aspect", "ask_target", "check_variables", "refuse_variables"]


@dataclass(frozen=True)
class _Rule:
    """What columns a data type takes, and how a wrong one is mended."""

    arrow: tuple[pa.DataType, ...]
    python: frozenset[type]
    fix: str


_INTEGERS = _Rule((pa.int64(),), frozenset({int}), "use .astype('Int64')")
_TEXT = _Rule((pa.string(),), frozenset({str}), "use .astype(str)")
_RULES = {
    "BOOLEAN": _Rule((pa.bool_(),), frozenset({bool}), "use .astype('boolean')"),
    "INT": _INTEGERS,
    "LONG": _INTEGERS,
    "DOUBLE": _Rule((pa.float64(), pa.int64()), frozenset({int, float}), "use .astype('float64')"),
    "STRING": _TEXT,
    "BIG_STRING": _TEXT,
    "TIMESTAMP": _TEXT,
}
_LENGTHS = {"STRING": 255, "BIG_STRING": 100_000}


@dataclass(frozen=True)
class Target:
    """Where data is to go.

    Attributes
    ----------
    twin_type : TwinType
        Kind of the asset.
    variables : tuple of Variable
        Of the aspect.
    """

    twin_type: TwinType
    variables: tuple[Variable, ...]


def ask_target(series: Series, connection: Connection) -> Target:
    """Ask the asset of which kind it is, and what its aspect holds.

    Raises
    ------
    NotFoundError
        No such asset, or it has no such aspect.

    Notes
    -----
    Source: ``GET /api/assetmanagement/v3/assets/{id}`` and ``…/assets/{id}/aspects``.
    """
    asset = connection.assets.get_asset(series.entity)
    return Target(asset.twin_type, ask_aspect(series, connection).variables)


def ask_aspect(series: Series, connection: Connection, stop: Stop | None = None) -> Aspect:
    """Ask the asset for one of its aspects.

    Raises
    ------
    NotFoundError
        No such asset, or it has no such aspect.

    Notes
    -----
    Source: ``GET /api/assetmanagement/v3/assets/{id}/aspects``.
    """
    aspects = {aspect.name: aspect for aspect in connection.assets.get_aspects(series.entity, stop=stop)}
    if series.property_set not in aspects:
        raise NotFoundError(
            f"asset {series.entity!r} has no aspect {series.property_set!r}; "
            f"it has {', '.join(sorted(aspects)) or 'none'}",
            status=404,
        )
    return aspects[series.property_set]


class AspectQuestion:
    """The aspects of some series, asked for while something else is done; a context manager, whose end ends the asking.

    Parameters
    ----------
    series : sequence of Series
        Each is asked once.
    connection : Connection
        Where.
    on_failure : callable, optional
        Called, by another thread, as soon as one cannot be had.
    """

    def __init__(
        self, series: Sequence[Series], connection: Connection, on_failure: Callable[[], None] | None = None
    ) -> None:
        self._stop = Stop()
        self._on_failure = on_failure
        self._failure: TsBulkError | None = None
        workers = min(connection.config.max_workers, len(series))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="tsbulk-aspects")
        self._asked = [self._pool.submit(self._ask, one, connection) for one in series]

    def __enter__(self) -> AspectQuestion:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.now()
        self._pool.shutdown(cancel_futures=True)

    def answers(self) -> list[Aspect | TsBulkError]:
        """Wait for all answers, in the order of the series: the aspect, or why it cannot be had."""
        return [one.result() for one in self._asked]

    def aspects(self) -> list[Aspect]:
        """Wait for all aspects.

        Raises
        ------
        NotFoundError
            No such asset, or it has no such aspect.
        ServiceError, TransportError, ProtocolError
            See `AssetsClient.get_aspects`.
        """
        found = []
        for one in self._asked:
            answer = one.result()
            if not isinstance(answer, Aspect):
                raise answer
            found.append(answer)
        return found

    @property
    def failure(self) -> TsBulkError | None:
        """The first failure there is so far; waits for nothing."""
        return self._failure

    def _ask(self, series: Series, connection: Connection) -> Aspect | TsBulkError:
        """Ask for one aspect, in a thread of the pool."""
        try:
            return ask_aspect(series, connection, self._stop)
        except TsBulkError as error:
            self._failure = self._failure or error
            if self._on_failure is not None and not self._stop.asked:
                self._on_failure()
            return error


def check_variables(table: pa.Table, variables: Sequence[Variable], tell: Tell) -> None:
    """Hold the columns of a checked table against the variables of the aspect.

    Parameters
    ----------
    table : pyarrow.Table
        As `tsbulk_frames.frames.check_table` returns it.
    variables : sequence of Variable
        Of the aspect.
    tell : callable
        Takes what is wrong: a column that the aspect does not have; a quality code of a variable that has none; a
        type, an integer beyond 32 bits (``INT``) or a text that is longer than the variable takes.
    """
    known = {variable.name: variable for variable in variables}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == TIME or column.type == AT_FAULT:
            continue
        owner = known.get(name[: -len(QC_SUFFIX)]) if is_quality_code(name) else None
        if name in known:
            _check_variable(known[name], column, table, tell)
        elif owner is None:
            tell(
                FrameError(
                    f"column {name!r} is no variable of the aspect, which has {', '.join(known) or 'none'}; rename or "
                    "drop the column",
                    column=name,
                )
            )
        elif not owner.quality_code:
            tell(FrameError(f"column {name!r}: {owner.name!r} has no quality code; drop the column", column=name))


def refuse_variables(table: pa.Table, variables: Sequence[Variable]) -> None:
    """Refuse a table whose columns do not fit the variables of the aspect; see `check_variables`.

    Raises
    ------
    FrameError
        The first fault; a note tells of the others.
    """
    found: list[FrameError] = []
    check_variables(table, variables, found.append)
    if found:
        if found[1:]:
            found[0].add_note("\n".join(["further rules that would be broken:", *(f"- {one}" for one in found[1:])]))
        raise found[0]


def _check_variable(variable: Variable, column: Column, table: pa.Table, tell: Tell) -> None:
    """Hold one column against its variable; a data type nobody knows is left to the service."""
    rule = _RULES.get(variable.data_type)
    if rule is None or column.null_count == len(column):
        return
    if column.type == EXACT:
        kinds = {type(value) for value in exact_values(column)} - {type(None)}
        fits, kind = kinds <= rule.python, "of mixed values"
    else:
        fits, kind = column.type in rule.arrow, str(column.type)
    if not fits:
        tell(
            FrameError(
                f"column {variable.name!r} is {kind}, but the variable is {variable.data_type}; {rule.fix}",
                column=variable.name,
            )
        )
        return
    bad, what = _beyond(variable, column)
    if bad.any():
        tell(offence(variable.name, f"{what}, too much for {variable.data_type}", "replace them", bad, times_of(table)))


def _beyond(variable: Variable, column: Column) -> tuple[Mask, str]:
    """Which values the variable's limits exclude, and in what words."""
    if variable.data_type == "INT" and column.type == pa.int64():
        numbers = column.fill_null(pa.scalar(0)).to_numpy()
        return (numbers < -(2**31)) | (numbers >= 2**31), "beyond 32 bits"
    if variable.data_type in _LENGTHS and column.type == pa.string():
        most = min(_LENGTHS[variable.data_type], variable.length or _LENGTHS[variable.data_type])
        if pc.max(pc.binary_length(column)).as_py() <= most:  # quickly told: no character is less than a byte
            return np.zeros(0, np.bool_), ""
        lengths = pc.utf8_length(column).fill_null(0).to_numpy()
        return lengths > most, f"longer than {most} characters"
    return np.zeros(0, np.bool_), ""
