"""Reading: pages of the bulk service, and the ordinary time series service over the same store.

Known differences from the service, and what its documentation leaves open:

- ``select=p`` gives ``p`` and ``p_qc``; a quality code cannot be selected by itself (400, as any unknown name).
- With ``select``, records without any selected value or quality code are left out.
- ``limit`` of the bulk service counts over all pages; the page that reaches it has no ``nextRecord``.
- ``nextRecord`` is absent on the last page. Its host, scheme and path are those of the request.
- A page ends where `Rules.compare` can tell the next record from it: records that are one moment at that precision
  stay on one page, even over `page_bytes` and `Rules.page_records`; only ``limit`` cuts between them.
- ``sort=desc``: the link moves ``to`` to just before the last record given, and leaves ``from``.
- The next page is made ready while the client reads the one before.
- Pages are not cut by time: an answer that has to look through a long range takes as long as it takes.
- ``_time`` is written with 0, 3, 6 or 9 fraction digits, as few as are exact; doubles with the fewest digits that read
  back to the same number, with a point or an exponent.
- ``from`` and ``to`` need a time and ``Z`` or an offset, 0 to 9 fraction digits.
- Ordinary service: ``limit`` (at most 2,000; more is taken as 2,000) is the size of a page; ``from`` and ``to`` may be
  left out (everything before, everything after); no limit on the range; ``(from, to]`` as with the bulk service.
- Ordinary service, ``PUT``: records in any order, of any age; of two with the same time the later counts, and a stored
  one is replaced as a whole.
- A write that ends while a chain of pages is walked is seen from there on.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlencode

import numpy as np
import pyarrow as pa
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tsbulk_frames.sandbox.arrow import concat, times_ns
from tsbulk_frames.sandbox.bodies import read_body
from tsbulk_frames.sandbox.model import Aspect, State
from tsbulk_frames.sandbox.moments import MAX_NS, MIN_NS, NS, format_ns, parse_ns
from tsbulk_frames.sandbox.pages import Pages, Query
from tsbulk_frames.sandbox.records import iter_tables
from tsbulk_frames.sandbox.refusals import Refusal
from tsbulk_frames.sandbox.validation import Invalid

__all__ = ["routes"]

_ORDINARY_PAGE = 2_000


def routes(state: State) -> list[Route]:
    """Give the routes of both reading services; they share what has been rendered."""
    pages = Pages(state.series, state.rules.compare)

    def read_bulk(request: Request) -> Response:
        query = _parse(request, _aspect(request, state), required=True)
        if query.upto - query.after >= int(state.rules.max_range * NS):
            raise Refusal(400, f"'to' - 'from' needs to be under {state.rules.max_range / 86_400:g} days")
        page = pages.cut(query, size=state.page_bytes, records=state.rules.page_records)
        body, ahead = [b'{"records":[', page.records, b"]"], None
        if page.resume is not None:
            left = {} if query.limit is None else {"limit": str(query.limit - page.count)}
            link = _link(request, {_moved(query): format_ns(page.resume), **left})
            body.append(b',"nextRecord":' + json.dumps(link).encode())
            ahead = BackgroundTask(pages.prepare, query.resumed(page.resume))
        return Response(b"".join([*body, b"}"]), media_type="application/json", background=ahead)

    def read_ordinary(request: Request) -> Response:
        query = _parse(request, _aspect(request, state), required=False)
        most = min(query.limit or _ORDINARY_PAGE, _ORDINARY_PAGE)
        page = pages.cut(replace(query, limit=None), size=None, records=most)
        response = Response(b"[" + page.records + b"]", media_type="application/json")
        if page.resume is not None:
            link = _link(request, {_moved(query): format_ns(page.resume)})
            response.headers["Link"] = f'<{link}>; rel="next"'
        return response

    def store(request: Request, body: bytes) -> Response:
        aspect = _aspect(request, state)
        try:
            table = concat(list(iter_tables(io.BytesIO(body), aspect)))
        except Invalid as error:
            raise Refusal(400, str(error)) from None
        entity, name = request.path_params["entity"], request.path_params["aspect"]
        try:
            state.series.write(entity, name, _in_order(table))
        except pa.ArrowException as error:
            raise Refusal(400, f"the records do not fit to what is stored: {error}") from None
        return Response(status_code=204)

    async def write_ordinary(request: Request) -> Response:
        return await run_in_threadpool(store, request, await read_body(request, state.rules.max_body_bytes))

    ordinary = "/api/iottimeseries/v3/timeseries/{entity}/{aspect}"
    return [
        Route("/api/iottsbulk/v3/timeseries/{entity}/{aspect}", read_bulk, methods=["GET"]),
        Route(ordinary, read_ordinary, methods=["GET"]),
        Route(ordinary, write_ordinary, methods=["PUT"]),
    ]


def _aspect(request: Request, state: State) -> Aspect:
    """Look up the property set of the path, or refuse with 404."""
    entity, name = request.path_params["entity"], request.path_params["aspect"]
    asset = state.assets.get(entity)
    if asset is None:
        raise Refusal(404, f"asset {entity!r} does not exist")
    if name not in asset.aspects:
        raise Refusal(404, f"asset {entity!r} has no aspect {name!r}")
    return asset.aspects[name]


def _parse(request: Request, aspect: Aspect, *, required: bool) -> Query:
    """Read a query, or refuse it with 400."""
    given = request.query_params
    after = _moment(given.get("from"), "from", None if required else MIN_NS - 1)
    upto = _moment(given.get("to"), "to", None if required else MAX_NS)
    if after >= upto:
        raise Refusal(400, f"'from' ({given.get('from')}) needs to be before 'to' ({given.get('to')})")
    limit = given.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit() and len(limit) < 19 and int(limit) > 0):
        raise Refusal(400, f"limit={limit[:40]!r} is not a positive integer")
    sort = given.get("sort", "asc")
    if sort not in ("asc", "desc"):
        raise Refusal(400, f"sort={sort[:40]!r} is not known; accepted are 'asc' and 'desc'")
    return Query(
        entity=request.path_params["entity"],
        property_set=aspect.name,
        after=after,
        upto=upto,
        columns=_columns(given.get("select"), aspect),
        descending=sort == "desc",
        limit=None if limit is None else int(limit),
    )


def _moment(text: str | None, name: str, default: int | None) -> int:
    """Read an end of the range."""
    if text is None:
        if default is None:
            raise Refusal(400, f"the parameter '{name}' is required and was not given; add {name}=2026-01-31T00:00:00Z")
        return default
    try:
        return parse_ns(text)
    except ValueError as error:
        raise Refusal(400, f"'{name}': {error}") from None


def _columns(select: str | None, aspect: Aspect) -> tuple[str, ...]:
    """Give what to write: the properties selected, in the aspect's order, each with its quality code."""
    wanted = set(aspect.variables) if select is None else set(select.split(","))
    unknown = sorted(wanted.difference(aspect.variables))
    if unknown:
        raise Refusal(400, f"select: {unknown[0][:60]!r} is no property of aspect {aspect.name!r}")
    chosen = [variable for name, variable in aspect.variables.items() if name in wanted]
    return tuple(
        name
        for variable in chosen
        for name in ((variable.name, f"{variable.name}_qc") if variable.quality_code else (variable.name,))
    )


def _moved(query: Query) -> str:
    """Name the end of the range that a link moves."""
    return "to" if query.descending else "from"


def _link(request: Request, changes: dict[str, str]) -> str:
    """Give the request's own URL with other values in its query."""
    given = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    pairs = [(name, changes.get(name, value)) for name, value in given]
    pairs += [(name, value) for name, value in changes.items() if name not in dict(given)]
    path = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1")
    return f"{request.url.scheme}://{request.url.netloc}{path}?{urlencode(pairs, quote_via=quote)}"


def _in_order(table: pa.Table) -> pa.Table:
    """Sort records by time and keep the last of those with the same."""
    times = times_ns(table)
    order = np.argsort(times, kind="stable")
    last = np.append(np.diff(times[order]) > 0, True)
    return table.take(order[last])
