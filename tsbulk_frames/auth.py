"""Credentials, and how a token is asked for; pure: nothing here opens a socket.

A token request is only *described* here (`TokenRequest`); the transport carries it out and hands the answer to
`parse_token`. `TokenCache` in ``tokens`` decides when that has to happen again.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeAlias
from urllib.parse import urlsplit

from tsbulk_frames.errors import ConfigError, ProtocolError

__all__ = [
    "AppCredentials",
    "Credentials",
    "Secret",
    "TenantCredentials",
    "Token",
    "TokenRequest",
    "UserToken",
    "parse_token",
    "secrets_of",
]

DEFAULT_LIFETIME = 1800.0
"""Seconds a token lives when the answer does not say (contract: 30 minutes)."""

_SECRET = {"secret": True}
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_BEARER = re.compile(r"\Abearer +", re.IGNORECASE)
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


class Secret(str):
    """A text that is not shown by its repr: a traceback with variables, or a debugger, has three stars instead.

    Joined with other texts it is a mere text again: only what sends it does that.

    Examples
    --------
    >>> from tsbulk_frames.auth import Secret
    >>> Secret("abc"), Secret("abc") == "abc"
    ('***', True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class _Masked:
    """Gives dataclasses a repr in which secrets read ``'***'``."""

    def __repr__(self) -> str:
        shown = (
            f"{item.name}={'***' if item.metadata.get('secret') else getattr(self, item.name)!r}"
            for item in fields(self)  # type: ignore[arg-type]  # only dataclasses inherit this
        )
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class TokenRequest(_Masked):
    """What to send to get a token: the transport sends it, nobody else.

    Attributes
    ----------
    method, url : str
        The token endpoint.
    headers : mapping of str to str
        Hold the client's secret: never logged.
    body : bytes
        The form or JSON to send.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(metadata=_SECRET)
    body: bytes = field(metadata=_SECRET)


@dataclass(frozen=True, repr=False)
class UserToken(_Masked):
    """A bearer token the caller got elsewhere; it is used as it is and cannot be renewed.

    Parameters
    ----------
    authorization : str
        The token, with or without a leading ``Bearer``. Opaque: never parsed.

    Raises
    ------
    ConfigError
        Not a str, empty, or with characters that cannot stand in a token (blanks, control characters, non-ASCII).

    Examples
    --------
    >>> from tsbulk_frames.auth import UserToken
    >>> UserToken("Bearer abc") == UserToken(authorization="abc")
    True
    >>> UserToken("abc")
    UserToken(authorization='***')
    """

    authorization: str = field(metadata=_SECRET)

    def __post_init__(self) -> None:
        token: object = self.authorization
        if not isinstance(token, str):
            raise ConfigError(f"authorization is a {type(token).__name__}; give the bearer token as a str")
        token = Secret(_BEARER.sub("", token, count=1))
        if not token or token.lower() == "bearer":
            raise ConfigError("authorization is empty; give the bearer token as a str")
        if not _VISIBLE_ASCII.fullmatch(token):
            place = len(token) - len(token.lstrip(_VISIBLE))
            raise ConfigError(
                f"authorization has a character no token can hold, at position {place} of {len(token)} "
                "(blank, control character or non-ASCII); give the bare token, without line breaks"
            )
        object.__setattr__(self, "authorization", token)


@dataclass(frozen=True, repr=False)
class TenantCredentials(_Masked):
    """Service credentials of a tenant.

    Parameters
    ----------
    client_id, client_secret : str
        As issued for the tenant.
    tenant : str
        Name of the tenant: the first label of its token host.

    Raises
    ------
    ConfigError
        A value is missing or cannot be one.

    Notes
    -----
    Source: ``POST https://{tenant}.piam.{region}.mindsphere.io/oauth/token``.

    Examples
    --------
    >>> from tsbulk_frames.auth import TenantCredentials
    >>> TenantCredentials("id", "secret", "acme")
    TenantCredentials(client_id='id', client_secret='***', tenant='acme')
    """

    client_id: str
    client_secret: str = field(metadata=_SECRET)
    tenant: str

    def __post_init__(self) -> None:
        _check_texts(self)
        _check_client_id(self.client_id, "client_id")
        if not _TENANT.fullmatch(self.tenant):
            raise ConfigError(
                f"tenant={self.tenant!r} cannot be part of a host name; accepted are letters, digits, '-' and '_'"
            )

    def token_request(self, gateway: str) -> TokenRequest:
        """Describe the token request for this gateway (``https://host[:port]``)."""
        parts = urlsplit(gateway)
        host = parts.netloc.replace("gateway", f"{self.tenant}.piam", 1)
        return TokenRequest(
            "POST",
            f"{parts.scheme}://{host}/oauth/token",
            {
                "Authorization": _basic(self.client_id, self.client_secret),
                "Content-Type": "application/x-www-form-urlencoded",
            },
            b"grant_type=client_credentials",
        )


@dataclass(frozen=True, repr=False)
class AppCredentials(_Masked):
    """Credentials of an application, with the names the vendor gives its parts.

    Parameters
    ----------
    app_name, app_version : str
        The application as registered.
    host_tenant, user_tenant : str
        Who hosts it, and whose data it reads.
    key_store_client_id, key_store_client_secret : str
        From the application's key store.

    Raises
    ------
    ConfigError
        A value is missing or cannot be one.

    Notes
    -----
    Source: ``POST {gateway}/api/technicaltokenmanager/v3/oauth/token``.

    Examples
    --------
    >>> from tsbulk_frames.auth import AppCredentials
    >>> AppCredentials("pumps", "1.0", "acme", "acme", "id", "secret").key_store_client_id
    'id'
    """

    app_name: str
    app_version: str
    host_tenant: str
    user_tenant: str
    key_store_client_id: str
    key_store_client_secret: str = field(metadata=_SECRET)

    def __post_init__(self) -> None:
        _check_texts(self)
        _check_client_id(self.key_store_client_id, "key_store_client_id")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> AppCredentials:
        """Read them from the environment variables the vendor's own client uses.

        Parameters
        ----------
        environ : mapping of str to str, optional
            Default: ``os.environ``.

        Raises
        ------
        ConfigError
            Names every variable that is missing or empty.

        Examples
        --------
        >>> from tsbulk_frames.auth import AppCredentials
        >>> environ = {
        ...     "MDSP_OS_VM_APP_NAME": "pumps", "MDSP_OS_VM_APP_VERSION": "1.0",
        ...     "MDSP_HOST_TENANT": "acme", "MDSP_USER_TENANT": "acme",
        ...     "MDSP_KEY_STORE_CLIENT_ID": "id", "MDSP_KEY_STORE_CLIENT_SECRET": "secret",
        ... }
        >>> AppCredentials.from_environment(environ).app_name
        'pumps'
        """
        found = _variables(os.environ if environ is None else environ)
        missing = [name for name, value in found.items() if not value]
        if missing:
            raise ConfigError(
                f"no credentials: the environment variables {', '.join(missing)} are not set "
                f"({len(_ENVIRONMENT) - len(missing)} of {len(_ENVIRONMENT)} were found); set them, or give "
                "UserToken, TenantCredentials or AppCredentials explicitly"
            )
        secret = {item.name for item in fields(cls) if item.metadata.get("secret")}
        return cls(
            **{name: found[place] if name in secret else str(found[place]) for name, place in _ENVIRONMENT.items()}
        )

    def token_request(self, gateway: str) -> TokenRequest:
        """Describe the token request for this gateway (``https://host[:port]``)."""
        body = {
            "appName": self.app_name,
            "appVersion": self.app_version,
            "hostTenant": self.host_tenant,
            "userTenant": self.user_tenant,
        }
        return TokenRequest(
            "POST",
            f"{gateway.rstrip('/')}/api/technicaltokenmanager/v3/oauth/token",
            {
                "X-SPACE-AUTH-KEY": _basic(self.key_store_client_id, self.key_store_client_secret),
                "Content-Type": "application/json",
            },
            json.dumps(body).encode(),
        )


Credentials: TypeAlias = UserToken | TenantCredentials | AppCredentials

_ENVIRONMENT = {
    "app_name": "MDSP_OS_VM_APP_NAME",
    "app_version": "MDSP_OS_VM_APP_VERSION",
    "host_tenant": "MDSP_HOST_TENANT",
    "user_tenant": "MDSP_USER_TENANT",
    "key_store_client_id": "MDSP_KEY_STORE_CLIENT_ID",
    "key_store_client_secret": "MDSP_KEY_STORE_CLIENT_SECRET",
}


def _variables(environ: Mapping[str, str]) -> dict[str, Secret]:
    """Take the few variables that are wanted: a traceback with variables would show all of the environment."""
    return {name: Secret(environ.get(name, "").strip()) for name in _ENVIRONMENT.values()}


def secrets_of(credentials: Credentials) -> tuple[str, ...]:
    """List the secret values in each form they are sent in, so that they can be blotted out of foreign texts."""
    if isinstance(credentials, UserToken):
        return (credentials.authorization,)
    if isinstance(credentials, TenantCredentials):
        client_id, secret = credentials.client_id, credentials.client_secret
    else:
        client_id, secret = credentials.key_store_client_id, credentials.key_store_client_secret
    return secret, Secret(_basic(client_id, secret).removeprefix("Basic "))


def _check_texts(credentials: TenantCredentials | AppCredentials) -> None:
    """Every part is a printable, non-empty str; the value is only shown where it is no secret."""
    for item in fields(credentials):
        value: object = getattr(credentials, item.name)
        if item.metadata.get("secret") and isinstance(value, str):
            value = Secret(value)
            object.__setattr__(credentials, item.name, value)
        if isinstance(value, str) and value.strip() and value.isprintable():
            continue
        shown = "***" if item.metadata.get("secret") and value else repr(str(value) if value == "" else value)
        raise ConfigError(f"{item.name}={shown} cannot be used; give a non-empty str without control characters")


def _check_client_id(value: str, name: str) -> None:
    """Refuse a colon: it would move the border between id and secret in basic authentication."""
    if ":" in value:
        raise ConfigError(f"{name}={value!r} holds a ':'; give id and secret separately")


def _basic(client_id: str, client_secret: str) -> Secret:
    """Header value of HTTP basic authentication."""
    return Secret("Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode("ascii"))


@dataclass(frozen=True, repr=False)
class Token(_Masked):
    """An issued token.

    Attributes
    ----------
    value : str
        Opaque.
    lifetime : float
        Seconds from the moment it was asked for.
    """

    value: str = field(metadata=_SECRET)
    lifetime: float = DEFAULT_LIFETIME


def parse_token(content: bytes) -> Token:
    """Read the answer of a token endpoint.

    Raises
    ------
    ProtocolError
        Not a JSON object with a usable ``access_token``. The answer itself is never part of the message.
    """
    token, size = _token_in(content), len(content)
    del content  # a traceback with variables would show it
    if token is None:
        raise ProtocolError(
            f"the token endpoint's answer ({size} bytes) has no usable 'access_token'; "
            "check that the gateway's address is the right one"
        )
    return token


def _token_in(content: bytes) -> Token | None:
    """Read what is usable, or nothing."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None
    value = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not _VISIBLE_ASCII.fullmatch(value):
        return None
    try:
        lifetime = float(answer.get("expires_in") or DEFAULT_LIFETIME)
    except (TypeError, ValueError, OverflowError):
        lifetime = DEFAULT_LIFETIME
    return Token(Secret(value), lifetime if 0 < lifetime < float("inf") else DEFAULT_LIFETIME)
