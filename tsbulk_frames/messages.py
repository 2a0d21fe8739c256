"""What the operations take: request models under the vendor's names; pure. What they give is in ``answers``.

Requests can be filled attribute by attribute, as in the vendor's samples, or by keyword; a name they do not know is
refused at once.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from tsbulk_frames.answers import ImportJob, JobStatus, Timeseries
from tsbulk_frames.errors import FrameError
from tsbulk_frames.model import Moment, format_time, parse_moment

__all__ = [
    "BulkImportInput",
    "CreateImportJobRequest",
    "Data",
    "FileInfo",
    "ImportJob",
    "JobStatus",
    "RetrieveImportJobRequest",
    "RetrieveTimeseriesRequest",
    "Timeseries",
]


_Model = TypeVar("_Model")


def expect(value: object, kind: type[_Model], where: str) -> _Model:
    """Refuse a model in the wrong place before its fields are missed.

    Raises
    ------
    FrameError
        It is none of this kind.
    """
    if not isinstance(value, kind):
        raise FrameError(f"{where} is a {type(value).__name__}; give a {kind.__name__}")
    return value


class _Request:
    """Refuses attributes that are not fields, as a mistyped name would silently send something else."""

    def __setattr__(self, name: str, value: object) -> None:
        known = [item.name for item in fields(self)]  # type: ignore[arg-type]  # only dataclasses inherit this
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise AttributeError(f"{type(self).__name__} has no field {name!r}; it has {', '.join(known)}{hint}")
        object.__setattr__(self, name, value)

    def required(self, name: str) -> object:
        """Value of a field that has to be filled by the time of the request.

        Raises
        ------
        FrameError
            It is None or empty.
        """
        value: object = getattr(self, name)
        if value is None or (isinstance(value, str | list | tuple) and not value):
            raise FrameError(f"{type(self).__name__}.{name}={value!r} is missing; set it before the request")
        return value

    def text(self, name: str) -> str:
        """Value of a required field that is a str.

        Raises
        ------
        FrameError
            It is missing or no str.
        """
        value = self.required(name)
        if not isinstance(value, str) or not value.strip():
            raise FrameError(f"{type(self).__name__}.{name}={value!r} cannot be used; give a non-empty str")
        return value

    def listed(self, name: str, kind: type[_Model]) -> list[_Model]:
        """Items of a required field that is a list of models.

        Raises
        ------
        FrameError
            It is missing, no list, or holds something else.
        """
        value = self.required(name)
        where = f"{type(self).__name__}.{name}"
        if not isinstance(value, list | tuple):
            raise FrameError(f"{where} is a {type(value).__name__}; give a list of {kind.__name__}")
        return [expect(item, kind, f"{where}[{at}]") for at, item in enumerate(value)]

    def time(self, name: str) -> str:
        """Value of a required time field: a str as it is, anything else as ISO 8601 with ``Z``.

        Raises
        ------
        FrameError
            It is missing or no time.
        """
        value = self.required(name)
        if isinstance(value, dt.date):
            return format_time(parse_moment(value, f"{type(self).__name__}.{name}"))
        return self.text(name)


@dataclass(kw_only=True)
class RetrieveTimeseriesRequest(_Request):
    """One page of one time series.

    Attributes
    ----------
    entity, property_set_name : str
        The asset and its aspect.
    _from, to : str, datetime, date or pandas.Timestamp
        The range ``(_from, to]``, less than 90 days. A str is sent as it is (ISO 8601 with ``Z``).
    limit : int, optional
        Records to return at most.
    select : str or sequence of str, optional
        Names of the properties; all when None.
    sort : str, optional
        Sent as it is.

    Examples
    --------
    >>> from tsbulk_frames.messages import RetrieveTimeseriesRequest
    >>> request = RetrieveTimeseriesRequest(entity="5908ae5c", property_set_name="pump")
    >>> request._from = "2020-11-11T02:50:00Z"
    >>> request.to_ = "2020-11-11T03:50:00Z"
    Traceback (most recent call last):
    AttributeError: RetrieveTimeseriesRequest has no field 'to_'; it has entity, ... did you mean 'to'?
    """

    entity: str | None = None
    property_set_name: str | None = None
    _from: Moment | None = None
    to: Moment | None = None
    limit: int | None = None
    select: str | Sequence[str] | None = None
    sort: str | None = None

    def query(self) -> dict[str, str]:
        """Spell out the query of ``GET /timeseries/{entity}/{propertySetName}``."""
        return read_query(self.time("_from"), self.time("to"), limit=self.limit, select=self.select, sort=self.sort)


def read_query(
    from_: str, to: str, *, limit: int | None = None, select: str | Sequence[str] | None = None, sort: str | None = None
) -> dict[str, str]:
    """Spell out what one page is asked for with.

    Raises
    ------
    FrameError
        `limit` is not an int from 1, or `select` holds no names.
    """
    query = {"from": from_, "to": to}
    if limit is not None:
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise FrameError(f"limit={limit!r} is not accepted; give an int from 1, or None for all")
        query["limit"] = str(limit)
    if select is not None:
        names = [select] if isinstance(select, str) else list(select) if isinstance(select, Iterable) else []
        if not names or not all(isinstance(name, str) and name for name in names):
            raise FrameError(f"select={select!r} names nothing; give property names, or None for all")
        query["select"] = ",".join(names)
    if sort is not None:
        if not isinstance(sort, str):
            raise FrameError(f"sort={sort!r} is not accepted; give a str, or None")
        query["sort"] = sort
    return query


@dataclass(kw_only=True)
class FileInfo(_Request):
    """One import file of a job.

    Attributes
    ----------
    file_path : str
        Its path in the file service, under the job's entity.
    _from, to : str, datetime, date or pandas.Timestamp
        ``_time`` of its first and last record.

    Examples
    --------
    >>> from tsbulk_frames.messages import FileInfo
    >>> FileInfo(file_path="a.json", _from="2020-12-16T04:30:00.01Z", to="2020-12-16T04:35:00.30Z").file_path
    'a.json'
    """

    file_path: str | None = None
    _from: Moment | None = None
    to: Moment | None = None

    def to_wire(self) -> dict[str, object]:
        """Spell it as in the body of ``POST /importJobs``."""
        return {"filePath": self.text("file_path"), "from": self.time("_from"), "to": self.time("to")}


@dataclass(kw_only=True)
class Data(_Request):
    """The target of a job, and its import files.

    Attributes
    ----------
    entity, property_set_name : str
        The asset and its aspect.
    timeseries_files : list of FileInfo
        At most 100, consecutive in time.

    Examples
    --------
    >>> from tsbulk_frames.messages import Data, FileInfo
    >>> Data(entity="5908ae5c", property_set_name="pump", timeseries_files=[FileInfo(file_path="a.json")]).entity
    '5908ae5c'
    """

    entity: str | None = None
    property_set_name: str | None = None
    timeseries_files: Sequence[FileInfo] | None = None

    def to_wire(self) -> dict[str, object]:
        """Spell it as in the body of ``POST /importJobs``."""
        return {
            "entity": self.text("entity"),
            "propertySetName": self.text("property_set_name"),
            "timeseriesFiles": [file.to_wire() for file in self.listed("timeseries_files", FileInfo)],
        }


@dataclass(kw_only=True)
class BulkImportInput(_Request):
    """The body of an import job.

    Attributes
    ----------
    data : list of Data
        The service takes exactly one.

    Examples
    --------
    >>> from tsbulk_frames.messages import BulkImportInput, Data
    >>> len(BulkImportInput(data=[Data()]).data)
    1
    """

    data: Sequence[Data] | None = None

    def to_wire(self) -> dict[str, object]:
        """Spell it as the body of ``POST /importJobs``."""
        return {"data": [data.to_wire() for data in self.listed("data", Data)]}


@dataclass(kw_only=True)
class CreateImportJobRequest(_Request):
    """Start an import job.

    Attributes
    ----------
    bulk_import_input : BulkImportInput
        What to import, and where to.

    Examples
    --------
    >>> from tsbulk_frames.messages import BulkImportInput, CreateImportJobRequest
    >>> CreateImportJobRequest(bulk_import_input=BulkImportInput()).bulk_import_input.data is None
    True
    """

    bulk_import_input: BulkImportInput | None = None

    def to_wire(self) -> dict[str, object]:
        """Spell it as the body of ``POST /importJobs``; FrameError names what is missing."""
        given = self.required("bulk_import_input")
        return expect(given, BulkImportInput, "CreateImportJobRequest.bulk_import_input").to_wire()


@dataclass(kw_only=True)
class RetrieveImportJobRequest(_Request):
    """Ask for the state of an import job.

    Attributes
    ----------
    id : str
        As given when the job was created.

    Examples
    --------
    >>> from tsbulk_frames.messages import RetrieveImportJobRequest
    >>> RetrieveImportJobRequest(id="4e37b10a").id
    '4e37b10a'
    """

    id: str | None = None
