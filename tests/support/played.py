"""What came of a played history, read from the engine's rows and the sandbox's books, as an `Account`."""

from __future__ import annotations

import json
from collections import Counter

from sopd.store import Transaction
from tests.support.oracle.account import Account, PushRow, RunRow
from tests.support.oracle.history import shown
from tests.support.rig import Rig

_RUNS = """
select e.id, s.key, s.kind, m.userid, c.external_userid, e.run_no, e.state, e.cause from enrollment e
join sop s on s.id = e.sop_id join member m on m.id = e.member_id join customer c on c.id = e.customer_id order by e.id
"""
_PUSHES = """
select p.enrollment_id, p.step_id, p.state, p.reason, p.mark, p.channel, p.sent_at, d.state from push p
left join dispatch d on d.id = p.dispatch_id order by p.id
"""
_BOOKED = """
select c.external_userid, r."window" from reservation r join customer c on c.id = r.customer_id
"""
_REFUSALS = """
select s.key, case when s.kind = 'new_customer' then m.userid end, c.external_userid, f.reason, f.times
from refusal f join sop s on s.id = f.sop_id join customer c on c.id = f.customer_id
left join relation r on r.id = f.subject_id left join member m on m.id = r.member_id
"""
_TAGS = """
select m.userid, c.external_userid, t.group_name, t.name from relation_tag rt
join relation r on r.id = rt.relation_id join member m on m.id = r.member_id join customer c on c.id = r.customer_id
join tag t on t.tag_id = rt.tag_id
where r.state = 'active' and (rt.wanted = 1 or (rt.wanted is null and rt.in_wecom))
"""
_TOLD = """
select m.userid, c.external_userid, s.key, p.step_id, p.state, d.state from push p join sop s on s.id = p.sop_id
join member m on m.id = p.member_id join customer c on c.id = p.customer_id left join dispatch d on d.id = p.dispatch_id
"""
_JOURNAL = "select enrollment_id, at, kind, state_to, reason, detail from journal order by id"


def played(rig: Rig) -> Account:
    """The engine's rows; messages as the sandbox saw them arrive."""
    account = Account()
    with rig.store.reading() as tx:
        _read_runs(tx, account)
        for customer, window in tx.rows(_BOOKED):
            account.booked.setdefault(customer, Counter())[f"{window[1:]}-01"[:10]] += 1
        for sop, member, customer, reason, times in tx.rows(_REFUSALS):
            key = (sop, member or "", customer)
            before, reasons = account.refusals.get(key, (0, frozenset()))
            account.refusals[key] = (before + times, reasons | {reason})
        for customer, attributes in tx.rows("select external_userid, attributes from customer"):
            if values := json.loads(attributes):
                account.attributes[customer] = values
        account.tags = _tags(tx)
    for pair, page in rig.world.account().items():
        said = [(one["text"], one["at"] // 1000 * 1000) for one in page["messages"] if one["kind"] == "enterprise"]
        said += [(one["text"], one["at"] // 1000 * 1000) for one in page["welcomes"]]
        account.messages[pair] = tuple(sorted(said, key=lambda one: (one[1], one[0])))
    return account


def disbelieved(rig: Rig, account: Account) -> list[str]:
    """Relations whose tags are not in WeCom what the engine thinks they are."""
    return [
        f"tags of {pair[1]} at {pair[0]}: the engine {sorted(account.tags.get(pair, ()))}, WeCom {page['tags']}"
        for pair, page in rig.world.account().items()
        if frozenset(page["tags"]) != account.tags.get(pair, frozenset())
    ]


def misreported(rig: Rig) -> list[str]:
    """Messages of ours of which the engine says something else than really happened: told as sent and never arrived,
    arrived unnoticed, or arrived twice. What nobody can know an operator is asked about, whichever it was."""
    said: Counter[tuple[str, str, str]] = Counter()
    doubtful: Counter[tuple[str, str, str]] = Counter()
    with rig.store.reading() as tx:
        for member, customer, sop, step, state, task in tx.rows(_TOLD):
            counted = said if state == "sent" else doubtful if task == "needs_operator" else None
            if counted is not None:
                counted[member, customer, f"{sop}/{step}"] += 1
    arrived: Counter[tuple[str, str, str]] = Counter()
    for (member, customer), page in rig.world.account().items():
        texts = [one["text"] for one in page["messages"] if one["kind"] == "enterprise"]
        arrived.update((member, customer, text) for text in [*texts, *(one["text"] for one in page["welcomes"])])
    return [
        f"{text} to {customer} through {member}: arrived {arrived[key]} times, the engine says {said[key]}"
        for key in sorted({*arrived, *said})
        for member, customer, text in [key]
        if not said[key] <= arrived[key] <= said[key] + doubtful[key]
    ]


def set_aside(rig: Rig) -> list[str]:
    """Rows that the engine could not handle; a history without faults has none."""
    with rig.store.reading() as tx:
        return [" ".join(row) for row in tx.rows("select kind, row_key, reason from set_aside")]


def _read_runs(tx: Transaction, account: Account) -> None:
    keys = {}
    for number, sop, kind, member, customer, run_no, state, cause in tx.rows(_RUNS):
        key = keys[number] = (sop, member if kind == "new_customer" else "", customer, run_no)
        began = "added" if cause == "reconciliation" else cause
        account.runs[key], account.pushes[key] = RunRow(state, member, began), {}
    for number, step, state, reason, mark, channel, sent_at, _ in tx.rows(_PUSHES):
        when = sent_at if state == "sent" and channel != "welcome" else None
        account.pushes[keys[number]][step] = PushRow(state, reason or "", when, mark is not None)
    stories: dict[tuple[str, str, str, int], list[str]] = {}
    for number, at, *words in tx.rows(_JOURNAL):
        stories.setdefault(keys[number], []).append(f"{shown(at)}  {' '.join(str(word) for word in words if word)}")
    account.stories = {key: tuple(lines) for key, lines in stories.items()}


def _tags(tx: Transaction) -> dict[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for member, customer, group, name in tx.rows(_TAGS):
        found.setdefault((member, customer), set()).add(f"{group}/{name}")
    return {pair: frozenset(tags) for pair, tags in found.items()}
