"""Wire record ↔ Arrow, both directions: the only home of the record's spelling; floor 2, pure.

Reading: ``body → split_page → decode_pages → unify``. The body is cut into lines and parsed by Arrow's JSON
reader in C++ without the GIL (`tsbulk_frames._cut`); whatever that may read differently from `json` goes through
`json`, page by page, so that one odd page slows no other. Writing: ``encode_rows``.

Types are settled by the rule table of `tsbulk_frames.kinds`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from tsbulk_frames._cut import (
    Lines,
    PageBody,
    RawPage,
    Room,
    cut_by_quotes,
    cut_optimistic,
    find_records,
    is_utf8,
    join_records,
    pieces_of,
)
from tsbulk_frames._encode import SEPARATOR, EncodedRows, encode_rows
from tsbulk_frames._exact import parse_json, read_exact, reason
from tsbulk_frames.errors import DecodeError, FrameError, PageError
from tsbulk_frames.kinds import (
    EXACT,
    EXACT_FLOAT_LIMIT,
    TIME_TYPE,
    Column,
    arrange,
    missing,
    settle,
    widen,
)
from tsbulk_frames.model import TIME, parse_moment

__all__ = [
    "SEPARATOR",
    "EncodedRows",
    "RawPage",
    "Room",
    "decode_pages",
    "encode_rows",
    "first_time",
    "split_page",
    "unify",
]

_FIRST_TIME = re.compile(rb'"_time"\s*:\s*"([0-9TZ:.+-]+)"')

_BLOCK = 1 << 20
"""Arrow parses this much at a time: small enough for the processor's cache."""
_THREADED = 16 << 20
"""From here on Arrow's own threads share one batch; smaller ones are decoded side by side by the caller."""
_PIECE = 1 << 22
"""Pages larger than this are decoded piece by piece: no buffer becomes larger, however large the pages."""
_HEAD = 1 << 13
"""As much is looked at to learn which columns hold text."""
_BIG_INTEGER = re.compile(rb"[:\s]-?\d{16,}\s*[,}]")


def split_page(body: PageBody, *, page: int = 1) -> RawPage:
    """Find the records of a page without parsing them.

    Parameters
    ----------
    body : bytes or mmap
        A JSON object with ``records`` and, maybe, ``nextRecord``; UTF-8.
    page : int, default 1
        Number of the page in its chain, for messages.

    Returns
    -------
    RawPage
        Damage inside of the records is found by `decode_pages`.

    Raises
    ------
    PageError
        Not JSON, no list ``records``, or a ``nextRecord`` that is neither text nor null.

    Notes
    -----
    Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``. An envelope spelled in another way than
    the service does is read by `json` and spelled anew.

    Examples
    --------
    >>> raw = split_page(b'{"records":[{"_time":"2026-03-01T00:00:00Z"}],"nextRecord":null}')
    >>> raw.body[raw.start : raw.stop], raw.next_record
    (b'{"_time":"2026-03-01T00:00:00Z"}', None)
    """
    found = find_records(body)
    if found is not None:
        start, stop, token = found
        try:
            following = json.loads(token) if token else None
        except ValueError as error:
            raise PageError(f"page {page}: nextRecord is not JSON ({error}); report this answer", page=page) from error
        return RawPage(body, start, stop, following or None, page)
    try:
        envelope = parse_json(body[:])
    except (ValueError, RecursionError) as error:
        raise PageError(
            f"page {page} is not JSON ({reason(error)}); it begins with {bytes(body[:80])!r}; expected is an object "
            "with 'records' and 'nextRecord'; check gateway and proxy",
            page=page,
        ) from error
    records = envelope.get("records") if isinstance(envelope, dict) else None
    if not isinstance(records, list):
        raise PageError(
            f"page {page} has no list 'records'; it begins with {bytes(body[:80])!r}; expected is an object with "
            "'records' and 'nextRecord'; check gateway and path",
            page=page,
        )
    following = envelope.get("nextRecord")
    if following is not None and not isinstance(following, str):
        raise PageError(f"page {page}: nextRecord is {following!r}; expected is a URL or null", page=page)
    try:
        inside = json.dumps(records, allow_nan=False, separators=(",", ":"))[1:-1].encode()
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"page {page} holds what JSON cannot spell: {reason(error)}", page=page) from error
    return RawPage(inside, 0, len(inside), following or None, page)


