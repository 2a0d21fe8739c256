"""The class that users hold: it opens the parts of a sandbox in order and closes them in reverse."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tsbulk_frames.sandbox.app import build_app
from tsbulk_frames.sandbox.bodies import parse_json
from tsbulk_frames.sandbox.faults import Faults
from tsbulk_frames.sandbox.files import FileStore
from tsbulk_frames.sandbox.gate import Recorded, RequestRecord
from tsbulk_frames.sandbox.imports import JobStore
from tsbulk_frames.sandbox.model import Rules, State
from tsbulk_frames.sandbox.registry import AssetStore, Given, build_asset, parse_assets
from tsbulk_frames.sandbox.server import Server, check_host
from tsbulk_frames.sandbox.store import SeriesStore
from tsbulk_frames.sandbox.tokens import TokenIssuer
from tsbulk_frames.sandbox.uploads import Uploads

if TYPE_CHECKING:
    import pandas as pd

    from tsbulk_frames.auth import AppCredentials

__all__ = ["Sandbox"]


class _Running:
    """Everything that lives between `start` and `close`; closing undoes opening in reverse order."""

    def __init__(self, sandbox: Sandbox) -> None:
        with ExitStack() as opened:
            if sandbox.data_dir is None:
                root = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="tsbulk-sandbox-")))
            else:
                root = sandbox.data_dir
                root.mkdir(parents=True, exist_ok=True)
            clock, rules = sandbox.clock, sandbox.rules
            files = FileStore(root / "files", clock=clock)
            opened.callback(files.close)
            self.tokens = TokenIssuer(
                root / "sandbox.json", clock=clock, token_seconds=rules.token_seconds, **sandbox._client
            )
            self.state = State(
                root=root,
                clock=clock,
                rules=rules,
                page_bytes=sandbox.page_bytes,
                assets=AssetStore(sandbox.data_dir and root),
                files=files,
                series=SeriesStore(root / "series"),
            )
            jobs = JobStore(root / "jobs", self.state)
            jobs.start()
            opened.callback(jobs.close)
            self.app: Recorded = build_app(
                self.state,
                jobs=jobs,
                uploads=Uploads(files, rules),
                issuer=self.tokens,
                faults=sandbox.faults,
                latency=sandbox.latency,
                bandwidth=sandbox.bandwidth,
            )
            self.server = Server(self.app, host=sandbox.host, port=sandbox.port)
            opened.callback(self.server.close)
            self.server.start()
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Stop answering first, working next, and let go of the data last."""
        self._opened.close()


