"""A sandbox and a connection to it, both on one clock; what is stored is checked in the sandbox's own store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import pandas as pd
import requests

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Faults, Rules

NOW = pd.Timestamp("2026-06-01", tz="UTC").timestamp()
PUMP = {
    "speed": "DOUBLE",
    "count": "LONG",
    "small": "INT",
    "on": "BOOLEAN",
    "state": "STRING",
    "note": "BIG_STRING",
    "at": "TIMESTAMP",
}


def brief(seconds: float) -> None:
    """Sleep no longer than the sandbox's own threads need to get on."""
    time.sleep(min(seconds, 0.02))


@dataclass
class Site:
    """A running sandbox, a connection to it, and assets on demand."""

    sandbox: tsb.Sandbox
    con: tsb.Connection
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def asset(self, twin_type: str = "simulation", aspects: dict[str, dict[str, str]] | None = None) -> str:
        """Add an asset of its own, aspect ``pump``."""
        entity = f"{next(self.numbers):032x}"
        self.sandbox.add_asset(entity, twin_type=twin_type, aspects=aspects or {"pump": PUMP})
        return entity

    def seed(self, frame: pd.DataFrame) -> str:
        """Store a frame without gaps under a new asset by the ordinary service, without any client code."""
        entity = self.asset()
        url = f"{self.sandbox.url}/api/iottimeseries/v3/timeseries/{entity}/pump"
        headers = {"Authorization": f"Bearer {self.sandbox.token()}"}
        for first in range(0, len(frame), 50_000):
            part = frame.iloc[first : first + 50_000]
            stamps = part.index.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
            records = [{"_time": time, **row} for time, row in zip(stamps, part.to_dict("records"), strict=True)]
            requests.put(url, json=records, headers=headers, timeout=60).raise_for_status()
        return entity

    def stored(self, entity: str) -> pd.DataFrame:
        """Read what the sandbox really holds."""
        return self.sandbox.records(entity, "pump")

    def asked(self, method: str, part: str) -> list[str]:
        """List the queries of requests whose path has `part`."""
        return [one.query for one in self.sandbox.requests if one.method == method and part in one.path]


def open_site(*, rules: Rules | None = None, faults: Faults | None = None, **settings: object) -> Iterator[Site]:
    """Start a sandbox and connect to it."""
    sandbox = tsb.Sandbox(
        rules=rules, faults=faults, clock=lambda: NOW, page_bytes=settings.pop("page_bytes", 8_000_000)
    )
    with sandbox:
        config = tsb.RestClientConfig(host_url=sandbox.url, **settings)
        with tsb.Connection(config, sandbox.credentials, clock=lambda: NOW, sleep=brief) as con:
            yield Site(sandbox, con)


def times(start: str, periods: int, freq: str = "s") -> pd.DatetimeIndex:
    """Make a regular index in UTC."""
    return pd.date_range(start, periods=periods, freq=freq, tz="UTC", name="_time", unit="ns")
