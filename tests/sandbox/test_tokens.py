"""Tokens: who gets one, what it says, how long it opens the door."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import jwt
import pytest
import requests
from furniture import PERFORMANCE, Clock, Http
from starlette.routing import Route

from tsbulk_frames.sandbox import Rules, Sandbox

APP = "/api/technicaltokenmanager/v3/oauth/token"
NAMES = {"appName": "any", "appVersion": "9.9.9", "hostTenant": "host", "userTenant": "user"}
ASSET = f"/api/assetmanagement/v3/assets/{PERFORMANCE}"
GRANT = {"grant_type": "client_credentials"}


def basic(client: str, secret: str) -> str:
    """Spell a Basic header."""
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


def tenant_token(sandbox: Sandbox, **changes) -> requests.Response:
    """Ask for a token with client credentials."""
    settings = {"auth": (sandbox.client_id, sandbox.client_secret), "data": GRANT, "timeout": 9} | changes
    return requests.post(sandbox.url + "/oauth/token", **settings)


def app_token(sandbox: Sandbox, **changes) -> requests.Response:
    """Ask for a token with app credentials."""
    key = basic(sandbox.client_id, sandbox.client_secret)
    settings = {"headers": {"X-SPACE-AUTH-KEY": key}, "json": NAMES, "timeout": 9} | changes
    return requests.post(sandbox.url + APP, **settings)


@pytest.mark.parametrize("fetch", [tenant_token, app_token])
def test_a_token_opens_the_door(sandbox: Sandbox, http: Http, fetch):
    """Both token services give a token that works, with its lifetime, and forbid caching it."""
    answer = fetch(sandbox)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["token_type"].lower() == "bearer"
    assert body["expires_in"] == 1800
    http.headers["Authorization"] = f"Bearer {body['access_token']}"
    assert http.get(ASSET).status_code == 200


def test_the_token_can_be_verified(sandbox: Sandbox, clock: Clock):
    """A client verifies the token with the first key of ``/token_keys`` and finds the claims it needs."""
    key = requests.get(sandbox.url + "/token_keys", timeout=9).json()["keys"][0]
    assert set(key) == {"kid", "value", "alg", "kty", "use"}
    token = tenant_token(sandbox).json()["access_token"]
    assert jwt.get_unverified_header(token) == {"alg": key["alg"], "kid": key["kid"], "typ": "JWT"}
    claims = jwt.decode(token, key["value"], algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert claims.keys() >= {"iss", "ten", "client_id", "iat", "exp", "scope", "jti"}
    assert claims["client_id"] == sandbox.client_id
    assert claims["ten"] == sandbox.tenant
    assert claims["iss"].startswith(sandbox.url)
    assert (claims["iat"], claims["exp"]) == (int(clock.now), int(clock.now) + 1800)


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !!!", basic("x", "y"), "Bearer abc", "Basic " + base64.b64encode(b"nocolon").decode()],
)
def test_wrong_credentials(sandbox: Sandbox, header: str):
    """Unknown, missing or malformed client credentials: 401 with a JSON body, by both services."""
    first = tenant_token(sandbox, auth=None, headers={"Authorization": header})
    second = app_token(sandbox, headers={"X-SPACE-AUTH-KEY": header})
    assert (first.status_code, second.status_code) == (401, 401)
    assert first.json()["error"] == "unauthorized"
    assert second.json()["errors"][0]["message"]


def test_right_client_wrong_secret(sandbox: Sandbox):
    """Both halves of the credentials count."""
    assert tenant_token(sandbox, auth=(sandbox.client_id, "no")).status_code == 401
    assert tenant_token(sandbox, auth=("no", sandbox.client_secret)).status_code == 401


@pytest.mark.parametrize("data", [{}, {"grant_type": "password"}, {"grant_type": ""}, {"other": "1"}, b"\xff\xfe"])
def test_wrong_grant(sandbox: Sandbox, data):
    """A missing or another grant is 400."""
    answer = tenant_token(sandbox, data=data)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"{}", b'{"appName": "a"}', b'"text"', b"[" * 50_000])
def test_wrong_app_body(sandbox: Sandbox, body: bytes):
    """App credentials need all four names as a JSON object: 400 without."""
    assert app_token(sandbox, json=None, data=body).status_code == 400
    for name in NAMES:
        assert app_token(sandbox, json=NAMES | {name: 1}).status_code == 400


def test_a_token_request_is_small(sandbox: Sandbox):
    """An endless body is not collected: 413."""
    assert app_token(sandbox, json=NAMES | {"appName": "x" * 200_000}).status_code == 413


def test_expiry_by_the_sandbox_clock(sandbox: Sandbox, http: Http, clock: Clock):
    """A token works until the very end of its 30 minutes by the injected clock, and no longer."""
    clock.now += 1799
    assert http.get(ASSET).status_code == 200
    clock.now += 1
    answer = http.get(ASSET)
    assert answer.status_code == 401
    assert "expired" in answer.json()["errors"][0]["message"]
    http.headers["Authorization"] = f"Bearer {sandbox.token()}"
    assert http.get(ASSET).status_code == 200


def test_lifetime_is_a_rule(clock: Clock):
    """How long a token lives is a setting, and the answer says so."""
    with Sandbox(clock=clock, rules=Rules(token_seconds=60)) as sandbox:
        assert app_token(sandbox).json()["expires_in"] == 60


def test_revoked_tokens(tmp_path: Path):
    """After a revocation old tokens are refused and new ones work, across a restart too."""
    with Sandbox(tmp_path) as sandbox, Http(sandbox) as http:
        old = http.headers["Authorization"]
        sandbox.revoke_tokens()
        assert http.get(ASSET).status_code == 401
        http.headers["Authorization"] = f"Bearer {sandbox.token()}"
        assert http.get(ASSET).status_code == 404
    with Sandbox(tmp_path) as sandbox, Http(sandbox) as http:
        assert http.get(ASSET).status_code == 404
        http.headers["Authorization"] = old
        assert http.get(ASSET).status_code == 401


def test_forged_tokens(sandbox: Sandbox, http: Http):
    """A token without signature, with another key, another algorithm or a changed claim is refused."""
    good = sandbox.token()
    claims = jwt.decode(good, options={"verify_signature": False})
    head, body, signature = good.split(".")
    later = jwt.encode(claims | {"exp": claims["exp"] + 1}, "k" * 64, algorithm="HS256").split(".")[1]
    forged = [
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, "k" * 64, algorithm="HS256"),
        f"{head}.{later}.{signature}",
        f"{head}.{body}.",
        "nonsense",
        "",
    ]
    for token in forged:
        http.headers["Authorization"] = f"Bearer {token}"
        assert http.get(ASSET).status_code == 401
    http.headers["Authorization"] = good
    assert http.get(ASSET).status_code == 401


def test_every_api_route_asks_for_a_token(sandbox: Sandbox):
    """No route under ``/api/`` answers without a token, but the one that gives it."""
    services = sandbox._opened().app._app._app._app._app
    routes = [route for route in services.routes if isinstance(route, Route) and route.path.startswith("/api/")]
    asked = 0
    for route in routes:
        if route.path == APP:
            continue
        path = route.path.replace("{path:path}", "f").replace("{", "").replace("}", "")
        for method in route.methods or ():
            answer = requests.request(method, sandbox.url + path, timeout=9)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            asked += 1
    assert asked >= 10


def test_given_credentials(tmp_path: Path):
    """Given credentials work and are not written to disk; without them the folder's own are back."""
    with Sandbox(tmp_path) as sandbox:
        own = sandbox.client_secret
    with Sandbox(tmp_path, client_id="me", client_secret="hush-hush", tenant="acme") as sandbox:
        assert (sandbox.client_id, sandbox.client_secret, sandbox.tenant) == ("me", "hush-hush", "acme")
        assert tenant_token(sandbox).status_code == 200
        assert tenant_token(sandbox, auth=("me", own)).status_code == 401
    kept = (tmp_path / "sandbox.json").read_text()
    assert "hush-hush" not in kept
    with Sandbox(tmp_path) as sandbox:
        assert sandbox.client_secret == own


def test_secrets_stay_private(tmp_path: Path):
    """The kept secrets are readable by their owner only, and no repr shows them."""
    with Sandbox(tmp_path) as sandbox:
        mode = (tmp_path / "sandbox.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
        assert sandbox.client_secret not in repr(sandbox)
        assert sandbox.client_secret not in repr(sandbox._opened().tokens)


def test_two_folders_have_two_secrets(tmp_path: Path):
    """Credentials and signing key are random per folder."""
    with Sandbox(tmp_path / "1") as one, Sandbox(tmp_path / "2") as two:
        assert one.client_secret != two.client_secret
        assert one._opened().tokens.keys() != two._opened().tokens.keys()


def test_credentials_fit_the_library(sandbox: Sandbox):
    """The credentials a user is given are the library's own kind and hold what works here."""
    credentials = sandbox.credentials
    assert type(credentials).__name__ == "AppCredentials"
    assert credentials.key_store_client_id == sandbox.client_id
