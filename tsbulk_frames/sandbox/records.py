"""A JSON array of flat records to checked tables, block by block in bounded memory.

Two readers. The fast one hands pieces to Arrow's JSON reader with the aspect's types, several at the same time, and is
only believed where it is provably exact; at the first piece that it does not like, the exact one goes on from that
very byte, record by record with the standard library's decoder: it converts JSON strings and says what is wrong, and
where.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json

from tsbulk_frames.sandbox.arrow import Column, flat
from tsbulk_frames.sandbox.model import Aspect, DataType
from tsbulk_frames.sandbox.validation import Invalid, JsonValue, check_table, convert, wire_schema

__all__ = ["iter_tables"]

_BLOCK = 1_000_000
_AHEAD = 4
_HEAD = 4_096
_WHITE = b" \t\n\r"
_BATCH = 16_384
_MAX_RECORD = 64_000_000
_SPACE = re.compile(r"[ \t\n\r]*")
_nulls: Any = pa.nulls  # untyped, because the stubs want the type known


def iter_tables(file: BinaryIO, aspect: Aspect, pool: Executor | None = None) -> Iterator[pa.Table]:
    """Yield the records of an import file, in the order of the file.

    Parameters
    ----------
    file : binary file
        Read from its beginning; UTF-8.
    aspect : Aspect
        Property names and data types.
    pool : Executor, optional
        Threads on which pieces of the file are decoded ahead; None: all happens when a table is asked for.

    Yields
    ------
    pyarrow.Table
        At least one row; ``_time`` as ``timestamp[ns, UTC]``, then every property of the aspect with its quality
        code behind it. Nothing is said of the order of times.

    Raises
    ------
    Invalid
        Not a JSON array of flat objects, or a record that `validation.check_table` refuses; with the position of
        the record in the file. Tables before that have been given already.
    """
    reader = _FastReader(file, aspect, pool)
    yield from reader
    if reader.rest is not None:
        record = reader.record
        for batch in _exact_batches(file, reader.rest, record):
            table = _table(batch, aspect, record)
            try:
                checked = check_table(table, aspect)
            except Invalid as error:
                raise _moved(error, record) from None
            yield checked
            record += len(batch)


def _moved(error: Invalid, record: int) -> Invalid:
    """Count the position of a bad record from the first one of the file."""
    return Invalid(error.message, record + (error.record or 0))


class _FastReader:
    """Pieces through Arrow; `rest` is the undecoded text where it stopped, None when the file was read wholly.

    Why it is exact: Arrow refuses unknown and repeated keys, other kinds of values than the schema's, and raw
    newlines in texts, so no ``},{`` inside of a text survives being turned into lines; and when there is just one
    such comma less than there are records, nothing but single commas stood between them.
    """

    def __init__(self, file: BinaryIO, aspect: Aspect, pool: Executor | None) -> None:
        self.rest: bytes | None = None
        self.record = 0
        self._file = file
        self._aspect = aspect
        self._pool = pool
        self._schema = self._expected = wire_schema(aspect)
        self._unread = b""
        self._stopped = False

    def __iter__(self) -> Iterator[pa.Table]:
        pieces = self._pieces()
        ahead: deque[tuple[bytes, Callable[[], pa.Table | None]]] = deque()
        while True:
            for piece, stop in itertools.islice(pieces, _AHEAD - len(ahead)):
                ahead.append((piece, self._begin(piece, stop)))
            if not ahead:
                self.rest = self._unread if self._stopped else None
                return
            try:
                table = ahead[0][1]()
            except Invalid as error:
                raise _moved(error, self.record) from None
            if table is None:
                self.rest = b"".join([*(piece for piece, _ in ahead), self._unread])
                return
            ahead.popleft()
            yield table
            self.record += table.num_rows

    def _pieces(self) -> Iterator[tuple[bytes, int]]:
        """Cut the file between records: the bracket or comma before them, the records up to the place given, the end.

        Where the text is none of that any more, it is left in `_unread`.
        """
        start = b"["
        while True:
            block, ended = self._file.read(_BLOCK), False
            if len(block) < _BLOCK:
                more = self._file.read(_BLOCK)
                block, ended = block + more, not more
            self._unread = text = self._unread + block
            stop = len(text.rstrip(_WHITE)) - 1 if ended else text.rfind(b"},{") + 1
            if not text.startswith(start) or stop <= 1 or (ended and text[stop - 1 : stop + 1] != b"}]"):
                self._stopped = True
                return
            if start == b"[":
                self._expect(text)
            cut = len(text) if ended else stop
            self._unread = text[cut:]
            yield text[:cut], stop
            if ended:
                return
            start = b","

    def _expect(self, text: bytes) -> None:
        """Guess the columns from the first records: Arrow spends as much time on those that never come."""
        head = text[:_HEAD]
        names = [name for name in self._schema.names if f'"{name}":'.encode() in head]
        self._expected = pa.schema([self._schema.field(name) for name in names])

    def _begin(self, piece: bytes, stop: int) -> Callable[[], pa.Table | None]:
        """Decode now on another thread, or here when the result is asked for."""
        if self._pool is None:
            return partial(self._decode, piece, stop)
        return self._pool.submit(self._decode, piece, stop).result

    def _decode(self, piece: bytes, stop: int) -> pa.Table | None:
        """Decode and check a piece; None unless it certainly is objects with commas between them."""
        if not piece.startswith(b"{", 1):
            return None
        marks = np.frombuffer(piece, np.uint8)[1:stop].copy()
        opening = np.flatnonzero(marks[2:] == ord("{"))
        commas = opening[(marks[opening] == ord("}")) & (marks[opening + 1] == ord(","))] + 1
        marks[commas] = ord("\n")
        try:
            piece.isascii() or piece.decode()
            table = self._parse(marks)
        except (pa.ArrowException, UnicodeDecodeError):
            return None
        return check_table(table, self._aspect) if table.num_rows == len(commas) + 1 else None

    def _parse(self, lines: npt.NDArray[np.uint8]) -> pa.Table:
        """Read objects, one a line, into the columns of the aspect."""
        expected = self._expected
        try:
            table = _read_lines(lines, expected)
        except pa.ArrowException:
            if expected is self._schema:
                raise
            self._expected = self._schema
            return _read_lines(lines, self._schema)
        found = set(expected.names)
        columns: list[Column] = [
            flat(table[field.name]) if field.name in found else _nulls(table.num_rows, field.type)
            for field in self._schema
        ]
        return pa.Table.from_arrays(columns, schema=self._schema)


def _read_lines(lines: npt.NDArray[np.uint8], schema: pa.Schema) -> pa.Table:
    """Let Arrow read objects of these columns and no others; as one block, on this thread."""
    source: Any = pa.BufferReader(lines.data)  # the stubs know files only
    return pyarrow.json.read_json(
        source,
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )


def _exact_batches(file: BinaryIO, text: bytes, record: int) -> Iterator[list[dict[str, JsonValue]]]:
    """Decode record by record from `text` on, which begins with the array's bracket or with a comma."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer)
    source = _Source(file, text)
    batch: list[dict[str, JsonValue]] = []
    opening = record == 0
    if source.next() != ("[" if opening else ","):
        if opening:
            raise Invalid("the file is not a JSON array of records")
        raise Invalid("expected ',' or ']' behind it", record - 1)
    while True:
        if opening and source.next(peek=True) == "]":
            raise Invalid("the array is empty; at least one record is needed")
        opening = False
        if source.next(peek=True) != "{":
            raise Invalid("is not a JSON object", record + len(batch))
        try:
            batch.append(source.decode(decoder))
        except (ValueError, RecursionError) as error:
            raise Invalid(f"cannot be read: {error}", record + len(batch)) from None
        after = source.next()
        if after == "]":
            break
        if after != ",":
            raise Invalid("expected ',' or ']' behind it", record + len(batch) - 1)
        if len(batch) == _BATCH:
            yield batch
            record, batch = record + len(batch), []
    yield batch
    if source.next():
        raise Invalid("the file goes on behind the end of the array")


class _Source:
    """Text of a file, as far as it has been read and not used."""

    def __init__(self, file: BinaryIO, start: bytes) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._ended = "", 0, False
        self._append(start)

    def next(self, *, peek: bool = False) -> str:
        """Give the next character that is not white space, empty at the end of the file."""
        while True:
            self._at = self._match_space()
            if self._at < len(self._text):
                character = self._text[self._at]
                self._at += not peek
                return character
            if self._ended:
                return ""
            self._more()

    def decode(self, decoder: json.JSONDecoder) -> dict[str, JsonValue]:
        """Decode the object that begins here, reading on as long as it may only be cut off."""
        while True:
            try:
                value, self._at = decoder.raw_decode(self._text, self._at)
            except ValueError:
                if self._ended or len(self._text) - self._at > _MAX_RECORD:
                    raise
                self._more()
            else:
                return dict(value)

    def _match_space(self) -> int:
        """Where the white space ends."""
        match = _SPACE.match(self._text, self._at)
        return match.end() if match else self._at

    def _more(self) -> None:
        """Read another block, at least as long as what is at hand, so that no text is decoded often."""
        block = self._file.read(max(_BLOCK, len(self._text) - self._at))
        self._ended = not block
        self._append(block)

    def _append(self, block: bytes) -> None:
        """Drop what was used and decode what came."""
        try:
            self._text = self._text[self._at :] + self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            raise Invalid(f"the file is not UTF-8: {error.reason}") from None
        self._at = 0


class _MinusZero(int):
    """``-0``: zero for an integer, ``-0.0`` for a DOUBLE."""

    def __float__(self) -> float:
        return -0.0


def _integer(text: str) -> int:
    """Keep the sign of zero, as Arrow does."""
    return _MinusZero() if text == "-0" else int(text)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """Refuse keys that come twice, because which of them counts is anybody's guess."""
    record = dict(pairs)
    if len(record) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r} comes twice")
    return record


