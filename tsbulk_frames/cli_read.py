"""Commands that look: ``read``, ``describe`` and ``jobs``; floor 8.4. What they need is loaded when they run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import rich_click as click

from tsbulk_frames.cli_errors import FAILED
from tsbulk_frames.cli_output import Table, plain, table_of
from tsbulk_frames.cli_session import Session, in_session

if TYPE_CHECKING:
    import pandas as pd

    from tsbulk_frames.connection import Connection
    from tsbulk_frames.export import Format, Written
    from tsbulk_frames.model import Inclusive
    from tsbulk_frames.request import Quality

__all__ = ["describe", "jobs", "read"]

Kind = Literal["csv", "jsonl", "parquet"]
_KINDS = get_args(Kind)
_SUFFIXES: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}


@click.command()
@click.argument("entity")
@click.argument("property_set")
@click.argument("start")
@click.argument("end")
@click.option("--output", "-o", default="-", show_default=True, help="File (.parquet, .csv, .jsonl); - for stdout.")
@click.option("--format", "kind", type=click.Choice(_KINDS), help="Form of the data. [default: by the file, else csv]")
@click.option("--select", "-s", multiple=True, metavar="PROPERTY", help="Only this property; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many records, the earliest.")
@click.option(
    "--inclusive",
    type=click.Choice(("left", "right", "both", "neither")),
    default="left",
    show_default=True,
    help="Which ends belong to the range.",
)
@click.option(
    "--quality",
    type=click.Choice(("columns", "drop")),
    default="columns",
    show_default=True,
    help="Keep quality codes, or leave them out.",
)
@click.option("--tz", default="UTC", show_default=True, help="Zone of the times in Parquet and CSV.")
@in_session
def read(
    session: Session,
    entity: str,
    property_set: str,
    start: str,
    end: str,
    output: str,
    kind: Format | None,
    select: Sequence[str],
    limit: int | None,
    inclusive: Inclusive,
    quality: Quality,
    tz: str,
) -> None:
    """Read the history of an aspect into a file or a pipe, as it comes.

    ENTITY is the id of the asset, PROPERTY_SET its aspect; START and END are dates or ISO 8601 times, in UTC unless
    they have an offset. Memory stays bounded, whatever the range. A file has its name only once it is whole; one of
    that name is replaced then. In CSV an empty cell is a missing one and "" an empty text; in JSON lines a missing cell
    has no key. Integers and times (nanoseconds) are exact everywhere.

    \b
    Keys of --json (with a file, as data on stdout stands alone):
      output, format, entity, property_set, range, rows, bytes, first, last
    """  # noqa: D301  (click keeps the lines behind it)
    piped = output == "-"
    if kind is None:
        kind = "csv" if piped else _SUFFIXES.get(Path(output).suffix.lower())
        if kind is None:
            raise click.UsageError(f"{output}: the form cannot be told from the name; give --format")
    if piped and session.json:
        raise click.UsageError("--json tells of a file: give -o FILE, or --format jsonl for the data as JSON")
    if piped and kind == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet on a terminal helps nobody: give -o FILE, or a pipe")
    if kind == "jsonl" and tz != "UTC":
        raise click.UsageError("JSON lines have times in UTC; leave --tz out, or choose another --format")
    from tsbulk_frames.request import check_look

    check_look(tz, None)
    with session.connect() as connection, ExitStack() as opened:
        if piped:
            stream = sys.stdout.buffer
        else:
            from tsbulk_frames.export import output_file

            stream = opened.enter_context(output_file(Path(output)))
        from tsbulk_frames.export import write_records
        from tsbulk_frames.streams import read_arrow

        reader = read_arrow(
            entity,
            property_set,
            start,
            end,
            select=list(select) or None,
            inclusive=inclusive,
            limit=limit,
            quality=quality,
            progress=session.progress,
            connection=connection,
        )
        try:
            written = write_records(reader, reader.schema, stream, kind, tz=tz)
        finally:
            del reader  # that ends what is under way
    if not piped:
        _tell_written(session, written, output, kind, entity, property_set, (start, end))


def _tell_written(
    session: Session,
    written: Written,
    output: str,
    kind: Format,
    entity: str,
    property_set: str,
    span: tuple[str, str],
) -> None:
    """Say what is in the file."""
    from tsbulk_frames._text import as_count
    from tsbulk_frames.model import format_time

    first, last = (None if ns is None else format_time(ns) for ns in (written.first, written.last))
    between = f", {first} to {last}" if written.rows else ""
    session.show(
        {
            "output": str(Path(output).absolute()),
            "format": kind,
            "entity": entity,
            "property_set": property_set,
            "range": span,
            "rows": written.rows,
            "bytes": written.bytes,
            "first": first,
            "last": last,
        },
        f"{output}: {as_count(written.rows, 'record')}{between}, {as_count(written.bytes, 'byte')}",
    )


@click.command()
@click.argument("entity", required=False)
@click.option("--name", help="Without ENTITY: only assets whose name has this in it.")
@click.option("--type", "type_id", help="Without ENTITY: only assets of this type.")
@click.option("--limit", type=click.IntRange(min=1), help="Without ENTITY: at most so many.")
@in_session
def describe(session: Session, entity: str | None, name: str | None, type_id: str | None, limit: int | None) -> None:
    """List the assets; of one ENTITY, its aspects and their properties.

    \b
    Keys of --json:
      without ENTITY: assets, of each asset_id, name, type_id, twin_type and more
      with ENTITY: entity, name, twin_type, properties; of each aspect, category,
      property, data_type, unit, length, quality_code and more
    """  # noqa: D301  (click keeps the lines behind it)
    if entity is not None and (name, type_id, limit) != (None, None, None):
        raise click.UsageError("--name, --type and --limit choose among the assets; leave ENTITY out")
    from tsbulk_frames._text import as_count
    from tsbulk_frames.discovery import describe as describe_asset
    from tsbulk_frames.discovery import list_assets

    with session.connect() as connection:
        if entity is None:
            frame = list_assets(name=name, type_id=type_id, limit=limit, connection=connection)
            session.show({"assets": _records(frame)}, as_count(len(frame), "asset"), *_filled(frame))
            return
        frame = describe_asset(entity, connection=connection)
    about = {key: frame.attrs.get(key) for key in ("entity", "name", "twin_type")}
    kind = {"performance": "imported by UTC days", "simulation": "imported by UTC hours"}.get(str(about["twin_type"]))
    head = f"{about['name']} ({entity}): {about['twin_type']}" + (f", {kind}" if kind else "")
    session.show({**about, "properties": _records(frame)}, head, *_filled(frame))


def _records(frame: pd.DataFrame) -> list[object]:
    """Take a frame row by row."""
    return [dict(zip(frame.columns, map(plain, row), strict=True)) for row in frame.itertuples(index=False)]


def _filled(frame: pd.DataFrame) -> list[Table]:
    """Show the columns that say something."""
    return [table_of(frame.dropna(axis="columns", how="all"))] if len(frame) else []


@click.command()
@click.argument("jobs_or_manifest", nargs=-1, required=True, metavar="MANIFEST|JOB_ID…")
@click.option("--wait", is_flag=True, help="Wait until all have ended.")
@click.option("--timeout", type=click.FloatRange(min=0), help="With --wait: for so many seconds at most.")
@in_session
def jobs(session: Session, jobs_or_manifest: Sequence[str], wait: bool, timeout: float | None) -> None:
    """Ask how far import jobs are: those of a manifest, or some by their ids.

    Asks once, or with --wait until all have ended. The exit code is 1 if one has ended in ERROR, and with --wait
    --timeout 6 if some are still running. An import that is under way holds its manifest: name its jobs by id then.

    \b
    Keys of --json:
      jobs, of each job_id, status, message, start_time, last_modified
      counts, by status
    """  # noqa: D301  (click keeps the lines behind it)
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    if not all(one.strip() for one in jobs_or_manifest):
        raise click.UsageError("an id is empty; give the ids as `tsbulk write` names them")
    from tsbulk_frames.importjob import wait_for_jobs

    named = list(jobs_or_manifest)
    given: str | Path | list[str] = Path(named[0]) if len(named) == 1 and os.path.exists(named[0]) else named
    with session.connect() as connection:
        if wait:
            frame = wait_for_jobs(given, timeout=timeout, progress=session.progress, connection=connection)
        else:
            frame = _ask_once(connection, _ids_of(given, connection) if isinstance(given, Path) else given)
    found = _records(frame)
    counts = {status: int(count) for status, count in frame["status"].value_counts().items()}
    head = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    session.show({"jobs": found, "counts": counts}, f"jobs: {head or 'none was started'}", *_filled(frame))
    if counts.get("ERROR"):
        sys.exit(FAILED)


def _ids_of(manifest: Path, connection: Connection) -> list[str]:
    """Name the jobs an import has started."""
    from tsbulk_frames.manifest import Manifest

    with Manifest.open(manifest, clock=connection.clock) as book:
        return [entry.job_id for entry in book.entries() if entry.job_id is not None]


def _ask_once(connection: Connection, ids: Iterable[str]) -> pd.DataFrame:
    """Look at each job once; one that cannot be asked for is an error once all others have been."""
    from tsbulk_frames.answers import ImportJob
    from tsbulk_frames.errors import JobTimeout, TsBulkError
    from tsbulk_frames.importjob import await_jobs, frame_of_jobs

    seen: dict[str, ImportJob | TsBulkError] = {}
    ids = list(dict.fromkeys(ids))
    looks = await_jobs(
        connection, ids, timeout=0, max_workers=connection.config.max_workers, on_change=seen.__setitem__
    )
    with suppress(JobTimeout):
        seen.update(looks)
    return frame_of_jobs(ids, seen)
