"""Mutation testing: which changes of the code do its tests notice? Of the pure files, and of import jobs.

Run: ``pip install ".[mutation]"``, then ``python tests/benchmarks/mutation.py [FILE …] [--children N]``, FILE being
``codec``, ``paging``, ``partition`` or ``importjob``; all by default, from scratch. mutmut makes the changes in
``mutants/`` (a copy, not tracked; POSIX only) and runs the tests that reach them; ``[tool.mutmut]`` of pyproject.toml
says which. Prints a table, and each survivor with why it may live (``mutation_survivors.toml``). Ends with 1 if less
than 85 % of a file's changes are noticed, or a survivor is not explained.

Beneath mutmut this file is a plugin of pytest as well: quick tests go first, as the first failure decides, and
Hypothesis draws the same examples each time and does not simplify what fails.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings

HOME = Path(__file__).parent
ROOT = HOME.parents[1]
FILES = ("codec", "paging", "partition", "importjob")
WANTED = 85.0
NOTICED = ("killed", "timeout", "segfault")
"""A timeout is an endless loop."""
STATES = (*NOTICED, "survived", "no tests")

if os.environ.get("TSBULK_MUTATION"):  # in a process of mutmut's
    settings.register_profile(
        "mutation", derandomize=True, deadline=None, database=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutation")


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Quick tests first, by what mutmut measured in its first run."""
    stats = Path("mutmut-stats.json")
    seconds = json.loads(stats.read_text(encoding="utf-8"))["duration_by_test"] if stats.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))


def mutmut(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run mutmut in the project's folder."""
    paths = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "TSBULK_MUTATION": "1", "PYTEST_PLUGINS": Path(__file__).stem, "PYTHONPATH": paths}
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, **options)


def results(file: str) -> dict[str, str]:
    """State of each mutant of a file."""
    from mutmut.stats import status_by_exit_code

    meta = json.loads((ROOT / "mutants" / "tsbulk_frames" / f"{file}.py.meta").read_text(encoding="utf-8"))
    return {name: status_by_exit_code[code] for name, code in meta["exit_code_by_key"].items()}


def change_of(name: str) -> str:
    """Tell a change by what it does, as its number moves with every edit: ``function: the line as changed``."""
    diff = mutmut("show", name, check=True, capture_output=True).stdout.splitlines()
    lines = [line[1:].strip() for line in diff if line.startswith("+") and not line.startswith("+++")]
    function = name.rpartition(".")[2].rpartition("__mutmut_")[0].replace("ǁ", ".").removeprefix("x").lstrip("_.")
    return f"{function}: {' '.join(lines)}"


def main() -> int:
    """Run, count and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", default=FILES)
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", action="store_true", help="do not run anything: tell of the last run again")
    asked = parser.parse_args()
    if unknown := set(asked.files) - set(FILES):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(FILES)}")
    began = time.perf_counter()
    if not asked.keep:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
        names = [f"tsbulk_frames.{file}.*" for file in asked.files]
        if mutmut("run", "--max-children", str(asked.children), *names, stdout=subprocess.DEVNULL).returncode:
            print("mutmut ended badly: run `mutmut run` to see why")
            return 1
    reasons = {
        change: group["why"]
        for group in tomllib.loads((HOME / "mutation_survivors.toml").read_text(encoding="utf-8"))["group"]
        for change in group["changes"]
    }
    print(f"{'file':12}{'mutants':>9}" + "".join(f"{state:>10}" for state in STATES) + f"{'noticed':>10}")
    alive: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    low = False
    for file in asked.files:
        mutants = results(file)
        alive += [(name, state) for name, state in mutants.items() if state not in NOTICED]
        low |= show(file, Counter(mutants.values()))
        counts.update(mutants.values())
    low |= show("together", counts)
    told = [(name, state, change_of(name)) for name, state in alive]
    for name, state, change in sorted(told, key=lambda one: (reasons.get(one[2], ""), one[2])):
        print(f"\n{name} ({state}): {reasons.get(change, 'NOT EXPLAINED')}\n    {change}")
    left = sum(change not in reasons for _, _, change in told)
    print(f"\n{len(alive)} survivors, {left} not explained; {time.perf_counter() - began:.0f} s")
    return int(low or left > 0)


def show(title: str, counts: Counter[str]) -> bool:
    """Print a line of the table; return whether it is too little."""
    share = 100 * sum(counts[state] for state in NOTICED) / max(1, counts.total())
    print(f"{title:12}{counts.total():9}" + "".join(f"{counts[state]:10}" for state in STATES) + f"{share:9.1f} %")
    return share < WANTED


if __name__ == "__main__":
    sys.exit(main())
