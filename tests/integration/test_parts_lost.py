"""Parts of an upload that the service acknowledged and did not keep: found out, and sent again; no cut file stays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import pandas as pd
import pytest
import requests
from plant import Site, open_site, times
from starlette.types import ASGIApp, Receive, Scope, Send

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Answer, Drop, Fault, Rules

PART = 5_000_000
SIZE = 3 * PART + 10_001
NAME = "imports/lost-d1gest.json"
LOOK = rf"/files/.*{NAME}$"
LOSE = Answer(201)
"""As if the part had been taken."""


@cache
def content_of(size: int = SIZE) -> bytes:
    """Bytes in which a part in the wrong place shows."""
    return Random(size).randbytes(size)


@dataclass
class Quay:
    """A site with one asset, and a file in four parts to upload."""

    site: Site
    entity: str
    path: Path

    def lose(self, *parts: int, times: int | None = 1) -> None:
        """Let the service lose parts as they come."""
        self.trouble(*(Fault(LOSE, "PUT", f"part={number}$", times=times) for number in parts))

    def trouble(self, *faults: Fault) -> None:
        """Add to the script."""
        self.site.sandbox.faults.add(*faults)

    def upload(self, content: object = None, **settings: object) -> tsb.files.StoredFile:
        """Upload the file, one part after the other."""
        settings = {"part_bytes": PART, "max_workers": 1, **settings}
        return self.site.con.files.put_file(self.entity, NAME, self.path if content is None else content, **settings)  # type: ignore[arg-type]

    def stored(self) -> bytes | None:
        """Read what the service has, by no client code; None: no file."""
        url = f"{self.site.sandbox.url}/api/iotfile/v3/files/{self.entity}/{NAME}"
        answer = requests.get(url, headers={"Authorization": f"Bearer {self.site.sandbox.token()}"}, timeout=60)
        assert answer.status_code in (200, 404)
        return answer.content if answer.status_code == 200 else None

    def steps(self) -> list[str]:
        """Name the requests about the file so far: the step, else the method."""
        return [
            "parts" if "fileslist" in one.path else "listing" if "filter" in one.query else one.query or one.method
            for one in self.site.sandbox.requests
            if NAME in one.path or "filter=name" in one.query
        ]


@pytest.fixture
def quay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Quay]:
    """Give a file of four parts and a place for it; parametrized indirectly with settings of the site."""
    for site in open_site(**{"max_attempts": 2, **getattr(request, "param", {})}):
        path = tmp_path / "staged.json"
        path.write_bytes(content_of())
        yield Quay(site, site.asset(), path)


ALL = ["upload=start", "part=1", "part=2", "part=3", "upload=complete"]


@pytest.mark.parametrize(
    ("lost", "again", "resume"),
    [
        ([1], ["parts", "part=1", "upload=complete", "GET"], True),
        ([1, 2], ["parts", "part=1", "part=2", "upload=complete", "GET"], False),
        ([3], ["GET", "DELETE", *ALL, "GET"], True),
        ([2, 3], ["GET", "DELETE", *ALL, "GET"], False),
        ([1, 2, 3], ["GET", "DELETE", *ALL, "GET"], True),
    ],
)
def test_what_was_lost_is_sent_again(quay: Quay, lost: list[int], again: list[str], resume: bool) -> None:
    """A gap is refused at the completion: the missing parts alone; a lost end is seen in what is stored: all of it."""
    quay.lose(*lost)
    stored = quay.upload(resume=resume)
    assert quay.stored() == content_of()
    assert stored.size == SIZE
    assert [step for step in quay.steps() if step != "listing"][:-1] == [*["parts"] * resume, *ALL, *again]


def test_an_upload_that_loses_nothing_costs_one_look(quay: Quay) -> None:
    """No more than the last bytes are read of it."""
    quay.upload()
    look = quay.site.sandbox.requests[-1 if quay.steps()[-1] == "GET" else -2]
    assert quay.steps()[:6] == [*ALL, "GET"]
    assert (look.method, look.status) == ("GET", 206)


class Pipe(io.RawIOBase):
    """Can be read once."""

    def __init__(self, content: bytes) -> None:
        self._source = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        return self._source.readinto(buffer)


@pytest.mark.parametrize("lost", [[1], [3], [2, 3]])
def test_bytes_and_open_files_are_read_again(quay: Quay, lost: list[int]) -> None:
    """A file from where it stood, not from its beginning."""
    for number, give in enumerate([content_of, lambda: io.BytesIO(b"before" + content_of())]):
        quay.lose(*lost)
        content = give()
        if isinstance(content, io.BytesIO):
            content.seek(6)
        quay.upload(content, if_match=0 if number else None)
        assert quay.stored() == content_of()


@pytest.mark.parametrize(("lost", "error"), [(1, tsb.ServiceError), (3, tsb.ProtocolError)])
def test_what_can_be_read_only_once_ends_in_an_error(quay: Quay, lost: int, error: type[tsb.TsBulkError]) -> None:
    """And leaves neither a cut file nor an upload."""
    quay.lose(lost)
    with pytest.raises(error):
        quay.upload(Pipe(content_of()))
    assert quay.stored() is None
    assert quay.site.con.files.list_parts(quay.entity, NAME) == {}
    quay.upload(Pipe(content_of()))
    assert quay.stored() == content_of()


@pytest.mark.parametrize("lost", [1, 3])
def test_losses_may_come_together(quay: Quay, lost: int) -> None:
    """Lost when it is sent again as well: three times, in whatever way they show."""
    quay.lose(lost, times=3)
    quay.upload()
    assert quay.steps().count(f"part={lost}") == 4
    assert quay.stored() == content_of()


@pytest.mark.parametrize(("lost", "error", "resume"), [(1, tsb.ServiceError, False), (3, tsb.ProtocolError, True)])
def test_a_service_that_loses_it_each_time_is_told(
    quay: Quay, lost: int, error: type[tsb.TsBulkError], resume: bool
) -> None:
    """After four times; nothing of it is stored or left, and the next call is free to try."""
    quay.lose(lost, times=4)
    with pytest.raises(error) as caught:
        quay.upload(resume=resume)
    assert lost == 1 or "acknowledged all 4 parts" in str(caught.value)
    assert quay.steps().count(f"part={lost}") == 4
    assert quay.stored() is None
    assert quay.site.con.files.list_parts(quay.entity, NAME) == {}
    quay.upload(resume=resume)
    assert quay.stored() == content_of()


@pytest.mark.parametrize("lost", [1, 3])
def test_an_update_that_loses_parts_is_whole_in_the_end(quay: Quay, lost: int) -> None:
    """With the etag as long as there is an old file, and without once it is gone."""
    quay.site.con.files.put_file(quay.entity, NAME, b"old")
    quay.lose(lost)
    quay.upload(if_match=0)
    assert quay.stored() == content_of()


@pytest.mark.parametrize("answer", [Answer(404), Answer(403), Answer(200, "<html>")])
def test_where_nobody_tells_which_all_are_sent_again(quay: Quay, answer: Answer) -> None:
    """Once: the refusal may have another reason."""
    quay.trouble(Fault(answer, "GET", "/fileslist/", times=None))
    quay.lose(2)
    quay.upload()
    assert quay.steps()[:-1] == [*ALL, "parts", "upload=abort", *ALL, "GET"]
    assert quay.stored() == content_of()


def test_a_refusal_for_another_reason_stays(quay: Quay) -> None:
    """All parts are there: none is sent again."""
    quay.trouble(Fault(Answer(400), "PUT", "upload=complete", times=None))
    with pytest.raises(tsb.ServiceError):
        quay.upload()
    assert quay.steps() == [*ALL, "parts", "upload=abort"]


class NoRange:
    """Answer the whole file whatever range is asked for."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await app({**scope, "headers": headers}, receive, send)


