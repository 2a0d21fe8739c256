"""Stored columns to JSON text: a leaf of the store is rendered once, then pages are cut from it at byte offsets.

Rendering works column by column in Arrow, so it costs a fraction of encoding record by record, and it is exact:
a DOUBLE is written with the fewest digits that read back to the same number and always looks like one (``45.0``,
``-0.0``), integers in full, a cell without a value leaves its key out.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tsbulk_frames.sandbox.arrow import Column, compute, flat
from tsbulk_frames.sandbox.moments import format_column

__all__ = ["Rendered", "render"]

_NEEDS_ESCAPE = r'["\\\x00-\x1f]'
_SPECIAL = np.isin(np.arange(256), [*range(0x20), ord('"'), ord("\\")])


@dataclass(frozen=True)
class Rendered:
    """Records as text, ascending in time; those without any value are not among them.

    Attributes
    ----------
    times : numpy.ndarray of int64
        Nanoseconds since the epoch, strictly ascending.
    ends : numpy.ndarray of int64
        Where each record's text, with the comma behind it, ends in `text`.
    text : memoryview
        ``{…},{…},``
    """

    times: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    text: memoryview

    def cut(self, first: int, stop: int, *, descending: bool = False) -> bytes:
        """Text of the records at ``first`` to ``stop - 1``, a comma behind each."""
        if not descending:
            return bytes(self.text[self._start(first) : self._start(stop)])
        return b"".join(self.text[self._start(at) : self._start(at + 1)] for at in range(stop - 1, first - 1, -1))

    def size(self, first: int, stop: int) -> int:
        """Bytes of that text."""
        return self._start(stop) - self._start(first)

    def fit(self, first: int, stop: int, size: int, *, descending: bool = False) -> int:
        """Count how many of these records fit into `size` bytes, from the side that is read first."""
        if descending:
            lowest = self._start(stop) - size
            at = int(np.searchsorted(self.ends, lowest, "left")) + 1 if lowest > 0 else 0
            return stop - max(first, at)
        return min(stop, int(np.searchsorted(self.ends, self._start(first) + size, "right"))) - first

    def _start(self, at: int) -> int:
        """Where a record's text begins: where the one before it ends."""
        return int(self.ends[at - 1]) if at else 0

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.times.nbytes + self.ends.nbytes + self.text.nbytes


def render(table: pa.Table, columns: Sequence[str]) -> Rendered:
    """Text of all records that have a value in one of `columns`, in the order of `columns`.

    Parameters
    ----------
    table : pyarrow.Table
        ``_time`` ascending, and property columns; a column that it does not have has no values.
    columns : sequence of str
        Properties and quality codes to write.
    """
    present = [name for name in columns if name in table.column_names]
    names = [name for name in present if table[name].null_count < table.num_rows]
    table = table.select(["_time", *names]).combine_chunks()
    valued = _any_value(table, names)
    if not valued.all():
        table = table.filter(pa.array(valued)).combine_chunks()
    if table.num_rows == 0:
        nothing = np.empty(0, np.int64)
        return Rendered(nothing, nothing, memoryview(b""))
    times = flat(table["_time"])
    parts: list[Column | str] = ['{"_time":"', format_column(times), '"']
    for name in names:
        parts += _member(name, flat(table[name]))
    text = compute.binary_join_element_wise(*_merged([*parts, "},"]), "").cast(pa.large_string())
    _, offsets, data = text.buffers()
    ends = np.frombuffer(offsets, np.int64)[text.offset + 1 : text.offset + len(text) + 1]
    return Rendered(times.cast(pa.int64()).to_numpy(), ends, memoryview(data).cast("B"))


def _merged(parts: Sequence[Column | str]) -> Iterator[Column | str]:
    """Join the texts that stand side by side in every record: each part is a copy in each record."""
    for constant, group in itertools.groupby(parts, lambda part: isinstance(part, str)):
        if constant:
            yield "".join(str(part) for part in group)
        else:
            yield from group


def _any_value(table: pa.Table, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which records are to be written at all."""
    valued = np.zeros(table.num_rows, bool)
    for name in names:
        if valued.all():
            break
        valued |= table[name].is_valid().to_numpy()
    return valued


def _member(name: str, values: Column) -> list[Column | str]:
    """Give what makes up ``,"name":value`` for each record, empty texts where there is no value."""
    key = f",{json.dumps(name, ensure_ascii=False)}:"
    if pa.types.is_floating(values.type):
        parts: list[Column | str] = [key, _decimal(values)]
    elif pa.types.is_string(values.type):
        parts = [f'{key}"', _escape(values), '"']
    else:
        parts = [key, values.cast(pa.string())]
    if not values.null_count:
        return parts
    return [compute.fill_null(compute.binary_join_element_wise(*parts, ""), "")]


def _decimal(values: Column) -> Column:
    """Shortest texts of numbers, ``.0`` behind those that look like integers."""
    text = values.cast(pa.string())
    numbers = values.to_numpy(zero_copy_only=False)  # missing ones are NaN, equal to nothing
    whole = np.flatnonzero(numbers == np.trunc(numbers))
    if not len(whole):
        return text
    bare = compute.take(text, whole)
    mask = np.zeros(len(text), bool)
    pointed = compute.if_else(
        compute.match_substring(bare, "e"), bare, compute.binary_join_element_wise(bare, ".0", "")
    )
    mask[whole] = True
    replaced: Column = compute.replace_with_mask(text, mask, pointed)
    return replaced


def _escape(values: Column) -> Column:
    """Text as it stands inside of JSON quotes; few texts need more than being looked at."""
    data = values.buffers()[2]
    if data is None or not _SPECIAL[np.frombuffer(memoryview(data), np.uint8)].any():
        return values
    special = compute.fill_null(compute.match_substring_regex(values, _NEEDS_ESCAPE), False)
    if not compute.any(special).as_py():
        return values
    escaped = [json.dumps(text, ensure_ascii=False)[1:-1] for text in values.filter(special).to_pylist()]
    replaced: Column = compute.replace_with_mask(values, special, pa.array(escaped, pa.string()))
    return replaced
