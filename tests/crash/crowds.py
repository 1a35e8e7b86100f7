"""Stories of the crash walk with more people in them, who all do the same at the same instants."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from tests.crash.people import Deed
from tests.crash.stories import Story

MEMBERS = ("alice", "bob")
CUSTOMERS = {"customer", "customers"}
EVERYBODY = CUSTOMERS | {"member", "handover", "takeover"}
"""Words of a deed that name somebody."""


def clone(name: str, number: int) -> str:
    """The name of somebody's clone; number 0 is the original."""
    return f"{name}-{number}" if number else name


def clones(times: int) -> list[str]:
    """The members that a story with so many of everybody has besides its own; its world must hire them."""
    return [clone(name, number) for name in MEMBERS for number in range(1, times)]


def with_customers(story: Story, times: int) -> Story:
    """The story with so many of each customer, all with the same members."""
    return replace(story, deeds=_multiplied(story.deeds, times, CUSTOMERS))


def with_everybody(story: Story, times: int) -> Story:
    """The story with so many of each member, each with customers of their own."""
    habits = [replace(habit, member=clone(habit.member, number)) for habit in story.habits for number in range(times)]
    members = {name: ", ".join(clone(name, number) for number in range(times)) for name in MEMBERS}
    sops = [re.sub(r"members: \[(\w+)\]", lambda one: f"members: [{members[one[1]]}]", sop) for sop in story.sops]
    deeds = _multiplied(story.deeds, times, EVERYBODY)
    return replace(story, deeds=deeds, habits=tuple(habits), sops=tuple(sops))


def _multiplied(deeds: Collection[Deed], times: int, words: Collection[str]) -> tuple[Deed, ...]:
    return tuple(
        replace(deed, args={word: _cloned(it, number) if word in words else it for word, it in deed.args.items()})
        for deed in deeds
        for number in range(times if any(word in words for word in deed.args) else 1)
    )


def _cloned(value: object, number: int) -> object:
    if isinstance(value, str):
        return clone(value, number)
    assert isinstance(value, tuple)
    return tuple(clone(one, number) for one in value)
