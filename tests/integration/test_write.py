"""Writing over real sockets: partitions, jobs and reports; what is refused, and what fails on the way."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plant import NOW, Site, open_site, times

import tsbulk_frames as tsb
from tsbulk_frames import staging
from tsbulk_frames.model import Series, TwinType
from tsbulk_frames.sandbox import Fault, Faults, Rules
from tsbulk_frames.sandbox.faults import Answer, Drop, Reply, Rewrite, job_in_list, old_job_names
from tsbulk_frames.sources import open_source


def small(rows: int = 3, start: str = "2026-03-01", freq: str = "s") -> pd.DataFrame:
    """Make a plain frame."""
    return pd.DataFrame({"speed": np.arange(rows) + 0.5}, index=times(start, rows, freq))


@pytest.mark.parametrize(("twin_type", "names"), [("performance", 2), ("simulation", 3)])
def test_one_job_a_partition(shared: Site, twin_type: str, names: int) -> None:
    """Days for performance assets, hours for simulation assets; the asset itself says which."""
    entity = shared.asset(twin_type)
    frame = small(5, "2026-03-01T22:00", "30min")
    report = tsb.write_timeseries(frame, entity, "pump", connection=shared.con)
    assert len(report) == names
    assert report.ok
    assert report["rows"].sum() == 5
    assert report["status"].eq("SUCCESS").all()
    assert report["job_id"].is_unique
    assert report.columns.tolist()[:6] == ["partition", "files", "rows", "bytes", "first", "last"]
    pd.testing.assert_frame_equal(shared.stored(entity), frame, check_freq=False)


def test_the_report_tells_the_day(shared: Site) -> None:
    """Partition, rows, bytes, first and last time, job and its times."""
    entity = shared.asset("performance")
    row = tsb.write_timeseries(small(), entity, "pump", connection=shared.con).to_frame().iloc[0]
    assert row["partition"] == "2026-03-01"
    assert (row["first"], row["last"]) == ("2026-03-01T00:00:00Z", "2026-03-01T00:00:02Z")
    assert row["bytes"] > 100
    assert row["start_time"].startswith("2026-06-01")
    assert "1 done" in repr(tsb.write_timeseries(small(), entity, "pump", connection=shared.con))


@pytest.mark.parametrize("closed", ["left", "right"])
def test_both_owners_of_midnight(closed: str) -> None:
    """Client and service agree on the day that owns midnight, whichever way it is set."""
    for site in open_site(rules=Rules(closed=closed), closed=closed):
        entity = site.asset("performance")
        frame = small(3, "2026-03-01T12:00", "12h")
        report = tsb.write_timeseries(frame, entity, "pump", connection=site.con)
        days = ["2026-03-01", "2026-03-02"] if closed == "left" else ["2026-03-01"]
        assert report["partition"].tolist()[: len(days)] == days
        pd.testing.assert_frame_equal(site.stored(entity), frame, check_freq=False)


def test_the_wrong_owner_of_midnight_is_noticed() -> None:
    """The sandbox refuses a day cut by the other rule, and nothing of that day is stored."""
    for site in open_site(rules=Rules(closed="right"), closed="left"):
        entity = site.asset("performance")
        with pytest.raises(tsb.PartialImportError):
            tsb.write_timeseries(small(2, "2026-03-02", "1h"), entity, "pump", connection=site.con)
        assert len(site.stored(entity)) == 0


def test_a_later_import_wins(shared: Site) -> None:
    """The same time written again replaces the record."""
    entity = shared.asset()
    tsb.write_timeseries(small(), entity, "pump", connection=shared.con)
    tsb.write_timeseries(small() + 1, entity, "pump", connection=shared.con)
    assert shared.stored(entity)["speed"].tolist() == [1.5, 2.5, 3.5]


def test_writing_the_same_again_is_no_conflict(shared: Site) -> None:
    """Import files left by an earlier try are used as they are."""
    entity = shared.asset()
    for _ in range(2):
        report = tsb.write_timeseries(small(), entity, "pump", keep_files=True, connection=shared.con)
        assert report.ok
    files = shared.con.files.list_files(entity)
    assert [file.etag for file in files] == [0]


def test_an_import_file_that_is_not_listed_yet_is_waited_for() -> None:
    """It is there, as the service says so: the listing only lags behind."""
    now = [NOW]
    sandbox = tsb.Sandbox(rules=Rules(listing_lag=3.0), clock=lambda: now[0])
    with sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:

        def sleep(seconds: float) -> None:
            now[0] += seconds
            time.sleep(0.01)

        con.sleep = sleep
        sandbox.add_asset("a" * 32, twin_type="simulation", aspects={"pump": {"speed": "DOUBLE"}})
        for _ in range(2):
            assert tsb.write_timeseries(small(), "a" * 32, "pump", keep_files=True, connection=con).ok
        now[0] += 10
        assert [file.etag for file in con.files.list_files("a" * 32)] == [0]


def test_import_files_are_removed_after_success(shared: Site) -> None:
    """Nothing is left in the file service, unless asked."""
    entity = shared.asset()
    tsb.write_timeseries(small(), entity, "pump", connection=shared.con)
    assert shared.con.files.list_files(entity) == []


def test_without_waiting(shared: Site) -> None:
    """Jobs are started and can be awaited later, by their ids."""
    entity = shared.asset()
    report = tsb.write_timeseries(small(), entity, "pump", wait=False, connection=shared.con)
    jobs = tsb.wait_for_jobs(report.job_ids, connection=shared.con)
    assert jobs["status"].tolist() == ["SUCCESS"]
    assert jobs.columns.tolist() == ["job_id", "status", "message", "start_time", "last_modified"]
    assert len(shared.stored(entity)) == 3


def test_the_frame_is_not_changed_and_may_lie_on_any_clock(shared: Site) -> None:
    """Another zone and unit, an unnamed index or a `_time` column: the same records, the caller's frame untouched."""
    plain = small()
    berlin = plain.tz_convert("Europe/Berlin")
    berlin.index = berlin.index.as_unit("s").rename("when")
    column = plain.reset_index()
    for frame in (berlin, column):
        before = frame.copy(deep=True)
        entity = shared.asset()
        tsb.write_timeseries(frame, entity, "pump", connection=shared.con)
        pd.testing.assert_frame_equal(frame, before)
        pd.testing.assert_frame_equal(shared.stored(entity), plain, check_freq=False)


