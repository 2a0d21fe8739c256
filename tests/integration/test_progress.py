"""Live progress: a bar in a terminal and in a notebook, nothing in a log, amounts for a function."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from plant import Site, times

import tsbulk_frames as tsb

RANGE = ("2026-03-01", "2026-03-03")
PROGRAM = """
import sys, tempfile
import pandas as pd
import tsbulk_frames as tsb
url, token, entity = sys.argv[1:4]
times = pd.date_range("2026-03-01", periods=48, freq="h", tz="UTC", name="_time", unit="ns")
data = pd.DataFrame({"count": range(48)}, index=times)
how = {"twin_type": "performance", "progress": True}
range = ("2026-03-01", "2026-03-03")
tsb.plan_import(data, entity, "pump", **how)
tsb.write_import_files(data, entity, "pump", tempfile.mkdtemp(), **how)
with tsb.connect(url, credentials=tsb.UserToken(token)) as con:
    report = tsb.write_timeseries(data, entity, "pump", connection=con, **how)
    tsb.wait_for_jobs(report.job_ids, progress=True, connection=con)
    tsb.read_timeseries(entity, "pump", *range, progress=True, connection=con)
    sum(map(len, tsb.iter_timeseries(entity, "pump", *range, progress=True, connection=con)))
    tsb.download_parquet(entity, "pump", *range, tempfile.mkdtemp(), progress=True, connection=con)
"""
NOTEBOOK = """
import json, os, sys
import nbformat
from nbclient import NotebookClient
cells = [nbformat.v4.new_code_cell(text) for text in json.load(sys.stdin)]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print(json.dumps([dict(output) for output in notebook.cells[-1].outputs]))
"""


def arguments(site: Site, entity: str) -> list[str]:
    """List what the program needs to know."""
    return [site.sandbox.url, site.sandbox.token(), entity]


def test_a_bar_in_a_terminal_and_nothing_in_a_log(shared: Site, tmp_path: Path) -> None:
    """The same program: with a terminal each call shows how far it is, to its end; with a pipe not one byte is said."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-W", "error", str(program)]
    ours, theirs = pty.openpty()
    quiet = subprocess.Popen(
        [*command, *arguments(shared, shared.asset("performance"))], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        with subprocess.Popen([*command, *arguments(shared, shared.asset("performance"))], stderr=theirs) as seen:
            os.close(theirs)
            said = b""
            while piece := read(ours):
                said += piece
            assert seen.wait(60) == 0, said
    finally:
        os.close(ours)
        log = quiet.communicate(timeout=60)
    assert (quiet.returncode, log) == (0, (b"", b""))
    lines = re.split(r"[\r\n]+", said.decode())
    ends = {line.partition(":")[0].split()[0]: line for line in lines if "100%|" in line}
    for verb, words in {
        "plan": ["48 rows", "2 partitions"],
        "check": ["48 rows"],
        "write": ["2/2 partitions", "2 done", "kB"],
        "await": ["2/2 jobs", "2 done"],
        "read": ["48 rows", "windows", "kB"],
        "download": ["48 rows", "2 files"],
    }.items():
        assert all(word in ends[verb] for word in words), lines
    assert any("48 rows, 2 files" in line and line.startswith("write") for line in lines)


def read(terminal: int) -> bytes:
    """Read what a program said; nothing once it is gone."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def test_a_bar_in_a_notebook(shared: Site) -> None:
    """In a kernel without widgets: text in the cell's output, no warning, no failure-coloured text."""
    entity = shared.seed(pd.DataFrame({"count": [1, 2]}, index=times("2026-03-01", 2)))
    url, token, _ = arguments(shared, entity)
    cells = [
        "import sys, warnings\nsys.modules['ipywidgets'] = None\nwarnings.simplefilter('error')",
        "import importlib.machinery, tsbulk_frames as tsb, tsbulk_frames.progress as p\n"
        "found = p.find_spec\np.find_spec = lambda name: None if name == 'ipywidgets' else found(name)\n"
        f"con = tsb.connect({url!r}, credentials=tsb.UserToken({token!r}))\n"
        f"frame = tsb.read_timeseries({entity!r}, 'pump', *{RANGE}, progress=True, connection=con)\n"
        "con.close()",
    ]
    child = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], input=json.dumps(cells), capture_output=True, text=True, timeout=120
    )
    assert child.returncode == 0, child.stderr
    outputs = json.loads(child.stdout.splitlines()[-1])
    assert {one["name"] for one in outputs} == {"stdout"}
    text = "".join(one["text"] for one in outputs)
    assert "read pump: 100%|" in text
    assert "2 rows" in text


