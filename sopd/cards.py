"""The loop of cards: hands them to members, asks again, and changes those that are over (SPEC 6: remind, call).

No transaction is open while WeCom is called. One member's cards go out in their order, several members' at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

from sopd.handlers import card_requests, card_updates, refusals
from sopd.handlers.app import App
from sopd.handlers.card_requests import Answer, Request
from sopd.handlers.card_updates import Update, Updated
from sopd.wecom.errors import WeComFailure
from sopd.wecom.parallel import read_many


def run_once(app: App) -> int:
    """Look at a page of due cards, planned or out; returns how many. Nothing is handed over twice (WeCom 5.7)."""
    claims = card_requests.lease(app)
    requests = _take(app, claims) if claims else []
    due = card_updates.claim(app)
    _hand_over(app, [*requests, *due.requests])
    if due.updates:
        card_updates.updated(app, list(read_many(partial(_update, app), due.updates).values.values()))
    return len(claims) + due.looked_at


def _take(app: App, claims: Mapping[int, int]) -> list[Request]:
    """Before they are taken, WeCom is asked who the supervisors are whom some of them are for.

    Where it cannot say now, the claim is left to run out: a minute later the card is due again.
    """
    wanted = card_requests.superiors_wanted(app, claims)
    if not wanted:
        return card_requests.take(app, claims)
    asked = read_many(app.wecom.member, wanted)
    card_requests.know_superiors(
        app,
        [
            (owner, member.name, next((one for one in member.direct_leaders if one != owner), None))
            for owner, member in asked.values.items()
        ],
    )
    unsaid = [owner for owner, failure in asked.failures.items() if not refusals.is_final(failure)]
    left = {card_id for owner in unsaid for card_id in wanted[owner]}
    return card_requests.take(app, {card_id: claim for card_id, claim in claims.items() if card_id not in left})


def _hand_over(app: App, requests: Sequence[Request]) -> None:
    by_member: defaultdict[str, list[Request]] = defaultdict(list)
    for request in requests:
        by_member[request.userid].append(request)
    answers: list[Answer] = []
    try:
        read_many(lambda userid: _call_all(app, by_member[userid], answers), by_member)
    finally:  # whatever broke off: a card that was handed over is recorded
        if answers:
            card_requests.answered(app, answers)


def _call_all(app: App, requests: Sequence[Request], answers: list[Answer]) -> None:
    for request in requests:
        if not card_requests.begin(app, request):
            continue
        try:
            receipt = app.wecom.send_app_message([request.userid], request.notice, once_in_ms=card_requests.ONCE_IN_MS)
        except WeComFailure as failure:
            answers.append(Answer(request, failure=failure))
        else:
            answers.append(Answer(request, receipt))


def _update(app: App, update: Update) -> Updated:
    """One call for each code. What is refused for good counts as done: the code is of no use any more."""
    done: set[int] = set()
    for number, code, shown in update.changes:
        try:
            app.wecom.update_card(update.userid, code, shown)
        except WeComFailure as failure:
            if not refusals.is_final(failure):
                return Updated(update, frozenset(done), failure)
        done.add(number)
    return Updated(update, frozenset(done))
