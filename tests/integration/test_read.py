"""Reading over real sockets: exact ranges, every page seam, and what goes wrong."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest
from plant import Site, open_site, times

import tsbulk_frames as tsb
from tsbulk_frames.sandbox import Fault, Faults, Rules
from tsbulk_frames.sandbox.faults import Answer, Rewrite, next_as_link, next_elsewhere


def write(site: Site, frame: pd.DataFrame, entity: str | None = None) -> str:
    """Store a frame under a simulation asset."""
    entity = entity or site.asset()
    tsb.write_timeseries(frame, entity, "pump", connection=site.con)
    return entity


def read(
    site: Site, entity: str, start: object = "2026-03-01", end: object = "2026-03-02", **more: object
) -> pd.DataFrame:
    """Read the aspect `pump`."""
    return tsb.read_timeseries(entity, "pump", start, end, connection=site.con, **more)


@pytest.mark.parametrize("site", [{"page_bytes": 200}], indirect=True)
@pytest.mark.parametrize("workers", [1, 8])
def test_pages_are_followed_and_windows_joined(site: Site, workers: int) -> None:
    """Hundreds of small pages, side by side or one after the other, give exactly what is stored."""
    frame = pd.DataFrame({"speed": np.arange(700) / 7}, index=times("2026-03-01T09:50", 700))
    entity = write(site, frame)
    got = read(site, entity, max_workers=workers)
    pd.testing.assert_frame_equal(got, frame, check_freq=False)
    pd.testing.assert_frame_equal(got, site.stored(entity), check_freq=False)
    assert len(site.asked("GET", "/iottsbulk/v3/timeseries")) > 100


def test_a_small_range_is_one_request(shared: Site) -> None:
    """Nothing is split that came in one page."""
    entity = write(shared, pd.DataFrame({"speed": [1.5]}, index=times("2026-03-01", 1)))
    before = len(shared.asked("GET", entity + "/pump"))
    read(shared, entity, end="2026-03-01T05:00")
    assert len(shared.asked("GET", entity + "/pump")) - before == 1


def test_a_range_beyond_90_days_is_cut(shared: Site) -> None:
    """The service refuses 90 days and more in one window; a sparse year is a handful of requests all the same."""
    frame = pd.DataFrame({"speed": np.arange(366.0)}, index=times("2025-03-01", 366, "D"))
    entity = shared.seed(frame)
    before = len(shared.asked("GET", entity + "/pump"))
    for workers, requests in ((1, 5), (8, 8)):
        got = read(shared, entity, "2025-03-01", "2026-03-02", max_workers=workers)
        pd.testing.assert_frame_equal(got, frame, check_freq=False)
        assert len(shared.asked("GET", entity + "/pump")) - before == requests
        before += requests


@pytest.mark.parametrize(("page_records", "step"), [(1, "6h"), (7, "1h"), (1000, "1min")])
def test_366_days_lose_and_double_nothing(page_records: int, step: str) -> None:
    """A long range at page sizes 1, 7 and 1000: every window and page seam is exact."""
    for site in open_site(rules=Rules(page_records=page_records)):
        periods = pd.Timedelta(days=366) // pd.Timedelta(step)
        frame = pd.DataFrame({"count": np.arange(periods)}, index=times("2025-03-01", periods, step))
        entity = site.seed(frame)
        got = read(site, entity, "2025-03-01", "2026-03-02")
        pd.testing.assert_frame_equal(got, frame, check_freq=False)
        pd.testing.assert_frame_equal(got, site.stored(entity), check_freq=False)


@pytest.mark.parametrize("compare", ["ns", "us", "ms"])
@pytest.mark.parametrize(
    ("inclusive", "expected"), [("left", [1, 2, 3]), ("right", [2, 3, 4]), ("both", [1, 2, 3, 4]), ("neither", [2, 3])]
)
def test_inclusive_is_exact_to_the_nanosecond(compare: str, inclusive: str, expected: list[int]) -> None:
    """Whatever the precision at which the service compares."""
    index = pd.DatetimeIndex(pd.to_datetime([0, 1, 2, 1_000_000, 1_000_001, 1_000_002], unit="ns", utc=True))
    index = index + (pd.Timestamp("2026-03-01T10:00:00.5", tz="UTC") - pd.Timestamp(0, tz="UTC"))
    for site in open_site(rules=Rules(compare=compare)):
        entity = write(site, pd.DataFrame({"count": range(6)}, index=index))
        got = read(site, entity, index[1], index[4], inclusive=inclusive)
        assert got["count"].tolist() == expected


def test_select_and_quality(shared: Site) -> None:
    """Selected properties in the order asked, quality codes beside them or left out, missing ones as columns."""
    frame = pd.DataFrame(
        {"speed": [1.5, 2.5], "speed_qc": pd.array([0, None], "Int64"), "state": ["a", "b"]},
        index=times("2026-03-01", 2),
    )
    entity = write(shared, frame)
    assert read(shared, entity).columns.tolist() == ["speed", "speed_qc", "state"]
    assert read(shared, entity, quality="drop").columns.tolist() == ["speed", "state"]
    got = read(shared, entity, select=["note", "state", "speed"])
    assert got.columns.tolist() == ["note", "state", "speed", "speed_qc"]
    assert got["note"].isna().all()
    assert read(shared, entity, select="state").columns.tolist() == ["state"]


@pytest.mark.parametrize("site", [{"page_bytes": 300}], indirect=True)
@pytest.mark.parametrize("limit", [1, 5, 40, 100, 1000])
def test_limit_is_exact_and_fetches_little_more(site: Site, limit: int) -> None:
    """The earliest records, as many as asked, and no page beyond them."""
    frame = pd.DataFrame({"count": range(100)}, index=times("2026-03-01", 100))
    entity = write(site, frame)
    pd.testing.assert_frame_equal(read(site, entity, limit=limit), frame.head(limit), check_freq=False)
    pages = len(site.asked("GET", entity + "/pump"))
    assert pages <= min(limit, 100) // 4 + 2


def test_limit_is_not_eaten_by_the_margin(shared: Site) -> None:
    """Records before the start that the service sends along do not count."""
    index = pd.DatetimeIndex(
        pd.to_datetime(np.arange(-5, 5) * 100_000 + 1_772_323_200_000_000_000, unit="ns", utc=True)
    )
    entity = write(shared, pd.DataFrame({"count": range(10)}, index=index))
    assert read(shared, entity, limit=3)["count"].tolist() == [5, 6, 7]


def test_several_entities(shared: Site) -> None:
    """The row index is (entity, _time), in the order asked; types are settled over all of them."""
    first = write(shared, pd.DataFrame({"count": [2**53 + 1]}, index=times("2026-03-01", 1)))
    second = write(shared, pd.DataFrame({"speed": [0.5, 1.5]}, index=times("2026-03-01", 2)))
    empty = shared.asset()
    got = read(shared, [second, empty, first])
    assert got.index.names == ["entity", "_time"]
    assert got.index.get_level_values("entity").tolist() == [second, second, first]
    assert got.loc[first, "count"].tolist() == [2**53 + 1]
    assert got["count"].dtype == "Int64"
    assert str(got.index.levels[1].dtype) == "datetime64[ns, UTC]"
    assert got.attrs["entity"] == [second, empty, first]
    assert read(shared, [second, first], limit=1)["speed"].count() == 1


def test_an_empty_answer_is_a_frame(shared: Site) -> None:
    """0 rows, the same index type, attrs as ever; several entities keep both levels."""
    entity = shared.asset()
    got = read(shared, entity, tz="Europe/Berlin")
    assert got.shape == (0, 0)
    assert str(got.index.dtype) == "datetime64[ns, Europe/Berlin]"
    assert got.index.name == "_time"
    assert got.attrs == {
        "entity": entity,
        "property_set": "pump",
        "range": ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"],
        "inclusive": "left",
    }
    assert read(shared, entity, select=["speed"]).columns.tolist() == ["speed"]
    assert read(shared, [entity]).index.names == ["entity", "_time"]
    assert len(read(shared, entity, "2026-03-01", "2026-03-01")) == 0


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_zone_and_back_end(shared: Site, backend: str) -> None:
    """The instants stay, the zone and the types are as asked."""
    entity = write(shared, pd.DataFrame({"count": [7]}, index=times("2026-03-01T12:00", 1)))
    got = read(shared, entity, tz="Asia/Tokyo", dtype_backend=backend)
    assert str(got.index[0]) == "2026-03-01 21:00:00+09:00"
    assert str(got["count"].dtype) == ("Int64" if backend == "numpy_nullable" else "int64[pyarrow]")


def test_a_quality_code_without_its_property_brings_the_property_along(shared: Site) -> None:
    """Bad quality and no value: the property is missing, and the frame can be written again."""
    entity = shared.asset()
    frame = pd.DataFrame({"speed": [None], "speed_qc": pd.array([7], "Int64")}, index=times("2026-03-01", 1))
    frame["speed"] = frame["speed"].astype("float64")
    write(shared, frame, entity)
    got = read(shared, entity)
    assert got.columns.tolist() == ["speed", "speed_qc"]
    assert got["speed"].isna().all()
    write(shared, got, shared.asset())


def test_limits_of_several_entities_are_read_side_by_side(site: Site) -> None:
    """`limit` is for each entity; they do not wait for one another."""
    barrier = threading.Barrier(4)
    entities = [site.seed(pd.DataFrame({"count": [1, 2]}, times("2026-03-01", 2))) for _ in range(4)]
    told: list[int] = []

    def together(size: int) -> None:
        told.append(size)

    honest = site.con.reads.fetch_page

    def meet(*args: object, **more: object) -> object:
        barrier.wait(timeout=30)
        return honest(*args, **more)

    site.con.reads.fetch_page = meet
    got = read(site, entities, limit=1, progress=together)
    assert got["count"].tolist() == [1] * 4
    assert len(told) == 4


def test_connect_refuses_what_is_no_credentials() -> None:
    """The likeliest first mistake: a bare token."""
    with pytest.raises(tsb.ConfigError, match=r"credentials is a str; give tsb.UserToken") as caught:
        tsb.connect("https://gateway.eu1.mindsphere.io", credentials="secret-token")
    assert "secret-token" not in str(caught.value)
    with pytest.raises(tsb.ConfigError, match="config="):
        tsb.connect("https://gateway.eu1.mindsphere.io", credentials=tsb.UserToken("a"), config={})


def test_unknown_asset_and_aspect(shared: Site) -> None:
    """Not found is said, by name."""
    with pytest.raises(tsb.NotFoundError):
        read(shared, "f" * 32)
    with pytest.raises(tsb.NotFoundError):
        tsb.read_timeseries(shared.asset(), "nothing", "2026-03-01", "2026-03-02", connection=shared.con)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"entity": ""}, "entity="),
        ({"entity": []}, "empty list"),
        ({"entity": ["a", "a"]}, "names one twice"),
        ({"entity": 7}, "entity="),
        ({"property_set": ""}, "property_set="),
        ({"start": pd.Timestamp("2026-03-01")}, "no time zone"),
        ({"start": "2026-03-03"}, "ends before it starts"),
        ({"select": []}, "select="),
        ({"select": ["a,b"]}, "without commas"),
        ({"select": ["a", "a"]}, "different property names"),
        ({"select": [3]}, "select="),
        ({"select": 5}, "select=5"),
        ({"entity": ["a", ".."]}, "entity='..'"),
        ({"tz": ""}, "tz=''"),
        ({"errors": "ignore"}, "errors='ignore'"),
        ({"limit": 0}, "limit=0"),
        ({"limit": True}, "limit=True"),
        ({"limit": 1.5}, "limit=1.5"),
        ({"inclusive": "all"}, "inclusive='all'"),
        ({"quality": "mask"}, "quality='mask'"),
        ({"tz": "Mars/Base"}, "Mars/Base"),
        ({"tz": None}, "tz=None"),
        ({"dtype_backend": "polars"}, "polars"),
        ({"max_workers": 0}, "max_workers=0"),
        ({"progress": 3}, "progress=3"),
        ({"connection": "https://gateway"}, "tsb.connect"),
    ],
)
def test_bad_arguments_are_refused_before_any_request(shared: Site, arguments: dict[str, object], words: str) -> None:
    """The documented error, saying the value seen, and nothing is sent."""
    before = len(shared.sandbox.requests)
    asked = {"entity": "a", "property_set": "pump", "start": "2026-03-01", "end": "2026-03-02"} | arguments
    with pytest.raises((tsb.FrameError, tsb.ConfigError), match=words):
        tsb.read_timeseries(**({"connection": shared.con} | asked))
    assert len(shared.sandbox.requests) == before


@pytest.mark.parametrize("variant", [next_elsewhere, next_as_link])
def test_the_next_page_by_any_published_spelling(variant: object) -> None:
    """A nextRecord with a foreign host and path, or a Link header instead: only its query is used."""
    faults = Faults([Fault(Rewrite(variant), "GET", r"/iottsbulk/v3/timeseries", times=None)])
    for site in open_site(page_bytes=300, faults=faults):
        frame = pd.DataFrame({"count": range(50)}, index=times("2026-03-01", 50))
        entity = write(site, frame)
        pd.testing.assert_frame_equal(read(site, entity, max_workers=2), frame, check_freq=False)


def test_a_throttled_read_waits_and_goes_on() -> None:
    """429 with Retry-After is no failure."""
    faults = Faults([Fault(Answer(429, headers={"Retry-After": "0.05"}), "GET", r"/iottsbulk/", times=3)])
    for site in open_site(faults=faults):
        entity = write(site, pd.DataFrame({"count": [1]}, index=times("2026-03-01", 1)))
        assert read(site, entity)["count"].tolist() == [1]


def test_revoked_tokens_are_renewed_once(site: Site) -> None:
    """A 401 in the middle is answered with a new token."""
    entity = write(site, pd.DataFrame({"count": [1]}, index=times("2026-03-01", 1)))
    site.sandbox.revoke_tokens()
    assert read(site, entity)["count"].tolist() == [1]


def test_a_failing_page_stops_everything() -> None:
    """The error comes as it is, and no thread is left behind."""
    faults = Faults([Fault(Answer(400, {"message": "no"}), "GET", r"/iottsbulk/v3/timeseries", nth=6, times=None)])
    for site in open_site(page_bytes=300, faults=faults):
        entity = write(site, pd.DataFrame({"count": range(500)}, index=times("2026-03-01", 500)))
        before = set(threading.enumerate())
        with pytest.raises(tsb.ServiceError, match="no"):
            read(site, entity)
        left = [one.name for one in set(threading.enumerate()) - before if one.name.startswith("tsbulk-")]
        assert left == []


def test_progress_is_told_in_bytes(shared: Site) -> None:
    """A function hears of each page; the sum is what came over the wire."""
    entity = write(shared, pd.DataFrame({"count": [1, 2]}, index=times("2026-03-01", 2)))
    told: list[int] = []
    read(shared, entity, progress=told.append)
    assert sum(told) > 50


def test_the_default_connection_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, shared: Site) -> None:
    """Without `connection`, the vendor's environment names are used, once."""
    monkeypatch.setattr("tsbulk_frames.connection._default", None)
    credentials = shared.sandbox.credentials
    for name, value in {
        "TSBULK_GATEWAY": shared.sandbox.url,
        "MDSP_OS_VM_APP_NAME": credentials.app_name,
        "MDSP_OS_VM_APP_VERSION": credentials.app_version,
        "MDSP_KEY_STORE_CLIENT_ID": credentials.key_store_client_id,
        "MDSP_KEY_STORE_CLIENT_SECRET": credentials.key_store_client_secret,
        "MDSP_HOST_TENANT": credentials.host_tenant,
        "MDSP_USER_TENANT": credentials.user_tenant,
    }.items():
        monkeypatch.setenv(name, value)
    assert len(tsb.read_timeseries(shared.asset(), "pump", "2026-03-01", "2026-03-02")) == 0
    monkeypatch.delenv("MDSP_HOST_TENANT")
    assert len(tsb.read_timeseries(shared.asset(), "pump", "2026-03-01", "2026-03-02")) == 0
    from tsbulk_frames import connection

    connection._default.close()


def test_a_missing_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """connect() says which names it missed."""
    for name in ("MDSP_OS_VM_APP_NAME", "MDSP_KEY_STORE_CLIENT_SECRET", "MDSP_USER_TENANT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(tsb.ConfigError, match=r"MDSP_OS_VM_APP_NAME(.|\n)*MDSP_USER_TENANT"):
        tsb.connect()
