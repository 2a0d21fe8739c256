"""Read history: a range of any length in one call, exact to the nanosecond.

The examples read from a sandbox with half an hour of a pump:

>>> import pandas as pd
>>> import tsbulk_frames as tsb
>>> sandbox = tsb.Sandbox().start()
>>> con = tsb.connect(sandbox.url, credentials=sandbox.credentials)
>>> for pump in ("pump-1", "pump-2"):
...     sandbox.add_asset(pump, aspects={"flow": {"rate": "DOUBLE", "turns": "LONG", "state": "STRING"}})
>>> times = pd.date_range("2026-03-01", periods=1_800, freq="s", tz="UTC")
>>> data = pd.DataFrame({"rate": 42.5, "turns": range(1_800), "turns_qc": 192, "state": "running"}, index=times)
>>> report = tsb.write_timeseries(data, "pump-1", "flow", connection=con)

### What is there

`tsbulk_frames.list_assets` finds assets by name or type, `tsbulk_frames.describe` tells what they measure:

>>> tsb.describe("pump-1", connection=con)["property"].tolist()
['rate', 'turns', 'state']

### A day, as a frame

>>> df = tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", connection=con)
>>> df.shape, str(df.index.dtype)
((1800, 4), 'datetime64[ns, UTC]')

``[start, end)`` is exactly that day; ``inclusive=`` changes the ends, ``tz="Europe/Berlin"`` the zone of the index.
Text and dates without a zone mean UTC, a `datetime` without one is refused. Only some columns, or some records:

>>> few = tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", select=["rate"], limit=10, connection=con)
>>> few.shape
(10, 1)

### Several assets

The row index is then ``(entity, _time)``. One that cannot be read need not end it all:

>>> both = tsb.read_timeseries(["pump-1", "pump-3"], "flow", "2026-03-01", "2026-03-02",
...                            errors="collect", connection=con)
>>> len(both), list(both.attrs["errors"])
(1800, ['pump-3'])

### Quality codes

Each stands beside its property as ``<property>_qc``. What is good differs from plant to plant, so you say it:

>>> good = tsb.mask_quality(df, good=[192])
>>> list(good.columns)
['rate', 'turns', 'state']

### More than fits into memory

>>> for frame in tsb.iter_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", rows=1_000, connection=con):
...     print(len(frame))
1000
800
>>> reader = tsb.read_arrow("pump-1", "flow", "2026-03-01", "2026-03-02", connection=con)  # Polars, DuckDB take it
>>> reader.read_all().num_rows
1800

`tsbulk_frames.download_parquet` fills a folder, and a second call fetches only what is missing. With ``cache=True``
past ranges stay on this machine, and reading them again makes no request (`tsbulk_frames.cache_info`,
`tsbulk_frames.clear_cache`).

### Types

| the service sent | you get |
|---|---|
| integers | ``int64``; ``Int64`` where cells are missing |
| integers and floats mixed | ``float64`` if no digit is lost, else Python numbers exactly as sent |
| text, whatever it looks like | text, never a date or a number |
| booleans | ``bool``; ``boolean`` where cells are missing |
| quality codes | ``Int64`` |
| kinds mixed | ``object``, the very values |

``dtype_backend="pyarrow"`` and ``"numpy_nullable"`` work as in pandas. ``describe=True`` puts units and descriptions
into ``df.attrs``. `tsbulk_frames.to_grid` brings a history to a regular grid without inventing data.

>>> grid = tsb.to_grid(good, "1min", max_gap="2min", method="mean")
>>> len(grid)
30

### See it

``tsb.plot.series(df)`` draws any number of records without losing a peak, a panel for each unit; ``tsb.plot.coverage(df)``
is a calendar of what is there and what is not (`tsbulk_frames.plot`; ``pip install "tsbulk-frames[plot]"``).

>>> con.close()
>>> sandbox.close()
"""
