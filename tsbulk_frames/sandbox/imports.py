"""Import jobs: ``POST /api/iottsbulk/v3/importJobs`` and ``GET …/importJobs/{id}``, and the worker that runs them.

What can be told from the request is refused at once (4xx); what only the files tell ends the job in ERROR. Either way
nothing of the job is stored: its records become visible with one rename at the very end.

Known differences from the service, and what its documentation leaves open:

- A job is answered with 201 and the job as an object.
- A missing file, a wrong order, a range over the border of an hour or day, too many bytes and too young a record are
  refused at creation with 400; an unknown asset or aspect with 404.
- The files are read when the job runs; what they held when it was created is not kept.
- The age of records is reckoned from the job's creation.
- The size rule counts the files of one job; files of other jobs for the same hour or day are not added.
- Jobs run one after the other, in the order of their creation.
- A later record of the same ``_time`` replaces the earlier one as a whole, with the properties it does not have.
- A record without any value is refused; a quality code without its value is kept.
- JSON ``null`` is a missing value. An empty text is a value of STRING and BIG_STRING and a missing value of the others.
- ``1.0`` and ``1e3`` are refused for INT and LONG.
- A key that comes twice in a record is refused.
- Lengths of texts are counted in Unicode code points.
- A TIMESTAMP is kept as the text it came as, with ``Z`` or an offset.
- Files of a job are to be named in order of time; gaps between them are accepted.
- Any name of a property that ends in ``_qc`` is its quality code, a 64-bit integer of any value.
"""

from __future__ import annotations

import json
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tsbulk_frames.sandbox.arrow import times_ns
from tsbulk_frames.sandbox.bodies import read_body
from tsbulk_frames.sandbox.jobrules import ImportFile, JobRequest, check_request, check_span, is_edge, parse_request
from tsbulk_frames.sandbox.model import Rules, State, rules_of
from tsbulk_frames.sandbox.moments import NS, format_ns
from tsbulk_frames.sandbox.records import iter_tables
from tsbulk_frames.sandbox.refusals import Refusal
from tsbulk_frames.sandbox.validation import Invalid

__all__ = ["Job", "JobStore", "routes"]

_MAX_BODY = 10_000_000
_READERS = 2
_NEXT: dict[str, set[str]] = {
    "SUBMITTED": {"IN_PROGRESS"},
    "IN_PROGRESS": {"SUCCESS", "ERROR"},
    "SUCCESS": set(),
    "ERROR": set(),
}
"""Every legal step of a job."""


