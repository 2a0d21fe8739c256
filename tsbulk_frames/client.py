"""What the clients of all services share: settings and credentials, or a transport that is there already."""

from __future__ import annotations

from typing import Self

from tsbulk_frames.auth import AppCredentials, Credentials
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.errors import ConfigError
from tsbulk_frames.transport import Transport

__all__ = ["Client"]


class Client:
    """Base of the clients: one service over one transport.

    Parameters
    ----------
    rest_client_config : RestClientConfig, optional
        Default: the gateway of ``TSBULK_GATEWAY``, else region eu1.
    mindsphere_credentials : UserToken, TenantCredentials or AppCredentials, optional
        Default: `AppCredentials` from the environment.
    transport : Transport, optional
        A transport to share, instead of the two; closing the client leaves it open.

    Raises
    ------
    ConfigError
        A transport and settings are both given, or the environment lacks the credentials.
    """

    def __init__(
        self,
        rest_client_config: RestClientConfig | None = None,
        mindsphere_credentials: Credentials | None = None,
        *,
        transport: Transport | None = None,
    ) -> None:
        self._owned = transport is None
        if transport is None:
            config = RestClientConfig.from_environment() if rest_client_config is None else rest_client_config
            if not isinstance(config, RestClientConfig):
                raise ConfigError(f"rest_client_config is a {type(config).__name__}; give a RestClientConfig")
            credentials = (
                AppCredentials.from_environment() if mindsphere_credentials is None else mindsphere_credentials
            )
            if not isinstance(credentials, Credentials):
                raise ConfigError(
                    f"mindsphere_credentials is a {type(credentials).__name__}; give a UserToken, TenantCredentials or "
                    "AppCredentials"
                )
            transport = Transport(config, credentials)
        elif rest_client_config is not None or mindsphere_credentials is not None:
            raise ConfigError(
                "transport is given beside rest_client_config or mindsphere_credentials; give one of both"
            )
        self._transport = transport

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless they belong to a transport that was given."""
        if self._owned:
            self._transport.close()
