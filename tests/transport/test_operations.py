"""Reading pages and starting import jobs: what is sent, and every form of answer the contract allows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import requests_mock

from tsbulk_frames.auth import UserToken
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.errors import (
    ConfigError,
    DecodeError,
    FrameError,
    NotFoundError,
    PageError,
    ProtocolError,
    ServiceError,
    TransportError,
)
from tsbulk_frames.operations import (
    BulkImportInput,
    BulkImportOperationsClient,
    CreateImportJobRequest,
    Data,
    FileInfo,
    FileServiceClient,
    JobStatus,
    ReadOperationsClient,
    RetrieveImportJobRequest,
    RetrieveTimeseriesRequest,
)
from tsbulk_frames.transport import Transport
from tsbulk_frames.wire import next_link

BASE = "https://gateway.test/api/iottsbulk/v3"
Connect = Callable[..., Transport]


@pytest.fixture
def mock() -> Iterator[requests_mock.Mocker]:
    """Answer requests without a socket."""
    with requests_mock.Mocker(case_sensitive=True) as mocker:
        yield mocker


@pytest.fixture
def reads(connect: Connect) -> ReadOperationsClient:
    """Give a client for reading."""
    return ReadOperationsClient(transport=connect())


@pytest.fixture
def imports(connect: Connect) -> BulkImportOperationsClient:
    """Give a client for import jobs."""
    return BulkImportOperationsClient(transport=connect())


def page_request(**more: object) -> RetrieveTimeseriesRequest:
    """Fill what is required."""
    settings = {
        "entity": "e1",
        "property_set_name": "p 1",
        "_from": "2020-11-11T02:50:00Z",
        "to": "2020-11-11T03:52:00Z",
    }
    return RetrieveTimeseriesRequest(**{**settings, **more})


def job_request(**more: object) -> CreateImportJobRequest:
    """Fill what is required, with `more` in the one file."""
    info = FileInfo(
        **{"file_path": "d/a.json", "_from": "2020-12-16T04:30:00.01Z", "to": "2020-12-16T04:35:00.30Z", **more}
    )
    data = Data(entity="e1", property_set_name="p1", timeseries_files=[info])
    return CreateImportJobRequest(bulk_import_input=BulkImportInput(data=[data]))


# Reading


def test_what_a_page_is_asked_with(mock: requests_mock.Mocker, reads: ReadOperationsClient) -> None:
    """Required and optional parameters, escaped; what is None is left out."""
    mock.get(f"{BASE}/timeseries/e1/p%201", text='{"records": []}')
    reads.retrieve_timeseries(page_request(limit=5, select=["a", "b"], sort="asc"))
    asked = "from=2020-11-11T02:50:00Z&to=2020-11-11T03:52:00Z"
    assert mock.last_request.url == f"{BASE}/timeseries/e1/p%201?{asked}&limit=5&select=a,b&sort=asc"
    reads.retrieve_timeseries(page_request(select="a,b"))
    assert mock.last_request.url == f"{BASE}/timeseries/e1/p%201?{asked}&select=a,b"


def test_times_may_be_given_as_times(mock: requests_mock.Mocker, reads: ReadOperationsClient) -> None:
    """A datetime is spelled in UTC; a naive one is refused."""
    mock.get(f"{BASE}/timeseries/e1/p%201", text='{"records": []}')
    zone = dt.timezone(dt.timedelta(hours=1))
    reads.retrieve_timeseries(page_request(_from=dt.datetime(2020, 11, 11, 1, tzinfo=zone)))
    assert "from=2020-11-11T00:00:00Z&" in mock.last_request.url
    with pytest.raises(FrameError, match="time zone"):
        reads.retrieve_timeseries(page_request(_from=dt.datetime(2020, 11, 11)))


def test_records_are_exact(mock: requests_mock.Mocker, reads: ReadOperationsClient) -> None:
    """Whole numbers beyond a float, and the shortest float, as they were sent."""
    record = '{"_time": "2018-11-01T10:00:00.051035123Z", "n": 9007199254740993, "x": 0.30000000000000004, "b": true}'
    mock.get(requests_mock.ANY, text=f'{{"records": [{record}], "nextRecord": "https://next"}}')
    page = reads.retrieve_timeseries(page_request())
    assert page.records == [
        {"_time": "2018-11-01T10:00:00.051035123Z", "n": 9007199254740993, "x": 0.30000000000000004, "b": True}
    ]
    assert isinstance(page.records[0]["n"], int)
    assert page.next_record == "https://next"


@pytest.mark.parametrize("ending", ["", ', "nextRecord": null', ', "nextRecord": ""'])
def test_the_last_page_has_no_next(mock: requests_mock.Mocker, reads: ReadOperationsClient, ending: str) -> None:
    """Absent, null and empty mean the same; a Link header counts then."""
    mock.get(requests_mock.ANY, text=f'{{"records": []{ending}}}')
    assert reads.retrieve_timeseries(page_request()).next_record is None
    mock.get(requests_mock.ANY, text=f'{{"records": []{ending}}}', headers={"Link": '<https://l>; rel="next"'})
    assert reads.retrieve_timeseries(page_request()).next_record == "https://l"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", DecodeError),
        ("<html>", DecodeError),
        ('{"records": [1]}', DecodeError),
        ('{"records": [{"x": NaN}]}', DecodeError),
        ("[]", PageError),
        ("{}", PageError),
        ('{"records": null}', PageError),
        ('{"records": [], "nextRecord": 3}', PageError),
    ],
)
def test_what_is_no_page_is_an_error(
    mock: requests_mock.Mocker, reads: ReadOperationsClient, body: str, kind: type[Exception]
) -> None:
    """Never an empty list in its place."""
    mock.get(requests_mock.ANY, text=body)
    with pytest.raises(kind):
        reads.retrieve_timeseries(page_request())


@pytest.mark.parametrize("name", ["entity", "property_set_name", "_from", "to"])
@pytest.mark.parametrize("value", [None, "", " ", 3])
def test_what_is_missing_is_named_before_any_request(
    mock: requests_mock.Mocker, reads: ReadOperationsClient, name: str, value: object
) -> None:
    """A question the service could only refuse is not sent."""
    with pytest.raises(FrameError, match=f"RetrieveTimeseriesRequest.{name}="):
        reads.retrieve_timeseries(page_request(**{name: value}))
    assert mock.call_count == 0


@pytest.mark.parametrize("settings", [{"limit": 0}, {"limit": True}, {"limit": "5"}, {"select": []}, {"select": [""]}])
def test_a_limit_or_select_that_means_nothing_is_refused(
    reads: ReadOperationsClient, settings: dict[str, object]
) -> None:
    """A number from 1; at least one name."""
    with pytest.raises(FrameError, match=next(iter(settings))):
        reads.retrieve_timeseries(page_request(**settings))
    with pytest.raises(FrameError, match=next(iter(settings))):
        reads.fetch_page("e", "p", from_="a", to="b", **settings)


def test_a_page_can_be_fetched_raw(mock: requests_mock.Mocker, reads: ReadOperationsClient) -> None:
    """The bytes as they are, and the link of the header."""
    mock.get(f"{BASE}/timeseries/e1/p1", content=b"{raw", headers={"Link": '<https://l?a=1,2>; rel="next"'})
    assert reads.fetch_page("e1", "p1", from_="a", to="b", limit=3, select=("x",)) == (b"{raw", "https://l?a=1,2")
    assert mock.last_request.qs == {"from": ["a"], "to": ["b"], "limit": ["3"], "select": ["x"]}
    mock.get(f"{BASE}/timeseries/e1/p1", content=b"")
    assert reads.fetch_page("e1", "p1", from_="a", to="b") == (b"", None)


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://a>; rel="next"', "https://a"),
        ("<https://a>;rel=next", "https://a"),
        ('<https://p>; rel="prev", <https://a?x=1,2;y>; title="a, b"; rel="next last"', "https://a?x=1,2;y"),
        ('<https://a>; REL="Next"', "https://a"),
        ('<https://a>; rel="nextish"', None),
        ('<>; rel="next"', None),
        ("nonsense", None),
        (None, None),
    ],
)
def test_link_headers(header: str | None, url: str | None) -> None:
    """One of several links, with whatever parameters."""
    assert next_link(header) == url


# Requests as models


def test_a_mistyped_attribute_is_refused() -> None:
    """It would otherwise silently not be sent."""
    with pytest.raises(AttributeError, match="did you mean 'file_path'"):
        FileInfo().filepath = "a.json"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="it has data"):
        BulkImportInput().zzz = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="from_"):
        FileInfo(from_="x")  # type: ignore[call-arg]


def test_attributes_and_keywords_are_the_same() -> None:
    """One by one as in the vendor's samples, or all at once."""
    info = FileInfo()
    info.file_path, info._from, info.to = "a", "b", "c"
    assert info == FileInfo(file_path="a", _from="b", to="c")


