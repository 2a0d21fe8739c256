"""What there is: assets and properties as frames, units beside the data, the aspect against what is written."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from plant import PUMP, Site, times

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Answer, Delay, Fault

SPAN = ("2026-03-01", "2026-03-02")
PROPERTY_DTYPES = {
    "aspect": "string",
    "category": "string",
    "property": "string",
    "data_type": "string",
    "unit": "string",
    "length": "Int64",
    "quality_code": "bool",
    "dtype": "string",
    "description": "string",
    "aspect_description": "string",
}
ASSET_COLUMNS = [
    *("asset_id", "name", "type_id", "twin_type", "parent_id", "external_id", "description", "timezone", "deleted"),
]


@dataclass(frozen=True)
class Said:
    """What the asset model says of one property."""

    unit: str | None = None
    description: str | None = None
    data_type: str = "DOUBLE"
    length: int | None = None


def tell(site: Site, entity: str, aspect: str | None = None, *, once: bool = False, **said: Said) -> None:
    """Let the asset model of an asset say this of the properties of its aspect ``pump``."""
    variables = [
        {
            "name": name,
            "dataType": one.data_type,
            "unit": one.unit,
            "description": one.description,
            "length": one.length,
            "qualityCode": True,
        }
        for name, one in said.items()
    ]
    body = {"name": "pump", "category": "dynamic", "description": aspect, "variables": variables}
    plate = {"name": "plate", "category": "static", "variables": [{"name": "maker", "dataType": "STRING"}]}
    answer = Answer(200, {"_embedded": {"aspects": [body, plate]}})
    site.sandbox.faults.add(Fault(answer, "GET", rf"/assets/{entity}/aspects", times=1 if once else None))


def seeded(site: Site, rows: int = 3, **columns: object) -> str:
    """Store some records under a new asset."""
    return site.seed(pd.DataFrame(columns or {"speed": np.arange(rows) + 0.5}, times("2026-03-01", rows)))


def asked_of(site: Site, entity: str) -> list[str]:
    """List what kinds of things an asset was asked for, in order."""
    kinds = {"/aspects": "aspects", "/assets/": "asset", "/iottsbulk/": "records", "/iotfile/": "files"}
    paths = [one.path for one in site.sandbox.requests if entity in one.path]
    return [
        kind for path in paths for kind in [next((kind for part, kind in kinds.items() if part in path), "")] if kind
    ]


def test_a_description_of_an_asset(shared: Site) -> None:
    """A row a property of each aspect, with all the model says; the asset itself is in attrs."""
    entity = shared.asset("simulation")
    tell(shared, entity, "Main pump", speed=Said("1/s", "Of the shaft"), state=Said(data_type="STRING", length=20))
    frame = tsb.describe(entity, connection=shared.con)
    assert frame.dtypes.astype(str).to_dict() == PROPERTY_DTYPES
    assert frame.astype(object).where(frame.notna(), None).to_numpy().tolist() == [
        ["pump", "dynamic", "speed", "DOUBLE", "1/s", None, True, "float64", "Of the shaft", "Main pump"],
        ["pump", "dynamic", "state", "STRING", None, 20, True, str(pd.Series(["x"]).dtype), None, "Main pump"],
        ["plate", "static", "maker", "STRING", None, None, False, None, None, None],
    ]
    assert frame.attrs == {"entity": entity, "name": entity, "twin_type": "simulation"}


def test_several_assets_are_described_by_entity(shared: Site) -> None:
    """The row index tells whose property it is, also where one asset has none; attrs are by entity."""
    entities = [shared.asset("simulation"), shared.asset("performance", {"valve": {"open": "BOOLEAN"}}), shared.asset()]
    shared.sandbox.faults.add(Fault(Answer(200, {}), "GET", rf"/assets/{entities[2]}/aspects", times=None))
    frame = tsb.describe(entities, connection=shared.con)
    assert frame.index.name == "entity"
    assert frame.loc[[entities[0]], "property"].tolist() == list(PUMP)
    assert frame.loc[[entities[1]], "property"].tolist() == ["open"]
    assert entities[2] not in frame.index
    assert frame.attrs["entity"] == entities
    assert list(frame.attrs["twin_type"].values()) == ["simulation", "performance", "simulation"]
    nothing = tsb.describe([entities[2]], connection=shared.con)
    assert len(nothing) == 0
    assert nothing.dtypes.astype(str).to_dict() == PROPERTY_DTYPES
    with pytest.raises(tsb.NotFoundError, match="f" * 32):
        tsb.describe([entities[0], "f" * 32], connection=shared.con)


def test_the_dtype_told_is_the_dtype_read(shared: Site) -> None:
    """Of each data type, where every record has a value."""
    entity = shared.asset()
    data = pd.DataFrame(
        {
            "speed": [1.5, 2.5],
            "count": [1, 2**60],
            "small": [1, -5],
            "on": [True, False],
            "state": ["a", "b"],
            "note": ["c", "d"],
            "at": ["2026-03-01T00:00:00Z"] * 2,
        },
        times("2026-03-01", 2),
    )
    tsb.write_timeseries(data, entity, "pump", connection=shared.con)
    (frame,) = tsb.iter_timeseries(entity, "pump", *SPAN, quality="drop", connection=shared.con)
    told = tsb.describe(entity, connection=shared.con).set_index("property")["dtype"]
    assert frame.dtypes.astype(str).to_dict() == told.to_dict()


def test_assets_as_a_frame(site: Site) -> None:
    """One row an asset, with the columns and types that 0 rows have as well."""
    none = tsb.list_assets(connection=site.con)
    site.sandbox.add_asset("a" * 32, name="Feed pump", twin_type="simulation", aspects={"pump": PUMP})
    site.sandbox.add_asset("b" * 32, name="Valve", aspects={"valve": {"open": "BOOLEAN"}})
    frame = tsb.list_assets(connection=site.con).set_index("asset_id", drop=False)
    assert {"a" * 32, "b" * 32} <= set(frame.index)
    assert frame.loc["a" * 32, ["name", "twin_type"]].tolist() == ["Feed pump", "simulation"]
    assert frame.loc["b" * 32, ["name", "twin_type"]].tolist() == ["Valve", "performance"]
    for one in (none, frame):
        assert list(one.columns) == ASSET_COLUMNS
        assert set(one.drop(columns="deleted").dtypes.astype(str)) == {"string"}
        assert str(one["deleted"].dtype) == "datetime64[ns, UTC]"


def test_assets_are_found_by_name_type_and_filter(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """On as many pages as they fill, by name, each once although many share theirs."""
    monkeypatch.setattr("tsbulk_frames.assets._LIST_SIZE", 3)
    for number in range(11):
        kind = ("performance", "simulation")[number % 2]
        site.sandbox.add_asset(f"{number:032x}", name=f"Pump {number // 4}", twin_type=kind, aspects={"pump": PUMP})
    site.sandbox.add_asset("f" * 32, name="Überlauf & 5/6", aspects={"pump": PUMP})
    found = tsb.list_assets(connection=site.con)
    assert found["asset_id"].is_unique
    assert found["name"].tolist() == ["Pump 0"] * 4 + ["Pump 1"] * 4 + ["Pump 2"] * 3 + ["Überlauf & 5/6"]
    assert len(site.asked("GET", "/v3/assets")) == 4

    def names(**wanted: object) -> list[str]:
        return tsb.list_assets(**wanted, connection=site.con)["name"].tolist()

    assert names(name="auf & 5") == ["Überlauf & 5/6"]
    assert names(name="Pump", limit=5) == ["Pump 0"] * 4 + ["Pump 1"]
    assert names(name="mp 1", filter={"twinType": "simulation"}) == ["Pump 1"] * 2
    assert names(type_id=found["type_id"][11]) == ["Überlauf & 5/6"]
    assert names(name="valve") == []


def test_what_an_asset_declares_is_told_and_held_to(site: Site) -> None:
    """Unit, length and quality code of single properties, the aspect's description: all the way from the sandbox."""
    entity = "a" * 32
    site.sandbox.add_asset(
        entity,
        name="Feed pump",
        twin_type="simulation",
        aspects={
            "pump": {
                "flow": {"dataType": "DOUBLE", "unit": "m³/h", "qualityCode": False},
                "state": {"dataType": "STRING", "length": 4},
                "speed": "DOUBLE",
            }
        },
        descriptions={"pump": "What the pump does"},
    )
    told = tsb.describe(entity, connection=site.con).set_index("property")
    assert told["unit"].dropna().to_dict() == {"flow": "m³/h"}
    assert told["quality_code"].to_dict() == {"flow": False, "state": True, "speed": True}
    assert told.loc["state", "length"] == 4
    assert set(told["aspect_description"]) == {"What the pump does"}
    assert told.attrs == {"entity": entity, "name": "Feed pump", "twin_type": "simulation"}
    good = pd.DataFrame({"flow": [1.5], "state": ["äöüß"]}, times("2026-03-01", 1))
    for bad, words in (
        (good.assign(state="RUNNING"), "longer than 4 characters"),
        (good.assign(flow_qc=1), "'flow' has no quality code"),
    ):
        with pytest.raises(tsb.FrameError, match=words):
            tsb.write_timeseries(bad, entity, "pump", connection=site.con)
    tsb.write_timeseries(good, entity, "pump", connection=site.con)
    frame = tsb.read_timeseries(entity, "pump", *SPAN, describe=True, connection=site.con)
    assert frame.attrs["units"] == {"flow": "m³/h"}
    assert frame.attrs["description"] == "What the pump does"
    assert frame["state"].tolist() == ["äöüß"]


