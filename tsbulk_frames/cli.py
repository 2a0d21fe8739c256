"""The command line ``tsbulk``; floor 8.5. Each command loads what it needs, so that help comes at once."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from signal import SIGINT, SIGTERM

try:
    import rich_click as click
except ModuleNotFoundError as error:
    raise SystemExit(
        f'tsbulk: the command line needs {error.name}, which is not installed; run: pip install "tsbulk-frames[cli]"'
    ) from error

from tsbulk_frames.cli_errors import EXIT_CODES, FAILED, end, terminable
from tsbulk_frames.cli_read import describe, jobs, read
from tsbulk_frames.cli_session import Session, in_local_session
from tsbulk_frames.cli_write import plan, resume, write
from tsbulk_frames.doctor import doctor
from tsbulk_frames.errors import ConfigError, TsBulkError

__all__ = ["main"]

_WAKE_SECONDS = 1.0
_EPILOG = (
    "Exit codes:\n"
    + "\n".join(f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items())
    + """

Credentials come from the environment alone: TSBULK_TOKEN (a user's token), else those of an application in \
MDSP_OS_VM_APP_NAME, MDSP_OS_VM_APP_VERSION, MDSP_HOST_TENANT, MDSP_USER_TENANT, MDSP_KEY_STORE_CLIENT_ID and \
MDSP_KEY_STORE_CLIENT_SECRET. The gateway: --gateway, else TSBULK_GATEWAY. `tsbulk doctor` shows what is found.

Results go to stdout, all else to stderr: an error is one line with the next step, or with --json one document \
{"error": {"type", "exit_code", "message", "notes", "transient", …}}. Wrong usage is always told as text.

Completion: eval "$(_TSBULK_COMPLETE=bash_source tsbulk)"; zsh_source, fish_source for those shells."""
)


class _Tsbulk(click.RichGroup):
    """Commands whose errors, signals and closed pipes end in one line and an exit code."""

    def invoke(self, ctx: click.Context) -> None:
        """Run the command."""
        code = 0
        _open_what_is_closed()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # not every terminal has every letter
        with terminable():
            try:
                super().invoke(ctx)
            except (TsBulkError, OSError, ModuleNotFoundError, KeyboardInterrupt) as error:
                session = ctx.obj or Session()
                code = end(error, json=session.json, debug=session.debug, manifest=session.manifest)
        if code:
            ctx.exit(code)

    def format_epilog(self, ctx: click.RichContext, formatter: click.RichHelpFormatter) -> None:  # type: ignore[override]
        """Keep the lines of the table of exit codes."""
        from rich.padding import Padding
        from rich.text import Text

        formatter.write(Padding(Text(_EPILOG), (0, 1)))


def _open_what_is_closed() -> None:
    """Let a standard stream that the caller has closed be nowhere; else a file or socket would get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (open as long as the process)


@click.group(cls=_Tsbulk, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tsbulk-frames")
def main() -> None:
    """History in and out of IoT TS Bulk (Insights Hub, MindSphere): exact and fast."""


for _command in (read, plan, write, resume, jobs, describe, doctor):
    main.add_command(_command)


@main.command()
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("tsbulk-demo.png"),
    show_default=True,
    help="Where the picture of the data goes.",
)
@click.option("--records", type=click.IntRange(min=300), default=1_080_000, show_default=True, help="How much data.")
@in_local_session
def demo(session: Session, picture: Path, records: int) -> None:
    """Write a pump station's history to a local sandbox, read it back, compare every value.

    \b
    Keys of --json:
      ok, records, differences, picture
    """  # noqa: D301  (click keeps the lines behind it)
    from tsbulk_frames.demo import run_demo

    def echo(line: str) -> None:
        if not session.json and not session.quiet:
            click.echo(line)

    echo("tsbulk demo: a pump station, there and back over HTTP")
    found = run_demo(picture, records=records, echo=echo)
    session.show(
        {"ok": not found, "records": records, "differences": found, "picture": str(picture.absolute())},
        *(found if session.quiet else ()),
    )
    if found:
        sys.exit(FAILED)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0: any free one.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps everything. [default: none kept]",
)
@click.option(
    "--assets", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON file of assets and aspects."
)
@click.option("--client-id", help="Client id to accept. [default: made up and printed]")
@click.option("--client-secret", envvar="TSBULK_SANDBOX_SECRET", help="Its secret. [default: made up and printed]")
@click.option("--page-bytes", type=click.IntRange(min=1), default=8_000_000, show_default=True, help="Size of a page.")
@click.option("--latency", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Seconds per request.")
@click.option("--bandwidth", type=click.FloatRange(min=1), help="Bytes per second and connection. [default: no bound]")
@click.option("--allow-remote", is_flag=True, help="Listen on an address that is not loopback.")
@in_local_session
def sandbox(
    session: Session,
    host: str,
    port: int,
    data: Path | None,
    assets: Path | None,
    client_id: str | None,
    client_secret: str | None,
    page_bytes: int,
    latency: float,
    bandwidth: float | None,
    allow_remote: bool,
) -> None:
    """Run a local server that plays the gateway and keeps the service's rules, until interrupted.

    Its URL is printed once it answers; then the credentials it accepts.

    \b
    Keys of --json:
      url, client_id, client_secret (null where it was given), tenant
    """  # noqa: D301  (click keeps the lines behind it)
    try:
        from tsbulk_frames.sandbox import Sandbox
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'the sandbox needs {error.name}, which is not installed; run: pip install "tsbulk-frames[sandbox]"'
        ) from error

    with _signals() as arrived:
        try:
            server = Sandbox(
                data,
                host=host,
                port=port,
                page_bytes=page_bytes,
                latency=latency,
                bandwidth=bandwidth,
                client_id=client_id,
                client_secret=client_secret,
                allow_remote=allow_remote,
            )
        except ValueError as error:
            raise click.BadParameter(str(error).replace("allow_remote=True", "--allow-remote")) from error
        with ExitStack() as opened:
            try:
                opened.enter_context(server)
                if assets is not None:
                    server.load_assets(assets)
            except OSError as error:
                where = error.filename or f"--host {host} --port {port}"
                raise ConfigError(f"{where}: {error.strerror or error}") from error
            except (ValueError, RuntimeError) as error:
                raise ConfigError(str(error)) from error
            secret = None if client_secret else server.client_secret
            session.show(
                {
                    "url": server.url,
                    "client_id": server.client_id,
                    "client_secret": secret,
                    "tenant": server.tenant,
                },
                server.url,
                f"client id: {server.client_id}  secret: {secret or 'as given'}  tenant: {server.tenant}",
            )
            sys.stdout.flush()
            _wait(arrived)


@contextmanager
def _signals() -> Iterator[SimpleQueue[int]]:
    """Collect Ctrl-C and SIGTERM: neither tears anything out of what it is doing, and a second one changes nothing."""
    arrived: SimpleQueue[int] = SimpleQueue()  # of all ways to wake a thread, the one that a signal may interrupt
    before = {number: signal.signal(number, lambda got, _: arrived.put(got)) for number in (SIGINT, SIGTERM)}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(arrived: SimpleQueue[int]) -> None:
    """Block until a signal has come; woken now and then, because Windows interrupts no wait."""
    while True:
        with suppress(Empty):
            arrived.get(timeout=_WAKE_SECONDS)
            return
