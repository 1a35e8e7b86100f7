"""Tasks given to members: the list, the page of one, and a person's word on one that is in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sopd.cli import describing, finding, output, paging, push_pages, states
from sopd.cli.asking import agree
from sopd.cli.desk import Desk
from sopd.cli.output import Column, note, plain, say
from sopd.cli.page import Page
from sopd.commands import CancelDispatch, RemindDispatch, ResolveDispatch
from sopd.store.queries import views_sending
from sopd.store.queries.views_sending import PushFilter, TaskFilter, TaskRow

if TYPE_CHECKING:
    from sopd.store import Transaction

SHOWN_PUSHES = 200

LIST = (
    Column("id", "number"), Column("sop"), Column("step"), Column("member"), Column("size", "number"),
    Column("state", "state"), Column("reason", "reason"), Column("send_at", "instant"),
    Column("confirmed_at", "instant"), Column("expires_at", "instant"), Column("version", "number", wide=True),
    Column("channel", "channel", wide=True), Column("requested_at", "instant", wide=True),
    Column("settled_at", "instant", wide=True), Column("act_at", "instant", wide=True), Column("msgid", wide=True),
    Column("to_userid", wide=True), Column("card_no", "number", wide=True),
    Column("attempts", "number", wide=True), Column("reissue_of", "number", wide=True),
    Column("nags", "number", wide=True), Column("nag_at", "instant", wide=True),
)  # fmt: skip

NAGS = (Column("at", "instant"), Column("state", "state"), Column("by"), Column("reason", "reason"))


def show_list(
    desk: Desk, limit: int, before: int | None, sops: Sequence[str], wanted: Sequence[str], member: str | None,
    since: Any,
) -> None:  # fmt: skip
    """`dispatch list`."""
    still_open = tuple(state for state in states.DISPATCH if state not in states.DISPATCH_OVER)
    expanded = [name for each in wanted for name in (still_open if each == "open" else (each,))]
    with desk.reading() as tx:
        chosen = TaskFilter(
            sop_ids=finding.sop_ids(tx, sops),
            states=expanded or None,
            member_id=finding.member_id(tx, member),
            since=paging.instant_of(desk, tx, since),
        )

    def fetch(tx: Transaction, below: int | None, count: int) -> Sequence[TaskRow]:
        return views_sending.tasks(tx, chosen, below, count)

    paging.listing(desk, LIST, fetch, limit, before)


def show_page(desk: Desk, dispatch_id: int) -> None:
    """`dispatch show`."""
    with desk.reading() as tx:
        task = finding.task(tx, dispatch_id)
        pushes = views_sending.pushes(tx, PushFilter(dispatch_id=dispatch_id), None, SHOWN_PUSHES + 1)
        later = views_sending.reissued_as(tx, dispatch_id)
        nags = views_sending.nags_of(tx, dispatch_id)
        version = finding.version_of(tx, finding.sop(tx, task.sop), task.version_id)
    lines = push_pages.lines(pushes)
    step = next(each for each in version.stored["sop"]["steps"] if each["id"] == task.step)
    if desk.output == "json":
        pushed = [plain(push_pages.LIST, line, desk.zone) for line in lines]
        reminders = [plain(NAGS, nag, desk.zone) for nag in nags]
        shown = {**plain(LIST, task, desk.zone), "reissued_as": later, "reminders": reminders, "pushes": pushed}
        output.document(desk, shown)
        return
    page = Page(desk)
    page.title(f"#{task.id}", f"{task.sop} v{task.version}", task.step)
    page.facts(push_pages.task_facts(page, task))
    if task.reissue_of is not None:
        page.say("issued anew in place of task {task}", task=task.reissue_of)
    for each in later:
        page.say("issued anew as task {task}", task=each)
    page.section("Content")
    page.lines(step.get("text") or "")
    for attachment in step.get("attachments") or ():
        page.line(describing.rule(attachment))
    if nags:
        page.section("Reminders")
        page.table(NAGS, nags)
    page.section("Customers")
    columns = [c for c in push_pages.LIST if c.key not in ("sop", "step", "member", "task")]
    page.table(columns, lines[:SHOWN_PUSHES])
    if len(lines) > SHOWN_PUSHES:
        page.say("and more; `sopd push list` shows all of them")
    page.print()


def resolve(desk: Desk, dispatch_id: int, sent: bool, yes: bool) -> None:
    """`dispatch resolve`."""
    from sopd.handlers import doubts

    with desk.reading() as tx:
        task = finding.task(tx, dispatch_id)
    if task.state == "needs_operator":  # else there is nothing to ask about: the handler says why
        note(desk, "task {task} of {member}: {step}, {size} in it: {reason}", task=task.id, step=task.step,
             size=task.size, member=task.member, reason=desk.words.sentence(task.reason))  # fmt: skip
        agree(desk, yes, "Was it sent? You say yes. Correct its pushes?" if sent
              else "Was it sent? You say no. Correct its pushes?")  # fmt: skip
    count = doubts.resolve(desk.app, ResolveDispatch(dispatch_id, sent, desk.person))
    say(desk, "task {task}: pushes marked as sent: {count}" if sent
        else "task {task}: pushes marked as not sent: {count}", task=dispatch_id, count=count)  # fmt: skip


def remind(desk: Desk, dispatch_id: int) -> None:
    """`dispatch remind`."""
    from sopd.handlers import nags

    with desk.reading() as tx:
        task = finding.task(tx, dispatch_id)
    nags.want(desk.app, RemindDispatch(dispatch_id, desk.person))
    say(desk, "{member} is being reminded of task {task}", member=task.member, task=task.id)


def cancel(desk: Desk, dispatch_id: int, yes: bool) -> None:
    """`dispatch cancel`."""
    from sopd.handlers import withdrawals

    with desk.reading() as tx:
        task = finding.task(tx, dispatch_id)
    if task.state not in states.DISPATCH_OVER and task.state != "needs_operator":  # else the handler says why not
        note(desk, "task {task} of {member}: {step}, {size} in it: {reason}", task=task.id, step=task.step,
             size=task.size, member=task.member, reason=desk.words.state(task.state))  # fmt: skip
        agree(desk, yes, "Withdraw task {task}?", task=task.id)
    done = withdrawals.cancel(desk.app, CancelDispatch(dispatch_id, desk.person))
    is_done = done.state == "cancelled"
    say(desk, "task {task} is withdrawn, pushes: {count}" if is_done
        else "task {task} is being withdrawn, pushes: {count}; what was confirmed before is sent",
        task=dispatch_id, count=done.pushes)  # fmt: skip
