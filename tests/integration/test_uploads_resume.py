"""Large uploads that break off: what stays, what is sent again, and that the bytes stored are those of the file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random

import pytest
import requests
from plant import Site, open_site
from starlette.types import ASGIApp, Receive, Scope, Send

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Fault, Rules
from tsbulk_frames.sandbox.faults import Action, Answer, Drop, Reply, Rewrite

PART = 5_000_000
SIZE = 4 * PART + 7
NAME = "imports/2026-03-01-d1gest.json"
CHILD = """
import pathlib, sys
import tsbulk_frames as tsb
url, token, entity, name, path, resume = sys.argv[1:]
config = tsb.RestClientConfig(host_url=url)
with tsb.Connection(config, tsb.UserToken(token)) as con:
    print("ready", flush=True)
    con.files.put_file(entity, name, pathlib.Path(path), part_bytes=5_000_000, resume=resume == "resume")
"""


@cache
def content_of(size: int, seed: int = 0) -> bytes:
    """Bytes in which a part in the wrong place shows."""
    return Random(size + seed).randbytes(size)


@dataclass
class Dock:
    """A site with one asset, a file to upload, and what became of it."""

    site: Site
    entity: str
    path: Path

    def upload(self, *, resume: bool = True, **settings: object) -> tsb.files.StoredFile:
        """Upload the file."""
        return self.site.con.files.put_file(self.entity, NAME, self.path, part_bytes=PART, resume=resume, **settings)  # type: ignore[arg-type]

    def stored(self) -> bytes:
        """Read what the service holds."""
        return self.site.con.files.get_file(self.entity, NAME)

    def steps(self) -> list[str]:
        """Name the requests since the last look, parts side by side in order."""
        steps = []
        records = self.site.sandbox.requests[self._seen :]
        self._seen += len(records)
        for record in records:
            if NAME not in record.path and "filter=name" not in record.query:
                continue
            kind = "parts" if "fileslist" in record.path else "listing" if "filter" in record.query else record.method
            steps.append(record.query if record.query and kind == "PUT" else kind)
        runs = [list(run) for _, run in groupby(steps, key=lambda step: step.startswith("part="))]
        return [step for run in runs for step in (sorted(run) if run[0].startswith("part=") else run)]

    def __post_init__(self) -> None:
        self._seen = len(self.site.sandbox.requests)

    def put(self, query: str, body: bytes = b"", *, etag: int | None = None) -> None:
        """Send a request of somebody else's."""
        url = f"{self.site.sandbox.url}/api/iotfile/v3/files/{self.entity}/{NAME}?{query}"
        headers = {"Authorization": f"Bearer {self.site.sandbox.token()}"}
        if etag is not None:
            headers["If-Match"] = str(etag)
        requests.put(url, body, headers=headers, timeout=60).raise_for_status()
        self.steps()


@pytest.fixture
def dock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Dock]:
    """Give a file of five parts and a place for it; parametrized indirectly with settings of the site."""
    for site in open_site(**{"max_attempts": 2, **getattr(request, "param", {})}):
        path = tmp_path / "staged.json"
        path.write_bytes(content_of(SIZE))
        yield Dock(site, site.asset(), path)


def broken(dock: Dock, part: int) -> None:
    """Let an upload break off that brings all parts before this one."""
    dock.site.sandbox.faults.add(Fault(Drop(), "PUT", f"part={part}", times=2))
    with pytest.raises(tsb.TransportError):
        dock.upload(max_workers=1)
    dock.steps()


ANEW = ["upload=start", "part=1", "part=2", "part=3", "part=4", "upload=complete"]
SENT = [*ANEW, "GET"]
"""At the end a look at what was stored."""


# Carrying on


def test_what_is_there_is_not_sent_again(dock: Dock) -> None:
    """The line dies at part 3, for good: parts 1 and 2 stay, and only the others go up the next time."""
    dock.site.sandbox.faults.add(Fault(Drop(), "PUT", "part=3", times=2))
    with pytest.raises(tsb.TransportError):
        dock.upload(max_workers=1)
    assert dock.steps() == ["parts", "upload=start", "part=1", "part=2", "part=3", "part=3"]
    stored = dock.upload()
    assert dock.steps() == ["parts", "part=3", "part=4", "upload=complete", "GET", "GET", "GET", "listing"]
    assert (stored.size, stored.etag) == (SIZE, 0)
    assert dock.stored() == content_of(SIZE)


