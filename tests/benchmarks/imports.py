"""Importing: speed against the same files one after the other, peak memory, a resume with nothing to do, many hours.

Run: ``python tests/benchmarks/imports.py speed``, ``memory [MB]`` (default 2000), ``resume`` or ``sparse``. Whoever
answers runs as a process of its own: the sandbox, or for ``memory`` a stand-in that swallows what is uploaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from sandbox import TYPES, sandbox_process

import tsbulk_frames as tsb
from tsbulk_frames.staging import ImportFile

CREDENTIALS = tsb.TenantCredentials("bench", "bench", "bench")
DAY_ROWS = 2_000_000


def make_frame(rows: int, start_ns: int, step_ns: int, seed: int = 7) -> pd.DataFrame:
    """Make five mixed columns, about 110 bytes of JSON a record."""
    chance = np.random.default_rng(seed)
    ns = start_ns + np.arange(rows) * step_ns
    return pd.DataFrame(
        {
            "temperature": chance.normal(45, 5, rows).round(3),
            "pressure": chance.normal(94, 3, rows).round(3),
            "count": np.arange(rows),
            "on": chance.random(rows) < 0.5,
            "state": chance.choice(["RUN", "IDLE", "STOP"], rows),
        },
        index=pd.DatetimeIndex(ns, name="_time").tz_localize("UTC"),
    )


class ByHand:
    """The ordinary service calls, one after the other, as a script does."""

    def __init__(self, url: str, poll_seconds: float = 0.1) -> None:
        self.url = url
        self.poll_seconds = poll_seconds
        self.session = requests.Session()
        answer = self.session.post(
            f"{url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("bench", "bench"), timeout=60
        )
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self.worked = 0.0
        """Seconds that the service itself worked on the jobs."""

    def add_asset(self) -> str:
        """Make a simulation asset over the wire."""
        variables = [{"name": name, "dataType": kind} for name, kind in TYPES.items()]
        body = {"name": "bench", "twinType": "simulation", "aspects": [{"name": "pump", "variables": variables}]}
        answer = self.session.post(f"{self.url}/api/assetmanagement/v3/assets", json=body, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["assetId"])

    def write(self, entity: str, files: Sequence[ImportFile]) -> None:
        """Upload a partition's files, start its job, wait for its end, go on with the next."""
        jobs = f"{self.url}/api/iottsbulk/v3/importJobs"
        for _, same in groupby(files, key=lambda file: file.partition):
            named = []
            for file in same:
                target = f"{self.url}/api/iotfile/v3/files/{entity}/{file.path.name}"
                self.session.put(target, data=file.path.read_bytes(), timeout=60).raise_for_status()
                named.append({"filePath": file.path.name, "from": file.first, "to": file.last})
            data = [{"entity": entity, "propertySetName": "pump", "timeseriesFiles": named}]
            job = self.session.post(jobs, json={"data": data}, timeout=60).json()
            while job["status"] not in ("SUCCESS", "ERROR"):
                time.sleep(self.poll_seconds)
                job = self.session.get(f"{jobs}/{job['id']}", timeout=60).json()
            assert job["status"] == "SUCCESS", job
            self.worked += (pd.Timestamp(job["lastModified"]) - pd.Timestamp(job["startTime"])).total_seconds()


