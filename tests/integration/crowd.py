"""Many threads on one connection, each answer checked; and what a process holds meanwhile."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

import tsbulk_frames as tsb

STEP = pd.Timedelta(seconds=1)
START = pd.Timestamp("2026-03-01T05:00:00Z")
RECORDS = 500


@dataclass(frozen=True)
class Footprint:
    """What a process holds.

    Attributes
    ----------
    threads : frozenset of str
        Names and numbers of those alive.
    files, sockets : int
        Descriptors open, sockets among them.
    memory : float
        Resident, in MB.
    """

    threads: frozenset[str]
    files: int
    sockets: int
    memory: float

    @classmethod
    def now(cls, process: int | str = "self") -> Footprint:
        """Look at this process, or at another one (without its threads' names)."""
        root = Path("/proc", str(process))
        targets = []
        for one in (root / "fd").iterdir():
            try:
                targets.append(os.readlink(one))
            except FileNotFoundError:  # the descriptor that lists them
                continue
        status = (root / "status").read_text().split()
        names = (f"{one.name} {one.ident}" for one in threading.enumerate()) if process == "self" else ()
        sockets = sum(target.startswith("socket:") for target in targets)
        return cls(frozenset(names), len(targets), sockets, int(status[status.index("VmRSS:") + 1]) / 1000)

    def left_over(self, patience: float = 5.0) -> str:
        """Say what this process holds more than it did then; what is just being closed has some seconds for it."""
        until = time.monotonic() + patience
        while True:
            now = Footprint.now()
            more = sorted(now.threads - self.threads)
            if not more and now.files <= self.files and now.sockets <= self.sockets:
                return ""
            if time.monotonic() > until:
                return f"threads {more}, files {self.files} -> {now.files}, sockets {self.sockets} -> {now.sockets}"
            time.sleep(0.02)


@dataclass
class Stage:
    """An asset with records of known content, and an import job that has ended."""

    con: tsb.Connection
    entity: str
    job: str

    @classmethod
    def build(cls, con: tsb.Connection, entity: str) -> Stage:
        """Import the records into an asset that has the aspect ``flow`` with ``rate`` and ``note``."""
        index = pd.date_range(START, periods=RECORDS, freq=STEP, name="_time", unit="ns")
        frame = pd.DataFrame(
            {"rate": [n / 4 for n in range(RECORDS)], "note": [f"n{n}" for n in range(RECORDS)]}, index
        )
        report = tsb.write_timeseries(frame, entity, "flow", twin_type="simulation", connection=con)
        return cls(con, entity, report.job_ids[0])

    def check(self, worker: int, number: int) -> str:
        """Send one request, of one kind or another; says what is wrong with its answer."""
        con, turn = self.con, (worker + number) % 10
        path = f"crowd/{worker}.txt"
        if turn < 5:
            return self._page((worker * 31 + number * 7) % (RECORDS - 20))
        if turn < 7:
            job = con.imports.retrieve_import_job(tsb.RetrieveImportJobRequest(id=self.job))
            return "" if (job.id, job.status.value) == (self.job, "SUCCESS") else f"job {job}"
        if turn == 7:
            asset = con.assets.get_asset(self.entity)
            return "" if asset.asset_id == self.entity else f"asset {asset}"
        written = number // 10
        if turn == 8 or not written:
            stored = con.files.put_file(self.entity, f"{path}.{number}", content_of(worker, number))
            return "" if stored.size == len(content_of(worker, number)) else f"file {stored}"
        number = next(n for n in range(number, -1, -1) if (worker + n) % 10 == 8)
        same = con.files.get_file(self.entity, f"{path}.{number}") == content_of(worker, number)
        return "" if same else f"content of {path}.{number}"

    def _page(self, first: int) -> str:
        """Read twenty records."""
        start, stop = START + STEP * (first - 1), START + STEP * (first + 19)
        body, link = self.con.reads.fetch_page(self.entity, "flow", from_=iso(start), to=iso(stop))
        found = [(one["rate"], one["note"]) for one in json.loads(bytes(body))["records"]]
        return "" if found == [(n / 4, f"n{n}") for n in range(first, first + 20)] and not link else f"page {found}"


def iso(moment: pd.Timestamp) -> str:
    """Spell a time as the service does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def content_of(worker: int, number: int) -> bytes:
    """Make a file that no other has the same of."""
    return f"{worker} {number} ".encode() * (1 + number % 300)


@dataclass
class Tally:
    """What came of many requests."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def crowd(stage: Stage, threads: int, requests: Iterable[int]) -> Tally:
    """Let threads begin at the same moment, each with a request for every number."""
    tally, lock, start = Tally(), threading.Lock(), threading.Barrier(threads)
    numbers = list(requests)

    def work(worker: int) -> None:
        right, wrong, errors = 0, [], Counter[str]()
        start.wait(30)
        for number in numbers:
            try:
                said = stage.check(worker, number)
            except tsb.TsBulkError as error:
                errors[f"{type(error).__name__}: {error}"] += 1
                continue
            right += not said
            wrong += [said] if said else []
        with lock:
            tally.right += right
            tally.wrong += wrong
            tally.errors += errors

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return tally
