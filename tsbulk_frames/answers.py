"""What the operations give: pages of records and import jobs, read strictly from the service's answers; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from tsbulk_frames import _exact
from tsbulk_frames._html import Badge, Tone, as_box, as_facts, as_head
from tsbulk_frames.errors import DecodeError, PageError, ProtocolError

__all__ = ["ImportJob", "JobStatus", "Timeseries", "parse_job", "parse_json", "parse_timeseries"]

_LONGEST_ID = 1_000
"""Characters of a job's id: more would not fit into the URL it is asked for by."""


@dataclass(frozen=True)
class Timeseries:
    """One page of records.

    Attributes
    ----------
    records : list of dict
        As the service sent them: numbers are exact ints or the nearest float, times are str.
    next_record : str or None
        URL of the next page; None on the last one.

    Examples
    --------
    >>> from tsbulk_frames.answers import Timeseries
    >>> Timeseries([{"_time": "2018-11-01T10:00:00Z", "pressure": 94}]).next_record is None
    True
    """

    records: list[dict[str, object]] = field(default_factory=list)
    next_record: str | None = None


class JobStatus(StrEnum):
    """How far an import job is: ``SUBMITTED`` → ``IN_PROGRESS`` → ``SUCCESS`` or ``ERROR``."""

    SUBMITTED = "SUBMITTED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"


_TONES: dict[JobStatus, Tone] = {
    JobStatus.SUBMITTED: "quiet",
    JobStatus.IN_PROGRESS: "busy",
    JobStatus.SUCCESS: "good",
    JobStatus.ERROR: "bad",
}


@dataclass(frozen=True)
class ImportJob:
    """State of an import job.

    Attributes
    ----------
    id : str
        Its id.
    status : JobStatus
        A str as well: ``job.status == "SUCCESS"``.
    message : str or None
        What the service says about it, above all after an ``ERROR``.
    start_time, last_modified : str or None
        ISO 8601, as sent.

    Examples
    --------
    >>> from tsbulk_frames.answers import ImportJob, JobStatus
    >>> job = ImportJob("4e37b10a", JobStatus.SUCCESS)
    >>> job, job.final
    (ImportJob(id='4e37b10a', status='SUCCESS'), True)
    """

    id: str
    status: JobStatus
    message: str | None = None
    start_time: str | None = None
    last_modified: str | None = None

    @property
    def final(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in (JobStatus.SUCCESS, JobStatus.ERROR)

    def __repr__(self) -> str:
        known = [f"{name}={str(value)!r}" for name, value in self._facts() if value is not None]
        return f"ImportJob({', '.join(known)})"

    def _repr_html_(self) -> str:
        shown = [(name, value) for name, value in self._facts() if value is not None and name != "status"]
        return as_box(as_head("ImportJob", Badge(self.status, _TONES[self.status])), as_facts(shown))

    def _facts(self) -> list[tuple[str, str | None]]:
        """Names and values of all fields."""
        return [(item.name, getattr(self, item.name)) for item in fields(self)]


def parse_json(content: bytes, what: str) -> object:
    """Read JSON as the standard has it: no NaN, no Infinity.

    Raises
    ------
    DecodeError
        Anything else.
    """
    try:
        return _exact.parse_json(content)
    except (ValueError, RecursionError) as error:
        raise DecodeError(
            f"{what} is not JSON ({_exact.reason(error)}; {len(content)} bytes, beginning with {content[:80]!r}); "
            "check gateway and proxy"
        ) from None


def parse_timeseries(content: bytes, link: str | None) -> Timeseries:
    """Read one page of ``GET /timeseries/…``.

    Raises
    ------
    PageError
        No object with a list ``records``, or a ``nextRecord`` that is no URL.
    DecodeError
        Not JSON, or a record is no object.
    """
    page = parse_json(content, "the page")
    records = page.get("records") if isinstance(page, dict) else None
    if not isinstance(page, dict) or not isinstance(records, list):
        raise PageError(
            f"the page is a {type(page).__name__} without a list 'records'; expected is an object with 'records' and "
            "'nextRecord'; check gateway and path"
        )
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            raise DecodeError(
                f"record {position} is a {type(record).__name__}, not an object; report it to the service's operator",
                record=position,
            )
    following = page.get("nextRecord")
    if following is not None and not isinstance(following, str):
        raise PageError(
            f"nextRecord is a {type(following).__name__}, not a URL; report it to the operator of the service"
        )
    return Timeseries(records, following or link)


def parse_job(content: bytes, headers: Mapping[str, str], *, created: bool) -> ImportJob:
    """Read an import job: an object or a list of one, with either spelling of its names.

    Parameters
    ----------
    content : bytes
        Body of the answer; may be empty when the job was just created.
    headers : mapping of str to str
        ``Location`` gives the id where the body lacks it.
    created : bool
        Whether this answers the creation: then a missing status means ``SUBMITTED``.

    Raises
    ------
    ProtocolError
        No id, or no status that is known.
    """
    body = parse_json(content, "the import job") if content.strip() or not created else {}
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        raise ProtocolError(
            f"an import job is an object or a list of one, not {_brief(body)}; check gateway and proxy, and look "
            "whether the job was started"
        )

    def text(*names: str) -> str | None:
        values = (body.get(name) for name in names)
        return next((str(one) for one in values if isinstance(one, str | int) and not isinstance(one, bool)), None)

    job_id = text("id", "jobId") or (headers.get("Location") or "").partition("?")[0].rstrip("/").rpartition("/")[2]
    if not job_id.strip() or job_id in (".", "..") or not job_id.isprintable() or len(job_id) > _LONGEST_ID:
        raise ProtocolError(
            f"an import job without a usable id, in the body as in Location: {_brief(body)}; look whether it was "
            "started, and report it to the operator of the service"
        )
    said = body.get("status") or (JobStatus.SUBMITTED if created else None)
    if not isinstance(said, str) or said not in JobStatus.__members__:
        raise ProtocolError(
            f"import job {job_id} has the status {_brief(said)}; known are {', '.join(JobStatus)}: the service has "
            "changed; look for a newer release of this library"
        )
    return ImportJob(
        job_id,
        JobStatus(said),
        text("message"),
        text("startTime", "jobStartTime"),
        text("lastModified", "jobLastModified"),
    )


def _brief(value: object) -> str:
    """Enough of a foreign value for a message."""
    shown = repr(value)
    return shown if len(shown) <= 200 else shown[:199] + "…"