def speed() -> None:
    """Import a million rows over 24 hours, 50 ms away."""
    rows, hours = 1_000_000, 24
    frame = make_frame(rows, pd.Timestamp("2024-03-01").value, hours * 3_600 * 10**9 // rows)
    with tempfile.TemporaryDirectory() as folder, sandbox_process("--latency", "0.05") as url:
        hands = [ByHand(url, 0.1), ByHand(url, 1.0)]
        began = time.perf_counter()
        files = tsb.write_import_files(frame, "any", "pump", folder, twin_type="simulation")
        encoded = time.perf_counter() - began
        slow = []
        for hand in hands:
            entity = hand.add_asset()
            began = time.perf_counter()
            hand.write(entity, files)
            slow.append(time.perf_counter() - began)
        entity = hands[0].add_asset()
        with tsb.connect(url, credentials=CREDENTIALS) as con:
            began = time.perf_counter()
            report = tsb.write_timeseries(frame, entity, "pump", manifest=f"{folder}/a.sqlite", connection=con)
            quick = time.perf_counter() - began
            assert report.ok
            assert report.rows == rows
            got = tsb.read_timeseries(entity, "pump", "2024-03-01", "2024-03-02", connection=con)
            assert len(got) == rows
    size = sum(file.bytes for file in files) / 1e6
    print(f"{rows:,} rows over {hours} hours, {size:.0f} MB in {len(files)} files, 50 ms latency (asked: 5 x)")
    print(f"  write_timeseries: encode, upload, jobs    {quick:6.2f} s")
    print(f"  the files written beforehand, alone       {encoded:6.2f} s")
    for hand, took in zip(hands, slow, strict=True):
        print(
            f"  one after the other, poll every {hand.poll_seconds:.1f} s    {took:6.2f} s = {took / quick:.1f} x, "
            f"with the encoding {(encoded + took) / quick:.1f} x; the service itself worked {hand.worked:.2f} s"
        )


def make_parquet(path: Path, megabytes: float) -> int:
    """Write so much Parquet, a day at a time; returns its rows."""
    rows, start = 0, pd.Timestamp("2024-01-01").value
    schema = pa.Table.from_pandas(make_frame(2, start, 1)).schema
    share = 300_000
    with pq.ParquetWriter(path, schema, use_dictionary=["state"], compression="none") as writer:
        while not path.exists() or path.stat().st_size < megabytes * 1e6:
            day, part = divmod(rows, DAY_ROWS)
            amount = min(share, DAY_ROWS - part)
            step = 86_400 * 10**9 // DAY_ROWS
            frame = make_frame(amount, start + day * 86_400 * 10**9 + part * step, step, seed=rows)
            writer.write_table(pa.Table.from_pandas(frame, schema=schema), row_group_size=1_000_000)
            rows += amount
    return rows


CHILD = """
import sys, threading, time
import pandas, pyarrow, pyarrow.parquet, pyarrow.dataset, requests, sqlite3
import tsbulk_frames as tsb
from tsbulk_frames.staging import ImportFile
tsb.write_timeseries, tsb.resume_import
url, source, manifest = sys.argv[1:]

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))

with tsb.connect(url, credentials=tsb.TenantCredentials("bench", "bench", "bench")) as con:
    small = pandas.DataFrame({"on": [True]}, pandas.DatetimeIndex(["2023-01-01"], tz="UTC"))
    tsb.write_timeseries(small, "a", "pump", twin_type="performance", manifest=manifest + ".small", connection=con)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the kernel's peak begins anew
    start, began = status("VmRSS"), time.perf_counter()
    report = tsb.write_timeseries(source, "a", "pump", twin_type="performance", manifest=manifest, connection=con)
    took = time.perf_counter() - began
frame = report.to_frame()
print(report.rows, frame["bytes"].sum(), len(frame), status("VmHWM") - start, took)
"""


def memory(megabytes: float) -> None:
    """Parquet larger than memory should be."""
    with tempfile.TemporaryDirectory() as folder, standin_process() as url:
        source, manifest = Path(folder) / "big.parquet", Path(folder) / "import.sqlite"
        rows = make_parquet(source, megabytes)
        print(f"{source.stat().st_size / 1e6:,.0f} MB of Parquet, {rows:,} rows; a stand-in answers, it stores nothing")
        command = [sys.executable, "-c", CHILD, url, str(source), str(manifest)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            disk = 0
            while child.poll() is None:
                disk = max(disk, disk_use(Path(folder), source))
                time.sleep(0.2)
            assert child.stdout is not None
            out = child.stdout.read().split()
        assert child.returncode == 0
        assert int(out[0]) == rows
        print(
            f"  {float(out[1]) / 1e6:,.0f} MB of import files in {out[2]} jobs, {float(out[4]):.0f} s "
            f"= {float(out[1]) / 1e6 / float(out[4]):.0f} MB/s; peak memory {int(out[3]) / 1e6:.0f} MB above start "
            f"(asked: 250 MB), on disk at most {disk / 1e6:.0f} MB"
        )


def disk_use(folder: Path, source: Path) -> int:
    """Bytes of all files in a folder but the source; files come and go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path != source and path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def resume() -> None:
    """Nothing left to do: no upload, no POST, under a second."""
    for rows, hours in ((100_000, 24), (10_000, 1_667)):
        frame = make_frame(rows, pd.Timestamp("2024-03-01").value, hours * 3_600 * 10**9 // rows)
        with tempfile.TemporaryDirectory() as folder, tsb.Sandbox() as sandbox:
            sandbox.add_asset("a" * 32, twin_type="simulation", aspects={"pump": TYPES})
            path = f"{folder}/data.parquet"
            frame.to_parquet(path)
            with tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
                manifest = f"{folder}/import.sqlite"
                assert tsb.write_timeseries(path, "a" * 32, "pump", manifest=manifest, connection=con).ok
                before = len(sandbox.requests)
                began = time.perf_counter()
                report = tsb.resume_import(manifest, connection=con)
                took = time.perf_counter() - began
                asked = Counter(one.method for one in sandbox.requests[before:])
        assert report.ok
        print(f"{len(report)} partitions, all done: resume takes {took:.3f} s (asked: < 1 s), requests: {dict(asked)}")


def sparse() -> None:
    """Ten weeks of hours with six rows each."""
    hours, share = 1_667, 60
    frame = make_frame(hours * 6, pd.Timestamp("2024-03-01").value, 600 * 10**9)
    with tempfile.TemporaryDirectory() as folder, sandbox_process("--latency", "0.05") as url:
        hand = ByHand(url)
        first, second = hand.add_asset(), hand.add_asset()
        files = tsb.write_import_files(frame, first, "pump", folder, twin_type="simulation")
        assert len(files) == hours
        began = time.perf_counter()
        hand.write(first, files[:share])
        slow = (time.perf_counter() - began) / share
        with tsb.connect(url, credentials=CREDENTIALS) as con:
            began = time.perf_counter()
            report = tsb.write_timeseries(frame, second, "pump", manifest=f"{folder}/a.sqlite", connection=con)
            quick = (time.perf_counter() - began) / hours
        assert report.ok
        assert len(report) == hours
    print(
        f"{hours} hours of 6 rows, 50 ms latency: one after the other {slow * 1e3:.0f} ms an hour (of {share}), "
        f"write_timeseries {quick * 1e3:.1f} ms ({quick * hours:.1f} s in all) = {slow / quick:.1f} x"
    )


class StandIn(BaseHTTPRequestHandler):
    """Swallow what is uploaded, say that every job succeeded, know of no file."""

    protocol_version = "HTTP/1.1"
    numbers = count(1)

    def setup(self) -> None:
        super().setup()
        self.scratch = memoryview(bytearray(2**20))

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def swallow(self) -> None:
        """Read the body and forget it."""
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= self.rfile.readinto(self.scratch[: min(left, len(self.scratch))])

    def answer(self, status: int, document: object = None, **headers: str) -> None:
        """Send a small answer."""
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        """Files and parts."""
        self.swallow()
        self.answer(201, ETag="0")

    def do_DELETE(self) -> None:
        """Files."""
        self.answer(204)

    def do_POST(self) -> None:
        """Tokens and jobs."""
        self.swallow()
        if self.path.endswith("/importJobs"):
            self.answer(201, self.job(str(next(self.numbers)), "SUBMITTED"))
        else:
            self.answer(200, {"access_token": "t", "expires_in": 86_400, "token_type": "bearer"})

    def do_GET(self) -> None:
        """Jobs; of files and parts there are none."""
        jobs = "/importJobs/" in self.path
        self.answer(200, self.job(self.path.rpartition("/")[2], "SUCCESS") if jobs else [])

    @staticmethod
    def job(number: str, status: str) -> dict[str, str]:
        """Spell a job."""
        moment = "2024-01-01T00:00:00.000Z"
        return {"id": number, "status": status, "message": "", "startTime": moment, "lastModified": moment}


@contextmanager
def standin_process() -> Iterator[str]:
    """Run the stand-in in a process of its own; yields its URL."""
    with subprocess.Popen([sys.executable, __file__, "standin"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def standin() -> None:
    """Answer until ended."""
    with ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


def main() -> None:
    """Choose."""
    ways = {"speed": speed, "resume": resume, "sparse": sparse, "standin": standin}
    for way in sys.argv[1:2] or ["speed", "resume", "sparse", "memory"]:
        if way == "memory":
            memory(float((sys.argv[2:] or ["2000"])[0]))
        else:
            ways[way]()


if __name__ == "__main__":
    main()
