"""One sandbox put together: world, API, people, post; stepped by whoever owns the time.

In-process tests call `step(now)` and ask `next_at()`; the server does the same from its thread. Holds no clock.
"""

from __future__ import annotations

from machines.calendar import Instant
from sopd.sandbox.clock import Surroundings
from sopd.sandbox.faults import Faults
from sopd.sandbox.gateway import Gateway
from sopd.sandbox.people import Population
from sopd.sandbox.postman import Deliver, Postman
from sopd.sandbox.tidings import Push
from sopd.sandbox.world import World


class Stage:
    """Everything of a rehearsal but the daemon. `push` brings it what people say and do outside of WeCom."""

    def __init__(
        self,
        world: World,
        population: Population | None = None,
        *,
        deliver: Deliver,
        push: Push | None = None,
        faults: Faults | None = None,
        as_json: bool = False,
        parallel: int = 1,
    ) -> None:
        self.world = world
        self.population = population
        world.tidings.is_heard = push is not None
        self._push = push
        self._pushes = 0
        #: Why the thread that steps it died, if it did: the rehearsal is then worth nothing.
        self.failure: Exception | None = None
        self.gateway = Gateway(world, faults)
        self.postman = Postman(self.gateway, deliver, as_json=as_json, parallel=parallel)

    def step(self, now: Instant) -> int:
        """Let people do what is due at `now`, then deliver every due letter once; returns how much was done."""
        done = 0
        if self.population is not None:
            with self.gateway.lock:
                done += self.population.act(now)
        return done + self._report(now) + self.postman.run_once(now)

    def _report(self, now: Instant) -> int:
        """Bring the company what people said and did; the world's lock is not held meanwhile."""
        if self._push is None:
            return 0
        with self.gateway.lock:
            batches = self.world.tidings.take_due(now)
        for batch in batches:
            status, refused = self._push(batch[0].kind, [one.body for one in batch])
            with self.gateway.lock:
                self.world.tidings.settle(batch, status, refused, now)
                self._pushes += 1
        return len(batches)

    def next_at(self) -> Instant | None:
        """When people or letters stir next; it may lie in the past if `step` is behind."""
        with self.gateway.lock:
            mine = [self.world.mailbox.next_at(), self.world.tidings.next_at()]
            if self.population is not None:
                mine.append(self.population.next_at())
        return min((at for at in mine if at is not None), default=None)

    def is_busy(self, now: Instant) -> bool:
        """Whether a request is open, a letter under way, or anything of the sandbox due at `now`."""
        with self.gateway.lock:
            is_posting = self.world.mailbox.is_busy(now) or self.world.tidings.is_busy(now)
        due = self.next_at()
        return self.gateway.open > 0 or is_posting or (due is not None and due <= now)

    def activity(self) -> int:
        """A number that changes with every request and every delivery."""
        return self.gateway.served + self.postman.attempts + self._pushes

    def surroundings(self) -> Surroundings:
        """What the coordinated clock needs to know of this stage."""
        return Surroundings(self.activity, self.is_busy, self.next_at)
