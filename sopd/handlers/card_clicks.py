"""What members press on their cards (WeCom 3.5): the word that settles a reminder or a phone task, or puts it off.

`clicked` is a part, called by the inbox for a page of callbacks. A click is believed if it comes from whom the card was
handed to. It carries a response code, so whatever we know is shown to the member by it, also on a card that is over. A
phone task's outcome is a behaviour event `call` besides, so that rules may ask for it (SPEC 6).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from machines.calendar import Instant
from machines.cards import CANCELLED, NEEDS_OPERATOR, CardAnswered, CardOutcome, CardPutOff, next_morning
from machines.events import ResultSent
from machines.facts import Dependencies
from machines.reasons import PUT_OFF
from sopd.handlers import cards
from sopd.handlers.app import App
from sopd.handlers.cards import Card, Word
from sopd.handlers.happened import Consequences, News
from sopd.store import Transaction
from sopd.store.queries import cards as queries
from sopd.store.queries import dispatches as task_queries
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import signals
from sopd.store.queries.dispatches import Inside
from sopd.store.queries.enrollments import Note

TASK_ID = re.compile(r"sopd-(\d{1,18})-(\d{1,9})-(\d{1,12})")
OUTCOMES: dict[str, dict[str, CardOutcome]] = {
    "remind": {"done": "done"},
    "call": {"reached": "reached", "not_reached": "not_reached"},
}
LATER = "later"
CALL = "call"
"""The behaviour event of a phone task; its property `outcome` is reached, not_reached or later."""


@dataclass(frozen=True)
class Click:
    """A button that a member pressed; at: the event's CreateTime."""

    task_id: str
    userid: str
    key: str
    code: str = field(repr=False)
    at: Instant

    @property
    def dispatch_id(self) -> int | None:
        """The card it is about; None if the task id is none of ours."""
        found = TASK_ID.fullmatch(self.task_id)
        return None if found is None else int(found.group(1))

    @property
    def card_no(self) -> int:
        """Which of its cards."""
        found = TASK_ID.fullmatch(self.task_id)
        return 0 if found is None else int(found.group(2))


