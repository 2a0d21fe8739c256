"""Each command against a sandbox: what it writes is compared with what is stored, what it prints is parsed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import click.testing
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plant import NOW, Site, open_site, times
from shell import DAY, HISTORY, VARIABLES, environment
from wireside import Seen, Server, open_server, reply

import tsbulk_frames as tsb
from tsbulk_frames import demo, doctor
from tsbulk_frames.cli import main
from tsbulk_frames.cli_errors import EXIT_CODES
from tsbulk_frames.cli_output import Table, show
from tsbulk_frames.cli_session import Session
from tsbulk_frames.sandbox import Fault, Faults, Rules
from tsbulk_frames.sandbox.faults import Answer, Reply, Rewrite

Run = Callable[..., click.testing.Result]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in a folder of its own, in an environment that holds only what is given."""
    for name in os.environ:
        if VARIABLES.match(name):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "400")
    runner = click.testing.CliRunner()

    def run(*words: object, code: int = 0, input: str | bytes | None = None, **variables: str) -> click.testing.Result:
        result = runner.invoke(main, [str(word) for word in words], input=input, env=variables)
        unforeseen = result.exception is not None and not isinstance(result.exception, SystemExit)
        assert not unforeseen, repr(result.exception)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def run(bare: Run, shared: Site, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the sandbox of this module."""
    for name, value in environment(shared.sandbox).items():
        monkeypatch.setenv(name, value)
    return bare


def document(result: click.testing.Result) -> dict[str, object]:
    """Parse the one document on stdout, without any NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(result.stdout, parse_constant=refuse)


def complaint(result: click.testing.Result) -> str:
    """Give the one line on stderr, where nothing is on stdout."""
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("tsbulk: ")
    return lines[0]


@pytest.fixture
def history() -> pd.DataFrame:
    """Give what is easily lost: big integers, nanoseconds, empty and missing text, quotes, line breaks, gaps."""
    index = (times("2026-03-01T09:59:58", 6)).delete(2)
    index = index.insert(2, pd.Timestamp("2026-03-01T10:00:00.000000001Z")).set_names("_time")
    return pd.DataFrame(
        {
            "rate": [0.1 + 0.2, -0.0, 1e22, None, 5e-324, 42.0],
            "count": pd.array([2**63 - 1, -(2**63), 2**53 + 1, None, 0, 7], "Int64"),
            "state": pd.array(["", None, 'a, "b"\nc', "007", "true", "2026-01-01"], "string"),
            "on": pd.array([True, False, None, True, False, True], "boolean"),
        },
        index=index,
    )


def asset(site: Site) -> str:
    """Add an asset with an aspect for `history`."""
    return site.asset(aspects={"pump": HISTORY})


def values(frame: pd.DataFrame) -> dict[str, list[object]]:
    """Spell a frame cell by cell: to the last digit, and the same whatever pandas holds missing cells as."""
    cells = {
        name: [None if pd.isna(one) else str(one) for one in column.astype(object)] for name, column in frame.items()
    }
    return {"_time": list(frame.index.as_unit("ns").asi8), **cells}


def assert_stored(site: Site, entity: str, history: pd.DataFrame) -> None:
    """Hold what the sandbox has stored against the history, value by value."""
    assert values(site.stored(entity)[list(history.columns)]) == values(history)


def test_parquet_goes_there_and_back(run: Run, shared: Site, history: pd.DataFrame, tmp_path: Path) -> None:
    """Plan, write, read: each document says what happened; what is stored and what comes back is what was sent."""
    entity = asset(shared)
    history.to_parquet("history.parquet")
    plan = document(run("plan", "history.parquet", entity, "pump", "--json"))
    assert (plan["ok"], plan["rows"], plan["jobs"], plan["problems"]) == (True, 6, 2, [])
    assert [one["partition"] for one in plan["partitions"]] == ["2026-03-01T09", "2026-03-01T10"]
    shown = run("plan", "history.parquet", entity, "pump").stdout
    assert shown.startswith(f"{entity}/pump: 6 records, 2 jobs (one a UTC hour), 2 files, about ")
    assert shared.stored(entity).empty
    wrote = document(run("write", "history.parquet", entity, "pump", "--verify", "--json", "--manifest", "m.sqlite"))
    assert (wrote["ok"], wrote["rows"], wrote["counts"]) == (True, 6, {"done": 2})
    assert wrote["manifest"] == str(tmp_path / "m.sqlite")
    assert all(one["verified"] and one["status"] == "SUCCESS" for one in wrote["partitions"])
    assert wrote["partitions"][1]["first"] == "2026-03-01T10:00:00.000000001Z"
    assert_stored(shared, entity, history)
    read = document(run("read", entity, "pump", *DAY, "-o", "back.parquet", "--json", "--quality", "drop"))
    assert read["output"] == str(tmp_path / "back.parquet")
    assert (read["rows"], read["bytes"]) == (6, Path("back.parquet").stat().st_size)
    assert (read["first"], read["last"]) == ("2026-03-01T09:59:58Z", "2026-03-01T10:00:03Z")
    back = pd.read_parquet("back.parquet", dtype_backend="numpy_nullable").set_index("_time")
    assert values(back) == values(history)


@pytest.mark.parametrize("piped", [True, False], ids=["stdin", "file"])
def test_csv_goes_there_and_back(run: Run, shared: Site, history: pd.DataFrame, piped: bool) -> None:
    """What was read as CSV is written again unchanged: digits, nanoseconds, empty and missing text, by the aspect."""
    first, second = asset(shared), asset(shared)
    history.to_parquet("history.parquet")
    run("write", "history.parquet", first, "pump")
    text = run("read", first, "pump", *DAY, "--tz", "Europe/Berlin").stdout_bytes
    rows = list(csv.reader(io.StringIO(text.decode())))
    assert rows[0] == ["_time", *(name for one in HISTORY for name in (one, f"{one}_qc"))]
    assert rows[3][0] == "2026-03-01T11:00:00.000000001+01:00"
    assert rows[1][3] == str(2**63 - 1)
    Path("back.csv").write_bytes(text)
    plan = document(run("plan", "-" if piped else "back.csv", second, "pump", "--json", input=text))
    assert (plan["ok"], plan["rows"], plan["jobs"]) == (True, 6, 2)
    run("write", "-" if piped else "back.csv", second, "pump", "--manifest", "m.sqlite", input=text)
    assert_stored(shared, second, history)
    assert sorted(path.name for path in Path().glob("m.sqlite*")) == ["m.sqlite"]


def test_json_lines_are_the_records(run: Run, shared: Site, history: pd.DataFrame) -> None:
    """One object a line, exact, without the keys of missing cells; --select, --limit and --inclusive are heeded."""
    entity = asset(shared)
    history.to_parquet("history.parquet")
    run("write", "history.parquet", entity, "pump")
    ends = ("2026-03-01T09:59:58Z", "2026-03-01T10:00:02Z", "--format", "jsonl", "--select", "count", "-s", "state")
    lines = run("read", entity, "pump", *ends, "--inclusive", "right", "--limit", 2).stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"_time": "2026-03-01T09:59:59.000000000Z", "count": -(2**63)},
        {"_time": "2026-03-01T10:00:00.000000001Z", "count": 2**53 + 1, "state": 'a, "b"\nc'},
    ]


