"""Requests on the wire; with the session beside it the only file that knows ``requests``.

One `Transport` a connection: a pooled session, the token, the retries, the deadlines and the pauses the service asks
for are shared by all threads that use it. What comes out is an `Answer` or one of this library's errors.
"""

from __future__ import annotations

import json as jsonlib
import logging
import os
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, TypeAlias
from urllib.parse import urlsplit

import requests
import requests.utils
import urllib3.exceptions

from tsbulk_frames.auth import Credentials, Token, TokenCache, TokenRequest, UserToken, parse_token, secrets_of
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.errors import ConfigError, ProtocolError, ServiceError, TransportError
from tsbulk_frames.failures import Refusal, Silence, detail_of, innermost, redacted_url, request_id_of
from tsbulk_frames.gate import gate_to
from tsbulk_frames.retry import Failure, Retry, repeat, repeatable_status, retry_after
from tsbulk_frames.session import UNUSABLE, Bearer, never_sent, prepare_session
from tsbulk_frames.stop import Stop
from tsbulk_frames.wire import Body, header_value, path_of, query_of

__all__ = ["Answer", "Transport"]

CHUNK = 1 << 20
"""Bytes read from the socket at most before deadline and size are looked at again."""
MAX_ERROR_BODY = 1 << 16
"""Bytes of an error's body that are read: more is never shown."""
_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"

logger = logging.getLogger("tsbulk_frames")


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : mapping of str to str
        Looked up in any case.
    content : bytes
        The whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, ready to be sent any number of times."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: Body = field(repr=False)
    retry: Retry
    accept: Collection[int] = ()
    token_endpoint: bool = False
    stop: Stop | None = None


class _TooLarge(Exception):
    """An answer beyond ``max_answer_bytes``: raised between two chunks, gone before anybody sees it."""


_Outcome: TypeAlias = Answer | Failure


