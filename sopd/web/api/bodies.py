"""From the bytes of a request to checked items: one object or a list of them, all faults told at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

from starlette.requests import Request

from sopd.incoming.conversation import Adapter, Ignored, Message
from sopd.incoming.shapes import MOST_FAULTS, Fault, Shape, read
from sopd.web.api.problems import Problem

MOST_BYTES = 1024 * 1024
MOST_ITEMS = 1000

S = TypeVar("S", bound=Shape)


async def body_of(request: Request) -> bytes:
    """The body; a Problem as soon as it proves too large, or is not said to be JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not-json", "send application/json")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise _too_much("too-large", f"a body has at most {MOST_BYTES} bytes; send less at once")
        parts.append(part)
    return b"".join(parts)


def items_of(body: bytes) -> list[Any]:
    """One object as a list of one, or the list; a Problem for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "not-json", "the body is not JSON in UTF-8") from None
    items = found if isinstance(found, list) else [found]
    if len(items) > MOST_ITEMS:
        raise _too_much("too-many", f"a list has at most {MOST_ITEMS} items, this one {len(items)}")
    return items


def checked(shape: type[S], items: Sequence[Any]) -> list[tuple[int, S]]:
    """Every item with its index. A Problem that names every fault if there is one: then nothing is taken."""
    found = read(shape, items)
    if found.faults:
        refuse(found.faults)
    return found.items


def messages(items: Sequence[Any], adapter: Adapter) -> tuple[list[tuple[int, Message]], int]:
    """(messages with their index, how many records were ignored)."""
    said: list[Any] = []
    places: list[int] = []
    faults: list[Fault] = []
    ignored = 0
    for index, item in enumerate(items):
        try:
            said.append(adapter.message(item) if isinstance(item, dict) else item)
            places.append(index)
        except Ignored:
            ignored += 1
        except ValueError as fault:
            faults.append(Fault(index, "", str(fault)))
    found = read(Message, said)
    faults += [fault._replace(index=places[fault.index]) for fault in found.faults]
    if faults:
        refuse(faults)
    return [(places[index], message) for index, message in found.items], ignored


def _too_much(kind: str, detail: str) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, kind, detail)


def refuse(faults: Sequence[Fault]) -> NoReturn:
    """The body was understood, and something in it is wrong."""
    told = [{"index": one.index, "field": one.field, "reason": one.sentence} for one in sorted(faults)[:MOST_FAULTS]]
    more = f"; the first {MOST_FAULTS} are told" if len(faults) > MOST_FAULTS else ""
    detail = f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in the body, nothing was taken{more}"
    raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, errors=told)
