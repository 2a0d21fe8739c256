"""The command line ``tsbulk``; floor 8. Each command loads what it needs, so that help comes at once."""

from __future__ import annotations

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

__all__ = ["main"]

_WAKE_SECONDS = 1.0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tsbulk-frames")
def main() -> None:
    """History in and out of IoT TS Bulk (Insights Hub, MindSphere): exact and fast."""


@main.command()
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("tsbulk-demo.png"),
    show_default=True,
    help="Where the picture of the data goes.",
)
@click.option("--records", type=click.IntRange(min=300), default=1_080_000, show_default=True, help="How much data.")
def demo(picture: Path, records: int) -> None:
    """Write a pump station's history to a local sandbox, read it back, compare every value."""
    from tsbulk_frames.demo import run_demo

    click.echo("tsbulk demo: a pump station, there and back over HTTP")
    sys.exit(1 if run_demo(picture, records=records, echo=click.echo) else 0)


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
def sandbox(
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
    """
    try:
        from tsbulk_frames.sandbox import Sandbox
    except ModuleNotFoundError as error:
        raise click.ClickException(
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
                raise click.ClickException(f"{where}: {error.strerror or error}") from error
            except (ValueError, RuntimeError) as error:
                raise click.ClickException(str(error)) from error
            click.echo(server.url)
            secret = "as given" if client_secret else server.client_secret
            click.echo(f"client id: {server.client_id}  secret: {secret}  tenant: {server.tenant}")
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
