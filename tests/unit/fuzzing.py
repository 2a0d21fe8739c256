"""What the fuzz tests share: odd bodies, and what plain `json` says of them; used by ``tests/benchmarks/fuzz.py`` too.

The oracle is written from the contract and Python's `json` alone. A page is compared value by value: same kind, same
sign of zero, every digit; rows in the order of the page; of a key that comes twice the last value; columns in the
order of first appearance, a quality code behind its property. The one liberty is the documented one: integers may
stand among floats as the float of the same value.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from hypothesis import strategies as st

from tsbulk_frames.answers import ImportJob, JobStatus, parse_job, parse_timeseries
from tsbulk_frames.auth import parse_token
from tsbulk_frames.codec import decode_pages, split_page
from tsbulk_frames.errors import ProtocolError
from tsbulk_frames.frames import to_frame
from tsbulk_frames.model import TimeRange
from tsbulk_frames.paging import Chain
from tsbulk_frames.stored import parse_files, parse_parts

WINDOW = TimeRange(0, 4 * 10**18)
TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d)(:\d\d)?(:\d\d)?(?:\.(\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)", re.ASCII)


class Refused(Exception):
    """What is no page by the contract."""


def _no_constant(name: str) -> object:
    raise Refused(name)


def plain(text: bytes) -> object:
    """Parse as `json` does, without what is no JSON."""
    try:
        return json.loads(text.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(str(error)) from None


def moment(text: object) -> int:
    """Nanoseconds since the epoch, by the standard library's calendar."""
    match = TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None or (match[4] and not match[3]) or (match[3] and not match[2]):
        raise Refused("no time")
    zone = match[5]
    try:
        if zone != "Z" and int(zone[1:3]) > 23:
            raise Refused("no zone")
        hours, minutes = (0, 0) if zone == "Z" else (int(zone[1:3]), int(zone[3:].lstrip(":") or 0))
        if minutes > 59:
            raise Refused("no zone")
        parts = (
            (match[1].replace(" ", "T") + (match[2] or ":00") + (match[3] or ":00")).replace("T", "-").replace(":", "-")
        )
        at = dt.datetime(*map(int, parts.split("-")), tzinfo=dt.UTC)
    except ValueError:
        raise Refused("no such day") from None
    since = at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    offset = (hours * 60 + minutes) * 60 * (-1 if zone[0] == "-" else 1)
    ns = (since.days * 86_400 + since.seconds - offset) * 10**9 + int((match[4] or "").ljust(9, "0"))
    if not -(2**63) < ns < 2**63:
        raise Refused("outside of 64 bits")
    return ns


def encodable(text: str) -> bool:
    """Whether UTF-8 can hold a text."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


@dataclass(frozen=True)
class Expected:
    """A page by `json`."""

    times: list[int]
    records: list[dict[str, object]]
    columns: list[str]
    following: str | None


def expected(text: bytes) -> Expected:
    """Tell what a page is, or that it is none (`Refused`)."""
    page = plain(text)
    records = page.get("records") if isinstance(page, dict) else None
    if not isinstance(page, dict) or not isinstance(records, list):
        raise Refused("no records")
    following = page.get("nextRecord")
    if following is not None and not isinstance(following, str):
        raise Refused("nextRecord")
    columns: dict[str, None] = {}
    for record in records:
        if not isinstance(record, dict):
            raise Refused("no object")
        columns.update(dict.fromkeys(record))
        for name, value in record.items():
            if not encodable(name) or not finite(value):
                raise Refused(name)
    times = [moment(record.get("_time")) for record in records]
    return Expected(times, records, arranged(columns), following or None)


def finite(value: object) -> bool:
    """Whether JSON can spell a value: `json` reads 1e400 as infinity."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    return not isinstance(value, list) or all(map(finite, value))


def arranged(names: dict[str, None]) -> list[str]:
    """Put each quality code behind its property."""
    rest = [name for name in names if name != "_time"]
    owned = [name for name in rest if name.endswith("_qc") and name[:-3] and name[:-3] in rest]
    ordered = ["_time"]
    for name in rest:
        while name in rest and name not in ordered and (name not in owned or name[:-3] in ordered):
            ordered.append(name)
            name += "_qc" if name else "\0"
    return ordered


def same(got: object, value: object) -> bool:
    """Whether a decoded value is what `json` gives."""
    if isinstance(value, int) and not isinstance(value, bool) and isinstance(got, float):
        return math.isfinite(got) and int(got) == value
    return type(got) is type(value) and repr(got) == repr(value)


