"""Reading as a stream: frames and Arrow batches in bounded memory, stopped at once, one entity not spoiling others."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from plant import Site, open_site, times

import tsbulk_frames as tsb
from tsbulk_frames import fetch
from tsbulk_frames.sandbox import Fault, Faults
from tsbulk_frames.sandbox.faults import Answer, Delay

SPAN = ("2026-03-01", "2026-03-02")


def workers_left() -> list[str]:
    """Name the threads of this library that are still there."""
    return [one.name for one in threading.enumerate() if one.name.startswith("tsbulk-") and "sandbox" not in one.name]


@pytest.fixture
def many(request: pytest.FixtureRequest) -> object:
    """Give a site with small pages and a series of 3,000 records with gaps."""
    for site in open_site(page_bytes=2_000):
        frame = pd.DataFrame({"speed": np.arange(3_000) / 7, "count": np.arange(3_000)}, times("2026-03-01", 3_000))
        yield site, site.seed(frame), frame


@pytest.mark.parametrize("rows", [1, 7, 1_000, 2_999, 3_000, 10_000])
@pytest.mark.parametrize("limit", [None, 2_500])
def test_frames_together_are_what_was_asked(many: object, rows: int, limit: int | None) -> None:
    """All frames but the last have exactly `rows` rows, and together they are the range."""
    site, entity, frame = many
    frames = list(tsb.iter_timeseries(entity, "pump", *SPAN, rows=rows, limit=limit, connection=site.con))
    expected = frame.head(limit or len(frame))
    assert [len(one) for one in frames[:-1]] == [rows] * (len(frames) - 1)
    together = pd.concat(frames)
    assert together.columns[:2].tolist() == ["speed", "speed_qc"]
    assert frames[0].attrs["entity"] == entity
    pd.testing.assert_frame_equal(together[["speed", "count"]], expected, check_freq=False)


def test_nothing_yields_nothing(many: object) -> None:
    """An empty range has no frames, and a reader of no batches with its schema."""
    site, entity, _ = many
    assert list(tsb.iter_timeseries(entity, "pump", "2020-01-01", "2020-01-02", connection=site.con)) == []
    reader = tsb.read_arrow(entity, "pump", "2020-01-01", "2020-01-02", connection=site.con)
    assert reader.schema.names[:3] == ["_time", "speed", "speed_qc"]
    assert reader.read_all().num_rows == 0


def test_arrow_has_one_schema_by_the_asset_model(shared: Site) -> None:
    """Types are those declared, whatever comes first; selection and quality codes as for frames."""
    index = times("2026-03-01", 3)
    frame = pd.DataFrame({"speed": [1.0, None, 2.5], "state": ["a", "b", ""]}, index)
    entity = shared.asset()
    tsb.write_timeseries(frame, entity, "pump", connection=shared.con)
    table = tsb.read_arrow(entity, "pump", *SPAN, quality="drop", connection=shared.con).read_all()
    kinds = [table.schema.field(name).type for name in table.column_names]
    assert table.column_names == ["_time", "speed", "count", "small", "on", "state", "note", "at"]
    assert kinds[1:6] == [pa.float64(), pa.int64(), pa.int64(), pa.bool_(), pa.string()]
    assert table.schema.field("_time").type == pa.timestamp("ns", "UTC")
    assert table["speed"].to_pylist() == [1.0, None, 2.5]
    assert table["state"].to_pylist() == ["a", "b", ""]
    picked = tsb.read_arrow(entity, "pump", *SPAN, select=["state", "speed"], connection=shared.con).read_all()
    assert picked.column_names == ["_time", "state", "state_qc", "speed", "speed_qc"]


def test_polars_and_duckdb_read_the_stream_as_it_is(many: object) -> None:
    """Through Arrow's own interface, piece by piece; nanoseconds and values are the same."""
    site, entity, frame = many
    table = polars.from_arrow(tsb.read_arrow(entity, "pump", *SPAN, connection=site.con))
    assert table["_time"].cast(polars.Int64).to_list() == frame.index.as_unit("ns").asi8.tolist()
    assert table["speed"].to_list() == frame["speed"].tolist()
    with duckdb.connect() as database:
        database.register("stream", tsb.read_arrow(entity, "pump", *SPAN, connection=site.con))
        found = database.execute('SELECT count(*), sum("count"), max(speed) FROM stream WHERE speed > 100').fetchone()
    some = frame[frame["speed"] > 100]
    assert found == (len(some), some["count"].sum(), some["speed"].max())


