"""Plays a history through the rig: the real engine and the sandbox, with people who do just what the history says."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count, islice

from sopd import config
from sopd.commands import (
    ApplySop,
    EndEnrollments,
    MuteCustomers,
    PauseSop,
    ResumeSop,
    StartEnrollments,
    StartSop,
    StopSop,
    TransferEnrollments,
)
from sopd.errors import SopdError
from sopd.handlers import attribute_imports, customers, endings, entries_by_hand, signals, sops, transfers
from sopd.incoming.conversation import Message
from sopd.incoming.events import EventIn
from sopd.incoming.identities import Identity
from sopd.incoming.people import Person
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Faults
from sopd.sandbox.refusals import ImpossibleDeed
from sopd.sandbox.world import World
from sopd.store import Store
from tests.support.drawn_sops import TAGS
from tests.support.oracle.deeds import values
from tests.support.oracle.history import Deed, History
from tests.support.rig import Rig, settings_for

WHO = "tester"
OWN_SENDS_EVERY_MINUTES = 240


class Cast:
    """The people of one history: they do their deeds and confirm tasks as is their habit; the stage's `population`."""

    def __init__(self, history: History, world: World) -> None:
        self._history = history
        self._world = world
        self._agenda = [(deed.at, nth, deed) for nth, deed in enumerate(history.deeds)]
        heapq.heapify(self._agenda)
        self._noticed = 0
        self._order = count(len(history.deeds))
        self.rig: Interrupted | None = None

    def next_at(self) -> int | None:
        """When somebody does something next."""
        self._notice()
        return self._agenda[0][0] if self._agenda else None

    def act(self, now: int) -> int:
        """Everything that is to be done by now; what the world does not allow is let be."""
        count = 0
        self._notice()
        while self._agenda and self._agenda[0][0] <= now:
            deed = heapq.heappop(self._agenda)[-1]
            with suppress(ImpossibleDeed, SopdError):
                self._deeds()[deed.verb](deed)
            self._notice()
            count += 1
        return count

    def _notice(self) -> None:
        """Members see their new tasks."""
        fresh = list(islice(self._world.tasks.values(), self._noticed, None))
        self._noticed += len(fresh)
        for task in fresh:
            for member in task.assignments if task.creator is None else ():
                delay = self._history.delay(member, task.content.text, task.created_at)
                if delay is not None:
                    when = max(task.created_at + delay, task.ready_at)
                    tap = Deed(when, "confirm", member, "", task.msgid)
                    heapq.heappush(self._agenda, (when, next(self._order), tap))

    def _deeds(self) -> dict[str, Callable[[Deed], object]]:
        world = self._world
        return {
            "add": lambda d: world.customer_adds(d.member, d.customer, now=d.at, state=d.detail),
            "half_add": lambda d: world.customer_adds(d.member, d.customer, now=d.at, state=d.detail, half=True),
            "confirm_half": lambda d: world.confirm_half(d.member, d.customer, now=d.at),
            "customer_delete": lambda d: world.customer_deletes(d.member, d.customer, now=d.at),
            "member_delete": lambda d: world.member_deletes(d.member, d.customer, now=d.at),
            "transfer": lambda d: world.transfer(d.member, d.detail, d.customer, now=d.at),
            "chat": lambda d: world.chat(d.member, d.customer, now=d.at),
            "tag": lambda d: world.member_tags(d.member, d.customer, d.detail, now=d.at),
            "untag": lambda d: world.member_untags(d.member, d.customer, d.detail, now=d.at),
            "own_send": lambda d: world.member_sends_own(d.member, [d.customer], "own", now=d.at),
            "confirm": lambda d: world.member_confirms(d.detail, d.member, now=d.at),
            "event": self._event,
            "reply": self._say,
            "message": self._say,
            **self._orders(),
        }

    @property
    def _rig(self) -> Interrupted:
        assert self.rig is not None
        return self.rig

    def _orders(self) -> dict[str, Callable[[Deed], object]]:
        """What operators do; refused commands are let be."""
        rig, app = self._rig, self._rig.app
        return {
            "mute": lambda d: customers.mute(app, MuteCustomers((d.customer,), True, WHO)),
            "unmute": lambda d: customers.mute(app, MuteCustomers((d.customer,), False, WHO)),
            "enter": lambda d: entries_by_hand.start(
                app, StartEnrollments(d.detail, (d.customer,), WHO, "tried", d.member or None)
            ),
            "end": lambda d: endings.end_by_operator(app, EndEnrollments(rig.inside(d, d.detail), WHO, "tried")),
            "move": self._move,
            "attribute": self._attribute,
            "start": lambda d: sops.start(app, StartSop(d.detail, WHO)),
            "pause": lambda d: sops.pause(app, PauseSop(d.detail, WHO)),
            "resume": self._resume,
            "stop": lambda d: sops.stop(app, StopSop(d.detail, WHO)),
            "down": lambda d: setattr(rig, "is_up", False),
            "up": lambda d: setattr(rig, "is_up", True),
        }

    def _move(self, deed: Deed) -> None:
        source, target = deed.detail.split(">")
        for run in self._rig.inside(deed, source):
            transfers.transfer(self._rig.app, TransferEnrollments((run,), target, WHO, "tried"))

    def _resume(self, deed: Deed) -> None:
        key, *words = deed.detail.split()
        missed = next((word for word in words if word != "admit"), "skip")
        sops.resume(self._rig.app, ResumeSop(key, WHO, missed, "admit" in words))

    # -- what the company hears beside WeCom ---------------------------------------------------------------------------

    def _attribute(self, deed: Deed) -> None:
        app = self._rig.app
        person = Person(1, Identity("external_userid", deed.customer), (), values(deed.detail))
        with app.store.reading() as tx:
            known = attribute_imports.resolve(tx, [person]).known
        attribute_imports.take(app, known)

    def _event(self, deed: Deed) -> None:
        name, _, rest = deed.detail.partition(":")
        event = {"ref": f"{deed.at}", "name": name, "customer": deed.customer, "properties": values(rest)}
        signals.take_events(self._rig.app, [(0, EventIn.model_validate(event))])

    def _say(self, deed: Deed) -> None:
        people = (deed.customer, deed.member) if deed.verb == "reply" else (deed.member, deed.customer)
        message = {"ref": f"{deed.at}", "from": people[0], "to": people[1], "text": deed.detail}
        signals.take_messages(self._rig.app, [(0, Message.model_validate(message))])


