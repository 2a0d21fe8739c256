"""Reading in bounded memory: a range as frames one after the other, or as Arrow batches; floor 7.5.

``connect → windows → pages → decode → Arrow → conform → batches``: one schema for all, by the asset model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

import pandas as pd
import pyarrow as pa

from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import FrameError
from tsbulk_frames.frames import Backend, to_frame
from tsbulk_frames.model import Inclusive, Moment
from tsbulk_frames.notes import Notes
from tsbulk_frames.progress import Progress, check_progress, counted, meter
from tsbulk_frames.request import Quality, ReadRequest, check_look, check_read, check_workers, stream_tables
from tsbulk_frames.schema import ask_model, conform

__all__ = ["iter_timeseries", "read_arrow"]


def iter_timeseries(
    entity: str | Sequence[str],
    property_set: str,
    start: Moment,
    end: Moment,
    *,
    rows: int = 1_000_000,
    select: str | Sequence[str] | None = None,
    inclusive: Inclusive = "left",
    limit: int | None = None,
    quality: Quality = "columns",
    tz: str | tzinfo = "UTC",
    dtype_backend: Backend | None = None,
    describe: bool = False,
    max_workers: int | None = None,
    progress: Progress = None,
    connection: Connection | None = None,
) -> Iterator[pd.DataFrame]:
    """Read the history of an aspect as frames one after the other, in bounded memory.

    While one frame is worked on the next are fetched, but never more than a bounded amount ahead. Leaving the loop
    early, or closing the iterator, stops all work at once.

    Parameters
    ----------
    entity, property_set, start, end, select, inclusive, limit, quality, tz, dtype_backend, describe, max_workers, \
