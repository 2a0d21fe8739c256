"""The long run: reads and writes under a little trouble, and what the process holds meanwhile; or the full load.

Run: ``python tests/benchmarks/soak.py [minutes] [--seed N]`` or ``python tests/benchmarks/soak.py --load 10000``.

The soak has eight threads on one connection write hours of data, read them back and compare, while the sandbox, a
process of its own, troubles one request in fifty. Every 30 s it prints memory, sockets and threads. Ends with 1 when
memory grows, anything is left at the end, a value is wrong, or an import cannot be completed.
"""

from __future__ import annotations

import argparse
import itertools
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from pandas.testing import assert_frame_equal

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from crowd import Footprint, Stage, crowd

import tsbulk_frames as tsb

THREADS = 8
RATE = 0.02
KINDS = ["429", "429 seconds", "500", "502", "503", "504", "502 done", "refused", "dropped", "reset during answer"]
KINDS += ["done, not told", "cut", "cut in chunks", "drip", "revoked token", "job in list", "old job names", "gzip"]
KINDS += ["next elsewhere", "next as link", "closed behind answer", "gzip cut"]
GROWTH = 1.15, 20.0  # of the first look's memory, and MB besides
CREDENTIALS = tsb.AppCredentials("soak", "1", "soak", "soak", "soak", "soak-secret")
ENTITIES = [f"{number:032x}" for number in range(1, THREADS + 2)]
SANDBOX = """
import sys
from tsbulk_frames.sandbox import Faults, Sandbox
rate, seed, kinds, *entities = sys.argv[1:]
faults = Faults(seed=int(seed), rate=0.0, kinds=kinds.split("|"))
with Sandbox(client_id="soak", client_secret="soak-secret", faults=faults) as sandbox:
    for entity in entities:
        sandbox.add_asset(entity, twin_type="simulation", aspects={"flow": {"rate": "DOUBLE", "note": "STRING"}})
    print(sandbox.url, flush=True)
    sys.stdin.readline()
    faults.rate = float(rate)
    sys.stdin.readline()
    print(sum("oauth/token" in one.path for one in sandbox.requests), sum(faults.counts().values()), flush=True)
"""


