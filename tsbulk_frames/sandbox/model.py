"""The sandbox's nouns: assets and their aspects, the rules that are settings, and what a request handler may touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from tsbulk_frames.sandbox.files import FileStore
    from tsbulk_frames.sandbox.registry import AssetStore
    from tsbulk_frames.sandbox.store import SeriesStore

__all__ = ["BENT", "Aspect", "Asset", "DataType", "Rules", "State", "TwinName", "Variable", "rules_of"]

BENT = "sandbox.rules"
"""Extension of a request's scope: the rules that are otherwise for it."""

DataType = Literal["BOOLEAN", "INT", "LONG", "DOUBLE", "STRING", "BIG_STRING", "TIMESTAMP"]
TwinName = Literal["performance", "simulation"]


@dataclass(frozen=True)
class Variable:
    """One property of an aspect."""

    name: str
    data_type: DataType
    unit: str = ""
    quality_code: bool = True
    length: int | None = None


@dataclass(frozen=True)
class Aspect:
    """One property set of an asset, its variables by name."""

    name: str
    variables: dict[str, Variable]
    category: str = "dynamic"
    description: str = ""


@dataclass(frozen=True)
class Asset:
    """One entity."""

    asset_id: str
    name: str
    twin_type: TwinName
    aspects: dict[str, Aspect] = field(default_factory=dict)
    etag: int = 0
    description: str = ""


@dataclass(frozen=True)
class Rules:
    """What the service's documentation leaves open, or what a test wants smaller; each a setting.

    Attributes
    ----------
    closed : {"left", "right"}
        Which partition owns a record at exactly its border: the one that begins there (``"left"``: the calendar
        day ``[00:00, 24:00)``) or the one that ends there (``"right"``).
    compare : {"ns", "us", "ms", "s"}
        Precision at which ``from`` and ``to`` are compared with a record's time; finer digits are cut off both.
    min_age : float
        Seconds that a record of a performance asset must be old to be imported.
    max_range : float
        Seconds that ``to - from`` of a read must stay under.
    max_files : int
        Import files in one job.
    max_hour_bytes, max_day_bytes : int
        Import files of one job together: per hour (simulation), per day (performance).
    page_records : int or None
        Most records on one page, whatever its bytes; None: only bytes count.
    job_seconds : float
        How long a job stays SUBMITTED and then IN_PROGRESS (half each) by the sandbox's clock; its work is done
        in any case. 0: it ends as soon as its work is done.
    job_error : str
        Every job ends in ERROR with this message, and imports nothing; empty: jobs end as they should.
    token_seconds : float
        How long a token lives.
    max_body_bytes : int
        Largest body of one request, whatever it holds; a larger one is refused with 413.
    min_part_bytes, max_parts : int
        Multipart uploads: least size of a part (the last bytes, sent with ``complete``, may be fewer), highest number.
    upload_seconds : float
        How long an unfinished multipart upload is kept.
    multipart_etag : bool
        Whether the answer to ``upload=complete`` tells the ETag, as a plain PUT does; else it must be listed.
    listing_lag : float
        Seconds, by the sandbox's clock, until a write shows in a listing.
    variables_under : {"variables", "aspectType"}
        Where an asset's aspects carry their variables.
    max_list_size : int
        Most assets or aspects on one page of a list; a larger ``size`` is taken for this one.
    """

    closed: Literal["left", "right"] = "left"
    compare: Literal["ns", "us", "ms", "s"] = "ns"
    min_age: float = 30 * 60.0
    max_range: float = 90 * 86_400.0
    max_files: int = 100
    max_hour_bytes: int = 350_000_000
    max_day_bytes: int = 1_000_000_000
    page_records: int | None = None
    job_seconds: float = 0.0
    job_error: str = ""
    token_seconds: float = 30 * 60.0
    max_body_bytes: int = 1_000_000_000
    min_part_bytes: int = 5_000_000
    max_parts: int = 1_000
    upload_seconds: float = 2 * 86_400.0
    multipart_etag: bool = False
    listing_lag: float = 0.0
    variables_under: Literal["variables", "aspectType"] = "variables"
    max_list_size: int = 2_000


def rules_of(scope: Mapping[str, Any], rules: Rules) -> Rules:
    """Rules for one request: those of the sandbox, unless a fault bends them."""
    bent = scope.get("extensions", {}).get(BENT)
    return replace(rules, **bent) if bent else rules


@dataclass(frozen=True)
class State:
    """Everything a request handler may touch; made once by the composition root."""

    root: Path
    clock: Callable[[], float]
    rules: Rules
    page_bytes: int
    assets: AssetStore
    files: FileStore
    series: SeriesStore
