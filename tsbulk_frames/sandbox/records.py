"""A JSON array of flat records to checked tables, block by block in bounded memory.

Two readers. The fast one hands blocks to Arrow's JSON reader with the aspect's types, and is only believed where it is
provably exact; at the first block that it does not like, the exact one goes on from that very byte, record by
record with the standard library's decoder: it converts JSON strings and says what is wrong, and where.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.json

from tsbulk_frames.sandbox.arrow import Column
from tsbulk_frames.sandbox.model import Aspect, DataType
from tsbulk_frames.sandbox.validation import Invalid, JsonValue, check_table, convert, wire_schema

__all__ = ["iter_tables"]

_BLOCK = 4_000_000
_BATCH = 16_384
_MAX_RECORD = 64_000_000
_SPACE = re.compile(r"[ \t\n\r]*")


def iter_tables(file: BinaryIO, aspect: Aspect) -> Iterator[pa.Table]:
    """Yield the records of an import file, in the order of the file.

    Parameters
    ----------
    file : binary file
        Read from its beginning; UTF-8.
    aspect : Aspect
        Property names and data types.

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
    record = 0
    reader = _FastReader(file, aspect)
    for table in reader:
        yield _checked(table, aspect, record)
        record += table.num_rows
    if reader.rest is not None:
        for batch in _exact_batches(file, reader.rest, record):
            yield _checked(_table(batch, aspect, record), aspect, record)
            record += len(batch)


def _checked(table: pa.Table, aspect: Aspect, record: int) -> pa.Table:
    """Check a table; positions count from the file's first record."""
    try:
        return check_table(table, aspect)
    except Invalid as error:
        raise Invalid(error.message, record + (error.record or 0)) from None


class _FastReader:
    """Blocks through Arrow; `rest` is the undecoded text where it stopped, None when the file was read wholly.

    Why it is exact: Arrow refuses unknown and repeated keys, other kinds of values than the schema's, and raw
    newlines in texts, so no ``},{`` inside of a text survives being turned into lines; and when there is just one
    such comma less than there are records, nothing but single commas stood between them.
    """

    def __init__(self, file: BinaryIO, aspect: Aspect) -> None:
        self.rest: bytes | None = None
        self._file = file
        self._options = pyarrow.json.ParseOptions(
            explicit_schema=wire_schema(aspect), unexpected_field_behavior="error"
        )

    def __iter__(self) -> Iterator[pa.Table]:
        start, held = b"[", b""
        while True:
            block = self._file.read(_BLOCK)
            text = held + block
            cut = text.rfind(b"},{") if block else len(text.rstrip()) - 2
            if cut < 0 or not text.startswith(start) or not (block or text.rstrip().endswith(b"}]")):
                break
            table = self._parse(text[len(start) : cut + 1])
            if table is None:
                break
            yield table
            start, held = b",", text[cut + 1 :]
            if not block:
                return
        self.rest = text

    def _parse(self, text: bytes) -> pa.Table | None:
        """Decode objects with commas between them; None unless that is certainly what they are."""
        lines = text.replace(b"},{", b"}\n{")
        if not text.startswith(b"{"):
            return None
        try:
            text.isascii() or text.decode()
            table = pyarrow.json.read_json(
                io.BytesIO(lines),
                read_options=pyarrow.json.ReadOptions(block_size=1 << 20),
                parse_options=self._options,
            )
        except (pa.ArrowException, UnicodeDecodeError):
            return None
        return table.combine_chunks() if table.num_rows == text.count(b"},{") + 1 else None


def _exact_batches(file: BinaryIO, text: bytes, record: int) -> Iterator[list[dict[str, JsonValue]]]:
    """Decode record by record from `text` on, which begins with the array's bracket or with a comma."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
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
