"""``tsbulk doctor``: what there is to work with, what is wrong with it, and what to do about that; floor 8.4.

No value of a variable that may hold a secret is shown, not even in part.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import rich_click as click

from tsbulk_frames.cli_errors import NO_ACCESS, NO_ANSWER, REFUSED
from tsbulk_frames.cli_session import TOKEN_VARIABLE, Session, credentials_of, in_session
from tsbulk_frames.errors import AuthError, ConfigError, ServiceError, TransportError, TsBulkError

if TYPE_CHECKING:
    from tsbulk_frames.auth import Credentials
    from tsbulk_frames.config import RestClientConfig

__all__ = ["Finding", "doctor", "examine"]

_DISTRIBUTION = "tsbulk-frames"
_NEEDED = ("pandas", "pyarrow", "requests")
_USED_EXTRAS = ("cli", "sandbox", "plot", "progress", "dask")
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[^]]*)])?.*?extra *== *['\"](?P<extra>[^'\"]+)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PROBE = ("api", "assetmanagement", "v3", "assets", "root")
_SKEW_WARN, _SKEW_FAIL = 30.0, 300.0
"""Seconds a clock may be wrong: what is young is told from what is old by it, and certificates have a first day."""
_LITTLE_ROOM = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes
    ----------
    check : str
        What.
    status : {"ok", "warn", "fail"}
        How it is.
    detail : str
        What was found.
    next_step : str
        What to do; empty where nothing is.
    exit_code : int
        Of the command where this failed.
    """

    check: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    next_step: str = ""
    exit_code: int = 0


@click.command()
@in_session
def doctor(session: Session) -> None:
    """Look at settings, credentials, network, clock, folders and versions, and say what to do.

    The exit code is that of the first thing that failed; a warning alone is none.

    \b
    Keys of --json:
      ok, checks, of each check, status (ok, warn, fail), detail, next_step
    """  # noqa: D301  (click keeps the lines behind it)
    found = list(examine(session.gateway, os.environ))
    names = ("check", "status", "detail", "next_step")
    checks = [{name: getattr(one, name) for name in names} for one in found]
    failed = [one for one in found if one.status == "fail"]
    warned = sum(one.status == "warn" for one in found)
    head = f"{len(found)} checks: {len(failed)} failed, {warned} to look at" if failed or warned else "all is well"
    lines = [
        f"{one.status:<4}  {one.check:<12}  {one.detail}" + f" → {one.next_step}" * bool(one.next_step) for one in found
    ]
    session.show({"ok": not failed, "checks": checks}, *lines, head)
    if failed:
        sys.exit(failed[0].exit_code)


def examine(
    gateway: str | None, environ: Mapping[str, str], *, clock: Callable[[], float] = time.time
) -> Iterator[Finding]:
    """Look at everything, what depends on nothing first.

    Parameters
    ----------
    gateway : str or None
        As given; None: the environment's, or the default one.
    environ : mapping of str to str
        The environment.
    clock : callable
        Seconds since the epoch.

    Yields
    ------
    Finding
    """
    from tsbulk_frames.config import RestClientConfig

    yield _versions()
    yield _extras()
    yield from _folders()
    yield _proxies(environ)
    config: RestClientConfig | None = None
    try:
        config = RestClientConfig.from_environment(environ, host_url=gateway)
        authorities = config.authorities(environ)
        source = (
            "--gateway" if gateway else "TSBULK_GATEWAY" if environ.get("TSBULK_GATEWAY", "").strip() else "default"
        )
        trusted = "" if authorities is True else f"; certificates of {authorities}"
        yield Finding("gateway", "ok", f"{config.host_url} ({source}){trusted}")
    except ConfigError as error:
        yield _failed("gateway", error, "correct it", REFUSED)
    credentials: Credentials | None = None
    try:
        credentials = credentials_of(environ)
        yield _credentials(credentials, environ)
    except ConfigError as error:
        yield _failed("credentials", error, f"set {TOKEN_VARIABLE}, or all six MDSP_… variables", REFUSED)
    if config is not None:
        hasty = replace(config, max_attempts=1, retry_budget=0.0, connect_timeout=10.0, request_deadline=30.0)
        yield from _network(hasty, credentials, clock)


