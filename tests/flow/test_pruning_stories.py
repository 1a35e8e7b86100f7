"""Pruning changes nothing that happens: histories played with prunings at random moments and without them.

The retention is none at all, so everything goes that the engine does not hold back by itself: whatever comes
afterwards must be told by runs, claims, reservations and sums alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from sopd.store import Store
from tests.support.histories import HANDOVERS, HANDS, OPERATORS, PEOPLE, SIGNALS, histories
from tests.support.oracle.history import History
from tests.support.played import set_aside
from tests.support.playing import play
from tests.support.pruned import After, after, counted, prune_all
from tests.support.telling import history as story
from tests.support.telling import nurture, sop

KINDS = ("new_customer", "nurture", "nurture")
EVERYTHING = (*PEOPLE, *OPERATORS, *SIGNALS, *HANDS, *HANDOVERS)
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


def told(history: History, url: str, moments: Sequence[int] = ()) -> tuple[After, int]:
    """What came of a history that is pruned at these instants, and how many rows that cost."""
    store = Store.open(url, pool=4)
    gone = 0
    try:
        rig = play(history, store, until=moments[0] if moments else None)
        for moment in [*moments[1:], history.until] if moments else ():
            gone += sum(prune_all(rig.app).values())
            rig.run_until(moment)
        assert not set_aside(rig)
        if not moments:
            assert counted(store) == []
        return after(rig), gone
    finally:
        store.close()


def differences(plain: After, pruned: After) -> list[str]:
    """What differs, beside the stories that are gone."""
    parts = [name for name in ("runs", "sums", "tags", "attributes", "arrived") if
             getattr(plain, name) != getattr(pruned, name)]  # fmt: skip
    parts += [f"push of run {run}" for run, rows in pruned.told.items() if plain.told.get(run) != rows]
    parts += [f"page of {key}" for key, page in plain.pages.items() if _without_repeats(page, pruned.pages[key])]
    return [f"{part}\n  without: {getattr(plain, part, '')}\n  with: {getattr(pruned, part, '')}" for part in parts]


def _without_repeats(plain: tuple, pruned: tuple) -> bool:
    """Whether two pages differ. Who is refused again after his row went is counted once more, never less."""
    return plain[:3] != pruned[:3] or not plain[3] <= pruned[3]


def check(history: History, fresh: Callable[[], str], shares: Sequence[float]) -> int:
    """Play it twice and compare; `shares`: when it is pruned, as parts of the whole time."""
    length = history.until - history.start
    plain, _ = told(history, fresh())
    pruned, gone = told(history, fresh(), [history.start + round(length * share) for share in sorted(shares)])
    found = differences(plain, pruned)
    assert not found, "\n".join([*found, str(history)])
    return gone


FIRST, SECOND = 'first day: 1, at: "10:00"', 'second day: 2, at: "10:00"'
LATE_FIRST, LATE = 'one day: 1, at: "12:00"', 'two day: 18, at: "10:00", only_if: {replied: {since: one}}'

REMEMBERED = story(
    sop("care", FIRST, SECOND),
    nurture("once", FIRST, when="{tag: [r/bought]}"),
    nurture("again", FIRST, when="{tag: [r/price]}", reenter="{after: 12d}"),
    sop("late", LATE_FIRST, LATE, entry="{when: {source: [expo]}}"),
    sop("paused", FIRST, entry="{when: {source: [live]}}"),
    sop("stopped", FIRST, SECOND),
    deeds=[
        # a step that was sent is not sent to the same customer by somebody else
        ("09-14 15:00", "add alice mei"), ("09-29 15:00", "add bob mei"),
        # who was inside enters once, or again when the time is over
        ("09-14 15:10", "add alice lan"),
        ("09-14 16:00", "tag alice lan r/bought"), ("09-25 09:00", "untag alice lan r/bought"),
        ("10-01 09:00", "tag alice lan r/bought"),
        ("09-14 16:10", "tag alice lan r/price"), ("09-25 09:10", "untag alice lan r/price"),
        ("10-01 09:10", "tag alice lan r/price"),
        # an answer counts for a later step, however old it is
        ("09-14 15:20", "add alice yue expo"), ("09-15 18:00", "reply alice yue hello"),
        # who came during a pause is let in by the resume
        ("09-14 15:30", "pause paused"), ("09-15 15:00", "add alice jia live"), ("09-30 09:00", "resume paused admit"),
        # what has ended stays ended
        ("09-18 09:00", "stop stopped"), ("09-29 15:10", "add alice xin"),
    ],
    days=22,
)  # fmt: skip


@pytest.mark.timeout(300)
def test_what_happened_is_remembered_without_its_rows(fresh) -> None:
    assert check(REMEMBERED, fresh, [0.3, 0.5, 0.6, 0.75]) > 50


SHARES = st.lists(st.floats(0.05, 0.95), min_size=1, max_size=3)


@pytest.mark.timeout(900)
@profile(max_examples=3, derandomize=True, phases=PHASES, suppress_health_check=SHARED)
@given(history=histories(verbs=EVERYTHING, kinds=KINDS, days=45), shares=SHARES)
def test_pruning_changes_nothing_that_happens_afterwards(fresh, history: History, shares: list[float]) -> None:
    check(history, fresh, shares)


@pytest.mark.nightly
@pytest.mark.timeout(0)
@profile(max_examples=1_000, phases=PHASES, suppress_health_check=SHARED)
@given(history=histories(verbs=EVERYTHING, kinds=KINDS, days=60), shares=SHARES)
def test_pruning_changes_nothing_in_a_thousand_histories(fresh, history: History, shares: list[float]) -> None:
    check(history, fresh, shares)
