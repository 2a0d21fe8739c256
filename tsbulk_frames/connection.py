"""The composition root: settings and credentials become a connection with its four clients; floor 6."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from tsbulk_frames._html import as_box, as_facts, as_head
from tsbulk_frames.auth import AppCredentials, Credentials, TenantCredentials, UserToken
from tsbulk_frames.cache import CacheSetting, ReadCache, open_cache
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.errors import ConfigError
from tsbulk_frames.gate import Gate
from tsbulk_frames.operations import AssetsClient, BulkImportOperationsClient, FileServiceClient, ReadOperationsClient
from tsbulk_frames.transport import Transport

__all__ = ["Connection", "connect", "use_connection"]


class Connection:
    """A way to one gateway with one set of credentials: what every read and write goes through.

    Made by `connect`. Threads may share it; it keeps its sockets and its token for all of them. A context
    manager: leaving it closes them.

    Attributes
    ----------
    config : RestClientConfig
        Its settings.
    reads : ReadOperationsClient
    imports : BulkImportOperationsClient
    files : FileServiceClient
    assets : AssetsClient
        The service's operations, one to one, over the shared transport.

    Examples
    --------
    >>> import tsbulk_frames as tsb
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     print(con)
    <Connection to http://127.0.0.1:... as AppCredentials(..., key_store_client_secret='***')>
    """

    def __init__(
        self,
        config: RestClientConfig,
        credentials: Credentials,
        *,
        cache: CacheSetting = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        gate: Gate | None = None,
    ) -> None:
        if not isinstance(config, RestClientConfig):
            raise ConfigError(f"config={config!r} is a {type(config).__name__}; give a tsb.RestClientConfig(...)")
        if not isinstance(credentials, UserToken | TenantCredentials | AppCredentials):
            raise ConfigError(
                f"credentials is a {type(credentials).__name__}; give tsb.UserToken(...), tsb.TenantCredentials(...) "
                "or tsb.AppCredentials(...)"
            )
        self.config = config
        self._credentials = credentials
        self._cache = open_cache(cache, config.host_url, credentials)
        self._transport = Transport(config, credentials, clock=monotonic, sleep=sleep, gate=gate)
        self.reads = ReadOperationsClient(transport=self._transport)
        self.imports = BulkImportOperationsClient(transport=self._transport)
        self.files = FileServiceClient(transport=self._transport)
        self.assets = AssetsClient(transport=self._transport)
        self.clock = clock
        self.monotonic = monotonic
        self.sleep = sleep

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value}" for name, value in self.config.changed.items())
        return f"<Connection to {self.config.host_url} as {self._credentials!r}{settings}>"

    def _repr_html_(self) -> str:
        shown: list[tuple[str, object]] = [("gateway", self.config.host_url), ("credentials", repr(self._credentials))]
        if self._cache is not None:
            shown.append(("cache", self._cache.directory))
        return as_box(as_head("Connection"), as_facts([*shown, *self.config.changed.items()]))

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def cache_for(self, cache: CacheSetting) -> ReadCache | None:
        """Give the cache a call asked for, or by default the one this connection was opened with."""
        return self._cache if cache is None else open_cache(cache, self.config.host_url, self._credentials)

    def close(self) -> None:
        """Close the sockets and forget the token. Closing twice does no harm."""
        self._transport.close()


def connect(
    host_url: str | None = None,
    *,
    credentials: Credentials | None = None,
    config: RestClientConfig | None = None,
    cache: CacheSetting = None,
) -> Connection:
    """Open a connection to a gateway. Nothing is sent until something is asked.

    Parameters
    ----------
    host_url : str, optional
        The gateway, e.g. ``"https://gateway.eu1.mindsphere.io"``. Default: that of `config`, else the environment's
        ``TSBULK_GATEWAY``, else ``eu1``. Plain ``http`` is for loopback addresses only.
    credentials : UserToken, TenantCredentials or AppCredentials, optional
        Default: `AppCredentials` from the environment, under the vendor's names: ``MDSP_OS_VM_APP_NAME``,
        ``MDSP_OS_VM_APP_VERSION``, ``MDSP_KEY_STORE_CLIENT_ID``, ``MDSP_KEY_STORE_CLIENT_SECRET``,
        ``MDSP_HOST_TENANT``, ``MDSP_USER_TENANT``.
    config : RestClientConfig, optional
        All further settings: timeouts, proxies, retries, concurrency.
    cache : bool or path, optional
        Keep what `read_timeseries` brings on this machine, and give it again without a request: True in the user's
        cache folder, a path in a folder of its own. Only ranges that ended a day ago or earlier are kept. Default: off.

    Returns
    -------
    Connection

    Raises
    ------
    ConfigError
        A setting cannot work, or the environment lacks one: the message names which, and where it was looked for.

    Notes
    -----
    Source: the vendor's token services (``/oauth/token`` of the tenant's PIAM host,
    ``/api/technicaltokenmanager/v3/oauth/token``).

    Examples
    --------
    >>> import tsbulk_frames as tsb
    >>> tsb.connect("https://gateway.eu1.mindsphere.io", credentials=tsb.UserToken("eyJhbGciOi"))
    <Connection to https://gateway.eu1.mindsphere.io as UserToken(authorization='***')>
    """
    if config is None:
        config = RestClientConfig.from_environment() if host_url is None else RestClientConfig(host_url=host_url)
    elif host_url is not None and isinstance(config, RestClientConfig):
        config = replace(config, host_url=host_url)
    if credentials is None:
        credentials = AppCredentials.from_environment()
    return Connection(config, credentials, cache=cache)


_default: Connection | None = None
_default_lock = threading.Lock()


def use_connection(connection: Connection | None) -> Connection:
    """Return the connection given, else the process's default one, made from the environment at first use.

    Raises
    ------
    ConfigError
        Nothing was given and the environment does not hold what `connect` needs, or it is no connection.
    """
    global _default
    if connection is None:
        with _default_lock:
            if _default is None:
                _default = connect()
            return _default
    if not isinstance(connection, Connection):
        raise ConfigError(
            f"connection={connection!r} is a {type(connection).__name__}; pass what tsb.connect(...) returns"
        )
    return connection
