"""Customers that an operator pulls into a SOP (SPEC 4): exempt from the entry rule only. One command."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sopd.commands import StartEnrollments
from sopd.errors import NotFound
from sopd.handlers import entries, owners
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.entries import Entered, Wish
from sopd.store import Transaction
from sopd.store.queries import audit
from sopd.store.queries import entries as queries
from sopd.store.queries import sops as sop_queries
from sopd.store.queries.sops import SopRow


@dataclass(frozen=True)
class Pulled:
    """What became of one customer: the run it has now, or why not. Asked dry, `reason` "" means it would enter."""

    external_userid: str
    enrollment_id: int | None
    reason: str = ""


def start(app: App, command: StartEnrollments, *, dry: bool = False) -> tuple[Pulled, ...]:
    """Pull customers into a SOP, each once, in their order; the others are refused with a reason that is kept.

    Of a new-customer SOP it is the member's relation that enters, or the one that the owner rule names. `dry` only
    tells. Raises NotFound for a SOP, a member or a customer nobody knows; nothing is changed then.
    """
    wanted = tuple(dict.fromkeys(command.external_userids))
    with app.store.reading() if dry else app.store.transaction() as tx:
        sop = sop_queries.by_key(tx, command.key)
        if sop is None:
            raise NotFound(f"there is no SOP {command.key!r}", "`sopd sop list` shows them")
        customers = _customers(tx, wanted)
        wishes = _wishes(tx, app, command, sop, [customers[one] for one in wanted])
        results, happened = entries.enter(tx, app, wishes, dry=dry)
        if not dry:
            follow(tx, app, happened)
            _audit(tx, command, results)
        return tuple(
            Pulled(name, one.enrollment_id, one.reason) for name, one in zip(wanted, results, strict=True)
        )


def _customers(tx: Transaction, wanted: tuple[str, ...]) -> dict[str, int]:
    known = queries.customer_ids(tx, wanted)
    strange = [one for one in wanted if one not in known]
    if strange:
        raise NotFound(f"there is no customer {', '.join(strange)}", "`sopd customer list` shows them")
    return known


def _wishes(
    tx: Transaction, app: App, command: StartEnrollments, sop: SopRow, customers: list[int]
) -> list[Wish]:
    relations = _relations(tx, app, command, sop, customers)
    return [
        Wish(
            sop.id, one, "manual", "manual", relation_id=relations.get(one), entered_at=tx.now, who=command.who,
            why=command.why,
        )
        for one in customers
    ]  # fmt: skip


def _relations(
    tx: Transaction, app: App, command: StartEnrollments, sop: SopRow, customers: list[int]
) -> dict[int, int]:
    """By customer, the relation to the named member; of a new-customer SOP without one, the owner rule's."""
    every = owners.candidates(tx, customers)
    if command.member is not None:
        if not queries.is_member(tx, command.member):
            raise NotFound(f"there is no member {command.member}", "`sopd member list` shows them")
        return {
            customer_id: one.relation_id
            for customer_id, some in every.items() for one in some if one.userid == command.member
        }  # fmt: skip
    if sop.kind != "new_customer" or sop.version_id is None:
        return {}
    program = app.programs.get(tx, sop.version_id)
    chosen = {customer_id: owners.choose(program, some) for customer_id, some in every.items()}
    return {customer_id: one.relation_id for customer_id, one in chosen.items() if one is not None}


def _audit(tx: Transaction, command: StartEnrollments, results: list[Entered]) -> None:
    let_in = [one.enrollment_id for one in results if one.enrollment_id is not None]
    detail = {"why": command.why, "entered": let_in, "refused": len(results) - len(let_in)}
    audit.write(tx, command.who, "enrollment start", command.key, json.dumps(detail, ensure_ascii=False))