progress, connection
        As for `read_timeseries`. Several entities come one after the other.
    rows : int
        Most rows of a frame; all but the last have exactly so many.

    Yields
    ------
    pandas.DataFrame, shape (n_rows, n_properties [+ n_quality_codes])
        As `read_timeseries` returns them; together they hold the same records. The columns are those the asset's
        aspect declares, the same in every frame, also where the range has no value of one. An empty range yields
        nothing.

    Raises
    ------
    FrameError
        An argument cannot be used; at the call, before any request.
    DecodeError
        A value does not fit the data type its aspect declares.
    NotFoundError, PageError, AuthError, ThrottledError, ServiceError, TransportError
        As for `read_timeseries`; with `describe`, also what the asset model answers, before any record is fetched.

    Notes
    -----
    Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``, types from
    ``GET /api/assetmanagement/v3/assets/{id}/aspects``. Where the asset model may not be read, the first few megabytes
    settle the columns; one that comes up later is a DecodeError.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", twin_type="simulation", aspects={"flow": {"rate": "DOUBLE"}})
    ...     times = pd.date_range("2026-03-01", periods=5, freq="s", tz="UTC")
    ...     data = pd.DataFrame({"rate": [1.0, 2.0, 3.0, 4.0, 5.0]}, index=times)
    ...     report = tsb.write_timeseries(data, "pump-1", "flow", connection=con)
    ...     frames = tsb.iter_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", rows=2, connection=con)
    ...     [len(frame) for frame in frames]
    [2, 2, 1]
    """
    read = check_read(entity, property_set, start, end, select, inclusive, limit, quality)
    check_look(tz, dtype_backend, describe)
    check_progress(progress)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise FrameError(f"rows={rows!r} is not a count; give a positive int")
    con = use_connection(connection)
    workers = check_workers(max_workers, con)
    return _frames(read, con, workers, rows, tz, dtype_backend, describe, progress)


def _frames(
    read: ReadRequest,
    connection: Connection,
    workers: int,
    rows: int,
    tz: str | tzinfo,
    dtype_backend: Backend | None,
    describe: bool,
    progress: Progress,
) -> Iterator[pd.DataFrame]:
    """Gather tables until a frame is full."""
    held: list[tuple[int, pa.Table]] = []
    size = 0

    def flush(count: int) -> pd.DataFrame:
        nonlocal held, size
        tables, counts, rest = [], [0] * len(read.series), []
        for number, table in held:
            taken = table.slice(0, count)
            count -= taken.num_rows
            counts[number] += taken.num_rows
            tables.append(taken)
            if taken.num_rows < table.num_rows:
                rest.append((number, table.slice(taken.num_rows)))
        held, size = rest, sum(table.num_rows for _, table in rest)
        frame = to_frame(pa.concat_tables(tables), tz=tz, dtype_backend=dtype_backend)
        return read.label(frame, counts, notes if describe else None)

    _, notes, stream = _typed_stream(read, connection, workers, progress, describe)
    for number, table in stream:
        held.append((number, table))
        size += table.num_rows
        while size >= rows:
            yield flush(rows)
    if size:
        yield flush(size)


def read_arrow(
    entity: str | Sequence[str],
    property_set: str,
    start: Moment,
    end: Moment,
    *,
    select: str | Sequence[str] | None = None,
    inclusive: Inclusive = "left",
    limit: int | None = None,
    quality: Quality = "columns",
    max_workers: int | None = None,
    progress: Progress = None,
    connection: Connection | None = None,
) -> pa.RecordBatchReader:
    """Read the history of an aspect as a stream of Arrow batches, in bounded memory and without pandas.

    Whatever reads Arrow takes it: ``polars.from_arrow(reader)``, ``duckdb.sql("select … from reader")``,
    ``pyarrow.parquet``. Batches are fetched as they are consumed, a bounded amount ahead; dropping the reader
    (``del reader``) stops all work, its ``close()`` alone does not.

    Parameters
    ----------
    entity, property_set, start, end, select, inclusive, limit, quality, max_workers, progress, connection
        As for `read_timeseries`. Several entities come one after the other, with a column ``entity`` before ``_time``.

    Returns
    -------
    pyarrow.RecordBatchReader
        ``_time`` is ``timestamp[ns, UTC]``, strictly increasing (within an entity). One schema for all batches, by
        the data types of the aspect: BOOLEAN bool, INT and LONG int64, DOUBLE float64, all others string; quality
        codes int64, beside their property. The metadata of a property's field holds ``unit`` and ``description``
        where the asset model has them; of several entities that do not agree ``unit_by_entity`` and
        ``description_by_entity``, a JSON object each.

    Raises
    ------
    FrameError
        An argument cannot be used; before any request.
    DecodeError
        A value does not fit its data type; while the stream is consumed.
    NotFoundError, PageError, AuthError, ThrottledError, ServiceError, TransportError
        As for `read_timeseries`; here, or while the stream is consumed.

    Notes
    -----
    Source: as for `iter_timeseries`.

    Examples
    --------
    >>> import tsbulk_frames as tsb
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", aspects={"flow": {"rate": "DOUBLE"}}, quality_codes=False)
    ...     reader = tsb.read_arrow("pump-1", "flow", "2026-03-01", "2026-03-02", connection=con)
    ...     print(reader.schema.field("rate").type, reader.read_all().num_rows)
    double 0
    """
    read = check_read(entity, property_set, start, end, select, inclusive, limit, quality)
    check_progress(progress)
    con = use_connection(connection)
    workers = check_workers(max_workers, con)
    schema, _, stream = _typed_stream(read, con, workers, progress)
    if read.several:
        schema = schema.insert(0, pa.field("entity", pa.string()))

    def batches() -> Iterator[pa.RecordBatch]:
        for number, table in stream:
            if read.several:
                owner = pa.repeat(pa.scalar(read.series[number].entity, pa.string()), table.num_rows)
                table = table.add_column(0, "entity", owner)
            yield from table.cast(schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _typed_stream(
    read: ReadRequest, connection: Connection, workers: int, progress: Progress, describe: bool = False
) -> tuple[pa.Schema, Notes, Iterator[tuple[int, pa.Table]]]:
    """Types of all columns, what is known of them, and tables that have exactly these types."""
    model = ask_model(read, connection, needed=describe)
    known = None if model is None else model.types

    def tables() -> Iterator[tuple[int, pa.Table]]:
        with meter(progress, f"read {read.series[0].property_set}", unit="B", total=read.length_ns) as told:
            stream = stream_tables(read, connection, workers=workers, advance=told.advance, reach=told.reach)
            yield from counted(stream, told)

    stream = tables()
    head: list[tuple[int, pa.Table]] = []
    declared = True
    if known is None:  # no asset model: what comes first settles the types
        head = [one for one in [next(stream, None)] if one is not None]
        known = {field.name: field.type for field in read.shape([table for _, table in head]).schema}
        declared = read.quality == "drop"
    types = known

    def typed() -> Iterator[tuple[int, pa.Table]]:
        for number, table in head:
            yield number, conform(table, types)
        head.clear()
        for number, table in stream:
            yield number, conform(table, types, declared=declared)

    notes = Notes() if model is None else model.notes
    return notes.annotate(pa.schema(list(types.items()))), notes, typed()
