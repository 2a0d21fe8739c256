"""The corpus of bad inputs: what is done wrong, which error it ends in, and the words its message must have.

The words are the value seen, what is accepted, and the next step; the tests are in ``test_corpus``.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plant import Site, times

import tsbulk_frames as tsb
from tsbulk_frames.messages import RetrieveTimeseriesRequest

START = "2026-03-01T10:00:00Z"
GATEWAY = "https://gateway.eu1.mindsphere.io"


@dataclass
class Ground:
    """What an input is tried on: a running sandbox with one asset that holds data, and a folder."""

    site: Site
    entity: str
    folder: Path
    patch: pytest.MonkeyPatch
    good: Path | None = None

    def read(self, **change: object) -> object:
        """Read, but for one thing in the right way."""
        given = {"entity": self.entity, "property_set": "pump", "start": "2026-03-01", "end": "2026-03-02"}
        return tsb.read_timeseries(**{**given, "connection": self.site.con, **change})

    def stream(self, call: Callable[..., object], **change: object) -> object:
        """Read by another way; what is lazy is begun."""
        given = {"entity": self.entity, "property_set": "pump", "start": "2026-03-01", "end": "2026-03-02"}
        found = call(**{**given, "connection": self.site.con, **change})
        return list(found) if call is tsb.iter_timeseries else found

    def write(self, data: object, **change: object) -> object:
        """Write, but for one thing in the right way."""
        given = {"entity": self.entity, "property_set": "pump", "twin_type": "simulation"}
        return tsb.write_timeseries(data, **{**given, "connection": self.site.con, **change})

    def resume(self, **change: object) -> object:
        """Go on with the good manifest."""
        return tsb.resume_import(**{"manifest": self.good, "connection": self.site.con, **change})

    def files(self, data: object, **change: object) -> object:
        """Write import files, but for one thing in the right way."""
        given = {"entity": "e", "property_set": "p", "directory": self.folder / "out", "twin_type": "simulation"}
        return tsb.write_import_files(data, **{**given, **change})

    def put(self, **change: object) -> object:
        """Put a file, but for one thing in the right way."""
        return self.site.con.files.put_file(**{"entity": self.entity, "path": "a.json", "content": b"[]", **change})

    def parquet(self, table: pa.Table | pd.DataFrame, name: str = "a.parquet") -> Path:
        """Save a table."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pandas(table) if isinstance(table, pd.DataFrame) else table, path)
        return path

    def environment(self, **variables: str) -> None:
        """Have only these of the variables that are looked at."""
        for name in ENVIRONMENT:
            self.patch.delenv(name, raising=False)
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def edited(self, *statements: str) -> object:
        """Resume a copy of the good manifest in which something was changed."""
        copy = self.folder / "edited.sqlite"
        assert self.good is not None
        shutil.copyfile(self.good, copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            for statement in statements:
                db.execute(statement)
        return self.resume(manifest=copy)

    def damaged(self, change: Callable[[bytes], bytes]) -> object:
        """Resume a copy of the good manifest whose bytes were changed."""
        copy = self.folder / "damaged.sqlite"
        assert self.good is not None
        copy.write_bytes(change(self.good.read_bytes()))
        return self.resume(manifest=copy)


@dataclass(frozen=True)
class Bad:
    """One bad input.

    Attributes
    ----------
    name : str
        What is wrong; begins with the public name that is called.
    call : callable
        Does it.
    error : type
        What it ends in.
    words : tuple of str
        What the message says at least.
    """

    name: str
    call: Callable[[Ground], object]
    error: type[Exception]
    words: tuple[str, ...]


def codes() -> pd.DataFrame:
    """Give a frame with quality codes."""
    return frame().assign(speed_qc=192)


def bad(name: str, call: Callable[[Ground], object], error: type[Exception], *words: str) -> Bad:
    """Make a line of the table."""
    return Bad(name, call, error, words)


def frame(values: object = (1.0, 2.0, 3.0), name: object = "speed", start: str = START, **more: object) -> pd.DataFrame:
    """Make a frame of one column, a record a second."""
    return pd.DataFrame({name: values, **more}, index=times(start, len(values)))


def at(stamps: object) -> pd.DataFrame:
    """Make a frame with this index."""
    return pd.DataFrame({"speed": np.arange(float(len(stamps)))}, index=stamps)


CREDENTIALS = {
    "MDSP_OS_VM_APP_NAME": "app",
    "MDSP_OS_VM_APP_VERSION": "1",
    "MDSP_HOST_TENANT": "host",
    "MDSP_USER_TENANT": "user",
    "MDSP_KEY_STORE_CLIENT_ID": "id",
    "MDSP_KEY_STORE_CLIENT_SECRET": "hush-hush",
}
ENVIRONMENT = [*CREDENTIALS, "TSBULK_GATEWAY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
FE, CE = tsb.FrameError, tsb.ConfigError

ARGUMENTS = [
    bad("read_timeseries entity None", lambda g: g.read(entity=None), FE, "entity=None", "str"),
    bad("read_timeseries entity empty", lambda g: g.read(entity=""), FE, "entity=''", "non-empty str"),
    bad("read_timeseries entity ..", lambda g: g.read(entity=".."), FE, "'..'", "non-empty str"),
    bad("read_timeseries entity bytes", lambda g: g.read(entity=b"x"), FE, "b'x'", "give a str"),
    bad("read_timeseries no entity", lambda g: g.read(entity=[]), FE, "[]", "give each entity once"),
    bad("read_timeseries entity twice", lambda g: g.read(entity=["a", "a"]), FE, "names one twice", "once"),
    bad("read_timeseries entity number", lambda g: g.read(entity=[1]), FE, "entity=1", "str"),
    bad("read_timeseries entity surrogate", lambda g: g.read(entity="a\ud800"), FE, "surrogate", "remove it"),
    bad("read_timeseries property set empty", lambda g: g.read(property_set=" "), FE, "property_set=' '", "non-empty"),
    bad("read_timeseries property set number", lambda g: g.read(property_set=5), FE, "property_set=5", "str"),
    bad("read_timeseries start naive", lambda g: g.read(start=dt.datetime(2026, 3, 1)), FE, "start=", "tzinfo="),
    bad("read_timeseries start words", lambda g: g.read(start="yesterday"), FE, "'yesterday'", "2026-03-01T10:00:00"),
    bad("read_timeseries start number", lambda g: g.read(start=1_700_000_000), FE, "1700000000", "accepted are str"),
    bad("read_timeseries start NaT", lambda g: g.read(start=pd.NaT), FE, "NaT", "give a str"),
    bad("read_timeseries end far away", lambda g: g.read(end="9999-01-01"), FE, "end='9999-01-01'", "1678 to 2262"),
    bad("read_timeseries no such day", lambda g: g.read(end="2026-02-30"), FE, "end='2026-02-30'", "accepted"),
    bad("read_timeseries backwards", lambda g: g.read(end="2026-02-01"), FE, "end=2026-02-01", "swap them"),
    bad("read_timeseries inclusive", lambda g: g.read(inclusive="middle"), FE, "'middle'", "'left'"),
    bad("read_timeseries limit 0", lambda g: g.read(limit=0), FE, "limit=0", "positive int"),
    bad("read_timeseries limit True", lambda g: g.read(limit=True), FE, "limit=True", "positive int"),
    bad("read_timeseries limit 2.5", lambda g: g.read(limit=2.5), FE, "limit=2.5", "positive int"),
    bad("read_timeseries select nothing", lambda g: g.read(select=[]), FE, "select=()", "property names"),
    bad("read_timeseries select comma", lambda g: g.read(select="a,b"), FE, "'a,b'", "without commas"),
    bad("read_timeseries select time", lambda g: g.read(select=["_time"]), FE, "_time", "always comes along"),
    bad("read_timeseries select number", lambda g: g.read(select=5), FE, "select=5", "property name"),
    bad("read_timeseries quality", lambda g: g.read(quality="no"), FE, "quality='no'", "'drop'"),
    bad("read_timeseries tz", lambda g: g.read(tz="Mars/Base"), FE, "'Mars/Base'", "'Europe/Berlin'"),
    bad("read_timeseries tz number", lambda g: g.read(tz=1), FE, "tz=1", "tzinfo"),
    bad("read_timeseries dtype_backend", lambda g: g.read(dtype_backend="polars"), FE, "'polars'", "'pyarrow'"),
    bad("read_timeseries errors", lambda g: g.read(errors="ignore"), FE, "'ignore'", "'collect'"),
    bad("read_timeseries max_workers 0", lambda g: g.read(max_workers=0), CE, "max_workers=0", "positive int"),
    bad("read_timeseries cache number", lambda g: g.read(cache=5), CE, "cache=5", "path of a folder"),
    bad("read_timeseries progress text", lambda g: g.read(progress="yes"), CE, "progress='yes'", "True"),
    bad("read_timeseries connection text", lambda g: g.read(connection="x"), CE, "connection='x'", "tsb.connect"),
    bad("iter_timeseries rows 0", lambda g: g.stream(tsb.iter_timeseries, rows=0), FE, "rows=0", "positive int"),
    bad("iter_timeseries backwards", lambda g: g.stream(tsb.iter_timeseries, end="2026-02-01"), FE, "swap them"),
    bad("read_arrow limit", lambda g: g.stream(tsb.read_arrow, limit="3"), FE, "limit='3'", "positive int"),
    bad("read_arrow start naive", lambda g: g.stream(tsb.read_arrow, start=pd.Timestamp("2026-03-01")), FE, "zone"),
    bad("download_parquet into a file", lambda g: g.stream(tsb.download_parquet, directory=__file__), FE, "badinputs"),
    bad(
        "download_parquet no folder", lambda g: g.stream(tsb.download_parquet, directory=5), FE, "directory=5", "folder"
    ),
    bad(
        "download_parquet inclusive", lambda g: g.stream(tsb.download_parquet, directory=g.folder, inclusive=1), FE, "1"
    ),
    bad("write_timeseries data number", lambda g: g.write(5), FE, "int", "DataFrame"),
    bad("write_timeseries data dict", lambda g: g.write({"speed": [1]}), FE, "dict", "DataFrame"),
    bad("write_timeseries data series", lambda g: g.write(frame()["speed"]), FE, "Series", "DataFrame"),
    bad("write_timeseries data pieces", lambda g: g.write([frame(), "x"]), FE, "str", "DataFrame"),
    bad(
        "write_timeseries twin type", lambda g: g.write(frame(), twin_type="digital"), FE, "'digital'", "'performance'"
    ),
    bad("write_timeseries timeout", lambda g: g.write(frame(), timeout=-1), CE, "timeout=-1", "from 0 on"),
    bad("write_timeseries timeout NaN", lambda g: g.write(frame(), timeout=np.nan), CE, "timeout=nan", "from 0 on"),
    bad("write_timeseries empty_rows", lambda g: g.write(frame(), empty_rows="keep"), FE, "'keep'", "'drop'"),
    bad("write_timeseries manifest", lambda g: g.write(frame(), manifest=5), CE, "manifest=5", "path of a file"),
    bad(
        "write_timeseries manifest nowhere",
        lambda g: g.write(frame(), manifest=g.folder / "a/b"),
        CE,
        "existing folder",
    ),
    bad("write_timeseries max_workers", lambda g: g.write(frame(), max_workers=1.5), CE, "1.5", "positive int"),
    bad("write_timeseries progress", lambda g: g.write(frame(), progress=5), CE, "progress=5", "True"),
    bad("write_timeseries entity .", lambda g: g.write(frame(), entity="."), FE, "entity='.'", "non-empty str"),
    bad(
        "plan_import data",
        lambda g: tsb.plan_import(None, "e", "p", twin_type="simulation"),
        FE,
        "NoneType",
        "DataFrame",
    ),
    bad("plan_import twin", lambda g: tsb.plan_import(frame(), "e", "p", twin_type="x"), FE, "'x'", "'simulation'"),
    bad("plan_import entity", lambda g: tsb.plan_import(frame(), None, "p", twin_type="simulation"), FE, "entity=None"),
    bad("write_import_files twin type", lambda g: g.files(frame(), twin_type=None), FE, "None", "'performance'"),
    bad(
        "write_import_files folder",
        lambda g: g.files(frame(), directory=__file__),
        FE,
        "badinputs",
        "folder to write to",
    ),
    bad("write_import_files closed", lambda g: g.files(frame(), closed="both"), FE, "closed='both'", "'left'"),
    bad("resume_import manifest None", lambda g: g.resume(manifest=None), CE, "manifest=None", "path of a file"),
    bad("resume_import settle", lambda g: g.resume(settle_timeout="x"), CE, "settle_timeout='x'", "seconds"),
    bad("wait_for_jobs number", lambda g: tsb.wait_for_jobs(5, connection=g.site.con), FE, "job_ids=5", "list of them"),
    bad("wait_for_jobs None", lambda g: tsb.wait_for_jobs([None], connection=g.site.con), FE, "None", "report.job_ids"),
    bad("wait_for_jobs ..", lambda g: tsb.wait_for_jobs([".."], connection=g.site.con), FE, "'..'", "job id"),
    bad(
        "wait_for_jobs poll",
        lambda g: tsb.wait_for_jobs("a", poll_interval=-1, connection=g.site.con),
        CE,
        "-1",
        "from 0",
    ),
    bad("connect host", lambda g: tsb.connect("gateway", credentials=tsb.UserToken("t")), CE, "'gateway'", GATEWAY),
    bad(
        "connect http",
        lambda g: tsb.connect("http://h.test", credentials=tsb.UserToken("t")),
        CE,
        "unencrypted",
        "https",
    ),
    bad("connect password", lambda g: tsb.connect("https://a:hush@h.test"), CE, "password", "https://host[:port]"),
    bad("connect path", lambda g: tsb.connect(GATEWAY + "/api?x=1"), CE, "more than a host", "https://host[:port]"),
    bad("connect credentials", lambda g: tsb.connect(GATEWAY, credentials="hush"), CE, "str", "tsb.UserToken"),
    bad(
        "connect config",
        lambda g: tsb.connect(config={}, credentials=tsb.UserToken("t")),
        CE,
        "dict",
        "RestClientConfig",
    ),
    bad(
        "connect cache", lambda g: tsb.connect(GATEWAY, credentials=tsb.UserToken("t"), cache=3.5), CE, "3.5", "folder"
    ),
    bad("UserToken empty", lambda g: tsb.UserToken("Bearer "), CE, "empty", "bearer token as a str"),
    bad("UserToken line break", lambda g: tsb.UserToken("hush\nhush"), CE, "position 4", "without line breaks"),
    bad("UserToken bytes", lambda g: tsb.UserToken(b"hush"), CE, "bytes", "as a str"),
    bad(
        "TenantCredentials secret", lambda g: tsb.TenantCredentials("id", "", "t"), CE, "client_secret=''", "non-empty"
    ),
    bad("TenantCredentials colon", lambda g: tsb.TenantCredentials("a:b", "hush", "t"), CE, "'a:b'", "separately"),
    bad("TenantCredentials tenant", lambda g: tsb.TenantCredentials("a", "hush", "evil.test/"), CE, "evil", "letters"),
    bad("AppCredentials None", lambda g: tsb.AppCredentials("a", "1", "h", "u", "i", None), CE, "secret=None", "str"),
    bad(
        "AppCredentials line",
        lambda g: tsb.AppCredentials("a\n", "1", "h", "u", "i", "hush"),
        CE,
        "app_name",
        "control",
    ),
    bad("RestClientConfig attempts", lambda g: tsb.RestClientConfig(max_attempts=0), CE, "max_attempts=0", "from 1 to"),
    bad(
        "RestClientConfig seconds",
        lambda g: tsb.RestClientConfig(read_timeout=np.inf),
        CE,
        "read_timeout=inf",
        "finite",
    ),
    bad("RestClientConfig closed", lambda g: tsb.RestClientConfig(closed="up"), CE, "closed='up'", "'left' or 'right'"),
    bad(
        "RestClientConfig verify",
        lambda g: tsb.RestClientConfig(ca_bundle=False),
        CE,
        "ca_bundle=False",
        "always checked",
    ),
    bad("RestClientConfig bundle", lambda g: tsb.RestClientConfig(ca_bundle="/no/such"), CE, "'/no/such'", "PEM file"),
    bad("RestClientConfig port", lambda g: tsb.RestClientConfig(proxy_port=80), CE, "proxy_port=80", "give both"),
    bad("RestClientConfig two proxies", lambda g: tsb.RestClientConfig(proxies={}, proxy_host="a"), CE, "one of them"),
    bad("RestClientConfig proxy", lambda g: tsb.RestClientConfig(proxies={"https": "a b"}), CE, "'a b'", "host name"),
    bad("FileServiceClient path", lambda g: g.put(path="../a.json"), FE, "'../a.json'", "'folder/a.json'"),
    bad("FileServiceClient path None", lambda g: g.put(path=None), FE, "path=None", "'a.json'"),
    bad("FileServiceClient text", lambda g: g.put(content="[]"), FE, "str", "bytes"),
    bad("FileServiceClient no file", lambda g: g.put(content=g.folder / "no"), FE, "no", "check the path"),
    bad("FileServiceClient part", lambda g: g.put(part_bytes=5), FE, "part_bytes=5", "5 MB"),
    bad("FileServiceClient etag", lambda g: g.put(if_match=True), FE, "if_match=True", "find_file"),
    bad("FileServiceClient header", lambda g: g.put(description="a\r\nX: y"), FE, "description", "printable ASCII"),
    bad(
        "FileServiceClient range",
        lambda g: g.site.con.files.get_file("e", "a", byte_range=(3, 1)),
        FE,
        "(3, 1)",
        "start",
    ),
    bad("FileServiceClient limit", lambda g: g.site.con.files.list_files("e", limit=501), FE, "limit=501", "to 500"),
    bad("list_assets name", lambda g: tsb.list_assets(name=5, connection=g.site.con), FE, "name=5", "give a str"),
    bad(
        "list_assets type", lambda g: tsb.list_assets(type_id="", connection=g.site.con), FE, "type_id=''", "give a str"
    ),
    bad("list_assets filter", lambda g: tsb.list_assets(filter="a", connection=g.site.con), FE, "filter='a'", "a dict"),
    bad(
        "list_assets filter not JSON",
        lambda g: tsb.list_assets(filter={"name": {1, 2}}, connection=g.site.con),
        *(FE, "filter=", "set", "a dict like"),
    ),
    bad(
        "list_assets name twice",
        lambda g: tsb.list_assets(name="a", filter={"name": "b"}, connection=g.site.con),
        *(FE, "name=", "filter['name']", "one of both"),
    ),
    bad("list_assets limit", lambda g: tsb.list_assets(limit=0, connection=g.site.con), FE, "limit=0", "positive int"),
    bad("describe entity", lambda g: tsb.describe(5, connection=g.site.con), FE, "entity=5", "a list"),
    bad("describe nothing", lambda g: tsb.describe([], connection=g.site.con), FE, "entity=[]", "once"),
    bad("describe one of several", lambda g: tsb.describe(["a", ".."], connection=g.site.con), FE, "'..'", "non-empty"),
    bad("AssetsClient entity", lambda g: g.site.con.assets.get_asset(".."), FE, "'..'", "entity"),
    bad(
        "ReadOperationsClient fields missing",
        lambda g: g.site.con.reads.retrieve_timeseries(RetrieveTimeseriesRequest(entity="e")),
        *(FE, "property_set_name=None", "set it before"),
    ),
    bad(
        "ReadOperationsClient model",
        lambda g: g.site.con.reads.retrieve_timeseries({"entity": "e"}),
        *(FE, "dict", "RetrieveTimeseriesRequest"),
    ),
    bad(
        "BulkImportOperationsClient nothing in it",
        lambda g: g.site.con.imports.create_import_job(
            tsb.CreateImportJobRequest(bulk_import_input=tsb.BulkImportInput())
        ),
        *(FE, "BulkImportInput.data=None", "set it"),
    ),
    bad(
        "Client without credentials", lambda g: tsb.ReadOperationsClient(mindsphere_credentials="hush"), CE, "UserToken"
    ),
    bad(
        "read_timeseries describe",
        lambda g: tsb.read_timeseries("e", "p", "2026-03-01", "2026-03-02", describe="yes", connection=g.site.con),
        *(FE, "describe='yes'", "True and False"),
    ),
    bad("Series", lambda g: tsb.Series("a", ""), FE, "property_set=''", "non-empty"),
    bad("TimeRange", lambda g: tsb.TimeRange.parse("2026-03-02", "2026-03-01"), FE, "start=2026-03-02", "swap"),
    bad("TwinType", lambda g: tsb.TwinType.parse("Performance"), FE, "'Performance'", "'performance'"),
    bad("mask_quality frame", lambda g: tsb.mask_quality([1], [192]), FE, "list", "DataFrame"),
    bad("mask_quality good", lambda g: tsb.mask_quality(codes(), 192), FE, "good=192", "good=[192]"),
    bad("mask_quality code", lambda g: tsb.mask_quality(codes(), [True]), FE, "True", "integers"),
    bad("to_grid freq", lambda g: tsb.to_grid(frame(), "5", max_gap="1h"), FE, "freq='5'", "'5min'"),
    bad("to_grid gap", lambda g: tsb.to_grid(frame(), "5min", max_gap="-1h"), FE, "max_gap='-1h'", "not positive"),
    bad("compare_frames limit", lambda g: tsb.compare_frames(frame(), frame(), limit=-1), FE, "limit=-1", "from 0"),
    bad("compare_frames what", lambda g: tsb.compare_frames(frame(), [1]), FE, "list", "actual"),
    bad("cache_info", lambda g: tsb.cache_info(5), CE, "cache=5", "folder"),
    bad("clear_cache", lambda g: tsb.clear_cache(""), CE, "cache=''", "folder"),
    bad("Sandbox host", lambda g: tsb.Sandbox(host="0.0.0.0"), ValueError, "'0.0.0.0'", "allow_remote"),
    bad("Sandbox page", lambda g: tsb.Sandbox(page_bytes=0), ValueError, "page_bytes=0", "above 0"),
]

FRAMES = [
    bad("no time index", lambda g: g.write(pd.DataFrame({"speed": [1.0]})), FE, "no times", "_time", "DatetimeIndex"),
    bad("naive times", lambda g: g.write(frame().tz_localize(None)), FE, "no zone", "tz_localize"),
    bad("a missing time", lambda g: g.write(at(times(START, 2).append(pd.DatetimeIndex([pd.NaT])))), FE, "NaT", "drop"),
    bad("times not sorted", lambda g: g.write(frame().iloc[::-1]), FE, "earlier than", "sort_index"),
    bad("times twice", lambda g: g.write(frame().iloc[[0, 0, 1]]), FE, "same as", "duplicated"),
    bad(
        "times out of range",
        lambda g: g.write(at(pd.DatetimeIndex(["2500-01-01"], dtype="datetime64[s, UTC]"))),
        *(FE, "2262", "drop those rows"),
    ),
    bad("times as text", lambda g: g.write(pd.DataFrame({"_time": [START], "speed": [1.0]})), FE, "to_datetime"),
    bad("infinity", lambda g: g.write(frame([1.0, np.inf, -np.inf])), FE, "2 of 3", "inf", "drop or replace"),
    bad(
        "text with half a surrogate pair",
        lambda g: g.write(frame(pd.Series(["a\ud800"] * 3, times(START, 3), object), "state")),
        FE,
        "state",
        "replace",
    ),
    bad("integers beyond 64 bits", lambda g: g.write(frame([2**63, 1, 2])), FE, "64 bits", "text or float"),
    bad("dates", lambda g: g.write(frame(pd.date_range("2026", periods=3))), FE, "datetime64", "strftime"),
    bad("durations", lambda g: g.write(frame(pd.timedelta_range("1s", periods=3))), FE, "total_seconds"),
    bad("decimals", lambda g: g.write(frame([decimal.Decimal("1.5")] * 3)), FE, "Decimal", "number, bool or text"),
    bad("complex numbers", lambda g: g.write(frame([1j, 2j, 3j])), FE, "complex"),
    bad("bytes", lambda g: g.write(frame([b"a", b"b", b"c"])), FE, "bytes"),
    bad("lists", lambda g: g.write(frame([[1], [2], [3]])), FE, "list"),
    bad("periods", lambda g: g.write(frame(pd.period_range("2026", periods=3, freq="D"))), FE, "period"),
    bad("NaN inside of objects", lambda g: g.write(frame(["a", 1, float("inf")])), FE, "inf", "replace"),
    bad("a name that is a number", lambda g: g.write(frame(name=5)), FE, "column name 5", "astype(str)"),
    bad("an empty name", lambda g: g.write(frame(name=" ")), FE, "is empty", "name the property"),
    bad(
        "a name twice",
        lambda g: g.write(frame(speed2=1.0).set_axis(["a", "a"], axis=1)),
        FE,
        "'a' occurs twice",
        "drop",
    ),
    bad(
        "a name with half a surrogate pair",
        lambda g: g.write(frame().set_axis(pd.Index(["\udc80"], dtype=object), axis=1)),
        FE,
        "surrogate",
        "rename",
    ),
    bad("a time too many", lambda g: g.write(frame(_time=1)), FE, "_time"),
    bad("a code without its property", lambda g: g.write(frame(name="a_qc")), FE, "'a'", "add the property"),
    bad("a code that is no integer", lambda g: g.write(frame(speed_qc=0.5)), FE, "speed_qc", "Int64"),
    bad("rows without any value", lambda g: g.write(frame([1.0, np.nan, np.nan])), FE, "2 of 3", "empty_rows='drop'"),
    bad("no columns", lambda g: g.write(frame()[[]]), FE, "no column", "at least one property"),
    bad(
        "several entities in one frame",
        lambda g: g.write(frame().set_index(pd.MultiIndex.from_product([["a"], times(START, 3)]))),
        *(FE, "MultiIndex", "xs("),
    ),
    bad("frames that go back", lambda g: g.write(iter([frame(), frame(start="2026-03-01T09:00Z")])), FE, "after"),
    bad(
        "a table without a zone",
        lambda g: g.write(pa.table({"_time": pa.array([1], pa.timestamp("ns")), "speed": [1.0]})),
        *(FE, "zone", "tz_localize"),
    ),
    bad("a table without times", lambda g: g.write(pa.table({"speed": [1.0]})), FE, "_time", "rename"),
    bad(
        "a table with two times",
        lambda g: g.write(pa.Table.from_arrays([pa.array([1]), pa.array([1])], ["_time", "_time"])),
        *(FE, "2 columns", "accepted is one"),
    ),
    bad(
        "a reader whose batches go back",
        lambda g: g.write(pa.RecordBatchReader.from_batches(TABLE.schema, [*TABLE.to_batches(), *TABLE.to_batches()])),
        *(FE, "after"),
    ),
    bad(
        "too young for a performance asset",
        lambda g: g.write(frame(start="2026-05-31T23:59:00Z"), twin_type="performance"),
        *(FE, "30 minutes", "3 of 3"),
    ),
    bad("no asset", lambda g: g.write(frame(), entity="f" * 32, twin_type=None), tsb.NotFoundError, "404", "entity"),
    bad(
        "no aspect",
        lambda g: g.write(frame(), property_set="valve", twin_type=None),
        tsb.NotFoundError,
        "'valve'",
        "pump",
    ),
]
TABLE = pa.table({"_time": pa.array([0, 1], pa.timestamp("s", "UTC")), "speed": [1.0, 2.0]})


def from_environment(**change: str) -> Callable[[Ground], object]:
    """Connect with what the environment says, but for something of it."""

    def call(ground: Ground) -> object:
        ground.environment(**{name: value for name, value in {**CREDENTIALS, **change}.items() if value != "-"})
        return tsb.connect()

    return call


def occupied(ground: Ground) -> object:
    """Write where the user's state folder cannot be."""
    (ground.folder / "state").write_text("no folder")
    ground.patch.setenv("XDG_STATE_HOME", str(ground.folder / "state"))
    return ground.write(frame())


ENVIRONMENTS = [
    bad(
        "all variables missing", from_environment(**dict.fromkeys(CREDENTIALS, "-")), CE, *CREDENTIALS, "0 of 6", "set"
    ),
    bad("one variable missing", from_environment(MDSP_USER_TENANT="-"), CE, "MDSP_USER_TENANT", "5 of 6", "set them"),
    bad("a blank variable", from_environment(MDSP_HOST_TENANT=" "), CE, "MDSP_HOST_TENANT", "set them"),
    bad("a line break inside", from_environment(MDSP_OS_VM_APP_NAME="a\nb"), CE, "app_name", "control characters"),
    bad("a colon in the id", from_environment(MDSP_KEY_STORE_CLIENT_ID="a:b"), CE, "'a:b'", "separately"),
    bad("gateway without scheme", from_environment(TSBULK_GATEWAY="host.test"), CE, "TSBULK_GATEWAY", "https://"),
    bad("gateway unencrypted", from_environment(TSBULK_GATEWAY="http://host.test"), CE, "TSBULK_GATEWAY", "https"),
    bad("gateway with a port of letters", from_environment(TSBULK_GATEWAY="https://h:x"), CE, "TSBULK_GATEWAY", "like"),
    bad(
        "gateway with a password",
        from_environment(TSBULK_GATEWAY="https://u:hush@h.test"),
        CE,
        "TSBULK_GATEWAY",
        "only",
    ),
    bad("gateway with a path", from_environment(TSBULK_GATEWAY="https://h.test/x"), CE, "TSBULK_GATEWAY", "only"),
    bad("authorities that are not there", from_environment(REQUESTS_CA_BUNDLE="/no/such"), CE, "/no/such", "unset it"),
    bad("the other name of them", from_environment(CURL_CA_BUNDLE="/no/such"), CE, "CURL_CA_BUNDLE", "unset it"),
    bad("state folder is a file", occupied, CE, "state", "existing folder"),
]


PARQUET = [
    bad("no such file", lambda g: g.write(g.folder / "no.parquet"), FE, "no.parquet", "check the path"),
    bad("empty path", lambda g: g.write(""), FE, "''", "check the path"),
    bad("folder without Parquet", lambda g: g.write(str(g.folder)), FE, "'*.parquet'", "check the path"),
    bad("empty file", lambda g: g.write(written(g, b"")), FE, "a.parquet", "write the file again"),
    bad("text file", lambda g: g.write(written(g, b"_time,speed\n")), FE, "a.parquet", "write the file again"),
    bad("cut in the middle", lambda g: g.write(cut(g, 0.5)), FE, "cut.parquet", "write the file again"),
    bad("cut at its end", lambda g: g.write(cut(g, 0.99)), FE, "cut.parquet", "write the file again"),
    bad("pages destroyed", lambda g: g.write(destroyed(g)), FE, "destroyed.parquet", "write the file again"),
    bad("no time", lambda g: g.write(g.parquet(pa.table({"speed": [1.0]}))), FE, "_time", "rename the column"),
    bad("times without zone", lambda g: g.write(g.parquet(frame().tz_localize(None))), FE, "zone", "tz_localize"),
    bad("nested column", lambda g: g.write(g.parquet(TABLE.append_column("n", [[[1], [2]]]))), FE, "'n'", "json.dumps"),
    bad(
        "decimal column",
        lambda g: g.write(g.parquet(TABLE.append_column("d", [pa.array([1, 2], pa.decimal128(5))]))),
        *(FE, "'d'", "float64"),
    ),
    bad("rows not sorted", lambda g: g.write(g.parquet(frame().iloc[::-1])), FE, "earlier than", "sort_index"),
    bad("infinity", lambda g: g.write(g.parquet(frame([1.0, np.inf, 2.0]))), FE, "inf", "drop or replace"),
    bad(
        "several entities",
        lambda g: g.write(
            g.parquet(frame().set_index(pd.MultiIndex.from_product([["a"], times(START, 3)], names=["asset", "time"])))
        ),
        *(FE, "row index", "df.xs(entity)"),
    ),
    bad(
        "files that overlap",
        lambda g: g.write({g.parquet(frame(), f"folder/{n}.parquet").parent for n in "ab"}.pop()),
        *(FE, "after"),
    ),
    bad(
        "one broken among good ones",
        lambda g: g.write(written(g, b"x", g.parquet(frame(), "folder/a.parquet").with_name("b.parquet")).parent),
        *(FE, "b.parquet", "write the file again"),
    ),
]


def downloaded(**change: object) -> Callable[[Ground], object]:
    """Go on with a download whose state was edited; a text is the whole of it."""

    def call(ground: Ground) -> object:
        what = {"gateway": ground.site.sandbox.url, "property_set": "pump", "select": None, "quality": "columns"}
        state = {"what": what, "covered": {}, "writing": None, **change}
        (ground.folder / "whole.parquet").write_bytes(b"kept")
        (ground.folder / ".tsbulk.json").write_text(str(change.get("text", json.dumps(state))))
        try:
            return ground.stream(tsb.download_parquet, directory=ground.folder)
        finally:
            assert (ground.folder / "whole.parquet").read_bytes() == b"kept"

    return call


DOWNLOADS = [
    bad("a state that is cut", downloaded(text='{"what": {'), FE, ".tsbulk.json", "remove the folder"),
    bad("a state that is a list", downloaded(text="[]"), FE, ".tsbulk.json", "remove the folder"),
    bad("a state of another download", downloaded(what={}), FE, "another download", "name another folder"),
    bad("ranges in a list", downloaded(covered=[]), FE, ".tsbulk.json", "remove the folder"),
    bad("ranges of text", downloaded(covered={"a": [["x", "y"]]}), FE, "'x'", "remove the folder"),
    bad("ranges that are none", downloaded(covered={"a": [[1]]}), FE, "[1]", "remove the folder"),
    bad("a file elsewhere", downloaded(writing="../secret.parquet"), FE, "../secret", "remove the folder"),
    bad("a file of the user", downloaded(writing="whole.parquet"), FE, "whole.parquet", "remove the folder"),
    bad("a file that is a number", downloaded(writing=5), FE, ".tsbulk.json", "remove the folder"),
]


def written(ground: Ground, content: bytes, name: str | Path = "a.parquet") -> Path:
    """Save bytes."""
    path = ground.folder / name
    path.write_bytes(content)
    return path


def cut(ground: Ground, share: float) -> Path:
    """Save the beginning of a good file."""
    whole = ground.parquet(frame(np.arange(5000.0)), "whole.pq").read_bytes()
    return written(ground, whole[: int(len(whole) * share)], "cut.parquet")


def destroyed(ground: Ground) -> Path:
    """Save a file whose data pages were overwritten, with its end whole."""
    whole = bytearray(ground.parquet(frame(np.arange(5000.0)), "whole.pq").read_bytes())
    whole[4 : len(whole) // 2] = b"\xff" * (len(whole) // 2 - 4)
    return written(ground, bytes(whole), "destroyed.parquet")


MANIFESTS = [
    bad("missing", lambda g: g.resume(manifest=g.folder / "no"), CE, "does not exist", "write_timeseries"),
    bad("a folder", lambda g: g.resume(manifest=g.folder), CE, "is no file", "name the file"),
    bad("empty path", lambda g: g.resume(manifest=""), CE, "no path", "path of a file"),
    bad("a NUL in its path", lambda g: g.resume(manifest="a\0b"), CE, "no path", "path of a file"),
    bad("empty", lambda g: g.damaged(lambda text: b""), CE, "empty", "name the one of an import"),
    bad("a text", lambda g: g.damaged(lambda text: b"{}" * 600), CE, "some other file", "begin anew"),
    bad("cut in its head", lambda g: g.damaged(lambda text: text[:90]), CE, "manifest", "begin anew"),
    bad("cut to a page", lambda g: g.damaged(lambda text: text[:4096]), CE, "damaged", "good copy"),
    bad("cut by its last page", lambda g: g.damaged(lambda text: text[:-4096]), CE, "damaged", "good copy"),
    bad(
        "pages overwritten", lambda g: g.damaged(lambda text: text[:4096] + b"\xa5" * 4096 + text[8192:]), CE, "damaged"
    ),
    bad("another program's", lambda g: g.edited("PRAGMA application_id = 0"), CE, "some other file", "begin anew"),
    bad("another version", lambda g: g.edited("PRAGMA user_version = 2"), CE, "version 2", "release that began"),
    bad("a table dropped", lambda g: g.edited("DROP TABLE files"), CE, "no such table", "good copy"),
    bad("no header", lambda g: g.edited("DELETE FROM import"), CE, "0 headers", "good copy"),
    bad("two headers", lambda g: g.edited("INSERT INTO import SELECT * FROM import"), CE, "2 headers", "good copy"),
    bad("twin type", lambda g: g.edited("UPDATE import SET twin_type = 'x'"), CE, "'x'", "good copy"),
    bad("closed", lambda g: g.edited("UPDATE import SET closed = 'x'"), CE, "'x'", "good copy"),
    bad("entity", lambda g: g.edited("UPDATE import SET entity = ''"), CE, "entity", "good copy"),
    bad("entity ..", lambda g: g.edited("UPDATE import SET entity = '..'"), CE, "entity", "good copy"),
    bad("entity NULL", lambda g: g.edited("UPDATE import SET entity = NULL"), CE, "None", "good copy"),
    bad("source no JSON", lambda g: g.edited("UPDATE import SET source = 'x'"), CE, "source", "good copy"),
    bad("source of no kind", lambda g: g.edited("UPDATE import SET source = '{}'"), CE, "source", "good copy"),
    bad("source a list", lambda g: g.edited("UPDATE import SET source = '[]'"), CE, "source", "good copy"),
    bad(
        "source of an unknown kind",
        lambda g: g.edited("""UPDATE import SET source = '{"kind": "x", "path": "", "files": null}'"""),
        *(CE, "source", "good copy"),
    ),
    bad(
        "source with wrong files",
        lambda g: g.edited("""UPDATE import SET source = '{"kind": "parquet", "path": "a", "files": [[1]]}'"""),
        *(CE, "source", "good copy"),
    ),
    bad("empty_rows", lambda g: g.edited("UPDATE import SET empty_rows = 'x'"), CE, "'x'", "good copy"),
    bad("a flag", lambda g: g.edited("UPDATE import SET verify = 2"), CE, "2", "good copy"),
    bad(
        "another gateway",
        lambda g: g.edited("UPDATE import SET gateway = 'https://h.test'"),
        CE,
        "h.test",
        "connect to",
    ),
    bad("state", lambda g: g.edited("UPDATE partitions SET state = 'x'"), CE, "'x'", "good copy"),
    bad("rows", lambda g: g.edited("UPDATE partitions SET rows = -1"), CE, "-1", "good copy"),
    bad("rows of text", lambda g: g.edited("UPDATE partitions SET rows = 'many'"), CE, "'many'", "good copy"),
    bad("time of posting", lambda g: g.edited("UPDATE partitions SET posted_at = 'now'"), CE, "'now'", "good copy"),
    bad("etag", lambda g: g.edited("UPDATE files SET etag = 'x'"), CE, "'x'", "good copy"),
    bad(
        "a file elsewhere",
        lambda g: g.edited("UPDATE files SET path = '../../../etc/passwd'"),
        *(CE, "passwd", "good copy"),
    ),
    bad("an absolute file", lambda g: g.edited("UPDATE files SET path = '/etc/passwd'"), CE, "passwd", "good copy"),
    bad("name of a partition", lambda g: g.edited("UPDATE partitions SET name = '../x'"), CE, "'../x'", "good copy"),
]