def first_time(page: RawPage) -> int | None:
    """Nanoseconds since the epoch of a page's first record, without decoding it; an estimate for planning only.

    Parameters
    ----------
    page : RawPage
        As `split_page` cut it.

    Returns
    -------
    int or None
        None: no record, or none that begins in a usual way.

    Examples
    --------
    >>> first_time(split_page(b'{"records":[{"p":1,"_time":"1970-01-01T00:00:01Z"}]}'))
    1000000000
    """
    found = _FIRST_TIME.search(page.body, page.start, min(page.stop, page.start + 65_536))
    try:
        return None if found is None else parse_moment(found[1].decode(), TIME)
    except FrameError:
        return None


def decode_pages(pages: Sequence[RawPage], *, room: Room | None = None) -> pa.Table:
    """Decode the records of pages together, in C++ off the GIL wherever that is exact.

    Parameters
    ----------
    pages : sequence of RawPage
        Small pages gain much by being decoded together: about 4 MB at once is best.

    room : Room, optional
        Memory to work in, of the calling thread alone. Default: new memory each time.

    Returns
    -------
    pyarrow.Table, shape (n_records, 1 + n_properties)
        ``_time`` first, ``timestamp[ns, UTC]``, not null; then the properties in the order of first appearance,
        each quality code behind its property. Rows in the order of the pages: nothing is sorted or checked for order.

    Raises
    ------
    DecodeError
        A record is no object, has no usable ``_time``, or is not JSON; `.page`, `.record`, `.property` say where.

    Notes
    -----
    Types: see `tsbulk_frames.kinds`. ``_time`` takes 0 to 9 fraction digits and ``Z`` or a numeric offset; a time
    without zone, or outside of 1677 to 2262, is an error.

    Examples
    --------
    >>> body = b'{"records":[{"_time":"2026-03-01T00:00:00.5Z","speed":94,"speed_qc":192}],"nextRecord":null}'
    >>> decode_pages([split_page(body)]).column_names
    ['_time', 'speed', 'speed_qc']
    """
    filled = [page for page in pages if page.start < page.stop]
    table = _read_plain(filled, room) if filled else unify([])
    if table is None and len(filled) == 1:
        table = read_exact(filled[0])
    if table is not None:
        return table.select(arrange(table.column_names))
    parts = []
    for page in filled:
        part = _read_plain([page], room)
        parts.append(read_exact(page) if part is None else part)
    mixed = {name for name, kind in _settled(parts).items() if kind == EXACT}
    for at, part in enumerate(parts):
        if any(name in mixed and _may_hide_integers(part[name]) for name in part.column_names):
            parts[at] = read_exact(filled[at], mixed)
    return unify(parts)


