"""Assets and aspects: both places the variables can stand in, and answers that break the contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests_mock

from tsbulk_frames.assets import Asset, AssetsClient, ListedAsset, Variable
from tsbulk_frames.errors import FrameError, NotFoundError, ProtocolError
from tsbulk_frames.model import TwinType
from tsbulk_frames.transport import Transport

BASE = "https://gateway.test/api/assetmanagement/v3/assets"
SPEED = {"name": "speed", "dataType": "DOUBLE", "unit": "1/s", "qualityCode": True}
STATE = {"name": "state", "dataType": "STRING", "unit": None, "qualityCode": False, "length": 255}


@pytest.fixture
def mock() -> Iterator[requests_mock.Mocker]:
    """Answer requests without a socket."""
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def assets(connect: Callable[..., Transport]) -> AssetsClient:
    """Give a client for assets."""
    return AssetsClient(transport=connect())


@pytest.mark.parametrize("text", ["simulation", "SIMULATION"])
def test_an_asset_has_a_twin_type(mock: requests_mock.Mocker, assets: AssetsClient, text: str) -> None:
    """It decides between hours and days."""
    mock.get(f"{BASE}/a1", json={"assetId": "a1", "name": "Pump", "twinType": text, "etag": 3, "more": {}})
    assert assets.get_asset("a1") == Asset("a1", "Pump", TwinType.SIMULATION, 3)


def test_the_root_asset(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """It has a path of its own."""
    mock.get(f"{BASE}/root", json={"assetId": "r", "name": "root", "twinType": "performance", "etag": '"7"'})
    assert assets.root() == Asset("r", "root", TwinType.PERFORMANCE, 7)


def test_an_unknown_asset(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """Not found, in the gateway's words."""
    mock.get(f"{BASE}/a1", status_code=404, json={"errors": [{"code": "c", "message": "no such asset"}]})
    with pytest.raises(NotFoundError, match="c: no such asset"):
        assets.get_asset("a1")


@pytest.mark.parametrize("body", ["[]", "{}", '{"twinType": "digital"}', '{"twinType": null}', "x"])
def test_an_asset_without_a_kind_is_an_error(mock: requests_mock.Mocker, assets: AssetsClient, body: str) -> None:
    """A guess could cut the data wrongly."""
    mock.get(f"{BASE}/a1", text=body)
    with pytest.raises(ProtocolError):
        assets.get_asset("a1")


@pytest.mark.parametrize("place", ["variables", "aspectType"])
def test_variables_stand_in_the_aspect_or_in_its_type(
    mock: requests_mock.Mocker, assets: AssetsClient, place: str
) -> None:
    """Both are read alike."""
    variables = [SPEED, STATE]
    inside = {"variables": variables} if place == "variables" else {"aspectType": {"variables": variables}}
    aspects = [{"name": "pump", "category": "dynamic", **inside}, {"name": "plate", "category": "static"}]
    mock.get(f"{BASE}/a1/aspects", json={"_embedded": {"aspects": aspects}})
    pump, plate = assets.get_aspects("a1")
    assert (pump.name, pump.category, plate.category, plate.variables) == ("pump", "dynamic", "static", ())
    assert pump.variables == (
        Variable("speed", "DOUBLE", "1/s", True),
        Variable("state", "STRING", None, False, 255),
    )


