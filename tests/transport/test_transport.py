"""Requests on the wire: spelling, token, retries, deadlines, pauses, errors; and that no secret gets out."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests
import requests_mock
from wireside import Clock, Seen, Server, reply

from tsbulk_frames.auth import AppCredentials, TenantCredentials, UserToken
from tsbulk_frames.errors import (
    AuthError,
    ConfigError,
    ConflictError,
    FrameError,
    NotFoundError,
    ProtocolError,
    ServiceError,
    ThrottledError,
    TransportError,
    TsBulkError,
)
from tsbulk_frames.stop import Stop
from tsbulk_frames.transport import Transport

HOST = "https://gateway.test"
TOKEN_URL = f"{HOST}/api/technicaltokenmanager/v3/oauth/token"
APP = AppCredentials("app", "1", "host", "user", "my-id", "my-s3cret")
Connect = Callable[..., Transport]


@pytest.fixture
def mock() -> requests_mock.Mocker:
    """Answer requests without a socket."""
    with requests_mock.Mocker() as mocker:
        yield mocker


# Spelling


@pytest.mark.parametrize(
    ("segment", "sent"),
    [
        ("a b/ä", "a%20b%2F%C3%A4"),
        ("%2e", "%252e"),
        ("%2e%2e", "%252e%252e"),
        ("a\nb", "a%0Ab"),
        ("...", "..."),
        ("a+b?c#d", "a%2Bb%3Fc%23d"),
        ("a;b:c@d", "a%3Bb%3Ac%40d"),
        ("~._-", "~._-"),
        ("a\\..\\b", "a%5C..%5Cb"),
    ],
)
def test_segments_arrive_as_they_were_given(server: Server, connect: Connect, segment: str, sent: str) -> None:
    """Each is escaped by itself, such that nothing on the way can take it for something else."""
    connect(server.url).request("GET", ["files", segment, "x"])
    assert server.seen[0].target == f"/files/{sent}/x"


@pytest.mark.parametrize("segment", ["", ".", "..", None, "\ud800"])
def test_segments_no_server_could_keep_apart_are_refused(connect: Connect, segment: str) -> None:
    """Dots are resolved on the way whatever their escaping: refused before anything is sent."""
    with pytest.raises(FrameError):
        connect().request("GET", ["files", segment])


def test_query_values_are_escaped(server: Server, connect: Connect) -> None:
    """A plus stays a plus, a blank is no plus, a colon may stay."""
    query = {"from": "2024-01-01T00:00:00+01:00", "filter": "name eq a&b=c", "select": "a,ä"}
    connect(server.url).request("GET", ["x"], query=query)
    assert server.seen[0].target == ("/x?from=2024-01-01T00:00:00%2B01:00&filter=name%20eq%20a%26b%3Dc&select=a,%C3%A4")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_content_type_without_content(server: Server, connect: Connect, method: str) -> None:
    """The gateway does not want one on GET and DELETE."""
    connect(server.url).request(method, ["x"])
    names = {name.lower() for name in server.seen[0].headers}
    assert "content-type" not in names
    assert "authorization" in names


def test_bodies_say_what_they_are(server: Server, connect: Connect) -> None:
    """JSON, bytes, or what the caller says."""
    transport = connect(server.url)
    transport.request("POST", ["x"], json={"a": "ä"})
    transport.request("PUT", ["x"], body=b"123")
    transport.request("PUT", ["x"], body=b"123", headers={"content-type": "text/plain"})
    transport.request("PUT", ["x"])
    kinds = [seen.headers.get("Content-Type", seen.headers.get("content-type")) for seen in server.seen]
    assert kinds == ["application/json", "application/octet-stream", "text/plain", None]
    assert json.loads(server.seen[0].body) == {"a": "ä"}
    assert server.seen[3].headers["Content-Length"] == "0"


@pytest.mark.parametrize("value", ["a\r\nX: y", "ä", "a\x00", 3])
def test_header_values_are_printable_ascii(connect: Connect, value: str) -> None:
    """Anything else could smuggle a header in, or be read differently by each server."""
    with pytest.raises(FrameError, match="description"):
        connect().request("PUT", ["x"], headers={"description": value})


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_file_is_sent_from_where_it_stands_each_time(server: Server, connect: Connect, size: int) -> None:
    """A retry winds it back; the length is told."""

    def script(handler: BaseHTTPRequestHandler, _: Seen) -> None:
        reply(handler, 200 if len(server.seen) == 2 else 503)

    server.script = script
    source = io.BytesIO(b"skip" + b"x" * size)
    source.seek(4)
    connect(server.url).request("PUT", ["x"], body=source)
    assert [seen.body for seen in server.seen] == [b"x" * size] * 2
    assert server.seen[0].headers["Content-Length"] == str(size)


def test_large_bytes_arrive_whole(server: Server, connect: Connect) -> None:
    """They are handed out in blocks, again for each try."""
    content = bytes(range(256)) * 4096
    connect(server.url).request("PUT", ["x"], body=content)
    assert server.seen[0].body == content
    assert "Transfer-Encoding" not in server.seen[0].headers


def test_a_body_that_cannot_be_wound_back_is_read_first(server: Server, connect: Connect) -> None:
    """Else a retry would send nothing."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    connect(server.url).request("PUT", ["x"], body=Pipe(b"abc"))
    assert server.seen[0].body == b"abc"


