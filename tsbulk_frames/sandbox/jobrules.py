"""What the contract says of an import job's request: shape, order of files, hour or day, sizes, age."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tsbulk_frames.sandbox.bodies import parse_json
from tsbulk_frames.sandbox.model import Rules, State, TwinName
from tsbulk_frames.sandbox.moments import NS, format_ns, parse_ns
from tsbulk_frames.sandbox.validation import Invalid

__all__ = ["ImportFile", "JobRequest", "check_request", "check_span", "is_edge", "parse_request"]

_LENGTH: dict[TwinName, int] = {"simulation": 3_600 * NS, "performance": 86_400 * NS}
_WORD: dict[TwinName, str] = {"simulation": "hour", "performance": "day"}
_MS = 1_000_000


@dataclass(frozen=True)
class ImportFile:
    """A file of the job, with the times of its first and last record that the client claims, in nanoseconds."""

    path: str
    first: int
    last: int


@dataclass(frozen=True)
class JobRequest:
    """What a client wants imported: files into one series."""

    entity: str
    property_set: str
    files: tuple[ImportFile, ...]


def parse_request(body: bytes, rules: Rules) -> JobRequest:
    """Read the body of ``POST /importJobs``; ``filepath`` is accepted for ``filePath``.

    Raises
    ------
    Invalid
        Not JSON of that shape, not exactly one series, too many files or none, a time that is none.
    """
    try:
        content = parse_json(body)
    except ValueError as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    series = content.get("data") if isinstance(content, dict) else None
    if not isinstance(series, list) or not all(isinstance(item, dict) for item in series):
        raise Invalid("the body needs 'data': a list of objects")
    if len(series) != 1:
        raise Invalid(f"'data' holds {len(series)} series; accepted is exactly one entity and property set per job")
    files = series[0].get("timeseriesFiles")
    if not isinstance(files, list) or not files or not all(isinstance(item, dict) for item in files):
        raise Invalid("'timeseriesFiles' needs to be a list of at least one object")
    if len(files) > rules.max_files:
        raise Invalid(f"'timeseriesFiles' holds {len(files)} files; accepted are at most {rules.max_files}")
    return JobRequest(
        _text(series[0], "entity"), _text(series[0], "propertySetName"), tuple(_parse_file(item) for item in files)
    )


def _parse_file(item: Mapping[str, object]) -> ImportFile:
    """Read one entry of ``timeseriesFiles``."""
    path = _text(item, "filePath" if "filePath" in item else "filepath")
    try:
        return ImportFile(path, parse_ns(_text(item, "from")), parse_ns(_text(item, "to")))
    except ValueError as error:
        raise Invalid(f"file {path!r}: {error}") from None


def _text(item: Mapping[str, object], key: str) -> str:
    """Read a text that must be there."""
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{key!r} needs to be a text, not {json.dumps(value)[:60]}")
    return value


def check_request(request: JobRequest, state: State, *, now: int) -> None:
    """Check everything that can be told without opening a file.

    Parameters
    ----------
    request : JobRequest
        Its asset is known.
    state : State
        Assets, files and rules.
    now : int
        When the job was created, in nanoseconds: ages are reckoned from it.

    Raises
    ------
    Invalid
        Files out of order, overlapping, over the border of an hour or day, too young, missing or too large.
    """
    twin_type = _twin_type(request.entity, state)
    for file in request.files:
        if file.first > file.last:
            raise Invalid(f"file {file.path!r}: from {format_ns(file.first)} is after to {format_ns(file.last)}")
    for before, after in itertools.pairwise(request.files):
        if after.first < before.last:  # equal is possible where both were cut to milliseconds; the records decide
            raise Invalid(
                f"file {after.path!r} begins at {format_ns(after.first)}, before the end of {before.path!r} at "
                f"{format_ns(before.last)}; files of a job are consecutive in time"
            )
    check_span(request.files[0].first, request.files[-1].last, twin_type, state.rules, now=now, cut=True)
    total = 0
    for file in request.files:
        size = state.files.size(request.entity, file.path)
        if size is None:
            raise Invalid(f"file {file.path!r} is not in the file service of {request.entity}")
        total += size
    most = state.rules.max_day_bytes if twin_type == "performance" else state.rules.max_hour_bytes
    if total > most:
        raise Invalid(f"the files have {total} bytes; accepted are {most} for one {_WORD[twin_type]}")


def check_span(first: int, last: int, twin_type: TwinName, rules: Rules, *, now: int, cut: bool = False) -> None:
    """Check that two moments lie in one hour or day and are old enough.

    Parameters
    ----------
    first, last : int
        Nanoseconds since the epoch.
    twin_type : {"simulation", "performance"}
        Hours and no least age, or days and `Rules.min_age`.
    rules : Rules
        Which border belongs to which hour or day, and the least age.
    now : int
        Against what ages are reckoned.
    cut : bool
        Whether `first` may have been cut to milliseconds, so that the record itself lies behind a border.

    Raises
    ------
    Invalid
        They do not.
    """
    after = 0 if rules.closed == "left" else 1
    length = _LENGTH[twin_type]
    candidates = {first, first + _MS - 1} if cut and first % _MS == 0 else {first}
    if (last - after) // length not in {(moment - after) // length for moment in candidates}:
        raise Invalid(
            f"{format_ns(first)} to {format_ns(last)} is more than one UTC {_WORD[twin_type]}; the data of a job for a "
            f"{twin_type} asset lies in the same {_WORD[twin_type]}"
        )
    if twin_type == "performance" and last >= now - int(rules.min_age * NS):
        raise Invalid(
            f"{format_ns(last)} is too young; records of a performance asset are older than {rules.min_age} s"
        )


def is_edge(claimed: int, record: int) -> bool:
    """Whether a file's ``from`` or ``to`` is that record's time, exactly or cut to milliseconds."""
    return claimed in (record, record - record % _MS)


def _twin_type(entity: str, state: State) -> TwinName:
    """Look up what decides between hours and days."""
    asset = state.assets.get(entity)
    if asset is None:
        raise Invalid(f"asset {entity!r} is gone")
    return asset.twin_type
