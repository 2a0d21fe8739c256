"""Arrow → bytes of records, exactly and in bulk: the writing half of the codec; pure.

A chunk of rows is formatted column by column in C++ and joined once. Where each row begins is known, so that hours,
days and import files are cut from the bytes without formatting anything again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tsbulk_frames.kinds import EXACT, Cells, Column
from tsbulk_frames.model import TIME, is_quality_code

__all__ = ["SEPARATOR", "EncodedRows", "encode_rows"]

SEPARATOR = b","
"""Stands behind every encoded record; a file leaves its last one out."""

_CHUNK_BYTES = 6 << 20
"""About as much text is made at once: large enough for the speed, small beside the frame."""
_SPACE, _QUOTE, _BACKSLASH, _T = b' "\\T'
_EMPTY = pa.scalar("", pa.large_string())


@dataclass(frozen=True, slots=True)
class EncodedRows:
    r"""Some rows as the service spells them.

    Attributes
    ----------
    data : memoryview
        The records, each followed by a comma: ``{"_time":"…","speed":94.0},``. No blank stands between them: smaller,
        and what readers are fastest with.
    offsets : numpy.ndarray of int64, shape (n_rows + 1,)
        Row `i` is ``data[offsets[i]:offsets[i + 1]]``, its separator included; without it up to
        ``offsets[i + 1] - 1``.
    """

    data: memoryview
    offsets: npt.NDArray[np.int64]


def encode_rows(table: pa.Table, *, rows: int | None = None) -> Iterator[EncodedRows]:
    r"""Format rows as JSON records, exactly.

    Parameters
    ----------
    table : pyarrow.Table
        As `tsbulk_frames.frames.check_table` returns it.
    rows : int, optional
        Rows formatted at once. By default as many as make about 6 MB of text, however wide the table.

    Yields
    ------
    EncodedRows
        In the order of the table. ``_time`` first, in UTC with nine fraction digits and ``Z``; a missing cell is left
        out with its key; floats in the shortest spelling that reads back the same and always one of a float
        (``45.0``, ``-0.0``, ``1e+22``); text in UTF-8.

    Notes
    -----
    Source: ``POST /importJobs``, content of an import file: a JSON array of records.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsbulk_frames.frames import from_frame
    >>> df = pd.DataFrame({"speed": [94.0, 95.5]}, index=pd.date_range("2026-03-01", periods=2, freq="h", tz="UTC"))
    >>> chunk = next(encode_rows(from_frame(df)))
    >>> bytes(chunk.data[chunk.offsets[1] : chunk.offsets[2]])
    b'{"_time":"2026-03-01T01:00:00.000000000Z","speed":95.5},'
    """
    rows = rows or _rows_at_once(table)
    for first in range(0, table.num_rows, rows):
        yield _encode_chunk(table.slice(first, rows).combine_chunks())


def _rows_at_once(table: pa.Table) -> int:
    """Guess from what the cells weigh in Arrow how many rows make a chunk of text."""
    names = sum(len(name) * (table.num_rows - table[name].null_count) for name in table.column_names)
    return max(1, _CHUNK_BYTES * table.num_rows // max(1, names + 5 * table.nbytes // 2))


def _encode_chunk(table: pa.Table) -> EncodedRows:
    """Join the cells of each row; constant text rides along as scalars."""
    parts = [_scalar(f'{{"{TIME}":"'), _times(_array(table[TIME]))]
    filled = {name: _array(table[name]) for name in table.column_names if table[name].null_count < table.num_rows}
    numbers = [name for name, column in filled.items() if pa.types.is_float64(column.type)]
    if numbers:  # all at once: a wide table has few rows a chunk, and each call has its price
        spelled = _floats(pa.concat_arrays([filled[name] for name in numbers]))
        filled |= {name: spelled.slice(at * table.num_rows, table.num_rows) for at, name in enumerate(numbers)}
    pending = 'Z"'  # constant text not yet written: it joins that of the next key
    for name, column in filled.items():
        if name == TIME:
            continue
        which = None
        if column.null_count and is_quality_code(name):  # there are few codes: each is spelled once, with its key
            codes = column.dictionary_encode()
            column, which = codes.dictionary, codes.indices
        cells, quote = _cells(column)
        key = f",{json.dumps(name, ensure_ascii=False)}:{quote}"
        if cells.null_count or which is not None:
            spelled = pc.binary_join_element_wise(_scalar(key), cells, _scalar(quote), _EMPTY)  # type: ignore[call-overload]
            parts += [_scalar(pending), spelled if which is None else spelled.take(which)]
            pending = ""
        else:
            parts += [_scalar(pending + key), cells]
            pending = quote
    parts.append(_scalar(pending + "},"))
    joined = pc.binary_join_element_wise(*parts, _EMPTY, null_handling="skip")  # type: ignore[call-overload]
    _, offsets, data = joined.buffers()
    return EncodedRows(memoryview(data), np.frombuffer(offsets, np.int64, len(joined) + 1))


def _array(column: Column) -> Cells:
    """Only chunk of a column."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # type: ignore[return-value]


