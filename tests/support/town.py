"""A company that listens and reads, but sends nothing: the sandbox's people, the real client, intake, reconciliation.

For tests of people, tags and reconciliation on both databases. Time stands where the test puts it, and nothing runs by
itself. The whole engine is in `tests.support.rig`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx

from machines.calendar import QuietHours
from machines.quota import Quota
from machines.workdays import Workdays
from sopd import config, intake, reconcile
from sopd.commands import ApplySop, StartSop
from sopd.crypto import CallbackCrypto
from sopd.handlers import inbox, sops, tags, upkeep
from sopd.handlers.app import App, Company, Programs
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Faults
from sopd.sandbox.letters import PostHabits
from sopd.sandbox.stage import Stage
from sopd.sandbox.transport import SandboxTransport
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.wecom import WeCom
from sopd.wecom.callbacks import CallbackEvent, parse
from sopd.wecom.errors import WeComFailure
from tests.support.caller import NEW_YEAR

MEMBERS = ("alice", "bob")
TAGS = ("结果/已复购", "阶段/考虑价格", "兴趣/防晒")
BOUGHT, PRICE, SUN = TAGS

CARE = """
sop: care
kind: new_customer
title: 新客关怀
members: [alice, bob, carol]
entry: {when: {any: [{source: [expo2026, live]}, {source: {add_way: [1, 202]}}]}}
steps:
  - {id: hello, by: welcome, text: 你好}
  - {id: guide, day: 1, at: "10:00", by: mass_send, text: 使用指南}
  - {id: tips, day: 5, at: "10:00", by: mass_send, text: 小贴士}