@dataclass(frozen=True)
class Job:
    """One import job, as it is kept on disk; times in nanoseconds by the sandbox's clock."""

    id: str
    number: int
    request: JobRequest
    created: int
    modified: int
    status: str = "SUBMITTED"
    message: str = ""
    seconds: float = 0.0
    """How long its progress is kept back."""
    error: str = ""
    """What it is to end with, whatever it holds."""

    def step(self, status: str, *, now: int, message: str = "") -> Job:
        """Give the job after a legal step."""
        if status not in _NEXT[self.status]:
            raise ValueError(f"job {self.id} cannot go from {self.status} to {status}")
        return replace(self, status=status, message=message, modified=now)

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen to it."""
        return not _NEXT[self.status]


class JobStore:
    """All jobs below one folder, and the thread that runs them; jobs that a stop interrupted are run again.

    Parameters
    ----------
    root : Path
        A file for each job; made when missing.
    state : State
        Assets, files and series to work on, the clock and the rules.
    """

    def __init__(self, root: Path, state: State) -> None:
        self._root = root
        self._state = state
        self._changing = threading.Lock()
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._worker: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        root.mkdir(parents=True, exist_ok=True)
        for draft in root.glob("*.draft"):
            draft.unlink()
        jobs = sorted(map(_read_job, root.glob("*.json")), key=lambda job: job.number)
        self._jobs = {job.id: job for job in jobs}

    def start(self) -> None:
        """Begin to work, first on what was left over."""
        for job in self._jobs.values():
            if not job.ended:
                self._waiting.put(job.id)
        self._readers = ThreadPoolExecutor(_READERS, "tsbulk-sandbox-reading")
        self._worker = threading.Thread(target=self._work, name="tsbulk-sandbox-imports", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """Stop soon and wait for it; a job at work is left as it is and begun again by the next `start`."""
        self._closing.set()
        self._waiting.put(None)
        if self._worker is not None:
            self._worker.join()
            self._worker = None
        if self._readers is not None:
            self._readers.shutdown(cancel_futures=True)
            self._readers = None

    def create(self, request: JobRequest, rules: Rules) -> Job:
        """Keep a checked request as a job and queue it."""
        now = self._now()
        with self._changing:
            job = Job(
                uuid4().hex,
                len(self._jobs),
                request,
                created=now,
                modified=now,
                seconds=rules.job_seconds,
                error=rules.job_error,
            )
            self._keep(job)
            self._waiting.put(job.id)
        return job

    def get(self, job_id: str) -> Job | None:
        """Give a job as it may be seen: the rule `job_seconds` keeps its progress back."""
        job = self._jobs.get(job_id)
        if job is None or job.seconds <= 0:
            return job
        half = int(job.seconds * NS) // 2
        age = self._now() - job.created
        if age < half:
            return replace(job, status="SUBMITTED", message="", modified=job.created)
        if age < 2 * half or not job.ended:
            return replace(job, status="IN_PROGRESS", message="", modified=job.created + half)
        return replace(job, modified=max(job.modified, job.created + 2 * half))

    def _now(self) -> int:
        """Nanoseconds by the sandbox's clock."""
        return int(self._state.clock() * NS)

    def _keep(self, job: Job) -> None:
        """Disk first, so that nothing is told that a restart forgets."""
        draft = self._root / f"{job.id}.draft"
        draft.write_text(json.dumps(asdict(job)), encoding="utf-8")
        os.replace(draft, self._root / f"{job.id}.json")
        self._jobs[job.id] = job

    def _work(self) -> None:
        """Run what is queued until closed."""
        while (job_id := self._waiting.get()) is not None and not self._closing.is_set():
            job = self._jobs[job_id]
            if job.status == "SUBMITTED":
                job = job.step("IN_PROGRESS", now=self._now())
                self._keep(job)
            try:
                self._run(job)
            except _Failing as error:
                job = job.step("ERROR", now=self._now(), message=str(error))
            except _Closing:
                return
            except Invalid as error:
                job = job.step("ERROR", now=self._now(), message=f"invalid input: {error}")
            except (OSError, MemoryError, sqlite3.Error, pa.ArrowException) as error:
                job = job.step("ERROR", now=self._now(), message=f"internal error: {error!r}")
            else:
                job = job.step("SUCCESS", now=self._now())
            pa.default_memory_pool().release_unused()  # Arrow's allocator keeps for each thread what it once had
            self._keep(job)

    def _run(self, job: Job) -> None:
        """Store the job's records, all or none; the job's id sees to it that a second run changes nothing."""
        request = job.request
        series = self._state.series
        if not series.written(request.entity, request.property_set, job.id):
            check_request(request, self._state, now=job.created)
            if job.error:
                raise _Failing(job.error)
            tables = _Content(request, self._state, job.created, self._closing, self._readers)
            try:
                series.write(request.entity, request.property_set, tables, token=job.id)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise Invalid(f"the records do not fit to what is stored: {error}") from None


class _Failing(Exception):
    """A job is to end in ERROR by the rule `job_error`."""


class _Closing(BaseException):
    """The sandbox stops while a job is at work."""