def test_what_is_missing_in_a_list_of_assets(site: Site) -> None:
    """Missing, not the text "None"; a deleted asset tells when, one that cannot be read as a time tells nothing."""
    moments = ["2026-01-01T00:00:00.5Z", "yes", "9999-12-31T00:00:00Z"]
    listed = [{"assetId": one, "deleted": one, "name": None, "description": ""} for one in moments]
    site.sandbox.faults.add(Fault(Answer(200, {"_embedded": {"assets": listed}}), "GET", r"/v3/assets\?"))
    frame = tsb.list_assets(connection=site.con)
    assert frame["deleted"].tolist() == [pd.Timestamp("2026-01-01T00:00:00.5Z"), pd.NaT, pd.NaT]
    assert str(frame["deleted"].dtype) == "datetime64[ns, UTC]"
    assert frame["name"].tolist() == ["", "", ""]
    assert frame.drop(columns=["asset_id", "name", "deleted"]).isna().all(axis=None)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"name": "pump"}, {"name": {"contains": "pump"}}),
        ({"type_id": "acme.pump"}, {"typeId": {"eq": "acme.pump"}}),
        (
            {"name": "P", "type_id": "t", "filter": {"parentId": "r"}},
            {"name": {"contains": "P"}, "typeId": {"eq": "t"}, "parentId": "r"},
        ),
        ({"filter": {"hasType": "t"}, "limit": 3}, {"hasType": "t"}),
        ({"filter": {}}, None),
        ({}, None),
    ],
)
def test_what_assets_are_asked_for(arguments: dict[str, object], wanted: object) -> None:
    """Name and type become the service's filter, beside what else is given; the caller's dict stays as it was."""
    given = json.dumps(arguments)
    seen: list[object] = []
    con = tsb.connect("https://gateway.test", credentials=tsb.UserToken("t"))
    con.assets.list_assets = lambda **asked: seen.append(asked) or []
    assert tsb.list_assets(**arguments, connection=con).empty
    assert seen == [{"filter": wanted, "limit": arguments.get("limit")}]
    assert json.dumps(arguments) == given


