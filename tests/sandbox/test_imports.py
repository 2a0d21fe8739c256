"""Import jobs over a real socket: what the contract refuses imports nothing at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from furniture import PERFORMANCE, SIMULATION, Clock, Http, furnish

from tsbulk_frames.sandbox import Rules, Sandbox, imports
from tsbulk_frames.sandbox.files import FileInfo
from tsbulk_frames.sandbox.records import iter_tables

JOBS = "/api/iottsbulk/v3/importJobs"
DAY = "2026-03-01T"
GOOD = [
    {"_time": f"{DAY}10:00:00Z", "speed": 1.5, "speed_qc": 0, "count": 2**53 + 1, "on": True, "state": "a"},
    {"_time": f"{DAY}10:00:01.000000001Z", "speed": -0.0, "small": -5, "note": "n", "at": "2026-03-01T00:00:00Z"},
    {"_time": f"{DAY}10:00:02.5Z", "state": ""},
]


def upload(http: Http, path: str, content: object, entity: str = PERFORMANCE) -> None:
    """Put an import file into the file service; bytes go as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    assert http.put(f"/api/iotfile/v3/files/{entity}/{path}", data=body).status_code == 201


def entry(path: str, first: str, last: str) -> dict[str, str]:
    """Name a file in a job."""
    return {"filePath": path, "from": first, "to": last}


def body(*files: dict[str, str], entity: str = PERFORMANCE, name: str = "pump") -> dict[str, Any]:
    """Build the body of a job for one series."""
    return {"data": [{"entity": entity, "propertySetName": name, "timeseriesFiles": list(files)}]}


def finish(http: Http, answer: requests.Response) -> dict[str, str]:
    """Follow a job to its end."""
    assert answer.status_code == 201, answer.text
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        job = http.get(answer.headers["Location"]).json()
        if job["status"] in ("SUCCESS", "ERROR"):
            return job
        threading.Event().wait(0.005)
    raise AssertionError(f"the job did not end: {job}")


def run(http: Http, *records: object, entity: str = PERFORMANCE, raw: bytes | None = None) -> dict[str, str]:
    """Import one file of records and give the ended job."""
    upload(http, "in.json", list(records) if raw is None else raw, entity)
    times = [record["_time"] for record in records if isinstance(record, dict)]
    return finish(http, http.post(JOBS, json=body(entry("in.json", times[0], times[-1]), entity=entity)))


def nothing_stored(sandbox: Sandbox) -> bool:
    """Whether neither asset holds a record."""
    return all(len(sandbox.records(entity, "pump")) == 0 for entity in (PERFORMANCE, SIMULATION))


def test_good_job_stores_every_value(http: Http, sandbox: Sandbox) -> None:
    """All data types arrive exactly; integers beyond 2**53 and the sign of zero too; an empty STRING is one."""
    job = run(http, *GOOD)
    assert (job["status"], job["message"]) == ("SUCCESS", "")
    frame = sandbox.records(PERFORMANCE, "pump")
    assert list(frame.columns) == ["speed", "speed_qc", "count", "small", "on", "state", "note", "at"]
    assert [stamp.isoformat() for stamp in frame.index][1] == "2026-03-01T10:00:01.000000001+00:00"
    assert frame["count"].iloc[0] == 2**53 + 1
    assert str(frame["speed"].iloc[1]) == "-0.0"
    assert frame["state"].iloc[2] == ""
    assert frame["at"].iloc[1] == "2026-03-01T00:00:00Z"


def test_answer_is_the_job_with_its_location(http: Http, sandbox: Sandbox) -> None:
    """The post answers with the job object and an absolute URL that ends in its id."""
    upload(http, "in.json", GOOD)
    answer = http.post(JOBS, json=body(entry("in.json", GOOD[0]["_time"], GOOD[2]["_time"])))
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "status", "message", "startTime", "lastModified"}
    assert answer.headers["Location"] == f"{sandbox.url}{JOBS}/{answer.json()['id']}"
    assert finish(http, answer)["id"] == answer.json()["id"]


def test_unknown_job_is_not_found(http: Http) -> None:
    """An id that no job has: 404 with the service's error body."""
    answer = http.get(f"{JOBS}/none")
    assert answer.status_code == 404
    assert set(answer.json()) == {"timestamp", "status", "error", "exception", "message", "path"}