def _bytes(column: Cells, number: int) -> memoryview:
    """Look into one of a column's buffers; Arrow leaves out empty ones."""
    return memoryview(column.buffers()[number] or b"")


def _scalar(text: str) -> Cells:
    """Constant text, as wide as the joined rows."""
    return pa.scalar(text, pa.large_string())  # type: ignore[return-value]


def _cells(column: Cells) -> tuple[Cells, str]:
    """Spelling of each value, and the quote that is still to stand around it."""
    kind = column.type
    if kind == EXACT:
        return column.storage.cast(pa.large_string()), ""  # type: ignore[attr-defined]
    if pa.types.is_string(kind):
        return _texts(column)
    if pa.types.is_large_string(kind):
        return column, ""  # spelled before
    if pa.types.is_boolean(kind):
        return pc.if_else(column, _scalar("true"), _scalar("false")), ""
    return column.cast(pa.large_string()), ""


def _texts(column: Cells) -> tuple[Cells, str]:
    """Text needs escaping only where a special character occurs: rarely."""
    offsets = np.frombuffer(_bytes(column, 1), np.int32)[column.offset : column.offset + len(column) + 1]
    raw = np.frombuffer(_bytes(column, 2), np.uint8)[offsets[0] : offsets[-1]]
    if not ((raw < _SPACE) | (raw == _QUOTE) | (raw == _BACKSLASH)).any():
        return column.cast(pa.large_string()), '"'
    distinct = column.dictionary_encode()
    spelled = [json.dumps(text, ensure_ascii=False) for text in distinct.dictionary.to_pylist()]
    return pa.array(spelled, pa.large_string()).take(distinct.indices), ""


def _floats(column: Cells) -> Cells:
    """Arrow's shortest spelling, with the fraction that it leaves out of whole numbers (45, -0)."""
    texts = column.cast(pa.large_string())
    numbers = column.fill_null(0.5).to_numpy()
    whole = np.flatnonzero(numbers == np.rint(numbers))
    if not len(whole):
        return texts
    spelled = texts.take(pa.array(whole))  # type: ignore[arg-type]
    bare = pc.invert(pc.match_substring_regex(spelled, "[.e]")).to_numpy(zero_copy_only=False)
    if not bare.any():
        return texts
    mask = np.zeros(len(texts), np.bool_)
    mask[whole[bare]] = True
    complete = pc.binary_join_element_wise(spelled.filter(pa.array(bare)), _scalar(".0"), _EMPTY)  # type: ignore[call-overload]
    return pc.replace_with_mask(texts, pa.array(mask), complete)  # type: ignore[no-any-return]


def _times(column: Cells) -> Cells:
    """Spelling of each time in 29 characters; the ``Z`` is constant text."""
    spelled = column.cast(pa.timestamp("ns")).cast(pa.large_string())
    rows = len(spelled)
    text = np.frombuffer(_bytes(spelled, 2), np.uint8, 29 * rows).reshape(rows, 29).copy()
    text[:, 10] = _T
    return pa.Array.from_buffers(pa.large_string(), rows, [None, spelled.buffers()[1], pa.py_buffer(text)])  # type: ignore[arg-type]