class Sandbox:
    """A local gateway with a life of its own: a real socket, real files, injected time.

    Parameters
    ----------
    data_dir : str or Path, optional
        Where everything is kept: assets, files, jobs, series, credentials and the signing key; they are there again
        when another sandbox starts on the same folder. None: a private temporary folder, removed by `close`.
    host : str
        Loopback address to bind.
    port : int
        0 picks a free one.
    page_bytes : int
        Greatest size of one page of records, in bytes of JSON.
    latency : float
        Seconds that every request waits.
    bandwidth : float, optional
        Bytes per second and connection, both ways; None: as fast as it goes.
    faults : Faults, optional
        What shall go wrong.
    rules : Rules, optional
        What the service's documentation leaves open, and limits a test may want smaller.
    clock : callable
        Epoch seconds; drives the expiry of tokens, the age of records, the states of jobs. `latency` and `bandwidth`
        are always real time.
    client_id, client_secret, tenant : str, optional
        The one client that may fetch tokens; the default is made at random once per data folder.
    allow_remote : bool
        Allow a `host` that other machines can reach.

    Raises
    ------
    ValueError
        `host` is not a loopback address and `allow_remote` is False; a setting makes no sense.

    Examples
    --------
    >>> import requests
    >>> from tsbulk_frames.sandbox import Sandbox
    >>> with Sandbox() as sandbox:
    ...     _ = sandbox.add_asset("a" * 32, twin_type="simulation", aspects={"pump": {"speed": "DOUBLE"}})
    ...     answer = requests.get(
    ...         f"{sandbox.url}/api/assetmanagement/v3/assets/{'a' * 32}",
    ...         headers={"Authorization": f"Bearer {sandbox.token()}"},
    ...     )
    >>> answer.json()["twinType"]
    'simulation'
    >>> sandbox.requests[-1].status
    200
    """

    def __init__(
        self,
        data_dir: str | Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        page_bytes: int = 8_000_000,
        latency: float = 0.0,
        bandwidth: float | None = None,
        faults: Faults | None = None,
        rules: Rules | None = None,
        clock: Callable[[], float] = time.time,
        client_id: str | None = None,
        client_secret: str | None = None,
        tenant: str | None = None,
        allow_remote: bool = False,
    ) -> None:
        check_host(host, allow_remote=allow_remote)
        if page_bytes < 1 or latency < 0 or (bandwidth is not None and bandwidth <= 0):
            raise ValueError(
                f"page_bytes={page_bytes}, latency={latency}, bandwidth={bandwidth}: page_bytes and bandwidth must be "
                "above 0 (bandwidth=None: unlimited), latency 0 or more"
            )
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.host = host
        self.port = port
        self.page_bytes = page_bytes
        self.latency = latency
        self.bandwidth = bandwidth
        self.faults = faults if faults is not None else Faults()
        self.rules = rules if rules is not None else Rules()
        self.clock = clock
        self._client = {"client_id": client_id, "client_secret": client_secret, "tenant": tenant}
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._last_requests: list[RequestRecord] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "not running" if self._running is None else self._running.server.url
        return f"Sandbox({where})"

    def start(self) -> Self:
        """Open the data folder and the socket; returns when requests are answered.

        Returns
        -------
        Sandbox
            Itself. A running sandbox is left alone; a closed one starts anew.

        Raises
        ------
        RuntimeError
            Another sandbox works on `data_dir`.
        OSError
            The port is taken, or the folder cannot be written.
        """
        with self._lock:
            if self._running is None:
                self._running = _Running(self)
        return self

    def close(self) -> None:
        """Finish running requests, stop the threads, free the socket; remove a temporary folder. Can be repeated."""
        with self._lock:
            running, self._running = self._running, None
            if running is not None:
                running.close()
                self._last_requests = running.app.records

    def wait(self) -> None:
        """Block until interrupted (Ctrl-C) or closed from another thread; the interrupt goes on to the caller."""
        self._opened().server.wait()

    def _opened(self) -> _Running:
        """Return what runs, or tell the way to get it running."""
        if self._running is None:
            raise RuntimeError("the sandbox is not running; use it as `with Sandbox() as sandbox:` or call start()")
        return self._running

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        return self._opened().server.url

    @property
    def client_id(self) -> str:
        """Id of the client that may fetch tokens."""
        return self._opened().tokens.client_id

    @property
    def client_secret(self) -> str:
        """Secret of that client."""
        return self._opened().tokens.client_secret

    @property
    def tenant(self) -> str:
        """Name of the tenant that everything belongs to."""
        return self._opened().tokens.tenant

    @property
    def credentials(self) -> AppCredentials:
        """App credentials that work here."""
        from tsbulk_frames.auth import AppCredentials

        return AppCredentials(
            app_name="sandbox",
            app_version="1.0.0",
            host_tenant=self.tenant,
            user_tenant=self.tenant,
            key_store_client_id=self.client_id,
            key_store_client_secret=self.client_secret,
        )

    def token(self) -> str:
        """Fresh bearer token, good for ``rules.token_seconds`` by the sandbox's clock."""
        running = self._opened()
        return str(running.tokens.issue(f"{running.server.url}/oauth/token")["access_token"])

    def revoke_tokens(self) -> None:
        """Make every token issued so far answer 401; new ones can be fetched at once."""
        self._opened().tokens.revoke()

    def add_asset(
        self,
        entity: str,
        *,
        twin_type: str = "performance",
        name: str | None = None,
        aspects: Given | None = None,
        quality_codes: bool = True,
        description: str = "",
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        """Make an asset known; one that exists is replaced, its stored records stay.

        Parameters
        ----------
        entity : str
            Asset id: 32 hex digits in practice.
        twin_type : {"performance", "simulation"}
            Decides whether imports are by day or by hour.
        name : str, optional
            For people; the id when absent.
        aspects : mapping
            ``{aspect: {property: dataType}}``; None: ``{"pump": {"speed": "DOUBLE", "state": "STRING"}}``. Data
            types: BOOLEAN, INT, LONG, DOUBLE, STRING, BIG_STRING, TIMESTAMP. In place of a data type there may be more
            to say: ``{"dataType": "STRING", "unit": "m³/h", "length": 20, "qualityCode": False}``.
        quality_codes : bool
            Whether its properties have quality codes, unless they say themselves.
        description : str
            Of the asset.
        descriptions : mapping of str to str, optional
            Of its aspects, by name; the service has none of properties.

        Raises
        ------
        ValueError
            An unknown twin type or data type, or a name that cannot travel in a URL; what is said of a property makes
            no sense; or one that has stored records would get another data type.
        """
        if aspects is None:
            aspects = {"pump": {"speed": "DOUBLE", "state": "STRING"}}
        asset = build_asset(
            entity,
            twin_type=twin_type,
            name=name,
            aspects=aspects,
            quality_codes=quality_codes,
            description=description,
            descriptions=descriptions,
        )
        state = self._opened().state
        state.assets.add(asset, series=state.series)

    def load_assets(self, path: str | Path) -> int:
        """Make the assets of a JSON file known.

        Parameters
        ----------
        path : str or Path
            ``[{"assetId", "name", "twinType", "aspects": {name: {property: dataType}}}]``, in UTF-8; besides
            ``description``, ``descriptions``, ``qualityCodes`` and what else can be said of a property: as `add_asset`.

        Returns
        -------
        int
            How many there were.

        Raises
        ------
        ValueError
            The file is not of that form, or a property that has stored records would get another data type;
            nothing was added.
        """
        try:
            assets = list(parse_assets(parse_json(Path(path).read_bytes())))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        state = self._opened().state
        state.assets.add(*assets, series=state.series)
        return len(assets)

    def records(self, entity: str, property_set: str) -> pd.DataFrame:
        """Read what is really stored of a series, from disk and by no client code.

        Returns
        -------
        pandas.DataFrame, shape (n_records, n_properties [+ n_quality_codes])
            Index ``_time``: ``datetime64[ns, UTC]``, strictly increasing. Nothing stored: 0 rows.
        """
        return self._opened().state.series.frame(entity, property_set)

    @property
    def requests(self) -> list[RequestRecord]:
        """What was asked since the start, in order of arrival; still there after `close` (the latest 100,000)."""
        running = self._running
        return self._last_requests if running is None else running.app.records