def test_strings_are_converted_by_data_type(http: Http, sandbox: Sandbox) -> None:
    """Numbers, booleans and quality codes may come as JSON strings; an empty one is a missing value."""
    text = {"speed": "45.1", "speed_qc": "0", "count": "9007199254740993", "small": "-1", "on": "true", "state": "45.1"}
    gaps = {"speed": "", "count": "", "on": "", "at": "", "speed_qc": "", "note": "x"}
    job = run(http, {"_time": f"{DAY}10:00:00Z", **text}, {"_time": f"{DAY}10:00:01Z", **gaps})
    assert job["status"] == "SUCCESS", job
    frame = sandbox.records(PERFORMANCE, "pump")
    first, second = frame.iloc[0], frame.iloc[1]
    assert (first["speed"], first["speed_qc"], first["count"], first["small"]) == (45.1, 0, 9007199254740993, -1)
    assert first["on"] is True or bool(first["on"]) is True
    assert first["state"] == "45.1"
    assert second[["speed", "count", "on", "speed_qc", "state"]].isna().all()
    assert "at" not in frame


def test_lower_case_filepath_is_accepted(http: Http, sandbox: Sandbox) -> None:
    """``filepath`` means ``filePath``."""
    upload(http, "in.json", GOOD)
    named = entry("in.json", GOOD[0]["_time"], GOOD[2]["_time"])
    named["filepath"] = named.pop("filePath")
    assert finish(http, http.post(JOBS, json=body(named)))["status"] == "SUCCESS"
    assert len(sandbox.records(PERFORMANCE, "pump")) == 3


def test_from_and_to_may_be_cut_to_milliseconds(http: Http, sandbox: Sandbox) -> None:
    """Two files that meet within one millisecond are in order when their records are."""
    stamps = [f"{DAY}10:00:00.000100Z", f"{DAY}10:00:01.123456Z", f"{DAY}10:00:01.123789Z", f"{DAY}10:00:02.000001Z"]
    records = [{"_time": stamp, "speed": 1.0} for stamp in stamps]
    upload(http, "one.json", records[:2])
    upload(http, "two.json", records[2:])
    job = finish(
        http,
        http.post(
            JOBS,
            json=body(
                entry("one.json", f"{DAY}10:00:00.000Z", f"{DAY}10:00:01.123Z"),
                entry("two.json", f"{DAY}10:00:01.123Z", f"{DAY}10:00:02.000Z"),
            ),
        ),
    )
    assert job["status"] == "SUCCESS", job
    assert len(sandbox.records(PERFORMANCE, "pump")) == 4


def test_pretty_printed_file_is_read(http: Http, sandbox: Sandbox) -> None:
    """White space anywhere between the tokens changes nothing."""
    job = run(http, *GOOD, raw=b"\n " + json.dumps(GOOD, indent=3).encode() + b"\r\n\t")
    assert job["status"] == "SUCCESS", job
    assert len(sandbox.records(PERFORMANCE, "pump")) == 3


