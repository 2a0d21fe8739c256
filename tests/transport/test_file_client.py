"""The file service: one request or parts, etags, listings; what is sent and what is made of the answers."""

from __future__ import annotations

import datetime as dt
import io
import os
import socket
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest
import requests_mock
from wireside import Clock, Seen, Server, reply

from tsbulk_frames.body import Body, FileSlice
from tsbulk_frames.content import part_size
from tsbulk_frames.errors import ConflictError, FrameError, NotFoundError, ProtocolError, ServiceError, TransportError
from tsbulk_frames.files import FileServiceClient, StoredFile
from tsbulk_frames.stop import Stop
from tsbulk_frames.transport import Answer, Transport

PART = 5_000_000
FILES = "/api/iotfile/v3/files"
Connect = Callable[..., Transport]


@dataclass
class Store:
    """A file service with one asset, as the contract describes it; tests break it where they like."""

    server: Server
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    send_etag: bool = True
    trouble: Callable[[str], int | None] = lambda step: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        url = urlsplit(seen.target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        name = url.path.removeprefix(f"{FILES}/e1").removeprefix("/")
        step = query.get("upload") or (f"part {query['part']}" if "part" in query else seen.method)
        with self.lock:
            self.steps.append(step)
            status = self.trouble(step)
        if status is not None:
            reply(handler, status)
        elif seen.method == "GET" and name:
            self.get(handler, seen, name)
        elif seen.method == "GET":
            listed = ",".join(
                f'{{"name": "{key.rpartition("/")[2]}", "path": "{key[: key.rfind("/") + 1]}", "etag": {etag}, '
                f'"size": {len(content)}}}'
                for key, (content, etag) in self.files.items()
            )
            reply(handler, 200, f"[{listed}]".encode())
        elif seen.method == "DELETE":
            reply(handler, 204 if self.files.pop(name, None) else 404)
        else:
            self.put(handler, seen, name, step)

    def get(self, handler: BaseHTTPRequestHandler, seen: Seen, name: str) -> None:
        """Answer with the file."""
        if name in self.files:
            reply(handler, 200, self.files[name][0])
        else:
            reply(handler, 404)

    def put(self, handler: BaseHTTPRequestHandler, seen: Seen, name: str, step: str) -> None:
        """Take a file, or a step of an upload."""
        old = self.files.get(name)
        if old is not None and seen.headers.get("If-Match") != str(old[1]):
            return reply(handler, 409)
        if step == "start" or step == "abort":
            self.parts.clear()
            return reply(handler, 200)
        if step.startswith("part"):
            self.parts[int(step[5:])] = seen.body
            return reply(handler, 200)
        content = b"".join(self.parts[n] for n in sorted(self.parts)) + seen.body
        self.files[name] = (content, 0 if old is None else old[1] + 1)
        return reply(handler, 201, **({"ETag": f'"{self.files[name][1]}"'} if self.send_etag else {}))


@pytest.fixture
def store(server: Server) -> Store:
    """Put the file service on the socket."""
    store = Store(server)
    server.script = store
    return store


@pytest.fixture
def files(store: Store, connect: Connect) -> FileServiceClient:
    """Give a client for it."""
    return FileServiceClient(transport=connect(store.server.url, max_attempts=3))


@cache
def content_of(size: int) -> bytes:
    """Bytes in which a part in the wrong place shows."""
    return Random(size).randbytes(size)


def test_a_small_file_is_one_request(store: Store, files: FileServiceClient) -> None:
    """With its kind, description and time beside it; the etag comes back."""
    time = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    stored = files.put_file("e1", "dir a/b.json", b"[]", description="mine", timestamp=time)
    assert stored == StoredFile("b.json", "dir a/", 2, 0, "application/json", "2024-01-01T00:00:00Z")
    seen = store.server.seen[0]
    assert (seen.method, seen.target, seen.body) == ("PUT", f"{FILES}/e1/dir%20a/b.json", b"[]")
    sent = {name: seen.headers.get(name) for name in ("type", "description", "timestamp", "Content-Type", "If-Match")}
    assert sent == {
        "type": "application/json",
        "description": "mine",
        "timestamp": "2024-01-01T00:00:00Z",
        "Content-Type": "application/octet-stream",
        "If-Match": None,
    }


def test_replacing_needs_the_etag(store: Store, files: FileServiceClient) -> None:
    """Unquoted, as a number; without it or with an old one: conflict."""
    files.put_file("e1", "a.json", b"1")
    with pytest.raises(ConflictError, match="if_match"):
        files.put_file("e1", "a.json", b"2")
    assert files.put_file("e1", "a.json", b"2", if_match=0).etag == 1
    assert store.server.seen[-1].headers["If-Match"] == "0"
    with pytest.raises(ConflictError):
        files.put_file("e1", "a.json", b"3", if_match=0)
    assert files.get_file("e1", "a.json") == b"2"


def test_an_etag_not_told_is_looked_up(store: Store, files: FileServiceClient) -> None:
    """In the listing; where that lags behind it stays unknown rather than wrong."""
    store.send_etag = False
    assert files.put_file("e1", "d/a.json", b"1").etag == 0
    assert files.put_file("e1", "d/a.json", b"2", if_match=0).etag == 1
    put = store.put
    store.put = lambda handler, seen, name, step: reply(handler, 204)  # type: ignore[method-assign]
    assert files.put_file("e1", "d/a.json", b"3", if_match=1).etag is None
    store.put = put  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", ["bytes", "path", "file", "pipe"])
@pytest.mark.parametrize("size", [PART + 1, 2 * PART, 2 * PART + 7])
def test_a_large_file_goes_up_in_parts(
    store: Store, files: FileServiceClient, tmp_path: Path, kind: str, size: int
) -> None:
    """Start, parts of full size side by side, the last bytes with the completion."""
    content = content_of(size)

    class Pipe(io.RawIOBase):
        """Gives less than asked for, and cannot be wound back."""

        def __init__(self) -> None:
            self.source = io.BytesIO(content)

        def read(self, size: int = -1) -> bytes:
            return self.source.read(min(size, 3_000_000))

        def seekable(self) -> bool:
            return False

    path = tmp_path / "a.json"
    path.write_bytes(content)
    given = {"bytes": content, "path": path, "file": io.BytesIO(content), "pipe": Pipe()}[kind]
    stored = files.put_file("e1", "a.json", given, part_bytes=PART)
    assert store.files["a.json"] == (content, 0)
    assert (stored.size, stored.etag) == (size, 0)
    count = -(-size // PART) - 1
    assert store.steps[0] == "start"
    assert sorted(store.steps[1:-2]) == [f"part {n + 1}" for n in range(count)]
    assert store.steps[-2:] == ["complete", "GET"]


def test_every_request_of_an_update_has_the_etag(store: Store, files: FileServiceClient) -> None:
    """The service asks for it on each."""
    store.files["a.json"] = (b"old", 4)
    assert files.put_file("e1", "a.json", content_of(2 * PART + 1), if_match=4, part_bytes=PART).etag == 5
    assert {seen.headers["If-Match"] for seen in store.server.seen if seen.method == "PUT"} == {"4"}


def test_one_part_is_sent_again_alone(store: Store, files: FileServiceClient) -> None:
    """Trouble with one does not cost the others."""
    store.trouble = lambda step: 503 if step == "part 2" and store.steps.count(step) == 1 else None
    files.put_file("e1", "a.json", content_of(3 * PART + 1), part_bytes=PART)
    assert sorted(store.steps[1:-2]) == ["part 1", "part 2", "part 2", "part 3"]
    assert store.files["a.json"][0] == content_of(3 * PART + 1)


@pytest.mark.parametrize("step", ["part 2", "complete"])
def test_giving_up_aborts_the_upload(store: Store, files: FileServiceClient, step: str) -> None:
    """Nothing is left behind, and the first error is the one that is raised."""
    store.trouble = lambda asked: 400 if asked == step else None
    with pytest.raises(ServiceError) as caught:
        files.put_file("e1", "a.json", content_of(3 * PART), part_bytes=PART)
    assert caught.value.status == 400
    assert store.steps[-1] == "abort"
    assert store.steps.count("abort") == store.steps.count(step) == (2 if step == "complete" else 1)
    assert "a.json" not in store.files


def test_an_abort_that_fails_hides_nothing(
    store: Store, files: FileServiceClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried once and logged."""
    store.trouble = lambda step: {"part 1": 400, "abort": 503}.get(step)
    with pytest.raises(ServiceError) as caught:
        files.put_file("e1", "a.json", content_of(PART + 1), part_bytes=PART)
    assert (caught.value.status, store.steps.count("abort")) == (400, 1)
    assert "could not be aborted" in caplog.text


def test_a_refused_start_aborts_nothing(store: Store, files: FileServiceClient) -> None:
    """The upload under way may be somebody else's."""
    store.files["a.json"] = (b"old", 4)
    with pytest.raises(ConflictError):
        files.put_file("e1", "a.json", content_of(PART + 1), part_bytes=PART)
    assert store.steps == ["start"]


def test_a_source_that_breaks_aborts(store: Store, files: FileServiceClient) -> None:
    """Whatever ends the upload, what was sent is taken back."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > PART:
                raise OSError("disk gone")
            return super().read(size)

    with pytest.raises(OSError, match="disk gone"):
        files.put_file("e1", "a.json", Broken(content_of(3 * PART)), part_bytes=PART)
    assert store.steps[-1] == "abort"


def test_a_conflict_with_ourselves_is_none(store: Store, files: FileServiceClient) -> None:
    """The answer was lost, the file is there, the second try meets it: same bytes, all is well."""
    put = store.put

    def lose_first(handler: BaseHTTPRequestHandler, seen: Seen, name: str, step: str) -> None:
        if store.steps.count("PUT") > 1:
            return put(handler, seen, name, step)
        store.files[name] = (seen.body, 0)
        return reply(handler, 504)

    store.put = lose_first  # type: ignore[method-assign]
    assert files.put_file("e1", "a.json", b"mine").etag == 0
    assert store.steps == ["PUT", "PUT", "GET", "GET"]


def test_a_conflict_with_somebody_else_after_a_lost_answer_stays(store: Store, files: FileServiceClient) -> None:
    """Other bytes are somebody else's file; none at all are no proof either."""
    store.trouble = lambda step: {"PUT": 504 if store.steps == ["PUT"] else 409, "GET": 404}.get(step)
    with pytest.raises(ConflictError):
        files.put_file("e1", "a.json", b"mine")
    store.trouble = lambda step: None
    store.steps.clear()
    put = store.put

    def lose_first(handler: BaseHTTPRequestHandler, seen: Seen, name: str, step: str) -> None:
        if store.steps.count("PUT") > 1:
            return put(handler, seen, name, step)
        store.files[name] = (b"theirs", 0)
        return reply(handler, 504)

    store.put = lose_first  # type: ignore[method-assign]
    with pytest.raises(ConflictError):
        files.put_file("e1", "a.json", b"mine")
    assert store.files["a.json"][0] == b"theirs"


def test_an_update_that_arrived_twice_is_learnt(store: Store, files: FileServiceClient) -> None:
    """As with a new file; the etag is that of the listing."""
    store.files["a.json"] = (b"old", 2)
    store.trouble = lambda step: None
    put = store.put

    def lose_first(handler: BaseHTTPRequestHandler, seen: Seen, name: str, step: str) -> None:
        if store.steps.count("PUT") > 1:
            return put(handler, seen, name, step)
        store.files[name] = (seen.body, 3)
        return reply(handler, 504)

    store.put = lose_first  # type: ignore[method-assign]
    assert files.put_file("e1", "a.json", b"mine", if_match=2).etag == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"part_bytes": 4_999_999},
        {"part_bytes": True},
        {"max_workers": 0},
        {"if_match": "3"},
        {"if_match": -1},
        {"description": "ä"},
        {"timestamp": dt.datetime(2024, 1, 1)},
    ],
)
def test_arguments_are_checked_first(store: Store, files: FileServiceClient, settings: dict[str, object]) -> None:
    """Nothing is sent."""
    with pytest.raises(FrameError):
        files.put_file("e1", "a.json", b"1", **settings)  # type: ignore[arg-type]
    assert store.steps == []


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a/../b", "./a", None])
def test_a_path_names_a_file(store: Store, files: FileServiceClient, path: str) -> None:
    """No empty parts, no dots that a server would resolve."""
    for call in (files.get_file, files.delete_file, files.find_file):
        with pytest.raises(FrameError):
            call("e1", path)
    with pytest.raises(FrameError):
        files.put_file("e1", path, b"")
    assert store.steps == []


