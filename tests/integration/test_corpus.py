"""The corpus: each bad input ends in the documented error, with a message to act on; nothing is sent or changed.

The tables stand in ``badinputs`` (what is wrong on this side) and ``badanswers`` (what a server may say).
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from badanswers import ANSWERS, ODD, Wrong
from badinputs import ARGUMENTS, DOWNLOADS, ENVIRONMENTS, FRAMES, MANIFESTS, PARQUET, Bad, Ground, frame
from plant import Site, open_site

import tsbulk_frames as tsb

LOCAL = (ARGUMENTS, FRAMES, ENVIRONMENTS, PARQUET, DOWNLOADS, MANIFESTS)
PATIENCE = pytest.mark.timeout(5, func_only=True)
"""Seconds in which each input ends."""
ASKS_FIRST = {"no asset", "no aspect"}
"""What only the asset can tell: it is asked, and nothing else."""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str, Path]]:
    """Run a sandbox with data, and leave an import in the middle, with its manifest."""
    for site in open_site():
        entity = site.asset()
        tsb.write_timeseries(frame(), entity, "pump", twin_type="simulation", connection=site.con)
        good = tmp_path_factory.mktemp("manifest") / "good.sqlite"
        tsb.write_timeseries(
            frame(start="2026-03-02"), entity, "pump", wait=False, keep_files=True, manifest=good, connection=site.con
        )
        yield site, entity, good


@pytest.fixture
def ground(grown: tuple[Site, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """Give a bad input what it works on."""
    site, entity, good = grown
    return Ground(site, entity, tmp_path, monkeypatch, good)


def check(error: Exception, wanted: type[Exception], words: tuple[str, ...]) -> None:
    """Expect the class as documented, the words, no secret; and that it survives the way to another process."""
    assert type(error) is wanted, f"{type(error).__name__}: {error}"
    missing = [word for word in words if word not in str(error)]
    assert not missing, f"{missing} are not in: {error}"
    assert "hush" not in str(error)
    assert len(str(error)) < 2_000
    if isinstance(error, tsb.TsBulkError):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def sent(site: Site) -> list[str]:
    """List what was asked so far."""
    return [f"{one.method} {one.path}" for one in site.sandbox.requests]


def named(cases: list[Bad]) -> pytest.MarkDecorator:
    """One test a line of the table."""
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@PATIENCE
@named([case for table in LOCAL for case in table])
def test_bad_input_is_refused_before_anything_is_sent(ground: Ground, case: Bad) -> None:
    """Arguments, frames, environment, Parquet, manifests: the documented error at once, and nothing is touched."""
    before, stored = sent(ground.site), ground.site.stored(ground.entity)
    with pytest.raises((tsb.TsBulkError, ValueError)) as caught:
        case.call(ground)
    check(caught.value, case.error, case.words)
    asked = sent(ground.site)[len(before) :]
    assert all(one.startswith("GET /api/assetmanagement/") for one in asked)
    assert not asked or case.name in ASKS_FIRST
    pd.testing.assert_frame_equal(ground.site.stored(ground.entity), stored)


def test_the_corpus_is_large_and_covers_all_that_is_public() -> None:
    """Every public function and class that takes something has bad input here; each line is another."""
    assert sum(map(len, LOCAL)) + len(ANSWERS) >= 200
    for table in LOCAL:
        assert len({case.name for case in table}) == len(table)
    results = {
        "CacheInfo",
        "Connection",
        "DownloadInfo",
        "ImportFile",
        "ImportJob",
        "ImportPlan",
        "ImportReport",
        "Timeseries",
    }
    models = {
        "CreateImportJobRequest",
        "Data",
        "FileInfo",
        "RetrieveImportJobRequest",
        "RetrieveTimeseriesRequest",
        "BulkImportInput",
    }
    public = {name for name in tsb.__all__ if callable(getattr(tsb, name)) and not _is_error(getattr(tsb, name))}
    called = {case.name.split()[0] for case in ARGUMENTS}
    assert public - results - models <= called


def _is_error(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Exception)


@PATIENCE
@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.name)
def test_a_bad_answer_is_told(case: Wrong) -> None:
    """What a server may say in place of what the contract promises: an error with words, and nothing is changed."""
    for site in open_site(max_attempts=2):
        entity = site.asset()
        site.sandbox.faults.add(*case.faults(entity))
        with pytest.raises(tsb.TsBulkError) as caught:
            case.call(site, entity)
        check(caught.value, case.error, case.words)
        assert site.stored(entity).empty
        if isinstance(caught.value, tsb.PartialImportError):
            assert bool(caught.value.unknown) == ("unknown" in case.words)
        assert len(site.sandbox.requests) < 50


@PATIENCE
@pytest.mark.parametrize("case", ODD, ids=lambda case: case.name)
def test_an_odd_answer_that_can_be_read_is_read(case: Wrong) -> None:
    """What is odd but unmistakable does no harm."""
    for site in open_site(max_attempts=2):
        entity = site.asset()
        site.sandbox.faults.add(*case.faults(entity))
        assert repr(case.call(site, entity)) == case.words[0]
