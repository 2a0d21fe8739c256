"""A Dask DataFrame cut into parts to import, and what became of them put together again; floor 7.8."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tsbulk_frames._parts import Outcome, WritePart
from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import ConfigError, FrameError, JobTimeout, TsBulkError
from tsbulk_frames.model import Closed, Series, TwinType, format_time
from tsbulk_frames.report import ImportReport, PartitionReport, partial_error
from tsbulk_frames.statefile import absolute_path, make_folder
from tsbulk_frames.statefolder import default_place

if TYPE_CHECKING:
    import dask.dataframe as dd

__all__ = ["cut", "outcomes", "place_of", "total"]

MARK = "import.json"
"""File in the folder of an import that says what is imported, and how it was cut."""


def cut(ddf: dd.DataFrame, twin: TwinType, closed: Closed) -> tuple[dd.DataFrame, list[int]]:
    """Move the borders of partitions to those of UTC days or hours, so that none lies in two of them.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
        With a time index.
    twin : TwinType
        Days or hours.
    closed : {"left", "right"}
        Which day or hour owns a record at exactly its border.

    Returns
    -------
    (dask.dataframe.DataFrame, list of int)
        As it is to be imported, and where each partition begins (nanoseconds), the end of the last included. No
        rows: no border.

    Raises
    ------
    FrameError
        The partitions are not in time order.
    """
    data: Any = ddf if ddf.known_divisions else _divided(ddf)
    if not data.known_divisions:
        return data, []
    unit, shift = twin.partition_ns, 0 if closed == "left" else 1
    moments = [int(pd.Timestamp(one).as_unit("ns").value) - shift for one in data.divisions]
    borders = sorted({moment // unit * unit for moment in moments})
    borders = [border + shift for border in (*borders, borders[-1] + unit)]
    zone = data._meta.index.dtype.tz
    divisions = [pd.Timestamp(border, tz="UTC").tz_convert(zone) for border in borders]
    return data.repartition(divisions=divisions, force=True), borders


def _divided(ddf: Any) -> Any:
    """Find the divisions by a look at the data; without any row there are none."""
    import dask.dataframe as dd

    found = ddf.map_partitions(_extent, meta={"first": "int64", "last": "int64", "sorted": "bool"}).compute()
    rows = (found["last"] >= found["first"]).to_numpy()
    kept = found[rows]
    if not len(kept):
        return ddf
    later = kept["first"].iloc[1:].to_numpy() > kept["last"].iloc[:-1].to_numpy()
    if not later.all() or not kept["sorted"].all():
        raise FrameError(
            "ddf is not in time order from partition to partition; sort it with "
            "ddf.reset_index().set_index('_time'), which moves data between workers"
        )
    zone = ddf._meta.index.dtype.tz
    moments = [*kept["first"], kept["last"].iloc[-1]]
    divisions = tuple(pd.Timestamp(int(one), tz="UTC").tz_convert(zone) for one in moments)
    pieces = [piece for piece, any_ in zip(ddf.to_delayed(), rows, strict=True) if any_]
    return dd.from_delayed(pieces, meta=ddf._meta, divisions=divisions, verify_meta=False)


def _extent(frame: pd.DataFrame) -> pd.DataFrame:
    """First and last time of a partition; of an empty one the last comes before the first."""
    index: Any = frame.index
    first, last = (index.min().as_unit("ns").value, index.max().as_unit("ns").value) if len(frame) else (0, -1)
    return pd.DataFrame({"first": [first], "last": [last], "sorted": [bool(index.is_monotonic_increasing)]})


def place_of(
    manifest: str | os.PathLike[str] | None, series: Series, twin: TwinType, connection: Connection, borders: list[int]
) -> tuple[Path, str]:
    """Make the folder of an import and say in it what is imported, or go on with the one it holds.

    Raises
    ------
    ConfigError
        It cannot be used, or holds another import.
    """
    if manifest is None:
        folder = default_place(series.entity, connection.clock()).with_suffix(".parts")
    else:
        folder = absolute_path(manifest)
    told = {
        "entity": series.entity,
        "property_set": series.property_set,
        "twin_type": str(twin),
        "closed": connection.config.closed,
        "borders": [format_time(border) for border in borders],
    }
    mark = folder / MARK
    try:
        make_folder(folder)
        if mark.exists():
            kept = json.loads(mark.read_text(encoding="utf-8"))
        else:
            draft = mark.with_suffix(".draft")
            draft.write_text(json.dumps(told, indent=1), encoding="utf-8")
            draft.replace(mark)
            kept = told
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"manifest={str(folder)!r} cannot be used: {error}; name a folder of yours, new or of the same import"
        ) from error
    different = [name for name in told if not isinstance(kept, dict) or kept.get(name) != told[name]]
    if different:
        raise ConfigError(
            f"manifest={str(folder)!r} holds another import: its {', '.join(different)} differ; give the same data and "
            "arguments to go on with it, or name another folder"
        )
    return folder, MARK


def outcomes(part: WritePart, ddf: dd.DataFrame, borders: Sequence[int]) -> list[tuple[str, Outcome]]:
    """Import all parts, wherever the scheduler in use has them computed; each with the time it begins at."""
    import dask

    if not borders:
        return []
    engine: Any = dask  # its functions have no types
    names = [format_time(border)[:13].replace("-", "") for border in borders[:-1]]
    send = engine.delayed(part, pure=False, name=f"tsbulk-write-{part.ticket.id}", traverse=False)
    data: Any = ddf
    tasks = [
        send(piece, name, dask_key_name=f"tsbulk-write-{name}-{part.ticket.id}")
        for piece, name in zip(data.to_delayed(), names, strict=True)
    ]
    try:
        done: Sequence[Outcome] = engine.compute(*tasks)
    except BaseException as error:
        error.add_note(f"go on with the same call and manifest={str(part.folder)!r}: what is done is skipped")
        raise
    return list(zip(names, done, strict=True))


def total(parts: Sequence[tuple[str, Outcome]], folder: Path) -> ImportReport:
    """Put together what became of all parts.

    Raises
    ------
    TsBulkError
        All parts were refused: the first refusal.
    PartialImportError
        Some partitions failed or are unknown.
    JobTimeout
        Jobs are still running.
    """
    rows: list[PartitionReport] = []
    errors: dict[str, TsBulkError] = {}
    late: list[str] = []
    for name, outcome in parts:
        rows += outcome.partitions
        errors |= outcome.errors
        late += outcome.late
        if outcome.refusal is not None:
            errors[name] = outcome.refusal
            rows.append(PartitionReport(name, 0, 0, 0, "", "", status="FAILED", message=str(outcome.refusal)))
    refusals = [outcome.refusal for _, outcome in parts if outcome.refusal is not None]
    again = f"the same call and manifest={str(folder)!r}: what is done is skipped"
    if refusals and not any(outcome.partitions for _, outcome in parts):
        refusals[0].add_note(f"{len(refusals)} parts of the data were refused, nothing was imported")
        raise refusals[0]
    report = ImportReport(rows, errors, folder)
    if late:
        failed = report.names("failed")
        more = f"; {len(failed)} other partitions failed (first: {failed[0]}), see .report" if failed else ""
        raise JobTimeout(
            f"{len(late)} import jobs are still running at the deadline (first: {late[0]}); this is no failure: await "
            f"them again with wait_for_jobs(error.job_ids), or with {again}{more}",
            job_ids=late,
            report=report,
        )
    error = partial_error(report, f"{again}, what is unknown is looked for first")
    if error is not None:
        raise error
    return report