AT = f"{DAY}10:00:00Z"
BAD_RECORDS: dict[str, tuple[dict[str, object], str]] = {
    "unknown property": ({"_time": AT, "typo": 1}, "typo"),
    "text for DOUBLE": ({"_time": AT, "speed": "fast"}, "speed"),
    "NaN text for DOUBLE": ({"_time": AT, "speed": "NaN"}, "speed"),
    "boolean for DOUBLE": ({"_time": AT, "speed": True}, "speed"),
    "underscored number": ({"_time": AT, "speed": "1_0"}, "speed"),
    "fraction for LONG": ({"_time": AT, "count": 1.5}, "count"),
    "whole float for INT": ({"_time": AT, "small": 1.0}, "small"),
    "over INT": ({"_time": AT, "small": 2**31}, "small"),
    "under INT": ({"_time": AT, "small": -(2**31) - 1}, "small"),
    "over LONG": ({"_time": AT, "count": 2**63}, "count"),
    "unsigned LONG": ({"_time": AT, "count": 2**64 - 1}, "count"),
    "number for BOOLEAN": ({"_time": AT, "on": 1}, "on"),
    "word for BOOLEAN": ({"_time": AT, "on": "yes"}, "on"),
    "number for STRING": ({"_time": AT, "state": 5}, "state"),
    "long STRING": ({"_time": AT, "state": "x" * 256}, "state"),
    "long BIG_STRING": ({"_time": AT, "note": "x" * 100_001}, "note"),
    "no time for TIMESTAMP": ({"_time": AT, "at": "yesterday"}, "at"),
    "no day for TIMESTAMP": ({"_time": AT, "at": "2026-02-30T00:00:00Z"}, "at"),
    "nested": ({"_time": AT, "speed": {"a": 1}}, "speed"),
    "list": ({"_time": AT, "speed": [1]}, "speed"),
    "text for quality code": ({"_time": AT, "speed": 1.0, "speed_qc": "good"}, "speed_qc"),
    "half a surrogate pair": ({"_time": AT, "state": "\ud800"}, "state"),
    "no value": ({"_time": AT}, "no value"),
    "only null": ({"_time": AT, "speed": None}, "no value"),
    "no time": ({"speed": 1.0}, "_time"),
    "offset": ({"_time": f"{DAY}10:00:00+00:00", "speed": 1.0}, "_time"),
    "ten digits": ({"_time": f"{DAY}10:00:00.0123456789Z", "speed": 1.0}, "_time"),
    "space": ({"_time": "2026-03-01 10:00:00Z", "speed": 1.0}, "_time"),
    "epoch": ({"_time": 1_772_359_200_000, "speed": 1.0}, "_time"),
    "no such day": ({"_time": "2026-02-30T10:00:00Z", "speed": 1.0}, "_time"),
}


@pytest.mark.parametrize("native", [True, False], ids=["plain", "spaced"])
@pytest.mark.parametrize("case", BAD_RECORDS)
def test_bad_record_stops_the_whole_job(http: Http, sandbox: Sandbox, case: str, *, native: bool) -> None:
    """One bad record among good ones: ERROR with file, record and property, and nothing is stored."""
    record, named = BAD_RECORDS[case]
    before, after = {"_time": f"{DAY}09:00:00Z", "speed": 1.0}, {"_time": f"{DAY}11:00:00Z", "speed": 1.0}
    raw = json.dumps([before, record, after], separators=(",", ":") if native else (" , ", " : ")).encode()
    job = run(http, before, after, raw=raw)
    assert job["status"] == "ERROR"
    assert "record 1" in job["message"]
    assert "in.json" in job["message"]
    assert named in job["message"]
    assert nothing_stored(sandbox)


ROW = b'{"_time":"2026-03-01T10:00:00Z","speed":1.0}'
BAD_FILES: dict[str, bytes] = {
    "empty file": b"",
    "empty array": b"[]",
    "object": ROW,
    "lines": ROW + b"\n" + ROW.replace(b":00Z", b":01Z"),
    "no comma": b"[" + ROW + ROW.replace(b":00Z", b":01Z") + b"]",
    "newline for comma": b"[" + ROW + b"\n" + ROW.replace(b":00Z", b":01Z") + b"]",
    "two commas": b"[" + ROW + b",," + ROW.replace(b":00Z", b":01Z") + b"]",
    "comma at the end": b"[" + ROW + b",]",
    "comma at the beginning": b"[," + ROW + b"]",
    "cut off": b"[" + ROW,
    "cut off in a record": b"[" + ROW[:-3],
    "more behind": b"[" + ROW + b"] []",
    "number in the array": b"[" + ROW + b",1]",
    "null in the array": b"[" + ROW + b",null]",
    "null without comma": b"[" + ROW + b"\nnull]",
    "NaN": b'[{"_time":"2026-03-01T10:00:00Z","speed":NaN}]',
    "Infinity": b'[{"_time":"2026-03-01T10:00:00Z","speed":-Infinity}]',
    "over DOUBLE": b'[{"_time":"2026-03-01T10:00:00Z","speed":1e400}]',
    "key twice": b'[{"_time":"2026-03-01T10:00:00Z","speed":1.0,"speed":1.0}]',
    "key twice, once null": b'[{"_time":"2026-03-01T10:00:00Z","speed":null,"speed":1.0}]',
    "leading zero": b'[{"_time":"2026-03-01T10:00:00Z","count":01}]',
    "raw newline in a text": b'[{"_time":"2026-03-01T10:00:00Z","state":"a\nb"}]',
    "not UTF-8": b'[{"_time":"2026-03-01T10:00:00Z","state":"\xff"}]',
    "UTF-16": "[{}]".encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf[" + ROW + b"]",
    "deep": b"[" * 100_000,
    "deep in a record": b'[{"speed":' + b"[" * 100_000,
    "thousands of digits": b'[{"_time":"2026-03-01T10:00:00Z","count":' + b"9" * 5000 + b"}]",
}


