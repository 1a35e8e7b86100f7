"""One round: set up, attacked, left to come to rest, stopped, judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from machines.calendar import DAY_MS, local_datetime
from sopd.store.errors import StoreError
from sopd.store.queries import account as queries
from tests.chaos.attacks import Attacker
from tests.chaos.backends import Backends
from tests.chaos.cluster import Cluster
from tests.chaos.foretold import entries
from tests.chaos.judging import Judgement, judge
from tests.chaos.plot import Plot

LOOK_SECONDS = 0.03
SAY_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
"""Without any progress of the clock for so long the round is given up: something hangs."""

Say = Callable[[str], None]


class Stuck(Exception):
    """The clock stood still; the message has what the processes last said."""


@dataclass(frozen=True)
class Played:
    """What came of one round."""

    seed: str
    seconds: float
    attacks: dict[str, int]
    faults: dict[str, int]
    census: dict[str, int]
    kills: int
    fell: dict[str, list[int]]
    codes: dict[str, int]
    alone: bool
    judgement: Judgement

    @property
    def differences(self) -> tuple[str, ...]:
        """Those of the judgement, and processes that did not end in good order."""
        bad = [f"{title} ended with code {code}" for title, code in self.codes.items() if code != 0]
        return (*self.judgement.differences, *bad)


def play(plot: Plot, backends: Backends, folder: Path, say: Say) -> Played:
    """Play one round. Raises Stuck, and what the sandbox died of."""
    began = time.monotonic()
    cluster = Cluster(plot, backends, folder)
    foretold = entries(plot, cluster.population)
    try:
        cluster.open()
        attacker = Attacker(cluster, plot.seed, plot.gap_seconds)
        _Watch(cluster, attacker, say).until_finished()
        codes = cluster.stop()
        return Played(
            seed=plot.seed,
            seconds=time.monotonic() - began,
            attacks=dict(attacker.counts),
            faults=_by_kind(cluster.faults.happened),
            census=cluster.world.census(),
            kills=sum(process.killed for process in cluster.processes),
            fell={process.title: process.fell for process in cluster.processes if process.fell},
            codes=codes,
            alone=all(host.is_alone for host in cluster.hosts),
            judgement=judge(cluster.world, cluster.store, foretold),
        )
    finally:
        cluster.close()


class _Watch:
    """Looks after a round while it runs."""

    def __init__(self, cluster: Cluster, attacker: Attacker, say: Say) -> None:
        self._cluster, self._attacker, self._say = cluster, attacker, say
        self._moved_s = time.monotonic()
        self._said_s, self._last = 0.0, 0

    def until_finished(self) -> None:
        """Attack until it is time to be calm, then until the clock has run to its end."""
        cluster, is_calm = self._cluster, False
        while not (is_calm and cluster.clock.finished and self._attacker.is_calm):
            time.sleep(LOOK_SECONDS)  # attacks come at instants of their own, and who is killed tells nobody
            cluster.mend()
            self._attacker.step()
            if not is_calm and self._is_time_to_be_calm():
                is_calm = True
                self._attacker.stop()
                cluster.calm()
            self._look()

    def _is_time_to_be_calm(self) -> bool:
        plot, began_s = self._cluster.plot, self._attacker.began_s
        is_enough = began_s is not None and time.monotonic() - began_s > plot.attack_seconds
        return is_enough or self._cluster.now >= plot.calm_from

    def _look(self) -> None:
        now_s = time.monotonic()
        if self._cluster.now != self._last:
            self._last, self._moved_s = self._cluster.now, now_s
        elif now_s - self._moved_s > PATIENCE_SECONDS:
            raise Stuck(self._why())
        if now_s - self._said_s > SAY_SECONDS:
            self._said_s = now_s
            self._say(self._line())

    def _line(self) -> str:
        now, plot = self._cluster.now, self._cluster.plot
        day = (now - plot.began_at) // DAY_MS + 1
        try:
            with self._cluster.store.reading() as tx:
                sent = queries.by_state(tx, "push").get("sent", 0)
        except StoreError:
            sent = -1  # the database is away just now
        local = local_datetime(now, "Asia/Shanghai")
        attacks = sum(self._attacker.counts.values())
        return f"day {day:>2}/{plot.days}  {local:%m-%d %H:%M}  sent {sent}  attacks {attacks}"

    def _why(self) -> str:
        lines = [f"the clock stands at {self._last}, {', '.join(self._cluster.clock.participants)} take part"]
        lines += [f"{process.title}: {process.last_words()}" for process in self._cluster.processes]
        return "\n".join(lines)


def _by_kind(happened: dict[str, int]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for name, count in happened.items():
        kind = name.rpartition(" ")[2]
        kinds[kind] = kinds.get(kind, 0) + count
    return kinds