def cells(column: pa.ChunkedArray) -> list[object]:
    """Python values of a column; those of the exact kind as `json` reads their text."""
    if column.type == pa.json_():
        texts = column.cast(pa.string()).to_pylist()
        return [None if text is None else json.loads(text) for text in texts]
    return column.to_pylist()


def check_page(text: bytes) -> bool:
    """Hold decoding against `json`; True when there was something to compare, not only an error to expect."""
    try:
        wanted = expected(text)
    except Refused:
        wanted = None
    try:
        page = split_page(text)
        table = decode_pages([page])
    except ProtocolError as error:
        if wanted is not None:
            raise AssertionError("refused, but json reads it") from error
        return False
    assert wanted is not None, "read, but it is no page"
    assert page.next_record == wanted.following
    assert table.column_names == wanted.columns
    assert table["_time"].to_numpy().view("int64").tolist() == wanted.times
    for name in wanted.columns[1:]:
        for at, (got, record) in enumerate(zip(cells(table[name]), wanted.records, strict=True)):
            value = record.get(name)
            assert same(got, value), f"{name}[{at}] is {got!r}, json says {value!r}"
    assert len(to_frame(table)) == len(wanted.times)
    return True


def check_chain(text: bytes) -> None:
    """Follow the next page: only a usable ``from`` leads on."""
    try:
        chain = Chain(WINDOW, first_limit=10)
        more = chain.advance(split_page(text))
    except ProtocolError:
        return
    assert not more or chain.query.from_


def check_timeseries(text: bytes) -> None:
    """Hold the vendor's own operation to the records as `json` gives them, or a ProtocolError."""
    try:
        found = parse_timeseries(text, None)
    except ProtocolError:
        return
    page = plain(text)
    assert isinstance(page, dict)
    assert repr(found.records) == repr(page["records"])
    assert found.next_record == (page.get("nextRecord") or None)


def check_job(text: bytes, location: str) -> None:
    """Hold an import job to the id and the status that stand there, or none."""
    for created in (False, True):
        try:
            job = parse_job(text, {"Location": location}, created=created)
        except ProtocolError:
            continue
        assert isinstance(job, ImportJob)
        assert isinstance(job.id, str)
        assert job.id.strip()
        assert job.id not in (".", "..")
        body = plain(text) if text.strip() else {}
        body = body[0] if isinstance(body, list) else body
        assert isinstance(body, dict)
        assert job.status in JobStatus
        assert job.status == (body.get("status") or "SUBMITTED")
        told = [body[key] for key in ("id", "jobId") if type(body.get(key)) in (str, int)]
        assert not told or job.id == str(told[0]) or job.id in location or not str(told[0]).strip()


def check_token(text: bytes) -> None:
    """Hold a token to a visible text with a life that ends, or none; the answer is never repeated."""
    try:
        token = parse_token(text)
    except ProtocolError as error:
        if "hush" in str(error):
            raise AssertionError("the answer is repeated") from error
        return
    answer = json.loads(text)
    assert token.value == answer["access_token"]
    assert 0 < token.lifetime < math.inf
    assert "hush" not in repr(token)


def check_listing(text: bytes) -> None:
    """Files are told as they are listed, or not at all."""
    try:
        files = parse_files(text)
    except ProtocolError:
        files = []
    assert all(isinstance(file.name, str) and (file.etag is None or file.etag >= 0) for file in files)
    if files:
        assert [file.name for file in files] == [item["name"] for item in plain(text)]


def check_parts(text: bytes) -> None:
    """Parts are numbers with sizes; what is not understood is nothing."""
    parts = parse_parts(text, "e/a.json")
    assert all(isinstance(number, int) and (size is None or size >= 0) for number, size in parts.items())


NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "0.0",
    "1",
    "-1",
    "7",
    "1.5",
    "45.0",
    "1e5",
    "1E+22",
    "1e400",
    "-1e400",
    "1e-400",
    "1e999999",
    "9007199254740992",
    "9007199254740993",
    "9007199254740993.0",
    "-9223372036854775808",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "123456789012345678901234567890",
    "0.1",
    "3.0000000000000001",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "5e-324",
    "2e-324",
    "01",
    "-01",
    "+1",
    ".5",
    "1.",
    "0x1",
    "1e",
    "--1",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "inf",
]
NUMBERS += ["9" * 4301, "1." + "1" * 400, "0." + "0" * 400 + "1"]
WORDS = ["true", "false", "null", "True", "nul", "undefined", ""]
TEXTS = [
    *(
        '""',
        '"a"',
        '"},{"',
        '"]"',
        '"[{"',
        '"\\""',
        '"\\\\"',
        '"\\\\\\""',
        '"2018-11-01"',
        '"123"',
        '"true"',
        '"null"',
        '"NaN"',
    ),
    *(
        '"2024-01-01T00:00:00Z"',
        '"2024-01-01 00:00:00"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
    ),
    *(
        '"\u00e9"',
        '"\u2028"',
        '"\U0001f600"',
        '"\t"',
        '"\n"',
        '"\x00"',
        '"\\x41"',
        '"\\u12"',
        "'a'",
        '"' + "x" * 300 + '"',
    ),
]
NESTED = [
    "[]",
    "{}",
    "[1,[2]]",
    '{"a":{"b":1.0}}',
    '[{"_time":1}]',
    "[1,]",
    '{"a":1,}',
    "[" * 3000 + "]" * 3000,
    "[" * 99,
]
KEYS = [
    "p",
    "q",
    "p_qc",
    "q_qc",
    "p_qc_qc",
    "_qc",
    "",
    "_time",
    "\u00e4",
    "\\u0070",
    "\\ud800",
    "a b",
    "records",
    "nextRecord",
    '\\"',
]
ODD_TIMES = [
    *("2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:60Z", "2024-01-01T00:00:00", "2024-01-01", ""),
    *(
        "2024-01-01T00:00Z",
        "2024-01-01T00Z",
        "2024-01-01T00:00:00.5+01:00",
        "2024-01-01T00:00:00-0130",
        "2024-01-01 00:00:00Z",
    ),
    *(
        "2024-01-01T00:00:00.1234567891Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:00+00:99",
    ),
    *(
        "1677-09-21T00:12:43.145224193Z",
        "1677-09-21T00:12:43Z",
        "2262-04-11T23:47:16.854775807Z",
        "2262-04-12T00:00:00Z",
    ),
    *(
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "+2024-01-01T00:00:00Z",
        "2024-01-01t00:00:00z",
        " 2024-01-01T00:00:00Z",
    ),
    *(
        "2024-01-01T00:00:00\u00a0Z",
        "\u0662024-01-01T00:00:00Z",
        "2024-01-01T00:00:00.000Z",
        "2024-1-1T00:00:00Z",
        "1700000000",
    ),
]
WHITE = ["", "", "", "", " ", "\n", "\t", "\r\n", "  \n  ", "\u00a0", "\x0b", "\ufeff", "\x00"]
NEXT = [
    *(
        "null",
        '""',
        '"https://x/a?from=2024-01-01T00:00:00Z"',
        '"https://x/a?from=2024-01-01T00:00:00Z&limit=3"',
        "5",
        "[]",
        "{}",
    ),
    *(
        '"http://[::1?from=2024-01-01T00:00:00Z"',
        '"https://x/?from=now"',
        '"?from=2024-01-01T00:00:00Z&limit=\\u00b2"',
        "true",
        "0",
    ),
    *(
        '"?from=2024-01-01T00:00:00Z&limit=' + "9" * 5000 + '"',
        '"https://\\u2100/?from=2024-01-01T00:00:00Z"',
        '"\\ud800"',
        "false",
    ),
    *(
        '"a[0]]}"',
        '"\\\\"',
        '"\t"',
        '"?from=2024-01-01T00:00:00Z&limit=0"',
        '"?from=9999-01-01T00:00:00Z"',
        '"?from=&from=x"',
    ),
]


def white(chance: random.Random) -> str:
    """Mostly nothing, mostly legal."""
    return (
        chance.choice(WHITE) if chance.random() < 0.005 else chance.choice(WHITE[:9]) if chance.random() < 0.2 else ""
    )


def value(chance: random.Random) -> str:
    """Spell one value of a property; nine of ten are legal and plain."""
    if chance.random() < 0.9:
        return chance.choice(
            ["0", "1", "-7", "1.5", "45.0", "-0.0", "true", "false", "null", '"a"', '""', "9007199254740993"]
        )
    return chance.choice(chance.choice([NUMBERS, WORDS, TEXTS, NESTED]))


def record(chance: random.Random, number: int) -> str:
    """Spell one record; keys come twice, in any order, and now and then without a time."""
    odd = chance.random() < 0.05
    time = (
        chance.choice(ODD_TIMES)
        if odd
        else f"2024-01-01T00:{number % 60:02d}:00{chance.choice(['', '.5', '.123456789'])}Z"
    )
    cells = [f'"_time"{white(chance)}:{white(chance)}"{time}"'] if chance.random() < 0.99 else []
    names = KEYS if chance.random() < 0.05 else KEYS[:4]
    cells += [
        f'"{chance.choice(names)}"{white(chance)}:{white(chance)}{value(chance)}' for _ in range(chance.randrange(4))
    ]
    if chance.random() < 0.3:
        chance.shuffle(cells)
    return "{" + white(chance) + f"{white(chance)},{white(chance)}".join(cells) + white(chance) + "}"


