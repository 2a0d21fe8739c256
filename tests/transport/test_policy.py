"""The one retry policy: its table, its budgets, what its errors tell, and the circuit that spares a dead service."""

from __future__ import annotations

import gzip
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler

import pytest
import requests
import requests_mock
from wireside import Clock, Seen, Server

from tsbulk_frames import gate, session, transport
from tsbulk_frames.auth import AppCredentials, UserToken
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.errors import ServiceError, TransportError, TsBulkError
from tsbulk_frames.gate import FIRST_COOL_DOWN, LONGEST_COOL_DOWN, THRESHOLD, Circuit, gate_to
from tsbulk_frames.retry import Retry
from tsbulk_frames.stop import Stop
from tsbulk_frames.transport import Transport

HOST = "https://gateway.test"
APP = AppCredentials("app", "1", "host", "user", "my-id", "my-s3cret")
TOKEN_URL = f"{HOST}/api/technicaltokenmanager/v3/oauth/token"
Connect = Callable[..., Transport]
Errors = requests.exceptions


@pytest.fixture
def mock() -> Iterator[requests_mock.Mocker]:
    """Answer requests without a socket."""
    with requests_mock.Mocker() as mocker:
        yield mocker


# The table at the top of transport.py, cell by cell

OUTCOMES: dict[str, list[dict[str, object]]] = {
    "no connection, no proxy": [{"exc": Errors.ConnectTimeout}, {"exc": Errors.ProxyError}],
    "429": [{"status_code": 429}, {"status_code": 429, "headers": {"Retry-After": "3"}}],
    "500, 502, 503, 504": [{"status_code": status} for status in (500, 502, 503, 504)],
    "no answer, or cut short, or too late": [
        {"exc": Errors.ReadTimeout},
        {"exc": Errors.ConnectionError},
        {"exc": Errors.ChunkedEncodingError},
    ],
    "any other answer but success": [{"status_code": status} for status in (302, 400, 403, 404, 409, 412, 501, 505)],
    "certificate not trusted": [{"exc": Errors.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED]")}],
    "larger than ``max_answer_bytes``": [{"content": b"x" * 101}],
}
HELD_BACK = "service held back: see `gate`"
KINDS: list[tuple[tuple[str, Retry], ...]] = [
    (("GET", "always"),),
    (("PUT", "always"), ("DELETE", "always"), ("POST", "always")),
    (("POST", "unsent"),),
    (("PUT", "never"),),
]


def table() -> dict[str, list[str]]:
    """Read the table: the four verdicts by what came of a try."""
    _, body, _ = re.split(r"\n=+(?: +=+)+\n", transport.__doc__ or "", maxsplit=3)[1:]
    return {(cells := re.split(r"  +", line))[0]: cells[1:] for line in body.splitlines()}


def test_the_table_is_complete() -> None:
    """Each row is held by the test below, and each says something about four kinds of requests."""
    assert set(table()) == {*OUTCOMES, HELD_BACK}
    assert {len(verdicts) for verdicts in table().values()} == {len(KINDS)}
    assert {verdict for verdicts in table().values() for verdict in verdicts} == {"again", "final", "unknown"}


CELLS = [
    pytest.param(verdict, method, retry, answer, id=f"{row}-{number}-{method}-{retry}")
    for row, verdicts in table().items()
    for verdict, requests_ in zip(verdicts, KINDS, strict=True)
    for method, retry in requests_
    for number, answer in enumerate(OUTCOMES.get(row, ()))
]


@pytest.mark.parametrize(("verdict", "method", "retry", "answer"), CELLS)
def test_what_is_tried_again(
    mock: requests_mock.Mocker, connect: Connect, verdict: str, method: str, retry: Retry, answer: dict[str, object]
) -> None:
    """As the table says: *again* is sent a second time, *final* and *unknown* are not; *unknown* is told."""
    mock.request(method, f"{HOST}/x", **answer)
    with pytest.raises(TsBulkError) as caught:
        connect(max_attempts=2, max_answer_bytes=100).request(method, ["x"], retry=retry)
    assert mock.call_count == (2 if verdict == "again" else 1)
    error = caught.value
    heard = isinstance(error, TransportError) and error.unknown_outcome
    broken = isinstance(error, ServiceError) and error.status >= 500 and error.status not in (501, 505)
    if verdict == "unknown":
        assert heard or broken
    elif verdict == "final":
        assert not heard
        assert not broken


@pytest.mark.parametrize(
    ("verdict", "method", "retry"),
    [
        (verdict, method, retry)
        for verdict, kinds in zip(table()[HELD_BACK], KINDS, strict=True)
        for method, retry in kinds
    ],
)
def test_what_waits_for_a_service_held_back(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock, verdict: str, method: str, retry: Retry
) -> None:
    """*Again* waits for the next look and is it; *final* ends at once; neither was sent before."""
    mock.request(method, f"{HOST}/x")
    con = connect()
    break_down(con, "/x")
    if verdict == "again":
        assert con.request(method, ["x"], retry=retry).status == 200
        assert (mock.call_count, round(sum(clock.slept), 6)) == (1, FIRST_COOL_DOWN)
    else:
        with pytest.raises(TransportError, match="held back") as caught:
            con.request(method, ["x"], retry=retry)
        assert (mock.call_count, caught.value.attempts, caught.value.unknown_outcome) == (0, 0, False)
        assert clock.slept == []


def break_down(con: Transport, path: str) -> Circuit:
    """Let a service have failed as often as it takes."""
    circuit = con._gate.circuit(con.config.host_url + path)
    for _ in range(THRESHOLD):
        circuit.failed("ConnectionRefusedError: refused")
    return circuit


# What errors tell


def told(error: TsBulkError, clock: Clock, began: float, stopped_by: tuple[str, ...], attempts: int) -> None:
    """Hold an error to what every one of them says, in words and in attributes."""
    assert isinstance(error, TransportError | ServiceError)
    text = str(error)
    assert error.stopped_by == stopped_by
    assert error.attempts == attempts
    assert error.elapsed == pytest.approx(clock.now - began)
    assert f"in {error.elapsed:.1f} s" in text
    assert f"{attempts} attempt{'' if attempts == 1 else 's'} in" in text
    for name in stopped_by:
        assert re.search(rf"\b{name}=\d", text)
    assert ("stopped by" in text) == bool(stopped_by)


@pytest.mark.parametrize(
    ("answer", "settings", "method", "retry", "stopped_by", "attempts", "cause"),
    [
        ({"status_code": 503, "text": "busy"}, {}, "GET", "always", ("max_attempts",), 6, "503: busy"),
        (
            {"status_code": 503, "headers": {"Retry-After": "40"}},
            {"retry_budget": 100},
            "GET",
            "always",
            ("retry_budget",),
            3,
            "503",
        ),
        ({"status_code": 429}, {"retry_budget": 0}, "GET", "always", ("retry_budget",), 1, "429"),
        ({"status_code": 404, "text": "gone"}, {}, "GET", "always", (), 1, "404: gone"),
        ({"status_code": 503, "text": "busy"}, {}, "POST", "unsent", (), 1, "503: busy"),
        ({"exc": Errors.ReadTimeout("slow")}, {}, "POST", "unsent", ("read_timeout",), 1, "slow"),
        ({"exc": Errors.ReadTimeout("slow")}, {}, "GET", "always", ("max_attempts", "read_timeout"), 6, "slow"),
        (
            {"exc": Errors.ConnectTimeout("far")},
            {"max_attempts": 2},
            "GET",
            "always",
            ("max_attempts", "connect_timeout"),
            2,
            "far",
        ),
        ({"exc": Errors.ConnectionError("no")}, {"retry_budget": 0}, "GET", "always", ("retry_budget",), 1, "no"),
    ],
)
def test_every_error_tells_how_it_went(
    mock: requests_mock.Mocker,
    connect: Connect,
    clock: Clock,
    answer: dict[str, object],
    settings: dict[str, float],
    method: str,
    retry: Retry,
    stopped_by: tuple[str, ...],
    attempts: int,
    cause: str,
) -> None:
    """Attempts, seconds, the last cause, and the settings that would have changed it, where any would."""
    mock.request(method, f"{HOST}/x", **answer)
    began = clock.now
    with pytest.raises(TsBulkError) as caught:
        connect(**settings).request(method, ["x"], retry=retry)
    told(caught.value, clock, began, stopped_by, attempts)
    assert cause in str(caught.value)
    if isinstance(caught.value, TransportError):
        assert caught.value.__cause__ is not None


def test_an_error_for_want_of_a_token_tells_how_it_went(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock
) -> None:
    """The attempts and the limits are those of the token's request."""
    mock.post(TOKEN_URL, status_code=503)
    began = clock.now
    with pytest.raises(TransportError, match="no token") as caught:
        connect(credentials=APP, max_attempts=2).request("GET", ["x"])
    told(caught.value, clock, began, ("max_attempts",), 2)


def test_an_error_of_one_held_back_tells_how_it_went(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock
) -> None:
    """What is wrong with the service, how many failed, when one looks again; none of the looks was its own."""
    con = connect(max_attempts=3)
    break_down(con, "/x")
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if not con._gate.circuit(f"{HOST}/x").admit():  # another one is first each time
            looks.append(clock.now)

    con._sleep = sleep
    began = clock.now
    with pytest.raises(TransportError, match=f"{HOST}/x does not answer: {THRESHOLD} requests in a row") as caught:
        con.request("GET", ["x"])
    told(caught.value, clock, began, ("max_attempts",), 0)
    assert "ConnectionRefusedError: refused" in str(caught.value)
    assert str(caught.value.__cause__) == "ConnectionRefusedError: refused"
    assert [round(look - began) for look in looks] == [1, 3]


def test_a_wait_for_the_next_look_beyond_the_budget_is_an_error_at_once(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock
) -> None:
    """Nobody waits for what comes too late."""
    con = connect(retry_budget=0.5)
    break_down(con, "/x")
    began = clock.now
    with pytest.raises(TransportError, match="held back") as caught:
        con.request("GET", ["x"])
    told(caught.value, clock, began, ("retry_budget",), 0)
    assert clock.slept == []


def test_what_may_have_been_done_stays_so(mock: requests_mock.Mocker, connect: Connect) -> None:
    """A later try that certainly was not carried out does not undo an earlier one that may have been."""
    mock.put(f"{HOST}/x", [{"exc": Errors.ReadTimeout}, {"exc": Errors.ConnectTimeout}])
    with pytest.raises(TransportError, match="look before") as caught:
        connect(max_attempts=2).request("PUT", ["x"])
    assert caught.value.unknown_outcome
    mock.delete(f"{HOST}/x", [{"status_code": 503}, {"exc": Errors.ConnectTimeout}])
    with pytest.raises(TransportError) as caught:
        connect(max_attempts=2).request("DELETE", ["x"])
    assert caught.value.unknown_outcome


@pytest.mark.parametrize("value", ["0", "0.0", "Mon, 01 Jan 2024 00:00:00 GMT"])
def test_a_retry_after_of_nothing_leaves_the_pause_to_us(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock, value: str
) -> None:
    """Without one, six tries would arrive within the same moment."""
    mock.get(f"{HOST}/x", [{"status_code": 503, "headers": {"Retry-After": value}}, {}])
    con = connect()
    con._draw = lambda least, most: most
    con.request("GET", ["x"])
    assert clock.slept == [0.5]


# Time limits, on real sockets


@pytest.mark.parametrize("part", ["head", "body", "nothing"])
@pytest.mark.parametrize("limit", ["read_timeout", "request_deadline"])
def test_an_answer_that_stops_names_the_setting(server: Server, part: str, limit: str) -> None:
    """Wherever it stops, what ran out is told: the wait for more of it, or the time for all."""
    done = threading.Event()

    def script(handler: object, _: Seen) -> None:
        assert hasattr(handler, "wfile")
        if part != "nothing":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" + (b"\r\nx" if part == "body" else b""))
        done.wait(5)

    server.script = script
    config = RestClientConfig(host_url=server.url, max_attempts=1, **{limit: 0.05})
    with closing(Transport(config, UserToken("t"))) as con, pytest.raises(TransportError) as caught:
        con.request("GET", ["x"])
    done.set()
    assert caught.value.stopped_by == ("max_attempts", limit)
    assert "_Pool" not in str(caught.value)


def test_a_head_that_drips_does_not_outlive_the_deadline(server: Server, connect: Connect, clock: Clock) -> None:
    """Each line comes in time for the socket, all of them together too late."""
    sent = []

    def script(handler: object, _: Seen) -> None:
        assert hasattr(handler, "wfile")
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(90):
            clock.now += 1
            handler.wfile.write(b"X: y\r\n")
            sent.append(number)
            time.sleep(0.002)  # or all lines are there before the first is read

    server.script = script
    with pytest.raises(TransportError, match="request_deadline=20 s") as caught:
        connect(server.url, max_attempts=1, request_deadline=20).request("GET", ["x"])
    assert caught.value.elapsed < 80


def test_a_body_that_nobody_takes_names_the_setting() -> None:
    """The socket stands still while sending."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        config = RestClientConfig(
            host_url=f"http://127.0.0.1:{deaf.getsockname()[1]}", max_attempts=1, connect_timeout=0.05
        )
        with closing(Transport(config, UserToken("t"))) as con, pytest.raises(TransportError) as caught:
            con.request("PUT", ["x"], body=b"x" * 30_000_000)
    assert caught.value.stopped_by == ("max_attempts", "connect_timeout")
    assert caught.value.unknown_outcome


# Compressed bodies

WORDS = b"".join(b"%d," % (number * 7919 % 100_003) for number in range(30_000))
PACKED = gzip.compress(WORDS)
ENDS = {"whole": (PACKED, True), "cut": (PACKED[:-9], False), "cut in half": (PACKED[: len(PACKED) // 2], False)}
ENDS |= {"cut in the checksum": (PACKED[:-1], False), "damaged": (PACKED[:-6] + b"??" + PACKED[-4:], False)}
ENDS |= {"padded": (PACKED + b"\0\0\0", True), "followed by something": (PACKED + b"more", False)}
ENDS |= {"two members": (gzip.compress(WORDS[:7]) + gzip.compress(WORDS[7:]), True), "no gzip": (WORDS, False)}
ENDS |= {"second member cut": (gzip.compress(WORDS) + gzip.compress(WORDS)[:9], False)}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_compressed_body_is_whole_or_no_answer(server: Server, connect: Connect, end: str, chunked: bool) -> None:
    """The length may fit what was cut, so that only the compression knows; it is tried again like any broken one."""
    body, good = ENDS[end]

    def script(handler: BaseHTTPRequestHandler, _: Seen) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))))
        handler.end_headers()
        for first in range(0, len(body), 4999 if chunked else len(body)):
            piece = body[first : first + 4999] if chunked else body
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        handler.wfile.write(b"0\r\n\r\n" if chunked else b"")

    server.script = script
    con = connect(server.url, max_attempts=2)
    if good:
        assert con.request("GET", ["x"]).content == WORDS
    else:
        with pytest.raises(TransportError, match="compressed body"):
            con.request("GET", ["x"])
        assert len(server.seen) == 2


def test_a_member_may_begin_anywhere() -> None:
    """However the network cuts the bytes, and however few may come out at once."""
    body = gzip.compress(WORDS[:1000]) + b"\0" + gzip.compress(b"") + gzip.compress(WORDS[1000:2000])
    for step in (1, 2, 3, 50):
        unpacking = session._Unpacking(7)
        pieces = [out for n in range(0, len(body), step) for out in unpacking.feed(body[n : n + step])]
        unpacking.end()
        assert b"".join(pieces) == WORDS[:2000]
        assert max(map(len, pieces)) <= 7


# The circuit


def test_a_circuit_opens_after_failures_in_a_row(clock: Clock) -> None:
    """A single sign of life between them, and they do not count."""
    circuit = Circuit("x", clock)
    for _ in range(3):
        for _ in range(THRESHOLD - 1):
            circuit.failed("no")
            assert circuit.admit() == 0
        circuit.answered()
    for _ in range(THRESHOLD):
        circuit.failed("no")
    assert (circuit.open, circuit.admit()) == (True, FIRST_COOL_DOWN)


def test_one_a_cool_down_looks(clock: Clock) -> None:
    """The cool-downs become longer, up to a bound; an answer ends them, and the next outage begins anew."""
    circuit = Circuit("x", clock)
    for _ in range(2):
        for _ in range(THRESHOLD):
            circuit.failed("no")
        waits = []
        for _ in range(7):
            waits.append(circuit.admit())
            clock.now += waits[-1]
            assert circuit.admit() == 0
            assert circuit.admit() > 0
            circuit.failed("no")
        assert waits == [1, 2, 4, 8, 16, LONGEST_COOL_DOWN, LONGEST_COOL_DOWN]
        circuit.answered()
        assert (circuit.open, circuit.admit(), circuit.admit()) == (False, 0, 0)


def test_late_failures_of_before_do_not_prolong_an_outage(clock: Clock) -> None:
    """32 requests under way when it begins fail one after the other: that is no reason to look later."""
    circuit = Circuit("x", clock)
    for _ in range(THRESHOLD):
        circuit.failed("no")
    clock.now += 0.6
    circuit.failed("no")
    assert circuit.admit() == pytest.approx(0.4)


def test_connections_of_a_process_share_the_circuits() -> None:
    """One finds out for all; another gateway, and another service, has its own."""
    url = "https://shared.test"
    first, second = gate_to(url, 1, time.monotonic), gate_to(url, 1, time.monotonic)
    other = gate_to("https://other.test", 1, time.monotonic)
    assert first.circuit("a") is second.circuit("a")
    assert first.circuit("a") is not first.circuit("b")
    assert first.circuit("a") is not other.circuit("a")


OUTAGES = [{"status_code": 502}, {"status_code": 503}, {"status_code": 504}]
OUTAGES += [{"exc": kind} for kind in (Errors.ConnectionError, Errors.ConnectTimeout, Errors.ReadTimeout)]
SIGNS_OF_LIFE = [{"status_code": status} for status in (200, 302, 400, 404, 429, 500)]


@pytest.mark.parametrize("answer", OUTAGES)
def test_what_opens_a_circuit(mock: requests_mock.Mocker, connect: Connect, answer: dict[str, object]) -> None:
    """No connection, no answer, or the gateway's word that the service is not there."""
    mock.get(f"{HOST}/x", **answer)
    con = connect(max_attempts=1)
    for _ in range(THRESHOLD):
        with pytest.raises(TsBulkError):
            con.request("GET", ["x"])
    with pytest.raises(TransportError, match="held back"):
        con.request("GET", ["x"])
    assert mock.call_count == THRESHOLD


@pytest.mark.parametrize("answer", SIGNS_OF_LIFE)
def test_any_other_answer_keeps_a_circuit_closed(
    mock: requests_mock.Mocker, connect: Connect, answer: dict[str, object]
) -> None:
    """However bad the news, somebody brings it."""
    mock.get(f"{HOST}/x", [{"status_code": 503}] * (THRESHOLD - 1) + [answer] + [{"status_code": 503}])
    con = connect(max_attempts=1)
    for _ in range(THRESHOLD + 3):
        with suppress(TsBulkError):
            con.request("GET", ["x"])
    assert mock.call_count == THRESHOLD + 3


def test_neither_a_caller_who_left_nor_a_certificate_opens_a_circuit(
    mock: requests_mock.Mocker, connect: Connect
) -> None:
    """They say nothing about the service."""
    con = connect(max_attempts=1)
    stop = Stop()

    def leave(*_: object) -> None:
        stop.now()
        raise Errors.ConnectionError("shut down")

    mock.get(f"{HOST}/a", text=leave)
    mock.get(f"{HOST}/b", exc=Errors.SSLError("CERTIFICATE_VERIFY_FAILED"))
    for _ in range(2 * THRESHOLD):
        stop = Stop()
        for path, switch in (("a", stop), ("b", None)):
            with pytest.raises(TransportError):
                con.request("GET", [path], stop=switch)
    assert mock.call_count == 4 * THRESHOLD


def test_a_service_that_is_gone_holds_no_other_up(mock: requests_mock.Mocker, connect: Connect, clock: Clock) -> None:
    """Behind a gateway services fail one by one: files do not wait for assets."""
    mock.get(f"{HOST}/api/assetmanagement/v3/assets/root", status_code=503)
    mock.get(f"{HOST}/api/iotfile/v3/files/e")
    con = connect(max_attempts=1)
    for _ in range(THRESHOLD + 1):
        with pytest.raises(TsBulkError) as caught:
            con.request("GET", ["api", "assetmanagement", "v3", "assets", "root"])
    assert f"{HOST}/api/assetmanagement/v3 does not answer" in str(caught.value)
    assert con.request("GET", ["api", "iotfile", "v3", "files", "e"]).status == 200
    assert clock.slept == []


def test_a_hiccup_is_no_failure(mock: requests_mock.Mocker, connect: Connect, clock: Clock) -> None:
    """A request with tries left waits for the service to come back, longer than it would by its own pauses."""
    mock.get(f"{HOST}/x", [{"status_code": 503}] * (THRESHOLD + 3) + [{"text": "back"}])
    con = connect(max_attempts=1)
    for _ in range(THRESHOLD):
        with pytest.raises(ServiceError):
            con.request("GET", ["x"])
    patient = connect()
    patient._gate = con._gate
    assert patient.request("GET", ["x"]).content == b"back"
    assert sum(clock.slept) == pytest.approx(1 + 2 + 4 + 8)


def test_who_is_held_back_goes_on_as_soon_as_there_is_an_answer(
    mock: requests_mock.Mocker, connect: Connect, clock: Clock
) -> None:
    """The look of another ends the wait, not the cool-down."""
    mock.get(f"{HOST}/x")
    con = connect()
    circuit = break_down(con, "/x")

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if sum(clock.slept) > 0.35:
            circuit.answered()

    con._sleep = sleep
    con.request("GET", ["x"])
    assert sum(clock.slept) == pytest.approx(0.4)


class Hasty:
    """Real time, made to pass faster: sleeping threads meet as they would, only sooner."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self) -> float:
        return time.monotonic() * self.factor

    def sleep(self, seconds: float) -> None:
        """Sleep a fraction of it."""
        time.sleep(seconds / self.factor)


@pytest.fixture
def counted() -> Iterator[tuple[str, list[float], threading.Event]]:
    """Run a gateway that is dead until told otherwise: it resets what connects, and counts."""
    arrived: list[float] = []
    alive = threading.Event()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                arrived.append(time.monotonic())
                with peer:
                    if alive.is_set():
                        peer.recv(1 << 16)
                        peer.sendall(answer)
                    else:
                        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", arrived, alive
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def hammer(con: Transport, threads: int, each: int) -> list[TsBulkError | bytes]:
    """Send requests from many threads; what came of each."""
    outcomes: list[TsBulkError | bytes] = []

    def work() -> None:
        for _ in range(each):
            try:
                outcomes.append(bytes(con.request("GET", ["api", "iottsbulk", "v3", "timeseries"]).content))
            except TsBulkError as error:
                outcomes.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return outcomes


def test_a_dead_gateway_is_not_hammered(counted: tuple[str, list[float], threading.Event]) -> None:
    """16 threads with 3 requests of 6 tries each: not 288 arrive, but the first ones and a look now and then."""
    url, arrived, _ = counted
    time_ = Hasty(200)
    config = RestClientConfig(host_url=url, request_deadline=5000, read_timeout=5000, connect_timeout=5000)
    with closing(Transport(config, UserToken("t"), clock=time_, sleep=time_.sleep)) as con:
        outcomes = hammer(con, 16, 3)
    assert len(outcomes) == 48
    assert all(isinstance(one, TransportError) for one in outcomes)
    assert sum("held back" in str(one) for one in outcomes) >= 32
    assert sum(one.attempts for one in outcomes if isinstance(one, TransportError)) == len(arrived)
    assert THRESHOLD < len(arrived) < 288 / 4


def test_all_go_on_when_a_dead_gateway_comes_back(
    counted: tuple[str, list[float], threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody fails: each waits for the look that finds it alive."""
    url, _, alive = counted
    time_ = Hasty(20)
    config = RestClientConfig(
        host_url=url, max_attempts=12, request_deadline=5000, read_timeout=5000, connect_timeout=5000
    )
    original = gate.Circuit.failed

    def failed(circuit: Circuit, reason: str) -> None:
        original(circuit, reason)
        if circuit.open:
            alive.set()

    monkeypatch.setattr(gate.Circuit, "failed", failed)
    with closing(Transport(config, UserToken("t"), clock=time_, sleep=time_.sleep)) as con:
        outcomes = hammer(con, 16, 2)
    assert alive.is_set()
    assert outcomes == [b"ok"] * 32
