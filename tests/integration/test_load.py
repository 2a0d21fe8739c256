"""Load: 32 threads share one connection; nothing is mixed up and nothing is left behind."""

from __future__ import annotations

from crowd import Footprint, Stage, crowd

import tsbulk_frames as tsb

ENTITY = "c" * 32


def test_a_crowd_on_one_connection_leaves_nothing_behind() -> None:
    """2,000 requests at once: all answers right, one token for all, no thread, socket or file more than before.

    The full load, against a sandbox in a process of its own: ``python tests/benchmarks/soak.py --load 10000``.
    """
    before = Footprint.now()
    with tsb.Sandbox() as sandbox:
        sandbox.add_asset(ENTITY, twin_type="simulation", aspects={"flow": {"rate": "DOUBLE", "note": "STRING"}})
        with tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
            stage = Stage.build(con, ENTITY)
        idle = Footprint.now().sockets
        already = len(sandbox.requests)
        with tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
            tally = crowd(Stage(con, ENTITY, stage.job), 32, range(63))
            opened = Footprint.now().sockets - idle
        asked = [one.path for one in sandbox.requests[already:]]
    assert not tally.wrong
    assert not tally.errors
    assert tally.right == 32 * 63
    assert sum("oauth/token" in path for path in asked) == 1
    assert len(asked) == tally.right + 1
    assert 2 < opened <= 2 * 32, "client's and sandbox's end of each"
    assert before.left_over() == ""
