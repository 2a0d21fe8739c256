"""One way to tell how far a long call is: silence, a bar, or the caller's own function; floor 5.

A bar (tqdm) goes to the terminal, or into the notebook; where standard error is neither, as in a cron job's log, there
is none.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from tsbulk_frames._text import as_size, shortened
from tsbulk_frames.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Board", "Meter", "Progress", "check_progress", "counted", "meter"]

Progress: TypeAlias = bool | Callable[[int], None] | None
"""None or False: silence. True: a tqdm bar. A function: called with each further amount done."""
_REDRAW_SECONDS = 0.1
_LONGEST_LABEL = 32
_HEIGHT = 20
_NOUNS = ("rows", "files", "windows", "partitions", "jobs")
_WIDTH = 120
"""Characters of a line where nothing says how many there is room for."""
_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"
_FORMAT_WITHOUT_END = "{desc}: [{elapsed}{postfix}]"


def check_progress(progress: Progress) -> None:
    """Refuse what is no progress.

    Raises
    ------
    ConfigError
        Neither None, a bool nor a function.
    """
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise ConfigError(f"progress={progress!r} is not known; accepted are None, True, False or a function")


class Meter:
    """Takes note of how far a call is, from any thread. This one keeps it to itself."""

    def advance(self, amount: int) -> None:
        """Note a further amount done: what a caller's own function is called with."""

    def tell(self, *, at: float | None = None, **counts: int | tuple[int, int]) -> None:
        """Note how things stand now.

        Parameters
        ----------
        at : float, optional
            Where the bar stands on its way to the meter's `total`.
        **counts : int or (int, int)
            What is shown beside the bar by its name (``rows=86_400``, ``windows=(3, 12)``, ``in_progress=2``), from
            now on; a 0 is not shown.
        """

    def reach(self, covered_ns: int, through: int, known: int) -> None:
        """Note how much of a range has been read, and in how many of its windows."""
        self.tell(at=covered_ns, windows=(through, known))


class _Told(Meter):
    """Passes amounts on to the caller's function, one at a time."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told
        self._lock = threading.Lock()

    def advance(self, amount: int) -> None:
        """Call the function."""
        with self._lock:
            self._told(amount)


class _Bar(Meter):
    """Keeps a tqdm bar up to date; redrawn at most ten times a second, however often it is told something."""

    def __init__(self, bar: Any, unit: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._unit = unit
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._drawn = monotonic()
        self._lost = False
        self._amount = 0
        self._at: float = bar.n
        self._counts: dict[str, int | tuple[int, int]] = {}

    def advance(self, amount: int) -> None:
        """Add to the amount."""
        with self._lock:
            self._amount += amount
            self._draw_soon()

    def tell(self, *, at: float | None = None, **counts: int | tuple[int, int]) -> None:
        """Take over what is told."""
        with self._lock:
            if at is not None:
                self._at = max(at, self._at)  # threads overtake one another
            self._counts.update(counts)
            self._draw_soon()

    def close(self) -> None:
        """Show how things stand at the end."""
        with self._lock:
            self._draw()
            with suppress(OSError, ValueError):
                self._bar.close()

    def _draw_soon(self) -> None:
        """Draw, unless that was done a moment ago (lock held)."""
        if self._monotonic() - self._drawn >= _REDRAW_SECONDS:
            self._draw()

    def _draw(self) -> None:
        """Bring the bar up to date (lock held); a terminal that is gone does not stop the work."""
        self._drawn = self._monotonic()
        if self._lost:
            return
        try:
            self._bar.set_postfix_str(self._words(), refresh=False)
            self._bar.update(max(0, self._at - self._bar.n))
        except (OSError, ValueError):  # ValueError: it was closed on this side
            self._lost = True

    def _words(self) -> str:
        """Say what stands beside the bar."""
        words = []
        if self._amount and self._unit:
            words.append(as_size(self._amount) if self._unit == "B" else f"{self._amount:,} {self._unit}")
        for name, count in self._counts.items():
            if count:
                shown = f"{count[0]:,}/{count[1]:,}" if isinstance(count, tuple) else f"{count:,}"
                noun = name.replace("_", " ")
                words.append(f"{shown} {noun.removesuffix('s') if count == 1 and noun in _NOUNS else noun}")
        return ", ".join(words)


@contextmanager
def meter(progress: Progress, label: str, *, unit: str, total: float | None = None, done: float = 0) -> Iterator[Meter]:
    """Open a meter, to be told how far the call is.

    Parameters
    ----------
    progress : bool, callable or None
        What the caller asked for.
    label : str
        What is going on.
    unit : str
        What the amounts are (``"B"`` is shown as kB, MB, …).
    total : float, optional
        Where the bar ends, if that is known: then it shows the share, and how long the rest takes.
    done : float
        Where it stands at the beginning.

    Yields
    ------
    Meter
        To be told from any thread.

    Raises
    ------
    ConfigError
        ``progress=True`` without tqdm installed, or something that is no progress.
    """
    check_progress(progress)
    if progress is None or isinstance(progress, bool):
        bar = _open_bar(label, total, done) if progress else None
        if bar is None:
            yield Meter()
            return
        told = _Bar(bar, unit)
        try:
            yield told
        finally:
            told.close()
        return
    yield _Told(progress)


def _open_bar(label: str, total: float | None, done: float) -> Any | None:
    """Open a tqdm bar; None where nobody would see it.

    Raises
    ------
    ConfigError
        There is no tqdm.
    """
    if find_spec("tqdm") is None:
        raise ConfigError(
            'progress=True needs tqdm, which is not installed; run: pip install "tsbulk-frames[progress]"'
        )
    notebook, file, width = _in_notebook(), sys.stderr, None
    if notebook and find_spec("ipywidgets") is None:
        module = "tqdm.std"  # tqdm.auto would warn that there are no widgets
        file, width = sys.stdout, _WIDTH  # what stands in standard error looks like a failure there
    else:
        module = "tqdm.auto"
        if not notebook and not _is_terminal(file):
            return None
        if not notebook and not _columns(file):
            width = _WIDTH
    tqdm = import_module(module).tqdm
    return tqdm(
        desc=shortened(label, _LONGEST_LABEL),
        total=total,
        initial=done,
        bar_format=_FORMAT if total else _FORMAT_WITHOUT_END,
        file=file,
        ncols=width,
        nrows=width and _HEIGHT,
        dynamic_ncols=width is None,
        mininterval=0,
        miniters=0,
    )


def _is_terminal(file: TextIO | None) -> bool:
    """Whether somebody looks at it; what stands in for standard error may be closed, or know nothing but `write`."""
    try:
        return file is not None and file.isatty()
    except (AttributeError, OSError, ValueError):
        return False


def _columns(terminal: TextIO) -> int:
    """How wide a terminal is; 0 if it does not tell, as one without a window does."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns
    except (OSError, ValueError):
        return 0


