"""Every seam of a long range: 366 days of minutes at page sizes 1, 7 and 1000, against what is stored.

Run: ``python tests/benchmarks/seams.py [page size …]``. Over 600,000 requests in all: this takes a while, so the tests
walk the same range at page sizes 1 and 7 with fewer records.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from plant import open_site, times

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Rules


def main() -> None:
    """Read, compare with the sandbox's own store, print."""
    for size in [int(one) for one in sys.argv[1:]] or [1000, 7, 1]:
        for site in open_site(rules=Rules(page_records=size)):
            frame = pd.DataFrame({"count": np.arange(366 * 1440)}, index=times("2025-03-01", 366 * 1440, "min"))
            entity = site.seed(frame)
            began = time.perf_counter()
            got = tsb.read_timeseries(entity, "pump", "2025-03-01", "2026-03-02", connection=site.con)
            took = time.perf_counter() - began
            pd.testing.assert_frame_equal(got, site.stored(entity), check_freq=False)
            pd.testing.assert_frame_equal(got, frame, check_freq=False)
            print(f"pages of {size} records: {len(got):,} records equal to what is stored, {took:.0f} s")


if __name__ == "__main__":
    main()
