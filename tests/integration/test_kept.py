"""What stays on this machine: Parquet datasets that resume, and the cache of reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from plant import Site, open_site, times

import tsbulk_frames as tsb
from tsbulk_frames import cache as cache_module
from tsbulk_frames import fetch
from tsbulk_frames.sandbox import Fault, Faults
from tsbulk_frames.sandbox.faults import Answer

SPAN = ("2026-03-01", "2026-03-08")


def hourly(days: int = 7) -> pd.DataFrame:
    """Make a week of hours, with a day missing."""
    frame = pd.DataFrame(
        {"speed": np.arange(days * 24) / 8, "count": range(days * 24)}, times("2026-03-01", days * 24, "h")
    )
    return frame[frame.index.day != 4]


def loaded(directory: Path) -> pd.DataFrame:
    """Read a dataset as any Parquet reader does."""
    keys = ds.partitioning(pa.schema([("entity", pa.string()), ("day", pa.string())]), flavor="hive")
    table = ds.dataset(directory, partitioning=keys).to_table()
    return table.to_pandas().sort_values("_time").set_index("_time")


def test_a_dataset_by_entity_and_day(site: Site, tmp_path: Path) -> None:
    """A file a day that has records, readable by any Parquet reader; the same values as read_timeseries."""
    entity = site.seed(hourly())
    info = tsb.download_parquet(entity, "pump", *SPAN, tmp_path / "new", connection=site.con)
    days = [path.parent.name for path in info.files]
    assert days == [f"day=2026-03-0{day}" for day in (1, 2, 3, 5, 6, 7)]
    assert (info.rows, info.skipped) == (6 * 24, 0)
    assert info.bytes == sum(path.stat().st_size for path in info.files)
    frame = loaded(tmp_path / "new")
    assert frame["speed"].tolist() == hourly()["speed"].tolist()
    assert set(frame["entity"]) == {entity}
    assert str(frame["count"].dtype) == "int64"


def test_a_second_call_fetches_only_what_is_missing(site: Site, tmp_path: Path) -> None:
    """Nothing for the same range; the new days for a longer one; parts of days join."""
    entity = site.seed(hourly())
    tsb.download_parquet(entity, "pump", "2026-03-02T06:00", "2026-03-03T06:00", tmp_path, connection=site.con)
    before = len(site.asked("GET", "/iottsbulk/"))
    again = tsb.download_parquet(entity, "pump", "2026-03-02T06:00", "2026-03-03T06:00", tmp_path, connection=site.con)
    assert (again.files, again.rows, again.skipped) == ((), 0, 1)
    assert len(site.asked("GET", "/iottsbulk/")) == before
    tsb.download_parquet(entity, "pump", *SPAN, tmp_path, connection=site.con)
    frame = loaded(tmp_path)
    assert frame.index.is_unique
    assert frame["count"].tolist() == hourly()["count"].tolist()


def test_an_interrupted_download_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was complete stays, what was half is gone, and the rest is fetched."""
    monkeypatch.setattr(fetch, "_GROUP_BYTES", 500)
    faults = Faults([Fault(Answer(400, {"message": "no"}), "GET", r"/iottsbulk/v3/timeseries", nth=8)])
    for site in open_site(page_bytes=1_000, faults=faults):
        entity = site.seed(hourly())
        with pytest.raises(tsb.ServiceError):
            tsb.download_parquet(entity, "pump", *SPAN, tmp_path, max_workers=1, connection=site.con)
        done = sorted(tmp_path.rglob("*.parquet"))
        assert 0 < len(done) < 6
        assert list(tmp_path.rglob("*.part")) == []
        info = tsb.download_parquet(entity, "pump", *SPAN, tmp_path, connection=site.con)
        assert not set(done) & set(info.files)
        assert loaded(tmp_path)["count"].tolist() == hourly()["count"].tolist()


def test_a_file_of_which_it_is_not_known_whether_it_counts_is_fetched_again(site: Site, tmp_path: Path) -> None:
    """Killed between naming a file and noting it: it is not counted twice."""
    entity = site.seed(hourly())
    info = tsb.download_parquet(entity, "pump", *SPAN, tmp_path, connection=site.con)
    state = json.loads((tmp_path / ".tsbulk.json").read_text())
    start = state["covered"][entity][0][0]
    state["covered"][entity] = [[start, start + 5 * 86_400_000_000_000]]
    state["writing"] = info.files[-2].relative_to(tmp_path).as_posix()
    (tmp_path / ".tsbulk.json").write_text(json.dumps(state))
    info.files[-1].unlink()
    again = tsb.download_parquet(entity, "pump", "2026-03-06T06:00", SPAN[1], tmp_path, connection=site.con)
    assert [path.parent.name for path in again.files] == ["day=2026-03-06", "day=2026-03-07"]
    expected = hourly().drop(times("2026-03-06", 6, "h"))
    assert loaded(tmp_path)["count"].tolist() == expected["count"].tolist()