@pytest.mark.parametrize("content", ["text", None, io.StringIO("text"), 3])
def test_content_is_binary(files: FileServiceClient, content: object) -> None:
    """Text has no bytes until it is encoded."""
    with pytest.raises(FrameError, match="content is a"):
        files.put_file("e1", "a.json", content)  # type: ignore[arg-type]


def test_an_empty_file(store: Store, files: FileServiceClient) -> None:
    """Is a file as well."""
    assert files.put_file("e1", "a.json", b"").size == 0
    assert store.files["a.json"] == (b"", 0)


def test_too_many_parts_make_larger_parts() -> None:
    """A known size is divided by 1,000; without one the upload ends with advice."""

    class Huge(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            return 10**10 if whence else super().seek(offset)

    assert part_size(Huge(), PART) == 10**7
    assert part_size(io.BytesIO(b"x" * 100), PART) == PART


def test_an_unknown_size_beyond_the_last_part_is_an_error(
    store: Store, files: FileServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the service could not take is taken back."""
    monkeypatch.setattr("tsbulk_frames.multipart.MAX_PARTS", 2)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(FrameError, match="part_bytes"):
        files.put_file("e1", "a.json", Pipe(content_of(4 * PART)), part_bytes=PART)
    assert store.steps[-1] == "abort"


@dataclass
class Gone:
    """Takes everything, and has so many zeros."""

    size: int

    def request(self, method: str, *args: object, **more: object) -> Answer:
        """Read what is sent, or give a range."""
        if method == "GET":
            first, last = more["headers"]["Range"].removeprefix("bytes=").split("-")  # type: ignore[index]
            return Answer(206, {}, bytes(min(int(last) + 1, self.size) - int(first)))
        for _ in Body(more.get("body")).open(lambda: None) or ():  # type: ignore[arg-type]
            pass
        return Answer(201, {"ETag": "0"}, b"")


@pytest.mark.parametrize("most", [PART, 70_000])
def test_parts_are_read_when_they_can_be_sent(most: int) -> None:
    """However large the file, however small its pieces: those on their way and one more are in memory."""

    class Pipe(io.RawIOBase):
        left = 10 * PART

        def read(self, size: int = -1) -> bytes:
            size = min(size, most, self.left)
            self.left -= size
            return bytes(size)

        def seekable(self) -> bool:
            return False

    files = FileServiceClient(transport=Gone(10 * PART))  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        files.put_file("e1", "a.json", Pipe(), part_bytes=PART, max_workers=2)
        assert tracemalloc.get_traced_memory()[1] < 3.5 * PART
    finally:
        tracemalloc.stop()


# Files on disk


@pytest.mark.parametrize(
    ("size", "steps"),
    [
        (0, ["PUT"]),
        (PART, ["PUT"]),
        (PART + 1, ["start", "part 1", "complete", "GET"]),
        (2 * PART, ["start", "part 1", "complete", "GET"]),
    ],
)
def test_a_file_on_disk_is_told_in_length(
    store: Store, files: FileServiceClient, tmp_path: Path, size: int, steps: list[str]
) -> None:
    """Never in chunks; the last part is at most as large as the others, and never empty."""
    path = tmp_path / "a.json"
    path.write_bytes(content_of(size))
    assert files.put_file("e1", "a.json", path, part_bytes=PART).size == size
    assert store.files["a.json"][0] == content_of(size)
    assert store.steps == steps
    assert all("Transfer-Encoding" not in seen.headers for seen in store.server.seen)
    told = [(int(seen.headers["Content-Length"]), len(seen.body)) for seen in store.server.seen if seen.method == "PUT"]
    assert all(length == received for length, received in told)


def test_nothing_is_no_stream(tmp_path: Path) -> None:
    """A body without bytes has no length to tell, and would be sent in chunks."""
    (tmp_path / "a").touch()
    for content in (b"", io.BytesIO(), FileSlice.of(tmp_path / "a")):
        assert Body(content).open(lambda: None) == b""


def test_each_try_begins_at_the_beginning_of_its_part(store: Store, files: FileServiceClient, tmp_path: Path) -> None:
    """Whether the one before was refused or unanswered."""
    path = tmp_path / "a.json"
    path.write_bytes(content_of(3 * PART))
    put, broken = store.put, []

    def break_off(handler: BaseHTTPRequestHandler, seen: Seen, name: str, step: str) -> None:
        if step == "part 2" and not broken:
            broken.append(step)
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            put(handler, seen, name, step)

    store.put = break_off  # type: ignore[method-assign]
    store.trouble = lambda step: 503 if step == "part 1" and store.steps.count(step) == 1 else None
    files.put_file("e1", "a.json", path, part_bytes=PART)
    assert store.files["a.json"][0] == content_of(3 * PART)
    assert (store.steps.count("part 1"), store.steps.count("part 2")) == (2, 2)


def test_a_larger_file_has_larger_parts(
    store: Store, files: FileServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more parts than the service takes, by the size of the file alone."""
    monkeypatch.setattr("tsbulk_frames.content.MAX_PARTS", 3)
    path = tmp_path / "a.json"
    path.write_bytes(content_of(4 * PART + 1))
    files.put_file("e1", "a.json", path, part_bytes=PART, max_workers=1)
    assert store.steps == ["start", "part 1", "part 2", "complete", "GET"]
    assert store.files["a.json"][0] == content_of(4 * PART + 1)


def test_a_file_on_disk_is_never_in_memory(tmp_path: Path) -> None:
    """A block for each part on its way, however large the parts."""
    path = tmp_path / "a.json"
    path.write_bytes(bytes(6 * PART))
    files = FileServiceClient(transport=Gone(6 * PART))  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        files.put_file("e1", "a.json", path, part_bytes=PART, max_workers=3)
        assert tracemalloc.get_traced_memory()[1] < PART / 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"1", io.BytesIO(b"1")])
