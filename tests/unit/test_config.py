"""Every setting is checked when it is made; what is shown of it holds no password."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.errors import ConfigError


def test_defaults_are_the_vendors_gateway() -> None:
    """Region eu1, the calendar's days, eight connections."""
    config = RestClientConfig()
    assert config.host_url == "https://gateway.eu1.mindsphere.io"
    assert (config.closed, config.max_workers, config.max_connections, config.request_deadline) == ("left", 8, 32, 70.0)
    assert not config.loopback


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://gateway.eu1.mindsphere.io/", "https://gateway.eu1.mindsphere.io"),
        (" https://gateway.eu2.mindsphere.io ", "https://gateway.eu2.mindsphere.io"),
        ("https://gateway.example:8443", "https://gateway.example:8443"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_addresses(given: str, kept: str) -> None:
    """A slash at the end is tolerated; plain http is for this machine."""
    assert RestClientConfig(host_url=given).host_url == kept
    assert RestClientConfig(host_url=given).loopback == kept.startswith("http:")


@pytest.mark.parametrize(
    "given",
    [
        *("", "gateway.eu1.mindsphere.io", "ftp://host", "https://", "https:///x", "https://host:port", "https://a b"),
        *(
            "https://host\\@evil",
            "https://[::1",
            "https://host/api",
            "https://host?x=1",
            "https://host?",
            "https://h#a",
        ),
        *(
            "http://gateway.eu1.mindsphere.io",
            "http://128.0.0.1",
            "http://localhost.evil.com",
            "http://127.0.0.1.a.com",
        ),
        None,
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    """Only scheme and host; never a token over plain http to another machine."""
    with pytest.raises(ConfigError, match="host_url"):
        RestClientConfig(host_url=given)


@pytest.mark.parametrize("given", ["https://me:hush@host", "https://me@host", "https://host/?key=hush"])
def test_a_password_in_the_address_is_refused_and_not_repeated(given: str) -> None:
    """Credentials have their own place."""
    with pytest.raises(ConfigError) as caught:
        RestClientConfig(host_url=given)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["connect_timeout", "read_timeout", "request_deadline", "retry_budget"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "5", None, True])
def test_seconds_are_finite_numbers(name: str, value: object) -> None:
    """The message names the setting and the value."""
    with pytest.raises(ConfigError, match=f"{name}={value!r}"):
        RestClientConfig(**{name: value})  # type: ignore[arg-type]


def test_only_the_retry_budget_may_be_zero() -> None:
    """No time at all is no timeout; no budget means: never again."""
    assert RestClientConfig(retry_budget=0).retry_budget == 0
    with pytest.raises(ConfigError, match="connect_timeout=0"):
        RestClientConfig(connect_timeout=0)


@pytest.mark.parametrize("name", ["max_attempts", "max_workers", "max_connections", "max_answer_bytes"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True, None, 2**50])
def test_counts_are_ints_within_bounds(name: str, value: object) -> None:
    """Each is at least 1."""
    with pytest.raises(ConfigError, match=name):
        RestClientConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["both", "", None])
def test_closed_is_left_or_right(value: object) -> None:
    """No other day can own a border."""
    assert RestClientConfig(closed="right").closed == "right"
    with pytest.raises(ConfigError, match="closed="):
        RestClientConfig(closed=value)  # type: ignore[arg-type]


def test_proxies() -> None:
    """Host and port, or a mapping, or what the environment says; an empty mapping means none."""
    assert RestClientConfig().proxy_urls is None
    assert RestClientConfig(proxies={}).proxy_urls == {}
    assert RestClientConfig(proxies={"https": "http://p:1"}).proxy_urls == {"https": "http://p:1"}
    both = {"http": "http://proxy:8080", "https": "http://proxy:8080"}
    assert RestClientConfig(proxy_host="proxy", proxy_port=8080).proxy_urls == both
    assert RestClientConfig(proxy_host="http://proxy:8080").proxy_urls == both


def test_loopback_never_has_a_proxy() -> None:
    """Even when one is given."""
    assert RestClientConfig(host_url="http://127.0.0.1:1", proxy_host="proxy", proxy_port=1).proxy_urls == {}


@pytest.mark.parametrize(
    "settings",
    [
        {"proxy_port": 8080},
        {"proxy_host": "p", "proxy_port": 0},
        {"proxy_host": "p", "proxy_port": "8080"},
        {"proxy_host": ""},
        {"proxy_host": 3},
        {"proxy_host": "p", "proxies": {}},
        {"proxies": {"https": ""}},
        {"proxies": ["http://p"]},
    ],
)
def test_a_proxy_that_cannot_work_is_refused(settings: dict[str, object]) -> None:
    """A mistake here would otherwise show as a timeout."""
    with pytest.raises(ConfigError, match="prox"):
        RestClientConfig(**settings)  # type: ignore[arg-type]


def test_the_repr_shows_what_differs_and_no_password() -> None:
    """A proxy may need a password: it is not for the log."""
    config = RestClientConfig(proxies={"https": "http://me:hush@p:1"}, max_attempts=2)
    assert repr(config) == (
        "RestClientConfig(host_url='https://gateway.eu1.mindsphere.io', "
        "proxies={'https': 'http://***@p:1'}, max_attempts=2)"
    )
    assert "hush" not in repr(RestClientConfig(proxy_host="me:hush@p"))
    with pytest.raises(ConfigError) as caught:
        RestClientConfig(proxies={"https": "http://me:hush@"})
    assert "hush" not in str(caught.value)


def test_a_config_is_frozen_hashable_and_travels() -> None:
    """It is shared by threads and sent to workers; a mapping given is copied."""
    proxies = {"https": "http://p:1"}
    config = RestClientConfig(proxies=proxies)
    proxies["https"] = "http://q:1"
    assert config.proxy_urls == {"https": "http://p:1"}
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(config) == hash(RestClientConfig(proxies={"https": "http://p:1"}))
    with pytest.raises(AttributeError):
        config.max_attempts = 1  # type: ignore[misc]


@pytest.mark.parametrize("value", [False, True, 0, b"x"])
def test_the_certificate_check_cannot_be_switched_off(value: object) -> None:
    """Only a path is accepted."""
    with pytest.raises(ConfigError, match="ca_bundle"):
        RestClientConfig(ca_bundle=value)  # type: ignore[arg-type]


def test_certificate_authorities(tmp_path: Path) -> None:
    """Explicit beats environment beats built-in; a missing file is named."""
    bundle = tmp_path / "ca.pem"
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        RestClientConfig(ca_bundle=bundle)
    bundle.write_text("")
    assert RestClientConfig(ca_bundle=bundle).authorities({"REQUESTS_CA_BUNDLE": "x"}) == str(bundle)
    assert RestClientConfig().authorities({"CURL_CA_BUNDLE": str(bundle)}) == str(bundle)
    assert RestClientConfig().authorities({}) is True
    with pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE='/nowhere'"):
        RestClientConfig().authorities({"REQUESTS_CA_BUNDLE": "/nowhere"})


def test_the_gateway_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explicit beats ``TSBULK_GATEWAY`` beats region eu1; a wrong variable is named."""
    environ = {"TSBULK_GATEWAY": "https://gateway.eu2.mindsphere.io/"}
    assert RestClientConfig.from_environment({}) == RestClientConfig()
    assert RestClientConfig.from_environment({"TSBULK_GATEWAY": " "}) == RestClientConfig()
    assert RestClientConfig.from_environment(environ).host_url == "https://gateway.eu2.mindsphere.io"
    assert RestClientConfig.from_environment(environ, host_url="https://h").host_url == "https://h"
    with pytest.raises(ConfigError, match="TSBULK_GATEWAY"):
        RestClientConfig.from_environment({"TSBULK_GATEWAY": "nonsense"})
    monkeypatch.setenv("TSBULK_GATEWAY", "https://other")
    assert RestClientConfig.from_environment().host_url == "https://other"
