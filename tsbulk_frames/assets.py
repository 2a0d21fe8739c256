"""The little of Asset Management that is needed: which assets there are, their kind, the variables of their aspects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from tsbulk_frames.answers import parse_json
from tsbulk_frames.assetmodel import (
    Aspect,
    Asset,
    ListedAsset,
    Variable,
    expect_object,
    number_of,
    read_aspect,
    read_asset,
    read_listed,
)
from tsbulk_frames.client import Client
from tsbulk_frames.errors import FrameError, ProtocolError
from tsbulk_frames.stop import Stop

__all__ = ["Aspect", "Asset", "AssetFilter", "AssetsClient", "ListedAsset", "Variable"]

AssetFilter: TypeAlias = Mapping[str, object]
"""The service's filter, e.g. ``{"typeId": "acme.pump", "name": {"startsWith": "P-"}}``."""

_BASE = ("api", "assetmanagement", "v3")
_MAX_PAGES = 1000
_LIST_SIZE = 200
"""Assets of a page: the vendor's documentation names it as the most there should be."""
_WALKS = 3
"""Times a list that changes while it is read is read before it is given up."""


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

    def list_assets(
        self,
        *,
        filter: AssetFilter | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> list[ListedAsset]:
        """List the assets these credentials can see, on however many pages they come.

        Parameters
        ----------
        filter : mapping, optional
            What they have to be, in the service's own words, e.g. ``{"name": {"contains": "pump"}}``. Functions are
            ``eq``, ``in``, ``startsWith``, ``endsWith``, ``contains``, operations ``and``, ``or``, ``not``; fields,
            among others, ``name``, ``typeId``, ``hasType``, ``parentId``, ``externalId``, ``twinType``. The service
            ignores fields it does not know.
        sort : str, optional
            E.g. ``"name,desc"``. Default: the service's order, by name.
        limit : int, optional
            At most so many, the first.

        Returns
        -------
        list of ListedAsset
            Each once.

        Raises
        ------
        FrameError
            The filter is not JSON, or `limit` no count; before any request.
        ProtocolError
            The answer is no list of assets, goes in circles, or does not stay the same for as long as reading it takes.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/assetmanagement/v3/assets`` with ``page``, ``size``, ``sort``, ``filter``.
        """
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise FrameError(f"limit={limit!r} is not a count; give a positive int, or None for all assets")
        query = {"size": str(_LIST_SIZE if limit is None else min(limit, _LIST_SIZE))}
        if sort is not None:
            query["sort"] = sort
        if filter is not None:
            query["filter"] = _spell_filter(filter)
        why = ""
        for _ in range(_WALKS):
            found, why = self._walk(query, limit)
            if not why:
                return found[:limit]
        raise ProtocolError(
            f"the list of assets, read {_WALKS} times, does not hold together: {why}; ask again when nobody adds or "
            "removes assets, or for fewer of them by a filter"
        )

    def get_aspects(self, entity: str, *, stop: Stop | None = None) -> list[Aspect]:
        """Ask for the aspects of an asset, on however many pages they come.

        Parameters
        ----------
        entity : str
            Id of the asset.
        stop : Stop, optional
            Ends the request when thrown by another thread.

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
        pages = self._pages((*_BASE, "assets", entity, "aspects"), "aspects", f"the aspects of {entity!r}", stop=stop)
        return [read_aspect(expect_object(item, "an aspect")) for page, _ in pages for item in page]

    def _walk(self, query: Mapping[str, str], limit: int | None) -> tuple[list[ListedAsset], str]:
        """Read the list once; why it cannot be relied on, if so.

        Pages are counted off anew for each request: with one asset more or less in between, another is passed over.
        """
        found: dict[str, ListedAsset] = {}
        totals = []
        for page, total in self._pages((*_BASE, "assets"), "assets", "the list of assets", query):
            assets = [read_listed(expect_object(item, "an asset")) for item in page]
            new = {asset.asset_id: asset for asset in assets if asset.asset_id not in found}
            if assets and not new:
                return [], f"a page holds only assets that came before (first: {assets[0].asset_id!r})"
            found |= new
            if limit is not None and len(found) >= limit:
                return list(found.values()), ""
            totals.append(total)
        wrong = [total for total in totals if total not in (None, len(found))]
        return list(found.values()), f"{len(found)} came, totalElements={wrong[0]}" if wrong else ""

    def _pages(
        self,
        segments: Sequence[str],
        key: str,
        what: str,
        query: Mapping[str, str] | None = None,
        stop: Stop | None = None,
    ) -> Iterator[tuple[list[object], int | None]]:
        """Walk the pages of a list; with each what it says of how many elements there are altogether."""
        found: object = None
        for number in range(_MAX_PAGES):
            before = found
            asked = {**(query or {}), **({"page": str(number)} if number else {})}
            answer = self._transport.request("GET", segments, query=asked or None, stop=stop)
            body = expect_object(parse_json(answer.data, what), what)
            found = expect_object(body.get("_embedded") or {}, "_embedded").get(key) or []
            if not isinstance(found, list):
                raise ProtocolError(f"{what} are a {type(found).__name__}, not a list")
            if found and found == before:
                raise ProtocolError(
                    f"page {number} of {what} is the one before it again; ask again, and report it to the operator of "
                    "the service if it stays"
                )
            page = body.get("page")
            counts: Mapping[str, object] = page if isinstance(page, dict) else {}
            yield found, number_of(counts.get("totalElements"))
            pages = number_of(counts.get("totalPages"))
            if pages is None:  # then a full page is the only sign that there may be more
                pages = number + 2 if query and len(found) >= int(query["size"]) else 0
            if not found or number + 1 >= pages:
                return
        raise ProtocolError(f"{what} fill more than {_MAX_PAGES} pages")

    def _asset(self, entity: str) -> Asset:
        """Ask for one asset by the last part of its path."""
        answer = self._transport.request("GET", (*_BASE, "assets", entity))
        return read_asset(expect_object(parse_json(answer.data, "the asset"), "the asset"), entity)


def _spell_filter(filter: AssetFilter) -> str:
    """Spell a filter as JSON."""
    try:
        if not isinstance(filter, Mapping):
            raise TypeError(f"it is a {type(filter).__name__}")
        return json.dumps(dict(filter), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(
            f"filter={filter!r:.200} is no JSON object ({error}); give a dict like {{'name': {{'contains': 'pump'}}}}"
        ) from None