def test_only_a_file_on_disk_can_be_resumed(store: Store, files: FileServiceClient, content: bytes) -> None:
    """Anything else is gone the next time."""
    with pytest.raises(FrameError, match="resume"):
        files.put_file("e1", "a.json", content, resume=True)
    assert store.steps == []


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_a_path_that_cannot_be_read_is_named(store: Store, files: FileServiceClient, tmp_path: Path, path: str) -> None:
    """Before any request."""
    with pytest.raises(FrameError, match="content="):
        files.put_file("e1", "a.json", tmp_path / path)
    assert store.steps == []


def test_a_named_pipe_is_a_stream(store: Store, files: FileServiceClient, tmp_path: Path) -> None:
    """It has no size, and is read once."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[content_of(PART + 1)])
    writer.start()
    files.put_file("e1", "a.json", path, part_bytes=PART)
    writer.join()
    assert store.files["a.json"][0] == content_of(PART + 1)


def test_a_body_that_cannot_go_on_ends_with_the_switch(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that stops reading holds nobody who has left, however long the timeouts."""
    monkeypatch.setattr("tsbulk_frames.body.BLOCK", 2**26)  # more than sockets keep: sending it waits for the server
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(64 * 2**20)
    stop, caught = Stop(), []

    def send(transport: Transport) -> None:
        with stop.over():
            try:
                FileServiceClient(transport=transport).put_file("e1", "a.json", path, part_bytes=2**30)
            except TransportError as error:
                caught.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = {"connect_timeout": 600.0, "read_timeout": 600.0, "request_deadline": 600.0}
        sending = threading.Thread(target=send, args=[connect(url, **settings)], daemon=True)
        sending.start()
        with listening.accept()[0] as taken:
            while not taken.recv(1 << 16).endswith(b"\0"):
                pass
            stop.now()
            sending.join(60)
    assert not sending.is_alive()
    assert len(caught) == 1