early_end: {when: {tag: [结果/已复购]}, add_tags: [阶段/考虑价格]}
normal_end: {add_tags: [兴趣/防晒]}
"""


class Overheard(SandboxTransport):
    """The line to WeCom, on which something may happen between an answer and its arrival."""

    def __init__(self, town: Town) -> None:
        super().__init__(town.stage.gateway, lambda: town.now)
        self._town = town

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        happening = self._town.meanwhile.pop(request.url.path.rpartition("/")[2], None)
        if happening is not None:
            happening()
        return answer


class Town:
    """`world` is WeCom and its people, `app` the engine's. Members and tags are there, a first reading is not."""

    def __init__(
        self, store: Store, *, habits: PostHabits | None = None, seed: str = "town", **sandbox: Any
    ) -> None:
        self.now = NEW_YEAR
        self.store = store
        store.set_clock(self.now)
        self.world = World(seed, SandboxConfig(**sandbox), self.now, habits)
        self.faults = Faults(seed)
        self.stage = Stage(self.world, None, deliver=self._deliver, faults=self.faults)
        self.received: list[CallbackEvent] = []
        self.meanwhile: dict[str, Callable[[], object]] = {}
        """What happens once while a call's answer is on its way, by the last part of the call's path."""
        self.app = self._app()
        for member in MEMBERS:
            self.world.hire(member)
        for path in TAGS:
            self.world.stock_tag(path, now=self.now)
        upkeep.ensure_jobs(self.app)

    # -- what happens ------------------------------------------------------------------------------------------------

    def run(self, text: str = CARE) -> None:
        """Apply and start a SOP."""
        applied = sops.apply(self.app, ApplySop("care.yaml", text, "tester"))
        sops.start(self.app, StartSop(applied.key, "tester"))

    def post(self) -> None:
        """Deliver the letters that are due, into the inbox."""
        self.stage.postman.run_once(self.now)

    def listen(self) -> None:
        """Deliver letters and work intake off, until nothing is left to do at this instant."""
        self.post()
        while intake.run_fast(self.app) + intake.run_once(self.app):
            self.post()

    def read_all(self) -> None:
        """A whole reconciliation, a second later, and what follows from it."""
        self.pass_time(seconds=1)
        with self.store.transaction() as tx:
            tx.run("update job set act_at = ? where kind = 'reconcile' and ended_at is null", (tx.now,))
        self.work_jobs()
        self.listen()

    def work_jobs(self) -> None:
        """Every reading job that is due."""
        while reconcile.run_once(self.app):
            pass

    def write_tags(self) -> None:
        """Make the `mark_tag` calls that wait, oldest first, as the outbox loop does."""
        with self.store.reading() as tx:
            rows = tx.rows(
                "select o.id, o.relation_id, m.userid, c.external_userid, o.payload from outbox o"
                " join relation r on r.id = o.relation_id join member m on m.id = r.member_id"
                " join customer c on c.id = r.customer_id where o.kind = 'mark_tag' and o.state = 'pending'"
                " order by o.id"
            )
        for outbox_id, relation_id, userid, external_userid, text in rows:
            payload, done = tags.Payload.read(text), True
            try:
                self.app.wecom.mark_tags(userid, external_userid, payload.add, payload.remove)
            except WeComFailure:
                done = False
            self.record_tags(tags.Written(outbox_id, relation_id, payload, done))

    def record_tags(self, outcome: tags.Written) -> None:
        """Record what became of one `mark_tag` row."""
        with self.store.transaction() as tx:
            tx.run("update outbox set state = ?, act_at = null where id = ?",
                   ("done" if outcome.done else "failed", outcome.outbox_id))  # fmt: skip
            changes = tags.written(tx, self.app, [outcome])
            follow(tx, self.app, Consequences(tag_changes=tuple(changes)))

    def pass_time(self, *, seconds: float = 0, minutes: float = 0, days: float = 0) -> None:
        """Let time go by on both sides."""
        self.now += round(((days * 24 * 60 + minutes) * 60 + seconds) * 1000)
        self.store.set_clock(self.now)

    # -- what is there -----------------------------------------------------------------------------------------------

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """The answer to a question."""
        with self.store.reading() as tx:
            return tx.rows(sql, params)

    def relation(self, userid: str, external_userid: str) -> tuple[str, str | None]:
        """(state, lost by) of one relation."""
        found = self.rows(
            "select r.state, r.lost_by from relation r join member m on m.id = r.member_id"
            " join customer c on c.id = r.customer_id where m.userid = ? and c.external_userid = ?",
            userid, external_userid,
        )  # fmt: skip
        return found[0]

    def runs(self) -> list[tuple[str, str, str, str | None]]:
        """(member, customer, state, reason) of every enrollment, in the order of entry."""
        return self.rows(
            "select m.userid, c.external_userid, e.state, e.reason from enrollment e"
            " join member m on m.id = e.member_id join customer c on c.id = e.customer_id order by e.id"
        )

    def tags_of(self, userid: str, external_userid: str) -> set[str]:
        """Names of the tags that hold for rules."""
        return {row[0] for row in self.rows(
            "select t.group_name || '/' || t.name from relation_tag rt join relation r on r.id = rt.relation_id"
            " join member m on m.id = r.member_id join customer c on c.id = r.customer_id"
            " join tag t on t.tag_id = rt.tag_id where m.userid = ? and c.external_userid = ?"
            " and coalesce(rt.wanted, case when rt.in_wecom then 1 else 0 end) = 1",
            userid, external_userid,
        )}  # fmt: skip

    def friends(self) -> dict[tuple[str, str], tuple[int, tuple[str, ...]]]:
        """Every active relation with its beginning and WeCom's word on its tags, as we know it."""
        relations = self.rows(
            "select r.id, m.userid, c.external_userid, r.began_at from relation r join member m on m.id = r.member_id"
            " join customer c on c.id = r.customer_id where r.state = 'active'"
        )
        held = self.rows("select relation_id, tag_id from relation_tag where in_wecom order by tag_id")
        return {
            (userid, external): (began_at, tuple(tag_id for owner, tag_id in held if owner == relation_id))
            for relation_id, userid, external, began_at in relations
        }

    def true_friends(self) -> dict[tuple[str, str], tuple[int, tuple[str, ...]]]:
        """The same as WeCom has it."""
        return {
            pair: (one.created_at // 1000 * 1000, tuple(sorted(one.tag_ids)))
            for pair, one in self.world.relations.items()
            if self.world.is_visible(one)
        }

    # -- the line between the two ------------------------------------------------------------------------------------

    def _app(self) -> App:
        sandbox = self.world.config
        settings = replace(
            config.Settings(),
            wecom=config.Wecom(
                corp_id=sandbox.corp_id, agent_id=sandbox.agent_id, secret=sandbox.secret,
                token=sandbox.callback_token, encoding_aes_key=sandbox.encoding_aes_key,
                api_base="http://127.0.0.1:1",
            ),
        )  # fmt: skip
        self._crypto = CallbackCrypto(sandbox.callback_token, sandbox.encoding_aes_key, sandbox.corp_id)
        wecom = WeCom(
            settings.wecom.api_base, sandbox.corp_id, sandbox.secret, sandbox.agent_id, now=lambda: self.now,
            transport=Overheard(self),
        )  # fmt: skip
        company = Company("Asia/Shanghai", QuietHours(), Workdays(), Quota.parse(sandbox.quota))
        return App(settings, self.store, wecom, company, Programs(company))

    def _deliver(self, query: Mapping[str, str], body: bytes) -> int:
        plain = self._crypto.open(query["msg_signature"], query["timestamp"], query["nonce"], body)
        event = parse(plain)
        self.received.append(event)
        inbox.accept(self.app, [event])
        return 200
