"""Work in notebooks: four stories that run on a sandbox, from top to bottom, each in under a minute.

```sh
pip install ".[notebook]" jupyterlab
jupyter lab notebooks
```

| notebook | the question |
|---|---|
| ``notebooks/first_steps.ipynb`` | what did the pump do, and which values can be trusted? |
| ``notebooks/loading_history.ipynb`` | how does a folder of history get in, and what if it is interrupted? |
| ``notebooks/a_fleet_over_a_year.ipynb`` | which of many pumps loses efficiency, and where is data missing? |
| ``notebooks/a_cluster.ipynb`` | the same question, on a Dask cluster |

### What shows itself

Plan, report, connection and job draw themselves as tables: put them last in a cell. ``plan.plot()`` draws what an import
would do, `tsbulk_frames.plot.series` and `tsbulk_frames.plot.coverage` what was read.

>>> import pandas as pd
>>> import tsbulk_frames as tsb
>>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
...     sandbox.add_asset("pump-1", aspects={"flow": {"rate": "DOUBLE"}})
...     times = pd.date_range("2026-03-01", periods=48, freq="h", tz="UTC")
...     plan = tsb.plan_import(pd.DataFrame({"rate": 42.0}, index=times), "pump-1", "flow", connection=con)
>>> "<table" in plan._repr_html_()
True

``progress=True`` draws a bar in a notebook as in a terminal; ``pip install "tsbulk-frames[progress]"``.
"""
