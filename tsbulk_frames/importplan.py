"""What an import would be: its partitions, and every rule it would break; floor 5, pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from tsbulk_frames._html import Badge, as_box, as_head, as_list, as_table
from tsbulk_frames._text import MOST_ROWS, as_columns, as_count, as_item, as_size, in_line, pick, wrapped
from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import Series, TwinType
from tsbulk_frames.partition import STAGING_BYTES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ImportPlan", "PlannedPartition", "Problem", "ProblemList"]

_MOST_LINES, _MOST_PROBLEMS, _MOST_NOTES = 10, 10, 20
_NUMBERS = re.compile(r"[\d.]+")


@dataclass(frozen=True, slots=True)
class PlannedPartition:
    """One partition of a plan; it will be one import job.

    Attributes
    ----------
    partition : str
        The UTC hour (``2026-03-01T05``) or day (``2026-03-01``).
    rows : int
        Records.
    first, last : str
        ``_time`` of the first and last record, ISO 8601, exact.
    files, bytes : int
        Import files, and what they hold together; estimated.
    """

    partition: str
    rows: int
    first: str
    last: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One rule that would be broken.

    Attributes
    ----------
    partition : str or None
        Where, if it is a matter of one partition.
    column : str or None
        Where, if it is a matter of one column.
    error : FrameError
        What `tsbulk_frames.write_timeseries` would raise.
    times : int
        In how many pieces of the data; `error` is that of the first.
    """

    partition: str | None
    column: str | None
    error: FrameError
    times: int = 1

    @property
    def message(self) -> str:
        """What is wrong, the value seen, what is accepted, and the next step."""
        return str(self.error) + (f" (and {self.times - 1:,} times more, further on)" if self.times > 1 else "")


