"""The JSON Schema of a SOP, for editors, and what it says about one place of a definition, for faults."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from machines.sop import Sop

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@lru_cache(maxsize=1)
def json_schema() -> dict[str, Any]:
    """The schema of a SOP file (draft 2020-12). It knows shapes and limits, not contradictions between two values."""
    schema = Sop.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, "title": "sopd SOP definition", **{k: v for k, v in schema.items() if k != "title"}}


def allowed_keys(where: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys a mapping may have at this place: a pydantic location, `<Block>` parts included. Empty if any."""
    places = [json_schema()]
    for part in where:
        places = _deeper(places, part)
    return tuple(dict.fromkeys(key for place in places for key in place.get("properties", ())))


def _deeper(places: list[dict[str, Any]], part: str | int) -> list[dict[str, Any]]:
    if isinstance(part, str) and part.startswith("<"):
        block = json_schema()["$defs"].get(part.strip("<>"))
        return [block] if block else places
    found = [deeper for place in places for deeper in _inside(place, part)]
    return [flat for place in found for flat in _flat(place)] or places


def _inside(place: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(part, str) and part in place.get("properties", {}):
        yield place["properties"][part]
    elif isinstance(part, int) and "items" in place:
        yield place["items"]
    elif isinstance(place.get("additionalProperties"), dict):
        yield place["additionalProperties"]


def _flat(place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The place itself, or what it refers to, or each of its alternatives."""
    if "$ref" in place:
        yield from _flat(json_schema()["$defs"][place["$ref"].rpartition("/")[2]])
    alternatives = [*place.get("anyOf", ()), *place.get("oneOf", ())]
    for alternative in alternatives:
        yield from _flat(alternative)
    if "$ref" not in place and not alternatives:
        yield place
