"""The file service over HTTP: ``/api/iotfile/v3``; bodies stream to and from disk in bounded memory."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tsbulk_frames.sandbox.bodies import iter_body
from tsbulk_frames.sandbox.files import FileInfo, StoredFile, check_match
from tsbulk_frames.sandbox.listing import parse_filter, parse_order
from tsbulk_frames.sandbox.model import rules_of
from tsbulk_frames.sandbox.refusals import Refusal

if TYPE_CHECKING:
    from tsbulk_frames.sandbox.model import State
    from tsbulk_frames.sandbox.uploads import Uploads

__all__ = ["routes"]

_BASE = "/api/iotfile/v3"
_CHUNK = 1 << 20
_MAX_LISTED = 500
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")


def routes(state: State, uploads: Uploads) -> list[Route]:
    """Routes of the file service."""
    service = _FileService(state, uploads)
    return [
        Route(_BASE + "/files/{entity}", service.listing, methods=["GET"]),
        Route(_BASE + "/files/{entity}/{path:path}", service.put, methods=["PUT"]),
        Route(_BASE + "/files/{entity}/{path:path}", service.get, methods=["GET"]),
        Route(_BASE + "/files/{entity}/{path:path}", service.delete, methods=["DELETE"]),
        Route(_BASE + "/fileslist/{entity}/{path:path}", service.parts, methods=["GET"]),
    ]


class _FileService:
    """The handlers, over what they may touch."""

    def __init__(self, state: State, uploads: Uploads) -> None:
        self._state = state
        self._files = state.files
        self._uploads = uploads

    async def put(self, request: Request) -> Response:
        """Whole file, or one step of a multipart upload."""
        entity, path = self._target(request)
        if_match, info = _if_match(request), _info(request)
        step, number = request.query_params.get("upload"), request.query_params.get("part")
        if number is not None:
            return await self._put_part(request, entity, path, number, if_match)
        match step:
            case None:
                check_match(await run_in_threadpool(self._files.find, entity, path), if_match)
                async with _Incoming(self._files.new_object()) as incoming:
                    await incoming.fill(request, self._state.rules.max_body_bytes)
                    file, new = await run_in_threadpool(
                        self._files.put, entity, path, incoming.path, info, if_match=if_match
                    )
                    incoming.keep()
                return _written(new, file)
            case "start":
                new = await run_in_threadpool(self._uploads.start, entity, path, info, if_match=if_match)
                return _written(new, None)
            case "complete":
                async with _Incoming(self._files.new_object()) as incoming:
                    digest = hashlib.sha256()
                    await incoming.fill(request, self._state.rules.max_body_bytes, digest)
                    file, new = await run_in_threadpool(
                        self._uploads.complete, entity, path, incoming.path, digest.hexdigest(), info, if_match=if_match
                    )
                return _written(new, file if self._state.rules.multipart_etag else None)
            case "abort":
                await run_in_threadpool(self._uploads.abort, entity, path)
                return Response(status_code=204)
            case _:
                raise Refusal(400, f"upload={step} is not known; there are start, complete, abort, and part=N")

    async def _put_part(self, request: Request, entity: str, path: str, number: str, if_match: int | None) -> Response:
        """One part of a running upload."""
        if not re.fullmatch(r"\d{1,9}", number, re.ASCII):
            raise Refusal(400, f"part={number} is not a number")
        await run_in_threadpool(self._uploads.check_part, entity, path, int(number), if_match=if_match)
        async with _Incoming(self._files.new_object()) as incoming:
            await incoming.fill(request, self._state.rules.max_body_bytes)
            await run_in_threadpool(self._uploads.add_part, entity, path, int(number), incoming.path, if_match=if_match)
            incoming.keep()
        return _written(True, None)

    def get(self, request: Request) -> Response:
        """Answer the bytes, or a range of them."""
        entity, path = self._target(request)
        found = self._files.open(entity, path)
        if found is None:
            raise Refusal(404, f"there is no file {path!r} of {entity!r}")
        file, content = found
        with ExitStack() as opened:
            opened.enter_context(content)
            headers = {"ETag": str(file.etag), "Accept-Ranges": "bytes"}
            first, last = 0, file.size - 1
            status = 200
            wanted = _wanted_range(request.headers.get("range", ""), file.size)
            if wanted is not None:
                first, last = wanted
                if first > last:
                    headers["Content-Range"] = f"bytes */{file.size}"
                    raise Refusal(416, f"the file has {file.size} bytes; ask for some of them", headers=headers)
                headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
                status = 206
            size = last - first + 1
            headers["Content-Length"] = str(size)
            if request.method == "HEAD":
                return Response(status_code=status, headers=headers, media_type=file.type)
            opened.pop_all()
            return StreamingResponse(_read(content, first, size), status, headers, file.type)

    def delete(self, request: Request) -> Response:
        """Remove the file."""
        entity, path = self._target(request)
        if not self._files.delete(entity, path, if_match=_if_match(request)):
            raise Refusal(404, f"there is no file {path!r} of {entity!r}")
        return Response(status_code=204)

    def parts(self, request: Request) -> Response:
        """Parts present of a running upload."""
        entity, path = self._target(request)
        return JSONResponse([{"part": number, "size": size} for number, size in self._uploads.parts(entity, path)])

    def listing(self, request: Request) -> Response:
        """Files of an entity, filtered, ordered and paged."""
        entity = self._entity(request)
        query = request.query_params
        where, values = parse_filter(query["filter"]) if query.get("filter") else ("1", [])
        order = parse_order(query.get("order", ""))
        limit = _whole(query.get("limit"), "limit", default=_MAX_LISTED, least=1, most=_MAX_LISTED)
        offset = _whole(query.get("offset"), "offset", default=0, least=0, most=2**62)
        horizon = self._state.clock() - rules_of(request.scope, self._state.rules).listing_lag
        where, values = f"({where}) AND created <= ?", [*values, horizon]
        files = self._files.select(entity, where, values, order, limit=limit, offset=offset)
        headers = {}
        if query.get("count", "").lower() == "true":
            headers["X-Total-Count"] = str(self._files.count(entity, where, values))
        return JSONResponse([_item(file, horizon) for file in files], headers=headers)

    def _entity(self, request: Request) -> str:
        """Find the asset asked for, which must exist."""
        entity: str = request.path_params["entity"]
        if self._state.assets.get(entity) is None:
            raise Refusal(404, f"there is no asset {entity!r}")
        return entity

    def _target(self, request: Request) -> tuple[str, str]:
        """Entity and file path, refused when they are not what a client may legally name."""
        entity, path = self._entity(request), request.path_params["path"]
        steps = path.split("/")
        if any(step in ("", ".", "..") for step in steps) or _FORBIDDEN.search(path):
            raise Refusal(
                400, f"{path!r} is not a file path; give names joined by '/', without '..', '\\' or control characters"
            )
        if "\ufffd" in path:  # what bytes that are not UTF-8 were decoded to
            raise Refusal(400, "the path is not UTF-8; percent-encode its UTF-8 bytes")
        return entity, path


class _Incoming:
    """Bytes on their way in: removed again unless they are kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = False

    async def __aenter__(self) -> _Incoming:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._kept:
            await run_in_threadpool(self.path.unlink, missing_ok=True)

    def keep(self) -> None:
        """They belong to a row now."""
        self._kept = True

    async def fill(self, request: Request, limit: int, digest: hashlib._Hash | None = None) -> None:
        """Write the body to disk, at most a few chunks at a time in memory, and digest it where that is wanted.

        Raises
        ------
        Refusal
            413: more than `limit` bytes.
        """
        pending, size = list[bytes](), 0
        with await run_in_threadpool(self.path.open, "wb", buffering=0) as file:
            async for chunk in iter_body(request, limit):
                pending.append(chunk)
                size += len(chunk)
                if size >= _CHUNK:
                    await run_in_threadpool(_append, file, digest, pending)
                    pending, size = [], 0
            await run_in_threadpool(_append, file, digest, pending)


