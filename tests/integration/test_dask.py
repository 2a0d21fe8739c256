"""Reads and imports on Dask: under threads, on worker processes, with a worker that dies; `sandbox.records` judges."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from herd import Door, Reaper, Refusal
from plant import Site, open_site, times

import tsbulk_frames as tsb
from tsbulk_frames._budget import AGAIN, GRANTED, Budget, Desk
from tsbulk_frames._parts import WritePart
from tsbulk_frames._ticket import Ticket
from tsbulk_frames.sandbox import Answer, Fault, Rules

DAYS = pd.date_range("2026-03-01", periods=4, freq="D", tz="UTC")


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Four worker processes of two threads, for all tests of the module."""
    with LocalCluster(
        n_workers=4, threads_per_worker=2, processes=True, dashboard_address=":0", host="127.0.0.1", memory_limit=0
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    """Give the test a client of its own."""
    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=120)
        yield client


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """One site for tests that only add assets."""
    yield from open_site()


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Without a client: threads, so that no test depends on Dask's default."""
    with dask.config.set(scheduler="threads") if not Client._instances else dask.config.set({}):
        yield


def history(periods: int = 96, freq: str = "1h", start: str = "2026-03-01") -> pd.DataFrame:
    """Make mixed columns, with gaps on the second day only."""
    index = times(start, periods, freq)
    n = np.arange(periods)
    frame = pd.DataFrame(
        {
            "speed": n / 4,
            "count": pd.array(n, dtype="Int64"),
            "on": pd.array(n % 3 == 0, dtype="boolean"),
            "state": [f"s{one % 5}" for one in n],
        },
        index=index,
    )
    second = (index >= DAYS[1]) & (index < DAYS[2])
    for name in ("count", "on", "state"):
        frame.loc[second & (n % 2 == 0), name] = None
    return frame


def imported(site: Site, frame: pd.DataFrame, twin_type: str = "performance") -> str:
    """Store a frame under a new asset."""
    entity = site.asset(twin_type)
    tsb.write_timeseries(frame, entity, "pump", connection=site.con)
    return entity


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring types that say the same to one."""
    return frame.astype(
        {name: "Int64" for name in frame if name == "count" or str(name).endswith("_qc")}
        | {name: "boolean" for name in frame if name == "on"}
        | {name: "string" for name in frame if name in ("state", "entity", "note", "at")}
    )


def check_same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Compare rows and values, whatever the kind of text and of missing cells."""
    names = [name for name in wanted if not wanted[name].isna().all()]
    pd.testing.assert_frame_equal(
        plain(found[names]), plain(wanted[names]), check_freq=False, check_index_type=False, check_column_type=False
    )


def check_stored(site: Site, entity: str, frame: pd.DataFrame) -> None:
    """Look whether the sandbox holds the frame, each record once."""
    stored = site.stored(entity)
    stored = stored.set_index("_time") if "_time" in stored.columns else stored
    assert stored.index.is_unique
    assert len(stored) == len(frame)
    assert (stored.index.as_unit("ns") == frame.index.as_unit("ns")).all()
    assert stored["speed"].tolist() == frame["speed"].tolist()


def posts(site: Site, entity: str) -> int:
    """Count the jobs of one entity that were asked for, with an answer or not."""
    return sum(one.method == "POST" and "importJobs" in one.path for one in site.sandbox.requests)


# ---------------------------------------------------------------------------------------------------------- reading


def test_a_partition_per_window_of_one_type(shared: Site) -> None:
    """Divisions are known, each partition has the types of the meta, empty ones too, and the whole is what was read."""
    entity = imported(shared, history())
    ddf = tsb.dask.read_timeseries(entity, "pump", "2026-02-28T12:00Z", "2026-03-06T06:00Z", connection=shared.con)
    assert ddf.npartitions == 7
    assert ddf.divisions[1] == DAYS[0]
    assert ddf.divisions[-1] == pd.Timestamp("2026-03-06T05:59:59.999999999Z")
    parts = [part.compute() for part in ddf.partitions]
    assert [len(part) for part in parts] == [0, 24, 24, 24, 24, 0, 0]
    for part in parts:
        assert part.dtypes.equals(ddf.dtypes)
        assert part.index.dtype == ddf._meta.index.dtype
    check_same(ddf.compute(), tsb.read_timeseries(entity, "pump", DAYS[0], "2026-03-06", connection=shared.con))


