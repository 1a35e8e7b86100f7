"""Cards as the handlers move them: a working copy of one locked row, and what its pushes make of it (SPEC 6).

A `Card` hears events, `machines.cards` decides, `save` writes all copies of a batch with one statement, `tell` lets the
pushes hear what their cards have to say. The calls to WeCom are made by the loop of cards, between the commands of
`card_requests`, `card_updates` and `card_clicks`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from machines import cards
from machines.calendar import DAY_MS, Instant
from machines.cards import FINAL, NEEDS_OPERATOR, CardEvent, CardFacts
from machines.effects import AlertOperator, TellPushes
from machines.events import PushEvent, ResultSent
from machines.push import PushDecision, PushFacts
from sopd.handlers import pushes
from sopd.handlers.happened import NOTHING, Consequences
from sopd.store import Transaction
from sopd.store.queries import cards as queries
from sopd.store.queries import dispatches as task_queries
from sopd.store.queries.cards import CardRow, Saved
from sopd.store.queries.dispatches import Inside

CODE_MS = 3 * DAY_MS
"""How long a response code is worth a try: sources say 24 or 72 hours (WeCom 10), and one that is refused does no harm.
"""

Show = Literal["over", "later", "last"]
"""What the card is to look like next: over, put off, or with its buttons but without `later`."""


@dataclass
class Memory:
    """What a card keeps between two acts; no facts about customers.

    codes: by card number the response code with the end of its trust. show: how the card must be changed; on_card: of
    which number, None for all. ask_at: when it is handed out anew. doubted_at: the first unanswered attempt of the
    present card. tries: failed attempts in a row. asked: an earlier card is with the member.
    """

    codes: dict[str, tuple[str, Instant]] = field(default_factory=dict)
    show: Show | None = None
    on_card: int | None = None
    ask_at: Instant | None = None
    doubted_at: Instant | None = None
    tries: int = 0
    asked: bool = False

    @classmethod
    def read(cls, text: str | None) -> Memory:
        """From the row."""
        return cls(**json.loads(text)) if text else cls()

    def text(self) -> str | None:
        """For the row; None when there is nothing to remember."""
        kept = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(kept) if kept else None


@dataclass
class Card:
    """One locked card and what becomes of it. words: what its pushes are to be told, in order."""

    row: CardRow
    state: str
    reason: str | None
    act_at: Instant | None
    lease_until: Instant | None
    attempted_at: Instant | None
    msgid: str | None
    requested_at: Instant | None
    confirmed_at: Instant | None
    settled_at: Instant | None
    to_userid: str | None
    card_no: int
    memory: Memory
    words: list[PushEvent] = field(default_factory=list)
    alert: bool = False

    @classmethod
    def of(cls, row: CardRow) -> Card:
        """The working copy of a row."""
        same = {name: getattr(row, name) for name in Saved._fields if name not in ("id", "memory")}
        return cls(row=row, memory=Memory.read(row.memory), **same)

    @property
    def task_id(self) -> str:
        """WeCom's id of the present card: unique per app, told back by every click."""
        return task_id_of(self.row.id, self.card_no, self.row.send_at)

    @property
    def is_over(self) -> bool:
        """Nothing more happens to it by itself."""
        return self.state in FINAL or self.state == NEEDS_OPERATOR

    def hear(self, event: CardEvent, now: Instant) -> bool:
        """Let the machine decide; False if the event came too late to matter. The caller says when to look next."""
        facts = CardFacts(doubted=self.memory.doubted_at is not None, asked=self.memory.asked)
        decision = cards.decide(self.state, event, facts)
        if decision.ignored:
            return False
        if decision.reason or decision.state != self.state:
            self.reason = decision.reason
        self.state = decision.state
        for effect in decision.effects:
            if isinstance(effect, TellPushes):
                self.words.append(effect.event)
            elif isinstance(effect, AlertOperator):
                self.alert = True
        if self.is_over:
            self.act_at = self.lease_until = None
            self.settled_at, self.memory.ask_at = now, None
            if self.state in (cards.SETTLED, cards.CANCELLED):
                self.show("over", now)
        return True

    def keep_code(self, card_no: int, code: str, now: Instant) -> None:
        """Remember the last response code of one of its cards."""
        if code:
            self.memory.codes[str(card_no)] = (code, now + CODE_MS)

    def show(self, what: Show, now: Instant, on_card: int | None = None) -> None:
        """Have the card changed at the member, as far as there is a code for it."""
        if self.codes(now, on_card):
            self.memory.show, self.memory.on_card, self.memory.tries = what, on_card, 0
            self.look_again(now)

    def codes(self, now: Instant, on_card: int | None = None) -> dict[int, str]:
        """The response codes that are still good, by card number."""
        return {
            int(number): code
            for number, (code, until) in self.memory.codes.items()
            if now < until and on_card in (None, int(number))
        }

    def look_again(self, at: Instant | None) -> None:
        """When somebody must look at it next; the claim on it ends."""
        self.act_at, self.lease_until = at, None

    def rest(self) -> None:
        """A card at its member: until it is asked for again, or expires."""
        self.look_again(min(self.memory.ask_at or self.row.expires_at, self.row.expires_at))

    def saved(self) -> Saved:
        """The row to be written."""
        same = {name: getattr(self, name) for name in Saved._fields if name not in ("id", "memory")}
        return Saved(id=self.row.id, memory=self.memory.text(), **same)


