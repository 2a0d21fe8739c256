"""The same calls on a Dask cluster: a partition per window of time, imports on the workers; floor 8, extra ``dask``.

What becomes of a call:

    read_timeseries:   windows ──► a task each ──► frames of one type, divisions known
    write_timeseries:  a Dask DataFrame, cut at UTC days or hours ──► a task and a manifest each ──► one report

Works on any Dask scheduler but ``scheduler="processes"``: threads, one after the other, a `distributed.LocalCluster`,
or a client of a scheduler elsewhere. On a cluster the package is needed on client, scheduler and workers. Settings and
credentials travel to the workers inside the tasks, so use a cluster whose connections are encrypted
(`distributed.Security`) where others share the network; tokens and sockets never travel: each worker has one
connection of its own, shared by its tasks. The limit of requests is the cluster's: all workers together have at most
``max_workers`` under way, and a 429 makes all of them pause.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta, tzinfo
from itertools import pairwise

import pandas as pd
import pyarrow as pa

from tsbulk_frames._check import EmptyRows, check_empty_rows
from tsbulk_frames._parts import ENTITY, ReadPart, WritePart, check_columns
from tsbulk_frames._pieces import cut, outcomes, place_of, total
from tsbulk_frames._ticket import Ticket
from tsbulk_frames.aspect import ask_target
from tsbulk_frames.assetmodel import Variable
from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import FrameError
from tsbulk_frames.frames import Backend
from tsbulk_frames.importjob import check_seconds
from tsbulk_frames.kinds import EXACT, TIME_TYPE
from tsbulk_frames.model import TIME, Inclusive, Moment, Series, TimeRange, TwinType, is_quality_code
from tsbulk_frames.report import ImportReport
from tsbulk_frames.request import Quality, ReadRequest, check_look, check_read, check_workers
from tsbulk_frames.schema import Types, types_of

try:
    import dask.dataframe as dd
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'tsb.dask needs {error.name}, which is not installed; run: pip install "tsbulk-frames[dask]"', name=error.name
    ) from error

__all__ = ["read_timeseries", "write_timeseries"]

MAX_WINDOWS = 100_000
"""Partitions beyond which Dask itself would take longer than the data."""


def read_timeseries(
    entity: str | Sequence[str],
    property_set: str,
    start: Moment,
    end: Moment,
    *,
    window: str | timedelta = "1D",
    select: str | Sequence[str] | None = None,
    inclusive: Inclusive = "left",
    quality: Quality = "columns",
    tz: str | tzinfo = "UTC",
    dtype_backend: Backend | None = None,
    meta: pd.DataFrame | None = None,
    max_workers: int | None = None,
    connection: Connection | None = None,
) -> dd.DataFrame:
    """Read the history of an aspect as a Dask DataFrame, a partition per window of time.

    Nothing is read before something is computed; only the asset model is asked for the types. A computation that needs
    some columns asks the service for these alone.

    Parameters
    ----------
    entity : str or sequence of str
        The asset. Several: each partition holds the rows of all of them in time order, and a column ``entity``
        (categorical) before the others says whose a row is.
    property_set, start, end, select, inclusive, quality, tz, dtype_backend
        As for `tsbulk_frames.read_timeseries`. `limit` has ``.head(n)`` in its place, `progress` Dask's own dashboard.
    window : str or timedelta
        Length of a partition (``"1D"``, ``"6h"``); partitions begin at multiples of it since 1970-01-01 UTC. Each costs
        at least one request an entity: thin data wants long windows.
    meta : pandas.DataFrame, optional
        Gives the columns and their types where the asset model does not: a frame such as
        ``tsb.read_timeseries(…, limit=1000)`` returns. Its rows are not looked at.
    max_workers : int, optional
        Requests under way at once in the whole cluster. Default: ``max_workers`` of the connection's settings (8).
    connection : Connection, optional
        Says where and with what credentials; it does not travel itself. Default: the one made from the environment.

    Returns
    -------
    dask.dataframe.DataFrame
        Index ``_time``, divisions known. Every partition has exactly the types of ``_meta``: those of
        `tsbulk_frames.read_timeseries`, but integers always ``Int64`` and booleans ``boolean``, as any of them may have
        gaps; text as Dask's setting ``dataframe.convert-string`` says. A window without records is an empty partition.

    Raises
    ------
    FrameError
        An argument cannot be used, or the types cannot be had without `meta`.
    ConfigError, AuthError, TransportError
        The asset model could not be asked.
    DecodeError
        While computing: a value does not fit the data type of its property.
    NotFoundError, PageError, AuthError, ThrottledError, ServiceError, TransportError
        While computing: as for `tsbulk_frames.read_timeseries`.

    Notes
    -----
    As with `select`, records without a value in any of the columns a computation needs are left out of it: the service
    does not send them. ``ddf["rate"].isna()`` thus sees fewer rows than ``ddf.compute()["rate"].isna()``.

    Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", aspects={"flow": {"rate": "DOUBLE"}})
    ...     times = pd.date_range("2026-03-01", periods=4, freq="12h", tz="UTC")
    ...     data = pd.DataFrame({"rate": [1.0, 2.0, 3.0, 4.0]}, index=times)
    ...     report = tsb.write_timeseries(data, "pump-1", "flow", connection=con)
    ...     ddf = tsb.dask.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-03", connection=con)
    ...     print(ddf.npartitions, ddf["rate"].sum().compute(scheduler="threads"))
    2 10.0
    """
    request = check_read(entity, property_set, start, end, select, inclusive, None, quality)
    check_look(tz, dtype_backend)
    windows = _windows(request.range, window)
    con = use_connection(connection)
    ticket = Ticket(con, check_workers(max_workers, con))
    part = ReadPart(ticket, request, _types(request, con, meta), tz, dtype_backend)
    borders = [*(one.start_ns for one in windows), max(windows[-1].stop_ns - 1, windows[-1].start_ns)]
    divisions = tuple(pd.Timestamp(ns, tz="UTC").tz_convert(tz) for ns in borders)
    ddf: dd.DataFrame = dd.from_map(  # type: ignore[no-untyped-call]
        part, windows, meta=part.meta(), divisions=divisions, label="tsbulk-read"
    )
    return ddf


def _windows(span: TimeRange, window: str | timedelta) -> list[TimeRange]:
    """Cut the range at multiples of the window."""
    try:
        step = 0 if not isinstance(window, str | timedelta) else int(pd.Timedelta(window).as_unit("ns").value)
    except ValueError:  # pandas' out-of-bounds error is one as well
        step = 0
    if step <= 0:
        raise FrameError(f"window={window!r} is no length of time; give one like '1D', '6h' or a timedelta")
    if (span.stop_ns - span.start_ns) // step > MAX_WINDOWS:
        raise FrameError(
            f"window={window!r} cuts {span} into more than {MAX_WINDOWS:,} partitions; give a longer window"
        )
    inner = range((span.start_ns // step + 1) * step, span.stop_ns, step)
    borders = [span.start_ns, *inner, span.stop_ns]
    return [TimeRange(first, last) for first, last in pairwise(borders)]


def _types(request: ReadRequest, connection: Connection, meta: pd.DataFrame | None) -> Types:
    """Types of all columns, from the asset model or from a frame like what is to be read.

    Raises
    ------
    FrameError
        Neither tells.
    """
    if meta is None:
        types = types_of(request, connection)
        how = "give meta=, a frame with the columns to read, such as tsb.read_timeseries(…, limit=1000) returns"
    else:
        types = _types_like(meta, request.quality)
        how = "give meta= a frame of numbers, booleans and texts, such as tsb.read_timeseries returns"
    if types is None:
        raise FrameError(f"the asset model does not tell the types of {request.series[0]} (no access to it?); {how}")
    unclear = [name for name, kind in types.items() if kind == EXACT]
    if unclear:
        raise FrameError(
            f"column {unclear[0]!r} has no type that all partitions could share; leave it out with select=, or {how}",
            column=unclear[0],
        )
    if request.several and ENTITY in types:
        raise FrameError(
            f"a property is called {ENTITY!r}, as is the column that tells the entities apart; leave it out with "
            "select=, or read one entity at a time",
            column=ENTITY,
        )
    return types


def _types_like(meta: pd.DataFrame, quality: Quality) -> Types:
    """Types of the columns of a frame; what is neither number, boolean nor text has none."""
    if not isinstance(meta, pd.DataFrame):
        raise FrameError(f"meta is a {type(meta).__name__}; give a pandas.DataFrame")
    types: Types = {TIME: TIME_TYPE}
    for name, dtype in meta.dtypes.items():
        kinds = pd.api.types
        column = str(name)
        if column == ENTITY and isinstance(dtype, pd.CategoricalDtype):
            continue  # a frame of several entities, as a Dask DataFrame has them
        if is_quality_code(column):
            if quality == "columns":
                types[column] = pa.int64()
        elif kinds.is_bool_dtype(dtype):
            types[column] = pa.bool_()
        elif kinds.is_integer_dtype(dtype):
            types[column] = pa.int64()
        elif kinds.is_float_dtype(dtype):
            types[column] = pa.float64()
        else:
            types[column] = pa.string() if kinds.is_string_dtype(meta[name]) else EXACT
    return types


def write_timeseries(
    ddf: dd.DataFrame,
    entity: str,
    property_set: str,
    *,
    twin_type: TwinType | str | None = None,
    wait: bool = True,
    timeout: float | None = None,
    empty_rows: EmptyRows = "raise",
    manifest: str | os.PathLike[str] | None = None,
    keep_files: bool = False,
    verify: bool = False,
    max_workers: int | None = None,
    connection: Connection | None = None,
) -> ImportReport:
    """Import a Dask DataFrame, partition by partition on the workers.

    Each worker imports what it has computed; the whole never is in one place. A UTC day or hour that lies in two
    partitions becomes one import job all the same. When a worker dies, another goes on from the manifest it left: what
    was imported stays, what may have been started is looked for, nothing is started twice.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
        With a time index with a zone, in time order. Where its divisions are not known, it is computed once more to
        find the first and last time of each partition.
    entity, property_set, twin_type, wait, timeout, empty_rows, keep_files, verify
        As for `tsbulk_frames.write_timeseries`.
    manifest : str or path, optional
        A folder for the state of the import, with a manifest for each part. One that is there already: the import it
        holds is gone on with, what is done is skipped; `ddf` must be the same. Workers on several machines need one
        that all see under the same path. Default: a folder in the user's state folder, kept until all is done.
    max_workers : int, optional
        Requests under way at once in the whole cluster. Default: ``max_workers`` of the connection's settings (8).
    connection : Connection, optional
        Says where and with what credentials; it does not travel itself. Default: the one made from the environment.

    Returns
    -------
    ImportReport
        As of `tsbulk_frames.write_timeseries`; ``manifest`` is the folder, None where nothing is left to go on with.

    Raises
    ------
    FrameError
        Not a Dask DataFrame, no time index with a zone, or partitions that are not in time order: nothing was
        uploaded. Columns or types of ``ddf._meta`` do not fit the aspect, where the asset was asked: no task was
        started. The data of all parts cannot be imported, see `tsbulk_frames.write_timeseries`; each part is checked
        before anything of it is uploaded, not the whole, which nobody has.
    ConfigError
        The folder cannot be used, holds another import, or is not seen by all workers.
    NotFoundError
        No such asset or aspect.
    PartialImportError
        Some partitions failed, after all others were awaited. Call again with the same ``manifest=`` to go on.
    JobTimeout
        Jobs were still running at the deadline.
    distributed.KilledWorker
        The same part cost several workers their lives (memory?). Notes of the error say how to go on.

    Notes
    -----
    Source: as for `tsbulk_frames.write_timeseries`.

    Examples
    --------
    >>> import dask
    >>> import dask.dataframe as dd
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01T20:00", periods=8, freq="h", tz="UTC")
    >>> ddf = dd.from_pandas(pd.DataFrame({"rate": [float(n) for n in range(8)]}, index=times), npartitions=4)
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", aspects={"flow": {"rate": "DOUBLE"}})
    ...     with dask.config.set(scheduler="threads"):
    ...         report = tsb.dask.write_timeseries(ddf, "pump-1", "flow", connection=con)
    >>> report.to_frame()[["partition", "rows", "status"]].values.tolist()
    [['2026-03-01', 4, 'SUCCESS'], ['2026-03-02', 4, 'SUCCESS']]
    """
    given: object = ddf
    if not isinstance(given, dd.DataFrame):
        raise FrameError(
            f"ddf is a {type(ddf).__name__}; give a dask.dataframe.DataFrame, or use tsb.write_timeseries for what is "
            "in memory or in a file"
        )
    if not isinstance(ddf._meta.index.dtype, pd.DatetimeTZDtype):
        raise FrameError(
            f"the index of ddf is {ddf._meta.index.dtype}, not a time with a zone; make one with "
            "ddf.set_index('_time', sorted=True), or ddf.map_partitions(lambda frame: frame.tz_localize('UTC'))"
        )
    series = Series(entity, property_set)
    check_seconds("timeout", timeout)
    check_empty_rows(empty_rows)
    twin = None if twin_type is None else TwinType.parse(twin_type)
    con = use_connection(connection)
    ticket = Ticket(con, check_workers(max_workers, con))
    variables: tuple[Variable, ...] | None = None
    if twin is None:
        target = ask_target(series, con)
        twin, variables = target.twin_type, target.variables
        _check_meta(ddf, variables)
    pieces, borders = cut(ddf, twin, con.config.closed)
    folder, mark = place_of(manifest, series, twin, con, borders)
    part = WritePart(ticket, series, twin, variables, folder, mark, wait, timeout, empty_rows, keep_files, verify)
    report = total(outcomes(part, pieces, borders), folder)
    if manifest is None and report.ok:
        shutil.rmtree(folder, ignore_errors=True)
        report.manifest = None
    return report


def _check_meta(ddf: dd.DataFrame, variables: Sequence[Variable]) -> None:
    """Refuse what the types alone tell; lengths, and what an object or a category may be, show in the parts."""
    sample = ddf._meta_nonempty.copy()
    for name, dtype in ddf._meta.dtypes.items():
        if pd.api.types.is_object_dtype(dtype) or isinstance(dtype, pd.CategoricalDtype):
            sample[name] = None
    check_columns(sample, [replace(variable, length=None) for variable in variables])
