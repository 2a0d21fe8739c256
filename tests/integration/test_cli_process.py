"""The command line as a process among others: pipes, signals, terminals, and what it loads."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click.testing
import pandas as pd
import pytest
from plant import times
from shell import DAY, HISTORY, TSBULK, Strike, environment, process

import tsbulk_frames as tsb
from tsbulk_frames.cli import main
from tsbulk_frames.sandbox import Faults

ENTITY = "c" * 32
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
_PATIENCE = 60


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tsb.Sandbox]:
    """Run a sandbox with one asset; the test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    with tsb.Sandbox(faults=Faults()) as sandbox:
        sandbox.add_asset(ENTITY, twin_type="simulation", aspects={"pump": HISTORY})
        yield sandbox


def saved(hours: int, each: int = 50) -> pd.DataFrame:
    """Save a history of some hours as ``history.parquet``."""
    index = times("2026-03-01", hours * each, f"{3600 // each}s")
    frame = pd.DataFrame({"rate": range(len(index)), "state": "läuft", "on": True}, index=index).astype({"rate": float})
    frame.to_parquet("history.parquet")
    return frame


def assert_stored(sandbox: tsb.Sandbox, frame: pd.DataFrame) -> None:
    """Hold what is stored against what was to be imported."""
    stored = sandbox.records(ENTITY, "pump")[list(frame.columns)]
    pd.testing.assert_frame_equal(stored, frame, check_dtype=False, check_freq=False)


@pytest.mark.parametrize(
    ("number", "hours", "method", "path"),
    [(signal.SIGINT, 3, "PUT", "/iotfile/"), (signal.SIGTERM, 1, "GET", "/importJobs/")],
    ids=["Ctrl-C while uploading", "SIGTERM while a job runs"],
)
def test_an_interrupted_import_is_gone_on_with(
    sandbox: tsb.Sandbox, tmp_path: Path, number: signal.Signals, hours: int, method: str, path: str
) -> None:
    """One line tells the command to go on with; that command finishes, and each record is stored once."""
    frame, strike = saved(hours), Strike(number)
    sandbox.faults.add(strike.on(method, path))
    with process(sandbox, "write", "history.parquet", ENTITY, "pump", "--manifest", "m.sqlite") as child:
        strike.pid = child.pid
        out, errors = child.communicate(timeout=_PATIENCE)
    assert (child.returncode, out) == (CODES[number], b"")
    (line,) = errors.decode().splitlines()
    assert line.startswith("tsbulk: ended by SIGTERM" if number == signal.SIGTERM else "tsbulk: interrupted")
    command = line.rpartition("go on with: ")[2].split()
    assert command == ["tsbulk", "resume", str(tmp_path / "m.sqlite")]
    strike.over = True
    result = click.testing.CliRunner().invoke(main, command[1:], env=environment(sandbox))
    assert result.exit_code == 0, result.output
    assert f"({hours} done)" in result.output
    assert_stored(sandbox, frame)
    posts = [one for one in sandbox.requests if one.method == "POST" and one.path.endswith("/importJobs")]
    assert len(posts) == hours


@pytest.mark.parametrize("number", list(CODES), ids=lambda number: number.name)
def test_an_interrupted_read_leaves_nothing(sandbox: tsb.Sandbox, tmp_path: Path, number: signal.Signals) -> None:
    """The file that was there stays as it was, and none is beside it; with --json the error is a document."""
    Path("out.csv").write_text("former")
    strike = Strike(number)
    sandbox.faults.add(strike.on("GET", "/iottsbulk/"))
    with process(sandbox, "read", ENTITY, "pump", *DAY, "-o", "out.csv", "--json") as child:
        strike.pid = child.pid
        out, errors = child.communicate(timeout=_PATIENCE)
    assert (child.returncode, out) == (CODES[number], b"")
    assert re.fullmatch(rb'\{"error": \{"type": "Interrupted", .*\}\}\n', errors)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out.csv", "former")]


