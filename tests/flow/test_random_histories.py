"""Random histories: the engine against the oracle, on both databases (SPEC 4-8, 12)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile

from tests.support.checking import check
from tests.support.histories import histories
from tests.support.oracle.history import History

# `fresh` is made once per test and gives each history a store of its own, so nothing is shared between examples.
_SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@profile(max_examples=3, derandomize=True, suppress_health_check=_SHARED)
@given(history=histories())
def test_engine_and_oracle_agree_on_what_came_of_a_history(fresh, history: History) -> None:
    check(history, fresh())


@pytest.mark.nightly
@pytest.mark.timeout(0)
@profile(max_examples=5_000, suppress_health_check=_SHARED)
@given(history=histories())
def test_engine_and_oracle_agree_on_thousands_of_histories(fresh, history: History) -> None:
    check(history, fresh())