def test_parquet_goes_through_a_pipe(run: Run, shared: Site, history: pd.DataFrame) -> None:
    """The same bytes as in a file, in the zone asked for."""
    entity = asset(shared)
    history.to_parquet("history.parquet")
    run("write", "history.parquet", entity, "pump")
    piped = run("read", entity, "pump", *DAY, "--format", "parquet", "--quality", "drop", "--tz", "Asia/Tokyo")
    table = pq.read_table(io.BytesIO(piped.stdout_bytes))
    assert str(table.schema.field("_time").type) == "timestamp[ns, tz=Asia/Tokyo]"
    assert values(table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get).set_index("_time")) == values(history)


def test_an_empty_range_is_a_whole_file(run: Run, shared: Site) -> None:
    """No records: a file with all columns, in each form."""
    entity = asset(shared)
    for name in ("none.parquet", "none.csv", "none.jsonl"):
        assert "0 records" in run("read", entity, "pump", *DAY, "-o", name, "--quality", "drop").stdout
    assert pq.read_schema("none.parquet").names == ["_time", *HISTORY]
    assert Path("none.csv").read_text() == '"_time","rate","count","state","on"\n'
    assert Path("none.jsonl").read_bytes() == b""


def test_a_file_is_whole_or_as_it_was(run: Run, shared: Site, history: pd.DataFrame, tmp_path: Path) -> None:
    """After an error in the middle the former file is there, and nothing else; links and devices stay what they are."""
    entity = asset(shared)
    history.to_parquet("history.parquet")
    run("write", "history.parquet", entity, "pump")
    Path("real.csv").write_text("former")
    Path("link.csv").symlink_to("real.csv")
    before = sorted(os.listdir())
    shared.sandbox.faults.add(Fault(Rewrite(half), "GET", r"/iottsbulk/"))
    complaint(run("read", entity, "pump", *DAY, "-o", "link.csv", code=5))
    assert (Path("real.csv").read_text(), sorted(os.listdir())) == ("former", before)
    run("read", entity, "pump", *DAY, "-o", "link.csv")
    assert Path("link.csv").is_symlink()
    assert Path("real.csv").read_text().startswith('"_time"')
    run("read", entity, "pump", *DAY, "-o", os.devnull, "--format", "csv")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert "check the path" in complaint(run("read", entity, "pump", *DAY, "-o", "no/such/folder.csv", code=2))
    Path("loop.csv").symlink_to("loop.csv")
    said = run("read", entity, "pump", *DAY, "-o", "loop.csv", "--limit", 1).stdout
    assert re.match(r"loop.csv: 1 record, ", said)
    run("read", entity, "pump", *DAY, "-o", "loop.csv")
    assert Path("loop.csv").read_bytes() == Path("real.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("when,rate\n2026-03-01T00:00:00Z,1\n", "no column '_time'"),
        ("_time,rate,rat\n2026-03-01T00:00:00Z,1,2\n", "the aspect has no property 'rat'; accepted are _time, rate"),
        ("_time,rate,rate\n2026-03-01T00:00:00Z,1,2\n", "column 'rate' is there twice"),
        ("_time,count\n2026-03-01T00:00:00Z,1.5\n", "invalid value '1.5'"),
        ("_time,rate\n2026-03-01T00:00:00,1\n", "expected a zone offset"),
        ("_time,rate\n2026-03-01T00:00:00Z,1\n2026-03-01T00:00:00Z\n", "lines all of one length"),
        ("_time,rate\n2026-03-01T00:00:01Z,1\n2026-03-01T00:00:00Z,1\n", "sort"),
        ('_time,state\n2026-03-01T00:00:00Z,"on\n2026-03-01T00:00:01Z,off\n', "a quotation mark is not closed"),
        ("", "Empty CSV file"),
    ],
    ids=["no time", "unknown", "twice", "fraction", "naive", "ragged", "disorder", "open", "empty"],
)
def test_csv_that_cannot_be_right_is_refused(run: Run, shared: Site, text: str, words: str) -> None:
    """Named in words, with the next step; nothing is uploaded, no manifest and no copy is left."""
    entity = asset(shared)
    Path("bad.csv").write_text(text)
    assert words in complaint(run("write", "bad.csv", entity, "pump", "--manifest", "m.sqlite", code=2))
    assert sorted(os.listdir()) == ["bad.csv"]
    assert shared.asked("PUT", entity) == []


