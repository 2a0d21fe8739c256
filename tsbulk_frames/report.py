"""What became of an import, a row per partition; floor 5, pure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, cast

import pandas as pd

from tsbulk_frames._html import Badge, Tone, as_box, as_code, as_head, as_list, as_table
from tsbulk_frames._text import MOST_ROWS, as_columns, as_count, as_item, as_size, pick, shortened, wrapped
from tsbulk_frames.errors import (
    JobError,
    PartialImportError,
    ProtocolError,
    ServiceError,
    TransportError,
    TsBulkError,
)
from tsbulk_frames.messages import ImportJob

__all__ = ["ImportReport", "Outcome", "PartitionReport", "partial_error"]

Outcome: TypeAlias = Literal["done", "skipped", "failed", "unknown", "running"]
_TONES: dict[Outcome, Tone] = {
    "done": "good",
    "skipped": "quiet",
    "failed": "bad",
    "unknown": "doubtful",
    "running": "busy",
}
_COLUMNS = ["partition", "outcome", "rows", "bytes", "job_id"]
_MOST_LINES, _MOST_REASONS, _LONGEST_REASON = 10, 10, 500


@dataclass
class PartitionReport:
    """One partition of an import and its job.

    Attributes
    ----------
    partition : str
        The UTC hour (``2026-03-01T05``) or day (``2026-03-01``).
    files : int
        Import files of the job.
    rows, bytes : int
        What they hold.
    first, last : str
        ``_time`` of the first and last record, ISO 8601.
    job_id : str or None
        None: no job was started.
    status : str
        ``SUBMITTED``, ``IN_PROGRESS``, ``SUCCESS``, ``ERROR`` as the service says; ``FAILED``: no job was started;
        ``UNKNOWN``: the service may have started one without telling; ``PENDING``: not sent yet.
    message : str
        What the service, or the error, said.
    start_time, last_modified : str or None
        Of the job, as the service says.
    verified : bool
        What the series holds was compared with what was sent: same count, same first and last time.
    skipped : bool
        It was done before this call, which had nothing to do for it.
    """

    partition: str
    files: int
    rows: int
    bytes: int
    first: str
    last: str
    job_id: str | None = None
    status: str = "PENDING"
    message: str = ""
    start_time: str | None = None
    last_modified: str | None = None
    verified: bool = False
    skipped: bool = False

    @property
    def outcome(self) -> Outcome:
        """The status in one of five words."""
        if self.status == "SUCCESS":
            return "skipped" if self.skipped else "done"
        if self.status in ("ERROR", "FAILED"):
            return "failed"
        return "unknown" if self.status == "UNKNOWN" else "running"


class ImportReport:
    """What became of an import: like a frame, a row per partition (one import job each).

    Attributes
    ----------
    partitions : list of PartitionReport
        In time order.
    errors : dict of str to TsBulkError
        By partition: why it failed, or is unknown.
    manifest : str or None
        File that keeps the state of the import: for `tsbulk_frames.resume_import` and `tsbulk_frames.wait_for_jobs`.

    Examples
    --------
    >>> from tsbulk_frames.report import ImportReport, PartitionReport
    >>> one = PartitionReport("2026-03-01", 1, 3, 150, "2026-03-01T00:00:00Z", "2026-03-01T00:00:02Z", "8f", "SUCCESS")
    >>> report = ImportReport([one], {})
    >>> report.ok, report["rows"].sum()
    (True, np.int64(3))
    """

    def __init__(
        self,
        partitions: Sequence[PartitionReport],
        errors: dict[str, TsBulkError],
        manifest: str | os.PathLike[str] | None = None,
    ) -> None:
        self.partitions = list(partitions)
        self.errors = errors
        self.manifest = None if manifest is None else str(manifest)

    def to_frame(self) -> pd.DataFrame:
        """As a DataFrame: the columns are the attributes of `PartitionReport`; `start_time` and such are text."""
        names = [field.name for field in fields(PartitionReport)]
        return pd.DataFrame([{name: getattr(one, name) for name in names} for one in self.partitions], columns=names)

    @property
    def columns(self) -> pd.Index[str]:
        """Names of the columns."""
        return self.to_frame().columns

    @property
    def job_ids(self) -> list[str]:
        """Ids of all jobs that were started."""
        return [one.job_id for one in self.partitions if one.job_id is not None]

    @property
    def rows(self) -> int:
        """Records of all partitions together."""
        return sum(one.rows for one in self.partitions)

    @property
    def ok(self) -> bool:
        """Whether every partition is done, by this call or an earlier one."""
        return all(one.outcome in ("done", "skipped") for one in self.partitions)

    def names(self, outcome: Outcome) -> tuple[str, ...]:
        """Names of the partitions with this outcome."""
        return tuple(one.partition for one in self.partitions if one.outcome == outcome)

    @property
    def counts(self) -> dict[str, int]:
        """Partitions by outcome: done, skipped (done before), failed, unknown, running."""
        return {outcome: len(self.names(outcome)) for outcome in _TONES}

    def raise_for_status(self) -> None:
        """Raise if any partition failed or is unknown.

        Raises
        ------
        PartialImportError
            Carries this report, and per partition a `JobError` or the error that stopped it.
        """
        resume = f"tsb.resume_import({self.manifest!r})" if self.manifest else "tsb.write_timeseries"
        error = partial_error(self, f"{resume}: what is unknown is looked for first")
        if error is not None:
            raise error

    def __len__(self) -> int:
        return len(self.partitions)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __getitem__(self, column: str) -> pd.Series:
        return self.to_frame()[column]

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in self.counts.items() if count)
        parts = [wrapped(f"ImportReport: {self._head()}{f' ({counts})' if counts else ''}")]
        if reasons := self._reasons():
            parts += [wrapped(self._warning(len(reasons))), *map(as_item, reasons)]
            parts += [f"go on with: {self._command}"] if self._command else []
        if self.partitions:
            parts.append(as_columns(_COLUMNS, self._brief(_MOST_LINES), len(self)))
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        counts = self.counts
        badges = [Badge(f"{counts[outcome]:,} {outcome}", tone) for outcome, tone in _TONES.items() if counts[outcome]]
        parts = [as_head("ImportReport", self._head(), *badges)]
        if reasons := self._reasons():
            parts.append(as_list(self._warning(len(reasons)), reasons))
            parts += [as_code("go on with: ", self._command)] if self._command else []
        if self.partitions:
            rows = self._brief(MOST_ROWS)
            for row in rows:
                if row is not None:
                    outcome = cast(Outcome, row[1])
                    row[1] = Badge(outcome, _TONES[outcome])
            parts.append(as_table(_COLUMNS, rows, len(self)))
        return as_box(*parts)

    def _head(self) -> str:
        """In words."""
        if not self.partitions:
            return "nothing to import"
        size = as_size(sum(one.bytes for one in self.partitions))
        return f"{as_count(len(self), 'partition')}, {as_count(self.rows, 'record')}, {size}"

    def _bad(self) -> list[PartitionReport]:
        """Partitions that failed or are unknown."""
        return [one for one in self.partitions if one.outcome in ("failed", "unknown")]

    def _reasons(self) -> list[str]:
        """Why partitions failed, or are unknown; of the first ten."""
        reasons = [
            f"{one.partition} {one.outcome}: {self.errors.get(one.partition) or one.message or 'no reason given'}"
            for one in self._bad()[:_MOST_REASONS]
        ]
        return [shortened(" ".join(one.split()), _LONGEST_REASON) for one in reasons]

    def _warning(self, shown: int) -> str:
        """Say how many are not done, and where the rest of the reasons is."""
        number = len(self._bad())
        rest = f"; the first {shown} of them, all are in .errors" if number > shown else ""
        return f"{as_count(number, 'partition')} failed or unknown{rest}:"

    @property
    def _command(self) -> str:
        """What goes on with it, once the cause is mended."""
        return f"tsb.resume_import({self.manifest!r})" if self.manifest else ""

    def _brief(self, most: int) -> list[list[object] | None]:
        """Rows narrow enough for a terminal, those that are not done first to be shown."""
        return [
            None if one is None else [one.partition, one.outcome, one.rows, as_size(one.bytes), one.job_id or ""]
            for one in pick(self.partitions, [one.outcome not in ("done", "skipped") for one in self.partitions], most)
        ]


def heard(error: TsBulkError) -> bool:
    """Whether the service may have started the job although its answer to the POST is not known."""
    return (
        isinstance(error, ProtocolError)  # accepted, but in words that cannot be read
        or (isinstance(error, TransportError) and error.unknown_outcome)
        or (isinstance(error, ServiceError) and error.status >= 500)
    )


def job_error(partition: str, job: ImportJob, paths: Sequence[str]) -> JobError:
    """Say what the service gave as the reason."""
    return JobError(
        f"import job {job.id} of partition {partition} ended in ERROR: "
        f"{job.message or 'no reason given'}; nothing of it was imported. Mend the data and write it again",
        job=job.id or "",
        message=job.message or "",
        files=paths,
    )


def partial_error(report: ImportReport, go_on: str) -> PartialImportError | None:
    """Make the error that tells what failed or is unknown, and how to go on; None where nothing did."""
    failed, unknown = report.names("failed"), report.names("unknown")
    if not failed and not unknown:
        return None
    first, done = (failed or unknown)[0], (*report.names("done"), *report.names("skipped"))
    maybe = f" and {len(unknown)} are unknown (the service may have taken them)" if unknown else ""
    reason = report.errors.get(first) or next(one.message for one in report.partitions if one.partition == first)
    return PartialImportError(
        f"{len(failed)} of {len(report)} partitions failed{maybe}, {len(done)} are done; first: {first}: {reason}. "
        f"See .report and .errors; mend the cause and go on with {go_on}",
        done=done,
        failed=failed,
        unknown=unknown,
        errors=[report.errors[name] for name in (*failed, *unknown) if name in report.errors],
        report=report,
        manifest=report.manifest,
    )
