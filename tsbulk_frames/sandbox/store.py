"""Data at rest: each series a folder of small Parquet files (*leaves*) and an index that names the living ones.

A leaf holds the records of one stretch of time, never more than `LEAF_ROWS` or `LEAF_BYTES`, and no two overlap. A
write puts its records into the leaves they belong to, splits what has grown too large (as the leaves of a B-tree),
writes the new files, and then replaces the index by renaming: until then nobody sees anything of it, afterwards
everybody sees all of it. Records behind a leaf that fill half of one are a leaf of their own, so what is imported hour
after hour is written once. A process that is killed leaves either the old index or the new one; files that no index
names are removed when the series is opened again. Only a loss of power may lose the last writes: nothing is synced.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import math
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tsbulk_frames.sandbox.arrow import concat, times_ns, to_pandas
from tsbulk_frames.sandbox.moments import MAX_NS, MIN_NS

__all__ = ["LEAF_BYTES", "LEAF_ROWS", "Leaf", "SeriesStore"]

LEAF_ROWS = 65_536
"""Most records in a file: about one page of text, so that reading a page opens little more than it needs."""
LEAF_BYTES = 4_000_000
"""Most bytes of a file's records in memory, for aspects with many columns."""
_TOKENS_KEPT = 64


@dataclass(frozen=True)
class Leaf:
    """One file: the records from `first` to `last`, both included, in nanoseconds since the epoch."""

    path: Path
    first: int
    last: int
    rows: int


@dataclass(frozen=True)
class _Index:
    """What a series consists of, and the tokens of the last writes to it."""

    leaves: tuple[Leaf, ...] = ()
    tokens: tuple[str, ...] = ()


@dataclass
class _Series:
    """The living index of one series; `writing` is held for the whole of a write."""

    folder: Path
    index: _Index
    writing: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class _Slot:
    """A leaf with what a write puts there: `leaf` as long as it need not be read, `fresh` is later than all of it."""

    leaf: Leaf | None
    fresh: pa.Table | None = None

    def let_go(self) -> Iterator[Leaf]:
        """Leave the leaf as it is."""
        leaf, self.leaf = self.leaf, None
        if leaf is not None:
            yield leaf


