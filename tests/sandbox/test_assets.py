"""Asset management: what clients look up before they read or write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from furniture import PERFORMANCE, PUMP, SIMULATION, Clock, Http, furnish

from tsbulk_frames.sandbox import Rules, Sandbox, registry

BASE = "/api/assetmanagement/v3"


@pytest.mark.parametrize(("entity", "twin"), [(PERFORMANCE, "performance"), (SIMULATION, "simulation")])
def test_asset(http: Http, entity: str, twin: str):
    """An asset tells its id, name, twin type and etag."""
    body = http.get(f"{BASE}/assets/{entity}").json()
    assert (body["assetId"], body["twinType"], body["etag"], body["name"]) == (entity, twin, 0, entity)


def variables(aspect: dict, under: str) -> dict[str, dict]:
    """Find the variables of an aspect by name."""
    found = aspect["variables"] if under == "variables" else aspect["aspectType"]["variables"]
    return {variable["name"]: variable for variable in found}


@pytest.mark.parametrize("under", ["variables", "aspectType"])
def test_aspects(clock: Clock, under: str):
    """An asset's aspects carry their variables, in the place that is a setting, with type, length and quality code."""
    with Sandbox(clock=clock, rules=Rules(variables_under=under)) as sandbox:
        furnish(sandbox)
        with Http(sandbox) as http:
            (aspect,) = http.get(f"{BASE}/assets/{PERFORMANCE}/aspects").json()["_embedded"]["aspects"]
    assert (aspect["name"], aspect["category"]) == ("pump", "dynamic")
    assert ("variables" in aspect) == (under == "variables")
    found = variables(aspect, under)
    assert {name: variable["dataType"] for name, variable in found.items()} == PUMP
    assert (found["state"]["length"], found["note"]["length"], found["speed"]["length"]) == (255, 100_000, None)
    assert all(variable["qualityCode"] is True for variable in found.values())


def test_without_quality_codes(sandbox: Sandbox, http: Http):
    """An asset can be without quality codes."""
    sandbox.add_asset("c", aspects={"m": {"x": "INT"}}, quality_codes=False)
    (aspect,) = http.get(f"{BASE}/assets/c/aspects").json()["_embedded"]["aspects"]
    assert aspect["variables"][0]["qualityCode"] is False


def test_replacing_an_asset_raises_its_etag(sandbox: Sandbox, http: Http):
    """An asset that is added again is replaced; its etag rises only if anything is different."""
    sandbox.add_asset(PERFORMANCE, aspects={"pump": PUMP})
    assert http.get(f"{BASE}/assets/{PERFORMANCE}").json()["etag"] == 0
    sandbox.add_asset(PERFORMANCE, twin_type="simulation", name="new")
    body = http.get(f"{BASE}/assets/{PERFORMANCE}").json()
    assert (body["name"], body["twinType"], body["etag"]) == ("new", "simulation", 1)


def test_stored_records_keep_their_data_type(sandbox: Sandbox, http: Http):
    """A property that has stored records cannot become another one, not even by way of leaving it out; others can."""
    record = {"_time": "2026-03-01T00:00:00Z", "speed": 1.5, "count": 1}
    path = f"/api/iottimeseries/v3/timeseries/{PERFORMANCE}/pump"
    assert http.put(path, json=[record]).status_code == 204
    for changed in [{"speed": "STRING"}, {"count": "INT"}]:
        with pytest.raises(ValueError, match=r"has stored records as (DOUBLE|LONG) and cannot become (STRING|INT)"):
            sandbox.add_asset(PERFORMANCE, aspects={"pump": PUMP | changed})
    sandbox.add_asset(PERFORMANCE, aspects={"pump": {"count": "LONG", "more": "INT"}, "new": {"speed": "STRING"}})
    with pytest.raises(ValueError, match=r"'speed'.* has stored records as double and cannot become STRING"):
        sandbox.add_asset(PERFORMANCE, aspects={"pump": PUMP | {"speed": "STRING"}})
    sandbox.add_asset(PERFORMANCE, aspects={"pump": PUMP | {"more": "STRING"}})
    assert http.put(path, json=[record | {"more": "x"}]).status_code == 204
    assert sandbox.records(PERFORMANCE, "pump")["speed"].tolist() == [1.5]


def test_root(http: Http):
    """The root asset is the parent of all others."""
    root = http.get(f"{BASE}/assets/root").json()
    assert len(root["assetId"]) == 32
    assert http.get(f"{BASE}/assets/{PERFORMANCE}").json()["parentId"] == root["assetId"]


