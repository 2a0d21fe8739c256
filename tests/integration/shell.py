"""The command line under test: its environment, commands run in this process, and processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Fault
from tsbulk_frames.sandbox.faults import Hang

TSBULK = [sys.executable, "-c", "from tsbulk_frames.cli import main; main(prog_name='tsbulk')"]
VARIABLES = re.compile(r"(?i)mdsp_|tsbulk_|.*_proxy$|.*_ca_bundle$")
"""What of the environment changes what a command does."""
HISTORY = {"rate": "DOUBLE", "count": "LONG", "state": "STRING", "on": "BOOLEAN"}
DAY = ("2026-03-01", "2026-03-02")


def environment(sandbox: tsb.Sandbox) -> dict[str, str]:
    """Name everything that `tsb.connect()` reads."""
    rights = sandbox.credentials
    return {
        "TSBULK_GATEWAY": sandbox.url,
        "MDSP_OS_VM_APP_NAME": rights.app_name,
        "MDSP_OS_VM_APP_VERSION": rights.app_version,
        "MDSP_HOST_TENANT": rights.host_tenant,
        "MDSP_USER_TENANT": rights.user_tenant,
        "MDSP_KEY_STORE_CLIENT_ID": sandbox.client_id,
        "MDSP_KEY_STORE_CLIENT_SECRET": sandbox.client_secret,
    }


class Strike:
    """Sends a signal to a process when it asks for something, and leaves all such requests unanswered from then on."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number
        self._struck = False
        self.pid = 0
        self.over = False

    def on(self, method: str, path: str) -> Fault:
        """Say for which requests."""
        return Fault(self, method, path, times=None)

    async def __call__(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if self.over:
            await app(scope, receive, send)
            return
        if not self._struck:
            self._struck = True
            os.kill(self.pid, self._number)
        await Hang()(app, scope, receive, send)


@contextmanager
def process(
    sandbox: tsb.Sandbox, *words: object, command: list[str] = TSBULK, **more: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command against a sandbox, with pipes unless told otherwise; it does not outlive the test."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    kept = {name: value for name, value in os.environ.items() if not VARIABLES.match(name)}
    variables = {**kept, **environment(sandbox)}
    with subprocess.Popen([*command, *map(str, words)], env=variables, **{**pipes, **more}) as child:
        try:
            yield child
        finally:
            child.kill()
