"""The loop that has planned tasks created in WeCom (SPEC 7.5). No transaction is open while WeCom is called."""

from __future__ import annotations

from collections import defaultdict

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
    made = read_many(lambda userid: [_create(app, request) for request in by_owner[userid]], by_owner)
    answers = [answer for some in made.values.values() for answer in some if answer is not None]
    if answers:
        requests.answered(app, answers)
    return len(claims)


def _create(app: App, request: Request) -> Answer | None:
    """The call for one task, or None if it is not ours any more. Its failure is an answer, not an error."""
    if not requests.begin(app, request):
        return None
    said = request.content
    try:
        made = app.wecom.create_mass_send(MassSend(request.userid, request.recipients, said.text, said.attachments))
    except WeComFailure as failure:
        return Answer(request, failure=failure)
    return Answer(request, made=made)
