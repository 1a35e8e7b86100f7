"""Runs that an operator ends in one SOP so that their customers go on in another (SPEC 8): manual end and flow at once.

One command. Whom the target refuses stays where it is, untouched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from machines.events import ManualEnd
from machines.reasons import INSIDE
from sopd.commands import TransferEnrollments
from sopd.errors import Refused, no_such
from sopd.handlers import endings, enrollments, entries, flows
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.enrollments import BY_WORD
from sopd.handlers.happened import Flow
from sopd.store import Transaction
from sopd.store.queries import audit
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import entries as queries
from sopd.store.queries.entries import OpenRun


@dataclass(frozen=True)
class Transferred:
    """What became of one run: `into` is the run its customer has in the target now. reason: why it stays as it is.

    Asked dry, `reason` "" means it would go.
    """

    enrollment_id: int
    external_userid: str
    into: int | None
    reason: str = ""


def transfer(app: App, command: TransferEnrollments, *, dry: bool = False) -> tuple[Transferred, ...]:
    """End open runs `manual_end` and let each customer enter the target, in one transaction.

    Of several runs of one customer all end and one enters. `dry` only tells. Raises NotFound for a run or a target
    nobody knows, and Refused for unknown tags and a target nobody flows into; nothing is changed then.
    """
    with app.store.reading() if dry else app.store.transaction() as tx:
        catalogue = app.programs.catalogue(tx, holding=not dry)
        if catalogue.id_of(command.to) is None:
            raise no_such("SOP", repr(command.to))
        if why := flows.closed(catalogue, command.to):
            raise Refused(f"nobody flows into {command.to}: {why}", "flows lead into SOPs of kind nurture")
        tags = endings.resolve(tx, command.add_tags, command.remove_tags)
        runs = _runs(tx, command)
        if not dry:
            run_queries.lock(tx, [run.id for run in runs])
        first = list({run.customer_id: run for run in reversed(runs)}.values())
        wishes = [flows.wish(catalogue, _flow(run, command)) for run in first]
        results, _ = entries.enter(tx, app, wishes, dry=True, catalogue=catalogue)
        refused = {one.wish.customer_id: one.reason for one in results if one.reason}
        refused |= {run.customer_id: INSIDE for run in runs if run.sop_id == catalogue.id_of(command.to)}
        going = [run for run in runs if run.customer_id not in refused]
        into: dict[int, int] = {}
        if going and not dry:
            _go(tx, app, command, tags, going)
            into = queries.open_runs_in(tx, wishes[0].sop_id, {run.customer_id for run in going})
        if not dry:
            _audit(tx, command, going, len(runs) - len(going))
        return tuple(
            Transferred(run.id, run.external_userid, into.get(run.customer_id), refused.get(run.customer_id, ""))
            for run in runs
        )


def _runs(tx: Transaction, command: TransferEnrollments) -> list[OpenRun]:
    """The open runs that are meant; those that have ended are left out."""
    runs = queries.open_runs(tx, endings.meant(tx, command.enrollment_ids))
    return queries.open_beside(tx, [run.id for run in runs]) if command.all_relations else runs


def _flow(run: OpenRun, command: TransferEnrollments) -> Flow:
    return Flow(
        run.id, run.sop_id, command.to, run.customer_id, run.relation_id, run.member_id, BY_WORD, command.who
    )


def _go(
    tx: Transaction, app: App, command: TransferEnrollments, tags: endings.EndTags, going: Sequence[OpenRun]
) -> None:
    """One run of each customer flows on; the others of the same customer end with it."""
    flowing = {run.customer_id: run.id for run in reversed(going)}.values()
    event = ManualEnd(command.who, command.why, tags.add, tags.remove, flow_to=command.to)
    happened = enrollments.end(tx, app, flowing, event, by=command.who)
    beside = [run.id for run in going if run.id not in set(flowing)]
    happened += enrollments.end(tx, app, beside, replace(event, flow_to=None), by=command.who)
    follow(tx, app, happened)


def _audit(tx: Transaction, command: TransferEnrollments, going: Iterable[OpenRun], refused: int) -> None:
    detail = {"to": command.to, "why": command.why, "refused": refused}
    ids = ",".join(str(run.id) for run in going)
    audit.write(tx, command.who, "enrollment transfer", ids, json.dumps(detail, ensure_ascii=False))