def _append(file: IO[bytes], digest: hashlib._Hash | None, pending: list[bytes]) -> None:
    """Write and digest in one hop to a thread."""
    for chunk in pending:
        view = memoryview(chunk)
        while view:  # a raw file may take less than it is given
            view = view[file.write(view) :]
        if digest is not None:
            digest.update(chunk)


async def _read(content: IO[bytes], first: int, size: int) -> AsyncIterator[bytes]:
    """Read a stretch of an open file in chunks; it is closed however the answer ends."""
    try:
        await run_in_threadpool(content.seek, first)
        while size > 0:
            chunk = await run_in_threadpool(content.read, min(_CHUNK, size))
            if not chunk:
                raise ClientDisconnect
            size -= len(chunk)
            yield chunk
    finally:
        content.close()


def _wanted_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a ``Range`` header; None for one that HTTP says to ignore, first > last: none there."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        return None
    begin, end = match.groups()
    if not begin:
        return max(0, size - int(end)), size - 1
    if end and int(end) < int(begin):
        return None
    return int(begin), min(size - 1, int(end) if end else size - 1)


def _if_match(request: Request) -> int | None:
    """Read the etag in ``If-Match``: a bare number."""
    text = request.headers.get("if-match")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise Refusal(400, f"If-Match: {text} is not an etag of this service; send the bare number")
    return int(text)


def _info(request: Request) -> FileInfo:
    """Read what the headers say about the file."""
    timestamp = request.headers.get("timestamp")
    if timestamp is not None:
        try:
            dt.datetime.fromisoformat(timestamp)
        except ValueError:
            raise Refusal(400, f"timestamp: {timestamp!r} is not an ISO 8601 time") from None
    return FileInfo(request.headers.get("type"), request.headers.get("description"), timestamp)


def _written(new: bool, file: StoredFile | None) -> Response:
    """Answer of a write: headers only."""
    return Response(status_code=201 if new else 204, headers={} if file is None else {"ETag": str(file.etag)})


def _whole(text: str | None, name: str, *, default: int, least: int, most: int) -> int:
    """Whole number of a query."""
    if not text:
        return default
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
        raise Refusal(400, f"{name}={text} is not a whole number from {least} to {most}")
    return int(text)


def _item(file: StoredFile, horizon: float) -> dict[str, Any]:
    """Spell a file as the listing does; the etag of a write after `horizon` has not arrived there yet."""
    lagging = file.updated > horizon and file.etag > 0
    return {
        "name": file.name,
        "path": file.folder,
        "type": file.type,
        "size": file.size,
        "timestamp": file.timestamp or _iso(file.created),
        "created": _iso(file.created),
        "updated": _iso(file.updated),
        "etag": file.etag - 1 if lagging else file.etag,
        "description": file.description,
    }


def _iso(epoch: float) -> str:
    """Epoch seconds as the service prints times."""
    return dt.datetime.fromtimestamp(epoch, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
