"""The one way into a SOP: through its own gate, by a flow, or by hand (SPEC 4).

A part, inside the caller's transaction, for any number of wishes over any SOPs: everything is loaded at once, judged by
`machines.entry` once per group of like subjects, and written with a fixed number of statements. Who is not let in and
why is one row per SOP, subject and reason. With each judgement of an own gate it is remembered that the rule was false
since the last run, and when time alone changes it next. New customers come through `admission`, which calls here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, reduce
from operator import or_
from types import MappingProxyType

from machines import entry, reasons
from machines.calendar import Instant
from machines.entry import Admission, EntryFacts
from machines.facts import Dependencies, Facts
from machines.rules import flips_at
from machines.sop import Program
from sopd.handlers import entries_refusing, entries_writing, facts, schedule
from sopd.handlers.app import App
from sopd.handlers.catalogue import Catalogue, RunningSop
from sopd.handlers.entries_writing import Entrants, Person
from sopd.handlers.facts import Known
from sopd.handlers.happened import NOTHING, Consequences
from sopd.handlers.owners import Owner
from sopd.handlers.welcomes import Begun
from sopd.handlers.wishes import Entered, Judged, Wish
from sopd.store import Transaction
from sopd.store.queries import entries as queries
from sopd.store.queries import flips, locks
from sopd.store.queries.entries import LastRun
from sopd.store.queries.flips import Armed

INHERITED_ADD_WAY = 202


def enter(
    tx: Transaction,
    app: App,
    wishes: Sequence[Wish],
    *,
    dry: bool = False,
    as_running: bool = False,
    begun: Mapping[int, Begun] | None = None,
    catalogue: Catalogue | None = None,
) -> tuple[list[Entered], Consequences]:
    """Judge wishes and let in whom nothing speaks against: (what became of each, in their order; what follows).

    `dry` judges only and writes nothing. `as_running` takes a paused SOP for a running one (the admission of a resume).
    `begun`: new relations by id, with their welcome codes. `catalogue`: if the caller holds it already.
    """
    if not wishes:
        return [], NOTHING
    catalogue = catalogue or app.programs.catalogue(tx, holding=not dry)
    if not dry:  # else what changes for one of them meanwhile would find neither the run nor her outside
        locks.customers(tx, (wish.customer_id for wish in wishes))
    judged = judge(tx, catalogue, wishes, as_running=as_running, begun=begun or {})
    if dry:
        return [Entered(one.wish, None, one.admission.reason) for one in judged], NOTHING
    entries_refusing.refuse(tx, [one for one in judged if one.admission.recorded])
    entering = _entrants([one for one in judged if one.admission.enter])
    made = entries_writing.write(tx, app, entering, begun or {})
    watch(tx, judged)
    news = entries_writing.news(catalogue.asked, entering, made)
    return [_entered(one, made) for one in judged], Consequences(news=news)


def judge(
    tx: Transaction,
    catalogue: Catalogue,
    wishes: Sequence[Wish],
    *,
    as_running: bool = False,
    begun: Mapping[int, Begun] = MappingProxyType({}),
) -> list[Judged]:
    """Judge every wish on the facts of this moment; nothing is written. Of two for one place the first counts."""
    live = [(wish, catalogue.live[wish.sop_id]) for wish in wishes if wish.sop_id in catalogue.live]
    known, last = _load(tx, live, begun)
    like: dict[Hashable, Admission] = {}
    judged: list[Judged] = []
    taken: set[tuple[int, int]] = set()
    for wish in wishes:
        sop = catalogue.live.get(wish.sop_id)
        if sop is None:
            judged.append(_of_no_use(catalogue, wish))
            continue
        one = _judge(known, last, sop, wish, tx.now, as_running, like)
        place = (sop.sop_id, one.subject_id)
        if place in taken:
            one = one._replace(admission=Admission(False, reasons.INSIDE))
        elif one.admission.enter:
            taken.add(place)
        judged.append(one)
    return judged


def is_plain(program: Program) -> bool:
    """Whether the gate and what a run counts from look at nothing but plain facts: then like people are let in alike.
    """
    return program.gate_needs.is_plain and program.anchor_attribute is None


def watch(tx: Transaction, judged: Iterable[Judged]) -> None:
    """Remember of those outside that the rule has been false since their last run, and when time changes it next."""
    judged = [one for one in judged if one.sop is not None and one.sop.kind == "nurture"]
    queries.set_rule_false(tx, [one.last.id for one in judged if one.last is not None and _was_false(one)])
    flips.arm(tx, [armed for one in judged if (armed := _armed(one, tx.now)) is not None])


# -- judging -----------------------------------------------------------------------------------------------------------


def _load(
    tx: Transaction, live: Sequence[tuple[Wish, RunningSop]], begun: Mapping[int, Begun]
) -> tuple[Known, dict[tuple[int, int], LastRun]]:
    programs = {sop.sop_id: sop.program for _, sop in live}.values()
    needs = reduce(or_, [program.gate_needs for program in programs], Dependencies())
    by_tags = any(program.owner == "tagged_by" for program in programs)
    meant = {wish.relation_id: begun[wish.relation_id] for wish, _ in live if wish.relation_id in begun}
    known = facts.of_customers(
        tx, {wish.customer_id for wish, _ in live}, needs, by_tags=by_tags, people=True, made=_made(tx, meant.values())
    )
    # What this very transaction has made has no run behind it.
    made = {relation_id for relation_id, one in meant.items() if one.is_made}
    subjects = [
        _subject(sop.kind, wish) for wish, sop in live if sop.kind != "new_customer" or wish.relation_id not in made
    ]
    return known, queries.last_runs(tx, [sop.sop_id for _, sop in live], subjects) if subjects else {}


def _made(tx: Transaction, begun: Iterable[Begun]) -> dict[int, tuple[Owner, ...]]:
    """The new relations of customers that are new themselves: nobody has to ask the store about these."""
    found: dict[int, tuple[Owner, ...]] = {}
    for one in begun:
        if one.is_made and one.customer_id in tx.new:
            made = Owner(
                one.relation_id, one.customer_id, one.member_id, one.userid, one.able, "active", one.channel,
                one.add_way, one.began_at, None, tx.now, one.tags,
            )  # fmt: skip
            found[one.customer_id] = (*found.get(one.customer_id, ()), made)
    return found


def _subject(kind: str | None, wish: Wish) -> int:
    """A relation nobody knows is no subject."""
    return (wish.relation_id or 0) if kind == "new_customer" else wish.customer_id


def _of_no_use(catalogue: Catalogue, wish: Wish) -> Judged:
    """A SOP that takes nobody: draft or ended."""
    state = catalogue.states.get(wish.sop_id)
    reason = reasons.NOT_STARTED if state == "draft" else reasons.SOP_ENDED
    subject_id = _subject(catalogue.kinds.get(wish.sop_id), wish)
    return Judged(wish, None, subject_id, Admission(False, reason, recorded=wish.gate != "own"))


def _judge(
    known: Known,
    last: Mapping[tuple[int, int], LastRun],
    sop: RunningSop,
    wish: Wish,
    now: Instant,
    as_running: bool,
    like: dict[Hashable, Admission],
) -> Judged:
    """`like` remembers what was said of others: of plain facts only a few differ, and whoever is alike is let in alike.
    """
    program, subject_id = sop.program, _subject(sop.kind, wish)
    past = last.get((sop.sop_id, subject_id))
    if wish.gate == "own" and sop.kind != "new_customer" and past is not None and past.ended_at is None:
        return Judged(wish, sop, subject_id, Admission(False, reasons.INSIDE), last=past)
    owner = _owner(known, program, wish)
    about = None if wish.event is None and is_plain(program) else _about(known, program, wish, owner)
    entered_at = _entered_at(program, wish, owner, now)
    anchor_at = _anchor(program, wish, owner, about, entered_at)
    state = "running" if as_running and sop.state == "paused" else sop.state
    is_new = owner is not None and entry.is_new(owner.began_at, sop.started_at)
    muted = wish.customer_id in known.muted
    key = (
        None
        if about is not None or past is not None
        else (sop.sop_id, wish.gate, wish.chain, is_new, muted, known.like(program, wish.customer_id, owner))
    )
    admission = like.get(key)
    if admission is None:
        rules = (about or _about(known, program, wish, owner)).restricted_to(program.gate_needs)
        admission = _admit(program, EntryFacts(
            about=rules,
            gate=wish.gate,
            sop_state=state,
            is_new=is_new,
            is_inherited=owner is not None and owner.add_way == INHERITED_ADD_WAY,
            in_scope=owner is not None and program.in_scope(owner.userid),
            muted=muted,
            member_able=owner is None or owner.able,
            inside=past is not None and past.ended_at is None,
            ran_before=past is not None,
            wait_over=past is None or past.ended_at is None or entry.wait_is_over(program, past.ended_at, now),
            rule_was_false=past is None or past.rule_false_at is not None,
            has_anchor=anchor_at is not None,
            hops=wish.chain.hop,
            entered_in_chain=sop.sop_id in wish.chain.chain,
        ))  # fmt: skip
        if wish.gate != "own" and not admission.enter and not admission.recorded:
            admission = replace(admission, recorded=True)
        if key is not None:
            like[key] = admission
    return Judged(wish, sop, subject_id, admission, owner, about, past, anchor_at or 0, entered_at, True)


def _about(known: Known, program: Program, wish: Wish, owner: Owner | None) -> Facts:
    """The exact facts; of events the one at hand counts."""
    about = known.of(program, wish.customer_id, None if owner is None else owner.relation_id)
    return about if wish.event is None else replace(about, events=(wish.event,))


@lru_cache(maxsize=8192)
def _admit(program: Program, facts: EntryFacts) -> Admission:
    return entry.admit(program, facts)


def _owner(known: Known, program: Program, wish: Wish) -> Owner | None:
    """Who acts: of a new-customer SOP the subject itself, as long as it is active."""
    if program.kind != "new_customer":
        return known.owner(program, wish.customer_id, prefer=wish.relation_id)
    mine = None if wish.relation_id is None else known.by_id.get(wish.relation_id)
    return mine if mine is not None and mine.state == "active" else None


def _entered_at(program: Program, wish: Wish, owner: Owner | None, now: Instant) -> Instant:
    if wish.entered_at is not None:
        return wish.entered_at
    return owner.began_at if owner is not None and program.kind == "new_customer" and wish.gate == "own" else now


def _anchor(
    program: Program, wish: Wish, owner: Owner | None, about: Facts | None, entered_at: Instant
) -> Instant | None:
    began_at = None if owner is None else owner.began_at
    if program.kind == "new_customer" and began_at is not None:
        return began_at
    named = program.anchor_attribute
    attribute = None if named is None or about is None else about.attribute(named)
    event_at = None if wish.event is None else wish.event.at
    return schedule.anchor_of(program, entered_at, began_at=began_at, event_at=event_at, attribute=attribute)


# -- what is remembered of those outside -------------------------------------------------------------------------------


def _was_false(one: Judged) -> bool:
    """Only whoever may come again needs it."""
    assert one.sop is not None
    last = one.last
    closed = last is not None and last.ended_at is not None and last.rule_false_at is None
    return closed and one.rule is False and one.sop.program.reenter.mode != "never"


def _armed(one: Judged, now: Instant) -> Armed | None:
    """The next instant at which the entry rule is to be looked at by itself; None: there never is one for this SOP."""
    assert one.sop is not None
    program = one.sop.program
    timed = program.entry_needs.time
    if not (timed or program.reenter.mode == "after") or not one.looked:
        return None
    at = _look_again_at(one, program, timed, now)
    return Armed(flips.ENTRY, one.sop.sop_id, one.subject_id, one.wish.customer_id, at)


def _look_again_at(one: Judged, program: Program, timed: bool, now: Instant) -> Instant | None:
    reason = one.admission.reason
    if one.admission.enter or one.owner is None or reason in (reasons.INSIDE, reasons.NEVER_AGAIN):
        return None
    if one.last is not None and program.reenter.mode == "never":
        return None
    found = []
    last = one.last
    if reason == reasons.TOO_SOON and last is not None and last.ended_at is not None and last.rule_false_at is not None:
        found.append(last.ended_at + program.reenter.after_ms)
    if timed and program.entry_rule is not None and one.about is not None:
        # The event at hand is over with this judgement: what time does to it concerns nobody.
        flip = flips_at(program.entry_rule, replace(one.about, events=()), now)
        found += [] if flip is None else [flip]
    return min(found, default=None)


# -- writing -----------------------------------------------------------------------------------------------------------


def _entrants(judged: Iterable[Judged]) -> list[Entrants]:
    """Those together who enter a SOP by the same word."""
    groups: dict[Hashable, Entrants] = {}
    for one in judged:
        assert one.sop is not None
        wish, run_no = one.wish, 1 if one.last is None else one.last.run_no + 1
        inherited, chain = one.admission.inherited, wish.chain
        like = (
            one.sop.sop_id, wish.cause, wish.gate, run_no, inherited, chain, wish.signal_id, wish.who, wish.why
        )  # fmt: skip
        if like not in groups:
            groups[like] = Entrants(
                one.sop, wish.cause, wish.gate, run_no, inherited, chain.hop, (*chain.chain, one.sop.sop_id),
                wish.signal_id, wish.who, wish.why, [],
            )  # fmt: skip
        groups[like].people.extend(_people(one))
    return list(groups.values())


def _people(one: Judged) -> list[Person]:
    assert one.owner is not None
    wish = one.wish
    about = one.about if one.about is None or wish.event is None else replace(one.about, events=())
    first = Person(one.subject_id, wish.customer_id, one.owner, one.anchor_at, one.entered_at, about)
    return [
        first,
        *[Person(new.relation_id, new.customer_id, new, new.began_at, new.began_at, None) for new in wish.alike],
    ]


def _entered(one: Judged, made: Mapping[tuple[int, int], int]) -> Entered:
    if not one.admission.enter:
        return Entered(one.wish, None, one.admission.reason)
    run_id = made.get((one.wish.sop_id, one.subject_id))
    return Entered(one.wish, run_id, "" if run_id is not None else reasons.INSIDE)
