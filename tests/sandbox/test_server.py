"""The sandbox as a server: its life, its log, its line, its errors."""

from __future__ import annotations

import asyncio
import gc
import http.client
import socket
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from furniture import PERFORMANCE, Http, furnish

from tsbulk_frames.sandbox import Fault, Faults, Rules, Sandbox
from tsbulk_frames.sandbox.gate import SlowLine
from tsbulk_frames.sandbox.server import connection

ASSET = f"/api/assetmanagement/v3/assets/{PERFORMANCE}"
FILES = f"/api/iotfile/v3/files/{PERFORMANCE}"


def test_close_leaves_nothing():
    """After close there is no thread, no listening socket and no temporary folder, and close can be repeated."""
    before = set(threading.enumerate())
    sandbox = Sandbox().start()
    furnish(sandbox)
    with Http(sandbox) as session:
        session.put(FILES + "/a.json", data=b"x")
        session.get(FILES)
    root, port = sandbox._opened().state.root, int(sandbox.url.rpartition(":")[2])
    assert root.is_dir()
    sandbox.close()
    sandbox.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before
    assert not root.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_who_knocks_while_it_closes_is_let_go_of():
    """A connection accepted at the last moment is closed as all others are, not forgotten."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(4):
            sandbox, knocks = Sandbox().start(), threading.Semaphore(0)
            address = ("127.0.0.1", int(sandbox.url.rpartition(":")[2]))

            def knock(address=address, knocks=knocks) -> None:
                with ExitStack() as opened, suppress(OSError):
                    for _ in range(150):
                        opened.enter_context(socket.create_connection(address, timeout=5))
                        knocks.release()

            knocking = [threading.Thread(target=knock) for _ in range(2)]
            for thread in knocking:
                thread.start()
            for _ in range(20):
                assert knocks.acquire(timeout=20)
            sandbox.close()
            for thread in knocking:
                thread.join(20)
        gc.collect()
    assert not [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)]


def test_close_does_not_wait_for_an_idle_connection(monkeypatch: pytest.MonkeyPatch):
    """A client that keeps its connection open does not keep the sandbox alive, however long work may take to end."""
    monkeypatch.setattr("tsbulk_frames.sandbox.server._GRACE_SECONDS", 1e9)
    sandbox = Sandbox().start()
    client = http.client.HTTPConnection(sandbox.url.removeprefix("http://"))
    client.request("GET", "/token_keys")
    client.getresponse().read()
    closer = threading.Thread(target=sandbox.close, daemon=True)
    closer.start()
    closer.join(30)
    assert not closer.is_alive()
    assert client.sock.recv(1) == b""
    client.close()


def test_not_running_says_how_to_start():
    """Using a sandbox that is not running names the way to run it."""
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match=r"start\(\)"):
        _ = sandbox.url
    assert repr(sandbox) == "Sandbox(not running)"


def test_start_twice_and_again_after_close(tmp_path: Path):
    """A running sandbox is left alone by start; a closed one starts anew."""
    sandbox = Sandbox(tmp_path)
    url = sandbox.start().url
    assert sandbox.start().url == url
    sandbox.close()
    with sandbox:
        assert requests.get(sandbox.url + "/token_keys", timeout=9).status_code == 200


def test_everything_survives_a_restart(tmp_path: Path):
    """Assets, files, running uploads, credentials and tokens are there again on the same folder."""
    rules = Rules(min_part_bytes=1)
    with Sandbox(tmp_path, rules=rules) as sandbox:
        furnish(sandbox)
        secret, token = sandbox.client_secret, sandbox.token()
        with Http(sandbox) as session:
            session.put(FILES + "/a.json", data=b"content")
            session.put(FILES + "/b.json?upload=start")
            session.put(FILES + "/b.json?part=1", data=b"first ")
    with Sandbox(tmp_path, rules=rules) as sandbox:
        assert sandbox.client_secret == secret
        with Http(sandbox) as session:
            session.headers["Authorization"] = f"Bearer {token}"
            assert session.get(ASSET).status_code == 200
            assert session.get(FILES + "/a.json").content == b"content"
            assert session.put(FILES + "/b.json?upload=complete", data=b"last").status_code == 201
            assert session.get(FILES + "/b.json").content == b"first last"


def test_bytes_of_a_crash_are_swept(tmp_path: Path):
    """Bytes that no file knows are removed at the next start, all others stay."""
    with Sandbox(tmp_path) as sandbox:
        furnish(sandbox)
        with Http(sandbox) as session:
            session.put(FILES + "/a", data=b"kept")
    stray = tmp_path / "files" / "objects" / "0123"
    stray.write_bytes(b"half")
    with Sandbox(tmp_path) as sandbox, Http(sandbox) as session:
        assert not stray.exists()
        assert session.get(FILES + "/a").content == b"kept"


def test_two_side_by_side(tmp_path: Path):
    """Two sandboxes share nothing: neither assets nor tokens."""
    with Sandbox(tmp_path / "one") as one, Sandbox(tmp_path / "two") as two:
        furnish(one)
        with Http(one) as here, Http(two) as there:
            assert here.get(ASSET).status_code == 200
            assert there.get(ASSET).status_code == 404
            there.headers["Authorization"] = here.headers["Authorization"]
            assert there.get(ASSET).status_code == 401


def test_a_folder_has_one_sandbox(tmp_path: Path):
    """A second sandbox on the same folder, new or not, is refused, and the first goes on unharmed."""
    with Sandbox(tmp_path), pytest.raises(RuntimeError, match="in use by another sandbox"):
        Sandbox(tmp_path).start()
    with Sandbox(tmp_path) as first:
        with pytest.raises(RuntimeError, match="in use by another sandbox"):
            Sandbox(tmp_path).start()
        furnish(first)
        with Http(first) as session:
            assert session.put(FILES + "/a", data=b"x").status_code == 201


def test_a_taken_port_leaves_the_folder_free(tmp_path: Path):
    """When the socket cannot be had, the data folder is let go of again."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Sandbox(tmp_path, port=taken.getsockname()[1]).start()
    with Sandbox(tmp_path):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])