def test_aspects_on_several_pages(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """None is left out where the service counts pages."""
    pages = [
        {"_embedded": {"aspects": [{"name": f"a{n}", "category": "dynamic"}]}, "page": {"number": n, "totalPages": 3}}
        for n in range(3)
    ]
    mock.get(f"{BASE}/a1/aspects", [{"json": page} for page in pages])
    assert [aspect.name for aspect in assets.get_aspects("a1")] == ["a0", "a1", "a2"]
    assert [request.query for request in mock.request_history] == ["", "page=1", "page=2"]


@pytest.mark.parametrize("body", [{}, {"_embedded": {}}, {"_embedded": {"aspects": []}}])
def test_no_aspects(mock: requests_mock.Mocker, assets: AssetsClient, body: dict[str, object]) -> None:
    """An asset may have none."""
    mock.get(f"{BASE}/a1/aspects", json=body)
    assert assets.get_aspects("a1") == []


@pytest.mark.parametrize(
    "aspects",
    [
        {"a": 1},
        ["a"],
        [{"category": "dynamic"}],
        [{"name": "a", "variables": {"x": 1}}],
        [{"name": "a", "variables": [{"name": "x"}]}],
        [{"name": "a", "variables": [3]}],
    ],
)
def test_what_are_no_aspects_is_an_error(mock: requests_mock.Mocker, assets: AssetsClient, aspects: object) -> None:
    """A column silently left out would be worse."""
    mock.get(f"{BASE}/a1/aspects", json={"_embedded": {"aspects": aspects}})
    with pytest.raises(ProtocolError):
        assets.get_aspects("a1")


def test_pages_without_end_are_an_error(
    mock: requests_mock.Mocker, assets: AssetsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that grows with each page must not keep us forever."""
    monkeypatch.setattr("tsbulk_frames.assets._MAX_PAGES", 5)

    def page(request: object, context: object) -> object:
        return {"_embedded": {"aspects": [{"name": f"a{mock.call_count}"}]}, "page": {"totalPages": 10**9}}

    mock.get(f"{BASE}/a1/aspects", json=page)
    with pytest.raises(ProtocolError, match="pages"):
        assets.get_aspects("a1")


def test_a_page_that_comes_again_is_an_error(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """A service that does not look at the number of the page would send the same for ever."""
    mock.get(f"{BASE}/a1/aspects", json={"_embedded": {"aspects": [{"name": "a"}]}, "page": {"totalPages": 9}})
    with pytest.raises(ProtocolError, match="again"):
        assets.get_aspects("a1")
    assert mock.call_count == 2


@pytest.mark.parametrize("number", ["9" * 5000, 10**19, True, -1])
def test_numbers_beyond_64_bits_are_none(mock: requests_mock.Mocker, assets: AssetsClient, number: object) -> None:
    """Python refuses to read numbers of over 4,300 digits."""
    mock.get(f"{BASE}/a1", json={"twinType": "simulation", "etag": number})
    assert assets.get_asset("a1").etag is None


def entry(number: int, **more: object) -> dict[str, object]:
    """One asset of a list."""
    return {"assetId": f"a{number}", "name": f"Pump {number}", **more}


class Tenant:
    """Assets in pages, as the service gives them; `between` may change them before each page."""

    def __init__(self, mock: requests_mock.Mocker, count: int, *, most: int = 200, counted: bool = True) -> None:
        self.assets = [entry(number) for number in range(count)]
        self.most = most
        self.counted = counted
        self.between: Callable[[int], None] = lambda number: None
        self.asked: list[dict[str, list[str]]] = []
        mock.get(BASE, json=self.answer)

    def answer(self, request: object, context: object) -> dict[str, object]:
        """Give the page asked for."""
        self.asked.append(parse_qs(request.query))  # type: ignore[attr-defined]
        number = int(self.asked[-1].get("page", ["0"])[0])
        self.between(number)
        size = min(self.most, int(self.asked[-1]["size"][0]))
        found = self.assets[number * size : (number + 1) * size]
        count = len(self.assets)
        page = {"size": size, "totalElements": count, "totalPages": -(-count // size), "number": number}
        return {"_embedded": {"assets": found}, **({"page": page} if self.counted else {})}


def test_an_asset_of_a_list(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """All that the published model says; an unknown kind hides no asset."""
    full = {
        "assetId": "a1",
        "name": "Pump",
        "typeId": "acme.pump",
        "parentId": "a0",
        "externalId": "4711",
        "description": "Feed",
        "timezone": "Europe/Berlin",
        "twinType": "simulation",
        "deleted": "2026-01-01T00:00:00.000Z",
        "_links": {},
    }
    mock.get(BASE, json={"_embedded": {"assets": [full, {"assetId": "a2", "twinType": "digital"}]}})
    one, other = assets.list_assets()
    assert one == ListedAsset(
        *("a1", "Pump", "acme.pump", TwinType.SIMULATION, "a0", "4711", "Feed", "Europe/Berlin"),
        "2026-01-01T00:00:00.000Z",
    )
    assert other == ListedAsset("a2", "")


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 401])
def test_the_list_is_walked_to_its_end(
    mock: requests_mock.Mocker, assets: AssetsClient, count: int, counted: bool
) -> None:
    """None is left out at the border of a page, whether the service counts its pages or not."""
    tenant = Tenant(mock, count, counted=counted)
    assert [one.asset_id for one in assets.list_assets()] == [f"a{number}" for number in range(count)]
    assert all(query["size"] == ["200"] for query in tenant.asked)
    assert len(tenant.asked) == (max(1, -(-count // 200)) if counted else count // 200 + 1)


def test_a_service_that_gives_less_than_was_asked(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """Its own count of pages holds."""
    Tenant(mock, 25, most=10)
    assert len(assets.list_assets()) == 25


@pytest.mark.parametrize(
    ("limit", "requests", "size"), [(1, 1, "1"), (200, 1, "200"), (250, 2, "200"), (999, 3, "200")]
)
def test_only_so_many_assets(
    mock: requests_mock.Mocker, assets: AssetsClient, limit: int, requests: int, size: str
) -> None:
    """No page beyond the limit is asked for."""
    tenant = Tenant(mock, 450)
    assert len(assets.list_assets(limit=limit)) == min(limit, 450)
    assert [query["size"] for query in tenant.asked] == [[size]] * requests


def test_filter_and_order_reach_the_service(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """As JSON, with letters of any language, on every page."""
    mock.get(BASE, json={"page": {"totalPages": 1}})
    assert assets.list_assets(filter={"name": {"contains": "Überlauf & 5/6"}}, sort="name,desc") == []
    (request,) = mock.request_history
    query = parse_qs(urlsplit(request.url).query)
    assert json.loads(query["filter"][0]) == {"name": {"contains": "Überlauf & 5/6"}}
    assert query["sort"] == ["name,desc"]


@pytest.mark.parametrize("filter", ["name", ["a"], {"a": float("nan")}, {"a": {1}}, {1: object()}])
def test_a_filter_that_is_not_json(mock: requests_mock.Mocker, assets: AssetsClient, filter: object) -> None:
    """Refused before anything is sent."""
    with pytest.raises(FrameError, match="filter="):
        assets.list_assets(filter=filter)
    assert not mock.called


def test_an_asset_removed_meanwhile_hides_no_other(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """What follows moves up, and one would fall between two pages: the list is read anew."""
    tenant = Tenant(mock, 401)

    def remove(number: int) -> None:
        if number == 1 and len(tenant.assets) == 401:
            del tenant.assets[0]

    tenant.between = remove
    assert [one.asset_id for one in assets.list_assets()] == [f"a{number}" for number in range(1, 401)]


def test_an_asset_added_meanwhile_doubles_no_other(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """What follows moves down, and one would come twice: each asset is there once, the new one as well."""
    tenant = Tenant(mock, 400)

    def add(number: int) -> None:
        if number == 1 and len(tenant.assets) == 400:
            tenant.assets.insert(0, entry(999))

    tenant.between = add
    assert [one.asset_id for one in assets.list_assets()] == ["a999", *(f"a{number}" for number in range(400))]


def test_a_list_that_never_holds_still_is_an_error(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """An incomplete list is not passed off as a whole one; nor is it read for ever."""
    tenant = Tenant(mock, 401)
    tenant.between = lambda number: tenant.assets.pop(0) and None if number == 1 else None
    with pytest.raises(ProtocolError, match=r"read 3 times.*came, totalElements=\d+"):
        assets.list_assets()
    assert len(tenant.asked) <= 9


def test_a_list_in_circles_is_an_error(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """Two pages in turn, for ever."""
    pages = [{"_embedded": {"assets": [entry(n)]}, "page": {"totalPages": 10**9}} for n in range(2)]
    mock.get(BASE, json=lambda request, context: pages[(mock.call_count - 1) % 2])
    with pytest.raises(ProtocolError, match="came before"):
        assets.list_assets()
    assert mock.call_count == 9


@pytest.mark.parametrize("page", [None, 5, {"totalPages": "x"}, {"totalPages": True, "totalElements": "2"}])
def test_a_count_that_is_none(mock: requests_mock.Mocker, assets: AssetsClient, page: object) -> None:
    """A page that is not full is then the last."""
    mock.get(BASE, json={"_embedded": {"assets": [entry(1)]}, "page": page})
    assert [one.asset_id for one in assets.list_assets()] == ["a1"]


def test_descriptions_of_aspects_and_variables(mock: requests_mock.Mocker, assets: AssetsClient) -> None:
    """The aspect's own comes before its type's; an empty one is none."""
    speed = {**SPEED, "description": "Of the shaft"}
    aspects = [
        {"name": "a", "description": "own", "aspectType": {"description": "type", "variables": [speed]}},
        {"name": "b", "aspectType": {"description": "type", "variables": [{**SPEED, "description": ""}]}},
        {"name": "c", "description": "", "variables": [SPEED]},
    ]
    mock.get(f"{BASE}/a1/aspects", json={"_embedded": {"aspects": aspects}})
    found = assets.get_aspects("a1")
    assert [one.description for one in found] == ["own", "type", None]
    assert [one.variables[0].description for one in found] == ["Of the shaft", None, None]
