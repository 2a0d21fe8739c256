"""Come from a hand-written loop, or from the vendor's client.

### From a loop over pages

This is what is often written first. It works, on a quiet day:

>>> import pandas as pd
>>> import requests
>>> import tsbulk_frames as tsb
>>> sandbox = tsb.Sandbox(page_bytes=2_000).start()
>>> con = tsb.connect(sandbox.url, credentials=sandbox.credentials)
>>> sandbox.add_asset("pump-1", aspects={"flow": {"turns": "LONG"}})
>>> times = pd.date_range("2026-03-01", periods=200, freq="min", tz="UTC")
>>> turns = pd.DataFrame({"turns": range(2**53, 2**53 + 200)}, index=times)
>>> report = tsb.write_timeseries(turns, "pump-1", "flow", connection=con)

>>> url, pages = f"{sandbox.url}/api/iottsbulk/v3/timeseries/pump-1/flow", []
>>> query = {"from": "2026-02-28T23:59:59.999Z", "to": "2026-03-01T23:59:59.999Z"}
>>> headers = {"Authorization": f"Bearer {sandbox.token()}"}
>>> while url:
...     answer = requests.get(url, params=query, headers=headers, timeout=60)
...     answer.raise_for_status()
...     pages.append(pd.DataFrame(answer.json()["records"]))
...     url, query = answer.json().get("nextRecord"), None
>>> by_hand = pd.concat(pages).assign(_time=lambda frame: pd.to_datetime(frame["_time"])).set_index("_time")
>>> len(pages) > 1, len(by_hand)
(True, 200)

The same, with token, retries, 90-day windows, exact ends, doubled records at page seams and odd ``nextRecord`` hosts
taken care of, and many pages at once:

>>> df = tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", connection=con)
>>> len(tsb.compare_frames(df, by_hand))
0

What to look for when you replace such a loop: it may have shifted ``from`` by hand to include the first record; integers
beyond 2**53 turn into floats in it as soon as one record lacks them; and a 503 in the night ended it.

### From import files and jobs made by hand

| by hand | here |
|---|---|
| group by day or hour, ``to_json``, cut at 100 files and at the size limit | `tsbulk_frames.write_timeseries` |
| the files alone, for another way to upload | `tsbulk_frames.write_import_files` |
| ``PUT /files/…`` in parts, with ETags | the same call; on its own `tsbulk_frames.FileServiceClient.put_file` |
| ``POST /importJobs``, then ask and ask again | the same call; ``wait=False`` and `tsbulk_frames.wait_for_jobs` |
| a list of what is done, in case of a crash | the manifest: `tsbulk_frames.howto.resume` |

### From the vendor's client

Its operations are here under their names; only the imports of a program change. Before:

```python
from mindsphere_core import RestClientConfig, UserToken
from mindsphere_core.exceptions import MindsphereError
# … and ReadOperationsClient with its request classes from the service's own package
```

After:

>>> from tsbulk_frames import MindsphereError, ReadOperationsClient, RestClientConfig, RetrieveTimeseriesRequest, UserToken

and the rest stays as it was:

>>> config, credentials = RestClientConfig(host_url=sandbox.url), UserToken(authorization="Bearer " + sandbox.token())
>>> client = ReadOperationsClient(rest_client_config=config, mindsphere_credentials=credentials)
>>> request = RetrieveTimeseriesRequest()
>>> request.entity, request.property_set_name = "pump-1", "flow"
>>> request._from, request.to = "2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z"
>>> try:
...     page = client.retrieve_timeseries(request)
... except MindsphereError as error:
...     print(error)
>>> page.records[0]["turns"]
9007199254740993
>>> client.close()

That is one page, without the record at 00:00, as the service counts. When you touch the program anyway, one line reads
all of it:

>>> df = tsb.read_timeseries("pump-1", "flow", "2026-03-01T00:00Z", "2026-03-01T01:00Z", connection=con)
>>> len(df)
60

| the vendor's | here, one to one | and in one call |
|---|---|---|
| ``ReadOperationsClient.retrieve_timeseries`` | `tsbulk_frames.ReadOperationsClient` | `tsbulk_frames.read_timeseries` |
| ``BulkImportOperationsClient.create_import_job`` | `tsbulk_frames.BulkImportOperationsClient` | `tsbulk_frames.write_timeseries` |
| ``BulkImportOperationsClient.retrieve_import_job`` | `tsbulk_frames.BulkImportOperationsClient` | `tsbulk_frames.wait_for_jobs` |
| ``RestClientConfig``, ``UserToken``, ``AppCredentials``, ``TenantCredentials`` | the same names | `tsbulk_frames.connect` |
| ``MindsphereError`` | `tsbulk_frames.MindsphereError` | `tsbulk_frames.howto.errors` |

>>> con.close()
>>> sandbox.close()
"""
