"""What the README promises about secrets, foreign hosts, certificates, bounds and files: each held on real sockets.

Two servers: the gateway that is configured, and a foreign one that notes whatever it gets: it must get nothing.
"""

from __future__ import annotations

import ast
import base64
import functools
import gzip
import io
import json
import logging
import os
import pickle
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pandas as pd
import pytest
import requests
from badinputs import frame
from plant import open_site
from wireside import Seen, Server, open_server, reply

import tsbulk_frames as tsb
from tsbulk_frames.importplan import ImportPlan, Problem
from tsbulk_frames.model import TwinType
from tsbulk_frames.report import PartitionReport

SECRETS = ("hush-token", "hush-secret", base64.b64encode(b"app-id:hush-secret").decode())
APP = tsb.AppCredentials("app", "1", "host", "user", "app-id", "hush-secret")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
PACKAGE = Path(tsb.__file__).parent
README = Path(__file__).parents[2] / "README.md"
TIME = "2026-03-01T10:00:00Z"

NOT_FOLLOWED = "redirects are not followed"


@pytest.fixture
def gateway() -> Iterator[Server]:
    """Run the gateway that is configured."""
    yield from open_server()


@pytest.fixture
def foreign() -> Iterator[Server]:
    """Run a server that is to get nothing."""
    yield from open_server()


def token_of(seen: Seen) -> bool:
    """Whether a request asks for a token."""
    return seen.target.endswith("/oauth/token")


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler, Seen], None]:
    """Give tokens, and answer everything else like this."""

    def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        if token_of(seen):
            reply(handler, 200, b'{"access_token": "hush-token"}')
        else:
            reply(handler, status, body, **headers)

    return script


@contextmanager
def connected(url: str, credentials: object = APP, **settings: object) -> Iterator[tsb.Connection]:
    """Connect without patience."""
    settings = {"max_attempts": 1, "retry_budget": 0, "request_deadline": 20, **settings}
    with tsb.Connection(tsb.RestClientConfig(host_url=url, **settings), credentials) as con:
        yield con


def read(con: tsb.Connection, **change: object) -> pd.DataFrame:
    """Read a day."""
    given = {"entity": "e1", "property_set": "pump", "start": "2026-03-01", "end": "2026-03-02", "max_workers": 1}
    return tsb.read_timeseries(**{**given, "connection": con, **change})


def page(seconds: list[int], **more: object) -> bytes:
    """Spell a page."""
    records = [{"_time": f"2026-03-01T10:00:{second:02d}Z", "speed": 1.5} for second in seconds]
    return json.dumps({"records": records, **more}).encode()


# Where tokens go


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("credentials", [APP, tsb.UserToken("hush-token")], ids=["app", "user"])
def test_a_redirect_is_never_followed(gateway: Server, foreign: Server, status: int, credentials: object) -> None:
    """Neither with the token nor without; the error says so."""
    gateway.script = answering(status, Location=f"{foreign.url}/elsewhere")
    with (
        connected(gateway.url, credentials) as con,
        pytest.raises(tsb.ServiceError, match=NOT_FOLLOWED),
    ):
        read(con)
    assert gateway.seen
    assert not foreign.seen


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirected_token_request_keeps_the_client_secret_here(gateway: Server, foreign: Server, status: int) -> None:
    """The secret goes to the token endpoint of the gateway, or nowhere."""
    gateway.script = lambda handler, _: reply(handler, status, Location=f"{foreign.url}/oauth/token")
    with connected(gateway.url) as con, pytest.raises(tsb.TsBulkError, match=NOT_FOLLOWED):
        read(con)
    assert not foreign.seen


