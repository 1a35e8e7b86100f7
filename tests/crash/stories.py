"""Small stories that lead every unit of work to where it has something to do, one day or two of one enterprise each.

Times are Shanghai's, 2 March 2026 is a Monday. Confirmations and orders leave room for a crash in between: a lease
that has to run out, a look-up that has to be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from machines.calendar import MINUTE_MS, Instant
from sopd.commands import (
    AcceptAbsences,
    ApplySop,
    CancelDispatch,
    EndEnrollments,
    MuteCustomers,
    PauseSop,
    RemindDispatch,
    ReplayInbox,
    ResolveDispatch,
    ResumeSop,
    RetryPushes,
    StartSop,
    StopSop,
    TagRelation,
)
from sopd.handlers import absences, customers, doubts, endings, inbox, nags, retries, sops, withdrawals
from sopd.handlers.app import App
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Faults
from sopd.sandbox.world import World
from sopd.store import Store
from tests.crash.people import Deed, Habit, Script
from tests.crash.player import Order
from tests.support.rig import WHO, Rig, at, settings_for

BOUGHT, DONE, COLD, VIP = "结果/已复购", "结果/已转化", "结果/未转化", "等级/会员"
NEVER = None

CARE = f"""
sop: care
title: 回访
kind: new_customer
priority: 60
entry: {{when: {{not: {{source: [internal]}}}}}}
steps:
  - {{id: hello, by: welcome, text: 你好}}
  - {{id: guide, day: 0, at: "10:10", by: mass_send, text: 护肤说明}}
early_end: {{when: {{tag: [{BOUGHT}]}}, add_tags: [{DONE}]}}
normal_end: {{add_tags: [{COLD}]}}
"""
OFFER = f"""
sop: offer
title: 优惠
kind: new_customer
priority: 40
steps:
  - {{id: hi, by: welcome, text: 欢迎}}
  - {{id: deal, day: 0, at: "10:10", by: mass_send, text: 新人优惠}}
quota_full: {{defer: 1d}}
early_end: {{when: {{tag: [{DONE}]}}, remove_tags: [{VIP}]}}
"""
LONG = f"""
sop: long
title: 两天
kind: new_customer
steps:
  - {{id: first, day: 0, at: "10:10", by: mass_send, text: 第一天}}
  - {{id: second, day: 1, at: "10:10", by: mass_send, text: 第二天, only_if: {{not: {{tag: [{VIP}]}}}}}}
early_end: {{when: {{tag: [{BOUGHT}]}}, add_tags: [{DONE}]}}
normal_end: {{add_tags: [{COLD}]}}
"""
LATER = f"""
sop: later
title: 半小时后
kind: nurture
entry: {{when: {{all: [{{added: {{older_than: 30m}}}}, {{not: {{tag: [{COLD}]}}}}, {{not: {{source: [old]}}}}]}}}}
steps:
  - {{id: news, day: 0, at: "10:10", by: mass_send, text: 新品}}
early_end: {{when: {{tag: [{BOUGHT}]}}, add_tags: [{DONE}], set: {{bought: true}}, flow_to: again}}
normal_end: {{add_tags: [{COLD}]}}
"""
AGAIN = """
sop: again
title: 复购
kind: nurture
steps:
  - {id: thanks, day: 1, at: "10:10", by: mass_send, text: 谢谢}
"""


TALK = f"""
sop: talk
title: 私聊
kind: new_customer
entry: {{when: {{not: {{source: [shop]}}}}}}
steps:
  - {{id: talk, day: 0, at: "10:10", by: remind, text: 私聊}}
  - {{id: phone, day: 1, at: "10:10", by: call, text: 电话}}
early_end:
  when: {{any: [{{tag: [{BOUGHT}]}}, {{event: {{name: call, where: {{outcome: reached}}}}}}]}}
  add_tags: [{DONE}]
