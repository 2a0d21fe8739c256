"""Credentials keep their secrets, token requests are as the service wants them, one refresh serves all threads."""

from __future__ import annotations

import base64
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbulk_frames.auth import (
    AppCredentials,
    TenantCredentials,
    Token,
    TokenRequest,
    UserToken,
    parse_token,
    secrets_of,
)
from tsbulk_frames.errors import ConfigError, ProtocolError

GATEWAY = "https://gateway.eu1.mindsphere.io"
APP = AppCredentials("pumps", "1.0", "host", "user", "my-id", "my-secret")
TENANT = TenantCredentials("my-id", "my-secret", "acme")
ENVIRON = {
    "MDSP_OS_VM_APP_NAME": "pumps",
    "MDSP_OS_VM_APP_VERSION": "1.0",
    "MDSP_HOST_TENANT": "host",
    "MDSP_USER_TENANT": "user",
    "MDSP_KEY_STORE_CLIENT_ID": "my-id",
    "MDSP_KEY_STORE_CLIENT_SECRET": "my-secret",
}


@pytest.mark.parametrize("text", ["abc.def", "Bearer abc.def", "bearer  abc.def", "BEARER abc.def"])
def test_a_leading_bearer_is_tolerated(text: str) -> None:
    """With and without the scheme it is the same token."""
    assert UserToken(text) == UserToken("abc.def")
    assert UserToken(text).authorization == "abc.def"


@pytest.mark.parametrize("text", ["", "Bearer ", "Bearer", " ", "a b", "abc\n", "a\x00b", "Basic abc", "tök", " abc"])
def test_what_cannot_be_a_token_is_refused(text: str) -> None:
    """Blanks, control characters and non-ASCII would break the header, or smuggle another one in."""
    with pytest.raises(ConfigError, match="authorization"):
        UserToken(text)


@pytest.mark.parametrize("value", [None, 3, b"abc"])
def test_a_token_is_a_str(value: object) -> None:
    """Anything else is named by its type."""
    with pytest.raises(ConfigError, match=type(value).__name__):
        UserToken(value)  # type: ignore[arg-type]


def test_the_message_about_a_bad_token_does_not_hold_it() -> None:
    """Not even a broken token is repeated."""
    with pytest.raises(ConfigError) as caught:
        UserToken("hush-hush\n")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("credentials", [APP, TENANT, UserToken("my-secret")], ids=lambda c: type(c).__name__)
def test_secrets_are_masked_and_credentials_travel(credentials: AppCredentials | TenantCredentials | UserToken) -> None:
    """Repr, str and format show three stars; pickle brings them to a worker unharmed."""
    for text in (repr(credentials), str(credentials), f"{credentials}"):
        assert "my-secret" not in text
        assert "'***'" in text
    assert pickle.loads(pickle.dumps(credentials)) == credentials
    assert hash(credentials) == hash(pickle.loads(pickle.dumps(credentials)))
    assert secrets_of(credentials)[0] == "my-secret"


@given(st.sampled_from(["client_id", "client_secret", "tenant"]), st.sampled_from(["", " ", "a\nb", "\x7f"]))
def test_every_part_of_credentials_is_text(name: str, value: str) -> None:
    """Empty parts and control characters are refused by name; a bad secret is not shown."""
    parts = {"client_id": "a", "client_secret": "b", "tenant": "c", name: value}
    with pytest.raises(ConfigError, match=name) as caught:
        TenantCredentials(**parts)
    if name == "client_secret" and value:
        assert repr(value) not in str(caught.value)


@pytest.mark.parametrize("tenant", ["evil.com/x", "a@b", "a.b", "-a", "a" * 64, "ä"])
def test_a_tenant_cannot_become_another_host(tenant: str) -> None:
    """The name goes into a host name: only what cannot change the host is accepted."""
    with pytest.raises(ConfigError, match="tenant"):
        TenantCredentials("id", "secret", tenant)


