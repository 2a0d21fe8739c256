"""The nouns: series, time range, twin type, the service's limits; floor 1, pure.

The frame contract
------------------
What the readers return and the writers take:

- index ``_time``: ``datetime64[ns, UTC]`` (or the zone asked for), strictly increasing;
- one column a property; its quality code, where there is one, right beside it as ``<property>_qc``, a nullable
  integer;
- a missing cell is missing (NaN, NA or None after the column's type), never zero, never an empty text;
- ``attrs`` carry ``entity``, ``property_set`` and ``range``;
- nothing found: 0 rows, the same index type.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

import pandas as pd

from tsbulk_frames.errors import FrameError

__all__ = [
    "Closed",
    "Inclusive",
    "Moment",
    "Series",
    "TimeRange",
    "TwinType",
    "check_name",
    "format_time",
    "is_quality_code",
    "parse_moment",
]

TIME = "_time"
"""Name of the time in a record and of the index of a frame."""
QC_SUFFIX = "_qc"
"""A property's quality code travels as ``<property>_qc``."""

NS_PER_MS = 1_000_000
NS_PER_SECOND = 1_000_000_000
NS_PER_HOUR = 3_600 * NS_PER_SECOND
NS_PER_DAY = 24 * NS_PER_HOUR

MAX_WINDOW_NS = 90 * NS_PER_DAY
"""``to - from`` of one read request must be *under* this (``GET /timeseries``)."""
MAX_FILES_PER_JOB = 100
"""Import files in one job (``POST /importJobs``)."""
MIN_AGE_NS = 30 * 60 * NS_PER_SECOND
"""Records of performance assets must be older than this to be imported (``POST /importJobs``)."""
MB = 1_000_000
MIN_NS, MAX_NS = -(2**63) + 1, 2**63 - 1
"""What ``datetime64[ns]`` can hold: 1677-09-21 to 2262-04-11."""

Inclusive: TypeAlias = Literal["left", "right", "both", "neither"]
Closed: TypeAlias = Literal["left", "right"]
Moment: TypeAlias = str | dt.datetime | dt.date | pd.Timestamp


class TwinType(StrEnum):
    """Kind of an asset: it decides how its history is cut for import (``GET /assets/{id}``: ``twinType``)."""

    PERFORMANCE = "performance"
    SIMULATION = "simulation"

    @property
    def partition_ns(self) -> int:
        """Length of one partition in nanoseconds: a UTC day, or a UTC hour for simulation assets."""
        return NS_PER_DAY if self is TwinType.PERFORMANCE else NS_PER_HOUR

    @property
    def max_partition_bytes(self) -> int:
        """Import files of one partition together: 1 GB a day, 350 MB an hour for simulation assets."""
        return 1_000 * MB if self is TwinType.PERFORMANCE else 350 * MB

    @property
    def min_age_ns(self) -> int:
        """Records must be older than this: 30 minutes, nothing for simulation assets."""
        return MIN_AGE_NS if self is TwinType.PERFORMANCE else 0

    @classmethod
    def parse(cls, value: str | TwinType) -> TwinType:
        """Accept the service's spelling.

        Raises
        ------
        FrameError
            Anything but ``"performance"`` and ``"simulation"``.
        """
        try:
            return cls(value)
        except ValueError:
            raise FrameError(
                f"twin_type={value!r} is not known; accepted are 'performance', 'simulation', or None to ask the asset"
            ) from None


def is_quality_code(name: str) -> bool:
    """Whether a column name is that of a quality code."""
    return name.endswith(QC_SUFFIX) and len(name) > len(QC_SUFFIX)


