"""What asset management tells: assets, their aspects, and the variables of these, read from its answers; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tsbulk_frames.errors import FrameError, ProtocolError
from tsbulk_frames.model import TwinType
from tsbulk_frames.stored import parse_etag

__all__ = [
    "Aspect",
    "Asset",
    "ListedAsset",
    "Variable",
    "expect_object",
    "number_of",
    "read_aspect",
    "read_asset",
    "read_listed",
]


@dataclass(frozen=True)
class Asset:
    """An asset.

    Attributes
    ----------
    asset_id, name : str
        Its id (the *entity*) and its name.
    twin_type : TwinType
        Decides whether its history is imported by days or by hours.
    etag : int or None
        Version of the asset.
    """

    asset_id: str
    name: str
    twin_type: TwinType
    etag: int | None = None


@dataclass(frozen=True)
class ListedAsset:
    """An asset as a list shows it.

    Attributes
    ----------
    asset_id, name : str
        Its id (the *entity*) and its name.
    type_id, parent_id, external_id, description, timezone : str or None
        As the service has them; the id of the asset above it, and the id that a user gave.
    twin_type : TwinType or None
        None: the service does not say, or says something else. `AssetsClient.get_asset` then refuses the asset.
    deleted : str or None
        When it was deleted, ISO 8601, if it was.
    """

    asset_id: str
    name: str
    type_id: str | None = None
    twin_type: TwinType | None = None
    parent_id: str | None = None
    external_id: str | None = None
    description: str | None = None
    timezone: str | None = None
    deleted: str | None = None


@dataclass(frozen=True)
class Variable:
    """A property of an aspect.

    Attributes
    ----------
    name : str
        Its name.
    data_type : str
        ``BOOLEAN``, ``INT`` (32 bit), ``LONG`` (64 bit), ``DOUBLE``, ``STRING``, ``BIG_STRING`` or ``TIMESTAMP``.
    unit : str or None
        As the asset has it.
    quality_code : bool
        Whether it has a quality code beside it.
    length : int or None
        Longest text, for texts.
    description : str or None
        Where the service gives one; the published model has none.
    """

    name: str
    data_type: str
    unit: str | None = None
    quality_code: bool = False
    length: int | None = None
    description: str | None = None


@dataclass(frozen=True)
class Aspect:
    """An aspect (*property set*) of an asset.

    Attributes
    ----------
    name : str
        Its name.
    category : str
        ``"dynamic"`` for what has a history, ``"static"`` otherwise.
    variables : tuple of Variable
        Its properties.
    description : str or None
        Its own, else that of its type.
    """

    name: str
    category: str
    variables: tuple[Variable, ...] = ()
    description: str | None = None


def read_asset(body: Mapping[str, object], entity: str) -> Asset:
    """Read the asset that was asked for by `entity`; without its kind nothing can be done with it.

    Raises
    ------
    ProtocolError
        It has no usable ``twinType``.
    """
    twin = body.get("twinType")
    try:
        twin_type = TwinType.parse(str(twin).lower())
    except FrameError:
        raise ProtocolError(
            f"asset {entity!r} has twinType={twin!r}; known are 'performance' and 'simulation'"
        ) from None
    return Asset(
        _text(body.get("assetId")) or entity, _text(body.get("name")) or "", twin_type, parse_etag(body.get("etag"))
    )


def read_listed(body: Mapping[str, object]) -> ListedAsset:
    """Read an asset of a list; one of an unknown kind must not hide the others."""
    asset_id = _text(body.get("assetId"))
    if not asset_id:
        raise ProtocolError(f"an asset of the list has no assetId: {dict(body)!r:.200}")
    try:
        twin_type = TwinType.parse(str(body.get("twinType")).lower())
    except FrameError:
        twin_type = None
    kind, *texts = (
        _text(body.get(name)) or None
        for name in ("typeId", "parentId", "externalId", "description", "timezone", "deleted")
    )
    return ListedAsset(asset_id, _text(body.get("name")) or "", kind, twin_type, *texts)


def read_aspect(body: Mapping[str, object]) -> Aspect:
    """Read an aspect; its variables stand in it or in its type."""
    name = _text(body.get("name"))
    if not name:
        raise ProtocolError("an aspect has no name")
    kind = body.get("aspectType")
    inner: Mapping[str, object] = kind if isinstance(kind, dict) else {}
    variables = body.get("variables") or inner.get("variables") or []
    if not isinstance(variables, list):
        raise ProtocolError(f"the variables of aspect {name!r} are a {type(variables).__name__}, not a list")
    category = _text(body.get("category")) or _text(inner.get("category")) or "dynamic"
    description = _text(body.get("description")) or _text(inner.get("description"))
    return Aspect(
        name,
        category,
        tuple(_variable(expect_object(item, "a variable"), name) for item in variables),
        description or None,
    )


def _variable(body: Mapping[str, object], aspect: str) -> Variable:
    """Read a variable."""
    name, data_type = _text(body.get("name")), _text(body.get("dataType"))
    if not name or not data_type:
        raise ProtocolError(f"a variable of aspect {aspect!r} lacks its name or dataType: {dict(body)!r:.200}")
    return Variable(
        name,
        data_type.upper(),
        _text(body.get("unit")),
        body.get("qualityCode") is True,
        parse_etag(body.get("length")),
        _text(body.get("description")) or None,
    )


def expect_object(value: object, what: str) -> Mapping[str, object]:
    """Expect a JSON object."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} is a {type(value).__name__}, not an object")
    return value


def number_of(value: object) -> int | None:
    """Take a count, or nothing."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """Take a text, or nothing."""
    return value if isinstance(value, str) else None
