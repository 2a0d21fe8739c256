"""Assets at rest: which entities exist, with which aspects; one JSON document, replaced as a whole."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tsbulk_frames.sandbox.model import Aspect, Asset, DataType, TwinName, Variable
from tsbulk_frames.sandbox.validation import wire_schema

if TYPE_CHECKING:
    from tsbulk_frames.sandbox.store import SeriesStore

__all__ = ["AssetStore", "build_asset", "parse_assets", "write_whole"]

_LENGTHS = {"STRING": 255, "BIG_STRING": 100_000}


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that a crash leaves the old or the new one; readable by its owner only."""
    temporary = path.with_name(path.name + ".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def build_asset(
    asset_id: str,
    *,
    twin_type: str = "performance",
    name: str | None = None,
    aspects: Mapping[str, Mapping[str, str]],
    quality_codes: bool = True,
) -> Asset:
    """Asset from plain text, every name checked: what cannot be addressed over HTTP or stored is refused.

    Raises
    ------
    ValueError
        An unknown twin type or data type, or a name that is empty, reserved or not fit for a URL.
    """
    _check_name("entity", asset_id)
    if twin_type not in get_args(TwinName):
        raise ValueError(f"twin_type={twin_type!r} is not known; accepted are 'performance' and 'simulation'")
    built: dict[str, Aspect] = {}
    for aspect, properties in aspects.items():
        _check_name("aspect", aspect)
        for variable, data_type in properties.items():
            _check_name("property", variable)
            if variable == "_time" or variable.endswith("_qc"):
                raise ValueError(
                    f"property {variable!r} of aspect {aspect!r} is a reserved name: '_time' is the time, "
                    "and what ends in '_qc' a quality code; choose another one"
                )
            if data_type not in get_args(DataType):
                raise ValueError(
                    f"property {variable!r} of aspect {aspect!r} has the data type {data_type!r}; "
                    f"accepted are {', '.join(get_args(DataType))}"
                )
        built[aspect] = Aspect(aspect, {v: _variable(v, t, quality_codes) for v, t in properties.items()})
    twin: TwinName = "simulation" if twin_type == "simulation" else "performance"
    return Asset(asset_id, name or asset_id, twin, built)


def _variable(name: str, data_type: Any, quality_code: bool) -> Variable:
    """Text types have a greatest length, so it is stated with them."""
    return Variable(name, data_type, quality_code=quality_code, length=_LENGTHS.get(data_type))


def _check_name(kind: str, name: object) -> None:
    """Refuse a name that cannot travel as one URL segment: it could never be asked for."""
    if isinstance(name, str) and name.isprintable() and name == name.strip() and name not in {"", ".", ".."}:
        good = "/" not in name and "\\" not in name
    else:
        good = False
    if not good:
        raise ValueError(f"{kind} {name!r} is not a usable name; give printable text without '/', '\\' or outer blanks")


def _load(document: dict[str, Any]) -> Asset:
    """Asset from its stored document."""
    aspects = {
        name: Aspect(name, {v: Variable(**variable) for v, variable in aspect["variables"].items()}, aspect["category"])
        for name, aspect in document["aspects"].items()
    }
    return Asset(**{**document, "aspects": aspects})


class AssetStore:
    """The assets of one sandbox, kept in ``assets.json``.

    Parameters
    ----------
    root : pathlib.Path
        Existing folder of the document.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "assets.json"
        self._lock = threading.Lock()
        self._assets: dict[str, Asset] = {}
        if self._path.exists():
            documents = json.loads(self._path.read_text(encoding="utf-8"))
            self._assets = {document["asset_id"]: _load(document) for document in documents}

    def add(self, *assets: Asset, series: SeriesStore) -> None:
        """Keep assets; one that exists and is another is replaced, and its etag raised.

        Raises
        ------
        ValueError
            A property would get another data type than its records in `series` have; nothing is kept then.
        """
        with self._lock:
            known = dict(self._assets)
            for asset in assets:
                old = known.get(asset.asset_id)
                if old is not None and replace(asset, etag=old.etag) == old:
                    continue
                _check_types(old, asset, series)
                known[asset.asset_id] = asset if old is None else replace(asset, etag=old.etag + 1)
            if known == self._assets:
                return
            documents = [asdict(asset) for asset in known.values()]
            write_whole(self._path, json.dumps(documents, ensure_ascii=False, indent=1).encode())
            self._assets = known

    def get(self, asset_id: str) -> Asset | None:
        """Asset of that id, None when there is none."""
        return self._assets.get(asset_id)

    def all(self) -> list[Asset]:
        """Every asset, in the order they came."""
        return list(self._assets.values())


def _check_types(old: Asset | None, new: Asset, series: SeriesStore) -> None:
    """Refuse to call stored values something else: what is read would not be what the asset says."""
    for name, aspect in new.aspects.items():
        stored, schema = series.columns(new.asset_id, name), wire_schema(aspect)
        before = old.aspects.get(name) if old is not None else None
        for variable in aspect.variables.values():
            was = before.variables.get(variable.name) if before is not None else None
            changed = was is not None and was.data_type != variable.data_type
            kept = stored.get(variable.name)
            if kept is not None and (changed or kept != schema.field(variable.name).type):
                raise ValueError(
                    f"property {variable.name!r} of aspect {name!r} of asset {new.asset_id!r} has stored records as "
                    f"{was.data_type if was is not None else kept} and cannot become {variable.data_type}; "
                    "give it the old data type, or another name"
                )


def parse_assets(documents: object) -> Iterable[Asset]:
    """Assets from the list that ``tsbulk sandbox --assets`` takes.

    Raises
    ------
    ValueError
        Not such a list; the message names the entry.
    """
    if not isinstance(documents, list):
        raise ValueError(f"assets must be a JSON list of objects, not a {type(documents).__name__}")
    for position, document in enumerate(documents):
        if not isinstance(document, dict) or not isinstance(document.get("name", ""), str):
            raise ValueError(f"assets[{position}] must be an object with 'assetId' and 'name' as text")
        unknown = set(document) - {"assetId", "name", "twinType", "aspects", "qualityCodes"}
        aspects = document.get("aspects", {})
        if unknown or not isinstance(aspects, dict) or not all(isinstance(a, dict) for a in aspects.values()):
            raise ValueError(
                f"assets[{position}] must hold only assetId, name, twinType, qualityCodes and "
                f"aspects as {{name: {{property: dataType}}}}; unknown here: {sorted(unknown) or 'nothing'}"
            )
        yield build_asset(
            document.get("assetId", ""),
            twin_type=document.get("twinType", "performance"),
            name=document.get("name"),
            aspects=aspects,
            quality_codes=document.get("qualityCodes", True),
        )
