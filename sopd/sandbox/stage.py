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
from sopd.sandbox.world import World


class Stage:
    """Everything of a rehearsal but the daemon."""

    def __init__(
        self,
        world: World,
        population: Population | None = None,
        *,
        deliver: Deliver,
        faults: Faults | None = None,
        as_json: bool = False,
        parallel: int = 1,
    ) -> None:
        self.world = world
        self.population = population
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
        return done + self.postman.run_once(now)

    def next_at(self) -> Instant | None:
        """When people or letters stir next; it may lie in the past if `step` is behind."""
        with self.gateway.lock:
            mine = [self.world.mailbox.next_at()]
            if self.population is not None:
                mine.append(self.population.next_at())
        return min((at for at in mine if at is not None), default=None)

    def is_busy(self, now: Instant) -> bool:
        """Whether a request is open, a letter under way, or anything of the sandbox due at `now`."""
        with self.gateway.lock:
            is_posting = self.world.mailbox.is_busy(now)
        due = self.next_at()
        return self.gateway.open > 0 or is_posting or (due is not None and due <= now)

    def activity(self) -> int:
        """A number that changes with every request and every delivery."""
        return self.gateway.served + self.postman.attempts

    def surroundings(self) -> Surroundings:
        """What the coordinated clock needs to know of this stage."""
        return Surroundings(self.activity, self.is_busy, self.next_at)
