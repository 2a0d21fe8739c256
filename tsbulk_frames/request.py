"""What a caller asked to read, checked before any request, and how it is asked for; floor 7.

Shared by all ways of reading: one frame, frames one after the other, an Arrow stream, Parquet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from tsbulk_frames.codec import RawPage, split_page, unify
from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import ConfigError, FrameError, TsBulkError
from tsbulk_frames.fetch import Fetch, Source, limited
from tsbulk_frames.frames import Backend
from tsbulk_frames.model import (
    QC_SUFFIX,
    TIME,
    Inclusive,
    Moment,
    Series,
    TimeRange,
    check_name,
    format_time,
    is_quality_code,
    parse_moment,
)
from tsbulk_frames.notes import Notes
from tsbulk_frames.paging import Query, cut_range
from tsbulk_frames.stop import Stop

__all__ = [
    "Quality",
    "ReadRequest",
    "check_entities",
    "check_look",
    "check_read",
    "check_workers",
    "stream_tables",
]

Quality: TypeAlias = Literal["columns", "drop"]


@dataclass(frozen=True)
class ReadRequest:
    """What a caller asked for, checked before any request."""

    series: tuple[Series, ...]
    several: bool
    range: TimeRange
    select: tuple[str, ...] | None
    limit: int | None
    quality: Quality
    attrs: dict[str, object]

    @property
    def length_ns(self) -> int | None:
        """Nanoseconds to be read, all series together; None where only the first records are wanted."""
        return len(self.series) * (self.range.stop_ns - self.range.start_ns) if self.limit is None else None

    def source(self, series: Series, connection: Connection, stop: Stop, pieces: int) -> Source:
        """Say how to ask for the pages of one series, and how many windows to begin with."""

        def fetch(query: Query, number: int) -> RawPage:
            body, link = connection.reads.fetch_page(
                series.entity,
                series.property_set,
                from_=query.from_,
                to=query.to,
                limit=query.limit,
                select=self.select,
                stop=stop,
            )
            page = split_page(body, page=number)
            return replace(page, next_record=link) if page.next_record is None and link else page

        return Source(fetch, cut_range(self.range, pieces))

    def shape(self, tables: Sequence[pa.Table]) -> pa.Table:
        """Settle types over all tables, and columns as the caller asked for them."""
        table = unify(tables)
        names = [name for name in table.column_names if name != TIME]
        if self.select is not None:
            wanted = [name for one in self.select for name in (one, one + QC_SUFFIX)]
            names = [name for name in dict.fromkeys(wanted) if name in names or name in self.select]
        else:  # a quality code whose property has no value in the range: missing everywhere
            names = [one for name in names for one in dict.fromkeys([*_property_of(name), name])]
            names = list(dict.fromkeys(names))
        if self.quality == "drop":
            names = [name for name in names if not is_quality_code(name)]
        for name in names:
            if name not in table.column_names:  # nothing in the range has it: missing everywhere
                table = table.append_column(name, pa.nulls(table.num_rows))
        return table.select([TIME, *names])

    def label(self, frame: pd.DataFrame, counts: Sequence[int], notes: Notes | None = None) -> pd.DataFrame:
        """Say whose records these are, so many of each entity one after the other, and what is known of them."""
        if self.several:
            owner = pd.Index([series.entity for series in self.series]).repeat(counts)
            frame.index = pd.MultiIndex.from_arrays([owner, frame.index], names=["entity", TIME])
        frame.attrs.update(self.attrs)
        if notes is not None:
            frame.attrs.update(notes.to_attrs())
        return frame


def _property_of(name: str) -> list[str]:
    """Name the property a quality code belongs to."""
    return [name[: -len(QC_SUFFIX)]] if is_quality_code(name) else []


def check_read(
    entity: str | Sequence[str],
    property_set: str,
    start: Moment,
    end: Moment,
    select: str | Sequence[str] | None,
    inclusive: Inclusive,
    limit: int | None,
    quality: Quality,
) -> ReadRequest:
    """Refuse what cannot work before anything is sent."""
    several, entities = check_entities(entity)
    if select is not None and not isinstance(select, Iterable):
        raise FrameError(f"select={select!r} is a {type(select).__name__}; give a property name, or a list of them")
    if select is not None:
        select = (select,) if isinstance(select, str) else tuple(select)
        bad = [name for name in select if not isinstance(name, str) or not name or "," in name or name == TIME]
        if bad or not select or len(set(select)) != len(select):
            raise FrameError(
                f"select={select!r} cannot be asked for; give one or more different property names, without commas "
                f"({TIME} always comes along)"
            )
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1):
        raise FrameError(f"limit={limit!r} is not a count; give a positive int, or None for all records")
    if quality not in ("columns", "drop"):
        raise FrameError(f"quality={quality!r} is not known; accepted are 'columns' and 'drop'")
    span = TimeRange.parse(start, end, inclusive)
    return ReadRequest(
        series=tuple(Series(one, property_set) for one in entities),
        several=several,
        range=span,
        select=select,
        limit=None if limit is None else int(limit),
        quality=quality,
        attrs={
            "entity": entities if several else entity,
            "property_set": property_set,
            "range": [format_time(parse_moment(start, "start")), format_time(parse_moment(end, "end"))],
            "inclusive": inclusive,
        },
    )


def check_entities(entity: str | Sequence[str]) -> tuple[bool, list[str]]:
    """Tell whether several entities were asked for, and which.

    Raises
    ------
    FrameError
        Neither a name nor a list of different ones.
    """
    given: object = entity
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise FrameError(f"entity={entity!r} is a {type(entity).__name__}; give a str, or a list of them")
    entities = [entity] if isinstance(entity, str) else list(entity)
    if not entities or len(set(map(str, entities))) != len(entities):
        raise FrameError(f"entity={entity!r} is an empty list or names one twice; give each entity once")
    for one in entities:
        check_name("entity", one)
    return not isinstance(entity, str), entities


def check_look(tz: str | tzinfo, dtype_backend: Backend | None, describe: bool = False) -> None:
    """Refuse what a frame cannot look like, before anything is sent: a zone or back end that pandas does not know."""
    if not isinstance(describe, bool):
        raise FrameError(f"describe={describe!r} is not known; accepted are True and False")
    try:
        known = isinstance(tz, str | tzinfo) and pd.Timestamp(0, tz="UTC").tz_convert(tz) is not None
    except (KeyError, ValueError, OSError, IndexError, TypeError):  # zoneinfo's and pandas' ways to say so
        known = False
    if not known:
        raise FrameError(f"tz={tz!r} is no time zone; give a name like 'Europe/Berlin', 'UTC', or a tzinfo")
    if dtype_backend not in (None, "numpy_nullable", "pyarrow"):
        raise FrameError(
            f"dtype_backend={dtype_backend!r} is not known; accepted are None, 'numpy_nullable', 'pyarrow'"
        )


def check_workers(max_workers: int | None, connection: Connection) -> int:
    """How many requests may be under way at once: what the call asks for, else the connection's setting."""
    if max_workers is None:
        return connection.config.max_workers
    if isinstance(max_workers, bool) or not isinstance(max_workers, int) or max_workers < 1:
        raise ConfigError(f"max_workers={max_workers!r} is not a count; give a positive int, or None for the default")
    return max_workers


