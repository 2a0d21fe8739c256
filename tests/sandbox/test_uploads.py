"""Multipart uploads: any order, several at once, repeated, resumed, refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from furniture import PERFORMANCE, Clock, Http, furnish

from tsbulk_frames.sandbox import Rules, Sandbox, uploads

FILE = f"/api/iotfile/v3/files/{PERFORMANCE}/dir/big.json"
LISTING = f"/api/iotfile/v3/fileslist/{PERFORMANCE}/dir/big.json"


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    """Start a sandbox whose parts may be small."""
    with Sandbox(clock=clock, rules=Rules(min_part_bytes=3)) as running:
        furnish(running)
        yield running


def objects(sandbox: Sandbox) -> int:
    """Count the pieces of bytes on disk."""
    return len(list((sandbox._opened().state.root / "files" / "objects").iterdir()))


def test_parts_in_any_order_three_at_once(sandbox: Sandbox, http: Http):
    """Parts arrive in any order, three at a time, and are joined by number, the last bytes behind them."""
    pieces = [bytes([65 + n]) * (3 + n) for n in range(26)]
    assert http.put(FILE + "?upload=start").status_code == 201
    with ThreadPoolExecutor(3) as pool:
        order = sorted(range(26), key=lambda n: n * 7 % 26)
        answers = list(pool.map(lambda n: http.put(f"{FILE}?part={n + 1}", data=pieces[n]).status_code, order))
    assert answers == [201] * 26
    done = http.put(FILE + "?upload=complete", data=b"!")
    assert done.status_code == 201
    assert "ETag" not in done.headers
    assert http.get(FILE).content == b"".join(pieces) + b"!"
    assert objects(sandbox) == 1


def test_nothing_shows_before_complete(http: Http):
    """Until it is completed, an upload is no file and does not touch the one that is there."""
    http.put(FILE, data=b"old")
    http.put(FILE + "?upload=start", headers={"If-Match": "0"})
    http.put(FILE + "?part=1", data=b"new", headers={"If-Match": "0"})
    assert http.get(FILE).content == b"old"
    assert http.put(FILE + "?upload=complete", headers={"If-Match": "0"}).status_code == 204
    assert http.get(FILE).content == b"new"


def test_a_part_again_replaces_it(sandbox: Sandbox, http: Http):
    """The same number sent again counts once, the later bytes win."""
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"aaaaaa")
    http.put(FILE + "?part=2", data=b"bbb")
    http.put(FILE + "?part=1", data=b"ccc")
    assert http.get(LISTING).json() == [{"part": 1, "size": 3}, {"part": 2, "size": 3}]
    http.put(FILE + "?upload=complete", data=b"")
    assert http.get(FILE).content == b"cccbbb"
    assert objects(sandbox) == 1


def test_complete_can_be_repeated(http: Http):
    """The same last bytes again get the same answer and raise no etag; other bytes are refused."""
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"abc")
    first = http.put(FILE + "?upload=complete", data=b"d")
    again = http.put(FILE + "?upload=complete", data=b"d")
    assert (first.status_code, again.status_code) == (201, 201)
    assert http.get(FILE).headers["ETag"] == "0"
    assert http.put(FILE + "?upload=complete", data=b"e").status_code == 400
    http.put(FILE, data=b"other", headers={"If-Match": "0"})
    assert http.put(FILE + "?upload=complete", data=b"d").status_code == 400
    assert http.get(FILE).content == b"other"


def test_complete_repeated_while_running(http: Http, sandbox: Sandbox):
    """Completing several times at once makes one file and answers all alike."""
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"abc" * 500_000)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: http.put(FILE + "?upload=complete", data=b"d").status_code, range(4)))
    assert answers == [201] * 4
    assert http.get(FILE).headers["ETag"] == "0"
    assert objects(sandbox) == 1


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Do something while an upload's parts are being joined, once."""

    def arrange(act: Callable[[], object]) -> None:
        join = uploads._join

        def joining(*args) -> bool:
            monkeypatch.setattr(uploads, "_join", join)
            joined = join(*args)
            act()
            return joined

        monkeypatch.setattr(uploads, "_join", joining)

    return arrange


