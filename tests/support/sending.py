"""One company whose customers get mass sends, for tests of what happens between planning and WeCom's results.

`Desk` is a rig with a SOP of two mass sends; tests say what people do and read what became of pushes and tasks. Time
starts on Monday 2 March 2026, 09:00; the first step of who adds then falls due on Tuesday at 10:00, its task is created
at 10:01, and it expires on Wednesday at the end of the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sopd.actors import LOOPS
from sopd.commands import MuteCustomers, PauseSop, ResumeSop
from sopd.config import Quota
from sopd.handlers import customers, sops
from sopd.sandbox.api import Request
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Fault, Faults
from sopd.sandbox.records import MassSend
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.store.tables import RelationTag
from sopd.wecom.endpoints import ENDPOINTS
from tests.support.rig import WHO, Rig, at, settings_for

SOP = """
sop: care
title: 新客户
kind: new_customer
steps:
  - {id: first, day: 1, at: "10:00", by: mass_send, text: 第一天}
  - {id: second, day: 4, at: "10:00", by: mass_send, text: 第四天}
early_end: {when: {tag: [结果/已下单]}}
"""
BOUGHT = "结果/已下单"
CREATED = at("2026-03-03 10:01")
PATHS = {name: endpoint.path.rsplit("/", 1)[1] for name, endpoint in ENDPOINTS.items()}
"""The last part of each call's path, as the sandbox's faults want it."""


class Watched(Faults):
    """Faults that also know what was asked."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.asked: list[str] = []

    def draw(self, request: Request) -> Fault | None:
        self.asked.append(request.path)
        return super().draw(request)


class Desk(Rig):
    """The company. `sop` is a definition, `tags` are in the library too; the rest is the sandbox's settings.

    What others send is read only with `reads_others`, so that every list that is asked for is the look-up's.
    """

    def __init__(
        self, store: Store, *, sop: str = SOP, members: str = "alice", tags: Sequence[str] = (),
        reads_others: bool = False, **config: Any,
    ) -> None:  # fmt: skip
        start = at("2026-03-02 09:00")
        world = World("desk", SandboxConfig(**config), start)
        self.faults = Watched("desk")
        for userid in members.split():
            world.hire(userid)
        for tag in (BOUGHT, *tags):
            world.stock_tag(tag, now=start)
        quota = Quota(mode=world.config.quota, own_sends_every_minutes=240 if reads_others else 0)
        settings = settings_for(world.config, quota=quota)
        super().__init__(store, world, start, faults=self.faults, settings=settings)
        self.publish(("care.yaml", sop))
        self.settle()

    def settle_without(self, loop: str) -> None:
        """Work off what is due now, as if no worker were left for this loop."""
        for _ in range(5):
            self.stage.step(self.now)
            for one in LOOPS:
                if one.name != loop:
                    one.run(self.app)

    # -- people ----------------------------------------------------------------------------------------------------

    def add(self, *names: str, member: str = "alice") -> None:
        """Customers add the member now."""
        for name in names:
            self.world.customer_adds(member, name, now=self.now)
        self.settle()

    def buys(self, name: str, member: str = "alice") -> None:
        """The member tags the customer, which ends the run."""
        self.world.member_tags(member, name, BOUGHT, now=self.now)
        self.settle()

    def confirms(self, task: MassSend | None = None) -> None:
        """The member taps "send" on the newest task, or on this one."""
        task = task or self.tasks[-1]
        self.world.member_confirms(task.msgid, next(iter(task.assignments)), now=self.now)

    def leaves_silently(self, name: str, member: str = "alice") -> None:
        """The customer deletes the member, and no callback tells of it."""
        letters = len(self.world.mailbox.waiting)
        self.world.customer_deletes(member, name, now=self.now)
        del self.world.mailbox.waiting[letters:]

    def put_tag_unseen(self, name: str) -> None:
        """The tag is on the relation, here as in WeCom, and no run has reacted to it."""
        with self.store.transaction() as tx:
            relation_id, tag_id = tx.one(
                "select r.id, t.tag_id from relation r join customer c on c.id = r.customer_id, tag t"
                " where c.external_userid = ?",
                (name,),
            ) or (0, "")
            tx.insert(RelationTag, [{"relation_id": relation_id, "tag_id": tag_id, "since": tx.now}], returning=())
        self.world.relations["alice", name].tag_ids.add(tag_id)

    # -- what an operator does -------------------------------------------------------------------------------------

    def mute(self, name: str) -> None:
        customers.mute(self.app, MuteCustomers((name,), True, WHO))

    def pause(self) -> None:
        sops.pause(self.app, PauseSop("care", WHO))

    def resume(self) -> None:
        sops.resume(self.app, ResumeSop("care", WHO))

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def fails(self, call: str, kind: str = "errcode", errcode: int = 0, *, after: bool = False, times: int = 1) -> None:
        """The next calls of this kind go wrong; `call` is the client's name for it."""
        self.faults.plan(PATHS[call], Fault(kind, errcode, after), times)  # type: ignore[arg-type]

    # -- what became of it -----------------------------------------------------------------------------------------

    @property
    def tasks(self) -> list[MassSend]:
        """The tasks WeCom has of ours, oldest first."""
        return [task for task in self.world.tasks.values() if task.creator is None]

    def push(self, name: str, step: str = "first") -> tuple[str, str | None]:
        """State and reason of a customer's push."""
        row = self._push(name, step, "p.state, p.reason")
        return (row[0], row[1])

    def push_id(self, name: str, step: str = "first") -> int:
        """The number of a customer's push."""
        return int(self._push(name, step, "p.id")[0])

    def mark(self, name: str, step: str = "first") -> str | None:
        """The mark on a customer's push."""
        return self._push(name, step, "p.mark")[0]

    def sent_at(self, name: str, step: str = "first") -> int | None:
        """When it was sent."""
        return self._push(name, step, "p.sent_at")[0]

    def is_settled(self, name: str, step: str = "first") -> bool:
        """Whether the next step may go on."""
        return self._push(name, step, "p.settled_at")[0] is not None

    def _push(self, name: str, step: str, columns: str) -> tuple[Any, ...]:
        with self.store.reading() as tx:
            row = tx.one(
                f"select {columns} from push p join customer c on c.id = p.customer_id"
                " where c.external_userid = ? and p.step_id = ?",
                (name, step),
            )
        assert row is not None, f"{name} has no push {step}"
        return row

    def dispatches(self) -> list[str]:
        """The states of our tasks, oldest first."""
        return [row[0] for row in self.rows("select state from dispatch order by id")]

    def reserved(self, name: str) -> list[str]:
        """The quota windows in which the customer has a place taken."""
        found = self.rows(
            'select r."window" from reservation r join customer c on c.id = r.customer_id'
            f" where c.external_userid = '{name}' order by 1"
        )
        return [row[0] for row in found]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the store."""
        with self.store.reading() as tx:
            return tx.rows(sql)

    def received(self, name: str, member: str = "alice") -> list[str]:
        """What really arrived at the customer."""
        page = self.world.account()[member, name]
        return [message["text"] for message in page["messages"]]

    def calls(self, name: str) -> int:
        """How often WeCom was asked this, faults included."""
        return sum(1 for path in self.faults.asked if path.endswith(f"/{PATHS[name]}"))
