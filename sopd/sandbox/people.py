"""A population that lives by itself: customers who come, buy and leave, members who tag, confirm or stay silent.

Every choice and every hour hangs on (seed, person, ordinal) alone, so two engines with the same seed meet the same
people (SPEC 14). Only confirmations and answers follow the engine: a member's n-th task is confirmed a fixed delay
after it was created, and who gets a message may answer it. The runner calls `act` whenever `next_at` has come; nothing
here reads a clock.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Instant
from sopd.sandbox import chance
from sopd.sandbox.doings import Doing, idle_doings, order, phrase
from sopd.sandbox.records import Card, MassSend
from sopd.sandbox.refusals import ImpossibleDeed
from sopd.sandbox.world import World

_FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = ("小雨", "佳", "明", "子涵", "丽", "建国", "欣怡", "浩然", "芳", "伟", "思远", "静")
_SHANGHAI_MS = 8 * HOUR_MS
SENT = 1


@dataclass(frozen=True)
class Plan:
    """Who comes and how they behave; odds in [0, 1] per customer, or per task, or per member and day."""

    members: tuple[str, ...] = ("alice", "bob", "carol")
    customers_per_day: int = 10
    #: Days on which customers come; what they do later goes on beyond.
    days: int = 30
    #: Channels with their weight; "" = no state.
    sources: tuple[tuple[str, int], ...] = (("expo2026", 4), ("live", 3), ("", 3))
    #: Per customer.
    half: float = 0.05
    second_member: float = 0.05
    chats: float = 0.3
    tagged: float = 0.3
    untagged: float = 0.3
    buys: float = 0.2
    customer_deletes: float = 0.08
    returns: float = 0.2
    member_deletes: float = 0.02
    #: Outside of WeCom: reads an article, opens the shop, asks for a product. Who buys has ordered before.
    reads: float = 0.15
    visits: float = 0.15
    discusses: float = 0.15
    handed_over: float = 0.0
    #: Latest day after the add on which a customer buys, is tagged or leaves.
    within_days: int = 25
    #: Tags put on by members; the library holds them from the beginning.
    bought_tag: str = "结果/已复购"
    other_tags: tuple[str, ...] = ("阶段/考虑价格", "兴趣/防晒", "兴趣/保湿")
    #: Per task: never confirmed, or confirmed only after 2 to 30 hours instead of within 2 to 90 minutes.
    silent: float = 0.1
    slow: float = 0.2
    #: Per message that a customer gets: answers it within the hour.
    answers: float = 0.1
    #: Per card: put off once before it is done; per phone task: nobody answers.
    puts_off: float = 0.15
    unanswered: float = 0.3
    #: Per member and day: a personal mass send to up to three customers.
    own_sends: float = 0.02


@dataclass(frozen=True, order=True)
class Errand:
    """One thing somebody will do; `key` makes the order of simultaneous errands certain."""

    at: Instant
    key: str
    verb: str = ""
    member: str = ""
    customer: str = ""
    detail: str = ""


class Population:
    """The people of one world and all they have in mind."""

    def __init__(self, world: World, plan: Plan | None = None, starts_at: Instant | None = None) -> None:
        self.world = world
        self.plan = plan or Plan()
        self.done: Counter[str] = Counter()
        #: Errands that came to nothing, because life went another way (a customer left before he was tagged).
        self.foiled: Counter[str] = Counter()
        self._starts_at = world.began_at if starts_at is None else starts_at
        self._agenda: list[Errand] = []
        self._noticed = 0
        self._cards_noticed = 0
        self._verbs: dict[str, Callable[[Errand], object]] = self._deeds()
        self._settle_in()
        self._imagine()

    @property
    def intended(self) -> tuple[Errand, ...]:
        """What people have in mind now, in the order in which they will do it."""
        return tuple(sorted(self._agenda))

    def next_at(self) -> Instant | None:
        """When somebody will next do something; None if nobody has anything in mind."""
        self._notice_tasks()
        return self._agenda[0].at if self._agenda else None

    def act(self, now: Instant) -> int:
        """Do everything due at `now`, each at its own instant; returns how many errands were run."""
        count = 0
        self._notice_tasks()
        while self._agenda and self._agenda[0].at <= now:
            self._run(heapq.heappop(self._agenda))
            self._notice_tasks()
            count += 1
        return count

    def _run(self, errand: Errand) -> None:
        try:
            self._verbs[errand.verb](errand)
        except ImpossibleDeed:
            self.foiled[errand.verb] += 1
        else:
            self.done[errand.verb] += 1

    def _settle_in(self) -> None:
        for userid in self.plan.members:
            if self.world.find_member(userid) is None:
                self.world.hire(userid)
        for path in (self.plan.bought_tag, *self.plan.other_tags):
            self.world.stock_tag(path, now=self._starts_at)

    def _imagine(self) -> None:
        """Think out every customer's life and every member's own sends."""
        midnight = (self._starts_at + _SHANGHAI_MS) // DAY_MS * DAY_MS - _SHANGHAI_MS
        for day in range(self.plan.days):
            for nth in range(self.plan.customers_per_day):
                self._imagine_life(f"wmSIM{day:03d}{nth:04d}", midnight + day * DAY_MS)
            for member in self.plan.members:
                if self._happens(self.plan.own_sends, "own send", member, day):
                    at = midnight + day * DAY_MS + self._between(10 * HOUR_MS, 20 * HOUR_MS, "own send at", member, day)
                    self._intend(at, "own_send", member, detail=str(day))
        self._agenda = [errand for errand in self._agenda if errand.at >= self._starts_at]
        heapq.heapify(self._agenda)

    def _imagine_life(self, customer: str, midnight: Instant) -> None:
        plan = self.plan
        added_at = midnight + self._between(9 * HOUR_MS, 21 * HOUR_MS, customer, "added")
        if added_at < self._starts_at:
            added_at = self._starts_at + self._between(MINUTE_MS, HOUR_MS, customer, "added late")
        member = chance.choose(plan.members, self.world.seed, customer, "member")
        source = self._source(customer)
        is_half = self._happens(plan.half, customer, "half")
        self._intend(added_at, "half_add" if is_half else "add", member, customer, source)
        if is_half:
            self._intend_later(added_at, (5 * MINUTE_MS, 2 * HOUR_MS), "confirm_half", member, customer)
        if self._happens(plan.chats, customer, "chats"):
            self._intend_later(added_at, (MINUTE_MS, HOUR_MS), "chat", member, customer)
        self._imagine_tags(customer, member, added_at)
        odds = {"reads": plan.reads, "visits": plan.visits, "discusses": plan.discusses}
        for doing in idle_doings(self.world.seed, customer, added_at, **odds):
            self._intend_doing(member, customer, doing)
        self._imagine_partings(customer, member, added_at)
        others = [userid for userid in plan.members if userid != member]
        if others and self._happens(plan.second_member, customer, "second"):
            second = chance.choose(others, self.world.seed, customer, "second member")
            self._intend_later(added_at, (DAY_MS, 10 * DAY_MS), "add", second, customer, source)
        if others and self._happens(plan.handed_over, customer, "handed over"):
            taker = chance.choose(others, self.world.seed, customer, "taker")
            self._intend_later(added_at, self._lifetime(), "transfer", member, customer, taker)

    def _imagine_tags(self, customer: str, member: str, added_at: Instant) -> None:
        plan = self.plan
        if self._happens(plan.buys, customer, "buys"):
            bought_at = self._intend_later(added_at, self._lifetime(), "tag", member, customer, plan.bought_tag)
            ordered_at = bought_at - self._between(MINUTE_MS, HOUR_MS, customer, "ordered")
            self._intend_doing(member, customer, order(self.world.seed, customer, max(ordered_at, added_at)))
        if plan.other_tags and self._happens(plan.tagged, customer, "tagged"):
            path = chance.choose(plan.other_tags, self.world.seed, customer, "tag")
            tagged_at = self._intend_later(added_at, (10 * MINUTE_MS, 10 * DAY_MS), "tag", member, customer, path)
            if self._happens(plan.untagged, customer, "untagged"):
                self._intend_later(tagged_at, self._lifetime(), "untag", member, customer, path)

    def _imagine_partings(self, customer: str, member: str, added_at: Instant) -> None:
        if self._happens(self.plan.customer_deletes, customer, "deletes"):
            left_at = self._intend_later(added_at, self._lifetime(), "customer_delete", member, customer)
            if self._happens(self.plan.returns, customer, "returns"):
                self._intend_later(left_at, (DAY_MS, 5 * DAY_MS), "add", member, customer, self._source(customer))
        elif self._happens(self.plan.member_deletes, customer, "deleted"):
            self._intend_later(added_at, self._lifetime(), "member_delete", member, customer)

    def _notice_tasks(self) -> None:
        """Decide for every new task of the API when each of its members will confirm it, if ever; so for cards."""
        self._notice_cards()
        if self._noticed == len(self.world.tasks):
            return
        fresh = list(islice(self.world.tasks.values(), self._noticed, None))
        self._noticed += len(fresh)
        for task in fresh:
            if task.creator is None:
                for member in task.assignments:
                    self._expect_confirmation(task, member)

    def _expect_confirmation(self, task: MassSend, member: str) -> None:
        nth = self.world.ordinal("task of", member)
        mood = chance.roll(self.world.seed, "mood", member, nth)
        if mood < self.plan.silent:
            return
        slow = mood < self.plan.silent + self.plan.slow
        span = (2 * HOUR_MS, 30 * HOUR_MS) if slow else (2 * MINUTE_MS, 90 * MINUTE_MS)
        at = max(task.ready_at, task.created_at + self._between(*span, "confirms", member, nth))
        heapq.heappush(self._agenda, Errand(at, f"confirm/{member}/{nth}", "confirm", member, "", task.msgid))

    def _notice_cards(self) -> None:
        fresh = list(islice(self.world.cards.values(), self._cards_noticed, None))
        self._cards_noticed += len(fresh)
        for card in fresh:
            self._expect_click(card)

    def _expect_click(self, card: Card) -> None:
        """Which button the member will press and when, if ever. A click on a button that is gone comes to nothing."""
        nth = self.world.ordinal("card of", card.member)
        mood = chance.roll(self.world.seed, "card mood", card.member, nth)
        if mood < self.plan.silent:
            return
        key = self._choice(card, nth)
        if key is None:
            return
        slow = mood < self.plan.silent + self.plan.slow
        span = (2 * HOUR_MS, 30 * HOUR_MS) if slow else (2 * MINUTE_MS, 90 * MINUTE_MS)
        at = card.sent_at + self._between(*span, "clicks", card.member, nth)
        heapq.heappush(self._agenda, Errand(at, f"click/{card.member}/{nth}", key, card.member, "", card.task_id))

    def _choice(self, card: Card, nth: int) -> str | None:
        keys = card.keys
        if "later" in keys and self._happens(self.plan.puts_off, "puts off", card.member, nth):
            return "later"
        if "not_reached" in keys and self._happens(self.plan.unanswered, "unanswered", card.member, nth):
            return "not_reached"
        return keys[0] if keys else None

    def _deeds(self) -> dict[str, Callable[[Errand], object]]:
        world = self.world
        return {
            "add": lambda e: self._add(e, half=False),
            "half_add": lambda e: self._add(e, half=True),
            "confirm_half": lambda e: world.confirm_half(e.member, e.customer, now=e.at),
            "chat": lambda e: world.chat(
                e.member, e.customer, now=e.at, text=e.detail or phrase(world.seed, e.customer)
            ),
            "do": self._do,
            "tag": lambda e: world.member_tags(e.member, e.customer, e.detail, now=e.at),
            "untag": lambda e: world.member_untags(e.member, e.customer, e.detail, now=e.at),
            "customer_delete": lambda e: world.customer_deletes(e.member, e.customer, now=e.at),
            "member_delete": lambda e: world.member_deletes(e.member, e.customer, now=e.at),
            "transfer": lambda e: world.transfer(e.member, e.detail, e.customer, now=e.at),
            "confirm": self._confirm,
            "own_send": self._own_send,
            **dict.fromkeys(("done", "later", "reached", "not_reached"), self._click),
        }

    def _add(self, errand: Errand, *, half: bool) -> None:
        seed, customer = self.world.seed, errand.customer
        name = chance.choose(_FAMILY, seed, customer, "family") + chance.choose(_GIVEN, seed, customer, "given")
        self.world.customer_adds(
            errand.member, customer, now=errand.at, state=errand.detail, add_way=1, half=half, name=name
        )

    def _do(self, errand: Errand) -> None:
        told = json.loads(errand.detail)
        self.world.customer_does(errand.customer, told["name"], now=errand.at, properties=told["properties"])

    def _confirm(self, errand: Errand) -> None:
        """The member sends; some of those who get it answer within the hour."""
        self.world.member_confirms(errand.detail, errand.member, now=errand.at)
        for one in self.world.tasks[errand.detail].assignments[errand.member].recipients.values():
            nth = self.world.ordinal("answer of", one.customer) if one.status == SENT else 0
            if one.status == SENT and self._happens(self.plan.answers, one.customer, "answers", nth):
                at = errand.at + self._between(MINUTE_MS, HOUR_MS, one.customer, "answers at", nth)
                text = phrase(self.world.seed, one.customer, "answer", nth)
                key = f"chat/{errand.member}/{one.customer}/{nth}"
                heapq.heappush(self._agenda, Errand(at, key, "chat", errand.member, one.customer, text))

    def _own_send(self, errand: Errand) -> None:
        friends = sorted(row.customer for row in self.world.pairs_of_member[errand.member].values() if row.is_open)
        ranked = sorted(friends, key=lambda customer: chance.roll(self.world.seed, "own send", errand.key, customer))
        self.world.member_sends_own(errand.member, ranked[:3], "周末愉快", now=errand.at)

    def _click(self, errand: Errand) -> None:
        self.world.member_clicks(errand.member, errand.detail, errand.verb, now=errand.at)

    def _intend(self, at: Instant, verb: str, member: str, customer: str = "", detail: str = "") -> Instant:
        self._agenda.append(Errand(at, f"{verb}/{member}/{customer}/{detail}", verb, member, customer, detail))
        return at

    def _intend_doing(self, member: str, customer: str, doing: Doing) -> None:
        told = json.dumps({"name": doing.name, "properties": doing.properties}, ensure_ascii=False)
        self._intend(doing.at, "do", member, customer, told)

    def _intend_later(
        self, after: Instant, span: tuple[int, int], verb: str, member: str, customer: str, detail: str = ""
    ) -> Instant:
        at = after + self._between(*span, customer, verb, member, detail)
        return self._intend(at, verb, member, customer, detail)

    def _lifetime(self) -> tuple[int, int]:
        return HOUR_MS, self.plan.within_days * DAY_MS

    def _source(self, customer: str) -> str:
        weighted = [name for name, weight in self.plan.sources for _ in range(weight)]
        return chance.choose(weighted, self.world.seed, customer, "source")

    def _happens(self, odds: float, *key: object) -> bool:
        return chance.happens(odds, self.world.seed, *key)

    def _between(self, low: int, high: int, *key: object) -> int:
        return chance.between(low, high, self.world.seed, *key)