def test_asset_type(http: Http):
    """The type of an asset shows its aspects when exploded, the variables under ``aspectType``."""
    type_id = http.get(f"{BASE}/assets/{PERFORMANCE}").json()["typeId"]
    (aspect,) = http.get(f"{BASE}/assettypes/{type_id}?exploded=true").json()["aspects"]
    assert set(variables(aspect, "aspectType")) == set(PUMP)
    assert http.get(f"{BASE}/assettypes/{type_id}").json()["aspects"] == []


@pytest.mark.parametrize("path", ["assets/nothing", "assets/nothing/aspects", "assettypes/nothing", "assets/..%2f.."])
def test_not_found(http: Http, path: str):
    """What is not there is 404, in the words of this service."""
    answer = http.get(f"{BASE}/{path}")
    assert answer.status_code == 404
    (error,) = answer.json()["errors"]
    assert set(error) >= {"code", "message"}


def test_listing(sandbox: Sandbox, http: Http):
    """Assets are listed by name, in pages without gap or overlap."""
    for number in range(23):
        sandbox.add_asset(f"asset{number:02d}")
    seen = []
    for page in range(4):
        body = http.get(f"{BASE}/assets", params={"size": 7, "page": page}).json()
        assert body["page"] == {"size": 7, "totalElements": 25, "totalPages": 4, "number": page}
        seen += [asset["assetId"] for asset in body["_embedded"]["assets"]]
    assert seen == [PERFORMANCE, *(f"asset{number:02d}" for number in range(23)), SIMULATION]
    assert len(http.get(f"{BASE}/assets").json()["_embedded"]["assets"]) == 10


@pytest.fixture(scope="module")
def fleet() -> Iterator[Http]:
    """Give access to a few assets, which stay as they are."""
    with Sandbox() as sandbox:
        for number, name in enumerate(["Pump 1", "Pump 2", "Valve 1", "pump 3"]):
            twin = "simulation" if number % 2 else "performance"
            sandbox.add_asset(f"{number:032x}", name=name, twin_type=twin, description=f"no. {number}")
        with Http(sandbox) as http:
            yield http


TIMES = "[2026-01-01T00:00:00Z, 2026-02-01T00:00:00Z)"


@pytest.mark.parametrize(
    "params",
    [{"size": "0"}, {"page": "-1"}, {"size": "x"}, {"sort": "na me"}]
    + [
        {"filter": one}
        for one in ("x", "[1]", "1", '"name"', "[" * 15_000, '{"name": ["a"]}', '{"name": {"like": "a"}}')
    ]
    + [
        {"filter": one}
        for one in ('{"name": {"contains": 1}}', '{"name": {"in": "a"}}', '{"deleted": {"between": "x"}}')
    ]
    + [{"filter": one} for one in ('{"not": 1}', '{"name": {"or": 1}}', '{"not":' * 30 + "{}" + "}" * 30)]
    + [{"filter": json.dumps({"or": [{"name": "x"}] * 2_000})}],
    ids=lambda params: str(params)[:40],
)
def test_bad_listing(fleet: Http, params: dict[str, str]):
    """What cannot be understood is 400 instead of ignored."""
    assert fleet.get(f"{BASE}/assets", params=params).status_code == 400


def named(http: Http, **params: object) -> list[str]:
    """List the names of assets."""
    body = http.get(f"{BASE}/assets", params=params).json()
    found = [asset["name"] for asset in body["_embedded"]["assets"]]
    assert body["page"]["totalElements"] == len(found)
    return found


