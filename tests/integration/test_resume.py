"""Imports that were stopped by trouble, and what going on does: the scripted cases beside the random kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from killing import CHILD, Arena, Case
from plant import Site, open_site, times
from watching import Kill

import tsbulk_frames as tsb
from tsbulk_frames import run
from tsbulk_frames.manifest import Manifest
from tsbulk_frames.sandbox import Fault, Faults, Rules
from tsbulk_frames.sandbox.faults import Answer, Drop, Reply, Rewrite

SETTLE = {"settle_timeout": 0.5}


def hourly(rows: int = 3) -> pd.DataFrame:
    """Make a row an hour."""
    return pd.DataFrame({"speed": np.arange(rows) + 0.5}, index=times("2026-03-01", rows, "h"))


def names(rows: int = 3) -> tuple[str, ...]:
    """Name its partitions."""
    return tuple(f"2026-03-01T{hour:02d}" for hour in range(rows))


def faulty(*script: Fault) -> Iterator[Site]:
    """Give a site with a script of trouble."""
    yield from open_site(faults=Faults(script))


def partly(site: Site, entity: str, manifest: Path, data: object) -> tsb.PartialImportError:
    """Begin an import that cannot end well."""
    with pytest.raises(tsb.PartialImportError) as caught:
        tsb.write_timeseries(data, entity, "pump", manifest=manifest, max_workers=1, connection=site.con)
    assert caught.value.manifest == str(manifest)
    assert "tsb.resume_import(" in str(caught.value)
    assert str(manifest) in str(caught.value)
    return caught.value


def counts(site: Site) -> tuple[int, int]:
    """Count uploads and jobs asked for."""
    return len(site.asked("PUT", "/files/")), len(site.asked("POST", "/importJobs"))


def interrupt(arena: Arena, order: dict[str, Any], request: str) -> dict[str, Any]:
    """Run an order in an interpreter of its own, and interrupt it while it waits for an answer."""
    arena.watch.begin(None)
    arena.watch.hold(request)
    try:
        command = [sys.executable, str(CHILD), "once"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
            assert arena.watch.held.wait(60), f"no {request} came"
            process.send_signal(signal.SIGINT)
            process.wait(30)
    finally:
        arena.watch.release()
    outcome: dict[str, Any] = json.loads(Path(order["outcome"]).read_text())
    return outcome


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Name a manifest."""
    return tmp_path / "import.sqlite"


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Give a sandbox and children to be killed."""
    with Arena(tmp_path_factory.mktemp("resume")) as arena:
        yield arena


def test_a_lost_answer_is_settled_by_looking(manifest: Path) -> None:
    """A job that was started without telling is unknown; resuming finds its records, and posts nothing again."""
    for site in faulty(Fault(Drop(after_work=True), "POST", r"/importJobs$", nth=2)):
        entity = site.asset()
        error = partly(site, entity, manifest, hourly())
        assert (error.done, error.failed, error.unknown) == ((names()[0], names()[2]), (), (names()[1],))
        before = counts(site)
        report = tsb.resume_import(manifest, connection=site.con, **SETTLE)
        assert report.ok
        assert counts(site) == before
        pd.testing.assert_frame_equal(site.stored(entity), hourly(), check_freq=False)
        assert site.con.files.list_files(entity) == []


def test_a_lost_question_is_asked_again_once(manifest: Path) -> None:
    """A job that was never started: looked for as long as was said, then posted once."""
    for site in faulty(Fault(Drop(), "POST", r"/importJobs$", nth=2)):
        entity = site.asset()
        assert partly(site, entity, manifest, hourly()).unknown == (names()[1],)
        looked = len(site.asked("GET", "/timeseries/"))
        report = tsb.resume_import(manifest, connection=site.con, **SETTLE)
        assert report.ok
        assert len(site.asked("POST", "/importJobs")) == 4
        assert len(site.asked("GET", "/timeseries/")) > looked
        pd.testing.assert_frame_equal(site.stored(entity), hourly(), check_freq=False)


def test_older_records_of_the_hour_do_not_settle_it(manifest: Path) -> None:
    """What the series held before is not taken for the job's work: the partition is posted."""
    for site in faulty(Fault(Drop(), "POST", r"/importJobs$", nth=4)):
        entity = site.asset()
        assert tsb.write_timeseries(hourly(), entity, "pump", connection=site.con).ok
        partly(site, entity, manifest, hourly() + 1)
        assert tsb.resume_import(manifest, connection=site.con, **SETTLE).ok
        pd.testing.assert_frame_equal(site.stored(entity), hourly() + 1, check_freq=False)