# Reading, listing, deleting


def test_a_range_is_a_slice(store: Store, files: FileServiceClient) -> None:
    """Also where the server answers with the whole file."""
    store.files["a.json"] = (b"0123456789", 0)
    assert files.get_file("e1", "a.json", byte_range=(2, 5)) == b"234"
    seen = store.server.seen[-1]
    assert (seen.headers["Range"], seen.headers["Accept-Encoding"]) == ("bytes=2-4", "identity")
    store.get = lambda handler, seen, name: reply(handler, 206, b"234")  # type: ignore[method-assign]
    assert files.get_file("e1", "a.json", byte_range=(2, 5)) == b"234"


@pytest.mark.parametrize("byte_range", [(5, 5), (-1, 3), (3, 2)])
def test_a_range_holds_something(files: FileServiceClient, byte_range: tuple[int, int]) -> None:
    """Backwards and negative are refused."""
    with pytest.raises(FrameError, match="byte_range"):
        files.get_file("e1", "a.json", byte_range=byte_range)


def test_what_a_listing_is_asked_with(connect: Connect) -> None:
    """Everything optional; a filter is escaped."""
    with requests_mock.Mocker() as mock:
        mock.get(f"https://gateway.test{FILES}/e1", json=[])
        client = FileServiceClient(transport=connect())
        assert client.list_files("e1") == []
        assert client.list_files("e1", filter="name eq a", order="name asc", offset=0, limit=500) == []
        assert mock.request_history[0].url.endswith("/e1")
        assert mock.last_request.url.endswith("/e1?offset=0&limit=500&filter=name%20eq%20a&order=name%20asc")
        mock.get(f"https://gateway.test{FILES}/e1", status_code=204)
        assert client.list_files("e1") == []
        for settings in ({"limit": 501}, {"limit": 0}, {"offset": -1}, {"limit": True}):
            with pytest.raises(FrameError):
                client.list_files("e1", **settings)


