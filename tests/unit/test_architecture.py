"""The house stays as it was drawn: imports go downwards only, the sandbox stands apart, files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tsbulk_frames

PACKAGE = Path(tsbulk_frames.__file__).parent
FLOORS = {
    "errors": 0,
    "model": 1,
    "_text": 1.1,
    "_html": 1.2,
    "kinds": 2,
    "_cut": 2.1,
    "_exact": 2.2,
    "_encode": 2.2,
    "_cells": 2.39,
    "_check": 2.4,
    "_estimate": 2.41,
    "_columns": 2.42,
    "_thin": 2.47,
    "_calendar": 2.48,
    "_heat": 4.4,
    "plot": 4.5,
    "answers": 2.3,
    "stored": 2.4,
    "auth": 2,
    "wire": 2,
    "codec": 2.3,
    "frames": 2.45,
    "_instants": 2.46,
    "_grid": 2.46,
    "analysis": 2.5,
    "compare": 2.5,
    "paging": 2.5,
    "partition": 2.5,
    "body": 3,
    "content": 3.1,
    "sources": 3,
    "config": 3,
    "retry": 3,
    "failures": 3.1,
    "stop": 3,
    "tokens": 3.2,
    "session": 3.5,
    "gate": 3.1,
    "call": 3.6,
    "transport": 4,
    "messages": 4.1,
    "client": 4.2,
    "remote": 4.1,
    "multipart": 4.2,
    "upload": 4.25,
    "files": 4.3,
    "assetmodel": 2.45,
    "notes": 2.46,
    "assets": 4.3,
    "operations": 5,
    "cache": 5,
    "progress": 5,
    "staging": 5,
    "report": 5,
    "importplan": 5,
    "statefile": 5,
    "ledger": 5.5,
    "statefolder": 5.5,
    "manifest": 6,
    "connection": 6,
    "fetch": 6,
    "spool": 5,
    "aspect": 6.1,
    "plan": 6.2,
    "importjob": 6.5,
    "request": 7,
    "look": 7.1,
    "schema": 7.2,
    "discovery": 7.3,
    "carry": 7.2,
    "run": 7.3,
    "pickup": 7.35,
    "reader": 7.5,
    "streams": 7.5,
    "download": 7.6,
    "writer": 7.5,
    "_ticket": 7.1,
    "_budget": 7,
    "_parts": 7.7,
    "_pieces": 7.8,
    "dask": 8,
    "demo": 8,
    "export": 8,
    "csvfile": 8,
    "cli_output": 8.1,
    "cli_errors": 8.2,
    "cli_session": 8.3,
    "cli_read": 8.4,
    "cli_write": 8.4,
    "doctor": 8.4,
    "cli": 8.5,
    "pytest_plugin": 8.5,
}
PURE = {name for name, floor in FLOORS.items() if floor < 3} - {"sources"}
IMPURE_MODULES = {"requests", "urllib3", "socket", "http", "subprocess", "tempfile", "shutil", "sqlite3", "threading"}


def imports_of(path: Path) -> set[str]:
    """Names of all modules a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def own(names: set[str]) -> set[str]:
    """First-level modules of this package among imported names."""
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "tsbulk_frames" and len(part) > 1} & (set(FLOORS) | {"sandbox"})


MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")
SANDBOX = sorted((PACKAGE / "sandbox").glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_go_downwards(path: Path) -> None:
    """A module imports only from floors below its own."""
    assert path.stem in FLOORS, f"{path.name} has no floor: add it where it belongs"
    upward = {name for name in own(imports_of(path)) - {"sandbox"} if FLOORS[name] >= FLOORS[path.stem]}
    assert not upward, f"{path.stem} (floor {FLOORS[path.stem]}) imports upwards: {upward}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_only_the_top_floor_opens_the_sandbox(path: Path) -> None:
    """No module of the library but the demo, the command line and the fixtures for users' tests knows the sandbox."""
    assert "sandbox" not in own(imports_of(path)) or path.stem in ("demo", "cli", "pytest_plugin")


@pytest.mark.parametrize("path", SANDBOX, ids=lambda path: path.stem)
def test_the_sandbox_stands_apart(path: Path) -> None:
    """The sandbox shares no code with the library, but hands out credentials of the library's own class."""
    allowed = {"auth"} if path.stem == "gateway" else set()
    assert own(imports_of(path)) - {"sandbox"} <= allowed


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_files_do_no_input_or_output(name: str) -> None:
    """Floors 0 to 2 import nothing that reaches the outside."""
    roots = {module.split(".")[0] for module in imports_of(PACKAGE / f"{name}.py")}
    assert not roots & IMPURE_MODULES


def test_only_transport_knows_requests() -> None:
    """The transport, and the session beneath it, speak to the HTTP library: nobody else."""
    knowing = {path.stem for path in MODULES if "requests" in {name.split(".")[0] for name in imports_of(path)}}
    assert knowing == {"session", "transport"}


@pytest.mark.parametrize("path", [*MODULES, *SANDBOX], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_files_stay_small(path: Path) -> None:
    """No file grows beyond what one can read at a sitting."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 420


def test_all_public_names_exist_and_are_listed() -> None:
    """``__all__`` is the shop window: sorted, complete, and each name is there."""
    assert tsbulk_frames.__all__ == sorted(tsbulk_frames.__all__)
    assert len(set(tsbulk_frames.__all__)) == len(tsbulk_frames.__all__)
    missing = [name for name in tsbulk_frames.__all__ if not hasattr(tsbulk_frames, name)]
    assert not missing
    assert set(tsbulk_frames._HOME_OF) <= set(tsbulk_frames.__all__)
    assert set(tsbulk_frames.errors.__all__) <= set(tsbulk_frames.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Loading names lazily does not hide a typing error."""
    with pytest.raises(AttributeError, match="read_timeserie"):
        _ = tsbulk_frames.read_timeserie  # type: ignore[attr-defined]


def test_importing_the_library_loads_no_extra() -> None:
    """The window opens without pandas, and reading loads no extra."""
    code = (
        "import sys, tsbulk_frames as tsb\n"
        "assert 'pandas' not in sys.modules\n"
        "tsb.read_timeseries, tsb.write_timeseries, tsb.connect\n"
        "extras = {'starlette', 'uvicorn', 'matplotlib', 'click', 'jwt', 'tqdm', 'dask'} & set(sys.modules)\n"
        "assert not extras, extras\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
