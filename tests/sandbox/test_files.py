"""The file service: etags, ranges, listings, names."""

from __future__ import annotations

import http.client
import socket
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import pytest
from furniture import PERFORMANCE, SIMULATION, Clock, Http, furnish

from tsbulk_frames.sandbox import Fault, Rules, Sandbox
from tsbulk_frames.sandbox.files import FileInfo, FileStore, StoredFile

FILES = f"/api/iotfile/v3/files/{PERFORMANCE}"


def stored(sandbox: Sandbox) -> int:
    """Count the pieces of bytes on disk."""
    return len(list((sandbox._opened().state.root / "files" / "objects").iterdir()))


def test_first_write_and_replacement(sandbox: Sandbox, http: Http):
    """The first write is 201 with etag 0, each replacement 204 with one more; answers have headers only."""
    first = http.put(FILES + "/a.json", data=b"[1]")
    assert (first.status_code, first.headers["ETag"], first.content) == (201, "0", b"")
    for etag in range(3):
        again = http.put(FILES + "/a.json", data=b"[%d]" % etag, headers={"If-Match": str(etag)})
        assert (again.status_code, again.headers["ETag"], again.content) == (204, str(etag + 1), b"")
    assert http.get(FILES + "/a.json").content == b"[2]"
    assert stored(sandbox) == 1


@pytest.mark.parametrize(
    ("if_match", "status"), [(None, 409), ("1", 409), ("99", 409), ('"0"', 400), ("x", 400), ("*", 400)]
)
def test_replacing_needs_the_etag(sandbox: Sandbox, http: Http, if_match: str | None, status: int):
    """Without the current etag nothing is replaced: 409; what is no etag at all: 400."""
    http.put(FILES + "/a.json", data=b"old")
    answer = http.put(FILES + "/a.json", data=b"new", headers={"If-Match": if_match})
    assert answer.status_code == status
    assert set(answer.json()) == {"id", "message"}
    assert http.get(FILES + "/a.json").content == b"old"
    assert stored(sandbox) == 1


def test_an_etag_for_nothing(http: Http):
    """An etag of a file that does not exist is 412, and nothing is written."""
    assert http.put(FILES + "/a.json", data=b"x", headers={"If-Match": "0"}).status_code == 412
    assert http.get(FILES + "/a.json").status_code == 404


def test_of_many_writers_one_wins(http: Http, sandbox: Sandbox):
    """Of simultaneous writes with the same etag exactly one is taken, the others are 409 and leave nothing."""
    http.put(FILES + "/a", data=b"start")

    def write(number: int) -> int:
        return http.put(FILES + "/a", data=bytes([number]) * 100_000, headers={"If-Match": "0"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(8))) == [204] + [409] * 7
    content = http.get(FILES + "/a").content
    assert content == content[:1] * 100_000
    assert stored(sandbox) == 1


def test_delete(sandbox: Sandbox, http: Http):
    """Deleting is 204, then the file is gone and a first write begins again at etag 0."""
    http.put(FILES + "/a", data=b"x")
    assert http.delete(FILES + "/a", headers={"If-Match": "7"}).status_code == 409
    assert http.delete(FILES + "/a").status_code == 204
    assert http.delete(FILES + "/a").status_code == 404
    assert http.get(FILES + "/a").status_code == 404
    assert stored(sandbox) == 0
    assert http.put(FILES + "/a", data=b"y").headers["ETag"] == "0"


def test_a_file_that_is_replaced_is_always_there(sandbox: Sandbox, http: Http, monkeypatch: pytest.MonkeyPatch):
    """A file replaced between the look at its row and the opening is answered as it is now; a deleted one is 404."""
    http.put(FILES + "/a", data=b"old")
    files = sandbox._opened().state.files
    between = [("PUT", b"newer"), ("DELETE", None)]
    find = files.find

    def find_then_change(entity: str, path: str) -> StoredFile | None:
        found = find(entity, path)
        monkeypatch.setattr(files, "find", find)
        method, content = between.pop(0)
        http.request(method, FILES + "/a", data=content, headers={"If-Match": str(found.etag)})
        return found

    monkeypatch.setattr(files, "find", find_then_change)
    with Http(sandbox) as reader:
        answer = reader.get(FILES + "/a")
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (200, b"newer", "1")
        monkeypatch.setattr(files, "find", find_then_change)
        assert reader.get(FILES + "/a").status_code == 404


