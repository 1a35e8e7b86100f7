"""Checks of `sopd doctor` on the engine's work: what lags, what is in doubt, what was set aside, what is held.

One snapshot, a handful of queries whatever is in the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from machines.calendar import DAY_MS, MINUTE_MS
from machines.reasons import explain
from sopd.cli import instants
from sopd.cli.checks import Finding
from sopd.cli.desk import Desk
from sopd.store.queries import due, views, views_health

if TYPE_CHECKING:
    from sopd.store import Transaction

LAG_MS = 2 * MINUTE_MS
"""Work that is due for so long is looked at by nobody: a daemon needs a second."""
LISTED = 10
SICK_ATTEMPTS = 5

Check = Callable[["Transaction", Desk], Iterator[Finding]]


def all_of(desk: Desk) -> Iterator[Finding]:
    """Every check below, in one snapshot."""
    with desk.reading() as tx:
        found = [finding for check in CHECKS for finding in check(tx, desk)]
    yield from found


def counted(n: int, word: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def lag(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Is anybody at work?"""
    dues = {name: at for name, at in due.earliest(tx).items() if at}
    oldest = min(dues.values(), default=None)
    if oldest is not None and tx.now - oldest > LAG_MS:
        late = ", ".join(sorted(name for name, at in dues.items() if tx.now - at > LAG_MS))
        yield Finding(
            "work", "wrong", f"work is due since {instants.span(tx.now - oldest)} ({late})",
            "start the daemon: `sopd run`; if it runs, see its log",
        )  # fmt: skip
    else:
        yield Finding("work", "ok", "nothing lags")


def callbacks(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Accepted callbacks that wait, and those that were set aside."""
    waiting = views_health.unhandled(tx)
    if waiting.oldest_at is not None and tx.now - waiting.oldest_at > LAG_MS:
        age = instants.span(tx.now - waiting.oldest_at)
        what = f"{counted(waiting.count, 'callback')} not handled, the oldest for {age}"
        yield Finding("inbox", "wrong", what, "start the daemon: `sopd run`; if it runs, see its log")
    aside = views_health.set_aside_callbacks(tx)
    if aside.count:
        yield Finding(
            "inbox", "wrong", f"{counted(aside.count, 'callback')} could not be handled, set aside",
            "`sopd inbox list --state set_aside` shows why, `sopd inbox replay --set-aside` tries again",
        )  # fmt: skip
    if not aside.count and not waiting.count:
        yield Finding("inbox", "ok", "every callback is handled")


def doubts(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Tasks that only a person can judge, and those that are being looked up."""
    for task in views_health.doubtful_tasks(tx, "needs_operator", LISTED):
        reason = explain(task.reason) if task.reason else "its outcome is not known"
        yield Finding(
            "task", "wrong",
            f"task {task.id} of {task.member} ({task.sop}, {task.step}, {counted(task.size, 'customer')}): {reason}",
            f"look at it in WeCom or ask {task.member}, then `sopd dispatch resolve {task.id} --sent` or --not-sent",
        )  # fmt: skip
    for state, what in (("uncertain", "it is being looked up"), ("unsure", "the same card is handed over once more")):
        for task in views_health.doubtful_tasks(tx, state, LISTED):
            age = instants.span(tx.now - task.since)
            yield Finding(
                "task", "note", f"task {task.id} of {task.member}: WeCom's answer was lost {age} ago",
                f"nothing to do: {what}, and nothing is sent twice",
            )  # fmt: skip
    for reason, count, oldest in views_health.blocked_tasks(tx):
        age = instants.span(tx.now - oldest)
        what = f"{counted(count, 'task')} could not be created yet, the oldest for {age}: {explain(reason)}"
        yield Finding("task", "note", what, "they are tried again until they expire; see the check `wecom`")


def poison(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Rows that failed alone and were set aside."""
    counted = {kind: n for kind, n in views_health.count_poison(tx).items() if kind != "inbox"}  # told by `callbacks`
    for row in views_health.poison_rows(tx, "inbox", LISTED) if counted else ():
        at = instants.shown(row.at, desk.zone)
        yield Finding(
            "set aside", "wrong", f"{row.kind} {row.row_key}, {at}: {row.reason}",
            "the rest goes on without it; the log says more; `sopd db retry` tries again once the cause is mended",
        )  # fmt: skip
    rest = sum(counted.values()) - LISTED
    if rest > 0:
        yield Finding("set aside", "wrong", f"and {counted(rest, 'row')} more", "")


def windows(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Back-off windows that are open."""
    for path in views_health.resting_paths(tx):
        until = instants.shown(path.until_at, desk.zone, seconds=True)
        yield Finding(
            "back-off", "note", f"{path.path} rests until {until}: {path.reason}",
            "nothing to do: it goes on by itself; if it comes often, see what else calls WeCom with this app",
        )  # fmt: skip


def reading(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """The daily full read: held losses, and relations that cannot be read."""
    for held in views_health.held_losses(tx):
        since, of = instants.shown(held.since, desk.zone), f"of {held.relations} customers of {held.member}"
        yield Finding(
            "reconciliation", "wrong", f"{held.count} {of} are missing since {since}: too many to believe",
            f"look in WeCom: if they are lost, `sopd member accept {held.member}`; else the next full read ends this",
        )  # fmt: skip
    sick = views_health.failing_rereads(tx, SICK_ATTEMPTS)
    if sick.count:
        yield Finding(
            "reading", "wrong", f"{counted(sick.count, 'relation')} could not be read, {SICK_ATTEMPTS} times and more",
            "see the check `wecom` and the log",
        )  # fmt: skip
    for job in views_health.jobs(tx):
        if job.state in ("failed", "held") or (job.reason and job.attempts >= SICK_ATTEMPTS):
            what = f"{job.kind} {job.key}".strip()
            yield Finding("job", "wrong", f"{what} is {job.state}: {job.reason or 'no reason given'}", "see the log")


def members(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Members who cannot send."""
    in_scope, unable = views_health.members(tx)
    if unable:
        yield Finding(
            "members", "note", f"{unable} of {in_scope} members cannot send to customers: they enter nobody",
            "give them customer contact in WeCom's console, or take them out of the app's scope",
        )  # fmt: skip


def tags(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Tags that a SOP needs and that are gone (D25), and tag writes that failed."""
    for sop, name in views_health.dropped_tags_in_use(tx):
        yield Finding(
            "tags", "wrong", f"SOP {sop} uses the tag {name}, which was deleted in WeCom",
            "make it anew in WeCom, or change the definition; then `sopd sop apply` it again",
        )  # fmt: skip
    for reason, count, last in views_health.failed_tag_writes(tx, tx.now - DAY_MS):
        at = instants.shown(last, desk.zone)
        yield Finding("tags", "note", f"{counted(count, 'tag write')} failed within a day, the last {at}: {reason}", "")


def sops(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """What is running."""
    running = [sop for sop in views.sops(tx) if sop.state in ("running", "paused")]
    told = ", ".join(f"{sop.key} ({sop.open} inside{', paused' if sop.state == 'paused' else ''})" for sop in running)
    yield Finding("sops", "ok", told or "none is running")


CHECKS: tuple[Check, ...] = (sops, lag, callbacks, doubts, poison, windows, reading, members, tags)
