"""The fixtures for users' own tests, in a pytest of their own as a user starts it."""

from __future__ import annotations

import re
from importlib import metadata

import pytest

from tsbulk_frames.howto import testing

pytest_plugins = ["pytester"]

USERS_TESTS = '''
import os, runpy, subprocess, sys
from pathlib import Path

import pandas as pd
import pytest
import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Answer, Fault

SCRIPT = """
import pandas as pd
import tsbulk_frames as tsb

times = pd.date_range("2026-03-01", periods=3, freq="s", tz="UTC")
report = tsb.write_timeseries(pd.DataFrame({"rate": [1.5, 2.5, 3.5]}, index=times), "pump-1", "flow")
print(report.manifest)
"""
DATA = pd.DataFrame({"rate": [1.5, 2.5]}, index=pd.date_range("2026-03-01", periods=2, freq="s", tz="UTC"))
FLOW = {"flow": {"rate": "DOUBLE"}}


@pytest.mark.parametrize("number", range(3))
def test_a_sandbox_is_this_tests_alone(tsbulk_sandbox, tsbulk_connection, tmp_path, number):
    tsbulk_sandbox.add_asset("pump-1", twin_type="simulation", aspects=FLOW)
    assert tsbulk_sandbox.records("pump-1", "flow").empty
    report = tsb.write_timeseries(DATA, "pump-1", "flow", connection=tsbulk_connection)
    assert tsbulk_sandbox.records("pump-1", "flow")["rate"].tolist() == [1.5, 2.5]
    assert Path(report.manifest).is_relative_to(tmp_path)
    assert tsb.cache_info().directory.is_relative_to(tmp_path)


def test_a_script_runs_unmodified(tsbulk_sandbox, tsbulk_environment, tmp_path, capsys):
    tsbulk_sandbox.add_asset("pump-1", twin_type="simulation", aspects=FLOW)
    (tmp_path / "script.py").write_text(SCRIPT)
    runpy.run_path(str(tmp_path / "script.py"), run_name="__main__")
    assert tsbulk_sandbox.records("pump-1", "flow")["rate"].tolist() == [1.5, 2.5, 3.5]
    assert Path(capsys.readouterr().out.strip()).is_relative_to(tmp_path)


def test_a_script_runs_unmodified_in_a_process_of_its_own(tsbulk_sandbox, tsbulk_environment, tmp_path):
    tsbulk_sandbox.add_asset("pump-1", twin_type="simulation", aspects=FLOW)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], check=True, capture_output=True, text=True)
    assert tsbulk_sandbox.records("pump-1", "flow")["rate"].tolist() == [1.5, 2.5, 3.5]
    assert sys.platform != "linux" or Path(done.stdout.strip()).is_relative_to(tmp_path)
    assert all(os.environ[name] == value for name, value in tsbulk_environment.items())


@pytest.mark.tsbulk(page_bytes=4_000, max_workers=2)
class TestSettings:
    @pytest.mark.tsbulk(faults=[Fault(Answer(404), "GET", "/timeseries/")], page_bytes=3_000)
    @pytest.mark.parametrize("number", range(2))
    def test_the_nearest_marker_wins_and_trouble_begins_anew(self, tsbulk_connection, tsbulk_sandbox, number):
        assert (tsbulk_sandbox.page_bytes, tsbulk_connection.config.max_workers) == (3_000, 2)
        with pytest.raises(tsb.NotFoundError):
            tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", connection=tsbulk_connection)
        assert tsbulk_sandbox.faults.counts() == {"404": 1}

    @pytest.mark.tsbulk(faults={"seed": 7, "rate": 0.5})
    def test_trouble_at_random(self, tsbulk_faults):
        assert (tsbulk_faults.seed, tsbulk_faults.rate) == (7, 0.5)

    @pytest.mark.tsbulk(clock=lambda: 1_780_000_000.0)
    def test_both_sides_have_one_clock(self, tsbulk_sandbox, tsbulk_connection):
        assert tsbulk_sandbox.clock() == tsbulk_connection.clock() == 1_780_000_000.0


@pytest.mark.tsbulk(max_attempts=1)
def test_trouble_is_ordered_in_the_middle_of_a_test(tsbulk_faults, tsbulk_sandbox, tsbulk_connection):
    tsbulk_sandbox.add_asset("pump-1", twin_type="simulation", aspects=FLOW)
    tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", connection=tsbulk_connection)
    tsbulk_faults.add(Fault(Answer(503), "GET", "/timeseries/"))
    with pytest.raises(tsb.ServiceError, match="max_attempts=1"):
        tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", connection=tsbulk_connection)
    assert [one.kind for one in tsbulk_faults.log] == ["503"]
'''