def test_entries_of_a_listing(connect: Connect) -> None:
    """Numbers as numbers or text, folders with or without a slash in front."""
    entry = {
        "name": "a.json",
        "path": "/d/",
        "type": "application/json",
        "size": "12",
        "etag": '"3"',
        "timestamp": "t",
        "created": "c",
        "updated": "u",
    }
    with requests_mock.Mocker() as mock:
        mock.get(f"https://gateway.test{FILES}/e1", json=[entry, {"name": "b"}])
        first, second = FileServiceClient(transport=connect()).list_files("e1")
    assert first == StoredFile("a.json", "d/", 12, 3, "application/json", "t", "c", "u")
    assert first.full_path == "d/a.json"
    assert second == StoredFile("b")


@pytest.mark.parametrize("body", ["{}", "3", "[3]", '[{"path": "x"}]', "x"])
def test_what_is_no_listing_is_an_error(connect: Connect, body: str) -> None:
    """Not an empty one."""
    with requests_mock.Mocker() as mock:
        mock.get(f"https://gateway.test{FILES}/e1", text=body)
        with pytest.raises(ProtocolError):
            FileServiceClient(transport=connect()).list_files("e1")


def test_a_file_is_found_by_its_whole_path(store: Store, files: FileServiceClient) -> None:
    """The same name in another folder is another file, whatever the filter lets through."""
    store.files = {"x/a.json": (b"1", 1), "a.json": (b"22", 2), "d/e/a.json": (b"333", 3)}
    assert files.find_file("e1", "a.json") == StoredFile("a.json", "", 2, 2)
    assert files.find_file("e1", "d/e/a.json") == StoredFile("a.json", "d/e/", 3, 3)
    assert files.find_file("e1", "d/a.json") is None
    targets = [parse_qs(urlsplit(seen.target).query)["filter"][0] for seen in store.server.seen]
    assert targets == ["name eq a.json", "name eq a.json and path eq d/e/", "name eq a.json and path eq d/"]


