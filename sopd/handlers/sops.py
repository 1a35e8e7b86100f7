"""What an operator does with a SOP: apply, start, pause, resume, stop (SPEC 12, D23). One transaction each.

`machines.lifecycle` says what is possible. What takes long (everybody inside a resumed or stopped SOP) is left to a
job, written in the same transaction; see `sop_jobs`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from machines import lifecycle
from machines.events import PushReturned
from machines.lifecycle import Command, LifecycleDecision
from machines.push import PushFacts
from machines.reasons import SOP_PAUSED
from sopd.commands import ApplySop, PauseSop, ResumeSop, StartSop, StopSop
from sopd.errors import NotFound, Refused
from sopd.handlers import dispatches, initialising, pushes, resuming, versions
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.store import Transaction
from sopd.store.queries import audit
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import jobs as job_queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries import resuming as resume_queries
from sopd.store.queries import sops as queries
from sopd.store.queries.resuming import Waiting
from sopd.store.queries.sops import Inside, SopRow


@dataclass(frozen=True)
class Applied:
    """The SOP's key and the number of its version; `changed` False: that version says the same already."""

    key: str
    number: int
    changed: bool


@dataclass(frozen=True)
class Moved:
    """A SOP in a new state; `before` counts what was going on in it then."""

    key: str
    state: str
    before: Inside


def apply(app: App, command: ApplySop) -> Applied:
    """Publish a definition as the next version of its SOP, which is made if need be. New entries get it.

    Raises DefinitionFaults (the file, its tag names, and for a SOP that runs what this version cannot run) and Refused.
    """
    definition = versions.read(app, command.name, command.text)
    versions.know_tags(app, definition)
    with app.store.transaction() as tx:
        program = versions.program_text(tx, app, definition)
        versions.may_flow(tx, definition)
        written = definition.sop
        sop = queries.lock(tx, written.sop) or queries.add(tx, written.sop, written.title, written.kind)
        _allow(sop, "apply")
        if sop.kind != written.kind:
            raise Refused(f"{sop.key} is of kind {sop.kind} and stays so", "apply it under a key of its own")
        if sop.state in ("running", "paused"):
            versions.must_run(definition)
        if sop.version_id is not None:
            current = queries.version(tx, sop.version_id)
            if (current.source, current.program) == (command.text, program):
                return Applied(sop.key, current.number, False)
        version = queries.add_version(tx, sop, command.name, command.text, program, command.who)
        queries.use_version(tx, sop.id, version.id, written.title)
        if sop.version_id is not None and sop.kind == "nurture" and sop.state in ("running", "paused"):
            initialising.watch_anew(tx, app, sop, sop.version_id, version.id)
        audit.write(tx, command.who, "sop apply", sop.key, json.dumps({"version": version.number}))
        return Applied(sop.key, version.number, True)


def start(app: App, command: StartSop) -> Moved:
    """Let a draft take customers from now on. Raises DefinitionFaults by line for what this version does not run.

    Nurture SOPs judge everybody there is first, as a job (see `initialising`). A new-customer SOP begins with nobody
    inside, and so does one without an entry rule, so that their initialisation is over at once (SPEC 4).
    """
    with app.store.transaction() as tx:
        sop = _found(tx, command.key)
        decision = _allow(sop, "start")
        if sop.version_id is None:
            raise Refused(f"{sop.key} has no published version", "apply its definition first")
        definition = versions.of_version(app, queries.version(tx, sop.version_id))
        versions.must_run(definition)
        if definition.sop.kind == "new_customer" or definition.sop.entry.when is None:
            decision = lifecycle.decide(decision.state, "initialised", sop.key)
        else:
            initialising.begin(tx, app, sop)
        return _move(tx, sop, decision, "started_at", command.who, "sop start")


