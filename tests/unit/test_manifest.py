"""The manifest: facts outlive their process whole, one holder at a time, nothing of others is touched."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tsbulk_frames import statefile
from tsbulk_frames.errors import ConfigError
from tsbulk_frames.manifest import Entry, FileEntry, Header, Manifest
from tsbulk_frames.messages import ImportJob, JobStatus
from tsbulk_frames.model import TwinType
from tsbulk_frames.staging import ImportFile

HEADER = Header("pump-1", "flow", TwinType.SIMULATION, "right", "https://host", '{"a": 1}', "drop", True, False)
ODD = "a b/ä\n\0\ud800\U0001f600'\";--"
NOW = 1_772_323_200.25  # 2026-03-01T00:00:00.25Z
DAY = "2026-03-01"


def clock() -> float:
    """Stand still."""
    return NOW


def make(path: Path, header: Header = HEADER) -> Manifest:
    """Begin one."""
    return Manifest.create(path, header, clock=clock)


def files_of(name: str, count: int = 2) -> list[FileEntry]:
    """Import files that lie somewhere, none uploaded."""
    return [
        FileEntry(
            ImportFile(Path(f"/data/{name}-{n}.json"), name, 10 + n, 500, f"{name}:{n}0Z", f"{name}:{n}9Z", "d" * 32),
            f"remote/{name}-{n}.json",
            None,
            False,
        )
        for n in range(count)
    ]


def answer(status: str, job_id: str = "j1", message: str | None = None) -> ImportJob:
    """Speak as the service does."""
    return ImportJob(job_id, JobStatus(status), message, "2026-03-01T01:00:00Z", "2026-03-01T02:00:00Z")


Fact = Callable[[Manifest, str], None]
FACTS: dict[str, Fact] = {
    "staged": lambda m, name: m.staged(name, files_of(name)),
    "uploading 0": lambda m, name: m.uploading(name, 0),
    "uploaded 0": lambda m, name: m.uploaded(name, 0, 2**70),
    "uploading 1": lambda m, name: m.uploading(name, 1),
    "uploaded 1": lambda m, name: m.uploaded(name, 1, None),
    "posting": lambda m, name: m.posting(name),
    "submitted": lambda m, name: m.answered(name, answer("SUBMITTED")),
    "in progress": lambda m, name: m.answered(name, answer("IN_PROGRESS")),
    "error": lambda m, name: m.answered(name, answer("ERROR", message=ODD)),
    "success": lambda m, name: m.answered(name, answer("SUCCESS")),
    "failed": lambda m, name: m.failed(name, ODD),
    "unknown": lambda m, name: m.failed(name, ODD, unknown=True),
    "settled": lambda m, name: m.settled(name),
    "verified": lambda m, name: m.verified(name),
    "cleaned": lambda m, name: m.cleaned(name),
}
UPLOAD = ["uploading 0", "uploaded 0", "uploading 1", "uploaded 1"]
WAY = ["staged", *UPLOAD, "posting", "submitted", "success", "verified", "cleaned"]
ROUTES: dict[str, list[str]] = {
    "planned": [],
    "staged": WAY[:4],
    "uploaded": WAY[:5],
    "posting": WAY[:6],
    "running": WAY[:7],
    "done": WAY[:8],
    "failed": [*WAY[:7], "error"],
    "unknown": [*WAY[:6], "unknown"],
}


def bring(manifest: Manifest, name: str, state: str) -> None:
    """Lead a partition to a state."""
    manifest.plan([(name, 20, 900, f"{name}:00Z", f"{name}:19Z")])
    for fact in ROUTES[state]:
        FACTS[fact](manifest, name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there."""
    return tmp_path / "night.sqlite"


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Read all that is in a folder."""
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


# What is noted


def test_a_manifest_comes_back_as_it_was(path: Path) -> None:
    """Header, partitions, files and texts of any kind are the same when it is opened again."""
    header = replace(HEADER, entity=ODD, property_set=ODD, source=ODD)
    with make(path, header) as manifest:
        for name, state in zip(
            ["2026-03-03", "2026-03-01", "2026-03-02"], ["failed", "planned", "unknown"], strict=True
        ):
            bring(manifest, name, state)
        manifest.staged(ODD, [replace(one, file=replace(one.file, path=Path("/odd\udcff\n"))) for one in files_of(ODD)])
        entries = manifest.entries()
        assert [one.name for one in entries] == ["2026-03-01", "2026-03-02", "2026-03-03", ODD]
        assert not manifest.complete
        manifest.read_to_end()
        assert manifest.complete
    with Manifest.open(path, clock=clock) as again:
        assert again.header == header
        assert again.entries() == entries
        assert again.complete
        assert str(again.path) in repr(again)
    assert entries[0] == Entry(
        DAY, "planned", 20, 900, f"{DAY}:00Z", f"{DAY}:19Z", (), None, "PENDING", "", None, None, None, False, False
    )
    failed = entries[2]
    assert (failed.job_id, failed.status, failed.message, failed.posted_at) == ("j1", "ERROR", ODD, NOW)
    assert (failed.rows, failed.bytes, failed.first, failed.last) == (21, 1000, "2026-03-03:00Z", "2026-03-03:19Z")
    assert [(one.etag, one.uploaded) for one in failed.files] == [(2**70, True), (None, True)]
    assert entries[3].files[0].file.path == Path("/odd\udcff\n")


def test_nothing_secret_is_kept(path: Path) -> None:
    """A user name and a password in the gateway's address are left out."""
    with make(path, replace(HEADER, gateway="https://me:hunter2@host:8443")) as manifest:
        assert manifest.header.gateway == "https://host:8443"
    assert not any(b"hunter2" in content for content in bytes_of(path.parent).values())


