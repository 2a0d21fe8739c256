"""The long run of the chaos suite: so many seeds, each a mix of writes, resumes and reads under random trouble.

Run: ``python tests/benchmarks/chaos.py 2000 [--seed N]``. Seeds are counted up from N; what it says of a failure names
the seed, and ``chaos.py 1 --seed THAT`` runs it again. Ends with 1 on a failure. Tells how much of each kind of trouble
there was, and how the calls ended; after Ctrl-C, of the seeds so far.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from mayhem import Outcome, run_seed


def show(title: str, counts: Counter[str]) -> None:
    """Print a table."""
    print(f"\n{title}")
    for name, count in counts.most_common():
        print(f"  {count:8,}  {name}")


def main() -> int:
    """Run, count and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    faulthandler.enable()
    logging.disable(logging.WARNING)  # files left in the file service are told by the hundred
    began = time.perf_counter()
    bad: list[int] = []
    counts: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    requests, slowest = 0, Outcome(0, 0.0)
    done = 0
    try:
        for seed in range(asked.seed, asked.seed + asked.seeds):
            faulthandler.dump_traceback_later(120, exit=True)  # a seed that hangs tells where
            outcome = run_seed(seed)
            done += 1
            counts.update(outcome.counts)
            steps.update(outcome.steps)
            ends.update(outcome.ends)
            requests += outcome.asked
            slowest = max(slowest, outcome, key=lambda one: one.seconds)
            if outcome.problems:
                bad.append(seed)
                print(f"FAILED: {outcome}", flush=True)
            if done % 50 == 0:
                print(f"{done} seeds, {time.perf_counter() - began:.0f} s, {len(bad)} failed", flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    faulthandler.cancel_dump_traceback_later()
    show("trouble injected", counts)
    show("steps", steps)
    show("how calls ended", ends)
    took, longest = time.perf_counter() - began, f"{slowest.seed}, {slowest.seconds:.1f} s"
    print(
        f"\n{done} seeds in {took:.0f} s (longest: {longest}); "
        f"{requests:,} requests, {counts.total():,} of them in trouble; failed: {bad or 'none'}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
