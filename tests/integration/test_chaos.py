"""Reads, writes and resumes under random trouble, from a seed; what is judged then stands in `mayhem.Mayhem`.

Thousands of seeds, and one alone: ``python tests/benchmarks/chaos.py 2000 [--seed N]``.
"""

from __future__ import annotations

import gc

import pytest
from mayhem import open_sockets, run_seed

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Drop, Fault, Faults

SEEDS, GROUPS = 60, 6


@pytest.mark.parametrize("first", range(1, SEEDS + 1, SEEDS // GROUPS))
def test_data_is_exact_or_the_error_is_true(first: int) -> None:
    """Stored and read is what the model has, or a typed error tells what is done, failed and unknown; nothing stays."""
    outcomes = [run_seed(seed) for seed in range(first, first + SEEDS // GROUPS)]
    failed = [outcome for outcome in outcomes if outcome.problems]
    assert not failed, "\n".join(map(str, failed))
    assert sum(sum(outcome.counts.values()) for outcome in outcomes) > GROUPS, "hardly anything went wrong"


def test_a_closed_connection_has_no_socket_whatever_went_wrong():
    """Sockets are closed with the connection, not when the last traceback that knows of them is collected."""
    faults = Faults([Fault(Drop(), "GET", times=1)])
    gc.disable()
    try:
        with tsb.Sandbox(faults=faults) as sandbox:
            sandbox.add_asset("a" * 32)
            with tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
                con.assets.get_asset("a" * 32)
            left = [what for what in open_sockets().values() if f"raddr=('127.0.0.1', {sandbox.url[17:]})" in what]
    finally:
        gc.enable()
    assert len(faults.log) == 1
    assert not left
