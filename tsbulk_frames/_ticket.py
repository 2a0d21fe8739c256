"""Where to and with what credentials, as it travels to the workers of a cluster: never a socket, never a token of ours.

Floor 7.1. What arrives is turned into a connection there, one for all tasks of a worker.
"""

from __future__ import annotations

import sys
import threading
import uuid
import weakref
from typing import Any

from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import ConfigError
from tsbulk_frames.gate import Gate

__all__ = ["Ticket"]


class Ticket:
    """The way to a gateway, to be opened wherever a task runs.

    Parameters
    ----------
    connection : Connection
        Whose settings and credentials; itself it stays where it is.
    limit : int
        Requests under way at once, over all tasks.

    Attributes
    ----------
    id : str
        Random: two calls are two things to a cluster, as what is stored may change between them.
    limit : int
        As given.
    gateway : str
        Where to.
    """

    def __init__(self, connection: Connection, limit: int) -> None:
        self.id = uuid.uuid4().hex
        self.limit = limit
        self._config = connection.config
        self._credentials = connection._credentials
        self._times: tuple[Any, ...] | None = (connection.clock, connection.monotonic, connection.sleep)
        self._lock = threading.Lock()
        self._opened: Connection | None = None

    @property
    def gateway(self) -> str:
        """Where to."""
        return self._config.host_url

    def __repr__(self) -> str:
        return f"<Ticket to {self.gateway}>"

    def __getstate__(self) -> tuple[object, ...]:
        return self.id, self.limit, self._config, self._credentials

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.id, self.limit, self._config, self._credentials = state
        self._times = self._opened = None
        self._lock = threading.Lock()

    def connection(self) -> Connection:
        """Give the connection of the worker this runs on; without a cluster, one of this process and this ticket.

        Raises
        ------
        ConfigError
            In a process of its own that belongs to no cluster: nobody there counts the requests.
        """
        worker = _worker()
        if worker is not None:
            from tsbulk_frames._budget import desk_of

            return desk_of(worker).connection(self._config, self._credentials, self.limit)
        if self._times is None:
            raise ConfigError(
                "scheduler='processes' has no budget of requests that its processes could share; use "
                "dask.distributed.LocalCluster(), or scheduler='threads'"
            )
        with self._lock:
            if self._opened is None:
                clock, monotonic, sleep = self._times
                gate = Gate(monotonic)
                gate.widen(self.limit)
                self._opened = Connection(
                    self._config, self._credentials, clock=clock, monotonic=monotonic, sleep=sleep, gate=gate
                )
                weakref.finalize(self, self._opened.close)
            return self._opened


def _worker() -> Any:
    """Give the worker of a cluster this thread runs a task for, if any."""
    module = sys.modules.get("distributed.worker")
    if module is None:
        return None
    try:
        return module.get_worker()
    except ValueError:
        return None
