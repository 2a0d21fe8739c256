"""Injected trouble: it hits the request meant, as often as meant, and is real."""

from __future__ import annotations

import random
import socket
import threading
import time
from email.utils import parsedate_to_datetime

import pytest
import requests
from furniture import PERFORMANCE, SIMULATION, Clock, Http
from hypothesis import given
from hypothesis import strategies as st

from tsbulk_frames.sandbox import KINDS, Action, Bend, Drip, Fault, Faults, Hang, Kind, Revoke, Sandbox, Throttle
from tsbulk_frames.sandbox.chances import route_of
from tsbulk_frames.sandbox.faults import (
    Answer,
    Cut,
    Delay,
    Drop,
    Reply,
    Rewrite,
    job_in_list,
    next_as_link,
    next_elsewhere,
    old_job_names,
)
from tsbulk_frames.sandbox.variants import (
    broken_gzip,
    cut_gzip,
    false_gzip,
    gzipped,
    job_accepted,
    next_null,
    token_alone,
)

FILE = f"/api/iotfile/v3/files/{PERFORMANCE}/a"
ASSET = f"/api/assetmanagement/v3/assets/{PERFORMANCE}"


def test_an_answer_instead(sandbox: Sandbox, http: Http):
    """Status, body and headers come from the script, the work is not done, and the next request is untroubled."""
    sandbox.faults.add(Fault(Answer(503, "<html>busy</html>", {"Retry-After": "7"}), "PUT"))
    answer = http.put(FILE, data=b"x")
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, "<html>busy</html>", "7")
    assert http.get(FILE).status_code == 404
    assert http.put(FILE, data=b"x").status_code == 201
    assert sandbox.requests[0].status == 503
    (injection,) = sandbox.faults.log
    assert (injection.method, injection.target) == ("PUT", FILE)


def test_a_json_answer(sandbox: Sandbox, http: Http):
    """A dict or list in the script is answered as JSON."""
    sandbox.faults.add(Fault(Answer(429, {"message": "slow down"}), "GET"))
    assert http.get(ASSET).json() == {"message": "slow down"}


def test_a_real_drop_before_the_work(sandbox: Sandbox, http: Http):
    """The connection really closes without an answer, and nothing was done."""
    sandbox.faults.add(Fault(Drop(), "PUT", r"/files/"))
    with pytest.raises(requests.ConnectionError):
        http.put(FILE, data=b"x" * 1_000_000)
    assert sandbox.requests[0].status is None
    assert http.get(FILE).status_code == 404


def test_done_but_not_told(sandbox: Sandbox, http: Http):
    """The connection closes without an answer although the work was done."""
    sandbox.faults.add(Fault(Drop(after_work=True), "PUT", r"/files/"))
    with pytest.raises(requests.ConnectionError):
        http.put(FILE, data=b"x")
    assert sandbox.requests[0].status is None
    assert http.get(FILE).content == b"x"


@pytest.mark.parametrize("size", [0, 1, 100_000, 29_999_999])
def test_a_body_cut_short(sandbox: Sandbox, http: Http, size: int):
    """The full length is announced, exactly so many bytes arrive, then the connection closes."""
    content = b"x" * 30_000_000
    http.put(FILE, data=content)
    sandbox.faults.add(Fault(Cut(size), "GET"))
    with http.get(FILE, stream=True) as answer:
        assert answer.headers["Content-Length"] == "30000000"
        got: list[bytes] = []
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match=f"IncompleteRead.{size} bytes read"):
            got.extend(answer.iter_content(4096))
    assert b"".join(got) == b"x" * (size - size % 4096)
    assert http.get(FILE).content == content


def test_a_delay_then_the_work(sandbox: Sandbox, http: Http):
    """A delayed request is answered as usual in the end."""
    sandbox.faults.add(Fault(Delay(0.001), "GET"))
    assert http.get(ASSET).status_code == 200


def test_a_delay_ends_with_the_client(sandbox: Sandbox):
    """A delay ends when its client gives up, and the work is not done."""
    ended = threading.Event()

    async def wait(app, scope, receive, send) -> None:
        await Delay(3600)(app, scope, receive, send)
        ended.set()

    sandbox.faults.add(Fault(wait, "PUT"))
    with Http(sandbox) as http, pytest.raises(requests.ReadTimeout):
        http.put(FILE, data=b"x", timeout=0.05)
    assert ended.wait(30)
    assert sandbox.requests[0].status is None
    with Http(sandbox) as http:
        assert http.get(FILE).status_code == 404


