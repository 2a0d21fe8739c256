"""Hostile frames go in over HTTP and come out the same."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plant import PUMP, Site

import tsbulk_frames as tsb

START = pd.Timestamp("2026-03-01T11:59:59.999", tz="UTC").value
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "},{", '"', "\\", "null", "true", "1.0", "2018-11-01", "2024-01-01T00:00:00Z", "\x00\x1f", "\u2028", "é🎉"]
)
VALUES = {
    "speed": st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([-0.0, 45.0, 1e22, 5e-324, 0.1 + 0.2, 2.0**63]),
    "count": st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53 + 1, -(2**53) - 1]),
    "small": st.integers(-(2**31), 2**31 - 1),
    "on": st.booleans(),
    "state": TEXT,
    "note": TEXT,
    "at": st.sampled_from(["2026-03-01T00:00:00Z", "2018-11-01T10:00:00.123456789Z"]),
}
CODES = st.integers(-(2**31), 2**31 - 1)


@st.composite
def hostile_frames(draw: st.DrawFn) -> pd.DataFrame:
    """Draw times a nanosecond or hours apart, any columns, with gaps and quality codes."""
    offsets = draw(
        st.lists(st.integers(0, 2_000_000) | st.integers(0, 2 * 10**13), min_size=1, max_size=12, unique=True)
    )
    index = pd.DatetimeIndex(np.sort(np.array(offsets)) + START, name="_time").tz_localize("UTC")
    names = draw(st.lists(st.sampled_from(sorted(PUMP)), min_size=1, max_size=7, unique=True))
    rows = []
    for _ in offsets:
        row = {name: draw(VALUES[name]) for name in names if draw(st.integers(0, 3))}
        row |= {f"{name}_qc": draw(CODES) for name in list(row) if not draw(st.integers(0, 2))}
        rows.append(row or {names[0]: draw(VALUES[names[0]])})
    columns = [name for one in names for name in (one, f"{one}_qc") if any(name in row for row in rows)]
    columns = [name for name in columns if not name.endswith("_qc") or name[:-3] in columns]
    frame = pd.DataFrame(index=index)
    for name in columns:
        values = [row.get(name) for row in rows]
        frame[name] = pd.Series(values, index=index, dtype=object)
        if name.endswith("_qc") or PUMP[name] in ("INT", "LONG"):
            frame[name] = pd.array(values, dtype="Int64")
        elif PUMP[name] == "DOUBLE":
            frame[name] = np.array([math.nan if value is None else value for value in values])
        elif PUMP[name] == "BOOLEAN":
            frame[name] = pd.array(values, dtype="boolean")
    return frame


def cells(column: pd.Series) -> list[object]:
    """Python values, missing as None; floats by their bits, as -0.0 is not 0.0."""
    values = [None if pd.isna(value) else value for value in column.astype(object)]
    return [value.hex() if isinstance(value, float) else value for value in values]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=hostile_frames(), twin_type=st.sampled_from(["performance", "simulation"]))
def test_hostile_frames_come_back_the_same(shared: Site, frame: pd.DataFrame, twin_type: str) -> None:
    """Values, kinds and nanoseconds, for every type, with gaps; what was read can be written again."""
    span = {"start": frame.index[0], "end": frame.index[-1], "inclusive": "both", "connection": shared.con}
    first, second = shared.asset(twin_type), shared.asset("simulation")
    tsb.write_timeseries(frame, first, "pump", connection=shared.con)
    read = tsb.read_timeseries(first, "pump", **span)
    tsb.write_timeseries(read, second, "pump", connection=shared.con)
    again = tsb.read_timeseries(second, "pump", **span)
    for other in (read, again):
        assert (other.index == frame.index).all()
        assert str(other.index.dtype) == "datetime64[ns, UTC]"
        assert sorted(other.columns) == sorted(frame.columns)
        for name in frame.columns:
            assert cells(other[name]) == cells(frame[name]), name
    assert sorted(shared.stored(first).columns) == sorted(frame.columns)


def test_every_type_keeps_its_dtype(shared: Site) -> None:
    """Integers with gaps stay integers, booleans booleans, text text; quality codes are always nullable."""
    frame = pd.DataFrame(
        {
            "speed": [0.5, np.nan],
            "speed_qc": pd.array([1, 2], "Int64"),
            "count": pd.array([1, None], "Int64"),
            "small": [1, 2],
            "on": pd.array([True, None], "boolean"),
            "state": ["a", None],
        },
        index=pd.DatetimeIndex([START, START + 1], name="_time").tz_localize("UTC"),
    )
    entity = shared.asset()
    tsb.write_timeseries(frame, entity, "pump", connection=shared.con)
    read = tsb.read_timeseries(entity, "pump", "2026-03-01", "2026-03-02", connection=shared.con)
    pd.testing.assert_frame_equal(read, frame, check_freq=False)
