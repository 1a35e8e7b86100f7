"""A story told unit of work by unit of work: people, callbacks, an operator's orders, the clock, and every loop.

It does what the ticker and the workers do, but one bounded batch at a time and only where something is due, so that a
walk can stand between any two of them. Nothing here sleeps; the clock jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from machines.calendar import Instant
from sopd.errors import SopdError
from sopd.handlers import upkeep
from sopd.handlers.app import App
from sopd.wecom.callbacks import parse
from tests.support.rig import Rig


@dataclass(frozen=True)
class Order:
    """What an operator types at an instant. He repeats it when it died under his hands, and takes "done already"."""

    at: Instant
    name: str
    do: Callable[[App], object]


@dataclass(frozen=True)
class Unit:
    """One bounded piece of work of one process."""

    name: str
    run: Callable[[Rig], object]


class Player:
    """Plays `orders` and everything that is due. `perform(unit)` may be replaced: it must run the unit once."""

    def __init__(self, rig: Rig, orders: tuple[Order, ...], *, repeats_first: bool = False) -> None:
        self.rig = rig
        self.orders = list(orders)
        self.perform: Callable[[Unit], object] = lambda unit: unit.run(rig)
        self._forgives = repeats_first

    def run_until(self, end: Instant) -> None:
        """Everything up to and including `end`."""
        rig = self.rig
        while True:
            self._work_off()
            look = rig.engine.ticker.look()
            coming = [rig.stage.next_at(), look.next_at, *(order.at for order in self.orders[:1])]
            following = min((at for at in coming if at is not None and at > rig.now), default=None)
            if following is None or following > end:
                return
            rig.now = following
            rig.store.set_clock(following)

    def _work_off(self) -> None:
        """All that is due at this instant, on both sides."""
        while any([self._people(), self._letters(), self._reports(), self._orders(), self._loops()]):
            self._fold()

    def _people(self) -> bool:
        people = self.rig.stage.population
        return people is not None and bool(people.act(self.rig.now))

    def _letters(self) -> bool:
        """Callbacks that arrive together. They count as delivered once sopd has answered, not before."""
        mailbox, now = self.rig.world.mailbox, self.rig.now
        due = sorted((one for one in mailbox.waiting if one.due_at <= now), key=lambda one: one.due_at)
        if not due:
            return False

        def deliver(rig: Rig) -> None:
            rig.engine.accept([parse(one.xml) for one in due])
            for one in rig.world.mailbox.take_due(rig.now):
                rig.world.mailbox.settle(one, 200, rig.now)

        self.perform(Unit("accept", deliver))
        return True

    def _reports(self) -> bool:
        """What people said and did, as the company's own systems report it: again and again until it is taken."""
        if not self.rig.world.tidings.due(self.rig.now):
            return False

        def report(rig: Rig) -> None:
            tidings, now = rig.world.tidings, rig.now
            answers = [rig.push(batch[0].kind, [one.body for one in batch]) for batch in tidings.due(now)]
            for batch, (status, refused) in zip(tidings.take_due(now), answers, strict=True):
                tidings.settle(batch, status, refused, now)

        self.perform(Unit("report", report))
        return True

    def _orders(self) -> bool:
        if not self.orders or self.orders[0].at > self.rig.now:
            return False
        order = self.orders[0]
        try:
            self.perform(Unit(order.name, lambda rig: order.do(rig.app)))
        except SopdError:
            if not self._forgives:
                raise
        self._forgives = False
        self.orders.pop(0)
        return True

    def _loops(self) -> bool:
        """Every loop with due work, until nothing is due or nothing moves any more."""
        worked, before = False, ()
        while due := self.rig.engine.ticker.look().due:
            moved = any([self._turn(loop.name, loop.run) for loop in due])  # noqa: C419 - each gets its turn
            if not moved and due == before:
                break
            worked, before = worked or moved, due
        return worked

    def _turn(self, name: str, run: Callable[[App], int]) -> bool:
        return bool(self.perform(Unit(name, lambda rig: run(rig.app))))

    def _fold(self) -> None:
        with self.rig.store.reading() as tx:
            waiting = tx.one("select 1 from counter_delta limit 1")
        if waiting:
            self.perform(Unit("fold", lambda rig: upkeep.fold(rig.app)))