normal_end: {{add_tags: [{COLD}]}}
"""
SHOP = """
sop: shop1
title: 到店
kind: new_customer
priority: 60
entry: {when: {source: [shop]}}
steps:
  - {id: gift, day: 0, at: "10:10", by: mass_send, text: 店里有礼}
quota_full: remind
"""


ASK = f"""
sop: ask
title: 问价
kind: new_customer
priority: 60
steps:
  - id: coupon
    day: 0
    at: "10:10"
    by: mass_send
    text: 优惠券
    on_reply: {{keywords: {{价格: {{add_tags: [{VIP}], set: {{asked: true}}}}}}}}
  - {{id: last, day: 1, at: "10:10", by: mass_send, text: 再见}}
early_end: {{when: {{event: order_paid}}, add_tags: [{BOUGHT}]}}
"""
SALES = f"""
sop: sales
title: 报价
kind: nurture
entry: {{when: {{attribute: {{asked: true}}}}}}
steps:
  - {{id: quote, day: 2, at: "10:10", by: mass_send, text: 报价}}
early_end: {{when: {{tag: [{BOUGHT}]}}, add_tags: [{DONE}]}}
"""

KEEP = f"""
sop: keep
title: 老客户
kind: new_customer
once_per: relation
entry: {{when: {{source: [care]}}}}
steps:
  - {{id: first, day: 0, at: "10:00", by: mass_send, text: 第一次}}
  - {{id: second, day: 1, at: "11:10", by: mass_send, text: 第二次}}
normal_end: {{add_tags: [{COLD}]}}
"""
NURSE = f"""
sop: nurse
title: 会员
kind: nurture
entry: {{when: {{tag: [{VIP}]}}}}
steps:
  - {{id: one, day: 0, at: "10:00", by: mass_send, text: 会员日}}
  - {{id: two, day: 1, at: "10:10", by: mass_send, text: 会员价}}
early_end: {{when: {{tag: [{BOUGHT}]}}}}
normal_end: {{add_tags: [{DONE}]}}
"""


@dataclass(frozen=True)
class Story:
    """One enterprise from `starts_at` to `ends_at`, by when everything has come to rest."""

    name: str
    starts_at: Instant
    ends_at: Instant
    sops: tuple[str, ...]
    deeds: tuple[Deed, ...]
    orders: tuple[Order, ...] = ()
    habits: tuple[Habit, ...] = ()
    publish: bool = True
    reads_at: Instant | None = None
    """When the daily full read comes; None: never in the story."""
    others_at: Instant | None = None
    """When others' mass sends are read first; None: never in the story."""

    def rig(self, store: Store) -> Rig:
        """The enterprise before anything has happened; `store` is migrated and empty."""
        config = SandboxConfig()
        world = World("crash", config, self.starts_at)
        faults = Faults("crash")
        for member in ("alice", "bob"):
            world.hire(member)
        for path in (BOUGHT, DONE, COLD, VIP):
            world.stock_tag(path, now=self.starts_at)
        script = Script(world, faults, self.deeds, self.habits)
        rig = Rig(store, world, self.starts_at, population=script, faults=faults, settings=settings_for(config))
        if self.publish:
            rig.publish(*((f"{number}.yaml", text) for number, text in enumerate(self.sops)))
        with store.transaction() as tx:
            tx.run("update job set act_at = ? where kind = 'reconcile'", (self.reads_at,))
            tx.run("update job set act_at = ? where kind = 'outside_sends'", (self.others_at,))
        return rig


# -- words of the stories --------------------------------------------------------------------------------------------


def _adds(when: str, member: str, *customers: str, unheard: bool = False, **how: object) -> tuple[Deed, ...]:
    return tuple(
        Deed(at(when), "customer_adds", {"member": member, "customer": one, **how}, unheard) for one in customers
    )


def _tags(when: str, member: str, customer: str, path: str, *, unheard: bool = False) -> Deed:
    return Deed(at(when), "member_tags", {"member": member, "customer": customer, "path": path}, unheard)