def test_a_failed_job_is_done_again_once_the_cause_is_mended(manifest: Path) -> None:
    """ERROR stops no other partition; resuming does only the failed one, and fails anew until the cause is mended."""
    for site in open_site():
        entity = site.asset(aspects={"pump": {"speed": "DOUBLE"}})
        frame = hourly().assign(late=[None, 7.0, None])
        with pytest.raises(tsb.PartialImportError) as caught:
            tsb.write_timeseries(frame, entity, "pump", twin_type="simulation", manifest=manifest, connection=site.con)
        assert (caught.value.done, caught.value.failed) == ((names()[0], names()[2]), (names()[1],))
        assert f"tsb.resume_import({str(manifest)!r})" in str(caught.value)
        with pytest.raises(tsb.PartialImportError, match="late"):
            tsb.resume_import(manifest, connection=site.con, **SETTLE)
        site.sandbox.add_asset(entity, twin_type="simulation", aspects={"pump": {"speed": "DOUBLE", "late": "DOUBLE"}})
        before = counts(site)[1]
        report = tsb.resume_import(manifest, connection=site.con, **SETTLE)
        assert report.ok
        assert counts(site)[1] == before + 1
        assert site.stored(entity)["late"].tolist()[1] == 7.0
        assert site.con.files.list_files(entity) == []


def test_a_failed_upload_is_done_again(manifest: Path) -> None:
    """A file that was refused: the other partitions are done, resuming sends that one."""
    for site in faulty(Fault(Answer(400, {"message": "no"}), "PUT", r"/files/", nth=2)):
        entity = site.asset()
        assert partly(site, entity, manifest, hourly()).failed == (names()[1],)
        before = counts(site)
        assert tsb.resume_import(manifest, connection=site.con).ok
        assert counts(site) == (before[0] + 1, before[1] + 1)
        pd.testing.assert_frame_equal(site.stored(entity), hourly(), check_freq=False)


@pytest.mark.parametrize("kind", ["parquet", "iterator"])
def test_only_what_resuming_needs_stays_on_disk(tmp_path: Path, manifest: Path, kind: str) -> None:
    """Staging files go with the success of their job, and those of a failed one if its data can be read again."""
    hourly().to_parquet(tmp_path / "a.parquet")
    data = tmp_path / "a.parquet" if kind == "parquet" else iter([hourly()])
    for site in faulty(Fault(Answer(400, {"message": "no"}), "PUT", r"/files/", nth=2)):
        partly(site, site.asset(), manifest, data)
        left = sorted(path.name for path in Path(f"{manifest}.files").rglob("*.json"))
        assert left == ([] if kind == "parquet" else ["2026-03-01T01-001.json"])
        assert tsb.resume_import(manifest, connection=site.con).ok
        assert list(Path(f"{manifest}.files").rglob("*")) == []


def test_a_lost_part_is_sent_again(manifest: Path) -> None:
    """Of a file in parts only the lost one is repeated; once the tries are used up, resuming goes on."""
    frame = pd.DataFrame({"note": ["x" * 90_000] * 220}, index=times("2026-03-01", 220))
    script = [Fault(Drop(), "PUT", r"part=1$"), Fault(Answer(400, {"message": "no"}), "PUT", r"part=2$", nth=1)]
    for site in faulty(*script):
        entity = site.asset()
        assert partly(site, entity, manifest, frame).failed == names(1)
        assert tsb.resume_import(manifest, connection=site.con).ok
        stored = site.stored(entity)
        assert len(stored) == 220
        assert (stored["note"] == "x" * 90_000).all()
        assert site.con.files.list_files(entity) == []


