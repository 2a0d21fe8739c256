"""How many bytes of records rows will be, without encoding them all; pure.

Some rows are encoded, and stand for those around them. What can be counted is not sampled: texts, of which a long one
now and then would be missed or count for many, and the names of cells that are there in some rows only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames._encode import encode_rows
from tsbulk_frames.kinds import EXACT

__all__ = ["bytes_up_to", "encoded_bytes"]

_SAMPLE, _LONGEST_STEP = 1_000, 50


def encoded_bytes(table: pa.Table) -> int:
    """Bytes of all records with their separators, by encoding them.

    Parameters
    ----------
    table : pyarrow.Table
        As `tsbulk_frames.frames.check_table` returns it.
    """
    return sum(int(chunk.offsets[-1] - chunk.offsets[0]) for chunk in encode_rows(table))


def bytes_up_to(table: pa.Table, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Estimate where in the encoded bytes rows begin.

    Parameters
    ----------
    table : pyarrow.Table
        As `tsbulk_frames.frames.check_table` returns it; not empty.
    rows : ndarray of int64
        Positions, from 0 to the number of rows.

    Returns
    -------
    ndarray of float64
        Bytes before each of the positions.

    Notes
    -----
    One row of each stretch is encoded: all of a small table, at least 1,000 rows, and one of 50 in a large one.
    Which one is left to a generator with a fixed seed, as a regular choice would fall into step with columns that have
    a value every so many rows.
    """
    count = table.num_rows
    step = max(1, min(count // _SAMPLE, _LONGEST_STEP))
    starts = np.arange(0, count, step)
    lengths = np.diff(starts, append=count)
    picked = starts + (np.random.default_rng(0).random(len(starts)) * lengths).astype(np.int64)
    sizes = np.concatenate([np.diff(chunk.offsets) for chunk in encode_rows(table.take(picked))])
    known = _known_bytes(table)
    rest = np.cumsum((sizes - known[picked]) * lengths)
    before: npt.NDArray[np.float64] = np.interp(rows, np.append(starts, count), np.append(0, rest))
    before += np.append(0, np.cumsum(known))[rows]
    return before


def _known_bytes(table: pa.Table) -> npt.NDArray[np.int64]:
    """Bytes of texts, and of names where cells are missing, in each row; what their escapes add is left out."""
    known = np.zeros(table.num_rows, np.int64)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count:
            known += len(name.encode()) * column.is_valid().to_numpy()
        if column.type == EXACT:
            column = column.cast(pa.string())
        if pa.types.is_string(column.type):
            known += pc.binary_length(column).fill_null(pa.scalar(0, pa.int32())).to_numpy()
    return known