def test_a_plan_tells_every_rule_broken(run: Run, shared: Site, history: pd.DataFrame) -> None:
    """All at once, in words and as JSON, and the exit code says that it would be refused; writing says the same."""
    entity = asset(shared)
    history.assign(rate=float("inf"), what=1.0).to_parquet("bad.parquet")
    plan = document(run("plan", "bad.parquet", entity, "pump", "--json", code=2))
    assert not plan["ok"]
    assert {one["column"] for one in plan["problems"]} == {"rate", "what"}
    shown = run("plan", "bad.parquet", entity, "pump", code=2).stdout
    assert "2 rules would be broken" in shown
    assert "- column 'rate': 6 of 6 values are inf" in shown
    assert "column" in run("write", "bad.parquet", entity, "pump", code=2).stderr.splitlines()[0]


def test_jobs_are_asked_for_by_id_or_manifest(run: Run, shared: Site, history: pd.DataFrame) -> None:
    """Once, or until they end; a row a job, in order, and the counts."""
    entity = asset(shared)
    history.to_parquet("history.parquet")
    started = run("write", "history.parquet", entity, "pump", "--no-wait", "--manifest", "m.sqlite", "--json")
    assert "tsbulk resume" in started.stderr or document(started)["ok"]
    ids = [one["job_id"] for one in document(started)["partitions"]]
    waited = document(run("jobs", "m.sqlite", "--wait", "--timeout", 60, "--json"))
    assert waited["counts"] == {"SUCCESS": 2}
    assert [one["job_id"] for one in waited["jobs"]] == ids
    assert document(run("jobs", *ids, "--json")) == waited
    assert document(run("jobs", "m.sqlite", "--json")) == waited
    shown = run("jobs", *ids).stdout.splitlines()
    assert shown[0] == "jobs: 2 SUCCESS"
    assert [line.split()[0] for line in shown[1:]] == ["job_id", *ids]
    assert document(run("resume", "m.sqlite", "--json"))["ok"]