def check_name(name: str, value: object) -> None:
    """Refuse what is no name of an entity or property set.

    Raises
    ------
    FrameError
        Not a text, empty, or a step in a path (``.``, ``..``).
    """
    if not isinstance(value, str) or not value.strip() or value in (".", ".."):
        raise FrameError(f"{name}={value!r} is not a name; give the {name.replace('_', ' ')} as a non-empty str")


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: an aspect (`property_set`) of an asset (`entity`)."""

    entity: str
    property_set: str

    def __post_init__(self) -> None:
        for name in ("entity", "property_set"):
            check_name(name, getattr(self, name))

    def __str__(self) -> str:
        return f"{self.entity}/{self.property_set}"


_ISO = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<clock>\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)\s?(?P<zone>Z|z|[+-]\d{2}(?::?\d{2})?)?)?"
)


def parse_moment(value: Moment, name: str) -> int:
    """Nanoseconds since the epoch of a moment given by the caller.

    Parameters
    ----------
    value : str, datetime, date or pandas.Timestamp
        Offsets are honoured. An ISO 8601 string without one, and a date, mean UTC; a date is its midnight.
        A naive `datetime` or `Timestamp` is refused: it means another moment on every machine.
    name : str
        What the caller calls it, for the message.

    Returns
    -------
    int
        Exact to the nanosecond.

    Raises
    ------
    FrameError
        Naive, not a time, or outside of what nanoseconds in 64 bits can hold (1677 to 2262).
    """
    if isinstance(value, str):
        match = _ISO.fullmatch(value.strip())
        if match is None:
            raise FrameError(
                f"{name}={value!r} is not an ISO 8601 time; write it like '2026-03-01' or '2026-03-01T10:00:00.5+01:00'"
            )
        text = value.strip().replace(",", ".")
        if match["zone"] is None:
            text += "Z" if match["clock"] else "T00:00Z"
        stamp = _timestamp(text, value, name)
    elif isinstance(value, dt.datetime):  # pandas.Timestamp and NaT are datetimes too
        stamp = _timestamp(value, value, name)
        if stamp.tzinfo is None:
            raise FrameError(
                f"{name}={value!r} has no time zone; add one, e.g. {name}.replace(tzinfo=datetime.timezone.utc) "
                "or pandas.Timestamp(..., tz='Europe/Berlin')"
            )
    elif isinstance(value, dt.date):
        stamp = _timestamp(value.isoformat() + "T00:00Z", value, name)
    else:
        raise FrameError(
            f"{name}={value!r} is a {type(value).__name__}; accepted are str, datetime, date and pandas.Timestamp"
        )
    return int(stamp.value)


def _timestamp(value: str | dt.datetime, given: object, name: str) -> pd.Timestamp:
    """Nanosecond timestamp, or the one error for all that pandas may say."""
    try:
        stamp = pd.Timestamp(value)
        if isinstance(stamp, pd.Timestamp):
            return stamp.as_unit("ns")
    except (ValueError, OverflowError) as error:  # pandas' out-of-bounds error is a ValueError
        raise FrameError(f"{name}={given!r} cannot be used: {error}; accepted are times from 1678 to 2262") from error
    raise FrameError(f"{name}={given!r} is not a time; give a str, datetime, date or pandas.Timestamp")


def format_time(ns: int) -> str:
    """ISO 8601 with ``Z`` and only as many fraction digits as the value has (0, 3, 6 or 9)."""
    seconds, fraction = divmod(ns, NS_PER_SECOND)
    text = (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    if fraction:
        digits = f"{fraction:09d}"
        while digits.endswith("000"):
            digits = digits[:-3]
        text += f".{digits}"
    return text + "Z"


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A stretch of time in integer nanoseconds, half open: ``[start_ns, stop_ns)``."""

    start_ns: int
    stop_ns: int

    @classmethod
    def parse(cls, start: Moment, end: Moment, inclusive: Inclusive = "left") -> TimeRange:
        """From what the caller wrote, whichever ends are to be included.

        Raises
        ------
        FrameError
            See `parse_moment`; also an end before the start, or an unknown `inclusive`.
        """
        if inclusive not in ("left", "right", "both", "neither"):
            raise FrameError(f"inclusive={inclusive!r} is not known; accepted are 'left', 'right', 'both', 'neither'")
        first, last = parse_moment(start, "start"), parse_moment(end, "end")
        if first > last:
            raise FrameError(
                f"the range ends before it starts: start={format_time(first)}, end={format_time(last)}; swap them"
            )
        lower = first if inclusive in ("left", "both") else first + 1
        upper = last + 1 if inclusive in ("right", "both") else last
        return cls(lower, max(lower, upper))

    @property
    def empty(self) -> bool:
        """Whether no instant lies inside."""
        return self.start_ns >= self.stop_ns

    def __str__(self) -> str:
        return f"[{format_time(self.start_ns)}, {format_time(self.stop_ns)})"
