"""Reading: a range of one or more series becomes one DataFrame; streams of them are next door; floor 7.5.

``connect → windows → pages → decode → Arrow → DataFrame``: the stations are `paging`, `fetch`, `codec`, `frames`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import tzinfo
from typing import Literal

import pandas as pd
import pyarrow as pa

from tsbulk_frames.aspect import AspectQuestion
from tsbulk_frames.assetmodel import Aspect
from tsbulk_frames.cache import CacheSetting
from tsbulk_frames.codec import unify
from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import FrameError, TsBulkError
from tsbulk_frames.frames import Backend, to_frame
from tsbulk_frames.model import NS_PER_SECOND, Inclusive, Moment
from tsbulk_frames.notes import Notes, notes_of
from tsbulk_frames.progress import Progress, check_progress, counted, meter
from tsbulk_frames.request import Quality, ReadRequest, check_look, check_read, check_workers, stream_tables
from tsbulk_frames.stop import Stop

__all__ = ["read_timeseries"]


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
    errors: Literal["raise", "collect"] = "raise",
    cache: CacheSetting = None,
    describe: bool = False,
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
    errors : {"raise", "collect"}
        What to do when an entity of several cannot be read: raise, or leave it out and tell why in
        ``attrs["errors"]``, by entity.
    cache : bool or path, optional
        Keep what is read on this machine, and give it again without a request, see `connect`. Default: what the
        connection was opened with. Not used with `limit`.
    describe : bool
        Also ask the asset model, once for each entity and while the records are read, and put what it says into
        ``attrs``; this is asked anew where the records themselves come from the cache.
    max_workers : int, optional
        Requests under way at once. Default: ``max_workers`` of the connection's settings (8).
    progress : bool or callable, optional
        True: a progress bar (tqdm) in a terminal or a notebook, nothing elsewhere: bytes, records, windows, and how
        long the rest takes, by the share of the range that is read. A function: called with the bytes of each page.
    connection : Connection, optional
        Default: the one made from the environment.

    Returns
    -------
    pandas.DataFrame, shape (n_records, n_properties [+ n_quality_codes])
        Index ``_time``: ``datetime64[ns, tz]``, strictly increasing. Units are those of the property: nothing is
        converted. Types follow the table in `tsbulk_frames.howto.read`. ``attrs`` hold ``entity``, ``property_set``,
        ``range`` and ``inclusive``. No records: 0 rows, the same index type.

        With `describe`, ``attrs`` also hold ``units`` and ``descriptions``, dicts by property of what is known;
        and ``description``, that of the aspect. Of several entities these tell what all of them agree on; where they
        do not, ``units_by_entity`` and ``descriptions_by_entity`` hold a dict by entity for each such property, and
        ``description`` is None. All of it survives ``to_parquet``, and is ignored by the writers.

    Raises
    ------
    FrameError
        The range, the selection or another argument cannot be used; nothing was sent.
    NotFoundError
        The asset or aspect does not exist. With `describe`, any error of the asset model is raised as soon as it is
        known, and ends the reading; ``errors="collect"`` leaves its entity out.
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
    read = check_read(entity, property_set, start, end, select, inclusive, limit, quality)
    check_look(tz, dtype_backend, describe)
    check_progress(progress)
    if errors not in ("raise", "collect"):
        raise FrameError(f"errors={errors!r} is not known; accepted are 'raise' and 'collect'")
    con = use_connection(connection)
    workers = check_workers(max_workers, con)
    failed: dict[int, TsBulkError] | None = {} if errors == "collect" else None
    parts: list[list[pa.Table]] = [[] for _ in read.series]
    kept = con.cache_for(cache) if limit is None else None
    for number, series in enumerate(read.series):
        found = None if kept is None else kept.get(series, read.range, read.select)
        if found is not None:
            parts[number].append(found)
    missing = [number for number, some in enumerate(parts) if not some]
    stop = Stop()
    asking = AspectQuestion(read.series, con, stop.now if failed is None else None) if describe else nullcontext()
    with asking as question:
        if missing:
            rest = replace(read, series=tuple(read.series[number] for number in missing))
            with meter(progress, f"read {property_set}", unit="B", total=rest.length_ns) as told:
                stream = stream_tables(
                    rest,
                    con,
                    workers=workers,
                    advance=told.advance,
                    bounded=False,
                    errors=failed,
                    stop=stop,
                    reach=told.reach,
                )
                try:
                    for at, table in counted(stream, told):
                        parts[missing[at]].append(table)
                except TsBulkError:
                    if question is None or question.failure is None:
                        raise
                    raise question.failure from None
        failed = None if failed is None else {missing[at]: error for at, error in failed.items()}
        for number in missing:
            if kept is not None and (not failed or number not in failed):
                now_ns = int(con.clock() * NS_PER_SECOND)
                kept.put(read.series[number], read.range, read.select, unify(parts[number]), now_ns=now_ns)
        notes = None if question is None else _notes(read, question, failed)
    for number in failed or ():
        parts[number].clear()
    counts = [sum(table.num_rows for table in tables) for tables in parts]
    tables = [table for some in parts for table in some]
    parts.clear()
    shaped = [read.shape(tables)]
    tables.clear()
    frame = read.label(to_frame(shaped.pop(), tz=tz, dtype_backend=dtype_backend), counts, notes)
    if failed is not None:
        frame.attrs["errors"] = {read.series[number].entity: str(error) for number, error in sorted(failed.items())}
    return frame


def _notes(read: ReadRequest, question: AspectQuestion, failed: dict[int, TsBulkError] | None) -> Notes:
    """Gather what the asset model says; an entity it says nothing of has failed, where failures are collected."""
    aspects = {}
    for number, (series, answer) in enumerate(zip(read.series, question.answers(), strict=True)):
        if isinstance(answer, Aspect):
            aspects[series.entity] = answer
        elif failed is None:
            raise answer
        else:
            failed.setdefault(number, answer)
    if failed:
        aspects = {series.entity: aspects[series.entity] for n, series in enumerate(read.series) if n not in failed}
    return notes_of(aspects, read.select)