class SeriesStore:
    """All series below one folder, for one process at a time; safe for many threads.

    Parameters
    ----------
    root : Path
        Made when missing. Folder names are digests, so any text can name an entity or property set.
    leaf_rows : int
        Most records in one file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pyarrow as pa
    >>> from tsbulk_frames.sandbox.store import SeriesStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = SeriesStore(Path(folder))
    ...     times = pa.array([0, 1_000_000_000]).cast(pa.timestamp("ns", "UTC"))
    ...     store.write("asset", "pump", pa.table({"_time": times, "speed": [1.5, None]}))
    ...     store.frame("asset", "pump")["speed"].tolist()
    True
    [1.5, nan]
    """

    def __init__(self, root: Path, *, leaf_rows: int = LEAF_ROWS) -> None:
        self._root = root
        self._leaf_rows = leaf_rows
        self._opened: dict[tuple[str, str], _Series] = {}
        self._opening = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)

    def write(
        self, entity: str, property_set: str, tables: pa.Table | Iterable[pa.Table], *, token: str | None = None
    ) -> bool:
        """Store records, all or none; one of the same time replaces the stored record as a whole.

        Parameters
        ----------
        entity, property_set : str
            The series.
        tables : pyarrow.Table or iterable of them
            ``_time`` strictly ascending, over all tables too. When the iterable raises, nothing is stored.
        token : str, optional
            Name of this write. A name among the last 64 of the series is not written a second time.

        Returns
        -------
        bool
            False when the token says that it had been written before.

        Raises
        ------
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError
            A column has another type than the one stored.
        """
        series = self._series(entity, property_set)
        with series.writing:
            before = series.index
            if token is not None and token in before.tokens:
                return False
            series.folder.mkdir(exist_ok=True)
            after: list[Leaf] = []
            fresh: list[Leaf] = []
            try:
                for item in self._merge(before.leaves, [tables] if isinstance(tables, pa.Table) else tables):
                    if isinstance(item, Leaf):
                        after.append(item)
                    else:
                        fresh.append(_write_leaf(series.folder, item))
                        after.append(fresh[-1])
                tokens = before.tokens if token is None else (*before.tokens, token)[-_TOKENS_KEPT:]
                index = _Index(tuple(after), tokens)
                _write_index(series.folder, index, entity, property_set)
            except BaseException:
                for leaf in fresh:
                    leaf.path.unlink(missing_ok=True)
                raise
            series.index = index
        for leaf in set(before.leaves) - set(after):
            leaf.path.unlink(missing_ok=True)
        return True

    def written(self, entity: str, property_set: str, token: str) -> bool:
        """Whether the write of that name is among the last ones of the series."""
        return token in self._series(entity, property_set).index.tokens

    def columns(self, entity: str, property_set: str) -> dict[str, pa.DataType]:
        """Types of the columns that are stored of a series; one that no record has a value in may be among them."""
        with self._series(entity, property_set).writing:  # so that no file goes away while it is read
            leaves = self._series(entity, property_set).index.leaves
            schemas = [pq.read_schema(leaf.path) for leaf in leaves]
        return {field.name: field.type for schema in schemas for field in schema}

    def leaf_after(self, entity: str, property_set: str, ns: int) -> Leaf | None:
        """First leaf with a record later than `ns`."""
        leaves = self._series(entity, property_set).index.leaves
        at = bisect.bisect_right(leaves, ns, key=lambda leaf: leaf.last)
        return leaves[at] if at < len(leaves) else None

    def leaf_upto(self, entity: str, property_set: str, ns: int) -> Leaf | None:
        """Last leaf with a record at `ns` or earlier."""
        leaves = self._series(entity, property_set).index.leaves
        at = bisect.bisect_right(leaves, ns, key=lambda leaf: leaf.first)
        return leaves[at - 1] if at else None

    def read(self, leaf: Leaf, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the records of a leaf.

        Parameters
        ----------
        leaf : Leaf
            As given by this store.
        columns : sequence of str, optional
            Only these and ``_time``; those that the leaf does not have are left out.

        Raises
        ------
        FileNotFoundError
            A write has replaced the leaf meanwhile: ask for the leaf again.
        """
        with pq.ParquetFile(leaf.path) as file:
            names = (
                None if columns is None else [name for name in file.schema_arrow.names if name in {"_time", *columns}]
            )
            return file.read(columns=names, use_threads=False)

    def scan(
        self,
        entity: str,
        property_set: str,
        from_ns_exclusive: int = MIN_NS - 1,
        to_ns_inclusive: int = MAX_NS,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield records later than `from_ns_exclusive` and not later than `to_ns_inclusive`, ascending, leaf by leaf.

        A write that ends meanwhile is seen from the next leaf on.
        """
        position = from_ns_exclusive
        while (leaf := self.leaf_after(entity, property_set, position)) and leaf.first <= to_ns_inclusive:
            try:
                table = self.read(leaf, columns)
            except FileNotFoundError:
                continue
            times = times_ns(table)
            first, stop = (int(np.searchsorted(times, bound, "right")) for bound in (position, to_ns_inclusive))
            if stop > first:
                yield table.slice(first, stop - first)
            position = leaf.last

    def frame(self, entity: str, property_set: str) -> pd.DataFrame:
        """Everything stored of a series, read from disk.

        Returns
        -------
        pandas.DataFrame, shape (n_records, n_columns)
            Index ``_time``: ``datetime64[ns, UTC]``, ascending. A column for each property and quality code that
            has a value, the quality code right behind its property; integers with gaps ``Int64``, booleans with
            gaps ``boolean``, text ``object`` or ``str`` as pandas' default is. Nothing stored: no rows, no columns.
        """
        with self._series(entity, property_set).writing:  # so that no file goes away while it is read
            index = _read_index(self._folder(entity, property_set))
            tables = [self.read(leaf) for leaf in index.leaves]
        if not tables:
            return pd.DataFrame(index=pd.DatetimeIndex([], dtype="datetime64[ns, UTC]", name="_time"))
        table = concat(tables)
        times = pd.DatetimeIndex(times_ns(table).view("datetime64[ns]"), name="_time").tz_localize("UTC")
        names = [name for name in _quality_beside(table.column_names) if table[name].null_count < table.num_rows]
        return pd.DataFrame({name: to_pandas(table[name]) for name in names}).set_axis(times)

    def _folder(self, entity: str, property_set: str) -> Path:
        """Where a series lives: a digest, because names may hold anything and be of any length."""
        return self._root / hashlib.sha256(json.dumps([entity, property_set]).encode()).hexdigest()[:40]

    def _series(self, entity: str, property_set: str) -> _Series:
        """Find the living index, read once; what a killed process left behind is removed then."""
        key = (entity, property_set)
        series = self._opened.get(key)
        if series is None:
            with self._opening:
                series = self._opened.get(key)
                if series is None:
                    folder = self._folder(entity, property_set)
                    index = _read_index(folder)
                    living = {leaf.path for leaf in index.leaves} | {folder / "index.json"}
                    for path in folder.glob("*"):
                        if path not in living:
                            path.unlink()
                    series = self._opened[key] = _Series(folder, index)
        return series

    def _merge(self, leaves: Sequence[Leaf], tables: Iterable[pa.Table]) -> Iterator[Leaf | pa.Table]:
        """Leaves that no record falls into as they are, the others as tables of the right size, in order of time."""
        slots: Sequence[Leaf | None] = leaves or [None]
        at, slot = 0, _Slot(slots[0])
        for table in self._gathered(tables):
            rest = table
            while rest.num_rows:
                stop = rest.num_rows
                if at + 1 < len(leaves):
                    stop = int(np.searchsorted(times_ns(rest), leaves[at + 1].first))
                mine, rest = rest.slice(0, stop), rest.slice(stop)
                if stop:
                    yield from self._put(slot, mine)
                if rest.num_rows:
                    yield from self._close(slot)
                    at, slot = at + 1, _Slot(slots[at + 1])
        yield from self._close(slot)
        yield from leaves[at + 1 :]

    def _gathered(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Put small tables together, because joining them to what is stored costs the same for one as for many."""
        parts, rows, size = list[pa.Table](), 0, 0
        for table in tables:
            parts.append(table)
            rows, size = rows + table.num_rows, size + table.nbytes
            if rows >= self._leaf_rows or size >= LEAF_BYTES:
                yield concat(parts)
                parts, rows, size = [], 0, 0
        if parts:
            yield concat(parts)

    def _put(self, slot: _Slot, mine: pa.Table) -> Iterator[Leaf | pa.Table]:
        """Add records to a slot, and let go of full pieces that what comes later cannot reach back to."""
        times = times_ns(mine)
        if slot.leaf is not None and slot.fresh is None:
            if times[0] > slot.leaf.last:
                _check_types(slot.leaf, mine)
            else:
                slot.fresh = self.read(slot.leaf)
                slot.leaf = None
        slot.fresh = _replace(slot.fresh, mine)
        settled = int(np.searchsorted(times_ns(slot.fresh), times[-1], "right"))
        rows = self._rows_per_leaf(slot.fresh)
        while settled >= 2 * rows:
            yield from slot.let_go()
            yield slot.fresh.slice(0, rows)
            slot.fresh, settled = slot.fresh.slice(rows), settled - rows

    def _close(self, slot: _Slot) -> Iterator[Leaf | pa.Table]:
        """End a slot: itself when nothing fell into it, else its records in even pieces, at least half full."""
        fresh = slot.fresh
        if fresh is None or 2 * fresh.num_rows >= self._rows_per_leaf(fresh):
            yield from slot.let_go()
        elif slot.leaf is not None:
            fresh = concat([self.read(slot.leaf), fresh])
        if fresh is not None:
            pieces = math.ceil(fresh.num_rows / self._rows_per_leaf(fresh))
            bounds = [fresh.num_rows * piece // pieces for piece in range(pieces + 1)]
            yield from (fresh.slice(low, high - low) for low, high in itertools.pairwise(bounds))

    def _rows_per_leaf(self, table: pa.Table) -> int:
        """How many records of this kind a file may hold."""
        return max(1, min(self._leaf_rows, LEAF_BYTES * table.num_rows // max(1, table.nbytes)))


def _replace(old: pa.Table | None, new: pa.Table) -> pa.Table:
    """Both in order of time, `new` instead of `old` where they meet."""
    if old is None or old.num_rows == 0:
        return new
    ours, theirs = times_ns(old), times_ns(new)
    if ours[-1] < theirs[0]:
        return concat([old, new])
    both = concat([old.filter(pa.array(~np.isin(ours, theirs, assume_unique=True))), new])
    return both.take(np.argsort(times_ns(both), kind="stable"))


def _check_types(leaf: Leaf, table: pa.Table) -> None:
    """Refuse columns of other types than those of the leaf, as joining them would."""
    pa.unify_schemas([pq.read_schema(leaf.path), table.schema], promote_options="default")


def _write_leaf(folder: Path, table: pa.Table) -> Leaf:
    """Write a new file; its name is never used again, so it may be cached by name."""
    path = folder / f"{uuid4().hex}.parquet"
    pq.write_table(
        table, path, compression="none", use_dictionary=False, write_statistics=False, row_group_size=table.num_rows
    )
    times = times_ns(table)
    return Leaf(path, int(times[0]), int(times[-1]), table.num_rows)


def _write_index(folder: Path, index: _Index, entity: str, property_set: str) -> None:
    """Make a write happen: one rename."""
    content = {
        "entity": entity,
        "propertySet": property_set,
        "tokens": index.tokens,
        "leaves": [[leaf.path.name, leaf.first, leaf.last, leaf.rows] for leaf in index.leaves],
    }
    draft = folder / "index.json.draft"
    draft.write_text(json.dumps(content), encoding="utf-8")
    os.replace(draft, folder / "index.json")


def _read_index(folder: Path) -> _Index:
    """Read the index on disk; a series without one is empty."""
    try:
        content = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Index()
    leaves = tuple(Leaf(folder / name, first, last, rows) for name, first, last, rows in content["leaves"])
    return _Index(leaves, tuple(content["tokens"]))


def _quality_beside(names: Sequence[str]) -> list[str]:
    """Property columns, each with its quality code right behind it."""
    quality = {name for name in names if name.endswith("_qc") and name.removesuffix("_qc") in names}
    properties = [name for name in names if name not in quality and name != "_time"]
    return [column for name in properties for column in (name, f"{name}_qc") if column in (name, *quality)]