def test_the_same_complete_overtaken(sandbox: Sandbox, http: Http, meanwhile):
    """A complete that was overtaken by its own repetition answers as that did and leaves no bytes."""
    overtaking = []
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"abc")
    meanwhile(lambda: overtaking.append(http.put(FILE + "?upload=complete", data=b"d").status_code))
    assert http.put(FILE + "?upload=complete", data=b"d").status_code == 201
    assert overtaking == [201]
    assert http.get(FILE).headers["ETag"] == "0"
    assert objects(sandbox) == 1


def test_a_write_while_completing(sandbox: Sandbox, http: Http, meanwhile):
    """A file written while the parts are joined is not overwritten: 409."""
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"abc")
    meanwhile(lambda: http.put(FILE, data=b"between"))
    assert http.put(FILE + "?upload=complete", data=b"d").status_code == 409
    assert http.get(FILE).content == b"between"
    assert objects(sandbox) == 2


def test_a_part_replaced_while_completing(http: Http, monkeypatch: pytest.MonkeyPatch):
    """A part that vanishes under the joining is a conflict, not a failure, and completing again works."""
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"abc")
    join = uploads._join

    def joining(*args) -> bool:
        monkeypatch.setattr(uploads, "_join", join)
        http.put(FILE + "?part=1", data=b"xyz")
        return join(*args)

    monkeypatch.setattr(uploads, "_join", joining)
    assert http.put(FILE + "?upload=complete", data=b"d").status_code == 409
    assert http.put(FILE + "?upload=complete", data=b"d").status_code == 201
    assert http.get(FILE).content == b"xyzd"


@pytest.mark.parametrize("step", ["?part=1", "?upload=complete"])
def test_nothing_without_start(sandbox: Sandbox, http: Http, step: str):
    """Parts and completion need a started upload: 400."""
    assert http.put(FILE + step, data=b"abc").status_code == 400
    assert http.get(FILE).status_code == 404
    assert objects(sandbox) == 0


@pytest.mark.parametrize("part", ["0", "1001", "-1", "x", "1.0", "", "9" * 30])
def test_part_numbers(http: Http, part: str):
    """Parts are numbered 1 to 1000: 400 otherwise."""
    http.put(FILE + "?upload=start")
    assert http.put(f"{FILE}?part={part}", data=b"abc").status_code == 400
    assert http.put(f"{FILE}?part=1000", data=b"abc").status_code == 201


def test_a_gap_is_found(http: Http):
    """A missing part is named at completion; after it was sent, completing works."""
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"abc")
    http.put(FILE + "?part=3", data=b"ghi")
    answer = http.put(FILE + "?upload=complete", data=b"!")
    assert answer.status_code == 400
    assert "part 2" in answer.json()["message"]
    http.put(FILE + "?part=2", data=b"def")
    assert http.put(FILE + "?upload=complete", data=b"!").status_code == 201
    assert http.get(FILE).content == b"abcdefghi!"


def test_unknown_step(http: Http):
    """Any other word for upload is 400."""
    assert http.put(FILE + "?upload=pause").status_code == 400


def test_parts_have_a_least_size(clock: Clock):
    """By default a part under 5 MB is refused and one of 5 MB taken; the last bytes may be few."""
    with Sandbox(clock=clock) as sandbox:
        furnish(sandbox)
        with Http(sandbox) as http:
            http.put(FILE + "?upload=start")
            assert http.put(FILE + "?part=1", data=b"x" * 4_999_999).status_code == 400
            assert objects(sandbox) == 0
            assert http.put(FILE + "?part=1", data=b"x" * 5_000_000).status_code == 201
            assert http.put(FILE + "?upload=complete", data=b"y").status_code == 201
            assert len(http.get(FILE).content) == 5_000_001


