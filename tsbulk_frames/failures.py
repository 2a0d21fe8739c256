"""From an answer that is no success, or none at all, to the error the caller sees; pure.

The texts an answer may bring are many (five JSON shapes, HTML, nothing): they end as one plain line. Nothing secret
passes: URLs lose the query values that could be one, known secrets are blotted out.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

from tsbulk_frames.errors import AuthError, ConflictError, NotFoundError, ServiceError, ThrottledError, TransportError
from tsbulk_frames.retry import Course

__all__ = [
    "HeldBack",
    "Refusal",
    "Silence",
    "detail_of",
    "drop_frames",
    "innermost",
    "redacted_url",
    "request_id_of",
    "scrubbed",
]

MAX_DETAIL = 500
"""Characters of what the service said that an error keeps."""
MAX_REASON = 300
"""Characters of a network error that an error keeps."""
_HARMLESS = frozenset(
    ["from", "to", "limit", "select", "sort", "filter", "order", "offset", "count", "upload", "part", "page", "size"]
)
_REQUEST_IDS = (
    "x-request-id",
    "x-correlation-id",
    "x-amzn-requestid",
    "x-amzn-trace-id",
    "x-b3-traceid",
    "traceparent",
)
_MIN_SECRET = 4
_CONNECTION = re.compile(r"^_?\w+\(host=[^()]*\)(?: at 0x\w+)?>?: ")


@dataclass(frozen=True)
class Refusal:
    """An answer with a status that is not a success.

    Attributes
    ----------
    method, url : str
        The request, redacted.
    status : int
        HTTP status.
    detail : str
        What the service said (`detail_of`).
    request_id : str or None
        The gateway's correlation id.
    retry_after : float or None
        Seconds it asked to wait.
    token_endpoint : bool
        Whether it was the request for a token that was refused.
    """

    method: str
    url: str
    status: int
    detail: str
    request_id: str | None = None
    retry_after: float | None = None
    token_endpoint: bool = False

    def error(self, course: Course) -> ServiceError:
        """Build the error for the caller, saying how it went."""
        kind, step = self._kind()
        said = f": {self.detail}" if self.detail else " without an explanation"
        notes = [course.told, f"request id {self.request_id}"] if self.request_id else [course.told]
        error = kind(
            f"{self.method} {urlsplit(self.url).path}: the service answered {self.status}{said}"
            f" ({', '.join(notes)}); {course.ended}{step}",
            status=self.status,
            detail=self.detail,
            request_id=self.request_id,
            method=self.method,
            url=self.url,
            attempts=course.attempts,
            elapsed=course.elapsed,
            stopped_by=course.settings,
        )
        if isinstance(error, ThrottledError):
            error.retry_after = self.retry_after
        return error

    def _kind(self) -> tuple[type[ServiceError], str]:
        """Class of the error, and what the caller can do about it."""
        status = self.status
        if self.token_endpoint and 400 <= status < 500 and status != 429:
            return AuthError, "no token was issued: check the client id, the secret and the tenants"
        if status == 401:
            return AuthError, "the token is not accepted or has ended: give a fresh one, or check the credentials"
        if status == 403:
            return AuthError, "the credentials lack the right to do this: have the role or the tenant's access checked"
        if status == 404:
            return NotFoundError, "check the entity, the property set, the file's path or the job's id"
        if status in (409, 412):
            return ConflictError, "the file exists or has changed: read its current etag and give it as if_match"
        if status == 429:
            return ThrottledError, "wait, or lower max_connections"
        if 300 <= status < 400:
            return ServiceError, "redirects are not followed, as the token would travel along: check host_url"
        if status >= 500:
            return ServiceError, "try again later; for a support ticket keep the request id and the time"
        return ServiceError, "the request itself is not accepted: correct it"


@dataclass(frozen=True)
class Silence:
    """A request without a usable answer.

    Attributes
    ----------
    method, url : str
        The request, redacted.
    reason : str
        What went wrong, in one line.
    cause : Exception
        To chain; holds nothing of the request.
    certificate : bool
        Whether it was the other side's certificate that is not trusted.
    """

    method: str
    url: str
    reason: str
    cause: Exception
    certificate: bool

    def error(self, course: Course) -> TransportError:
        """Build the error for the caller, saying how it went."""
        said = f"no usable answer after {course.told}: {self.reason}" if course.attempts else f"not sent: {self.reason}"
        step = "give the authority of your proxy or gateway as ca_bundle" if self.certificate else _next_step(course)
        result = _transport_error(self.method, self.url, said, step, course)
        result.transient = not self.certificate
        result.__cause__ = self.cause
        return result


@dataclass(frozen=True)
class HeldBack:
    """A request that was kept from a service which has not answered any other for a while.

    Attributes
    ----------
    method, url : str
        The request, redacted.
    service : str
        Beginning of the paths that are held back.
    failures : int
        How many requests in a row have failed there.
    reason : str
        What went wrong with the last of them.
    look : float
        Seconds until one will be sent to look.
    """

    method: str
    url: str
    service: str
    failures: int
    reason: str
    look: float

    def error(self, course: Course) -> TransportError:
        """Build the error for the caller, saying how it went."""
        said = (
            f"held back after {course.told}, as {self.service} does not answer: {self.failures} requests in a row have "
            f"failed, the last with {self.reason}; one will look again in {self.look:.0f} s"
        )
        result = _transport_error(self.method, self.url, said, _next_step(course), course)
        result.__cause__ = ConnectionError(self.reason)
        return result


def _transport_error(method: str, url: str, said: str, step: str, course: Course) -> TransportError:
    """Build what all requests without a usable answer end in."""
    return TransportError(
        f"{method} {urlsplit(url).path}: {said}; {course.ended}{step}",
        method=method,
        url=url,
        attempts=course.attempts,
        elapsed=course.elapsed,
        stopped_by=course.settings,
        unknown_outcome=course.unknown,
    )


def _next_step(course: Course) -> str:
    """Say what the caller can do without a usable answer."""
    if course.unknown:
        return "the service may have carried it out: look before sending it again"
    return "check network, proxy and host_url, or try again later"


def innermost(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Text of the innermost error: the outer ones repeat the URL and hold the request with its token.

    Examples
    --------
    >>> from tsbulk_frames.failures import innermost
    >>> innermost(OSError("outer", TimeoutError("too late")))
    'TimeoutError: too late'
    """
    while True:
        inner = [item for item in (getattr(error, "reason", None), *error.args) if isinstance(item, BaseException)]
        if not inner:
            break
        error = inner[0]
    last = error.args[-1] if len(error.args) == 2 and not isinstance(error, OSError) else None
    said = _CONNECTION.sub("", last if isinstance(last, str) else str(error))
    text = scrubbed(f"{type(error).__name__}: {said}", secrets)
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"


