"""How many requests a whole Dask cluster has under way, and its pauses, kept by the scheduler; floor 7.

::

    thread of a worker ──slot──► BudgetGate, one a connection ──lease──► Budget, one a cluster ──► the wire

The scheduler knows at once when a worker is gone, and takes back what it had: nobody waits for a lease to run out. A
pause that the gateway asks one worker for (429) ends up with the scheduler, which lets nobody send before it is over.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from distributed.protocol import pickle
from distributed.utils import sync

from tsbulk_frames.auth import Credentials
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import TransportError
from tsbulk_frames.gate import Gate, Throttle
from tsbulk_frames.stop import Stop

__all__ = ["Budget", "BudgetGate", "Desk", "desk_of"]

PATIENCE = 1.0
"""Seconds the scheduler keeps a question open: then the worker looks whether it still wants to know."""
GRANTED, AGAIN = 0.0, -1.0
"""Answers to who asks for a lease; anything above is a pause in seconds."""


@dataclass(eq=False)
class _Waiting:
    """Who asks for a lease."""

    worker: str
    lease: str
    limit: int
    answer: asyncio.Future[float]


@dataclass
class _Account:
    """What is under way to one gateway, and who waits."""

    held: dict[str, str] = field(default_factory=dict)
    queue: deque[_Waiting] = field(default_factory=deque)
    paused_until: float = 0.0


class Budget(SchedulerPlugin):
    """Leases for requests, as many as a call allows in the whole cluster; lives in the scheduler.

    Who asks first is served first. A lease ends when it is given back, or when its worker leaves the cluster.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    name = "tsbulk-budget"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._workers: Mapping[str, object] = {}
        self._accounts: dict[str, _Account] = {}

    async def start(self, scheduler: Any) -> None:
        """Let workers ask; without a pause, so that two workers that set it up at once end up with one."""
        self._workers = scheduler.workers
        scheduler.handlers["tsbulk_lease"] = self.lease
        scheduler.stream_handlers["tsbulk-return"] = self.take_back
        scheduler.stream_handlers["tsbulk-pause"] = self.pause

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        """Take back what a worker that is gone had."""
        for account in self._accounts.values():
            account.held = {lease: owner for lease, owner in account.held.items() if owner != worker}
            for waiting in [one for one in account.queue if one.worker == worker]:
                _answer(waiting, AGAIN)
            self._serve(account)

    async def lease(self, gateway: str, worker: str, lease: str, limit: int) -> float:
        """Wait until fewer than `limit` requests are under way, or until there is a pause to be told of.

        Returns
        -------
        float
            `GRANTED`, `AGAIN` (nothing was free in time), or the seconds of a pause: then nothing is leased.
        """
        if worker not in self._workers:
            raise ValueError(f"{worker} has left this cluster")
        account = self._accounts.setdefault(gateway, _Account())
        pause = account.paused_until - self._clock()
        if pause > 0:
            return pause
        waiting = _Waiting(worker, lease, limit, asyncio.get_running_loop().create_future())
        account.queue.append(waiting)
        self._serve(account)
        try:
            await asyncio.wait({waiting.answer}, timeout=PATIENCE)
        except asyncio.CancelledError:
            self.take_back(gateway, lease)
            raise
        finally:
            if waiting in account.queue:
                account.queue.remove(waiting)
                self._serve(account)  # who stands behind may ask for less
        return waiting.answer.result() if waiting.answer.done() else AGAIN

    def take_back(self, gateway: str, lease: str, worker: str = "") -> None:
        """End a lease."""
        account = self._accounts.setdefault(gateway, _Account())
        account.held.pop(lease, None)
        self._serve(account)

    def pause(self, gateway: str, seconds: float, worker: str = "") -> None:
        """Let nobody send for this long; a longer pause already on stays."""
        account = self._accounts.setdefault(gateway, _Account())
        account.paused_until = max(account.paused_until, self._clock() + seconds)
        for waiting in account.queue:
            _answer(waiting, account.paused_until - self._clock())
        account.queue.clear()

    def held(self, gateway: str) -> int:
        """How many requests are under way."""
        return len(self._accounts.setdefault(gateway, _Account()).held)

    def _serve(self, account: _Account) -> None:
        """Answer those in front as long as there is room for them."""
        while account.queue and len(account.held) < account.queue[0].limit:
            waiting = account.queue.popleft()
            if not waiting.answer.done():
                account.held[waiting.lease] = waiting.worker
                _answer(waiting, GRANTED)


def _answer(waiting: _Waiting, answer: float) -> None:
    """Answer once."""
    if not waiting.answer.done():
        waiting.answer.set_result(answer)


