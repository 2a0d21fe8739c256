"""Requests on the wire; with the session beside it the only file that knows ``requests``.

One `Transport` a connection: a pooled session, the token, the retries, the deadlines and the pauses the service asks
for are shared by all threads that use it. What comes out is an `Answer` or one of this library's errors.

What is tried again (*again*), what ends the request (*final*), and where it may have been carried out though nobody
was told (*unknown*: final, too, as nothing that may not happen twice is repeated blindly):

====================================  =====  ================  ==============  =======
what came of a try                    GET    other "always"    other "unsent"  "never"
====================================  =====  ================  ==============  =======
no connection, no proxy               again  again             again           final
429                                   again  again             again           final
500, 502, 503, 504                    again  again             unknown         unknown
no answer, or cut short, or too late  again  again             unknown         unknown
any other answer but success          final  final             final           final
certificate not trusted               final  final             final           final
larger than ``max_answer_bytes``      final  final             final           final
service held back: see `gate`         again  again             again           final
====================================  =====  ================  ==============  =======

*Always*: uploads, deletions, tokens. *Unsent*: starting an import job. *Never*: dropping an upload. A 401 is followed
by one more try with a fresh token, for all of them: nothing was done. Pauses: what ``Retry-After`` asks for (after a
429 all requests to the gateway keep it), else anything between 0 and 0.5 s, doubled with each try up to 20 s; until the
next look where a service is held back. Limits: ``max_attempts``, and ``retry_budget`` seconds in which the last try may
begin; each try has ``request_deadline`` seconds, its body included. All ``max_connections`` being busy, a request waits
for a place as long as both together. A token's request has these limits to itself.
"""

from __future__ import annotations

import json as jsonlib
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeAlias

import requests
import requests.utils
import urllib3
import urllib3.exceptions

from tsbulk_frames.auth import Credentials, Token, UserToken, parse_token, secrets_of
from tsbulk_frames.body import Body, Sendable
from tsbulk_frames.call import Call
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.errors import ConfigError, ServiceError, TransportError
from tsbulk_frames.failures import drop_frames, innermost
from tsbulk_frames.gate import Circuit, Gate, gate_to
from tsbulk_frames.retry import Failure, Retry, repeat
from tsbulk_frames.session import (
    Answer,
    Bearer,
    Deadline,
    TooLarge,
    chunks_of,
    overrun,
    prepare_session,
    unusable,
    whole_body,
)
from tsbulk_frames.stop import Stop, patience
from tsbulk_frames.tokens import TokenCache
from tsbulk_frames.wire import header_value, path_of, query_of

__all__ = ["Answer", "Transport"]

MAX_ERROR_BODY = 1 << 16
"""Bytes of an error's body that are read: more is never shown."""
_LOOK = 0.1
"""Seconds after which one who waits for a service that was held back sees that it answers again."""

