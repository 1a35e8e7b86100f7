"""The API's part of the OpenAPI document: bodies from the shapes that check them, problems, the bearer token."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sopd.incoming.shapes import Shape
from sopd.web.api import problems
from sopd.web.api.bodies import MOST_BYTES, MOST_ITEMS

_RECEIPT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "accepted": {"type": "integer", "description": "New, and stored"},
        "repeated": {"type": "integer", "description": "Known by their ref; nothing was changed"},
        "changed": {"type": "integer", "description": "Customers of whom something is different now"},
        "ignored": {"type": "integer", "description": "Archive records of groups, recalls or robots"},
        "refused": {
            "type": "array",
            "description": "The others were taken",
            "items": {
                "type": "object",
                "properties": {"index": {"type": "integer"}, "reason": {"type": "string"}},
            },
        },
    },
}
_REFUSALS = {
    "400": "The body is not JSON", "401": "No token, or one that opens nothing", "403": "The token lacks the scope",
    "413": f"More than {MOST_BYTES} bytes or {MOST_ITEMS} items", "415": "Not application/json",
    "422": "Faults in the body, each with its place; nothing was taken",
    "503": "The database does not answer: try again",
}  # fmt: skip


def described(shape: type[Shape], scope: str) -> dict[str, Any]:
    """What a route that takes one or many of this shape says of itself."""
    one = shape.model_json_schema(by_alias=True)
    return {
        "description": f"One object, or a list of at most {MOST_ITEMS}. Scope: `{scope}`.",
        "security": [{"bearer": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [one, {"type": "array", "maxItems": MOST_ITEMS, "items": one}]}
                }
            },
        },
        "responses": {
            "202": {"description": "Stored; rules see it at once, or within a second", "content": _json(_RECEIPT)},
            **{
                code: {"description": text, "content": {problems.MEDIA_TYPE: {"schema": problems.SCHEMA}}}
                for code, text in _REFUSALS.items()
            },
        },
    }


def describe(web: FastAPI) -> None:
    """Let the application's document say how a token is sent."""

    def document() -> dict[str, Any]:
        if web.openapi_schema is None:
            made = get_openapi(title=web.title, version=web.version, routes=web.routes, description=web.description)
            schemes = made.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["bearer"] = {"type": "http", "scheme": "bearer", "description": "Made by `sopd token create`"}
            web.openapi_schema = made
        return web.openapi_schema

    web.openapi = document  # type: ignore[method-assign]


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
