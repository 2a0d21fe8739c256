"""Settings of a connection: where the gateway is, how long to wait, how much at once.

Explicit beats environment; every value is checked when the configuration is built, so that a wrong one is found
before the first request.
"""

from __future__ import annotations

import ipaddress
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from urllib.parse import SplitResult, urlsplit

from tsbulk_frames.errors import ConfigError
from tsbulk_frames.model import Closed

__all__ = ["RestClientConfig"]

DEFAULT_GATEWAY = "https://gateway.eu1.mindsphere.io"
GATEWAY_VARIABLE = "TSBULK_GATEWAY"


@dataclass(frozen=True, kw_only=True)
class RestClientConfig:
    """Where and how to reach the gateway; immutable, picklable, without any token.

    Parameters
    ----------
    host_url : str
        ``https://host[:port]`` of the gateway. ``http`` only for this very machine (127.0.0.0/8, ::1, localhost).
    proxy_host, proxy_port : str and int, optional
        An HTTP proxy for all requests. The environment's proxies are used when neither this nor `proxies` is given;
        loopback addresses are never reached through a proxy.
    proxies : mapping of str to str, optional
        Proxy URL by scheme (``{"https": "http://proxy:8080"}``), instead of `proxy_host`. An empty mapping: none.
    connect_timeout : float
        Seconds to open a connection; also the longest the socket may stand still while sending.
    read_timeout : float
        Seconds the socket may stand still while receiving.
    request_deadline : float
        Seconds for one try of a request, body included. The gateway itself cuts at 60.
    max_attempts : int
        Tries of one request, the first included; a look at a service that does not answer, made by another request
        for all that wait, counts as one.
    retry_budget : float
        Seconds after the first try in which another may begin. 0: never try again. A request for a token has this
        budget to itself.
    max_workers : int
        Requests a call keeps under way at once, unless it asks for another number.
    max_connections : int
        Requests under way at once to this gateway, over all calls, threads and connections of this process; of
        several settings the largest holds. Further ones wait for a place, up to `retry_budget` and `request_deadline`
        together.
    closed : {"left", "right"}
        Which UTC day or hour owns a record at exactly its border: ``"left"``, the calendar's view
        (``[00:00, 24:00)``), or ``"right"`` (``(00:00, 24:00]``).
    max_answer_bytes : int
        An answer larger than this (decompressed) is refused instead of filling the memory.
    ca_bundle : str or os.PathLike, optional
        File or directory of certificate authorities to trust; None: ``REQUESTS_CA_BUNDLE`` or the built-in ones. The
        check itself cannot be switched off.

    Raises
    ------
    ConfigError
        Names the setting, its value and what is accepted.

    Examples
    --------
    >>> from tsbulk_frames.config import RestClientConfig
    >>> RestClientConfig(host_url="https://gateway.eu1.mindsphere.io/").host_url
    'https://gateway.eu1.mindsphere.io'
    >>> RestClientConfig(max_connections=0)
    Traceback (most recent call last):
    tsbulk_frames.errors.ConfigError: max_connections=0 is not accepted; give an int from 1 to 256
    """

    host_url: str = DEFAULT_GATEWAY
    proxy_host: str | None = None
    proxy_port: int | None = None
    proxies: Mapping[str, str] | None = field(default=None, hash=False)
    connect_timeout: float = 10.0
    read_timeout: float = 65.0
    request_deadline: float = 70.0
    max_attempts: int = 6
    retry_budget: float = 180.0
    max_workers: int = 8
    max_connections: int = 32
    closed: Closed = "left"
    max_answer_bytes: int = 512 * 2**20
    ca_bundle: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "host_url", _gateway(self.host_url, "host_url"))
        self._check_proxy()
        for name in ("connect_timeout", "read_timeout", "request_deadline"):
            _check_seconds(name, getattr(self, name), positive=True)
        _check_seconds("retry_budget", self.retry_budget, positive=False)
        _check_int("max_attempts", self.max_attempts, 1, 100)
        _check_int("max_workers", self.max_workers, 1, 256)
        _check_int("max_connections", self.max_connections, 1, 256)
        _check_int("max_answer_bytes", self.max_answer_bytes, 1, 2**40)
        if self.closed not in ("left", "right"):
            raise ConfigError(f"closed={self.closed!r} is not accepted; give 'left' or 'right'")
        self._check_ca_bundle()

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, *, host_url: str | None = None
    ) -> RestClientConfig:
        """Take the gateway from ``TSBULK_GATEWAY``, unless it is given; all else has its default.

        Parameters
        ----------
        environ : mapping of str to str, optional
            Default: ``os.environ``.
        host_url : str, optional
            Beats the environment. Without both: the gateway of region eu1.

        Raises
        ------
        ConfigError
            The address cannot be used; the message names where it was found.

        Examples
        --------
        >>> from tsbulk_frames.config import RestClientConfig
        >>> RestClientConfig.from_environment({"TSBULK_GATEWAY": "http://127.0.0.1:8080"}).host_url
        'http://127.0.0.1:8080'
        """
        found = (os.environ if environ is None else environ).get(GATEWAY_VARIABLE, "").strip()
        if host_url is None and found:
            host_url = _gateway(found, f"environment variable {GATEWAY_VARIABLE}")
        return cls() if host_url is None else cls(host_url=host_url)

    @property
    def loopback(self) -> bool:
        """Whether the gateway is this very machine."""
        return _is_loopback(urlsplit(self.host_url).hostname or "")

    @property
    def proxy_urls(self) -> dict[str, str] | None:
        """Proxy URL by scheme; None: the environment decides; empty: no proxy."""
        if self.loopback:
            return {}
        if self.proxies is not None:
            return dict(self.proxies)
        if self.proxy_host is None:
            return None
        host = self.proxy_host if "://" in self.proxy_host else f"http://{self.proxy_host}"
        url = host.rstrip("/") + (f":{self.proxy_port}" if self.proxy_port is not None else "")
        return {"http": url, "https": url}

    @property
    def changed(self) -> dict[str, str]:
        """Settings that are not the default, but the gateway, as they can be shown: no password of a proxy."""
        given = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "host_url"}
        default = {item.name: item.default for item in fields(self)}
        return {name: _shown(value) for name, value in given.items() if value != default[name]}

    def authorities(self, environ: Mapping[str, str]) -> str | bool:
        """Certificate authorities to trust: explicit, the environment's, or (True) the built-in ones.

        Raises
        ------
        ConfigError
            The environment names a file that does not exist.
        """
        if self.ca_bundle is not None:
            return os.fspath(self.ca_bundle)
        paths = {name: environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
        del environ  # it may hold secrets, and a traceback may show variables
        for name, path in paths.items():
            if path:
                if not os.path.exists(path):
                    raise ConfigError(f"environment variable {name}={path!r} does not exist; correct or unset it")
                return path
        return True

    def __repr__(self) -> str:
        shown = {"host_url": repr(self.host_url)} | self.changed
        return f"RestClientConfig({', '.join(f'{name}={value}' for name, value in shown.items())})"

    def _check_proxy(self) -> None:
        """One way to name the proxy, and that a usable one."""
        if self.proxies is not None:
            if self.proxy_host is not None or self.proxy_port is not None:
                raise ConfigError("proxies and proxy_host/proxy_port are both given; give one of them")
            if not isinstance(self.proxies, Mapping):
                raise ConfigError(
                    f"proxies is a {type(self.proxies).__name__}; give a mapping such as {{'https': 'http://proxy:8080'}}"
                )
            object.__setattr__(self, "proxies", dict(self.proxies))
        elif self.proxy_host is None and self.proxy_port is not None:
            raise ConfigError(f"proxy_port={self.proxy_port!r} is given without proxy_host; give both")
        if self.proxy_port is not None:
            _check_int("proxy_port", self.proxy_port, 1, 65535)
        urls = self.proxies if self.proxies is not None else {"proxy_host": self.proxy_host}
        for name, url in urls.items():
            if url is None:
                continue
            if not isinstance(url, str) or not _split(url if "://" in url else f"http://{url}").hostname:
                where = "proxy_host" if name == "proxy_host" else f"proxies[{name!r}]"
                raise ConfigError(f"{where}={_shown(url)} names no host; give a host name or 'http://host:port'")

    def _check_ca_bundle(self) -> None:
        """Accept only a path that is there: anything else might be meant to switch the check off."""
        if self.ca_bundle is None:
            return
        if not isinstance(self.ca_bundle, str | os.PathLike):
            raise ConfigError(
                f"ca_bundle={self.ca_bundle!r} is not a path; give the path of a PEM file, or None for the built-in "
                "authorities (certificates are always checked)"
            )
        if not os.path.exists(self.ca_bundle):
            raise ConfigError(
                f"ca_bundle={os.fspath(self.ca_bundle)!r} does not exist; give the path of a PEM file or directory"
            )


def _gateway(value: object, where: str) -> str:
    """``scheme://host[:port]``, or a ConfigError that never repeats a password."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}={value!r} is not an address; give it like {DEFAULT_GATEWAY!r}")
    text = value.strip()
    parts = _split(text)
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ConfigError(f"{where} holds a user name or password; give only 'https://host[:port]' and the credentials")
    if parts.scheme not in ("https", "http") or not parts.hostname or not parts.hostname.isprintable():
        raise ConfigError(f"{where}={text!r} is not an address; give it like {DEFAULT_GATEWAY!r}")
    if "?" in text or "#" in text or parts.path.strip("/"):
        raise ConfigError(f"{where}={_bare(parts)!r} has more than a host; give only 'https://host[:port]'")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigError(
            f"{where}={text!r} would send tokens unencrypted; give 'https://…' (plain http only for 127.0.0.1, ::1 "
            "and localhost)"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _split(text: str) -> SplitResult:
    """Parse a URL; what cannot be parsed has no host."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # parsed lazily: raises for 'host:abc'
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts if not any(c.isspace() for c in text) and "\\" not in text else SplitResult("", "", "", "", "")


def _bare(parts: SplitResult) -> str:
    """Give the address without query and fragment, which may hold secrets."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(value: object) -> str:
    """Repr of a setting without the user name and password a proxy URL may have."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and "@" in value:
        scheme, separator, rest = value.rpartition("://")
        return repr(f"{scheme}{separator}***@{rest.rpartition('@')[2]}")
    return repr(value)


def _check_seconds(name: str, value: object, *, positive: bool) -> None:
    """Accept a finite number of seconds."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0 or (positive and value == 0):  # type: ignore[arg-type, operator]
        raise ConfigError(
            f"{name}={value!r} is not accepted; give seconds as a finite number {'above' if positive else 'from'} 0"
        )


def _check_int(name: str, value: object, least: int, most: int) -> None:
    """Accept an int within bounds; True is not one."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigError(f"{name}={value!r} is not accepted; give an int from {least} to {most}")
