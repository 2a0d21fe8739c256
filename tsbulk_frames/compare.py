"""Is what came back what was sent? Two frames compared value by value, exactly; floor 2.5, pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsbulk_frames._instants import Instants, Rows, instants_of, present
from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import TIME

__all__ = ["compare_frames"]

KINDS = ("missing record", "extra record", "value", "missing value", "extra value")

_EXACT_FLOAT = 2**53
"""Up to here each integer is a float64 of its own."""


def compare_frames(expected: pd.DataFrame, actual: pd.DataFrame, *, limit: int | None = 1_000) -> pd.DataFrame:
    """Compare two frames record by record and value by value, for instance what was written with what is read back.

    Parameters
    ----------
    expected, actual : pandas.DataFrame
        Both of one entity, or both of several (index ``(entity, time)``). Records are found by their instant: zone,
        unit and order do not matter. Never changed.
    limit : int, optional
        At most so many differences are listed, the earliest (entity after entity); all are counted. None: list all.

    Returns
    -------
    pandas.DataFrame, shape (n_differences, 5 or 6)
        A row for each difference, none if the frames are equal: ``_time`` (in the zone of `expected`), ``entity`` (if
        there are several), ``property``, ``expected`` and ``actual`` (the very Python values; None where missing),
        ``kind``:

        - ``missing record``, ``extra record``: there is no record of this time on the other side; no property;
        - ``value``: the two differ;
        - ``missing value``, ``extra value``: only `expected`, or only `actual`, has one. A column that one side lacks
          is missing there in each record.

        ``attrs["count"]`` is the number of all differences, ``attrs["kinds"]`` that of each kind.

    Raises
    ------
    FrameError
        An index holds no times with a zone, or one of them twice; only one of the frames has entities.

    Notes
    -----
    Exact: nanoseconds count, integers are never compared as floats, and no tolerance is given. What holds the same is
    equal, whatever its type: ``int64`` and ``Int64``, 1 and 1.0, 0.0 and -0.0, text in any type, and every NaN, NA and
    None, which all are a missing cell. But True is not 1, and ``"1"`` is not 1. Quality codes are compared like any
    other column.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01", periods=3, freq="s", tz="UTC")
    >>> sent = pd.DataFrame({"turns": [1, 2**53, 3]}, index=times)
    >>> back = pd.DataFrame({"turns": pd.array([1, 2**53 + 1], "Int64")}, index=times[:2])
    >>> found = tsb.compare_frames(sent, back)
    >>> found[["property", "expected", "actual", "kind"]].values.tolist()
    [['turns', 9007199254740992, 9007199254740993, 'value'], [None, None, None, 'missing record']]
    >>> assert tsb.compare_frames(sent, sent.astype("Int64")).empty
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise FrameError(f"limit={limit!r} is not a count; give an int from 0, or None for all")
    ours, theirs = instants_of(expected, "expected"), instants_of(actual, "actual")
    if (ours.entities is None) != (theirs.entities is None):
        with_them, without = ("actual", "expected") if ours.entities is None else ("expected", "actual")
        raise FrameError(f"{with_them} has an index (entity, time), {without} has times only; take {with_them}.xs(…)")
    key, other = _keys(ours, theirs)
    at = other.get_indexer(key)
    mine = np.flatnonzero(at >= 0)
    found = [
        _Found(0, None, np.flatnonzero(at < 0), None),
        _Found(1, None, None, np.flatnonzero(key.get_indexer(other) < 0)),
    ]
    names = [*expected.columns, *(name for name in actual.columns if name not in expected.columns)]
    for name in names:
        found += _in_column(name, expected, actual, mine, at[mine])
    counts = {kind: sum(len(one) for one in found if one.kind == number) for number, kind in enumerate(KINDS)}
    result = _listed(found, names, expected, actual, ours, theirs, limit)
    result.attrs.update(count=sum(counts.values()), kinds={kind: count for kind, count in counts.items() if count})
    return result


@dataclass(frozen=True)
class _Found:
    """Differences of one kind in one column: by their rows in either frame."""

    kind: int
    name: object
    ours: Rows | None
    theirs: Rows | None

    def __len__(self) -> int:
        rows = self.theirs if self.ours is None else self.ours
        return 0 if rows is None else len(rows)


def _keys(ours: Instants, theirs: Instants) -> tuple[pd.Index, pd.Index]:
    """Tell what a record is found by in either frame: its nanosecond, with its entity where there are several."""
    if ours.entities is None or theirs.entities is None:
        return pd.Index(ours.ns), pd.Index(theirs.ns)
    entities = ours.entities.astype(object).append(theirs.entities.astype(object))
    number, _ = pd.factorize(entities)
    mine, others = number[: len(ours.entities)], number[len(ours.entities) :]
    names = ["entity", TIME]
    return (
        pd.MultiIndex.from_arrays([mine[ours.owner], ours.ns], names=names),
        pd.MultiIndex.from_arrays([others[theirs.owner], theirs.ns], names=names),
    )


