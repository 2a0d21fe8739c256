"""How each service spells an error: the one home of error bodies."""

from __future__ import annotations

import datetime as dt
import http
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Refusal", "handlers", "refuse"]


class Refusal(HTTPException):
    """A request that a handler turns down: raised anywhere, spelt in the style of the service that was asked."""


def refuse(
    path: str, status: int, message: str, *, now: float, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Answer for the error `status` in the style of the service that lives at `path`."""
    phrase = http.HTTPStatus(status).phrase
    body: dict[str, Any]
    if path.startswith("/api/iotfile/"):
        body = {"id": f"iotfile.{phrase.replace(' ', '')}", "message": message}
    elif path.startswith(("/api/iottsbulk/", "/api/iottimeseries/")):
        moment = dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = {
            "timestamp": moment,
            "status": status,
            "error": phrase,
            "exception": f"{phrase.replace(' ', '')}Exception",
            "message": message,
            "path": path,
        }
    elif path.startswith("/oauth/"):
        body = {"error": "unauthorized" if status == 401 else "invalid_request", "error_description": message}
    else:
        body = {"errors": [{"code": f"mdsp.{phrase.replace(' ', '')}", "message": message}]}
    return JSONResponse(body, status_code=status, headers=headers)


def handlers(clock: Callable[[], float]) -> dict[Any, Callable[[Request, Any], Response]]:
    """Exception handlers of the application: refusals, unknown paths and wrong methods alike."""

    def refusal(request: Request, error: HTTPException) -> Response:
        return refuse(request.url.path, error.status_code, error.detail, now=clock(), headers=error.headers)

    def failure(request: Request, error: Exception) -> Response:
        # because the error goes on to the server, which closes the connection behind the answer
        message, close = f"the sandbox failed: {type(error).__name__}", {"Connection": "close"}
        return refuse(request.url.path, 500, message, now=clock(), headers=close)

    return {HTTPException: refusal, Exception: failure}
