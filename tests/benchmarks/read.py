"""Reading over a slow link, against page after page by hand and against downloading alone.

Run: ``python tests/benchmarks/read.py``. The sandbox runs as a process of its own with 50 ms latency and 20 MB/s per
connection; each way reads the same 50 MB.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import requests
from sandbox import sandbox_process

import tsbulk_frames as tsb

LINK = ("--latency", "0.05", "--bandwidth", "20000000")
CREDENTIALS = tsb.TenantCredentials("bench", "bench", "bench")
ROWS = 420_000
START, END = "2026-03-01", "2026-03-03"
DAY = pd.Timedelta(days=1)


def make_frame(start: str, span: pd.Timedelta) -> pd.DataFrame:
    """Make about 50 MB of mixed records, evenly over a span."""
    random = np.random.default_rng(3)
    step = span.value // ROWS
    index = pd.DatetimeIndex(pd.Timestamp(start).value + np.arange(ROWS) * step, name="_time").tz_localize("UTC")
    return pd.DataFrame(
        {
            "temperature": random.normal(45, 5, ROWS).round(3),
            "pressure": random.normal(94, 3, ROWS).round(3),
            "count": np.arange(ROWS),
            "on": random.random(ROWS) < 0.5,
            "state": random.choice(["RUN", "IDLE", "STOP"], ROWS),
        },
        index=index,
    )


def prepare(directory: str) -> dict[str, str]:
    """Store an even and a skewed series once, without the slow link."""
    types = {"temperature": "DOUBLE", "pressure": "DOUBLE", "count": "LONG", "on": "BOOLEAN", "state": "STRING"}
    sandbox = tsb.Sandbox(directory, client_id="bench", client_secret="bench", tenant="bench")
    with sandbox, tsb.connect(sandbox.url, credentials=CREDENTIALS) as con:
        for name, start, span in (("even", START, 2 * DAY), ("skewed", "2026-03-02T12:00", 2 * DAY / 100)):
            sandbox.add_asset(name, aspects={"pump": types})
            report = tsb.write_timeseries(make_frame(start, span), name, "pump", connection=con)
            print(f"{name}: {report['bytes'].sum() / 1e6:.0f} MB of import files")
    return types


def best(call: Callable[[], object], times: int) -> float:
    """Shortest of several runs, in seconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


class Bench:
    """The ways to read one series from one server."""

    def __init__(self, url: str) -> None:
        answer = requests.post(
            f"{url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("bench", "bench"), timeout=60
        )
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        self.url = url

    def page(self, series: str) -> str:
        """Address of a series."""
        return f"{self.url}/api/iottsbulk/v3/timeseries/{series}/pump"

    def by_hand(self, series: str) -> pd.DataFrame:
        """Follow the pages as a notebook does."""
        session = requests.Session()
        session.headers.update(self.headers)
        target: str | None = f"{self.page(series)}?from=2026-02-28T23:59:59.999Z&to={END}T00:00:00Z"
        frames = []
        while target:
            answer = session.get(target, timeout=60).json()
            if answer["records"]:
                frame = pd.DataFrame(answer["records"])
                frame["_time"] = pd.to_datetime(frame["_time"], format="ISO8601")
                frames.append(frame.set_index("_time"))
            target = answer.get("nextRecord")
        return pd.concat(frames)

    def download(self, series: str, connections: int) -> int:
        """Only download, with windows known beforehand: the limit."""
        edges = pd.date_range(START, END, periods=connections * 2 + 1, tz="UTC")
        texts = [edge.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for edge in edges]

        def one(window: tuple[str, str]) -> int:
            total, target = 0, f"{self.page(series)}?from={window[0]}&to={window[1]}"
            session = requests.Session()
            session.headers.update(self.headers)
            while target:
                body = session.get(target, timeout=60).content
                total += len(body)
                at = body.rfind(b'"nextRecord":"')
                target = "" if at < 0 else body[at + 14 : body.index(b'"', at + 14)].decode()
            return total

        with ThreadPoolExecutor(connections) as pool:
            return sum(pool.map(one, itertools.pairwise(texts)))

    def library(self, series: str, workers: int) -> pd.DataFrame:
        """Read with this library."""
        with tsb.connect(self.url, credentials=CREDENTIALS) as con:
            frame = tsb.read_timeseries(series, "pump", START, END, max_workers=workers, connection=con)
        assert len(frame) == ROWS
        return frame


def main() -> None:
    """Measure and print."""
    import tempfile

    sizes = [float(one) for one in sys.argv[1:]] or [0.2, 4, 50]
    with tempfile.TemporaryDirectory() as directory:
        prepare(directory)
        for size in sizes:
            options = ("--data", directory, "--page-bytes", str(int(size * 1e6)), *LINK)
            with sandbox_process(*options) as url:
                bench = Bench(url)
                bench.download("even", 8)
                bench.download("skewed", 8)
                naive = best(lambda: bench.by_hand("even"), 1)  # noqa: B023
                for workers in (8, 16):
                    alone = best(lambda: bench.download("even", workers), 3)  # noqa: B023
                    took = best(lambda: bench.library("even", workers), 3)  # noqa: B023
                    skewed = best(lambda: bench.library("skewed", workers), 3)  # noqa: B023
                    print(
                        f"pages of {size:4} MB, {workers:2} connections: by hand {naive:5.2f} s, "
                        f"library {took:5.2f} s = {naive / took:4.1f}x; download alone {alone:5.2f} s, "
                        f"library {took / alone:4.2f} of it; "
                        f"skewed {skewed:5.2f} s, {took / skewed:4.0%} of even"
                    )


if __name__ == "__main__":
    main()