def _leaves(when: str, member: str, customer: str, *, unheard: bool = False) -> Deed:
    return Deed(at(when), "customer_deletes", {"member": member, "customer": customer}, unheard)


def _transfer(when: str, customer: str, *, unheard: bool = False) -> Deed:
    return Deed(at(when), "transfer", {"handover": "alice", "takeover": "bob", "customer": customer}, unheard)


def _fault(when: str, path: str, times: int = 1, **fault: object) -> Deed:
    return Deed(at(when), "fault", {"path": path, "fault": fault, "times": times})


def _order(when: str, name: str, do: Callable[[App], object]) -> Order:
    return Order(at(when), name, do)


def _cancel_card(customer: str) -> Callable[[App], object]:
    def cancel(app: App) -> None:
        with app.store.reading() as tx:
            dispatch_id = tx.value(
                "select p.dispatch_id from push p join customer c on c.id = p.customer_id where c.external_userid = ?",
                (customer,),
            )
        withdrawals.cancel(app, CancelDispatch(dispatch_id, WHO))

    return cancel


def _end_by_hand(customer: str) -> Callable[[App], object]:
    def end(app: App) -> None:
        with app.store.reading() as tx:
            ids = [row[0] for row in tx.rows(
                "select e.id from enrollment e join customer c on c.id = e.customer_id"
                " where c.external_userid = ? and e.closed_at is null", (customer,))]  # fmt: skip
        if ids:
            endings.end_by_operator(app, EndEnrollments(tuple(ids), WHO, "called", add_tags=(VIP,)))

    return end


def _first_task(app: App) -> int:
    with app.store.reading() as tx:
        alices = "select id from member where userid = 'alice'"
        return int(tx.value(f"select min(id) from dispatch where member_id in ({alices})"))


def _remind(app: App) -> None:
    nags.want(app, RemindDispatch(_first_task(app), WHO))


def _withdraw(app: App) -> None:
    withdrawals.cancel(app, CancelDispatch(_first_task(app), WHO))


def _replay(app: App) -> None:
    with app.store.reading() as tx:
        first = tx.value("select min(id) from inbox where userid = 'alice'")
    inbox.replay(app, ReplayInbox((first,), WHO))


def _try_again(app: App) -> None:
    with app.store.reading() as tx:
        found = tx.rows("select id from push where state = 'cancelled' and reason = 'by operator' order by id")
    retries.retry(app, RetryPushes(tuple(row[0] for row in found), WHO))


def _resolve(app: App) -> None:
    with app.store.reading() as tx:
        found = tx.rows("select id from dispatch where state = 'needs_operator'")
    for (dispatch_id,) in found:
        doubts.resolve(app, ResolveDispatch(dispatch_id, False, WHO))


# -- the stories -----------------------------------------------------------------------------------------------------

_START = at("2026-03-02 09:00")


def _day(name: str, ends: str, deeds: tuple[Deed, ...], *sops: str, **more: object) -> Story:
    return Story(name, _START, at(ends), sops or (CARE,), deeds, **more)  # type: ignore[arg-type]


BEGINNING = _day(
    "beginning",
    "2026-03-02 12:00",
    (
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2", state="expo"),
        *_adds("2026-03-02 09:20", "bob", "wm3"),
        *_adds("2026-03-02 09:20", "alice", "wm4", state="internal"),
        *_adds("2026-03-02 09:25", "bob", "wm5", half=True),
        Deed(at("2026-03-02 09:30"), "confirm_half", {"member": "bob", "customer": "wm5"}),
        *_adds("2026-03-02 09:40", "bob", "wm1"),
    ),
    publish=False,
    orders=(
        _order("2026-03-02 09:01", "apply", lambda app: sops.apply(app, ApplySop("care.yaml", CARE, WHO))),
        _order("2026-03-02 09:02", "start", lambda app: sops.start(app, StartSop("care", WHO))),
    ),
)

