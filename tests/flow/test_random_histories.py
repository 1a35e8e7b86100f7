"""Random histories: the engine against the oracle, on both databases (SPEC 4-8, 12)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings as profile

from tests.support.histories import histories
from tests.support.oracle.history import History
from tests.support.telling import check


@profile(max_examples=20)
@given(history=histories())
def test_engine_and_oracle_agree_on_what_came_of_a_history(fresh, history: History) -> None:
    check(history, fresh())