@dataclass
class _Page:
    """What a page of clicks makes necessary, gathered so that it is written with a few statements.

    words: of pushes that were given up although they had been answered. spoken: (click, push) of phone tasks. notes:
    for the journals of runs whose card was put off.
    """

    now: Instant
    words: list[Word] = field(default_factory=list)
    spoken: list[tuple[Click, Inside]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def clicked(tx: Transaction, app: App, clicks: Sequence[Click]) -> Consequences:
    """Let cards hear what was pressed, in the order in which it was; returns what follows for the runs."""
    by_card: dict[int, list[Click]] = {}
    for click in sorted(clicks, key=lambda click: click.at):
        if click.dispatch_id is not None:
            by_card.setdefault(click.dispatch_id, []).append(click)
    task_queries.lock_runs(tx, by_card)
    found = cards.lock(tx, by_card)
    alarmed = [card.row.id for card in found if card.state == NEEDS_OPERATOR]
    inside = _by_card([*task_queries.inside(tx, by_card), *(task_queries.doubted(tx, alarmed) if alarmed else ())])
    given_up = _by_card(task_queries.given_up(tx, [card.row.id for card in found if card.state == CANCELLED]))
    programs = app.programs.all(tx, [card.row.version_id for card in found])
    page = _Page(tx.now)
    for card in found:
        mine = inside.get(card.row.id, [])
        morning = next_morning(tx.now, programs[card.row.version_id].timetable)
        for click in by_card[card.row.id]:
            if _is_true(card, click):
                _hear(page, card, click, mine, given_up.get(card.row.id, ()), morning)
        page.words += cards.words_of([card], mine)
    cards.save(tx, found)
    news = _say(tx, app, page)
    run_queries.journal(tx, page.notes)
    tx.after_commit(partial(app.ring, "cards"))
    return cards.tell(tx, page.words) + Consequences(news=news)


def _by_card(rows: Sequence[Inside]) -> dict[int, list[Inside]]:
    found: dict[int, list[Inside]] = {}
    for one in rows:
        found.setdefault(one.dispatch_id, []).append(one)
    return found


def _is_true(card: Card, click: Click) -> bool:
    """One of its cards, and handed to this member, whose id WeCom may write in another case."""
    numbers = range(1, card.card_no + 1)
    known = {cards.task_id_of(card.row.id, number, card.row.send_at) for number in numbers}
    return click.task_id in known and (card.to_userid or "").casefold() == click.userid.casefold()


def _hear(
    page: _Page, card: Card, click: Click, mine: Sequence[Inside], given_up: Sequence[Inside], morning: Instant
) -> None:
    """One click. What is over takes no word any more, but for pushes that had been answered before they ended."""
    at, outcome = min(click.at, page.now), OUTCOMES[card.row.channel].get(click.key)
    if outcome is None and click.key != LATER:
        return
    card.keep_code(click.card_no, click.code, page.now)
    spoken = mine
    if outcome is not None and card.hear(CardAnswered(outcome, at), page.now):
        card.confirmed_at = at
    elif card.is_over:
        card.show("over", page.now, click.card_no)
        spoken = [one for one in given_up if outcome is not None and _came_first(card, one, at)]
        page.words += [Word(one, ResultSent(at)) for one in spoken]
    else:
        _put_off(page, card, click, mine, morning)
    if card.row.channel == CALL:
        page.spoken += [(click, one) for one in spoken]


def _came_first(card: Card, one: Inside, at: Instant) -> bool:
    """The inbox is not always read at once."""
    if one.state == "cancelled":
        return one.stopped_at is not None and at <= one.stopped_at
    return at < card.row.expires_at


def _put_off(page: _Page, card: Card, click: Click, mine: Sequence[Inside], morning: Instant) -> None:
    """Asked again in the morning, if one is left; else the card stays, without the button."""
    if morning >= card.row.expires_at:
        card.show("last", page.now, click.card_no)
        return
    if card.hear(CardPutOff(), page.now):
        card.memory.ask_at, card.memory.asked, card.memory.doubted_at = morning, True, None
        card.requested_at = card.requested_at or page.now
        card.rest()
        card.show("later", page.now, click.card_no)
        detail = json.dumps({"task": card.row.id, "until": morning})
        page.notes += [Note(one.enrollment_id, "wait", reason=PUT_OFF, detail=detail) for one in mine]


def _say(tx: Transaction, app: App, page: _Page) -> tuple[News, ...]:
    """The outcomes of phone tasks as events; a callback that is replayed says nothing new.

    They are told at once, so that a rule hears of the outcome before the run it ends comes to its normal end by the
    very same word; unless an earlier signal of the customer waits, for these are told in their order.
    """
    if not page.spoken:
        return ()
    about = queries.customers_of(tx, [one.id for _, one in page.spoken])
    rows = {}
    for click, one in page.spoken:
        customer_id, relation_id = about[one.id]
        ref = click.task_id if click.key != LATER else f"{click.task_id}/{LATER}"
        rows[ref] = {
            "ref": ref, "kind": signals.EVENT, "name": CALL, "customer_id": customer_id, "relation_id": relation_id,
            "at": min(click.at, tx.now), "received_at": tx.now,
            "properties": json.dumps({"outcome": click.key, "step": one.step_id}),
        }  # fmt: skip
    told = signals.next_of(tx, signals.insert(tx, list(rows.values())))
    signals.set_handled(tx, [one.id for one in told])
    tx.after_commit(partial(app.ring, "signals"))
    touched = Dependencies(events=frozenset((CALL,)))
    return tuple(
        News(one.customer_id, touched, f"event {CALL}", event=one.fact, signal_id=one.id) for one in told
    )