CONFLICTS = _day(
    "conflicts",
    "2026-03-03 12:00",
    (
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2", unheard=True),
        *_adds("2026-03-02 09:21", "bob", "wm3", unheard=True),
        Deed(at("2026-03-02 09:30"), "member_sends_own", {"member": "bob", "customers": ("wm3",), "text": "早"}),
    ),
    CARE,
    OFFER,
    reads_at=at("2026-03-02 09:40"),
)
"""Both SOPs want everybody at the same hour, and one customer has had a send today."""

STOPPING = _day(
    "stopping",
    "2026-03-02 14:00",
    (
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2", "wm3", "wm4"),
        *_adds("2026-03-02 09:20", "bob", "wm5", "wm6", "wm7"),
        _tags("2026-03-02 09:50", "bob", "wm7", BOUGHT),
        _tags("2026-03-02 10:45", "alice", "wm1", BOUGHT),
        _leaves("2026-03-02 10:47", "alice", "wm4"),
        _tags("2026-03-02 11:30", "alice", "wm3", BOUGHT),
    ),
    orders=(
        _order("2026-03-02 10:46", "end", _end_by_hand("wm2")),
        _order("2026-03-02 10:48", "mute", lambda app: customers.mute(app, MuteCustomers(("wm5",), True, WHO))),
        _order("2026-03-02 12:30", "tag", lambda app: customers.tag(app, TagRelation("wm6", "bob", WHO, (VIP,)))),
    ),
    habits=(Habit("alice", "护肤说明", 100 * MINUTE_MS), Habit("bob", "护肤说明", 100 * MINUTE_MS)),
)
"""Runs end while their tasks wait for the members: early, by hand, by leaving; one once more after the re-issue."""

PAUSING = _day(
    "pausing",
    "2026-03-02 15:00",
    (
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2"),
        *_adds("2026-03-02 10:45", "alice", "wm3"),
        *_adds("2026-03-02 09:20", "bob", "wm4", "wm5"),
        _tags("2026-03-02 10:50", "alice", "wm2", BOUGHT),
    ),
    f"members: [alice]{LONG}",
    f"members: [bob]{CARE}".replace("10:10", "13:10"),
    orders=(
        _order("2026-03-02 10:40", "pause", lambda app: sops.pause(app, PauseSop("long", WHO))),
        _order("2026-03-02 11:40", "resume", lambda app: sops.resume(app, ResumeSop("long", WHO, "shift", admit=True))),
        _order("2026-03-02 13:50", "stop", lambda app: sops.stop(app, StopSop("care", WHO))),
    ),
    habits=(Habit("alice", "第一天", 90 * MINUTE_MS), Habit("bob", "护肤说明", NEVER)),
)
"""One SOP is paused while its task waits, and goes on; the other is stopped."""

DOUBT = _day(
    "doubt",
    "2026-03-02 15:00",
    (
        _fault("2026-03-02 09:19", "send_welcome_msg", kind="drop", after=True),
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2"),
        *_adds("2026-03-02 09:20", "bob", "wm3", "wm4"),
        _leaves("2026-03-02 10:05", "bob", "wm4", unheard=True),
        _fault("2026-03-02 10:09", "add_msg_template", times=2, kind="drop", after=True),
        _fault("2026-03-02 10:14", "mark_tag", kind="errcode", errcode=-1, after=True),
        _fault("2026-03-02 10:14", "get_groupmsg_send_result", kind="http_502"),
        *_adds("2026-03-02 12:00", "alice", "wm5"),
        _fault("2026-03-02 12:09", "add_msg_template", kind="drop"),
    ),
    CARE,
    OFFER.replace("10:10", "12:10"),
    orders=(_order("2026-03-02 13:30", "resolve", _resolve),),
    habits=(Habit("bob", "护肤说明", NEVER),),
)
"""Answers are lost after the effect, and before it; of one task nobody can say whose it is."""

