"""The command line as a person meets it: the demo, and the sandbox as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from plant import times

import tsbulk_frames as tsb
from tsbulk_frames import demo
from tsbulk_frames.cli import main
from tsbulk_frames.sandbox import Sandbox

TSBULK = [sys.executable, "-c", "from tsbulk_frames.cli import main; main()"]


def test_the_demo_shows_the_main_job(tmp_path: Path) -> None:
    """A smaller pump station goes there and back; the picture is a PNG."""
    picture = tmp_path / "picture.png"
    result = CliRunner().invoke(main, ["demo", "--records", "30000", "--picture", str(picture)])
    assert result.exit_code == 0, result.output
    assert "30,000 records there and back" in result.output
    assert "every value came back the same" in result.output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_demo_fails_when_anything_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One value changed on the way is found, and the exit code says so."""
    honest = demo.read_timeseries

    def dishonest(*args: object, **more: object) -> pd.DataFrame:
        frame = honest(*args, **more)
        frame.iloc[7, 0] = 0
        return frame

    monkeypatch.setattr(demo, "read_timeseries", dishonest)
    result = CliRunner().invoke(main, ["demo", "--records", "300", "--picture", str(tmp_path / "p.png")])
    assert result.exit_code == 1
    assert "DIFFERS: pump-north: column 'pressure': 1 of 100 values differ" in result.output


def test_the_demo_station_is_as_promised() -> None:
    """Three assets, one a simulation; a million records; every type, gaps, big integers, quality codes."""
    stations = demo.pump_station(300)
    assert [one.twin_type for one in stations] == ["performance", "performance", "simulation"]
    types = {kind for one in stations for kind in one.types.values()}
    assert types == {"DOUBLE", "LONG", "BOOLEAN", "STRING"}
    pump = stations[0].frame
    assert pump["turns"].min() > 2**53
    assert pump["pressure"].isna().any()
    assert str(pump["pressure_qc"].dtype) == "Int64"
    default = next(one for one in main.commands["demo"].params if one.name == "records").default
    assert default >= 1_000_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.rename(columns={"a": "b"}), "columns"),
        (lambda frame: frame.head(1), "1 records instead of 2"),
        (lambda frame: frame.set_axis(frame.index + pd.Timedelta(1, "ns")), "2 of 2 times differ"),
        (lambda frame: frame.assign(a=[1.0, None]), "1 of 2 values differ"),
    ],
)
def test_differences_are_seen(change: object, words: str) -> None:
    """Columns, counts, times to the nanosecond, values and what is missing."""
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=times("2026-03-01", 2))
    assert demo.differences(frame, frame) == []
    assert words in demo.differences(frame, change(frame))[0]


def test_the_sandbox_is_a_server_of_its_own(tmp_path: Path) -> None:
    """It prints its URL once it answers, knows the assets given, and keeps its data across restarts."""
    assets = tmp_path / "assets.json"
    assets.write_text(
        json.dumps(
            [{"assetId": "a" * 32, "name": "pump", "twinType": "simulation", "aspects": {"pump": {"speed": "DOUBLE"}}}]
        )
    )
    command = [*TSBULK, "sandbox", "--port", "0", "--data", str(tmp_path / "data"), "--assets", str(assets)]
    command += ["--client-id", "me", "--client-secret", "open sesame"]
    credentials = tsb.TenantCredentials("me", "open sesame", "sandbox")
    frame = pd.DataFrame({"speed": [1.5, 2.5]}, index=times("2026-03-01", 2))
    for run in (1, 2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            url = process.stdout.readline().strip()
            with tsb.connect(url, credentials=credentials) as con:
                if run == 1:
                    assert tsb.write_timeseries(frame, "a" * 32, "pump", connection=con).ok
                got = tsb.read_timeseries("a" * 32, "pump", "2026-03-01", "2026-03-02", connection=con)
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            assert process.wait(timeout=30) == 0
        assert "open sesame" not in rest
        pd.testing.assert_frame_equal(got, frame, check_freq=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_ends_in_order(tmp_path: Path, number: int) -> None:
    """Ctrl-C and SIGTERM, even sent twice: what is under way is finished, then no traceback, no folder, exit code 0."""
    command = [*TSBULK, "sandbox", "--port", "0", "--client-id", "me", "--client-secret", "open sesame"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        host, _, port = process.stdout.readline().strip().removeprefix("http://").partition(":")
        assert len(list(tmp_path.glob("tsbulk-sandbox-*"))) == 1
        with socket.create_connection((host, int(port)), timeout=30) as client:
            head = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bWU6b3BlbiBzZXNhbWU=\r\n"
            client.sendall(head + b"Expect: 100-continue\r\nContent-Length: 29\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 100 ")
            process.send_signal(number)
            with suppress(ConnectionError):  # refused, or reset where it came just before
                while True:
                    socket.create_connection((host, int(port)), timeout=30).close()
            process.send_signal(number)
            client.sendall(b"grant_type=client_credentials")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == 200
            assert json.load(answer)["access_token"]
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_on_the_command_line_are_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be done is one message that names the option, and an exit code, but no traceback."""
    assets = tmp_path / "assets.json"
    assets.write_text("{")

    def complaint(*options: str) -> str:
        result = CliRunner().invoke(main, ["sandbox", "--port", "0", *options], env={"COLUMNS": "400"})
        assert result.exit_code in (1, 2)
        assert isinstance(result.exception, SystemExit)
        return result.output

    with Sandbox(tmp_path / "data") as busy:
        assert "in use by another sandbox" in complaint("--data", str(tmp_path / "data"))
        port = busy.url.rpartition(":")[2]
        assert f"--host 127.0.0.1 --port {port}: Address already in use" in complaint("--port", port)
    said = complaint("--host", "0.0.0.0")
    assert "--allow-remote" in said
    assert "allow_remote" not in said
    assert "assets.json: Expecting property name" in complaint("--assets", str(assets))
    assert "below: Not a directory" in complaint("--data", str(assets / "below"))
    monkeypatch.setitem(sys.modules, "tsbulk_frames.sandbox", None)
    assert 'pip install "tsbulk-frames[sandbox]"' in complaint()