def test_loopback_only(host: str):
    """An address that other machines reach needs an explicit word."""
    with pytest.raises(ValueError, match="allow_remote=True"):
        Sandbox(host=host)


def test_remote_when_allowed():
    """With allow_remote, all interfaces are bound and the URL still works from here."""
    with Sandbox(host="0.0.0.0", allow_remote=True) as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert requests.get(sandbox.url + "/token_keys", timeout=9).status_code == 200


def test_waiting_can_be_interrupted(monkeypatch: pytest.MonkeyPatch):
    """An interrupt ends the wait and nothing else; a sandbox closed from another thread ends it too."""
    interrupts = [True]

    def wait(self, timeout=None):  # as Ctrl-C does to a thread that waits
        if interrupts:
            interrupts.pop()
            raise KeyboardInterrupt
        return event_wait(self, timeout)

    event_wait = threading.Event.wait
    with Sandbox() as sandbox:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Event, "wait", wait)
            with pytest.raises(KeyboardInterrupt):
                sandbox.wait()
        assert requests.get(sandbox.url + "/token_keys", timeout=9).status_code == 200
        waiter = threading.Thread(target=sandbox.wait, daemon=True)
        waiter.start()
        sandbox.close()
        waiter.join(30)
        assert not waiter.is_alive()


def test_close_cuts_off_what_takes_too_long(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """A request that would never end gets no answer and no traceback."""
    monkeypatch.setattr("tsbulk_frames.sandbox.server._GRACE_SECONDS", 0.0)
    begun = threading.Event()

    async def hang(app, scope, receive, send) -> None:
        begun.set()
        await asyncio.Event().wait()

    sandbox = Sandbox(faults=Faults([Fault(hang)])).start()
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /token_keys HTTP/1.1\r\nHost: x\r\n\r\n")
        assert begun.wait(30)
        sandbox.close()
        assert client.recv(1) == b""
    assert not caplog.records


@pytest.mark.parametrize("settings", [{"page_bytes": 0}, {"latency": -1.0}, {"bandwidth": 0.0}])
def test_settings_that_make_no_sense(settings: dict[str, float]):
    """Impossible settings are refused before anything starts."""
    with pytest.raises(ValueError, match="page_bytes"):
        Sandbox(**settings)


def test_requests_in_order(sandbox: Sandbox, http: Http):
    """The log holds method, path, query and status in order of arrival, also after close."""
    http.get(ASSET, params={"a": "x y"})
    http.put(FILES + "/ä.json", data=b"1")
    http.get("/nowhere")
    sandbox.close()
    first, second, third = sandbox.requests
    assert (first.method, first.path, first.params, first.status) == ("GET", ASSET, {"a": "x y"}, 200)
    assert (second.method, second.path, second.status) == ("PUT", FILES + "/ä.json", 201)
    assert third.status == 404


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/iotfile/v3/nowhere", {"id", "message"}),
        ("/api/iottsbulk/v3/nowhere", {"timestamp", "status", "error", "exception", "message", "path"}),
        ("/api/assetmanagement/v3/nowhere", {"errors"}),
        ("/nowhere", {"errors"}),
    ],
)
def test_each_service_spells_errors_its_way(http: Http, path: str, fields: set[str]):
    """An unknown path is 404 in the style of the service it belongs to."""
    answer = http.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == fields


def test_wrong_method(http: Http):
    """A path that exists with another method answers 405."""
    assert http.post(ASSET).status_code == 405


def test_details_of_other_clients(sandbox: Sandbox):
    """A bare question mark and header names in any case are taken."""
    client = http.client.HTTPConnection(sandbox.url.removeprefix("http://"))
    client.request("GET", ASSET + "?", headers={"AUTHORIZATION": f"bearer {sandbox.token()}"})
    assert client.getresponse().status == 200
    client.close()