def unify(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables below one another; types are settled by one rule, no digit is lost.

    Parameters
    ----------
    tables : sequence of pyarrow.Table
        As `decode_pages` returns them: columns may differ in type, order and presence.

    Returns
    -------
    pyarrow.Table
        All rows in the order given; all columns in the order of first appearance, each quality code behind its
        property; a column that a table lacks is missing there. Chunks are shared, not copied, where the type stays.

    Examples
    --------
    >>> def page(value: str) -> pa.Table:
    ...     body = '{"records":[{"_time":"2026-03-01T00:00:00Z","p":%s}]}' % value
    ...     return decode_pages([split_page(body.encode())])
    >>> unify([page("1"), page("2.5")])["p"].to_pylist()
    [1.0, 2.5]
    """
    if not tables:
        return pa.table({TIME: pa.array([], TIME_TYPE)})
    target = _settled(tables)
    if all(table.schema.names == list(target) and table.schema.types == list(target.values()) for table in tables):
        return pa.concat_tables(tables)
    parts = []
    for table in tables:
        present = set(table.column_names)
        columns = [
            widen(table[name], kind) if name in present else missing(table.num_rows, kind)
            for name, kind in target.items()
        ]
        parts.append(pa.table(columns, names=list(target)))
    return pa.concat_tables(parts)


def _may_hide_integers(column: Column) -> bool:
    """Whether integers may stand among these floats, as Arrow reads 1 beside 2.5 as 1.0."""
    return pa.types.is_floating(column.type) and bool(pc.any(pc.equal(pc.floor(column), column)).as_py())


def _settled(tables: Sequence[pa.Table]) -> dict[str, pa.DataType]:
    """Names in their final order, each with the type that holds all of its parts."""
    parts: dict[str, list[Column]] = {}
    for table in tables:
        for name in table.column_names:
            parts.setdefault(name, []).append(table[name])
    return {name: TIME_TYPE if name == TIME else settle(parts[name]) for name in arrange(parts)}


def _read_plain(pages: Sequence[RawPage], room: Room | None) -> pa.Table | None:
    """Read by Arrow, or None if it refuses or might differ from `json`."""
    threaded = sum(page.stop - page.start for page in pages) >= _THREADED
    tables = []
    for piece in pieces_of(pages, _PIECE):
        table = _read_piece(piece, threaded, room)
        if table is None:
            return None
        tables.append(table)
    if len(tables) == 1:
        return tables[0]
    return None if EXACT in _settled(tables).values() else unify(tables)


def _read_piece(piece: Sequence[memoryview], threaded: bool, room: Room | None) -> pa.Table | None:
    """Read one piece by Arrow, or None if it refuses or might differ from `json`."""
    for cut in (cut_optimistic, cut_by_quotes):
        text = join_records(piece, room)
        if not is_utf8(pa.py_buffer(text)):  # type: ignore[arg-type]
            return None
        lines = cut(text)
        table = None if lines is None else _parse_lines(lines, threaded)
        if lines is not None and table is not None:
            return table if _is_exact(table, lines.buffer) else None
    return None


def _first_names(lines: Lines) -> dict[str, bool]:
    """Names of the first records in order, and whether text was seen; none if in doubt.

    Arrow guesses that some text is a time, which costs a second reading, unless it is told beforehand.
    """
    size = lines.buffer.size
    first = lines.buffer[: min(size, _HEAD)].to_pybytes().split(b"\n")
    seen: dict[str, bool] = {}
    try:
        for line in first if size <= _HEAD else first[:-1]:
            for name, value in json.loads(line).items():
                seen[name] = seen.get(name, False) or isinstance(value, str)
        "".join(seen).encode()  # half a surrogate pair names no column
    except (ValueError, AttributeError, RecursionError):
        return {}  # damaged: Arrow says so
    return seen


def _parse_lines(lines: Lines, threaded: bool = False) -> pa.Table | None:
    """Parse by Arrow; None if it refuses, or if the lines were no list of records with a time."""
    names = _first_names(lines)
    schema = {TIME: pa.string(), **{name: pa.string() for name, text in names.items() if text}}
    size = lines.buffer.size
    blocks = [_BLOCK, size + 1] if size >= _BLOCK else [size + 1]
    while True:
        try:
            table = pj.read_json(
                pa.BufferReader(lines.buffer),  # type: ignore[arg-type]
                read_options=pj.ReadOptions(block_size=blocks[0], use_threads=threaded),
                parse_options=pj.ParseOptions(explicit_schema=pa.schema(list(schema.items()))),
            )
        except pa.ArrowInvalid as error:
            if len(blocks) > 1 and "straddl" in str(error):
                blocks.pop(0)  # a record is larger than a block
                continue
            return None
        if not any(pa.types.is_temporal(field.type) for field in table.schema):
            break
        # text stays text, even if it looks like a date; the whole schema again keeps the order of columns
        schema = {field.name: pa.string() if pa.types.is_temporal(field.type) else field.type for field in table.schema}
    if table.num_rows != lines.records or table[TIME].null_count:
        return None
    try:
        times = table[TIME].cast(TIME_TYPE)  # refuses a text without zone, which the reader would take as UTC
    except pa.ArrowInvalid:
        return None
    table = table.set_column(table.column_names.index(TIME), pa.field(TIME, TIME_TYPE), times)
    present = set(table.column_names)
    return table.select(list(dict.fromkeys([*filter(present.__contains__, names), *table.column_names])))


def _is_exact(table: pa.Table, text: pa.Buffer) -> bool:
    """Whether Arrow read what `json` would: no NaN, no integer rounded to a float, nothing nested."""
    if any(pa.types.is_nested(kind) for kind in table.schema.types):
        return False
    floats = [column for column in table.columns if pa.types.is_floating(column.type)]
    every = pa.chunked_array([chunk for column in floats for chunk in column.chunks], pa.float64())  # one question
    total = pc.sum(every).as_py()  # finite if all are; if not, maybe only the sum is too large
    if total is not None and not math.isfinite(total) and not pc.all(pc.is_finite(every)).as_py():
        return False
    bounds = pc.min_max(every).as_py()
    low, high = bounds["min"], bounds["max"]  # type: ignore[call-overload]
    doubtful = low is not None and max(-low, high) >= EXACT_FLOAT_LIMIT
    return not (doubtful and _BIG_INTEGER.search(text))