class _BudgetThrottle(Throttle):
    """A pause that the whole cluster keeps."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[float], None]) -> None:
        super().__init__(clock)
        self._tell = tell
        self._mine = threading.local()

    def pause(self, seconds: float) -> None:
        """Let nobody send for this long, on no worker."""
        super().pause(seconds)
        self._tell(seconds)

    @contextmanager
    def told(self, seconds: float) -> Iterator[None]:
        """Let this thread, which has no lease, see the pause for certain, however short it is."""
        super().pause(seconds)
        self._mine.told = seconds
        try:
            yield
        finally:
            self._mine.told = 0.0

    @property
    def remaining(self) -> float:
        """Seconds to wait before sending, 0 if none."""
        return max(super().remaining, getattr(self._mine, "told", 0.0))


class BudgetGate(Gate):
    """The gate of a worker's connection: a place here, and a lease of the cluster's.

    Parameters
    ----------
    worker : distributed.Worker
        Through whom the scheduler is asked.
    gateway : str
        Whose budget it is.
    limit : int
        Requests under way at once in the whole cluster.
    """

    def __init__(self, worker: Any, gateway: str, limit: int) -> None:
        super().__init__(time.monotonic)
        self.widen(limit)
        self._team = _BudgetThrottle(time.monotonic, lambda seconds: self._send("tsbulk-pause", seconds=seconds))
        self.throttle = self._team
        self._worker = worker
        self._gateway = gateway
        self._leases = limit

    @contextmanager
    def slot(self, stop: Stop | None = None, until: float = math.inf) -> Iterator[bool]:
        """Hold a place and a lease; while the throttle tells of a pause, none of the cluster's.

        Parameters
        ----------
        stop : Stop, optional
            Ends the waiting; then the place is not held, and false is what comes.
        until : float
            Not heeded: with many workers the wait for a turn is long, and says nothing of the gateway.
        """
        with super().slot(stop) as here:
            lease = uuid.uuid4().hex
            pause = self._lease(lease, stop) if here else AGAIN
            if pause == AGAIN:
                yield False
            elif pause > 0:
                with self._team.told(pause):
                    yield True
            else:
                try:
                    yield True
                finally:
                    self._send("tsbulk-return", lease=lease)

    def _lease(self, lease: str, stop: Stop | None) -> float:
        """Ask the scheduler until it grants the lease, or tells of a pause; `AGAIN` when stopped."""
        ask = self._worker.scheduler.tsbulk_lease
        question = {"gateway": self._gateway, "worker": self._worker.address, "lease": lease, "limit": self._leases}
        answer = AGAIN
        try:
            while answer == AGAIN and not (stop is not None and stop.asked):
                answer = sync(self._worker.loop, ask, **question)
        except (OSError, ValueError) as error:  # the scheduler cannot be reached, or has given this worker up
            self._send("tsbulk-return", lease=lease)  # it may have been granted on a connection that broke
            raise TransportError(
                f"the Dask scheduler, which counts the requests of the cluster, gives no lease ({error}); "
                "nothing was sent",
                method="",
                url=self._gateway,
                attempts=0,
            ) from error
        return answer

    def _send(self, op: str, **message: object) -> None:
        """Tell the scheduler, without waiting."""
        self._worker.loop.add_callback(self._worker.batched_send, {"op": op, "gateway": self._gateway, **message})


class Desk(WorkerPlugin):
    """The connections of a worker, shared by its tasks, closed when it goes."""

    name = "tsbulk-connections"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[RestClientConfig, Credentials, int], Connection] = {}
        self._worker: Any = None

    def setup(self, worker: Any) -> None:
        """Remember whose it is."""
        self._worker = worker

    def teardown(self, worker: Any) -> None:
        """Close all."""
        with self._lock:
            for connection in self._open.values():
                connection.close()
            self._open.clear()

    def connection(self, config: RestClientConfig, credentials: Credentials, limit: int) -> Connection:
        """Give the connection with these settings, opened at first use."""
        with self._lock:
            key = (config, credentials, limit)
            if key not in self._open:
                gate = BudgetGate(self._worker, config.host_url, limit)
                self._open[key] = Connection(config, credentials, gate=gate)
            return self._open[key]


_installing = threading.Lock()


def desk_of(worker: Any) -> Desk:
    """Give the desk of a worker; the first task finds none and sets it up, and the scheduler's budget."""
    with _installing:
        desk = worker.plugins.get(Desk.name)
        if not isinstance(desk, Desk):
            plugin = pickle.dumps(Budget())  # type: ignore[no-untyped-call]
            register = worker.scheduler.register_scheduler_plugin
            sync(worker.loop, register, plugin=plugin, name=Budget.name, idempotent=True)
            desk = Desk()
            sync(worker.loop, worker.plugin_add, plugin=desk, name=Desk.name)
        return desk
