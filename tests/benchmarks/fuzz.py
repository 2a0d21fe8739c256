"""The long run of the fuzz tests, in child processes: a crash or a hang is seen, and the answer it was at is shown.

Run: ``python tests/benchmarks/fuzz.py 10000 [--seed N]``: so many cases of each test in ``tests/unit/test_fuzz.py``.
Prints a line a test, and ends with 1 if one failed.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.unit import fuzzing, test_fuzz

HANGS_AFTER = 60
TESTS: dict[str, tuple[Callable[..., None], tuple[str, ...], st.SearchStrategy[object]]] = {
    "odd pages": (test_fuzz.test_odd_pages_are_what_json_says, (), fuzzing.CHANCES),
    "mutated pages": (test_fuzz.test_mutated_pages_are_what_json_says, (), fuzzing.CHANCES),
    "random bytes": (test_fuzz.test_random_bytes_are_refused, (), st.binary(max_size=300)),
    "chains": (test_fuzz.test_chains_and_the_operation_take_any_page, (), fuzzing.CHANCES),
    **{kind: (test_fuzz.test_other_answers_are_read_or_refused, (kind,), fuzzing.CHANCES) for kind in fuzzing.ANSWERS},
}


def run(name: str, cases: int, number: int, last: Path) -> None:
    """Run the cases of one test in this process; what is being looked at stands in a file."""
    faulthandler.enable()
    looked_at = [0, 0]

    def noting(check: Callable[..., object]) -> Callable[..., object]:
        def noted(text: bytes, *more: str) -> object:
            last.write_bytes(text)
            looked_at[0] += 1
            found = check(text, *more)
            looked_at[1] += found is True
            return found

        return noted

    for check in ("check_page", "check_chain", "check_timeseries"):
        setattr(fuzzing, check, noting(getattr(fuzzing, check)))
    fuzzing.ANSWERS.update({kind: (names, noting(check)) for kind, (names, check) in fuzzing.ANSWERS.items()})
    test, kind, cases_of = TESTS[name]

    def one(drawn: random.Random | bytes) -> None:
        test.hypothesis.inner_test(*kind, drawn)

    quiet = settings(
        max_examples=cases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=True,
    )
    seed(number)(quiet(given(cases_of)(one)))()
    compared = f", {looked_at[1]:,} of them read and compared value by value" if looked_at[1] else ""
    print(f"{name:18} {looked_at[0]:,} answers{compared}")


def watch(name: str, cases: int, number: int, folder: Path) -> bool:
    """Run one test in a child, and tell how it ended."""
    last = folder / "last"
    last.write_bytes(b"")
    command = [sys.executable, __file__, str(cases), "--seed", str(number), "--child", name, "--last", str(last)]
    child = subprocess.Popen(command)
    while child.poll() is None:
        if time.time() - last.stat().st_mtime > HANGS_AFTER:
            child.kill()
            child.wait()
            print(f"{name}: HANGS for {HANGS_AFTER} s at {last.read_bytes()!r}")
            return False
        time.sleep(0.2)
    if child.returncode:
        how = "CRASHED" if child.returncode < 0 else "failed"
        print(f"{name}: {how} ({child.returncode}), last looked at: {last.read_bytes()!r}")
    return child.returncode == 0


def main() -> int:
    """Run all tests, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", choices=TESTS)
    parser.add_argument("--last", type=Path)
    given = parser.parse_args()
    if given.child:
        run(given.child, given.cases, given.seed, given.last)
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        good = [watch(name, given.cases, given.seed, Path(folder)) for name in TESTS]
    print(f"{sum(good)} of {len(good)} tests held, {time.monotonic() - began:.0f} s, seed {given.seed}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