def test_a_failure_is_told_and_ends_the_connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    """Where the sandbox itself is at fault, the answer is 500 in JSON and says that the connection ends."""
    with Http(sandbox) as http:
        monkeypatch.setattr(sandbox._opened().state.assets, "get", lambda _: 1 / 0)
        answer = http.get(ASSET)
        assert (answer.status_code, answer.headers["Connection"]) == (500, "close")
        assert "ZeroDivisionError" in answer.json()["errors"][0]["message"]
        monkeypatch.undo()
        assert http.get(ASSET).status_code == 200


def test_head_has_no_body(http: Http):
    """HEAD answers what GET would, without the body."""
    answer = http.head(ASSET)
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-length"] != "0"


def test_small_answers_are_sent_at_once():
    """No connection holds small packets back (Nagle), or each answer would take 40 ms on a kept connection."""
    seen: list[int] = []

    async def look(app, scope, receive, send) -> None:
        seen.append(connection(scope).get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await app(scope, receive, send)

    with Sandbox(faults=Faults([Fault(look)])) as sandbox:
        requests.get(sandbox.url + "/token_keys", timeout=9)
    assert seen == [1]


def test_sixteen_at_once():
    """Sixteen connections are inside at the same time, with latency too: nothing serialises them."""
    inside: list[asyncio.Barrier] = []

    async def meet(app, scope, receive, send) -> None:
        if not inside:
            inside.append(asyncio.Barrier(16))
        await inside[0].wait()
        await app(scope, receive, send)

    with Sandbox(latency=0.001, faults=Faults([Fault(meet, times=None)])) as sandbox, ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(requests.get, sandbox.url + "/token_keys", timeout=30) for _ in range(16)]
        assert [answer.result().status_code for answer in answers] == [200] * 16


class _Virtual:
    """Event-loop time that passes only by sleeping."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("tsbulk_frames.sandbox.gate.asyncio.sleep", self.sleep)
        monkeypatch.setattr("tsbulk_frames.sandbox.gate.asyncio.get_running_loop", lambda: self)

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


def test_the_line_is_as_slow_as_asked(monkeypatch: pytest.MonkeyPatch):
    """Latency once a request, then bytes per second in both directions; the body arrives whole."""
    time = _Virtual(monkeypatch)
    sent: list[bytes] = []

    async def echo(scope, receive, send) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body + body})

    async def receive() -> dict:
        return {"type": "http.request", "body": bytes(range(100)), "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message.get("body", b""))

    line = SlowLine(echo, latency=0.5, bandwidth=1000)
    coroutine = line({"type": "http"}, receive, send)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert time.now == pytest.approx(0.5 + 0.1 + 0.2)
    assert b"".join(sent) == bytes(range(100)) * 2
    assert max(map(len, sent)) <= 20


def test_a_slow_line_carries_whole_answers():
    """Bodies pass a line of limited bandwidth unchanged, over a real socket."""
    with Sandbox(bandwidth=20_000_000, latency=0.001) as sandbox:
        furnish(sandbox)
        content = bytes(range(256)) * 4000
        with Http(sandbox) as session:
            assert session.put(FILES + "/a", data=content).status_code == 201
            assert session.get(FILES + "/a").content == content


def test_add_asset_checks_names(sandbox: Sandbox):
    """What could not be addressed or stored is refused with the reason."""
    for wrong in ["", "a/b", "..", " a", "a\n", "a\\b"]:
        with pytest.raises(ValueError, match="not a usable name"):
            sandbox.add_asset(wrong)
    with pytest.raises(ValueError, match="accepted are 'performance' and 'simulation'"):
        sandbox.add_asset("x", twin_type="digital")
    with pytest.raises(ValueError, match="'FLOAT'"):
        sandbox.add_asset("x", aspects={"a": {"b": "FLOAT"}})
    for reserved in ["_time", "b_qc"]:
        with pytest.raises(ValueError, match="reserved"):
            sandbox.add_asset("x", aspects={"a": {reserved: "INT"}})


def test_load_assets(sandbox: Sandbox, http: Http, tmp_path: Path):
    """The file of the command line is understood; a wrong one is named and adds nothing."""
    path = tmp_path / "assets.json"
    path.write_text(
        '[{"assetId": "c1", "name": "Käse", "twinType": "simulation", "aspects": {"m": {"x": "INT"}}}]', "utf-8"
    )
    assert sandbox.load_assets(path) == 1
    asset = http.get("/api/assetmanagement/v3/assets/c1").json()
    assert (asset["name"], asset["twinType"]) == ("Käse", "simulation")
    path.write_text('[{"assetId": "c2"}, {"assetId": 3}]', "utf-8")
    with pytest.raises(ValueError, match=r"assets\.json"):
        sandbox.load_assets(path)
    path.write_text("[" * 100_000, "utf-8")
    with pytest.raises(ValueError, match=r"assets\.json: it is nested too deeply"):
        sandbox.load_assets(path)
    path.write_text('[{"assetId": "c2", "typ": 1}]', "utf-8")
    with pytest.raises(ValueError, match="typ"):
        sandbox.load_assets(path)
    assert http.get("/api/assetmanagement/v3/assets/c2").status_code == 404