def test_arrow_of_several_entities(shared: Site) -> None:
    """One after the other, with the entity as first column."""
    entities = [shared.seed(pd.DataFrame({"count": [number]}, times("2026-03-01", 1))) for number in (1, 2)]
    table = tsb.read_arrow(entities, "pump", *SPAN, select="count", connection=shared.con).read_all()
    assert table.column_names == ["entity", "_time", "count", "count_qc"]
    assert table["entity"].to_pylist() == entities
    assert table["count"].to_pylist() == [1, 2]
    frames = list(tsb.iter_timeseries(entities, "pump", *SPAN, rows=1, connection=shared.con))
    assert [one.index[0][0] for one in frames] == entities


def test_without_an_asset_model_the_beginning_settles_the_types() -> None:
    """No permission to see the asset: the stream still has one schema."""
    faults = Faults([Fault(Answer(403, {"message": "no"}), "GET", r"/assetmanagement/", times=None)])
    for site in open_site(faults=faults):
        entity = site.seed(pd.DataFrame({"count": [1, 2], "on": [True, False]}, times("2026-03-01", 2)))
        table = tsb.read_arrow(entity, "pump", *SPAN, connection=site.con).read_all()
        assert table.schema.names == ["_time", "count", "on"]
        assert table["on"].to_pylist() == [True, False]
        assert len(next(tsb.iter_timeseries(entity, "pump", *SPAN, connection=site.con))) == 2


def test_without_an_asset_model_a_late_quality_code_is_loud() -> None:
    """One that the beginning did not have is never left out in silence; unless none is wanted."""
    faults = Faults([Fault(Answer(403, {"message": "no"}), "GET", r"/assetmanagement/", times=None)])
    for site in open_site(faults=faults):
        plain = site.seed(pd.DataFrame({"count": [1, 2]}, times("2026-03-01", 2)))
        coded = site.seed(pd.DataFrame({"count": [3], "count_qc": [192]}, times("2026-03-01", 1)))
        read = {"start": SPAN[0], "end": SPAN[1], "connection": site.con}
        for stream in (tsb.iter_timeseries, tsb.read_arrow):
            with pytest.raises(tsb.DecodeError, match=r"'count_qc' came up.*quality='drop'"):
                list(stream([plain, coded], "pump", **read))
            with pytest.raises(tsb.DecodeError, match="'count_qc' came up"):
                list(stream([plain, coded], "pump", select="count", **read))
        table = tsb.read_arrow([plain, coded], "pump", quality="drop", **read).read_all()
        assert table["count"].to_pylist() == [1, 2, 3]
        table = tsb.read_arrow([coded, plain], "pump", **read).read_all()
        assert table["count_qc"].to_pylist() == [192, None, None]


@pytest.mark.parametrize("status", [429, 503])
def test_an_asset_model_that_is_out_of_reach_is_an_error(status: int) -> None:
    """The columns of a stream do not depend on luck: trouble on the way to the model is not the want of one."""
    faults = Faults([Fault(Answer(status), "GET", r"/assetmanagement/", times=None)])
    for site in open_site(faults=faults, max_attempts=2):
        entity = site.seed(pd.DataFrame({"count": [1]}, times("2026-03-01", 1)))
        with pytest.raises(tsb.ServiceError):
            list(tsb.iter_timeseries(entity, "pump", *SPAN, connection=site.con))


def test_rows_must_be_a_count(shared: Site) -> None:
    """Refused at the call, not when the loop begins."""
    with pytest.raises(tsb.FrameError, match="rows=0"):
        tsb.iter_timeseries("a", "pump", *SPAN, rows=0, connection=shared.con)


def test_a_slow_consumer_slows_the_network_down(monkeypatch: pytest.MonkeyPatch, many: object) -> None:
    """Only a bounded amount is fetched ahead of what was consumed."""
    site, entity, _ = many
    monkeypatch.setattr(fetch, "_BOUNDED_BYTES", 10_000)
    monkeypatch.setattr(fetch, "_GROUP_BYTES", 2_000)
    frames = tsb.iter_timeseries(entity, "pump", *SPAN, rows=10, max_workers=4, connection=site.con)
    next(frames)
    deadline, seen = time.monotonic() + 10, -1
    while time.monotonic() < deadline:  # until nothing more is fetched
        asked = len(site.asked("GET", "/iottsbulk/"))
        if asked == seen:
            break
        seen = asked
        time.sleep(0.2)
    assert seen <= 20
    assert sum(len(one) for one in frames) == 2_990
    assert workers_left() == []


def test_leaving_the_loop_stops_everything(many: object) -> None:
    """After an early break no thread works on."""
    site, entity, _ = many
    for _ in tsb.iter_timeseries(entity, "pump", *SPAN, rows=10, connection=site.con):
        break
    gc.collect()
    assert workers_left() == []
    reader = tsb.read_arrow(entity, "pump", *SPAN, connection=site.con)
    reader.read_next_batch()
    del reader
    gc.collect()
    assert workers_left() == []


