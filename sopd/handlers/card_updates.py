"""Cards that are with their members: closed, asked for again, repeated, changed (SPEC 6, D11, D22, D23).

Commands of the loop of cards. `claim` looks at due ones and says what is to be called; `updated` records what became of
changes. Who leaves a card is judged by how things are, not by what was said when it was marked: runs that ended, a
pause, 免打扰, the expiry. A change that cannot be made is given up: the card then merely looks open, and a click on it
brings a new code and the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from machines.calendar import Instant
from machines.cards import CANCELLED, FINAL, HANDED, HANDING, SETTLED, UNSURE, DoubtOver, may_repeat
from machines.events import Doubtful, Emptied, ExpireDue, PushCancelled, PushEvent, PushReturned, TaskRefused
from machines.reasons import ENROLLMENT_ENDED, MUTED, OPERATOR, SOP_PAUSED
from machines.sop import Program
from sopd.errors import Refused
from sopd.handlers import card_requests, card_words, cards, dispatches, refusals
from sopd.handlers.app import App
from sopd.handlers.card_requests import LEASE_MS, MOST_CARDS, Request
from sopd.handlers.cards import Card, Word
from sopd.handlers.consequences import follow
from sopd.store import Transaction
from sopd.store.batch import in_halves
from sopd.store.queries import cards as queries
from sopd.store.queries import dispatches as task_queries
from sopd.store.queries import sops
from sopd.store.queries.dispatches import Inside
from sopd.wecom.errors import WeComFailure
from sopd.wecom.notices import ButtonNotice

MOST_TRIES = 6
"""So often a change is tried when its answer is lost or WeCom is busy."""


@dataclass(frozen=True)
class Update:
    """A card to be changed now: for each of its numbers the code, and what it is to show."""

    dispatch_id: int
    claim: int
    userid: str
    show: str
    changes: tuple[tuple[int, str, str | ButtonNotice], ...] = field(repr=False)


@dataclass(frozen=True)
class Updated:
    """What became of it: the numbers that are changed, or never will be, and why one could not be changed yet."""

    update: Update
    done: frozenset[int]
    failure: WeComFailure | None = None


@dataclass
class Due:
    """What is to be called for: cards to be handed over (again), and cards to be changed. `looked_at`: how many."""

    requests: list[Request] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    looked_at: int = 0


def claim(app: App) -> Due:
    """Look at a page of due cards that are no longer planned."""
    with app.store.transaction() as tx:
        states = (HANDING, UNSURE, HANDED, SETTLED, CANCELLED)
        claims = queries.lease(tx, states, limit=MOST_CARDS, lease_ms=LEASE_MS)
    done = in_halves(sorted(claims), partial(_look, app, claims), partial(dispatches.set_aside, app))
    return Due(
        [one for due in done.results for one in due.requests],
        [one for due in done.results for one in due.updates],
        len(claims),
    )


def _look(app: App, claims: Mapping[int, int], ids: Sequence[int]) -> Due:
    with app.store.transaction() as tx:
        states = sops.states(tx)
        queries.lock_members(tx, card_requests.addressees(tx, app, ids).values())
        task_queries.lock_runs(tx, ids)
        found = [card for card in cards.lock(tx, ids) if card.row.attempts == claims[card.row.id]]
        programs = app.programs.all(tx, [card.row.version_id for card in found])
        inside: dict[int, list[Inside]] = {}
        for one in task_queries.inside(tx, [card.row.id for card in found]):
            inside.setdefault(one.dispatch_id, []).append(one)
        words: list[Word] = []
        for card in found:
            words += _judge(card, inside.get(card.row.id, []), states[card.row.sop_id], tx.now)
        again = [card for card in found if _goes_out_now(card, programs[card.row.version_id], tx.now)]
        for card in found:
            if card.memory.show is not None:  # the change is made under the claim at hand
                card.act_at = card.lease_until = tx.now + LEASE_MS
        cards.save(tx, [card for card in found if card not in again])
        happened = cards.tell(tx, words)
        follow(tx, app, happened + cards.settle_for_order(tx, [card for card in found if card.alert]))
        requests = card_requests.hand_over(tx, app, again) if again else []
        return Due(requests, _updates(tx, app, [card for card in found if card not in again], programs))


def withdraw(tx: Transaction, app: App, dispatch_id: int) -> tuple[str, int]:
    """An operator takes a card back that is out; its runs are locked. Returns its state and how many it was for.

    Raises Refused while nobody knows whether the member has it.
    """
    card = cards.lock(tx, [dispatch_id])[0]
    if card.state != HANDED:
        raise Refused(f"card {dispatch_id} is being handed over, or WeCom's answer was lost", "try again in a while")
    inside = task_queries.inside(tx, [dispatch_id])
    card.hear(Emptied(), tx.now)
    card.reason = OPERATOR
    cards.save(tx, [card])
    follow(tx, app, cards.tell(tx, [Word(one, PushCancelled(OPERATOR)) for one in inside]))
    tx.after_commit(partial(app.ring, "cards"))
    return card.state, len(inside)


# -- what has become of it ---------------------------------------------------------------------------------------------


def _judge(card: Card, mine: Sequence[Inside], sop_state: str, now: Instant) -> list[Word]:
    """Let the card hear what the clock and its customers' runs have to say; returns what its pushes hear."""
    if card.state == HANDING:
        _lost(card, now)
    elif card.state == UNSURE:
        since = card.memory.doubted_at or now
        if now >= card.row.expires_at:
            card.hear(ExpireDue(), now)
        elif not may_repeat(since, now):
            card.hear(DoubtOver(), now)
    elif card.state == HANDED:
        return _close(card, mine, sop_state, now)
    return []