ONE_AFTER_THE_OTHER = """
import os
import platformdirs
import pytest
import tsbulk_frames as tsb
from tsbulk_frames import connection

before, known = dict(os.environ), (platformdirs.user_state_dir, platformdirs.user_cache_dir)
mine = connection._default = tsb.connect("http://127.0.0.1:9", credentials=tsb.UserToken("mine"))
sandboxes, made = [], []


def test_a_test_uses_another(tsbulk_sandbox, tsbulk_environment):
    assert "TSBULK_TOKEN" not in os.environ
    tsbulk_sandbox.add_asset("pump-1")
    assert len(tsb.read_timeseries("pump-1", "pump", "2026-03-01", "2026-03-02")) == 0
    assert connection._default is not mine
    sandboxes.append(tsbulk_sandbox)
    made.append(connection._default)


def test_and_all_is_as_it_was():
    assert connection._default is mine
    assert {**before, "PYTEST_CURRENT_TEST": ""} == {**os.environ, "PYTEST_CURRENT_TEST": ""}
    assert (platformdirs.user_state_dir, platformdirs.user_cache_dir) == known
    assert repr(sandboxes[0]) == "Sandbox(not running)"
    with pytest.raises(tsb.ConfigError, match="closed"):
        tsb.read_timeseries("pump-1", "pump", "2026-03-01", "2026-03-02", connection=made[0])
"""

WITHOUT_THE_EXTRA = """
import sys

def test_nothing_is_loaded_before_a_fixture_is_asked_for():
    own = {name for name in sys.modules if name.startswith("tsbulk_frames")}
    assert own == {"tsbulk_frames", "tsbulk_frames.errors", "tsbulk_frames.pytest_plugin"}
    assert not {"pandas", "numpy", "pyarrow", "starlette", "uvicorn", "platformdirs"} & set(sys.modules)


def test_a_fixture_names_what_is_missing(tsbulk_sandbox):
    raise AssertionError("never reached")
"""

MISSING = """
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "starlette":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())
"""

WRONG_MARKERS = """
import pytest
from tsbulk_frames.sandbox import Faults


@pytest.mark.tsbulk(pagebytes=3)
def test_unknown(tsbulk_sandbox): ...


@pytest.mark.tsbulk(3)
def test_nameless(tsbulk_sandbox): ...


@pytest.mark.tsbulk(faults=Faults())
def test_shared(tsbulk_sandbox): ...
"""

QUIET = ("--strict-markers", "-W", "error", "-p", "no:cacheprovider")


def test_the_plugin_is_announced() -> None:
    """An installed tsbulk-frames is found by pytest without a word in a conftest."""
    (entry,) = (one for one in metadata.entry_points(group="pytest11") if one.name == "tsbulk")
    assert entry.value == "tsbulk_frames.pytest_plugin"


def test_our_own_tests_go_without(request: pytest.FixtureRequest) -> None:
    """Loaded as an entry point it would import the package before coverage begins to count."""
    assert not request.config.pluginmanager.has_plugin("tsbulk")


def test_the_fixtures_keep_their_word_side_by_side(pytester: pytest.Pytester) -> None:
    """In two processes at once; and so do the examples of the how-to page, as they stand there."""
    examples = "\n".join(re.findall(r"```python\n(.*?)```", testing.__doc__ or "", re.DOTALL))
    pytester.makepyfile(test_users=USERS_TESTS, test_page=examples)
    pytester.runpytest_subprocess(*QUIET, "-n", "2").assert_outcomes(passed=10 + examples.count("def test_"))


def test_a_test_leaves_nothing_behind(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables, folders and the default connection are given back, what was opened is closed."""
    monkeypatch.setenv("TSBULK_TOKEN", "a developer's own")
    pytester.makepyfile(ONE_AFTER_THE_OTHER)
    pytester.runpytest_subprocess(*QUIET).assert_outcomes(passed=2)


def test_without_the_extra_only_a_fixture_complains(pytester: pytest.Pytester) -> None:
    """Nothing is loaded at the start; where the sandbox's extra is missing, the fixture says what to install."""
    pytester.makeconftest(MISSING)
    pytester.makepyfile(WITHOUT_THE_EXTRA)
    result = pytester.runpytest_subprocess(*QUIET, "-p", "no:platformdirs")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(['Sandbox needs starlette, *pip install "tsbulk-frames[[]sandbox[]]"'])


def test_wrong_markers_are_told(pytester: pytest.Pytester) -> None:
    """A setting that does not exist, has no name or would be shared is an error that says what is accepted."""
    pytester.makepyfile(WRONG_MARKERS)
    result = pytester.runpytest_subprocess(*QUIET)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines_random(
        ["*no setting pagebytes; accepted*page_bytes*", "*by name*", "*a list of Fault*"]
    )