def task_id_of(dispatch_id: int, card_no: int, send_at: Instant) -> str:
    """`send_at` keeps ids apart when a database begins anew."""
    return f"sopd-{dispatch_id}-{card_no}-{send_at // 1000}"


def lock(tx: Transaction, ids: Iterable[int]) -> list[Card]:
    """Working copies of these cards, locked. Who is going to write their pushes has locked the runs before."""
    return [Card.of(row) for row in queries.lock(tx, ids)]


def save(tx: Transaction, changed: Sequence[Card]) -> None:
    """Write what became of locked cards, with one statement."""
    if changed:
        task_queries.save(tx, [card.saved() for card in changed])


# -- its pushes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    """One push of a card and what it hears. `reason` stands for the decision's own where that says none."""

    push: Inside
    event: PushEvent
    reason: str | None = None


def words_of(changed: Iterable[Card], inside: Iterable[Inside]) -> list[Word]:
    """What the unsettled pushes of these cards hear of them."""
    by_id = {card.row.id: card for card in changed}
    return [
        Word(one, event, by_id[one.dispatch_id].reason if isinstance(event, ResultSent) else None)
        for one in inside
        for event in by_id[one.dispatch_id].words
    ]


def tell(tx: Transaction, words: Sequence[Word]) -> Consequences:
    """Let pushes of cards hear, one word each; the cards are saved already, the runs locked.

    No task of WeCom's is behind a card, so our word counts at once: `retired` in the words of `machines.push`.
    """
    told, stays, sent = [], [], []
    for word in words:
        decision = _decide(word)
        if decision.ignored:
            continue
        if decision.settled or decision.state == "waiting":
            told.append(pushes.Told(word.push, decision))
        else:
            stays.append((word.push, decision))
        if isinstance(word.event, ResultSent):
            sent.append((word.push.id, word.event.sent_at))
    if stays:
        task_queries.move(tx, [(one.id, decision.state, decision.reason) for one, decision in stays])
        for one, decision in stays:
            pushes.count(tx, one.sop_id, one.step_id, decision.state, None)
    happened = pushes.tell(tx, told)
    if sent:
        task_queries.note_sent(tx, sent)
    return happened


def _decide(word: Word) -> PushDecision:
    one = word.push
    facts = PushFacts(
        enrollment_open=one.closed_at is None,
        end_reason=one.end_reason,
        ended_at=one.stopped_at,
        task="retired",
        reason=one.reason,
    )
    decision = pushes.decide(one.state, word.event, facts)
    return decision if word.reason is None or decision.reason else replace(decision, reason=word.reason)


def settle_for_order(tx: Transaction, alarmed: Sequence[Card]) -> Consequences:
    """Nothing waits for the pushes of cards that nobody knows of (D20); the member's own word corrects them."""
    if not alarmed:
        return NOTHING
    left = task_queries.settle_for_order(tx, [card.row.id for card in alarmed])
    return Consequences(settled=frozenset(enrollment_id for _, enrollment_id, _ in left))
