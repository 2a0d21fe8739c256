"""Finding out what there is: the assets of a tenant, and what their aspects hold; floor 7.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import pandas as pd
import pyarrow as pa

from tsbulk_frames.assetmodel import Aspect, Asset, ListedAsset, Variable
from tsbulk_frames.assets import AssetFilter
from tsbulk_frames.connection import Connection, use_connection
from tsbulk_frames.errors import FrameError
from tsbulk_frames.frames import to_frame
from tsbulk_frames.kinds import TIME_TYPE
from tsbulk_frames.model import TIME, parse_moment
from tsbulk_frames.request import check_entities
from tsbulk_frames.schema import arrow_type

__all__ = ["describe", "list_assets"]

_ASSET_COLUMNS = [one.name for one in fields(ListedAsset)]
_PROPERTY_DTYPES = {
    "aspect": "string",
    "category": "string",
    "property": "string",
    "data_type": "string",
    "unit": "string",
    "length": "Int64",
    "quality_code": "bool",
    "dtype": "string",
    "description": "string",
    "aspect_description": "string",
}


def list_assets(
    *,
    name: str | None = None,
    type_id: str | None = None,
    filter: AssetFilter | None = None,
    limit: int | None = None,
    connection: Connection | None = None,
) -> pd.DataFrame:
    """List the assets that these credentials can see, as a DataFrame.

    Parameters
    ----------
    name : str, optional
        Only assets whose name has this in it.
    type_id : str, optional
        Only assets of exactly this type. With its descendants: ``filter={"hasType": type_id}``.
    filter : dict, optional
        What the assets have to be besides, in the service's own words: ``{"parentId": "…"}``,
        ``{"name": {"startsWith": "P-"}}``, ``{"twinType": "simulation"}``; see `AssetsClient.list_assets`.
    limit : int, optional
        At most so many, the first by name. Default: all.
    connection : Connection, optional
        Default: the one made from the environment.

    Returns
    -------
    pandas.DataFrame, shape (n_assets, 9)
        In the service's order, by name: ``asset_id`` (the *entity* of all other calls), ``name``, ``type_id``,
        ``twin_type`` (``"performance"`` is imported by days, ``"simulation"`` by hours; missing where the service does
        not say), ``parent_id``, ``external_id``, ``description``, ``timezone``, all ``string``; ``deleted``,
        ``datetime64[ns, UTC]``, missing for those that live. The same columns and types for 0 rows.

    Raises
    ------
    FrameError
        An argument cannot be used; before any request.
    ProtocolError
        The answer is no list of assets, or changes faster than it can be read.
    AuthError, ThrottledError, ServiceError, TransportError
        The service refused, or could not be reached within the retry budget.

    Notes
    -----
    Source: ``GET /api/assetmanagement/v3/assets``, on as many pages as it takes.

    Examples
    --------
    >>> import tsbulk_frames as tsb
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", name="Feed pump", aspects={"flow": {"rate": "DOUBLE"}})
    ...     assets = tsb.list_assets(name="pump", connection=con)
    >>> assets[["asset_id", "name", "twin_type"]].values.tolist()
    [['pump-1', 'Feed pump', 'performance']]
    """
    rules: dict[str, object] = {}
    for argument, value, key, function in (("name", name, "name", "contains"), ("type_id", type_id, "typeId", "eq")):
        given: object = value
        if given is None:
            continue
        if not isinstance(given, str) or not given:
            raise FrameError(f"{argument}={given!r} is no text to look for; give a str, or None")
        if isinstance(filter, Mapping) and key in filter:
            raise FrameError(f"{argument}= and filter[{key!r}] are both given; give one of both")
        rules[key] = {function: given}
    if isinstance(filter, Mapping | None):  # else the client says what is wrong with it
        filter = {**rules, **(filter or {})} or None
    found = use_connection(connection).assets.list_assets(filter=filter, limit=limit)
    frame = pd.DataFrame([[getattr(one, name) for name in _ASSET_COLUMNS] for one in found], columns=_ASSET_COLUMNS)
    deleted = pd.Series([_moment(one.deleted) for one in found], dtype="datetime64[ns, UTC]")
    return frame.drop(columns="deleted").astype("string").assign(deleted=deleted)


def describe(entity: str | Sequence[str], *, connection: Connection | None = None) -> pd.DataFrame:
    """Describe what an asset holds: a row a property of each of its aspects.

    Parameters
    ----------
    entity : str or sequence of str
        The asset. Several: all are asked side by side, and the row index is ``entity``.
    connection : Connection, optional
        Default: the one made from the environment.

    Returns
    -------
    pandas.DataFrame, shape (n_properties, 10)
        ``aspect`` (the *property set* of all other calls), ``category`` (``"dynamic"`` aspects have a history,
        ``"static"`` ones have none to read), ``property``, ``data_type`` (``BOOLEAN``, ``INT``, ``LONG``, ``DOUBLE``,
        ``STRING``, ``BIG_STRING``, ``TIMESTAMP``), ``unit``, ``length`` (longest text; ``Int64``), ``quality_code``
        (whether ``<property>_qc`` comes with it; ``bool``), ``dtype``, ``description``, ``aspect_description``.
        ``dtype`` is what `iter_timeseries` gives where every record has a value, else its nullable kin
        (`tsbulk_frames.howto.read`); `read_timeseries` goes by the values themselves. The published asset model has
        units and lengths of properties and descriptions of aspects, but none of properties: these are missing unless
        the service sends some. ``attrs`` hold ``entity``, ``name`` and ``twin_type``; for several entities the
        latter two are dicts by entity.

    Raises
    ------
    FrameError
        `entity` is no text, or no list of different ones; before any request.
    NotFoundError
        There is no such asset.
    ProtocolError
        The answer is not what the contract says.
    AuthError, ThrottledError, ServiceError, TransportError
        The service refused, or could not be reached within the retry budget.

    Notes
    -----
    Source: ``GET /api/assetmanagement/v3/assets/{id}`` and ``…/assets/{id}/aspects``.

    Examples
    --------
    >>> import tsbulk_frames as tsb
    >>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
    ...     sandbox.add_asset("pump-1", aspects={"flow": {"rate": "DOUBLE", "state": "STRING"}}, quality_codes=False)
    ...     known = tsb.describe("pump-1", connection=con)
    >>> known[["aspect", "property", "data_type", "quality_code"]].values.tolist()
    [['flow', 'rate', 'DOUBLE', False], ['flow', 'state', 'STRING', False]]
    >>> known.attrs["twin_type"]
    'performance'
    """
    several, entities = check_entities(entity)
    con = use_connection(connection)

    def ask(one: str) -> tuple[Asset, list[Aspect]]:
        return con.assets.get_asset(one), con.assets.get_aspects(one)

    pool = ThreadPoolExecutor(min(con.config.max_workers, len(entities)), thread_name_prefix="tsbulk-describe")
    try:
        answers = list(pool.map(ask, entities))
    finally:
        pool.shutdown(cancel_futures=True)
    rows, owners = [], []
    for one, (_, aspects) in zip(entities, answers, strict=True):
        for aspect in aspects:
            rows += [_row(aspect, variable) for variable in aspect.variables]
            owners += [one] * len(aspect.variables)
    frame = pd.DataFrame(rows, columns=list(_PROPERTY_DTYPES)).astype(_PROPERTY_DTYPES)
    names = {one: asset.name for one, (asset, _) in zip(entities, answers, strict=True)}
    twins = {one: asset.twin_type.value for one, (asset, _) in zip(entities, answers, strict=True)}
    if several:
        frame.index = pd.Index(owners, dtype="string", name="entity")
        frame.attrs = {"entity": entities, "name": names, "twin_type": twins}
    else:
        frame.attrs = {"entity": entity, "name": names[entities[0]], "twin_type": twins[entities[0]]}
    return frame


def _moment(text: str | None) -> pd.Timestamp | None:
    """When something was; nothing where the service's text is no time."""
    try:
        return None if text is None else pd.Timestamp(parse_moment(text, "deleted"), unit="ns", tz="UTC")
    except FrameError:
        return None


def _row(aspect: Aspect, variable: Variable) -> list[object]:
    """Tell of one property."""
    return [
        aspect.name,
        aspect.category,
        variable.name,
        variable.data_type,
        variable.unit or None,
        variable.length,
        variable.quality_code,
        None if aspect.category == "static" else _dtype(variable),
        variable.description,
        aspect.description,
    ]


def _dtype(variable: Variable) -> str:
    """Name the pandas type of a column without gaps, as reading itself has it."""
    table = pa.table({TIME: pa.array([], TIME_TYPE), "property": pa.array([], arrow_type(variable))})
    return str(to_frame(table).dtypes["property"])
