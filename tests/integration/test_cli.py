"""The command line as a person meets it: the demo, and the sandbox as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from plant import times

import tsbulk_frames as tsb
from tsbulk_frames import demo
from tsbulk_frames.cli import main

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
            assert process.wait(timeout=30) in (0, 1, 130)
        assert "open sesame" not in rest
        pd.testing.assert_frame_equal(got, frame, check_freq=False)