@pytest.mark.parametrize("behind", [False, True], ids=["alone", "behind a good record"])
@pytest.mark.parametrize("case", BAD_FILES)
def test_file_that_is_no_array_of_records_stops_the_job(
    http: Http, sandbox: Sandbox, case: str, *, behind: bool
) -> None:
    """Anything but a JSON array of flat objects ends in ERROR that names the file, and nothing is stored."""
    raw, first = BAD_FILES[case], AT
    last = AT.replace(":00Z", ":01Z") if b":01Z" in raw else AT
    if behind and raw.startswith(b"[{"):
        raw, first = b"[" + ROW.replace(b"T10", b"T09") + b"," + raw[1:], AT.replace("T10", "T09")
    upload(http, "in.json", raw)
    job = finish(http, http.post(JOBS, json=body(entry("in.json", first, last))))
    assert job["status"] == "ERROR", case
    assert "in.json" in job["message"]
    assert nothing_stored(sandbox)


def test_commas_between_braces_inside_texts_are_data(http: Http, sandbox: Sandbox) -> None:
    """A text that looks like the border of two records is stored as it is."""
    job = run(http, {"_time": AT, "state": 'a},{"b'}, {"_time": f"{DAY}10:00:01Z", "state": "},{"})
    assert job["status"] == "SUCCESS", job
    assert sandbox.records(PERFORMANCE, "pump")["state"].tolist() == ['a},{"b', "},{"]


def test_records_ascend_over_the_whole_job(http: Http, sandbox: Sandbox) -> None:
    """Equal or falling times, in a file or between files, stop the job."""
    for seconds in ([0, 0], [0, 2, 1, 3]):
        with http.delete(f"/api/iotfile/v3/files/{PERFORMANCE}/in.json"):
            job = run(http, *({"_time": f"{DAY}10:00:0{second}Z", "speed": 1.0} for second in seconds))
        assert job["status"] == "ERROR"
        assert "ascend" in job["message"]
    upload(http, "one.json", [{"_time": AT, "speed": 1.0}])
    upload(http, "two.json", [{"_time": AT, "speed": 2.0}])
    job = finish(http, http.post(JOBS, json=body(entry("one.json", AT, AT), entry("two.json", AT, AT))))
    assert job["status"] == "ERROR"
    assert "two.json" in job["message"]
    assert nothing_stored(sandbox)


@pytest.mark.parametrize(
    ("first", "last"), [("09:59:59", "10:00:02.5"), ("10:00:00", "10:00:02.501"), ("10:00:00", "10:00:02")]
)
def test_range_of_a_file_is_that_of_its_records(http: Http, sandbox: Sandbox, first: str, last: str) -> None:
    """``from`` and ``to`` are the first and last record's times, else nothing is stored."""
    upload(http, "in.json", GOOD)
    job = finish(http, http.post(JOBS, json=body(entry("in.json", f"{DAY}{first}Z", f"{DAY}{last}Z"))))
    assert job["status"] == "ERROR"
    assert nothing_stored(sandbox)


def test_bad_second_file_undoes_the_first(http: Http, sandbox: Sandbox) -> None:
    """The first file is good and large; an error at the end of the second leaves nothing of either."""
    stamps = [f"{DAY}10:{minute:02d}:{second:02d}Z" for minute in range(60) for second in range(60)]
    upload(http, "one.json", [{"_time": stamp, "speed": 1.0} for stamp in stamps])
    upload(http, "two.json", [{"_time": f"{DAY}11:00:00Z", "speed": 1.0}, {"_time": f"{DAY}11:00:01Z", "speed": "x"}])
    files = entry("one.json", stamps[0], stamps[-1]), entry("two.json", f"{DAY}11:00:00Z", f"{DAY}11:00:01Z")
    job = finish(http, http.post(JOBS, json=body(*files)))
    assert job["status"] == "ERROR"
    assert "two.json" in job["message"]
    assert nothing_stored(sandbox)