class Transport:
    """Carries requests to the gateway, safely shared by threads.

    Parameters
    ----------
    config : RestClientConfig
        Where, how long, how many at once.
    credentials : UserToken, TenantCredentials or AppCredentials
        Where the token comes from. A token refused with 401 is renewed once, except a `UserToken`.
    clock, sleep, wall_clock : callable
        Monotonic seconds, pause, seconds since the epoch.
    session_factory : callable
        Builds the ``requests.Session``.

    Raises
    ------
    ConfigError
        ``REQUESTS_CA_BUNDLE`` names a file that does not exist.

    Notes
    -----
    Not picklable, as it holds a token: send config and credentials, and build one there.

    Examples
    --------
    >>> from tsbulk_frames.auth import UserToken
    >>> from tsbulk_frames.config import RestClientConfig
    >>> from tsbulk_frames.transport import Transport
    >>> with Transport(RestClientConfig(), UserToken("abc")) as transport:
    ...     transport
    Transport('https://gateway.eu1.mindsphere.io', UserToken(authorization='***'))
    """

    def __init__(
        self,
        config: RestClientConfig,
        credentials: Credentials,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall_clock: Callable[[], float] = time.time,
        session_factory: Callable[[], requests.Session] = requests.Session,
    ) -> None:
        self.config = config
        self._credentials = credentials
        self._clock = clock
        self._sleep = sleep
        self._wall_clock = wall_clock
        self._draw = random.SystemRandom().uniform
        self._gate = gate_to(config.host_url, config.max_connections, clock)
        self._throttle = self._gate.throttle
        self._secrets = secrets_of(credentials)
        self._tokens = None if isinstance(credentials, UserToken) else TokenCache(self._fetch_token, clock=clock)
        self._verify = config.authorities(os.environ)
        self._closed = False
        self._session = prepare_session(session_factory(), config.max_connections)

    def __repr__(self) -> str:
        return f"Transport({self.config.host_url!r}, {self._credentials!r})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Transport holds a token and sockets and is not pickled; send its config and credentials")

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections; later requests raise ConfigError. Closing twice does no harm."""
        self._closed = True
        self._session.close()

    def request(
        self,
        method: str,
        segments: Sequence[str],
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
        json: object = None,
        retry: Retry = "always",
        accept: Collection[int] = (),
        stop: Stop | None = None,
    ) -> Answer:
        """Send a request and wait for its whole answer.

        Parameters
        ----------
        method : str
            HTTP method.
        segments : sequence of str
            The path, one segment each, unescaped; a ``/`` inside a segment stays inside it.
        query : mapping of str to str, optional
            Unescaped.
        headers : mapping of str to str, optional
            Printable ASCII values.
        body : bytes or seekable binary file, optional
            Sent from where the file stands, with ``application/octet-stream`` unless `headers` say otherwise.
        json : object, optional
            Sent as JSON instead of `body`.
        retry : {"always", "unsent", "never"}
            ``"always"`` repeats what may arrive twice; ``"unsent"`` only what certainly was not carried out (no
            connection, 429).
        accept : collection of int, optional
            Statuses to return like a success.
        stop : Stop, optional
            Ends the request, and its pauses, when thrown by another thread.

        Returns
        -------
        Answer
            With a 2xx status, or one of `accept`.

        Raises
        ------
        FrameError
            A segment or header that cannot travel; before anything is sent.
        ConfigError
            The transport is closed, or the address or proxy cannot be used.
        AuthError, NotFoundError, ConflictError, ThrottledError, ServiceError
            The service's answer, after the retries allowed.
        TransportError
            No usable answer; ``unknown_outcome`` tells whether it may have been carried out.
        ProtocolError
            The answer is larger than ``max_answer_bytes``, or the token endpoint's makes no sense.
        """
        sent = {name: header_value(name, value) for name, value in (headers or {}).items()}
        kind = None
        if json is not None:
            body, kind = jsonlib.dumps(json, allow_nan=False).encode(), "application/json"
        elif body is not None:
            kind = "application/octet-stream"
        if kind is not None and not any(name.lower() == "content-type" for name in sent):
            sent["Content-Type"] = kind
        url = self.config.host_url + path_of(segments) + query_of(query or {})
        call = _Call(method.upper(), url, sent, Body(body), retry, accept, stop=stop)
        if stop is None:
            return self._carry(call, self._authorized_try)
        with stop.over():
            return self._carry(call, self._authorized_try)

    def _carry(self, call: _Call, attempt: Callable[[_Call], _Outcome]) -> Answer:
        """Try until there is an answer, an error that stays, or no budget left."""
        self._refuse_long_pause(call)
        return repeat(
            lambda: attempt(call),
            max_attempts=self.config.max_attempts,
            budget=self.config.retry_budget,
            clock=self._clock,
            sleep=self._pause(call),
            draw=self._draw,
        )

    def _authorized_try(self, call: _Call) -> _Outcome:
        """Try with the token; a refused one is renewed once, as it may have been withdrawn before its time."""
        token = self._token()
        outcome = self._try(call, token)
        if self._tokens is not None and isinstance(outcome, Failure) and outcome.status == 401:
            self._tokens.invalidate(token)
            outcome = self._try(call, self._token())
        return outcome

    def _token(self) -> str:
        """Give the token to send."""
        if isinstance(self._credentials, UserToken):
            return self._credentials.authorization
        assert self._tokens is not None
        return self._tokens.get()

    def _fetch_token(self) -> Token:
        """Carry out the credentials' token request; nothing of the caller's request has been sent by then."""
        assert not isinstance(self._credentials, UserToken)
        wanted: TokenRequest = self._credentials.token_request(self.config.host_url)
        call = _Call(wanted.method, wanted.url, wanted.headers, Body(wanted.body), "always", token_endpoint=True)
        try:
            return parse_token(self._carry(call, self._try).content)
        except ServiceError as error:
            if error.status < 500:
                raise
            failure = error
        raise TransportError(
            f"no token could be had, the request itself was not sent: {failure}",
            method=failure.method,
            url=failure.url,
            attempts=failure.attempts,
        ) from failure

    def _refuse_long_pause(self, call: _Call) -> None:
        """Fail at once where the service asked all to wait longer than this request may take."""
        pause = self._throttle.remaining
        if pause > self.config.retry_budget:
            said = f"another request's, with {pause:.0f} s to wait: beyond retry_budget={self.config.retry_budget:g}"
            raise Refusal(call.method, redacted_url(call.url), 429, said, retry_after=pause).error(0)

    def _try(self, call: _Call, token: str | None = None) -> _Outcome:
        """Send once, when there is a free slot and no pause on; the slot is kept meanwhile, as nobody may send."""
        with self._gate.slot():
            if pause := self._throttle.remaining:
                self._pause(call)(pause)
            if self._closed:
                raise ConfigError("this connection is closed; open a new one")
            began = self._clock()
            outcome = self._exchange(call, token, began + self.config.request_deadline)
            logger.debug(
                "%s %s -> %s in %.3f s", call.method, redacted_url(call.url), outcome.status, self._clock() - began
            )
            return outcome

    def _pause(self, call: _Call) -> Callable[[float], None]:
        """How this call sleeps: interruptibly where it can be stopped, and time is not injected."""
        return call.stop.sleep if call.stop is not None and self._sleep is time.sleep else self._sleep

    def _exchange(self, call: _Call, token: str | None, deadline: float) -> _Outcome:
        """One request and its whole answer; every exception of the libraries below ends here."""

        def in_time() -> None:
            if self._clock() > deadline:
                raise TimeoutError(f"not done within request_deadline={self.config.request_deadline:g} s")

        status: int | None = None
        try:
            with self._send(call, token, in_time) as response:
                status = response.status_code
                if 200 <= status < 300 or status in call.accept:
                    return Answer(status, response.headers, self._read(response, in_time))
                return self._refused(call, response, in_time, token)
        except UNUSABLE as error:
            text = innermost(error, self._hidden(token))
            return Failure(False, None, None, lambda _: ConfigError(f"the request cannot be sent: {text}"))
        except _TooLarge as error:
            text = f"{call.method} {urlsplit(call.url).path}: {error}"
            return Failure(False, None, status, lambda _: ProtocolError(text))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return self._unanswered(call, error, innermost(error, self._hidden(token)), status)

    def _hidden(self, token: str | None) -> tuple[str, ...]:
        """Name what no text from outside may carry into an error."""
        return self._secrets if token is None else (*self._secrets, token)

    def _send(self, call: _Call, token: str | None, in_time: Callable[[], None]) -> requests.Response:
        """Hand the request to the session; the body of the answer stays on the socket."""
        config = self.config
        proxies = config.proxy_urls
        return self._session.request(
            call.method,
            call.url,
            headers={"User-Agent": "tsbulk-frames", "Accept-Encoding": "gzip, deflate", **call.headers},
            data=call.body.open(in_time),
            auth=Bearer(token) if token is not None else None,
            timeout=(
                min(config.connect_timeout, config.request_deadline),
                min(config.read_timeout, config.request_deadline),
            ),
            allow_redirects=False,
            stream=True,
            proxies=requests.utils.get_environ_proxies(call.url) if proxies is None else proxies,
            verify=self._verify,
        )

    def _read(self, response: requests.Response, in_time: Callable[[], None]) -> bytes:
        """Read the body as it comes: waiting for full chunks, a trickle would outlive any deadline."""
        limit = self.config.max_answer_bytes
        chunks: list[bytes] = []
        size = 0
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            size += len(chunk)
            if size > limit:
                raise _TooLarge(
                    f"the answer is larger than max_answer_bytes={limit}; ask for less (a shorter range, a limit, a "
                    "byte range) or raise max_answer_bytes"
                )
            chunks.append(chunk)
            in_time()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _refused(
        self, call: _Call, response: requests.Response, in_time: Callable[[], None], token: str | None
    ) -> Failure:
        """Judge an answer that is no success; one whose body cannot be read is still an answer."""
        content = b""
        try:
            while len(content) < MAX_ERROR_BODY and (chunk := response.raw.read1(MAX_ERROR_BODY, decode_content=True)):
                content += chunk
                in_time()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            logger.debug("the body of a %d answer could not be read: %s", response.status_code, type(error).__name__)
        status = response.status_code
        asked = retry_after(response.headers, self._wall_clock())
        if status == 429 and asked is not None:
            self._throttle.pause(asked)
        refusal = Refusal(
            call.method,
            redacted_url(call.url),
            status,
            detail_of(content, self._hidden(token)),
            request_id_of(response.headers),
            asked,
            call.token_endpoint,
        )
        return Failure(repeatable_status(status, call.method, call.retry), asked, status, refusal.error)

    def _unanswered(self, call: _Call, error: Exception, text: str, status: int | None) -> Failure:
        """Judge a request without a usable answer: may it have been carried out, may it be sent again."""
        certificate = _CERTIFICATE in text
        unsent = certificate or never_sent(error)
        stopped = call.stop is not None and call.stop.asked
        again = not certificate and not stopped and (call.retry == "always" or (call.retry == "unsent" and unsent))
        unknown = not unsent and call.method != "GET" and not call.token_endpoint
        cause = type(error)(text) if isinstance(error, requests.RequestException) else ConnectionError(text)
        silence = Silence(call.method, redacted_url(call.url), text, cause, unknown=unknown, certificate=certificate)
        return Failure(again, None, status, silence.error)