def test_what_there_is_can_be_described(run: Run, shared: Site) -> None:
    """Assets, and the properties of one; what would steer a terminal is spelled out."""
    entity = "d" * 32
    shared.sandbox.add_asset(entity, name="evil \x1b[31m pump", twin_type="simulation", aspects={"pump": HISTORY})
    assert entity in {one["asset_id"] for one in document(run("describe", "--json"))["assets"]}
    assert len(document(run("describe", "--limit", 1, "--json"))["assets"]) == 1
    assert [one["asset_id"] for one in document(run("describe", "--name", "evil", "--json"))["assets"]] == [entity]
    found = document(run("describe", entity, "--json"))
    assert (found["entity"], found["name"], found["twin_type"]) == (entity, "evil \x1b[31m pump", "simulation")
    assert {one["property"]: one["data_type"] for one in found["properties"]} == HISTORY
    shown = run("describe", entity).stdout
    assert "\x1b" not in shown
    assert "evil \\x1b[31m pump" in shown
    assert [line.split()[2] for line in shown.splitlines()[2:]] == list(HISTORY)


def test_a_terminal_without_the_letters(run: Run, shared: Site) -> None:
    """What it cannot show is spelled out, and JSON is the same everywhere."""
    entity = "e" * 32
    shared.sandbox.add_asset(entity, name="Pumpe ñ", aspects={"pump": HISTORY})
    western = click.testing.CliRunner(charset="cp1250")
    assert western.invoke(main, ["describe", entity]).stdout.startswith("Pumpe \\xf1 (")
    assert document(western.invoke(main, ["describe", entity, "--json"]))["name"] == "Pumpe ñ"


@pytest.fixture
def trouble(bare: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Run, Site]]]:
    """Make sites whose trouble is of a test's choosing, and that is told after one try."""
    opened = []
    honest = Session.connect

    def hasty(session: Session) -> tsb.Connection:
        con = honest(session)
        return tsb.connect(
            config=tsb.RestClientConfig(host_url=con.config.host_url, max_attempts=1), credentials=con._credentials
        )

    monkeypatch.setattr(Session, "connect", hasty)

    def make(*faults: Fault, **rules: object) -> tuple[Run, Site]:
        opened.append(open_site(faults=Faults(list(faults)), rules=Rules(**rules)))
        site = next(opened[-1])
        for name, value in environment(site.sandbox).items():
            monkeypatch.setenv(name, value)
        return bare, site

    yield make
    for site in opened:
        next(site, None)


