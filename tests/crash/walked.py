"""The tests of the crash walk, taken over by one module per database, so that two processes can share them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from sopd.actors import LOOPS
from tests.crash.stories import STORIES, Story
from tests.crash.walk import Recording, Tally, Walk, plan
from tests.support.crash import Copies

__all__ = [
    "test_every_loop_and_every_order_is_walked",
    "test_the_story_comes_to_rest_and_both_accounts_agree",
    "test_the_story_ends_the_same_whatever_unit_dies",
    "test_the_story_ends_the_same_wherever_a_process_dies",
    "walks",
    "recordings",
]

BY_DAY_EVERY = {"sqlite": 1, "postgres": 3}
"""By day PostgreSQL passes over two points in three: a death there costs twice as much. At night neither leaves any."""

every_story = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)


@pytest.fixture(scope="module")
def walks(copies: Copies) -> dict[str, Walk]:
    """A walk for each story, all on one database."""
    return {story.name: Walk(story, copies) for story in STORIES}


@pytest.fixture(scope="module")
def recordings(walks: dict[str, Walk]) -> dict[str, Recording]:
    """Every story told without a crash."""
    return {name: walk.record() for name, walk in walks.items()}


@every_story
def test_the_story_comes_to_rest_and_both_accounts_agree(story: Story, recordings: dict[str, Recording]) -> None:
    outcome = recordings[story.name].outcome

    assert not outcome.unfinished
    assert not outcome.untrue


def test_every_loop_and_every_order_is_walked(recordings: dict[str, Recording]) -> None:
    chosen = plan(recordings)

    walked = {recordings[story].units[number][0] for story, numbers in chosen.items() for number in numbers}

    orders = {order.name for story in STORIES for order in story.orders}
    assert walked == {loop.name for loop in LOOPS} | orders | {"accept", "report", "fold"}


@every_story
def test_the_story_ends_the_same_wherever_a_process_dies(
    story: Story,
    copies: Copies,
    walks: dict[str, Walk],
    recordings: dict[str, Recording],
    record_property: Callable[[str, object], None],
) -> None:
    chosen = plan(recordings)[story.name]
    share = BY_DAY_EVERY[copies.kind]

    tally = walks[story.name].run(lambda number: chosen.get(number, ())[::share], recordings[story.name].outcome)

    _report(tally, f"{story.name} on {copies.kind}", record_property)


@pytest.mark.nightly
@pytest.mark.timeout(0)
@every_story
def test_the_story_ends_the_same_whatever_unit_dies(
    story: Story,
    copies: Copies,
    walks: dict[str, Walk],
    recordings: dict[str, Recording],
    record_property: Callable[[str, object], None],
) -> None:
    tally = walks[story.name].run(lambda number: count(1), recordings[story.name].outcome)

    _report(tally, f"{story.name} on {copies.kind}", record_property)


def _report(tally: Tally, what: str, record_property: Callable[[str, object], None]) -> None:
    record_property("note", f"crash walk, {what}: {tally}")
    assert tally.points
    assert not tally.wrong, "\n".join([str(tally), *tally.wrong[:40]])
