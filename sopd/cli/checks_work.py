"""Checks of `sopd doctor` on the engine's work: what lags, what is in doubt, what was set aside, what is held.

One snapshot, a handful of queries whatever is in the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from machines.calendar import DAY_MS, MINUTE_MS
from sopd.cli import instants
from sopd.cli.desk import Desk
from sopd.cli.diagnosis import Finding, voice
from sopd.cli.words import Words
from sopd.store.queries import due, figures, views, views_health

if TYPE_CHECKING:
    from sopd.store import Transaction

LAG_MS = 2 * MINUTE_MS
"""Work that is due for so long is looked at by nobody: a daemon needs a second."""
STUCK_MS = 30 * MINUTE_MS
"""A look-up reads twice, ten minutes apart (D16): what is in doubt for so long stays so."""
LISTED = 10
SICK_ATTEMPTS = 5

Check = Callable[["Transaction", Desk], Iterator[Finding]]


def all_of(desk: Desk) -> Iterator[Finding]:
    """Every check below, in one snapshot."""
    with desk.reading() as tx:
        found = [finding for check in CHECKS for finding in check(tx, desk)]
    yield from found


def _overdue(tx: Transaction, words: Words, since: int | None) -> str | None:
    """How long work has waited since then, if that is longer than it takes a daemon to get to it."""
    return words.span(tx.now - since) if since is not None and tx.now - since > LAG_MS else None


def lag(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Is anybody at work?"""
    words = voice(desk)
    dues = {name: at for name, at in due.earliest(tx).items() if at}
    if age := _overdue(tx, words, min(dues.values(), default=None)):
        late = ", ".join(sorted(name for name, at in dues.items() if _overdue(tx, words, at)))
        yield Finding(
            "work", "wrong",
            words.say("work is due since {age} ({loops})", age=age, loops=late),
            words.say("start the daemon: `sopd run`; if it runs, see its log"),
        )  # fmt: skip
    else:
        yield Finding("work", "ok", words.say("nothing lags"))


