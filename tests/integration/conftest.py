"""Fixtures: a site of a test's own, or one for a whole module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plant import Site, open_site


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Give the test a site of its own; parametrized indirectly with a dict of settings."""
    yield from open_site(**getattr(request, "param", {}))


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """One site for all tests of a module that only add assets of their own."""
    yield from open_site()