def _in_column(name: object, expected: pd.DataFrame, actual: pd.DataFrame, mine: Rows, others: Rows) -> list[_Found]:
    """Differences of a column in the records both have."""
    here = expected[name].iloc[mine] if name in expected.columns else None
    there = actual[name].iloc[others] if name in actual.columns else None
    none = np.zeros(len(mine), bool)
    has = none if here is None else present(here)
    came = none if there is None else present(there)
    both = np.flatnonzero(has & came)
    unequal = both[:0]
    if len(both) and here is not None and there is not None:
        unequal = both[_differ(here.iloc[both], there.iloc[both])]
    rows = {2: unequal, 3: np.flatnonzero(has & ~came), 4: np.flatnonzero(came & ~has)}
    return [_Found(kind, name, mine[some], others[some]) for kind, some in rows.items()]


def _differ(here: pd.Series, there: pd.Series) -> npt.NDArray[np.bool_]:
    """Where values differ, none of which is missing."""
    (kind, ours), (other, theirs) = _plain(here), _plain(there)
    if kind == other != "O":
        return np.asarray(ours != theirs, dtype=bool)
    if {kind, other} == {"i", "f"}:
        whole, real = (ours, theirs) if kind == "i" else (theirs, ours)
        differ = np.asarray(whole != real, dtype=bool)  # compared as floats, which is exact but for large integers
        large = np.flatnonzero(np.abs(whole.astype(np.float64)) >= _EXACT_FLOAT)
        differ[large] = [int(a) != float(b) for a, b in zip(whole[large], real[large], strict=True)]
        return differ
    pairs = zip(here.tolist(), there.tolist(), strict=True)
    return np.fromiter((not _same(a, b) for a, b in pairs), bool, len(here))


def _plain(values: pd.Series) -> tuple[str, npt.NDArray[np.generic]]:
    """Kind of a column's values, and what NumPy compares exactly: bool, int64, float64; all else is "O"."""
    kinds, dtype = pd.api.types, values.dtype
    if kinds.is_bool_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        return "b", values.to_numpy(bool)
    if kinds.is_integer_dtype(dtype) and not kinds.is_unsigned_integer_dtype(dtype):
        return "i", values.to_numpy(np.int64)
    if kinds.is_float_dtype(dtype):
        return "f", values.to_numpy(np.float64)
    return "O", values.to_numpy(object)


def _same(ours: object, theirs: object) -> bool:
    """Whether two values are the same; to Python True is 1, and NumPy compares large integers as floats."""
    ours, theirs = _python(ours), _python(theirs)
    if isinstance(ours, bool) != isinstance(theirs, bool):
        return False
    return bool(ours == theirs)


def _python(value: object) -> object:
    """Give Python's own value of one of NumPy's scalars, as an object column may hold them."""
    return value.item() if isinstance(value, np.bool_ | np.integer | np.floating) else value


def _listed(
    found: list[_Found],
    names: list[object],
    expected: pd.DataFrame,
    actual: pd.DataFrame,
    ours: Instants,
    theirs: Instants,
    limit: int | None,
) -> pd.DataFrame:
    """Rows of the differences, the earliest first; values are looked up only for those that are listed."""
    order: dict[object, int] = {}
    for rows in (ours, theirs):
        for entity in [None] if rows.entities is None else rows.entities:
            order.setdefault(entity, len(order))
    owner, ns, column, which, row = [], [], [], [], []
    for number, one in enumerate(found):
        rows, side = (theirs, one.theirs) if one.ours is None else (ours, one.ours)
        assert side is not None
        entities = [None] if rows.entities is None else rows.entities
        owner.append(np.array([order[entity] for entity in entities], np.intp)[rows.owner[side]])
        ns.append(rows.ns[side])
        column.append(np.full(len(side), -1 if number < 2 else names.index(one.name)))
        which.append(np.full(len(side), number))
        row.append(np.arange(len(side)))
    keys = [np.concatenate(some) for some in (column, ns, owner)]
    first = np.lexsort(keys)[:limit]
    times = pd.DatetimeIndex(keys[1][first].view("M8[ns]")).tz_localize("UTC").tz_convert(ours.tz)
    table: dict[str, object] = {TIME: times}
    if ours.entities is not None:
        known = list(order)
        table["entity"] = pd.Series([known[number] for number in keys[2][first]], dtype=object)
    listed = [(found[a], b) for a, b in zip(np.concatenate(which)[first], np.concatenate(row)[first], strict=True)]
    cells = {
        "property": [one.name for one, _ in listed],
        "expected": [_cell(expected, one.name, one.ours, at) for one, at in listed],
        "actual": [_cell(actual, one.name, one.theirs, at) for one, at in listed],
        "kind": [KINDS[one.kind] for one, _ in listed],
    }
    return pd.DataFrame(table | {name: pd.Series(some, dtype=object) for name, some in cells.items()})


def _cell(frame: pd.DataFrame, name: object, rows: Rows | None, at: int) -> object:
    """Python value of a cell; None where it, its column or its record is missing."""
    if rows is None or name not in frame.columns:
        return None
    cell = frame[name].iloc[[rows[at]]]
    return _python(cell.tolist()[0]) if present(cell)[0] else None