def test_lost_bytes_are_an_error(sandbox: Sandbox, http: Http):
    """A file whose bytes somebody removed from the disk is 500 in the service's words, said to be the end."""
    http.put(FILES + "/a", data=b"x")
    for piece in (sandbox._opened().state.root / "files" / "objects").iterdir():
        piece.unlink()
    answer = http.get(FILES + "/a")
    assert (answer.status_code, answer.headers["Connection"]) == (500, "close")
    assert set(answer.json()) == {"id", "message"}


@pytest.mark.parametrize(
    ("wanted", "status", "content", "where"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=4-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=" + "9" * 5000 + "-", 200, b"0123456789", None),
    ],
)
def test_ranges(http: Http, wanted: str, status: int, content: bytes | None, where: str | None):
    """One range is answered 206 with its place, one outside 416, and one that HTTP calls invalid is ignored."""
    http.put(FILES + "/a", data=b"0123456789")
    answer = http.get(FILES + "/a", headers={"Range": wanted})
    assert answer.status_code == status
    assert answer.headers.get("Content-Range") == where
    if content is not None:
        assert answer.content == content


def test_empty_file(http: Http):
    """A file of no bytes is a file."""
    assert http.put(FILES + "/empty", data=b"").status_code == 201
    answer = http.get(FILES + "/empty")
    assert (answer.status_code, answer.content) == (200, b"")
    assert http.get(FILES + "/empty", headers={"Range": "bytes=0-"}).status_code == 416


def test_head(http: Http):
    """HEAD tells size and etag."""
    http.put(FILES + "/a", data=b"12345", headers={"type": "application/json"})
    answer = http.head(FILES + "/a")
    assert answer.headers["Content-Length"] == "5"
    assert answer.headers["ETag"] == "0"
    assert answer.headers["Content-Type"] == "application/json"


def test_large_bodies_in_little_memory(http: Http):
    """A body far over 8 MiB passes both ways, whole, without being held in memory."""
    block = bytes(range(256)) * 4096
    blocks = 40
    tracemalloc.start()
    try:
        assert http.put(FILES + "/big", data=(block for _ in range(blocks))).status_code == 201
        with http.get(FILES + "/big", stream=True) as answer:
            assert int(answer.headers["Content-Length"]) == blocks * len(block)
            for _ in range(blocks):
                assert answer.raw.read(len(block)) == block
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(block)


def test_bound_on_a_body(clock: Clock):
    """A body over the limit is 413, announced or not, and leaves nothing."""
    with Sandbox(clock=clock, rules=Rules(max_body_bytes=1000)) as sandbox:
        furnish(sandbox)
        with Http(sandbox) as http:
            assert http.put(FILES + "/a", data=b"x" * 1000).status_code == 201
            assert http.put(FILES + "/b", data=b"x" * 1001).status_code == 413
            assert http.put(FILES + "/b", data=iter([b"x" * 600, b"x" * 600])).status_code == 413
            assert http.get(FILES + "/b").status_code == 404
        assert stored(sandbox) == 1


def test_an_upload_that_breaks_off_leaves_nothing(sandbox: Sandbox):
    """When the client goes away in the middle of a body, there is no file and no stray bytes."""
    arrived = threading.Event()

    async def note(app, scope, receive, send) -> None:
        arrived.set()
        await app(scope, receive, send)

    sandbox.faults.add(Fault(note, "PUT"))
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        token = f"Authorization: Bearer {sandbox.token()}"
        raw.sendall(f"PUT {FILES}/a HTTP/1.1\r\nHost: x\r\n{token}\r\nContent-Length: 9999\r\n\r\nsome".encode())
        assert arrived.wait(30)
    sandbox.close()
    assert sandbox.requests[-1].status is None
    with sandbox:
        furnish(sandbox)
        with Http(sandbox) as again:
            assert again.get(FILES + "/a").status_code == 404
        assert stored(sandbox) == 0


LEGAL = [
    "a.json",
    "dir/a.json",
    "a.json/b",
    "with blank.json",
    "grüße/Ä.json",
    "日本語/データ.json",
    "emoji 👩‍🔬.json",
    "plus+and&and=and?and#.json",
    "100%.json",
    "%2e%2e",
    "...",
    "..a",
    ".hidden",
    "~user",
    "CON",
    "a:b",
    "quote'\"`;DROP TABLE files;--",
    "*",
    "x" * 1000,
    "/".join("d" * 50),
]


@pytest.mark.parametrize("path", LEGAL)
def test_every_legal_name_works(http: Http, path: str):
    """Whatever a client may legally call a file is written, read, listed and deleted under that very name."""
    url = f"{FILES}/{quote(path)}"
    assert http.put(url, data=path.encode()).status_code == 201
    assert http.get(url).content == path.encode()
    (item,) = http.get(FILES).json()
    assert item["path"] + item["name"] == path
    assert http.delete(url).status_code == 204


