"""What all commands share: their options, the connection from the environment, how they answer; floor 8.3."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import rich_click as click

from tsbulk_frames.cli_output import Table, show
from tsbulk_frames.errors import ConfigError

if TYPE_CHECKING:
    from tsbulk_frames.auth import Credentials
    from tsbulk_frames.connection import Connection

__all__ = ["TOKEN_VARIABLE", "Session", "credentials_of", "in_local_session", "in_session"]

TOKEN_VARIABLE = "TSBULK_TOKEN"  # noqa: S105  (the name of a variable)
"""Environment variable that holds a user's token; it beats the credentials of an application."""

P = ParamSpec("P")


@dataclass
class Session:
    """One call of the command line.

    Attributes
    ----------
    gateway : str or None
        As given; None: the environment's, or the default one.
    json : bool
        Whether a script listens.
    quiet : bool
        Whether nothing but the result is wanted.
    debug : bool
        Whether log and tracebacks are wanted.
    manifest : pathlib.Path or None
        Of the import under way: what to go on with.
    """

    gateway: str | None = None
    json: bool = False
    quiet: bool = False
    debug: bool = False
    manifest: Path | None = None

    def connect(self) -> Connection:
        """Open the connection that option and environment tell of.

        Raises
        ------
        ConfigError
            There are no credentials, or a setting cannot work.
        """
        from tsbulk_frames.config import RestClientConfig
        from tsbulk_frames.connection import connect

        config = RestClientConfig.from_environment(host_url=self.gateway)
        return connect(config=config, credentials=credentials_of(os.environ))

    @property
    def progress(self) -> bool | None:
        """Whether a bar is wanted, and can be had: there is none where standard error is no terminal."""
        return True if not self.quiet and importlib.util.find_spec("tqdm") is not None else None

    def show(self, document: Mapping[str, object], *parts: str | Table) -> None:
        """Print the result."""
        show(document, parts, json_wanted=self.json)

    def remark(self, text: str) -> None:
        """Say something beside the result."""
        if not self.quiet:
            click.echo(text, err=True)


def credentials_of(environ: Mapping[str, str]) -> Credentials:
    """Take the credentials from the environment: a user's token, else those of an application.

    Raises
    ------
    ConfigError
        There are none, or not all of them.
    """
    from tsbulk_frames.auth import AppCredentials, Secret, UserToken

    token = Secret(environ.get(TOKEN_VARIABLE, "").strip())
    if token:
        try:
            return UserToken(token)
        except ConfigError as error:
            raise ConfigError(f"environment variable {TOKEN_VARIABLE}: {error}") from None
    try:
        return AppCredentials.from_environment(environ)
    except ConfigError as error:
        told = str(error).partition("; ")[0]
        raise ConfigError(
            f"{told}; set them, or {TOKEN_VARIABLE} to a user's token (tsbulk doctor shows what is found)"
        ) from None


def in_session(command: Callable[Concatenate[Session, P], None]) -> Callable[P, None]:
    """Give a command the options of all that talk to a gateway; it gets them as its `Session`."""
    option = click.option(
        "--gateway", metavar="URL", help="The gateway. [default: TSBULK_GATEWAY, else that of region eu1]"
    )
    return option(in_local_session(command))


def in_local_session(command: Callable[Concatenate[Session, P], None]) -> Callable[P, None]:
    """Give a command the options that all have; it gets them as its `Session`."""

    @click.option("--json", "json_", is_flag=True, help="One JSON document instead of text; errors, too.")
    @click.option("--quiet", "-q", is_flag=True, help="No progress, no remarks.")
    @click.option("--debug", is_flag=True, help="Log every request to stderr; show where an error comes from.")
    @functools.wraps(command)
    def wrapped(*args: P.args, **more: P.kwargs) -> None:
        given = {name: more.pop(name, None) for name in ("gateway", "json_", "quiet", "debug")}
        session = Session(*given.values())  # type: ignore[arg-type]  # click has seen to their types
        context = click.get_current_context()
        assert context is not None
        context.find_root().obj = session
        with _logging(session.debug):
            command(session, *args, **more)

    return wrapped


@contextmanager
def _logging(wanted: bool) -> Iterator[None]:
    """Send the library's log to stderr."""
    logger, handler = logging.getLogger("tsbulk_frames"), logging.StreamHandler()
    if not wanted:
        yield
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
