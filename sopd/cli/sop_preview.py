"""`sop preview`: what one customer would get of a SOP, when, through whom, and why not. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sopd.cli import finding, instants, output, paging
from sopd.cli.desk import Desk
from sopd.cli.output import Column, plain
from sopd.cli.page import Page, joined
from sopd.errors import Refused
from sopd.handlers import preview
from sopd.handlers.preview import Preview
from sopd.store.queries import views_people

if TYPE_CHECKING:
    from sopd.store import Transaction

COLUMNS = (
    Column("no", "number"), Column("step"), Column("channel", "channel"), Column("due_at", "instant"),
    Column("send_at", "instant"), Column("check", "state"), Column("reason", "reason"), Column("until_at", "instant"),
    Column("expires_at", "instant"),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One step to come. `check` is the first check of planning that speaks, `ready` if none does."""

    no: int
    step: str
    channel: str
    due_at: int | None
    send_at: int | None
    check: str
    reason: str | None
    until_at: int | None
    expires_at: int | None


def show(desk: Desk, key: str, customer: str, member: str | None, moment: Any) -> None:
    """Look, and print it."""
    with desk.reading() as tx:
        per_relation = finding.sop(tx, key).kind == "new_customer"
        known = finding.customer(tx, customer)
        relation_id = _relation(tx, known.id, known.external_userid, member, any_will_do=not per_relation)
        added_at = paging.instant_of(desk, tx, moment)
        now = tx.now
    by_rule = member is None and not per_relation
    told = preview.preview(desk.app, key, relation_id, added_at=added_at, by_rule=by_rule)
    with desk.reading() as tx:
        published = finding.version(tx, finding.sop(tx, key), told.version)
    order = [step["id"] for step in published.stored["sop"]["steps"]]
    lines = [
        Line(order.index(one.step_id) + 1, one.step_id, one.channel, one.due_at, one.send_at, one.check,
             one.reason or None, one.until, one.expires_at)
        for one in told.steps
    ]  # fmt: skip
    if desk.output == "json":
        output.document(desk, _as_json(desk, told, lines))
    elif desk.output == "tsv":
        if told.inside is None and not told.enters:
            output.note(desk, "would not enter: {reason}", reason=desk.words.sentence(told.why_not))
        for day, count in told.crowded:
            output.note(desk, "{member} would have {count} tasks on {day}: rarely are all of so many confirmed",
                        member=told.userid, count=count, day=day)  # fmt: skip
        output.listing(desk, COLUMNS, lines)
    else:
        _print(desk, told, known.name, lines, now)


def _relation(
    tx: Transaction, customer_id: int, external_userid: str, member: str | None, *, any_will_do: bool
) -> int:
    """The relation through which it would go: the one with `member`, or the only one there is.

    `any_will_do`: the SOP's owner rule chooses among them.
    """
    finding.member_id(tx, member)
    relations = views_people.relations_of(tx, customer_id)
    if member is not None:
        relations = [row for row in relations if row.member == member]
        if not relations:
            raise Refused(f"{external_userid} does not know {member}", "`sopd customer show` lists the relations")
    active = [row for row in relations if row.state == "active"] or relations
    if not active:
        raise Refused(f"{external_userid} knows no member", "")
    if len(active) > 1 and not any_will_do:
        names = ", ".join(row.member for row in active)
        raise Refused(f"{external_userid} knows {names}", "say through whom with --member")
    return active[0].id


def _print(desk: Desk, told: Preview, name: str, lines: list[Line], now: int) -> None:
    page, words = Page(desk), desk.words
    page.title(f"{told.sop} v{told.version}", name or told.external_userid, told.external_userid if name else "")
    if told.inside is not None:
        verdict = words.say("is inside, at {state}", state=words.state(told.inside))
    elif told.enters:
        verdict = words.say("would enter")
    else:
        verdict = words.say("would not enter: {reason}", reason=words.sentence(told.why_not))
    page.facts(
        [
            ("state", joined([page.state(told.sop_state), verdict])),
            ("member", told.userid),
            ("entered_at", page.at(told.entered_at)),
            ("now", page.at(now)),
        ]
    )
    if lines:
        page.section("Steps to come" if told.inside is not None else "What would come")
        page.table(COLUMNS, lines)
        for day, count in told.crowded:
            page.say("{member} would have {count} tasks on {day}: rarely are all of so many confirmed",
                     member=told.userid, count=count, day=day)  # fmt: skip
        page.say("as things stand now; who is added, tagged or confirmed until then may change it")
    page.print()


def _as_json(desk: Desk, told: Preview, lines: list[Line]) -> dict[str, Any]:
    return {
        "sop": told.sop, "version": told.version, "sop_state": told.sop_state, "customer": told.external_userid,
        "member": told.userid, "entered_at": instants.iso(told.entered_at, desk.zone), "inside": told.inside,
        "enters": told.enters, "why_not": told.why_not or None,
        "steps": [plain(COLUMNS, line, desk.zone) for line in lines],
        "crowded": [{"day": f"{day}", "tasks": count} for day, count in told.crowded],
    }  # fmt: skip
