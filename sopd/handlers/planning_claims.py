"""`once_per: customer`: which of several relations may send a step of a SOP to a customer (D5). A part of planning.

The claim goes to the earlier due, then the older relation, then the lower run, never to whoever is planned first: so
the one that asks is compared with every unsettled push of the same step and with runs that are due and have not fired.
Once taken, a claim stays with its push until that settles without having been sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sopd.handlers import schedule
from sopd.handlers.app import App
from sopd.handlers.planning_facts import Candidate
from sopd.store import Transaction
from sopd.store.queries import claims
from sopd.store.queries import planning as queries
from sopd.store.queries.claims import Claim, Key


class Word(NamedTuple):
    """What the claim says to one push: `free`, `held` or `sent`, and by whose member."""

    claim: str
    via: str = ""


class Claimant(NamedTuple):
    """Somebody who wants a claim, in the order in which they get it. `push_id` is None before the step has fired."""

    due_at: int
    entered_at: int
    run_id: int
    push_id: int | None
    userid: str


FREE = Word("free")


def key_of(one: Candidate) -> Key:
    """What a push would claim."""
    return (one.push.sop_id, one.push.step_id, one.push.customer_id)


def judge(tx: Transaction, app: App, candidates: Sequence[Candidate]) -> dict[int, Word]:
    """By push, for all that need a claim; the others are not in the answer."""
    wanted = [one for one in candidates if one.program.once_per == "customer"]
    if not wanted:
        return {}
    keys = sorted({key_of(one) for one in wanted})
    held, rivals = claims.held(tx, keys), claimants(tx, app, keys)
    return {one.push.id: _word(one, held.get(key_of(one)), rivals[key_of(one)]) for one in wanted}


def _word(one: Candidate, claim: Claim | None, rivals: Sequence[Claimant]) -> Word:
    if claim is not None and claim.push_id != one.push.id and claim.binds(one.owner.id):
        return Word("held" if claim.is_open else "sent", claim.userid)
    if claim is not None and claim.push_id == one.push.id:
        return FREE
    best = min(rivals)
    return FREE if best.push_id == one.push.id else Word("held", best.userid)


def may_claim(
    claim: Claim | None, rivals: Sequence[Claimant], push_id: int, run_id: int, member_id: int, due_at: int
) -> bool:
    """Whether a run, with this push or with none fired yet (0), would be given the claim as things stand (D5)."""
    if claim is not None and claim.push_id == push_id and not claim.is_free:
        return True
    if claim is not None and claim.binds(member_id):
        return False
    best = min(rivals, default=None)
    return best is None or best.run_id == run_id or due_at < best.due_at


def claimants(tx: Transaction, app: App, keys: Sequence[Key]) -> Mapping[Key, list[Claimant]]:
    """Who wants each of these claims now: unsettled pushes of the step, and runs that are due and have not fired."""
    found: dict[Key, list[Claimant]] = {key: [] for key in keys}
    for row in queries.same_step(tx, keys):
        claimant = Claimant(row.due_at, row.entered_at, row.run_id, row.push_id, row.userid)
        found[row.sop_id, row.step_id, row.customer_id].append(claimant)
    pairs = sorted({(sop_id, customer_id) for sop_id, _, customer_id in keys})
    lagging = queries.lagging_runs(tx, pairs)
    programs = app.programs.all(tx, [run.version_id for run, _ in lagging])
    for run, userid in lagging:
        program = programs[run.version_id]
        if not schedule.is_known(program, run.state):
            continue
        times = schedule.of_run(program, run)
        first = schedule.next_index(program, run.state)
        for step in program.steps[first:] if first is not None else ():
            key = (run.sop_id, step.id, run.customer_id)
            due_at = times.dues[step.index]
            if due_at is not None and key in found and step.index not in times.missed and due_at <= tx.now:
                found[key].append(Claimant(due_at, run.entered_at, run.id, None, userid))
    return found