def test_secrets_are_known_in_each_form_they_are_sent_in() -> None:
    """An answer may echo the header as well as the secret."""
    basic = base64.b64encode(b"my-id:my-secret").decode()
    assert secrets_of(APP) == secrets_of(TENANT) == ("my-secret", basic)


def test_a_colon_in_the_client_id_is_refused() -> None:
    """It would move the border between id and secret."""
    with pytest.raises(ConfigError, match="key_store_client_id"):
        AppCredentials("a", "1", "h", "u", "id:x", "s")
    with pytest.raises(ConfigError, match="client_id"):
        TenantCredentials("id:x", "s", "t")


def test_app_credentials_come_from_the_vendors_variables() -> None:
    """The six names of the vendor's own client are honoured."""
    assert AppCredentials.from_environment(ENVIRON) == APP


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument ``os.environ`` is looked into."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert AppCredentials.from_environment() == APP


def test_every_missing_variable_is_named() -> None:
    """One message is enough to set them all."""
    partly = {**ENVIRON, "MDSP_HOST_TENANT": " "}
    del partly["MDSP_KEY_STORE_CLIENT_SECRET"]
    with pytest.raises(ConfigError) as caught:
        AppCredentials.from_environment(partly)
    assert "MDSP_HOST_TENANT, MDSP_KEY_STORE_CLIENT_SECRET are not set (4 of 6" in str(caught.value)
    assert "MDSP_USER_TENANT" not in str(caught.value)


def test_token_request_of_app_credentials() -> None:
    """The technical token manager gets the app in JSON and the client in its own header."""
    request = APP.token_request(GATEWAY)
    assert (request.method, request.url) == ("POST", f"{GATEWAY}/api/technicaltokenmanager/v3/oauth/token")
    assert base64.b64decode(request.headers["X-SPACE-AUTH-KEY"].removeprefix("Basic ")) == b"my-id:my-secret"
    assert json.loads(request.body) == {
        "appName": "pumps",
        "appVersion": "1.0",
        "hostTenant": "host",
        "userTenant": "user",
    }


@pytest.mark.parametrize(
    ("gateway", "url"),
    [
        (GATEWAY, "https://acme.piam.eu1.mindsphere.io/oauth/token"),
        ("https://gateway.eu1.example.com:8443", "https://acme.piam.eu1.example.com:8443/oauth/token"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/oauth/token"),
    ],
)
def test_token_request_of_tenant_credentials(gateway: str, url: str) -> None:
    """The token host is the gateway's with ``{tenant}.piam`` in place of ``gateway``, or the same one."""
    request = TENANT.token_request(gateway)
    assert request.url == url
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"my-id:my-secret"
    assert request.body == b"grant_type=client_credentials"
    assert "my-secret" not in repr(request)
    assert request.headers["Authorization"] not in repr(request)


def test_token_request_masks_headers_and_body() -> None:
    """Both can hold a secret."""
    assert "x1" not in repr(TokenRequest("POST", "u", {"a": "x1"}, b"x1"))


@pytest.mark.parametrize(
    ("answer", "lifetime"),
    [({}, 1800), ({"expires_in": 60}, 60), ({"expires_in": "90"}, 90), ({"expires_in": None}, 1800)]
    + [({"expires_in": bad}, 1800) for bad in (-5, 0, "soon", [1], 1e999, 10**400)],
)
def test_token_answers(answer: dict[str, object], lifetime: float) -> None:
    """Only ``access_token`` is needed; a life that is none counts as 30 minutes."""
    assert parse_token(json.dumps({"access_token": "t0k", **answer}).encode()) == Token("t0k", lifetime)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"access_token": ""}',
        b'{"access_token": "a b"}',
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_an_answer_without_a_token_is_an_error(content: bytes) -> None:
    """It is not repeated in the message, as it might hold half a token."""
    with pytest.raises(ProtocolError, match="access_token"):
        parse_token(content)
