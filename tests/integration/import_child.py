"""The process that imports, and that others kill.

``python import_child.py`` reads orders from its input, a line of JSON each, and forks a child for each: a real process
that has everything imported already, so that a run costs milliseconds instead of an interpreter's start. It answers
``pid N`` at once and ``ended STATUS`` when the child is gone; the child's id is not given free before the next order,
so that a kill that comes late hits nobody else. ``python import_child.py once`` runs the single order of its input in
the very process that was started.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

import tsbulk_frames as tsb

UNFINISHED = "with the same data"
"""What an error tells to do where the data itself is needed to go on, as it came from memory."""


def main() -> None:
    """Serve orders, or run one."""
    if sys.argv[1:] == ["once"]:
        sys.exit(obey(json.loads(sys.stdin.read())))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("connect", "write_timeseries", "resume_import", "wait_for_jobs", "plan_import"):
        getattr(tsb, name, None)  # names are imported at first use
    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os._exit(obey(json.loads(line)))
        tell(f"pid {child}")
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        tell(f"ended {ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status}")


def tell(text: str) -> None:
    """Answer a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def obey(order: dict[str, Any]) -> int:
    """Run an order; what came of it is left as JSON in the file it names."""
    os.environ.update(order["environment"])
    if "file_limit" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"], order["file_limit"]))
    outcome: dict[str, Any] = {"error": None, "text": "", "notes": [], "report": None}
    try:
        with tsb.connect() as con:
            outcome["report"] = rows_of(run(order, con))
    except (tsb.TsBulkError, KeyboardInterrupt) as error:
        outcome |= {"error": type(error).__name__, "text": str(error), "notes": getattr(error, "__notes__", [])}
        outcome["report"] = rows_of(getattr(error, "report", None))
    draft = Path(order["outcome"] + ".draft")
    draft.write_text(json.dumps(outcome))
    draft.replace(order["outcome"])
    return 0 if outcome["error"] is None else 3


def run(order: dict[str, Any], con: tsb.Connection) -> object:
    """Begin an import ("write"), take it up again ("resume"), or do what its user would ("go on")."""
    manifest = order["manifest"]
    if order["action"] == "resume" or (order["action"] == "go on" and Path(manifest).exists()):
        try:
            return tsb.resume_import(manifest, connection=con, **order["resume"])
        except tsb.TsBulkError as error:
            if order["action"] == "resume" or order["kind"] == "parquet" or UNFINISHED not in str(error):
                raise
    return tsb.write_timeseries(
        data_of(order), order["entity"], "pump", manifest=manifest, connection=con, **order["write"]
    )


def data_of(order: dict[str, Any]) -> object:
    """Give the Parquet file itself, a frame of it, or an iterator over frames of it."""
    if order["kind"] == "parquet":
        return order["source"]
    if order["kind"] == "frame":
        return pd.read_parquet(order["source"])
    return pieces(order["source"], order.get("pieces"))


def pieces(source: str, most: int | None) -> Iterator[pd.DataFrame]:
    """Give the rows of a Parquet file, row group after row group; after `most` of them the source stands still."""
    with pq.ParquetFile(source) as file:
        for group in range(file.num_row_groups):
            if group == most:
                time.sleep(3_600)
            yield file.read_row_group(group).to_pandas()


def rows_of(report: object) -> list[dict[str, Any]] | None:
    """Spell a report as JSON can."""
    if report is None:
        return None
    text: str = report.to_frame().to_json(orient="records")  # type: ignore[attr-defined]
    return json.loads(text)


if __name__ == "__main__":
    main()
