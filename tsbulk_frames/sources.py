"""What a caller may hand to the writers, as a stream of checked Arrow tables in time order; floor 3.

A frame is checked at once; everything larger is read piece by piece and never held whole.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tsbulk_frames._check import EmptyRows, check_table
from tsbulk_frames.errors import FrameError
from tsbulk_frames.frames import from_frame
from tsbulk_frames.model import TIME, format_time
from tsbulk_frames.paging import times_of

__all__ = ["WriteData", "open_source"]

WriteData: TypeAlias = (
    pd.DataFrame | pa.Table | pa.RecordBatchReader | Iterable[pd.DataFrame | pa.Table] | str | os.PathLike[str]
)
"""A DataFrame; an Arrow table or reader; frames or tables in time order; a Parquet file or a folder of them."""

_PARQUET_ROWS = 262_144


def open_source(data: WriteData, *, empty_rows: EmptyRows = "raise") -> Iterable[pa.Table]:
    """Check what was given, and give it out as tables that ascend in time over all of them.

    Parameters
    ----------
    data : DataFrame, pyarrow.Table, pyarrow.RecordBatchReader, iterable of frames, or path
        A path names a Parquet file, or a folder of them, taken in the order of their names.
    empty_rows : {"raise", "drop"}
        What to do with rows that hold no value at all.

    Returns
    -------
    iterable of pyarrow.Table
        Of frames and tables: already checked. Of the others: the first piece is, the rest as it is consumed.

    Raises
    ------
    FrameError
        See `tsbulk_frames.frames.from_frame`; also pieces that do not follow each other in time.
    """
    if empty_rows not in ("raise", "drop"):
        raise FrameError(f"empty_rows={empty_rows!r} is not known; accepted are 'raise' and 'drop'")
    if isinstance(data, pd.DataFrame):
        return [from_frame(data, empty_rows=empty_rows)]
    if isinstance(data, pa.Table):
        return [check_table(data, empty_rows=empty_rows)]
    if isinstance(data, pa.RecordBatchReader):
        return _begun(_in_order(_batches(data), empty_rows))
    if isinstance(data, str | os.PathLike):
        return _begun(_in_order(_parquet(_parquet_files(data)), empty_rows))
    if isinstance(data, Iterable) and not isinstance(data, dict | bytes | pd.Series):
        return _begun(_in_order(data, empty_rows))
    raise FrameError(
        f"data is a {type(data).__name__}; accepted are a DataFrame, a pyarrow Table or RecordBatchReader, an iterable "
        "of DataFrames in time order, and the path of a Parquet file or folder"
    )


def _in_order(pieces: Iterable[object], empty_rows: EmptyRows) -> Iterator[pa.Table]:
    """Check each piece, and that it begins after the one before it."""
    last: int | None = None
    for number, piece in enumerate(pieces, 1):
        if isinstance(piece, pd.DataFrame):
            table = from_frame(piece, empty_rows=empty_rows)
        elif isinstance(piece, pa.Table):
            table = check_table(piece, empty_rows=empty_rows)
        else:
            raise FrameError(f"piece {number} of data is a {type(piece).__name__}; give DataFrames or pyarrow Tables")
        if not table.num_rows:
            continue
        times = times_of(table)
        if last is not None and times[0] <= last:
            raise FrameError(
                f"piece {number} of data begins at {format_time(int(times[0]))}, not after the end of the piece before "
                f"it at {format_time(last)}; sort the pieces by time, and remove what they share",
                rows=[0],
            )
        last = int(times[-1])
        yield table


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Record batches as tables."""
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _begun(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Check the first piece now: most of what is wrong shows there, before anything is asked or sent."""
    first = next(tables, None)
    return tables if first is None else itertools.chain([first], tables)


def _parquet_files(given: str | os.PathLike[str]) -> list[Path]:
    """Name one file, or all files of a folder in the order of their names."""
    path = Path(given)
    files = sorted(path.rglob("*.parquet")) if path.is_dir() and str(given) else [path]
    if not files or not files[0].is_file():
        raise FrameError(f"data={str(given)!r} is no Parquet file and no folder with '*.parquet' files; check the path")
    return files


def _parquet(files: Iterable[Path]) -> Iterator[pa.Table]:
    """Read files piece by piece, in bounded memory."""
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                renames = _index_name(parquet.schema_arrow)
                for batch in parquet.iter_batches(batch_size=_PARQUET_ROWS):
                    table = pa.Table.from_batches([batch])
                    yield table.rename_columns([renames.get(name, name) for name in table.column_names])
        except (pa.ArrowException, OSError) as error:
            raise FrameError(f"{str(file)!r} cannot be read as Parquet: {error}; write the file again") from error


def _index_name(schema: pa.Schema) -> dict[str, str]:
    """How pandas named a time index it saved, when that is not the name of the time."""
    try:
        saved = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except ValueError:
        saved = []
    names = [name for name in saved if isinstance(name, str) and name in schema.names]
    if len(names) > 1:
        raise FrameError(
            f"the Parquet file has the row index {names}: one series at a time can be written; save one entity a file "
            "(df.xs(entity).to_parquet(...))"
        )
    return {names[0]: TIME} if names and TIME not in schema.names else {}
