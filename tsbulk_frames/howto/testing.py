"""Test your own scripts: with a sandbox instead of a tenant.

``pip install "tsbulk-frames[sandbox]"`` brings the sandbox; the fixtures are there as soon as pytest runs, nothing has to
be imported or configured (`tsbulk_frames.pytest_plugin` lists them).

### A function that takes a connection

```python
import pandas as pd
import tsbulk_frames as tsb

DATA = pd.DataFrame({"rate": [1.5, 2.5]}, index=pd.date_range("2026-03-01", periods=2, freq="s", tz="UTC"))
FLOW = {"flow": {"rate": "DOUBLE"}}


def test_what_is_written_is_stored(tsbulk_sandbox, tsbulk_connection):
    tsbulk_sandbox.add_asset("pump-1", twin_type="simulation", aspects=FLOW)
    tsb.write_timeseries(DATA, "pump-1", "flow", connection=tsbulk_connection)
    assert tsbulk_sandbox.records("pump-1", "flow")["rate"].tolist() == [1.5, 2.5]
```

`tsbulk_frames.Sandbox.records` reads what is really stored, with no code of the client in between, and
`tsbulk_frames.Sandbox.requests` tells what was asked.

### A script that finds its connection by itself

```python
def nightly():  # yours; not a word about tests in it
    return tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02")["rate"].mean()


def test_the_nightly_mean(tsbulk_sandbox, tsbulk_connection, tsbulk_environment):
    tsbulk_sandbox.add_asset("pump-1", twin_type="simulation", aspects=FLOW)
    tsb.write_timeseries(DATA, "pump-1", "flow", connection=tsbulk_connection)
    assert nightly() == 2.0
```

The environment holds the sandbox's address and credentials for as long as the test runs, for child processes as well.

### What does it make of trouble?

```python
import pytest
from tsbulk_frames.sandbox import Answer, Fault


@pytest.mark.tsbulk(faults=[Fault(Answer(400), "POST", "/importJobs")])
def test_a_refused_import_is_told(tsbulk_sandbox, tsbulk_connection):
    tsbulk_sandbox.add_asset("pump-1", twin_type="simulation", aspects=FLOW)
    with pytest.raises(tsb.PartialImportError):
        tsb.write_timeseries(DATA, "pump-1", "flow", connection=tsbulk_connection)


@pytest.mark.tsbulk(faults={"seed": 7, "rate": 0.1}, page_bytes=2_000)
def test_it_works_in_bad_weather(tsbulk_sandbox, tsbulk_connection):
    tsbulk_sandbox.add_asset("pump-1", twin_type="simulation", aspects=FLOW)
    assert tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", connection=tsbulk_connection).empty
```

One request in ten meets one of many kinds of trouble; the seed makes it the same trouble tomorrow. In the middle of a
test, ``tsbulk_faults.add(...)`` orders more, and ``tsbulk_faults.log`` tells what struck. Pauses between tries are real:
``max_attempts=1`` in the marker leaves them out where they are not the point.

### Another test runner, a notebook, a server of its own

The sandbox needs no pytest:

>>> import tsbulk_frames as tsb
>>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
...     sandbox.add_asset("pump-1", aspects={"flow": {"rate": "DOUBLE"}})
...     len(tsb.read_timeseries("pump-1", "flow", "2026-03-01", "2026-03-02", connection=con))
0

and as a process of its own it serves programs in any language:

```sh
tsbulk sandbox --port 8080 --data folder --assets assets.json
```

What it does unlike the service, or does not know, is said in `tsbulk_frames.sandbox`.
"""
