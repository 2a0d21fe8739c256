"""Assets at rest: which entities exist, with which aspects; one JSON document, replaced as a whole."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from tsbulk_frames.sandbox.model import Aspect, Asset, DataType, TwinName, Variable
from tsbulk_frames.sandbox.validation import wire_schema

if TYPE_CHECKING:
    from tsbulk_frames.sandbox.store import SeriesStore

__all__ = ["PROPERTY_KEYS", "AssetStore", "Given", "build_asset", "parse_assets", "write_whole"]

Given: TypeAlias = Mapping[str, Mapping[str, "str | Mapping[str, object]"]]
"""Aspects as they are told: each property's data type, or what else there is to say of it, under `PROPERTY_KEYS`."""
PROPERTY_KEYS = ("dataType", "unit", "length", "qualityCode")
_ASSET_KEYS = {"assetId", "name", "twinType", "aspects", "qualityCodes", "description", "descriptions"}
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
    aspects: Given,
    quality_codes: bool = True,
    description: str = "",
    descriptions: Mapping[str, str] | None = None,
) -> Asset:
    """Asset from plain text, every name checked: what cannot be addressed over HTTP or stored is refused.

    Raises
    ------
    ValueError
        An unknown twin type or data type, a name that is empty, reserved or not fit for a URL, or something else said
        of a property, or of an aspect that is none, that makes no sense.
    """
    _check_name("entity", asset_id)
    if twin_type not in get_args(TwinName):
        raise ValueError(f"twin_type={twin_type!r} is not known; accepted are 'performance' and 'simulation'")
    texts = descriptions or {}
    built: dict[str, Aspect] = {}
    for aspect, properties in aspects.items():
        _check_name("aspect", aspect)
        variables = {name: _variable(aspect, name, given, quality_codes) for name, given in properties.items()}
        built[aspect] = Aspect(aspect, variables, description=_text(texts.get(aspect, ""), f"aspect {aspect!r}"))
    if set(texts) - set(built):
        raise ValueError(f"descriptions are given of {sorted(set(texts) - set(built))}, which are no aspects of it")
    twin: TwinName = "simulation" if twin_type == "simulation" else "performance"
    return Asset(asset_id, name or asset_id, twin, built, description=_text(description, f"asset {asset_id!r}"))


def _variable(aspect: str, name: str, given: object, quality_codes: bool) -> Variable:
    """Property from its data type, or from all that is told of it; text types have a greatest length."""
    _check_name("property", name)
    what = f"property {name!r} of aspect {aspect!r}"
    if name == "_time" or name.endswith("_qc"):
        raise ValueError(
            f"{what} is a reserved name: '_time' is the time, and what ends in '_qc' a quality code; choose another one"
        )
    told: Mapping[str, Any] = given if isinstance(given, Mapping) else {"dataType": given}
    if unknown := set(told) - set(PROPERTY_KEYS):
        raise ValueError(
            f"{what} has {sorted(map(str, unknown))}; known are {', '.join(PROPERTY_KEYS)} (a property has no "
            "description in this service, an aspect has: see descriptions)"
        )
    data_type: Any = told.get("dataType")
    length = told.get("length")
    if data_type not in get_args(DataType):
        raise ValueError(f"{what} has the data type {data_type!r}; accepted are {', '.join(get_args(DataType))}")
    most = _LENGTHS.get(data_type)
    if length is None:
        length = most
    elif most is None or not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= most:
        raise ValueError(f"{what} has length={length!r}; {data_type} has " + (f"1 to {most}" if most else "none"))
    code = told.get("qualityCode", quality_codes)
    if not isinstance(code, bool):
        raise ValueError(f"{what} has qualityCode={code!r}; accepted are true and false")
    return Variable(name, data_type, _text(told.get("unit", ""), f"the unit of {what}"), code, length)


def _text(given: object, what: str) -> str:
    """Take a text as it is, if it is one that can be stored: no file holds lone surrogates."""
    if not isinstance(given, str) or any("\ud800" <= letter <= "\udfff" for letter in given):
        raise ValueError(f"{what} is described by {given!r:.100}, which is no text")
    return given


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
        name: Aspect(**{**aspect, "variables": {v: Variable(**one) for v, one in aspect["variables"].items()}})
        for name, aspect in document["aspects"].items()
    }
    return Asset(**{**document, "aspects": aspects})


class AssetStore:
    """The assets of one sandbox, kept in ``assets.json``.

    Parameters
    ----------
    root : pathlib.Path or None
        Existing folder of the document. None: they end with the sandbox, and no disk is waited for.
    """

    def __init__(self, root: Path | None) -> None:
        self._path = None if root is None else root / "assets.json"
        self._lock = threading.Lock()
        self._assets: dict[str, Asset] = {}
        self._texts: dict[str, str] = {}
        if self._path is not None and self._path.exists():
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
            if self._path is not None:
                texts = {name: self._text(asset) for name, asset in known.items()}
                write_whole(self._path, ("[\n" + ",\n".join(texts.values()) + "\n]").encode())
                self._texts = texts
            self._assets = known

    def _text(self, asset: Asset) -> str:
        """Put an asset into words once: who adds a fleet one by one waits for all of them each time."""
        kept = self._texts.get(asset.asset_id)
        if kept is None or self._assets.get(asset.asset_id) is not asset:
            kept = json.dumps(asdict(asset), ensure_ascii=False)
        return kept

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
        unknown = set(document) - _ASSET_KEYS
        aspects, texts = document.get("aspects", {}), document.get("descriptions", {})
        objects = isinstance(aspects, dict) and isinstance(texts, dict)
        if unknown or not objects or not all(isinstance(aspect, dict) for aspect in aspects.values()):
            raise ValueError(
                f"assets[{position}] must hold only {', '.join(sorted(_ASSET_KEYS - {'aspects', 'descriptions'}))}, "
                "aspects as {name: {property: dataType or {dataType, unit, length, qualityCode}}} and descriptions as "
                f"{{aspect: text}}; unknown here: {sorted(unknown) or 'nothing'}"
            )
        yield build_asset(
            document.get("assetId", ""),
            twin_type=document.get("twinType", "performance"),
            name=document.get("name"),
            aspects=aspects,
            quality_codes=document.get("qualityCodes", True),
            description=document.get("description", ""),
            descriptions=texts,
        )