class ProblemList:
    """Problems as they come up; the same one in a later piece of the data is counted, not kept again."""

    def __init__(self) -> None:
        self._found: dict[tuple[str | None, str | None, str], Problem] = {}

    def tell(self, error: FrameError, partition: str | None = None) -> None:
        """Take a broken rule; those that differ in nothing but counts and times are the same."""
        key = (partition, error.column, _NUMBERS.sub("#", str(error)))
        known = self._found.get(key)
        error.__traceback__ = None  # its frames hold the data
        self._found[key] = (
            Problem(partition, error.column, error) if known is None else replace(known, times=known.times + 1)
        )

    def to_list(self) -> list[Problem]:
        """In the order they came up."""
        return list(self._found.values())


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would be: like a frame, a row per partition (one import job each).

    Attributes
    ----------
    series : Series
        Whose data it is.
    twin_type : TwinType
        Kind of the asset: partitions are UTC days (performance) or UTC hours (simulation).
    partitions : list of PlannedPartition
        In time order.
    problems : list of Problem
        Every rule that would be broken; what is at fault is planned as far as it can be.

    Examples
    --------
    >>> from tsbulk_frames.importplan import ImportPlan, PlannedPartition
    >>> from tsbulk_frames.model import Series, TwinType
    >>> day = PlannedPartition("2026-03-01", 86_400, "2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z", 1, 9_800_000)
    >>> plan = ImportPlan(Series("pump-1", "flow"), TwinType.PERFORMANCE, [day], [])
    >>> print(repr(plan).partition(",")[0])
    ImportPlan of pump-1/flow: 1 partition (UTC day)
    >>> plan.ok, plan.jobs, plan.disk_bytes
    (True, 1, 9800000)
    """

    series: Series
    twin_type: TwinType
    partitions: list[PlannedPartition]
    problems: list[Problem]

    @property
    def rows(self) -> int:
        """Records of all partitions together."""
        return sum(one.rows for one in self.partitions)

    @property
    def bytes(self) -> int:
        """Bytes of all import files together; estimated."""
        return sum(one.bytes for one in self.partitions)

    @property
    def files(self) -> int:
        """Import files of all partitions together; estimated."""
        return sum(one.files for one in self.partitions)

    @property
    def jobs(self) -> int:
        """Import jobs: one for each partition."""
        return len(self.partitions)

    @property
    def disk_bytes(self) -> int:
        """Bytes that import files take on this machine's disk at most at once; estimated."""
        return min(self.bytes, STAGING_BYTES + max((one.bytes for one in self.partitions), default=0))

    @property
    def ok(self) -> bool:
        """Whether no rule would be broken."""
        return not self.problems

    def raise_for_problems(self) -> None:
        """Raise if any rule would be broken.

        Raises
        ------
        FrameError
            The first one; a note tells of the others.
        """
        if self.ok:
            return
        error = self.problems[0].error
        others = [f"- {one.message}" for one in self.problems[1:]]
        if others and not getattr(error, "__notes__", None):
            more = [f"- and {len(others) - _MOST_NOTES:,} more: see plan_import(...)"] if others[_MOST_NOTES:] else []
            error.add_note("\n".join(["further rules that would be broken:", *others[:_MOST_NOTES], *more]))
        raise error

    def to_frame(self) -> pd.DataFrame:
        """As a DataFrame.

        Returns
        -------
        pandas.DataFrame, shape (n_partitions, 6)
            Columns as the attributes of `PlannedPartition`: text, ``int64``, and ``datetime64[ns, UTC]`` for `first`
            and `last`.
        """
        frame = _frame(self.partitions, PlannedPartition.__slots__)
        for name in ("first", "last"):
            stamps = pd.to_datetime(frame[name].to_numpy(object), format="ISO8601", utc=True)
            frame[name] = pd.DatetimeIndex(stamps).as_unit("ns")
        return frame.astype({"partition": "str", "rows": "int64", "files": "int64", "bytes": "int64"})

    def problems_frame(self) -> pd.DataFrame:
        """As a DataFrame, what is wrong.

        Returns
        -------
        pandas.DataFrame, shape (n_problems, 4)
            ``partition`` and ``column`` (missing where it is not a matter of one), ``times`` (pieces of the data),
            ``message``.
        """
        return _frame(self.problems, ("partition", "column", "times", "message")).astype({"times": "int64"})

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw what would be imported: a bar for each partition, as high as it has bytes; problems are marked.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: a new figure of pyplot's.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ModuleNotFoundError
            The extra ``plot`` is not installed.
        """
        import tsbulk_frames.plot  # noqa: F401  (tells which extra is missing)
        from tsbulk_frames._heat import bars

        number = len(self.problems)
        return bars(
            self.partitions,
            f"{in_line(str(self.series))}: {self._head()}",
            warning=f"{as_count(number, 'rule')} would be broken, see .problems_frame()" if number else "",
            wrong={one.partition for one in self.problems if one.partition is not None},
            days=self.twin_type is TwinType.PERFORMANCE,
            ax=ax,
        )

    def __len__(self) -> int:
        return len(self.partitions)

    def __iter__(self) -> Iterator[str]:
        return iter(PlannedPartition.__slots__)

    def __getitem__(self, column: str) -> pd.Series:
        return self.to_frame()[column]

    def __repr__(self) -> str:
        parts = [wrapped(f"ImportPlan of {self.series}: {self._head()}")]
        if self.problems:
            parts += [wrapped(self._warning()), *(as_item(one.message) for one in self.problems[:_MOST_PROBLEMS])]
        if self.partitions:
            parts.append(as_columns(*self._brief(_MOST_LINES)))
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        parts = [as_head("ImportPlan", f"of {in_line(str(self.series))}: {self._head()}")]
        if self.problems:
            parts.append(as_list(self._warning(), [one.message for one in self.problems[:_MOST_PROBLEMS]]))
        if self.partitions:
            names, rows, of = self._brief(MOST_ROWS)
            for row in rows[: len(rows) if names[-1] == "problems" else 0]:
                if row is not None:
                    row[-1] = Badge(f"{row[-1]}", "bad") if row[-1] else ""
            parts.append(as_table(names, rows, of))
        return as_box(*parts)

    def _head(self) -> str:
        """In words."""
        if not self.partitions:
            return "nothing to import"
        unit = "UTC day" if self.twin_type is TwinType.PERFORMANCE else "UTC hour"
        return (
            f"{as_count(len(self), 'partition')} ({unit}{'s' * (len(self) != 1)}), {as_count(self.rows, 'record')}, "
            f"≈ {as_size(self.bytes)} in {as_count(self.files, 'file')}, {as_count(self.jobs, 'job')}, "
            f"at most {as_size(self.disk_bytes)} of disk"
        )

    def _warning(self) -> str:
        """Say that it would not go through, and where the rest of the reasons is."""
        rest = f"; the first {_MOST_PROBLEMS} of them, all are in .problems_frame()"
        return (
            f"It cannot be imported like this, {as_count(len(self.problems), 'rule')} would be broken"
            f"{rest if self.problems[_MOST_PROBLEMS:] else ''}:"
        )

    def _brief(self, most: int) -> tuple[list[str], list[list[object] | None], int]:
        """Columns and rows narrow enough for a terminal (the partition's name tells the day), and of how many."""
        wrong = Counter(one.partition for one in self.problems if one.partition is not None)
        names = ["partition", "rows", "first", "last", "files", "bytes", *(["problems"] if wrong else [])]
        rows: list[list[object] | None] = [
            None
            if one is None
            else [one.partition, one.rows, one.first[11:19], one.last[11:19], one.files, as_size(one.bytes)]
            + ([wrong[one.partition]] if wrong else [])
            for one in pick(self.partitions, [one.partition in wrong for one in self.partitions], most)
        ]
        return names, rows, len(self)


def _frame(items: Sequence[object], names: Sequence[str]) -> pd.DataFrame:
    """Table of some attributes."""
    return pd.DataFrame([[getattr(one, name) for name in names] for one in items], columns=list(names))
