"""How a command ends: errors and signals become one line on stderr and an exit code; floor 8.2."""

from __future__ import annotations

import ast
import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import rich_click as click

from tsbulk_frames.cli_output import as_json, visible
from tsbulk_frames.errors import (
    AuthError,
    ConfigError,
    FrameError,
    JobError,
    JobTimeout,
    NotFoundError,
    PartialImportError,
    TsBulkError,
)

__all__ = ["EXIT_CODES", "Terminated", "end", "exit_code", "is_closed_pipe", "resume_command", "terminable"]

FAILED, REFUSED, NO_ACCESS, NOT_FOUND, NO_ANSWER, RUNNING = 1, 2, 3, 4, 5, 6
INTERRUPTED, CLOSED_PIPE, TERMINATED = 130, 141, 143
EXIT_CODES = {
    0: "done",
    FAILED: "the comparison, a job or a part of the import failed",
    REFUSED: "usage, settings, data or a file: nothing was begun, or it could not go on",
    NO_ACCESS: "the service refused the credentials",
    NOT_FOUND: "no such asset, aspect or job",
    NO_ANSWER: "no usable answer from the service",
    RUNNING: "jobs are still running at the deadline",
    INTERRUPTED: "interrupted by Ctrl-C",
    CLOSED_PIPE: "whoever read the output has closed it",
    TERMINATED: "ended by SIGTERM",
}
"""What each exit code means."""
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (PartialImportError, FAILED),
    (JobError, FAILED),
    (JobTimeout, RUNNING),
    (AuthError, NO_ACCESS),
    (NotFoundError, NOT_FOUND),
    (ConfigError, REFUSED),
    (FrameError, REFUSED),
    (TsBulkError, NO_ANSWER),
    (ModuleNotFoundError, REFUSED),
    (OSError, REFUSED),
)
_FIELDS = (
    "status", "request_id", "attempts", "column", "rows", "job", "files", "job_ids", "done", "failed", "unknown",
    "manifest",
)  # fmt: skip
_RESUME = re.compile(r"tsb\.resume_import\((?P<path>'[^']*'|\"[^\"]*\")\)")
_JOBS_NOTE = "import jobs started before"


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends what is under way as Ctrl-C does."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the command in order; only the main thread can be told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def arrived(_: int, __: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, arrived)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(error: BaseException) -> int:
    """Give the code for an error."""
    if isinstance(error, KeyboardInterrupt):
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    if is_closed_pipe(error):
        return CLOSED_PIPE
    return next(code for kind, code in _CODES if isinstance(error, kind))


def is_closed_pipe(error: BaseException) -> bool:
    """Whether whoever read the output is gone; Windows says it in its own way."""
    if isinstance(error, TsBulkError) or not isinstance(error, OSError):
        return False
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def end(error: BaseException, *, json: bool = False, debug: bool = False, manifest: Path | None = None) -> int:
    """Tell an error on stderr, and give the exit code.

    Parameters
    ----------
    error : BaseException
        A `TsBulkError`, an error of the system, Ctrl-C or `Terminated`.
    json, debug : bool
        How it is wanted: for a script; with where it comes from.
    manifest : pathlib.Path, optional
        Of the import under way.

    Returns
    -------
    int
        See `EXIT_CODES`.
    """
    code = exit_code(error)
    if code == CLOSED_PIPE:
        _leave_closed(sys.stdout)
        return code
    try:
        if debug:
            traceback.print_exception(error)
        known = manifest if manifest is not None and manifest.is_file() else None
        if json:
            click.echo(as_json({"error": _document(error, code, known)}), err=True)
        else:
            for line in _lines(error, known):
                click.echo(line, err=True)
    except OSError:  # nobody can be told; the code still says it
        _leave_closed(sys.stderr)
    return code


def _leave_closed(stream: object) -> None:
    """Send what is left for a closed pipe nowhere, as Python's documentation of SIGPIPE advises."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[attr-defined]  # what has none is no stream of the system
        os.close(nowhere)


def _lines(error: BaseException, manifest: Path | None) -> list[str]:
    """One line, and one more for each further rule that data breaks."""
    text, notes = _words(error, manifest)
    return [f"tsbulk: {_one_line(text)}", *(f"  {_one_line(line)}" for note in notes for line in note.splitlines())]


def _document(error: BaseException, code: int, manifest: Path | None) -> dict[str, object]:
    """Spell an error for scripts."""
    text, notes = _words(error, manifest)
    found = {name: getattr(error, name) for name in _FIELDS if getattr(error, name, None) not in (None, (), [])}
    if manifest is not None:
        found["manifest"] = str(manifest)
    kind = "Interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__
    transient = bool(getattr(error, "transient", False))
    return {"type": kind, "exit_code": code, "message": text, "notes": notes, "transient": transient, **found}


def _words(error: BaseException, manifest: Path | None) -> tuple[str, list[str]]:
    """Say what happened and the next step, in words of the command line; and further notes."""
    if isinstance(error, KeyboardInterrupt):
        text = "ended by SIGTERM" if isinstance(error, Terminated) else "interrupted"
        if manifest is not None:
            text += f"; what was begun is kept, go on with: {resume_command(manifest)}"
        return text, []
    if isinstance(error, PartialImportError):
        return _partial(error), []
    if isinstance(error, JobTimeout):
        later = (
            resume_command(manifest)
            if manifest
            else f"tsbulk jobs --wait {' '.join(error.job_ids[:3])}" + (" …" if len(error.job_ids) > 3 else "")
        )
        count = len(error.job_ids)
        return f"{count} import job{'s are' if count != 1 else ' is'} still running; await later with: {later}", []
    if isinstance(error, OSError) and not isinstance(error, TsBulkError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}; check the path, its rights and the free room", []
    text = _in_shell(str(error))
    notes = [_in_shell(note) for note in getattr(error, "__notes__", ()) if not note.startswith(_JOBS_NOTE)]
    going_on = [note for note in notes if note.startswith("go on with")]
    return "; ".join([text, *going_on]), [note for note in notes if note not in going_on]


def _partial(error: PartialImportError) -> str:
    """Sum up an import that failed in part."""
    maybe = f", {len(error.unknown)} are unknown (the service may have taken them)" if error.unknown else ""
    first = (*error.failed, *error.unknown)[0]
    reason = f": {error.errors[0]}" if error.errors else ""
    total = len(error.done) + len(error.failed) + len(error.unknown)
    text = (
        f"{len(error.failed)} of {total} partitions failed{maybe}, {len(error.done)} are done; first: {first}{reason}"
    )
    return text + (f"; mend the cause, then: {resume_command(Path(error.manifest))}" if error.manifest else "")


def _in_shell(text: str) -> str:
    """Say a next step in words of the command line instead of Python's."""
    return _RESUME.sub(lambda found: resume_command(Path(ast.literal_eval(found["path"]))), text)


def resume_command(manifest: Path) -> str:
    """Spell the command that goes on with an import."""
    command = ["tsbulk", "resume", str(manifest)]
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def _one_line(text: str) -> str:
    """Take line breaks out, and whatever would steer a terminal."""
    return visible(" ".join(text.split()))