# Answers


def test_an_answer_has_status_headers_and_content(server: Server, connect: Connect) -> None:
    """Headers are found in any case; gzip is undone."""
    packed = gzip.compress(b"hello" * 1000)
    server.script = lambda handler, _: reply(handler, 201, packed, Content_Encoding="gzip", ETag="3")
    answer = connect(server.url).request("GET", ["x"])
    assert (answer.status, answer.headers["etag"], answer.content) == (201, "3", b"hello" * 1000)
    assert "gzip" in server.seen[0].headers["Accept-Encoding"]
    assert "hello" not in repr(answer)


def test_connections_are_kept(server: Server, connect: Connect) -> None:
    """Ten requests one after the other, with and without content, in one connection."""
    server.script = lambda handler, seen: reply(handler, *((204,) if seen.method == "DELETE" else (200, b"x" * 99999)))
    transport = connect(server.url)
    for _ in range(5):
        transport.request("GET", ["x"])
        transport.request("DELETE", ["x"])
    assert len({seen.client for seen in server.seen}) == 1


def test_an_error_keeps_the_connection(server: Server, connect: Connect) -> None:
    """Its short body is read, so that the next request needs no new handshake."""
    server.script = lambda handler, seen: reply(handler, 404 if len(server.seen) == 1 else 200, b"gone")
    transport = connect(server.url)
    with pytest.raises(NotFoundError):
        transport.request("GET", ["x"])
    transport.request("GET", ["x"])
    assert len({seen.client for seen in server.seen}) == 1


def test_chunked_answers_are_read(server: Server, connect: Connect) -> None:
    """An answer without a length comes whole."""

    def script(handler: BaseHTTPRequestHandler, _: Seen) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\nabc\r\n" + b"2\r\nde\r\n" + b"0\r\n\r\n")

    server.script = script
    assert connect(server.url).request("GET", ["x"]).content == b"abcde"


def test_an_answer_too_large_is_refused(server: Server, connect: Connect) -> None:
    """What counts is what would fill the memory, not what travels; it is not tried again."""
    packed = gzip.compress(b"0" * 3_000_000)
    server.script = lambda handler, _: reply(handler, 200, packed, Content_Encoding="gzip")
    with pytest.raises(ProtocolError, match="max_answer_bytes=2000000"):
        connect(server.url, max_answer_bytes=2_000_000).request("GET", ["x"])
    assert len(server.seen) == 1
    assert connect(server.url, max_answer_bytes=3_000_000).request("GET", ["x"]).content == b"0" * 3_000_000


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_cut_short_is_no_answer(server: Server, connect: Connect, packed: bool) -> None:
    """Half a page is never taken for a page; a GET is tried again."""
    body = gzip.compress(b"abc" * 100) if packed else b"abc" * 100

    def script(handler: BaseHTTPRequestHandler, _: Seen) -> None:
        if len(server.seen) > 1:
            reply(handler, 200, b"whole")
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        if packed:
            handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(body[:-5])
        handler.close_connection = True

    server.script = script
    assert connect(server.url).request("GET", ["x"]).content == b"whole"


def test_a_trickle_does_not_outlive_the_deadline(server: Server, connect: Connect, clock: Clock) -> None:
    """Each byte comes in time for the socket, all of them together too late."""

    def script(handler: BaseHTTPRequestHandler, _: Seen) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        clock.now += 71
        handler.wfile.write(b"x")

    server.script = script
    with pytest.raises(TransportError, match="request_deadline=70"):
        connect(server.url, max_attempts=1, read_timeout=5).request("GET", ["x"])


