"""A started sandbox and a plain HTTP session to it: the sandbox's tests never use the library's client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from furniture import PERFORMANCE, PUMP, SIMULATION, Clock, Http, furnish

from tsbulk_frames.sandbox import Sandbox

__all__ = ["PERFORMANCE", "PUMP", "SIMULATION", "Clock", "Http", "furnish"]


@pytest.fixture
def clock() -> Clock:
    """Injected time; `sandbox` runs on it."""
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    """Start a sandbox with a performance asset ``"a"*32`` and a simulation asset ``"b"*32``, aspect ``pump``."""
    with Sandbox(clock=clock) as running:
        furnish(running)
        yield running


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[Http]:
    """Session with base URL and token: ``http.get("/api/…")``."""
    with Http(sandbox) as session:
        yield session
