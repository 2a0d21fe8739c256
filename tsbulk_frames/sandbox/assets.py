"""Asset management over HTTP: ``/api/assetmanagement/v3``, the little that clients of the other services need."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tsbulk_frames.sandbox.assetlist import page_of, parse_filter, parse_order
from tsbulk_frames.sandbox.bodies import parse_json, read_body
from tsbulk_frames.sandbox.refusals import Refusal
from tsbulk_frames.sandbox.registry import PROPERTY_KEYS, build_asset

if TYPE_CHECKING:
    from tsbulk_frames.sandbox.model import Aspect, Asset, State

__all__ = ["routes"]

_BASE = "/api/assetmanagement/v3"
_TYPE = "sandbox."
_MAX_BODY = 1_000_000


def routes(state: State, tenant: str) -> list[Route]:
    """Routes of asset management."""
    service = _AssetService(state, tenant)
    return [
        Route(_BASE + "/assets", service.listing, methods=["GET"]),
        Route(_BASE + "/assets", service.create, methods=["POST"]),
        Route(_BASE + "/assets/root", service.root, methods=["GET"]),
        Route(_BASE + "/assets/{id}", service.asset, methods=["GET"]),
        Route(_BASE + "/assets/{id}/aspects", service.aspects, methods=["GET"]),
        Route(_BASE + "/assettypes/{id}", service.asset_type, methods=["GET"]),
    ]


class _AssetService:
    """The handlers, over what they may touch."""

    def __init__(self, state: State, tenant: str) -> None:
        self._state = state
        self._tenant = tenant
        self._root_id = hashlib.sha256(tenant.encode()).hexdigest()[:32]

    async def root(self, _: Request) -> Response:
        """Answer the asset above all others: it stands for the tenant and has no data."""
        root = {"assetId": self._root_id, "name": self._tenant, "typeId": "core.basicroot", "twinType": "performance"}
        return JSONResponse({**root, "etag": 0, "parentId": None, "aspects": [], "tenantId": self._tenant})

    async def asset(self, request: Request) -> Response:
        """Answer one asset."""
        asset = self._existing(request.path_params["id"])
        return JSONResponse(self._asset_body(asset), headers={"ETag": f'"{asset.etag}"'})

    async def aspects(self, request: Request) -> Response:
        """Answer the aspects of one asset with their variables, paged."""
        asset, query = self._existing(request.path_params["id"]), request.query_params
        under = self._state.rules.variables_under
        found = [_aspect_body(aspect, asset, under) for aspect in asset.aspects.values()]
        ordered = parse_order(query.getlist("sort"))(found)
        return JSONResponse(page_of(ordered, query, "aspects", self._state.rules.max_list_size))

    async def asset_type(self, request: Request) -> Response:
        """Answer the type of an asset: each has one of its own here; its aspects show when exploded."""
        type_id: str = request.path_params["id"]
        asset = self._existing(type_id.removeprefix(_TYPE), f"asset type {type_id!r}")
        body: dict[str, Any] = {"id": type_id, "name": asset.name, "etag": asset.etag, "instantiable": True}
        exploded = request.query_params.get("exploded", "").lower() == "true"
        body["aspects"] = [_aspect_body(a, asset, "aspectType") for a in asset.aspects.values()] if exploded else []
        return JSONResponse(body)

    async def listing(self, request: Request) -> Response:
        """Answer the assets that a filter lets through, ordered and paged."""
        query = request.query_params
        wanted = parse_filter(query["filter"]) if query.get("filter") else None
        bodies = [self._asset_body(asset) for asset in self._state.assets.all()]
        found = [body for body in bodies if wanted is None or wanted(body)]
        ordered = parse_order(query.getlist("sort"))(found)
        return JSONResponse(page_of(ordered, query, "assets", self._state.rules.max_list_size))

    async def create(self, request: Request) -> Response:
        """Make a new asset known."""
        body = await read_body(request, min(_MAX_BODY, self._state.rules.max_body_bytes))
        try:
            document = parse_json(body)
        except ValueError as error:
            raise Refusal(400, f"the body is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise Refusal(400, f"the body must be a JSON object, not a {type(document).__name__}")
        asset = await run_in_threadpool(self._add, document)
        headers = {"ETag": f'"{asset.etag}"', "Location": f"{request.base_url}{_BASE[1:]}/assets/{asset.asset_id}"}
        return JSONResponse(self._asset_body(asset), 201, headers)

    def _add(self, document: dict[str, Any]) -> Asset:
        """Asset of a request: its aspects are listed, or come from a type, which is that of another asset."""
        name, asset_id = document.get("name"), document.get("assetId", uuid.uuid4().hex)
        if not isinstance(name, str) or not name or not isinstance(asset_id, str):
            raise Refusal(400, "an asset needs a 'name', and its 'assetId', if given, must be text")
        if self._state.assets.get(asset_id) is not None or asset_id in (self._root_id, "root"):
            raise Refusal(409, f"there is an asset {asset_id!r} already")
        inherited = self._state.assets.get(str(document.get("typeId", "")).removeprefix(_TYPE))
        try:
            aspects, descriptions = _wanted_aspects(document.get("aspects", []))
            asset = build_asset(
                asset_id,
                name=name,
                twin_type=document.get("twinType", "performance"),
                aspects=aspects,
                description=document.get("description") or "",
                descriptions=descriptions,
            )
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        if inherited is not None:
            asset = replace(asset, aspects={**inherited.aspects, **asset.aspects})
        self._state.assets.add(asset, series=self._state.series)
        return asset

    def _existing(self, asset_id: str, what: str | None = None) -> Asset:
        """Find the asset, which must exist."""
        asset = self._state.assets.get(asset_id)
        if asset is None:
            raise Refusal(404, f"there is no {what or f'asset {asset_id!r}'}")
        return asset

    def _asset_body(self, asset: Asset) -> dict[str, Any]:
        """Spell an asset as the service does."""
        return {
            "assetId": asset.asset_id,
            "tenantId": self._tenant,
            "name": asset.name,
            "description": asset.description,
            "externalId": None,
            "typeId": _TYPE + asset.asset_id,
            "parentId": self._root_id,
            "twinType": asset.twin_type,
            "etag": asset.etag,
            "timezone": "UTC",
            "deleted": None,
            "aspects": [{"name": name, "variables": []} for name in asset.aspects],
        }


def _aspect_body(aspect: Aspect, asset: Asset, under: str) -> dict[str, Any]:
    """Spell an aspect, its variables where this variant of the service has them."""
    variables = [
        {
            "name": variable.name,
            "dataType": variable.data_type,
            "unit": variable.unit,
            "qualityCode": variable.quality_code,
            "length": variable.length,
            "searchable": True,
        }
        for variable in aspect.variables.values()
    ]
    known = {"name": aspect.name, "category": aspect.category, "description": aspect.description}
    body: dict[str, Any] = {**known, "holderAssetId": asset.asset_id}
    type_id = f"{_TYPE}{asset.asset_id}.{aspect.name}"
    if under == "variables":
        return {**body, "aspectTypeId": type_id, "variables": variables}
    return {**body, "aspectType": {"id": type_id, **known, "variables": variables}}


def _wanted_aspects(given: object) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Aspects of a request, and what describes them: ``{name: {property: dataType}}``, or ``[{name, variables}]``.

    Raises
    ------
    ValueError
        Neither.
    """
    if isinstance(given, dict) and all(isinstance(properties, dict) for properties in given.values()):
        return given, {}
    if not isinstance(given, list) or not all(isinstance(aspect, dict) for aspect in given):
        raise ValueError("'aspects' must be a list of {name, variables: [{name, dataType}]}")
    try:
        texts = {aspect["name"]: aspect["description"] for aspect in given if aspect.get("description")}
        return {aspect["name"]: {v["name"]: _given(v) for v in aspect.get("variables", [])} for aspect in given}, texts
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("'aspects' must be a list of {name, variables: [{name, dataType}]}") from error


def _given(variable: dict[str, Any]) -> dict[str, Any]:
    """Take from a variable of a request what is kept of it, where it says something."""
    return {key: variable[key] for key in PROPERTY_KEYS if variable.get(key) is not None}