PUMPS = ["Pump 1", "Pump 2"]
ALL = [*PUMPS, "Valve 1", "pump 3"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ALL),
        ({"name": "Pump 1"}, ["Pump 1"]),
        ({"name": {"eq": "Pump 1"}}, ["Pump 1"]),
        ({"name": {"contains": "ump"}}, [*PUMPS, "pump 3"]),
        ({"name": {"startsWith": "Pump"}}, PUMPS),
        ({"name": {"endsWith": " 1"}}, ["Pump 1", "Valve 1"]),
        ({"name": {"startsWith": "Pump", "endsWith": "2"}}, ["Pump 2"]),
        ({"name": {"in": {"value": ["pump 3", "x"]}}}, ["pump 3"]),
        ({"name": {"in": ["pump 3", "Valve 1"]}}, ["Valve 1", "pump 3"]),
        ({"name": {"or": [{"eq": "Pump 1"}, {"endsWith": "3"}]}}, ["Pump 1", "pump 3"]),
        ({"name": {"not": {"startsWith": "Pump"}}}, ["Valve 1", "pump 3"]),
        ({"name": {"or": {"eq": "Pump 1", "endsWith": "3"}}}, ["Pump 1", "pump 3"]),
        ({"name": {"and": [{"startsWith": "P"}, {"endsWith": "1"}]}}, ["Pump 1"]),
        ({"not": {"name": {"contains": "ump"}}}, ["Valve 1"]),
        ({"or": {"name": "Pump 1", "twinType": "simulation"}}, [*PUMPS, "pump 3"]),
        ({"or": [{"name": "Pump 1"}, {"name": "Valve 1", "twinType": "performance"}]}, ["Pump 1", "Valve 1"]),
        ({"and": {"name": {"contains": "ump"}, "twinType": "simulation"}}, ["Pump 2", "pump 3"]),
        ({"name": {"contains": "ump"}, "deleted": None}, [*PUMPS, "pump 3"]),
        ({"deleted": {"eq": None}}, ALL),
        ({"deleted": {"before": "2027-01-01T00:00:00Z"}}, []),
        ({"deleted": {"between": TIMES}}, []),
        ({"assetId": f"{2:032x}"}, ["Valve 1"]),
        ({"typeId": f"sandbox.{2:032x}"}, ["Valve 1"]),
        ({"hasType": f"sandbox.{2:032x}"}, ["Valve 1"]),
        ({"typeId": "core.pump"}, []),
        ({"colour": "red"}, ALL),
        ({"colour": {"like": 1}, "name": "Pump 1"}, ["Pump 1"]),
    ],
    ids=json.dumps,
)
def test_filter(fleet: Http, wanted: dict[str, object], found: list[str]):
    """A filter lets through what all of it says; fields that are not known say nothing."""
    assert named(fleet, filter=json.dumps(wanted)) == found


def test_filtered_pages(fleet: Http):
    """Pages are those of what the filter lets through."""
    wanted = json.dumps({"name": {"contains": "ump"}})
    body = fleet.get(f"{BASE}/assets", params={"filter": wanted, "size": 2, "page": 1}).json()
    assert [asset["name"] for asset in body["_embedded"]["assets"]] == ["pump 3"]
    assert body["page"] == {"size": 2, "totalElements": 3, "totalPages": 2, "number": 1}
    empty = fleet.get(f"{BASE}/assets", params={"filter": wanted, "page": 7}).json()
    assert empty["_embedded"]["assets"] == []


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("name", ALL),
        ("name,asc", ALL),
        ("name,desc", ALL[::-1]),
        ("twinType,desc", ["Pump 2", "pump 3", "Pump 1", "Valve 1"]),
        (["twinType", "name,desc"], ["Valve 1", "Pump 1", "pump 3", "Pump 2"]),
        ("etag", ALL),
        ("nothing", ALL),
    ],
)
def test_sort(fleet: Http, sort: str | list[str], found: list[str]):
    """Any field orders a list, several one after the other; what is equal stays in the order it came."""
    assert named(fleet, sort=sort) == found


def test_a_page_has_a_greatest_size(clock: Clock):
    """A larger one is cut, and the page tells its size."""
    with Sandbox(clock=clock, rules=Rules(max_list_size=3)) as sandbox, Http(sandbox) as http:
        for number in range(5):
            sandbox.add_asset(f"a{number}", aspects={f"x{i}": {"y": "INT"} for i in range(5)})
        for path, key in (("assets", "assets"), ("assets/a0/aspects", "aspects")):
            body = http.get(f"{BASE}/{path}", params={"size": 1000}).json()
            assert len(body["_embedded"][key]) == 3
            assert body["page"] == {"size": 3, "totalElements": 5, "totalPages": 2, "number": 0}


def test_aspects_are_paged(sandbox: Sandbox, http: Http):
    """Ten to a page, by name, as assets are."""
    sandbox.add_asset("many", aspects={f"x{i:02}": {"y": "INT"} for i in reversed(range(12))})
    pages = [http.get(f"{BASE}/assets/many/aspects", params={"page": n}).json() for n in range(2)]
    assert [aspect["name"] for page in pages for aspect in page["_embedded"]["aspects"]] == [
        f"x{i:02}" for i in range(12)
    ]
    assert pages[0]["page"] == {"size": 10, "totalElements": 12, "totalPages": 2, "number": 0}


