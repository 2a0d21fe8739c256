"""The vendor's sample programs, one after the other, against a server: only the imports differ."""

from __future__ import annotations

import json

from plant import Site

from tsbulk_frames import (
    BulkImportInput,
    BulkImportOperationsClient,
    CreateImportJobRequest,
    Data,
    FileInfo,
    FileServiceClient,
    MindsphereError,
    ReadOperationsClient,
    RestClientConfig,
    RetrieveImportJobRequest,
    RetrieveTimeseriesRequest,
    UserToken,
    wait_for_jobs,
)


def test_the_vendors_programs_run(site: Site) -> None:
    """Import a file, ask for its job, read the data back."""
    site.sandbox.add_asset(
        "5908ae5c5e4f4e18b0be58cd21ee675f",
        twin_type="simulation",
        aspects={"test_2020_11_11": {"pressure": "LONG"}},
    )
    records = [
        {"_time": "2020-12-16T04:30:00.01Z", "pressure": 94, "pressure_qc": 192},
        {"_time": "2020-12-16T04:35:00.30Z", "pressure": 95},
    ]
    config = RestClientConfig(host_url=site.sandbox.url)
    credentials = UserToken(authorization="Bearer " + site.sandbox.token())
    with FileServiceClient(rest_client_config=config, mindsphere_credentials=credentials) as files:
        files.put_file("5908ae5c5e4f4e18b0be58cd21ee675f", "test11.json", json.dumps(records).encode())

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
        raise AssertionError from err

    wait_for_jobs(response.id, connection=site.con)

    try:
        # Create the request object
        retrieveImportJobRequest = RetrieveImportJobRequest()
        retrieveImportJobRequest.id = response.id

        # Initiate the API call
        response = bulkImportOperationsClient.retrieve_import_job(retrieveImportJobRequest)
    except MindsphereError as err:
        raise AssertionError from err
    assert response.status == "SUCCESS"
    bulkImportOperationsClient.close()

    # Create the ReadOperationsClient object using the RestClientConfig and UserToken objects
    readOperationsClient = ReadOperationsClient(rest_client_config=config, mindsphere_credentials=credentials)
    try:
        # Create the request object
        retrieveTimeseriesRequest = RetrieveTimeseriesRequest()
        retrieveTimeseriesRequest.entity = "5908ae5c5e4f4e18b0be58cd21ee675f"
        retrieveTimeseriesRequest.property_set_name = "test_2020_11_11"
        retrieveTimeseriesRequest._from = "2020-12-16T04:00:00Z"
        retrieveTimeseriesRequest.to = "2020-12-16T05:00:00Z"

        # Initiate the API call
        response = readOperationsClient.retrieve_timeseries(retrieveTimeseriesRequest)
    except MindsphereError as err:
        raise AssertionError from err
    readOperationsClient.close()
    assert [record["pressure"] for record in response.records] == [94, 95]
    assert response.records[0]["pressure_qc"] == 192
    assert response.next_record is None