@pytest.mark.parametrize("way", ["nextRecord", "Link"])
def test_a_next_page_elsewhere_is_asked_for_here(gateway: Server, foreign: Server, way: str) -> None:
    """Of the URL only the query is used: the next page comes from the gateway, whatever host it names."""

    def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        url = f"{foreign.url}/evil/?from={TIME}&to=2026-03-02T00:00:00Z"
        if token_of(seen):
            reply(handler, 200, b'{"access_token": "hush-token"}')
        elif f"from={TIME}" in seen.target:
            reply(handler, 200, page([2]))
        elif way == "Link":
            reply(handler, 200, page([1]), Link=f'<{url}>; rel="next"')
        else:
            reply(handler, 200, page([1], nextRecord=url))

    gateway.script = script
    with connected(gateway.url) as con:
        assert len(read(con)) == 2
    assert not foreign.seen
    assert {seen.target.partition("?")[0] for seen in gateway.seen[1:]} == {"/api/iottsbulk/v3/timeseries/e1/pump"}


def test_a_location_elsewhere_gives_the_id_alone(gateway: Server, foreign: Server) -> None:
    """A job is asked for at the gateway, wherever `Location` points."""

    def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        if seen.method == "POST":
            reply(handler, 201, Location=f"{foreign.url}/api/importJobs/4e37")
        else:
            reply(handler, 200, b'{"id": "4e37", "status": "SUCCESS"}')

    gateway.script = script
    info = tsb.FileInfo(file_path="a.json", _from=TIME, to=TIME)
    data = tsb.Data(entity="e1", property_set_name="pump", timeseries_files=[info])
    request = tsb.CreateImportJobRequest(bulk_import_input=tsb.BulkImportInput(data=[data]))
    with connected(gateway.url, tsb.UserToken("hush-token")) as con:
        job = con.imports.create_import_job(request)
        assert tsb.wait_for_jobs([job.id], connection=con)["status"].tolist() == ["SUCCESS"]
    assert [seen.target for seen in gateway.seen] == [
        "/api/iottsbulk/v3/importJobs",
        "/api/iottsbulk/v3/importJobs/4e37",
    ]
    assert not foreign.seen


def test_no_proxy_stands_before_this_machine(gateway: Server, foreign: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment gets nothing of what goes to a local gateway."""
    for name in PROXIES:
        monkeypatch.setenv(name, foreign.url)
    gateway.script = answering(200, page([1]))
    with connected(gateway.url) as con:
        assert len(read(con)) == 1
    assert not foreign.seen


@pytest.mark.parametrize("explicit", [True, False])
def test_a_proxy_sees_where_to_and_nothing_else(
    foreign: Server, monkeypatch: pytest.MonkeyPatch, explicit: bool
) -> None:
    """It is asked for a tunnel; the token travels inside, encrypted. Its own password is never shown."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    proxy = foreign.url.replace("http://", "http://me:hush-proxy@")
    if not explicit:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    foreign.script = lambda handler, _: reply(handler, 403)
    settings = {"proxies": {"https": proxy}} if explicit else {}
    with connected("https://gateway.test", **settings) as con, pytest.raises(tsb.TransportError) as caught:
        read(con)
    assert [(seen.method, seen.target) for seen in foreign.seen] == [("CONNECT", "gateway.test:443")]
    assert "Authorization" not in foreign.seen[0].headers
    assert not any(secret in str(foreign.seen) for secret in SECRETS)
    assert "hush" not in shown(caught.value) + repr(con.config)


def test_netrc_never_replaces_the_token(gateway: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's ~/.netrc is for other programs."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hush-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    gateway.script = answering(200, page([1]))
    with connected(gateway.url) as con:
        read(con)
    assert [seen.headers.get("Authorization") for seen in gateway.seen] == [None, "Bearer hush-token"]


@pytest.mark.parametrize("url", ["http://gateway.test", "http://10.0.0.1", "http://127.0.0.1.test", "http://0.0.0.0"])
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    """A token never travels unencrypted."""
    with pytest.raises(tsb.ConfigError, match="unencrypted"):
        tsb.connect(url, credentials=APP)


# Certificates


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[str, Path, list[bytes]]]:
    """Run a server with a certificate that nobody has signed, and note what it can decrypt."""
    bundle = tmp_path / "server.pem"
    armour = "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n"
    bundle.write_text(armour.format("CERTIFICATE", CERTIFICATE) + armour.format("PRIVATE KEY", KEY))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    listening = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(client, server_side=True) as stream:
                    got.append(stream.recv(65_536))
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page([1])) + page([1]))
            except OSError:
                client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listening.getsockname()[1]}", bundle, got
    listening.shutdown(2)
    listening.close()
    thread.join(5)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PYTHONHTTPSVERIFY"])
