"""One request, and the verdict on each of its tries: may it be sent again, may it have been carried out; no I/O.

The rules are those of the table at the top of `transport`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tsbulk_frames.body import Body
from tsbulk_frames.errors import ConfigError, ProtocolError
from tsbulk_frames.failures import HeldBack, Refusal, Silence, detail_of, redacted_url, request_id_of
from tsbulk_frames.gate import Circuit
from tsbulk_frames.retry import Failure, Retry, repeatable_status, retry_after
from tsbulk_frames.session import bare, never_sent
from tsbulk_frames.stop import Stop

__all__ = ["Call"]

_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
_OUTAGE = frozenset([502, 503, 504])


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to be sent any number of times.

    Attributes
    ----------
    method, url : str
        As they go out.
    headers : mapping of str to str
        Without the token.
    body : Body
        What it sends.
    retry : {"always", "unsent", "never"}
        Whether it may arrive twice.
    latest : float
        When its last try may begin, on the transport's clock.
    stop : Stop or None
        What ends it.
    token_endpoint : bool
        Whether it asks for a token.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: Body = field(repr=False)
    retry: Retry
    latest: float
    stop: Stop | None = None
    token_endpoint: bool = False

    @property
    def service(self) -> str:
        """The service it is for: the first three parts of a path are its name and version."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{'/'.join(parts.path.split('/', 4)[:4])}"

    @property
    def shown(self) -> str:
        """Its URL, for messages."""
        return redacted_url(self.url)

    @property
    def stopped(self) -> bool:
        """Whether the caller has asked to end it."""
        return self.stop is not None and self.stop.asked

    @property
    def _changes(self) -> bool:
        """Whether a try that was heard but not answered may have changed something."""
        return self.method != "GET" and not self.token_endpoint

    def refused(
        self, status: int, headers: Mapping[str, str], content: bytes, *, hidden: tuple[str, ...], now: float
    ) -> Failure:
        """Judge an answer that is no success; `now` is the time of day, `hidden` what must not be repeated."""
        asked = retry_after(headers, now)
        detail = detail_of(content, hidden)
        refusal = Refusal(self.method, self.shown, status, detail, request_id_of(headers), asked, self.token_endpoint)
        return Failure(
            repeatable_status(status, self.retry),
            asked,
            status,
            refusal.error,
            unknown=status >= 500 and self._changes,
            gone=f"a {status} answer" if status in _OUTAGE else "",
        )

    def unanswered(self, error: Exception, text: str, status: int | None, limit: str) -> Failure:
        """Judge a request without a usable answer; `text` is what can be said of the error, `limit` its setting."""
        certificate = _CERTIFICATE in text
        unsent = certificate or never_sent(error)
        again = self.retry == "always" or (self.retry == "unsent" and unsent)
        silence = Silence(self.method, self.shown, text, bare(error, text), certificate)
        return Failure(
            again and not certificate and not self.stopped,
            None,
            status,
            silence.error,
            unknown=not unsent and self._changes,
            limit=limit,
            gone="" if certificate or self.stopped or status is not None else text,
        )

    def unusable(self, text: str) -> Failure:
        """Judge one that could not even be put together."""
        return Failure(False, None, None, lambda _: ConfigError(f"the request cannot be sent: {text}"), sent=False)

    def too_large(self, status: int | None, error: Exception) -> Failure:
        """Judge an answer larger than allowed."""
        text = f"{self.method} {urlsplit(self.url).path}: {error}"
        return Failure(False, None, status, lambda _: ProtocolError(text))

    def left(self) -> Failure:
        """End a request whose caller has left: this try is not sent."""
        cause = ConnectionAbortedError("the caller has left")
        silence = Silence(self.method, self.shown, str(cause), cause, certificate=False)
        return Failure(False, None, None, silence.error, sent=False)

    def crowded(self, limit: str) -> Failure:
        """End a request that found no free place in all the time it has: this try is not sent."""
        cause = TimeoutError(f"{limit} requests to this gateway were under way all the time")
        silence = Silence(self.method, self.shown, str(cause), cause, certificate=False)
        return Failure(False, None, None, silence.error, sent=False, limit=limit)

    def paused(self, seconds: float, limit: str) -> Failure:
        """Fail at once where all were asked to wait longer than this request may take: this try is not sent."""
        said = f"another request, with {seconds:.0f} s to wait for all"
        refusal = Refusal(self.method, self.shown, 429, said, retry_after=seconds)
        return Failure(False, seconds, 429, refusal.error, sent=False, limit=limit)

    def held_back(self, circuit: Circuit, look: float) -> Failure:
        """Keep it from a service that does not answer: as good as a try, because the one that looks does so for all."""
        held = HeldBack(self.method, self.shown, circuit.service, circuit.failures, circuit.reason, look)
        return Failure(self.retry != "never", look, None, held.error, sent=False, held=True)