# Import jobs


def test_what_a_job_is_started_with(mock: requests_mock.Mocker, imports: BulkImportOperationsClient) -> None:
    """The body has the wire's names."""
    mock.post(f"{BASE}/importJobs", status_code=202, json={"id": "j1", "status": "SUBMITTED"})
    job = imports.create_import_job(job_request())
    assert (job.id, job.status, job.final) == ("j1", JobStatus.SUBMITTED, False)
    file = {"filePath": "d/a.json", "from": "2020-12-16T04:30:00.01Z", "to": "2020-12-16T04:35:00.30Z"}
    assert mock.last_request.json() == {"data": [{"entity": "e1", "propertySetName": "p1", "timeseriesFiles": [file]}]}
    assert mock.last_request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ('{"id": "j1", "status": "SUBMITTED", "startTime": "s", "lastModified": "m", "message": "hi"}', {}),
        ('[{"id": "j1", "status": "SUBMITTED", "startTime": "s", "lastModified": "m", "message": "hi"}]', {}),
        ('{"jobId": "j1", "status": "SUBMITTED", "jobStartTime": "s", "jobLastModified": "m", "message": "hi"}', {}),
        ('{"startTime": "s", "lastModified": "m", "message": "hi"}', {"Location": f"{BASE}/importJobs/j1"}),
        ('{"startTime": "s", "lastModified": "m", "message": "hi"}', {"Location": "/importJobs/j1/?x=1"}),
    ],
)
def test_every_form_of_job_is_read(
    mock: requests_mock.Mocker, imports: BulkImportOperationsClient, status: int, body: str, headers: dict[str, str]
) -> None:
    """Object or list of one, either spelling, the id from Location where the body lacks it."""
    mock.post(f"{BASE}/importJobs", status_code=status, text=body, headers=headers)
    job = imports.create_import_job(job_request())
    assert (job.id, job.status, job.message) == ("j1", "SUBMITTED", "hi")
    assert (job.start_time, job.last_modified) == ("s", "m")