def test_columns_wanted_are_all_that_is_asked_for(shared: Site) -> None:
    """A computation on one column sends ``select`` for it; on a quality code, for its property; ``len`` for none."""
    entity = imported(shared, history(24))
    ddf = tsb.dask.read_timeseries(entity, "pump", DAYS[0], DAYS[1], connection=shared.con)
    wanted = {"speed": ddf["speed"].sum(), "speed,state": ddf.speed.where(ddf.state == "s1"), "on": ddf["on_qc"]}
    for select, lazy in wanted.items():
        before = len(shared.asked("GET", "/timeseries/"))
        lazy.compute()
        queries = shared.asked("GET", "/timeseries/")[before:]
        assert queries
        assert all(query.endswith(f"select={select}") for query in queries), queries
    before = len(shared.asked("GET", "/timeseries/"))
    assert len(ddf) == 24
    assert not any("select" in query for query in shared.asked("GET", "/timeseries/")[before:])


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_other_types_and_zones(shared: Site, backend: str) -> None:
    """The dtype back end and the zone asked for are those of every partition; quality codes can be left out."""
    entity = imported(shared, history(48))
    ddf = tsb.dask.read_timeseries(
        entity,
        "pump",
        DAYS[0],
        DAYS[3],
        tz="Europe/Berlin",
        dtype_backend=backend,
        quality="drop",
        connection=shared.con,
    )
    assert [name for name in ddf.columns if name.endswith("_qc")] == []
    for part in ddf.partitions:
        assert part.compute().dtypes.equals(ddf.dtypes)
        assert str(part.compute().index.dtype) == "datetime64[ns, Europe/Berlin]"


def test_several_entities_come_in_time_order(shared: Site) -> None:
    """Of several, each partition holds all in time order with their name; slices by time work on the whole."""
    entities = [imported(shared, history(72)), imported(shared, history(30, start="2026-03-01T06:30"))]
    ddf = tsb.dask.read_timeseries(entities, "pump", DAYS[0], DAYS[3], connection=shared.con)
    found = ddf.compute()
    assert found.index.is_monotonic_increasing
    assert list(found["entity"].cat.categories) == entities
    wanted = tsb.read_timeseries(entities, "pump", DAYS[0], DAYS[3], connection=shared.con)
    for entity in entities:
        check_same(found[found["entity"] == entity].drop(columns="entity"), wanted.loc[entity])
    noon = ddf.loc["2026-03-01T12:00:00+00:00":"2026-03-02T03:00:00+00:00"].compute()
    assert len(noon) == 16 + 15
    counts = ddf.groupby("entity", observed=True)["speed"].count().compute()
    assert counts.to_dict() == {entities[0]: 72, entities[1]: 30}


def test_types_without_the_asset_model(site: Site) -> None:
    """Where the asset model is not to be had, ``meta=`` is asked for, and its types are kept."""
    entity = imported(site, history(48))
    sample = tsb.read_timeseries(entity, "pump", DAYS[0], DAYS[3], limit=5, connection=site.con)
    site.sandbox.faults.add(Fault(Answer(403), "GET", "/assets/", times=None))
    with pytest.raises(tsb.FrameError, match="meta="):
        tsb.dask.read_timeseries(entity, "pump", DAYS[0], DAYS[3], connection=site.con)
    ddf = tsb.dask.read_timeseries(entity, "pump", DAYS[0], DAYS[2], meta=sample, connection=site.con)
    found = ddf.compute()
    assert found.dtypes.equals(ddf.dtypes)
    assert found["count"].dtype == "Int64"
    check_same(found, history(48)[["speed", "count", "on", "state"]])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"window": "0h"}, "no length of time"),
        ({"window": 3}, "no length of time"),
        ({"window": "month"}, "no length of time"),
        ({"window": "1ms"}, "more than 100,000"),
        ({"meta": [1]}, "pandas.DataFrame"),
        ({"select": ""}, "select"),
    ],
)
def test_refused_before_any_request(shared: Site, more: dict[str, object], said: str) -> None:
    """What cannot work is refused at the call, and nothing is sent."""
    before = len(shared.sandbox.requests)
    with pytest.raises(tsb.FrameError, match=said):
        tsb.dask.read_timeseries("pump-1", "pump", DAYS[0], DAYS[3], connection=shared.con, **more)
    assert len(shared.sandbox.requests) == before