def test_a_rewritten_answer(sandbox: Sandbox, http: Http):
    """An answer can be altered on its way, headers, body and length together."""

    def change(reply: Reply) -> None:
        reply.json = [reply.json, "ü"]
        reply.headers["x-more"] = "yes"

    sandbox.faults.add(Fault(Rewrite(change), "GET"))
    answer = http.get(ASSET)
    assert answer.json()[0]["assetId"] == PERFORMANCE
    assert answer.json()[1] == "ü"
    assert answer.headers["X-More"] == "yes"


@pytest.mark.parametrize("method", ["PUT", "HEAD"])
def test_rewriting_an_answer_without_body(sandbox: Sandbox, http: Http, method: str):
    """Answers without a body pass a rewrite unharmed."""
    http.put(FILE, data=b"1")
    sandbox.faults.add(Fault(Rewrite(job_in_list), method))
    answer = http.request(method, FILE, data=b"22" if method == "PUT" else None, headers={"If-Match": "0"})
    assert answer.status_code in (200, 204)
    assert answer.content == b""


def reply(document: object) -> Reply:
    """Make an answer of a document."""
    made = Reply(200, {"content-type": "application/json"}, b"")
    made.json = document
    return made


def test_variants_of_a_job():
    """A job can come in a list or under older names; anything else stays."""
    job = reply({"id": "1", "status": "SUBMITTED", "startTime": "a", "lastModified": "b"})
    old_job_names(job)
    assert job.json == {"jobId": "1", "status": "SUBMITTED", "jobStartTime": "a", "jobLastModified": "b"}
    job_in_list(job)
    assert [entry["jobId"] for entry in job.json] == ["1"]
    other = Reply(200, {}, b"<html>")
    for change in (job_in_list, old_job_names, next_as_link, next_elsewhere):
        change(other)
        assert other.body == b"<html>"


def test_variants_of_the_next_page():
    """The next page can be given with a wrong host and path, or in a header; a last page stays."""
    url = "http://127.0.0.1:1/api/iottsbulk/v3/timeseries/e/p?from=1&to=2"
    page = reply({"records": [], "nextRecord": url})
    next_elsewhere(page)
    wrong = page.json["nextRecord"]
    assert wrong.startswith("https://gateway.")
    assert wrong.endswith("/api/iottimeseries/v3/timeseries/e/p?from=1&to=2")
    page = reply({"records": [], "nextRecord": url})
    next_as_link(page)
    assert page.json == {"records": []}
    assert page.headers["link"] == f'<{url}>; rel="next"'
    last = reply({"records": []})
    next_as_link(last)
    assert "link" not in last.headers


@given(nth=st.integers(1, 5), times=st.none() | st.integers(1, 5), asked=st.integers(0, 12))
def test_nth_and_times(nth: int, times: int | None, asked: int):
    """A fault acts from its nth matching request on, so many times, and on no other."""
    faults = Faults([Fault(Answer(500), "GET", "^/a", nth=nth, times=times)])
    hit = []
    for number in range(1, asked + 1):
        assert faults.choose("PUT", "/a") is None
        assert faults.choose("GET", "/b/a") is None
        if faults.choose("GET", "/a?x=1") is not None:
            hit.append(number)
    assert hit == [number for number in range(nth, asked + 1) if times is None or number < nth + times]
    assert len(faults.log) == len(hit)


def test_the_first_due_fault_acts():
    """Of several due faults the first in the script acts; each counts its own requests all the same."""
    first, second = Answer(500), Answer(501)
    faults = Faults([Fault(first), Fault(second, times=2)])
    assert [faults.choose("GET", "/") for _ in range(3)] == [first, second, None]


def test_the_query_can_be_matched(sandbox: Sandbox, http: Http):
    """The pattern sees the query, so one part of an upload can be troubled."""
    sandbox.faults.add(Fault(Answer(502), "PUT", r"/a\?part=2$"))
    assert http.put(FILE + "?upload=start").status_code == 201
    assert http.put(FILE + "?part=1", data=b"x" * 5_000_000).status_code == 201
    assert http.put(FILE + "?part=2").status_code == 502