def test_names_that_differ_are_different_files(http: Http):
    """A file beside a folder of the same name, and names that differ in case only, are all kept apart."""
    names = ["a", "a/b", "a/b/c", "A", "a b", "a+b", "a%20b"]
    for name in names:
        assert http.put(f"{FILES}/{quote(name)}", data=name.encode()).status_code == 201
    for name in names:
        assert http.get(f"{FILES}/{quote(name)}").content == name.encode()
    assert len(http.get(FILES).json()) == len(names)


def test_an_escaped_slash_is_a_slash(http: Http):
    """A client that escapes the slash of a path means the same file."""
    http.put(FILES + "/dir%2Fa.json", data=b"x")
    assert http.get(FILES + "/dir/a.json").content == b"x"


ESCAPES = [
    "..",
    "../x",
    "../../../../etc/passwd",
    "a/../../b",
    "./a",
    "a/.",
    "%2e%2e/x",
    "%2E%2E%2Fx",
    "..%2f..%2fx",
    "..%5c..%5cx",
    "a%5cb",
    "%2fetc/passwd",
    "/etc/passwd",
    "a//b",
    "a/",
    "",
    "a%00.json",
    "%00",
    "a%0ab",
    "a%0d%0aX-Evil:1",
    "a%7fb",
    "%ff%fe",
    "%c0%ae%c0%ae/x",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_way_out(sandbox: Sandbox, path: str):
    """No spelling of a path leads out of the folder, on any route and method: it is refused and nothing is written."""
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"))
    root = sandbox._opened().state.root
    before = sorted(root.rglob("*"))
    asked = [("GET", ""), ("DELETE", ""), ("PUT", ""), ("PUT", "?upload=start"), ("PUT", "?part=1")]
    for service in ["files", "fileslist"]:
        for method, query in [*asked, ("PUT", "?upload=complete"), ("PUT", "?upload=abort")]:
            connection.request(
                method,
                f"/api/iotfile/v3/{service}/{PERFORMANCE}/{path}{query}",
                body=b"evil" if method == "PUT" else None,
                headers={"Authorization": f"Bearer {sandbox.token()}"},
            )
            answer = connection.getresponse()
            answer.read()
            assert answer.status in ((400, 404) if service == "files" else (400, 404, 405)), (method, query)
    assert sorted(root.rglob("*")) == before
    connection.close()


@pytest.mark.parametrize("entity", ["..", "%2e%2e", "%2e%2e%2f%2e%2e", "c" * 32, "%00", "."])
def test_only_known_assets_have_files(sandbox: Sandbox, entity: str):
    """Files belong to an asset: an unknown one, or a trick in its place, is refused."""
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"))
    for method, path in [("PUT", "/x"), ("GET", "/x"), ("DELETE", "/x"), ("GET", "")]:
        connection.request(
            method, f"/api/iotfile/v3/files/{entity}{path}", headers={"Authorization": f"Bearer {sandbox.token()}"}
        )
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (400, 404)
    connection.close()


def test_entities_are_apart(http: Http):
    """The same path of two assets is two files."""
    other = FILES.replace(PERFORMANCE, SIMULATION)
    http.put(FILES + "/a", data=b"one")
    http.put(other + "/a", data=b"two")
    assert http.get(FILES + "/a").content == b"one"
    assert http.delete(other + "/a").status_code == 204
    assert http.get(FILES + "/a").content == b"one"


def test_a_timestamp_is_a_time(http: Http):
    """The timestamp header must be ISO 8601: 400."""
    assert http.put(FILES + "/a", data=b"x", headers={"timestamp": "yesterday"}).status_code == 400


def test_the_store_for_import_jobs(tmp_path: Path):
    """The store opens committed bytes, and bytes that were opened stay what they are."""
    store = FileStore(tmp_path)
    assert store.open("e", "dir/a") is None
    assert store.size("e", "dir/a") is None

    def write(content: bytes, if_match: int | None) -> BinaryIO:
        received = store.new_object()
        received.write_bytes(content)
        store.put("e", "dir/a", received, FileInfo(), if_match=if_match)
        opened = store.open("e", "dir/a")
        assert opened is not None
        return opened[1]

    with write(b"one", None) as opened:
        with write(b"three", 0) as second:
            assert second.read() == b"three"
        assert store.size("e", "dir/a") == 5
        assert opened.read() == b"one"
    store.close()