def test_an_empty_range_is_one_empty_partition(shared: Site) -> None:
    """A range without an instant in it reads as no rows of the right types."""
    ddf = tsb.dask.read_timeseries(shared.asset(), "pump", DAYS[0], DAYS[0], connection=shared.con)
    assert ddf.npartitions == 1
    assert ddf.compute().dtypes.equals(ddf.dtypes)


# ---------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("twin_type", ["performance", "simulation"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_day_in_two_partitions_is_one_job(shared: Site, twin_type: str, known: bool) -> None:
    """Partitions that end anywhere are moved to UTC days or hours: one job each, and all is stored."""
    frame = history(130, "17min", "2026-03-01T05:11")
    entity = shared.asset(twin_type)
    ddf = dd.from_pandas(frame, npartitions=7)
    ddf = ddf if known else ddf.clear_divisions()
    report = tsb.dask.write_timeseries(ddf, entity, "pump", connection=shared.con)
    unit = "D" if twin_type == "performance" else "h"
    assert report["partition"].is_unique
    assert len(report) == frame.index.floor(unit).nunique()
    assert report.ok
    assert report.manifest is None
    check_stored(shared, entity, frame)


def test_midnight_belongs_to_whom_the_settings_say() -> None:
    """With ``closed="right"`` the record at midnight is imported with the day that ends there."""
    for site in open_site(rules=Rules(closed="right"), closed="right"):
        frame = history(49, "1h", "2026-03-01T12:00")
        entity = site.asset("performance")
        ddf = dd.from_pandas(frame, npartitions=5).repartition(
            divisions=[frame.index[0], DAYS[1], DAYS[2], frame.index[-1]]
        )
        report = tsb.dask.write_timeseries(ddf, entity, "pump", connection=site.con)
        assert report["rows"].tolist() == [13, 24, 12]
        check_stored(site, entity, frame)


def test_what_was_read_is_written_again(shared: Site) -> None:
    """A Dask DataFrame that was read goes to another asset as it is, empty partitions and missing cells included."""
    frame = history()
    source, target = imported(shared, frame), shared.asset("performance")
    ddf = tsb.dask.read_timeseries(source, "pump", "2026-02-27", "2026-03-08", connection=shared.con)
    assert tsb.dask.write_timeseries(ddf, target, "pump", verify=True, connection=shared.con).ok
    check_same(
        tsb.read_timeseries(target, "pump", DAYS[0], "2026-03-08", connection=shared.con),
        tsb.read_timeseries(source, "pump", DAYS[0], "2026-03-08", connection=shared.con),
    )


def test_data_that_cannot_be_placed_is_refused(shared: Site) -> None:
    """No Dask frame, no zone, or partitions out of order: refused with the fix, and no upload."""
    entity = shared.asset("performance")
    frame = history()
    mixed = dd.concat(
        [dd.from_pandas(part, npartitions=1) for part in (frame[48:], frame[:48])], interleave_partitions=False
    )
    for data, said in (
        (frame, "tsb.write_timeseries"),
        (dd.from_pandas(frame.tz_localize(None), npartitions=2), "tz_localize"),
        (mixed.clear_divisions(), "time order"),
    ):
        before = len(shared.asked("PUT", "/files/"))
        with pytest.raises(tsb.FrameError, match=said):
            tsb.dask.write_timeseries(data, entity, "pump", connection=shared.con)
        assert len(shared.asked("PUT", "/files/")) == before