def _lost(card: Card, now: Instant) -> None:
    """Its lease ran out. The instant of an attempt is written before its call: without one there was none."""
    attempted_at = card.row.attempted_at
    if attempted_at is None:
        card.hear(TaskRefused("not_created"), now)
    else:
        card.hear(Doubtful(), now)
        card.memory.doubted_at = card.memory.doubted_at or attempted_at
    if card.state == HANDED:
        card.memory.ask_at = now
    card.look_again(now)


def _close(card: Card, mine: Sequence[Inside], sop_state: str, now: Instant) -> list[Word]:
    leaving = {one.id: event for one in mine if (event := _why_it_leaves(one, sop_state)) is not None}
    words = [Word(one, leaving[one.id]) for one in mine if one.id in leaving]
    staying = [one for one in mine if one.id not in leaving]
    if not staying:
        card.hear(Emptied(), now)
    elif now >= card.row.expires_at:
        card.hear(ExpireDue(), now)
        words += cards.words_of([card], staying)
    return words


def _why_it_leaves(one: Inside, sop_state: str) -> PushEvent | None:
    if one.closed_at is not None:
        return PushCancelled(one.end_reason or ENROLLMENT_ENDED)
    if sop_state == "paused":
        return PushReturned(SOP_PAUSED)
    return PushCancelled(MUTED) if one.is_muted else None


def _goes_out_now(card: Card, program: Program, now: Instant) -> bool:
    """Whether it is handed over now: the same once more, or a new one after `later`. Else it is told when to look."""
    if card.memory.show is not None:
        return False
    if card.state in FINAL:
        card.look_again(None)
        return False
    timetable = program.timetable
    if card.state == UNSURE:  # the first call may have had no effect: the member must not be woken by the second
        quiet_until = timetable.quiet.end_after(now, timetable.zone)
        card.look_again(min(quiet_until, card.row.expires_at))
        return quiet_until <= now
    if card.state != HANDED:
        return False
    ask_at = card.memory.ask_at
    if ask_at is not None and ask_at <= now:
        ask_at = card.memory.ask_at = timetable.quiet.end_after(ask_at if ask_at > now else now, timetable.zone)
    card.rest()
    return ask_at is not None and ask_at <= now


# -- how it looks ------------------------------------------------------------------------------------------------------


def _updates(tx: Transaction, app: App, found: Sequence[Card], programs: Mapping[int, Program]) -> list[Update]:
    shown = [card for card in found if card.memory.show is not None and not card.alert]
    said = card_requests.said_of(tx, app, [card for card in shown if card.memory.show == "last"])
    updates = []
    for card in shown:
        language = app.company.language
        what: str | ButtonNotice
        if card.memory.show == "later" and card.memory.ask_at is not None:
            what = card_words.put_off(card.memory.ask_at, app.company.zone, language)
        elif card.memory.show == "last":
            number = card.memory.on_card or card.card_no
            task_id = cards.task_id_of(card.row.id, number, card.row.send_at)
            what = said[card.row.id].card(task_id, may_wait=False)
        else:
            what = card_words.over(card.state, card.reason, card.row.channel, language)
        changes = [(number, code, what) for number, code in card.codes(tx.now, card.memory.on_card).items()]
        show = f"{card.memory.show}/{card.memory.on_card}"
        updates.append(Update(card.row.id, card.row.attempts, card.to_userid or "", show, tuple(changes)))
    return updates


def updated(app: App, outcomes: Sequence[Updated]) -> None:
    """Record what became of a page of changes. Codes that were used, or are refused, are forgotten."""
    in_halves(outcomes, partial(_updated, app), lambda one, why: dispatches.set_aside(app, one.update.dispatch_id, why))


def _updated(app: App, outcomes: Sequence[Updated]) -> None:
    by_id = {one.update.dispatch_id: one for one in outcomes}
    with app.store.transaction() as tx:
        found = cards.lock(tx, by_id)
        for card in found:
            _note(card, by_id[card.row.id], tx.now)
        cards.save(tx, found)


def _note(card: Card, outcome: Updated, now: Instant) -> None:
    """A click that came meanwhile has brought other codes, and may want another look: those stay."""
    memory, update = card.memory, outcome.update
    for number, code, _ in update.changes:
        if number in outcome.done and memory.codes.get(str(number), ("", 0))[0] == code:
            del memory.codes[str(number)]
    if f"{memory.show}/{memory.on_card}" != update.show or card.row.attempts != update.claim:
        return
    memory.tries = memory.tries + 1 if outcome.failure is not None else 0
    if outcome.failure is not None and memory.tries < MOST_TRIES:
        card.look_again(refusals.next_try_at(outcome.failure, memory.tries, f"card/{card.row.id}", now))
        return
    memory.show, memory.on_card, memory.tries = None, None, 0
    if card.state == HANDED:
        card.rest()
    else:
        card.look_again(None)