def half(reply: Reply) -> None:
    """Send half of an answer as if it were all."""
    reply.body = reply.body[: len(reply.body) // 2]


READ = ("read", "a" * 32, "pump", *DAY, "-o", "out.csv")


@pytest.mark.parametrize(
    ("code", "kind", "faults"),
    [
        (3, "AuthError", [Fault(Answer(403), "GET", r"/iottsbulk/", times=None)]),
        (3, "AuthError", [Fault(Answer(401), "POST", r"/oauth/token", times=None)]),
        (4, "NotFoundError", []),
        (5, "ServiceError", [Fault(Answer(500), "GET", r"/iottsbulk/", times=None)]),
        (5, "ServiceError", [Fault(Answer(400), "GET", r"/iottsbulk/", times=None)]),
        (5, "ThrottledError", [Fault(Answer(429), "GET", r"/iottsbulk/", times=None)]),
        (5, "ProtocolError", [Fault(Rewrite(half), "POST", r"/oauth/token", times=None)]),
    ],
)
def test_what_the_service_says_has_a_code(
    trouble: Callable[..., tuple[Run, Site]], code: int, kind: str, faults: list[Fault]
) -> None:
    """3, 4 or 5; the document tells the class and its facts; nothing is on stdout, and no file is there."""
    run, site = trouble(*faults)
    result = run(*READ, "--json", code=code)
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert (error["type"], error["exit_code"]) == (kind, code)
    assert error["transient"] == (kind == "ThrottledError" or error.get("status") == 500)
    assert error["message"].count("\n") == 0
    assert site.sandbox.client_secret not in result.output
    assert complaint(run(*READ, code=code))
    assert not Path("out.csv").exists()


def test_a_gateway_that_is_not_there_has_a_code(trouble: Callable[..., tuple[Run, Site]]) -> None:
    """5: no answer at all."""
    run, site = trouble()
    site.sandbox.close()
    error = json.loads(run(*READ, "--json", code=5).stderr)["error"]
    assert (error["type"], error["transient"], error["attempts"]) == ("TransportError", True, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("read", "a", "pump", "2026-03-02", "2026-03-01"), "ends before it starts"),
        (("read", "a", "pump", *DAY, "--tz", "Mars/Olympus"), "no time zone"),
        (("read", "a", "pump", *DAY, "--gateway", "http://example.com"), "would send tokens unencrypted"),
        (("write", "none.parquet", "a", "pump"), "no Parquet file"),
        (("plan", "none.csv", "a" * 32, "pump"), "No such file"),
        (("resume", "none.sqlite"), "does not exist"),
    ],
)
def test_what_cannot_work_has_a_code(run: Run, shared: Site, words: tuple[str, ...], message: str) -> None:
    """2: the range, the data, a setting, a file; told in one line before any request of its own."""
    if "a" * 32 in words:
        shared.sandbox.add_asset("a" * 32, aspects={"pump": HISTORY})
    assert message in complaint(run(*words, code=2))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("read", "a", "pump", *DAY, "--json"), "-o FILE"),
        (("read", "a", "pump", *DAY, "-o", "out.xlsx"), "give --format"),
        (("read", "a", "pump", *DAY, "--format", "jsonl", "--tz", "Asia/Tokyo"), "UTC"),
        (("describe", "a", "--name", "b"), "leave ENTITY out"),
        (("jobs", "a", "--timeout", "3"), "--wait"),
        (("jobs", "a", " "), "an id is empty"),
        (("raed", "a"), "No such command"),
        (("read", "a", "pump", *DAY, "--limit", "0"), "x>=1"),
    ],
)
def test_wrong_usage_has_a_code(run: Run, words: tuple[str, ...], message: str) -> None:
    """2: with the usage, and before anything is loaded or asked."""
    result = run(*words, code=2)
    assert result.stdout == ""
    assert message in result.stderr


