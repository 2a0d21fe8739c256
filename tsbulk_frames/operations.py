"""The operations of the IoT TS Bulk service, one to one, under the vendor's names; the other clients pass by here."""

from __future__ import annotations

from collections.abc import Sequence

from tsbulk_frames._cut import PageBody
from tsbulk_frames.answers import ImportJob, JobStatus, Timeseries, parse_job, parse_timeseries
from tsbulk_frames.assets import Aspect, Asset, AssetsClient, ListedAsset, Variable
from tsbulk_frames.client import Client
from tsbulk_frames.errors import ProtocolError
from tsbulk_frames.files import FileServiceClient, StoredFile
from tsbulk_frames.messages import (
    BulkImportInput,
    CreateImportJobRequest,
    Data,
    FileInfo,
    RetrieveImportJobRequest,
    RetrieveTimeseriesRequest,
    expect,
    read_query,
)
from tsbulk_frames.stop import Stop
from tsbulk_frames.wire import next_link

__all__ = [
    "Aspect",
    "Asset",
    "AssetsClient",
    "BulkImportInput",
    "BulkImportOperationsClient",
    "CreateImportJobRequest",
    "Data",
    "FileInfo",
    "FileServiceClient",
    "ImportJob",
    "JobStatus",
    "ListedAsset",
    "ReadOperationsClient",
    "RetrieveImportJobRequest",
    "RetrieveTimeseriesRequest",
    "StoredFile",
    "Timeseries",
    "Variable",
]

_BASE = ("api", "iottsbulk", "v3")


class ReadOperationsClient(Client):
    """Reads time series, page by page.

    Takes the parameters of every client: `rest_client_config` and `mindsphere_credentials`, or a `transport`.

    Examples
    --------
    >>> from tsbulk_frames.auth import UserToken
    >>> from tsbulk_frames.config import RestClientConfig
    >>> from tsbulk_frames.operations import ReadOperationsClient
    >>> with ReadOperationsClient(RestClientConfig(), UserToken("abc")) as client:
    ...     client
    ReadOperationsClient(Transport('https://gateway.eu1.mindsphere.io', UserToken(authorization='***')))
    """

    def retrieve_timeseries(self, request: RetrieveTimeseriesRequest) -> Timeseries:
        """Retrieve one page of records.

        Parameters
        ----------
        request : RetrieveTimeseriesRequest
            `entity`, `property_set_name`, `_from` and `to` are required; the range is ``(_from, to]``.

        Returns
        -------
        Timeseries
            Its `next_record` is the URL of the next page; of it only the query can be trusted.

        Raises
        ------
        FrameError
            A required field is missing; before any request.
        PageError, DecodeError
            The answer is no page.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``.
        """
        expect(request, RetrieveTimeseriesRequest, "request")
        segments = (*_BASE, "timeseries", request.text("entity"), request.text("property_set_name"))
        answer = self._transport.request("GET", segments, query=request.query())
        return parse_timeseries(answer.data, next_link(answer.headers.get("Link")))

    def fetch_page(
        self,
        entity: str,
        property_set: str,
        *,
        from_: str,
        to: str,
        limit: int | None = None,
        select: Sequence[str] | None = None,
        stop: Stop | None = None,
    ) -> tuple[PageBody, str | None]:
        """Fetch one page without looking into it.

        Parameters
        ----------
        entity, property_set : str
            The asset and its aspect.
        from_, to : str
            ISO 8601 with ``Z``: the range ``(from_, to]``.
        limit : int, optional
            Records to return at most.
        select : sequence of str, optional
            Names of the properties.
        stop : Stop, optional
            Ends the request when thrown by another thread.

        Returns
        -------
        body : bytes or mmap
            The page.
        link : str or None
            URL of the next page where the answer has it as a ``Link`` header.

        Raises
        ------
        FrameError
            `limit` or `select` cannot be used; before any request.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/iottsbulk/v3/timeseries/{entity}/{propertySetName}``.
        """
        query = read_query(from_, to, limit=limit, select=select)
        answer = self._transport.request("GET", (*_BASE, "timeseries", entity, property_set), query=query, stop=stop)
        return answer.content, next_link(answer.headers.get("Link"))


class BulkImportOperationsClient(Client):
    """Starts import jobs and asks how far they are.

    Takes the parameters of every client: `rest_client_config` and `mindsphere_credentials`, or a `transport`.

    Examples
    --------
    >>> from tsbulk_frames.auth import UserToken
    >>> from tsbulk_frames.config import RestClientConfig
    >>> from tsbulk_frames.operations import BulkImportOperationsClient
    >>> BulkImportOperationsClient(RestClientConfig(), UserToken("abc")).close()
    """

    def create_import_job(self, request: CreateImportJobRequest) -> ImportJob:
        """Start an import job for files that lie in the file service.

        Sent again only when the service certainly has not seen it.

        Parameters
        ----------
        request : CreateImportJobRequest
            All fields of what it holds are required.

        Returns
        -------
        ImportJob
            Mostly ``SUBMITTED``.

        Raises
        ------
        FrameError
            A required field is missing; before any request.
        ServiceError
            4xx: nothing was started. 5xx: the job may run all the same.
        TransportError
            With ``unknown_outcome`` the job may run all the same.
        ProtocolError
            The answer is no import job.

        Notes
        -----
        Source: ``POST /api/iottsbulk/v3/importJobs``.
        """
        expect(request, CreateImportJobRequest, "request")
        answer = self._transport.request("POST", (*_BASE, "importJobs"), json=request.to_wire(), retry="unsent")
        return parse_job(answer.data, answer.headers, created=True)

    def retrieve_import_job(self, request: RetrieveImportJobRequest) -> ImportJob:
        """Ask how far an import job is.

        Parameters
        ----------
        request : RetrieveImportJobRequest
            `id` is required.

        Returns
        -------
        ImportJob

        Raises
        ------
        FrameError
            `id` is missing; before any request.
        NotFoundError
            There is no such job.
        ServiceError, TransportError
            See `Transport.request`.
        ProtocolError
            The answer is no import job, another one, or one in an unknown state.

        Notes
        -----
        Source: ``GET /api/iottsbulk/v3/importJobs/{id}``.
        """
        asked = expect(request, RetrieveImportJobRequest, "request").text("id")
        answer = self._transport.request("GET", (*_BASE, "importJobs", asked))
        job = parse_job(answer.data, answer.headers, created=False)
        if job.id != asked:
            raise ProtocolError(f"import job {asked!r} was asked for, {job.id!r:.200} came back; ask again")
        return job
