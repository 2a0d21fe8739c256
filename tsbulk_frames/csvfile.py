"""Records from CSV, exact by the types the asset declares: text alone does not tell a number from a name; floor 8."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tsbulk_frames.assets import Variable
from tsbulk_frames.errors import FrameError
from tsbulk_frames.kinds import EXACT, TIME_TYPE
from tsbulk_frames.model import QC_SUFFIX, TIME
from tsbulk_frames.schema import arrow_type

__all__ = ["CsvFile", "save_as_parquet", "spooled"]

_BLOCK = 4 << 20


class CsvFile:
    """A CSV file as tables, as often as wanted, in bounded memory.

    Parameters
    ----------
    stream : binary file
        Gone through from its beginning each time.
    name : str
        For messages.
    variables : sequence of Variable
        Of the aspect: they tell the types. A cell that is empty is missing; one with ``""`` is an empty text.

    Raises
    ------
    FrameError
        While it is gone through: no ``_time`` column, unknown columns, a cell that is not of its type, a quotation mark
        that is not closed.
    """

    def __init__(self, stream: IO[bytes], name: str, variables: Sequence[Variable]) -> None:
        self._stream = stream
        self._name = name
        self._types = {TIME: TIME_TYPE}
        for one in variables:
            self._types[one.name] = pa.string() if arrow_type(one) == EXACT else arrow_type(one)
            self._types[one.name + QC_SUFFIX] = pa.int64()

    def __iter__(self) -> Iterator[pa.Table]:
        self._check_quotes()
        self._stream.seek(0)
        try:
            # a handle of its own, as Arrow closes what it reads from
            with open(os.dup(self._stream.fileno()), "rb") as stream:
                reader = pacsv.open_csv(
                    stream,
                    read_options=pacsv.ReadOptions(block_size=_BLOCK),
                    parse_options=pacsv.ParseOptions(newlines_in_values=True),
                    convert_options=pacsv.ConvertOptions(
                        column_types=self._types,
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    ),
                )
                self._check_heads(reader.schema.names)
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        except pa.ArrowInvalid as error:
            raise FrameError(
                f"{self._name}: {error}; cells must be of the types the aspect declares (tsbulk describe), times "
                "ISO 8601 with Z or an offset, lines all of one length, separated by commas, in UTF-8"
            ) from error

    def _check_quotes(self) -> None:
        """Refuse a quotation mark that is not closed: Arrow takes all the lines behind it for one text."""
        self._stream.seek(0)
        if sum(block.count(b'"') for block in iter(partial(self._stream.read, _BLOCK), b"")) % 2:
            raise FrameError(
                f"{self._name}: a quotation mark is not closed, is the file whole? A text with quotation marks in it "
                "stands in quotation marks, and each of its own is doubled"
            )

    def _check_heads(self, names: Sequence[str]) -> None:
        """Refuse columns that are not of the aspect, before any of them is guessed at."""
        if TIME not in names:
            raise FrameError(
                f"{self._name}: no column {TIME!r} among {', '.join(map(repr, names))}; the first line names the "
                f"columns, separated by commas: {TIME} and properties of the aspect"
            )
        double = [name for at, name in enumerate(names) if name in names[:at]]
        unknown = [name for name in names if name not in self._types]
        if double or unknown:
            what = f"column {double[0]!r} is there twice" if double else f"the aspect has no property {unknown[0]!r}"
            known = ", ".join(name for name in self._types if not name.endswith(QC_SUFFIX))
            raise FrameError(
                f"{self._name}: {what}; accepted are {known}, and {QC_SUFFIX} behind a property",
                column=(double or unknown)[0],
            )


def spooled(stream: IO[bytes]) -> IO[bytes]:
    """Copy a pipe to a private temporary file, which is gone with its handle: it can be read twice then."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115  (its caller closes it)
    try:
        shutil.copyfileobj(stream, spool, 1 << 20)
    except BaseException:
        spool.close()
        raise
    return spool


def save_as_parquet(csv: CsvFile, folder: Path, name: str) -> Path:
    """Save CSV beside a manifest, so that its import is planned as a whole and can be gone on with.

    Parameters
    ----------
    csv : CsvFile
        What to save.
    folder : pathlib.Path
        Where.
    name : str
        Begins the name; a digest follows, so that other data never takes the place of what an import began with.

    Raises
    ------
    FrameError
        See `CsvFile`.
    OSError
        It cannot be written.
    """
    part = folder / f"{name}{secrets.token_hex(4)}.part"
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as stream:
            writer: pq.ParquetWriter | None = None
            for table in csv:
                writer = writer or pq.ParquetWriter(stream, table.schema)
                writer.write_table(table)
            if writer is None:
                writer = pq.ParquetWriter(stream, pa.schema([(TIME, TIME_TYPE)]))
            writer.close()
            stream.seek(0)
            digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
        whole = folder / f"{name}{digest}.parquet"
        os.replace(part, whole)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return whole