def test_units_and_descriptions_beside_the_data(shared: Site, tmp_path: Path) -> None:
    """In attrs by property, as plain JSON that Parquet keeps and that no writer minds."""
    entity = seeded(shared, 3, speed=[0.5, 1.5, 2.5], count=[1, 2, 3])
    tell(shared, entity, "Main pump", speed=Said("1/s", "Of the shaft"), count=Said("", data_type="LONG"))
    plain = tsb.read_timeseries(entity, "pump", *SPAN, connection=shared.con)
    frame = tsb.read_timeseries(entity, "pump", *SPAN, describe=True, connection=shared.con)
    said = {"units": {"speed": "1/s"}, "descriptions": {"speed": "Of the shaft"}, "description": "Main pump"}
    assert frame.attrs == plain.attrs | said
    pd.testing.assert_frame_equal(frame, plain)
    frame.to_parquet(tmp_path / "a.parquet")
    assert pd.read_parquet(tmp_path / "a.parquet").attrs == json.loads(json.dumps(frame.attrs))
    for data in (frame, pd.read_parquet(tmp_path / "a.parquet"), tmp_path / "a.parquet"):
        other = shared.asset()
        tsb.write_timeseries(data, other, "pump", connection=shared.con)
        stored = tsb.read_timeseries(other, "pump", *SPAN, connection=shared.con)
        pd.testing.assert_frame_equal(stored, plain, check_freq=False)