def test_paths_move_with_the_manifest(path: Path, tmp_path: Path) -> None:
    """Files within the manifest's folder are found there when both were moved."""
    with make(path) as manifest:
        inside = [replace(one, file=replace(one.file, path=manifest.folder / "x.json")) for one in files_of(DAY, 1)]
        manifest.staged(DAY, inside)
        assert manifest.entries()[0].files == tuple(inside)
    moved = tmp_path / "other.sqlite"
    path.rename(moved)
    manifest.folder.rename(f"{moved}.files")
    with Manifest.open(moved, clock=clock) as again:
        assert again.entries()[0].files[0].file.path == tmp_path / "other.sqlite.files" / "x.json"


def test_the_log_has_a_line_for_each_fact(path: Path) -> None:
    """In the order noted, with UTC times, texts as they can be shown."""
    with make(path) as manifest:
        bring(manifest, DAY, "failed")
        log = manifest.events()
    assert log.dtypes["time"] == "datetime64[ns, UTC]"
    assert list(log["event"]) == [
        "created",
        "planned",
        "staged",
        *["uploading", "uploaded"] * 2,
        "posting",
        *["answered"] * 2,
    ]
    assert log["time"].astype("int64").unique().tolist() == [1_772_323_200_250_000_000]
    assert list(log["partition"]) == ["", "", *[DAY] * 8]
    assert "\\ud800" in log["detail"].iloc[-1]


def test_planning_again_leaves_what_was_begun(path: Path) -> None:
    """Only partitions that are still planned take new figures."""
    with make(path) as manifest:
        bring(manifest, "2026-03-01", "done")
        bring(manifest, "2026-03-02", "planned")
        before = manifest.entries()
        manifest.plan((name, 7, 8, "a", "b") for name in ("2026-03-01", "2026-03-02", "2026-03-03"))
        after = manifest.entries()
    assert after[0] == before[0]
    assert [(one.rows, one.bytes, one.first, one.last) for one in after[1:]] == [(7, 8, "a", "b")] * 2


def test_data_given_anew_forgets_what_was_not_sent(path: Path) -> None:
    """What was or may have been imported stays, with its files; the source is the new one, and not read yet."""
    with make(path) as manifest:
        for name in ROUTES:
            bring(manifest, name, name)
        manifest.read_to_end()
        kept = [one for one in manifest.entries() if one.state in ("posting", "running", "done", "unknown")]
        manifest.begin_again('{"b": 2}')
        assert (manifest.entries(), manifest.complete, manifest.header.source) == (kept, False, '{"b": 2}')
        manifest.staged("failed", files_of("failed"))
        assert not any(one.uploaded for one in manifest.entries()[1].files)
        entries = manifest.entries()
    with Manifest.open(path, clock=clock) as again:
        assert (again.entries(), again.complete) == (entries, False)
        assert again.header == replace(HEADER, source='{"b": 2}')


def test_a_manifest_of_nothing_leaves_nothing(path: Path) -> None:
    """Discarded, neither file nor folder is there, and the name is free."""
    with make(path) as manifest:
        manifest.staged(DAY, files_of(DAY))
        (manifest.folder / "x.json").touch()
        manifest.discard()
    assert os.listdir(path.parent) == []
    make(path).close()


def test_staging_gives_the_partition_as_it_is_noted(path: Path) -> None:
    """Without reading it back."""
    with make(path) as manifest:
        bring(manifest, DAY, "failed")
        assert manifest.staged(DAY, files_of(DAY)) == manifest.entries()[0]


# States