logger = logging.getLogger("tsbulk_frames")


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
    gate : Gate, optional
        What its requests pass. Default: the one all connections of this process to the gateway share.

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
        gate: Gate | None = None,
    ) -> None:
        self.config = config
        self._credentials = credentials
        self._clock = clock
        self._sleep = sleep
        self._wall_clock = wall_clock
        self._draw = random.SystemRandom().uniform
        self._gate = gate or gate_to(config.host_url, config.max_connections, clock)
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
        """Close the sockets and forget the token; later requests raise ConfigError. Closing twice does no harm."""
        self._closed = True
        if self._tokens is not None:
            self._tokens.close()
        self._session.close()

    def request(
        self,
        method: str,
        segments: Sequence[str],
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Sendable | None = None,
        json: object = None,
        retry: Retry = "always",
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
        body : bytes, seekable binary file or FileSlice, optional
            Sent from where the file stands, anew with each try, with ``application/octet-stream`` unless `headers` say
            otherwise.
        json : object, optional
            Sent as JSON instead of `body`.
        retry : {"always", "unsent", "never"}
            ``"always"`` repeats what may arrive twice; ``"unsent"`` only what certainly was not carried out (no
            connection, 429).
        stop : Stop, optional
            Ends the request, and its pauses, when thrown by another thread.

        Returns
        -------
        Answer
            With a 2xx status.

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
        call = Call(method.upper(), url, sent, Body(body), retry, self._latest(), stop or Stop.current())
        return self._carry(call, self._authorized_try)

    def _latest(self) -> float:
        """When the last try of a request made now may begin."""
        return self._clock() + self.config.retry_budget

    def _carry(self, call: Call, attempt: Callable[[Call], _Outcome]) -> Answer:
        """Try until there is an answer, an error that stays, or no budget left."""
        return repeat(
            lambda: attempt(call),
            max_attempts=self.config.max_attempts,
            budget=self.config.retry_budget,
            clock=self._clock,
            draw=self._draw,
            pause=lambda failure, seconds: self._wait(call, failure, seconds),
        )

    def _wait(self, call: Call, failure: Failure, seconds: float) -> None:
        """Pause between two tries, after a 429 that came without a pause with all others: the limit is the service's.

        Who was held back does not wait longer than that lasts.
        """
        if failure.status == 429 and failure.wait is None:
            self._throttle.pause(seconds)
        if not failure.held:
            self._pause(call)(seconds)
            return
        circuit = self._gate.circuit(call.service)
        while seconds > 0 and circuit.open and not call.stopped:
            self._pause(call)(min(seconds, _LOOK))
            seconds -= _LOOK

    def _authorized_try(self, call: Call) -> _Outcome:
        """Try with the token; a refused one is renewed once, as it may have been withdrawn before its time."""
        token = self._token(call.stop)
        outcome = self._try(call, token)
        if self._tokens is not None and isinstance(outcome, Failure) and outcome.status == 401:
            self._tokens.invalidate(token)
            outcome = self._try(call, self._token(call.stop))
        return outcome

    def _token(self, stop: Stop | None) -> str:
        """Give the token to send."""
        if isinstance(self._credentials, UserToken):
            return self._credentials.authorization
        assert self._tokens is not None
        return self._tokens.get(stop)

    def _fetch_token(self, stop: Stop | None) -> Token:
        """Carry out the credentials' token request; nothing of the caller's request has been sent by then."""
        assert not isinstance(self._credentials, UserToken)
        wanted = self._credentials.token_request(self.config.host_url)
        body = Body(wanted.body)
        call = Call(wanted.method, wanted.url, wanted.headers, body, "always", self._latest(), stop, True)
        try:
            return parse_token(self._carry(call, self._try).data)
        except ServiceError as error:
            if error.status < 500:
                raise
            failure = error
        raise TransportError(
            f"no token could be had, the request itself was not sent: {failure}",
            method=failure.method,
            url=failure.url,
            attempts=failure.attempts,
            elapsed=failure.elapsed,
            stopped_by=failure.stopped_by,
        ) from failure

    def _try(self, call: Call, token: str | None = None) -> _Outcome:
        """Send once, when there is a free slot, no pause on, and the service not held back; nobody waits in a slot."""
        circuit = self._gate.circuit(call.service)
        while True:
            with self._gate.slot(call.stop, call.latest + self.config.request_deadline) as free:
                if self._closed:
                    raise ConfigError("this connection is closed; open a new one")
                if call.stopped:
                    return call.left()
                if not free:
                    return call.crowded(f"max_connections={self._gate.limit}")
                pause = self._throttle.remaining
                if not pause:
                    look = circuit.admit()
                    if look:
                        return call.held_back(circuit, look)
                    began = self._clock()
                    outcome = self._exchange(call, token)
                    took = self._clock() - began
                    logger.debug("%s %s -> %s in %.3f s", call.method, call.shown, outcome.status, took)
                    return self._judged(circuit, outcome)
            if self._clock() + pause > call.latest:
                return call.paused(pause, self._setting("retry_budget"))
            self._pause(call)(pause)

    def _judged(self, circuit: Circuit, outcome: _Outcome) -> _Outcome:
        """Tell the circuit of a service how a try went; of one that is held back by now the next look is waited for."""
        if isinstance(outcome, Failure) and outcome.gone:
            circuit.failed(outcome.gone)
            if outcome.wait is None and circuit.open:
                return replace(outcome, wait=circuit.remaining, held=True)
        elif outcome.status is not None:
            circuit.answered()
        return outcome

    def _setting(self, name: str) -> str:
        """Spell a setting in seconds with its value."""
        return f"{name}={getattr(self.config, name):g} s" if name else ""

    def _pause(self, call: Call) -> Callable[[float], None]:
        """How this call sleeps: interruptibly where it can be stopped, and time is not injected."""
        return call.stop.sleep if call.stop is not None and self._sleep is time.sleep else self._sleep

    def _exchange(self, call: Call, token: str | None) -> _Outcome:
        """One request and its whole answer; every exception of the libraries below ends here."""
        deadline = Deadline(self.config.request_deadline, self.config.read_timeout, self._clock)
        status: int | None = None
        before = sys.exception()
        try:
            with (
                call.stop.over() if call.stop else nullcontext(),
                patience(deadline.wait),
                self._send(call, token, deadline) as response,
            ):
                status = response.status_code
                if 200 <= status < 300:
                    limit = self.config.max_answer_bytes
                    return Answer(status, response.headers, whole_body(response, limit, deadline))
                return self._refused(call, response, deadline, token)
        except TooLarge as error:
            return call.too_large(status, error)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            text = innermost(error, self._hidden(token))
            if unusable(error):
                return call.unusable(text)
            return call.unanswered(error, text, status, self._setting(overrun(error, deadline)))
        except BaseException as error:
            drop_frames(error, before)
            raise error

    def _hidden(self, token: str | None) -> tuple[str, ...]:
        """Name what no text from outside may carry into an error."""
        return self._secrets if token is None else (*self._secrets, token)

    def _send(self, call: Call, token: str | None, deadline: Deadline) -> requests.Response:
        """Hand the request to the session; the body of the answer stays on the socket."""
        config = self.config
        proxies = config.proxy_urls
        return self._session.request(
            call.method,
            call.url,
            headers={"User-Agent": "tsbulk-frames", "Accept-Encoding": "gzip", **call.headers},
            data=call.body.open(deadline.left),
            auth=Bearer(token) if token is not None else None,
            timeout=urllib3.Timeout(deadline.left(), config.connect_timeout, config.read_timeout),  # type: ignore[arg-type]
            allow_redirects=False,
            stream=True,
            proxies=requests.utils.get_environ_proxies(call.url) if proxies is None else proxies,
            verify=self._verify,
        )

    def _refused(self, call: Call, response: requests.Response, deadline: Deadline, token: str | None) -> Failure:
        """Judge an answer that is no success; one whose body cannot be read is still an answer."""
        content = b""
        try:
            for chunk in chunks_of(response, MAX_ERROR_BODY, deadline):
                content += chunk
                if len(content) >= MAX_ERROR_BODY:
                    break
        except (urllib3.exceptions.HTTPError, OSError) as error:
            logger.debug("the body of a %d answer could not be read: %s", response.status_code, type(error).__name__)
        hidden = self._hidden(token)
        failure = call.refused(response.status_code, response.headers, content, hidden=hidden, now=self._wall_clock())
        if failure.status == 429 and failure.wait is not None:
            self._throttle.pause(failure.wait)
        return failure