def test_counting_is_exact_with_many_threads():
    """Simultaneous requests are counted one by one."""
    faults = Faults([Fault(Answer(500), times=50)])
    hits: list[bool] = []
    threads = [
        threading.Thread(target=lambda: hits.extend(faults.choose("GET", "/") is not None for _ in range(100)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(hits) == 50
    assert len(faults.log) == 50


@pytest.mark.parametrize("wrong", [{"nth": 0}, {"times": 0}])
def test_senseless_counts(wrong: dict[str, int]):
    """Requests are counted from 1."""
    with pytest.raises(ValueError, match="count requests from 1"):
        Fault(Answer(500), **wrong)


def test_a_pattern_that_is_none():
    """A broken pattern is found when the script is written, not when a request comes."""
    with pytest.raises(Exception, match="unterminated"):
        Fault(Answer(500), "GET", "[")


RECORDS = f"/api/iottimeseries/v3/timeseries/{SIMULATION}/pump"
READ = f"/api/iottsbulk/v3/timeseries/{SIMULATION}/pump?from=2024-01-01T00:00:00Z&to=2024-01-02T00:00:00Z"
JOBS = "/api/iottsbulk/v3/importJobs"
TIME = "2024-01-01T05:00:00.000Z"


def post_job(http: Http) -> requests.Response:
    """Upload a record and start its job."""
    http.put(f"/api/iotfile/v3/files/{SIMULATION}/j", data=f'[{{"_time":"{TIME}","speed":1.5}}]'.encode())
    files = [{"filePath": "j", "from": TIME, "to": TIME}]
    job = {"entity": SIMULATION, "propertySetName": "pump", "timeseriesFiles": files}
    return http.post(JOBS, json={"data": [job]})


def ended(http: Http, job: str) -> dict[str, str]:
    """Wait for the end of a job."""
    while (answer := http.get(f"{JOBS}/{job}").json())["status"] not in ("SUCCESS", "ERROR"):
        time.sleep(0.002)
    return answer


def in_turn(*actions: Action) -> list[Fault]:
    """Trouble one GET after the other."""
    return [Fault(action, "GET", nth=number) for number, action in enumerate(actions, 1)]


def test_an_answer_after_the_work(sandbox: Sandbox, http: Http):
    """A gateway that gives up waiting says 504, and the work is done all the same."""
    sandbox.faults.add(Fault(Answer(504, after_work=True), "PUT"))
    assert http.put(FILE, data=b"x").status_code == 504
    assert http.get(FILE).content == b"x"


def test_throttled_in_three_ways(sandbox: Sandbox, http: Http):
    """429 comes without ``Retry-After``, with seconds, and with a moment that ``Date`` makes sense of."""
    sandbox.faults.add(*in_turn(Throttle(), Throttle(3), Throttle(3, date=True)))
    without, seconds, date = (http.get(ASSET) for _ in range(3))
    assert {one.status_code for one in (without, seconds, date)} == {429}
    assert "Retry-After" not in without.headers
    assert seconds.headers["Retry-After"] == "3"
    until, now = (parsedate_to_datetime(date.headers[name]) for name in ("Retry-After", "Date"))
    assert (until - now).total_seconds() == 3
    assert http.get(ASSET).status_code == 200


def exchange(sandbox: Sandbox, request: bytes) -> tuple[bytes, bool]:
    """Send bytes on a socket of its own: what came back, and whether it ended with a reset."""
    port = int(sandbox.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(request)
        got = b""
        try:
            while more := line.recv(65536):
                got += more
        except ConnectionResetError:
            return got, True
    return got, False


def test_a_refused_connection(sandbox: Sandbox, http: Http):
    """It is reset before the request is read, and nothing was done."""
    sandbox.faults.add(Fault(Drop(reset=True), "PUT"))
    got = exchange(sandbox, b"PUT " + FILE.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
    assert got == (b"", True)
    assert http.get(FILE).status_code == 404


def test_a_reset_within_the_answer(sandbox: Sandbox, http: Http):
    """Some of the answer may come, never all; the work is done."""
    sandbox.faults.add(Fault(Drop(answered=0.5, reset=True), "GET"))
    with pytest.raises(requests.RequestException):
        http.get(ASSET)
    assert http.get(ASSET).status_code == 200


def test_a_connection_closed_behind_its_answer(sandbox: Sandbox, http: Http):
    """The answer comes whole and does not say that it is the last one of its connection."""
    sandbox.faults.add(Fault(Drop(answered=1.0), "GET"))
    line = f"GET {ASSET} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sandbox.token()}\r\n\r\n"
    got, reset = exchange(sandbox, line.encode())
    assert got.startswith(b"HTTP/1.1 200")
    assert got.endswith(http.get(ASSET).content)
    assert b"connection: close" not in got.lower()
    assert not reset


def test_a_body_cut_to_its_length(sandbox: Sandbox, http: Http):
    """Length and body agree: only the content tells that something is missing."""
    whole = http.get(ASSET).content
    sandbox.faults.add(Fault(Cut(0.5, "sent"), "GET"))
    answer = http.get(ASSET)
    assert answer.content == whole[: len(whole) // 2]
    assert answer.headers["Content-Length"] == str(len(whole) // 2)


def test_a_body_cut_in_chunks(sandbox: Sandbox, http: Http):
    """No length is told, and the last chunk never comes."""
    sandbox.faults.add(Fault(Cut(0.5, "chunked"), "GET"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        http.get(ASSET)
    assert http.get(ASSET).status_code == 200


def test_a_body_in_drops(sandbox: Sandbox, http: Http):
    """It comes in pieces, and is whole in the end."""
    whole = http.get(ASSET).content
    sandbox.faults.add(Fault(Drip(len(whole) + 5, 0.0), "GET"))
    assert http.get(ASSET).content == whole


@pytest.mark.parametrize(("hang", "done"), [(Hang(), False), (Hang(after_work=True), True)])
def test_a_hang_ends_with_the_client(sandbox: Sandbox, hang: Hang, done: bool):
    """Nothing is answered; whether the work is done was decided before."""
    sandbox.faults.add(Fault(hang, "PUT"))
    with Http(sandbox) as http, pytest.raises(requests.ReadTimeout):
        http.put(FILE, data=b"x", timeout=0.3)
    with Http(sandbox) as http:
        assert http.get(FILE).status_code == (200 if done else 404)


def test_a_hang_ends_with_the_gateway(sandbox: Sandbox, http: Http):
    """A client that waits long enough is told 504; one that has half an answer sees the connection end."""
    sandbox.faults.add(*in_turn(Hang(0.01), Hang(0.01, answered=0.5)))
    assert http.get(ASSET).status_code == 504
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        http.get(ASSET)


def test_a_revoked_token(sandbox: Sandbox, http: Http):
    """Every token is worthless at once, the request's own too; a new one is good."""
    sandbox.faults.add(Fault(Revoke(), "GET"))
    assert [http.get(ASSET).status_code for _ in range(2)] == [401, 401]
    http.headers["Authorization"] = f"Bearer {sandbox.token()}"
    assert http.get(ASSET).status_code == 200


def test_a_listing_that_lags(sandbox: Sandbox, http: Http, clock: Clock):
    """One listing is as it was a while ago; the next is as it is."""
    listing = f"/api/iotfile/v3/files/{PERFORMANCE}"
    http.put(FILE, data=b"x")
    clock.now += 1
    sandbox.faults.add(Fault(Bend(listing_lag=2.0), "GET", r"/files/[^/]+$"))
    assert http.get(listing).json() == []
    assert [one["name"] for one in http.get(listing).json()] == ["a"]


def test_a_job_that_is_stuck(sandbox: Sandbox, http: Http, clock: Clock):
    """It stays SUBMITTED, then IN_PROGRESS, for so long, and then ends; other jobs do not."""
    sandbox.faults.add(Fault(Bend(job_seconds=10.0), "POST", r"/importJobs$"))
    job = post_job(http).json()["id"]
    other = post_job(http).json()["id"]
    assert ended(http, other)["status"] == "SUCCESS"
    seen = []
    for _ in range(3):
        seen.append(http.get(f"{JOBS}/{job}").json()["status"])
        clock.now += 6
    assert seen == ["SUBMITTED", "IN_PROGRESS", "SUCCESS"]


def test_a_job_that_fails_midway_imports_nothing(sandbox: Sandbox, http: Http):
    """It ends in ERROR with the message given, the store stays as it was; the next one is imported."""
    sandbox.faults.add(Fault(Bend(job_error="internal error"), "POST", r"/importJobs$"))
    job = post_job(http)
    assert job.status_code == 201
    end = ended(http, job.json()["id"])
    assert (end["status"], end["message"]) == ("ERROR", "internal error")
    assert len(sandbox.records(SIMULATION, "pump")) == 0
    assert ended(http, post_job(http).json()["id"])["status"] == "SUCCESS"
    assert len(sandbox.records(SIMULATION, "pump")) == 1


def test_a_job_that_cannot_be_made_fails_no_other(sandbox: Sandbox, http: Http):
    """What is refused at creation is refused whatever the trouble."""
    sandbox.faults.add(Fault(Bend(job_error="internal error"), "POST", r"/importJobs$"))
    assert http.post(JOBS, json={"data": []}).status_code == 400


@pytest.mark.parametrize("rules", [{}, {"min_age": 0.0}, {"job_second": 1.0}])
def test_only_some_rules_can_be_bent(rules: dict[str, float]):
    """Anything else would change nothing, silently."""
    with pytest.raises(ValueError, match="accepted are job_error, job_seconds, listing_lag"):
        Bend(**rules)


def test_a_lost_part_is_not_listed(sandbox: Sandbox, http: Http):
    """It is acknowledged, and not kept."""
    (lost,) = (kind for kind in KINDS if kind.name == "part lost")
    sandbox.faults.add(Fault(lost.make(random.Random(1)), "PUT", r"part=1"))
    http.put(FILE + "?upload=start")
    assert http.put(FILE + "?part=1", data=b"x" * 5_000_000).status_code == 201
    assert http.get(FILE.replace("/files/", "/fileslist/")).json() == []


def test_compressed_answers(sandbox: Sandbox, http: Http):
    """Gzip comes only where it is accepted; what is damaged or false cannot be read, what is cut is shorter."""
    whole = http.get(ASSET).content
    changes = (gzipped, broken_gzip, false_gzip, cut_gzip)
    sandbox.faults.add(*in_turn(*map(Rewrite, changes)))
    assert http.get(ASSET, headers={"Accept-Encoding": "gzip"}).content == whole
    for _ in range(2):
        with pytest.raises(requests.exceptions.ContentDecodingError):
            http.get(ASSET)
    assert http.get(ASSET).content in [whole[:size] for size in range(len(whole))]
    sandbox.faults.add(*in_turn(*map(Rewrite, changes)))
    for _ in changes:
        answer = http.get(ASSET, headers={"Accept-Encoding": "identity"})
        assert answer.content == whole
        assert "Content-Encoding" not in answer.headers


def test_more_variants():
    """A job can be answered 202, a last page ends in null, a token comes alone; anything else stays."""
    job = reply({"id": "1"})
    job.status = 201
    job_accepted(job)
    assert job.status == 202
    page = reply({"records": []})
    next_null(page)
    assert page.json == {"records": [], "nextRecord": None}
    going_on = reply({"records": [], "nextRecord": "x"})
    next_null(going_on)
    assert going_on.json["nextRecord"] == "x"
    token = reply({"access_token": "t", "expires_in": 1})
    token_alone(token)
    assert token.json == {"access_token": "t"}


ROUTES = {
    ("POST", "/oauth/token", ""): "POST token",
    ("POST", "/api/technicaltokenmanager/v3/oauth/token", ""): "POST token",
    ("GET", "/api/iottsbulk/v3/timeseries/e/p", "from=1"): "GET records",
    ("PUT", "/api/iottimeseries/v3/timeseries/e/p", ""): "PUT records",
    ("POST", "/api/iottsbulk/v3/importJobs", ""): "POST job",
    ("GET", "/api/iottsbulk/v3/importJobs/1", ""): "GET job",
    ("GET", "/api/iotfile/v3/files/e", "filter=name eq a"): "GET files",
    ("GET", "/api/iotfile/v3/files/e/d/a", ""): "GET file",
    ("DELETE", "/api/iotfile/v3/files/e/a", ""): "DELETE file",
    ("PUT", "/api/iotfile/v3/files/e/a", ""): "PUT file",
    ("PUT", "/api/iotfile/v3/files/e/a", "upload=start"): "PUT start",
    ("PUT", "/api/iotfile/v3/files/e/a", "part=2"): "PUT part",
    ("PUT", "/api/iotfile/v3/files/e/a", "upload=complete"): "PUT complete",
    ("PUT", "/api/iotfile/v3/files/e/a", "upload=abort"): "PUT abort",
    ("GET", "/api/iotfile/v3/fileslist/e/a", ""): "GET parts",
    ("GET", "/api/assetmanagement/v3/assets/e/aspects", ""): "GET asset",
    ("GET", "/", ""): "GET other",
    ("GET", "/api", ""): "GET other",
}


@pytest.mark.parametrize(("asked", "route"), ROUTES.items(), ids=lambda one: one if isinstance(one, str) else "")
def test_routes(asked: tuple[str, str, str], route: str):
    """Every request has a name, and kinds speak of no others."""
    assert route_of(*asked) == route
    assert {name for kind in KINDS for name in kind.routes} <= {*ROUTES.values(), "POST asset"}


def test_a_seed_decides_by_route_and_number_alone():
    """Whatever else is asked in between, the n-th request of a route meets the same."""
    asked = [("GET", f"{JOBS}/1"), ("PUT", FILE), ("GET", READ)] * 60
    one, other = Faults(seed=3, rate=0.4), Faults(seed=3, rate=0.4)
    first = [(target, str(one.choose(method, target))) for method, target in asked]
    random.Random(1).shuffle(asked)
    second = [(target, str(other.choose(method, target))) for method, target in asked]
    for target in (f"{JOBS}/1", FILE, READ):
        assert [what for where, what in first if where == target] == [what for where, what in second if where == target]
    assert one.counts() == other.counts()
    assert Faults(seed=4, rate=0.4).seed == 4
    assert first != [(target, str(Faults(seed=4, rate=0.4).choose(method, target))) for method, target in asked]


@pytest.mark.parametrize(("rate", "least", "most"), [(0.0, 0, 0), (0.3, 240, 360), (1.0, 1000, 1000)])
def test_the_rate_is_kept(rate: float, least: int, most: int):
    """So many of a thousand are hit; a seed that was not given is drawn, and makes the same again."""
    faults = Faults(rate=rate)
    hit = [faults.choose("GET", READ) is not None for _ in range(1000)]
    assert least <= sum(hit) <= most or abs(sum(hit) - 1000 * rate) < 100
    again = Faults(rate=rate, seed=faults.seed)
    assert [again.choose("GET", READ) is not None for _ in range(1000)] == hit
    faults.rate = 0
    assert faults.choose("GET", READ) is None


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_that_is_none(rate: float):
    """A probability lies between 0 and 1."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        Faults(rate=rate)


def test_kinds_can_be_chosen():
    """By name, or of one's own; a name that is not known is refused, and says which are."""
    mine = Kind("mine", lambda draw: Answer(500 + draw.randint(0, 4)), ["GET job"])
    faults = Faults(seed=1, rate=1.0, kinds=["part lost", mine])
    assert faults.choose("GET", f"{JOBS}/1") is not None
    assert faults.choose("PUT", f"{FILE}?part=1") == Answer(201)
    assert faults.choose("GET", READ) is None
    assert faults.counts() == {"mine": 1, "part lost": 1}
    for wrong in (["part lots"], "429"):
        with pytest.raises(ValueError, match="part lost"):
            Faults(kinds=wrong)


def test_the_log_tells_what_when_and_which(sandbox: Sandbox, http: Http, clock: Clock):
    """Number of the request, its name, the kind of trouble and the time, as long as the sandbox runs."""
    sandbox.faults.add(Fault(Answer(503), "PUT"), Fault(Drop(), "DELETE"), Fault(Rewrite(job_in_list), "GET", nth=2))
    http.get(ASSET)
    http.put(FILE, data=b"x")
    clock.now += 5
    http.get(ASSET)
    with pytest.raises(requests.ConnectionError):
        http.delete(FILE)
    told = [(one.number, one.method, one.target, one.kind, one.time - clock.now) for one in sandbox.faults.log]
    assert told == [(2, "PUT", FILE, "503", -5), (3, "GET", ASSET, "rewrite", 0), (4, "DELETE", FILE, "drop", 0)]
    assert sandbox.faults.counts() == {"503": 1, "rewrite": 1, "drop": 1}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_random_trouble_never_harms_what_is_stored(kind: Kind):
    """With every request hit, nothing that was stored is changed, and nothing half is stored."""
    stored = {"_time": TIME, "speed": 7.0}
    faults = Faults(seed=1, kinds=[Kind(kind.name, lambda draw: short(kind.make(draw)), kind.routes)])
    with Sandbox(faults=faults) as sandbox:
        sandbox.add_asset(SIMULATION, twin_type="simulation")
        with Http(sandbox) as http:
            http.put(RECORDS, json=[stored])
            faults.rate = 1.0
            for call in (post_job, lambda http: http.get(READ), lambda http: http.put(RECORDS, json=[stored])):
                try:
                    call(http)
                except requests.RequestException:
                    continue
        faults.rate = 0.0
        with Http(sandbox) as http:
            page = http.get(READ).json()["records"]
    assert [(record["_time"][:19], record["speed"]) for record in page] in [[(TIME[:19], 7.0)], [(TIME[:19], 1.5)]]


def short(action: object) -> object:
    """Let nobody wait."""
    return Hang(0.01, action.after_work, action.answered) if isinstance(action, Hang) else action
