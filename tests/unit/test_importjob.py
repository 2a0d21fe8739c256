"""One import job, without a server: what is sent, when a job is looked at, and how its end is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tsbulk_frames import connection as connection_module
from tsbulk_frames.auth import UserToken
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import ConfigError, ConflictError, FrameError, JobTimeout, NotFoundError, TsBulkError
from tsbulk_frames.files import StoredFile
from tsbulk_frames.importjob import (
    await_jobs,
    check_seconds,
    delete_import_file,
    remote_path,
    start_import_job,
    upload_import_file,
    wait_for_jobs,
)
from tsbulk_frames.manifest import FileEntry, Header, Manifest
from tsbulk_frames.messages import ImportJob, JobStatus
from tsbulk_frames.model import Series, TwinType
from tsbulk_frames.staging import ImportFile

SERIES = Series("pump-1", "flow")
HOUR = "2026-03-01T05"
FILE = ImportFile(Path("/data/a.json"), HOUR, 3, 500, f"{HOUR}:00:00Z", f"{HOUR}:59:59.5Z", "d" * 32)
PATH = remote_path(FILE)
NEW = StoredFile("a.json", "", 500, 9)
ENDLESS = float("inf")


class Clock:
    """A time that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait no time at all."""
        assert seconds >= 0
        assert len(self.pauses) < 1_000, "this waits for ever"
        self.pauses.append(seconds)
        self.now += seconds


class Jobs:
    """A service whose jobs end at given times, or cannot be asked for; it remembers who looked when."""

    def __init__(self, clock: Clock, ends: dict[str, float | Exception], status: str = "SUCCESS") -> None:
        self.clock, self.ends, self.status = clock, ends, status
        self.looks: list[tuple[float, str]] = []
        self.created: list[Any] = []
        self.during: Callable[[], object] = lambda: None

    def retrieve_import_job(self, request: Any) -> ImportJob:
        """Tell a job's state."""
        self.looks.append((self.clock.now, request.id))
        self.during()
        end = self.ends[request.id]
        if isinstance(end, Exception):
            raise end
        status = JobStatus.IN_PROGRESS if self.clock.now < end else JobStatus(self.status)
        return ImportJob(request.id, status, f"{request.id} says", f"{request.id} began", f"{request.id} changed")

    def create_import_job(self, request: Any) -> ImportJob:
        """Start one."""
        self.created.append(request.to_wire())
        return ImportJob("new", JobStatus.SUBMITTED)

    def times_of(self, job_id: str) -> list[float]:
        """When a job was looked at."""
        return [time for time, name in self.looks if name == job_id]


class Files:
    """A file service that remembers what was asked; `lag` listings go by before it lists what it has."""

    def __init__(self, stored: StoredFile | None = None, lag: float = 0, refuses: Exception | None = None) -> None:
        self.stored, self.lag, self.refuses = stored, lag, refuses
        self.calls: list[tuple[Any, ...]] = []

    def find_file(self, entity: str, path: str) -> StoredFile | None:
        """List one."""
        self.calls.append(("find", entity, path))
        self.lag -= 1
        return self.stored if self.lag < 0 else None

    def put_file(self, entity: str, path: str, source: Path, **options: Any) -> StoredFile:
        """Store one, unless there is one and nobody said which to replace."""
        self.calls.append(("put", entity, path, source, options))
        if self.refuses is not None and "if_match" not in options:
            raise self.refuses
        return NEW

    def delete_file(self, entity: str, path: str) -> None:
        """Remove one."""
        self.calls.append(("delete", entity, path))
        if self.refuses is not None:
            raise self.refuses


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
def connection(clock: Clock) -> Iterator[Connection]:
    """Give a connection that can reach nobody, with three workers."""
    config = RestClientConfig(host_url="http://127.0.0.1:1", max_workers=3)
    with Connection(config, UserToken("x"), clock=clock, monotonic=clock, sleep=clock.sleep) as one:
        yield one


