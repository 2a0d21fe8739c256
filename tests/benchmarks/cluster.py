"""Reading a fleet on a Dask cluster of 1, 2 and 4 worker processes, against the plain call with a list of entities.

Run: ``python tests/benchmarks/cluster.py``. 100 assets, 30 days, a record every five minutes; the sandbox is a process
of its own with 50 ms latency. The work is the mean of one property by asset, so that little travels back. All ways may
have 32 requests under way. On two cores the sandbox, which encodes the pages, and those who decode them share the
processors: from two workers on that is the bound, not the latency. A window costs a request an asset, where the plain
call has one for the whole range: `WINDOW` decides more than the number of workers.
"""

from __future__ import annotations

import os
import tempfile
import time

import dask
import numpy as np
import pandas as pd
import requests
from distributed import Client, LocalCluster
from sandbox import sandbox_process

import tsbulk_frames as tsb

ASSETS, DAYS, STEP = 100, 30, "5min"
START = pd.Timestamp("2026-03-01", tz="UTC")
END = START + pd.Timedelta(days=DAYS)
CREDENTIALS = tsb.TenantCredentials("bench", "bench", "bench")
LIMIT = 32
WINDOW = "2D"
TIMES = 3


def prepare(directory: str) -> list[str]:
    """Store the fleet once, without latency, by the ordinary service."""
    index = pd.date_range(START, END, freq=STEP, inclusive="left", unit="ns")
    stamps = index.strftime("%Y-%m-%dT%H:%M:%SZ").tolist()
    names = [f"pump-{number:03d}" for number in range(ASSETS)]
    random = np.random.default_rng(5)
    with tsb.Sandbox(directory, client_id="bench", client_secret="bench", tenant="bench") as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.token()}"}
        for name in names:
            sandbox.add_asset(name, aspects={"flow": {"rate": "DOUBLE", "pressure": "DOUBLE"}}, quality_codes=False)
            rates, pressures = random.normal(45, 5, len(index)).round(3), random.normal(94, 3, len(index)).round(3)
            records = [
                {"_time": at, "rate": rate, "pressure": pressure}
                for at, rate, pressure in zip(stamps, rates.tolist(), pressures.tolist(), strict=True)
            ]
            url = f"{sandbox.url}/api/iottimeseries/v3/timeseries/{name}/flow"
            requests.put(url, json=records, headers=headers, timeout=120).raise_for_status()
    return names


def plain(names: list[str], con: tsb.Connection) -> pd.Series:
    """One call, one process."""
    frame = tsb.read_timeseries(names, "flow", START, END, select="rate", max_workers=LIMIT, connection=con)
    return frame.groupby(level="entity")["rate"].mean()


def clustered(names: list[str], con: tsb.Connection) -> pd.Series:
    """Do the same on whatever cluster there is."""
    ddf = tsb.dask.read_timeseries(names, "flow", START, END, window=WINDOW, max_workers=LIMIT, connection=con)
    return ddf.groupby("entity", observed=True)["rate"].mean(split_out=1).compute()


def taken(work: object, names: list[str], con: tsb.Connection) -> tuple[float, pd.Series]:
    """Median of several runs, in seconds, after one that does not count; and what came of it."""
    found = work(names, con)
    runs = []
    for _ in range(TIMES):
        began = time.perf_counter()
        found = work(names, con)
        runs.append(time.perf_counter() - began)
    return sorted(runs)[TIMES // 2], found


def main() -> None:
    """Print the table."""
    dask.config.set({"distributed.admin.log-format": "%(message)s"})
    with tempfile.TemporaryDirectory() as directory:
        names = prepare(directory)
        print(f"{ASSETS} assets, {DAYS} days, every {STEP}; {os.cpu_count()} cores; windows of {WINDOW}")
        with (
            sandbox_process("--data", directory, "--latency", "0.05") as url,
            tsb.connect(url, credentials=CREDENTIALS) as con,
        ):
            seconds, wanted = taken(plain, names, con)
            rows: list[tuple[str, float]] = [("one call, one process", seconds)]
            for workers in (1, 2, 4):
                with (
                    LocalCluster(n_workers=workers, threads_per_worker=2, dashboard_address=":0") as cluster,
                    Client(cluster),
                ):
                    seconds, found = taken(clustered, names, con)
                assert np.allclose(found.sort_index().to_numpy(), wanted.sort_index().to_numpy())
                rows.append((f"{workers} worker processes, 2 threads each", seconds))
    one = rows[1][1]
    print(f"{'':40}{'s':>8}{'of one call':>14}{'of 1 worker':>14}")
    for name, seconds in rows:
        print(f"{name:40}{seconds:8.2f}{rows[0][1] / seconds:13.2f}x{one / seconds:13.2f}x")


if __name__ == "__main__":
    main()