def detail_of(content: bytes, secrets: Iterable[str] = ()) -> str:
    """Reduce an error body of any form to one plain line of at most 500 characters, without the secrets given.

    Examples
    --------
    >>> from tsbulk_frames.failures import detail_of
    >>> detail_of(b'{"errors": [{"code": "mdsp.core.1", "message": "not so", "logref": "x"}]}')
    'mdsp.core.1: not so'
    >>> detail_of(b"<html><head><style>p {}</style></head><body><h1>502</h1>Bad&nbsp;Gateway</body></html>")
    '502 Bad Gateway'
    """
    text = content.decode("utf-8", errors="replace")
    try:
        text = _json_detail(json.loads(text)) or text
    except (ValueError, RecursionError):
        if re.search(r"<\s*(?:!doctype|html|body|head)\b", text, re.IGNORECASE):
            text = re.sub(r"(?is)<(script|style|title)\b.*?</\1\s*>|<!--.*?-->", " ", text)
            text = html.unescape(re.sub(r"<[^>]*>", " ", text))
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    text = scrubbed(text, secrets)
    return text if len(text) <= MAX_DETAIL else text[: MAX_DETAIL - 1] + "…"


def _json_detail(body: object) -> str:
    """Find the readable words in the JSON forms of the services; empty when there are none."""
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return "; ".join(filter(None, map(_json_detail, body)))
    if not isinstance(body, dict):
        return ""
    if isinstance(body.get("errors"), list) and body["errors"]:
        return _json_detail(body["errors"])
    words = [body[key] for key in ("code", "error", "id") if isinstance(body.get(key), str) and body[key]][:1]
    words += [
        body[key] for key in ("message", "error_description", "detail") if isinstance(body.get(key), str) and body[key]
    ][:1]
    return ": ".join(words)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Find the id under which the gateway logged the request."""
    return next((headers[name][:200] for name in _REQUEST_IDS if headers.get(name)), None)


def redacted_url(url: str) -> str:
    """Give the URL without user name, password and fragment, and only with query values known to be harmless.

    Examples
    --------
    >>> from tsbulk_frames.failures import redacted_url
    >>> redacted_url("https://me:pw@host/a?from=2024-01-01T00:00:00Z&key=abc")
    'https://host/a?from=2024-01-01T00:00:00Z&key=***'
    """
    parts = urlsplit(url)
    query = "&".join(
        f"{quote(name)}={quote(value, safe=':,/') if name in _HARMLESS else '***'}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?' + query if query else ''}"


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Blot out known secrets; very short ones would blot out ordinary words."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET:
            text = text.replace(secret, "***")
    return text


def drop_frames(error: BaseException, before: BaseException | None) -> None:
    """Forget where below an error came from: those frames hold the headers, and a traceback may show variables."""
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is None or one is before or one.__traceback__ is None:
            continue
        one.__traceback__ = None
        chain += [one.__cause__, one.__context__]
