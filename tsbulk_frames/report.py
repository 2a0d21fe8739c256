"""What became of an import, a row per partition; floor 5, pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

import pandas as pd

from tsbulk_frames.errors import (
    JobError,
    PartialImportError,
    ProtocolError,
    ServiceError,
    TransportError,
    TsBulkError,
)
from tsbulk_frames.messages import ImportJob

__all__ = ["ImportReport", "Outcome", "PartitionReport"]

Outcome: TypeAlias = Literal["done", "failed", "unknown", "running"]


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
        ``UNKNOWN``: the service may have started one without telling.
    message : str
        What the service, or the error, said.
    start_time, last_modified : str or None
        Of the job, as the service says.
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

    @property
    def outcome(self) -> Outcome:
        """The status in one of four words."""
        if self.status == "SUCCESS":
            return "done"
        if self.status in ("ERROR", "FAILED"):
            return "failed"
        return "unknown" if self.status == "UNKNOWN" else "running"

    def update(self, job: ImportJob) -> None:
        """Take over what the service says of the job."""
        if self.job_id is None:
            self.job_id = job.id
        self.status = job.status
        self.message = job.message or ""
        self.start_time = job.start_time
        self.last_modified = job.last_modified


class ImportReport:
    """What became of an import: like a frame, a row per partition (one import job each).

    Attributes
    ----------
    partitions : list of PartitionReport
        In time order.
    errors : dict of str to TsBulkError
        By partition: why it failed, or is unknown.

    Examples
    --------
    >>> from tsbulk_frames.report import ImportReport, PartitionReport
    >>> one = PartitionReport("2026-03-01", 1, 3, 150, "2026-03-01T00:00:00Z", "2026-03-01T00:00:02Z", "8f", "SUCCESS")
    >>> report = ImportReport([one], {})
    >>> report.ok, report["rows"].sum()
    (True, np.int64(3))
    """

    def __init__(self, partitions: Sequence[PartitionReport], errors: dict[str, TsBulkError]) -> None:
        self.partitions = list(partitions)
        self.errors = errors

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
        """Whether every partition is done."""
        return all(one.outcome == "done" for one in self.partitions)

    def names(self, outcome: Outcome) -> tuple[str, ...]:
        """Names of the partitions with this outcome."""
        return tuple(one.partition for one in self.partitions if one.outcome == outcome)

    @property
    def counts(self) -> dict[str, int]:
        """Partitions by outcome: done, failed, unknown, running."""
        outcomes: tuple[Outcome, ...] = ("done", "failed", "unknown", "running")
        return {outcome: len(self.names(outcome)) for outcome in outcomes}

    def raise_for_status(self) -> None:
        """Raise if any partition failed or is unknown.

        Raises
        ------
        PartialImportError
            Carries this report, and per partition a `JobError` or the error that stopped it.
        """
        failed, unknown = self.names("failed"), self.names("unknown")
        if not failed and not unknown:
            return
        first = (failed or unknown)[0]
        raise PartialImportError(
            f"{len(failed)} of {len(self)} partitions failed"
            + (
                f" and {len(unknown)} are unknown (the service may have taken them: read before writing)"
                if unknown
                else ""
            )
            + f", {len(self.names('done'))} are done; first: {first}: {self.errors[first]}. "
            "See .report and .errors; write the failed partitions again once the cause is mended",
            done=self.names("done"),
            failed=failed,
            unknown=unknown,
            errors=[self.errors[name] for name in (*failed, *unknown)],
            report=self,
        )

    def __len__(self) -> int:
        return len(self.partitions)

    def __getitem__(self, column: str) -> pd.Series:
        return self.to_frame()[column]

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count)
        head = f"ImportReport: {len(self)} partitions ({counts or 'nothing to import'}), {self.rows:,} records"
        return f"{head}\n{self.to_frame().to_string(max_rows=10)}" if self.partitions else head

    def _repr_html_(self) -> str:
        return self.to_frame()._repr_html_()  # type: ignore[operator, no-any-return]


def failure(report: PartitionReport, error: TsBulkError, *, posted: bool) -> None:
    """File why a partition has no job; a job that may have been posted all the same is unknown, not failed."""
    maybe = posted and (
        isinstance(error, ProtocolError)  # accepted, but in words that cannot be read
        or (isinstance(error, TransportError) and error.unknown_outcome)
        or (isinstance(error, ServiceError) and error.status >= 500)
    )
    report.status = "UNKNOWN" if maybe else "FAILED"
    report.message = str(error)


def job_error(report: PartitionReport, paths: Sequence[str]) -> JobError:
    """Say what the service gave as the reason."""
    return JobError(
        f"import job {report.job_id} of partition {report.partition} ended in ERROR: "
        f"{report.message or 'no reason given'}; nothing of it was imported. Mend the data and write it again",
        job=report.job_id or "",
        message=report.message,
        files=paths,
    )
