"""Injected trouble: it hits the request meant, as often as meant, and is real."""

from __future__ import annotations

import threading

import pytest
import requests
from furniture import PERFORMANCE, Http
from hypothesis import given
from hypothesis import strategies as st

from tsbulk_frames.sandbox import Fault, Faults, Sandbox
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