def page(chance: random.Random) -> bytes:
    """Spell a page, most of them legal ones in odd dress."""
    if chance.random() < 0.5:  # the same columns in each record, as the fast way likes them
        one = [f'"{name}":{value(chance)}' for name in chance.sample(KEYS[:4], chance.randrange(1, 4))]
        rows = [f'{{"_time":"2024-01-01T00:{at:02d}:00Z",{",".join(one)}}}' for at in range(chance.randrange(1, 8))]
    else:
        rows = [record(chance, at) for at in range(chance.randrange(6))]
    if chance.random() < 0.03:
        rows.append(chance.choice(NUMBERS + NESTED))
    records = (
        f'"records"{white(chance)}:{white(chance)}[{white(chance)}'
        + f"{white(chance)},{white(chance)}".join(rows)
        + "]"
    )
    members = [records]
    if chance.random() < 0.7:
        following = chance.choice(NEXT[:4]) if chance.random() < 0.8 else chance.choice(NEXT)
        members.append(f'"nextRecord"{white(chance)}:{following}')
    if chance.random() < 0.1:
        members.append(
            chance.choice(['"x":[{}]', '"records":[]', '"nextRecord":null', '"links":[{"a":"]}"}]', records])
        )
    if chance.random() < 0.3:
        chance.shuffle(members)
    head = "\ufeff" if chance.random() < 0.02 else white(chance)
    text = f"{head}{{{white(chance)}{f'{white(chance)},'.join(members)}{white(chance)}}}{white(chance)}"
    return text.encode("utf-8", "surrogatepass")


def mutated(chance: random.Random, text: bytes) -> bytes:
    """Flip, cut, double, move or insert some bytes."""
    body = bytearray(text)
    for _ in range(chance.randrange(1, 3)):
        if not body:
            break
        at, to = sorted((chance.randrange(len(body)), chance.randrange(len(body))))
        match chance.randrange(7):
            case 0:
                body[at] ^= 1 << chance.randrange(8)
            case 1:
                del body[at:]
            case 2:
                del body[at : min(to, at + 20)]
            case 3:
                body[at:at] = body[at : min(to, at + 60)]
            case 4:
                body[at:at] = chance.choice([*b'{}[],:"\\', 0, 9, 10, 0xFF, 0xC0]).to_bytes()
            case 5:
                body[at:at] = chance.choice([*NUMBERS, *WORDS, *TEXTS, *NESTED]).encode()
            case _:
                body[at] = chance.randrange(256)
    return bytes(body)


def document(chance: random.Random, names: list[str], depth: int = 2) -> str:
    """Spell any JSON, near enough to an answer about jobs, files, parts or tokens."""
    kind = chance.random()
    if depth and kind < 0.6:
        members = [f'"{chance.choice(names)}":{document(chance, names, depth - 1)}' for _ in range(chance.randrange(5))]
        return "{" + ",".join(members) + "}"
    if depth and kind < 0.75:
        return "[" + ",".join(document(chance, names, depth - 1) for _ in range(chance.randrange(3))) + "]"
    if kind < 0.9:
        return chance.choice(
            [
                '"SUCCESS"',
                '"ERROR"',
                '"SUBMITTED"',
                '"4e37"',
                '"hush-hush"',
                '"a.json"',
                "0",
                "7",
                '"3"',
                "true",
                "null",
            ]
        )
    return value(chance)


CHANCES: st.SearchStrategy[random.Random] = st.binary(min_size=8, max_size=8).map(random.Random)
"""Evenly drawn: what Hypothesis draws by itself is mostly at the edges, and such pages are mostly broken."""
ANSWERS: dict[str, tuple[list[str], Callable[[bytes], None]]] = {
    "job": (["id", "jobId", "status", "message", "startTime", "x"], lambda text: check_job(text, "")),
    "job with Location": (["id", "status"], lambda text: check_job(text, "https://x/importJobs/4e37?a")),
    "token": (["access_token", "expires_in", "token_type"], check_token),
    "listing": (["name", "path", "etag", "size", "type", "timestamp"], check_listing),
    "parts": (["partNo", "size", "objectKey", "parts", "part"], check_parts),
}