def test_nothing_there_is_a_whole_upload(dock: Dock) -> None:
    """Of what was sent in one go only the end is looked at."""
    assert dock.upload().etag == 0
    assert dock.steps() == ["parts", *SENT, "listing"]


def test_all_parts_there(dock: Dock) -> None:
    """Only the completion failed: it is all that is sent."""
    dock.site.sandbox.faults.add(Fault(Answer(503), "PUT", "upload=complete", times=2))
    with pytest.raises(tsb.ServiceError):
        dock.upload()
    assert dock.steps()[-2:] == ["upload=complete"] * 2
    dock.upload()
    assert dock.steps()[:2] == ["parts", "upload=complete"]
    assert dock.stored() == content_of(SIZE)


def vendor(reply: Reply) -> None:
    """Name the parts as the vendor's page does: no sizes."""
    if reply.status == 200:
        entity = "1".zfill(32)
        reply.json = [{"objectKey": f"t/{entity}/{NAME}", "partNo": one["part"], "created": "x"} for one in reply.json]


def numbers(reply: Reply) -> None:
    """Only the numbers."""
    if reply.status == 200:
        reply.json = [one["part"] for one in reply.json]


@pytest.mark.parametrize("form", [vendor, numbers])
def test_parts_without_a_size_count(dock: Dock, form: Callable[[Reply], None]) -> None:
    """They were cut by the size of the file, as they are now; what is stored in the end is looked at."""
    broken(dock, 2)
    dock.site.sandbox.faults.add(Fault(Rewrite(form), "GET", "/fileslist/"))
    dock.upload()
    assert [step for step in dock.steps() if step != "GET"] == [
        "parts", "part=2", "part=3", "part=4", "upload=complete", "listing",
    ]  # fmt: skip
    assert dock.stored() == content_of(SIZE)


@pytest.mark.parametrize(
    "answer", [Answer(404), Answer(403), Answer(400), Answer(200, "<html>"), Answer(200, {"a": 1})]
)
def test_a_service_that_does_not_tell_gets_all(dock: Dock, answer: Answer) -> None:
    """No list, or one that is not understood, is none."""
    broken(dock, 3)
    dock.site.sandbox.faults.add(Fault(answer, "GET", "/fileslist/"))
    dock.upload()
    assert dock.steps() == ["parts", *SENT, "listing"]
    assert dock.stored() == content_of(SIZE)


@pytest.mark.parametrize("step", ["upload=complete", "part=3"])
def test_old_parts_that_are_refused_are_sent_anew(dock: Dock, step: str) -> None:
    """Once: dropped, begun anew, all sent."""
    broken(dock, 3)
    dock.site.sandbox.faults.add(Fault(Answer(400), "PUT", step))
    dock.upload(max_workers=1)
    steps = dock.steps()
    assert steps[steps.index("upload=abort") :] == ["upload=abort", *SENT, "listing"]
    assert dock.stored() == content_of(SIZE)


def test_what_is_refused_twice_is_an_error(dock: Dock) -> None:
    """The first was due to the old parts, the second is not: nothing is left."""
    broken(dock, 3)
    dock.site.sandbox.faults.add(Fault(Answer(400), "PUT", "upload=complete", times=None))
    with pytest.raises(tsb.ServiceError):
        dock.upload()
    steps = dock.steps()
    assert (steps.count("upload=complete"), steps.count("upload=abort"), steps[-1]) == (2, 2, "upload=abort")
    assert dock.site.con.files.list_parts(dock.entity, NAME) == {}


def test_parts_cut_otherwise_are_dropped(dock: Dock) -> None:
    """A number beyond the last would stay in the file; nothing is mixed."""
    dock.put("upload=start")
    for number in range(1, 6):
        dock.put(f"part={number}", content_of(PART + 1, number))
    dock.upload()
    assert dock.steps() == ["parts", "upload=abort", *SENT, "listing"]
    assert dock.stored() == content_of(SIZE)


def test_a_part_of_the_wrong_size_is_sent_again(dock: Dock) -> None:
    """The others stay."""
    broken(dock, 3)
    dock.put("part=1", content_of(PART + 1))
    dock.upload()
    assert [step for step in dock.steps() if step.startswith("part=")] == ["part=1", "part=3", "part=4"]
    assert dock.stored() == content_of(SIZE)