def test_one_bad_part_does_not_stop_the_others(shared: Site, tmp_path: Path) -> None:
    """What a worker refuses is told with the rest; the same call with the same folder goes on and repeats nothing."""
    frame = history()
    bad = frame.copy()
    bad.iloc[30, 0] = np.inf
    entity = shared.asset("performance")
    place = tmp_path / "import"
    with pytest.raises(tsb.PartialImportError, match="inf") as caught:
        tsb.dask.write_timeseries(
            dd.from_pandas(bad, npartitions=4), entity, "pump", manifest=place, connection=shared.con
        )
    assert len(caught.value.done) == 3
    assert len(caught.value.failed) == 1
    before = posts(shared, entity)
    report = tsb.dask.write_timeseries(
        dd.from_pandas(frame, npartitions=4), entity, "pump", manifest=place, connection=shared.con
    )
    assert report.counts == {"done": 1, "skipped": 3, "failed": 0, "unknown": 0, "running": 0}
    assert posts(shared, entity) == before + 1
    check_stored(shared, entity, frame)
    with pytest.raises(tsb.ConfigError, match="another import"):
        tsb.dask.write_timeseries(
            dd.from_pandas(frame[:50], npartitions=2), entity, "pump", manifest=place, connection=shared.con
        )


def test_refused_as_a_whole_it_raises_the_refusal(shared: Site) -> None:
    """Where no part can be imported the error is that of the plain call."""
    entity = shared.asset("performance")
    frame = history()
    frame["speed"] = np.inf
    with pytest.raises(tsb.FrameError, match="inf") as caught:
        tsb.dask.write_timeseries(dd.from_pandas(frame, npartitions=2), entity, "pump", connection=shared.con)
    assert "nothing was imported" in caught.value.__notes__[0]


