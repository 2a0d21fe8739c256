"""One way to tell how far a long call is: silence, a bar, or the caller's own function; floor 5."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from tsbulk_frames.errors import ConfigError

__all__ = ["Progress", "check_progress", "meter"]

Progress: TypeAlias = bool | Callable[[int], None] | None
"""None or False: silence. True: a tqdm bar. A function: called with each further amount done."""


def check_progress(progress: Progress) -> None:
    """Refuse what is no progress.

    Raises
    ------
    ConfigError
        Neither None, a bool nor a function.
    """
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise ConfigError(f"progress={progress!r} is not known; accepted are None, True, False or a function")


@contextmanager
def meter(progress: Progress, label: str, *, unit: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Open a meter; yields the function to call with each further amount done, from any thread.

    Parameters
    ----------
    progress : bool, callable or None
        What the caller asked for.
    label : str
        What is going on.
    unit : str
        What is counted (``"B"`` is scaled to kB, MB, …).
    total : int, optional
        The amount at the end, where it is known.

    Yields
    ------
    callable
        ``advance(amount)``.

    Raises
    ------
    ConfigError
        ``progress=True`` without tqdm installed, or something that is no progress.
    """
    if progress is None or progress is False:
        yield lambda amount: None
        return
    lock = threading.Lock()
    if progress is not True:
        check_progress(progress)
        told = progress

        def tell(amount: int) -> None:
            with lock:
                told(amount)

        yield tell
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ConfigError(
            'progress=True needs tqdm, which is not installed; run: pip install "tsbulk-frames[progress]"'
        ) from None
    with tqdm(desc=label, unit=unit, unit_scale=unit == "B", total=total) as bar:

        def advance(amount: int) -> None:
            with lock:
                bar.update(amount)

        yield advance
