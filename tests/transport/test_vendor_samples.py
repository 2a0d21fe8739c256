"""The sample programs of the vendor's page run as they are printed; only the imports differ."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests_mock

from tsbulk_frames.auth import UserToken
from tsbulk_frames.config import RestClientConfig
from tsbulk_frames.errors import MindsphereError
from tsbulk_frames.operations import (
    BulkImportInput,
    BulkImportOperationsClient,
    CreateImportJobRequest,
    Data,
    FileInfo,
    ReadOperationsClient,
    RetrieveImportJobRequest,
    RetrieveTimeseriesRequest,
)

BASE = "https://gateway.eu1.mindsphere.io/api/iottsbulk/v3"


@pytest.fixture
def mock() -> Iterator[requests_mock.Mocker]:
    """Play the gateway."""
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def config() -> RestClientConfig:
    """Give settings as on the vendor's pages: a proxy by host and port."""
    return RestClientConfig(proxy_host="proxyhost", proxy_port=8080)


@pytest.fixture
def credentials() -> UserToken:
    """Give a user token as on the vendor's pages."""
    return UserToken(authorization="Bearer abc")


def test_create_bulk_import_job(mock: requests_mock.Mocker, config: RestClientConfig, credentials: UserToken) -> None:
    """Sample: create bulk import job for importing time series data."""
    mock.post(f"{BASE}/importJobs", status_code=201, json={"id": "4e37b10a", "status": "SUBMITTED"})

    # Create the BulkImportOperationsClient object using the RestClientConfig and UserToken objects
    bulkImportOperationsClient = BulkImportOperationsClient(
        rest_client_config=config, mindsphere_credentials=credentials
    )
    try:
        # Create the request object
        createImportJobRequest = CreateImportJobRequest()
        bulkImportInput = BulkImportInput()
        data = Data()
        data.entity = "5908ae5c5e4f4e18b0be58cd21ee675f"
        data.property_set_name = "test_2020_11_11"

        fileInfo = FileInfo()
        fileInfo.file_path = "test11.json"
        fileInfo._from = "2020-12-16T04:30:00.01Z"
        fileInfo.to = "2020-12-16T04:35:00.30Z"
        fileInfoList = [fileInfo]

        data.timeseries_files = fileInfoList
        dataList = [data]
        bulkImportInput.data = dataList
        createImportJobRequest.bulk_import_input = bulkImportInput

        # Initiate the API call
        response = bulkImportOperationsClient.create_import_job(createImportJobRequest)

    except MindsphereError as err:
        pytest.fail(str(err))

    bulkImportOperationsClient.close()
    assert (response.id, response.status) == ("4e37b10a", "SUBMITTED")
    assert mock.last_request.headers["Authorization"] == "Bearer abc"
    assert mock.last_request.json() == {
        "data": [
            {
                "entity": "5908ae5c5e4f4e18b0be58cd21ee675f",
                "propertySetName": "test_2020_11_11",
                "timeseriesFiles": [
                    {
                        "filePath": "test11.json",
                        "from": "2020-12-16T04:30:00.01Z",
                        "to": "2020-12-16T04:35:00.30Z",
                    }
                ],
            }
        ]
    }


def test_retrieve_status_of_bulk_import_job(
    mock: requests_mock.Mocker, config: RestClientConfig, credentials: UserToken
) -> None:
    """Sample: retrieve status of bulk import job."""
    job = "4e37b10ad4774b8bb391209a9d18f1b6"
    mock.get(f"{BASE}/importJobs/{job}", json={"id": job, "status": "SUCCESS", "message": "done"})
    bulkImportOperationsClient = BulkImportOperationsClient(
        rest_client_config=config, mindsphere_credentials=credentials
    )
    try:
        # Create the request object
        retrieveImportJobRequest = RetrieveImportJobRequest()
        retrieveImportJobRequest.id = "4e37b10ad4774b8bb391209a9d18f1b6"

        # Initiate the API call
        response = bulkImportOperationsClient.retrieve_import_job(retrieveImportJobRequest)

    except MindsphereError as err:
        pytest.fail(str(err))

    bulkImportOperationsClient.close()
    assert (response.id, response.status, response.message) == (job, "SUCCESS", "done")


def test_retrieve_time_series_data(
    mock: requests_mock.Mocker, config: RestClientConfig, credentials: UserToken
) -> None:
    """Sample: retrieve time series data."""
    record = {"_time": "2020-11-11T02:50:01Z", "pressure": 94, "pressure_qc": 192}
    mock.get(f"{BASE}/timeseries/5908ae5c5e4f4e18b0be58cd21ee675f/test_2020_11_11", json={"records": [record]})
    # Create the ReadOperationsClient object using the RestClientConfig and UserToken objects
    readOperationsClient = ReadOperationsClient(rest_client_config=config, mindsphere_credentials=credentials)
    try:
        # Create the request object
        retrieveTimeseriesRequest = RetrieveTimeseriesRequest()
        retrieveTimeseriesRequest.entity = "5908ae5c5e4f4e18b0be58cd21ee675f"
        retrieveTimeseriesRequest.property_set_name = "test_2020_11_11"
        retrieveTimeseriesRequest._from = "2020-11-11T02:50:00Z"
        retrieveTimeseriesRequest.to = "2020-11-11T03:52:00Z"

        # Initiate the API call
        response = readOperationsClient.retrieve_timeseries(retrieveTimeseriesRequest)

    except MindsphereError as err:
        pytest.fail(str(err))

    readOperationsClient.close()
    assert response.records == [record]
    assert response.next_record is None
    assert mock.last_request.qs == {"from": ["2020-11-11t02:50:00z"], "to": ["2020-11-11t03:52:00z"]}


def test_the_samples_error_class_catches_everything(
    mock: requests_mock.Mocker, config: RestClientConfig, credentials: UserToken
) -> None:
    """``except MindsphereError`` is enough: for answers, for missing fields, for the network."""
    mock.get(f"{BASE}/importJobs/x", status_code=404)
    with BulkImportOperationsClient(rest_client_config=config, mindsphere_credentials=credentials) as client:
        for request in (RetrieveImportJobRequest(), RetrieveImportJobRequest(id="x")):
            with pytest.raises(MindsphereError):
                client.retrieve_import_job(request)