SILENCE = _day(
    "silence",
    "2026-03-03 12:00",
    (
        *_adds("2026-03-02 19:20", "alice", "wm1", "wm2"),
        *_adds("2026-03-02 19:20", "bob", "wm3", "wm4"),
        Deed(at("2026-03-02 20:11"), "member_sends_own", {"member": "bob", "customers": ("wm3",), "text": "早"}),
        _leaves("2026-03-02 20:12", "bob", "wm4", unheard=True),
        _tags("2026-03-03 08:10", "alice", "wm2", VIP),
    ),
    LONG.replace("day: 0, at: \"10:10", "day: 0, at: \"20:10").replace("10:10", "08:40"),
    habits=(Habit("alice", "第一天", NEVER),),
)
"""A task expires at the next step; one customer's window is full, one is no friend any more when it is confirmed."""

READING = _day(
    "reading",
    "2026-03-02 12:00",
    (
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2"),
        *_adds("2026-03-02 09:20", "bob", "wm3"),
        *_adds("2026-03-02 09:30", "alice", "wm4", unheard=True),
        _leaves("2026-03-02 09:31", "alice", "wm2", unheard=True),
        _tags("2026-03-02 09:32", "bob", "wm3", BOUGHT, unheard=True),
        _tags("2026-03-02 09:33", "alice", "wm1", VIP),
        Deed(at("2026-03-02 09:50"), "admin_deletes_tag", {"path": VIP}),
    ),
    orders=(_order("2026-03-02 11:00", "replay", _replay),),
    reads_at=at("2026-03-02 09:40"),
)
"""Callbacks are lost and everybody is read; the library loses a tag."""

NURTURING = _day(
    "nurturing",
    "2026-03-03 12:00",
    (
        *_adds("2026-03-02 09:05", "alice", "wm1", "wm2"),
        *_adds("2026-03-02 09:20", "bob", "wm3"),
        _tags("2026-03-02 09:10", "alice", "wm2", COLD),
        _tags("2026-03-02 10:40", "alice", "wm1", BOUGHT),
    ),
    AGAIN,
    orders=(
        _order("2026-03-02 09:39", "apply later", lambda app: sops.apply(app, ApplySop("later.yaml", LATER, WHO))),
        _order("2026-03-02 09:40", "start later", lambda app: sops.start(app, StartSop("later", WHO))),
    ),
    habits=(Habit("alice", "新品", NEVER),),
)
"""One is let in at the start, one by the time that passed, one not at all; one flows on while the task is out."""

CARDS = _day(
    "cards",
    "2026-03-03 12:00",
    (
        _fault("2026-03-02 10:09", "message/send", kind="drop", after=True),
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2", "wm7"),
        *_adds("2026-03-02 09:20", "bob", "wm3", "wm4", "wm5", "wm6"),
        *_adds("2026-03-02 09:30", "bob", "wm8", state="shop"),
        _tags("2026-03-02 10:20", "alice", "wm2", BOUGHT),
        _tags("2026-03-02 10:40", "bob", "wm4", BOUGHT),
        _fault("2026-03-02 10:29", "update_template_card", kind="http_502"),
    ),
    TALK,
    SHOP,
    SHOP.replace("shop1", "shop2").replace("60", "40").replace("店里有礼", "店里新品"),
    orders=(_order("2026-03-02 10:50", "cancel card", _cancel_card("wm7")),),
    habits=(
        Habit("alice", "私聊", 20 * MINUTE_MS, "later"),
        Habit("bob", "私聊", 100 * MINUTE_MS),
        Habit("bob", "电话", 5 * MINUTE_MS, "not_reached"),
    ),
)
"""Reminders and phone tasks: done, put off, withdrawn, left by some; a mass send without a day becomes one."""

