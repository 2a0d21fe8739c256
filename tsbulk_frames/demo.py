"""The main job, shown: a pump station's history goes into the sandbox and comes back the same; floor 8."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tsbulk_frames.connection import Connection, connect
from tsbulk_frames.reader import read_timeseries
from tsbulk_frames.writer import write_timeseries

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Station", "differences", "pump_station", "run_demo"]

Echo = Callable[[str], None]


@dataclass(frozen=True)
class Station:
    """One asset of the pump station and its history.

    Attributes
    ----------
    entity, property_set : str
        The asset and its aspect.
    twin_type : {"performance", "simulation"}
        Kind of the asset.
    types : dict of str to str
        The aspect's properties and their data types.
    frame : pandas.DataFrame
        Its history.
    """

    entity: str
    property_set: str
    twin_type: Literal["performance", "simulation"]
    types: dict[str, str]
    frame: pd.DataFrame = field(repr=False)


def pump_station(records: int = 1_080_000) -> list[Station]:
    """Make up the history of two pumps and of the digital twin of one.

    Parameters
    ----------
    records : int
        Records of all three together.

    Returns
    -------
    list of Station
        Floats, integers beyond 2**53, text, booleans, gaps and quality codes; the same at every call.
    """
    random = np.random.default_rng(1903)
    each = records // 3
    return [
        _pump("pump-north", "2026-03-01", each, "s", random),
        _pump("pump-south", "2026-03-03T12:00", each, "s", random),
        _twin("pump-north-twin", "2026-03-01T06:00", each, "100ms", random),
    ]


def _times(start: str, count: int, step: str, random: np.random.Generator) -> pd.DatetimeIndex:
    """Give a clock that ticks a little off the beat: nanoseconds are there to be lost."""
    beat = pd.date_range(start, periods=count, freq=step, tz="UTC", name="_time", unit="ns")
    return beat + pd.to_timedelta(random.integers(0, 50_000_000, count), unit="ns")


def _with_gaps(values: pd.Series, share: float, random: np.random.Generator) -> pd.Series:
    """Take a share of the values away."""
    return values.mask(random.random(len(values)) < share)


def _pump(entity: str, start: str, count: int, step: str, random: np.random.Generator) -> Station:
    """Measure a real pump: its bearing warms up while its efficiency falls."""
    index = _times(start, count, step, random)
    day = 2 * np.pi * np.arange(count) / 86_400
    running = pd.Series(np.sin(day * 3) > -0.8, index=index)
    pressure = pd.Series((4.2 + 0.4 * np.sin(day) + random.normal(0, 0.03, count)).round(4), index=index)
    flow = pd.Series(
        np.where(running, 118 - 6 * np.linspace(0, 1, count) + random.normal(0, 0.8, count), 0.0), index=index
    )
    frame = pd.DataFrame(
        {
            "pressure": _with_gaps(pressure, 0.02, random),
            "pressure_qc": _with_gaps(
                pd.Series(random.choice([0, 64, 192], count), index=index).astype("Int64"), 0.5, random
            ),
            "flow": flow.round(3),
            "turns": pd.Series(2**53 + 1 + np.cumsum(np.where(running, 24, 0)), index=index),
            "running": running,
            "state": _with_gaps(
                pd.Series(np.where(running, "läuft", "stand-by"), index=index, dtype="str").astype(object), 0.1, random
            ).astype("str" if pd.__version__ >= "3" else object),
        },
        index=index,
    )
    types = {"pressure": "DOUBLE", "flow": "DOUBLE", "turns": "LONG", "running": "BOOLEAN", "state": "STRING"}
    return Station(entity, "operation", "performance", types, frame)


def _twin(entity: str, start: str, count: int, step: str, random: np.random.Generator) -> Station:
    """Simulate a pump ten times a second."""
    index = _times(start, count, step, random)
    phase = 2 * np.pi * np.arange(count) / 36_000
    step_no = pd.Series(np.arange(count, dtype="int64"), index=index).astype("Int64")
    frame = pd.DataFrame(
        {
            "head": 41.5 + 0.7 * np.sin(phase),
            "residual": random.normal(0, 1e-9, count),
            "iteration": _with_gaps(step_no, 0.05, random),
            "converged": random.random(count) > 0.001,
        },
        index=index,
    )
    types = {"head": "DOUBLE", "residual": "DOUBLE", "iteration": "LONG", "converged": "BOOLEAN"}
    return Station(entity, "model", "simulation", types, frame)


def differences(wrote: pd.DataFrame, read: pd.DataFrame) -> list[str]:
    """Compare two frames value by value: times to the nanosecond, values and what is missing, one line a difference.

    Parameters
    ----------
    wrote, read : pandas.DataFrame
        What was sent, and what came back.

    Returns
    -------
    list of str
        Empty: nothing differs.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsbulk_frames.demo import differences
    >>> times = pd.date_range("2026-03-01", periods=2, freq="s", tz="UTC")
    >>> differences(pd.DataFrame({"a": [1.0, 2.0]}, times), pd.DataFrame({"a": [1.0, 2.5]}, times))
    ["column 'a': 1 of 2 values differ"]
    """
    if list(wrote.columns) != list(read.columns):
        return [f"columns {list(read.columns)} instead of {list(wrote.columns)}"]
    if len(wrote) != len(read):
        return [f"{len(read):,} records instead of {len(wrote):,}"]
    moved = int((wrote.index != read.index).sum())
    found = [f"{moved} of {len(wrote)} times differ"] if moved else []
    for name in wrote.columns:
        sent, came = wrote[name], read[name]
        missing = sent.isna().to_numpy() != came.isna().to_numpy()
        there = sent.notna().to_numpy() & came.notna().to_numpy()
        unequal = sent[there].to_numpy() != came[there].to_numpy()
        count = int(missing.sum()) + int(np.asarray(unequal, dtype=bool).sum())
        if count:
            found.append(f"column {name!r}: {count} of {len(wrote)} values differ")
    return found


@contextmanager
def _step(echo: Echo, what: str, clock: Callable[[], float]) -> Iterator[None]:
    """Say what happened and how long it took."""
    began = clock()
    yield
    echo(f"  {what:<58} {clock() - began:6.2f} s")


def run_demo(
    picture: Path,
    *,
    records: int = 1_080_000,
    echo: Echo = print,
    clock: Callable[[], float] = time.perf_counter,
) -> list[str]:
    """Write a pump station's history to a sandbox, read it back, compare, and draw it.

    Parameters
    ----------
    picture : pathlib.Path
        Where the PNG picture goes.
    records : int
        Records of all assets together.
    echo : callable
        Takes each line of the story.
    clock : callable
        Seconds, for the times told.

    Returns
    -------
    list of str
        What differs between what was written and what was read; empty if all is well.
    """
    from tsbulk_frames.sandbox import Sandbox

    began = clock()
    with _step(echo, f"make up {records:,} records of three assets", clock):
        stations = pump_station(records)
    found: list[str] = []
    with Sandbox() as sandbox, connect(sandbox.url, credentials=sandbox.credentials) as connection:
        echo(f"  a sandbox answers at {sandbox.url}")
        for station in stations:
            sandbox.add_asset(
                station.entity, twin_type=station.twin_type, aspects={station.property_set: station.types}
            )
            back = _there_and_back(station, connection, echo, clock)
            found += [f"{station.entity}: {line}" for line in differences(station.frame, back)]
    with _step(echo, f"draw {picture}", clock):
        draw(stations, picture)
    for line in found:
        echo(f"  DIFFERS: {line}")
    total = sum(len(station.frame) for station in stations)
    verdict = f"{len(found)} differences" if found else "every value came back the same"
    echo(f"{total:,} records there and back in {clock() - began:.1f} s: {verdict}")
    return found


def _there_and_back(station: Station, connection: Connection, echo: Echo, clock: Callable[[], float]) -> pd.DataFrame:
    """Write one asset's history and read it again."""
    frame = station.frame
    unit = "days" if station.twin_type == "performance" else "hours"
    began = clock()
    report = write_timeseries(frame, station.entity, station.property_set, connection=connection)
    size = sum(one.bytes for one in report.partitions) / 1e6
    what = f"{station.entity}: {len(frame):,} records, {size:.0f} MB, {len(report)} import jobs ({unit})"
    echo(f"  {what:<58} {clock() - began:6.2f} s")
    with _step(echo, f"{station.entity}: read back", clock):
        start, end = frame.index[0], frame.index[-1]
        return read_timeseries(
            station.entity, station.property_set, start, end, inclusive="both", connection=connection
        )