def worded(frame: pd.DataFrame, at: int) -> pd.DataFrame:
    """Make one value a text that is too long for the property."""
    return frame.assign(state=frame["state"].where(np.arange(len(frame)) != at, "x" * 256))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"speeed": 1.0}, "'speeed' is no variable"),
        ({"speed": "fast"}, "'speed' is string, but the variable is DOUBLE"),
        ({"count": 1.5}, "'count' is double, but the variable is LONG"),
    ],
)
def test_columns_the_aspect_does_not_take_start_no_task(
    shared: Site, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    """Unknown properties and wrong types are refused by the meta: nothing is computed, kept or uploaded."""
    entity = shared.asset("performance")
    computed: list[int] = []

    def partition(number: int) -> pd.DataFrame:
        computed.append(number)
        return history(24).assign(**change)

    ddf = dd.from_map(partition, [0, 1], meta=history(0).assign(**change), divisions=None)
    before = len(shared.asked("PUT", "/files/"))
    with pytest.raises(tsb.FrameError, match=said):
        tsb.dask.write_timeseries(ddf, entity, "pump", manifest=tmp_path / "none", connection=shared.con)
    assert computed == []
    assert not (tmp_path / "none").exists()
    assert len(shared.asked("PUT", "/files/")) == before


def test_a_part_the_aspect_does_not_take_is_not_uploaded(shared: Site) -> None:
    """What only values tell, such as a text too long, is refused with its part; with `twin_type` nothing is asked."""
    entity = shared.asset("performance")
    ddf = dd.from_pandas(worded(history(), 30), npartitions=4)
    before = len(shared.asked("PUT", "/files/"))
    with pytest.raises(tsb.PartialImportError, match="longer than 255 characters") as caught:
        tsb.dask.write_timeseries(ddf, entity, "pump", connection=shared.con)
    assert len(caught.value.failed) == 1
    assert len(shared.asked("PUT", "/files/")) - before == len(caught.value.done) == 3
    asked = len(shared.asked("GET", "/assetmanagement/"))
    with pytest.raises(tsb.PartialImportError):
        tsb.dask.write_timeseries(ddf, entity, "pump", twin_type="performance", connection=shared.con)
    assert len(shared.asked("GET", "/assetmanagement/")) == asked


def test_jobs_that_take_longer_can_be_awaited() -> None:
    """``wait=False`` returns with jobs running; a deadline tells all that are late, of all parts together."""
    for site in open_site(rules=Rules(job_seconds=1e9)):
        frame = history()
        ddf = dd.from_pandas(frame, npartitions=4)
        report = tsb.dask.write_timeseries(ddf, site.asset("performance"), "pump", wait=False, connection=site.con)
        assert report.counts["running"] == len(report.job_ids) == 4
        with pytest.raises(tsb.JobTimeout, match="4 import jobs") as caught:
            tsb.dask.write_timeseries(ddf, site.asset("performance"), "pump", timeout=0.01, connection=site.con)
        assert len(caught.value.job_ids) == 4
        assert caught.value.report.rows == len(frame)


def test_a_worker_that_does_not_see_the_folder_sends_nothing(shared: Site, tmp_path: Path) -> None:
    """Where the folder of manifests is not shared, a part is refused before anything is uploaded."""
    before = len(shared.sandbox.requests)
    series, twin = tsb.Series("pump-1", "pump"), tsb.TwinType.PERFORMANCE
    part = WritePart(
        ticket=Ticket(shared.con, 1),
        series=series,
        twin_type=twin,
        variables=None,
        folder=tmp_path / "elsewhere",
        mark="import.json",
        wait=True,
        timeout=None,
        empty_rows="raise",
        keep_files=False,
        verify=False,
    )
    outcome = part(history(), "20260301T00")
    assert isinstance(outcome.refusal, tsb.ConfigError)
    assert "is not there on this worker" in str(outcome.refusal)
    assert len(shared.sandbox.requests) == before


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """``tsb.dask`` without Dask names the extra."""
    for name in ("dask", "dask.dataframe"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "tsbulk_frames.dask", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"tsbulk-frames\[dask\]"):
        tsb.__getattr__("dask")


# ---------------------------------------------------------------------------------------------------------- secrets


def test_no_secret_shows(shared: Site) -> None:
    """Keys, graph, reprs and names of a read hold no secret; what travels holds no token."""
    secret, token = shared.sandbox.credentials.key_store_client_secret, shared.sandbox.token()
    entity = imported(shared, history(24))
    ddf = tsb.dask.read_timeseries(entity, "pump", DAYS[0], DAYS[1], connection=shared.con)
    graph = ddf.__dask_graph__()
    shown = [
        repr(ddf),
        str(ddf.expr),
        ddf.expr.tree_repr(),
        repr(dict(graph)),
        *map(str, graph),
        *map(repr, graph.values()),
    ]
    shown += [ddf.optimize().expr.tree_repr(), repr(Ticket(shared.con, 1))]
    assert not [text for text in shown if str(secret) in text or token in text]
    sent = pickle.dumps(Ticket(shared.con, 1))
    assert token.encode() not in sent


def test_processes_without_a_cluster_are_refused(shared: Site) -> None:
    """A process that nobody counts the requests of opens no connection."""
    with pytest.raises(tsb.ConfigError, match="LocalCluster"):
        pickle.loads(pickle.dumps(Ticket(shared.con, 1))).connection()


# ----------------------------------------------------------------------------------------------------------- budget


def test_a_worker_closes_its_connections_when_it_goes(shared: Site) -> None:
    """Tasks of one worker share a connection; another limit is another one; all are closed with the worker."""
    desk = Desk()
    desk.setup(worker=None)
    config, credentials = shared.con.config, shared.sandbox.credentials
    first, second, third = (desk.connection(config, credentials, limit) for limit in (1, 1, 2))
    assert first is second
    assert first is not third
    desk.teardown(worker=None)
    assert first._transport._closed
    assert third._transport._closed


class Team:
    """What a budget needs of a scheduler, and time at will."""

    def __init__(self, *workers: str) -> None:
        self.workers = dict.fromkeys(workers)
        self.handlers: dict[str, object] = {}
        self.stream_handlers: dict[str, object] = {}
        self.now = 100.0
        self.budget = Budget(clock=lambda: self.now)

    def ask(self, worker: str, lease: str, limit: int = 2) -> asyncio.Task[float]:
        """Ask for a lease without waiting for it."""
        return asyncio.ensure_future(self.budget.lease("gw", worker, lease, limit))


def test_leases_of_a_worker_that_is_gone_come_back() -> None:
    """Who waits gets the place of a worker that left; in the order they asked, and never more than allowed."""

    async def story() -> None:
        team = Team("a", "b")
        await team.budget.start(team)
        first, second, third, fourth = team.ask("a", "1"), team.ask("b", "2"), team.ask("b", "3"), team.ask("b", "4")
        assert [await first, await second] == [GRANTED, GRANTED]
        await asyncio.sleep(0)
        assert not third.done()
        team.budget.remove_worker(team, "a")
        assert await third == GRANTED
        await asyncio.sleep(0)
        assert not fourth.done()
        assert team.budget.held("gw") == 2
        team.budget.take_back("gw", "2", worker="b")
        assert await fourth == GRANTED

    asyncio.run(story())


def test_a_pause_is_everybodys() -> None:
    """Who waits and who comes is told of the pause, and gets nothing before it is over; the longer one holds."""

    async def story() -> None:
        team = Team("a", "b")
        await team.budget.start(team)
        assert await team.ask("a", "1", 1) == GRANTED
        waiting = team.ask("b", "2", 1)
        await asyncio.sleep(0)
        team.budget.pause("gw", 30.0, worker="a")
        team.budget.pause("gw", 5.0, worker="a")
        assert await waiting == 30.0
        team.budget.take_back("gw", "1")
        team.now += 29.0
        assert await team.ask("b", "3", 1) == pytest.approx(1.0)
        team.now += 1.0
        assert await team.ask("b", "4", 1) == GRANTED
        assert await asyncio.wait_for(asyncio.shield(team.budget.lease("other", "a", "5", 1)), 5) == GRANTED

    asyncio.run(story())


def test_a_lease_nobody_waits_for_is_free() -> None:
    """A question cut off, before or after its answer, keeps no place; a worker that left is not served."""

    async def story() -> None:
        team = Team("a")
        await team.budget.start(team)
        assert await team.ask("a", "1", 1) == GRANTED
        waiting = team.ask("a", "2", 1)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        team.budget.take_back("gw", "1")
        assert team.budget.held("gw") == 0
        assert await team.ask("a", "3", 1) == GRANTED
        with pytest.raises(ValueError, match="has left"):
            await team.ask("gone", "4", 1)
        assert AGAIN < GRANTED

    asyncio.run(story())


# ---------------------------------------------------------------------------------------------------------- cluster


def test_all_workers_together_keep_to_the_limit(client: Client, site: Site) -> None:
    """Eight threads in four processes reach three requests at once, and never a fourth."""
    entity = imported(site, history())
    ddf = tsb.dask.read_timeseries(
        entity, "pump", DAYS[0], "2026-03-05", window="6h", max_workers=3, connection=site.con
    )
    door = Door("GET records", together=3)
    site.sandbox.faults.add(Fault(door, "GET", times=None))
    assert len(ddf.compute()) == 96
    assert door.count >= 16
    assert door.most == 3


def test_a_429_makes_all_workers_pause(client: Client, site: Site) -> None:
    """The pause that one worker is asked for is kept by all the others."""
    entity = imported(site, history())
    ddf = tsb.dask.read_timeseries(
        entity, "pump", DAYS[0], "2026-03-05", window="12h", max_workers=1, connection=site.con
    )
    refusal = Refusal("GET records", seconds=1)
    site.sandbox.faults.add(Fault(refusal, "GET", times=None))
    assert len(ddf.compute()) == 96
    first, *later = refusal.times
    assert len(later) >= 8
    assert min(later) - first >= 1.0


def test_workers_share_a_connection_and_log_no_secret(client: Client, site: Site) -> None:
    """A token for each worker, not for each task; a failing task leaves no secret in any worker's log."""
    entity = imported(site, history())
    before = len([one for one in site.sandbox.requests if "oauth" in one.path])
    ddf = tsb.dask.read_timeseries(entity, "pump", DAYS[0], "2026-03-05", window="3h", connection=site.con)
    assert len(ddf.compute()) == 96
    assert 1 <= len([one for one in site.sandbox.requests if "oauth" in one.path]) - before <= 4
    site.sandbox.faults.add(Fault(Answer(404), "GET", "/timeseries/", times=None))
    again = tsb.dask.read_timeseries(entity, "pump", DAYS[0], "2026-03-05", connection=site.con)
    with pytest.raises(tsb.NotFoundError):
        again.compute()
    logs = str(client.get_worker_logs()) + str(client.get_scheduler_logs())
    assert "tsbulk" in logs
    secret = str(site.sandbox.credentials.key_store_client_secret)
    assert secret not in logs
    assert site.sandbox.token() not in logs


@pytest.mark.parametrize(
    ("request_", "handled"), [("PUT file", False), ("POST job", True)], ids=["uploading", "job started, not told"]
)
def test_a_worker_that_dies_loses_nothing(
    client: Client, cluster: LocalCluster, site: Site, request_: str, handled: bool
) -> None:
    """SIGKILL in the middle of an import: another worker goes on, no job is started twice, its lease comes back."""
    frame = history()
    entity = site.asset("performance")
    pids = list(client.run(os.getpid).values())
    reaper = Reaper(request_, handled, lambda: pids, nth=2)
    site.sandbox.faults.add(Fault(reaper, times=None))
    ddf = dd.from_pandas(frame, npartitions=5)
    report = tsb.dask.write_timeseries(ddf, entity, "pump", max_workers=1, connection=site.con)
    assert len(reaper.killed) == 1
    assert report.ok
    assert report.rows == len(frame)
    check_stored(site, entity, frame)
    jobs = [one for one in site.sandbox.requests if one.method == "POST" and one.path.endswith("/importJobs")]
    assert len(jobs) == 4
    budget = cluster.scheduler.plugins[Budget.name]
    assert budget.held(site.sandbox.url) == 0


def test_a_scheduler_elsewhere_is_reached_by_its_address(shared: Site, tmp_path: Path) -> None:
    """``dask scheduler`` and ``dask worker`` as processes of their own: read and write through an address."""
    told = str(tmp_path / "scheduler.json")
    where = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", told]
    start = [sys.executable, "-m", "dask", "scheduler", "--port", "0", *where]
    work = [sys.executable, "-m", "dask", "worker", "--nthreads", "2", "--no-nanny", *where]
    with contextlib.ExitStack() as stack:
        output = stack.enter_context((tmp_path / "output.txt").open("wb"))
        for command in (start, work, work):
            process = stack.enter_context(subprocess.Popen(command, stdout=output, stderr=output, cwd=tmp_path))
            stack.callback(process.kill)
        wait_for(told)
        with Client(json.loads(Path(told).read_text())["address"], timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            frame = history(48)
            entity = shared.asset("performance")
            report = tsb.dask.write_timeseries(
                dd.from_pandas(frame, npartitions=3), entity, "pump", manifest=tmp_path / "state", connection=shared.con
            )
            assert report.counts["done"] == 2
            check_stored(shared, entity, frame)
            ddf = tsb.dask.read_timeseries(entity, "pump", DAYS[0], DAYS[3], connection=shared.con)
            assert ddf["speed"].sum().compute() == frame["speed"].sum()


def wait_for(path: str) -> None:
    """Wait until the scheduler has said where it is."""
    for _ in range(6000):
        if os.path.exists(path) and os.path.getsize(path):
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")
