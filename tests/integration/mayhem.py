"""One seed of chaos: writes, resumes and reads under random trouble, each judged against a model as soon as it ends.

The model is a dict of time → record for each series. Of a write that failed it is held that done partitions are stored
exactly, failed ones not at all, unknown ones entirely or not at all; and that going on without trouble makes all right.
Time is shared by sandbox and client and skips what they sleep, so that a seed takes less than a second.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import requests
from looking import Look
from plant import PUMP
from truth import Records, Series, difference, draw_records, exactly, frame_of, iso, records_of

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import KINDS, Faults, Hang, Kind, Rules

NOW = pd.Timestamp("2026-06-01", tz="UTC").timestamp()
CALM = 0.08
"""Share of the seeds without any trouble."""
WORST = 0.3
SETTLE = 5.0
BRIEF, PATIENT = 0.25, 30.0
"""Real seconds the client waits for a sign of life: hardly any where some may never come, else as long as it takes."""
PATIENCE = 5.0
"""Real seconds until what the sandbox still had to do is done."""
NEVER = (tsb.FrameError, tsb.ConfigError, tsb.NotFoundError, tsb.ConflictError)
"""Errors that no trouble on the way may end in."""


class Time:
    """A clock for all, which skips what is slept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began, self._skipped = time.monotonic(), 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic() - self._began + self._skipped

    def wall(self) -> float:
        """Seconds since the epoch."""
        return NOW + self.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let others get on for a moment; those who sleep at the same time skip the same seconds."""
        due = self.monotonic() + seconds
        time.sleep(min(seconds, 0.002 + seconds / 100, 0.03))
        with self._lock:
            self._skipped += max(0.0, due - self.monotonic())


@dataclass
class Outcome:
    """What became of a seed."""

    seed: int
    rate: float
    problems: list[str] = field(default_factory=list)
    steps: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        replay = f"python tests/benchmarks/chaos.py 1 --seed {self.seed}"
        return "\n".join([f"seed {self.seed}, rate {self.rate}; again with: {replay}", *self.problems])


class Mayhem:
    """A sandbox in trouble, a client, and a plan drawn from a seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.draw = random.Random(seed)
        self.folder = folder
        rate = 0.0 if self.draw.random() < CALM else round(self.draw.uniform(0.02, WORST), 3)
        self.outcome = Outcome(seed, rate)
        self.time = Time()
        kinds = [Kind(one.name, quick(one.make), one.routes) for one in KINDS]
        rare = [one for one in kinds if 0 < len(one.routes) <= 2]  # they can hit few requests: more often, then
        self.faults = Faults(seed=seed, kinds=[*kinds, *rare, *rare])
        self.sandbox = tsb.Sandbox(
            folder / "sandbox",
            clock=self.time.wall,
            page_bytes=self.draw.choice([500, 3_000, 8_000_000]),
            rules=Rules(
                listing_lag=self.draw.choice([0.0, 0.0, 1.0]),
                job_seconds=self.draw.choice([0.0, 0.0, 2.0]),
                multipart_etag=self.draw.random() < 0.5,
                token_seconds=self.draw.choice([30.0, 1800.0]),
            ),
            faults=self.faults,
        )
        self.numbers = itertools.count(1)
        self.series = [Series("a" * 32, "simulation"), Series("b" * 32, "performance"), Series("c" * 32, "simulation")]
        self.still = self.series[2]
        """Never written to again: what is read of it may be kept."""

    def run(self) -> Outcome:
        """Do it all."""
        began = time.perf_counter()
        threads, sockets = set(threading.enumerate()), set(open_sockets())
        with self.sandbox:
            for series in self.series:
                self.sandbox.add_asset(series.entity, twin_type=series.twin_type, aspects={"pump": PUMP})
            self._fill()
            config = tsb.RestClientConfig(
                host_url=self.sandbox.url,
                max_attempts=self.draw.randint(2, 6),
                retry_budget=self.draw.choice([2.0, 20.0]),
                connect_timeout=2.0,
                read_timeout=BRIEF,
                request_deadline=60.0,
                max_workers=self.draw.randint(1, 4),
            )
            clocks = {"clock": self.time.wall, "monotonic": self.time.monotonic, "sleep": self.time.sleep}
            patient = replace(config, read_timeout=PATIENT, request_deadline=20 * PATIENT)
            keys = self.sandbox.credentials
            with (
                tsb.Connection(config if self.outcome.rate else patient, keys, **clocks) as self.con,
                tsb.Connection(patient, keys, **clocks) as self.calm,
            ):
                self.faults.rate = self.outcome.rate
                for step in self.draw.choices(
                    [self.write, self.read, self.upload], [5, 7, 0.6], k=self.draw.randint(3, 5)
                ):
                    step()
                    if self.outcome.problems:
                        break
                self.faults.rate = 0.0
                self._check_all()
        self._check_leavings(threads, sockets)
        self.outcome.asked = len(self.sandbox.requests)
        self.outcome.counts = self.faults.counts()
        self.outcome.seconds = time.perf_counter() - began
        return self.outcome

    def say(self, problem: str) -> None:
        """Note what is not as it must be."""
        self.outcome.problems.append(problem)

    def _fill(self) -> None:
        """Store the series that stays as it is, by the ordinary service and no client code."""
        records = draw_records(self.draw, self.still.twin_type, 0, 4, 40)
        url = f"{self.sandbox.url}/api/iottimeseries/v3/timeseries/{self.still.entity}/pump"
        body = [{"_time": iso(ns), **record} for ns, record in records.items()]
        headers = {"Authorization": f"Bearer {self.sandbox.token()}"}
        requests.put(url, json=body, headers=headers, timeout=30).raise_for_status()
        self.still.model.update(exactly(records))

    # writing

    def write(self) -> None:
        """Import something, go on with it a few times in trouble, and in the end without."""
        draw = self.draw
        series = draw.choice(self.series[:2])
        records = draw_records(draw, series.twin_type, draw.randrange(8), draw.randint(1, 4), 6)
        sent, parts = exactly(records), sorted({series.partition(ns) for ns in records})
        manifest = self.folder / f"import-{next(self.numbers)}.sqlite"
        fresh = not any(series.part(name) for name in parts)
        settings = {
            "twin_type": draw.choice([None, series.twin_type]),
            "verify": fresh and draw.random() < 0.4,
            "keep_files": draw.random() < 0.2,
            "manifest": manifest,
            "connection": self.con,
        }
        once = {
            "wait": draw.random() < 0.8,
            "timeout": draw.choice([None, None, 0.5, 5.0]),
            "max_workers": draw.choice([None, 1, 3]),
        }
        kind, where = draw.choice(["frame", "parquet", "iterator"]), (series.entity, "pump")
        source = self._source(kind, records)
        self.outcome.steps[f"write {kind}"] += 1
        self._judge(series, sent, parts, lambda: tsb.write_timeseries(source(), *where, **settings, **once))
        for _ in range(draw.randint(0, 2)):
            if manifest.exists():
                self.outcome.steps["resume"] += 1
                timeout = draw.choice([None, 5.0])
                self._judge(series, sent, parts, partial(self._resume, manifest, timeout), first=False)
            if manifest.exists() and draw.random() < 0.3:
                self.outcome.steps["wait"] += 1
                self._tried("wait", lambda: tsb.wait_for_jobs(manifest, timeout=5.0, connection=self.con))
        self.faults.rate = 0.0
        self.outcome.steps["go on without trouble"] += 1
        if manifest.exists():  # a job that was started in trouble may still fail; what is started now may not
            with suppress(tsb.PartialImportError, tsb.FrameError):
                self._resume(manifest, connection=self.calm)
        try:
            try:
                report = self._resume(manifest, connection=self.calm) if manifest.exists() else None
            except tsb.FrameError:
                if kind != "iterator":
                    raise
                report = None
                self.outcome.ends["resume: an iterator that had not been read to its end"] += 1
            if report is None:
                report = tsb.write_timeseries(source(), *where, **settings | {"connection": self.calm})
            if not report.ok or sorted(one.partition for one in report.partitions) != parts:
                self.say(f"without trouble the report tells {report!r} of {parts}")
        except tsb.TsBulkError as error:
            self.say(f"without trouble the import into {series.twin_type} ended in {error!r}")
        self._settle(series, sent, dict.fromkeys(parts, "done"))
        self.faults.rate = self.outcome.rate

    def _source(self, kind: str, records: Records) -> Callable[[], Any]:
        """Give the data as a frame, a Parquet file, or an iterator of frames."""
        frame = frame_of(records)
        if kind == "parquet":
            path = self.folder / f"source-{next(self.numbers)}.parquet"
            frame.to_parquet(path, row_group_size=self.draw.randint(1, 10))
            return lambda: path
        if kind == "iterator":
            cut = self.draw.randint(1, len(frame))
            return lambda: iter([frame.iloc[:cut], frame.iloc[cut:]] if cut < len(frame) else [frame])
        return lambda: frame

    def _resume(
        self, manifest: Path, timeout: float | None = None, connection: tsb.Connection | None = None
    ) -> tsb.ImportReport:
        """Go on with an import."""
        connection = connection or self.con
        return tsb.resume_import(manifest, timeout=timeout, settle_timeout=SETTLE, connection=connection)

    def _judge(
        self,
        series: Series,
        sent: Records,
        parts: list[str],
        call: Callable[[], tsb.ImportReport],
        *,
        first: bool = True,
    ) -> None:
        """Hold what a call tells of each partition against what is stored then."""
        report, error = None, None
        try:
            report = call()
        except tsb.PartialImportError as problem:
            report, error = problem.report, problem
            told = (problem.done, problem.failed, problem.unknown)
            held = tuple(tuple(report.names(name)) for name in ("done", "failed", "unknown"))
            if set(told[0]) != set(held[0]) | set(report.names("skipped")) or told[1:] != held[1:]:
                self.say(f"the error tells {told}, its report {held}")
            if len(problem.errors) > len(told[1]) + len(told[2]) or not str(problem.manifest):
                self.say(f"the error brings {len(problem.errors)} errors for {told}")
        except tsb.JobTimeout as problem:
            report, error = problem.report, problem
        except tsb.TsBulkError as problem:
            error = problem
        unread = not first and isinstance(error, tsb.FrameError) and "was not read to its end" in str(error)
        if unread:  # trouble ended the call before it: only with the same data it can be gone on with
            self.outcome.ends["resume: an iterator that had not been read to its end"] += 1
        else:
            self._note("write", error)
        words = {one.partition: one.outcome for one in report.partitions} if report is not None else {}
        if report is not None and error is None and not set(words.values()) <= {"done", "skipped", "running"}:
            self.say(f"no error was raised, but the report tells {words}")
        if report is not None and sorted(words) != parts and first and not isinstance(error, tsb.PartialImportError):
            self.say(f"the report tells of {sorted(words)} instead of {parts}")
        self._settle(
            series,
            sent,
            {name: words.get(name, "unsaid" if report is None and not first else "not sent") for name in parts},
        )

    def _settle(self, series: Series, sent: Records, words: dict[str, str]) -> None:
        """Find each partition as it was told, all else as it was; take what is stored into the model."""
        due = time.monotonic() + PATIENCE
        while True:
            self._await_jobs()
            stored = records_of(self.sandbox.records(series.entity, "pump"))
            wrong, there = [], {}
            for name, word in words.items():
                new, before, now = series.part(name, sent), series.part(name), series.part(name, stored)
                after = before | new
                good = {"done": [after], "skipped": [after], "failed": [before], "not sent": [before]}
                if now not in good.get(word, [before, after]):
                    wrong.append(
                        f"partition {name} is told to be {word!r}, but holds {self._short(now, before, after)}"
                    )
                elif now == after:
                    there.update(new)
            if not wrong and (model := series.model | there) != stored:
                wrong.append(f"{series.twin_type}: {difference(stored, model)}")
            if not wrong or time.monotonic() > due:
                break
            time.sleep(0.02)
        self.outcome.problems += wrong
        series.model.update(there)

    @staticmethod
    def _short(now: Records, before: Records, after: Records) -> str:
        """Describe what is stored."""
        same = "what was there before" if now == before else "what was sent" if now == after else "neither"
        return f"{len(now)} records ({same}), not {len(before)} as before or {len(after)} as sent"

    def _await_jobs(self) -> None:
        """Wait until the sandbox has nothing to import."""
        due = time.monotonic() + PATIENCE
        while time.monotonic() < due:
            try:
                jobs = [json.loads(path.read_text()) for path in (self.folder / "sandbox" / "jobs").glob("*.json")]
            except (ValueError, OSError):
                continue
            if all(job["status"] in ("SUCCESS", "ERROR") for job in jobs):
                return
            time.sleep(0.002)
        self.say("jobs do not end")

    # files

    def upload(self) -> None:
        """Write a file in parts; it is whole or not there, and can be written in the end."""
        entity, path = self.series[0].entity, f"chaos/{next(self.numbers)}.bin"
        content = self.draw.randbytes(5_000_000) + self.draw.randbytes(1_000) + self.draw.randbytes(5_000_000) + b"end"
        self.outcome.steps["upload in parts"] += 1
        resume = self.draw.random() < 0.5
        source = self.folder / "content.bin"
        source.write_bytes(content)

        def put(con: tsb.Connection, etag: int | None = None) -> tsb.messages.StoredFile:
            return con.files.put_file(entity, path, source, part_bytes=5_000_000, resume=resume, if_match=etag)

        error: tsb.TsBulkError | None = None
        try:
            put(self.con)
        except tsb.TsBulkError as problem:
            error = problem
        self._note("upload", error)
        held, etag = self._file(entity, path)
        fine = {content} if error is None else {content, None}
        if held not in fine and not getattr(error, "__notes__", ()):  # a note tells of a file that may be cut
            self.say(f"upload: {error or 'done'}, but {held and len(held)} of {len(content)} bytes are stored")
        self.faults.rate = 0.0
        if held != content:
            put(self.calm, None if resume else etag)
        if self._file(entity, path)[0] != content:
            self.say("upload: not right without trouble either")
        self.faults.rate = self.outcome.rate

    def _file(self, entity: str, path: str) -> tuple[bytes | None, int | None]:
        """Read a file and its etag without any client code, and without trouble."""
        rate, self.faults.rate = self.faults.rate, 0.0
        headers = {"Authorization": f"Bearer {self.sandbox.token()}"}
        answer = requests.get(f"{self.sandbox.url}/api/iotfile/v3/files/{entity}/{path}", headers=headers, timeout=30)
        self.faults.rate = rate
        return (answer.content, int(answer.headers["ETag"])) if answer.status_code == 200 else (None, None)

    # reading

    def read(self) -> None:
        """Read something in some way: exactly what the model has of it, or a typed error."""
        look = Look(self.draw, self.series, self.folder, self.con)
        self.outcome.steps[f"read {look.way}"] += 1
        self.outcome.problems += self._tried("read", lambda: list(look.problems())) or []
        self.outcome.ends["read: an entity left out, with its error"] += len(look.errors)
        if look.errors and not self.outcome.rate:
            self.say(f"{look}: left out {look.errors}")

    # judging

    def _tried(self, what: str, call: Callable[[], Any]) -> Any:
        """Call, and note how it ended; None where a typed error says why."""
        try:
            result = call()
        except tsb.TsBulkError as error:
            self._note(what, error)
            return None
        self._note(what, None)
        return result

    def _note(self, what: str, error: tsb.TsBulkError | None) -> None:
        """Count how a call ended; some errors are never right."""
        self.outcome.ends[f"{what}: {'done' if error is None else type(error).__name__}"] += 1
        if isinstance(error, NEVER) or not (error is None or self.outcome.rate or isinstance(error, tsb.JobTimeout)):
            self.say(f"{what} ended in {error!r}")

    def _check_all(self) -> None:
        """Hold the store, and what the client reads of it without trouble, against the model."""
        for series in self.series:
            read = tsb.read_timeseries(series.entity, "pump", "2026-02-20", "2026-04-01", connection=self.calm)
            if records_of(read) != series.model:
                self.say(f"{series.twin_type} read in the end: {difference(records_of(read), series.model)}")

    def _check_leavings(self, threads: set[threading.Thread], sockets: set[str]) -> None:
        """No thread and no socket stays."""
        due = time.monotonic() + PATIENCE
        while time.monotonic() < due:
            more = [one.name for one in threading.enumerate() if one not in threads]
            left = {name: what for name, what in open_sockets().items() if name not in sockets}
            if not more and not left:
                return
            time.sleep(0.005)
        gc.collect()
        freed = left.keys() - open_sockets().keys()
        self.say(f"left are the threads {more} and the sockets {left}, of which {freed} are freed by a collection")


def quick(make: Callable[[random.Random], Any]) -> Callable[[random.Random], Any]:
    """Let nothing hang much longer than the client waits."""

    def made(draw: random.Random) -> Any:
        action = make(draw)
        return Hang(2.0, action.after_work, action.answered) if isinstance(action, Hang) else action

    return made


def open_sockets() -> dict[str, str]:
    """Name this process' sockets, and say what they are."""
    found: dict[str, str] = {}
    if not sys.platform.startswith("linux"):
        return found
    for entry in os.scandir("/proc/self/fd"):
        try:
            name = os.readlink(entry.path)
            if name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as one:
                    found[name] = repr(one)
        except OSError:
            continue  # it was closed meanwhile
    return found


def run_seed(seed: int) -> Outcome:
    """Run one seed in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tsbulk-chaos-"))
    try:
        return Mayhem(seed, folder).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
