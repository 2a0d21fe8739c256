"""The little of Asset Management that is needed: kind of an asset, and the variables of its aspects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tsbulk_frames.answers import parse_json
from tsbulk_frames.client import Client
from tsbulk_frames.errors import FrameError, ProtocolError
from tsbulk_frames.model import TwinType
from tsbulk_frames.stored import parse_etag

__all__ = ["Aspect", "Asset", "AssetsClient", "Variable"]

_BASE = ("api", "assetmanagement", "v3")
_MAX_PAGES = 1000


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
    """

    name: str
    data_type: str
    unit: str | None = None
    quality_code: bool = False
    length: int | None = None


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
    """

    name: str
    category: str
    variables: tuple[Variable, ...] = ()


class AssetsClient(Client):
    """Asks for assets and their aspects.

    Takes the parameters of every client: `rest_client_config` and `mindsphere_credentials`, or a `transport`.

    Examples
    --------
    >>> from tsbulk_frames.assets import AssetsClient
    >>> from tsbulk_frames.auth import UserToken
    >>> from tsbulk_frames.config import RestClientConfig
    >>> AssetsClient(RestClientConfig(), UserToken("abc")).close()
    """

    def get_asset(self, entity: str) -> Asset:
        """Ask for an asset.

        Parameters
        ----------
        entity : str
            Its id.

        Returns
        -------
        Asset

        Raises
        ------
        NotFoundError
            There is none.
        ProtocolError
            The answer has no usable ``twinType``.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/assetmanagement/v3/assets/{id}``.
        """
        return self._asset(entity)

    def root(self) -> Asset:
        """Ask for the root asset of the tenant.

        Returns
        -------
        Asset

        Raises
        ------
        ProtocolError
            The answer has no usable ``twinType``.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/assetmanagement/v3/assets/root``.
        """
        return self._asset("root")

    def get_aspects(self, entity: str) -> list[Aspect]:
        """Ask for the aspects of an asset, on however many pages they come.

        Parameters
        ----------
        entity : str
            Id of the asset.

        Returns
        -------
        list of Aspect
            In the service's order, static ones included.

        Raises
        ------
        NotFoundError
            There is no such asset.
        ProtocolError
            The answer is not a list of aspects.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/assetmanagement/v3/assets/{id}/aspects``.
        """
        aspects: list[Aspect] = []
        found: object = None
        for number in range(_MAX_PAGES):
            before = found
            query = {"page": str(number)} if number else None
            answer = self._transport.request("GET", (*_BASE, "assets", entity, "aspects"), query=query)
            body = _object(parse_json(answer.data, "the list of aspects"), "the list of aspects")
            found = _object(body.get("_embedded") or {}, "_embedded").get("aspects") or []
            if not isinstance(found, list):
                raise ProtocolError(f"the aspects of {entity!r} are a {type(found).__name__}, not a list")
            if found and found == before:
                raise ProtocolError(
                    f"page {number} of the aspects of {entity!r} is the one before it again; ask again, and report it "
                    "to the operator of the service if it stays"
                )
            aspects += [_aspect(_object(item, "an aspect")) for item in found]
            page = body.get("page")
            pages = page.get("totalPages") if isinstance(page, dict) else None
            if not found or not isinstance(pages, int) or number + 1 >= pages:
                return aspects
        raise ProtocolError(f"the aspects of {entity!r} fill more than {_MAX_PAGES} pages")

    def _asset(self, entity: str) -> Asset:
        """Ask for one asset by the last part of its path."""
        answer = self._transport.request("GET", (*_BASE, "assets", entity))
        body = _object(parse_json(answer.data, "the asset"), "the asset")
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


def _aspect(body: Mapping[str, object]) -> Aspect:
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
    return Aspect(name, category, tuple(_variable(_object(item, "a variable"), name) for item in variables))


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
    )


def _object(value: object, what: str) -> Mapping[str, object]:
    """Expect a JSON object."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} is a {type(value).__name__}, not an object")
    return value


def _text(value: object) -> str | None:
    """Take a text, or nothing."""
    return value if isinstance(value, str) else None
