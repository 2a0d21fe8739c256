"""What a caller may hand to the writers, as a stream of checked Arrow tables in time order; floor 3.

A frame is checked at once; everything larger is read piece by piece and never held whole. ``pieces_of → check_pieces``:
a writer takes the two together as `open_source`, a plan takes them apart.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tsbulk_frames._cells import Tell, refuse
from tsbulk_frames._check import EmptyRows, check_empty_rows, check_table, in_order
from tsbulk_frames.errors import FrameError
from tsbulk_frames.frames import from_frame
from tsbulk_frames.model import MIN_NS, TIME, format_time
from tsbulk_frames.paging import times_of

__all__ = ["WriteData", "check_pieces", "count_rows", "open_source", "pieces_of"]

WriteData: TypeAlias = (
    pd.DataFrame | pa.Table | pa.RecordBatchReader | Iterable[pd.DataFrame | pa.Table] | str | os.PathLike[str]
)
"""A DataFrame; an Arrow table or reader; frames or tables in time order; a Parquet file or a folder of them."""

_PARQUET_ROWS = 262_144
_PARQUET_BUFFER = 1 << 20
_NS_PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def open_source(data: WriteData, *, empty_rows: EmptyRows = "raise") -> Iterable[pa.Table]:
    """Check what was given, and give it out as tables that ascend in time over all of them.

    Parameters
    ----------
    data : DataFrame, pyarrow.Table, pyarrow.RecordBatchReader, iterable of frames, or path
        See `pieces_of`.
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
    tables = check_pieces(pieces_of(data), empty_rows=empty_rows)
    first = next(tables, None)  # most of what is wrong shows there, before anything is asked or sent
    return () if first is None else itertools.chain([first], tables)


def pieces_of(data: WriteData) -> Iterable[object]:
    """Take data apart into frames and tables, none of them looked at so far.

    Parameters
    ----------
    data : DataFrame, pyarrow.Table, pyarrow.RecordBatchReader, iterable of frames, or path
        A path names a Parquet file, or a folder of them. The files of a folder are taken in the order of their first
        times where the statistics of all of them tell these, else in the order of their names.

    Returns
    -------
    iterable
        Of what may be anything still. Can be gone through again, unless `data` is a reader or an iterator: then it is
        an iterator, too.

    Raises
    ------
    FrameError
        Data of another kind; no such file.
    """
    if isinstance(data, pd.DataFrame | pa.Table):
        return [data]
    if isinstance(data, pa.RecordBatchReader):
        return _batches(data)
    if isinstance(data, str | os.PathLike):
        return _ParquetFiles(data)
    if isinstance(data, Iterable) and not isinstance(data, dict | bytes | pd.Series):
        return data
    raise FrameError(
        f"data is a {type(data).__name__}; accepted are a DataFrame, a pyarrow Table or RecordBatchReader, an iterable "
        "of DataFrames in time order, and the path of a Parquet file or folder"
    )


def count_rows(pieces: Iterable[object]) -> int | None:
    """How many rows there are in pieces that can be gone through again; None where that cannot be told beforehand."""
    if isinstance(pieces, _ParquetFiles):
        return pieces.count_rows()
    if not isinstance(pieces, Sequence) or not all(isinstance(one, pd.DataFrame | pa.Table) for one in pieces):
        return None
    return sum(len(one) for one in pieces)