STAYS = {"uploading 0", "uploaded 0", "uploading 1", "uploaded 1", "cleaned"}
AFTER = {
    "staged": "staged",
    "posting": "posting",
    "submitted": "running",
    "in progress": "running",
    "error": "failed",
    "success": "done",
    "failed": "failed",
    "unknown": "unknown",
    "settled": "done",
    "verified": "done",
}
UNTIL_POSTED = {"staged", *UPLOAD, "failed", "unknown", "cleaned"}
ANSWERS = {"submitted", "in progress", "error", "success"}
ALLOWED = {
    "planned": {"staged", "failed", "unknown", "cleaned"},
    "staged": UNTIL_POSTED,
    "uploaded": UNTIL_POSTED | {"posting"},
    "posting": UNTIL_POSTED | ANSWERS | {"posting", "settled"},
    "running": ANSWERS | {"failed", "unknown", "settled", "cleaned"},
    "done": {"staged", "failed", "unknown", "verified", "cleaned"} | ANSWERS,
    "failed": UNTIL_POSTED | {"posting"} | ANSWERS,
    "unknown": UNTIL_POSTED | ANSWERS | {"posting", "settled"},
}


@pytest.mark.parametrize("state", ROUTES)
@pytest.mark.parametrize("fact", FACTS)
def test_states_follow_facts(path: Path, state: str, fact: str) -> None:
    """Each fact leads where the drawing says, or is refused without a trace."""
    with make(path) as manifest:
        bring(manifest, DAY, state)
        before, facts = manifest.entries()[0], len(manifest.events())
        assert before.state == state
        if fact not in ALLOWED[state]:
            with pytest.raises(RuntimeError, match=f"{DAY}.*is {state}"):
                FACTS[fact](manifest, DAY)
            assert (manifest.entries(), len(manifest.events())) == ([before], facts)
            return
        FACTS[fact](manifest, DAY)
        after = manifest.entries()[0]
    if state in ("done", "failed") and fact in ANSWERS:
        assert after == before  # a late word
    elif fact in UPLOAD and state not in ("posting", "unknown"):
        complete = all(one.uploaded for one in after.files)
        assert after.state == ("uploaded" if complete else "staged")
    else:
        assert after.state == (state if fact in STAYS else AFTER[fact])


def test_a_new_try_forgets_the_last_job(path: Path) -> None:
    """Neither posting again nor staging again leaves an id of a job that is no more."""
    with make(path) as manifest:
        for name, facts in {"a": ["posting"], "b": ["staged"], "c": ["uploading 0"]}.items():
            bring(manifest, name, "failed")
            FACTS["cleaned"](manifest, name)
            for fact in facts:
                FACTS[fact](manifest, name)
        for one in manifest.entries():
            assert (one.job_id, one.status, one.message, one.start_time) == (None, "PENDING", "", None)
            assert (one.verified, one.cleaned, one.posted_at) == (False, False, NOW if one.name == "a" else None)


def test_a_job_keeps_the_id_it_was_asked_for_with(path: Path) -> None:
    """As in the report: what a later answer calls it does not matter."""
    with make(path) as manifest:
        bring(manifest, DAY, "running")
        manifest.answered(DAY, answer("SUCCESS", job_id="J1"))
        assert manifest.entries()[0].job_id == "j1"


@pytest.mark.parametrize("fact", [fact for fact in FACTS if fact != "staged"])
def test_a_partition_that_is_not_there_is_refused(path: Path, fact: str) -> None:
    """Only staging adds one."""
    with make(path) as manifest, pytest.raises(RuntimeError, match="not in"):
        FACTS[fact](manifest, DAY)


def test_a_file_that_is_not_there_is_refused(path: Path) -> None:
    """The whole fact is undone."""
    with make(path) as manifest:
        bring(manifest, DAY, "uploaded")
        before = manifest.entries(), len(manifest.events())
        with pytest.raises(RuntimeError, match="no file 2"):
            manifest.uploading(DAY, 2)
        assert (manifest.entries(), len(manifest.events())) == before


class Machine(RuleBasedStateMachine):
    """Random facts against a picture in memory, with the file closed and opened in between."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.manifest = make(Path(self.home.name) / "m")
        self.seen: dict[str, list[str]] = {}

    @rule(name=st.sampled_from("ab"), fact=st.sampled_from(list(FACTS)))
    def fact(self, name: str, fact: str) -> None:
        """Note a fact; what counts is the last staging and what came after it."""
        try:
            FACTS[fact](self.manifest, name)
        except RuntimeError:
            return
        facts = self.seen.setdefault(name, [])
        self.seen[name] = [fact] if fact == "staged" else [*facts, fact]

    @rule()
    def again(self) -> None:
        self.manifest.close()
        self.manifest = Manifest.open(self.manifest.path, clock=clock)

    @invariant()
    def agrees(self) -> None:
        """Files are uploaded by the last word on each; a posting follows all uploads; a job id follows a posting."""
        entries = {one.name: one for one in self.manifest.entries()}
        assert entries.keys() == self.seen.keys()
        for name, facts in self.seen.items():
            for number, one in enumerate(entries[name].files):
                words = [fact for fact in facts if fact in (f"uploading {number}", f"uploaded {number}")]
                assert one.uploaded == (bool(words) and words[-1] == f"uploaded {number}")
            tail = facts[max([at for at, fact in enumerate(facts) if fact == "posting"], default=len(facts)) :]
            if entries[name].job_id is not None or entries[name].state in ("posting", "running"):
                assert "posting" in tail or "unknown" in facts
            if entries[name].verified:
                assert "verified" in facts
            if entries[name].state == "done":
                assert {"success", "settled"} & set(facts)

    def teardown(self) -> None:
        self.manifest.close()
        self.home.cleanup()


Machine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMachine = Machine.TestCase


# Rights and places


def test_all_is_private_from_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File and log 0600, folder 0700, by the mode they are made with: no chmod, and no mask that would help."""
    monkeypatch.setattr(Path, "chmod", lambda *args, **kwargs: None)
    mask = os.umask(0)
    try:
        with make(path) as manifest:
            bring(manifest, DAY, "running")
            rights = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    finally:
        os.umask(mask)
    assert rights == {"night.sqlite": 0o600, "night.sqlite-wal": 0o600, "night.sqlite.files": 0o700}