def test_a_listing_that_never_ends_is_an_error(connect: Connect) -> None:
    """A service that does not look at the offset gives the same 500 for ever."""
    with requests_mock.Mocker() as mock:
        mock.get(f"https://gateway.test{FILES}/e1", json=[{"name": "a", "path": f"{n}/"} for n in range(500)])
        with pytest.raises(ProtocolError, match="never end"):
            FileServiceClient(transport=connect()).find_file("e1", "b")
        assert mock.call_count == 2


def test_a_file_is_found_on_a_later_page(connect: Connect) -> None:
    """A listing ends at 500."""
    pages = [[{"name": "a", "path": f"{n}/"} for n in range(500)], [{"name": "a", "path": "", "etag": 9}]]
    with requests_mock.Mocker() as mock:
        mock.get(f"https://gateway.test{FILES}/e1", [{"json": page} for page in pages])
        found = FileServiceClient(transport=connect()).find_file("e1", "a")
    assert found is not None
    assert found.etag == 9


def test_delete(store: Store, files: FileServiceClient) -> None:
    """What is not there cannot be deleted, unless an earlier try of ours did it."""
    store.files["d/a.json"] = (b"1", 0)
    files.delete_file("e1", "d/a.json")
    assert store.files == {}
    with pytest.raises(NotFoundError):
        files.delete_file("e1", "d/a.json")
    store.steps.clear()
    store.trouble = lambda step: 504 if store.steps.count("DELETE") == 1 else None
    files.delete_file("e1", "d/a.json")
    assert store.steps == ["DELETE", "DELETE"]


def test_parts_fail_together_when_the_service_is_gone(store: Store, files: FileServiceClient, clock: Clock) -> None:
    """The error of the part is raised, after its retries."""
    store.trouble = lambda step: None
    put = store.put

    def silent(handler: BaseHTTPRequestHandler, seen: Seen, name: str, step: str) -> None:
        if step == "start":
            return put(handler, seen, name, step)
        handler.close_connection = True
        return None

    store.put = silent  # type: ignore[method-assign]
    with pytest.raises(TransportError) as caught:
        files.put_file("e1", "a.json", content_of(2 * PART), part_bytes=PART)
    assert (caught.value.attempts, caught.value.unknown_outcome) == (3, True)