def test_a_created_job_may_have_no_body(mock: requests_mock.Mocker, imports: BulkImportOperationsClient) -> None:
    """The header is enough."""
    mock.post(f"{BASE}/importJobs", status_code=201, headers={"Location": f"{BASE}/importJobs/j1"})
    assert imports.create_import_job(job_request()).id == "j1"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        "3",
        pytest.param("[" * 100_000, id="deep"),
        '[{"id": "a", "status": "ERROR"}, {"id": "b"}]',
        '{"id": "j1"}',
        '{"status": "ERROR"}',
    ],
)
def test_what_is_no_job_is_an_error(mock: requests_mock.Mocker, imports: BulkImportOperationsClient, body: str) -> None:
    """Neither id nor status are guessed."""
    mock.get(f"{BASE}/importJobs/j1", text=body)
    with pytest.raises(ProtocolError):
        imports.retrieve_import_job(RetrieveImportJobRequest(id="j1"))


def test_another_job_than_asked_for_is_an_error(
    mock: requests_mock.Mocker, imports: BulkImportOperationsClient
) -> None:
    """Its end is not ours."""
    mock.get(f"{BASE}/importJobs/j1", json={"id": "j2", "status": "SUCCESS"})
    with pytest.raises(ProtocolError, match="'j1' was asked for, 'j2'"):
        imports.retrieve_import_job(RetrieveImportJobRequest(id="j1"))


def test_an_unknown_status_is_an_error(mock: requests_mock.Mocker, imports: BulkImportOperationsClient) -> None:
    """A state we do not know is neither an end nor none."""
    mock.get(f"{BASE}/importJobs/j1", json={"id": "j1", "status": "PAUSED"})
    with pytest.raises(ProtocolError, match=r"'PAUSED'.*SUBMITTED, IN_PROGRESS, SUCCESS, ERROR"):
        imports.retrieve_import_job(RetrieveImportJobRequest(id="j1"))


@pytest.mark.parametrize(("status", "final"), [("IN_PROGRESS", False), ("SUCCESS", True), ("ERROR", True)])
def test_how_far_a_job_is(
    mock: requests_mock.Mocker, imports: BulkImportOperationsClient, status: str, final: bool
) -> None:
    """The status is a str; the job knows whether it is the end."""
    mock.get(f"{BASE}/importJobs/j%2F1", json={"id": "j/1", "status": status, "message": None})
    job = imports.retrieve_import_job(RetrieveImportJobRequest(id="j/1"))
    assert (job.status, job.final, job.message) == (status, final, None)