def test_rights_that_were_widened_are_narrowed(path: Path) -> None:
    """As after a copy: opening makes them private again."""
    make(path).close()
    folder = Path(f"{path}.files")
    path.chmod(0o644)
    folder.chmod(0o755)
    with Manifest.open(path, clock=clock):
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)
    folder.rmdir()
    with Manifest.open(path, clock=clock):
        assert folder.is_dir()


def test_a_closed_manifest_is_one_file(path: Path) -> None:
    """No log is left behind, closing twice is no error, and nothing can be noted any more."""
    manifest = make(path)
    bring(manifest, DAY, "running")
    manifest.close()
    manifest.close()
    assert sorted(os.listdir(path.parent)) == ["night.sqlite", "night.sqlite.files"]
    with pytest.raises(ConfigError, match="open it once more"):
        manifest.posting(DAY)


@pytest.fixture
def imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the default folder, away from the user's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(platformdirs, "user_state_dir", lambda name: str(tmp_path / "state" / name))
    return tmp_path / "state" / "tsbulk_frames" / "imports"


@pytest.mark.parametrize(
    ("entity", "safe"),
    [("pump-1", "pump-1"), (ODD, "a-b"), ("../../etc", "etc"), ("\ud800", "import"), ("x" * 300, "x" * 40)],
)
def test_the_default_place_is_safe(imports: Path, entity: str, safe: str) -> None:
    """A name of time, entity and chance, within the private state folder, whatever the entity."""
    with (
        Manifest.create(None, replace(HEADER, entity=entity), clock=clock) as one,
        Manifest.create(None, replace(HEADER, entity=entity), clock=clock) as other,
    ):
        assert one.path != other.path
        assert one.path.parent == imports
        assert one.path.name.startswith(f"20260301T000000Z-{safe}-")
        assert one.header.entity == entity
    assert stat.S_IMODE(imports.stat().st_mode) == stat.S_IMODE(imports.parent.stat().st_mode) == 0o700


def test_a_place_that_cannot_be_made_is_told(imports: Path) -> None:
    """A file where the state folder should be."""
    imports.parent.parent.write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be used"):
        Manifest.create(None, HEADER, clock=clock)


def test_old_finished_imports_are_removed(imports: Path) -> None:
    """After 30 days; neither what is unfinished, nor young, nor in use, nor not ours."""
    day = 86_400.0

    def leave(name: str, state: str, age: float, *, complete: bool = True) -> Path:
        path = imports / f"{name}.sqlite"
        with Manifest.create(path, HEADER, clock=lambda: NOW - age) as manifest:
            bring(manifest, DAY, state)
            (manifest.folder / "left.json").touch()
            if complete:
                manifest.read_to_end()
        os.utime(path, (NOW - age, NOW - age))
        return path

    imports.mkdir(parents=True)
    old = leave("old", "done", 31 * day)
    kept = [
        leave("young", "done", 29 * day),
        leave("failed", "failed", 31 * day),
        leave("unread", "done", 31 * day, complete=False),
        leave("used", "done", 31 * day),
        leave("touched", "done", 31 * day),
        imports / "foreign.sqlite",
    ]
    kept[-1].write_text("something else")
    for path in kept[3:]:
        os.utime(path, (NOW - 31 * day, NOW - 31 * day))
    with Manifest.open(kept[4], clock=clock):
        pass
    os.utime(kept[4], (NOW - 31 * day, NOW - 31 * day))
    with Manifest.open(kept[3], clock=lambda: NOW - 31 * day), Manifest.create(None, HEADER, clock=clock) as new:
        found = {one for one in imports.iterdir() if one.suffix == ".sqlite"}
    assert found == {*kept, new.path}
    assert not Path(f"{old}.files").exists()
    assert Path(f"{kept[0]}.files").is_dir()
    os.utime(kept[3], (NOW - 31 * day, NOW - 31 * day))
    with Manifest.create(None, HEADER, clock=clock):
        assert not kept[3].exists()  # not in use any more


