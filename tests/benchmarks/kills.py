"""The long run of the kill test: imports killed so many times, each gone on with until it ends by itself.

Run: ``python tests/benchmarks/kills.py 500 [--seed N]``. Each import has a seed of its own, counted up from N; what it
says of a difference names the seed, and ``kills.py 1 --seed THAT`` runs that import again. Ends with 1 on a difference.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from killing import Arena, Case, Story, drawing


def make_case(chance: random.Random, seed: int) -> Case:
    """Draw an import."""
    large = chance.random() < 0.1
    return Case(
        twin_type=chance.choice(["simulation", "performance"]),
        kind=chance.choice(["frame", "parquet", "iterator"]),
        verify=chance.random() < 0.5,
        partitions=2 if large else chance.choice([1, 5, 12]),
        rows=100 if large else 400,
        note=90_000 if large else 0,
        seed=seed,
    )


def main() -> int:
    """Kill, count and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=500)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began, seed, told = time.perf_counter(), asked.seed, 0
    stories: list[tuple[int, Story]] = []
    interrupted: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, Arena(Path(folder)) as arena:
        while sum(interrupted.values()) < asked.kills:
            chance = random.Random(seed)
            case = make_case(chance, seed)
            story = arena.survive(case, drawing(chance, arena.whole(case)))
            stories.append((seed, story))
            interrupted.update(story.interrupted)
            if story.problems:
                print(f"DIFFERENCE with --seed {seed}: {story}", flush=True)
            if sum(interrupted.values()) // 50 > told:
                told = sum(interrupted.values()) // 50
                print(f"{sum(interrupted.values())} kills, {time.perf_counter() - began:.0f} s", flush=True)
            seed += 1
    print("\nkilled at               times")
    for what, count in sorted(interrupted.items()):
        print(f"{what:23} {count:5}")
    bad = [number for number, story in stories if story.problems]
    kills, partitions = sum(interrupted.values()), sum(story.case.partitions for _, story in stories)
    print(
        f"\n{kills} kills, {kills} resumes of {len(stories)} imports ({partitions} partitions) "
        f"in {time.perf_counter() - began:.0f} s; "
        f"{sum(story.lost for _, story in stories)} POSTs were lost before the service took them, "
        f"{sum(story.repeats for _, story in stories)} jobs repeated"
    )
    print(f"differences: {len(bad)}" + (f", with the seeds {bad}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