def callbacks(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Accepted callbacks that wait, and those that were set aside."""
    words = voice(desk)
    waiting = views_health.unhandled(tx)
    if age := _overdue(tx, words, waiting.oldest_at):
        many = words.counted(waiting.count, "callback")
        yield Finding(
            "inbox", "wrong",
            words.say("{callbacks} not handled, the oldest for {age}", callbacks=many, age=age),
            words.say("start the daemon: `sopd run`; if it runs, see its log"),
        )  # fmt: skip
    aside = views_health.set_aside_callbacks(tx)
    if aside.count:
        many = words.counted(aside.count, "callback")
        yield Finding(
            "inbox", "wrong", words.say("{callbacks} could not be handled, set aside", callbacks=many),
            words.say("`sopd inbox list --state set_aside` shows why, `sopd inbox replay --set-aside` tries again"),
        )  # fmt: skip
    if not aside.count and not waiting.count:
        yield Finding("inbox", "ok", words.say("every callback is handled"))


def signals(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """What customers did, and no rule has seen yet."""
    words, waiting = voice(desk), figures.signals(tx)
    if age := _overdue(tx, words, waiting.oldest_at):
        many = words.counted(waiting.count, "signal")
        yield Finding(
            "signals", "wrong",
            words.say("{signals} not judged, the oldest for {age}", signals=many, age=age),
            words.say("after a large import wait a little; else start the daemon, `sopd run`, or see its log"),
        )  # fmt: skip


def doubts(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Tasks that only a person can judge, those that are being looked up, and those that cannot be created."""
    words = voice(desk)
    say = words.say
    for task in views_health.doubtful_tasks(tx, "needs_operator", LISTED):
        yield Finding(
            "task", "wrong",
            say("task {task} of {member} ({sop}, {step}, {customers}): {reason}", task=task.id, member=task.member,
                sop=task.sop, step=task.step, customers=words.counted(task.size, "customer"),
                reason=words.sentence(task.reason) or say("its outcome is not known")),
            say("look at it in WeCom or ask {member}, then `sopd dispatch resolve {task} --sent` or --not-sent",
                member=task.member, task=task.id),
        )  # fmt: skip
    yield from _looked_up(tx, words)
    for reason, count, oldest in views_health.blocked_tasks(tx):
        yield Finding(
            "task", "note",
            say("{tasks} could not be created yet, the oldest for {age}: {reason}", tasks=words.counted(count, "task"),
                age=words.span(tx.now - oldest), reason=words.sentence(reason)),
            say("they are tried again until they expire; see the check `wecom`"),
        )  # fmt: skip


def _looked_up(tx: Transaction, words: Words) -> Iterator[Finding]:
    """Doubt ends by itself, within minutes; where it does not, WeCom cannot be asked."""
    say = words.say
    passing = {
        "uncertain": say("nothing to do: it is being looked up, and nothing is sent twice"),
        "unsure": say("nothing to do: the same card is handed over once more, and nothing is sent twice"),
    }
    stuck = say("a look-up takes ten minutes: WeCom does not answer it; see the check `wecom` and the log")
    for state, fix in passing.items():
        for task in views_health.doubtful_tasks(tx, state, LISTED):
            age = tx.now - task.since
            what = say("task {task} of {member}: WeCom's answer was lost {age} ago", task=task.id, member=task.member,
                       age=words.span(age))  # fmt: skip
            yield Finding("task", "wrong", what, stuck) if age > STUCK_MS else Finding("task", "note", what, fix)


def poison(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Rows that failed alone and were set aside; callbacks are told by `callbacks`."""
    words = voice(desk)
    counts = {kind: n for kind, n in figures.set_aside(tx).items() if kind != "inbox"}
    for row in views_health.poison_rows(tx, "inbox", LISTED) if counts else ():
        at = instants.shown(row.at, desk.zone)
        yield Finding(
            "set aside", "wrong",
            words.say("{kind} {key}, {at}: {reason}", kind=row.kind, key=row.row_key, at=at, reason=row.reason),
            words.say("the rest goes on without it; the log says more;"
                      " `sopd db retry` tries again once the cause is mended"),
        )  # fmt: skip
    rest = sum(counts.values()) - LISTED
    if rest > 0:
        yield Finding("set aside", "wrong", words.say("and {rows} more", rows=words.counted(rest, "row")))


def windows(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Back-off windows that are open."""
    say = voice(desk).say
    for path in views_health.resting_paths(tx):
        until = instants.shown(path.until_at, desk.zone, seconds=True)
        yield Finding(
            "back-off", "note",
            say("{path} rests until {until}: {reason}", path=path.path, until=until, reason=path.reason),
            say("nothing to do: it goes on by itself; if it comes often, see what else calls WeCom with this app"),
        )  # fmt: skip


def reading(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """The daily full read: held losses, and relations that cannot be read; other long jobs that do not get on."""
    words = voice(desk)
    say = words.say
    for held in views_health.held_losses(tx):
        yield Finding(
            "reconciliation", "wrong",
            say("{count} of {relations} customers of {member} are missing since {since}: too many to believe",
                count=held.count, relations=held.relations, member=held.member,
                since=instants.shown(held.since, desk.zone)),
            say("look in WeCom: if they are lost, `sopd member accept {member}`; else the next full read ends this",
                member=held.member),
        )  # fmt: skip
    sick = views_health.failing_rereads(tx, SICK_ATTEMPTS)
    if sick.count:
        relations = words.counted(sick.count, "relation")
        yield Finding(
            "reading", "wrong",
            say("{relations} could not be read, {times} times and more", relations=relations, times=SICK_ATTEMPTS),
            say("see the check `wecom` and the log"),
        )  # fmt: skip
    for job in views_health.jobs(tx):
        if job.state in ("failed", "held") or (job.reason and job.attempts >= SICK_ATTEMPTS):
            what = say("{job} is {state}: {reason}", job=f"{job.kind} {job.key}".strip(), state=words.state(job.state),
                       reason=words.reason(job.reason) or say("no reason given"))  # fmt: skip
            yield Finding("job", "wrong", what, say("see the log"))


def members(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Members who cannot send."""
    say = voice(desk).say
    in_scope, unable = views_health.members(tx)
    if unable:
        yield Finding(
            "members", "note",
            say("{unable} of {all} members cannot send to customers: they enter nobody", unable=unable, all=in_scope),
            say("give them customer contact in WeCom's console, or take them out of the app's scope"),
        )  # fmt: skip


def tags(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """Tags that a SOP needs and that are gone (D25), and tag writes that failed."""
    words = voice(desk)
    say = words.say
    for sop, name in views_health.dropped_tags_in_use(tx):
        yield Finding(
            "tags", "wrong", say("SOP {sop} uses the tag {name}, which was deleted in WeCom", sop=sop, name=name),
            say("make it anew in WeCom, or change the definition; then `sopd sop apply` it again"),
        )  # fmt: skip
    for reason, count, last in views_health.failed_tag_writes(tx, tx.now - DAY_MS):
        what = say("{writes} failed within a day, the last {at}: {reason}", writes=words.counted(count, "tag write"),
                   at=instants.shown(last, desk.zone), reason=words.reason(reason))  # fmt: skip
        yield Finding("tags", "note", what)


def sops(tx: Transaction, desk: Desk) -> Iterator[Finding]:
    """What is running."""
    say = voice(desk).say
    told = ", ".join(
        say("{sop} ({open} inside, paused)", sop=sop.key, open=sop.open) if sop.state == "paused"
        else say("{sop} ({open} inside)", sop=sop.key, open=sop.open)
        for sop in views.sops(tx) if sop.state in ("running", "paused")
    )  # fmt: skip
    yield Finding("sops", "ok", told or say("none is running"))


CHECKS: tuple[Check, ...] = (sops, lag, callbacks, signals, doubts, poison, windows, reading, members, tags)