def test_only_what_is_selected_is_described(shared: Site) -> None:
    """Units of other properties would be noise."""
    entity = seeded(shared)
    tell(shared, entity, speed=Said("1/s"), count=Said("m³/h"))
    frame = tsb.read_timeseries(entity, "pump", *SPAN, select="count", describe=True, connection=shared.con)
    assert frame.attrs["units"] == {"count": "m³/h"}
    assert frame.attrs["description"] is None


def test_the_model_is_asked_only_where_wanted_and_once(shared: Site, tmp_path: Path) -> None:
    """A read asks for records alone, from the cache for nothing at all; to describe is one request a series."""
    entities = [seeded(shared), seeded(shared)]
    past = {"cache": tmp_path, "connection": shared.con}
    tsb.read_timeseries(entities, "pump", *SPAN, **past)
    assert [set(asked_of(shared, entity)) for entity in entities] == [{"records"}] * 2
    before = len(shared.sandbox.requests)
    tsb.read_timeseries(entities, "pump", *SPAN, **past)
    assert len(shared.sandbox.requests) == before
    tsb.read_timeseries(entities, "pump", *SPAN, describe=True, **past)
    new = [one.path for one in shared.sandbox.requests[before:]]
    assert sorted(new) == sorted(f"/api/assetmanagement/v3/assets/{entity}/aspects" for entity in entities)


