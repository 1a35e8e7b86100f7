"""Entries that news bring about, and what is watched of those outside (SPEC 4). A part of `consequences.follow`.

Only nurture SOPs whose entry rule mentions what happened are looked at, and only for the customers it happened to. The
rule is judged by level; of events only the one at hand counts. Early-end conditions never let anybody in.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence, Set
from dataclasses import replace

from machines.facts import Dependencies
from sopd.handlers import entries
from sopd.handlers.app import App
from sopd.handlers.catalogue import Catalogue, RunningSop
from sopd.handlers.happened import NOTHING, Consequences, Left, News
from sopd.handlers.touches import Touch, Touched
from sopd.handlers.wishes import Wish
from sopd.store import Transaction
from sopd.store.queries import flips


def enter(
    tx: Transaction,
    app: App,
    catalogue: Catalogue,
    happened: Touched,
    left: Sequence[Left],
) -> Consequences:
    """Let in whom these news bring to a gate; judge once more the entry rules of those who have just left.

    Returns what follows: the news that somebody is inside, or no longer, of SOPs that some rule asks about.
    """
    wishes = list(_wishes(catalogue, happened))
    _, following = entries.enter(tx, app, wishes) if wishes else ([], NOTHING)
    judged = {(wish.sop_id, wish.customer_id) for wish in wishes}
    _watch(tx, catalogue, left, judged)
    return following + Consequences(news=tuple(_ended(catalogue, left)))


def _wishes(catalogue: Catalogue, happened: Touched) -> Iterator[Wish]:
    known: dict[Hashable, list[int]] = {}  # much of a page is alike
    for customer_id, touches in happened.items():
        meeting: dict[int, list[Touch]] = {}
        for _, one in touches:
            like = one.touched.topics if one.only is None else one.only
            gates = known.get(like)
            if gates is None:
                gates = known[like] = _gates(catalogue, one)
            for sop_id in gates:
                meeting.setdefault(sop_id, []).append(one)
        for sop_id, news in meeting.items():
            yield _wish(catalogue.live[sop_id], customer_id, news)


def _gates(catalogue: Catalogue, one: Touch) -> list[int]:
    """The SOPs to which this may bring somebody."""
    if one.only is None:
        return [sop.sop_id for sop in catalogue.entering(one.topics)]
    sop = catalogue.live.get(one.only.sop_id)
    is_meant = one.only.purpose == flips.ENTRY and sop is not None and sop.kind == "nurture"
    return [one.only.sop_id] if is_meant else []


def _wish(sop: RunningSop, customer_id: int, news: Sequence[Touch]) -> Wish:
    """The event at hand is what let somebody in, if the rule asks for it."""
    asked = sop.program.entry_needs.events
    event = next((one.event for one in news if one.event is not None and one.event.name in asked), None)
    return Wish(
        sop.sop_id, customer_id, "own", "rule" if event is None else f"event:{event.name}", event=event,
        signal_id=next((one.signal_id for one in news if one.signal_id is not None), None), chain=news[0].cause,
    )  # fmt: skip


def _watch(tx: Transaction, catalogue: Catalogue, left: Sequence[Left], judged: Set[tuple[int, int]]) -> None:
    """Whoever may come again is judged right at the end, without any event: the rule may be false from then on.

    `judged`: (SOP, customer) of those who have been judged just now.
    """
    again = [
        Wish(run.sop_id, run.customer_id, "own", "rule")
        for one in left
        if (sop := catalogue.live.get(one.sop_id)) is not None and _may_return(sop)
        for run in one.runs
        if (run.sop_id, run.customer_id) not in judged
    ]
    if again:
        entries.watch(tx, entries.judge(tx, catalogue, again))


def _may_return(sop: RunningSop) -> bool:
    program = sop.program
    return sop.kind == "nurture" and program.entry_rule is not None and program.reenter.mode != "never"


def _ended(catalogue: Catalogue, left: Sequence[Left]) -> Iterator[News]:
    for one in left:
        key = catalogue.keys[one.sop_id]
        if key in catalogue.asked:
            touched = Dependencies(sops=frozenset((key,)))
            for run in one.runs:
                yield News(run.customer_id, touched, f"left {key}", cause=replace(one.cause, run=run.id))