@pytest.mark.parametrize("if_match", [None, 0])
def test_parts_of_another_content_are_found_out(dock: Dock, if_match: int | None) -> None:
    """Same name, same sizes, other bytes: what was stored is taken back, and all is sent anew, as a new file."""
    if if_match is not None:
        dock.site.con.files.put_file(dock.entity, NAME, b"old")
    dock.put("upload=start", etag=if_match)
    dock.put("part=2", content_of(PART, 2), etag=if_match)
    dock.upload(if_match=if_match)
    steps = dock.steps()
    assert steps[steps.index("DELETE") :] == ["DELETE", *SENT, "listing"]
    assert dock.stored() == content_of(SIZE)


def test_a_file_grown_too_long_is_found_out(dock: Dock) -> None:
    """Where the sizes of parts are not told, the end of the file is looked for, and what follows it."""
    dock.put("upload=start")
    dock.put("part=4", content_of(SIZE)[3 * PART : 4 * PART] + content_of(SIZE)[4 * PART :])
    dock.site.sandbox.faults.add(Fault(Rewrite(numbers), "GET", "/fileslist/"))
    dock.upload()
    assert "DELETE" in dock.steps()
    assert dock.stored() == content_of(SIZE)


def test_an_upload_done_meanwhile_is_found(dock: Dock) -> None:
    """The answer to the completion was lost for good: the next try meets the file; another one it does not take."""
    dock.site.sandbox.faults.add(Fault(Drop(after_work=True), "PUT", "upload=complete", times=2))
    with pytest.raises(tsb.TransportError):
        dock.upload()
    dock.upload()
    with pytest.raises(tsb.ConflictError):
        dock.upload(resume=False)
    assert dock.stored() == content_of(SIZE)
    dock.site.con.files.put_file(dock.entity, NAME, content_of(SIZE)[:-1] + b"?", if_match=0)
    with pytest.raises(tsb.ConflictError):
        dock.upload()


def test_an_update_carries_on_with_its_etag(dock: Dock) -> None:
    """On each request; the listing tells the new one."""
    dock.site.con.files.put_file(dock.entity, NAME, b"old")
    dock.site.sandbox.faults.add(Fault(Drop(), "PUT", "part=3", times=2))
    with pytest.raises(tsb.TransportError):
        dock.upload(if_match=0)
    dock.steps()
    with pytest.raises(tsb.ConflictError):
        dock.upload(if_match=4)
    assert "upload=abort" in dock.steps()
    dock.site.sandbox.faults.add(Fault(Drop(), "PUT", "part=3", times=2))
    with pytest.raises(tsb.TransportError):
        dock.upload(if_match=0)
    dock.steps()
    assert dock.upload(if_match=0).etag == 1
    assert "upload=start" not in dock.steps()
    assert dock.stored() == content_of(SIZE)


@pytest.mark.parametrize("dock", [{"rules": Rules(listing_lag=60.0)}], indirect=True)
def test_an_etag_nowhere_to_be_learnt_is_none(dock: Dock) -> None:
    """The completion does not tell, the listing lags; what is stored is known all the same."""
    broken(dock, 2)
    assert dock.upload().etag is None
    assert dock.stored() == content_of(SIZE)


# Breaking off


def test_one_part_is_sent_again_alone(dock: Dock) -> None:
    """A connection lost before the work, one after it, and a gateway that stumbles: one more request each."""
    dock.site.sandbox.faults.add(
        Fault(Drop(), "PUT", "part=1"),
        Fault(Drop(after_work=True), "PUT", "part=2"),
        Fault(Answer(502), "PUT", "part=4"),
    )
    dock.upload()
    parts = [step for step in dock.steps() if step.startswith("part=")]
    assert parts == ["part=1", "part=1", "part=2", "part=2", "part=3", "part=4", "part=4"]
    assert dock.stored() == content_of(SIZE)


def test_without_resume_nothing_stays(dock: Dock) -> None:
    """Given up is aborted, and the next try sends all."""
    dock.site.sandbox.faults.add(Fault(Drop(), "PUT", "part=3", times=2))
    with pytest.raises(tsb.TransportError):
        dock.upload(resume=False)
    assert dock.steps()[-1] == "upload=abort"
    dock.upload(resume=False)
    assert dock.steps() == [*SENT, "listing"]