@pytest.mark.parametrize(
    ("quay", "action"),
    [
        ({}, NoRange()),
        ({"max_answer_bytes": PART}, NoRange()),
        ({}, Answer(403)),
        ({}, Answer(404)),
        ({}, Answer(416)),
    ],
    indirect=["quay"],
)
def test_however_the_look_is_answered_a_lost_part_shows(quay: Quay, action: Answer | NoRange) -> None:
    """Ranges that are ignored, refused or too large: then the listing tells the size."""
    quay.trouble(
        Fault(
            action,
            "GET",
            LOOK,
        )
    )
    quay.lose(3)
    quay.upload()
    assert quay.stored() == content_of()
    assert quay.steps().count("part=3") == 2


@pytest.mark.parametrize("quay", [{"rules": Rules(multipart_etag=True)}], indirect=True)
def test_where_nobody_tells_the_service_is_believed(quay: Quay) -> None:
    """Neither the file nor the listing may be looked at: the completion counts."""
    quay.trouble(Fault(Answer(403), "GET", LOOK), Fault(Answer(403), "GET", "filter="))
    assert quay.upload().size == SIZE
    assert quay.stored() == content_of()
    assert quay.steps()[:-1] == [*ALL, "GET", "listing"]


@pytest.mark.parametrize("lost", [[], [3]])
def test_a_look_that_fails_on_the_way_says_so(quay: Quay, lost: list[int]) -> None:
    """No success is told that nobody saw; the next try with `resume` finds the file, or takes the cut one back."""
    quay.lose(*lost)
    quay.trouble(Fault(Drop(), "GET", LOOK, times=2))
    with pytest.raises(tsb.TransportError) as caught:
        quay.upload(resume=True)
    assert "was uploaded" in "".join(caught.value.__notes__)
    sent = quay.steps().count("part=1")
    quay.upload(resume=True)
    assert quay.stored() == content_of()
    assert quay.steps().count("part=1") == sent + len(lost)
    assert quay.steps().count("DELETE") == len(lost)


