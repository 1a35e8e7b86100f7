"""The coordinated clock of a rehearsal: it stands still while anybody works and jumps when all are idle.

Processes register and report (idle, next due instant, work epoch). Time jumps to the next instant at which anything is
due only after two equal rounds of reports with no open request and no undelivered callback in between
(ARCHITECTURE 7). Processes that were killed are deregistered, by name or after REAL seconds of silence. Pure but for
its lock: real seconds are handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock

from machines.calendar import Instant
from sopd.errors import NotFound

#: Real seconds without a report after which a process counts as dead.
SILENCE_S = 10.0


@dataclass(frozen=True)
class Report:
    """What a process says of itself. `epoch` grows with every unit of work it did."""

    idle: bool
    next_due: Instant | None
    epoch: int


@dataclass(frozen=True)
class Surroundings:
    """What the clock must know of everything that is no process: the sandbox's people, post and API.

    `activity` changes with every request and delivery; `is_busy` tells whether something is under way or due now;
    `next_at` is when people or letters will next stir.
    """

    activity: Callable[[], int]
    is_busy: Callable[[Instant], bool]
    next_at: Callable[[], Instant | None]


class UnknownParticipant(NotFound):
    """A process that is not registered (any more) reported; it must register again."""


@dataclass
class _Participant:
    report: Report | None = None
    round: int = -1
    seen_s: float = 0.0


class CoordinatedClock:
    """One `now` for the sandbox and every process that takes part."""

    def __init__(self, now: Instant, around: Surroundings, *, until: Instant | None = None) -> None:
        self._now = now
        self._around = around
        #: Where time stops; None = when nothing is due any more.
        self._until = until
        self._participants: dict[str, _Participant] = {}
        self._round = 0
        self._jump_round = 0
        self._last_round: object = None
        self._finished = False
        self._lock = RLock()
        self.jumps = 0

    def now(self) -> Instant:
        """The time of the rehearsal."""
        return self._now

    @property
    def finished(self) -> bool:
        """Whether `until` was reached with everybody idle, or nothing at all is due any more."""
        return self._finished

    @property
    def everybody_knows(self) -> bool:
        """Whether each process has reported since the last jump, and so has taken the new time over.

        Until then people and post hold still: what they do must not reach a process that lives in the past.
        """
        with self._lock:
            return all(one.round >= self._jump_round for one in self._participants.values())

    @property
    def round(self) -> int:
        """Rises when everybody has reported, and when somebody joins or leaves."""
        return self._round

    @property
    def participants(self) -> tuple[str, ...]:
        """Names of the registered processes."""
        return tuple(self._participants)

    def register(self, name: str, *, real_s: float) -> Instant:
        """Take part from now on; registering again (after a restart) begins anew."""
        with self._lock:
            self._participants[name] = _Participant(seen_s=real_s)
            self._start_over()
            return self._now

    def deregister(self, name: str) -> None:
        """Leave; unknown names are ignored, so that whoever killed a process may always say so."""
        with self._lock:
            self._participants.pop(name, None)
            self._start_over()

    def expire(self, *, real_s: float) -> list[str]:
        """Deregister processes that were silent for SILENCE_S real seconds; returns their names."""
        with self._lock:
            dead = [name for name, one in self._participants.items() if real_s - one.seen_s > SILENCE_S]
            for name in dead:
                self.deregister(name)
            return dead

    def report(self, name: str, report: Report, *, real_s: float) -> Instant:
        """Say how one stands; returns the time, which may just have jumped. Raises UnknownParticipant."""
        with self._lock:
            one = self._participants.get(name)
            if one is None:
                raise UnknownParticipant(f"{name!r} is not registered with the clock", "register it first")
            one.report, one.round, one.seen_s = report, self._round, real_s
            if all(other.round == self._round for other in self._participants.values()):
                self._close_round()
            return self._now

    def _close_round(self) -> None:
        """Everybody has reported: jump if this round is quiet and equals the one before."""
        self._round += 1
        reports = {name: one.report for name, one in self._participants.items()}
        seen = (self._around.activity(), reports) if self._is_quiet() else None
        if seen is not None and seen == self._last_round:
            self._jump()
            seen = None
        self._last_round = seen

    def _is_quiet(self) -> bool:
        reports = [one.report for one in self._participants.values()]
        idle = all(report is not None and report.idle for report in reports)
        return idle and not self._around.is_busy(self._now) and not any(due <= self._now for due in self._dues())

    def _dues(self) -> list[Instant]:
        named = [one.report.next_due for one in self._participants.values() if one.report is not None]
        return [due for due in (*named, self._around.next_at()) if due is not None]

    def _jump(self) -> None:
        """Go to the earliest due instant, but not beyond `until`; a clock without any due thing has finished."""
        dues = self._dues()
        target = min(dues, default=None)
        if target is None or (self._until is not None and target > self._until):
            self._finished = True
            self._now = max(self._now, self._until or self._now)
            return
        self._now = target
        self._finished = False
        self._jump_round = self._round
        self.jumps += 1

    def _start_over(self) -> None:
        self._round += 1
        self._last_round = None
