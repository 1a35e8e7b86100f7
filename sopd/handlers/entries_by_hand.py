"""Customers that an operator pulls into a SOP (SPEC 4): exempt from the entry rule only. One command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from machines.sop import Program
from sopd.commands import StartEnrollments
from sopd.errors import NotFound, Refused, no_such
from sopd.handlers import entries, owners
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.owners import Owner
from sopd.handlers.wishes import Entered, Wish
from sopd.store import Transaction
from sopd.store.queries import audit
from sopd.store.queries import entries as queries
from sopd.store.queries import sops as sop_queries
from sopd.store.queries.sops import SopRow

NAMED_AT_MOST = 5
"""So many names stand in an error."""


@dataclass(frozen=True)
class Pulled:
    """What became of one customer: the run it has now, or why not. Asked dry, `reason` "" means it would enter."""

    external_userid: str
    enrollment_id: int | None
    reason: str = ""


def start(app: App, command: StartEnrollments, *, dry: bool = False) -> tuple[Pulled, ...]:
    """Pull customers into a SOP, each once, in their order; the others are refused with a reason that is kept.

    With a member named it is his relation that acts, else the one that the owner rule names. `dry` only tells. Raises
    NotFound for a SOP, a member, a customer or a contact that nobody knows, Refused for a member who takes no part in
    the SOP; nothing is changed then.
    """
    wanted = tuple(dict.fromkeys(command.external_userids))
    with app.store.reading() if dry else app.store.transaction() as tx:
        sop = sop_queries.by_key(tx, command.key)
        if sop is None:
            raise no_such("SOP", repr(command.key))
        customers = _customers(tx, wanted)
        wishes = _wishes(tx, app, command, sop, {one: customers[one] for one in wanted})
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
        raise no_such("customer", *strange)
    return known


def _wishes(
    tx: Transaction, app: App, command: StartEnrollments, sop: SopRow, customers: dict[str, int]
) -> list[Wish]:
    """One per customer, in their order. Named is the relation only where somebody says which one it shall be."""
    every = owners.candidates(tx, customers.values())
    program = app.programs.get(tx, sop.version_id) if sop.version_id is not None else None
    relations: dict[int, int] = {}
    if command.member is not None:
        relations = _contacts(tx, command, program, customers, every)
    elif program is not None and program.kind == "new_customer":
        chosen = {customer_id: owners.choose(program, some) for customer_id, some in every.items()}
        relations = {customer_id: one.relation_id for customer_id, one in chosen.items() if one is not None}
    return [
        Wish(
            sop.id, one, "manual", "manual", relation_id=relations.get(one), entered_at=tx.now, who=command.who,
            why=command.why,
        )
        for one in customers.values()
    ]  # fmt: skip


def _contacts(
    tx: Transaction,
    command: StartEnrollments,
    program: Program | None,
    customers: dict[str, int],
    every: Mapping[int, Sequence[Owner]],
) -> dict[int, int]:
    """By customer, the relation to the named member. Nobody else acts in his place: that is why he was named."""
    member = command.member or ""
    if not queries.is_member(tx, member):
        raise no_such("member", member)
    if program is not None and not program.in_scope(member):
        raise Refused(f"{member} takes no part in {command.key}", f"`sopd sop show {command.key}` names its members")
    found = {
        customer_id: one.relation_id
        for customer_id, some in every.items()
        for one in some
        if one.userid == member and one.state == "active"
    }
    strange = [name for name, customer_id in customers.items() if customer_id not in found]
    if strange:
        more = f" and {len(strange) - NAMED_AT_MOST} more" if len(strange) > NAMED_AT_MOST else ""
        raise NotFound(
            f"{member} has no contact {', '.join(strange[:NAMED_AT_MOST])}{more}",
            "`sopd customer show NAME` shows whose contact somebody is",
        )
    return found


def _audit(tx: Transaction, command: StartEnrollments, results: list[Entered]) -> None:
    let_in = [one.enrollment_id for one in results if one.enrollment_id is not None]
    detail = {"why": command.why, "entered": let_in, "refused": len(results) - len(let_in)}
    audit.write(tx, command.who, "enrollment start", command.key, json.dumps(detail, ensure_ascii=False))
