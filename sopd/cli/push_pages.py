"""Looking at pushes: the list, and the page of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from sopd.cli import describing, finding, output, paging, states
from sopd.cli.desk import Desk
from sopd.cli.failure import Told
from sopd.cli.output import Column, plain, say
from sopd.cli.page import Page, joined
from sopd.commands import RetryPushes
from sopd.store.queries import views, views_sending
from sopd.store.queries.views_sending import Place, PushFilter, PushRow

if TYPE_CHECKING:
    from sopd.store import Transaction

LIST = (
    Column("id", "number"), Column("enrollment", "number"), Column("sop"), Column("step"),
    Column("channel", "channel", wide=True), Column("customer", wide=True), Column("name"), Column("member"),
    Column("state", "state"), Column("reason", "reason"), Column("due_at", "instant"), Column("sent_at", "instant"),
    Column("task", "number"), Column("mark", "reason", wide=True), Column("fired_at", "instant", wide=True),
    Column("plan_at", "instant", wide=True), Column("expires_at", "instant", wide=True),
    Column("task_state", "state", wide=True), Column("settled_at", "instant", wide=True),
)  # fmt: skip

PLACES = (Column("window"), Column("place", "number"), Column("at", "instant"))


@dataclass(frozen=True)
class PushLine:
    """A push as a list shows it. A task that needs an operator shows on its pushes (D20)."""

    id: int
    enrollment: int
    sop: str
    step: str
    channel: str
    customer: str
    name: str
    member: str
    state: str
    reason: str | None
    due_at: int
    sent_at: int | None
    task: int | None
    mark: str | None
    fired_at: int
    plan_at: int | None
    expires_at: int | None
    task_state: str | None
    settled_at: int | None


def lines(rows: Sequence[PushRow]) -> list[PushLine]:
    """Rows as they are listed."""
    return [
        PushLine(**{field: getattr(row, field) for field in PushLine.__dataclass_fields__ if field not in ("name",
                 "reason")}, name=row.name or row.customer, reason=reason_of(row))
        for row in rows
    ]  # fmt: skip


def reason_of(row: PushRow) -> str | None:
    """Why it is where it is; while its task is in doubt, that (D20)."""
    if row.task_state in ("needs_operator", "uncertain", "unsure") and row.state not in states.PUSH_FINAL:
        return f"{row.task_state.replace('_', ' ')}"
    return row.reason


def show_list(
    desk: Desk,
    limit: int,
    before: int | None,
    sops: Sequence[str],
    wanted: Sequence[str],
    step: str | None,
    reason: str | None,
    member: str | None,
    customer: str | None,
    since: Any,
) -> None:
    """`push list`."""
    expanded = [name for each in wanted for name in (states.PUSH_OPEN if each == "open" else (each,))]
    with desk.reading() as tx:
        chosen = PushFilter(
            sop_ids=finding.sop_ids(tx, sops),
            states=expanded or None,
            step_id=step,
            member_id=finding.member_id(tx, member),
            customer_id=finding.customer_id(tx, customer),
            reason=reason,
            since=paging.instant_of(desk, tx, since),
        )
        if step is not None:
            _check_step(tx, step, chosen.sop_ids)

    def fetch(tx: Transaction, below: int | None, count: int) -> list[PushLine]:
        return lines(views_sending.pushes(tx, chosen, below, count))

    paging.listing(desk, LIST, fetch, limit, before)


def _check_step(tx: Transaction, step: str, sop_ids: Sequence[int] | None) -> None:
    known = [
        each
        for sop in views.sops(tx)
        if sop_ids is None or sop.id in sop_ids
        for steps in views.step_ids(tx, [version.id for version in views.versions(tx, sop.id)]).values()
        for each in steps
    ]
    if step not in known:
        raise finding.unknown("step", step, known, "`sopd sop show KEY` lists the steps of a SOP")


def show_page(desk: Desk, push_id: int) -> None:
    """`push show`."""
    with desk.reading() as tx:
        row = finding.push(tx, push_id)
        sop = finding.sop(tx, row.sop)
        places = views_sending.places_of_push(tx, push_id)
        task = None if row.task is None else finding.task(tx, row.task)
        version = finding.version_of(tx, sop, row.version_id)
    line = lines([row])[0]
    step = next(each for each in version.stored["sop"]["steps"] if each["id"] == row.step)
    if desk.output == "json":
        shown = {**plain(LIST, line, desk.zone), "content": {key: step.get(key) for key in ("text", "attachments")}}
        output.document(desk, {**shown, "quota": [plain(PLACES, place, desk.zone) for place in places]})
        return
    page = Page(desk)
    page.title(f"#{row.id}", row.step, row.name or row.customer)
    page.facts(_facts(page, row, places))
    page.section("Content")
    page.lines(step.get("text") or "")
    for attachment in step.get("attachments") or ():
        page.line(describing.rule(attachment))
    if task is not None:
        page.section("Task")
        page.facts(task_facts(page, task))
    page.print()


def _facts(page: Page, row: PushRow, places: Sequence[Place]) -> list[tuple[str, str | Text | None]]:
    words = page.words
    until = words.say("until {at}", at=page.at(row.plan_at)) if row.plan_at is not None else None
    reason = reason_of(row)
    return [
        ("state", joined([page.state(row.state), words.sentence(reason), until])),
        ("mark", words.sentence(row.mark) or None),
        ("sop", row.sop),
        ("enrollment", f"{row.enrollment}"),
        ("customer", joined([row.name, row.customer])),
        ("member", row.member),
        ("channel", words.channel(row.channel)),
        *(
            (key, page.at(at, seconds=True) if at is not None else None)
            for key, at in (
                ("due_at", row.due_at), ("fired_at", row.fired_at), ("expires_at", row.expires_at),
                ("sent_at", row.sent_at), ("settled_at", row.settled_at),
            )
        ),
        ("quota", ", ".join(f"{place.window} #{place.place}" for place in places) or None),
    ]  # fmt: skip


def task_facts(page: Page, task: views_sending.TaskRow) -> list[tuple[str, str | Text | None]]:
    """A task in a few lines."""
    return [
        ("id", f"{task.id}"),
        ("state", joined([page.state(task.state), page.words.sentence(task.reason)])),
        ("channel", page.words.channel(task.channel)),
        ("member", task.member),
        ("to_userid", task.to_userid),
        ("card_no", f"{task.card_no}" if task.card_no else None),
        ("size", f"{task.size}"),
        *(
            (key, page.at(at, seconds=True) if at is not None else None)
            for key, at in (
                ("send_at", task.send_at), ("requested_at", task.requested_at), ("confirmed_at", task.confirmed_at),
                ("settled_at", task.settled_at), ("expires_at", task.expires_at), ("act_at", task.act_at),
                ("nag_at", task.nag_at),
            )
        ),
        ("nags", f"{task.nags}" if task.nags else None),
        ("msgid", task.msgid),
    ]  # fmt: skip


def retry(desk: Desk, push_ids: Sequence[int]) -> None:
    """`push retry`."""
    from sopd.handlers import retries

    told = retries.retry(desk.app, RetryPushes(tuple(push_ids), desk.person))
    for one in told:
        if not one.reason:
            say(desk, "push {id} is tried again", id=one.push_id)
    refused = [one for one in told if one.reason]
    if refused:
        raise Told(
            desk.words.say("push {id} is not tried again: {reason}", id=one.push_id,
                           reason=desk.words.sentence(one.reason)) for one in refused
        )  # fmt: skip