def _failed(check: str, error: TsBulkError, next_step: str, code: int) -> Finding:
    """Say what went wrong."""
    return Finding(check, "fail", str(error), next_step, code)


def _version(name: str) -> str | None:
    """Version of a distribution; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> Finding:
    """Say what runs here."""
    found = {name: _version(name) for name in (_DISTRIBUTION, *_NEEDED)}
    missing = [name for name, version in found.items() if version is None]
    detail = ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version or 'missing'}" for name, version in found.items())]
    )
    if missing:
        return Finding("versions", "fail", detail, f"pip install {' '.join(missing)}", REFUSED)
    return Finding("versions", "ok", detail)


def _extras() -> Finding:
    """Say which extras are there with all they need."""
    needs: dict[str, set[str]] = {}
    for requirement in metadata.requires(_DISTRIBUTION) or ():
        if found := _REQUIREMENT.match(requirement):
            names = [f"[{one.strip()}]" for one in (found["extras"] or "").split(",") if one.strip()]
            own = found["name"].lower().replace("_", "-") == _DISTRIBUTION
            needs.setdefault(found["extra"], set()).update(names if own else [found["name"]])

    def there(extra: str) -> bool:
        return extra in needs and all(
            there(one[1:-1]) if one.startswith("[") else _version(one) is not None for one in needs[extra]
        )

    installed = [extra for extra in _USED_EXTRAS if there(extra)]
    missing = [extra for extra in _USED_EXTRAS if extra not in installed]
    detail = f"installed: {', '.join(installed) or 'none'}" + (f"; not: {', '.join(missing)}" if missing else "")
    hint = f'if wanted: pip install "{_DISTRIBUTION}[{",".join(missing)}]"' if missing else ""
    return Finding("extras", "ok", detail, hint)


def _folders() -> Iterator[Finding]:
    """Look at where manifests and kept reads lie."""
    import platformdirs

    from tsbulk_frames.cache import default_directory

    yield _folder("state folder", Path(platformdirs.user_state_dir("tsbulk_frames")) / "imports")
    yield _folder("cache folder", default_directory())


def _folder(check: str, folder: Path) -> Finding:
    """Whether a folder is private, can be written to, and has room."""
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            room = shutil.disk_usage(nearest).free
    except OSError as error:
        step = f"make {nearest} writable for you, or name another place (--manifest)"
        return Finding(check, "fail", f"{folder}: {error.strerror or error}", step, REFUSED)
    detail = f"{folder}, {room / 1e9:,.1f} GB free" + ("" if nearest == folder else ", made when needed")
    if nearest == folder and os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding(check, "warn", f"{detail}, others can look into it", f"chmod 700 {folder}")
    if room < _LITTLE_ROOM:
        return Finding(check, "warn", detail, "make room: an import keeps half a gigabyte and one partition there")
    return Finding(check, "ok", f"{detail}, private" if nearest == folder and os.name == "posix" else detail)


def _proxies(environ: Mapping[str, str]) -> Finding:
    """Name the proxies of the environment, without user and password."""
    found = [f"{name}={_masked(environ[name])}" for name in _PROXIES if environ.get(name)]
    return Finding("proxies", "ok", ", ".join(found) or "none in the environment")


def _masked(address: str) -> str:
    """Leave out of an address who asks; and what else may be secret in it."""
    scheme = _SCHEME.match(address)
    host = address[scheme.end() if scheme else 0 :].rpartition("@")[2]
    host = re.split(r"[/?#]", host)[0] if scheme else host
    return f"{scheme[0] if scheme else ''}{'***@' if '@' in address else ''}{host}"


def _credentials(credentials: Credentials, environ: Mapping[str, str]) -> Finding:
    """Say of which kind they are, and where they were found."""
    from tsbulk_frames.auth import UserToken

    others = [name for name in environ if name.startswith("MDSP_") and environ[name].strip()]
    if not isinstance(credentials, UserToken):
        return Finding("credentials", "ok", f"an application's, from {', '.join(sorted(others))}")
    if others:
        detail = f"a user's token from {TOKEN_VARIABLE}, which beats {', '.join(sorted(others))}"
        return Finding("credentials", "warn", detail, f"unset {TOKEN_VARIABLE} to use the others")
    return Finding("credentials", "ok", f"a user's token from {TOKEN_VARIABLE}")


def _network(
    config: RestClientConfig, credentials: Credentials | None, clock: Callable[[], float]
) -> Iterator[Finding]:
    """Ask for a token, then for something small with it."""
    from tsbulk_frames.answers import parse_json
    from tsbulk_frames.assetmodel import expect_object
    from tsbulk_frames.auth import UserToken
    from tsbulk_frames.transport import Transport

    known = credentials
    if known is None:
        known = UserToken("none")  # that will be refused, and so the gateway has answered
    elif not isinstance(known, UserToken):
        try:
            with Transport(config, known) as transport:
                token = transport._fetch_token(None)  # its lifetime is what nobody else wants to know
        except TransportError as error:
            yield _unreachable(error)
            return
        except TsBulkError as error:
            yield _failed("token", error, "check the credentials", NO_ACCESS if _refused(error) else NO_ANSWER)
            return
        yield Finding("token", "ok", f"obtained, good for {token.lifetime / 60:,.0f} minutes")
        known = UserToken(token.value)
    began = clock()
    try:
        with Transport(config, known) as transport:
            answer = transport.request("GET", _PROBE)
        expect_object(parse_json(answer.data, "the answer"), "the answer")  # else it is somebody else's: a login page
    except TransportError as error:
        yield _unreachable(error)
    except ServiceError as error:
        if credentials is None or error.status != 401:
            yield Finding("reachable", "ok", f"{config.host_url} answers ({error.status})")
        if credentials is not None and isinstance(error, AuthError):
            if error.status == 401:
                yield _failed("token", error, "get a new token", NO_ACCESS)
            else:
                step = "ask for the right to read assets, or give --twin-type and Parquet"
                yield Finding("asset model", "warn", f"may not be read: {error}", step)
        elif credentials is not None:
            yield Finding("asset model", "warn", str(error), "try again later")
    except TsBulkError as error:
        yield _failed("reachable", error, "check that the gateway's address is the right one", NO_ANSWER)
    else:
        took = clock() - began
        yield Finding("reachable", "ok", f"{config.host_url} answers in {took * 1000:,.0f} ms")
        if isinstance(credentials, UserToken):
            yield Finding("token", "ok", "accepted; when it ends is not known")
        date = answer.headers.get("Date")
        if date is None and config.loopback:
            yield Finding("clock", "ok", "the gateway is this machine")
        else:
            yield _clock(date, began + took / 2)


def _refused(error: TsBulkError) -> bool:
    """Whether it was the credentials."""
    return isinstance(error, AuthError) or (isinstance(error, ServiceError) and error.status == 400)


def _unreachable(error: TransportError) -> Finding:
    """Say what may be in the way."""
    return _failed("reachable", error, "check address, network, proxies and certificates", NO_ANSWER)


def _clock(date: str | None, now: float) -> Finding:
    """Compare this machine's clock with the service's, which tells whole seconds."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp() + 0.5
    except ValueError:
        return Finding("clock", "warn", f"the service did not tell the time ({date!r:.60})", "check the clock yourself")
    skew = now - theirs
    if abs(skew) < 1.5:
        return Finding("clock", "ok", "as the service's, to the second")
    detail = f"{abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} the service's"
    if abs(skew) <= _SKEW_WARN:
        return Finding("clock", "ok", detail)
    step = "set the clock by the network (NTP): data is told young or old by it"
    if abs(skew) <= _SKEW_FAIL:
        return Finding("clock", "warn", detail, step)
    return Finding("clock", "fail", detail, step, REFUSED)
