"""Fixtures for your own tests: a sandbox, a connection to it, and an environment that sends scripts there; floor 8.5.

pytest finds this plugin by itself once ``tsbulk-frames`` is installed; the sandbox wants its extra,
``pip install "tsbulk-frames[sandbox]"``. Nothing is loaded, opened or changed before a test asks for a fixture.

| ask for | and get |
|---|---|
| `tsbulk_sandbox` | a `tsbulk_frames.Sandbox` of this test alone, running, on a port of its own |
| `tsbulk_connection` | a `tsbulk_frames.Connection` to it |
| `tsbulk_environment` | the variables `tsbulk_frames.connect` reads, set to it: scripts under test run unmodified |
| `tsbulk_faults` | its `tsbulk_frames.sandbox.Faults`, to order trouble in the middle of a test |

The marker ``tsbulk`` gives settings, of a sandbox (``page_bytes``, ``latency``, ``bandwidth``, ``faults``, ``rules``,
``clock``) and of the connection (what `tsbulk_frames.RestClientConfig` takes, but ``host_url``):

    @pytest.mark.tsbulk(page_bytes=2_000, faults=[Fault(Answer(503), "GET", "/timeseries/")], max_attempts=3)
    def test_the_report_survives_a_bad_minute(tsbulk_sandbox, tsbulk_connection): ...

Manifests and the cache of reads lie in the test's temporary folder, never in your own. Tests may run side by side
(``pytest -n 4``). How to use it all: `tsbulk_frames.howto.testing`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tsbulk_frames import Connection, Sandbox
    from tsbulk_frames.sandbox import Faults

__all__ = ["tsbulk_connection", "tsbulk_environment", "tsbulk_faults", "tsbulk_sandbox"]

_OF_SANDBOX = ("page_bytes", "latency", "bandwidth", "faults", "rules", "clock")
_FOREIGN = ("TSBULK_TOKEN",)
"""Variables that would beat the sandbox's credentials if a developer had them set."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that ``--strict-markers`` accepts it."""
    config.addinivalue_line(
        "markers", "tsbulk(**settings): settings of tsbulk_sandbox (page_bytes, faults, ...) and tsbulk_connection"
    )


@pytest.fixture
def tsbulk_sandbox(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """Give a running `tsbulk_frames.Sandbox` without assets, which ends with the test.

    Yields
    ------
    Sandbox
        With the settings of the marker ``tsbulk``. Its data is in a private folder that goes with it.
    """
    import tsbulk_frames

    _keep_state_in(tmp_path / "tsbulk", monkeypatch)
    missing = ""
    try:
        kind = tsbulk_frames.Sandbox
    except ModuleNotFoundError as error:
        missing = str(error)
    if missing:  # told outside, without the chain of imports that led there
        pytest.fail(missing, pytrace=False)
    settings = _settings(request.node)
    if "faults" in settings:
        settings["faults"] = _fresh_faults(settings["faults"])
    with kind(**{name: value for name, value in settings.items() if name in _OF_SANDBOX}) as sandbox:
        yield sandbox


@pytest.fixture
def tsbulk_connection(request: pytest.FixtureRequest, tsbulk_sandbox: Sandbox) -> Iterator[Connection]:
    """Give a `tsbulk_frames.Connection` to `tsbulk_sandbox`, which is closed after the test.

    Yields
    ------
    Connection
        With the settings of the marker ``tsbulk``; a ``clock`` given there is the connection's as well.
    """
    from tsbulk_frames import Connection, RestClientConfig

    settings = _settings(request.node)
    config = {name: value for name, value in settings.items() if name not in _OF_SANDBOX}
    clock = {"clock": settings["clock"]} if "clock" in settings else {}
    with Connection(
        RestClientConfig(host_url=tsbulk_sandbox.url, **config), tsbulk_sandbox.credentials, **clock
    ) as connection:
        yield connection


@pytest.fixture
def tsbulk_environment(tsbulk_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Set the variables that `tsbulk_frames.connect` reads: code under test finds `tsbulk_sandbox` without a change.

    Child processes inherit them. Calls without ``connection=`` use one to the sandbox, which is closed after the test;
    the one they used before is theirs again then.

    Yields
    ------
    dict of str to str
        The variables and their values.
    """
    from tsbulk_frames import connection

    given = tsbulk_sandbox.credentials
    variables = {
        "TSBULK_GATEWAY": tsbulk_sandbox.url,
        "MDSP_OS_VM_APP_NAME": given.app_name,
        "MDSP_OS_VM_APP_VERSION": given.app_version,
        "MDSP_HOST_TENANT": given.host_tenant,
        "MDSP_USER_TENANT": given.user_tenant,
        "MDSP_KEY_STORE_CLIENT_ID": given.key_store_client_id,
        "MDSP_KEY_STORE_CLIENT_SECRET": given.key_store_client_secret,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name in _FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(connection, "_default", None)
    yield variables
    if connection._default is not None:
        connection._default.close()


@pytest.fixture
def tsbulk_faults(tsbulk_sandbox: Sandbox) -> Faults:
    """Give the trouble of `tsbulk_sandbox`: ``tsbulk_faults.add(Fault(...))`` orders more, ``.log`` tells what struck.

    Returns
    -------
    Faults
    """
    return tsbulk_sandbox.faults


def _settings(node: pytest.Item) -> dict[str, Any]:
    """Gather the settings of all markers of a test: the nearest one wins, an unknown name is told at once."""
    from tsbulk_frames import RestClientConfig

    settings: dict[str, Any] = {}
    accepted = {*_OF_SANDBOX, *(field.name for field in fields(RestClientConfig))} - {"host_url"}
    for mark in node.iter_markers("tsbulk"):
        if mark.args:
            raise pytest.UsageError(f"@pytest.mark.tsbulk{mark.args!r}: give settings by name, as in page_bytes=2_000")
        unknown = sorted(set(mark.kwargs) - accepted)
        if unknown:
            raise pytest.UsageError(
                f"@pytest.mark.tsbulk knows no setting {', '.join(unknown)}; accepted are {', '.join(sorted(accepted))}"
            )
        settings = {**mark.kwargs, **settings}
    return settings


def _fresh_faults(given: object) -> Faults:
    """Make the trouble anew for each test: it counts requests, and tests that shared it would count for each other."""
    from tsbulk_frames.sandbox import Faults

    if isinstance(given, Faults):
        raise pytest.UsageError(
            "@pytest.mark.tsbulk(faults=Faults(...)) would be shared by all tests of the marker, and it counts; give "
            "what it is made of: a list of Fault, or a dict such as {'seed': 7, 'rate': 0.1}"
        )
    return Faults(**given) if isinstance(given, Mapping) else Faults(given)  # type: ignore[arg-type]


def _keep_state_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send manifests and the cache to the test's folder: here by name, so that nobody else's folders move."""
    import platformdirs

    def instead(known: Callable[..., str], place: Path) -> Callable[..., str]:
        def directory(appname: str | None = None, *args: Any, **kwargs: Any) -> str:
            return os.fspath(place) if appname == "tsbulk_frames" else known(appname, *args, **kwargs)

        return directory

    monkeypatch.setattr(platformdirs, "user_state_dir", instead(platformdirs.user_state_dir, folder / "state"))
    monkeypatch.setattr(platformdirs, "user_cache_dir", instead(platformdirs.user_cache_dir, folder / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", os.fspath(folder / "state"))  # for child processes