def test_a_failed_import_has_a_code(trouble: Callable[..., tuple[Run, Site]], history: pd.DataFrame) -> None:
    """1: the report is on stdout all the same, the error says how to go on, `jobs` has the same code."""
    run, site = trouble(job_error="the disk is full")
    entity = asset(site)
    history.to_parquet("history.parquet")
    result = run("write", "history.parquet", entity, "pump", "--manifest", "a b.sqlite", code=1)
    assert result.stdout.count("the disk is full") == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("tsbulk: 2 of 2 partitions failed, 0 are done; first: 2026-03-01T09: import job ")
    assert re.search(r"mend the cause, then: tsbulk resume '.*/a b\.sqlite'$", line)
    result = run("resume", "a b.sqlite", "--json", code=1)
    assert [one["outcome"] for one in document(result)["partitions"]] == ["failed", "failed"]
    error = json.loads(result.stderr)["error"]
    assert error["failed"] == ["2026-03-01T09", "2026-03-01T10"]
    assert error["manifest"].endswith("a b.sqlite")
    assert document(run("jobs", "a b.sqlite", "--json", code=1))["counts"] == {"ERROR": 2}


def test_a_deadline_has_a_code(trouble: Callable[..., tuple[Run, Site]], history: pd.DataFrame) -> None:
    """6: the jobs go on; asked for without --wait they are no failure."""
    run, site = trouble(job_seconds=3600.0)
    history.to_parquet("history.parquet")
    words = ("write", "history.parquet", asset(site), "pump", "--manifest", "m.sqlite", "--timeout", 0)
    result = run(*words, code=6)
    assert result.stdout.count("SUBMITTED") + result.stdout.count("IN_PROGRESS") == 2
    assert re.search(r"2 import jobs are still running; await later with: tsbulk resume \S+/m.sqlite$", result.stderr)
    error = json.loads(run("jobs", "m.sqlite", "--wait", "--timeout", 0, "--json", code=6).stderr)["error"]
    assert len(error["job_ids"]) == 2
    assert "SUCCESS" not in document(run("jobs", "m.sqlite", "--json"))["counts"]


def test_what_was_csv_can_be_resumed(trouble: Callable[..., tuple[Run, Site]], history: pd.DataFrame) -> None:
    """Of a pipe nothing can be read again; what is kept beside the manifest serves, and goes when all is done."""
    run, site = trouble(Fault(Answer(500), "PUT", r"/iotfile/", nth=2))
    entity = asset(site)
    out = io.StringIO()
    history.to_csv(out, date_format="%Y-%m-%dT%H:%M:%S.%fZ", index_label="_time")
    rows = list(csv.reader(io.StringIO(out.getvalue())))
    rows[3][0] = "2026-03-01T10:00:00.000000001Z"
    text = _as_csv(rows)
    run("write", "-", entity, "pump", "--manifest", "m.sqlite", input=text, code=1)
    (kept,) = Path().glob("m.sqlite.source-*")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert document(run("resume", "m.sqlite", "--json"))["ok"]
    assert list(Path().glob("m.sqlite.source-*")) == []
    assert_stored(site, entity, history.assign(state=history["state"].replace("", None)))


def _as_csv(rows: list[list[str]]) -> str:
    """Spell rows as CSV."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def test_help_names_every_exit_code(bare: Run) -> None:
    """The table of codes is whole, on lines of its own; so are version, completion and the variables."""
    shown = bare("--help").stdout
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^ *{code}  {re.escape(meaning)} *$", shown, re.MULTILINE)
    assert "TSBULK_TOKEN" in shown
    assert "_TSBULK_COMPLETE=bash_source" in shown
    assert bare("--version").stdout.split()[-1] == tsb.__version__
    for name in main.commands:
        assert "--json" in bare(name, "--help").stdout
        assert "Keys of --json" in bare(name, "--help").stdout


def test_a_users_token_from_the_environment(run: Run, shared: Site) -> None:
    """TSBULK_TOKEN beats the application's credentials; what is wrong with it names it, but does not show it."""
    entity = asset(shared)
    before = len(shared.asked("POST", "/oauth/token"))
    run("read", entity, "pump", *DAY, TSBULK_TOKEN=shared.sandbox.token())
    assert len(shared.asked("POST", "/oauth/token")) == before
    run("read", entity, "pump", *DAY, TSBULK_TOKEN="hush-token", code=3)
    said = complaint(run("read", entity, "pump", *DAY, TSBULK_TOKEN="hush token", code=2))
    assert "TSBULK_TOKEN" in said
    assert "hush" not in said
    said = complaint(run("read", entity, "pump", *DAY, MDSP_USER_TENANT="", code=2))
    assert "MDSP_USER_TENANT" in said
    assert "TSBULK_TOKEN" in said


