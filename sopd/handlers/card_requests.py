"""From planned card to a card at its member: claim, check once more, hand over, record (SPEC 6, 7.5).

Commands of the loop of cards: `lease`, `take`, then per card `begin` and the call, then `answered`. What is checked is
what is checked of a task (`sending_checks`). A card for few customers becomes one for each, so that variables are
filled in and each can be answered alone; a phone task is always for one. A lost answer is repeated with the very same
card under WeCom's duplicate check (`machines.cards`), and members get no more at once than WeCom delivers.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from machines.calendar import HOUR_MS, MINUTE_MS, SECOND_MS, Instant
from machines.cards import DUPLICATE_CHECK_MS, HANDED, HANDING, PLANNED, UNSURE, CardEvent, next_morning
from machines.events import Claimed, Created, Throttled
from machines.reasons import PACE
from machines.sop import Program
from sopd.handlers import cards, dispatches, refusals, sending_checks
from sopd.handlers.app import App
from sopd.handlers.card_words import SINGLE_CARDS, Person, Said
from sopd.handlers.cards import Card
from sopd.handlers.consequences import follow
from sopd.store import Transaction
from sopd.store.batch import in_halves
from sopd.store.queries import cards as queries
from sopd.store.queries import dispatches as task_queries
from sopd.store.queries.cards import CardRow
from sopd.wecom.errors import WeComFailure
from sopd.wecom.notices import ButtonNotice, Receipt

LEASE_MS = 60 * SECOND_MS
MOST_CARDS = 50
PER_MINUTE, PER_HOUR = 20, 800
"""Cards to one member: WeCom drops without a word what exceeds 30 and 1,000 (WeCom 1.3), and others send too."""
ONCE_IN_MS = DUPLICATE_CHECK_MS
NUMBERS_USED = frozenset({42014, 42015, 42016, 42017, 42018})
"""What WeCom may answer to a task id that it knows already (WeCom 9)."""


@dataclass(frozen=True)
class Request:
    """A card to be handed over now. `claim` is the number of our claim on it."""

    dispatch_id: int
    claim: int
    card_no: int
    userid: str
    notice: ButtonNotice


@dataclass(frozen=True)
class Answer:
    """What came of one request: a receipt, or why there is none."""

    request: Request
    receipt: Receipt | None = None
    failure: WeComFailure | None = None


def lease(app: App) -> dict[int, int]:
    """Claim planned cards whose moment has come: the claim's number by card. They stay planned until taken."""
    with app.store.transaction() as tx:
        return queries.lease(tx, (PLANNED,), limit=MOST_CARDS, lease_ms=LEASE_MS)


def superiors_wanted(app: App, claims: Mapping[int, int]) -> dict[str, list[int]]:
    """The cards that are for supervisors, by owner: WeCom is asked who that is before they are taken."""
    wanted: defaultdict[str, list[int]] = defaultdict(list)
    with app.store.reading() as tx:
        rows = queries.read(tx, claims)
        programs = app.programs.all(tx, [row.version_id for row in rows])
        for row in rows:
            if _assigned(programs[row.version_id], row) == "supervisor":
                wanted[row.owner].append(row.id)
    return wanted


def know_superiors(app: App, told: Sequence[tuple[str, str, str | None]]) -> None:
    """Write (userid, name, supervisor) as WeCom tells them."""
    if told:
        with app.store.transaction() as tx:
            queries.set_supervisors(tx, sorted(told))


def take(app: App, claims: Mapping[int, int]) -> list[Request]:
    """Check everything once more, split what is for few, and move to `handing` what is to be handed over now."""
    done = in_halves(sorted(claims), partial(_take, app, claims), partial(dispatches.set_aside, app))
    at_end = [run_id for _, ended in done.results for run_id in ended]
    if at_end:
        sending_checks.end_runs(app, at_end)
    return [request for requests, _ in done.results for request in requests]


def _take(app: App, claims: Mapping[int, int], ids: Sequence[int]) -> tuple[list[Request], list[int]]:
    with app.store.transaction() as tx:
        queries.lock_members(tx, addressees(tx, app, ids).values())
        runs = task_queries.lock_runs(tx, ids)
        tasks = [
            task
            for task in dispatches.lock(tx, ids)
            if task.state == PLANNED and task.row.attempts == claims[task.row.id]
        ]
        checked = sending_checks.check(tx, app, tasks, runs, lease_ms=LEASE_MS, only_judge=True)
        follow(tx, app, checked.happened)
        ready = [task.row.id for task in checked.sending]
        new = _split(tx, cards.lock(tx, ready), {one: [push.id for push in checked.left[one]] for one in ready})
        return hand_over(tx, app, cards.lock(tx, [*ready, *new])), checked.at_end