RICH = {
    "speed": "DOUBLE",
    "flow": {"dataType": "DOUBLE", "unit": "m³/h", "qualityCode": False},
    "state": {"dataType": "STRING", "length": 20},
    "plain": {"dataType": "LONG"},
}
TOLD = {
    "speed": ("DOUBLE", "", True, None),
    "flow": ("DOUBLE", "m³/h", False, None),
    "state": ("STRING", "", True, 20),
    "plain": ("LONG", "", True, None),
}


def told(aspect: dict) -> dict[str, tuple[object, ...]]:
    """Sum up the variables of an aspect."""
    found = variables(aspect, "variables" if "variables" in aspect else "aspectType").values()
    return {v["name"]: (v["dataType"], v["unit"], v["qualityCode"], v["length"]) for v in found}


def test_units_and_lengths(clock: Clock, tmp_path: Path):
    """What is said of properties, aspects and assets is told by aspects and types, also after a restart."""
    with Sandbox(tmp_path / "data", clock=clock) as sandbox:
        sandbox.add_asset(
            "rich", aspects={"pump": RICH}, description="in hall 7", descriptions={"pump": "what it does"}
        )
        (tmp_path / "assets.json").write_text(
            json.dumps(
                [{"assetId": "file", "aspects": {"pump": RICH}, "description": "x", "descriptions": {"pump": "y"}}]
            )
        )
        sandbox.load_assets(tmp_path / "assets.json")
    with Sandbox(tmp_path / "data", clock=clock) as sandbox, Http(sandbox) as http:
        for entity, of_asset, of_aspect in (("rich", "in hall 7", "what it does"), ("file", "x", "y")):
            asset = http.get(f"{BASE}/assets/{entity}").json()
            (aspect,) = http.get(f"{BASE}/assets/{entity}/aspects").json()["_embedded"]["aspects"]
            (of_type,) = http.get(f"{BASE}/assettypes/{asset['typeId']}?exploded=true").json()["aspects"]
            assert (asset["description"], aspect["description"], of_type["description"]) == (
                of_asset,
                of_aspect,
                of_aspect,
            )
            assert told(aspect) == told(of_type) == TOLD


def test_a_property_of_its_own_length_and_quality(sandbox: Sandbox, http: Http):
    """What is told holds: a longer text and a quality code where there is none are refused."""
    sandbox.add_asset("rich", aspects={"pump": RICH})
    path = "/api/iottimeseries/v3/timeseries/rich/pump"
    for record, status in [
        ({"state": "x" * 20, "flow": 1.5, "speed": 1.0, "speed_qc": 0}, 204),
        ({"state": "x" * 21}, 400),
        ({"flow": 1.5, "flow_qc": 0}, 400),
    ]:
        assert http.put(path, json=[{"_time": "2026-03-01T00:00:00Z", **record}]).status_code == status


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dataType": "FLOAT"}, "data type 'FLOAT'"),
        ({"unit": "m"}, "data type None"),
        ({"dataType": "DOUBLE", "description": "x"}, "description in this service"),
        ({"dataType": "DOUBLE", "length": 5}, "DOUBLE has none"),
        ({"dataType": "STRING", "length": 256}, "1 to 255"),
        ({"dataType": "STRING", "length": 0}, "1 to 255"),
        ({"dataType": "STRING", "length": True}, "length=True"),
        ({"dataType": "STRING", "unit": 5}, "no text"),
        ({"dataType": "STRING", "unit": "\ud800"}, "no text"),
        ({"dataType": "STRING", "qualityCode": "yes"}, "qualityCode='yes'"),
        (5, "data type 5"),
    ],
)
def test_bad_properties(sandbox: Sandbox, http: Http, given: object, words: str):
    """What makes no sense is refused, by whatever way it comes."""
    with pytest.raises(ValueError, match=words):
        sandbox.add_asset("bad", aspects={"pump": {"x": given}})
    body = json.dumps({"name": "bad", "aspects": {"pump": {"x": given}}})
    assert http.post(f"{BASE}/assets", data=body).status_code == 400
    with pytest.raises(ValueError, match="no aspects"):
        sandbox.add_asset("bad", aspects={"pump": {}}, descriptions={"pmup": "x"})