def _bad_requests() -> dict[str, tuple[object, int]]:
    """Collect requests that are refused at creation, with the status; ``in.json`` is there and good."""
    good = entry("in.json", GOOD[0]["_time"], GOOD[2]["_time"])
    series = body(good)["data"][0]
    return {
        "no data": ({}, 400),
        "list": ([], 400),
        "no series": ({"data": []}, 400),
        "two series": ({"data": [series, series]}, 400),
        "no files": (body(), 400),
        "no path": (body({"from": good["from"], "to": good["to"]}), 400),
        "no from": (body({"filePath": "in.json", "to": good["to"]}), 400),
        "no to": (body({"filePath": "in.json", "from": good["from"]}), 400),
        "from is no time": (body({**good, "from": "morning"}), 400),
        "from is a number": (body({**good, "from": 5}), 400),
        "from after to": (body({**good, "from": good["to"], "to": good["from"]}), 400),
        "missing file": (body({**good, "filePath": "other.json"}), 400),
        "path outside": (body({**good, "filePath": "../in.json"}), 400),
        "overlapping files": (body(good, {**good, "filePath": "in.json"}), 400),
        "two days": (body({**good, "to": "2026-03-02T00:00:00Z"}), 400),
        "unknown asset": (body(good, entity="f" * 32), 404),
        "unknown aspect": (body(good, name="other"), 404),
        "half a surrogate pair": (body({**good, "filePath": "\ud800"}), 400),
        "entity is a number": ({"data": [{**series, "entity": 5}]}, 400),
    }


@pytest.mark.parametrize("case", _bad_requests())
def test_bad_request_is_refused_at_creation(http: Http, sandbox: Sandbox, case: str) -> None:
    """What the request alone tells is refused at once with the bulk service's error body; nothing is stored."""
    upload(http, "in.json", GOOD)
    content, status = _bad_requests()[case]
    answer = http.post(JOBS, json=content)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert set(answer.json()) == {"timestamp", "status", "error", "exception", "message", "path"}
    assert nothing_stored(sandbox)


def test_body_that_is_not_json_is_refused(http: Http) -> None:
    """Bytes that no JSON reader takes: 400."""
    for content in [b"\xff{", b"[" * 100_000]:
        assert http.post(JOBS, data=content).status_code == 400


def test_records_that_do_not_fit_to_what_is_stored(http: Http, sandbox: Sandbox) -> None:
    """Where a column is stored as something else all the same, the job says so in words."""
    stored = pa.table({"_time": pa.array([0]).cast(pa.timestamp("ns", "UTC")), "speed": ["fast"]})
    sandbox._opened().state.series.write(PERFORMANCE, "pump", stored)
    job = run(http, *GOOD)
    assert job["status"] == "ERROR"
    assert job["message"].startswith("invalid input: the records do not fit to what is stored")


