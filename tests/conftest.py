"""No test leaves anything in the user's own folders: manifests go to a state folder of the test run."""

from __future__ import annotations

import os
import tempfile

import pytest

_state = tempfile.TemporaryDirectory(prefix="tsbulk-state-")


def pytest_configure(config: pytest.Config) -> None:
    """Point the state folder elsewhere, for child processes as well."""
    os.environ["XDG_STATE_HOME"] = _state.name


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what was kept there."""
    _state.cleanup()