@pytest.mark.parametrize("value", ["", "0", "False"])
def test_the_check_of_certificates_cannot_be_switched_off(
    encrypted: tuple[str, Path, list[bytes]], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """No variable of the environment does it, least of all an empty one; what names a missing file is refused."""
    url, _, got = encrypted
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", *PROXIES):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises((tsb.TransportError, tsb.ConfigError), match=r"ca_bundle|does not exist"):  # noqa: SIM117
        with connected(url, tsb.UserToken("hush-token")) as con:
            read(con)
    assert not any(got)


def test_no_setting_switches_the_check_off(encrypted: tuple[str, Path, list[bytes]]) -> None:
    """There is none; only another authority can be named, and with that the very same server is trusted."""
    url, bundle, got = encrypted
    for value in (False, 0, "", Path("/no/such")):
        with pytest.raises(tsb.ConfigError, match="ca_bundle"):
            tsb.RestClientConfig(host_url=url, ca_bundle=value)
    with pytest.raises(TypeError, match="verify"):
        tsb.RestClientConfig(host_url=url, verify=False)
    with connected(url, tsb.UserToken("hush-token"), ca_bundle=bundle) as con:
        assert len(read(con)) == 1
    assert b"Bearer hush-token" in b"".join(got)


# Nothing secret is shown


def shown(error: BaseException) -> str:
    """All that a traceback with variables shows below this file, through causes and contexts, and what errors carry."""
    texts, todo, seen = [], [error], set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        told = traceback.TracebackException(type(one), one, one.__traceback__, capture_locals=True, compact=True)
        frames = [entry for entry in told.stack if entry.filename != __file__]
        texts += [str(one), repr(one.args), repr(vars(one)), *getattr(one, "__notes__", ())]
        texts += [f"{entry.filename}:{entry.lineno} {entry.line} {entry.locals}" for entry in frames]
        todo += [one.__cause__, one.__context__]
    return "\n".join(texts)


def echoing(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
    """Refuse, and repeat everything that was sent."""
    if token_of(seen):
        reply(handler, 200, b'{"access_token": "hush-token"}')
    else:
        reply(handler, 400, json.dumps({"message": str(seen.headers)}).encode())


def silent(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
    """Give a token, then hang up."""
    if token_of(seen):
        reply(handler, 200, b'{"access_token": "hush-token"}')
    handler.close_connection = True


TROUBLE = {
    "refused": answering(403),
    "not found": answering(404),
    "redirected": answering(302, Location="https://h.test/?hush-token"),
    "throttled": answering(429),
    "down": answering(503, b"<html>down</html>"),
    "no page": answering(200, b"<html>"),
    "no records": answering(200, b'{"records": [{"speed": 1}]}'),
    "broken gzip": answering(200, b"{}", Content_Encoding="gzip"),
    "too large": answering(200, b" " * 300_000),
    "echoed": echoing,
    "silent": silent,
    "token refused": lambda handler, seen: reply(handler, 401, str((seen.headers, seen.body)).encode()),
    "token echoed": lambda handler, seen: reply(handler, 200, b'{"access_token": "hush-token\\n"}'),
    "token cut": lambda handler, seen: reply(handler, 200, b'{"access_token": "hush-token'),
    "token silent": lambda handler, seen: setattr(handler, "close_connection", True),
    "token down": lambda handler, seen: reply(handler, 500, str(seen.headers).encode()),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_secret_in_errors_logs_and_tracebacks_with_variables(
    gateway: Server, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong: neither messages, causes, attributes, debug logs nor variables of frames show one."""
    caplog.set_level(logging.DEBUG)
    gateway.script = TROUBLE[trouble]
    with connected(gateway.url, max_answer_bytes=100_000) as con:
        with pytest.raises(tsb.TsBulkError) as caught:
            read(con)
        said = shown(caught.value) + caplog.text + repr(con) + repr(con.config) + repr(con.reads)
    assert not [secret for secret in SECRETS if secret in said]
    assert "tsbulk_frames" in said
    assert b"hush" not in pickle.dumps(caught.value)


def test_an_interrupt_shows_no_secret(gateway: Server) -> None:
    """Ctrl-C in the middle of a request: the frames of the libraries below, which hold the headers, are left out."""
    main = threading.main_thread().ident
    assert main is not None

    def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        if token_of(seen):
            reply(handler, 200, b'{"access_token": "hush-token"}')
        else:
            signal.pthread_kill(main, signal.SIGINT)

    gateway.script = script
    with connected(gateway.url) as con, pytest.raises(KeyboardInterrupt) as caught:
        con.assets.get_asset("e1")
    said = shown(caught.value)
    assert not [secret for secret in SECRETS if secret in said]
    assert "_exchange" in said


def test_a_file_that_changes_while_it_goes_up_shows_no_secret(gateway: Server, tmp_path: Path) -> None:
    """An error that comes up through the libraries below passes frames with headers."""
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * 3_000_000)

    def script(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        reply(handler, 200, b'{"access_token": "hush-token"}')
        if token_of(seen):
            path.write_bytes(b"y" * 3_000_001)

    gateway.script = script
    with connected(gateway.url) as con, pytest.raises(tsb.FrameError, match="changed") as caught:
        con.files.put_file("e1", "a.json", path)
    assert not [secret for secret in SECRETS if secret in shown(caught.value)]


@pytest.mark.parametrize("name", ["MDSP_USER_TENANT", "REQUESTS_CA_BUNDLE"])
def test_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A variable that is missing or wrong is named; no frame holds all of them."""
    from badinputs import CREDENTIALS

    for variable, value in CREDENTIALS.items():
        monkeypatch.setenv(variable, value.replace("hush-hush", "hush-secret"))
    monkeypatch.setenv(name, " " if name.startswith("MDSP") else "/no/such")
    with pytest.raises(tsb.ConfigError, match=name) as caught:
        tsb.connect()
    assert "hush-secret" not in shown(caught.value)


def test_credentials_show_no_secret() -> None:
    """Not by repr, str, format, nor by the variables of what holds them; connections do not travel, credentials do."""
    for credentials in (APP, tsb.UserToken("hush-token"), tsb.TenantCredentials("id", "hush-secret", "acme")):
        said = f"{credentials!r} {credentials} {vars(credentials)} {[*vars(credentials).values()]}"
        assert not [secret for secret in SECRETS if secret in said]
        assert pickle.loads(pickle.dumps(credentials)) == credentials
        with (
            tsb.connect("https://gateway.test", credentials=credentials) as con,
            pytest.raises(TypeError, match="token"),
        ):
            pickle.dumps(con)


def test_nothing_secret_is_kept_on_disk(tmp_path: Path) -> None:
    """Manifest, its log, import files, saved data, cache, Parquet: none holds a token or a client's secret."""
    for site in open_site():
        entity, book = site.asset(), tmp_path / "book.sqlite"
        report = tsb.write_timeseries(
            frame(), entity, "pump", manifest=book, keep_files=True, twin_type="simulation", connection=site.con
        )
        with tsb.Connection(site.con.config, site.sandbox.credentials, cache=tmp_path / "cache") as con:
            read(con, entity=entity)
            tsb.download_parquet(entity, "pump", "2026-03-01", "2026-03-02", tmp_path / "data", connection=con)
            secret, token = site.sandbox.credentials.key_store_client_secret, con._transport._token(None)
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {".sqlite", ".json", ".parquet"} <= {path.suffix for path in kept}
        for path in kept:
            assert secret.encode() not in path.read_bytes(), path
            assert token.encode() not in path.read_bytes(), path
        assert secret not in repr(report) + report._repr_html_()


# Files


@pytest.fixture
def careless() -> Iterator[None]:
    """Have a umask that lets everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_what_is_kept_is_private(tmp_path: Path, careless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifest, saved data, import files and cache are the user's alone from the start, whatever the umask."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for site in open_site():
        entity, seen = site.asset(), dict[Path, int]()

        def look(amount: int) -> None:
            seen.update({path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")})  # noqa: B023

        tsb.write_timeseries(
            frame(), entity, "pump", twin_type="simulation", progress=look, keep_files=True, connection=site.con
        )
        read(site.con, entity=entity, cache=tmp_path / "cache")
        look(0)
        assert {".sqlite", ".sqlite-wal", ".json", ".arrow", ".parquet"} <= {path.suffix for path in seen}
        for path, mode in seen.items():
            assert mode == (0o700 if path.is_dir() else 0o600), f"{path} has {mode:o}"


def test_what_is_kept_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache or download that cannot get its name leaves nothing, and nothing half is ever read."""
    for site in open_site():
        entity = site.asset()
        tsb.write_timeseries(frame(), entity, "pump", twin_type="simulation", connection=site.con)

        def full(*paths: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", full)
            assert len(read(site.con, entity=entity, cache=tmp_path / "cache")) == 3
            with pytest.raises(OSError, match="No space"):
                tsb.download_parquet(entity, "pump", "2026-03-01", "2026-03-02", tmp_path / "data", connection=site.con)
        assert not [path for path in tmp_path.rglob("*.parquet") if path.is_file()]
        assert len(read(site.con, entity=entity, cache=tmp_path / "cache")) == 3
        info = tsb.download_parquet(entity, "pump", "2026-03-01", "2026-03-02", tmp_path / "data", connection=site.con)
        assert info.rows == 3


# What arrives


@pytest.mark.parametrize(
    ("entity", "arrives"),
    [
        ("../..", "..%2F.."),
        ("a b/ä", "a%20b%2F%C3%A4"),
        ("%2e", "%252e"),
        ("%2e%2e", "%252e%252e"),
        ("a\nHost: x", "a%0AHost%3A%20x"),
        ("a\r\n\r\nGET /x", "a%0D%0A%0D%0AGET%20%2Fx"),
        ("a?b#c;d", "a%3Fb%23c%3Bd"),
        ("...", "..."),
        ("\\..\\", "%5C..%5C"),
        ("\x00", "%00"),
    ],
)
def test_names_arrive_as_one_segment(gateway: Server, entity: str, arrives: str) -> None:
    """Whatever an entity, aspect, property or file is called: no name becomes a path, a query or a header."""
    gateway.script = answering(200, page([1]))
    with connected(gateway.url, tsb.UserToken("hush-token")) as con:
        read(con, entity=entity, property_set=entity + "x", select=[entity])
    target = gateway.seen[0].target
    assert target.partition("?")[0] == f"/api/iottsbulk/v3/timeseries/{arrives}/{arrives}x"
    assert target.endswith(f"&select={arrives.replace('%3A', ':')}")
    assert gateway.seen[0].headers["Host"] == gateway.url.removeprefix("http://")
    gateway.script = lambda handler, _: reply(handler, 201, ETag="0")
    with connected(gateway.url, tsb.UserToken("hush-token")) as con:
        con.files.put_file(entity, "d/" + entity.replace("/", "x") + "y", b"[]")
        name = arrives.replace("%2F", "x")
        assert gateway.seen[1].target == f"/api/iotfile/v3/files/{arrives}/d/{name}y"


@pytest.mark.parametrize("entity", ["..", ".", "", " "])
def test_names_that_servers_resolve_are_refused(gateway: Server, entity: str) -> None:
    """Escaped or not, a proxy takes ``..`` as the folder above."""
    with connected(gateway.url) as con:
        for call in (lambda: read(con, entity=entity), lambda: read(con, property_set=entity)):
            with pytest.raises(tsb.FrameError):
                call()
    assert not gateway.seen


# Bounds

BOUND = """
import gzip, json, resource, sys
from tsbulk_frames.config import RestClientConfig
import tsbulk_frames as tsb
config = RestClientConfig(host_url=sys.argv[1], max_attempts=1, max_answer_bytes=20_000_000)
con = tsb.Connection(config, tsb.UserToken("t"))
call = lambda: tsb.read_timeseries("e", "p", "2026-03-01", "2026-03-02", max_workers=1, connection=con)
call()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    call()
except tsb.TsBulkError as error:
    print(type(error).__name__, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


def endless(handler: BaseHTTPRequestHandler, status: int) -> None:
    """Send a body without end."""
    handler.send_response(status)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    for _ in range(2_000):
        handler.wfile.write(b" " * 1_000_000)


def bomb(handler: BaseHTTPRequestHandler, status: int, encoding: str = "gzip") -> None:
    """Send what becomes a thousand times as much."""
    reply(handler, status, gzip.compress(blanks()) if "," in encoding else blanks(), Content_Encoding=encoding)


@functools.cache
def blanks() -> bytes:
    """Compress 300 MB of blanks."""
    whole = io.BytesIO()
    with gzip.open(whole, "wb", compresslevel=1) as stream:
        for _ in range(300):
            stream.write(b" " * 1_000_000)
    return whole.getvalue()


LARGE = {
    "a page without end": (lambda handler: endless(handler, 200), "ProtocolError", "max_answer_bytes"),
    "an error without end": (lambda handler: endless(handler, 400), "ServiceError", "400"),
    "a gzip bomb": (lambda handler: bomb(handler, 200), "ProtocolError", "max_answer_bytes"),
    "a gzip bomb as an error": (lambda handler: bomb(handler, 400), "ServiceError", "400"),
    "a bomb in a bomb": (lambda handler: bomb(handler, 200, "gzip, gzip"), "PageError", "not JSON"),
    "nested 10,000 deep": (lambda handler: reply(handler, 200, b'{"records":' + b"[" * 10_000), "PageError", "deep"),
    "a value nested 10,000 deep": (
        lambda handler: reply(
            handler,
            200,
            b'{"records":[{"_time":"2026-03-01T10:00:00Z","a":' + b'{"a":' * 10_000 + b"}" * 10_000 + b"}]}",
        ),
        "DecodeError",
        "deep",
    ),
    "nested a million deep": (lambda handler: reply(handler, 200, b"[" * 1_000_000), "PageError", "deep"),
}


@pytest.mark.parametrize("large", LARGE)
def test_answers_are_bounded(gateway: Server, large: str) -> None:
    """Beyond the limit, compressed beyond measure, nested beyond depth: a typed error, in bounded memory, no crash."""
    send, error, words = LARGE[large]
    gateway.script = lambda handler, seen: send(handler) if len(gateway.seen) > 1 else reply(handler, 200, page([1]))
    child = subprocess.run(
        [sys.executable, "-c", BOUND, gateway.url], capture_output=True, text=True, timeout=60, cwd=PACKAGE.parent
    )
    assert child.returncode == 0, child.stderr
    kind, grown, message = child.stdout.split(" ", 2)
    assert kind == error
    assert words in message
    assert int(grown) < 100, f"memory grew by {grown} MB"


# HTML

EVIL = "<script>alert(1)</script>"


def test_html_escapes_what_came_from_elsewhere() -> None:
    """Reports and plans show messages, names and ids in notebooks as text, never as markup."""
    row = PartitionReport(EVIL, 1, 1, 1, EVIL, EVIL, EVIL, "ERROR", EVIL, EVIL, EVIL)
    report = tsb.ImportReport([row], {})
    plan = ImportPlan(tsb.Series(EVIL, EVIL), TwinType.SIMULATION, [], [Problem(EVIL, EVIL, tsb.FrameError(EVIL))])
    planned = tsb.plan_import(frame(name=EVIL), EVIL, EVIL, twin_type="simulation")
    for html in (report._repr_html_(), plan._repr_html_(), planned._repr_html_()):
        assert "<script" not in html
        assert "&lt;script&gt;" in html


# The sandbox


def test_the_sandbox_listens_to_this_machine_only() -> None:
    """By default, and whatever else is asked for by mistake."""
    with tsb.Sandbox() as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.test"):
        with pytest.raises(ValueError, match="allow_remote"):
            tsb.Sandbox(host=host)


ESCAPES = [
    "..%2f..%2f..%2fsecret",
    "%2e%2e%2fsecret",
    "....//secret",
    "..%5csecret",
    "%00",
    "a%00b",
    "~root",
    "%252e%252e",
]


def test_no_route_of_the_sandbox_leads_out_of_its_folder(tmp_path: Path) -> None:
    """Each route with each name it takes: nothing is read or written beside the data, and no failure is a crash."""
    inner = tmp_path / "a" / "b" / "data"
    inner.mkdir(parents=True)
    (tmp_path / "secret").write_text("hush-secret")
    (tmp_path / "a" / "b" / "secret").write_text("hush-secret")
    with tsb.Sandbox(inner) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.token()}"}
        routes = [(one.path, one.methods or ()) for one in every_route(sandbox._opened().app)]
        assert len(routes) > 10
        outside = {
            path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and inner not in path.parents
        }
        for template, methods in routes:
            if "{" not in template:
                continue
            for escape in ESCAPES:
                target = re.sub(r"\{[^}]*\}", escape, template)
                for method in methods:
                    body = b"{}" if method in ("PUT", "POST") else None
                    request = requests.Request(method, "http://x", headers=headers, data=body).prepare()
                    request.url = sandbox.url + target
                    with requests.Session() as session:
                        session.trust_env = False
                        answer = session.send(request, timeout=20, allow_redirects=False)
                    assert 400 <= answer.status_code < 500, (method, target, answer.status_code)
                    assert "hush-secret" not in answer.text
        after = {
            path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and inner not in path.parents
        }
        assert after == outside


def every_route(app: object) -> list:
    """Find the routes inside of the layers around them."""
    while not hasattr(app, "routes"):
        app = next(value for name, value in vars(app).items() if name in ("_app", "app"))
    return list(app.routes)


DANGEROUS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_unpickled_or_evaluated(path: Path) -> None:
    """Neither the library nor the sandbox turns bytes into code: no pickle, no eval, no shell."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & DANGEROUS
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in DANGEROUS
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "compile", "__import__")
        elif isinstance(node, ast.keyword):
            assert not (node.arg in ("shell", "allow_pickle") and getattr(node.value, "value", True))


# The table in the README


def test_each_promise_names_a_test_that_is_there() -> None:
    """Section *Security*: a promise a line, and the test that shows it."""
    section = README.read_text(encoding="utf-8").partition("\n## Security\n")[2].partition("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", section)
    assert len(named) >= 12
    for file, test in named:
        assert f"def {test}(" in (README.parent / file).read_text(encoding="utf-8"), f"{file}::{test}"


CERTIFICATE = (
    "MIIBmzCCAUGgAwIBAgIUNknz5HnIWd93p1ZaJu6XrnSqJhIwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2"
    "MTEyMjIwMTkwNloYDzIxMjYxMDI5MjAxOTA2WjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC"
    "AAR8XiDUupOU7Hrvz2y4P0f8e8KvDqqnXbubrbI1+TNdaAgX7Li3acGmZd+E5ZKLQ99A1xVrenS+FCcnNFdgPzP6o28wbTAdBgNV"
    "HQ4EFgQU96DcHkizJOtn6FEuh2kgQmAxnZEwHwYDVR0jBBgwFoAU96DcHkizJOtn6FEuh2kgQmAxnZEwDwYDVR0TAQH/BAUwAwEB"
    "/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZIzj0EAwIDSAAwRQIhAKJ2+BdPZiGLyQRHvTXCbJpv3fMzMafgA1Z/"
    "Zt7fqQTgAiBmu0W/XK2P089mERTmof7dpHjD1nl5m96nbg/fVnGESA=="
)
"""Of 127.0.0.1, signed by itself, for this test alone; and its key."""
KEY = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZyF8a8VJQRr/HKNXhvc2zXs91Hyuu5wpdPqRz6/TmTehRANCAAR8"
    "XiDUupOU7Hrvz2y4P0f8e8KvDqqnXbubrbI1+TNdaAgX7Li3acGmZd+E5ZKLQ99A1xVrenS+FCcnNFdgPzP6"
)
