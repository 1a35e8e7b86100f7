"""The routes of `/api/v1` and what each takes: events and messages, one or many, acting once by their ref."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sopd.activity import Activity
from sopd.handlers import attribute_imports, signals
from sopd.handlers.app import App
from sopd.handlers.signals import Receipt
from sopd.incoming.conversation import Either, Message
from sopd.incoming.events import EventIn
from sopd.incoming.people import CustomerIn
from sopd.incoming.shapes import Fault, Shape
from sopd.metrics import API_REQUESTS
from sopd.store.errors import StoreBusy, Unavailable
from sopd.web.api import bodies, entrance
from sopd.web.api.document import describe, described
from sopd.web.api.problems import Problem

log = structlog.get_logger("sopd.api")

PREFIX = "/api/v1"
AT_ONCE = 4
"""So many requests work on the database at a time; the others wait without a connection."""


@dataclass(frozen=True)
class Intake:
    """One thing that can be brought: where, with which scope, in which shape, and what takes it."""

    path: str
    scope: str
    shape: type[Shape]
    summary: str
    take: Callable[[App, Sequence[Any]], dict[str, Any]]


def _events(app: App, items: Sequence[Any]) -> dict[str, Any]:
    return _told(signals.take_events(app, bodies.checked(EventIn, items)), items)


def _messages(app: App, items: Sequence[Any]) -> dict[str, Any]:
    messages, ignored = bodies.messages(items, Either())
    return _told(signals.take_messages(app, messages), items) | {"ignored": ignored}


def _customers(app: App, items: Sequence[Any]) -> dict[str, Any]:
    people = [one.person(index) for index, one in bodies.checked(CustomerIn, items)]
    with app.store.reading() as tx:
        found = attribute_imports.resolve(tx, people, clear=True, place="item")
    if found.faults:
        bodies.refuse([Fault(index, "", sentence) for index, sentence in found.faults])
    changed = 0
    for start in range(0, len(found.known), attribute_imports.BATCH):
        changed += attribute_imports.take(app, found.known[start : start + attribute_imports.BATCH])
    return _told(Receipt(len(found.known), 0, tuple(found.unknown)), items) | {"changed": changed}


INTAKES = (
    Intake("/events", "events:write", EventIn, "Bring behaviour events", _events),
    Intake("/messages", "messages:write", Message, "Bring messages between members and customers", _messages),
    Intake("/customers", "customers:write", CustomerIn, "Set attributes of customers", _customers),
)


class Api:
    """The API over one app. `take` is a whole request but for its transport, as rehearsals in one process make it."""

    def __init__(self, app: App, activity: Activity) -> None:
        self._app = app
        self._activity = activity
        self._gate = asyncio.Semaphore(AT_ONCE)

    def take(self, path: str, authorization: str | None, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        """Check the token, read the body, hand it over. Raises Problem; KeyError for a path that takes nothing."""
        intake = {one.path: one for one in INTAKES}[path]
        self._let_in(intake, authorization)
        return self._keep(intake, body)

    def _let_in(self, intake: Intake, authorization: str | None) -> None:
        entrance.let_in(self._app.store, authorization, intake.scope)

    def _keep(self, intake: Intake, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        with self._activity.unit():
            return HTTPStatus.ACCEPTED, intake.take(self._app, bodies.items_of(body))

    def add_to(self, web: FastAPI) -> None:
        """Add the routes and their part of the OpenAPI document."""
        for intake in INTAKES:
            web.add_api_route(
                PREFIX + intake.path, self._route(intake), methods=["POST"], summary=intake.summary,
                operation_id=intake.path.strip("/"), response_model=None, status_code=202,
                openapi_extra=described(intake.shape, intake.scope), tags=["intake"],
            )  # fmt: skip
        web.add_exception_handler(HTTPException, _not_found)
        describe(web)

    def _route(self, intake: Intake) -> Callable[..., Any]:
        async def route(request: Request) -> Response:
            try:
                status, answer = await self._answer(intake, request)
            except Problem as problem:
                API_REQUESTS.labels(intake.path, str(int(problem.status))).inc()
                log.info("request refused", path=intake.path, status=int(problem.status), kind=problem.kind)
                return problem.response()
            API_REQUESTS.labels(intake.path, str(int(status))).inc()
            return JSONResponse(answer, status)

        return route

    async def _answer(self, intake: Intake, request: Request) -> tuple[HTTPStatus, dict[str, Any]]:
        """Who may not come in is told so before a byte of the body is read."""
        authorization = request.headers.get("authorization")
        try:
            async with self._gate:
                await asyncio.to_thread(self._let_in, intake, authorization)
            body = await bodies.body_of(request)
            async with self._gate:
                return await asyncio.to_thread(self._keep, intake, body)
        except (Unavailable, StoreBusy):
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "not-stored", "the database does not answer, nothing was taken",
                headers={"Retry-After": "5"},
            ) from None  # fmt: skip
        except Problem:
            raise
        except Exception:  # the edge: what failed is logged, and a stranger learns nothing of it
            log.exception("request failed", path=intake.path)
            raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "nothing was taken; the log says why") from None


def _told(receipt: Receipt, items: Sequence[Any]) -> dict[str, Any]:
    """The answer; a Problem if nobody of all is known here."""
    refused = [{"index": index, "reason": reason} for index, reason in receipt.refused]
    if refused and len(refused) == len(items):
        detail = "none of the items could be taken" if len(items) > 1 else refused[0]["reason"]
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "refused", str(detail), errors=refused)
    return {"accepted": receipt.accepted, "repeated": receipt.repeated, "refused": refused}


async def _not_found(request: Request, error: Exception) -> Response:
    """Problem details below the API's path, plain text elsewhere."""
    assert isinstance(error, HTTPException)
    if not request.url.path.startswith("/api/"):
        return PlainTextResponse(error.detail, error.status_code, headers=error.headers)
    status = HTTPStatus(error.status_code)
    return Problem(status, status.phrase.lower().replace(" ", "-"), f"see {PREFIX}/openapi.json for what there is",
                   headers=error.headers).response()  # fmt: skip
