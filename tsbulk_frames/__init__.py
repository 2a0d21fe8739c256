"""History in and out of IoT TS Bulk (Insights Hub, MindSphere) as pandas DataFrames: exact and fast.

The shop window: every public name, and where it lives. A module is loaded when one of its names is first used.

| to … | use |
|---|---|
| connect | `connect`, `UserToken`, `TenantCredentials`, `AppCredentials`, `RestClientConfig` |
| find out | `list_assets`, `describe` |
| read | `read_timeseries`, `iter_timeseries`, `read_arrow`, `download_parquet` |
| plan | `plan_import` |
| write | `write_timeseries`, `resume_import`, `wait_for_jobs`, `write_import_files` |
| analyse | `mask_quality`, `to_grid`, `compare_frames` |
| see | `tsbulk_frames.plot`: series, coverage |
| use a cluster | `tsbulk_frames.dask`: the same calls with Dask |
| try and test | `Sandbox`, all of `tsbulk_frames.sandbox`; in pytest the fixtures of `tsbulk_frames.pytest_plugin` |
| go one to one | `ReadOperationsClient`, `BulkImportOperationsClient`, `FileServiceClient`, `AssetsClient` |
| handle errors | `tsbulk_frames.errors`: everything is a `TsBulkError` |

How each is done, with examples that run: `tsbulk_frames.howto`.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING

from tsbulk_frames import errors
from tsbulk_frames.errors import (
    AuthError,
    ConfigError,
    ConflictError,
    DecodeError,
    FrameError,
    JobError,
    JobTimeout,
    MindsphereError,
    NotFoundError,
    PageError,
    PartialImportError,
    ProtocolError,
    ServiceError,
    ThrottledError,
    TransportError,
    TsBulkError,
)

if TYPE_CHECKING:
    from tsbulk_frames import dask as dask
    from tsbulk_frames.analysis import mask_quality, to_grid
    from tsbulk_frames.assets import AssetsClient
    from tsbulk_frames.auth import AppCredentials, TenantCredentials, UserToken
    from tsbulk_frames.cache import CacheInfo, cache_info, clear_cache
    from tsbulk_frames.compare import compare_frames
    from tsbulk_frames.config import RestClientConfig
    from tsbulk_frames.connection import Connection, connect
    from tsbulk_frames.discovery import describe, list_assets
    from tsbulk_frames.download import DownloadInfo, download_parquet
    from tsbulk_frames.files import FileServiceClient
    from tsbulk_frames.importjob import wait_for_jobs
    from tsbulk_frames.importplan import ImportPlan
    from tsbulk_frames.messages import (
        BulkImportInput,
        CreateImportJobRequest,
        Data,
        FileInfo,
        ImportJob,
        RetrieveImportJobRequest,
        RetrieveTimeseriesRequest,
        Timeseries,
    )
    from tsbulk_frames.model import Series, TimeRange, TwinType
    from tsbulk_frames.operations import BulkImportOperationsClient, ReadOperationsClient
    from tsbulk_frames.plan import plan_import
    from tsbulk_frames.reader import read_timeseries
    from tsbulk_frames.report import ImportReport
    from tsbulk_frames.sandbox import Sandbox
    from tsbulk_frames.staging import ImportFile
    from tsbulk_frames.streams import iter_timeseries, read_arrow
    from tsbulk_frames.writer import resume_import, write_import_files, write_timeseries

__all__ = [
    "AppCredentials",
    "AssetsClient",
    "AuthError",
    "BulkImportInput",
    "BulkImportOperationsClient",
    "CacheInfo",
    "ConfigError",
    "ConflictError",
    "Connection",
    "CreateImportJobRequest",
    "Data",
    "DecodeError",
    "DownloadInfo",
    "FileInfo",
    "FileServiceClient",
    "FrameError",
    "ImportFile",
    "ImportJob",
    "ImportPlan",
    "ImportReport",
    "JobError",
    "JobTimeout",
    "MindsphereError",
    "NotFoundError",
    "PageError",
    "PartialImportError",
    "ProtocolError",
    "ReadOperationsClient",
    "RestClientConfig",
    "RetrieveImportJobRequest",
    "RetrieveTimeseriesRequest",
    "Sandbox",
    "Series",
    "ServiceError",
    "TenantCredentials",
    "ThrottledError",
    "TimeRange",
    "Timeseries",
    "TransportError",
    "TsBulkError",
    "TwinType",
    "UserToken",
    "cache_info",
    "clear_cache",
    "compare_frames",
    "connect",
    "describe",
    "download_parquet",
    "errors",
    "iter_timeseries",
    "list_assets",
    "mask_quality",
    "plan_import",
    "read_arrow",
    "read_timeseries",
    "resume_import",
    "to_grid",
    "wait_for_jobs",
    "write_import_files",
    "write_timeseries",
]

_HOMES = {
    "analysis": ("mask_quality", "to_grid"),
    "assets": ("AssetsClient",),
    "auth": ("AppCredentials", "TenantCredentials", "UserToken"),
    "cache": ("CacheInfo", "cache_info", "clear_cache"),
    "compare": ("compare_frames",),
    "config": ("RestClientConfig",),
    "discovery": ("describe", "list_assets"),
    "download": ("DownloadInfo", "download_parquet"),
    "connection": ("Connection", "connect"),
    "files": ("FileServiceClient",),
    "importjob": ("wait_for_jobs",),
    "importplan": ("ImportPlan",),
    "messages": (
        "BulkImportInput",
        "CreateImportJobRequest",
        "Data",
        "FileInfo",
        "ImportJob",
        "RetrieveImportJobRequest",
        "RetrieveTimeseriesRequest",
        "Timeseries",
    ),
    "model": ("Series", "TimeRange", "TwinType"),
    "operations": ("BulkImportOperationsClient", "ReadOperationsClient"),
    "plan": ("plan_import",),
    "reader": ("read_timeseries",),
    "report": ("ImportReport",),
    "sandbox": ("Sandbox",),
    "staging": ("ImportFile",),
    "streams": ("iter_timeseries", "read_arrow"),
    "writer": ("resume_import", "write_import_files", "write_timeseries"),
}
_MODULES = ("dask", "howto", "plot", "sandbox")
"""Modules used as ``tsb.name``; loaded at their first use, like the names. Some need an extra."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__version__ = metadata.version("tsbulk-frames")


def __getattr__(name: str) -> object:
    """Load the module that a public name is, or lives in, at its first use."""
    home = name if name in _MODULES else _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{home}")
    except ModuleNotFoundError as error:
        if home != "sandbox":
            raise
        raise ModuleNotFoundError(
            f'{name} needs {error.name}, which is not installed; run: pip install "tsbulk-frames[sandbox]"',
            name=error.name,
        ) from error
    if name in _MODULES:
        return module
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
