"""Fixtures of the tests on the wire."""

from __future__ import annotations

from wireside import clock, connect, server

__all__ = ["clock", "connect", "server"]
