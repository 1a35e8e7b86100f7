"""Things by the names people give them; a name that means nothing is answered with what was probably meant."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sopd.cli.failure import unknown
from sopd.errors import NotFound, Refused, no_such
from sopd.store import Transaction
from sopd.store.queries import views, views_people, views_runs, views_sending
from sopd.store.queries.views import Published, SopSummary
from sopd.store.queries.views_people import CustomerRow
from sopd.store.queries.views_runs import RunRow
from sopd.store.queries.views_sending import PushRow, TaskRow


def sop(tx: Transaction, key: str) -> SopSummary:
    """The SOP of this key."""
    found = views.sop(tx, key)
    if found is None:
        raise unknown("SOP", key, views.sop_keys(tx), "`sopd sop list` shows all; `sopd sop apply FILE` makes one")
    return found


def sop_ids(tx: Transaction, keys: Sequence[str]) -> list[int] | None:
    """The ids of these SOPs, None for no filter at all."""
    return [sop(tx, key).id for key in keys] or None


def member_id(tx: Transaction, userid: str | None) -> int | None:
    """The member of this user id; None stays None."""
    if userid is None:
        return None
    found = views_people.member_id(tx, userid)
    if found is None:
        raise unknown("member", userid, views_people.member_userids(tx), "members are known after the first full read")
    return found


def customer(tx: Transaction, reference: str) -> CustomerRow:
    """The customer of this external_userid, or of this name if nobody else has it."""
    found = views_people.customer(tx, reference)
    if len(found) > 1:
        listed = ", ".join(row.external_userid for row in found)
        raise Refused(f'several customers are named "{reference}": {listed}', "give the external_userid of one")
    if not found:
        hint = "`sopd customer list --name PART` searches"
        raise unknown("customer", reference, views_people.customers_like(tx, reference), hint)
    return found[0]


def customers(tx: Transaction, references: Sequence[str]) -> list[CustomerRow]:
    """As `customer`, for many, in their order: one statement for all who are given by their external_userid."""
    known = {row.external_userid: row for row in views_people.customers_of(tx, references)}
    return [known.get(reference) or customer(tx, reference) for reference in references]


def customer_id(tx: Transaction, reference: str | None) -> int | None:
    """The customer's id; None stays None."""
    return None if reference is None else customer(tx, reference).id


def tag_id(tx: Transaction, name: str | None) -> str | None:
    """The tag of this name (`group/name`, or a name that only one has); None stays None."""
    if name is None:
        return None
    from sopd.definitions import TagLibrary

    library = TagLibrary.of(views_people.tag_library(tx))
    found = library.find(name)
    if not found:
        names = [*library.by_full_name, *library.by_name]
        raise unknown("tag", name, names, "tags are known after the first full read")
    if len(found) > 1:
        meant = ", ".join(library.full_names[each] for each in found)
        raise Refused(f'"{name}" may be any of {meant}', "write its group too, as group/name")
    return found[0]


def run(tx: Transaction, enrollment_id: int) -> RunRow:
    """The run of this id."""
    found = views_runs.run(tx, enrollment_id)
    if found is None:
        raise no_such("enrollment", enrollment_id)
    return found


def push(tx: Transaction, push_id: int) -> PushRow:
    """The push of this id."""
    found = views_sending.push(tx, push_id)
    if found is None:
        raise no_such("push", push_id)
    return found


def task(tx: Transaction, dispatch_id: int) -> TaskRow:
    """The task of this id."""
    found = views_sending.task(tx, dispatch_id)
    if found is None:
        raise no_such("dispatch", dispatch_id)
    return found


def check_state(param: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a state that nothing can be in, as a mistake in the call."""
    for name in given:
        if name not in known:
            meant = unknown("state", name, known).hint or f"known: {', '.join(known)}"
            raise click.BadParameter(f'there is no state "{name}"; {meant}', param_hint=param)


def version(tx: Transaction, found: SopSummary, number: int | None) -> Published:
    """A version of a SOP; the present one if no number is given."""
    published = views.published(tx, found.id, number)
    if published is None:
        numbers = ", ".join(str(each.number) for each in views.versions(tx, found.id))
        what = f"no version {number}" if number is not None else "no version"
        raise NotFound(f"SOP {found.key} has {what}", f"it has {numbers}" if numbers else "apply its definition first")
    return published


def version_of(tx: Transaction, found: SopSummary, version_id: int) -> Published:
    """The version of this id."""
    number = next(each.number for each in views.versions(tx, found.id) if each.id == version_id)
    return version(tx, found, number)
