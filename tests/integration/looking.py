"""Reads drawn at random, in every way there is, held against the model: exactly what it has, or a typed error."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
from truth import BEGIN, LENGTH, Records, Series, difference, records_below, records_in, records_of

import tsbulk_frames as tsb

WAYS = ("frame", "iter", "arrow", "parquet", "cache", "collect")
_numbers = itertools.count(1)


class Look:
    """One read.

    Parameters
    ----------
    draw : random.Random
        What decides.
    series : list of Series
        What there is; the last one is never written to, so that what is read of it may be kept.
    folder : Path
        For downloads and the cache.
    connection : Connection
        What to read by.
    """

    def __init__(self, draw: random.Random, series: list[Series], folder: Path, connection: tsb.Connection) -> None:
        self.way = draw.choice(WAYS)
        self.errors: dict[str, str] = {}
        """What kept single entities from being read."""
        self._draw, self._folder = draw, folder
        self._series = draw.sample(series, draw.choice([1, 1, 1, 2]))
        if self.way in ("parquet", "cache", "collect"):
            self._series = {"parquet": self._series[:1], "cache": series[-1:], "collect": series[:2]}[self.way]
        length = max(LENGTH[one.twin_type] for one in self._series)
        self._start = BEGIN + draw.randrange(-2, 8) * length + draw.choice([0, 0, draw.randrange(length)])
        self._stop = self._start + draw.randint(1, 6) * length
        self._select = draw.choice([None, None, ["speed"], ["state", "count", "at"]])
        self._limit = None if self.way in ("parquet", "cache") else draw.choice([None, None, 1, 17])
        self._rows, self._leave = draw.randint(1, 40), draw.choice([None, None, None, 0, 1])
        self._entities = [one.entity for one in self._series]
        span = (pd.Timestamp(ns, tz="UTC") for ns in (self._start, self._stop))
        self._args = (self._entities if self._several else self._entities[0], "pump", *span)
        self._more: dict[str, Any] = {"select": self._select, "connection": connection}
        if self._limit is not None:
            self._more["limit"] = self._limit

    def __str__(self) -> str:
        kinds = " and ".join(one.twin_type for one in self._series)
        return f"{self.way} of {kinds} {self._args[2]} to {self._args[3]}, select={self._select}, limit={self._limit}"

    @property
    def _several(self) -> bool:
        return len(self._series) > 1

    def problems(self) -> Iterator[str]:
        """Read, and tell what is not as the model has it; raises what the read raises."""
        ways: dict[str, Callable[[], dict[str, Records]]] = {
            "iter": self._iterate,
            "arrow": self._arrow,
            "parquet": self._download,
        }
        found = ways.get(self.way, self._frame)()
        for series in self._series:
            if series.entity in found:
                wanted = series.wanted(self._start, self._stop, self._select, self._limit)
                if found[series.entity] != wanted:
                    yield f"{self}: {difference(found[series.entity], wanted)}"

    def _by_entity(self, frame: pd.DataFrame) -> dict[str, Records]:
        """Take a frame apart."""
        if not self._several:
            return {self._entities[0]: records_of(frame)}
        there = set(frame.index.get_level_values(0))
        return {one: records_of(frame.xs(one)) if one in there else {} for one in self._entities}

    def _frame(self) -> dict[str, Records]:
        """Read all at once."""
        more = dict(self._more)
        if self.way == "cache":
            more["cache"] = self._folder / "cache"
        if self.way == "collect":
            more["errors"] = "collect"
        frame = tsb.read_timeseries(*self._args, **more)
        self.errors = frame.attrs.get("errors", {})
        found = self._by_entity(frame)
        return {entity: records for entity, records in found.items() if entity not in self.errors}

    def _iterate(self) -> dict[str, Records]:
        """Read frame by frame; sometimes nobody waits for the end."""
        held: dict[str, Records] = {one: {} for one in self._entities}
        frames = tsb.iter_timeseries(*self._args, rows=self._rows, **self._more)
        for number, frame in enumerate(frames):
            for entity, records in self._by_entity(frame).items():
                held[entity] |= {
                    ns: record if ns not in held[entity] else {"twice": ns} for ns, record in records.items()
                }
            if number == self._leave:
                frames.close()  # type: ignore[attr-defined]
                return {}
        return held

    def _arrow(self) -> dict[str, Records]:
        """Read Arrow batches."""
        table = tsb.read_arrow(*self._args, **self._more).read_all()
        if not self._several:
            return {self._entities[0]: records_in(table)}
        return {one: records_in(table.filter(pc.equal(table["entity"], one))) for one in self._entities}

    def _download(self) -> dict[str, Records]:
        """Download; what broke off is gone on with, once."""
        folder = self._folder / f"download-{next(_numbers)}"
        try:
            tsb.download_parquet(*self._args, folder, **self._more)
        except tsb.TsBulkError:
            tsb.download_parquet(*self._args, folder, **self._more)
        return {self._entities[0]: records_below(folder)}
