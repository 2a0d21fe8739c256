"""What the README says a newcomer can type runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from plant import Site

import tsbulk_frames as tsb

README = Path(__file__).parents[2] / "README.md"


def test_the_notebook_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The first Python block, to the letter."""
    block = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len(block.strip().splitlines()) <= 14
    exec(compile(block, str(README), "exec"), {})
    shown = capsys.readouterr().out
    assert "2 done" in shown
    assert "1440" in shown


def test_the_nightly_script_runs_and_may_be_run_again(site: Site, tmp_path: Path) -> None:
    """The second Python block, as a script with nothing but its environment; again, it changes nothing."""
    block = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    script = tmp_path / "nightly.py"
    script.write_text(block, encoding="utf-8")
    for pump in ("pump-1", "pump-2", "tank-1"):
        aspects = {"flow": {"rate": "DOUBLE"}, "flow_hourly": {"rate": "DOUBLE"}}
        site.sandbox.add_asset(pump, aspects=aspects, name=pump)
    times = pd.date_range("2026-03-01", periods=2_880, freq="min", tz="UTC")
    frame = pd.DataFrame({"rate": np.arange(2_880.0)}, index=times)
    tsb.write_timeseries(frame, "pump-1", "flow", connection=site.con)
    known = site.sandbox.credentials
    environment = {
        "TSBULK_GATEWAY": site.sandbox.url,
        "MDSP_OS_VM_APP_NAME": known.app_name,
        "MDSP_OS_VM_APP_VERSION": known.app_version,
        "MDSP_HOST_TENANT": known.host_tenant,
        "MDSP_USER_TENANT": known.user_tenant,
        "MDSP_KEY_STORE_CLIENT_ID": known.key_store_client_id,
        "MDSP_KEY_STORE_CLIENT_SECRET": known.key_store_client_secret,
    }
    for _ in range(2):
        subprocess.run(
            [sys.executable, script, "2026-03-01"], env={**os.environ, **environment}, cwd=tmp_path, check=True
        )
    stored = site.sandbox.records("pump-1", "flow_hourly")
    assert stored["rate"].tolist() == [60 * hour + 29.5 for hour in range(24)]
    assert len(site.sandbox.records("pump-2", "flow_hourly")) == 0
    assert sum(one.method == "POST" and one.path.endswith("/importJobs") for one in site.sandbox.requests) == 3


def test_every_block_is_python() -> None:
    """No example has a typing error."""
    for block in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        compile(block, str(README), "exec")