def test_nothing_left_to_do(manifest: Path) -> None:
    """Without waiting, then waiting by the manifest: resuming sends nothing any more, and says so."""
    for site in open_site():
        entity = site.asset()
        report = tsb.write_timeseries(hourly(), entity, "pump", wait=False, manifest=manifest, connection=site.con)
        assert report.manifest == str(manifest)
        jobs = tsb.wait_for_jobs(report.manifest, connection=site.con)
        assert jobs["status"].tolist() == ["SUCCESS"] * 3
        assert sorted(jobs["job_id"]) == sorted(report.job_ids)
        before = counts(site)
        again = tsb.resume_import(manifest, connection=site.con, **SETTLE)
        assert again.ok
        assert again["rows"].sum() == 3
        assert counts(site) == before
        asked = len(site.sandbox.requests)
        assert tsb.resume_import(manifest, connection=site.con, **SETTLE).counts["skipped"] == 3
        assert len(site.sandbox.requests) == asked
        assert site.con.files.list_files(entity) == []


def test_what_is_done_is_skipped(manifest: Path) -> None:
    """The report tells done from skipped."""
    for site in faulty(Fault(Answer(400, {"message": "no"}), "PUT", r"/files/", nth=2)):
        partly(site, site.asset(), manifest, hourly())
        counted = tsb.resume_import(manifest, connection=site.con).counts
        assert (counted["done"], counted["skipped"], counted["failed"], counted["unknown"]) == (1, 2, 0, 0)


def test_a_manifest_in_use_is_refused(arena: Arena) -> None:
    """A second process is told who has it, and harms nothing; once the first is gone, it may go on."""
    order = arena.order(Case(partitions=3))
    sandbox = arena.sandbox
    with arena.stuck(order, "PUT file"), tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
        with pytest.raises(tsb.ConfigError, match="in use") as caught:
            tsb.resume_import(order["manifest"], connection=con)
        assert order["manifest"] in str(caught.value)
        with pytest.raises(tsb.ConfigError, match="in use"):
            tsb.write_timeseries(order["source"], order["entity"], "pump", manifest=order["manifest"], connection=con)
    assert arena.live(order).status == 0


def test_a_manifest_of_another_gateway_is_refused(manifest: Path) -> None:
    """It belongs to the gateway it was begun at; nothing is asked of another."""
    for site in open_site():
        tsb.write_timeseries(hourly(), site.asset(), "pump", manifest=manifest, connection=site.con)
        with (
            tsb.connect("https://gateway.eu1.mindsphere.io", credentials=tsb.UserToken("t")) as other,
            pytest.raises(tsb.ConfigError, match=r"gateway\.eu1\.mindsphere\.io") as caught,
        ):
            tsb.resume_import(manifest, connection=other)
        assert site.sandbox.url in str(caught.value)


def test_a_sandbox_that_was_started_again_is_the_same(tmp_path: Path, manifest: Path) -> None:
    """On this machine the port may change: the import goes on where it was."""
    entity = "a" * 32
    faults = Faults([Fault(Answer(400, {"message": "no"}), "PUT", r"/files/", nth=2)])
    with tsb.Sandbox(tmp_path / "data", faults=faults) as sandbox:
        sandbox.add_asset(entity, twin_type="simulation")
        with tsb.connect(sandbox.url, credentials=sandbox.credentials) as con, pytest.raises(tsb.PartialImportError):
            tsb.write_timeseries(hourly(), entity, "pump", manifest=manifest, max_workers=1, connection=con)
    with tsb.Sandbox(tmp_path / "data") as sandbox:
        with tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
            assert tsb.resume_import(manifest, connection=con).ok
        assert sandbox.records(entity, "pump")["speed"].tolist() == [0.5, 1.5, 2.5]


