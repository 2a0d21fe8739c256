"""What the sandbox's tests share: two assets, a clock that only moves when told to, and a plain HTTP session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from tsbulk_frames.sandbox import Sandbox

PERFORMANCE = "a" * 32
SIMULATION = "b" * 32
PUMP = {
    "speed": "DOUBLE",
    "count": "LONG",
    "small": "INT",
    "on": "BOOLEAN",
    "state": "STRING",
    "note": "BIG_STRING",
    "at": "TIMESTAMP",
}


class Http(requests.Session):
    """Session that puts the sandbox's URL in front of a path and carries a token."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.base = sandbox.url
        self.trust_env = False
        self.headers["Authorization"] = f"Bearer {sandbox.token()}"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        text = url.decode() if isinstance(url, bytes) else url
        kwargs.setdefault("timeout", 30)
        return super().request(method, self.base + text if text.startswith("/") else text, *args, **kwargs)


@dataclass
class Clock:
    """Epoch seconds that only move when told to."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def furnish(sandbox: Sandbox) -> None:
    """Give a sandbox the two assets that the tests speak of."""
    sandbox.add_asset(PERFORMANCE, twin_type="performance", aspects={"pump": PUMP})
    sandbox.add_asset(SIMULATION, twin_type="simulation", aspects={"pump": PUMP})
