"""Everything that goes wrong, drawn from the seed: what, where, how long. Each attack is one function.

An attack names how long virtual time may run on before what it broke is whole again (`allow`): long enough for leases,
welcome codes and repeated callbacks to run out, short against a day. One that lasts has an end, called when it is over.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from machines.calendar import HOUR_MS, MINUTE_MS, SECOND_MS
from sopd.sandbox.faults import Fault
from tests.chaos.cluster import Cluster
from tests.chaos.processes import EngineProcess

LONGEST_LEASE_MS = 10 * MINUTE_MS
FROZEN_SECONDS = 6.0
"""A frozen process that holds a row's lock may stop everybody, and with them the clock: so long we wait for that."""

TOGETHER, PATIENCE_SECONDS = 0.3, 20.0
"""So often an attack is followed by another before its damage is mended; else that is waited for, so long at most."""

OUTAGES_MS = (0, 20 * SECOND_MS, 3 * MINUTE_MS, 20 * MINUTE_MS, HOUR_MS)
STORMS = (
    ("*", Fault("errcode", -1), 12),
    ("*", Fault("errcode", 45033), 12),
    ("*", Fault("drop", after=True), 6),
    ("add_msg_template", Fault("errcode", -1, after=True), 2),
    ("add_msg_template", Fault("drop", after=True), 3),
    ("add_msg_template", Fault("errcode", 45009), 2),
    ("send_welcome_msg", Fault("drop", after=True), 3),
    ("mark_tag", Fault("drop", after=True), 4),
    ("mark_tag", Fault("errcode", 45009), 1),
    ("get_groupmsg_send_result", Fault("errcode", 45009), 1),
    ("cancel_groupmsg_send", Fault("drop", after=True), 3),
    ("batch/get_by_user", Fault("errcode", -1), 8),
)


@dataclass
class Trouble:
    """An attack that lasts. `is_over` is asked often; then `end` puts things right."""

    name: str
    is_over: Callable[[], bool]
    end: Callable[[], None]


class Attacker:
    """Attacks one cluster as long as its plot says. `step` is called again and again by whoever plays the round."""

    def __init__(self, cluster: Cluster, seed: str, gap_seconds: tuple[float, float]) -> None:
        self._cluster = cluster
        self._draw = random.Random(seed)
        self._gap = gap_seconds
        self._next_s = time.monotonic() + PATIENCE_SECONDS
        self._was_calm = self._is_over = False
        self._troubles: list[Trouble] = []
        self._held_at: int | None = cluster.now  # nobody runs ahead of those that are still starting
        cluster.brake_at(self._held_at)
        self.began_s: float | None = None
        self.counts: Counter[str] = Counter()
        self._attacks: dict[str, tuple[int, Callable[[], Trouble | None]]] = {
            "kill -9": (10, self._kill),
            "kill -9 of a whole host": (2, self._kill_host),
            "SIGSTOP beyond every lease": (4, self._freeze),
            "PostgreSQL immediate restart": (3, self._restart_postgres),
            "database connections cut": (4, self._cut_database),
            "Redis stopped": (2, self._stop_redis),
            "FLUSHALL": (4, cluster.backends.flush_redis),
            "Redis connections cut": (2, cluster.backends.cut_redis),
            "WeCom storm": (6, self._storm),
            "host clock set wrong": (2, self._set_clock),
        }  # fmt: skip

    def step(self) -> None:
        """Put right what is over, let go of the clock when all is whole, and attack if it is time."""
        self._put_right()
        if self.is_calm and not self._was_calm:
            self._hold(None)
            self.began_s = self.began_s or time.monotonic()
            self._next_s = time.monotonic() + self._draw.uniform(*self._gap)
        self._was_calm = self.is_calm
        if time.monotonic() >= self._next_s and not self._is_over:
            self._attack()
            falls_together = self._draw.random() < TOGETHER
            self._next_s = time.monotonic() + (self._draw.uniform(*self._gap) if falls_together else PATIENCE_SECONDS)
            self._was_calm = False

    def stop(self) -> None:
        """No more attacks: end what lasts."""
        self._is_over = True
        for trouble in self._troubles:
            trouble.end()
        self._troubles.clear()

    @property
    def is_calm(self) -> bool:
        """Whether nothing lasts and the cluster is whole."""
        return not self._troubles and self._cluster.is_whole

    def _put_right(self) -> None:
        for trouble in [one for one in self._troubles if one.is_over()]:
            trouble.end()
            self._troubles.remove(trouble)

    def _attack(self) -> None:
        names = list(self._attacks)
        (name,) = self._draw.choices(names, [self._attacks[one][0] for one in names])
        self.counts[name] += 1
        trouble = self._attacks[name][1]()
        if trouble is not None:
            self._troubles.append(trouble)

    def _hold(self, allow_ms: int | None) -> None:
        """The clock may run on by so much at most; what was allowed before stays allowed."""
        if allow_ms is None:
            if self._held_at is not None:
                self._cluster.brake_at(None)
            self._held_at = None
            return
        self._held_at = max(self._held_at or 0, self._cluster.now + allow_ms)
        self._cluster.brake_at(self._held_at)

    # -- processes ---------------------------------------------------------------------------------------------------

    def _victim(self) -> EngineProcess:
        return self._draw.choice(self._cluster.processes)

    def _kill(self) -> None:
        self._hold(self._draw.choice(OUTAGES_MS))
        self._cluster.kill(self._victim())

    def _kill_host(self) -> None:
        self._hold(self._draw.choice(OUTAGES_MS))
        host = self._draw.choice(self._cluster.hosts)
        for process in self._cluster.processes:
            if process.host is host:
                self._cluster.kill(process)

    def _freeze(self) -> Trouble | None:
        victim = self._victim()
        if not victim.is_running or victim.is_frozen:
            return None
        until = self._cluster.now + LONGEST_LEASE_MS + self._draw.randint(1, 50) * MINUTE_MS
        by_s = time.monotonic() + FROZEN_SECONDS
        self._hold(until - self._cluster.now)
        self._cluster.freeze(victim)

        def is_over() -> bool:
            return self._cluster.now >= until or time.monotonic() > by_s

        def end() -> None:
            self.counts["SIGCONT after the leases"] += self._cluster.now >= until
            victim.thaw()

        return Trouble("frozen", is_over, end)

    def _set_clock(self) -> None:
        self._cluster.hosts[1].set_clock(self._draw.choice((-3600, 3600)))

    # -- database, Redis, WeCom ----------------------------------------------------------------------------------------

    def _restart_postgres(self) -> None:
        self._hold(self._draw.choice(OUTAGES_MS))
        self._cluster.backends.restart_postgres()

    def _cut_database(self) -> None:
        self._cluster.backends.cut_connections(self._draw.choice((0.2, 0.5, 1.0)))

    def _stop_redis(self) -> Trouble:
        until_s = time.monotonic() + self._draw.uniform(0.5, 4)
        self._cluster.backends.stop_redis()
        return Trouble("no Redis", lambda: time.monotonic() > until_s, self._cluster.backends.start_redis)

    def _storm(self) -> None:
        path, fault, times = self._draw.choice(STORMS)
        with self._cluster.sandbox.stage.gateway.lock:
            self._cluster.faults.plan(path, fault, times)