def test_a_function_hears_every_call(shared: Site, tmp_path: Path) -> None:
    """Ints that add up to what was done: bytes, rows of a plan, jobs."""
    entity = shared.asset("performance")
    data = pd.DataFrame({"count": range(48)}, index=times("2026-03-01", 48, "h"))
    heard: dict[str, list[int]] = {}

    def hear(name: str) -> list[int]:
        return heard.setdefault(name, [])

    tsb.plan_import(data, entity, "pump", twin_type="performance", progress=hear("plan").append)
    files = tsb.write_import_files(
        data, entity, "pump", tmp_path / "files", twin_type="performance", progress=hear("files").append
    )
    report = tsb.write_timeseries(data, entity, "pump", progress=hear("write").append, connection=shared.con)
    tsb.wait_for_jobs(report.job_ids, progress=hear("jobs").append, connection=shared.con)
    tsb.download_parquet(
        entity, "pump", *RANGE, tmp_path / "data", progress=hear("download").append, connection=shared.con
    )
    reader = tsb.read_arrow(entity, "pump", *RANGE, progress=hear("arrow").append, connection=shared.con)
    assert reader.read_all().num_rows == 48
    assert {type(one) for some in heard.values() for one in some} == {int}
    assert sum(heard["plan"]) == 48
    assert sum(heard["files"]) == sum(one.bytes for one in files)
    assert heard["files"] == [one.bytes for one in files]
    assert sorted(heard["write"]) == sorted(report["bytes"])
    assert heard["jobs"] == [1, 1]
    assert sum(heard["download"]) == sum(heard["arrow"]) > 48 * 20


@pytest.mark.parametrize("call", ["plan", "files", "jobs", "read", "iter", "arrow"])
def test_what_is_no_progress_is_refused(shared: Site, tmp_path: Path, call: str) -> None:
    """Before anything is done."""
    data = pd.DataFrame({"count": [1]}, index=times("2026-03-01", 1))
    calls = {
        "plan": lambda: tsb.plan_import(data, "a", "pump", twin_type="performance", progress=3),
        "files": lambda: tsb.write_import_files(data, "a", "b", tmp_path / "x", twin_type="performance", progress=3),
        "jobs": lambda: tsb.wait_for_jobs(["a"], progress=3, connection=shared.con),
        "read": lambda: tsb.read_timeseries("a", "pump", *RANGE, describe=True, progress=3, connection=shared.con),
        "iter": lambda: tsb.iter_timeseries("a", "pump", *RANGE, progress=3, connection=shared.con),
        "arrow": lambda: tsb.read_arrow("a", "pump", *RANGE, progress=3, connection=shared.con),
    }
    asked = len(shared.sandbox.requests)
    with pytest.raises(tsb.ConfigError, match="progress=3"):
        calls[call]()
    assert len(shared.sandbox.requests) == asked
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("site", [{"page_bytes": 20_000}], indirect=True)
def test_a_bar_covers_the_whole_range(site: Site) -> None:
    """However a range is cut into windows and shared among workers: what the pages cover adds up to it."""
    from tsbulk_frames.request import check_read, stream_tables

    rows = pd.DataFrame({"count": range(5_000)}, index=times("2026-03-01", 5_000, "min"))
    entity = site.seed(rows)
    request = check_read(entity, "pump", "2026-02-01", "2026-03-07", None, "left", None, "columns")
    reached: list[tuple[int, int, int]] = []
    tables = stream_tables(
        request, site.con, workers=4, advance=lambda _: None, bounded=False, reach=lambda *now: reached.append(now)
    )
    assert sum(table.num_rows for _, table in tables) == 5_000
    covered, through, known = max(reached)
    assert covered == request.length_ns
    assert through == known > 4
    assert all(0 < one[0] <= covered for one in reached)


def test_how_jobs_ended_is_plain_text(shared: Site) -> None:
    """On any pandas: the very str, as in the report, not the enumeration's."""
    entity = shared.asset("performance")
    report = tsb.write_timeseries(
        pd.DataFrame({"count": [1]}, index=times("2026-03-01", 1)), entity, "pump", connection=shared.con
    )
    for frame in (tsb.wait_for_jobs(report.job_ids, connection=shared.con), report.to_frame()):
        assert [(type(one), one) for one in frame["status"]] == [(str, "SUCCESS")]
