"""One token for all threads: in time, asked for once, shared when it fails, forgotten at the end."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable

import pytest

from tsbulk_frames.auth import Token
from tsbulk_frames.errors import AuthError
from tsbulk_frames.stop import Stop
from tsbulk_frames.tokens import TokenCache


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Announcing:
    """A lock that tells when a second thread queues up."""

    def __init__(self, queued: threading.Event) -> None:
        self.lock = threading.Lock()
        self.queued = queued

    def __enter__(self) -> None:
        if self.lock.locked():
            self.queued.set()
        self.lock.acquire()

    def __exit__(self, *args: object) -> None:
        self.lock.release()


@pytest.mark.parametrize(("lifetime", "until"), [(1800, 1500), (600, 300), (599, 299.5), (10, 5)])
def test_a_token_is_replaced_before_its_end(lifetime: float, until: float) -> None:
    """Five minutes before, or at half of a life under ten minutes."""
    clock, fetched = Clock(), []

    def fetch(stop: Stop | None) -> Token:
        fetched.append(clock())
        return Token(f"t{len(fetched)}", lifetime)

    cache = TokenCache(fetch, clock=clock)
    assert cache.get() == cache.get() == "t1"
    clock.now += until - 0.001
    assert cache.get() == "t1"
    clock.now += 0.001
    assert cache.get() == "t2"


def test_invalidate_drops_only_that_very_token() -> None:
    """A late 401 for an old token must not cost the new one."""
    tokens = iter(["t1", "t2", "t3"])
    cache = TokenCache(lambda stop: Token(next(tokens)), clock=Clock())
    assert cache.get() == "t1"
    cache.invalidate("t1")
    assert cache.get() == "t2"
    cache.invalidate("t1")
    assert cache.get() == "t2"


def race(cache: TokenCache, entered: threading.Event, release: threading.Event) -> list[object]:
    """Let eight threads ask while the first one's fetch is held back."""
    results: list[object] = []

    def ask() -> None:
        try:
            results.append(cache.get())
        except AuthError as error:
            results.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert entered.wait(5)
    release.set()
    for thread in threads:
        thread.join(5)
    return results


def test_one_refresh_however_many_threads_wait() -> None:
    """The token endpoint is asked once."""
    entered, release, calls = threading.Event(), threading.Event(), []

    def fetch(stop: Stop | None) -> Token:
        calls.append(1)
        entered.set()
        assert release.wait(5)
        return Token("t1")

    assert race(TokenCache(fetch, clock=Clock()), entered, release) == ["t1"] * 8
    assert len(calls) == 1


def test_a_failed_refresh_is_shared_by_those_who_waited() -> None:
    """Eight waiting threads do not try eight times in a row; the next caller tries anew."""
    calls: list[int] = []
    outcomes: list[AuthError] = []
    queued = threading.Event()

    def fetch(stop: Stop | None) -> Token:
        calls.append(1)
        if len(calls) == 1:
            waiter.start()
            assert queued.wait(5)
        raise AuthError("no", status=401)

    def wait() -> None:
        with pytest.raises(AuthError) as caught:
            cache.get()
        outcomes.append(caught.value)

    cache = TokenCache(fetch, clock=Clock())
    cache._lock = Announcing(queued)  # type: ignore[assignment]
    waiter = threading.Thread(target=wait)
    with pytest.raises(AuthError) as first:
        cache.get()
    waiter.join(5)
    assert len(calls) == 1
    assert outcomes[0].status == 401
    assert outcomes[0] is not first.value
    with pytest.raises(AuthError):
        cache.get()
    assert len(calls) == 2


def test_a_token_cache_does_not_travel() -> None:
    """Pickling it would carry the token along."""
    cache = TokenCache(lambda stop: Token("hush-hush"), clock=Clock())
    assert repr(cache) == "TokenCache(empty)"
    cache.get()
    assert "hush" not in repr(cache)
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(cache)


def stopped(stop: Stop | None) -> Exception:
    """Let the asking thread leave."""
    assert stop is not None
    stop.now()
    return AuthError("the caller has left", status=401)


@pytest.mark.parametrize(("end", "kind"), [(stopped, AuthError), (lambda _: KeyboardInterrupt(), KeyboardInterrupt)])
def test_one_who_leaves_takes_nobody_along(
    end: Callable[[Stop | None], BaseException], kind: type[BaseException]
) -> None:
    """Who waited for a thread that was ended gets neither its error nor an older one, but asks anew."""
    calls: list[int] = []
    outcomes: list[str] = []
    queued = threading.Event()

    def fetch(stop: Stop | None) -> Token:
        calls.append(1)
        if len(calls) == 1:
            raise AuthError("an old failure", status=401)
        if len(calls) == 2:
            waiter.start()
            assert queued.wait(5)
            raise end(stop)
        return Token("t3")

    cache = TokenCache(fetch, clock=Clock())
    cache._lock = Announcing(queued)  # type: ignore[assignment]
    waiter = threading.Thread(target=lambda: outcomes.append(cache.get()))
    with pytest.raises(AuthError, match="old"):
        cache.get()
    with pytest.raises(kind):
        cache.get(Stop())
    waiter.join(5)
    assert (outcomes, len(calls)) == (["t3"], 3)


def test_a_closed_cache_keeps_no_token() -> None:
    """Neither the one it had, nor one that was being asked for meanwhile."""
    cache = TokenCache(lambda stop: Token("t1"), clock=Clock())
    cache.get()
    cache.close()
    assert repr(cache) == "TokenCache(empty)"

    def fetch(stop: Stop | None) -> Token:
        late.close()
        return Token("t1")

    late = TokenCache(fetch, clock=Clock())
    assert late.get() == "t1"
    assert repr(late) == "TokenCache(empty)"
