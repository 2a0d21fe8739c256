"""Calendars of what is there, and partitions over time; floor 4.4, for `tsbulk_frames.plot`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Patch

from tsbulk_frames._calendar import Coverage, calendar_of, covered_frame, covered_partitions
from tsbulk_frames._instants import Span, span_of
from tsbulk_frames._text import shortened
from tsbulk_frames.errors import FrameError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Partition", "Partitions", "bars", "coverage", "days_of"]

_LONGEST_NAME = 40
_GAP, _OUTSIDE = "#D55E00", "#00000000"
_BLUES = LinearSegmentedColormap.from_list("tsbulk", ["#dceaf6", "#6aaed6", "#08306b"]).with_extremes(
    under=_GAP, bad=_OUTSIDE
)


class Partition(Protocol):
    """What a picture needs to know of a partition."""

    @property
    def partition(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...


@runtime_checkable
class Partitions(Protocol):
    """A plan, or a report."""

    @property
    def partitions(self) -> Sequence[Partition]: ...


Covered: TypeAlias = "pd.DataFrame | Partitions | Mapping[str, pd.DataFrame] | Iterable[pd.DataFrame]"


def coverage(data: Covered, *, freq: Span | None = None, ax: Axes | None = None) -> Axes:
    """Draw a calendar of how many of the records that could be expected are there.

    One series of up to 62 days: a column for each day, a row for each hour. A longer one: a column for each week, a row
    for each weekday. Several series: a row for each, a column for each day (for each week beyond 400 days). What holds
    no record at all has a colour of its own, what lies outside of the range none.

    Parameters
    ----------
    data : DataFrame, ImportPlan, ImportReport, mapping of names to frames, or iterable of frames
        Frames as the readers return them, index ``_time`` or ``(entity, _time)``. The range is that which was read
        (``frame.attrs["range"]``), else from the first record to the last; days and hours are those of the frame's
        zone. Of a plan all partitions count, of a report those that are done; their hours and days are UTC.
    freq : str, timedelta or offset, optional
        Time from one expected record to the next, e.g. ``"1min"``. Default: what is usual in each series; of plans and
        reports what is usual in a partition.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax.images[0].get_array()`` are the shares (0 to 1), -1 where there is no record, masked outside of the range.

    Raises
    ------
    FrameError
        Nothing of the kind, frames without a zone, or nothing to be drawn.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01", "2026-03-08", freq="min", tz="UTC", name="_time", inclusive="left")
    >>> frame = pd.DataFrame({"rate": 1.0}, index=times).drop(times[1500:2000])
    >>> axes = tsb.plot.coverage(frame)
    >>> axes.images[0].get_array().shape
    (24, 7)
    >>> axes.figure.clear()
    """
    step = None if freq is None else span_of(freq, "freq")
    found = _covered(data, step)
    if not found:
        raise FrameError("there is nothing to draw: no series, or no time in any of them")
    grid = calendar_of(found)
    if ax is None:
        rows, columns = grid.shares.shape
        size = (min(14.0, max(6.0, 2.6 + 0.22 * columns)), min(12.0, max(2.6, 1.3 + 0.2 * rows)))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    shown = np.ma.masked_invalid(np.where(grid.shares == 0, -1.0, grid.shares))
    image = ax.imshow(shown, cmap=_BLUES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    names = [shortened(grid.rows[at], _LONGEST_NAME) for at in grid.row_ticks]
    ax.set_yticks(grid.row_ticks, names, parse_math=False)
    ax.set_xticks(grid.column_ticks, _dates([grid.columns[at] for at in grid.column_ticks]))
    ax.tick_params(length=2)
    ax.set_ylabel(grid.row_name)
    ax.set_xlabel(grid.column_name)
    ax.set_title(shortened(grid.title, 2 * _LONGEST_NAME), fontsize=10, loc="left", parse_math=False)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, label="share present", pad=0.02, fraction=0.05)
    bar.set_ticks([0, 0.5, 1], labels=["> 0", "50 %", "100 %"])
    bar.outline.set_visible(False)
    ax.legend(
        handles=[Patch(color=_GAP, label="no record")], loc="lower right", bbox_to_anchor=(1, 1), frameon=False,
        fontsize=8, borderaxespad=0.2,
    )  # fmt: skip
    return ax


def bars(
    partitions: Sequence[Partition],
    title: str,
    *,
    warning: str = "",
    wrong: Collection[str] = (),
    days: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw partitions over time, as high as they have bytes; those with problems are marked.

    Parameters
    ----------
    partitions : sequence
        Of a plan.
    title : str
        What it is.
    warning : str
        What is wrong with the whole.
    wrong : collection of str
        Names of partitions with problems of their own.
    days : bool
        Whether partitions are days, not hours.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(10, 3), layout="constrained")
    starts = pd.to_datetime([one.partition for one in partitions], format="ISO8601", utc=True).as_unit("ns").asi8
    sizes = np.array([one.bytes for one in partitions], np.float64)
    bad = np.array([one.partition in wrong for one in partitions], bool)
    width = 1.0 if days else 1 / 24
    unit = next((unit for unit in (1e9, 1e6, 1e3) if sizes.max(initial=0) >= unit), 1.0)
    name = {1e9: "GB", 1e6: "MB", 1e3: "kB", 1.0: "B"}[unit]
    for those, color, hatch in ((~bad, "#0072B2", None), (bad, _GAP, "////")):
        ax.bar(
            days_of(starts[those]), sizes[those] / unit, width * 0.94, align="edge", color=color, hatch=hatch,
            edgecolor="white", linewidth=0,
        )  # fmt: skip
    ax.margins(x=0.01)
    locator = mdates.AutoDateLocator(tz="UTC", minticks=3, maxticks=9)
    ax.xaxis_date("UTC")
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, tz="UTC"))
    ax.set_xlabel("time (UTC)")
    ax.set_ylabel(f"{name} a {'day' if days else 'hour'} (estimated)")
    ax.set_title(title, fontsize=10, loc="left", pad=22 if warning else None, parse_math=False)
    if warning:
        ax.annotate(
            f"✗ {warning}", (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=9,
            color=_GAP, weight="bold",
        )  # fmt: skip
    ax.grid(visible=True, axis="y", alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    if bad.any():
        ax.legend(
            handles=[Patch(facecolor="#0072B2", label="can be imported"),
                     Patch(facecolor=_GAP, hatch="////", edgecolor="white", label=f"{bad.sum():,} with problems")],
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8, borderaxespad=0.2,
        )  # fmt: skip
    return ax


def _covered(data: Covered, step: int | None) -> list[Coverage]:
    """Count what each series holds."""
    if isinstance(data, pd.DataFrame):
        return covered_frame(data, None, step)
    if isinstance(data, Partitions):
        return covered_partitions(
            [(one.partition, one.rows if getattr(one, "outcome", "done") in ("done", "skipped") else 0)
             for one in data.partitions], step,
        )  # fmt: skip
    given: object = data
    named: Iterable[tuple[object, object]]
    if isinstance(given, Mapping):
        named = given.items()
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes):
        named = ((None, one) for one in given)
    else:
        raise FrameError(
            f"data is a {type(data).__name__}; accepted are a frame as the readers return it, several of them, a plan "
            "and a report"
        )
    found = []
    for name, one in named:
        if not isinstance(one, pd.DataFrame):
            raise FrameError(f"one of several is a {type(one).__name__}; give frames as the readers return them")
        found += covered_frame(one, None if name is None else str(name), step)
    return found


def _dates(days: Sequence[pd.Timestamp]) -> list[str]:
    """Name days, the year where it changes."""
    years = [f"\n{day.year}" if not at or day.year != days[at - 1].year else "" for at, day in enumerate(days)]
    return [f"{day.day} {day:%b}{year}" for day, year in zip(days, years, strict=True)]


def days_of(ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Nanoseconds in matplotlib's own unit."""
    return np.asarray(mdates.date2num(ns.view("M8[ns]")), np.float64)
