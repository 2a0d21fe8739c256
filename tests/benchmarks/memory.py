"""Peak memory of reading, each way in a process of its own, against a sandbox in another.

Run: ``python tests/benchmarks/memory.py [MB …]`` (default 500 1000). Prints the peak above the start, after the
imports; of ``read_timeseries`` as a multiple of the frame it returns.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sandbox import TYPES, sandbox_process

import tsbulk_frames as tsb

CREDENTIALS = tsb.TenantCredentials("bench", "bench", "bench")
BYTES_PER_RECORD = 124
CHILD = """
import sys, threading, time, resource
import pandas, pyarrow, pyarrow.parquet, pyarrow.dataset, requests
import tsbulk_frames as tsb
tsb.read_timeseries, tsb.read_arrow, tsb.download_parquet
way, url, end, folder = sys.argv[1:]
con = tsb.connect(url, credentials=tsb.TenantCredentials("bench", "bench", "bench"))
ask = ("big", "pump", "2026-03-01", end)
tsb.read_timeseries("big", "pump", "2026-03-01", "2026-03-01T00:01", connection=con)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

start, peak, done = resident(), [0], threading.Event()
def watch():
    while not done.wait(0.005):
        peak[0] = max(peak[0], resident())
thread = threading.Thread(target=watch)
thread.start()
began = time.perf_counter()
size = rows = 0
if way == "download_parquet":
    rows = tsb.download_parquet(*ask, folder, connection=con).rows
elif way == "read_arrow":
    for batch in tsb.read_arrow(*ask, connection=con):
        rows += batch.num_rows
elif way == "iter_timeseries":
    for frame in tsb.iter_timeseries(*ask, rows=100_000, connection=con):
        rows += len(frame)
else:
    frame = tsb.read_timeseries(*ask, connection=con)
    rows, size = len(frame), int(frame.memory_usage(deep=True).sum())
took = time.perf_counter() - began
done.set(); thread.join()
print(rows, peak[0] - start, size, took)
"""


def fill(directory: Path, megabytes: float) -> pd.Timestamp:
    """Store so much JSON, day by day; returns its end."""
    rows = int(megabytes * 1e6 / BYTES_PER_RECORD)
    random = np.random.default_rng(5)
    step, day = 345_600_000, 250_000
    start = pd.Timestamp("2026-03-01").value
    with (
        tsb.Sandbox(directory, client_id="bench", client_secret="bench", tenant="bench") as sandbox,
        tsb.connect(sandbox.url, credentials=CREDENTIALS) as con,
    ):
        sandbox.add_asset("big", aspects={"pump": TYPES}, quality_codes=False)
        for first in range(0, rows, day):
            count = min(day, rows - first)
            index = pd.DatetimeIndex(start + (first + np.arange(count)) * step, name="_time").tz_localize("UTC")
            frame = pd.DataFrame(
                {
                    "temperature": random.normal(45, 5, count).round(3),
                    "pressure": random.normal(94, 3, count).round(3),
                    "count": np.arange(first, first + count),
                    "on": random.random(count) < 0.5,
                    "state": random.choice(["RUN", "IDLE", "STOP"], count),
                },
                index=index,
            )
            tsb.write_timeseries(frame, "big", "pump", connection=con)
    return pd.Timestamp(start + rows * step, tz="UTC")


def main() -> None:
    """Measure and print."""
    for size in [float(one) for one in sys.argv[1:2]] or [500, 1000]:
        with tempfile.TemporaryDirectory() as folder:
            end = fill(Path(folder) / "data", size)
            with sandbox_process("--data", str(Path(folder) / "data")) as url:
                for way in sys.argv[2:] or ("read_arrow", "iter_timeseries", "download_parquet", "read_timeseries"):
                    target = str(Path(folder) / way)
                    command = [sys.executable, "-c", CHILD, way, url, end.isoformat(), target]
                    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                    rows, peak, frame, took = int(out[0]), int(out[1]), int(out[2]), float(out[3])
                    share = f", {peak / frame:.2f} of the frame ({frame / 1e6:.0f} MB)" if frame else ""
                    print(
                        f"{size:5.0f} MB of JSON, {way:16}: {rows:,} records, {took:5.1f} s, "
                        f"peak {peak / 1e6:.0f} MB{share}"
                    )


if __name__ == "__main__":
    main()
