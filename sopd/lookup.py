"""The loop that looks for tasks nobody knows to exist (D16): our own list first, then WeCom's.

Whether a task is ours is told by its content, its sender, the time it was created and its recipients together. A read
that breaks off proves nothing. No transaction is open while WeCom is called.
"""

from __future__ import annotations

from collections.abc import Sequence

from machines.calendar import DAY_MS, MINUTE_MS, SECOND_MS, Instant
from machines.dispatch import Match
from sopd.handlers import doubts, refusals
from sopd.handlers.app import App
from sopd.handlers.doubts import Doubt, Finding
from sopd.wecom.errors import WeComFailure
from sopd.wecom.parallel import Outcomes, read_many
from sopd.wecom.sends import CreateType, MassSendRecord, MemberTask

Pair = tuple[str, str]
"""(msgid, userid)"""
EARLIER_MS = 2 * MINUTE_MS
LATER_MS = 5 * MINUTE_MS
"""How far WeCom's create_time may lie before and after our attempt: clocks differ, and it counts whole seconds."""
LONGEST_MS = 29 * DAY_MS
"""WeCom lists a month at a time; older doubts than the oldest and this are the next round's."""


def run_once(app: App) -> int:
    """Look for a page of doubtful creates with one complete read of WeCom's list; returns how many were looked for."""
    claimed = doubts.claim(app)
    if not claimed:
        return 0
    oldest = min(one.attempted_at for one in claimed)
    wanted = [one for one in claimed if one.attempted_at < oldest + LONGEST_MS]
    read_at = app.store.now()
    try:
        records = _list(app, wanted, read_at)
    except WeComFailure as failure:
        doubts.record(app, [Finding(one, failure=failure) for one in wanted])
        return len(claimed)
    doubts.record(app, _compare(app, wanted, records, read_at))
    return len(claimed)


def _list(app: App, wanted: Sequence[Doubt], now: Instant) -> list[MassSendRecord]:
    """Every task WeCom made for us around these attempts."""
    start = min(one.attempted_at for one in wanted) - EARLIER_MS
    end = max(one.attempted_at for one in wanted) + LATER_MS
    return list(app.wecom.iter_mass_sends(start, max(start, min(end, now + SECOND_MS)), CreateType.ENTERPRISE))


def _compare(app: App, wanted: Sequence[Doubt], records: Sequence[MassSendRecord], read_at: Instant) -> list[Finding]:
    """Look into the tasks that say the same and belong to no dispatch of ours: whose are they, and for whom?"""
    alike = {one: [record.msgid for record in records if _is_like(one, record)] for one in wanted}
    strange = doubts.unrecorded(app, {msgid for msgids in alike.values() for msgid in msgids})
    pairs = sorted({(msgid, one.userid) for one, msgids in alike.items() for msgid in msgids if msgid in strange})
    senders = read_many(app.wecom.mass_send_tasks, sorted(strange))
    ours = [pair for pair in pairs if pair[1] in _members(senders, pair[0])]
    rows = read_many(lambda pair: app.wecom.mass_send_results(*pair), ours)
    recipients = Outcomes(
        {pair: frozenset(row.external_user_id for row in found) for pair, found in rows.values.items()},
        rows.failures | {pair: senders.failures[pair[0]] for pair in pairs if pair[0] in senders.failures},
    )
    return [_finding(one, [(msgid, one.userid) for msgid in alike[one]], recipients, read_at) for one in wanted]


def _members(senders: Outcomes[str, tuple[MemberTask, ...]], msgid: str) -> set[str]:
    return {task.user_id for task in senders.values.get(msgid, ())}


def _finding(
    one: Doubt, pairs: Sequence[Pair], recipients: Outcomes[Pair, frozenset[str]], read_at: Instant
) -> Finding:
    """Tasks of other members say nothing; one that cannot be read yet leaves the question open."""
    matches = []
    for pair in pairs:
        failure = recipients.failures.get(pair)
        if pair in recipients.values:
            matches.append(Match(pair[0], "equal" if recipients.values[pair] == one.recipients else "unequal"))
        elif refusals.errcode_of(failure) == refusals.DISPATCHING:
            matches.append(Match(pair[0], "busy"))
        elif failure is not None and refusals.is_final(failure):
            matches.append(Match(pair[0], "unequal"))
        elif failure is not None:
            return Finding(one, failure=failure)
    return Finding(one, read_at, tuple(matches))


def _is_like(one: Doubt, record: MassSendRecord) -> bool:
    earliest, latest = one.attempted_at - EARLIER_MS, one.attempted_at + LATER_MS
    return record.content_hash == one.identity and earliest <= record.created_at <= latest
