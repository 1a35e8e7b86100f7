"""People who follow a script: what they do at which instant, and how long a member lets a task wait.

The world's `Stage` asks them as it asks a population: when next, and act. All of it is plain data, so that a script
goes on in another process where it stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from machines.calendar import MINUTE_MS, SECOND_MS, Instant
from sopd.sandbox.faults import Fault, Faults
from sopd.sandbox.records import Assignment, Card, MassSend
from sopd.sandbox.refusals import ImpossibleDeed
from sopd.sandbox.world import World

SOON = 3 * MINUTE_MS
ON_THE_WAY_MS = SECOND_MS
"""How long a callback takes; a welcome code lives 20 s from the add."""


@dataclass(frozen=True)
class Deed:
    """`verb` is a method of the world, e.g. customer_adds; or `fault`: the next `times` calls of `path` go wrong.

    `unheard`: its callback never arrives.
    """

    at: Instant
    verb: str
    args: Mapping[str, Any] = field(default_factory=dict)
    unheard: bool = False


@dataclass(frozen=True)
class Habit:
    """How long this member lets a task or card with this text wait before confirming it; None: for ever.

    `key` is the button of a card that is pressed if it is there, else the first one is.
    """

    member: str
    text: str
    after_ms: int | None
    key: str = ""


class Script:
    """Deeds in the order of their instants, and the confirming of tasks."""

    def __init__(self, world: World, faults: Faults, deeds: tuple[Deed, ...], habits: tuple[Habit, ...]) -> None:
        self._world = world
        self._faults = faults
        self._deeds = sorted(deeds, key=lambda deed: deed.at)
        self._habits = {(habit.member, habit.text): habit for habit in habits}

    def next_at(self) -> Instant | None:
        """When somebody will next do something."""
        coming = [deed.at for deed in self._deeds[:1]] + [at for at, _, _ in self._confirmations()]
        coming += [at for at, _, _ in self._presses()]
        return min(coming, default=None)

    def act(self, now: Instant) -> int:
        """Do what is due; returns how much that was. What the world does not allow any more comes to nothing."""
        done = 0
        while self._deeds and self._deeds[0].at <= now:
            self._do(self._deeds.pop(0))
            done += 1
        for at, task, share in self._confirmations():
            if at <= now and self._world.can_confirm(task, share.member, now):
                self._world.member_confirms(task.msgid, share.member, now=now)
                done += 1
        for at, card, key in self._presses():
            if at <= now:
                self._press(card, key, now)
                done += 1
        return done

    def _press(self, card: Card, key: str, now: Instant) -> None:
        known = len(self._world.mailbox.waiting)
        self._world.member_clicks(card.member, card.task_id, key, now=now)
        for letter in self._world.mailbox.waiting[known:]:
            letter.due_at += ON_THE_WAY_MS

    def _do(self, deed: Deed) -> None:
        if deed.verb == "fault":
            self._faults.plan(deed.args["path"], Fault(**deed.args["fault"]), deed.args.get("times", 1))
            return
        post = self._world.mailbox
        known = len(post.waiting)
        with suppress(ImpossibleDeed):
            getattr(self._world, deed.verb)(**deed.args, now=deed.at)
        for letter in post.waiting[known:]:
            letter.due_at += ON_THE_WAY_MS
        if deed.unheard:
            post.lost += post.waiting[known:]
            del post.waiting[known:]

    def _confirmations(self) -> list[tuple[Instant, MassSend, Assignment]]:
        """When each open task will be confirmed."""
        found = []
        for task in self._world.tasks.values():
            if task.creator is not None or task.cancelled_at is not None:
                continue
            for share in task.assignments.values():
                after = self._after(share.member, task.content.text)
                if share.confirmed_at is None and after is not None:
                    found.append((max(task.ready_at, task.created_at + after), task, share))
        return found

    def _presses(self) -> list[tuple[Instant, Card, str]]:
        """When which button of each open card will be pressed; a card is pressed once."""
        found = []
        for card in self._world.cards.values():
            text = card.shown["sub_title_text"].partition("\n")[0]
            after = self._after(card.member, text)
            if card.keys and not card.clicks and after is not None:
                habit = self._habits.get((card.member, text))
                key = habit.key if habit is not None and habit.key in card.keys else card.keys[0]
                found.append((card.sent_at + after, card, key))
        return found

    def _after(self, member: str, text: str) -> int | None:
        habit = self._habits.get((member, text))
        return SOON if habit is None else habit.after_ms