def test_the_log_shows_no_secret(run: Run, shared: Site) -> None:
    """--debug tells of each request, and where an error comes from, but not with what right."""
    entity = asset(shared)
    secrets = (shared.sandbox.client_secret, "hush-token")
    said = run("read", entity, "pump", *DAY, "--debug").stderr
    assert re.search(r"DEBUG GET http://127\S+/api/iottsbulk/\S+ -> 200", said)
    invoked = click.testing.CliRunner().invoke(
        main, ["read", entity, "pump", *DAY, "--debug"], env={"TSBULK_TOKEN": "hush-token"}
    )
    assert invoked.exit_code == 3
    assert "Traceback" in invoked.stderr
    assert not [one for one in secrets if one in said + invoked.output]


def checks(result: click.testing.Result) -> dict[str, dict[str, str]]:
    """Give what the doctor found, by check."""
    return {one["check"]: one for one in document(result)["checks"]}


def test_the_doctor_finds_all_well(run: Run, shared: Site) -> None:
    """Settings, credentials, token, gateway, versions, extras and folders; no secret among it."""
    result = run("doctor", "--json")
    found = checks(result)
    assert document(result)["ok"]
    assert found["gateway"]["detail"].startswith(f"{shared.sandbox.url} (TSBULK_GATEWAY)")
    assert "MDSP_KEY_STORE_CLIENT_SECRET" in found["credentials"]["detail"]
    assert found["token"]["detail"] == "obtained, good for 30 minutes"
    assert found["reachable"]["status"] == "ok"
    assert f"pandas {pd.__version__}" in found["versions"]["detail"]
    assert "sandbox" in found["extras"]["detail"]
    assert {"state folder", "cache folder"} <= set(found)
    assert shared.sandbox.client_secret not in result.output
    assert shared.sandbox.token() not in result.output
    shown = run("doctor").stdout
    assert shared.sandbox.client_secret not in shown
    assert re.search(r"^ok +token +obtained", shown, re.MULTILINE)


def test_the_doctor_says_what_to_do(run: Run, tmp_path: Path) -> None:
    """Each thing that is wrong is a line with the next step, and the first that failed gives the exit code."""
    found = checks(run("doctor", "--json", "--gateway", "http://example.com", code=2))
    assert "unencrypted" in found["gateway"]["detail"]
    assert "reachable" not in found
    found = checks(run("doctor", "--json", MDSP_USER_TENANT="", code=2))
    assert "MDSP_USER_TENANT" in found["credentials"]["detail"]
    assert (found["credentials"]["status"], found["reachable"]["status"]) == ("fail", "ok")
    result = run("doctor", "--json", MDSP_KEY_STORE_CLIENT_SECRET="hush-secret", code=3)
    assert checks(result)["token"]["status"] == "fail"
    assert "hush" not in result.output
    result = run("doctor", "--json", TSBULK_TOKEN="hush-token", code=3)
    assert (checks(result)["credentials"]["status"], checks(result)["token"]["status"]) == ("warn", "fail")
    assert "hush" not in result.output
    proxies = {
        "HTTPS_PROXY": "http://me:hush@proxy:8080",
        "HTTP_PROXY": "http://me:hush://hush@third:1/",
        "http_proxy": "me:hush@other:1",
        "NO_PROXY": "a,b",
    }
    result = run("doctor", "--json", **proxies)
    said = checks(result)["proxies"]["detail"]
    assert said == (
        "HTTPS_PROXY=http://***@proxy:8080, HTTP_PROXY=http://***@third:1, http_proxy=***@other:1, NO_PROXY=a,b"
    )
    assert "hush" not in result.output
    open_to_all = tmp_path / "state" / "tsbulk_frames" / "imports"
    open_to_all.mkdir(parents=True)
    open_to_all.chmod(0o755)
    found = checks(run("doctor", "--json"))["state folder"]
    assert (found["status"], found["next_step"]) == ("warn", f"chmod 700 {open_to_all}")
    blocked = tmp_path / "file"
    blocked.write_text("")
    found = checks(run("doctor", "--json", XDG_CACHE_HOME=str(blocked), code=2))
    assert found["cache folder"]["status"] == "fail"
    with tsb.Sandbox() as sandbox:
        gone = sandbox.url
    found = checks(run("doctor", "--json", "--gateway", gone, code=5))
    assert found["reachable"]["status"] == "fail"


