"""Behaviour events as they are pushed or imported: one shape for HTTP, JSON lines and tables (SPEC 4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from sopd.incoming.identities import KEYS, Identity, named
from sopd.incoming.shapes import Arrival, Moment, Name, Values

MOST_PROPERTIES = 50

WHO = {
    "description": "Which customer: an external_userid, or an object with exactly one of the keys.",
    "oneOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {key: {"type": "string"} for key in KEYS},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ],
}

Who = Annotated[Identity, BeforeValidator(named), WithJsonSchema(WHO)]


class EventIn(Arrival):
    """Something a customer did. The same `ref` a second time changes nothing."""

    name: Annotated[Name, Field(description="What happened, as rules call it: order_paid")]
    customer: Who
    at: Annotated[Moment | None, Field(description="When it happened; left out: now")] = None
    properties: Annotated[
        Values, Field(max_length=MOST_PROPERTIES, description="Texts, numbers, true or false, by name")
    ] = Field(default_factory=dict)
