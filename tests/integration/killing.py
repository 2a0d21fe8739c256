"""Imports that are killed again and again until one life ends by itself; then the sandbox's own store is the judge.

The sandbox lives in this process, the importing program in others (`import_child`), ended with SIGKILL: after so many
seconds, or at a request the sandbox sees, before or after its work is done, or shortly after its answer is sent.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import numpy as np
import pandas as pd
import requests
from watching import MOMENTS, Kill, Seen, Watch

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Fault, Faults, Rules

CHILD = Path(__file__).with_name("import_child.py")
TYPES = {"speed": "DOUBLE", "count": "LONG", "state": "STRING", "note": "BIG_STRING"}
SETTLE = 1.0
"""Seconds a life looks after a job it does not know of; the sandbox's jobs take less than a tenth of that."""
_MARGIN = 0.2
_PATIENCE = 90.0


@dataclass(frozen=True)
class Case:
    """One import: what is sent, and how."""

    twin_type: str = "simulation"
    kind: str = "parquet"
    verify: bool = False
    partitions: int = 5
    rows: int = 400
    """Records of a partition."""
    note: int = 0
    """Length of a text in each record; 90 kB make files of several parts."""
    seed: int = 0

    def frame(self) -> pd.DataFrame:
        """Make the data: mixed columns, uneven times, first and last of each partition on its borders or near them."""
        chance = np.random.default_rng(self.seed)
        length = 3_600 * 10**9 * (24 if self.twin_type == "performance" else 1)
        begin = pd.Timestamp("2024-02-28T22:00" if self.twin_type == "simulation" else "2024-02-27").value
        inside = np.sort(chance.choice(length // 1000, (self.partitions, self.rows)), axis=1) * 1000
        inside[::2, 0] = 0
        ns = np.unique((inside + begin + length * np.arange(self.partitions)[:, None]).ravel())
        data = {
            "speed": chance.normal(45, 5, len(ns)).round(3),
            "count": np.arange(len(ns)),
            "state": chance.choice(["RUN", "IDLE", "STÖP"], len(ns)),
        }
        if self.note:
            data["note"] = np.array([f"{n:08d}" * (self.note // 8) for n in range(len(ns))], dtype=object)
        return pd.DataFrame(data, pd.DatetimeIndex(ns, name="_time").tz_localize("UTC"))


@dataclass(frozen=True)
class Life:
    """One process: how it ended, and what it left."""

    status: int
    interrupted: str
    outcome: dict[str, Any] | None

    @property
    def killed(self) -> bool:
        """Whether it was killed before it could end."""
        return self.status == -signal.SIGKILL


@dataclass
class Story:
    """All lives of one import."""

    case: Case
    kills: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    repeats: int = 0
    lost: int = 0
    """POSTs that never reached a handler."""

    def __str__(self) -> str:
        return "\n".join([f"{self.case}, {len(self.kills)} kills: {'; '.join(self.kills)}", *self.problems])


class Workshop:
    """The process that has everything imported, and forks the children to be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._heard = b""

    def start(self, order: dict[str, Any]) -> int:
        """Start a child; returns its id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._line(_PATIENCE)
        assert answer is not None, "no child was started"
        return int(answer.split()[1])

    def status(self, patience: float) -> int | None:
        """Wait so long for the child's end; None: it goes on."""
        answer = self._line(patience)
        return None if answer is None else int(answer.split()[1])

    def _line(self, patience: float) -> str | None:
        """Read a line, if there is one in time."""
        assert self._process.stdout is not None
        pipe, due = self._process.stdout.fileno(), time.monotonic() + patience
        while b"\n" not in self._heard:
            if not select.select([pipe], [], [], max(0.0, due - time.monotonic()))[0]:
                return None
            more = os.read(pipe, 4096)
            assert more, "the process that starts the children is gone"
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        """End it."""
        self._process.communicate()


class Arena:
    """A sandbox here, children elsewhere, and a folder for what they leave."""

    def __init__(self, folder: Path, *, latency: float = 0.004) -> None:
        self.folder = folder
        self.watch = Watch()
        self.sandbox = tsb.Sandbox(
            folder / "sandbox",
            latency=latency,
            rules=Rules(job_seconds=0.06, listing_lag=0.1),
            faults=Faults([Fault(self.watch, times=None)]),
        )
        self._workshop: Workshop | None = None
        self._number = 0
        self._wholes: dict[tuple[object, ...], tuple[float, dict[str, int]]] = {}

    def __enter__(self) -> Self:
        self.sandbox.start()
        self._workshop = Workshop()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._workshop is not None
        self._workshop.close()
        self.sandbox.close()

    def order(self, case: Case) -> dict[str, Any]:
        """Make an asset, the data, and an order for a child."""
        self._number += 1
        entity, home = f"{self._number:032x}", self.folder / f"import-{self._number}"
        (home / "tmp").mkdir(parents=True)
        self.sandbox.add_asset(entity, twin_type=case.twin_type, aspects={"pump": TYPES})
        frame = case.frame()
        frame.to_parquet(home / "source.parquet", row_group_size=max(1, case.rows * 3 // 2))
        rights = self.sandbox.credentials
        return {
            "action": "go on",
            "kind": case.kind,
            "source": str(home / "source.parquet"),
            "entity": entity,
            "manifest": str(home / "import.sqlite"),
            "outcome": str(home / "outcome.json"),
            "write": {"verify": case.verify},
            "resume": {"settle_timeout": SETTLE},
            "environment": {
                "TSBULK_GATEWAY": self.sandbox.url,
                "TMPDIR": str(home / "tmp"),
                "XDG_STATE_HOME": str(home / "state"),
                "MDSP_OS_VM_APP_NAME": rights.app_name,
                "MDSP_OS_VM_APP_VERSION": rights.app_version,
                "MDSP_HOST_TENANT": rights.host_tenant,
                "MDSP_USER_TENANT": rights.user_tenant,
                "MDSP_KEY_STORE_CLIENT_ID": self.sandbox.client_id,
                "MDSP_KEY_STORE_CLIENT_SECRET": self.sandbox.client_secret,
            },
        }

    def live(self, order: dict[str, Any], kill: Kill | None = None) -> Life:
        """Start a child, kill it or let it end."""
        assert self._workshop is not None
        outcome = Path(order["outcome"])
        outcome.unlink(missing_ok=True)
        self.watch.begin(kill)
        pid = self._workshop.start(order)
        self.watch.follow(pid)
        by_time = kill is not None and not kill.request
        status = self._workshop.status(kill.seconds if by_time and kill is not None else _PATIENCE)
        if status is None:
            self.watch.strike()
            status = self._workshop.status(_PATIENCE)
            assert status is not None, "a killed process does not end"
            assert by_time, f"a life did not end in {_PATIENCE} s; its last requests: {self.watch.seen[-5:]}"
        self.watch.follow(None)
        last = next((one.request for one in reversed(self.watch.seen) if one.life == self.watch.life), "nothing asked")
        where = f"{kill.request} {kill.moment}" if kill is not None and kill.request else f"in time, last {last}"
        return Life(status, where, json.loads(outcome.read_text()) if outcome.exists() else None)

    @contextmanager
    def stuck(self, order: dict[str, Any], request: str) -> Iterator[None]:
        """Keep a life waiting for the answer to a request, and kill it in the end."""
        assert self._workshop is not None
        self.watch.begin(None)
        self.watch.hold(request)
        self.watch.follow(self._workshop.start(order))
        try:
            assert self.watch.held.wait(_PATIENCE), f"no {request} came"
            yield
        finally:
            self.watch.strike()
            assert self._workshop.status(_PATIENCE) is not None, "a killed process does not end"
            self.watch.follow(None)
            self.watch.release()

    def whole(self, case: Case) -> tuple[float, dict[str, int]]:
        """Measure a whole run of such an import: its seconds, and its requests by kind."""
        key = (case.twin_type, case.kind, case.verify, case.partitions, case.rows, case.note)
        if key not in self._wholes:
            seconds = []
            for _ in range(2):  # the first one of all is slower than any other
                order = self.order(case)
                began = time.perf_counter()
                life = self.live(order)
                seconds.append(time.perf_counter() - began)
                assert life.status == 0, f"an import that nobody disturbed failed: {life.outcome}"
            self._wholes[key] = min(seconds), Counter(one.request for one in self.seen(self.watch.life))
        return self._wholes[key]

    def seen(self, life: int) -> list[Seen]:
        """Give what was asked in a life."""
        return [one for one in self.watch.seen if one.life == life]

    def survive(self, case: Case, draw: Callable[[int], Kill | None], most: int = 1000) -> Story:
        """Kill an import until it ends by itself, and judge what there is then."""
        order, story, lives = self.order(case), Story(case), []
        for number in range(most):
            kill = draw(number)
            life = self.live(order, kill)
            lives.append(self.watch.life)
            if not life.killed:
                break
            story.kills.append(str(kill))
            story.interrupted.append(life.interrupted)
        self._judge(story, order, life, lives)
        return story

    def _judge(self, story: Story, order: dict[str, Any], life: Life, lives: list[int]) -> None:
        """Hold everything that must be true of a finished import against what there is."""
        say = story.problems.append
        if life.status != 0 or life.outcome is None:
            say(f"the last life ended with {life.status}: {life.outcome}")
            return
        expected = story.case.frame()
        stored = self.sandbox.records(order["entity"], "pump")[list(expected.columns)]
        try:
            pd.testing.assert_frame_equal(stored, expected, check_freq=False, check_dtype=False)
        except AssertionError as error:
            say(f"the store differs from the source: {error}")
        self._judge_jobs(story, lives)
        self._judge_report(story, life.outcome["report"], expected)
        self._judge_leavings(story, order)
        self.watch.seen = [one for one in self.watch.seen if one.life not in lives]
        again = self.live(order)
        asked = Counter(one.request for one in self.seen(self.watch.life))
        sent = {request: count for request, count in asked.items() if request.startswith(("PUT", "POST"))}
        if again.status != 0 or sent:
            say(f"with nothing left to do, {sent} were sent; it ended with {again.status}: {again.outcome!s:.500}")

    def _judge_jobs(self, story: Story, lives: list[int]) -> None:
        """Exactly one job a partition. A POST that no handler took is none.

        What may repeat: a job whose answer was lost, and that took longer than the next life looks after it. So a
        second one is excused only where that long had passed, and the first had still not ended.
        """
        length = 13 if story.case.twin_type == "simulation" else 10
        jobs: dict[str, list[tuple[Seen, dict[str, Any]]]] = {}
        for one in self.watch.seen:
            if one.life in lives and one.request == "POST job":
                if one.job is None:
                    story.lost += 1
                else:
                    jobs.setdefault(one.partition[:length], []).append((one, self._ask(f"importJobs/{one.job}")))
        if len(jobs) != story.case.partitions:
            story.problems.append(f"jobs of {len(jobs)} partitions instead of {story.case.partitions}: {sorted(jobs)}")
        for partition, several in jobs.items():
            bad = [job for _, job in several if job["status"] != "SUCCESS"]
            if bad:
                story.problems.append(f"partition {partition}: a job ended otherwise: {bad}")
            for (first, job), (second, _) in itertools.pairwise(several):
                story.repeats += 1
                waited = second.begun - first.begun
                idle = second.begun - pd.Timestamp(job["lastModified"]).timestamp()
                if waited < 0.9 * SETTLE or idle > _MARGIN:
                    story.problems.append(
                        f"partition {partition}: posted in life {lives.index(first.life) + 1} and again in life "
                        f"{lives.index(second.life) + 1}, {waited:.2f} s later, when its job had ended for {idle:.2f} s"
                    )

    def _judge_report(self, story: Story, rows: list[dict[str, Any]], expected: pd.DataFrame) -> None:
        """Every partition done, now or before, and told as it is."""
        keys = expected.index.strftime("%Y-%m-%d" + ("T%H" if story.case.twin_type == "simulation" else ""))
        counts = expected.groupby(keys).size().to_dict()
        told = {row["partition"]: row["rows"] for row in rows}
        if told != counts:
            story.problems.append(f"the report tells rows {told} instead of {counts}")
        words = {row["status"] for row in rows}
        if not words <= {"SUCCESS", "SKIPPED", "DONE"}:
            story.problems.append(f"the report tells {words}")

    def _judge_leavings(self, story: Story, order: dict[str, Any]) -> None:
        """No staging file here, no import file or half an upload there."""
        home = Path(order["manifest"]).parent
        known = {"source.parquet", "import.sqlite", "import.sqlite-wal", "outcome.json"}
        left = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and path.name not in known]
        if left:
            story.problems.append(f"{len(left)} files are left on disk: {left[:3]}")
        there = self._ask(f"files/{order['entity']}", "iotfile")
        if there:
            story.problems.append(f"files are left in the file service: {[one['name'] for one in there]}")
        for one in {r.path for r in self.sandbox.requests if r.method == "PUT" and order["entity"] in r.path}:
            parts = self._ask(f"fileslist/{one.partition('/files/')[2]}", "iotfile")
            if isinstance(parts, list) and parts:
                story.problems.append(f"parts of {one} are left in the file service: {parts}")

    def _ask(self, path: str, service: str = "iottsbulk") -> Any:
        """Ask the sandbox without any client code; not part of any life."""
        self.watch.life += 1
        return requests.get(
            f"{self.sandbox.url}/api/{service}/v3/{quote(path)}",
            headers={"Authorization": f"Bearer {self.sandbox.token()}"},
            timeout=60,
        ).json()


def drawing(chance: random.Random, whole: tuple[float, dict[str, int]]) -> Callable[[int], Kill]:
    """Draw kills: half of them over the time of a whole run, half at requests that a whole run makes."""
    seconds, counts = whole
    kinds = sorted(counts)

    def draw(_: int) -> Kill:
        if chance.random() < 0.5:
            return Kill(chance.uniform(0, seconds))
        kind = chance.choice(kinds)
        return Kill(chance.uniform(0, 0.02), kind, chance.randint(1, min(4, counts[kind])), chance.choice(MOMENTS))

    return draw