def _split(tx: Transaction, found: Sequence[Card], inside: Mapping[int, Sequence[int]]) -> list[int]:
    """A card of its own for each customer: of phone tasks, and of reminders for few. Returns the new cards."""
    apart = [
        (card, push_id)
        for card in found
        if card.row.channel == "call" or len(inside[card.row.id]) <= SINGLE_CARDS
        for push_id in inside[card.row.id][1:]
    ]
    if not apart:
        return []
    alike: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for card_id, likeness in queries.split(tx, [_twin(card) for card, _ in apart]):
        alike[likeness].append(card_id)
    moved = [(push_id, alike[_likeness(card)].pop()) for card, push_id in apart]
    queries.part(tx, moved, sorted({(card.row.id, 1) for card, _ in apart}))
    return [card_id for _, card_id in moved]


def _likeness(card: Card) -> tuple[object, ...]:
    return tuple(getattr(card.row, name) for name in queries.LIKENESS)


def _twin(card: Card) -> dict[str, object]:
    names = (*queries.LIKENESS, "sop_id", "content_hash")
    return {name: getattr(card.row, name) for name in names} | {"act_at": card.row.send_at, "size": 1}


# -- whose turn it is --------------------------------------------------------------------------------------------------


def addressees(tx: Transaction, app: App, ids: Iterable[int]) -> dict[int, str]:
    """Who is to get each of these cards, by card; they need not be locked."""
    rows = queries.read(tx, ids)
    programs = app.programs.all(tx, [row.version_id for row in rows])
    return {row.id: _addressee(programs[row.version_id], row) for row in rows}


def _assigned(program: Program, row: CardRow) -> str:
    """`owner`, `supervisor` or `member:ID`; what became a card for want of quota goes to the owner."""
    return program.step(row.step_id).written.assign or "owner"


def _addressee(program: Program, row: CardRow) -> str:
    """A supervisor nobody knows of is the owner himself: somebody must do it."""
    assigned = _assigned(program, row)
    if assigned.startswith("member:"):
        return assigned.removeprefix("member:")
    return row.supervisor or row.owner if assigned == "supervisor" else row.owner


def hand_over(tx: Transaction, app: App, found: Sequence[Card]) -> list[Request]:
    """Move locked cards to `handing`, who waited longest first; those above their member's pace are due later."""
    programs = app.programs.all(tx, [card.row.version_id for card in found])
    to = {card.row.id: _addressee(programs[card.row.version_id], card.row) for card in found}
    paces = _Paces(tx, to.values())
    taken = []
    for card in sorted(found, key=lambda card: (card.row.send_at, card.row.id)):
        later = paces.next_at(to[card.row.id])
        if later is not None:
            card.reason = card.reason or PACE
            card.look_again(min(later, max(card.row.expires_at, tx.now)))
            continue
        if card.card_no == 0 or card.state == HANDED:
            card.card_no += 1
        card.to_userid, card.attempted_at, card.memory.ask_at = to[card.row.id], None, None
        card.hear(Claimed(), tx.now)
        card.act_at = card.lease_until = tx.now + LEASE_MS
        taken.append(card)
    cards.save(tx, found)
    said = said_of(tx, app, taken)
    return [_request(programs[card.row.version_id], card, said[card.row.id], tx.now) for card in taken]


def _request(program: Program, card: Card, said: Said, now: Instant) -> Request:
    notice = said.card(card.task_id, may_wait=next_morning(now, program.timetable) < card.row.expires_at)
    return Request(card.row.id, card.row.attempts, card.card_no, card.to_userid or "", notice)


def said_of(tx: Transaction, app: App, found: Sequence[Card]) -> dict[int, Said]:
    """What these cards say, by card."""
    programs = app.programs.all(tx, [card.row.version_id for card in found])
    people: defaultdict[int, list[Person]] = defaultdict(list)
    for one in queries.about(tx, [card.row.id for card in found]):
        people[one.dispatch_id].append(Person.of(one.name, one.external_userid, one.attributes))
    return {
        card.row.id: Said(
            step=(program := programs[card.row.version_id]).step(card.row.step_id),
            channel=card.row.channel,
            title=program.title,
            people=tuple(people[card.row.id]),
            owner=card.row.owner_name or card.row.owner,
            is_owner=card.to_userid == card.row.owner,
            until=card.row.expires_at,
            zone=app.company.zone,
            language=app.company.language,
        )
        for card in found
    }


