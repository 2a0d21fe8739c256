"""What a request carries: its bytes within a bound, and the JSON they spell; nothing else reads a body."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from tsbulk_frames.sandbox.refusals import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["iter_body", "parse_json", "read_body"]


async def iter_body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body in pieces as they arrive.

    Raises
    ------
    Refusal
        413: it has more than `limit` bytes; before the first piece where ``Content-Length`` says so.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise Refusal(413, f"the body has {declared} bytes, at most {limit} are accepted; send less at a time")
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Refusal(413, f"the body has over {limit} bytes, the most that is accepted; send less at a time")
        yield chunk


async def read_body(request: Request, limit: int) -> bytes:
    """Whole body; refused as by `iter_body`."""
    body = bytearray()
    async for chunk in iter_body(request, limit):
        body += chunk
    return bytes(body)


def parse_json(text: bytes | str) -> Any:
    """Decode JSON that can be stored and answered again.

    Raises
    ------
    ValueError
        Not JSON, nested too deeply, or a text with half a surrogate pair: no UTF-8 can carry that.
    """
    try:
        document = json.loads(text)
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half a surrogate pair, which is no Unicode") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8: {error.reason}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return document