def check_pieces(
    pieces: Iterable[object], *, empty_rows: EmptyRows = "raise", tell: Tell = refuse
) -> Iterator[pa.Table]:
    """Check each piece, and that it begins after the one before it.

    Parameters
    ----------
    pieces : iterable
        As `pieces_of` gives them.
    empty_rows : {"raise", "drop"}
        What to do with rows that hold no value at all.
    tell : callable
        Takes each broken rule; see `tsbulk_frames.frames.check_table`. Default: it is raised.

    Yields
    ------
    pyarrow.Table
        Not empty. After something was told: what of the piece can be planned, ascending.

    Raises
    ------
    FrameError
        See `tsbulk_frames.frames.from_frame`; also pieces that do not follow each other in time.
    """
    check_empty_rows(empty_rows)
    last: int | None = None
    for number, piece in enumerate(pieces, 1):
        if isinstance(piece, pd.DataFrame):
            table = from_frame(piece, empty_rows=empty_rows, tell=tell)
        elif isinstance(piece, pa.Table):
            table = check_table(piece, empty_rows=empty_rows, tell=tell)
        else:
            raise FrameError(f"piece {number} of data is a {type(piece).__name__}; give DataFrames or pyarrow Tables")
        if tell is not refuse:
            table = in_order(table)
        if not table.num_rows:
            continue
        times = times_of(table)
        if last is not None and times[0] <= last:
            tell(
                FrameError(
                    f"piece {number} of data begins at {format_time(int(times[0]))}, not after the end of the piece "
                    f"before it at {format_time(last)}; sort the pieces by time, and remove what they share",
                    rows=[0],
                )
            )
        last = int(times[-1]) if last is None else max(last, int(times[-1]))
        yield table


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Record batches as tables."""
    for batch in reader:
        yield pa.Table.from_batches([batch])


class _ParquetFiles:
    """Parquet files, read piece by piece in bounded memory, as often as wanted."""

    def __init__(self, given: str | os.PathLike[str]) -> None:
        path = Path(given)
        self.files = sorted(path.rglob("*.parquet")) if path.is_dir() and str(given) else [path]
        if not self.files or not self.files[0].is_file():
            raise FrameError(
                f"data={str(given)!r} is no Parquet file and no folder with '*.parquet' files; check the path"
            )
        if len(self.files) > 1:
            self.files = _by_time(self.files)

    def count_rows(self) -> int:
        """Rows of all files, as these say."""
        rows = 0
        for file in self.files:
            with _opened(file) as parquet:
                rows += parquet.metadata.num_rows
        return rows

    def __iter__(self) -> Iterator[pa.Table]:
        for file in self.files:
            with _opened(file) as parquet:
                renames = _index_name(parquet.schema_arrow)
                for batch in parquet.iter_batches(batch_size=_PARQUET_ROWS):
                    table = pa.Table.from_batches([batch])
                    yield table.rename_columns([renames.get(name, name) for name in table.column_names])


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; whatever is wrong with it is an error of the caller's data."""
    try:
        # read ahead, and the whole file would be held until it is closed
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=_PARQUET_BUFFER) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise FrameError(f"{str(file)!r} cannot be read as Parquet: {error}; write the file again") from error


def _by_time(files: Sequence[Path]) -> list[Path]:
    """Sort files by their first times: names count up in many ways, and not all of them sort."""
    firsts = []
    for file in files:
        with _opened(file) as parquet:
            first = _first_ns(parquet) if parquet.metadata.num_rows else MIN_NS
        if first is None:
            return list(files)
        firsts.append(first)
    return [file for _, file in sorted(zip(firsts, files, strict=True))]


def _first_ns(parquet: pq.ParquetFile) -> int | None:
    """First time of a file by the statistics of its row groups; None where they do not tell."""
    renames = {new: old for old, new in _index_name(parquet.schema_arrow).items()}
    name = renames.get(TIME, TIME)
    schema, columns = parquet.schema, range(parquet.metadata.num_columns)
    at = next((at for at in columns if schema.column(at).path == name), None)
    if at is None or not pa.types.is_timestamp(kind := parquet.schema_arrow.field(name).type):
        return None
    firsts = []
    for number in range(parquet.metadata.num_row_groups):
        column: Any = parquet.metadata.row_group(number).column(at)
        if column.physical_type != "INT64" or column.statistics is None or not column.statistics.has_min_max:
            return None
        firsts.append(int(column.statistics.min_raw) * _NS_PER_UNIT[kind.unit])
    return min(firsts)


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