def test_types_that_change_midway_agree_in_the_end(tmp_path: Path) -> None:
    """Without an asset model: integers one day, floats the next, a late column, within a day too."""
    faults = Faults([Fault(Answer(403), "GET", r"/assetmanagement/", times=None)])
    for site in open_site(faults=faults, page_bytes=150):
        entity = site.asset(aspects={"pump": {"count": "DOUBLE", "note": "STRING", "speed": "DOUBLE"}})
        index = times("2026-03-01T12:00", 6, "6h")
        frame = pd.DataFrame({"count": [1.0, 2.0, 2.5, 3.0, 4.0, 5.0], "note": [None] * 5 + ["late"]}, index)
        tsb.write_timeseries(frame, entity, "pump", twin_type="simulation", connection=site.con)
        tsb.download_parquet(entity, "pump", *SPAN, tmp_path, max_workers=1, connection=site.con)
        got = loaded(tmp_path)
        assert got["count"].tolist() == frame["count"].tolist()
        assert got["note"].tolist()[-1] == "late"
        schemas = {str(ds.dataset(path).schema) for path in tmp_path.rglob("*.parquet")}
        assert len(schemas) == 1


def test_integers_and_floats_of_different_days_lose_no_digit(tmp_path: Path) -> None:
    """Agreeing never rounds: what floats cannot hold stays exact."""
    from tsbulk_frames.download import _agree

    for name, values in (("a", [2**53 + 1]), ("b", [0.5])):
        folder = tmp_path / name
        folder.mkdir()
        pa.parquet.write_table(
            pa.table({"_time": pa.array([0], pa.timestamp("ns", "UTC")), "x": values}), folder / "x.parquet"
        )
    _agree(tmp_path)
    texts = [
        pa.parquet.read_table(path, partitioning=None)["x"].cast(pa.string()).to_pylist()
        for path in sorted(tmp_path.rglob("*.parquet"))
    ]
    assert texts == [["9007199254740993"], ["0.5"]]


def test_a_folder_holds_one_kind_of_download(site: Site, tmp_path: Path) -> None:
    """Another aspect or selection, or a state that cannot be read: refused before any request."""
    entity = site.seed(hourly())
    tsb.download_parquet(entity, "pump", *SPAN, tmp_path, connection=site.con)
    before = len(site.sandbox.requests)
    with pytest.raises(tsb.FrameError, match="holds another download"):
        tsb.download_parquet(entity, "pump", *SPAN, tmp_path, select="speed", connection=site.con)
    (tmp_path / ".tsbulk.json").write_text("{")
    with pytest.raises(tsb.FrameError, match="cannot be read"):
        tsb.download_parquet(entity, "pump", *SPAN, tmp_path, connection=site.con)
    (tmp_path / "file").touch()
    with pytest.raises(tsb.FrameError, match=r"cannot be (used|read)"):
        tsb.download_parquet(entity, "pump", *SPAN, tmp_path / "file", connection=site.con)
    assert len(site.sandbox.requests) == before


def test_names_of_entities_are_safe_in_paths(site: Site, tmp_path: Path) -> None:
    """A slash or dots in a name lead nowhere else."""
    name = "a b=..%2F ä"
    site.sandbox.add_asset(name, aspects={"pump": {"count": "LONG"}})
    tsb.write_timeseries(hourly()[["count"]], name, "pump", connection=site.con)
    info = tsb.download_parquet(name, "pump", *SPAN, tmp_path / "in", connection=site.con)
    assert all((tmp_path / "in").resolve() in path.resolve().parents for path in info.files)
    assert set(loaded(tmp_path / "in")["entity"]) == {name}


