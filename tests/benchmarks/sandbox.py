"""How fast the sandbox is as a process of its own: nobody should wait for it.

Run: ``python tests/benchmarks/sandbox.py``. A million records of five columns are imported and read back; the naive
baseline reads the same range page after page with ``requests`` into a DataFrame.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import requests

import tsbulk_frames as tsb

RECORDS = 1_000_000
TYPES = {"temperature": "DOUBLE", "pressure": "DOUBLE", "count": "LONG", "on": "BOOLEAN", "state": "STRING"}
ENTITY = "a" * 32


@contextmanager
def sandbox_process(*options: str) -> Iterator[str]:
    """Run a sandbox in a process of its own; yields its URL."""
    command = [sys.executable, "-c", "from tsbulk_frames.cli import main; main()", "sandbox", "--port", "0"]
    command += ["--client-id", "bench", "--client-secret", "bench", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def add_asset(con: tsb.Connection, url: str, token: str) -> str:
    """Make a performance asset of five columns over the wire."""
    body = {
        "name": "bench",
        "twinType": "performance",
        "aspects": [{"name": "pump", "variables": [{"name": name, "dataType": kind} for name, kind in TYPES.items()]}],
    }
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.post(f"{url}/api/assetmanagement/v3/assets", json=body, headers=headers, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["assetId"])


def make_frame() -> pd.DataFrame:
    """Make four days of mixed data, about 100 bytes a record."""
    random = np.random.default_rng(7)
    index = pd.date_range("2026-03-01", periods=RECORDS, freq="345ms", tz="UTC", name="_time", unit="ns")
    return pd.DataFrame(
        {
            "temperature": random.normal(45, 5, RECORDS).round(3),
            "pressure": random.normal(94, 3, RECORDS).round(3),
            "count": np.arange(RECORDS),
            "on": random.random(RECORDS) < 0.5,
            "state": random.choice(["RUN", "IDLE", "STOP"], RECORDS),
        },
        index=index,
    )


def main() -> None:
    """Measure and print."""
    frame = make_frame()
    with sandbox_process() as url:
        credentials = tsb.TenantCredentials("bench", "bench", "bench")
        with tsb.connect(url, credentials=credentials) as con:
            answer = requests.post(
                f"{url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("bench", "bench"), timeout=60
            )
            token = answer.json()["access_token"]
            entity = add_asset(con, url, token)
            began = time.perf_counter()
            report = tsb.write_timeseries(frame, entity, "pump", connection=con)
            wrote = time.perf_counter() - began
            size = report["bytes"].sum() / 1e6
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {token}"
            page = f"{url}/api/iottsbulk/v3/timeseries/{entity}/pump"
            query: dict[str, str] | None = {"from": "2026-02-28T23:59:59.999Z", "to": "2026-03-06T00:00:00Z"}
            for label in ("download alone, first time", "download alone, again"):
                began, total, nxt = time.perf_counter(), 0, (page, query)
                while nxt is not None:
                    got = session.get(nxt[0], params=nxt[1], timeout=60)
                    total += len(got.content)
                    tail = got.content.rfind(b'"nextRecord":"')
                    nxt = None if tail < 0 else (got.content[tail + 14 : -2].decode(), None)
                took = time.perf_counter() - began
                print(f"{label:34} {took:6.2f} s  {total / 1e6 / took:6.0f} MB/s")
            began, frames, target = time.perf_counter(), [], (page, query)
            while target is not None:
                answer = session.get(target[0], params=target[1], timeout=60).json()
                frames.append(pd.DataFrame(answer["records"]))
                target = (answer["nextRecord"], None) if answer.get("nextRecord") else None
            naive = pd.concat(frames)
            naive["_time"] = pd.to_datetime(naive["_time"], format="ISO8601")
            slow = time.perf_counter() - began
            print(f"{'naive loop to a DataFrame':34} {slow:6.2f} s  {size / slow:6.0f} MB/s")
            began = time.perf_counter()
            read = tsb.read_timeseries(entity, "pump", "2026-03-01", "2026-03-06", connection=con)
            quick = time.perf_counter() - began
            print(f"{'read_timeseries':34} {quick:6.2f} s  {size / quick:6.0f} MB/s  {slow / quick:.1f} x naive")
    assert len(read) == len(naive) == RECORDS
    print(f"{'write_timeseries, jobs included':34} {wrote:6.2f} s  {size / wrote:6.0f} MB/s")


if __name__ == "__main__":
    main()