@pytest.fixture
def serve(connection: Connection, clock: Clock) -> Callable[..., Jobs]:
    """Let the connection reach jobs that end at the given times."""

    def start(ends: dict[str, float | Exception], **options: Any) -> Jobs:
        jobs = Jobs(clock, ends, **options)
        connection.imports = jobs  # type: ignore[assignment]
        return jobs

    return start


def store(connection: Connection, files: Files) -> Files:
    """Let the connection reach a file service."""
    connection.files = files  # type: ignore[assignment]
    return files


def gone(status: int = 404) -> TsBulkError:
    """Make what the service says of something it does not have, or has already."""
    kind = NotFoundError if status == 404 else ConflictError
    return kind("no", status=status)


def put(**options: Any) -> tuple[Any, ...]:
    """Make the one way an import file is sent."""
    return ("put", "pump-1", PATH, FILE.path, {"resume": True, **options})


FIND = ("find", "pump-1", PATH)


def test_the_name_of_an_import_file_tells_its_data() -> None:
    """Partition and digest, nothing of the day it was written: sent again it is the same file."""
    assert remote_path(FILE) == f"tsbulk-frames/{HOUR}-{'d' * 32}.json"


@pytest.mark.parametrize(
    ("sent", "stored", "calls"),
    [
        (False, StoredFile("a.json", "", 500, 4), [put(max_workers=3)]),
        (True, StoredFile("a.json", "", 500, 4), [FIND]),
        (True, StoredFile("a.json", "", 499, 4), [FIND, put(max_workers=3)]),
        (True, None, [FIND, put(max_workers=3)]),
    ],
    ids=["new", "sent and whole", "sent, cut short", "sent, but gone"],
)
def test_a_file_goes_up_unless_it_is_known_to_be_there(
    connection: Connection, sent: bool, stored: StoredFile | None, calls: list[tuple[Any, ...]]
) -> None:
    """Only a file that was sent before is looked for, and only one of the right size is kept."""
    files = store(connection, Files(stored))
    got = upload_import_file(connection, SERIES, FILE, sent=sent, max_workers=3)
    assert files.calls == calls
    assert got == (stored if calls == [FIND] else NEW)


def test_a_file_is_taken_for_new_and_sent_in_one_piece_unless_told() -> None:
    """Both are asked for by the caller who knows: without a word there is no look, and one part at a time."""
    connection = type("Reach", (), {"files": Files(StoredFile("a.json", "", 500, 4))})()
    upload_import_file(connection, SERIES, FILE)
    assert connection.files.calls == [put(max_workers=1)]


@pytest.mark.parametrize("lag", [0, 1, 2, 3, 4])
def test_a_file_of_that_name_is_replaced_however_late_it_is_listed(
    connection: Connection, clock: Clock, lag: int
) -> None:
    """The service says it is there: it is looked for, with growing pauses, and replaced by its etag."""
    files = store(connection, Files(StoredFile("a.json", "", 1, 4), lag, gone(409)))
    upload_import_file(connection, SERIES, FILE, max_workers=2)
    assert files.calls == [put(max_workers=2), *[FIND] * (lag + 1), put(max_workers=2, if_match=4)]
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0][:lag]


