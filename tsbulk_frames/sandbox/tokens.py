"""Who may ask: the client's credentials, the tokens issued for them, and the two services that issue them."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tsbulk_frames.sandbox.bodies import parse_json, read_body
from tsbulk_frames.sandbox.refusals import Refusal
from tsbulk_frames.sandbox.registry import write_whole

if TYPE_CHECKING:
    from tsbulk_frames.sandbox.model import Rules

__all__ = ["APP_TOKEN_PATH", "TokenIssuer", "routes"]

APP_TOKEN_PATH = "/api/technicaltokenmanager/v3/oauth/token"  # noqa: S105 (a path, not a secret)
_APP_FIELDS = ("appName", "appVersion", "hostTenant", "userTenant")
_MAX_BODY = 100_000


class TokenIssuer:
    """Credentials of the one client, and the key that signs its tokens; both outlive a restart.

    Parameters
    ----------
    path : pathlib.Path
        Where they are kept (readable by the owner only); made at random when absent.
    clock : callable
        Epoch seconds; drives expiry.
    token_seconds : float
        How long a token lives.
    client_id, client_secret, tenant : str or None
        Used instead of the kept ones; not written to disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float],
        token_seconds: float,
        client_id: str | None = None,
        client_secret: str | None = None,
        tenant: str | None = None,
    ) -> None:
        self._path = path
        self._clock = clock
        self._seconds = token_seconds
        if path.exists():
            self._kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        else:
            self._kept = {
                "tenant": "sandbox",
                "client_id": f"sandbox-{secrets.token_hex(4)}",
                "client_secret": secrets.token_urlsafe(24),
                "signing_key": secrets.token_urlsafe(48),
                "kid": uuid.uuid4().hex,
                "generation": 0,
            }
            self._save()
        self.client_id: str = client_id or self._kept["client_id"]
        self.client_secret: str = client_secret or self._kept["client_secret"]
        self.tenant: str = tenant or self._kept["tenant"]

    def _save(self) -> None:
        """Key and generation must outlive the process, or a restart would revoke every token."""
        write_whole(self._path, json.dumps(self._kept, indent=1).encode())

    def accepts(self, client_id: str, client_secret: str) -> bool:
        """Whether these are the client's credentials, in constant time."""
        known = hmac.compare_digest(client_id.encode(), self.client_id.encode())
        return hmac.compare_digest(client_secret.encode(), self.client_secret.encode()) and known

    def issue(self, issuer: str) -> dict[str, Any]:
        """Token answer: a fresh signed token and how long it lives."""
        now = int(self._clock())
        seconds = int(self._seconds)
        scope = ["mdsp:core:Admin3rdPartyTechUser"]
        claims = {
            "iss": issuer,
            "ten": self.tenant,
            "client_id": self.client_id,
            "iat": now,
            "exp": now + seconds,
            "scope": scope,
            "jti": uuid.uuid4().hex,
            "rev_sig": f"{self._kept['generation']:x}",
        }
        token = jwt.encode(claims, self._kept["signing_key"], algorithm="HS256", headers={"kid": self._kept["kid"]})
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": seconds,
            "scope": " ".join(scope),
            "jti": claims["jti"],
        }

    def check(self, authorization: str) -> str | None:
        """Why this ``Authorization`` header does not open the door; None when it does."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return "a bearer token is missing; send 'Authorization: Bearer <token>'"
        try:
            claims = jwt.decode(
                token.strip(),
                self._kept["signing_key"],
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "rev_sig"]},
            )
        except jwt.InvalidTokenError:
            return "the token is malformed or its signature is wrong; fetch a new one"
        if claims["rev_sig"] != f"{self._kept['generation']:x}":
            return "the token was revoked; fetch a new one"
        if self._clock() >= claims["exp"]:
            return "the token has expired; fetch a new one"
        return None

    def revoke(self) -> None:
        """Make every token issued so far worthless; the credentials stay good."""
        self._kept["generation"] += 1
        self._save()

    def keys(self) -> dict[str, Any]:
        """Verification keys as ``GET /token_keys`` answers them, the signing key first."""
        key = {"kid": self._kept["kid"], "value": self._kept["signing_key"], "alg": "HS256", "kty": "MAC", "use": "sig"}
        return {"keys": [key]}


def _credentials(value: str) -> tuple[str, str]:
    """Client id and secret of a Basic header; anything else is a 401, as an unknown client is."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            raw = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            raw = b""
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        name, colon, secret = text.partition(":")
        if colon:
            return name, secret
    raise Refusal(401, "client credentials are missing or malformed; send 'Basic base64(id:secret)'")


def routes(tokens: TokenIssuer, rules: Rules) -> list[Route]:
    """Routes of the token services: client credentials, app credentials and the verification keys."""
    most = min(_MAX_BODY, rules.max_body_bytes)

    def check_client(header: str) -> None:
        if not tokens.accepts(*_credentials(header)):
            raise Refusal(401, "the client id or its secret is wrong")

    def answer(request: Request) -> Response:
        return JSONResponse(
            tokens.issue(f"{request.base_url}oauth/token"), headers={"Cache-Control": "no-store", "Pragma": "no-cache"}
        )

    async def client_token(request: Request) -> Response:
        check_client(request.headers.get("authorization", ""))
        form = parse_qs((await read_body(request, most)).decode("utf-8", "replace"))
        if form.get("grant_type") != ["client_credentials"]:
            raise Refusal(
                400, f"grant_type must be 'client_credentials' once in the form body, not {form.get('grant_type')}"
            )
        return answer(request)

    async def app_token(request: Request) -> Response:
        check_client(request.headers.get("x-space-auth-key", ""))
        try:
            fields = parse_json(await read_body(request, most))
        except ValueError:
            raise Refusal(400, f"the body must be a JSON object with {', '.join(_APP_FIELDS)}") from None
        if not isinstance(fields, dict) or not all(isinstance(fields.get(f), str) and fields[f] for f in _APP_FIELDS):
            raise Refusal(400, f"the body must be a JSON object with the texts {', '.join(_APP_FIELDS)}")
        return answer(request)

    async def keys(_: Request) -> Response:
        return JSONResponse(tokens.keys())

    return [
        Route("/oauth/token", client_token, methods=["POST"]),
        Route(APP_TOKEN_PATH, app_token, methods=["POST"]),
        Route("/token_keys", keys, methods=["GET"]),
    ]
