"""DataFrame → JSON records, and → hourly partitions: this library beside pandas and a loop, in one run.

``python tests/benchmarks/encode.py [rows]``
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks._data import SHAPES, best, frame, records
from tsbulk_frames.codec import encode_rows
from tsbulk_frames.frames import from_frame

HOUR = 3_600_000_000_000


def by_library(df: pd.DataFrame) -> int:
    """Check and encode; bytes made."""
    return sum(len(chunk.data) for chunk in encode_rows(from_frame(df)))


def by_pandas(df: pd.DataFrame) -> str:
    """Encode by pandas' own writer, which is not exact."""
    return df.reset_index().to_json(orient="records", date_format="iso", date_unit="ns", double_precision=15)


def hours_by_library(df: pd.DataFrame) -> list[bytes]:
    """Encode in bulk, cut bytes where the hour changes."""
    hours = df.index.as_unit("ns").asi8 // HOUR
    edges = np.append(np.flatnonzero(np.diff(hours)) + 1, len(hours))
    files: list[list[memoryview]] = [[] for _ in edges]
    first = 0
    for chunk in encode_rows(from_frame(df)):
        last = first + len(chunk.offsets) - 1
        at, row = int(np.searchsorted(edges, first, side="right")), first
        while row < last:
            stop = min(int(edges[at]), last)
            files[at].append(chunk.data[chunk.offsets[row - first] : chunk.offsets[stop - first]])
            row, at = stop, at + 1
        first = last
    return [b"[" + b"".join(parts)[:-1] + b"]" for parts in files]


def hours_by_hand(df: pd.DataFrame) -> list[bytes]:
    """Group by hour, a loop over dicts for each."""
    return [json.dumps(records(group)).encode() for _, group in df.groupby(df.index.floor("h"))]


def main(rows: int) -> None:
    """Print a line for each shape, and one for sparse hours."""
    for shape in SHAPES:
        df = frame(shape, rows // 10 if shape == "wide" else rows)
        size = by_library(df) / 1e6
        library, pandas = best(lambda: by_library(df), 4), best(lambda: by_pandas(df), 2)  # noqa: B023
        loop = best(lambda: json.dumps(records(df)), 1)  # noqa: B023
        print(
            f"{shape:8s} library {size / library:4.0f} MB/s, to_json {size / pandas:4.0f} MB/s "
            f"({pandas / library:4.1f}x), "
            f"dict loop {size / loop:4.0f} MB/s ({loop / library:4.1f}x)",
            flush=True,
        )
    df = frame("typical", 100_000)
    df.index = pd.date_range("2020-01-01", periods=len(df), freq="min", tz="UTC", name="_time")
    files = hours_by_library(df)
    library, loop = best(lambda: hours_by_library(df), 4), best(lambda: hours_by_hand(df), 1)
    text = f"library {library * 1e3:.0f} ms, group + dict loop {loop * 1e3:.0f} ms ({loop / library:.1f}x)"
    print(f"{len(files)} hours: {text}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