def test_a_file_replaced_while_its_job_begins(http: Http, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file replaced between the look at its row and the opening is imported as it is now."""
    files = sandbox._opened().state.files
    find, changed = files.find, []

    def find_then_change(entity: str, path: str) -> object:
        found = find(entity, path)
        if threading.current_thread().name.startswith("tsbulk-sandbox-imports") and len(changed) < 2:
            changed.append(found)
            if len(changed) == 2:  # the first look was at the size
                received = files.new_object()
                received.write_bytes(json.dumps([{**GOOD[0], "speed": 77.0}, *GOOD[1:]]).encode())
                files.put(entity, path, received, FileInfo(), if_match=0)
        return found

    monkeypatch.setattr(files, "find", find_then_change)
    assert run(http, *GOOD)["status"] == "SUCCESS"
    assert sandbox.records(PERFORMANCE, "pump")["speed"].iloc[0] == 77.0


def test_simulation_asset_imports_one_hour(http: Http, sandbox: Sandbox) -> None:
    """An hour is the border for simulation assets, and their records may be of this very moment."""
    over = [{"_time": f"{DAY}10:59:59Z", "speed": 1.0}, {"_time": f"{DAY}11:00:00Z", "speed": 1.0}]
    upload(http, "over.json", over, SIMULATION)
    answer = http.post(JOBS, json=body(entry("over.json", over[0]["_time"], over[1]["_time"]), entity=SIMULATION))
    assert answer.status_code == 400
    assert "hour" in answer.json()["message"]
    assert nothing_stored(sandbox)
    now = "2027-01-15T08:00:00Z"  # the injected clock's
    assert run(http, {"_time": now, "speed": 1.0}, entity=SIMULATION)["status"] == "SUCCESS"


def test_records_of_performance_assets_have_a_least_age(http: Http, sandbox: Sandbox, clock: Clock) -> None:
    """Exactly 30 minutes is too young; a moment later the same job is taken."""
    record = {"_time": "2027-01-15T07:30:00Z", "speed": 1.0}
    upload(http, "in.json", [record])
    request = body(entry("in.json", record["_time"], record["_time"]))
    refused = http.post(JOBS, json=request)
    assert refused.status_code == 400
    assert "young" in refused.json()["message"]
    assert nothing_stored(sandbox)
    clock.now += 0.001
    assert finish(http, http.post(JOBS, json=request))["status"] == "SUCCESS"


MIDNIGHT = "2026-03-02T00:00:00Z"


@pytest.mark.parametrize(
    ("closed", "times", "fits"),
    [
        ("left", ["2026-03-01T00:00:00Z", "2026-03-01T23:59:59.999999999Z"], True),
        ("left", ["2026-03-01T23:00:00Z", MIDNIGHT], False),
        ("right", ["2026-03-01T00:00:00.000000001Z", MIDNIGHT], True),
        ("right", [MIDNIGHT, "2026-03-02T10:00:00Z"], False),
        ("left", [MIDNIGHT, "2026-03-02T10:00:00Z"], True),
    ],
)
def test_who_owns_midnight_is_a_rule(*, closed: str, times: list[str], fits: bool, clock: Clock) -> None:
    """`Rules.closed` decides to which day the record at midnight belongs."""
    with Sandbox(clock=clock, rules=Rules(closed=closed)) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        upload(http, "in.json", [{"_time": moment, "speed": 1.0} for moment in times])
        answer = http.post(JOBS, json=body(entry("in.json", times[0], times[1])))
        ended = finish(http, answer)["status"] if answer.status_code == 201 else "ERROR"
        assert ended == ("SUCCESS" if fits else "ERROR")
        assert len(sandbox.records(PERFORMANCE, "pump")) == (2 if fits else 0)


def test_range_cut_to_milliseconds_may_begin_at_the_border(clock: Clock) -> None:
    """A record just behind midnight, its ``from`` cut back to midnight, belongs to the day that begins there."""
    times = ["2026-03-02T00:00:00.000000500Z", "2026-03-02T10:00:00Z"]
    with Sandbox(clock=clock, rules=Rules(closed="right")) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        upload(http, "in.json", [{"_time": moment, "speed": 1.0} for moment in times])
        job = finish(http, http.post(JOBS, json=body(entry("in.json", "2026-03-02T00:00:00.000Z", times[1]))))
        assert job["status"] == "SUCCESS", job


def test_number_of_files_is_bounded(clock: Clock) -> None:
    """As many files as `Rules.max_files` are taken, one more is refused."""
    stamps = [f"{DAY}10:00:0{second}Z" for second in range(3)]
    with Sandbox(clock=clock, rules=Rules(max_files=2)) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        for stamp in stamps:
            upload(http, f"{stamp}.json", [{"_time": stamp, "speed": 1.0}])
        files = [entry(f"{stamp}.json", stamp, stamp) for stamp in stamps]
        assert http.post(JOBS, json=body(*files)).status_code == 400
        assert nothing_stored(sandbox)
        assert finish(http, http.post(JOBS, json=body(*files[:2])))["status"] == "SUCCESS"


def test_default_bound_is_a_hundred_files() -> None:
    """The contract's number is the default."""
    assert Rules().max_files == 100


def test_range_cut_to_milliseconds_does_not_hide_the_next_day(clock: Clock) -> None:
    """The border is also held against the records: ``to`` cut back to midnight does not help a record behind it."""
    times = ["2026-03-01T23:00:00Z", "2026-03-02T00:00:00.000000500Z"]
    with Sandbox(clock=clock, rules=Rules(closed="right")) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        upload(http, "in.json", [{"_time": moment, "speed": 1.0} for moment in times])
        job = finish(http, http.post(JOBS, json=body(entry("in.json", times[0], "2026-03-02T00:00:00.000Z"))))
        assert job["status"] == "ERROR"
        assert "day" in job["message"]
        assert nothing_stored(sandbox)


@pytest.mark.parametrize("entity", [PERFORMANCE, SIMULATION])
def test_sizes_are_summed_over_the_job(entity: str, clock: Clock) -> None:
    """Two files that are each small enough are together too large; one byte more room and they are taken."""
    records = [{"_time": f"{DAY}10:00:0{second}Z", "speed": 1.0} for second in range(2)]
    size = sum(len(json.dumps([record]).encode()) for record in records)
    files = [entry(f"{at}.json", record["_time"], record["_time"]) for at, record in enumerate(records)]
    for room, fits in ((size - 1, False), (size, True)):
        rules = Rules(max_day_bytes=room, max_hour_bytes=room)
        with Sandbox(clock=clock, rules=rules) as sandbox, Http(sandbox) as http:
            furnish(sandbox)
            for at, record in enumerate(records):
                upload(http, f"{at}.json", [record], entity)
            answer = http.post(JOBS, json=body(*files, entity=entity))
            assert answer.status_code == (201 if fits else 400)
            assert (finish(http, answer)["status"] == "SUCCESS") if fits else nothing_stored(sandbox)


def test_quality_code_only_where_the_aspect_has_one(clock: Clock) -> None:
    """``<p>_qc`` of a property without quality code is an unknown property."""
    with Sandbox(clock=clock) as sandbox, Http(sandbox) as http:
        sandbox.add_asset(PERFORMANCE, aspects={"pump": {"speed": "DOUBLE"}}, quality_codes=False)
        job = run(http, {"_time": AT, "speed": 1.0, "speed_qc": 0})
        assert job["status"] == "ERROR"
        assert "speed_qc" in job["message"]
        assert len(sandbox.records(PERFORMANCE, "pump")) == 0


def test_job_shows_its_progress_by_the_clock(clock: Clock) -> None:
    """`Rules.job_seconds`: half SUBMITTED, half IN_PROGRESS, then what came of it."""
    with Sandbox(clock=clock, rules=Rules(job_seconds=10.0)) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        upload(http, "in.json", GOOD)
        answer = http.post(JOBS, json=body(entry("in.json", GOOD[0]["_time"], GOOD[2]["_time"])))
        seen = []
        for _ in range(2):
            seen.append(http.get(answer.headers["Location"]).json()["status"])
            clock.now += 5.0
        assert seen == ["SUBMITTED", "IN_PROGRESS"]
        assert finish(http, answer)["status"] == "SUCCESS"


def test_later_job_overwrites(http: Http, sandbox: Sandbox) -> None:
    """Two jobs with the same time: the record of the later one is there, wholly."""
    assert run(http, {"_time": AT, "speed": 1.0, "state": "old"})["status"] == "SUCCESS"
    http.delete(f"/api/iotfile/v3/files/{PERFORMANCE}/in.json")
    assert run(http, {"_time": AT, "speed": 2.0})["status"] == "SUCCESS"
    frame = sandbox.records(PERFORMANCE, "pump")
    assert frame["speed"].tolist() == [2.0]
    assert "state" not in frame


def test_jobs_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    """An ended job is found again with its message, and its data too."""
    with Sandbox(tmp_path, clock=clock) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        good = run(http, *GOOD)
        upload(http, "bad.json", b"[]")
        bad = finish(http, http.post(JOBS, json=body(entry("bad.json", AT, AT))))
    with Sandbox(tmp_path, clock=clock) as sandbox, Http(sandbox) as http:
        assert http.get(f"{JOBS}/{good['id']}").json() == good
        assert http.get(f"{JOBS}/{bad['id']}").json() == bad
        assert len(sandbox.records(PERFORMANCE, "pump")) == 3


@pytest.mark.parametrize("status", ["SUBMITTED", "IN_PROGRESS"])
def test_unfinished_job_is_run_by_the_next_start(tmp_path: Path, clock: Clock, status: str) -> None:
    """What a killed process left unfinished is done, as if nothing had happened."""
    ended = _rewound(tmp_path, clock, status, lambda series: series.unlink())
    with Sandbox(tmp_path, clock=clock) as sandbox, Http(sandbox) as http:
        answer = requests.Response()
        answer.status_code, answer.headers["Location"] = 201, f"{sandbox.url}{JOBS}/{ended['id']}"
        assert finish(http, answer)["status"] == "SUCCESS"
        assert len(sandbox.records(PERFORMANCE, "pump")) == 3


def test_job_interrupted_at_work_is_done_by_the_next_start(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop in the middle of a file stores nothing and tells no end; the next start does all of it."""
    reached = threading.Event()

    def interrupted(*arguments: Any) -> Iterator[Any]:
        yield from iter_tables(*arguments)
        reached.set()
        raise imports._Closing

    with Sandbox(tmp_path, clock=clock) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        upload(http, "in.json", GOOD)
        monkeypatch.setattr(imports, "iter_tables", interrupted)
        answer = http.post(JOBS, json=body(entry("in.json", GOOD[0]["_time"], GOOD[2]["_time"])))
        assert reached.wait(20)
        assert http.get(answer.headers["Location"]).json()["status"] == "IN_PROGRESS"
        assert nothing_stored(sandbox)
    monkeypatch.undo()
    with Sandbox(tmp_path, clock=clock) as sandbox, Http(sandbox) as http:
        answer.headers["Location"] = f"{sandbox.url}{JOBS}/{answer.json()['id']}"
        assert finish(http, answer)["status"] == "SUCCESS"
        assert len(sandbox.records(PERFORMANCE, "pump")) == 3


def test_trouble_inside_ends_the_job_not_the_worker(
    http: Http, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is an internal error of this job; the next one runs."""

    def full(*_: Any) -> Iterator[Any]:
        raise OSError("no space left on device")

    monkeypatch.setattr(imports, "iter_tables", full)
    job = run(http, *GOOD)
    assert job["status"] == "ERROR"
    assert job["message"].startswith("internal error")
    assert nothing_stored(sandbox)
    monkeypatch.undo()
    http.delete(f"/api/iotfile/v3/files/{PERFORMANCE}/in.json")
    assert run(http, *GOOD)["status"] == "SUCCESS"


def test_job_that_had_stored_its_data_is_not_run_twice(tmp_path: Path, clock: Clock) -> None:
    """Killed between storing and telling: what was written meanwhile is not overwritten by a second run."""
    ended = _rewound(tmp_path, clock, "IN_PROGRESS", lambda _: None)
    with Sandbox(tmp_path, clock=clock) as sandbox, Http(sandbox) as http:
        assert http.get(f"{JOBS}/{ended['id']}").status_code == 200
        answer = requests.Response()
        answer.status_code, answer.headers["Location"] = 201, f"{sandbox.url}{JOBS}/{ended['id']}"
        assert finish(http, answer)["status"] == "SUCCESS"
        assert sandbox.records(PERFORMANCE, "pump")["speed"].iloc[0] == 99.0


def _rewound(root: Path, clock: Clock, status: str, series: Callable[[Path], object]) -> dict[str, str]:
    """Run a job, overwrite its first record, and set the job on disk back to `status`."""
    with Sandbox(root, clock=clock) as sandbox, Http(sandbox) as http:
        furnish(sandbox)
        ended = run(http, *GOOD)
        path = f"/api/iottimeseries/v3/timeseries/{PERFORMANCE}/pump"
        assert http.put(path, json=[{"_time": AT, "speed": 99.0}]).status_code == 204
    kept = root / "jobs" / f"{ended['id']}.json"
    job = json.loads(kept.read_text())
    kept.write_text(json.dumps({**job, "status": status}))
    for index in (root / "series").rglob("index.json"):
        series(index)
    return ended
