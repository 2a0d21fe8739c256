"""Know the limits: what the service asks for, and what is done about it.

| rule of the service | what happens here |
|---|---|
| a read spans less than 90 days | ranges are cut into windows, read side by side |
| ranges are ``(from, to]``, at an undocumented precision | slightly more is asked for, and cut exactly here |
| a page is as large as the server likes | the next one is followed wherever it leads in time, never to another host |
| one import job: one UTC day (performance) or hour (simulation) | your frame is cut into partitions |
| at most 100 files a job; 1 GB a day, 350 MB an hour | checked before any upload, where the data can be read twice |
| performance data must be older than 30 minutes | checked before any upload |
| records ascend in time; no infinities; integers of 64 bits | checked before any request, with column and rows |
| STRING up to 255 characters, BIG_STRING up to 100,000 | checked against the asset model before any upload |
| a request is cut after 60 s | files go up in parts; a lost part goes up again by itself |
| 429, with or without ``Retry-After`` | all threads pause |

### See them before you meet them

>>> import pandas as pd
>>> import tsbulk_frames as tsb
>>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
...     sandbox.add_asset("pump-1", twin_type="performance", aspects={"flow": {"rate": "DOUBLE"}})
...     just_now = pd.date_range(pd.Timestamp.now("UTC").floor("s"), periods=3, freq="-1min")[::-1]
...     young = tsb.plan_import(pd.DataFrame({"rate": 42.0}, index=just_now), "pump-1", "flow", connection=con)
>>> young.ok
False
>>> "30 minutes" in young.problems[0].message
True

>>> tsb.TwinType.SIMULATION.max_partition_bytes, tsb.TwinType.PERFORMANCE.max_partition_bytes
(350000000, 1000000000)

### How much at once

``max_workers`` is what one call keeps under way (8), ``max_connections`` what all calls of a process do (32); both are
settings of `tsbulk_frames.RestClientConfig`. On a cluster the workers share one such limit:
`tsbulk_frames.howto.cluster`.

### Who owns midnight

The record at exactly 00:00 belongs to the day that begins, unless ``RestClientConfig(closed="right")`` says that it is the
last one of the day before: the documentation knows both.
"""
