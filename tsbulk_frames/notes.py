"""Units and descriptions of what is read, as a frame's ``attrs`` and as metadata of Arrow fields; pure.

Said once where all entities agree; where they do not, by entity and under another name, so that nobody takes the unit
of one asset for that of another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow as pa

from tsbulk_frames.assetmodel import Aspect

__all__ = ["Notes", "notes_of"]

_Said: TypeAlias = dict[str, dict[str, str | None]]


@dataclass(frozen=True)
class Notes:
    """What the asset model says of properties.

    Attributes
    ----------
    units, descriptions : dict of str to (dict of str to str or None)
        By property, then by entity. Only properties of which some entity has one.
    aspects : dict of str to str or None
        Description of the aspect, by entity.
    """

    units: _Said = field(default_factory=dict)
    descriptions: _Said = field(default_factory=dict)
    aspects: dict[str, str | None] = field(default_factory=dict)

    def to_attrs(self) -> dict[str, object]:
        """As members of a frame's ``attrs``; all of it is JSON.

        Returns
        -------
        dict
            ``units`` and ``descriptions``: by property, of those properties of which all entities say the same.
            ``units_by_entity`` and ``descriptions_by_entity``, only if there is need: by property, then by entity, of
            the others. ``description``: of the aspect; None if it has none or if entities differ.
        """
        attrs: dict[str, object] = {}
        for name, said in (("units", self.units), ("descriptions", self.descriptions)):
            attrs[name] = {one: alike for one, by_entity in said.items() if (alike := _alike(by_entity)) is not None}
            differing = {one: dict(by_entity) for one, by_entity in said.items() if _alike(by_entity) is None}
            if differing:
                attrs[f"{name}_by_entity"] = differing
        attrs["description"] = _alike(self.aspects)
        return attrs

    def annotate(self, schema: pa.Schema) -> pa.Schema:
        """Put them into the metadata of a schema's fields.

        Returns
        -------
        pyarrow.Schema
            Keys ``unit`` and ``description`` where all entities say the same; ``unit_by_entity`` and
            ``description_by_entity``, a JSON object, where they do not. Types and order as they were.
        """
        fields = []
        for one in schema:
            notes: dict[str | bytes, str | bytes] = {}
            for key, said in (("unit", self.units), ("description", self.descriptions)):
                if one.name not in said:
                    continue
                alike = _alike(said[one.name])
                if alike is not None:
                    notes[key] = alike
                else:
                    notes[f"{key}_by_entity"] = json.dumps(said[one.name], ensure_ascii=False)
            fields.append(one.with_metadata(notes) if notes else one)
        return pa.schema(fields)


def notes_of(aspects: Mapping[str, Aspect], select: Collection[str] | None = None) -> Notes:
    """Gather what aspects say of their properties.

    Parameters
    ----------
    aspects : mapping of str to Aspect
        By entity.
    select : collection of str, optional
        The properties wanted. Default: all.
    """
    units: _Said = {}
    descriptions: _Said = {}
    for entity, aspect in aspects.items():
        for variable in aspect.variables:
            if select is None or variable.name in select:
                units.setdefault(variable.name, {})[entity] = variable.unit or None
                descriptions.setdefault(variable.name, {})[entity] = variable.description or None
    return Notes(
        units={name: said for name, said in units.items() if any(said.values())},
        descriptions={name: said for name, said in descriptions.items() if any(said.values())},
        aspects={entity: aspect.description for entity, aspect in aspects.items()},
    )


def _alike(by_entity: Mapping[str, str | None]) -> str | None:
    """Give what all say, if they say the same."""
    said = set(by_entity.values())
    return said.pop() if len(said) == 1 else None