class _Content:
    """Records of a job's files as tables, ascending over the whole job, each file within the range it claims."""

    def __init__(
        self, request: JobRequest, state: State, now: int, closing: threading.Event, readers: Executor | None
    ) -> None:
        self._request = request
        self._state = state
        self._closing = closing
        self._readers = readers
        asset = state.assets.get(request.entity)
        if asset is None or request.property_set not in asset.aspects:
            raise Invalid(f"asset or aspect {request.entity}/{request.property_set} is gone")
        self._aspect = asset.aspects[request.property_set]
        self._twin_type = asset.twin_type
        self._now = now
        self._first: int | None = None
        self._last: int | None = None

    def __iter__(self) -> Iterator[pa.Table]:
        for file in self._request.files:
            try:
                yield from self._tables(file)
            except Invalid as error:
                raise Invalid(f"file {file.path!r}: {error}") from None

    def _tables(self, file: ImportFile) -> Iterator[pa.Table]:
        """Read one file, checked against what came before it and against its range."""
        opened = self._state.files.open(self._request.entity, file.path)
        if opened is None:
            raise Invalid("is not there any more")
        record = 0
        with opened[1] as content:
            for table in iter_tables(content, self._aspect, self._readers):
                if self._closing.is_set():
                    raise _Closing
                first, last = self._check_times(times_ns(table), record)
                if record == 0 and not is_edge(file.first, first):
                    raise Invalid(f"from is {format_ns(file.first)}, the first record {format_ns(first)}")
                record += table.num_rows
                yield table
        if not is_edge(file.last, last):
            raise Invalid(f"to is {format_ns(file.last)}, the last record {format_ns(last)}")

    def _check_times(self, times: npt.NDArray[np.int64], record: int) -> tuple[int, int]:
        """Check that times go on ascending within one hour or day, and give the first and last of them."""
        before = times[0] - 1 if self._last is None else self._last
        behind = np.flatnonzero(np.diff(times, prepend=before) <= 0)
        if len(behind):
            at = int(behind[0])
            previous = int(times[at - 1]) if at else int(before)
            raise Invalid(
                f"_time {format_ns(int(times[at]))} comes after {format_ns(previous)}; records of a job ascend",
                record + at,
            )
        first, self._last = int(times[0]), int(times[-1])
        self._first = first if self._first is None else self._first
        check_span(self._first, self._last, self._twin_type, self._state.rules, now=self._now)
        return first, self._last


def routes(state: State, jobs: JobStore) -> list[Route]:
    """Give the two routes of import jobs."""

    def submit(request: Request, body: bytes) -> Response:
        try:
            wanted = parse_request(body, state.rules)
            asset = state.assets.get(wanted.entity)
            if asset is None or wanted.property_set not in asset.aspects:
                raise Refusal(404, f"asset {wanted.entity!r} with aspect {wanted.property_set!r} does not exist")
            check_request(wanted, state, now=int(state.clock() * NS))
        except Invalid as error:
            raise Refusal(400, str(error)) from None
        job = jobs.create(wanted, rules_of(request.scope, state.rules))
        url = request.url
        location = f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}/{job.id}"
        return JSONResponse(_describe(job), status_code=201, headers={"Location": location})

    async def create(request: Request) -> Response:
        most = min(_MAX_BODY, state.rules.max_body_bytes)
        return await run_in_threadpool(submit, request, await read_body(request, most))

    async def retrieve(request: Request) -> Response:  # on the loop itself: a job's state is in memory
        job_id = request.path_params["job_id"]
        job = jobs.get(job_id)
        if job is None:
            raise Refusal(404, f"import job {job_id!r} does not exist")
        return JSONResponse(_describe(job))

    return [
        Route("/api/iottsbulk/v3/importJobs", create, methods=["POST"]),
        Route("/api/iottsbulk/v3/importJobs/{job_id}", retrieve, methods=["GET"]),
    ]


def _describe(job: Job) -> dict[str, str]:
    """Spell a job as the service does."""
    return {
        "id": job.id,
        "status": job.status,
        "message": job.message,
        "startTime": format_ns(job.created // 1_000_000 * 1_000_000),
        "lastModified": format_ns(job.modified // 1_000_000 * 1_000_000),
    }


def _read_job(path: Path) -> Job:
    """Read a job that an earlier process kept."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    request = content.pop("request")
    files = tuple(ImportFile(**file) for file in request["files"])
    return Job(request=JobRequest(request["entity"], request["property_set"], files), **content)