def test_an_unknown_job_is_not_found(mock: requests_mock.Mocker, imports: BulkImportOperationsClient) -> None:
    """404 has its own error."""
    mock.get(f"{BASE}/importJobs/j1", status_code=404)
    with pytest.raises(NotFoundError):
        imports.retrieve_import_job(RetrieveImportJobRequest(id="j1"))


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_job_is_never_posted_twice(
    mock: requests_mock.Mocker, imports: BulkImportOperationsClient, status: int
) -> None:
    """After a 5xx or a timeout the service may have started it."""
    mock.post(f"{BASE}/importJobs", status_code=status)
    with pytest.raises(ServiceError):
        imports.create_import_job(job_request())
    mock.post(f"{BASE}/importJobs", exc=requests.exceptions.ReadTimeout)
    with pytest.raises(TransportError) as caught:
        imports.create_import_job(job_request())
    assert caught.value.unknown_outcome
    assert mock.call_count == 2


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (CreateImportJobRequest(), "CreateImportJobRequest.bulk_import_input"),
        (CreateImportJobRequest(bulk_import_input=BulkImportInput()), "BulkImportInput.data"),
        (CreateImportJobRequest(bulk_import_input=BulkImportInput(data=[])), "BulkImportInput.data"),
        (CreateImportJobRequest(bulk_import_input=Data()), "bulk_import_input is a Data; give a BulkImportInput"),
        (CreateImportJobRequest(bulk_import_input=BulkImportInput(data=[Data()])), "Data.entity"),
        (job_request(file_path=None), "FileInfo.file_path"),
        (job_request(_from=None), "FileInfo._from"),
        (job_request(to=""), "FileInfo.to"),
    ],
)
def test_an_incomplete_job_is_not_sent(
    mock: requests_mock.Mocker, imports: BulkImportOperationsClient, request_: CreateImportJobRequest, name: str
) -> None:
    """The field that is missing is named."""
    with pytest.raises(FrameError, match=name):
        imports.create_import_job(request_)
    with pytest.raises(FrameError, match=r"RetrieveImportJobRequest\.id"):
        imports.retrieve_import_job(RetrieveImportJobRequest())
    assert mock.call_count == 0


# Clients


def test_a_client_takes_settings_or_a_transport(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not both; without either the environment is looked into; wrong types are named."""
    with pytest.raises(ConfigError, match="one of both"):
        ReadOperationsClient(mindsphere_credentials=object(), transport=connect())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="rest_client_config is a str"):
        ReadOperationsClient("https://x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="mindsphere_credentials is a str"):
        ReadOperationsClient(mindsphere_credentials="token")  # type: ignore[arg-type]
    monkeypatch.delenv("MDSP_HOST_TENANT", raising=False)
    with pytest.raises(ConfigError, match="MDSP_HOST_TENANT"):
        ReadOperationsClient()


def test_a_client_closes_only_what_it_opened(mock: requests_mock.Mocker, connect: Connect) -> None:
    """A shared transport stays open."""
    mock.get(requests_mock.ANY, text='{"records": []}')
    transport = connect()
    with ReadOperationsClient(transport=transport):
        pass
    transport.request("GET", ["x"])
    with ReadOperationsClient(transport.config, transport._credentials) as own:
        own.retrieve_timeseries(page_request())
    with pytest.raises(ConfigError, match="closed"):
        own.retrieve_timeseries(page_request())
    assert "***" in repr(own)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda jobs, reads, files: jobs.retrieve_import_job("j1"), "give a RetrieveImportJobRequest"),
        (lambda jobs, reads, files: jobs.create_import_job({}), "give a CreateImportJobRequest"),
        (lambda jobs, reads, files: reads.retrieve_timeseries(None), "give a RetrieveTimeseriesRequest"),
        (
            lambda jobs, reads, files: jobs.create_import_job(
                CreateImportJobRequest(bulk_import_input=BulkImportInput(data=Data()))
            ),
            "give a list of Data",
        ),
        (
            lambda jobs, reads, files: jobs.create_import_job(
                CreateImportJobRequest(
                    bulk_import_input=BulkImportInput(
                        data=[Data(entity="a", property_set_name="b", timeseries_files=FileInfo())]
                    )
                )
            ),
            "give a list of FileInfo",
        ),
        (
            lambda jobs, reads, files: reads.retrieve_timeseries(
                RetrieveTimeseriesRequest(entity="a", property_set_name="b", _from="x", to="y", sort=5)
            ),
            "sort=5",
        ),
        (
            lambda jobs, reads, files: reads.retrieve_timeseries(
                RetrieveTimeseriesRequest(entity="a", property_set_name="b", _from="x", to="y", select=5)
            ),
            "select=5",
        ),
        (lambda jobs, reads, files: files.list_files("a", filter=5), "filter=5"),
        (lambda jobs, reads, files: files.get_file("a", "b", byte_range=5), "byte_range=5"),
        (lambda jobs, reads, files: files.get_file("a", "b", byte_range=("a", 5)), "byte_range="),
        (lambda jobs, reads, files: files.put_file("a", "b", Path("/nowhere/x")), "content="),
    ],
)
def test_wrong_kinds_are_refused_before_any_request(call, words):
    """A single item instead of a list, an id instead of a request: said clearly, nothing is sent."""
    config, token = RestClientConfig(), UserToken("abc")
    with (
        requests_mock.Mocker() as mock,
        BulkImportOperationsClient(config, token) as jobs,
        ReadOperationsClient(config, token) as reads,
        FileServiceClient(config, token) as files,
    ):
        with pytest.raises(FrameError, match=words):
            call(jobs, reads, files)
        assert mock.call_count == 0
