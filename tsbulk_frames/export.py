"""Records in a file or a pipe as they come: Parquet, CSV or JSON lines, whole or not there at all; floor 8."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tsbulk_frames._encode import encode_rows
from tsbulk_frames.kinds import EXACT, Cells, Column
from tsbulk_frames.model import NS_PER_SECOND, TIME

__all__ = ["FORMATS", "Format", "Written", "output_file", "write_records"]

Format: TypeAlias = Literal["parquet", "csv", "jsonl"]
FORMATS: tuple[Format, ...] = ("parquet", "csv", "jsonl")

_STAMP = len("2026-03-01T00:00:00.000000000")
NS_PER_MINUTE = 60 * NS_PER_SECOND
_GROUP_ROWS, _GROUP_BYTES = 262_144, 32 << 20
"""Rows of a row group in Parquet, and bytes in memory at most: small ones make files large and slow to read."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes
    ----------
    rows : int
        Records.
    bytes : int
        In the file or pipe.
    first, last : int or None
        Time of the first and last record, nanoseconds since the epoch.
    """

    rows: int
    bytes: int
    first: int | None
    last: int | None


class _Sink(Protocol):
    """Takes tables one after the other."""

    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


@contextmanager
def output_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that gets its name once it is whole; one of that name stays as it was until then.

    Where the name stands for a pipe or a device, that is written to. Rights are those the umask gives.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path = Path(os.path.realpath(path))  # of a link, what it leads to is replaced
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with path.open("wb") as stream:
            yield stream
        return
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_records(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, stream: IO[bytes], kind: Format, *, tz: str = "UTC"
) -> Written:
    """Write record batches as they come, in bounded memory.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        With `schema`; ``_time`` is ``timestamp[ns, UTC]``.
    schema : pyarrow.Schema
        Also where there is no batch.
    stream : binary file
        Only written to, never moved in.
    kind : {"parquet", "csv", "jsonl"}
        CSV and JSON lines spell times with nine fraction digits, and every number so that it reads back the same. In
        CSV an empty cell is a missing one, and an empty text is ``""``; in JSON lines a missing cell has no key.
    tz : str
        Zone of the times in Parquet and CSV.

    Returns
    -------
    Written
    """
    counted = _Counted(stream)
    sink: _Sink
    if kind == "parquet":
        sink = _Parquet(counted, schema, tz)
    else:
        sink = _Csv(counted, schema, tz) if kind == "csv" else _JsonLines(counted)
    rows = 0
    ends: list[int] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        table = pa.Table.from_batches([batch])
        times = table[TIME].cast(pa.int64())
        rows += table.num_rows
        ends = [*ends[:1], times[0].as_py(), times[-1].as_py()]
        sink.write(table)
    sink.close()
    counted.flush()
    return Written(rows, counted.bytes, ends[0] if ends else None, ends[-1] if ends else None)


class _Counted:
    """A stream that knows how much went through; of a file object it has what Arrow asks for."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.bytes = 0
        self.closed = False

    def write(self, data: bytes | memoryview | pa.Buffer) -> int:
        """Write all of it."""
        view = memoryview(data)
        self.bytes += view.nbytes
        self._stream.write(view)
        return view.nbytes

    def tell(self) -> int:
        """Bytes so far."""
        return self.bytes

    def flush(self) -> None:
        """Hand on what is held back."""
        self._stream.flush()

    def close(self) -> None:
        """Leave that to who opened it."""


class _Parquet:
    """Row groups of a good size."""

    def __init__(self, stream: _Counted, schema: pa.Schema, tz: str) -> None:
        at = schema.get_field_index(TIME)
        self._schema = schema.set(at, pa.field(TIME, pa.timestamp("ns", tz)))
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")  # type: ignore[arg-type]  # writes need no more
        self._held: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        """Hold a table until a row group is full."""
        self._held.append(table.cast(self._schema))
        full = sum(one.num_rows for one in self._held) >= _GROUP_ROWS
        if full or sum(one.nbytes for one in self._held) >= _GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        """Write what is held."""
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=_GROUP_ROWS)
            self._held.clear()

    def close(self) -> None:
        """Write the rest, and the end of the file."""
        self._write_group()
        self._writer.close()


class _Csv:
    """One line a record, heads first."""

    def __init__(self, stream: _Counted, schema: pa.Schema, tz: str) -> None:
        self._stream = stream
        self._tz = tz
        self._write(schema.empty_table(), heads=True)

    def write(self, table: pa.Table) -> None:
        """Spell the times, and what has no plain type as the JSON it is."""
        self._write(table, heads=False)

    def _write(self, table: pa.Table, *, heads: bool) -> None:
        columns = [
            spell_times(column, self._tz)
            if name == TIME
            else column.cast(pa.string())
            if column.type == EXACT
            else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        ]
        text = pa.BufferOutputStream()
        options = pacsv.WriteOptions(include_header=heads, quoting_style="needed")
        pacsv.write_csv(pa.table(columns, names=table.column_names), text, options)
        self._stream.write(text.getvalue())

    def close(self) -> None:
        """Nothing is held back."""


class _JsonLines:
    """One object a line, as the service spells records; times in UTC."""

    def __init__(self, stream: _Counted) -> None:
        self._stream = stream

    def write(self, table: pa.Table) -> None:
        """Put a line break where the encoder puts a comma."""
        for rows in encode_rows(table):
            text = np.frombuffer(rows.data, np.uint8).copy()
            text[rows.offsets[1:] - rows.offsets[0] - 1] = ord("\n")
            self._stream.write(text.data)

    def close(self) -> None:
        """Nothing is held back."""


def spell_times(times: Column, tz: str) -> Cells:
    """Spell times in ISO 8601 with nine fraction digits: with ``Z`` in UTC, else with the offset of the zone.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from tsbulk_frames.export import spell_times
    >>> times = pa.chunked_array([pa.array([1_774_746_000_000_000_001], pa.timestamp("ns", "UTC"))])
    >>> spell_times(times, "UTC")[0].as_py(), spell_times(times, "Europe/Berlin")[0].as_py()
    ('2026-03-29T01:00:00.000000001Z', '2026-03-29T03:00:00.000000001+02:00')
    """
    utc = times.cast(pa.int64()).to_numpy()
    there: Column = pc.local_timestamp(times.cast(pa.timestamp("ns", tz)))  # type: ignore[arg-type, assignment]
    ahead = (there.cast(pa.int64()).to_numpy() - utc) // NS_PER_MINUTE  # zones once had seconds, ISO 8601 has none
    local = pa.array(utc + ahead * NS_PER_MINUTE).cast(pa.timestamp("ns"))
    offsets, which = np.unique(ahead, return_inverse=True)
    ends = [
        b"Z" if tz == "UTC" else b"%c%02d:%02d" % (b"-+"[one >= 0], *divmod(abs(one), 60)) for one in offsets.tolist()
    ]
    width = len(ends[0]) if ends else 1
    spelt = local.cast(pa.large_string())
    text = np.empty((len(local), _STAMP + width), np.uint8)
    text[:, :_STAMP] = np.frombuffer(spelt.buffers()[2] or b"", np.uint8, len(local) * _STAMP).reshape(-1, _STAMP)
    text[:, 10] = ord("T")
    text[:, _STAMP:] = np.frombuffer(b"".join(ends), np.uint8).reshape(-1, width)[which]
    places = np.arange(len(local) + 1, dtype=np.int64) * (_STAMP + width)
    buffers = [None, pa.py_buffer(places.data), pa.py_buffer(text.data)]
    return pa.Array.from_buffers(pa.large_string(), len(local), buffers)
