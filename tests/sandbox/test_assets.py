"""Asset management: what clients look up before they read or write."""

from __future__ import annotations

import pytest
from furniture import PERFORMANCE, PUMP, SIMULATION, Clock, Http, furnish

from tsbulk_frames.sandbox import Rules, Sandbox

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
    """Assets are listed in pages without gap or overlap."""
    for number in range(23):
        sandbox.add_asset(f"asset{number:02d}")
    seen = []
    for page in range(4):
        body = http.get(f"{BASE}/assets", params={"size": 7, "page": page}).json()
        assert body["page"] == {"size": 7, "totalElements": 25, "totalPages": 4, "number": page}
        seen += [asset["assetId"] for asset in body["_embedded"]["assets"]]
    assert seen == [PERFORMANCE, SIMULATION, *(f"asset{number:02d}" for number in range(23))]
    assert len(http.get(f"{BASE}/assets").json()["_embedded"]["assets"]) == 10


@pytest.mark.parametrize("params", [{"size": "0"}, {"page": "-1"}, {"size": "x"}, {"filter": "{}"}])
def test_bad_listing(http: Http, params: dict[str, str]):
    """Senseless paging, and a filter, which is not offered, are 400 instead of ignored."""
    assert http.get(f"{BASE}/assets", params=params).status_code == 400


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
