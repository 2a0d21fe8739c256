"""Commands that import: ``plan``, ``write`` and ``resume``; floor 8.4. What they need is loaded when they run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import rich_click as click

from tsbulk_frames.cli_errors import REFUSED, resume_command
from tsbulk_frames.cli_output import Table
from tsbulk_frames.cli_session import Session, in_session
from tsbulk_frames.errors import FrameError, JobTimeout, PartialImportError

if TYPE_CHECKING:
    from tsbulk_frames._check import EmptyRows
    from tsbulk_frames.connection import Connection
    from tsbulk_frames.csvfile import CsvFile
    from tsbulk_frames.importplan import ImportPlan
    from tsbulk_frames.report import ImportReport

__all__ = ["plan", "resume", "write"]

_PLANNED = ("partition", "rows", "first", "last", "files", "bytes")
_REPORTED = ("partition", "outcome", "rows", "files", "bytes", "job_id", "status", "message")
_DETAILED = (*_REPORTED, "first", "last", "start_time", "last_modified", "verified")

T = TypeVar("T", bound=Callable[..., None])


def _data(command: T) -> T:
    """Give a command the arguments and options that data has."""
    for option in (
        click.option(
            "--empty-rows",
            type=click.Choice(("raise", "drop")),
            default="raise",
            show_default=True,
            help="Refuse rows without any value, or leave them out.",
        ),
        click.option(
            "--twin-type",
            type=click.Choice(("performance", "simulation")),
            help="Kind of the asset: by UTC days or hours. [default: the asset is asked]",
        ),
        click.argument("property_set"),
        click.argument("entity"),
        click.argument("data"),
    ):
        command = option(command)
    return command


@click.command()
@_data
@in_session
def plan(
    session: Session, data: str, entity: str, property_set: str, twin_type: str | None, empty_rows: EmptyRows
) -> None:
    """Plan an import without doing any of it: its partitions, and every rule it would break.

    DATA is what `tsbulk write` takes. The exit code is 2 if it could not be imported as it is.

    \b
    Keys of --json:
      entity, property_set, twin_type, ok, rows, files, bytes, jobs, disk_bytes,
      partitions, of each partition, rows, first, last, files, bytes
      problems, of each partition, column, times, message
    """  # noqa: D301  (click keeps the lines behind it)
    from tsbulk_frames.plan import plan_import

    with session.connect() as connection, ExitStack() as opened:
        source: str | CsvFile = data
        if _is_csv(data):
            source = opened.enter_context(_csv(data, entity, property_set, connection))
        found = plan_import(
            source,
            entity,
            property_set,
            twin_type=twin_type,
            empty_rows=empty_rows,
            progress=session.progress,
            connection=connection,
        )
    _show_plan(session, found)
    if not found.ok:
        sys.exit(REFUSED)


def _show_plan(session: Session, plan: ImportPlan) -> None:
    """Print a plan."""
    from tsbulk_frames._text import as_count

    partitions = [{name: getattr(one, name) for name in _PLANNED} for one in plan.partitions]
    problems = [
        {"partition": one.partition, "column": one.column, "times": one.times, "message": one.message}
        for one in plan.problems
    ]
    unit = "UTC day" if plan.twin_type.value == "performance" else "UTC hour"
    parts: list[str | Table] = [
        f"{plan.series}: {as_count(plan.rows, 'record')}, {as_count(plan.jobs, 'job')} (one a {unit}), "
        f"{as_count(plan.files, 'file')}, about {plan.bytes:,} bytes, about {plan.disk_bytes:,} of disk at most"
    ]
    if partitions:
        parts.append(Table(_PLANNED, [list(one.values()) for one in partitions]))
    if problems:
        parts.append(f"It cannot be imported like this, {as_count(len(problems), 'rule')} would be broken:")
        parts += [f"- {one['message']}" for one in problems]
    session.show(
        {
            "entity": plan.series.entity,
            "property_set": plan.series.property_set,
            "twin_type": plan.twin_type.value,
            "ok": plan.ok,
            "rows": plan.rows,
            "files": plan.files,
            "bytes": plan.bytes,
            "jobs": plan.jobs,
            "disk_bytes": plan.disk_bytes,
            "partitions": partitions,
            "problems": problems,
        },
        *parts,
    )


@click.command()
@_data
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to remember how far the import is. [default: a new file in your state folder]",
)
@click.option("--no-wait", is_flag=True, help="Return as soon as all jobs are started.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait for a job. [default: until it ends]")
@click.option("--verify", is_flag=True, help="Compare what is stored then with what was sent: count and ends.")
@click.option("--keep-files", is_flag=True, help="Leave the import files here and in the file service.")
@in_session
def write(
    session: Session,
    data: str,
    entity: str,
    property_set: str,
    twin_type: str | None,
    empty_rows: EmptyRows,
    manifest: Path | None,
    no_wait: bool,
    timeout: float | None,
    verify: bool,
    keep_files: bool,
) -> None:
    """Import history: one job for each UTC day (performance assets) or hour (simulation assets).

    DATA is a Parquet file or a folder of them, a CSV file with a _time column (name ending in .csv), or - for CSV on
    stdin; larger than memory if it has to be. Of CSV the asset is asked for the types; it is kept as Parquet beside the
    manifest until all is done. Everything is checked before anything is uploaded. After an interruption, a crash or a
    failure `tsbulk resume` goes on.

    \b
    Keys of --json:
      ok, rows, counts (by outcome), manifest
      partitions, of each partition, outcome, rows, files, bytes, job_id, status,
      message, first, last, start_time, last_modified, verified
    """  # noqa: D301  (click keeps the lines behind it)
    from tsbulk_frames.statefile import absolute_path
    from tsbulk_frames.statefolder import default_place
    from tsbulk_frames.writer import write_timeseries

    with session.connect() as connection:
        place = default_place(entity, time.time()) if manifest is None else absolute_path(manifest)
        session.manifest = place

        def run() -> ImportReport:
            source: str | Path = data
            if _is_csv(data):
                from tsbulk_frames.csvfile import save_as_parquet

                with _csv(data, entity, property_set, connection) as table:
                    source = save_as_parquet(table, place.parent, _kept(place))
            return write_timeseries(
                source,
                entity,
                property_set,
                twin_type=twin_type,
                wait=not no_wait,
                timeout=timeout,
                empty_rows=empty_rows,
                manifest=place,
                keep_files=keep_files,
                verify=verify,
                progress=session.progress,
                connection=connection,
            )

        _carry_out(session, place, run)


@click.command()
@click.argument("manifest", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait for a job. [default: until it ends]")
@in_session
def resume(session: Session, manifest: Path, timeout: float | None) -> None:
    """Go on with an import that was interrupted, killed, or that failed in part.

    What is done is left alone, what is running is awaited, what may have been started is looked for first, what was not
    sent is sent. MANIFEST is the file that `tsbulk write` names.

    \b
    Keys of --json: as for write
    """  # noqa: D301  (click keeps the lines behind it)
    from tsbulk_frames.statefile import absolute_path
    from tsbulk_frames.writer import resume_import

    place = absolute_path(manifest)
    session.manifest = place
    with session.connect() as connection:
        _carry_out(
            session,
            place,
            lambda: resume_import(place, timeout=timeout, progress=session.progress, connection=connection),
        )


def _carry_out(session: Session, place: Path, run: Callable[[], ImportReport]) -> None:
    """Run an import, and print what became of it, also where it failed in part."""
    finished = False
    try:
        report = run()
        finished = report.ok
    except (PartialImportError, JobTimeout) as error:
        if error.report is not None:
            _show_report(session, error.report)  # type: ignore[arg-type]  # that of an import is one
        raise
    finally:
        if finished or not place.exists():  # else what was kept of CSV is needed to go on
            for path in place.parent.iterdir() if place.parent.is_dir() else ():
                if path.name.startswith(_kept(place)):
                    path.unlink(missing_ok=True)
    _show_report(session, report)
    if not report.ok:
        session.remark(f"not all is done yet; await the jobs with: {resume_command(place)}")


def _show_report(session: Session, report: ImportReport) -> None:
    """Print a report."""
    from tsbulk_frames._text import as_count

    partitions = [{name: getattr(one, name) for name in _DETAILED} for one in report.partitions]
    counts = {outcome: count for outcome, count in report.counts.items() if count}
    bad = [at for at, one in enumerate(report.partitions) if one.outcome not in ("done", "skipped")]
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    total = f"{as_count(len(report), 'partition')} ({told}), {as_count(report.rows, 'record')}"
    session.show(
        {
            "ok": report.ok,
            "rows": report.rows,
            "counts": counts,
            "manifest": report.manifest,
            "partitions": partitions,
        },
        total if partitions else "nothing to import",
        *([Table(_REPORTED, [[one[name] for name in _REPORTED] for one in partitions], bad)] if partitions else []),
        *([f"manifest: {report.manifest}"] if report.manifest else []),
    )


def _is_csv(data: str) -> bool:
    """Whether data is CSV: stdin, or by the name."""
    return data == "-" or data.lower().endswith(".csv")


def _kept(manifest: Path) -> str:
    """Begin the name of what is kept of CSV, beside its manifest."""
    return f"{manifest.name}.source-"


@contextmanager
def _csv(data: str, entity: str, property_set: str, connection: Connection) -> Iterator[CsvFile]:
    """Open CSV, read by the types of the aspect."""
    from tsbulk_frames.aspect import ask_target
    from tsbulk_frames.csvfile import CsvFile, spooled
    from tsbulk_frames.model import Series

    variables = ask_target(Series(entity, property_set), connection).variables
    try:
        stream: IO[bytes] = spooled(sys.stdin.buffer) if data == "-" else open(data, "rb")  # noqa: SIM115
    except OSError as error:
        raise FrameError(f"{data}: {error.strerror or error}; check the path") from error
    with stream:
        yield CsvFile(stream, "stdin" if data == "-" else data, variables)
