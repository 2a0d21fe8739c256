"""Plans against the sandbox: the asset is asked and nothing else is; what is planned is what is imported."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plant import NOW, PUMP, Site, open_site, times

import tsbulk_frames as tsb


def small(rows: int = 3, freq: str = "s", start: str = "2026-03-01") -> pd.DataFrame:
    """Make a frame of one float."""
    return pd.DataFrame({"speed": np.arange(rows) + 0.5}, index=times(start, rows, freq))


def problems(site: Site, entity: str, **columns: object) -> dict[str | None, str]:
    """Plan columns of three rows; what is wrong, by column."""
    planned = tsb.plan_import(pd.DataFrame(columns, index=times("2026-03-01", 3)), entity, "pump", connection=site.con)
    return {one.column: one.message for one in planned.problems}


@pytest.mark.parametrize("twin", ["simulation", "performance"])
def test_what_is_planned_is_what_is_imported(shared: Site, twin: str) -> None:
    """The asset tells its kind; the report has the partitions, rows and times of the plan."""
    entity = shared.asset(twin)
    data = small(100, "47min")
    planned = tsb.plan_import(data, entity, "pump", connection=shared.con)
    assert planned.ok
    assert planned.twin_type == twin
    report = tsb.write_timeseries(data, entity, "pump", connection=shared.con).to_frame()
    names = ["partition", "rows", "first", "last", "files", "bytes"]
    assert [[getattr(one, name) for name in names] for one in planned.partitions] == report[names].values.tolist()


def test_planning_only_asks_the_asset(shared: Site) -> None:
    """Reading requests alone; none at all when the kind is given."""
    entity = shared.asset()
    before = len(shared.sandbox.requests)
    tsb.plan_import(small(), entity, "pump", connection=shared.con)
    asked = shared.sandbox.requests[before:]
    assert {(one.method, one.path.partition("assetmanagement")[1]) for one in asked} == {("GET", "assetmanagement")}
    before = len(shared.sandbox.requests)
    tsb.plan_import(small(), entity, "pump", twin_type="simulation", connection=shared.con)
    assert len(shared.sandbox.requests) == before


def test_unknown_assets_and_aspects_are_not_found(shared: Site) -> None:
    """Named; there is nothing to plan for."""
    with pytest.raises(tsb.NotFoundError):
        tsb.plan_import(small(), "f" * 32, "pump", connection=shared.con)
    with pytest.raises(tsb.NotFoundError, match="no aspect 'valve'; it has pump"):
        tsb.plan_import(small(), shared.asset(), "valve", connection=shared.con)


FITTING = {
    "speed": [1, 2, 3],
    "speed_qc": pd.array([0, None, 192], "Int64"),
    "count": [2**60, 1, 1],
    "small": [2**31 - 1, -(2**31), 0],
    "on": [True, None, False],
    "state": ["ä" * 255, "", None],
    "note": pd.Series([None] * 3, dtype=object).to_numpy(),
    "at": ["2026-03-01T00:00:00Z"] * 3,
}


def test_columns_that_fit_the_aspect(shared: Site) -> None:
    """Integers are floats, too; nothing is anything. The sandbox takes what the plan lets pass."""
    data = pd.DataFrame(FITTING, index=times("2026-03-01", 3))
    entity = shared.asset()
    tsb.plan_import(data, entity, "pump", connection=shared.con).raise_for_problems()
    assert tsb.write_timeseries(data, entity, "pump", connection=shared.con).ok


MISFITS = {
    "speed text": ({"speed": ["a", "b", "c"]}, "string, but the variable is DOUBLE; use .astype('float64')"),
    "speed bool": ({"speed": [True, True, False]}, "bool, but the variable is DOUBLE"),
    "speed mixed": ({"speed": pd.Series([1, "x", 2.5], dtype=object).to_numpy()}, "of mixed values, but"),
    "count float": ({"count": [1.0, 3.0, 2.0]}, "double, but the variable is LONG; use .astype('Int64')"),
    "small beyond": ({"small": [1, 2**31, -(2**31) - 1]}, "2 of 3 values are beyond 32 bits, too much for INT"),
    "state long": ({"state": ["ok", "x" * 256, ""]}, "1 of 3 values are longer than 255 characters"),
    "state number": ({"state": [1, 2, 3]}, "int64, but the variable is STRING; use .astype(str)"),
    "on text": ({"on": ["true", "false", "x"]}, "string, but the variable is BOOLEAN"),
    "unknown": ({"sped": [1.0, 2.0, 3.0]}, "no variable of the aspect, which has speed, count"),
    "unknown qc": ({"speed": [1.0] * 3, "speed_qc_qc": [1] * 3, "speed_qc": [1] * 3}, "no variable of the aspect"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_columns_that_do_not_fit_the_aspect(shared: Site, name: str) -> None:
    """Told with the fix; an import of them fails indeed."""
    columns, words = MISFITS[name]
    entity = shared.asset()
    found = problems(shared, entity, **columns)
    assert len(found) == 1
    assert words in next(iter(found.values()))
    data = pd.DataFrame(columns, index=times("2026-03-01", 3))
    with pytest.raises((tsb.PartialImportError, tsb.FrameError)):
        tsb.write_timeseries(data, entity, "pump", twin_type="simulation", connection=shared.con)


def test_mixed_numbers_fit_a_double(shared: Site) -> None:
    """Numbers that no plain column holds are numbers all the same."""
    mixed = pd.Series([2**53 + 1, 0.5, 1], dtype=object).to_numpy()
    assert problems(shared, shared.asset(), speed=mixed) == {}


def test_quality_codes_where_there_are_none(shared: Site) -> None:
    """A variable without quality codes takes none."""
    entity = "e" * 32
    shared.sandbox.add_asset(entity, twin_type="simulation", aspects={"pump": PUMP}, quality_codes=False)
    found = problems(shared, entity, speed=[1.0] * 3, speed_qc=[1] * 3)
    assert found == {"speed_qc": "column 'speed_qc': 'speed' has no quality code; drop the column"}


def test_all_that_is_wrong_is_told_together(shared: Site) -> None:
    """The data's own faults, and those against the aspect; a column at fault is not judged twice."""
    found = problems(shared, shared.asset(), speed=[1.0, np.inf, 1.0], on=[1, 2, 3], extra=[1, 2, 3], count=[1, 2, 3])
    assert sorted(found) == ["extra", "on", "speed"]
    assert "inf" in found["speed"]


def test_age_and_borders_are_those_of_the_connection() -> None:
    """Its clock says what is too young, its settings say who owns midnight."""
    for site in open_site(closed="right"):
        entity = site.asset("performance")
        now = pd.Timestamp(NOW, unit="s", tz="UTC")
        planned = tsb.plan_import(small(3, start=now - pd.Timedelta("30min1s")), entity, "pump", connection=site.con)
        assert ["2 of 3 records are too young" in one.message for one in planned.problems] == [True]
        planned = tsb.plan_import(small(2), entity, "pump", twin_type="performance", connection=site.con)
        assert [one.partition for one in planned.partitions] == ["2026-02-28", "2026-03-01"]
