"""A company without its outside: the real handlers on a real store, time by hand, WeCom's answers written by the test.

For tests of the handlers of runs and planning. What relay and collector would do to a push is one call here (`sent`,
`requested`), written into the rows as they write it. Flow tests use `rig` instead.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from machines.calendar import Instant, QuietHours
from machines.events import PushEvent, ResultSent
from machines.push import PushFacts
from machines.quota import Quota
from machines.workdays import NO_WORKDAYS
from sopd.commands import ApplySop, PauseSop, ResumeSop, StartSop, StopSop
from sopd.config import Settings
from sopd.handlers import admission, firing, initialising, planning, pushes, sop_jobs, sops
from sopd.handlers.app import App, Company, Programs
from sopd.handlers.consequences import follow
from sopd.handlers.welcomes import Begun
from sopd.store import Store
from sopd.store.queries import dispatches as task_queries
from sopd.store.queries import pushes as push_queries
from sopd.store.tables import Customer, Member, Relation, RelationTag, Tag
from tests.support.factories import add, all_rows

SHANGHAI = ZoneInfo("Asia/Shanghai")
WHO = "tester"
QUIET = QuietHours(((dt.time(21), dt.time(8)),))


def at(text: str) -> Instant:
    """The instant of a Shanghai time such as `2026-03-02 09:00`."""
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


def local(instant: Instant | None) -> str | None:
    """The other way round, for readable assertions."""
    if instant is None:
        return None
    return dt.datetime.fromtimestamp(instant / 1000, SHANGHAI).strftime("%Y-%m-%d %H:%M")


class TestCompany:
    """One company on one store; `now` is its clock."""

    __test__ = False

    def __init__(self, store: Store, start: str = "2026-03-02 09:00", *, quota: str = "day:1", **company: Any) -> None:
        self.store = store
        known = {"zone": "Asia/Shanghai", "quiet": QUIET, "workdays": NO_WORKDAYS, "quota": Quota.parse(quota)}
        made = Company(**{**known, **company})
        self.rung: list[str] = []
        self.app = App(Settings(), store, None, made, Programs(made), self.rung.append)  # type: ignore[arg-type]
        self.go_to(start)

    # -- time ------------------------------------------------------------------------------------------------------

    def go_to(self, text: str | Instant) -> None:
        self.now = at(text) if isinstance(text, str) else text
        self.store.set_clock(self.now)

    def work(self) -> None:
        """Fire, plan and lead jobs on until nothing is due."""
        loops = (firing.fire_due, planning.plan, sop_jobs.run_once, initialising.run_once)
        while sum(loop(self.app) for loop in loops):
            pass

    def work_until(self, text: str) -> None:
        """Work at every instant up to this one at which a step or a push is due."""
        until = at(text)
        while True:
            self.work()
            with self.store.reading() as tx:
                following = tx.value(
                    "select min(at) from (select min(due_at) as at from enrollment union all"
                    " select min(plan_at) from push) s"
                )
            if following is None or following > until:
                break
            self.go_to(max(following, self.now))
        self.go_to(until)
        self.work()

    # -- people ----------------------------------------------------------------------------------------------------

    def member(self, userid: str, **columns: Any) -> SimpleNamespace:
        rows = all_rows(self.store, Member, "id", where=f"userid = '{userid}'")
        if rows:
            return SimpleNamespace(id=rows[0][0], userid=userid)
        return add(self.store, Member, userid=userid, **columns)

    def customer(self, name: str, **columns: Any) -> SimpleNamespace:
        rows = all_rows(self.store, Customer, "id", where=f"external_userid = '{name}'")
        return SimpleNamespace(id=rows[0][0]) if rows else add(self.store, Customer, external_userid=name, **columns)

    def tag(self, path: str) -> str:
        group, name = path.split("/")
        add(self.store, Tag, tag_id=f"et-{name}", name=name, group_id=f"eg-{group}", group_name=group)
        return f"et-{name}"

    def put_tag(self, relation: SimpleNamespace, tag_id: str) -> None:
        add(self.store, RelationTag, relation_id=relation.id, tag_id=tag_id)

    def befriend(self, userid: str, customer: str, **columns: Any) -> SimpleNamespace:
        """A relation that begins now; nobody is let in by this alone."""
        member, person = self.member(userid), self.customer(customer)
        relation = add(
            self.store, Relation, member_id=member.id, customer_id=person.id,
            **{"began_at": self.now, "learned_at": self.now, **columns},
        )  # fmt: skip
        relation.userid = userid
        return relation

    def add(self, userid: str, customer: str, *, code: str | None = None, **columns: Any) -> SimpleNamespace:
        """A customer adds a member now: relation and admission."""
        relation = self.befriend(userid, customer, **columns)
        self.admit([relation], code=code)
        return relation

    def admit(self, relations: Sequence[SimpleNamespace], *, code: str | None = None, cause: str = "added") -> None:
        with self.store.transaction() as tx:
            begun = [
                Begun(
                    one.id, one.member_id, one.customer_id, one.userid, one.began_at, one.channel, one.add_way, cause,
                    code, None if code is None else one.began_at + 20_000,
                )
                for one in relations
            ]
            follow(tx, self.app, admission.admit(tx, self.app, begun))

    # -- SOPs ------------------------------------------------------------------------------------------------------

    def apply(self, text: str, name: str = "test.yaml") -> str:
        return sops.apply(self.app, ApplySop(name, text, WHO)).key

    def start(self, text: str) -> str:
        key = self.apply(text)
        sops.start(self.app, StartSop(key, WHO))
        return key

    def pause(self, key: str) -> sops.Moved:
        return sops.pause(self.app, PauseSop(key, WHO))

    def resume(self, key: str, missed: str = "skip", *, admit: bool = False) -> sops.Moved:
        return sops.resume(self.app, ResumeSop(key, WHO, missed, admit))

    def stop(self, key: str) -> sops.Moved:
        return sops.stop(self.app, StopSop(key, WHO))

    # -- what became of them -----------------------------------------------------------------------------------------

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.store.reading() as tx:
            return tx.rows(sql, params)

    def run(self, relation: SimpleNamespace, key: str | None = None) -> SimpleNamespace:
        """The relation's (only) run, of this SOP if it has several."""
        where = "" if key is None else f" and s.key = '{key}'"
        names = "id state due_at mass_at parked_at closed_at reason ended_by run_no cause rev".split()
        columns = ", ".join(f"e.{name}" for name in names)
        rows = self.rows(
            f"select {columns} from enrollment e join sop s on s.id = e.sop_id where e.relation_id = ?{where}",
            relation.id,
        )
        assert len(rows) == 1, f"{len(rows)} runs"
        return SimpleNamespace(**dict(zip(names, rows[0], strict=True)))

    def pushes(self, relation: SimpleNamespace, key: str | None = None) -> dict[str, str]:
        """The relation's pushes as `step: state reason`, in firing order."""
        where = "" if key is None else f" and s.key = '{key}'"
        rows = self.rows(
            "select p.step_id, p.state, p.reason from push p join sop s on s.id = p.sop_id where p.relation_id = ?"
            f"{where} order by p.id",
            relation.id,
        )
        return {step: f"{state} {reason}" if reason else state for step, state, reason in rows}

    def push(self, relation: SimpleNamespace, step: str, key: str | None = None) -> SimpleNamespace:
        names = (
            "id enrollment_id state reason due_at next_due_at plan_at deferred expires_at dispatch_id settled_at"
            " stopped_at takes_quota"
        ).split()
        where = "" if key is None else f" and s.key = '{key}'"
        rows = self.rows(
            f"select {', '.join(f'p.{name}' for name in names)} from push p join sop s on s.id = p.sop_id"
            f" where p.relation_id = ? and p.step_id = ?{where}",
            relation.id, step,
        )  # fmt: skip
        assert len(rows) == 1, f"{len(rows)} pushes of {step}"
        return SimpleNamespace(**dict(zip(names, rows[0], strict=True)))

    def tasks(self) -> list[tuple[str, str, str, int]]:
        """Every task as (step, state, creation, size)."""
        rows = self.rows("select step_id, state, send_at, size from dispatch order by id")
        return [(step, state, local(send_at), size) for step, state, send_at, size in rows]

    def places(self) -> list[tuple[int, str, int]]:
        """Every reservation as (customer, window, place)."""
        return self.rows('select customer_id, "window", place from reservation order by customer_id, "window", place')

    # -- WeCom's answers, as relay and collector write them ------------------------------------------------------------

    def requested(self, relation: SimpleNamespace, step: str, key: str | None = None) -> int:
        """The task of this push is out at the member now."""
        task = self.push(relation, step, key).dispatch_id
        with self.store.transaction() as tx:
            tx.run(
                "update dispatch set state = 'requested', act_at = null, msgid = ?, requested_at = ? where id = ?",
                (f"m{task}", tx.now, task),
            )
            tx.run("update push set state = 'requested' where dispatch_id = ? and settled_at is null", (task,))
        return task

    def sent(self, relation: SimpleNamespace, step: str, when: Instant | None = None) -> None:
        """WeCom reports this push as sent, now or at `when`."""
        self.told(relation, step, ResultSent(when or self.now), when)

    def told(self, relation: SimpleNamespace, step: str, event: PushEvent, when: Instant | None = None) -> None:
        """The task of this push is over, and this is what it says."""
        push = self.push(relation, step)
        with self.store.transaction() as tx:
            tx.run("update dispatch set state = 'settled', act_at = null where id = ?", (push.dispatch_id,))
            row = push_queries.unsettled(tx, [push.id])[0]
            decision = pushes.decide(row.state, event, PushFacts(task="open"))
            happened = pushes.tell(tx, [pushes.Told(row, decision)])
            if decision.state == "sent":
                task_queries.note_sent(tx, [(push.id, when or self.now)])
                pushes.release(tx, self.app, (), {push.id: when or self.now})
            follow(tx, self.app, happened)