def test_a_file_that_is_never_listed_is_told_as_it_was(connection: Connection, clock: Clock) -> None:
    """After five looks the refusal itself is raised: nothing is overwritten unseen."""
    files = store(connection, Files(StoredFile("a.json", "", 1, 4), ENDLESS, gone(409)))
    with pytest.raises(ConflictError):
        upload_import_file(connection, SERIES, FILE)
    assert files.calls == [put(max_workers=1), *[FIND] * 5]
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_job_names_its_files_and_their_times(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """The body is what the service documents: one target, each file with its first and last time."""
    jobs = serve({})
    assert start_import_job(connection, SERIES, [FILE, FILE], ["a.json", "b.json"]).id == "new"
    span = {"from": FILE.first, "to": FILE.last}
    files = [{"filePath": "a.json", **span}, {"filePath": "b.json", **span}]
    assert jobs.created == [{"data": [{"entity": "pump-1", "propertySetName": "flow", "timeseriesFiles": files}]}]


def test_a_job_is_not_started_with_files_that_are_not_there(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """A path missing for one file is a mistake of the program: nothing is sent."""
    jobs = serve({})
    with pytest.raises(ValueError, match="shorter"):
        start_import_job(connection, SERIES, [FILE, FILE], ["a.json"])
    assert jobs.created == []


def test_a_file_that_is_gone_is_as_good_as_deleted(connection: Connection) -> None:
    """Deleting is asked for once; only that it is not there is let pass."""
    files = store(connection, Files(refuses=gone()))
    delete_import_file(connection, SERIES, PATH)
    assert files.calls == [("delete", "pump-1", PATH)]
    store(connection, Files(refuses=gone(409)))
    with pytest.raises(ConflictError):
        delete_import_file(connection, SERIES, PATH)


def test_each_job_is_told_once_when_it_has_ended(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """However often an id is given; well or not; and nobody looks again."""
    jobs = serve({"a": 3, "b": 0, "c": 1}, status="ERROR")
    told = list(await_jobs(connection, ["a", "b", "a", "c"]))
    assert [job_id for job_id, _ in told] == ["b", "c", "a"]
    assert all(isinstance(job, ImportJob) and (job.id, job.status) == (name, "ERROR") for name, job in told)
    assert len(jobs.times_of("b")) == 1
    assert list(await_jobs(connection, [])) == []


def test_a_job_that_cannot_be_asked_for_does_not_stop_the_others(
    connection: Connection, serve: Callable[..., Jobs]
) -> None:
    """Its error is what is told of it; a mistake of the program is raised."""
    lost = gone()
    serve({"a": 2, "b": lost, "c": 1})
    seen: list[tuple[str, str]] = []
    told = dict(await_jobs(connection, "abc", on_change=lambda name, job: seen.append((name, job.status))))
    assert told["b"] is lost
    assert isinstance(told["a"], ImportJob)
    assert {name for name, _ in seen} == {"a", "c"}
    serve({"a": KeyError("a")})
    with pytest.raises(KeyError):
        list(await_jobs(connection, "a"))


def test_every_answer_is_passed_on_under_the_id_it_was_asked_for(
    connection: Connection, serve: Callable[..., Jobs]
) -> None:
    """Also those on the way, before the end is told."""
    serve({"a": 2})
    seen: list[tuple[str, str]] = []
    ways = await_jobs(connection, ["a"], poll_interval=1, on_change=lambda name, job: seen.append((name, job.status)))
    list(ways)
    assert seen == [("a", "IN_PROGRESS"), ("a", "IN_PROGRESS"), ("a", "SUCCESS")]


def test_looks_at_one_job_come_at_growing_distances(
    connection: Connection, serve: Callable[..., Jobs], clock: Clock
) -> None:
    """From 0.1 s, half as much again each time, to 15 s."""
    jobs = serve({"a": 200})
    list(await_jobs(connection, ["a"]))
    growing = [min(0.1 * 1.5**n, 15) for n in range(len(clock.pauses))]
    assert clock.pauses == pytest.approx(growing)
    assert clock.pauses[-1] == 15
    assert jobs.times_of("a")[:4] == pytest.approx([0, 0.1, 0.25, 0.475])


def test_looks_at_many_jobs_are_spread_and_as_far_apart_for_each(
    connection: Connection, serve: Callable[..., Jobs], clock: Clock
) -> None:
    """No more at once than workers, those started first at first; each job is left alone for 15 s in the end."""
    jobs = serve(dict.fromkeys("abcdef", 300))
    list(await_jobs(connection, "abcdef", max_workers=2))
    rounds = [sorted(name for time, name in jobs.looks if time == now) for now in sorted({t for t, _ in jobs.looks})]
    assert rounds[:4] == [["a", "b"], ["c", "d"], ["e", "f"], ["a", "b"]]
    assert clock.pauses[:3] == [0.1, 0.1, 0.1]
    assert clock.pauses == pytest.approx([max(0.1, min(0.1 * 1.5**n, 15) / 3) for n in range(len(clock.pauses))])
    assert clock.pauses[-1] == 5


def test_eight_jobs_are_looked_at_first_unless_told(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """Those started last wait for their turn."""
    jobs = serve(dict.fromkeys("abcdefghij", 1))
    list(await_jobs(connection, "abcdefghij"))
    assert sorted(name for time, name in jobs.looks if time == 0) == list("abcdefgh")


def test_looks_come_at_the_interval_asked_for(connection: Connection, serve: Callable[..., Jobs], clock: Clock) -> None:
    """All jobs each time, the distance always the same, whoever has ended and whatever the news."""
    jobs = serve({"a": 100, "b": 0, "c": 40, "d": 100})
    list(await_jobs(connection, "abcd", max_workers=2, poll_interval=20, sleep=lambda s: clock.sleep(s) or True))
    assert clock.pauses == [20] * 5
    assert jobs.times_of("a") == jobs.times_of("d") == [0, 20, 40, 60, 80, 100]
    assert (jobs.times_of("b"), jobs.times_of("c")) == ([0], [0, 20, 40])


def test_where_one_has_ended_the_next_may_have_too(
    connection: Connection, serve: Callable[..., Jobs], clock: Clock
) -> None:
    """The next look comes at once, and the distances grow from the start again."""
    jobs = serve({"a": 10, "b": 60})
    list(await_jobs(connection, "ab"))
    after = next(time for time in jobs.times_of("a") if time >= 10)
    later = [time for time in jobs.times_of("b") if time >= after]
    assert later[:4] == pytest.approx([after, after, after + 0.1, after + 0.25])


def test_news_brings_the_looks_close_again(connection: Connection, serve: Callable[..., Jobs], clock: Clock) -> None:
    """Who sleeps for the caller may wake early, and say so."""
    pauses: list[float] = []

    def sleep(seconds: float) -> bool:
        pauses.append(seconds)
        clock.now += 1
        return len(pauses) == 3

    serve({"a": 6})
    list(await_jobs(connection, ["a"], sleep=sleep))
    assert pauses == pytest.approx([0.1, 0.15, 0.225, 0.1, 0.15, 0.225])
    assert clock.pauses == []


@pytest.mark.parametrize(
    ("timeout", "interval", "times"),
    [(5, 2, [0, 2, 4, 5]), (4, 2, [0, 2, 4]), (0, 2, [0]), (0.3, None, [0, 0.1, 0.25, 0.3])],
)
def test_a_deadline_ends_the_wait_with_one_more_look(
    connection: Connection,
    serve: Callable[..., Jobs],
    clock: Clock,
    timeout: float,
    interval: float,
    times: list[float],
) -> None:
    """Not a look too few and no pause beyond it; what is still running is named, and how to go on."""
    clock.now = 1_000.0
    jobs = serve(dict.fromkeys(["slow", "slower", "done"], 2_000.0))
    jobs.ends["done"] = 0.0
    ways = await_jobs(connection, ["slow", "slower"], timeout=timeout, poll_interval=interval)
    with pytest.raises(
        JobTimeout, match=rf"^2 import jobs .*timeout={timeout} s \(first: slow\); this is no failure: "
    ) as caught:
        list(ways)
    assert "wait_for_jobs(error.job_ids)" in str(caught.value)
    assert caught.value.job_ids == ("slow", "slower")
    for name in ("slow", "slower"):
        assert jobs.times_of(name) == pytest.approx([1_000 + time for time in times])


def test_at_the_deadline_every_job_is_looked_at(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """Also those whose turn had not come: an end that was reached in time is told, not lost."""
    serve({"a": ENDLESS, "b": ENDLESS, "c": 0.0, "d": ENDLESS})
    ways = await_jobs(connection, "abcd", timeout=0, max_workers=2)
    assert next(ways)[0] == "c"
    with pytest.raises(JobTimeout) as caught:
        next(ways)
    assert caught.value.job_ids == ("a", "b", "d")


def test_a_deadline_that_all_keep_is_none(connection: Connection, serve: Callable[..., Jobs], clock: Clock) -> None:
    """The last end at the very deadline counts."""
    serve({"a": 5.0})
    assert len(list(await_jobs(connection, "a", timeout=5.0))) == 1
    assert clock.now == 5.0


@pytest.mark.parametrize(
    ("count", "workers", "together"), [(6, 3, 3), (6, 2, 2), (6, 50, 6), (6, 1, 1), (2, 50, 2), (40, 40, 40)]
)
def test_jobs_are_asked_for_side_by_side(
    connection: Connection, serve: Callable[..., Jobs], count: int, workers: int, together: int
) -> None:
    """As many at once as there are workers, and never more."""
    ids = [f"job-{number}" for number in range(count)]
    jobs = serve(dict.fromkeys(ids, 0.0))
    meeting, lock, names, most = threading.Barrier(together, timeout=30), threading.Lock(), set[str](), [0, 0]

    def during() -> None:
        with lock:
            names.add(threading.current_thread().name.rpartition("_")[0])
            most[0] += 1
            most[1] = max(most)
        meeting.wait()
        with lock:
            most[0] -= 1

    jobs.during = during
    told = list(await_jobs(connection, ids, max_workers=workers, poll_interval=1))
    assert [name for name, _ in told] == ids
    assert most[1] == together
    assert names == {"tsbulk-poll"}


def test_a_single_job_is_asked_for_where_the_caller_stands(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """One question needs no thread of its own."""
    jobs, threads = serve({"a": 0.2}), set[threading.Thread]()
    jobs.during = lambda: threads.add(threading.current_thread())
    list(await_jobs(connection, "a"))
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("good", [None, 0, 0.0, 0.5, 3, 999_999_999.0])
def test_times_that_can_be_waited_are_accepted(good: float | None) -> None:
    """From nothing to decades, and the default."""
    check_seconds("timeout", good)


@pytest.mark.parametrize("bad", [-1, -0.1, 1e9, float("nan"), float("inf"), True, False, "5", [1], 1j])
@pytest.mark.parametrize("name", ["timeout", "poll_interval"])
def test_times_that_are_none_are_refused_before_anything_is_asked(
    connection: Connection, serve: Callable[..., Jobs], name: str, bad: Any
) -> None:
    """The message names the argument, the value and what is accepted."""
    jobs = serve({"a": 0})
    with pytest.raises(ConfigError, match="number of seconds; give") as caught:
        wait_for_jobs("a", connection=connection, **{name: bad})
    assert str(caught.value).startswith(f"{name}={bad!r} ")
    assert "None" in str(caught.value)
    assert jobs.looks == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (5, "job_ids=5 is a int; give"),
        (None, "job_ids=None is a NoneType; give"),
        ([5], "job id 5 is not one; give.*report.job_ids"),
        (["a", ""], "job id '' is not one; give"),
        (["a", " \n", 3], r"job id ' \\n' is not one; give"),
        ("", "job id '' is not one; give"),
        ([b"a"], "job id b'a' is not one; give"),
    ],
)
def test_what_is_no_job_id_is_refused_before_anything_is_asked(
    connection: Connection, serve: Callable[..., Jobs], bad: Any, said: str
) -> None:
    """The message shows the first that is none, and what to give."""
    jobs = serve({"a": 0})
    with pytest.raises(FrameError, match=said):
        wait_for_jobs(bad, connection=connection)
    assert jobs.looks == []


def test_the_table_has_a_row_for_each_id_in_the_order_given(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """As the service told it, an id given twice twice."""
    serve({"a": 5, "b": 0})
    table = wait_for_jobs(iter(["a", "b", "a"]), connection=connection)
    assert list(table.columns) == ["job_id", "status", "message", "start_time", "last_modified"]
    rows = [[name, "SUCCESS", f"{name} says", f"{name} began", f"{name} changed"] for name in "aba"]
    assert table.to_numpy().tolist() == rows
    empty = wait_for_jobs([], connection=connection)
    assert empty.empty
    assert list(empty.columns) == list(table.columns)


def test_one_id_needs_no_list(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """A text that names no file is an id, however it ended."""
    serve({"job-7": 0}, status="ERROR")
    table = wait_for_jobs("job-7", connection=connection)
    assert table[["job_id", "status"]].to_numpy().tolist() == [["job-7", "ERROR"]]


def test_a_job_nobody_knows_is_told_when_all_others_have_ended(
    connection: Connection, serve: Callable[..., Jobs]
) -> None:
    """Its own error is raised, late."""
    lost = gone()
    jobs = serve({"a": 40, "b": lost})
    with pytest.raises(NotFoundError) as caught:
        wait_for_jobs(["b", "a"], connection=connection)
    assert caught.value is lost
    assert jobs.looks[-1] == (jobs.clock.now, "a")
    assert jobs.clock.now >= 40


def test_deadline_interval_and_workers_reach_the_wait(connection: Connection, serve: Callable[..., Jobs]) -> None:
    """What the caller asked for, and as many workers as the connection has."""
    jobs = serve(dict.fromkeys("abcde", ENDLESS))
    with pytest.raises(JobTimeout, match="timeout=9 s"):
        wait_for_jobs(list("abcde"), timeout=9, poll_interval=4, connection=connection)
    assert jobs.times_of("a") == [0, 4, 8, 9]
    jobs = serve(dict.fromkeys("abcde", ENDLESS))
    with pytest.raises(JobTimeout):
        wait_for_jobs(list("abcde"), timeout=0.05, connection=connection)
    assert {name for _, name in jobs.looks[:3]} == set("abc")
    assert len({time for time, _ in jobs.looks[:3]}) == 1
    assert jobs.looks[3][0] > jobs.looks[0][0]


class Drawn:
    """A bar that keeps what it is told."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.said: list[Any] = []

    @contextmanager
    def meter(self, *given: Any, **options: Any) -> Iterator[Drawn]:
        """Open it."""
        self.opened.append((*given, options))
        yield self

    def advance(self, amount: int) -> None:
        """Note an amount."""
        self.said.append(amount)

    def tell(self, **counts: Any) -> None:
        """Note the counts that are not 0."""
        self.said.append({name: count for name, count in counts.items() if count})


def test_progress_tells_of_each_job_how_far_it_is(
    connection: Connection, serve: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many have ended of how many, by what became of them; an id given twice counts once."""
    drawn = Drawn()
    monkeypatch.setattr("tsbulk_frames.importjob.meter", drawn.meter)
    serve({"a": 5, "b": 0, "c": 0}, status="ERROR")
    wait_for_jobs(["a", "b", "a"], poll_interval=5, connection=connection, progress=True)
    assert drawn.opened == [(True, "await import jobs", {"unit": "", "total": 2})]
    assert drawn.said == [
        {"jobs": (0, 2), "in_progress": 1},
        1,
        {"at": 1, "jobs": (1, 2), "in_progress": 1, "failed": 1},
        1,
        {"at": 2, "jobs": (2, 2), "failed": 2},
    ]


def test_progress_tells_of_a_job_that_cannot_be_asked_for(
    connection: Connection, serve: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what became of it."""
    drawn = Drawn()
    monkeypatch.setattr("tsbulk_frames.importjob.meter", drawn.meter)
    serve({"a": gone(), "b": 0})
    with pytest.raises(NotFoundError):
        wait_for_jobs(["a", "b"], connection=connection)
    assert drawn.said[-1] == {"at": 2, "jobs": (2, 2), "done": 1, "unknown": 1}


@pytest.mark.parametrize("manifested", [False, True])
def test_progress_is_told_for_ids_as_for_a_manifest(
    connection: Connection, serve: Callable[..., Jobs], manifest: Path, manifested: bool
) -> None:
    """A callable gets a 1 for each job that has ended; what is none is refused before anything is asked."""
    jobs, steps = serve({"a": 0, "b": 3}), list[int]()
    what: Any = manifest if manifested else ["a", "b"]
    worse: Any = manifest if manifested else [5]
    wait_for_jobs(what, connection=connection, progress=steps.append)
    assert steps == [1, 1]
    jobs.looks.clear()
    wrong: Any = "yes"
    with pytest.raises(ConfigError, match="progress='yes'"):
        wait_for_jobs(worse, connection=connection, progress=wrong)
    assert jobs.looks == []


def test_without_a_connection_the_default_one_is_used(
    connection: Connection, serve: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch, manifest: Path
) -> None:
    """For ids as for a manifest."""
    monkeypatch.setattr(connection_module, "_default", connection)
    serve({"a": 0, "b": 0})
    assert len(wait_for_jobs(["a"])) == 1
    assert len(wait_for_jobs(manifest)) == 2


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Give the manifest of an import with two jobs under way, and a partition that has none."""
    path = tmp_path / "import.tsbulk"
    header = Header("pump-1", "flow", TwinType.SIMULATION, "left", "http://127.0.0.1:1", "{}", "drop", True, False)
    with Manifest.create(path, header, clock=lambda: 1.0) as made:
        names = [f"2026-03-01T0{hour}" for hour in range(3)]
        made.plan([(name, 3, 500, f"{name}:00:00Z", f"{name}:59:59Z") for name in names])
        for name, job_id in zip(names, "ab", strict=False):
            made.staged(name, [FileEntry(FILE, f"{name}.json", None, False)])
            made.uploading(name, 0)
            made.uploaded(name, 0, 1)
            made.posting(name)
            made.answered(name, ImportJob(job_id, JobStatus.SUBMITTED))
    return path


@pytest.mark.parametrize("kind", [Path, str])
def test_a_manifest_names_its_jobs_and_learns_how_they_ended(
    connection: Connection, serve: Callable[..., Jobs], clock: Clock, manifest: Path, kind: Callable[[Path], Any]
) -> None:
    """By path or text; a partition without a job is left alone; each answer is kept, with the connection's time."""
    clock.now = 1_772_323_200.0
    jobs = serve({"a": 0, "b": clock.now + 4}, status="ERROR")
    table = wait_for_jobs(kind(manifest), connection=connection)
    assert table[["job_id", "status", "message"]].to_numpy().tolist() == [
        ["a", "ERROR", "a says"],
        ["b", "ERROR", "b says"],
    ]
    assert {name for _, name in jobs.looks} == {"a", "b"}
    with Manifest.open(manifest, clock=clock) as kept:
        assert [(one.job_id, one.state, one.message) for one in kept.entries()] == [
            ("a", "failed", "a says"),
            ("b", "failed", "b says"),
            (None, "planned", ""),
        ]
        assert str(kept.events()["time"].iloc[-1]).startswith("2026-03-01 00:00:0")


def test_a_manifest_keeps_deadline_and_interval(
    connection: Connection, serve: Callable[..., Jobs], manifest: Path
) -> None:
    """They hold for its jobs as for ids."""
    jobs = serve({"a": ENDLESS, "b": ENDLESS})
    with pytest.raises(JobTimeout) as caught:
        wait_for_jobs(manifest, timeout=5, poll_interval=2, connection=connection)
    assert caught.value.job_ids == ("a", "b")
    assert jobs.times_of("a") == [0, 2, 4, 5]