def stream_tables(
    request: ReadRequest,
    connection: Connection,
    *,
    workers: int,
    advance: Callable[[int], None],
    bounded: bool = True,
    errors: dict[int, TsBulkError] | None = None,
    stop: Stop | None = None,
    reach: Callable[[int, int, int], None] | None = None,
) -> Iterator[tuple[int, pa.Table]]:
    """Fetch and decode what was asked; closing the generator ends all work at once.

    Parameters
    ----------
    request : ReadRequest
        What was asked.
    connection : Connection
        Where.
    workers : int
        Requests under way at once.
    advance : callable
        Called with the bytes of each page.
    bounded : bool
        Whether a slow consumer slows the network down, see `tsbulk_frames.fetch.Fetch`.
    errors : dict, optional
        Filled with what failed, by number of the series, instead of raising it.
    stop : Stop, optional
        Ends all work when thrown by another thread.
    reach : callable, optional
        Without a limit: called with the nanoseconds covered, and the windows through and known.

    Yields
    ------
    (int, pyarrow.Table)
        Number of the series, and records in time order.
    """
    stop = Stop() if stop is None else stop
    # Far ahead of what is consumed, a window would only hold memory; with a limit nothing far ahead is wanted at all.
    pieces = 1 if bounded or request.limit is not None else math.ceil(workers / len(request.series))
    sources = [request.source(series, connection, stop, pieces) for series in request.series]
    if request.limit is None:
        collect = errors is not None
        with Fetch(
            sources, workers=workers, stop=stop, bounded=bounded, collect=collect, on_page=advance, on_reach=reach
        ) as fetch:
            yield from fetch
        if errors is not None:
            errors.update(fetch.errors)
        return
    limit = request.limit

    def first_records(source: Source) -> list[pa.Table] | TsBulkError:
        try:
            return list(limited(source, limit, advance))
        except TsBulkError as error:
            return error

    with ThreadPoolExecutor(min(workers, len(sources)), thread_name_prefix="tsbulk-limit") as pool:
        try:
            for number, found in enumerate(pool.map(first_records, sources)):
                if isinstance(found, list):
                    for table in found:
                        yield number, table
                elif errors is None:
                    raise found
                else:
                    errors[number] = found
        finally:
            stop.now()