def pause(app: App, command: PauseSop) -> Moved:
    """Stop planning. Pushes that nobody was asked to send leave their tasks; unconfirmed tasks are cancelled in WeCom.

    Whatever falls due from now on waits for `resume` (D23).
    """
    with app.store.transaction() as tx:
        sop = _found(tx, command.key)
        moved = _move(tx, sop, _allow(sop, "pause"), "paused_at", command.who, "sop pause")
        job_queries.end(tx, "resume", sop.key, "paused again")
        _withdraw(tx, app, sop.id)
        return moved


def resume(app: App, command: ResumeSop) -> Moved:
    """Go on, and treat what was missed as the operator says; see `resuming`, whose job leads the people inside on.

    Raises Refused for a way that is none, and for shifting fixed dates.
    """
    with app.store.transaction() as tx:
        sop = _found(tx, command.key)
        decision = _allow(sop, "resume")
        missed = resuming.policy_of(tx, app, sop, command.missed)
        paused_at = resume_queries.paused_at(tx, sop.id)
        moved = _move(tx, sop, decision, None, command.who, "sop resume")
        resuming.begin(tx, app, sop, paused_at or tx.now, missed, command.admit)
        return moved


def stop(app: App, command: StopSop) -> Moved:
    """End a SOP for good. A job ends the open runs as `stopped`: no tags, no flow (SPEC 8)."""
    with app.store.transaction() as tx:
        sop = _found(tx, command.key)
        moved = _move(tx, sop, _allow(sop, "stop"), "ended_at", command.who, "sop stop")
        job_queries.end(tx, "resume", sop.key, "stopped")
        job_queries.end(tx, "initialise", sop.key, "stopped")
        job_queries.begin(tx, "stop", sop.key, {"who": command.who})
        tx.after_commit(lambda: app.ring("jobs"))
        return moved


def inside(app: App, key: str) -> Inside:
    """What is going on in a SOP, to be shown before it is paused, resumed or stopped."""
    with app.store.reading() as tx:
        sop = queries.by_key(tx, key)
        if sop is None:
            raise _unknown(key)
        return queries.inside(tx, sop.id)


def waiting(app: App, key: str) -> Waiting:
    """What a paused SOP holds, to be shown before it is resumed. Raises Refused if it is not paused."""
    with app.store.reading() as tx:
        sop = queries.by_key(tx, key)
        if sop is None:
            raise _unknown(key)
        _allow(sop, "resume")
        return resume_queries.waiting(tx, sop.id, resume_queries.paused_at(tx, sop.id) or tx.now)


def _found(tx: Transaction, key: str) -> SopRow:
    sop = queries.lock(tx, key)
    if sop is None:
        raise _unknown(key)
    return sop


def _unknown(key: str) -> NotFound:
    return NotFound(f"there is no SOP {key!r}", "`sopd sop list` shows them; `sopd sop apply FILE` makes one")


def _allow(sop: SopRow, command: Command) -> LifecycleDecision:
    decision = lifecycle.decide(sop.state, command, sop.key)
    if decision.refused is not None:
        raise Refused(decision.refused)
    return decision


def _move(
    tx: Transaction, sop: SopRow, decision: LifecycleDecision, column: str | None, who: str, verb: str
) -> Moved:
    before = queries.inside(tx, sop.id)
    queries.set_state(tx, sop.id, decision.state, column)
    audit.write(tx, who, verb, sop.key, json.dumps(before._asdict()))
    return Moved(sop.key, decision.state, before)


def _withdraw(tx: Transaction, app: App, sop_id: int) -> None:
    """The pushes of a SOP that is paused now: out of the tasks nobody was asked for; the others' tasks are stopped."""
    planned = queries.pushes_in_tasks(tx, sop_id, ("planned",))
    run_queries.lock(tx, push_queries.enrollments_of(tx, planned))
    told = [
        pushes.Told(row, pushes.decide(row.state, PushReturned(SOP_PAUSED), PushFacts()))
        for row in push_queries.unsettled(tx, planned)
        if pushes.is_ours(row)
    ]
    follow(tx, app, pushes.tell(tx, told))
    dispatches.stop(tx, app, queries.pushes_in_tasks(tx, sop_id, queries.UNCONFIRMED), "pause")
