"""Assets and aspects: both places the variables can stand in, and answers that break the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests_mock

from tsbulk_frames.assets import Asset, AssetsClient, Variable
from tsbulk_frames.errors import NotFoundError, ProtocolError
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