@contextmanager
def sandbox_process(rate: float, seed: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a sandbox; a line sent to it begins the trouble, a second one ends it: it tells of tokens and faults."""
    command = [sys.executable, "-c", SANDBOX, str(rate), str(seed), "|".join(KINDS), *ENTITIES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.stdin.close()


def tell(process: subprocess.Popen[str]) -> None:
    """Send the sandbox a line."""
    process.stdin.write("\n")
    process.stdin.flush()


def load(requests: int) -> int:
    """32 threads at once: a token, all answers right, nothing left."""
    before, each = Footprint.now(), -(-requests // 32)
    with sandbox_process(0.0, 0) as (url, process):
        with tsb.connect(url, credentials=CREDENTIALS) as con:
            stage = Stage.build(con, ENTITIES[0])
        began = time.perf_counter()
        with tsb.connect(url, credentials=CREDENTIALS) as con:
            tally = crowd(Stage(con, ENTITIES[0], stage.job), 32, range(each))
        took = time.perf_counter() - began
        tell(process)
        tell(process)
        tokens = int(process.stdout.readline().split()[0]) - 1  # one was for preparing
    left = before.left_over()
    print(f"{tally.right} answers right, {len(tally.wrong)} wrong, {sum(tally.errors.values())} errors, {took:.1f} s")
    print(f"tokens fetched: {tokens}; left over: {left or 'nothing'}")
    for said in [*tally.wrong[:5], *list(tally.errors)[:5]]:
        print(said)
    return 0 if tally.right == 32 * each and tokens == 1 and not left else 1


def frame_of(hour: int, turn: int) -> pd.DataFrame:
    """Make an hour of data that differs from turn to turn."""
    chance = random.Random(f"{hour} {turn}")
    start = pd.Timestamp("2026-03-02", tz="UTC") + pd.Timedelta(hours=hour)
    index = pd.date_range(start, periods=1800, freq="2s", name="_time", unit="ns")
    return pd.DataFrame({"rate": [chance.random() for _ in index], "note": [f"{turn} {n}" for n in range(1800)]}, index)


def written(con: tsb.Connection, entity: str, frame: pd.DataFrame, manifest: Path, met: Counter[str]) -> None:
    """Import a frame, resuming as often as trouble makes it necessary."""
    begun = False
    for _ in range(6):
        try:
            if begun and manifest.exists():
                tsb.resume_import(manifest, connection=con)
            else:
                begun = True
                tsb.write_timeseries(
                    frame, entity, "flow", twin_type="simulation", manifest=manifest, timeout=60, connection=con
                )
            manifest.unlink(missing_ok=True)
            return
        except tsb.TsBulkError as error:
            met[type(error).__name__] += 1
            last = error
    raise last


def soak(minutes: float, seed: int) -> int:
    """Write, read, compare, and look at the process every 30 s."""
    before = Footprint.now()
    problems: list[str] = []
    done, met, over = Counter[str](), Counter[str](), threading.Event()

    def work(con: tsb.Connection, stage: Stage, number: int, folder: Path) -> None:
        entity = ENTITIES[number + 1]
        for turn in itertools.count():
            if over.is_set():
                return
            frame = frame_of(turn % 3, turn)
            try:
                written(con, entity, frame, folder / f"{number}.manifest", met)
                done["imports"] += 1
                start, end = frame.index[0], frame.index[-1] + pd.Timedelta(seconds=1)
                back = tsb.read_timeseries(entity, "flow", start, end, connection=con)
                assert_frame_equal(back[["rate", "note"]], frame, check_freq=False, check_dtype=False)
                done["reads"] += 1
                for one in range(20):
                    said = stage.check(number, 20 * turn + one)
                    done["requests"] += 1
                    if said:
                        problems.append(said)
            except (tsb.TsBulkError, AssertionError) as error:
                problems.append(f"thread {number}, turn {turn}: {type(error).__name__}: {error}")

    with tempfile.TemporaryDirectory() as folder, sandbox_process(RATE, seed) as (url, process):
        config = tsb.RestClientConfig(host_url=url, read_timeout=10, request_deadline=20, retry_budget=60)
        with tsb.Connection(config, CREDENTIALS) as con:
            stage = Stage.build(con, ENTITIES[0])
            tell(process)
            threads = [
                threading.Thread(target=work, args=(con, stage, number, Path(folder))) for number in range(THREADS)
            ]
            for thread in threads:
                thread.start()
            looks, began = [], time.monotonic()
            print("   time   memory  sockets  files  threads  sandbox's memory   done, met", flush=True)
            while (passed := time.monotonic() - began) < 60 * minutes:
                over.wait(min(30.0, 60 * minutes - passed))
                now, other = Footprint.now(), Footprint.now(process.pid)
                looks.append(now)
                print(
                    f"{time.monotonic() - began:5.0f} s {now.memory:5.0f} MB {now.sockets:8} {now.files:6} "
                    f"{len(now.threads):8} {other.memory:14.0f} MB   {dict(done)} {dict(met)}",
                    flush=True,
                )
                if now.sockets > before.sockets + config.max_connections:
                    problems.append(f"{now.sockets} sockets are open at once")
            over.set()
            for thread in threads:
                thread.join()
        tell(process)
        faults = process.stdout.readline().split()[1]
    factor, besides = GROWTH
    if looks[-1].memory > looks[0].memory * factor + besides:
        problems.append(f"memory grew from {looks[0].memory:.0f} to {looks[-1].memory:.0f} MB")
    if left := before.left_over():
        problems.append(f"left over: {left}")
    print(f"{faults} faults injected (seed {seed}); problems: {len(problems)}")
    for problem in problems[:20]:
        print(problem)
    return 1 if problems else 0


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--load", type=int, metavar="REQUESTS", help="that many requests of 32 threads, and no soak")
    asked = parser.parse_args()
    return load(asked.load) if asked.load else soak(asked.minutes, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