def counted(stream: Iterator[tuple[int, pa.Table]], told: Meter) -> Iterator[tuple[int, pa.Table]]:
    """Pass tables on, and tell of their records."""
    rows = 0
    for number, table in stream:
        rows += table.num_rows
        told.tell(rows=rows)
        yield number, table


def _in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Board:
    """What has become of each partition of an import, or of each job, told to a meter; for use by many threads.

    Parameters
    ----------
    told : Meter
        Its bar stands at the number of those that are through.
    total : int, optional
        How many there are in all, where that is known.
    done : iterable of str
        Names of those that are through already.
    noun : str
        What they are.
    awaited : bool
        Whether a job that was only started is not through yet.
    """

    _STATES = ("uploading", "submitted", "in_progress", "done", "failed", "unknown")

    def __init__(
        self,
        told: Meter,
        total: int | None = None,
        done: Iterable[str] = (),
        *,
        noun: str = "partitions",
        awaited: bool = True,
    ) -> None:
        self._told = told
        self._through = self._STATES[3 if awaited else 1 :]
        self._noun = noun
        self._total = total
        self._lock = threading.Lock()
        self._states = dict.fromkeys(done, "done")
        self._counts = dict.fromkeys(self._STATES, 0) | {"done": len(self._states)}

    def sent(self, size: int) -> None:
        """Note a further amount done: the bytes of a partition whose job was started."""
        self._told.advance(size)

    def job(self, name: str, status: str) -> None:
        """Note what the service says of a job; what it means that it has ended is said by `put`."""
        if status in ("SUBMITTED", "IN_PROGRESS"):
            self.put(name, status.lower())

    def put(self, name: str, state: str) -> None:
        """Note how far one is: uploading, submitted, in_progress, done, failed or unknown."""
        with self._lock:
            old = self._states.get(name)
            if old == state:
                self._told.tell()  # no news, but time goes on
                return
            if old is not None:
                self._counts[old] -= 1
            self._states[name] = state
            self._counts[state] += 1
            through = sum(self._counts[one] for one in self._through)
            counts, known = dict(self._counts), self._total or len(self._states)
        self._told.tell(at=through, **{self._noun: (through, known)}, **counts)