def draw(stations: list[Station], picture: Path) -> None:
    """Save one PNG picture of the pump station's history.

    Raises
    ------
    ModuleNotFoundError
        matplotlib, of the extra ``plot``, is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    north, south, twin = stations
    axes = figure.subplots(3, 1)
    _draw_pump(axes[0], north)
    _draw_pump(axes[1], south)
    hourly = twin.frame["head"].resample("1min").mean()
    axes[2].plot(hourly.index, hourly, color="tab:purple", linewidth=1)
    axes[2].set_title(f"{twin.entity} (simulation): head, mean of each minute", loc="left", fontsize=10)
    axes[2].set_ylabel("m")
    figure.suptitle("A pump station, written to the sandbox and read back")
    figure.savefig(picture, format="png", dpi=110)


def _draw_pump(axes: Axes, station: Station) -> None:
    """Flow while running, with pressure on a second axis."""
    frame = station.frame
    flow = frame["flow"].where(frame["running"]).resample("5min").mean()
    pressure = frame["pressure"].resample("5min").mean()
    axes.plot(flow.index, flow, color="tab:blue", linewidth=1, label="flow, m³/h")
    axes.set_ylabel("m³/h")
    axes.set_title(f"{station.entity} (performance): mean of five minutes while running", loc="left", fontsize=10)
    right = axes.twinx()
    right.plot(pressure.index, pressure, color="tab:orange", linewidth=1, label="pressure, bar")
    right.set_ylabel("bar")
    lines = [*axes.get_lines(), *right.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="lower left", fontsize=8)