def test_a_completion_done_but_not_told_is_done(dock: Dock) -> None:
    """A service that knows no upload any more, as it is complete, is no failure: the file is there."""
    dock.site.sandbox.faults.add(
        Fault(Drop(after_work=True), "PUT", "upload=complete"), Fault(Answer(404), "PUT", "upload=complete", nth=2)
    )
    assert dock.upload(resume=False).etag == 0
    assert "upload=abort" not in dock.steps()
    assert dock.stored() == content_of(SIZE)


@pytest.mark.parametrize("other", [False, True])
def test_a_completion_refused_after_a_lost_answer_is_no_success(dock: Dock, other: bool) -> None:
    """Where the service has no such file, or another."""
    if other:
        dock.site.con.files.put_file(dock.entity, NAME, content_of(SIZE - 1))
    dock.site.sandbox.faults.add(
        Fault(Drop(), "PUT", "upload=complete"), Fault(Answer(400), "PUT", "upload=complete", nth=2)
    )
    with pytest.raises(tsb.ServiceError):
        dock.upload(resume=False, if_match=0 if other else None)
    assert dock.steps()[-1] == "upload=abort"


@dataclass(frozen=True)
class Meddle:
    """Do something to the file on disk, then the work as usual, or what else is to happen."""

    change: Callable[[], object]
    then: Action | None = None

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.change()
        await (self.then(app, scope, receive, send) if self.then else app(scope, receive, send))


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("how", ["rewritten", "cut", "grown", "replaced", "removed"])
def test_a_file_changed_meanwhile_is_an_error(dock: Dock, how: str, resume: bool) -> None:
    """Whatever happens to it: nothing of it is stored or left, not for a later try either."""

    def change() -> None:
        if how == "rewritten":
            dock.path.write_bytes(content_of(SIZE, 1))
        elif how == "removed":
            dock.path.unlink()
        elif how == "replaced":
            other = dock.path.with_suffix(".new")
            other.write_bytes(content_of(SIZE))
            other.replace(dock.path)
        else:
            os.truncate(dock.path, SIZE + (1 if how == "grown" else -1))

    dock.site.sandbox.faults.add(Fault(Meddle(change), "PUT", "part=2"))
    with pytest.raises(tsb.FrameError, match=r"staged\.json.*given up"):
        dock.upload(resume=resume, max_workers=1)
    assert dock.steps()[-1] == "upload=abort"
    assert dock.site.con.files.list_parts(dock.entity, NAME) == {}
    assert dock.site.con.files.find_file(dock.entity, NAME) is None


def test_a_small_file_changed_meanwhile_is_an_error(dock: Dock) -> None:
    """In one request, or the second try of one, as well as in many."""
    dock.path.write_bytes(content_of(PART))
    dock.site.sandbox.faults.add(Fault(Meddle(lambda: os.truncate(dock.path, PART - 1), Drop()), "PUT"))
    with pytest.raises(tsb.FrameError, match="given up"):
        dock.upload()
    assert dock.site.con.files.find_file(dock.entity, NAME) is None


# Ends of the process


class Hold:
    """Keep requests waiting until they are let go, or nobody waits any more."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.set()
        while not self.over.is_set():
            await asyncio.sleep(0.01)
        while (await receive())["type"] != "http.disconnect":
            pass


@pytest.mark.parametrize(
    ("how", "resume", "kept"),
    [(signal.SIGKILL, "resume", True), (signal.SIGINT, "resume", True), (signal.SIGINT, "no", False)],
)
def test_a_process_that_ends_leaves_its_parts(dock: Dock, how: signal.Signals, resume: str, kept: bool) -> None:
    """Killed, or interrupted, in the middle of a part: the parts stay for the next try, if there is to be one."""
    hold = Hold()
    dock.site.sandbox.faults.add(Fault(hold, "PUT", "part=4"))
    arguments = [dock.site.sandbox.url, dock.site.sandbox.token(), dock.entity, NAME, str(dock.path), resume]
    with subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stderr=subprocess.DEVNULL) as child:
        assert hold.reached.wait(60)
        while len(dock.site.con.files.list_parts(dock.entity, NAME)) < 3:
            time.sleep(0.01)
        child.send_signal(how)
        assert child.wait(60) != 0
    hold.over.set()
    assert sorted(dock.site.con.files.list_parts(dock.entity, NAME)) == ([1, 2, 3] if kept else [])
    dock.steps()
    dock.upload()
    parts = [step for step in dock.steps() if step.startswith("part=")]
    assert parts == (["part=4"] if kept else ["part=1", "part=2", "part=3", "part=4"])
    assert dock.stored() == content_of(SIZE)
