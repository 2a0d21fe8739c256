"""Reading: a range of one or more series becomes a DataFrame; floor 7.

``connect → windows → pages → decode → Arrow → DataFrame``: the stations are `paging`, `fetch`, `codec`, `frames`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from tsbulk_frames.codec import RawPage, split_page, unify
from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import ConfigError, FrameError
from tsbulk_frames.fetch import Fetch, Source, limited
from tsbulk_frames.frames import Backend, to_frame
from tsbulk_frames.model import (
    QC_SUFFIX,
    TIME,
    Inclusive,
    Moment,
    Series,
    TimeRange,
    format_time,
    is_quality_code,
    parse_moment,
)
from tsbulk_frames.paging import Query, cut_range
from tsbulk_frames.progress import Progress, meter

__all__ = ["Quality", "read_timeseries"]

Quality: TypeAlias = Literal["columns", "drop"]


@dataclass(frozen=True)
class _Read:
    """What a caller asked for, checked before any request."""

    series: tuple[Series, ...]
    several: bool
    range: TimeRange
    select: tuple[str, ...] | None
    limit: int | None
    quality: Quality
    attrs: dict[str, object]

    def source(self, series: Series, connection: Connection) -> Source:
        """How to ask for the pages of one series."""

        def fetch(query: Query, number: int) -> RawPage:
            body, link = connection.reads.fetch_page(
                series.entity,
                series.property_set,
                from_=query.from_,
                to=query.to,
                limit=query.limit,
                select=self.select,
            )
            page = split_page(body, page=number)
            return replace(page, next_record=link) if page.next_record is None and link else page

        return Source(fetch, cut_range(self.range))

    def shape(self, tables: Sequence[pa.Table]) -> pa.Table:
        """Settle types over all tables, and columns as the caller asked for them."""
        table = unify(tables)
        names = [name for name in table.column_names if name != TIME]
        if self.select is not None:
            wanted = [name for one in self.select for name in (one, one + QC_SUFFIX)]
            names = [name for name in dict.fromkeys(wanted) if name in names or name in self.select]
        if self.quality == "drop":
            names = [name for name in names if not is_quality_code(name)]
        for name in names:
            if name not in table.column_names:  # selected, but nothing in the range has it: missing everywhere
                table = table.append_column(name, pa.nulls(table.num_rows))
        return table.select([TIME, *names])


def _check(
    entity: str | Sequence[str],
    property_set: str,
    start: Moment,
    end: Moment,
    select: str | Sequence[str] | None,
    inclusive: Inclusive,
    limit: int | None,
    quality: Quality,
) -> _Read:
    """Refuse what cannot work before anything is sent."""
    several = not isinstance(entity, str)
    given: object = entity
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise FrameError(f"entity={entity!r} is a {type(entity).__name__}; give a str, or a list of them")
    entities = [entity] if isinstance(entity, str) else list(entity)
    if not entities or len(set(map(str, entities))) != len(entities):
        raise FrameError(f"entity={entity!r} is an empty list or names one twice; give each entity once")
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
    return _Read(
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


def _check_look(tz: str | tzinfo, dtype_backend: Backend | None) -> None:
    """Refuse a zone or back end that pandas does not know, before anything is sent."""
    try:
        known = isinstance(tz, str | tzinfo) and pd.Timestamp(0, tz="UTC").tz_convert(tz) is not None
    except (KeyError, ValueError, OSError):  # zoneinfo's and pandas' ways to say so
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
        return connection.config.max_connections
    if isinstance(max_workers, bool) or not isinstance(max_workers, int) or max_workers < 1:
        raise ConfigError(f"max_workers={max_workers!r} is not a count; give a positive int, or None for the default")
    return max_workers


def read_timeseries(
    entity: str | Sequence[str],
    property_set: str,
    start: Moment,
    end: Moment,
    *,
    select: str | Sequence[str] | None = None,
    inclusive: Inclusive = "left",
    limit: int | None = None,
    quality: Quality = "columns",
    tz: str | tzinfo = "UTC",
    dtype_backend: Backend | None = None,
    max_workers: int | None = None,
    progress: Progress = None,
    connection: Connection | None = None,
) -> pd.DataFrame:
    """Read the history of an aspect as one DataFrame.

    Parameters
    ----------
    entity : str or sequence of str
        The asset. Several: all are read side by side, and the row index is ``(entity, _time)``.
    property_set : str
        The aspect.
    start : str, datetime, date or pandas.Timestamp
        Beginning of the range, included unless `inclusive` says otherwise. Offsets are honoured; an ISO string
        without one means UTC, as does a date (its midnight); a naive datetime is refused.
    end : str, datetime, date or pandas.Timestamp
        End of the range, excluded unless `inclusive` says otherwise: ``("2026-03-01", "2026-03-02")`` is exactly
        that calendar day in UTC.
    select : str or sequence of str, optional
        Properties to read, in this order. Default: all. One that has no value in the range is a column of missing
        values.
    inclusive : {"left", "right", "both", "neither"}
        Which ends belong to the range, exact to the nanosecond.
    limit : int, optional
        At most so many records, the earliest (of each entity).
    quality : {"columns", "drop"}
        Keep quality codes as ``<property>_qc`` beside their property, or leave them out.
    tz : str or tzinfo
        Zone of the index. The instants stay the same.
    dtype_backend : {"numpy_nullable", "pyarrow"}, optional
        As in pandas' own readers. Default: NumPy types, nullable ones only where integers or booleans have gaps.
    max_workers : int, optional
        Requests under way at once. Default: ``max_connections`` of the connection's settings (8).
    progress : bool or callable, optional
        True: a progress bar (tqdm). A function: called with the bytes of each page.
    connection : Connection, optional
        Default: the one made from the environment.

    Returns
    -------
    pandas.DataFrame, shape (n_records, n_properties [+ n_quality_codes])
        Index ``_time``: ``datetime64[ns, tz]``, strictly increasing. Units are those of the property: nothing is
        converted. Types follow the table in `tsbulk_frames.codec`. ``attrs`` hold ``entity``, ``property_set``,
        ``range`` and ``inclusive``. No records: 0 rows, the same index type.

    Raises
    ------
    FrameError
        The range, the selection or another argument cannot be used; nothing was sent.
    NotFoundError
        The asset or aspect does not exist.
    PageError
        Pages go backwards in time or in circles.
    DecodeError
        A page is not what the contract says.
    AuthError, ThrottledError, ServiceError, TransportError
        The service refused, or could not be reached within the retry budget.

    Notes
    -----
    Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``. The range may be of any length: it is
    cut into windows of under 90 days, and finer where the data is dense.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", twin_type="simulation", aspects={"flow": {"rate": "DOUBLE"}})
    ...     times = pd.date_range("2026-03-01", periods=3, freq="s", tz="UTC")
    ...     data = pd.DataFrame({"rate": [1.5, 2.5, 3.5]}, index=times)
    ...     report = tsb.write_timeseries(data, "pump-1", "flow", connection=con)
    ...     df = tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", connection=con)
    >>> df["rate"].tolist()
    [1.5, 2.5, 3.5]
    """
    read = _check(entity, property_set, start, end, select, inclusive, limit, quality)
    _check_look(tz, dtype_backend)
    connection = use_connection(connection)
    workers = check_workers(max_workers, connection)
    tables: list[pa.Table] = []
    counts = [0] * len(read.series)
    sources = [read.source(series, connection) for series in read.series]
    with meter(progress, f"read {property_set}", unit="B") as advance:
        if read.limit is None:
            with Fetch(sources, workers=workers, on_page=advance) as fetch:
                for number, table in fetch:
                    tables.append(table)
                    counts[number] += table.num_rows
        else:
            for number, source in enumerate(sources):
                for table in limited(source, read.limit, advance):
                    tables.append(table)
                    counts[number] += table.num_rows
    shaped = read.shape(tables)
    del tables
    frame = to_frame(shaped, tz=tz, dtype_backend=dtype_backend)
    if read.several:
        owner = pd.Index([series.entity for series in read.series]).repeat(counts)
        frame.index = pd.MultiIndex.from_arrays([owner, frame.index], names=["entity", TIME])
    frame.attrs.update(read.attrs)
    return frame