def test_created_with_all_there_is(http: Http):
    """A created asset has units, lengths and descriptions, as far as it was told; null is nothing."""
    given = [{"name": name, **(one if isinstance(one, dict) else {"dataType": one})} for name, one in RICH.items()]
    given[0] |= {"unit": None, "length": None, "searchable": True}
    body = {"name": "x", "description": "d", "aspects": [{"name": "pump", "description": "a", "variables": given}]}
    asset = http.post(f"{BASE}/assets", json=body).json()
    (aspect,) = http.get(f"{BASE}/assets/{asset['assetId']}/aspects").json()["_embedded"]["aspects"]
    assert (asset["description"], aspect["description"], told(aspect)) == ("d", "a", TOLD)


def test_create(http: Http):
    """A created asset is answered 201 with a new id of 32 hex digits, and is there."""
    aspects = [{"name": "m", "variables": [{"name": "x", "dataType": "DOUBLE"}]}]
    answer = http.post(f"{BASE}/assets", json={"name": "new", "twinType": "simulation", "aspects": aspects})
    assert answer.status_code == 201
    entity = answer.json()["assetId"]
    assert len(bytes.fromhex(entity)) == 16
    assert answer.headers["Location"].endswith(f"/assets/{entity}")
    assert http.get(answer.headers["Location"]).json() == answer.json()
    (aspect,) = http.get(f"{BASE}/assets/{entity}/aspects").json()["_embedded"]["aspects"]
    assert [(v["name"], v["dataType"]) for v in aspect["variables"]] == [("x", "DOUBLE")]


def test_create_by_type(http: Http):
    """An asset created with the type of another one has its aspects."""
    type_id = http.get(f"{BASE}/assets/{PERFORMANCE}").json()["typeId"]
    entity = http.post(f"{BASE}/assets", json={"name": "twin", "typeId": type_id}).json()["assetId"]
    (aspect,) = http.get(f"{BASE}/assets/{entity}/aspects").json()["_embedded"]["aspects"]
    assert set(variables(aspect, "variables")) == set(PUMP)


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{",
        "{}",
        '{"name": 1}',
        '{"name": "x", "assetId": "../x"}',
        '{"name": "x", "assetId": "\\ud800"}',
        '{"name": "x", "assetId": 5}',
        '{"name": "x", "twinType": []}',
        '{"name": "x", "aspects": 1}',
        '{"name": "x", "aspects": [{}]}',
        '{"name": "x", "aspects": [{"name": 1}]}',
        '{"name": "x", "aspects": [{"name": "a", "variables": [1]}]}',
        '{"name": "x", "aspects": {"a": {"b": []}}}',
        '{"name": "\\ud800"}',
        '{"name": "x", "typeId": "\\ud800"}',
        '{"name": "x", "aspects": {"\\udfff": {}}}',
        "[" * 100_000,
        '{"name": ' + "[" * 100_000,
        '{"name": "\x00',
    ],
)
def test_bad_assets(http: Http, body: str):
    """What is no asset is 400 and adds nothing."""
    assert http.post(f"{BASE}/assets", data=body).status_code == 400
    assert http.get(f"{BASE}/assets").json()["page"]["totalElements"] == 2


def test_create_twice(http: Http):
    """An id that is taken is 409."""
    assert http.post(f"{BASE}/assets", json={"name": "x", "assetId": PERFORMANCE}).status_code == 409
    assert http.get(f"{BASE}/assets/{PERFORMANCE}").json()["name"] == PERFORMANCE


def test_a_fleet_is_added_one_by_one_without_waiting_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends with the sandbox is not written; in a folder of one's own each asset is put into words once."""
    written: list[str] = []
    worded: list[str] = []
    whole, words = registry.write_whole, registry.asdict
    monkeypatch.setattr(registry, "write_whole", lambda path, text: [written.append(path.name), whole(path, text)])
    monkeypatch.setattr(registry, "asdict", lambda asset: [worded.append(asset.asset_id), words(asset)][1])
    with Sandbox() as sandbox:
        for number in range(5):
            sandbox.add_asset(f"a{number}")
    assert written == worded == []
    with Sandbox(tmp_path) as sandbox:
        for number in range(5):
            sandbox.add_asset(f"a{number}", name="Größe")
        sandbox.add_asset("a3", name="other")
    assert written == ["assets.json"] * 6
    assert worded == ["a0", "a1", "a2", "a3", "a4", "a3"]
    names = {one["asset_id"]: one["name"] for one in json.loads((tmp_path / "assets.json").read_text("utf-8"))}
    assert names == dict.fromkeys(("a0", "a1", "a2", "a4"), "Größe") | {"a3": "other"}
