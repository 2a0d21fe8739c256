"""The corpus of bad answers: what a server says in place of what the contract promises, and what comes of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
from badinputs import frame
from plant import Site

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Fault
from tsbulk_frames.sandbox.faults import Answer

HTML = "<html><head><title>Login</title></head><body><h1>Please sign in</h1></body></html>"
TIME = "2026-03-01T10:00:00Z"
READ, JOBS, JOB = r"/iottsbulk/v3/timeseries/", r"/importJobs$", r"/importJobs/"
FILES, ASSETS, ASPECTS, TOKEN = r"/iotfile/v3/files/", r"/assets/[0-9a-f]+$", r"/aspects", r"oauth/token$"
LIST = r"/v3/assets(\?|$)"


def read(site: Site, entity: str) -> pd.DataFrame:
    """Read a day."""
    return tsb.read_timeseries(entity, "pump", "2026-03-01", "2026-03-02", max_workers=1, connection=site.con)


def limited(site: Site, entity: str) -> pd.DataFrame:
    """Read the first records of a day."""
    return tsb.read_timeseries(entity, "pump", "2026-03-01", "2026-03-02", limit=9, connection=site.con)


def write(site: Site, entity: str) -> object:
    """Write three records."""
    return tsb.write_timeseries(frame(), entity, "pump", twin_type="simulation", connection=site.con)


def ask(site: Site, entity: str) -> object:
    """Write three records into an asset that is asked for its kind."""
    return tsb.write_timeseries(frame(), entity, "pump", connection=site.con)


def await_job(site: Site, entity: str) -> object:
    """Await a job."""
    return tsb.wait_for_jobs(["4e37"], timeout=0.05, connection=site.con)


def find(site: Site, entity: str) -> object:
    """Look a file up."""
    return site.con.files.find_file(entity, "a.json")


def look(site: Site, entity: str) -> object:
    """List the assets."""
    return tsb.list_assets(connection=site.con)


def annotated(site: Site, entity: str) -> object:
    """Read a day, and what is said of it."""
    return tsb.read_timeseries(entity, "pump", "2026-03-01", "2026-03-02", describe=True, connection=site.con)


@dataclass(frozen=True)
class Wrong:
    """One bad answer: to which request, what it is, what is called, and how that ends."""

    name: str
    call: Callable[[Site, str], object]
    path: str
    answer: Answer
    error: type[tsb.TsBulkError] | None
    words: tuple[str, ...]
    more: tuple[Fault, ...] = field(default=())

    def faults(self, entity: str) -> list[Fault]:
        """Script it."""
        return [Fault(self.answer, "*", self.path, times=None), *self.more]


def page(*records: object, following: object = None, **more: object) -> Answer:
    """Answer a page."""
    return Answer(200, {"records": list(records), "nextRecord": following, **more})


def at(second: int, **values: object) -> dict[str, object]:
    """One record."""
    return {"_time": f"2026-03-01T10:00:{second:02d}Z", "speed": 1.5, **values}


def text(body: str | bytes, status: int = 200, **headers: str) -> Answer:
    """Answer these very bytes."""
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def of_read(name: str, answer: Answer, error: type[tsb.TsBulkError], *words: str) -> Wrong:
    """Write a line about a page."""
    return Wrong(f"page: {name}", read, READ, answer, error, words)


def record(inside: str) -> Answer:
    """Answer a page of one record that is spelled like this."""
    return text(f'{{"records":[{inside}]}}')


PE, DE, PROTO, PART = tsb.PageError, tsb.DecodeError, tsb.ProtocolError, tsb.PartialImportError
NEXT = "https://h.test/x?from=2026-03-01T10:00:01Z&to=2026-03-02T00:00:00Z"

PAGES = [
    of_read("HTML", text(HTML), PE, "not JSON", "Login", "check gateway and proxy"),
    of_read("nothing", text(b""), PE, "not JSON", "'records'"),
    of_read("no content", text(b"", 204), PE, "not JSON", "'records'"),
    of_read("a list", Answer(200, [at(1)]), PE, "no list 'records'", "check gateway and path"),
    of_read("a number", text("5"), PE, "no list 'records'"),
    of_read("null", text("null"), PE, "no list 'records'"),
    of_read("records missing", Answer(200, {"values": []}), PE, "values", "check gateway and path"),
    of_read("records an object", Answer(200, {"records": {}}), PE, "no list 'records'"),
    of_read("cut short", text('{"records":[{"_time":"2026-03-01T10:0'), PE, "not JSON"),
    of_read("more behind it", text('{"records":[]} {}'), PE, "not JSON"),
    of_read("not UTF-8", text(b'{"records":[{"_time":"\xff"}]}'), DE, "page 1", "ask for the range again"),
    of_read("UTF-16", text('{"records":[]}'.encode("utf-16")), PE, "not JSON"),
    of_read(
        "said to be gzip", text(b"{}", Content_Encoding="gzip"), tsb.TransportError, "no usable answer", "2 attempts"
    ),
    of_read(
        "gzip cut short",
        text(gzip.compress(b"{}" * 999)[:20], Content_Encoding="gzip"),
        *(tsb.TransportError, "no usable answer"),
    ),
    of_read("an encoding nobody asked for", text(b"\x1b\x00\x00", Content_Encoding="br"), PE, "not JSON"),
    of_read("nested 10,000 deep", text('{"records":' + "[" * 10_000 + "]" * 10_000 + "}"), PE, "deep"),
    of_read("a record that is a number", page(5), DE, "record 0", "is 5", "expected is an object"),
    of_read("a record that is a list", page(at(1), []), DE, "record 1", "expected is an object"),
    of_read("a record without time", page({"speed": 1}), DE, "'_time' is missing", "ISO 8601"),
    of_read("a time that is a number", page(at(1), {"_time": 5}), DE, "record 1", "is 5", "ISO 8601"),
    of_read("a time that is null", page({"_time": None, "speed": 1}), DE, "None", "ISO 8601"),
    of_read("a time without zone", page({"_time": TIME[:-1]}), DE, TIME[:-1], "with Z"),
    of_read("a time of words", page({"_time": "now"}), DE, "'now'", "ISO 8601"),
    of_read("a time out of range", page({"_time": "9999-01-01T00:00:00Z"}), DE, "9999", "1677-09-21"),
    of_read("no such day", page({"_time": "2026-02-30T00:00:00Z"}), DE, "2026-02-30"),
    of_read("NaN", record(f'{{"_time":"{TIME}","speed":NaN}}'), DE, "NaN is not JSON"),
    of_read("Infinity", record(f'{{"_time":"{TIME}","speed":-Infinity}}'), DE, "Infinity is not JSON"),
    of_read("a number too large", record(f'{{"_time":"{TIME}","speed":1e400}}'), DE, "'speed'", "64-bit number"),
    of_read("5,000 digits", record(f'{{"_time":"{TIME}","speed":{"9" * 5000}}}'), DE, "digits"),
    of_read("a leading zero", record(f'{{"_time":"{TIME}","speed":01}}'), DE, "not JSON"),
    of_read("a raw line break in a text", record(f'{{"_time":"{TIME}","state":"a\nb"}}'), DE, "control character"),
    of_read("a name that is half a surrogate pair", record(f'{{"_time":"{TIME}","\\ud800":1}}'), DE, "not Unicode"),
    of_read("times not ascending", page(at(2), at(1)), PE, "record 1", "must ascend"),
    of_read("a time twice", page(at(1), at(1)), PE, "record 1", "must ascend"),
    of_read("the same page for ever", page(at(1), following=NEXT), PE, "page 2", "for ever", "shorter range"),
    of_read("empty pages for ever", page(following=NEXT), PE, "page 2", "for ever"),
    of_read("nextRecord goes back", page(at(1), following=NEXT.replace("03-01", "02-01")), PE, "for ever"),
    of_read("nextRecord without from", page(at(1), following="https://h.test/x?to=a"), PE, "no time"),
    of_read("nextRecord with words", page(at(1), following="https://h.test/x?from=now"), PE, "'now'", "no time"),
    of_read("nextRecord a number", page(at(1), following=5), PE, "nextRecord is 5", "URL or null"),
    of_read("nextRecord an object", page(at(1), following={"href": "x"}), PE, "href", "URL or null"),
    of_read("nextRecord no URL", page(at(1), following="http://[::1?from=" + TIME), PE, "no time"),
    of_read(
        "a redirect", text(b"", 302, Location="https://h.test/"), tsb.ServiceError, "302", "not followed", "host_url"
    ),
    of_read("not modified", text(b"", 304), tsb.ServiceError, "304"),
    of_read("a teapot", Answer(418, {"message": "short and stout"}), tsb.ServiceError, "short and stout", "correct it"),
    of_read("forbidden", Answer(403, {"errors": [{"message": "no role"}]}), tsb.AuthError, "no role", "role"),
    of_read("always unauthorized", text(HTML, 401), tsb.AuthError, "Please sign in", "fresh one"),
    of_read("always throttled", text(b"", 429, Retry_After="0"), tsb.ThrottledError, "429", "lower max_connections"),
    of_read("always down", text(HTML, 503), tsb.ServiceError, "Please sign in", "2 attempts", "later"),
    Wrong(
        "page: a limit that is no count", limited, READ, page(at(1), following=NEXT + "&limit=x"), PE, ("'x'", "count")
    ),
    Wrong(
        "page: a limit of 5,000 digits",
        limited,
        READ,
        page(at(1), following=NEXT + "&limit=" + "9" * 5000),
        PE,
        ("count",),
    ),
]

JOB_ANSWERS = [
    Wrong("new job: HTML", write, JOBS, text(HTML), PART, ("unknown", "not JSON", "resume_import")),
    Wrong("new job: two", write, JOBS, Answer(200, [{"id": "a"}, {"id": "b"}]), PART, ("unknown", "list of one")),
    Wrong("new job: no id", write, JOBS, Answer(201, {"status": "SUBMITTED"}), PART, ("unknown", "usable id")),
    Wrong("new job: nothing at all", write, JOBS, text(b"", 201), PART, ("unknown", "usable id")),
    Wrong(
        "new job: an id that is a path",
        write,
        JOBS,
        text(b"", 201, Location="/importJobs/.."),
        PART,
        ("unknown", "usable id"),
    ),
    Wrong("new job: an id that is true", write, JOBS, Answer(201, {"id": True}), PART, ("unknown", "usable id")),
    Wrong("new job: an id with a line break", write, JOBS, Answer(201, {"id": "a\nb"}), PART, ("unknown", "usable id")),
    Wrong(
        "new job: a state nobody knows",
        write,
        JOBS,
        Answer(201, {"id": "a", "status": "LATER"}),
        PART,
        ("unknown", "'LATER'", "newer"),
    ),
    Wrong("new job: a redirect", write, JOBS, text(b"", 307, Location="https://h.test"), PART, ("307", "not followed")),
    Wrong("job: HTML", await_job, JOB, text(HTML), DE, ("not JSON", "check gateway")),
    Wrong("job: nothing", await_job, JOB, text(b""), DE, ("not JSON",)),
    Wrong(
        "job: another one",
        await_job,
        JOB,
        Answer(200, {"id": "b", "status": "SUCCESS"}),
        PROTO,
        ("'4e37'", "'b'", "again"),
    ),
    Wrong("job: no state", await_job, JOB, Answer(200, {"id": "4e37"}), PROTO, ("None", "SUBMITTED")),
    Wrong(
        "job: a state that is a number",
        await_job,
        JOB,
        Answer(200, {"id": "4e37", "status": 5}),
        PROTO,
        ("5", "SUCCESS"),
    ),
    Wrong("job: no id", await_job, JOB, Answer(200, {"status": "SUCCESS"}), PROTO, ("usable id",)),
    Wrong("job: empty list", await_job, JOB, Answer(200, []), PROTO, ("list of one", "[]")),
    Wrong("job: unknown", await_job, JOB, text(b"", 404), tsb.NotFoundError, ("404", "job's id")),
    Wrong(
        "job: never ends",
        await_job,
        JOB,
        Answer(200, {"id": "4e37", "status": "IN_PROGRESS"}),
        tsb.JobTimeout,
        ("1 ", "timeout="),
    ),
]

OTHERS = [
    Wrong("asset: HTML", ask, ASSETS, text(HTML), DE, ("not JSON", "check gateway")),
    Wrong("asset: a list", ask, ASSETS, Answer(200, []), PROTO, ("list", "object")),
    Wrong("asset: no kind", ask, ASSETS, Answer(200, {"assetId": "a"}), PROTO, ("twinType=None", "'performance'")),
    Wrong(
        "asset: a kind nobody knows",
        ask,
        ASSETS,
        Answer(200, {"twinType": "digital"}),
        PROTO,
        ("'digital'", "'simulation'"),
    ),
    Wrong("aspects: a number", ask, ASPECTS, Answer(200, {"_embedded": {"aspects": 5}}), PROTO, ("int", "list")),
    Wrong(
        "aspects: one without name", ask, ASPECTS, Answer(200, {"_embedded": {"aspects": [{}]}}), PROTO, ("no name",)
    ),
    Wrong("aspects: none", ask, ASPECTS, Answer(200, {}), tsb.NotFoundError, ("'pump'", "none")),
    Wrong(
        "aspects: the same page for ever",
        ask,
        ASPECTS,
        Answer(200, {"_embedded": {"aspects": [{"name": "a"}]}, "page": {"totalPages": 10**9}}),
        *(PROTO, ("again",)),
    ),
    Wrong("aspects: HTML", annotated, ASPECTS, text(HTML), DE, ("not JSON", "check gateway")),
    Wrong("aspects: not this one", annotated, ASPECTS, Answer(200, {}), tsb.NotFoundError, ("'pump'", "none")),
    Wrong("assets: HTML", look, LIST, text(HTML), DE, ("not JSON", "check gateway")),
    Wrong("assets: a list", look, LIST, Answer(200, []), PROTO, ("list", "object")),
    Wrong("assets: a number", look, LIST, Answer(200, {"_embedded": {"assets": 5}}), PROTO, ("int", "not a list")),
    Wrong("assets: texts", look, LIST, Answer(200, {"_embedded": {"assets": ["a"]}}), PROTO, ("str", "object")),
    Wrong("assets: one without id", look, LIST, Answer(200, {"_embedded": {"assets": [{}]}}), PROTO, ("no assetId",)),
    Wrong(
        "assets: fewer than it counts",
        look,
        LIST,
        Answer(200, {"_embedded": {"assets": [{"assetId": "a"}]}, "page": {"totalElements": 2, "totalPages": 1}}),
        *(PROTO, ("1 came, totalElements=2", "ask again")),
    ),
    Wrong(
        "assets: the same page for ever",
        look,
        LIST,
        Answer(200, {"_embedded": {"assets": [{"assetId": "a"}]}, "page": {"totalPages": 10**9}}),
        *(PROTO, ("again",)),
    ),
    Wrong("listing: an object", find, FILES, Answer(200, {}), PROTO, ("dict", "list")),
    Wrong("listing: HTML", find, FILES, text(HTML), DE, ("not JSON",)),
    Wrong("listing: no names", find, FILES, Answer(200, [{"path": "a"}]), PROTO, ("no name", "path")),
    Wrong("listing: for ever", find, FILES, Answer(200, [{"name": str(n)} for n in range(500)]), PROTO, ("never end",)),
    Wrong("token: HTML", read, TOKEN, text(HTML), PROTO, ("access_token", "gateway's address")),
    Wrong("token: nothing", read, TOKEN, text(b""), PROTO, ("0 bytes", "access_token")),
    Wrong("token: none in it", read, TOKEN, Answer(200, {"token": "hush"}), PROTO, ("access_token",)),
    Wrong(
        "token: a line break in it",
        read,
        TOKEN,
        Answer(200, {"access_token": "hush\r\nX: y"}),
        PROTO,
        ("access_token",),
    ),
    Wrong("token: a number", read, TOKEN, Answer(200, {"access_token": 5}), PROTO, ("access_token",)),
    Wrong(
        "token: refused",
        read,
        TOKEN,
        Answer(401, {"error": "invalid_client"}),
        tsb.AuthError,
        ("invalid_client", "secret"),
    ),
    Wrong(
        "token: a redirect",
        read,
        TOKEN,
        text(b"", 302, Location="https://h.test"),
        tsb.ServiceError,
        ("302", "host_url"),
    ),
    Wrong("token: down", read, TOKEN, text(HTML, 500), tsb.TransportError, ("no token", "not sent")),
]

ANSWERS = [*PAGES, *JOB_ANSWERS, *OTHERS]


def times_of(site: Site, entity: str) -> list[str]:
    """Read, and give the times and values that came."""
    got = read(site, entity)
    return (
        [f"{stamp:%S}={value}" for stamp, value in zip(got.index, got.iloc[:, 0].tolist(), strict=True)]
        if len(got)
        else []
    )


ODD = [
    Wrong(
        "page: a byte order mark",
        times_of,
        READ,
        text("\ufeff" + json.dumps({"records": [at(1)]})),
        None,
        ("['01=1.5']",),
    ),
    Wrong("page: no records, null nextRecord", times_of, READ, page(), None, ("[]",)),
    Wrong("page: empty nextRecord", times_of, READ, page(at(1), following=""), None, ("['01=1.5']",)),
    Wrong(
        "page: records outside of the range",
        times_of,
        READ,
        page({"_time": "2026-02-01T00:00:00Z", "speed": 9}, at(1)),
        None,
        ("['01=1.5']",),
    ),
    Wrong("page: further members", times_of, READ, page(at(1), took=5, links=[{"href": "]"}]), None, ("['01=1.5']",)),
    Wrong(
        "page: nextRecord beyond the range",
        times_of,
        READ,
        page(at(1), following=NEXT.replace("03-01", "04-01")),
        None,
        ("['01=1.5']",),
    ),
    Wrong(
        "page: an empty one that leads on",
        times_of,
        r"from=2026-02-28",
        page(following=NEXT),
        None,
        ("['02=1.5']",),
        (Fault(page(at(2)), "GET", r"from=2026-03-01T10", times=None),),
    ),
]