def test_no_manifest(tmp_path: Path, site: Site) -> None:
    """A path that names none is said, and nothing is made there."""
    with pytest.raises(tsb.ConfigError, match=r"nothing\.sqlite"):
        tsb.resume_import(tmp_path / "nothing.sqlite", connection=site.con)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["other values", "one more file", "touched", "removed"])
def test_a_changed_source_is_noticed(tmp_path: Path, manifest: Path, change: str) -> None:
    """Parquet that is to be read once more: other values of the same size are refused, the same bytes are not."""
    source = tmp_path / "source" / "a.parquet"
    source.parent.mkdir()
    hourly().to_parquet(source)
    for site in faulty(Fault(Answer(400, {"message": "no"}), "PUT", r"/files/", nth=2)):
        entity = site.asset()
        partly(site, entity, manifest, source.parent)
        size = source.stat().st_size
        if change == "other values":
            (hourly() + 1).to_parquet(source)
            assert source.stat().st_size == size
        elif change == "one more file":
            hourly().set_axis(times("2026-03-02", 3, "h")).to_parquet(source.with_name("b.parquet"))
        elif change == "touched":
            os.utime(source, (1, 1))
        else:
            source.unlink()
        if change == "touched":
            assert tsb.resume_import(manifest, connection=site.con).ok
            return
        before = counts(site)
        with pytest.raises(tsb.FrameError, match=r"[ab]\.parquet"):
            tsb.resume_import(manifest, connection=site.con)
        assert counts(site) == before


def test_an_iterator_that_was_killed_midway(arena: Arena) -> None:
    """What was staged is imported; the error says what is missing, and writing the same data again ends it."""
    case = Case(kind="iterator", partitions=4)
    order = arena.order(case)
    assert arena.live(order | {"pieces": 2}, Kill(0.05, "GET job", 1, "told")).killed
    stored = len(arena.sandbox.records(order["entity"], "pump"))
    again = arena.live(order | {"action": "resume"})
    assert again.outcome is not None
    assert again.outcome["error"] is not None
    assert "to its end" in again.outcome["text"]
    assert "write_timeseries(" in again.outcome["text"]
    assert len(arena.sandbox.records(order["entity"], "pump")) >= stored
    last = arena.live(order | {"action": "write"})
    assert last.status == 0, last.outcome
    pd.testing.assert_frame_equal(
        arena.sandbox.records(order["entity"], "pump")[["speed", "count"]],
        case.frame()[["speed", "count"]],
        check_freq=False,
    )


def test_what_is_stored_is_verified(manifest: Path) -> None:
    """Count, first and last time of each partition are asked for, and are right."""
    for site in open_site():
        entity = site.asset()
        report = tsb.write_timeseries(hourly(), entity, "pump", verify=True, manifest=manifest, connection=site.con)
        assert report.ok
        assert len(site.asked("GET", f"/iottsbulk/v3/timeseries/{entity}")) >= 3


@pytest.mark.parametrize("lost", ["first", "last"])
def test_a_partition_that_is_not_stored_as_sent_is_named(manifest: Path, lost: str) -> None:
    """A job that succeeded, and yet a record is missing: an error that names the partition."""

    def tamper(reply: Reply) -> None:
        page = reply.json
        if page and page.get("records"):
            page["records"] = [one for one in page["records"] if not one["_time"].startswith("2026-03-01T01:00")]
            reply.json = page

    frame = hourly(4).drop(hourly(4).index[2]) if lost == "first" else hourly(3)
    frame = pd.concat([frame, pd.DataFrame({"speed": [9.0]}, index=times("2026-03-01T01:30", 1))]).sort_index()
    for site in faulty(Fault(Rewrite(tamper), "GET", r"/iottsbulk/v3/timeseries/", times=None)):
        entity = site.asset()
        with pytest.raises(tsb.TsBulkError, match="2026-03-01T01") as caught:
            tsb.write_timeseries(frame, entity, "pump", verify=True, manifest=manifest, connection=site.con)
        assert isinstance(caught.value, tsb.PartialImportError)
        assert caught.value.failed == ("2026-03-01T01",)


