"""The pooled session beneath the transport: what ``requests`` must not do by itself, and what its errors mean."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy

import requests
import requests.auth
import urllib3.exceptions

from tsbulk_frames.stop import POOL_CLASSES

__all__ = ["UNUSABLE", "Bearer", "never_sent", "prepare_session"]


def prepare_session(session: requests.Session, connections: int) -> requests.Session:
    """Take from a session what is decided elsewhere: proxies and ~/.netrc, cookies, retries.

    Parameters
    ----------
    session : requests.Session
        A new one.
    connections : int
        How many sockets to keep open.
    """
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_maxsize=connections, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections that can be ended from another thread."""

    def init_poolmanager(self, *args: object, **more: object) -> None:
        super().init_poolmanager(*args, **more)  # type: ignore[arg-type]
        self.poolmanager.pool_classes_by_scheme = POOL_CLASSES

    def proxy_manager_for(self, *args: object, **more: object) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **more)  # type: ignore[arg-type]
        manager.pool_classes_by_scheme = POOL_CLASSES
        return manager


class Bearer(requests.auth.AuthBase):
    """Sets the token as an auth object, because requests would replace a mere header by what ~/.netrc says."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
"""What requests raises for an address, a header or a proxy it cannot work with: nothing was sent."""


def never_sent(error: BaseException) -> bool:
    """Whether no connection came about, so that the service cannot have seen the request."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)
