"""Go on after an interruption, a crash or a failure, and import nothing twice.

Every step of an import is noted in its *manifest*, before and after it happens: an SQLite file that survives
``kill -9``. Give it a name where you will look for it; without one it lies in your state folder, and the report and
every error tell where.

>>> import tempfile
>>> from pathlib import Path
>>> import pandas as pd
>>> import tsbulk_frames as tsb
>>> from tsbulk_frames.sandbox import Answer, Fault, Faults
>>> folder = tempfile.TemporaryDirectory()
>>> manifest = Path(folder.name) / "night.sqlite"
>>> sandbox = tsb.Sandbox(faults=Faults([Fault(Answer(400), "POST", "/importJobs", nth=2)])).start()
>>> con = tsb.connect(sandbox.url, credentials=sandbox.credentials)
>>> sandbox.add_asset("pump-1", twin_type="performance", aspects={"flow": {"rate": "DOUBLE"}})

### Something fails

One job of three is refused here. The others are awaited before anything is raised:

>>> times = pd.date_range("2026-03-01", periods=72, freq="h", tz="UTC")
>>> data = pd.DataFrame({"rate": 42.0}, index=times)
>>> try:
...     tsb.write_timeseries(data, "pump-1", "flow", manifest=manifest, connection=con)
... except tsb.PartialImportError as error:
...     len(error.done), len(error.failed), error.manifest == str(manifest)
(2, 1, True)

### Go on

>>> report = tsb.resume_import(manifest, connection=con)
>>> report.ok, report.counts["skipped"], report.counts["done"]
(True, 2, 1)
>>> len(sandbox.records("pump-1", "flow"))
72

The same in the shell, say the next morning: `tsbulk resume night.sqlite`.

### What happens to each partition

| it was … | `tsbulk_frames.resume_import` |
|---|---|
| done | leaves it alone (``skipped``) |
| started and running | awaits its job |
| perhaps started: the answer got lost | looks for its records in the series, value by value; starts it again only if they are not there after ``settle_timeout`` |
| failed, or never sent | sends it |

### What can be gone on with

A frame is saved beside the manifest, a Parquet file is read again where it lies; if it has changed, that is refused. Of
an iterator only what had been staged can be resumed; to go on with the rest, call `tsbulk_frames.write_timeseries`
again with the same data and the same manifest: what is done is skipped. One process at a time can hold a manifest.

### A script that may be run again at any time

```python
report = tsb.write_timeseries("history.parquet", entity, "flow", manifest="history.sqlite")
```

does all of it the first time, the rest the second time, and nothing the third.

>>> con.close()
>>> sandbox.close()
>>> folder.cleanup()
"""