def test_every_kind_of_data(shared: Site, tmp_path: Path) -> None:
    """Frames, Arrow tables and readers, iterators, Parquet files and folders are all the same to the service."""
    frame = small(100, "2026-03-01T00:59:30")
    table = pa.Table.from_pandas(frame)
    pq.write_table(table, tmp_path / "one.parquet")
    folder = tmp_path / "many"
    folder.mkdir()
    frame.iloc[:40].rename_axis(None).to_parquet(folder / "a.parquet")
    frame.iloc[40:].to_parquet(folder / "b.parquet")
    kinds = [
        table,
        table.to_reader(max_chunksize=7),
        (frame.iloc[i : i + 30] for i in range(0, 100, 30)),
        [frame.iloc[:50], table.slice(50)],
        tmp_path / "one.parquet",
        str(folder),
    ]
    for data in kinds:
        entity = shared.asset()
        report = tsb.write_timeseries(data, entity, "pump", connection=shared.con)
        assert report["rows"].tolist() == [30, 70]
        pd.testing.assert_frame_equal(shared.stored(entity), frame, check_freq=False)


def test_no_rows_are_no_jobs(shared: Site) -> None:
    """An empty frame is nothing to import."""
    report = tsb.write_timeseries(small(0), shared.asset(), "pump", connection=shared.con)
    assert len(report) == 0
    assert report.ok
    assert "nothing to import" in repr(report)


def test_empty_rows_are_dropped_only_when_asked(shared: Site) -> None:
    """A row without any value is refused, or left out by name."""
    frame = small()
    frame.iloc[1, 0] = None
    entity = shared.asset()
    with pytest.raises(tsb.FrameError, match="empty_rows") as caught:
        tsb.write_timeseries(frame, entity, "pump", connection=shared.con)
    assert caught.value.rows == (1,)
    tsb.write_timeseries(frame, entity, "pump", empty_rows="drop", connection=shared.con)
    assert shared.stored(entity)["speed"].tolist() == [0.5, 2.5]


