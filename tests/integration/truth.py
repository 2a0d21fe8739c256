"""What a series must hold, as plain values: drawn, made a frame of, and compared exactly."""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from plant import PUMP

BEGIN = pd.Timestamp("2026-03-01", tz="UTC").value
LENGTH = {"simulation": 3_600 * 10**9, "performance": 86_400 * 10**9}
COLUMNS = (*PUMP, *(f"{name}_qc" for name in PUMP))
_PANDAS = {"speed": "Float64", "count": "Int64", "small": "Int64", "on": "boolean"} | {
    f"{name}_qc": "Int64" for name in PUMP
}
_SLOTS = 60
"""Places in a partition where records can be, so that a later write may hit the same ones."""

Record = dict[str, Any]
Records = dict[int, Record]
"""By nanoseconds since the epoch."""


@dataclass
class Series:
    """A series, and what it must hold."""

    entity: str
    twin_type: str
    model: Records = field(default_factory=dict)

    def partition(self, ns: int) -> str:
        """Name the partition of a time."""
        return iso(ns)[: 13 if self.twin_type == "simulation" else 10]

    def part(self, name: str, records: Records | None = None) -> Records:
        """Give those of the records (of the model) that belong to a partition."""
        whole = self.model if records is None else records
        return {ns: record for ns, record in whole.items() if self.partition(ns) == name}

    def wanted(self, start: int, stop: int, select: Collection[str] | None, limit: int | None) -> Records:
        """Give what a read must bring."""
        names = set(COLUMNS) if select is None else {*select, *(f"{name}_qc" for name in select)}
        chosen: Records = {}
        for ns in sorted(self.model):
            record = {name: value for name, value in self.model[ns].items() if name in names}
            if start <= ns < stop and record:
                chosen[ns] = record
        return dict(itertools.islice(chosen.items(), limit))


def draw_records(draw: random.Random, twin_type: str, first: int, partitions: int, most: int) -> Records:
    """Draw records for some partitions, counted from `BEGIN`."""
    length, found = LENGTH[twin_type], {}
    for number in range(first, first + partitions):
        for slot in sorted(draw.sample(range(_SLOTS), draw.randint(1, most))):
            found[BEGIN + number * length + slot * (length // _SLOTS) + (slot % 3) * 123] = _record(draw)
    return found


def _record(draw: random.Random) -> Record:
    """Draw a record of some of the properties, among them what is easily spoilt on the way."""
    values: Record = {
        "speed": draw.choice([draw.uniform(-1e3, 1e3), 45.0, -0.0, 1e300, 5e-324]),
        "count": draw.choice([draw.randint(-(2**63), 2**63 - 1), 2**53 + 1, 0]),
        "small": draw.randint(-(2**31), 2**31 - 1),
        "on": draw.random() < 0.5,
        "state": draw.choice(["RUN", "", "STÖP", 'a"b\\c', "},{", "2024-01-01T00:00:00Z", "7"]),
        "note": draw.choice(["x" * 300, "line\nline\ttab", "\u2028 \U0001f600", "null"]),
        "at": draw.choice(["2026-03-01T00:00:00Z", "2026-03-01T12:34:56.789123456Z"]),
    }
    names = draw.sample(sorted(values), draw.randint(1, len(values)))
    codes = {f"{name}_qc": draw.choice([0, 64, 192]) for name in names if draw.random() < 0.3}
    return {name: values[name] for name in names} | codes


def frame_of(records: Records) -> pd.DataFrame:
    """Make a frame of records, gaps and all."""
    index = pd.DatetimeIndex(list(records), name="_time").as_unit("ns").tz_localize("UTC")
    names = [name for name in COLUMNS if any(name in one for one in records.values())]
    cells = {name: [one.get(name) for one in records.values()] for name in names}
    return pd.DataFrame({name: pd.array(cells[name], dtype=_PANDAS.get(name, "object")) for name in names}, index)


def exact(value: Any) -> tuple[str, Any]:
    """Make 1, 1.0 and True, 0.0 and -0.0 differ."""
    plain = value.item() if hasattr(value, "item") else value
    return type(plain).__name__, repr(plain) if isinstance(plain, float) else plain


def exactly(records: Records) -> Records:
    """Spell records as `records_of` does."""
    return {ns: {name: exact(value) for name, value in record.items()} for ns, record in records.items()}


def records_of(frame: pd.DataFrame) -> Records:
    """Turn a frame into plain values, without missing ones; numbers keep their type."""
    found: Records = {ns: {} for ns in frame.index.as_unit("ns").asi8.tolist()}
    for name in frame.columns:
        for record, value in zip(found.values(), frame[name].tolist(), strict=True):
            if not (value is None or value is pd.NA or value != value):
                record[name] = exact(value)
    return found


def records_in(table: pa.Table) -> Records:
    """Do the same for an Arrow table."""
    times = table["_time"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()
    rows = table.drop_columns([name for name in ("entity", "_time", "day") if name in table.column_names]).to_pylist()
    return {
        ns: {name: exact(value) for name, value in row.items() if value is not None}
        for ns, row in zip(times, rows, strict=True)
    }


def records_below(folder: Path) -> Records:
    """Do the same for all Parquet files below a folder."""
    found: Records = {}
    for path in sorted(folder.rglob("*.parquet")):
        found.update(records_in(pq.ParquetFile(path).read()))
    return found


def iso(ns: int) -> str:
    """Spell a time."""
    return f"{pd.Timestamp(ns).strftime('%Y-%m-%dT%H:%M:%S')}.{ns % 10**9:09d}Z"


def difference(found: Records, wanted: Records) -> str:
    """Tell the first difference."""
    for ns in sorted({*found, *wanted}):
        if found.get(ns) != wanted.get(ns):
            counts = f"{len(found)} records instead of {len(wanted)}"
            return f"{counts}; at {iso(ns)} {found.get(ns)} instead of {wanted.get(ns)}"
    return f"{len(found)} records, as wanted, but in another order"
