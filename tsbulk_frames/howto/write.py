"""Write history: plan, import, verify.

>>> import pandas as pd
>>> import tsbulk_frames as tsb
>>> sandbox = tsb.Sandbox().start()
>>> con = tsb.connect(sandbox.url, credentials=sandbox.credentials)
>>> sandbox.add_asset("pump-1", twin_type="performance", aspects={"flow": {"rate": "DOUBLE", "state": "STRING"}})

### The data

A time index with a zone, or a column ``_time``; strictly increasing; a column a property, its quality code beside it as
``<property>_qc``. Missing cells are left out of their record. What was read can be written unchanged.

>>> times = pd.date_range("2026-03-01T22:00", periods=240, freq="min", tz="UTC")
>>> data = pd.DataFrame({"rate": 42.0, "state": "running"}, index=times)

It may also be an Arrow table or reader, an iterable of frames, or the path of a Parquet file or folder: larger than
memory if it has to be.

### Look before you leap

>>> plan = tsb.plan_import(data, "pump-1", "flow", connection=con)
>>> plan.ok, plan.rows, plan.jobs
(True, 240, 2)

One job for each UTC day (performance assets) or hour (simulation assets). Nothing was uploaded; every rule that would be
broken is a problem of the plan, all of them at once:

>>> wrong = tsb.plan_import(data.assign(colour="red", state=7), "pump-1", "flow", connection=con)
>>> wrong.ok
False
>>> for problem in wrong.problems:
...     print(problem.column)
state
colour

### Import

>>> report = tsb.write_timeseries(data, "pump-1", "flow", verify=True, connection=con)
>>> report.ok, report.counts["done"]
(True, 2)
>>> report.to_frame()[["partition", "rows", "status"]].values.tolist()
[['2026-03-01', 120, 'SUCCESS'], ['2026-03-02', 120, 'SUCCESS']]

``verify=True`` compares count and ends of what is stored with what was sent. In a notebook, plan and report show
themselves as tables, and ``plan.plot()`` is a picture; ``progress=True`` draws a bar.

### Start now, look later

>>> report = tsb.write_timeseries(data, "pump-1", "flow", wait=False, connection=con)
>>> jobs = tsb.wait_for_jobs(report.manifest, connection=con)
>>> len(jobs), set(jobs["status"]) == {"SUCCESS"}
(2, True)

### Did every value arrive?

>>> back = tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-03", connection=con)
>>> len(tsb.compare_frames(data, back))
0

What to do when something goes wrong on the way: `tsbulk_frames.howto.resume`.

>>> con.close()
>>> sandbox.close()
"""