class Interrupted(Rig):
    """A rig whose daemon may be down for a while: then letters are not answered and nothing is worked off."""

    is_up = True

    def settle(self) -> None:
        """Work off what is due, or during a downtime let people go on by themselves."""
        if self.is_up:
            super().settle()
        while not self.is_up and self.stage.step(self.now):
            if self.is_up:
                super().settle()

    def run_until(self, until: int) -> None:
        """As ever; during a downtime only people and letters move the clock."""
        while True:
            self.settle()
            if self.is_up:
                upcoming = [self.stage.next_at(), self.engine.ticker.look().next_at]
            else:
                upcoming = [self.stage.next_at()]
            following = min((at for at in upcoming if at is not None and at > self.now), default=None)
            if following is None or following > until:
                break
            self._go_to(following)
        self._go_to(max(until, self.now))
        self.settle()

    def inside(self, deed: Deed, key: str) -> tuple[int, ...]:
        """The open enrollments of a customer in a SOP; of a new-customer SOP, at the member of the deed."""
        with self.store.reading() as tx:
            rows = tx.rows(
                "select e.id from enrollment e join sop s on s.id = e.sop_id join member m on m.id = e.member_id"
                " join customer c on c.id = e.customer_id where e.closed_at is null and s.key = ?"
                " and (m.userid = ? or s.kind <> 'new_customer') and c.external_userid = ? order by e.id",
                (key, deed.member, deed.customer),
            )
        return tuple(row[0] for row in rows)

    def _deliver(self, query: Mapping[str, str], body: bytes) -> int:
        return super()._deliver(query, body) if self.is_up else 0


def play(
    history: History, store: Store, faults: Faults | None = None, *, until: int | None = None
) -> Interrupted:
    """The rig after the whole history, or as it was at `until`; `store` has its schema and no rows."""
    world = World(1, SandboxConfig(quota=history.quota), now=history.start)
    for member in history.members:
        world.hire(member)
    for path in TAGS:
        world.stock_tag(path, now=history.start)
    cast = Cast(history, world)
    quota = config.Quota(mode=history.quota, own_sends_every_minutes=OWN_SENDS_EVERY_MINUTES)
    settings = settings_for(world.config, quota=quota)
    rig = Interrupted(store, world, history.start, population=cast, faults=faults, settings=settings)
    world.tidings.is_heard = False  # what people say is told by deeds of its own
    cast.rig = rig
    for nth, text in enumerate(history.sops):
        key = sops.apply(rig.app, ApplySop(f"{nth}.yaml", text, WHO)).key
        if key not in history.later:
            sops.start(rig.app, StartSop(key, WHO))
    rig.run_until(history.until if until is None else until)
    return rig