@pytest.mark.parametrize("where", ["connect", "call"])
def test_a_second_identical_read_makes_no_request(site: Site, tmp_path: Path, where: str) -> None:
    """Off unless asked; by the connection or the call; the frame is the same in every respect."""
    entity = site.seed(hourly())
    folder = tmp_path / "cache"
    config = tsb.RestClientConfig(host_url=site.sandbox.url)
    con = tsb.Connection(
        config, site.sandbox.credentials, clock=site.con.clock, cache=folder if where == "connect" else None
    )
    more = {} if where == "connect" else {"cache": folder}
    with con:
        first = tsb.read_timeseries(entity, "pump", *SPAN, connection=con, **more)
        before = len(site.sandbox.requests)
        second = tsb.read_timeseries(entity, "pump", *SPAN, connection=con, **more)
        assert len(site.sandbox.requests) == before
        tsb.read_timeseries(entity, "pump", *SPAN, connection=con, cache=False)
        tsb.read_timeseries(entity, "pump", *SPAN, select="speed", connection=con, **more)
        assert len(site.sandbox.requests) > before + 1
    pd.testing.assert_frame_equal(first, second)
    assert first.attrs == second.attrs
    info = tsb.cache_info(folder)
    assert (info.files, info.directory) == (2, folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    assert tsb.clear_cache(folder) == 2
    assert tsb.cache_info(folder).bytes == 0


def test_the_cache_keeps_what_is_exact_and_nothing_young(site: Site, tmp_path: Path) -> None:
    """Mixed and empty answers too; a range that has not ended a day ago is asked for again; limits are not kept."""
    empty = site.asset()
    for _ in range(2):
        got = tsb.read_timeseries(empty, "pump", *SPAN, cache=tmp_path, connection=site.con)
        assert got.shape == (0, 0)
    assert tsb.cache_info(tmp_path).files == 1
    tsb.read_timeseries(empty, "pump", "2026-05-01", "2026-06-01", cache=tmp_path, connection=site.con)
    tsb.read_timeseries(empty, "pump", *SPAN, limit=3, cache=tmp_path, connection=site.con)
    assert tsb.cache_info(tmp_path).files == 1


def test_one_entity_of_several_comes_from_the_cache(site: Site, tmp_path: Path) -> None:
    """Each entity is kept by itself; a failing one is not kept."""
    entities = [site.seed(hourly()) for _ in range(2)]
    tsb.read_timeseries(entities[1], "pump", *SPAN, cache=tmp_path, connection=site.con)
    asked = [entities[0], "f" * 32, entities[1]]
    before = len(site.asked("GET", entities[1]))
    got = tsb.read_timeseries(asked, "pump", *SPAN, cache=tmp_path, errors="collect", connection=site.con)
    assert len(got) == 2 * len(hourly())
    assert list(got.attrs["errors"]) == ["f" * 32]
    assert len(site.asked("GET", entities[1])) == before
    assert tsb.cache_info(tmp_path).files == 2


def test_a_broken_cache_file_is_no_failure(site: Site, tmp_path: Path) -> None:
    """It is read again, and mended."""
    entity = site.seed(hourly())
    first = tsb.read_timeseries(entity, "pump", *SPAN, cache=tmp_path, connection=site.con)
    next(tmp_path.glob("*.parquet")).write_bytes(b"PAR1 broken")
    pd.testing.assert_frame_equal(
        tsb.read_timeseries(entity, "pump", *SPAN, cache=tmp_path, connection=site.con), first
    )
    with pytest.raises(tsb.ConfigError, match="cache=7"):
        tsb.read_timeseries(entity, "pump", *SPAN, cache=7, connection=site.con)


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    """The reads not used for longest go first."""
    table = pa.table({"_time": pa.array([0], pa.timestamp("ns", "UTC")), "a": [1]})
    series, spans = tsb.Series("a", "b"), [tsb.TimeRange(number, number + 1) for number in range(4)]
    cache = cache_module.ReadCache(tmp_path, "gateway", tsb.UserToken("abc"))
    cache.put(series, spans[0], None, table, now_ns=2**60)
    bound = int(tsb.cache_info(tmp_path).bytes * 2.5)
    cache = cache_module.ReadCache(tmp_path, "gateway", tsb.UserToken("abc"), max_bytes=bound)
    cache.put(series, spans[1], None, table, now_ns=2**60)
    assert cache.get(series, spans[0], None) is not None
    cache.put(series, spans[2], None, table, now_ns=2**60)
    assert [cache.get(series, span, None) is not None for span in spans] == [True, False, True, False]
    assert tsb.cache_info(tmp_path).bytes <= bound
    other = cache_module.ReadCache(tmp_path, "gateway", tsb.UserToken("other"))
    assert other.get(series, spans[0], None) is None