def test_a_full_disk_is_told_and_survived(arena: Arena) -> None:
    """No room for an import file: an error that says so; with room again, resuming ends it."""
    case = Case(rows=8_000)
    order = arena.order(case)
    life = arena.live(order | {"file_limit": 400_000})
    assert life.status == 3, life
    assert life.outcome is not None
    assert "File too large" in life.outcome["text"], life.outcome
    last = arena.live(order)
    assert last.status == 0, last.outcome
    assert len(arena.sandbox.records(order["entity"], "pump")) == len(case.frame())


def test_an_interrupt_ends_at_once_and_can_be_gone_on_with(arena: Arena) -> None:
    """Ctrl-C of a real process that is waiting for an answer: over in a moment, and it tells how to go on."""
    order = arena.order(Case())
    outcome = interrupt(arena, order, "PUT file")
    assert outcome["error"] == "KeyboardInterrupt"
    assert any("tsb.resume_import(" in note for note in outcome["notes"])
    last = arena.live(order)
    assert last.status == 0, last.outcome
    assert len(arena.sandbox.records(order["entity"], "pump")) == len(Case().frame())


def test_an_interrupt_while_files_are_deleted_loses_none(arena: Arena) -> None:
    """What Ctrl-C kept from being deleted in the file service is deleted on resuming."""
    order = arena.order(Case())
    interrupt(arena, order, "DELETE file")
    assert arena.live(order).status == 0
    with tsb.connect(arena.sandbox.url, credentials=arena.sandbox.credentials) as con:
        assert con.files.list_files(order["entity"]) == []


@pytest.mark.parametrize("kind", ["parquet", "iterator"])
def test_a_staging_file_that_changed_is_not_imported(arena: Arena, kind: str) -> None:
    """Other bytes of the same size, after a power cut or an edit: made anew, or refused by name; never sent."""
    case = Case(kind=kind, partitions=3)
    order = arena.order(case)
    assert arena.live(order, Kill(0.0, "PUT file", 1, "unsent")).killed
    for file in Path(order["manifest"] + ".files").glob("*.json"):
        text = file.read_text().replace('"state":"RUN"', '"state":"RAN"')
        file.write_text(text)
    last = arena.live(order | {"action": "resume"})
    stored = arena.sandbox.records(order["entity"], "pump")
    assert not len(stored) or not (stored["state"] == "RAN").any()
    assert last.outcome is not None
    if kind == "parquet":
        assert last.status == 0, last.outcome
        assert len(stored) == len(case.frame())
    else:
        assert last.outcome["error"] is not None


def test_a_listing_that_lags_fails_nothing(tmp_path: Path, manifest: Path) -> None:
    """A file that went up, but is not listed yet, is not taken for another's: resuming at once works."""
    faults = Faults([Fault(Answer(400, {"message": "no"}), "POST", r"/importJobs$", nth=2)])
    sandbox = tsb.Sandbox(faults=faults, rules=Rules(listing_lag=2.0))
    with sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
        sandbox.add_asset("a" * 32, twin_type="simulation")
        hourly().to_parquet(tmp_path / "a.parquet")
        with pytest.raises(tsb.PartialImportError):
            tsb.write_timeseries(
                tmp_path / "a.parquet", "a" * 32, "pump", manifest=manifest, max_workers=1, connection=con
            )
        assert tsb.resume_import(manifest, connection=con).ok
        assert sandbox.records("a" * 32, "pump")["speed"].tolist() == [0.5, 1.5, 2.5]


