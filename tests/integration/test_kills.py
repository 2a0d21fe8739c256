"""Imports in a process of their own, killed with SIGKILL at any moment and gone on with until they end by themselves.

What is judged then stands in `killing.Arena`: the store equals the source, one job a partition, nothing left behind.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from killing import Arena, Case, drawing
from watching import MOMENTS, Kill, Moment

KILLS = 5
"""Random kills of each kind of import."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """One sandbox and one source of children for all."""
    with Arena(tmp_path_factory.mktemp("kills")) as arena:
        yield arena


@pytest.mark.parametrize("verify", [False, True], ids=["", "verify"])
@pytest.mark.parametrize("kind", ["frame", "parquet"])
@pytest.mark.parametrize("twin_type", ["simulation", "performance"])
def test_killed_at_random_moments(arena: Arena, twin_type: str, kind: str, verify: bool) -> None:
    """Neither lost nor repeated: each record once, one job a partition, whatever the moments were."""
    case = Case(twin_type, kind, verify)
    whole = arena.whole(case)
    kills, seed = 0, 0
    while kills < KILLS:
        story = arena.survive(Case(twin_type, kind, verify, seed=seed), drawing(random.Random(seed), whole))
        assert not story.problems, story
        kills += len(story.kills)
        seed += 1


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("request_kind", ["token", "GET asset", "PUT file", "POST job", "GET job", "DELETE file"])
def test_killed_at_each_request(arena: Arena, request_kind: str, moment: Moment) -> None:
    """Before the service did it, before it told, and after: the first life at its second such request, and so on."""

    def draw(life: int) -> Kill | None:
        return Kill(0.0, request_kind, 1 if request_kind == "token" else 2 - life, moment) if life < 2 else None

    story = arena.survive(Case(), draw)
    assert story.kills, "nobody was killed"
    assert not story.problems, story


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", ["PUT start", "PUT part", "PUT complete"])
def test_killed_at_each_step_of_an_upload_in_parts(arena: Arena, step: str, moment: Moment) -> None:
    """Half an upload is gone on with, or begun anew; either way the file is whole, and nothing of it stays."""
    story = arena.survive(
        Case(partitions=1, rows=100, note=90_000), lambda n: None if n else Kill(0.0, step, 1, moment)
    )
    assert story.kills, "nobody was killed"
    assert not story.problems, story


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_while_looking_at_what_the_series_holds(arena: Arena, moment: Moment) -> None:
    """A job of which no answer came is looked after; a kill there changes nothing, and no job is posted again."""
    kills = [Kill(0.0, "POST job", 2, "untold"), Kill(0.0, "GET records", 1, moment)]
    story = arena.survive(Case(), lambda life: kills[life] if life < 2 else None)
    assert len(story.kills) == 2, "nobody looked"
    assert not story.problems, story
    assert story.repeats == 0