def test_abort(sandbox: Sandbox, http: Http):
    """Aborting drops what was sent; without an upload it is harmless, and it never touches the file."""
    assert http.put(FILE + "?upload=abort").status_code == 204
    http.put(FILE, data=b"old")
    http.put(FILE + "?upload=start", headers={"If-Match": "0"})
    http.put(FILE + "?part=1", data=b"abc", headers={"If-Match": "0"})
    assert http.put(FILE + "?upload=abort").status_code == 204
    assert http.put(FILE + "?upload=abort").status_code == 204
    assert objects(sandbox) == 1
    assert http.get(LISTING).status_code == 404
    assert http.put(FILE + "?upload=complete", data=b"d", headers={"If-Match": "0"}).status_code == 400
    assert http.get(FILE).content == b"old"


def test_starting_again_begins_anew(sandbox: Sandbox, http: Http):
    """A second start drops the parts of the first."""
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"abc")
    http.put(FILE + "?upload=start")
    assert http.get(LISTING).json() == []
    assert objects(sandbox) == 0


@pytest.mark.parametrize("headers", [{}, {"If-Match": "5"}])
def test_updating_needs_the_etag_at_each_step(http: Http, headers: dict[str, str]):
    """For a file that exists, start, part and complete each need its etag: 409 without."""
    http.put(FILE, data=b"old")
    good = {"If-Match": "0"}
    for step in ["?upload=start", "?part=1", "?upload=complete"]:
        assert http.put(FILE + step, data=b"abc", headers=headers).status_code == 409
        assert http.put(FILE + step, data=b"abc", headers=good).status_code in (201, 204)
    assert http.get(FILE).content == b"abcabc"
    assert http.get(FILE).headers["ETag"] == "1"


def test_a_write_in_between_wins(http: Http):
    """When the file was replaced during an upload, completing with the old etag is 409."""
    http.put(FILE, data=b"old")
    http.put(FILE + "?upload=start", headers={"If-Match": "0"})
    http.put(FILE + "?part=1", data=b"abc", headers={"If-Match": "0"})
    http.put(FILE, data=b"between", headers={"If-Match": "0"})
    assert http.put(FILE + "?upload=complete", data=b"d", headers={"If-Match": "0"}).status_code == 409
    assert http.get(FILE).content == b"between"


def test_unfinished_uploads_die(sandbox: Sandbox, http: Http, clock: Clock):
    """After two days by the sandbox's clock an upload is gone, and its bytes with the next one."""
    http.put(FILE + "?upload=start")
    http.put(FILE + "?part=1", data=b"abc")
    clock.now += 2 * 86_400
    http.headers["Authorization"] = f"Bearer {sandbox.token()}"
    assert http.get(LISTING).status_code == 200
    clock.now += 1
    assert http.get(LISTING).status_code == 404
    assert http.put(FILE + "?part=2", data=b"abc").status_code == 400
    assert http.put(FILE + "x?upload=start").status_code == 201
    assert objects(sandbox) == 0


def test_headers_of_start_and_complete(http: Http):
    """What the headers say about the file is taken from complete, else from start."""
    http.put(FILE + "?upload=start", headers={"type": "text/csv", "description": "first"})
    http.put(FILE + "?upload=complete", data=b"d", headers={"description": "second"})
    (item,) = http.get(f"/api/iotfile/v3/files/{PERFORMANCE}").json()
    assert (item["type"], item["description"]) == ("text/csv", "second")


def test_etag_after_complete_is_a_rule(clock: Clock):
    """Whether completing tells the etag is a setting."""
    with Sandbox(clock=clock, rules=Rules(multipart_etag=True)) as sandbox:
        furnish(sandbox)
        with Http(sandbox) as http:
            http.put(FILE + "?upload=start")
            assert http.put(FILE + "?upload=complete", data=b"d").headers["ETag"] == "0"