IDX = times("2026-03-01", 3)
BAD_FRAMES = {
    "no time index": (pd.DataFrame({"speed": [1.0]}), None, ()),
    "naive": (small().tz_localize(None), None, ()),
    "unsorted": (small().iloc[[0, 2, 1]], None, (2,)),
    "duplicate": (small().iloc[[0, 1, 1]], None, (2,)),
    "inf": (pd.DataFrame({"speed": [1.0, np.inf, -np.inf]}, IDX), "speed", (1, 2)),
    "datetime column": (pd.DataFrame({"at": IDX}, IDX), "at", ()),
    "bytes": (pd.DataFrame({"state": [b"a", b"b", b"c"]}, IDX), "state", (0, 1, 2)),
    "dict": (pd.DataFrame({"state": [{}, {}, {}]}, IDX), "state", (0, 1, 2)),
    "empty name": (pd.DataFrame({"": [1.0] * 3}, IDX), "", ()),
    "time column beside index": (pd.DataFrame({"_time": [1.0] * 3}, IDX), "_time", ()),
    "number as name": (pd.DataFrame({7: [1.0] * 3}, IDX), None, ()),
    "lonely quality code": (pd.DataFrame({"speed_qc": [1] * 3}, IDX), "speed_qc", ()),
    "beyond 64 bits": (pd.DataFrame({"count": [1, 2**64, 2**63]}, IDX, dtype=object), "count", (1, 2)),
    "times out of range": (small().set_axis(pd.DatetimeIndex(["1500-01-01"] * 3, dtype="M8[s, UTC]")), None, ()),
    "not a frame": ({"speed": [1.0]}, None, ()),
    "a number": (7, None, ()),
    "no such file": ("/nowhere/data.parquet", None, ()),
    "no path": ("", None, ()),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_frames_are_refused_before_any_request(shared: Site, name: str) -> None:
    """FrameError naming column and first rows; nothing is sent."""
    frame, column, rows = BAD_FRAMES[name]
    entity = shared.asset()
    before = len(shared.sandbox.requests)
    with pytest.raises(tsb.FrameError) as caught:
        tsb.write_timeseries(frame, entity, "pump", twin_type="simulation", connection=shared.con)
    assert len(shared.sandbox.requests) == before
    if column is not None:
        assert caught.value.column == column
    if rows:
        assert caught.value.rows == rows
    assert len(str(caught.value)) > 30


@pytest.mark.parametrize(
    "data",
    ["/nowhere/data.parquet", "", [small().tz_localize(None)], [7], 7, iter([pd.DataFrame({"speed": [1.0]})])],
    ids=["no file", "no path", "naive piece", "no frame", "a number", "no index"],
)
def test_the_first_piece_is_checked_before_the_asset_is_asked(shared: Site, data: object) -> None:
    """Also without `twin_type` nothing is sent for data that cannot be written."""
    before = len(shared.sandbox.requests)
    with pytest.raises(tsb.FrameError):
        tsb.write_timeseries(data, "a", "pump", connection=shared.con)
    with pytest.raises(tsb.FrameError, match="empty_rows"):
        tsb.write_timeseries([small()], "a", "pump", empty_rows="keep", connection=shared.con)
    with pytest.raises(tsb.ConfigError, match="progress=3"):
        tsb.write_timeseries(small(), "a", "pump", progress=3, connection=shared.con)
    assert len(shared.sandbox.requests) == before


def test_local_files_refuse_what_cannot_work(tmp_path: Path, shared: Site) -> None:
    """An unknown `closed`, a file as folder, several entities in one Parquet file."""
    with pytest.raises(tsb.FrameError, match="closed='Left'"):
        tsb.write_import_files(small(), "a", "b", tmp_path, twin_type="performance", closed="Left")
    (tmp_path / "file").touch()
    with pytest.raises(tsb.FrameError, match="directory="):
        tsb.write_import_files(small(), "a", "b", tmp_path / "file", twin_type="performance")
    entities = [shared.seed(small()) for _ in range(2)]
    both = tsb.read_timeseries(entities, "pump", "2026-03-01", "2026-03-02", connection=shared.con)
    both.to_parquet(tmp_path / "both.parquet")
    with pytest.raises(tsb.FrameError, match="one series at a time"):
        tsb.write_import_files(tmp_path / "both.parquet", "a", "b", tmp_path, twin_type="performance")


def test_young_records_are_refused_before_any_request(shared: Site) -> None:
    """A performance asset takes only records older than 30 minutes; a simulation asset takes any."""
    now = pd.Timestamp(NOW, unit="s", tz="UTC")
    frame = small(3, now - pd.Timedelta(minutes=30, seconds=1))
    entity = shared.asset("performance")
    before = len(shared.sandbox.requests)
    with pytest.raises(tsb.FrameError, match="2 of 3 records are too young") as caught:
        tsb.write_timeseries(frame, entity, "pump", twin_type="performance", connection=shared.con)
    assert caught.value.rows == (1, 2)
    assert len(shared.sandbox.requests) == before
    assert tsb.write_timeseries(frame.head(1), entity, "pump", connection=shared.con).ok
    assert tsb.write_timeseries(frame, shared.asset(), "pump", connection=shared.con).ok


def test_too_large_partitions_are_refused_before_any_upload(shared: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size rule counts the bytes of the partition's files together."""
    monkeypatch.setattr(TwinType, "max_partition_bytes", property(lambda self: 1_000))
    before = len(shared.sandbox.requests)
    with pytest.raises(tsb.FrameError, match="partition 2026-03-01T00"):
        tsb.write_timeseries(small(100), "a", "pump", twin_type="simulation", connection=shared.con)
    assert len(shared.sandbox.requests) == before


def test_large_partitions_become_several_files(tmp_path: Path) -> None:
    """Files are cut at their size, follow each other in time, and hold every record once."""
    frame = small(1_000)
    staged = list(staging.stage(open_source(frame), Series("a", "b"), TwinType.SIMULATION, tmp_path, file_bytes=10_000))
    files = staged[0].files
    assert len(files) > 4
    assert all(file.bytes <= 10_000 + 2 for file in files)
    assert staged[0].bytes == sum(file.path.stat().st_size for file in files)
    records = [json.loads(file.path.read_bytes()) for file in files]
    assert [len(one) for one in records] == [file.rows for file in files]
    values = [record["speed"] for one in records for record in one]
    assert values == frame["speed"].tolist()
    for file, one in zip(files, records, strict=True):
        assert pd.Timestamp(file.first) == pd.Timestamp(one[0]["_time"])
        assert pd.Timestamp(file.last) == pd.Timestamp(one[-1]["_time"])
    assert all(file.path.stat().st_mode & 0o077 == 0 for file in files)


def test_several_files_are_one_job(shared: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition of several files, multipart ones among them, is imported whole."""
    monkeypatch.setattr(staging.stage, "__kwdefaults__", {"closed": "left", "file_bytes": 10_000_000})
    text = "x" * 90_000
    frame = pd.DataFrame({"note": [text] * 300}, index=times("2026-03-01", 300))
    entity = shared.asset()
    report = tsb.write_timeseries(frame, entity, "pump", connection=shared.con)
    assert report["files"].tolist() == [3]
    assert any("upload=start" in query for query in shared.asked("PUT", entity))
    stored = shared.stored(entity)
    assert len(stored) == 300
    assert (stored["note"] == text).all()


def test_local_import_files(tmp_path: Path) -> None:
    """Only files, no request; a folder is made; performance assets need no age here."""
    files = tsb.write_import_files(small(2), "a", "b", tmp_path / "new", twin_type="performance")
    assert [file.path.parent.name for file in files] == ["new"]
    assert json.loads(files[0].path.read_text())[0] == {"_time": "2026-03-01T00:00:00.000000000Z", "speed": 0.5}
    with pytest.raises(tsb.FrameError, match="'digital'"):
        tsb.write_import_files(small(2), "a", "b", tmp_path, twin_type="digital")


def test_a_failing_job_does_not_stop_the_others(shared: Site) -> None:
    """Nothing of the failed partition is stored, all others are; the error carries report and reasons."""
    entity = shared.asset()
    frame = pd.DataFrame({"small": [1, 2**40, 3]}, index=times("2026-03-01", 3, "h"))
    with pytest.raises(tsb.PartialImportError, match="1 of 3 partitions failed") as caught:
        tsb.write_timeseries(frame, entity, "pump", twin_type="simulation", connection=shared.con)
    error = caught.value
    assert error.done == ("2026-03-01T00", "2026-03-01T02")
    assert error.failed == ("2026-03-01T01",)
    assert error.unknown == ()
    assert isinstance(error.errors[0], tsb.JobError)
    assert "small" in error.errors[0].message
    assert error.errors[0].job == error.report["job_id"][1]
    assert error.errors[0].files[0].startswith("tsbulk-frames/2026-03-01T01-")
    assert shared.stored(entity)["small"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        (Answer(500, {"message": "boom"}), "unknown"),
        (Drop(after_work=True), "unknown"),
        (Answer(400, {"message": "bad body"}), "failed"),
        (Answer(202, "<html>accepted</html>"), "unknown"),
        (Answer(201, {}), "unknown"),
    ],
)
def test_a_job_that_may_have_been_started_is_unknown(action: object, outcome: str) -> None:
    """A POST without an answer is never repeated; the report says what is not known."""
    for site in open_site(faults=Faults([Fault(action, "POST", r"/importJobs$", nth=2)])):
        entity = site.asset()
        with pytest.raises(tsb.PartialImportError) as caught:
            tsb.write_timeseries(small(3, "2026-03-01", "h"), entity, "pump", max_workers=1, connection=site.con)
        assert len(getattr(caught.value, outcome)) == 1
        names = {*getattr(caught.value, outcome), *caught.value.done}
        assert names == {"2026-03-01T00", "2026-03-01T01", "2026-03-01T02"}
        assert len(site.asked("POST", "/importJobs")) == 3


def test_one_job_that_cannot_be_asked_for_does_not_stop_the_others() -> None:
    """It is unknown; all others are awaited to their end."""
    for site in open_site(faults=Faults([Fault(Answer(404, {"message": "gone"}), "GET", r"/importJobs/")])):
        entity = site.asset()
        with pytest.raises(tsb.PartialImportError, match="1 are unknown") as caught:
            tsb.write_timeseries(small(12, freq="h"), entity, "pump", connection=site.con)
        assert len(caught.value.done) == 11
        assert isinstance(caught.value.errors[0], tsb.NotFoundError)
        jobs = caught.value.report.job_ids
        assert tsb.wait_for_jobs(jobs, connection=site.con)["status"].eq("SUCCESS").all()


def test_a_job_that_failed_at_once_is_told_without_waiting() -> None:
    """A job answered with ERROR is a failed partition, also with wait=False."""

    def fail(reply: Reply) -> None:
        reply.json = reply.json | {"status": "ERROR", "message": "disk full"}

    for site in open_site(faults=Faults([Fault(Rewrite(fail), "POST", r"/importJobs$")])):
        with pytest.raises(tsb.PartialImportError) as caught:
            tsb.write_timeseries(small(), site.asset(), "pump", wait=False, connection=site.con)
        assert caught.value.errors[0].message == "disk full"


def test_an_interruption_starts_no_more_jobs_and_names_those_started(site: Site) -> None:
    """What was uploading goes no further; the ids of jobs already started come with the exception."""
    told: list[int] = []

    def interrupt(amount: int) -> None:
        told.append(amount)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        tsb.write_timeseries(
            small(30, freq="h"), site.asset(), "pump", max_workers=1, progress=interrupt, connection=site.con
        )
    started = len(site.asked("POST", "/importJobs"))
    assert started < 30
    assert caught.value.__notes__[0].count(",") == started - 1


def test_a_throttled_post_is_repeated() -> None:
    """429 was certainly not heard."""
    for site in open_site(faults=Faults([Fault(Answer(429, headers={"Retry-After": "0"}), "POST", r"/importJobs$")])):
        assert tsb.write_timeseries(small(), site.asset(), "pump", connection=site.con).ok


@pytest.mark.parametrize("variant", [job_in_list, old_job_names])
def test_jobs_by_any_published_spelling(variant: object) -> None:
    """A one-element list, or other field names, are the same job."""
    for site in open_site(faults=Faults([Fault(Rewrite(variant), "*", r"/importJobs", times=None)])):
        report = tsb.write_timeseries(small(), site.asset(), "pump", connection=site.con)
        assert report.ok
        assert report["start_time"][0] is not None
        assert len(site.sandbox.faults.log) >= 2


def test_unknown_asset_and_aspect_are_not_found(shared: Site) -> None:
    """Named, and nothing is uploaded; the same when the twin type is given."""
    entity = shared.asset()
    with pytest.raises(tsb.NotFoundError):
        tsb.write_timeseries(small(), "f" * 32, "pump", connection=shared.con)
    with pytest.raises(tsb.NotFoundError, match="no aspect 'valve'; it has pump"):
        tsb.write_timeseries(small(), entity, "valve", connection=shared.con)
    assert shared.asked("PUT", entity) == []
    with pytest.raises(tsb.NotFoundError):
        tsb.write_timeseries(small(), "f" * 32, "pump", twin_type="simulation", connection=shared.con)
    with pytest.raises(tsb.NotFoundError):
        tsb.write_timeseries(small(), entity, "valve", twin_type="simulation", connection=shared.con)


def test_a_deadline_is_no_failure() -> None:
    """Jobs still running: told by id, and they can be awaited again."""
    now = [NOW]
    sandbox = tsb.Sandbox(rules=Rules(job_seconds=60), clock=lambda: now[0])
    with sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
        sandbox.add_asset("a" * 32, twin_type="simulation", aspects={"pump": {"speed": "DOUBLE"}})
        with pytest.raises(tsb.JobTimeout, match="await them again") as caught:
            tsb.write_timeseries(small(), "a" * 32, "pump", timeout=0, connection=con)
        assert caught.value.report["status"].isin(["SUBMITTED", "IN_PROGRESS"]).all()
        with pytest.raises(tsb.JobTimeout):
            tsb.wait_for_jobs(caught.value.job_ids, timeout=0, connection=con)
        now[0] += 61
        jobs = tsb.wait_for_jobs(caught.value.job_ids, poll_interval=0.01, connection=con)
        assert jobs["status"].tolist() == ["SUCCESS"]


def test_a_deadline_names_failed_partitions_and_looks_at_every_job() -> None:
    """Partitions that failed are not hidden by others still running; jobs that have ended are not called running."""
    now = [NOW]
    sandbox = tsb.Sandbox(rules=Rules(job_seconds=60), clock=lambda: now[0], faults=Faults())
    sandbox.faults.add(Fault(Answer(400, {"message": "no"}), "PUT", r"/files/"))
    with sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
        sandbox.add_asset("a" * 32, twin_type="simulation", aspects={"pump": {"speed": "DOUBLE"}})
        with pytest.raises(tsb.JobTimeout, match="1 other partitions failed") as caught:
            tsb.write_timeseries(small(20, freq="h"), "a" * 32, "pump", timeout=0, connection=con)
        now[0] += 61
        assert len(caught.value.job_ids) == 19
        for _ in range(200):
            if len(sandbox.records("a" * 32, "pump")) == 19:
                break
            con.sleep(0.05)
        assert len(tsb.wait_for_jobs(caught.value.job_ids, timeout=0, connection=con)) == 19


def test_waiting_for_nothing_and_for_the_unknown(shared: Site) -> None:
    """No ids: an empty frame; an unknown id: not found; bad arguments: refused."""
    assert len(tsb.wait_for_jobs([], connection=shared.con)) == 0
    with pytest.raises(tsb.NotFoundError):
        tsb.wait_for_jobs("f" * 32, connection=shared.con)
    with pytest.raises(tsb.FrameError, match="job_ids=None"):
        tsb.wait_for_jobs(None, connection=shared.con)
    with pytest.raises(tsb.FrameError, match="job id 3"):
        tsb.wait_for_jobs([3], connection=shared.con)
    with pytest.raises(tsb.ConfigError, match="timeout=-1"):
        tsb.wait_for_jobs("a", timeout=-1, connection=shared.con)


def test_what_was_read_can_be_written_unchanged(shared: Site) -> None:
    """Gaps, quality codes, integers beyond 2**53, empty text: there, back, and there again."""
    frame = pd.DataFrame(
        {
            "speed": [1.5, np.nan, -0.0],
            "speed_qc": pd.array([0, None, 192], "Int64"),
            "count": pd.array([2**53 + 1, None, -(2**63)], "Int64"),
            "on": pd.array([True, None, False], "boolean"),
            "state": ["", 'läuft\n"},{', None],
            "at": ["2026-03-01T00:00:00.123456789Z"] * 3,
        },
        index=times("2026-03-01", 3, "40min"),
    )
    first, second = shared.asset(), shared.asset("performance")
    tsb.write_timeseries(frame, first, "pump", connection=shared.con)
    read = tsb.read_timeseries(first, "pump", dt.date(2026, 3, 1), dt.date(2026, 3, 2), connection=shared.con)
    tsb.write_timeseries(read, second, "pump", connection=shared.con)
    pd.testing.assert_frame_equal(shared.stored(first), shared.stored(second))
    again = tsb.read_timeseries(second, "pump", "2026-03-01", "2026-03-02", connection=shared.con)
    pd.testing.assert_frame_equal(read, again)
    assert read["count"].tolist()[0] == 2**53 + 1
    assert np.signbit(read["speed"].iloc[2])
    assert read["state"].iloc[0] == ""
