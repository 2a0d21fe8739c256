"""Use a cluster: the same calls with Dask, when one machine is not enough.

``pip install "tsbulk-frames[dask]"``; `tsbulk_frames.dask` has the two calls.

>>> import dask
>>> import pandas as pd
>>> import tsbulk_frames as tsb
>>> sandbox = tsb.Sandbox().start()
>>> con = tsb.connect(sandbox.url, credentials=sandbox.credentials)
>>> sandbox.add_asset("pump-1", twin_type="performance", aspects={"flow": {"rate": "DOUBLE", "state": "STRING"}})
>>> times = pd.date_range("2026-03-01", periods=72, freq="h", tz="UTC")
>>> data = pd.DataFrame({"rate": range(72), "state": "running"}, index=times).astype({"rate": "float64"})
>>> report = tsb.write_timeseries(data, "pump-1", "flow", connection=con)

### Read

A partition is a window of time; nothing is read before something is computed, and then only the columns it needs.

>>> ddf = tsb.dask.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-04", window="1D", connection=con)
>>> ddf.npartitions
3
>>> with dask.config.set(scheduler="synchronous"):  # here in this thread; a cluster's client in its place
...     float(ddf["rate"].mean().compute())
35.5

### Write

>>> sandbox.add_asset("pump-2", twin_type="performance", aspects={"flow": {"rate": "DOUBLE", "state": "STRING"}})
>>> with dask.config.set(scheduler="synchronous"):
...     report = tsb.dask.write_timeseries(ddf, "pump-2", "flow", connection=con)
>>> report.ok, len(sandbox.records("pump-2", "flow"))
(True, 72)

Partitions of Dask are cut at UTC days or hours first, so that each of these is one job. A worker that dies loses nothing
and doubles nothing: its task goes on elsewhere from its manifest. On several machines ``manifest=`` names a folder that
all of them see.

### On a real one

```python
from dask.distributed import Client

client = Client("tcp://scheduler:8786")  # or LocalCluster(); the calls above stay as they are
```

The package must be installed on client, scheduler and workers. Settings and credentials travel inside the tasks, tokens
and sockets never; where others share the network, use a cluster whose connections are encrypted. The limit of requests
is the cluster's: all workers together have at most ``max_workers`` under way, and a 429 makes all of them pause.

>>> con.close()
>>> sandbox.close()
"""