def test_every_request_has_timeouts(mock: requests_mock.Mocker, connect: Connect) -> None:
    """To connect, to read, and for both together; none is longer than the whole may take."""
    mock.get(f"{HOST}/x")
    connect().request("GET", ["x"])
    connect(request_deadline=5).request("GET", ["x"])
    given = [request.timeout for request in mock.request_history]
    assert [(one.total, one.connect_timeout, one.read_timeout) for one in given] == [(70, 10, 65), (5, 5, 65)]


@pytest.mark.parametrize("lasting", [True, False])
def test_a_wait_for_the_body_is_no_longer_than_what_is_left(
    server: Server, connect: Connect, clock: Clock, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    """However late the first byte came, and whether the connection stays or goes: else the deadline counts twice."""
    last_wait = threading.Event()
    original = socket.socket.settimeout

    def settimeout(one: socket.socket, seconds: float | None) -> None:
        if seconds == 0.5:
            last_wait.set()
        original(one, seconds)

    def script(handler: BaseHTTPRequestHandler, _: Seen) -> None:
        clock.now += 69.5
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        if not lasting:
            handler.send_header("Connection", "close")
        handler.end_headers()
        if last_wait.wait(5):
            handler.wfile.write(b"ok")

    server.script = script
    monkeypatch.setattr(socket.socket, "settimeout", settimeout)
    assert connect(server.url, max_attempts=1).request("GET", ["x"]).content == b"ok"


# The token


def test_a_user_token_is_sent_and_not_renewed(server: Server, connect: Connect) -> None:
    """Refused once is refused."""
    server.script = lambda handler, _: reply(handler, 401)
    with pytest.raises(AuthError, match="fresh") as caught:
        connect(server.url).request("GET", ["x"])
    assert [seen.headers["Authorization"] for seen in server.seen] == ["Bearer t0ken-of-user"]
    assert (caught.value.status, caught.value.attempts) == (401, 1)


def test_netrc_cannot_replace_the_token(
    server: Server, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file meant for other programs must not decide who we are."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hush\ndefault login me password hush\n")
    monkeypatch.setenv("NETRC", str(netrc))
    connect(server.url).request("GET", ["x"])
    assert server.seen[0].headers["Authorization"] == "Bearer t0ken-of-user"


def test_loopback_ignores_the_environments_proxy(
    server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would not reach this machine, and would see the token."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert connect(server.url).request("GET", ["x"]).content == b"ok"


def test_proxies_reach_the_session(
    mock: requests_mock.Mocker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Explicit ones, else the environment's with its exceptions."""
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://corp:1")
    mock.get(f"{HOST}/x")
    connect().request("GET", ["x"])
    connect(proxy_host="mine", proxy_port=2).request("GET", ["x"])
    connect(proxies={}).request("GET", ["x"])
    monkeypatch.setenv("NO_PROXY", "gateway.test")
    connect().request("GET", ["x"])
    used = [request.proxies.get("https") for request in mock.request_history]
    assert used == ["http://corp:1", "http://mine:2", None, None]


def test_certificates_are_checked_with_the_bundle_given(
    mock: requests_mock.Mocker, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is on, whatever the authorities."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    mock.get(f"{HOST}/x")
    connect().request("GET", ["x"])
    connect(ca_bundle=bundle).request("GET", ["x"])
    assert [request.verify for request in mock.request_history] == [True, str(bundle)]


def test_a_certificate_not_trusted_is_final(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying again does not help, and nothing was sent."""
    error = requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    monkeypatch.setattr(requests.Session, "request", raising(error))
    with pytest.raises(TransportError, match="ca_bundle") as caught:
        connect().request("POST", ["x"], retry="unsent")
    assert (caught.value.attempts, caught.value.unknown_outcome, caught.value.transient) == (1, False, False)


def raising(error: Exception) -> Callable[..., requests.Response]:
    """Stand in for a session's request."""

    def request(*args: object, **kwargs: object) -> requests.Response:
        raise error

    return request


def test_app_credentials_get_one_token_for_all(mock: requests_mock.Mocker, connect: Connect) -> None:
    """It is asked for once and sent with each request."""
    tokens = mock.post(TOKEN_URL, json={"access_token": "t1"})
    mock.get(f"{HOST}/x")
    transport = connect(credentials=APP)
    transport.request("GET", ["x"])
    transport.request("GET", ["x"])
    assert tokens.call_count == 1
    assert "Authorization" not in tokens.last_request.headers
    assert mock.last_request.headers["Authorization"] == "Bearer t1"


def test_tenant_credentials_ask_their_own_host(mock: requests_mock.Mocker, connect: Connect) -> None:
    """With basic authentication, which ``~/.netrc`` cannot replace either."""
    tokens = mock.post("https://acme.piam.test/oauth/token", json={"access_token": "t1", "expires_in": 1800})
    mock.get(f"{HOST}/x")
    connect(credentials=TenantCredentials("my-id", "my-s3cret", "acme")).request("GET", ["x"])
    assert tokens.last_request.headers["Authorization"].startswith("Basic ")
    assert tokens.last_request.text == "grant_type=client_credentials"


def test_a_refused_token_is_renewed_once(mock: requests_mock.Mocker, connect: Connect, clock: Clock) -> None:
    """The service may withdraw one before its time; the second refusal is final."""
    tokens = mock.post(TOKEN_URL, [{"json": {"access_token": f"t{n}"}} for n in (1, 2, 3)])
    data = mock.post(f"{HOST}/x", [{"status_code": 401}, {"status_code": 202}, {"status_code": 401}])
    transport = connect(credentials=APP)
    assert transport.request("POST", ["x"], body=b"x" * 100_000, retry="unsent").status == 202
    assert tokens.call_count == 2
    with pytest.raises(AuthError):
        transport.request("POST", ["x"], retry="unsent")
    assert tokens.call_count == 3
    assert [r.headers["Authorization"] for r in data.request_history] == [
        f"Bearer {token}" for token in ("t1", "t2", "t2", "t3")
    ]
    assert clock.slept == []


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_token_endpoint_that_refuses_is_an_auth_error(
    mock: requests_mock.Mocker, connect: Connect, status: int
) -> None:
    """Whatever 4xx it uses; its own words are in the message, the secret is not."""
    body = {"error": "invalid_client", "error_description": "bad my-s3cret"}
    mock.post(TOKEN_URL, status_code=status, json=body)
    with pytest.raises(AuthError, match="invalid_client: bad \\*\\*\\*") as caught:
        connect(credentials=APP).request("GET", ["x"])
    assert caught.value.url == TOKEN_URL


def test_without_a_token_nothing_was_done(mock: requests_mock.Mocker, connect: Connect) -> None:
    """A token endpoint out of order leaves no doubt about the request itself: it was never sent."""
    mock.post(TOKEN_URL, status_code=503)
    with pytest.raises(TransportError, match="not sent") as caught:
        connect(credentials=APP, max_attempts=2).request("POST", ["importJobs"], retry="unsent")
    assert not caught.value.unknown_outcome
    mock.post(TOKEN_URL, exc=requests.exceptions.ReadTimeout)
    with pytest.raises(TransportError) as caught:
        connect(credentials=APP, max_attempts=2).request("POST", ["importJobs"], retry="unsent")
    assert not caught.value.unknown_outcome


def test_a_token_answer_without_a_token_is_a_protocol_error(mock: requests_mock.Mocker, connect: Connect) -> None:
    """A wrong address often answers with a page."""
    mock.post(TOKEN_URL, text="<html>hello</html>")
    with pytest.raises(ProtocolError, match="access_token"):
        connect(credentials=APP).request("GET", ["x"])


def test_a_redirect_is_not_followed(server: Server, connect: Connect) -> None:
    """The token would go to wherever it points."""
    server.script = lambda handler, _: reply(handler, 302, Location="http://127.0.0.1:9/steal")
    with pytest.raises(ServiceError, match="redirects are not followed") as caught:
        connect(server.url).request("GET", ["x"])
    assert (caught.value.status, caught.value.transient, len(server.seen)) == (302, False, 1)


def test_cookies_are_not_kept(server: Server, connect: Connect) -> None:
    """A session of the gateway must not outlive or replace the token."""
    server.script = lambda handler, _: reply(handler, 200, Set_Cookie="SESSION=1")
    transport = connect(server.url)
    transport.request("GET", ["x"])
    transport.request("GET", ["x"])
    assert "Cookie" not in server.seen[1].headers


# Retries


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_reading_is_tried_again(mock: requests_mock.Mocker, connect: Connect, clock: Clock, status: int) -> None:
    """Trouble on the way passes; pauses are random, under a bound that doubles."""
    mock.get(f"{HOST}/x", [{"status_code": status}] * 4 + [{"text": "ok"}])
    assert connect().request("GET", ["x"]).content == b"ok"
    assert all(0 <= pause <= bound for pause, bound in zip(clock.slept, (0.5, 1, 2, 4), strict=True))


@pytest.mark.parametrize("status", [400, 404, 409, 412, 413, 501])
def test_what_stays_wrong_is_not_tried_again(mock: requests_mock.Mocker, connect: Connect, status: int) -> None:
    """The same request would get the same answer."""
    mock.get(f"{HOST}/x", status_code=status)
    with pytest.raises(ServiceError) as caught:
        connect().request("GET", ["x"])
    assert (caught.value.attempts, mock.call_count) == (1, 1)


@pytest.mark.parametrize(
    ("retry", "status", "tries"),
    [("always", 500, 3), ("always", 502, 3), ("always", 429, 3), ("unsent", 429, 3), ("never", 429, 1)]
    + [("unsent", status, 1) for status in (500, 502, 503, 504)],
)
def test_which_answers_to_a_write_allow_another_try(
    mock: requests_mock.Mocker, connect: Connect, retry: str, status: int, tries: int
) -> None:
    """After a 5xx the outcome is unknown; only 429 says that nothing was done."""
    mock.post(f"{HOST}/x", status_code=status, headers={"Retry-After": "1"})
    with pytest.raises(ServiceError) as caught:
        connect(max_attempts=3).request("POST", ["x"], retry=retry)
    assert (mock.call_count, caught.value.attempts) == (tries, tries)


CONNECT = requests.exceptions.ConnectTimeout
READ = requests.exceptions.ReadTimeout


@pytest.mark.parametrize(
    ("method", "retry", "error", "tries", "unknown"),
    [
        ("GET", "always", READ, 3, False),
        ("PUT", "always", READ, 3, True),
        ("POST", "unsent", READ, 1, True),
        ("POST", "unsent", requests.exceptions.ConnectionError, 1, True),
        ("POST", "unsent", CONNECT, 3, False),
        ("POST", "unsent", requests.exceptions.ProxyError, 3, False),
        ("POST", "never", CONNECT, 1, False),
    ],
)
def test_which_silences_allow_another_try(
    mock: requests_mock.Mocker,
    connect: Connect,
    method: str,
    retry: str,
    error: type[Exception],
    tries: int,
    unknown: bool,
) -> None:
    """A job is posted again only where no connection came about; else the outcome is said to be unknown."""
    mock.request(method, f"{HOST}/x", exc=error)
    with pytest.raises(TransportError) as caught:
        connect(max_attempts=3).request(method, ["x"], retry=retry)
    found = caught.value
    assert (mock.call_count, found.attempts, found.unknown_outcome) == (tries, tries, unknown)
    assert ("look before" in str(found)) == unknown
    assert found.transient


def test_a_refused_connection_was_never_sent(connect: Connect) -> None:
    """On a real socket: nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(TransportError, match="refused") as caught:
        connect(f"http://127.0.0.1:{port}", max_attempts=3).request("POST", ["x"], retry="unsent")
    assert (caught.value.attempts, caught.value.unknown_outcome) == (3, False)


def test_a_connection_closed_without_an_answer_is_unknown(server: Server, connect: Connect) -> None:
    """On a real socket: the request arrived, the answer did not."""
    server.script = lambda handler, _: setattr(handler, "close_connection", True)
    with pytest.raises(TransportError) as caught:
        connect(server.url).request("POST", ["x"], json={}, retry="unsent")
    assert (caught.value.attempts, caught.value.unknown_outcome, len(server.seen)) == (1, True, 1)


def test_retry_after_in_seconds(mock: requests_mock.Mocker, connect: Connect, clock: Clock) -> None:
    """The service's own word beats our guess."""
    mock.get(f"{HOST}/x", [{"status_code": 503, "headers": {"Retry-After": "7"}}, {}])
    connect().request("GET", ["x"])
    assert clock.slept == [7.0]


def test_retry_after_as_a_date(mock: requests_mock.Mocker, connect: Connect, clock: Clock) -> None:
    """Counted from the answer's own date: the clocks may differ."""
    headers = {"Retry-After": formatdate(1_000_030, usegmt=True), "Date": formatdate(1_000_000, usegmt=True)}
    mock.get(f"{HOST}/x", [{"status_code": 429, "headers": headers}, {}])
    connect().request("GET", ["x"])
    assert clock.slept == [30.0]


@pytest.mark.parametrize("value", ["soon", "-5", "nan", ""])
def test_a_retry_after_that_makes_no_sense_is_passed_over(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock, value: str
) -> None:
    """As if it were not there."""
    mock.get(f"{HOST}/x", [{"status_code": 429, "headers": {"Retry-After": value}}, {}])
    connect().request("GET", ["x"])
    assert 0 <= clock.slept[0] <= 0.5


def test_the_budget_ends_the_retries(mock: requests_mock.Mocker, connect: Connect, clock: Clock) -> None:
    """No try begins later than that after the first."""
    mock.get(f"{HOST}/x", status_code=503, headers={"Retry-After": "40"})
    with pytest.raises(ServiceError) as caught:
        connect(retry_budget=100).request("GET", ["x"])
    assert (caught.value.attempts, clock.slept) == (3, [40.0, 40.0])


def test_a_wait_beyond_the_budget_is_an_error_at_once(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock
) -> None:
    """For the one who was told, and for all who come while the pause lasts: nothing is sent."""
    mock.get(f"{HOST}/x", status_code=429, headers={"Retry-After": "600"})
    transport = connect()
    with pytest.raises(ThrottledError) as caught:
        transport.request("GET", ["x"])
    assert (caught.value.retry_after, caught.value.attempts) == (600.0, 1)
    with pytest.raises(ThrottledError, match="retry_budget=180"):
        transport.request("GET", ["x"])
    assert (mock.call_count, clock.slept) == (1, [])


def test_one_pause_for_all_threads(mock: requests_mock.Mocker, connect: Connect, clock: Clock) -> None:
    """Who comes during the pause waits for its rest before sending anything."""
    mock.get(f"{HOST}/first", [{"status_code": 429, "headers": {"Retry-After": "50"}}, {}])
    mock.get(f"{HOST}/second")
    transport = connect(max_attempts=1)
    with pytest.raises(ThrottledError):
        transport.request("GET", ["first"])
    clock.now += 20
    transport.request("GET", ["second"])
    assert clock.slept == [30.0]


def test_a_pause_counts_before_each_try(mock: requests_mock.Mocker, connect: Connect, clock: Clock) -> None:
    """One that came up between two tries is refused as one before the first: nobody sits it out beyond the budget."""
    transport = connect(retry_budget=10)
    others = connect(retry_budget=10)
    others._gate = transport._gate
    others._throttle = transport._throttle

    def answer(*_: object) -> str:
        with pytest.raises(ThrottledError):
            others.request("GET", ["other"])
        return ""

    mock.get(f"{HOST}/other", status_code=429, headers={"Retry-After": "60"})
    mock.get(f"{HOST}/x", status_code=503, text=answer)
    with pytest.raises(ThrottledError, match="retry_budget=10") as caught:
        transport.request("GET", ["x"])
    assert (caught.value.attempts, mock.call_count) == (1, 2)
    assert sum(clock.slept) <= 0.5


def test_a_pause_made_longer_meanwhile_is_kept(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wakes from a pause looks again, and holds no place meanwhile: with a single one, another can send."""
    mock.get(f"{HOST}/first", [{"status_code": 429, "headers": {"Retry-After": "5"}}, {}])
    mock.get(f"{HOST}/second", status_code=429, headers={"Retry-After": "7"})
    mock.get(f"{HOST}/third")
    transport = connect(max_attempts=1, max_connections=1)
    with pytest.raises(ThrottledError):
        transport.request("GET", ["first"])
    held = []

    def sleep(seconds: float) -> None:
        held.append(transport._gate._busy)
        clock.sleep(seconds)
        if len(clock.slept) == 1:
            with pytest.raises(ThrottledError):
                transport.request("GET", ["second"])

    monkeypatch.setattr(transport, "_sleep", sleep)
    transport.request("GET", ["third"])
    assert (clock.slept, held) == ([5.0, 7.0], [0, 0])


def test_a_throttling_without_a_time_pauses_all(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause before the next try is everybody's: the limit is the service's; it is random, under a growing bound."""
    mock.get(f"{HOST}/x", [{"status_code": 429}, {"status_code": 429}, {"status_code": 503}, {}])
    transport = connect()
    shared = []
    bounds = []

    def sleep(seconds: float) -> None:
        shared.append(transport._throttle.remaining)
        clock.sleep(seconds)

    def draw(least: float, most: float) -> float:
        bounds.append((least, most))
        return most

    monkeypatch.setattr(transport, "_sleep", sleep)
    monkeypatch.setattr(transport, "_draw", draw)
    transport.request("GET", ["x"])
    assert (shared, clock.slept, bounds) == ([0.5, 1.0, 0.0], [0.5, 1.0, 2.0], [(0, 0.5), (0, 1.0), (0, 2.0)])


def test_who_leaves_is_not_held_by_a_token_and_spoils_it_for_nobody(server: Server, connect: Connect) -> None:
    """The token request ends with the caller, at its first try; another one on the connection asks anew."""
    arrived, done = threading.Event(), threading.Event()

    def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        if len(server.seen) == 1:
            arrived.set()
            done.wait(5)
        reply(handler, 200, b'{"access_token": "t1"}')

    server.script = script
    stop = Stop()
    transport = connect(server.url, APP)
    ended: list[TransportError] = []

    def leave() -> None:
        with pytest.raises(TransportError) as caught:
            transport.request("GET", ["x"], stop=stop)
        ended.append(caught.value)

    leaving = threading.Thread(target=leave)
    leaving.start()
    assert arrived.wait(5)
    stop.now()
    leaving.join(5)
    assert ended[0].attempts == 1
    assert transport.request("GET", ["x"]).status == 200
    done.set()
    with pytest.raises(TransportError, match="left"):
        transport.request("GET", ["x"], stop=stop)
    assert [seen.target for seen in server.seen] == [TOKEN_URL.removeprefix(HOST)] * 2 + ["/x"]


def test_no_more_connections_than_allowed(server: Server, connect: Connect) -> None:
    """However many threads ask: three meet in the server, four never do."""
    three, four = threading.Barrier(3), threading.Barrier(4)
    met = []

    def script(handler: BaseHTTPRequestHandler, _: Seen) -> None:
        for barrier, patience in ((three, 5), (four, 0.2)):
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait(patience)
                met.append(barrier.parties)
        reply(handler, 200)

    server.script = script
    transport = connect(server.url, max_connections=3)
    threads = [threading.Thread(target=transport.request, args=("GET", ["x"])) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert met == [3] * 9


def test_a_single_connection_is_enough_for_token_and_request(server: Server, connect: Connect) -> None:
    """Who waits for a token holds no connection."""
    server.script = lambda handler, _: reply(handler, 200, b'{"access_token": "t1"}')
    transport = connect(server.url, APP, max_connections=1)
    assert transport.request("GET", ["x"]).status == 200


# Errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthError),
        (403, AuthError),
        (404, NotFoundError),
        (409, ConflictError),
        (412, ConflictError),
        (429, ThrottledError),
        (400, ServiceError),
        (418, ServiceError),
        (500, ServiceError),
    ],
)
def test_statuses_become_errors(
    mock: requests_mock.Mocker, connect: Connect, status: int, kind: type[ServiceError]
) -> None:
    """Each with status, words, request id and the next step; all survive pickle."""
    mock.get(f"{HOST}/a/b", status_code=status, json={"message": "not so"}, headers={"X-Request-Id": "r-1"})
    with pytest.raises(ServiceError) as caught:
        connect(max_attempts=1).request("GET", ["a", "b"], query={"from": "2024"})
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.detail, error.request_id, error.method) == (status, "not so", "r-1", "GET")
    assert error.url == f"{HOST}/a/b?from=2024"
    assert str(error).startswith(
        f"GET /a/b: the service answered {status}: not so (1 attempt in 0.0 s, request id r-1); "
    )
    assert error.transient == (status in (429, 500))
    assert pickle.loads(pickle.dumps(error)).__dict__ == error.__dict__


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            '{"timestamp": 1, "status": 400, "error": "Bad Request", "exception": "x.Y", "message": "m", "path": "/"}',
            "Bad Request: m",
        ),
        ('{"id": "file.conflict", "message": "m"}', "file.conflict: m"),
        (
            '{"errors": [{"code": "c1", "message": "m1", "logref": "l"}, {"code": "c2", "message": "m2"}]}',
            "c1: m1; c2: m2",
        ),
        ('{"error": "invalid_grant", "error_description": "d"}', "invalid_grant: d"),
        ('[{"message": "m"}]', "m"),
        ('"m"', "m"),
        ('{"other": 1}', '{"other": 1}'),
        ("<!DOCTYPE html><html><title>t</title><body><p>502 &amp; more</p><script>x()</script></body>", "502 & more"),
        ("plain\r\n text\x07", "plain text"),
        ("", ""),
        ("[" * 100_000, None),
    ],
)
def test_every_form_of_error_body_becomes_a_line(
    mock: requests_mock.Mocker, connect: Connect, body: str, detail: str | None
) -> None:
    """JSON of all services, HTML, text, nothing: never more than 500 characters."""
    mock.get(f"{HOST}/x", status_code=400, text=body)
    with pytest.raises(ServiceError) as caught:
        connect().request("GET", ["x"])
    assert len(caught.value.detail) <= 500
    assert detail is None or caught.value.detail == detail
    assert body or "without an explanation" in str(caught.value)


def test_a_broken_error_body_is_still_that_error(server: Server, connect: Connect) -> None:
    """The status is known, whatever follows."""

    def script(handler: BaseHTTPRequestHandler, _: Seen) -> None:
        handler.send_response(404)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    server.script = script
    with pytest.raises(NotFoundError):
        connect(server.url).request("GET", ["x"])


def test_an_endless_error_body_is_not_read(server: Server, connect: Connect) -> None:
    """A part is enough for a message."""
    server.script = lambda handler, _: reply(handler, 400, b"e" * 5_000_000)
    with pytest.raises(ServiceError) as caught:
        connect(server.url).request("GET", ["x"])
    assert caught.value.detail == "e" * 499 + "…"


def test_an_address_requests_cannot_use_is_a_config_error(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It will not get better by trying again."""
    monkeypatch.setattr(requests.Session, "request", raising(requests.exceptions.InvalidProxyURL("no host")))
    with pytest.raises(ConfigError, match="no host"):
        connect().request("GET", ["x"])


# Secrets, end of life


def everything_said(error: BaseException | None) -> str:
    """All an error and its causes could show or carry."""
    said = "".join(traceback.format_exception(error)) if error else ""
    while error is not None:
        said += repr(error) + repr(error.args) + repr(vars(error))
        for request in (getattr(error, "request", None), getattr(getattr(error, "response", None), "request", None)):
            said += repr(getattr(request, "headers", ""))
        error = error.__cause__ or error.__context__
    return said


@pytest.mark.parametrize("case", ["refused", "echo", "silence", "token refused", "token silent"])
def test_no_secret_in_errors_and_logs(
    server: Server, connect: Connect, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    """Neither in messages nor in causes, attributes, tracebacks or debug logs."""
    caplog.set_level(logging.DEBUG)

    def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        token_asked = seen.target.endswith("oauth/token")
        if token_asked and case == "token refused":
            reply(handler, 401, json.dumps({"message": f"no: {seen.headers} my-s3cret"}).encode())
        elif token_asked and case != "token silent":
            reply(handler, 200, b'{"access_token": "t0ken-hush"}')
        elif case == "echo":
            reply(handler, 400, f"bad header {seen.headers.get('Authorization')}".encode())
        elif case == "refused":
            reply(handler, 403)
        else:
            handler.close_connection = True

    server.script = script
    transport = connect(server.url, APP, max_attempts=2)
    with pytest.raises(TsBulkError) as caught:
        transport.request("GET", ["x"], query={"key": "hush-value"})
    said = everything_said(caught.value) + caplog.text + repr(transport) + repr(vars(caught.value))
    for secret in ("t0ken-hush", "my-s3cret", "bXktaWQ6bXktczNjcmV0"):
        assert secret not in said
    if "token" not in case:
        assert "hush-value" not in str(caught.value) + caught.value.url
    assert "tsbulk_frames" in {record.name for record in caplog.records}


def test_the_cause_is_chained_without_its_request(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception of requests holds the prepared request, and that the token."""
    request = requests.Request("GET", f"{HOST}/x", headers={"Authorization": "Bearer t0ken-of-user"}).prepare()
    original = requests.exceptions.ReadTimeout("t0ken-of-user took too long", request=request)
    monkeypatch.setattr(requests.Session, "request", raising(original))
    with pytest.raises(TransportError) as caught:
        connect(max_attempts=1).request("GET", ["x"])
    assert isinstance(caught.value.__cause__, requests.exceptions.ReadTimeout)
    assert caught.value.__cause__.request is None
    assert "t0ken" not in everything_said(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).attempts == 1


def test_a_transport_does_not_travel(connect: Connect) -> None:
    """It holds a token and sockets."""
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(connect())


def test_a_closed_transport_has_no_token(mock: requests_mock.Mocker, connect: Connect) -> None:
    """It is forgotten with the sockets."""
    mock.post(TOKEN_URL, json={"access_token": "t1"})
    mock.get(f"{HOST}/x")
    transport = connect(credentials=APP)
    transport.request("GET", ["x"])
    transport.close()
    assert transport._tokens._token is None
    with pytest.raises(ConfigError, match="closed"):
        transport.request("GET", ["x"])
    assert mock.call_count == 2


def test_a_closed_transport_says_so(server: Server, clock: Clock, connect: Connect) -> None:
    """Closing twice does no harm; a request afterwards is not a network problem."""
    with connect(server.url) as transport:
        transport.request("GET", ["x"])
    transport.close()
    with pytest.raises(ConfigError, match="closed"):
        transport.request("GET", ["x"])
    assert len(server.seen) == 1
    assert repr(transport) == f"Transport('{server.url}', UserToken(authorization='***'))"
    assert UserToken("x") != UserToken("y")
