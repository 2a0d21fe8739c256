"""A range as a Parquet dataset on disk, day by day, resumable, never held in memory; floor 7.6.

``directory/entity=<entity>/day=2026-03-01/<first instant>.parquet``. A file is written under another name and renamed
once it is complete; what is covered stands in ``.tsbulk.json`` beside the data, so a second call fetches only the rest.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tsbulk_frames._html import as_box, as_facts, as_head, as_table
from tsbulk_frames._text import as_count, as_size, pick
from tsbulk_frames.codec import unify
from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import FrameError
from tsbulk_frames.kinds import EXACT, TIME_TYPE, arrange, floats_hold, missing, widen
from tsbulk_frames.model import NS_PER_DAY, TIME, Inclusive, Moment, Series, TimeRange, format_time
from tsbulk_frames.paging import times_of
from tsbulk_frames.progress import Meter, Progress, check_progress, meter
from tsbulk_frames.request import Quality, ReadRequest, check_read, check_workers, stream_tables
from tsbulk_frames.schema import ask_model, conform

__all__ = ["DownloadInfo", "download_parquet"]

_STATE = ".tsbulk.json"
_DATA_FILE = re.compile(r"entity=[^/]+/day=[0-9-]+/[0-9TZ.]+\.parquet")
"""Path of a file that `_Day` writes: of nothing else does the state speak."""


@dataclass(frozen=True, slots=True)
class DownloadInfo:
    """What a download did.

    Attributes
    ----------
    directory : pathlib.Path
        The dataset: ``pandas.read_parquet(directory)``, ``pyarrow.dataset.dataset(directory, partitioning="hive")``.
    files : tuple of pathlib.Path
        Written by this call.
    rows, bytes : int
        Of these files.
    skipped : int
        Entities of which all or a part of the range was there already.
    """

    directory: Path
    files: tuple[Path, ...] = field(repr=False)
    rows: int
    bytes: int
    skipped: int

    def __repr__(self) -> str:
        return f"DownloadInfo in {self.directory}: {self._head()}"

    def _repr_html_(self) -> str:
        names = [path.relative_to(self.directory).as_posix() for path in self.files]
        shown = pick(names, [False] * len(names))
        files = as_table(["written"], [name and [name] for name in shown], len(names)) if names else ""
        return as_box(as_head("DownloadInfo", self._head()), as_facts([("directory", self.directory)]), files)

    def _head(self) -> str:
        """In words."""
        done = f"{as_count(len(self.files), 'file')}, {as_count(self.rows, 'record')}, {as_size(self.bytes)} written"
        there = f"; of {self.skipped:,} entities all or a part was there already" if self.skipped else ""
        return done + there


def download_parquet(
    entity: str | Sequence[str],
    property_set: str,
    start: Moment,
    end: Moment,
    directory: str | os.PathLike[str],
    *,
    select: str | Sequence[str] | None = None,
    inclusive: Inclusive = "left",
    quality: Quality = "columns",
    max_workers: int | None = None,
    progress: Progress = None,
    connection: Connection | None = None,
) -> DownloadInfo:
    """Download the history of an aspect as a Parquet dataset, in bounded memory.

    A second call fetches only what is missing: after an interruption the rest, for a longer range what is new.

    Parameters
    ----------
    entity, property_set, start, end, select, inclusive, quality, max_workers, progress, connection
        As for `read_timeseries`. Several entities come one after the other.
    directory : str or path
        Made if it is not there. One folder holds one property set, with the same `select` and `quality`.

    Returns
    -------
    DownloadInfo
        What this call wrote, and how much was there already.

    Raises
    ------
    FrameError
        An argument cannot be used, or the folder holds another download; before any request.
    DecodeError
        A value does not fit the data type its aspect declares.
    NotFoundError, PageError, AuthError, ThrottledError, ServiceError, TransportError
        As for `read_timeseries`; what was completed before stays.

    Notes
    -----
    Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``. Partitioned by entity and UTC day (hive
    style). Types are those the aspect declares; where the asset model cannot be read, each day has the types of its
    values, and files whose types differ are written anew at the end so that all agree. Units and descriptions stand in
    the metadata of the fields, as `read_arrow` has them.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> sandbox, folder = tsb.Sandbox(), tempfile.TemporaryDirectory()
    >>> with sandbox, folder, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", twin_type="simulation", aspects={"flow": {"rate": "DOUBLE"}})
    ...     times = pd.date_range("2026-03-01T23:59:59", periods=2, freq="s", tz="UTC")
    ...     data = pd.DataFrame({"rate": [1.5, 2.5]}, index=times)
    ...     report = tsb.write_timeseries(data, "pump-1", "flow", connection=con)
    ...     info = tsb.download_parquet("pump-1", "flow", "2026-03-01", "2026-03-08", folder.name, connection=con)
    ...     [path.parent.name for path in info.files], info.rows
    (['day=2026-03-01', 'day=2026-03-02'], 2)
    """
    read = check_read(entity, property_set, start, end, select, inclusive, None, quality)
    check_progress(progress)
    con = use_connection(connection)
    workers = check_workers(max_workers, con)
    if not isinstance(directory, str | os.PathLike):
        raise FrameError(f"directory={directory!r} is a {type(directory).__name__}; give the path of a folder")
    state = _State.open(Path(directory), read, con.config.host_url)
    written: list[Path] = []
    rows = skipped = 0
    model = ask_model(read, con)
    schema = None if model is None else model.schema
    gaps = {series: state.missing(series.entity, read.range) for series in read.series}
    before, total = 0, sum(span.stop_ns - span.start_ns for spans in gaps.values() for span in spans)
    with meter(progress, f"download {property_set}", unit="B", total=total) as told:
        for series, spans in gaps.items():
            skipped += spans != [read.range]
            for span in spans:
                one = replace(read, series=(series,), range=span)
                reach = partial(_reach, told, before)
                stream = stream_tables(one, con, workers=workers, advance=told.advance, reach=reach)
                for path, count in _write_days(state, series, span, _shaped(one, schema, stream)):
                    written.append(path)
                    rows += count
                    told.tell(rows=rows, files=len(written))
                before += span.stop_ns - span.start_ns
    if schema is None:
        _agree(state.directory)
    sizes = sum(path.stat().st_size for path in written)
    return DownloadInfo(state.directory, tuple(written), rows, sizes, skipped)


def _reach(told: Meter, before_ns: int, covered_ns: int, through: int, known: int) -> None:
    """Note how far it is, over all ranges that are missing."""
    told.reach(before_ns + covered_ns, through, known)


def _shaped(read: ReadRequest, schema: pa.Schema | None, stream: Iterator[tuple[int, pa.Table]]) -> Iterator[pa.Table]:
    """Bring tables to the declared types, where there are any, with units and descriptions."""
    types = {} if schema is None else dict(zip(schema.names, schema.types, strict=True))
    for _, table in stream:
        yield read.shape([table]) if schema is None else conform(table, types).cast(schema)


class _State:
    """What a folder already holds: its own small file, replaced in one step at each change."""

    def __init__(self, directory: Path, what: dict[str, object], covered: dict[str, list[list[int]]]) -> None:
        self.directory = directory
        self._what = what
        self._covered = covered

    @classmethod
    def open(cls, directory: Path, read: ReadRequest, gateway: str) -> _State:
        """Read the state of a folder, or begin one; a file that was left half known is removed."""
        what: dict[str, object] = {
            "gateway": gateway,
            "property_set": read.series[0].property_set,
            "select": None if read.select is None else list(read.select),
            "quality": read.quality,
        }
        try:
            saved = json.loads((directory / _STATE).read_text(encoding="utf-8"))
            there, covered, writing = saved["what"], _covered(saved["covered"]), saved["writing"]
            if writing is not None and not _DATA_FILE.fullmatch(writing):
                raise ValueError(f"{writing!r} is no file of it")
        except FileNotFoundError:
            there, covered, writing = what, {}, None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FrameError(
                f"{directory / _STATE} cannot be read ({error}); remove the folder, or name another"
            ) from error
        if there != what:
            raise FrameError(
                f"directory={str(directory)!r} holds another download ({there}), not {what}; name another folder"
            )
        if writing is not None:
            (directory / writing).unlink(missing_ok=True)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FrameError(f"directory={str(directory)!r} cannot be used: {error}") from error
        return cls(directory, what, covered)

    def missing(self, entity: str, span: TimeRange) -> list[TimeRange]:
        """Cut what is covered out of a range."""
        gaps, at = [], span.start_ns
        for start, stop in sorted(self._covered.get(entity, [])):
            if start > at:
                gaps.append(TimeRange(at, min(start, span.stop_ns)))
            at = max(at, stop)
        gaps.append(TimeRange(at, span.stop_ns))
        return [gap for gap in gaps if not gap.empty]

    def writing(self, path: Path) -> None:
        """Note a file before it gets its name: until it is covered it does not count."""
        self._save(path.relative_to(self.directory).as_posix())

    def cover(self, entity: str, span: TimeRange) -> None:
        """Note that all records of a range are there."""
        merged: list[list[int]] = []
        for start, stop in sorted([*self._covered.get(entity, []), [span.start_ns, span.stop_ns]]):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], stop)
            else:
                merged.append([start, stop])
        self._covered[entity] = merged
        self._save(None)

    def _save(self, writing: str | None) -> None:
        """Replace the file in one step."""
        part = self.directory / f"{_STATE}.part"
        part.write_text(json.dumps({"what": self._what, "covered": self._covered, "writing": writing}), "utf-8")
        os.replace(part, self.directory / _STATE)


def _covered(saved: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
    """Accept the ranges that `_State` saves.

    Raises
    ------
    ValueError
        They were edited to something else.
    """
    for entity, ranges in saved.items():
        if any(list(map(type, one)) != [int, int] for one in ranges):
            raise ValueError(f"the ranges of {entity!r} are {ranges!r:.80}")
    return saved


def _write_days(
    state: _State, series: Series, span: TimeRange, tables: Iterator[pa.Table]
) -> Iterator[tuple[Path, int]]:
    """Write one file for each UTC day that has records; yields it with its rows once it is complete."""
    at = span.start_ns
    day: int | None = None
    with _open_day() as current:
        for table in tables:
            days = times_of(table) // NS_PER_DAY
            edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
            for first, stop in itertools.pairwise(edges):
                if day is not None and days[first] != day:
                    end = (day + 1) * NS_PER_DAY
                    yield current.finish(state)
                    state.cover(series.entity, TimeRange(at, end))
                    at = end
                day = int(days[first])
                current.write(state.directory, series, max(at, day * NS_PER_DAY), table.slice(first, stop - first))
        if day is not None:
            yield current.finish(state)
        state.cover(series.entity, TimeRange(at, span.stop_ns))


class _Day:
    """The file of one day while it is written."""

    def __init__(self) -> None:
        self._path = Path()
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._rows = 0

    def write(self, directory: Path, series: Series, first_ns: int, table: pa.Table) -> None:
        """Append records; where types change within the day the file is begun anew with types that hold all."""
        if self._writer is not None and table.schema != self._schema:
            self._begin_anew(table)
            return
        if self._writer is None:
            name = format_time(first_ns).replace(":", "").replace("-", "")
            folder = directory / f"entity={quote(series.entity, safe='')}" / f"day={format_time(first_ns)[:10]}"
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / f"{name}.parquet"
            self._open(table.schema)
        assert self._writer is not None
        self._writer.write_table(table)
        self._rows += table.num_rows

    def finish(self, state: _State) -> tuple[Path, int]:
        """Give the file its name."""
        assert self._writer is not None
        self._writer.close()
        state.writing(self._path)
        os.replace(self._part, self._path)
        done = self._path, self._rows
        self._writer, self._rows = None, 0
        return done

    def discard(self) -> None:
        """Remove what is not complete."""
        if self._writer is not None:
            self._writer.close()
            self._part.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self._path.with_suffix(".part")

    def _open(self, schema: pa.Schema) -> None:
        self._writer, self._schema = pq.ParquetWriter(self._part, schema), schema

    def _begin_anew(self, table: pa.Table) -> None:
        """Join what the day has so far with a table of other types."""
        assert self._writer is not None
        self._writer.close()
        whole = unify([pq.read_table(self._part, partitioning=None), table])
        self._open(whole.schema)
        self._writer.write_table(whole)
        self._rows = whole.num_rows


@contextmanager
def _open_day() -> Iterator[_Day]:
    """Leave no half file behind."""
    day = _Day()
    try:
        yield day
    finally:
        day.discard()


def _agree(directory: Path) -> None:
    """Bring all files of a dataset to types that hold all of them, one file at a time."""
    files = sorted(directory.rglob("*.parquet"))
    schemas = {path: pq.read_schema(path) for path in files}
    kinds: dict[str, set[pa.DataType]] = {}
    for schema in schemas.values():
        for one in schema:
            kinds.setdefault(one.name, set()).add(one.type)
    types = {TIME: TIME_TYPE}
    for name in arrange(kinds)[1:]:
        filled = kinds[name] - {pa.null()}
        if filled == {pa.int64(), pa.float64()}:
            integers = (path for path in files if name in schemas[path].names)
            exact = all(floats_hold(pq.read_table(path, columns=[name], partitioning=None)[name]) for path in integers)
            types[name] = pa.float64() if exact else EXACT
        else:
            types[name] = filled.pop() if len(filled) == 1 else EXACT if filled else pa.null()
    for path, schema in schemas.items():
        if list(zip(schema.names, schema.types, strict=True)) == list(types.items()):
            continue
        table = pq.read_table(path, partitioning=None)
        columns = [
            widen(table[name], kind) if name in schema.names else missing(table.num_rows, kind)
            for name, kind in types.items()
        ]
        part = path.with_suffix(".part")
        pq.write_table(pa.table(columns, names=list(types)), part)
        os.replace(part, path)