def test_records_and_model_are_asked_for_side_by_side(shared: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits until the other has begun: one after the other would never end."""
    entity = seeded(shared)
    begun = {"records": threading.Event(), "model": threading.Event()}
    fetch, ask = shared.con.reads.fetch_page, shared.con.assets.get_aspects

    def meeting(mine: str, other: str, call: Callable[..., object]) -> Callable[..., object]:
        def wait(*args: object, **more: object) -> object:
            begun[mine].set()
            assert begun[other].wait(30)
            return call(*args, **more)

        return wait

    monkeypatch.setattr(shared.con.reads, "fetch_page", meeting("records", "model", fetch))
    monkeypatch.setattr(shared.con.assets, "get_aspects", meeting("model", "records", ask))
    frame = tsb.read_timeseries(entity, "pump", *SPAN, describe=True, connection=shared.con)
    assert len(frame) == 3


@pytest.mark.parametrize("limit", [None, 5])
def test_a_model_that_cannot_be_had_ends_the_reading(site: Site, limit: int | None) -> None:
    """At once, although the records hang; and it is the model's error that is raised."""
    entity = seeded(site)
    site.sandbox.faults.add(
        Fault(Delay(600), "GET", r"/iottsbulk/", times=None),
        Fault(Answer(403, {"message": "no right to see assets"}), "GET", r"/aspects", times=None),
    )
    with pytest.raises(tsb.AuthError, match="no right to see assets") as caught:
        tsb.read_timeseries(entity, "pump", *SPAN, describe=True, limit=limit, connection=site.con)
    assert caught.value.__cause__ is None
    names = [one.name for one in threading.enumerate() if one.name.startswith("tsbulk")]
    assert all(name.startswith("tsbulk-sandbox") for name in names)


def test_an_error_of_the_records_is_not_hidden(shared: Site) -> None:
    """Where the model answers, the reading's own error is raised."""
    entity = seeded(shared)
    shared.sandbox.faults.add(Fault(Answer(200, "no page"), "GET", rf"/iottsbulk/.*{entity}", times=None))
    with pytest.raises(tsb.PageError):
        tsb.read_timeseries(entity, "pump", *SPAN, describe=True, connection=shared.con)


def test_collected_errors_name_the_model_too(shared: Site) -> None:
    """An entity of which nothing is known is left out and named, the others are whole."""
    good, bad, gone = seeded(shared), seeded(shared), "f" * 32
    tell(shared, good, speed=Said("1/s"))
    shared.sandbox.faults.add(Fault(Answer(200, {}), "GET", rf"/assets/{bad}/aspects", times=None))
    frame = tsb.read_timeseries(
        [gone, good, bad], "pump", *SPAN, errors="collect", describe=True, connection=shared.con
    )
    assert frame.index.unique("entity").tolist() == [good]
    assert list(frame.attrs["errors"]) == [gone, bad]
    assert "has no aspect 'pump'" in frame.attrs["errors"][bad]
    assert frame.attrs["units"] == {"speed": "1/s"}


def test_entities_that_differ_are_told_apart(shared: Site) -> None:
    """What all agree on stands once; what they do not, by entity: nobody takes bar for kPa."""
    one, other = seeded(shared), seeded(shared)
    tell(shared, one, "Pump", speed=Said("1/s"), flow=Said("m³/h", "Flow"), small=Said("bar"))
    tell(shared, other, "Fan", speed=Said("1/s"), flow=Said("", "Flow"), on=Said("on"))
    frame = tsb.read_timeseries([one, other], "pump", *SPAN, describe=True, connection=shared.con)
    assert frame.attrs["units"] == {"speed": "1/s", "small": "bar", "on": "on"}
    assert frame.attrs["units_by_entity"] == {"flow": {one: "m³/h", other: None}}
    assert frame.attrs["descriptions"] == {"flow": "Flow"}
    assert "descriptions_by_entity" not in frame.attrs
    assert frame.attrs["description"] is None
    assert json.loads(json.dumps(frame.attrs)) == frame.attrs


def test_frames_one_after_the_other_are_described(shared: Site) -> None:
    """Each of them; the model, which is asked for the types anyway, is asked once."""
    entity = seeded(shared)
    tell(shared, entity, speed=Said("1/s"))
    frames = list(tsb.iter_timeseries(entity, "pump", *SPAN, rows=2, describe=True, connection=shared.con))
    assert [frame.attrs["units"] for frame in frames] == [{"speed": "1/s"}] * 2
    assert asked_of(shared, entity).count("aspects") == 1
    (plain,) = tsb.iter_timeseries(entity, "pump", *SPAN, connection=shared.con)
    assert "units" not in plain.attrs


def test_a_stream_that_cannot_be_described_fetches_nothing(shared: Site) -> None:
    """Without the wish it goes by the values; with it the error comes before any record."""
    entity = seeded(shared)
    shared.sandbox.faults.add(Fault(Answer(200, {}), "GET", rf"/assets/{entity}/aspects", times=None))
    (frame,) = tsb.iter_timeseries(entity, "pump", *SPAN, connection=shared.con)
    assert frame["speed"].tolist() == [0.5, 1.5, 2.5]
    before = asked_of(shared, entity).count("records")
    with pytest.raises(tsb.NotFoundError, match="no aspect 'pump'; it has none"):
        next(tsb.iter_timeseries(entity, "pump", *SPAN, describe=True, connection=shared.con))
    assert asked_of(shared, entity).count("records") == before


def test_arrow_fields_carry_units(shared: Site) -> None:
    """As metadata, in the schema and in every batch; by entity where they differ."""
    one, other = seeded(shared), seeded(shared)
    tell(shared, one, speed=Said("1/s", "Of the shaft"), flow=Said("bar"), small=Said())
    tell(shared, other, speed=Said("1/s"), flow=Said("kPa"), small=Said())
    reader = tsb.read_arrow(one, "pump", *SPAN, connection=shared.con)
    for schema in (reader.schema, reader.read_all().schema):
        assert schema.field("speed").metadata == {b"unit": b"1/s", b"description": b"Of the shaft"}
        assert schema.field("speed_qc").metadata is None
        assert schema.field("small").metadata is None
    reader = tsb.read_arrow([one, other], "pump", *SPAN, connection=shared.con)
    assert reader.schema.field("speed").metadata[b"unit"] == b"1/s"
    flow = reader.schema.field("flow").metadata
    assert json.loads(flow[b"unit_by_entity"]) == {one: "bar", other: "kPa"}
    assert b"unit" not in flow
    written = shared.asset()
    table = tsb.read_arrow(one, "pump", *SPAN, select="speed", quality="drop", connection=shared.con).read_all()
    tsb.write_timeseries(table, written, "pump", connection=shared.con)
    assert shared.stored(written)["speed"].tolist() == [0.5, 1.5, 2.5]


def test_a_data_type_nobody_knows(shared: Site, tmp_path: Path) -> None:
    """Comes through exactly as it is, also beside an entity that has a plain type there."""
    one, other = seeded(shared), seeded(shared)
    tell(shared, one, speed=Said("bar", data_type="DECIMAL"))
    tell(shared, other, speed=Said("bar"))
    reader = tsb.read_arrow([one, other], "pump", *SPAN, quality="drop", connection=shared.con)
    assert reader.schema.field("speed").type == pa.json_()
    assert reader.read_all()["speed"].to_pylist() == ["0.5", "1.5", "2.5"] * 2
    frames = tsb.iter_timeseries([one, other], "pump", *SPAN, quality="drop", connection=shared.con)
    assert pd.concat(frames)["speed"].tolist() == [0.5, 1.5, 2.5] * 2
    assert tsb.describe(one, connection=shared.con)["dtype"][0] == "object"
    tsb.download_parquet([one, other], "pump", *SPAN, tmp_path, connection=shared.con)
    for file in tmp_path.rglob("*.parquet"):
        assert pq.read_schema(file).field("speed").metadata[b"unit"] == b"bar"


def test_a_download_keeps_units(shared: Site, tmp_path: Path) -> None:
    """In each file; a later call that finds another unit still gives one dataset that can be read."""
    entity = shared.seed(pd.DataFrame({"speed": [0.5, 1.5]}, times("2026-03-01T23:59:59", 2)))
    tell(shared, entity, once=True, speed=Said("1/s"))
    tell(shared, entity, speed=Said("rpm"))
    for end in ("2026-03-02", "2026-03-03"):
        tsb.download_parquet(entity, "pump", "2026-03-01", end, tmp_path, connection=shared.con)
    files = sorted(tmp_path.rglob("*.parquet"))
    assert [pq.read_schema(file).field("speed").metadata[b"unit"] for file in files] == [b"1/s", b"rpm"]
    assert ds.dataset(tmp_path, partitioning="hive").to_table()["speed"].to_pylist() == [0.5, 1.5]
    assert pd.read_parquet(tmp_path)["speed"].tolist() == [0.5, 1.5]


FAULTY: dict[str, tuple[dict[str, object], str]] = {
    "unknown property": ({"sped": [1.0, 2.0]}, "column 'sped' is no variable of the aspect"),
    "wrong type": ({"speed": ["a", "b"]}, "column 'speed' is string, but the variable is DOUBLE"),
    "text too long": ({"state": ["a", "x" * 256]}, r"column 'state': 1 of \d values are longer than 255 characters"),
    "beyond 32 bits": ({"small": [1, 2**40]}, r"column 'small': 1 of \d values are beyond 32 bits"),
    "no quality code": ({"bare": [1.0, 2.0], "bare_qc": [0, 0]}, "'bare' has no quality code"),
}


def one_by_one(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Give the rows as frames that can be had only once."""
    for row in range(len(frame)):
        yield frame.iloc[row : row + 1]


SOURCES: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "frame": lambda frame, folder: frame,
    "table": lambda frame, folder: pa.Table.from_pandas(frame.reset_index()),
    "list": lambda frame, folder: [frame.iloc[:1], frame.iloc[1:]],
    "parquet": lambda frame, folder: frame.to_parquet(folder / "a.parquet") or folder / "a.parquet",
    "reader": lambda frame, folder: pa.Table.from_pandas(frame.reset_index()).to_reader(max_chunksize=1),
    "iterator": lambda frame, folder: one_by_one(frame),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", FAULTY)
def test_nothing_is_uploaded_that_does_not_fit_the_aspect(shared: Site, tmp_path: Path, source: str, name: str) -> None:
    """Whatever the data is: both rows are of one partition, and not a byte of it is sent."""
    columns, words = FAULTY[name]
    entity = bare_asset(shared)
    data = SOURCES[source](pd.DataFrame(columns, times("2026-03-01", 2)), tmp_path)
    with pytest.raises(tsb.FrameError, match=words) as caught:
        tsb.write_timeseries(data, entity, "pump", manifest=tmp_path / "m.sqlite", connection=shared.con)
    assert caught.value.column in columns
    assert set(asked_of(shared, entity)) == {"asset", "aspects"}
    assert shared.stored(entity).empty


def bare_asset(site: Site) -> str:
    """Add an asset of which one property has no quality code."""
    entity = site.asset()
    variables = [{"name": name, "dataType": kind, "qualityCode": True} for name, kind in PUMP.items()]
    variables.append({"name": "bare", "dataType": "DOUBLE", "qualityCode": False})
    body = {"_embedded": {"aspects": [{"name": "pump", "variables": variables}]}}
    site.sandbox.faults.add(Fault(Answer(200, body), "GET", rf"/assets/{entity}/aspects", times=None))
    return entity


@pytest.mark.parametrize("source", SOURCES)
def test_all_that_does_not_fit_is_told_at_once(shared: Site, tmp_path: Path, source: str) -> None:
    """The first is raised, a note tells of the others: nobody mends column by column, run by run."""
    frame = pd.DataFrame({"sped": [1.0, 2.0], "state": [1, 2], "on": ["a", "b"]}, times("2026-03-01", 2))
    with pytest.raises(tsb.FrameError, match="'sped' is no variable") as caught:
        tsb.write_timeseries(
            *(SOURCES[source](frame, tmp_path), shared.asset(), "pump"),
            manifest=tmp_path / "m.sqlite",
            connection=shared.con,
        )
    (note,) = [note for note in caught.value.__notes__ if "further rules" in note]
    assert "'state' is int64, but the variable is STRING" in note
    assert "'on' is string, but the variable is BOOLEAN" in note


def test_a_later_table_of_a_stream_stops_its_partition(shared: Site, tmp_path: Path) -> None:
    """What came before is imported; of the partition at fault nothing is sent, its good first half neither."""
    entity = shared.asset()
    whole = pd.DataFrame({"small": [1, 2, 3, 4]}, times("2026-03-01", 4, "30min"))
    bad = pd.DataFrame({"small": [2**40]}, times("2026-03-01T01:45", 1))

    def stream() -> Iterator[pd.DataFrame]:
        yield from one_by_one(whole)
        yield bad

    with pytest.raises(tsb.FrameError, match="'small': 1 of 1 values are beyond 32 bits") as caught:
        tsb.write_timeseries(stream(), entity, "pump", manifest=tmp_path / "m.sqlite", connection=shared.con)
    assert shared.stored(entity)["small"].tolist() == [1, 2]
    sent = {one.path for one in shared.sandbox.requests if one.method == "PUT" and entity in one.path}
    assert sent
    assert not [path for path in sent if "2026-03-01T01" in path]
    assert any("import jobs started before" in note for note in caught.value.__notes__)


def test_with_a_twin_type_the_aspect_is_not_asked(shared: Site) -> None:
    """Then the service alone judges: its job fails, as the docs say."""
    entity = shared.asset()
    data = pd.DataFrame({"small": [2**40]}, times("2026-03-01", 1))
    with pytest.raises(tsb.PartialImportError):
        tsb.write_timeseries(data, entity, "pump", twin_type="simulation", connection=shared.con)
    assert not {"asset", "aspects"} & set(asked_of(shared, entity))


def test_what_was_read_fits_its_own_aspect(shared: Site) -> None:
    """Columns of missing values, whole numbers in a float variable, gaps: the check stands in nobody's way."""
    entity = shared.asset()
    frame = pd.DataFrame(
        {
            "speed": [1.0, 2.0, None],
            "speed_qc": pd.array([1, None, 3], "Int64"),
            "count": pd.array([1, None, 2**62], "Int64"),
            "on": pd.array([True, None, False], "boolean"),
            "state": ["a", None, "ä" * 255],
        },
        times("2026-03-01", 3),
    )
    tsb.write_timeseries(frame, entity, "pump", connection=shared.con)
    read = tsb.read_timeseries(entity, "pump", *SPAN, connection=shared.con)
    again = shared.asset()
    tsb.write_timeseries(read, again, "pump", connection=shared.con)
    stored = tsb.read_timeseries(again, "pump", *SPAN, connection=shared.con)
    stored.attrs, read.attrs = {}, {}
    pd.testing.assert_frame_equal(stored, read)