# What is in the way


def test_a_manifest_is_never_overwritten(path: Path) -> None:
    """The message says what it holds, and the command to go on."""
    with make(path) as manifest:
        bring(manifest, "2026-03-01", "done")
        bring(manifest, "2026-03-02", "failed")
    before = bytes_of(path.parent)
    with pytest.raises(
        ConfigError, match=r"pump-1/flow, 1 of 2 partitions done; go on with tsb.resume_import\('.*night"
    ):
        make(path)
    assert bytes_of(path.parent) == before


def foreign(path: Path) -> None:
    """Write a SQLite file of somebody else."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (a)")


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("dear diary " * 100), "some other file"),
    "short text": (lambda path: path.write_text("x"), "some other file"),
    "empty": (lambda path: path.touch(), "an empty one"),
    "SQLite": (foreign, "some other file"),
    "folder": (lambda path: path.mkdir(), "no file"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "does not exist"),
    "pipe": (os.mkfifo, "no file"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_others_are_refused_and_left_alone(path: Path, kind: str) -> None:
    """Neither opened nor overwritten, and nothing is put beside them."""
    write, message = FOREIGN[kind]
    write(path)
    before = bytes_of(path.parent), os.listdir(path.parent)
    with pytest.raises(ConfigError, match=message) as told:
        Manifest.open(path, clock=clock)
    assert str(path) in str(told.value)
    with pytest.raises(ConfigError, match="never overwritten; name another"):
        make(path)
    assert (bytes_of(path.parent), os.listdir(path.parent)) == before


def test_a_file_that_comes_meanwhile_is_not_overwritten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the name first keeps it, with and without nameless files and links in the file system."""
    real, nameless = statefile._write_all, statefile._write_nameless

    def slow(handle: int, content: bytes) -> None:
        path.write_text("faster")
        real(handle, content)

    monkeypatch.setattr(statefile, "_write_all", slow)
    for way, link in ((nameless, os.link), (lambda *_: False, os.link), (nameless, refusing(errno.EPERM))):
        monkeypatch.setattr(statefile, "_write_nameless", way)
        monkeypatch.setattr(os, "link", link)
        path.unlink(missing_ok=True)
        with pytest.raises(ConfigError, match="File exists"):
            make(path)
        assert os.listdir(path.parent) == [path.name]
        assert path.read_text() == "faster"


def refusing(number: int) -> Callable[..., None]:
    """Act like a system call that fails."""

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_system_without_links_will_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is claimed first then."""
    monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    with make(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_draft_is_ever_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed while it makes a manifest leaves nothing: the file has no name before it is whole."""
    seen: list[list[str]] = []
    real = statefile._write_all

    def look(handle: int, content: bytes) -> None:
        real(handle, content)
        seen.append(os.listdir(path.parent))

    monkeypatch.setattr(statefile, "_write_all", look)
    make(path).close()
    assert seen == [[]]


def test_a_folder_with_files_of_others_is_refused(path: Path) -> None:
    """What lies in ``<path>.files`` might be needed; an empty one is left from a creation that was killed."""
    folder = Path(f"{path}.files")
    folder.mkdir(0o755)
    make(path).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    path.unlink()
    (folder / "precious").touch()
    with pytest.raises(ConfigError, match="is there already"):
        make(path)
    assert os.listdir(path.parent) == [folder.name]


def test_a_file_in_place_of_the_folder_is_refused(path: Path) -> None:
    """So is a link that leads elsewhere."""
    make(path).close()
    folder = Path(f"{path}.files")
    folder.rmdir()
    folder.symlink_to(path.parent)
    with pytest.raises(ConfigError, match="is no folder"):
        Manifest.open(path, clock=clock)