def test_a_reader_that_leaves_ends_it_quietly(sandbox: tsb.Sandbox) -> None:
    """As with `| head -1`: what is under way stops, nothing is said, and the code is that of a closed pipe."""
    saved(24, 1200)
    with tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
        assert tsb.write_timeseries("history.parquet", ENTITY, "pump", connection=con).ok
    with process(sandbox, "read", ENTITY, "pump", *DAY) as child:
        assert child.stdout.readline().startswith(b'"_time","rate"')
        child.stdout.close()
        assert (child.wait(_PATIENCE), child.stderr.read()) == (141, b"")


def test_a_reader_that_never_was_ends_it_quietly(sandbox: tsb.Sandbox) -> None:
    """What is small goes out at the very end; that is no error of the interpreter either."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as nobody, process(sandbox, "describe", "--json", stdout=nobody) as child:
        assert (child.wait(_PATIENCE), child.stderr.read()) == (141, b"")


@pytest.mark.parametrize(
    ("words", "closed", "code"),
    [
        ("plan - {entity} pump", "<&-", 2),
        ("describe {entity}", ">&-", 0),
        ("read {entity} pump 2026-03-01 2026-03-02", ">&-", 0),
        ("read {entity} hump 2026-03-01 2026-03-02", "2>&-", 4),
        ("read {entity} hump 2026-03-01 2026-03-02", "2>/dev/full", 4),
    ],
)
def test_a_stream_that_is_not_there(sandbox: tsb.Sandbox, words: str, closed: str, code: int) -> None:
    """Closed by who started it, or without room: nowhere, with the same exit code and no traceback."""
    line = f"{shlex.join(TSBULK)} {words.format(entity=ENTITY)} {closed}"
    with process(sandbox, command=["sh", "-c", line]) as child:
        out, errors = child.communicate(timeout=_PATIENCE)
    assert (child.returncode, out) == (code, b"")
    assert errors.count(b"\n") == ("<" in closed), errors


@pytest.mark.parametrize("quiet", [False, True], ids=["loud", "quiet"])
def test_on_a_terminal(sandbox: tsb.Sandbox, quiet: bool) -> None:
    """There is a frame around a table, and a bar unless --quiet was given."""
    frame = saved(2)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    words = ["write", "history.parquet", ENTITY, "pump", *["--quiet"] * quiet]
    with process(sandbox, *words, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # how a terminal ends on Linux
            while more := os.read(ours, 1 << 16):
                shown += more
        assert child.wait(_PATIENCE) == 0, shown
    os.close(ours)
    text = shown.decode()
    assert "┏" in text
    assert ("100%|" in text) == (not quiet)
    assert_stored(sandbox, frame)


def test_in_a_pipe_there_is_no_bar(sandbox: tsb.Sandbox) -> None:
    """A log of a cron job holds the report and nothing else."""
    saved(2)
    with process(sandbox, "write", "history.parquet", ENTITY, "pump") as child:
        out, errors = child.communicate(timeout=_PATIENCE)
    assert (child.returncode, errors) == (0, b"")
    lines = out.decode().splitlines()
    assert lines[0] == "2 partitions (2 done), 100 records"
    assert [line.split()[0] for line in lines[1:-1]] == ["partition", "2026-03-01T00", "2026-03-01T01"]
    assert lines[-1].startswith("manifest: ")


def test_help_loads_only_what_it_shows() -> None:
    """Help and wrong usage of every command come without pandas, Arrow and the network."""
    code = (
        "import sys\n"
        "from tsbulk_frames.cli import main\n"
        "for words in ([], *([name] for name in main.commands)):\n"
        "    main([*words, '--help'], standalone_mode=False)\n"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'requests', 'urllib3', 'sqlite3', 'tqdm', 'starlette'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=_PATIENCE, stdout=subprocess.DEVNULL)
