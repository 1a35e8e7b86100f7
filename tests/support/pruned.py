"""A history played with prunings in between, and one without: what is left to compare of the two.

`prune_all` prunes as hard as the engine allows: everything that was over before this very instant. What a pruning takes
away is not compared; what happens afterwards, and every sum, must be the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sopd.handlers import pruning
from sopd.handlers.app import App
from sopd.store import Store, Transaction
from sopd.store.counters import read_counters
from sopd.store.queries import views
from tests.support.rig import Rig

_RUNS = """
select s.key, m.userid, c.external_userid, e.run_no, e.state, e.reason, e.entered_at, e.closed_at, e.cause, e.due_at,
e.anchor_at, e.counts_from, e.rule_false_at, e.parked_at, e.chain, e.inherited
from enrollment e join sop s on s.id = e.sop_id join member m on m.id = e.member_id
join customer c on c.id = e.customer_id order by 1, 2, 3, 4
"""
_PUSHES = """
select e.id, p.step_id, p.state, p.reason, p.mark, p.channel, p.sent_at, p.due_at, p.settled_at, p.deferred,
p.expires_at from push p join enrollment e on e.id = p.enrollment_id where e.pruned_at is null order by 1, p.due_at, 2
"""
_TAGS = "select relation_id, tag_id, wanted, in_wecom from relation_tag order by 1, 2"


@dataclass(frozen=True)
class After:
    """What came of a history, as far as pruning must not change it. `told`: the pushes of runs that have theirs."""

    runs: tuple[tuple[Any, ...], ...]
    told: dict[int, tuple[tuple[Any, ...], ...]]
    sums: dict[str, int]
    pages: dict[str, Any]
    tags: tuple[tuple[Any, ...], ...]
    attributes: tuple[tuple[Any, ...], ...]
    arrived: dict[tuple[str, str], Any]


def prune_all(app: App, kinds: Sequence[str] = pruning.KINDS) -> Counter[str]:
    """Prune with a retention of no days; returns how many rows of each table went."""
    gone: Counter[str] = Counter()
    now = app.store.now()
    for kind in kinds:
        after = None
        while True:
            batch = pruning.prune(app, kind, now, after)
            gone.update(batch.rows)
            after = batch.after
            if after is None:
                break
    return +gone


def after(rig: Rig) -> After:
    """Read it."""
    with rig.store.reading() as tx:
        told: dict[int, tuple[tuple[Any, ...], ...]] = {}
        for run_id, *rest in tx.rows(_PUSHES):
            told[run_id] = (*told.get(run_id, ()), tuple(rest))
        return After(
            tuple(tx.rows(_RUNS)), told, _sums(tx), _pages(tx), tuple(tx.rows(_TAGS)),
            tuple(tx.rows("select external_userid, attributes, muted_at from customer order by 1")),
            {pair: (_unnumbered(page["messages"]), page["welcomes"], sorted(page["tags"]))
             for pair, page in rig.world.account().items()},
        )  # fmt: skip


def _unnumbered(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the numbers of the tasks: two members' tasks are made side by side, now this one first, now that one."""
    return [{name: value for name, value in said.items() if name != "msgid"} for said in messages]


def counted(store: Store) -> list[str]:
    """Where counters and rows differ about settled pushes; only for a store that was never pruned."""
    with store.reading() as tx:
        rows = tx.rows("select sop_id, step_id, state, count(*) from push group by sop_id, step_id, state")
        sums: Counter[str] = Counter()
        for key, n in read_counters(tx, "sop/").items():
            words = key.split("/")
            if words[2] == "push" and words[4] in views.FINAL:
                sums["/".join(words[:5])] += n
    there = Counter({f"sop/{sop}/push/{step}/{state}": n for sop, step, state, n in rows if state in views.FINAL})
    return [f"{key}: counted {sums[key]}, rows {there[key]}" for key in {*sums, *there} if sums[key] != there[key]]


def _sums(tx: Transaction) -> dict[str, int]:
    """Every counter but those that hold what pruning took away."""
    return {key: n for key, n in read_counters(tx, "sop/").items() if n and "/pruned/" not in key}


def _pages(tx: Transaction) -> dict[str, Any]:
    """What `sop show` counts."""
    pages: dict[str, Any] = {}
    for key, sop_id, state in tx.rows("select key, id, state from sop"):
        refused = Counter({one.reason: one.count for one in views.refusals_of(tx, sop_id)})
        pushes = {step: {name: n for name, n in some.items() if n}
                  for step, some in views.states_of_pushes(tx, sop_id).items()}
        pages[key] = (state, views.states_of_runs(tx, sop_id), pushes, refused)
    return pages