def test_what_was_not_awaited_is_not_started_twice(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting, and no room left on disk: jobs that were started are awaited, then it goes on."""
    monkeypatch.setattr(run, "STAGING_BYTES", 100)
    for site in open_site():
        entity = site.asset()
        report = tsb.write_timeseries(hourly(6), entity, "pump", wait=False, manifest=manifest, connection=site.con)
        assert len(report.job_ids) == 6
        assert report.counts["done"] > 0
        assert tsb.resume_import(manifest, connection=site.con).ok
        assert counts(site) == (6, 6)


def test_jobs_that_run_already_are_not_awaited_either(manifest: Path) -> None:
    """Without waiting, a second call leaves the jobs of the first to themselves."""
    for site in open_site():
        order = (hourly(), site.asset(), "pump")
        tsb.write_timeseries(*order, wait=False, manifest=manifest, connection=site.con)
        tsb.write_timeseries(*order, wait=False, manifest=manifest, connection=site.con)
        assert site.asked("GET", "/importJobs/") == []
        assert counts(site) == (3, 3)


def test_what_cannot_be_verified_is_not_done(manifest: Path) -> None:
    """A job that succeeded, but what is stored cannot be read: unknown, until resuming has compared it."""
    for site in faulty(Fault(Answer(400, {"message": "no"}), "GET", r"/iottsbulk/v3/timeseries/", nth=2)):
        entity = site.asset()
        with pytest.raises(tsb.PartialImportError, match="400: no") as caught:
            tsb.write_timeseries(hourly(), entity, "pump", verify=True, manifest=manifest, connection=site.con)
        assert len(caught.value.unknown) == 1
        assert not caught.value.report["verified"].all()
        report = tsb.resume_import(manifest, connection=site.con, **SETTLE)
        assert report.ok
        assert report["verified"].all()
        assert counts(site) == (3, 3)


def test_an_error_of_the_callers_iterator_is_passed_on(manifest: Path, site: Site) -> None:
    """A file its iterator misses is not told as a staging folder without room."""

    def pieces() -> Iterator[pd.DataFrame]:
        yield hourly()
        raise FileNotFoundError("march.csv")

    with pytest.raises(FileNotFoundError, match="march") as caught:
        tsb.write_timeseries(pieces(), site.asset(), "pump", manifest=manifest, connection=site.con)
    assert any("tsb.resume_import(" in note for note in caught.value.__notes__)


def test_files_that_are_kept_stay_when_nothing_is_left_to_do(manifest: Path) -> None:
    """The same call once more with keep_files leaves the import files where they are."""
    for site in open_site():
        order = (hourly(), site.asset(), "pump")
        for _ in range(2):
            tsb.write_timeseries(*order, keep_files=True, manifest=manifest, connection=site.con)
            assert len(list(Path(f"{manifest}.files").glob("*.json"))) == 3


def test_mended_data_that_was_not_saved_yet_is_not_replaced_by_the_former(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended before the mended frame is on disk: resuming says so, and never sends the one before."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for site in faulty(Fault(Answer(400, {"message": "no"}), "PUT", r"/files/", nth=2)):
        entity = site.asset()
        partly(site, entity, manifest, hourly())
        mended = hourly().mask(hourly() == 1.5, 7.0)
        with monkeypatch.context() as patch:
            patch.setattr(Manifest, "plan", interrupted)
            with pytest.raises(KeyboardInterrupt):
                tsb.write_timeseries(mended, entity, "pump", manifest=manifest, connection=site.con)
        with pytest.raises(tsb.FrameError, match="had not been saved yet"):
            tsb.resume_import(manifest, connection=site.con)
        assert tsb.write_timeseries(mended, entity, "pump", manifest=manifest, connection=site.con).ok
        assert site.stored(entity)["speed"].tolist() == [0.5, 7.0, 2.5]


def test_an_interrupt_after_an_error_tells_how_to_go_on(
    manifest: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the jobs started before an error are awaited."""

    class Interrupted(ThreadPoolExecutor):
        times = 0

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait, cancel_futures=cancel_futures)
            self.times += 1
            if self.times == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(run, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        tsb.write_timeseries(iter([hourly(), hourly()]), site.asset(), "pump", manifest=manifest, connection=site.con)
    assert any("tsb.resume_import(" in note for note in caught.value.__notes__)
