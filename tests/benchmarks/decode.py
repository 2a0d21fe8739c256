"""Pages → DataFrame: this library beside what every user writes, in one run.

``python tests/benchmarks/decode.py [megabytes]``
"""

import json
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks._data import SHAPES, best, pages
from tsbulk_frames.codec import RawPage, decode_pages, split_page, unify
from tsbulk_frames.frames import to_frame

BATCH = 4_000_000


def by_hand(bodies: list[bytes]) -> pd.DataFrame:
    """Decode page by page into records, frames, and one frame."""
    frames = []
    for body in bodies:
        df = pd.DataFrame(json.loads(body)["records"])
        df["_time"] = pd.to_datetime(df["_time"], format="ISO8601")
        frames.append(df)
    return pd.concat(frames).set_index("_time")


def batches(bodies: list[bytes]) -> list[list[RawPage]]:
    """Join small pages to batches of about 4 MB, as the reader does."""
    groups: list[list[RawPage]] = [[]]
    size = 0
    for number, body in enumerate(bodies, 1):
        if size >= BATCH:
            groups.append([])
            size = 0
        groups[-1].append(split_page(body, page=number))
        size += len(body)
    return groups


def by_library(bodies: list[bytes]) -> pd.DataFrame:
    """Decode batches on two threads."""
    with ThreadPoolExecutor(2) as pool:
        return to_frame(unify(list(pool.map(decode_pages, batches(bodies)))))


def peak(bodies: list[bytes]) -> float:
    """Sample the peak of memory while decoding, Arrow's and Python's without the bodies, as a multiple of the frame."""
    done, seen, before = threading.Event(), [0], pa.total_allocated_bytes()
    tracemalloc.start()

    def watch() -> None:
        while not done.wait(0.001):
            seen.append(pa.total_allocated_bytes() - before + tracemalloc.get_traced_memory()[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    df = by_library(bodies)
    done.set()
    watcher.join()
    tracemalloc.stop()
    return float(max(seen) / df.memory_usage(deep=True).sum())


def main(megabytes: int) -> None:
    """Print a line for each shape and page size."""
    for shape in SHAPES:
        for page in (0.2, 4, 50):
            bodies = pages(shape, int(page * 1e6), megabytes * 1_000_000)
            size = sum(map(len, bodies)) / 1e6
            hand, library = best(lambda: by_hand(bodies), 2), best(lambda: by_library(bodies), 4)  # noqa: B023
            print(
                f"{shape:8s} pages of {page:4} MB: by hand {size / hand:4.0f} MB/s, library {size / library:4.0f} "
                f"MB/s, {hand / library:4.1f}x; peak {peak(bodies):.1f}x the frame",
                flush=True,
            )


def growth() -> None:
    """Print what ten times the rows take."""
    few = pages("typical", 4_000_000, 12_000_000)
    once, tenfold = best(lambda: by_library(few), 4), best(lambda: by_library(few * 10), 4)
    print(f"ten times the rows: {once:.2f} s, {tenfold:.2f} s = {tenfold / once:.1f}x the time")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
    growth()
