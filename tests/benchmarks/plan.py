"""Planning an import beside encoding it, in one run: speed, and how far the sizes are off.

``python tests/benchmarks/plan.py [rows]``
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks._data import SHAPES, best, frame
from tsbulk_frames.codec import encode_rows
from tsbulk_frames.frames import from_frame
from tsbulk_frames.plan import plan_import


def encoded(df: object) -> int:
    """Check and encode; bytes made."""
    return sum(len(chunk.data) for chunk in encode_rows(from_frame(df)))


def main(rows: int) -> None:
    """Print a line for each shape."""
    for shape in SHAPES:
        df = frame(shape, rows // 10 if shape == "wide" else rows)
        size = encoded(df)
        plan = plan_import(df, "a", "b", twin_type="simulation")
        encoding = best(lambda: encoded(df), 3)  # noqa: B023
        planning = best(lambda: plan_import(df, "a", "b", twin_type="simulation"), 5)  # noqa: B023
        print(
            f"{shape:8s} plan {len(df) / planning / 1e6:4.1f} M rows/s, {size / planning / 1e6:5.0f} MB/s; "
            f"encoding {size / encoding / 1e6:4.0f} MB/s ({encoding / planning:4.1f}x); "
            f"size off by {abs(plan.bytes / size - 1):.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400_000)