class _Paces:
    """When each member was handed cards within the last hour; the members are locked."""

    def __init__(self, tx: Transaction, userids: Iterable[str]) -> None:
        self._now = tx.now
        self._handed: defaultdict[str, list[Instant]] = defaultdict(list)
        for userid, at in queries.handed_since(tx, userids, tx.now - HOUR_MS):
            insort(self._handed[userid], at)

    def next_at(self, userid: str) -> Instant | None:
        """Count one more card now, or say when there is room for it."""
        handed = self._handed[userid]
        in_minute = len(handed) - bisect_right(handed, self._now - MINUTE_MS)
        if len(handed) >= PER_HOUR:
            return handed[-PER_HOUR] + HOUR_MS
        if in_minute >= PER_MINUTE:
            return handed[-PER_MINUTE] + MINUTE_MS
        insort(handed, self._now)
        return None


# -- the call ----------------------------------------------------------------------------------------------------------


def begin(app: App, request: Request) -> bool:
    """Note that the call is about to be made and hold the card as long as it may take; False if it is not ours now."""
    with app.store.transaction() as tx:
        return task_queries.begin_attempt(tx, request.dispatch_id, request.claim, HANDING, LEASE_MS)


def answered(app: App, answers: Sequence[Answer]) -> None:
    """Record what came of a page of requests, in one transaction."""
    in_halves(answers, partial(_answered, app), partial(_set_aside, app))


def _set_aside(app: App, answer: Answer, reason: str) -> None:
    dispatches.set_aside(app, answer.request.dispatch_id, reason)


def _answered(app: App, answers: Sequence[Answer]) -> None:
    by_id = {answer.request.dispatch_id: answer for answer in answers}
    with app.store.transaction() as tx:
        task_queries.lock_runs(tx, by_id)
        found = cards.lock(tx, by_id)
        for card in found:
            _hear(card, by_id[card.row.id], tx.now)
        cards.save(tx, found)
        told = cards.words_of(found, task_queries.inside(tx, [card.row.id for card in found if card.words]))
        happened = cards.tell(tx, told)
        follow(tx, app, happened + cards.settle_for_order(tx, [card for card in found if card.alert]))
        tx.after_commit(partial(app.ring, "cards"))


def _hear(card: Card, answer: Answer, now: Instant) -> None:
    """Let the card hear its answer. A card that is there is never forgotten; other news of an old claim is."""
    request, receipt = answer.request, answer.receipt
    if receipt is not None:
        card.keep_code(request.card_no, receipt.response_code, now)
        if card.is_over:
            card.show("over", now)
    elif card.state != HANDING or card.row.attempts != request.claim:
        return
    if request.card_no == card.card_no and card.hear(_event(card, answer), now):
        _go_on(card, answer, now)


def _event(card: Card, answer: Answer) -> CardEvent:
    failure = answer.failure
    if answer.receipt is not None:
        return Created(answer.receipt.msgid)
    if failure is None:
        return Throttled()
    if card.memory.doubted_at is not None and refusals.errcode_of(failure) in NUMBERS_USED:
        return Created("")  # WeCom knows this task id: the attempt that got no answer has worked
    return refusals.of_card(failure)


def _go_on(card: Card, answer: Answer, now: Instant) -> None:
    """When to look next, whatever it has become."""
    memory = card.memory
    if answer.receipt is not None or (card.state == HANDED and memory.doubted_at is not None):
        card.msgid = answer.receipt.msgid if answer.receipt is not None else card.msgid
        card.requested_at = card.requested_at or now
        memory.asked, memory.doubted_at, memory.tries = True, None, 0
        card.rest()
        if card.row.stop_at is not None:
            card.look_again(now)  # somebody left while it was being handed over
        return
    if card.is_over or answer.failure is None:
        return
    memory.tries += 1
    again = refusals.next_try_at(answer.failure, memory.tries, f"card/{card.row.id}", now)
    if card.state == UNSURE:
        memory.doubted_at = memory.doubted_at or card.row.attempted_at or now
    elif card.state == HANDED:
        memory.ask_at = again
    card.look_again(min(again, max(card.row.expires_at, now)))
