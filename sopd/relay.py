"""The loop that has planned tasks created in WeCom (SPEC 7.5). No transaction is open while WeCom is called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sopd.handlers import requests
from sopd.handlers.app import App
from sopd.handlers.requests import Answer, Request
from sopd.wecom.content import MassSend
from sopd.wecom.errors import WeComFailure
from sopd.wecom.parallel import read_many


def run_once(app: App) -> int:
    """Claim a page of due tasks, create those that may go out, and record the answers; returns how many were claimed.

    Several members at a time, but one member's tasks in their order. A process that dies on the way leaves leases
    behind; nothing is created twice.
    """
    claims = requests.lease(app)
    if not claims:
        return 0
    by_owner: defaultdict[str, list[Request]] = defaultdict(list)
    for request in requests.take(app, claims):
        by_owner[request.userid].append(request)
    answers: list[Answer] = []
    try:
        read_many(lambda userid: _create_all(app, by_owner[userid], answers), by_owner)
    finally:  # whatever broke off: a task that was made is recorded, or it would have to be looked for
        if answers:
            requests.answered(app, answers)
    return len(claims)


def _create_all(app: App, wanted: Sequence[Request], answers: list[Answer]) -> None:
    for request in wanted:
        _create(app, request, answers)


def _create(app: App, request: Request, answers: list[Answer]) -> None:
    """The call for one task, unless it is not ours any more. Its failure is an answer, not an error."""
    if not requests.begin(app, request):
        return
    said = request.content
    try:
        made = app.wecom.create_mass_send(MassSend(request.userid, request.recipients, said.text, said.attachments))
    except WeComFailure as failure:
        answers.append(Answer(request, failure=failure))
    else:
        answers.append(Answer(request, made=made))