ANSWERING = _day(
    "answering",
    "2026-03-04 14:00",
    (
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2", "wm3"),
        Deed(at("2026-03-02 10:30"), "chat", {"member": "alice", "customer": "wm1", "text": "价格?"}),
        Deed(at("2026-03-02 10:30"), "chat", {"member": "alice", "customer": "wm2", "text": "价格?"}),
        Deed(at("2026-03-02 10:31"), "chat", {"member": "alice", "customer": "wm3", "text": "好的"}),
        Deed(at("2026-03-02 10:40"), "customer_does", {"customer": "wm1", "event": "order_paid"}),
        Deed(at("2026-03-02 10:40"), "customer_does", {"customer": "wm3", "event": "order_paid"}),
    ),
    ASK,
    SALES,
)
"""Answers tag and set, what was set lets somebody in, an order ends the one run and its tag the other."""

INSISTING = _day(
    "insisting",
    "2026-03-02 17:30",
    (
        *_adds("2026-03-02 09:20", "alice", "wm1", "wm2"),
        *_adds("2026-03-02 09:20", "bob", "wm3", "wm4"),
        Deed(at("2026-03-02 09:30"), "member_sends_own", {"member": "bob", "customers": ("wm3",), "text": "早"}),
        _tags("2026-03-02 13:10", "alice", "wm2", BOUGHT),
    ),
    LONG,
    orders=(
        _order("2026-03-02 11:00", "remind", _remind),
        _order("2026-03-02 12:30", "withdraw", _withdraw),
        _order("2026-03-02 13:20", "try again", _try_again),
    ),
    habits=(Habit("alice", "第一天", 200 * MINUTE_MS), Habit("bob", "第一天", 150 * MINUTE_MS)),
    others_at=at("2026-03-02 09:40"),
)
"""Members are nagged, a task is withdrawn, its pushes are tried again; one customer has had a send of the member's."""

HANDS = _day(
    "hands",
    "2026-03-04 14:00",
    (
        *_adds("2026-03-02 09:05", "alice", "wm1", "wm2", "wm7"),
        *_adds("2026-03-02 09:05", "alice", "wm3", "wm4", "wm5", "wm6", state="care"),
        *_adds("2026-03-02 09:06", "bob", "wm1", "wm2", "wm5", "wm7"),
        *(_tags("2026-03-02 09:10", "alice", customer, VIP) for customer in ("wm1", "wm2", "wm7")),
        _transfer("2026-03-02 09:20", "wm6"),
        *_adds("2026-03-02 09:25", "alice", "wm6", state="care"),
        _leaves("2026-03-02 09:30", "alice", "wm1"),
        _transfer("2026-03-02 09:30", "wm7"),
        _transfer("2026-03-02 09:35", "wm6"),
        _transfer("2026-03-02 09:40", "wm3"),
        _transfer("2026-03-02 09:41", "wm4", unheard=True),
        _leaves("2026-03-02 10:00:20", "alice", "wm2"),
        _transfer("2026-03-02 10:00:30", "wm5"),
    ),
    KEEP,
    NURSE,
    reads_at=at("2026-03-02 09:50"),
)
"""Runs go on through another member: by the owner rule, inherited, merged, found by reading; two wait for nobody."""

HELD = _day(
    "held",
    "2026-03-02 12:00",
    (
        *_adds("2026-03-02 09:20", "alice", *(f"wm{number}" for number in range(1, 9))),
        *(_leaves("2026-03-02 09:31", "alice", f"wm{number}", unheard=True) for number in range(1, 8)),
    ),
    orders=(
        _order("2026-03-02 10:00", "accept losses",
               lambda app: absences.accept(app, AcceptAbsences("alice", WHO))),
    ),
    reads_at=at("2026-03-02 09:40"),
)  # fmt: skip
"""Seven of a member's eight customers are gone at once: held until an operator believes it."""

STORIES: tuple[Story, ...] = (
    BEGINNING, CONFLICTS, STOPPING, PAUSING, DOUBT, SILENCE, READING, NURTURING, CARDS, ANSWERING,
    INSISTING, HANDS, HELD,
)  # fmt: skip
