"""Pictures of what was read, and of what is to be imported (matplotlib); floor 4.5, the extra ``plot``.

Nothing here calls ``show`` or changes a setting of matplotlib. A picture that is drawn on no axes of the caller's gets
a figure of pyplot's: a notebook shows it at the end of the cell, a script with ``plt.show()``, or saves and closes it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsbulk_frames._instants import Instants, Span, instants_of, present, span_of
from tsbulk_frames._text import shortened
from tsbulk_frames._thin import numbers_of, spans_of, thin
from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import is_quality_code

try:
    import matplotlib.dates as mdates
    import matplotlib.pyplot as plt
    import tsdownsample  # noqa: F401  (used further down: missing, it is told here)
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'tsb.plot needs {error.name}, which is not installed; run: pip install "tsbulk-frames[plot]"',
        name=error.name,
    ) from error

from tsbulk_frames._heat import coverage, days_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["coverage", "series"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", ":", "-.")
_STATE_COLORS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#F0E442", "#999999")
_TRUTH_COLORS = ("#D9D9D9", "#0072B2")
_MOST_STATES, _MOST_NAMES, _MOST_PANELS = 8, 10, 12
_MOST_STRIPS = 30
"""Strips that have room for a name each, and a height of their own."""
_LONGEST_NAME = 40


def series(
    frame: pd.DataFrame,
    columns: str | Sequence[str] | None = None,
    *,
    points: int = 2_000,
    max_gap: Span | None = None,
    ax: Axes | None = None,
) -> Axes | Figure:
    """Draw time series, thinned without losing a peak.

    Numbers are lines: those of one unit (``frame.attrs["units"]``, see ``read_timeseries(..., describe=True)``) share
    a panel, those without a known unit have one each. Text and booleans are strips, a colour for each state. Missing
    values are no records of their column; where a column has no record for long its line is interrupted.

    Parameters
    ----------
    frame : pandas.DataFrame
        Index ``_time``, or ``(entity, _time)``: then a line for each entity. Not changed.
    columns : str or sequence of str, optional
        What to draw. Default: everything that can be, but quality codes.
    points : int
        Most points of a line, besides the ends of gaps: of each of ``points / 2`` equal stretches of time its least
        and its greatest value are drawn, so that no peak is lost however long the series is.
    max_gap : str, timedelta or offset, optional
        No line crosses a longer time without a record. Default: ten times the usual distance of two records.
    ax : matplotlib.axes.Axes, optional
        Where to draw; for what fits one panel. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes or matplotlib.figure.Figure
        The axes, if there is one panel; else the figure. The time axis has the zone of the frame.

    Raises
    ------
    FrameError
        No frame of time series, no such column, one that cannot be drawn (objects), nothing to draw, or several panels
        for one `ax`.

    Notes
    -----
    Integers beyond 2**53 are drawn above a base named on the axis, as floats could not tell them apart. Thinned by
    ``tsdownsample``.

    Examples
    --------
    >>> import pandas as pd
    >>> import tsbulk_frames as tsb
    >>> times = pd.date_range("2026-03-01", periods=4, freq="min", tz="Europe/Berlin", name="_time")
    >>> axes = tsb.plot.series(pd.DataFrame({"rate": [1.0, 2.0, float("nan"), 4.0]}, index=times))
    >>> axes.get_ylabel(), axes.get_xlabel()
    ('rate', 'time (Europe/Berlin)')
    >>> axes.figure.clear()
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 4:
        raise FrameError(f"points={points!r} is not accepted; give an int from 4")
    if ax is not None and not isinstance(ax, Axes):
        raise FrameError(f"ax={ax!r} is a {type(ax).__name__}; give axes of matplotlib, as plt.subplots() returns them")
    gap = None if max_gap is None else span_of(max_gap, "max_gap")
    rows = instants_of(frame, "frame", rising=True)
    panels, skipped = _panels(frame, columns, shared=ax is not None)
    if ax is not None and len(panels) > 1:
        kinds = ", ".join(panel.label for panel in panels)
        raise FrameError(f"{len(panels)} panels ({kinds}) do not fit one ax; name columns= of one unit, or give no ax")
    if ax is None:
        heights = [2.4 if panel.numbers else 0.5 + 0.3 * min(_strips(rows), _MOST_STRIPS) for panel in panels]
        _, grid = plt.subplots(
            len(panels),
            figsize=(10, 0.9 + sum(heights)),
            height_ratios=heights,
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        drawn: list[Axes] = [one for (one,) in grid]
    else:
        drawn = [ax]
    for panel, one in zip(panels, drawn, strict=True):
        (_draw_lines if panel.numbers else _draw_states)(one, panel, frame, rows, points, gap)
        _time_axis(one, rows.tz)
        if one is not drawn[-1]:
            one.set_xlabel("")
    if skipped:
        drawn[-1].annotate(
            shortened(f"not drawn, neither numbers nor states: {', '.join(skipped)}", 2 * _LONGEST_NAME),
            (1, 0), (0, -34), xycoords="axes fraction", textcoords="offset points", ha="right", fontsize=8, alpha=0.7,
            parse_math=False,
        )  # fmt: skip
    return drawn[0] if len(drawn) == 1 else drawn[0].figure.get_figure(root=True)


@dataclass(slots=True)
class _Panel:
    """Columns that are drawn on the same axes."""

    numbers: bool
    label: str
    columns: list[Hashable] = field(default_factory=list)


def _panels(
    frame: pd.DataFrame, columns: str | Sequence[str] | None, *, shared: bool
) -> tuple[list[_Panel], list[str]]:
    """Sort columns into panels; and name those that nobody asked for and that cannot be drawn."""
    if columns is not None and not isinstance(columns, Iterable):
        raise FrameError(f"columns={columns!r} is a {type(columns).__name__}; give a name, or a list of them")
    wanted = None if columns is None else [columns] if isinstance(columns, str) else list(columns)
    unknown = [one for one in wanted or () if not isinstance(one, Hashable) or one not in frame.columns]
    if unknown:
        known = ", ".join(map(str, frame.columns))
        raise FrameError(f"column {unknown[0]!r} is not in the frame; it has: {known}", column=str(unknown[0]))
    names = wanted or [one for one in frame.columns if not (isinstance(one, str) and is_quality_code(one))]
    units = frame.attrs.get("units")
    units = units if isinstance(units, dict) else {}
    panels: dict[tuple[bool, str], _Panel] = {}
    skipped = []
    for name in names:
        unit = units.get(name)
        kind = _kind(frame[name])
        if kind is None and wanted is not None:
            raise FrameError(
                f"column {name!r} holds neither numbers nor text nor booleans ({frame[name].dtype}); choose others, or "
                "convert it first",
                column=str(name),
            )
        if kind is None:
            skipped.append(str(name))
        elif kind == "states":
            panels[False, str(name)] = _Panel(False, str(name), [name])
        else:
            alone = kind == "large" or not (unit or shared)
            key = (True, f"column {name}" if alone else f"unit {unit}")
            label = f"{name} [{unit}]" if unit and kind == "large" else str(name) if alone else str(unit or "")
            panels.setdefault(key, _Panel(True, label)).columns.append(name)
    found = sorted(panels.values(), key=lambda panel: not panel.numbers)
    if not found:
        raise FrameError("nothing of the frame can be drawn: no column holds numbers, text or booleans")
    if len(found) > _MOST_PANELS:
        raise FrameError(f"{len(found)} panels are more than one can look at; name up to {_MOST_PANELS} columns=")
    for panel in found:
        if panel.numbers and len(panel.columns) == 1 and panel.label != str(panel.columns[0]):
            unit = units.get(panel.columns[0])
            panel.label = f"{panel.columns[0]} [{unit}]" if unit else str(panel.columns[0])
    return found, skipped


def _kind(values: pd.Series) -> str | None:
    """Whether a column is numbers (perhaps large ones), states, or cannot be drawn."""
    if pd.api.types.is_float_dtype(values.dtype):
        return "numbers"
    numbers = numbers_of(values)
    if numbers is not None:
        return "large" if numbers[2] else "numbers"
    if pd.api.types.is_bool_dtype(values.dtype):
        return "states"
    if values.dtype == object or isinstance(values.dtype, pd.CategoricalDtype):
        return "states" if all(isinstance(one, str | bool) for one in values[present(values)]) else None
    return "states" if pd.api.types.is_string_dtype(values.dtype) else None


def _draw_lines(ax: Axes, panel: _Panel, frame: pd.DataFrame, rows: Instants, points: int, gap: int | None) -> None:
    """Draw a line for each column and entity."""
    looks = cycle((color, style) for style in _STYLES for color in _COLORS)
    lines: list[Artist] = []
    labels: list[str] = []
    for column in panel.columns:
        numbers = numbers_of(frame[column])
        assert numbers is not None  # else it is in no such panel
        there, floats, base = numbers
        if base:
            ax.set_ylabel(f"{_name(panel.label)}\nabove {base:,}", parse_math=False)
        for name, at in _entities(rows):
            here = there if at is None else np.intersect1d(at, there, assume_unique=True)
            if not len(here):
                continue
            trace = thin(rows.ns[here], floats[here], points, gap)
            color, style = next(looks)
            label = " · ".join(map(str, [*([] if name is None else [name]), *([column] if panel.columns[1:] else [])]))
            labels.append(label or str(column))
            lines += ax.plot(
                days_of(trace.ns), trace.values, color=color, linestyle=style, linewidth=1.1, label=labels[-1],
                marker=".", markersize=4, markevery=trace.alone.tolist(),
            )  # fmt: skip
    if not ax.get_ylabel():
        ax.set_ylabel(_name(panel.label), parse_math=False)
    ax.grid(visible=True, alpha=0.3, linewidth=0.6)
    ax.margins(x=0.01)
    if len(lines) > 1:
        title = f"(the first {_MOST_NAMES} of {len(labels)})" if len(labels) > _MOST_NAMES else ""
        _legend(ax, lines[:_MOST_NAMES], labels[:_MOST_NAMES], title)


def _draw_states(ax: Axes, panel: _Panel, frame: pd.DataFrame, rows: Instants, points: int, gap: int | None) -> None:
    """Draw a strip for each entity."""
    column = panel.columns[0]
    there = present(frame[column])
    codes, states = pd.factorize(frame[column][there].astype(object))
    colors = _TRUTH_COLORS if all(isinstance(one, bool) for one in states) else _STATE_COLORS
    names = [str(one) for one in states]
    if len(states) > _MOST_STATES:
        most = np.argsort(-np.bincount(codes), kind="stable")[: _MOST_STATES - 1]
        number = np.full(len(states), _MOST_STATES - 1)
        number[most] = np.arange(len(most))
        codes, names = number[codes], [*(names[one] for one in most), f"{len(states) - len(most):,} others"]
    else:
        order = np.argsort(np.array(names))
        codes, names = np.argsort(order)[codes], [names[one] for one in order]
    full = np.full(len(frame), -1, np.intp)
    full[there] = codes
    labels = []
    for row, (name, at) in enumerate(_entities(rows)):
        mine, ns = (full, rows.ns) if at is None else (full[at], rows.ns[at])
        known = mine >= 0
        labels.append(str(column if name is None else name))
        for state, starts, lengths in spans_of(ns[known], mine[known], points, gap):
            spans = list(zip(days_of(starts).tolist(), (lengths / 86_400e9).tolist(), strict=True))
            ax.broken_barh(spans, (row - 0.4, 0.8), facecolors=colors[state], linewidth=0)
    every = -(-len(labels) // _MOST_STRIPS)
    ticks = [_name(label) for label in labels[::every]] if labels[1:] else [""]
    ax.set_yticks(range(0, len(labels), every), ticks, parse_math=False)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    if labels[1:]:
        ax.set_ylabel(_name(panel.label), parse_math=False)
    else:
        ax.set_ylabel(_name(panel.label), rotation="horizontal", ha="right", va="center", parse_math=False)
    ax.margins(x=0.01)
    _legend(ax, [Patch(color=colors[number]) for number in range(len(names))], names, "")


def _strips(rows: Instants) -> int:
    """How many strips there are to each column of states."""
    return 1 if rows.entities is None else len(rows.entities)


def _entities(rows: Instants) -> Iterator[tuple[Hashable | None, npt.NDArray[np.intp] | None]]:
    """Each entity and its rows; None and None where there is one series."""
    if rows.entities is None:
        yield None, None
        return
    for number, at in rows.groups():
        yield rows.entities[number], at


def _legend(ax: Axes, handles: Sequence[Artist], labels: Sequence[str], title: str) -> None:
    """Names above the axes, where they hide no data."""
    legend = ax.legend(
        handles, [_name(label) for label in labels], title=title, loc="lower right", bbox_to_anchor=(1, 1),
        ncols=min(5, len(labels)), frameon=False, fontsize=8, borderaxespad=0.2, handlelength=1.6, columnspacing=1.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _name(text: str) -> str:
    """Foreign text beside a picture, as long as there is room for; where it stands a ``$`` begins no formula."""
    return shortened(text, _LONGEST_NAME)


def _time_axis(ax: Axes, tz: tzinfo) -> None:
    """Tell times in the zone of the frame, which is named."""
    locator = mdates.AutoDateLocator(tz=tz, minticks=4, maxticks=9)
    ax.xaxis_date(tz)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, tz=tz))
    ax.set_xlabel(f"time ({tz})")