@pytest.mark.parametrize(
    ("skew", "status"), [(0.0, "ok"), (20.0, "ok"), (-120.0, "warn"), (120.0, "warn"), (-4000.0, "fail")]
)
def test_the_doctor_compares_the_clocks(skew: float, status: str) -> None:
    """By the answer's Date; some seconds do no harm."""
    for server in open_server():
        finding = _clock_against(server, formatdate(NOW, usegmt=True), NOW + skew)
        assert finding.status == status
        assert bool(finding.next_step) == (status != "ok")
        if abs(skew) > 30:
            assert ("behind" in finding.detail) == (skew < 0)


def test_the_doctor_tells_of_a_clock_it_cannot_see() -> None:
    """No Date, or one that is none: a warning."""
    for server in open_server():
        assert _clock_against(server, "yesterday", NOW).status == "warn"


def test_a_login_page_is_no_gateway() -> None:
    """What a network answers in the gateway's place is told as that, and not as a token that is accepted."""
    for server in open_server():
        server.script = lambda handler, seen: reply(handler, 200, b"<html>Welcome, please log in</html>")
        found = {one.check: one for one in doctor.examine(server.url, {"TSBULK_TOKEN": "abc"})}
        assert (found["reachable"].status, found["reachable"].exit_code) == ("fail", 5)
        assert "the gateway's address" in found["reachable"].next_step
        assert not {"token", "clock"} & set(found)


def _clock_against(server: Server, date: str, now: float) -> doctor.Finding:
    """Let the doctor meet a service with a clock of its own."""

    def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        handler.date_time_string = lambda timestamp=None: date  # type: ignore[method-assign]
        reply(handler, 200, b"{}")

    server.script = script
    found = doctor.examine(server.url, {"TSBULK_TOKEN": "abc"}, clock=lambda: now)
    return next(one for one in found if one.check == "clock")


def test_a_missing_extra_is_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed is named with the command that installs it."""
    monkeypatch.setitem(sys.modules, "tsbulk_frames.sandbox", None)
    assert 'pip install "tsbulk-frames[sandbox]"' in complaint(run("sandbox", code=2))


def test_the_demo_for_scripts(bare: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One document, nothing else."""
    monkeypatch.setattr(demo, "draw", lambda stations, picture: None)
    found = document(bare("demo", "--records", 300, "--json"))
    assert found == {"ok": True, "records": 300, "differences": [], "picture": str(tmp_path / "tsbulk-demo.png")}


def test_a_terminal_shows_first_what_is_wrong(bare: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long table a terminal has some rows, those at fault among them; a pipe has all."""
    table = Table(("partition", "rows"), [[f"day {at}", at] for at in range(500)], marked=[450])
    for terminal in (True, False):
        out = io.StringIO()
        out.isatty = lambda terminal=terminal: terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdout", out)
        show({}, [table], json_wanted=False)
        monkeypatch.undo()
        shown = [int(number) for number in re.findall(r"day (\d+)", out.getvalue())]
        assert shown == ([*range(39), 450] if terminal else list(range(500)))
        assert ("and 460 more rows" in out.getvalue()) == terminal