def test_a_cut_file_that_cannot_be_deleted_is_told(quay: Quay) -> None:
    """The error names it; with `resume` the next call begins with that."""
    quay.lose(3)
    quay.trouble(Fault(Drop(), "DELETE", times=2))
    with pytest.raises(tsb.TransportError) as caught:
        quay.upload(resume=True)
    assert "still there" in "".join(caught.value.__notes__)
    quay.upload(resume=True)
    assert quay.stored() == content_of()


@pytest.mark.parametrize("part", [1, 2])
def test_an_import_whose_parts_are_lost_is_whole(site: Site, part: int) -> None:
    """The file of a large hour: what it holds in the end is all of the frame."""
    rows = pd.DataFrame({"note": [f"{number:04} " * 1_000 for number in range(3_600)]}, times("2026-03-01", 3_600))
    entity = site.asset()
    site.sandbox.faults.add(Fault(LOSE, "PUT", rf"part={part}$"))
    tsb.write_timeseries(rows, entity, "pump", twin_type="simulation", connection=site.con)
    assert [one.kind for one in site.sandbox.faults.log] == ["201"]
    assert site.stored(entity)["note"].tolist() == rows["note"].tolist()


def test_another_file_is_never_taken_for_a_cut_one(quay: Quay) -> None:
    """Only what ends as ours does, at a place where a part of ours would: anything else is somebody's."""
    for other in (content_of()[:-PART], content_of()[: 2 * PART + 10_001], content_of()[-10_002:], b"x"):
        quay.site.con.files.put_file(quay.entity, NAME, other)
        with pytest.raises(tsb.ConflictError):
            quay.upload(resume=True)
        assert quay.stored() == other
        quay.site.con.files.delete_file(quay.entity, NAME)
