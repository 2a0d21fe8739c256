"""Frames and pages of three shapes, made anew from a seed; and the clock of the benchmarks."""

import gc
import json
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

SHAPES = ("typical", "narrow", "wide")


def frame(shape: str, rows: int) -> pd.DataFrame:
    """Make a frame: narrow is one float, typical five mixed columns with gaps and codes, wide sixty floats."""
    random = np.random.default_rng(0)
    ns = np.arange(rows) * 200_000_000 + random.integers(0, 10**8, rows) + 1_767_225_600_000_000_000
    if shape != "narrow":
        ns = ns // 1000 * 1000
    index = pd.DatetimeIndex(ns.view("M8[ns]"), name="_time").tz_localize("UTC")

    def gaps(values: np.ndarray, share: float, dtype: str) -> pd.Series:
        return pd.Series(values, index=index).astype(dtype).mask(random.random(rows) < share)

    if shape == "narrow":
        return pd.DataFrame({"value": random.normal(45, 5, rows).round(4)}, index=index)
    if shape == "wide":
        cells = random.normal(45, 5, (60, rows)).round(4)
        cells[::10][random.random((6, rows)) < 0.02] = np.nan
        return pd.DataFrame({f"sensor_{n:02d}": column for n, column in enumerate(cells)}, index=index)
    return pd.DataFrame(
        {
            "temperature": random.normal(45, 5, rows).round(3),
            "temperature_qc": gaps(random.integers(0, 256, rows), 0.5, "Int64"),
            "pressure": gaps(random.normal(94, 3, rows).round(3), 0.05, "float64"),
            "pressure_qc": gaps(random.integers(0, 256, rows), 0.5, "Int64"),
            "rpm": random.integers(0, 5000, rows),
            "state": pd.Series(random.choice(["RUN", "IDLE", "STOP"], rows), index=index),
            "active": random.random(rows) < 0.5,
        },
        index=index,
    )


def pages(shape: str, page_bytes: int, total_bytes: int) -> list[bytes]:
    """Pages of a shape, spelled by `json` alone."""
    probe = len(json.dumps(records(frame(shape, 200)), separators=(",", ":"))) / 200
    rows, step = int(total_bytes / probe), max(1, int(page_bytes / probe))
    every = records(frame(shape, rows))
    return [
        json.dumps(
            {"records": every[at : at + step], "nextRecord": "https://x/a?b=1" if at + step < rows else None},
            separators=(",", ":"),
        ).encode()
        for at in range(0, rows, step)
    ]


def records(df: pd.DataFrame) -> list[dict[str, object]]:
    """Spell a frame as a dict loop does: what a user writes by hand."""
    stamps = [stamp.isoformat().replace("+00:00", "Z") for stamp in df.index]
    columns = [(name, [None if pd.isna(cell) else cell for cell in df[name].tolist()]) for name in df]
    return [
        {"_time": stamp, **{name: cells[at] for name, cells in columns if cells[at] is not None}}
        for at, stamp in enumerate(stamps)
    ]


def best(work: Callable[[], object], times: int = 3) -> float:
    """Least wall-clock seconds of several runs."""
    seconds = []
    for _ in range(times):
        gc.collect()
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