@pytest.mark.parametrize("where", [3, b"a", "", "a\0b", Path("/proc/none/m"), Path(f"{__file__}/m"), "x" * 300])
def test_places_that_cannot_be_used_are_refused(where: object) -> None:
    """No path, no folder, a name too long."""
    with pytest.raises(ConfigError):
        Manifest.create(where, HEADER, clock=clock)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        Manifest.open(where, clock=clock)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_an_unwritable_folder_is_told(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """In the system's words, and nothing is left; where there are no nameless files, too."""
    monkeypatch.setattr(statefile, "_write_all", refusing(number))
    with pytest.raises(ConfigError, match=os.strerror(number)):
        make(path)
    monkeypatch.setattr(statefile, "_write_nameless", lambda *_: False)
    with pytest.raises(ConfigError, match=os.strerror(number)):
        make(path)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_the_log_of_another_manifest_is_not_taken(path: Path, suffix: str) -> None:
    """It would be read into the new one."""
    log = Path(f"{path}{suffix}")
    log.write_text("facts")
    with pytest.raises(ConfigError, match="belongs to a manifest that is not there"):
        make(path)
    assert bytes_of(path.parent) == {str(log): b"facts"}


@pytest.mark.parametrize("closed_to_us", ["night.sqlite", ""])
def test_a_file_without_rights_is_told(path: Path, monkeypatch: pytest.MonkeyPatch, closed_to_us: str) -> None:
    """The log has to be made beside it, so its folder counts as well."""
    make(path).close()
    refused = path.parent / closed_to_us
    monkeypatch.setattr(os, "access", lambda where, rights: where != refused)
    with pytest.raises(ConfigError, match="Permission denied"):
        Manifest.open(path, clock=clock)


# Damage


def edit(path: Path, *statements: str) -> None:
    """Change a manifest behind its back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


EDITS = [
    *[
        f"UPDATE import SET {column} = 7.5"
        for column in ("entity", "twin_type", "closed", "source", "verify", "complete")
    ],
    "UPDATE import SET gateway = NULL",
    "UPDATE import SET entity = CAST(x'ff' AS TEXT)",
    "DELETE FROM import",
    "INSERT INTO import SELECT * FROM import",
    "DROP TABLE files",
    "DROP TABLE events",
    "ALTER TABLE partitions RENAME COLUMN state TO stat",
    *[
        f"UPDATE partitions SET {column} = -1"
        for column in ("state", "rows", "bytes", "message", "posted_at", "verified")
    ],
    "UPDATE partitions SET state = 'gone'",
    "UPDATE partitions SET first = NULL",
    "UPDATE files SET etag = 'W/x'",
    "UPDATE files SET rows = 'many'",
    "UPDATE files SET path = CAST('a' || char(0) || x'ff' AS BLOB)",
]


@pytest.mark.parametrize("statement", EDITS)
def test_what_was_edited_to_nonsense_is_refused(path: Path, statement: str) -> None:
    """When it is opened, not in the middle of the import."""
    with make(path) as manifest:
        bring(manifest, DAY, "done")
    edit(path, statement)
    with pytest.raises(ConfigError, match=r"is damaged .*begin anew"):
        Manifest.open(path, clock=clock)


def test_times_edited_to_nonsense_are_refused(path: Path) -> None:
    """The log is for people only, so it is read when they ask."""
    make(path).close()
    edit(path, "UPDATE events SET time = 'noon'")
    with Manifest.open(path, clock=clock) as manifest, pytest.raises(ConfigError, match="is damaged"):
        manifest.events()


@pytest.mark.parametrize(
    ("pragma", "message"), [("user_version = 99", "version 99"), ("application_id = 5", "some other file")]
)
def test_another_version_is_refused(path: Path, pragma: str, message: str) -> None:
    """As is a file that is not ours."""
    make(path).close()
    edit(path, f"PRAGMA {pragma}")
    with pytest.raises(ConfigError, match=message):
        Manifest.open(path, clock=clock)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give the bytes of a manifest of many pages."""
    path = tmp_path_factory.mktemp("grown") / "m"
    with make(path) as manifest:
        for number in range(60):
            bring(manifest, f"2026-03-01T{number:02d}", "done")
    return path.read_bytes()


@pytest.mark.parametrize("part", [0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(path: Path, grown: bytes, part: float) -> None:
    """Wherever it was cut."""
    path.write_bytes(grown[: int(len(grown) * part)])
    with pytest.raises(ConfigError, match=r"is damaged|is no manifest"):
        Manifest.open(path, clock=clock)


def test_damaged_pages_never_show_as_errors_of_sqlite(path: Path, grown: bytes) -> None:
    """Each page in turn overwritten: refused, or (a page in no use) read as it was."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(grown)
        size = db.execute("PRAGMA page_size").fetchone()[0]
    path.write_bytes(grown)
    with Manifest.open(path, clock=clock) as manifest:
        entries = manifest.entries()
    refused = 0
    for start in range(0, len(grown), size):
        path.write_bytes(grown[:start] + b"\xa5" * size + grown[start + size :])
        try:
            with Manifest.open(path, clock=clock) as manifest:
                assert manifest.entries() == entries
        except ConfigError:
            refused += 1
    assert refused >= len(grown) // size - 2


# The disk


def test_a_full_disk_is_told_and_undone(path: Path) -> None:
    """The fact that did not fit is not there, those before are, and it goes on once there is room."""
    with make(path) as manifest:
        db = manifest._file._db
        bring(manifest, DAY, "uploaded")
        before = manifest.entries(), len(manifest.events())
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(ConfigError, match=r"disk is full; make room, then go on with tsb.resume_import\('/"):
            manifest.staged("2026-03-02", files_of("2026-03-02", 100))
        assert (manifest.entries(), len(manifest.events())) == before
        db.execute("PRAGMA max_page_count = 100000")
        manifest.staged("2026-03-02", files_of("2026-03-02", 100))
        assert len(manifest.entries()) == 2


def test_a_manifest_that_cannot_be_written_any_more_is_told(path: Path) -> None:
    """A file system that turned read-only."""
    with make(path) as manifest:
        manifest._file._db.execute("PRAGMA query_only = 1")
        with pytest.raises(ConfigError, match="check the rights"):
            manifest.staged(DAY, files_of(DAY))


def test_a_flush_that_fails_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is posted."""
    with make(path) as manifest:
        bring(manifest, DAY, "uploaded")
        monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
        with pytest.raises(ConfigError, match=os.strerror(errno.EIO)):
            manifest.posting(DAY)


def test_facts_that_must_not_be_lost_wait_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Posting, ends of jobs, and the end of the source; others do not."""
    flushed: list[int] = []
    waiting = {}
    with make(path) as manifest:
        manifest.plan([(DAY, 1, 1, "a", "b")])
        monkeypatch.setattr(os, "fsync", flushed.append)
        for fact in [*WAY[:6], "unknown", "settled", *WAY]:
            FACTS[fact](manifest, DAY)
            waiting[fact] = len(flushed)
            flushed.clear()
        manifest.read_to_end()
        assert len(flushed) == 1
    assert {fact for fact, count in waiting.items() if count} == {"posting", "settled", "success"}


def test_what_is_flushed_has_the_fact(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that kept nothing after the flush of a posting shows the posting, and all before it."""
    kept = tmp_path / "kept"

    def fsync(handle: int) -> None:
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{kept}{suffix}")

    with make(path) as manifest:
        bring(manifest, DAY, "uploaded")
        monkeypatch.setattr(os, "fsync", fsync)
        manifest.posting(DAY)
        entries = manifest.entries()
        monkeypatch.undo()
    with Manifest.open(kept, clock=clock) as manifest:
        assert [replace(one, files=()) for one in manifest.entries()] == [replace(one, files=()) for one in entries]
        assert manifest.entries()[0].state == "posting"


def test_a_flush_after_the_end_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing has flushed all: who waited for its turn meanwhile is not told of an error."""
    with make(path) as manifest:
        bring(manifest, DAY, "uploaded")
        flush = manifest._file._flush
        monkeypatch.setattr(manifest._file, "_flush", lambda mine: (manifest.close(), flush(mine)))
        manifest.posting(DAY)


def test_threads_share_a_flush(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one waits for the disk, all others note their facts, and one more flush is enough for them."""
    entered, release, flushes = threading.Event(), threading.Event(), []

    def fsync(handle: int) -> None:
        flushes.append(handle)
        entered.set()
        assert release.wait(30)

    names = [f"2026-03-0{n}" for n in range(1, 9)]
    with make(path) as manifest, ThreadPoolExecutor(len(names)) as pool:
        for name in names:
            bring(manifest, name, "uploaded")
        monkeypatch.setattr(os, "fsync", fsync)
        first = pool.submit(manifest.posting, names[0])
        assert entered.wait(30)
        others = [pool.submit(manifest.posting, name) for name in names[1:]]
        while {one.state for one in manifest.entries()} != {"posting"}:
            pass
        assert not any(one.done() for one in (first, *others))
        release.set()
        for one in (first, *others):
            one.result(30)
    assert len(flushes) == 2


# One holder


def test_a_second_manifest_of_the_same_file_is_refused(path: Path) -> None:
    """In one process as well; the first is not disturbed, and does not lose its hold by that."""
    with make(path) as manifest:
        for _ in range(2):
            with pytest.raises(ConfigError, match=r"night\.sqlite is in use by another process.*wait until"):
                Manifest.open(path, clock=clock)
            with pytest.raises(ConfigError, match="in use"):
                make(path)
        bring(manifest, DAY, "done")
        look = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM import')"
        other = subprocess.run([sys.executable, "-c", look, str(path)], capture_output=True, text=True)
        assert "database is locked" in other.stderr
    with Manifest.open(path, clock=clock) as again:
        assert again.entries()[0].state == "done"


class Child:
    """A process that has imported everything, and forks one that works on a manifest until it is killed."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def start(self, task: str, path: Path) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([task, str(path)]) + "\n")
        return int(self.line().removeprefix("pid "))

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def rest(self) -> Iterator[str]:
        """Give what it still says until it has ended, and how that was."""
        while (line := self.line()) and not line.startswith("end "):
            yield line
        self.status = int(line.removeprefix("end "))


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """Give the process for all tests that kill."""
    one = Child()
    yield one
    one.process.communicate(timeout=60)


def test_another_process_is_refused_until_the_holder_dies(child: Child, path: Path) -> None:
    """By kill -9: nothing is left that would have to be cleared away by hand."""
    pid = child.start("hold", path)
    assert child.line() == "held"
    with pytest.raises(ConfigError, match=r"night\.sqlite is in use by another process"):
        Manifest.open(path, clock=clock)
    os.kill(pid, signal.SIGKILL)
    assert list(child.rest()) == []
    assert child.status == -signal.SIGKILL
    with Manifest.open(path, clock=clock) as manifest:
        assert manifest.entries() == []


NAMES = [f"2026-03-01T{number:02d}" for number in range(48)]


def test_killed_at_any_moment_it_has_all_facts_whole(child: Child, path: Path, tmp_path: Path) -> None:
    """What was noted before the kill is there, at most one fact a thread more, and each as if nothing had happened."""
    expected: dict[tuple[str, int], Entry] = {}
    with make(tmp_path / "reference") as reference:
        for name in NAMES:
            for count, fact in enumerate(WAY, 1):
                FACTS[fact](reference, name)
                expected[name, count] = reference.entries()[-1]
    dice, kills, told = random.Random(7), 0, dict.fromkeys(NAMES, 0)
    make(path).close()
    whole = len(NAMES) * len(WAY)
    while kills == 0 or child.status:
        pid, wait = child.start("work", path), dice.randrange(1, 10)
        said = []
        if kills < 24 and sum(told.values()) < whole / 2:  # what is left is more than a busy machine lets slip by
            said = [child.line() for _ in range(wait)]
            time.sleep(dice.random() * 0.004)  # a real moment of a real process
            os.kill(pid, signal.SIGKILL)
            kills += 1
        for line in (*said, *child.rest()):
            name, count = line.split()
            told[name] = max(told[name], int(count))
        assert child.status == (-signal.SIGKILL if said else 0)
        with Manifest.open(path, clock=clock) as manifest:
            facts = manifest.events()["partition"].value_counts()
            entries = {one.name: one for one in manifest.entries()}
        for name in NAMES:
            there = int(facts.get(name, 0))
            assert told[name] <= there <= told[name] + 1
            assert entries.get(name) == expected.get((name, there))
            told[name] = there
    assert set(told.values()) == {len(WAY)}
    assert kills > 4


def test_killed_while_it_is_made_it_is_whole_or_not_there(child: Child, tmp_path: Path) -> None:
    """Whatever has the name of a manifest opens as one."""
    dice = random.Random(11)
    for round_ in range(20):
        folder = tmp_path / str(round_)
        folder.mkdir()
        pid = child.start("make", folder)
        said = [child.line() for _ in range(dice.randrange(1, 4))]
        time.sleep(dice.random() * 0.006)  # as above
        os.kill(pid, signal.SIGKILL)
        said += child.rest()
        made = sorted(folder.glob("*.sqlite"), key=lambda one: int(one.stem))
        assert len(said) <= len(made) <= len(said) + 1
        for one in made:
            with Manifest.open(one, clock=clock) as manifest:
                assert manifest.header == HEADER


def test_a_limit_of_the_system_is_told(child: Child, path: Path) -> None:
    """A real file that may not grow: the same as a full disk."""
    child.start("full", path)
    lines = list(child.rest())
    assert child.status == 0
    assert "ConfigError" in lines[-1]
    with Manifest.open(path, clock=clock) as manifest:
        assert len(manifest.entries()) == len(lines) - 1 > 3


# The other side


def say(*words: object) -> None:
    """Tell in one piece, whatever other threads say."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def hold(path: Path) -> None:
    """Have a manifest open until killed."""
    with make(path):
        say("held")
        signal.pause()


def work(path: Path) -> None:
    """Go on with the facts that are missing, in four threads, telling each that is noted."""
    with Manifest.open(path, clock=clock) as manifest, ThreadPoolExecutor(4) as pool:
        facts = manifest.events()["partition"].value_counts()

        def one(name: str) -> None:
            for count, fact in list(enumerate(WAY, 1))[int(facts.get(name, 0)) :]:
                FACTS[fact](manifest, name)
                say(name, count)

        list(pool.map(one, NAMES))


def make_many(folder: Path) -> None:
    """Make manifests, one after the other."""
    number = 0
    while True:
        make(folder / f"{number}.sqlite").close()
        say(number)
        number += 1


def fill_up(path: Path) -> None:
    """Write until a file may not grow any more."""
    with make(path) as manifest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        try:
            for number in range(1000):
                manifest.staged(f"{number:04d}", files_of("x"))
                say(number)
        except ConfigError as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            say("ConfigError", str(error).replace("\n", " "))


def serve() -> None:
    """Fork for each task, and tell how it ended."""
    tasks = {"hold": hold, "work": work, "make": make_many, "full": fill_up}
    for line in sys.stdin:
        task, path = json.loads(line)
        pid = os.fork()
        if pid == 0:
            tasks[task](Path(path))
            os._exit(0)
        say("pid", pid)
        say("end", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    serve()