def test_an_error_does_not_wait_for_requests_under_way() -> None:
    """A request that hangs is ended when another one fails: nobody waits for its answer."""
    faults = Faults(
        [
            Fault(Delay(60), "GET", r"/iottsbulk/", nth=3, times=1),
            Fault(Answer(400, {"message": "no"}), "GET", r"/iottsbulk/", nth=4, times=None),
        ]
    )
    for site in open_site(page_bytes=2_000, faults=faults):
        entity = site.seed(pd.DataFrame({"count": np.arange(3_000)}, times("2026-03-01", 3_000)))
        with pytest.raises(tsb.ServiceError):
            tsb.read_timeseries(entity, "pump", *SPAN, connection=site.con)
        assert workers_left() == []
        answered = [one for one in site.sandbox.requests if "/iottsbulk/" in one.path and one.status is not None]
        assert len(answered) < len(site.asked("GET", "/iottsbulk/"))


INTERRUPTED = """
import sys, threading
import tsbulk_frames as tsb
url, client_id, secret, entity = sys.argv[1:]
con = tsb.connect(url, credentials=tsb.TenantCredentials(client_id, secret, "t"))
print("reading", flush=True)
try:
    tsb.read_timeseries(entity, "pump", "2026-03-01", "2026-03-02", connection=con)
except KeyboardInterrupt:
    left = [one.name for one in threading.enumerate() if one.name.startswith("tsbulk-")]
    print("stopped", left)
"""


def test_an_interrupt_stops_a_read_at_once(site: Site) -> None:
    """Ctrl-C while all connections hang: the process goes on at once, and no thread of the library is left."""
    entity = site.seed(pd.DataFrame({"count": np.arange(3)}, times("2026-03-01", 3)))
    site.sandbox.faults.add(Fault(Delay(600), "GET", r"/iottsbulk/", times=None))
    command = [sys.executable, "-c", INTERRUPTED, site.sandbox.url, site.sandbox.client_id, site.sandbox.client_secret]
    with subprocess.Popen([*command, entity], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "reading\n"
        while len(site.asked("GET", "/iottsbulk/")) < 8:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        assert child.stdout.read() == "stopped []\n"
        assert child.wait(timeout=60) == 0


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
def test_an_interrupt_while_threads_are_started_leaves_none(
    site: Site, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Ctrl-C between the first and the last thread: those that work already are ended, requests and all."""
    entity = site.seed(pd.DataFrame({"count": np.arange(3)}, times("2026-03-01", 3)))
    site.sandbox.faults.add(Fault(Delay(600), "GET", r"/iottsbulk/", times=None))
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if begun or thread.name != "tsbulk-fetch-3":
            start(thread)
        if thread.name == "tsbulk-fetch-3":
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tsb.read_timeseries(entity, "pump", *SPAN, connection=site.con)
    assert workers_left() == []


def test_one_missing_entity_does_not_spoil_the_others(shared: Site) -> None:
    """With errors="collect" it is left out, and attrs say why; else the error names it."""
    here = [shared.seed(pd.DataFrame({"count": [number]}, times("2026-03-01", 1))) for number in (1, 2)]
    asked = [here[0], "f" * 32, here[1]]
    for limit in (None, 5):
        got = tsb.read_timeseries(asked, "pump", *SPAN, errors="collect", limit=limit, connection=shared.con)
        assert got["count"].tolist() == [1, 2]
        assert list(got.attrs["errors"]) == ["f" * 32]
        assert "404" in got.attrs["errors"]["f" * 32]
    with pytest.raises(tsb.NotFoundError, match="f" * 32):
        tsb.read_timeseries(asked, "pump", *SPAN, connection=shared.con)
    with pytest.raises(tsb.FrameError, match="errors='ignore'"):
        tsb.read_timeseries(asked, "pump", *SPAN, errors="ignore", connection=shared.con)


def test_a_property_that_was_not_declared_is_loud(shared: Site) -> None:
    """A column that comes up in mid-stream is never dropped silently."""
    from tsbulk_frames.kinds import TIME_TYPE
    from tsbulk_frames.schema import conform

    table = pa.table({"_time": pa.array([0], TIME_TYPE), "a": [1], "b": ["x"]})
    with pytest.raises(tsb.DecodeError, match="'b' came up"):
        conform(table, {"_time": TIME_TYPE, "a": pa.int64()})
    with pytest.raises(tsb.DecodeError, match="'b' is double in this stream, but came as string"):
        conform(table, {"_time": TIME_TYPE, "a": pa.int64(), "b": pa.float64()})
    fitted = conform(table, {"_time": TIME_TYPE, "a": pa.float64(), "b": pa.string(), "c": pa.bool_()})
    assert fitted.to_pylist()[0]["a"] == 1.0
    assert fitted["c"].null_count == 1
    with pytest.raises(tsb.DecodeError, match="'a' is int64"):
        conform(pa.table({"_time": table["_time"], "a": [1.5]}), {"_time": TIME_TYPE, "a": pa.int64()})