def _table(records: list[dict[str, JsonValue]], aspect: Aspect, first: int) -> pa.Table:
    """Convert decoded records column by column."""
    schema = wire_schema(aspect)
    known = set(schema.names)
    if not known.issuperset(set().union(*records)):
        for position, record in enumerate(records):
            for name in record:
                if name not in known:
                    raise Invalid(f"{name!r} is no property of aspect {aspect.name!r}", first + position)
    columns = []
    for field in schema:
        converted = convert(_data_type(field.name, aspect))
        values = []
        for position, record in enumerate(records):
            value = record.get(field.name)
            try:
                values.append(converted(value))
            except ValueError as error:
                shown = json.dumps(value)[:60]
                raise Invalid(f"{field.name} is {shown}; {error}", first + position) from None
        columns.append(_array(values, field, first))
    return pa.Table.from_arrays(columns, schema=schema)


def _data_type(name: str, aspect: Aspect) -> DataType:
    """Name the data type of a column: a property's own; quality codes are integers, the time a text."""
    if name == "_time":
        return "BIG_STRING"
    return aspect.variables[name].data_type if name in aspect.variables else "LONG"


def _array(values: list[JsonValue], field: pa.Field[Any], first: int) -> Column:
    """Build a column; only a text with half a surrogate pair cannot be stored."""
    try:
        column: Column = pa.array(values, field.type)
    except UnicodeEncodeError:
        for position, value in enumerate(values):
            if isinstance(value, str) and not value.isascii() and any("\ud800" <= mark <= "\udfff" for mark in value):
                raise Invalid(f"{field.name} holds half a surrogate pair", first + position) from None
        raise
    return column
