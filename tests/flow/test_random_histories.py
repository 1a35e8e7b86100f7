"""Random histories: the engine against the oracle, on both databases (SPEC 3-8, 10, 12).

By day a few of everything; at night thousands, with downtimes and, against the sandbox's own books, with faults.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from sopd.sandbox.faults import BAD_DAY, Faults
from tests.support.checking import check, check_truth
from tests.support.histories import DOWNTIMES, HANDOVERS, HANDS, OPERATORS, PEOPLE, SIGNALS, histories
from tests.support.oracle.history import History

# `fresh` is made once per test and gives each history a store of its own, so nothing is shared between examples.
_SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
# Not `explain`: it traces every line and makes the search for a shorter story several times slower.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)

KINDS = ("new_customer", "nurture", "nurture")
EVERYTHING = (*PEOPLE, *OPERATORS, *SIGNALS, *HANDS, *HANDOVERS)


@pytest.mark.timeout(900)
@profile(max_examples=10, derandomize=True, phases=_PHASES, suppress_health_check=_SHARED)
@given(history=histories(verbs=EVERYTHING, kinds=KINDS))
def test_engine_and_oracle_agree_on_what_came_of_a_history(fresh, history: History) -> None:
    check(history, fresh())


@pytest.mark.nightly
@pytest.mark.timeout(0)
@profile(max_examples=3_000, phases=_PHASES, suppress_health_check=_SHARED)
@given(history=histories(verbs=EVERYTHING, kinds=KINDS))
def test_engine_and_oracle_agree_on_thousands_of_histories(fresh, history: History) -> None:
    check(history, fresh())


@pytest.mark.nightly
@pytest.mark.timeout(0)
@profile(max_examples=1_000, phases=_PHASES, suppress_health_check=_SHARED)
@given(history=histories(verbs=(*PEOPLE, *OPERATORS)))
def test_engine_and_oracle_agree_on_histories_of_new_customers_alone(fresh, history: History) -> None:
    check(history, fresh())


@pytest.mark.nightly
@pytest.mark.timeout(0)
@profile(max_examples=1_000, phases=_PHASES, suppress_health_check=_SHARED)
@given(history=histories(verbs=(*EVERYTHING, *DOWNTIMES * 4), kinds=KINDS))
def test_engine_and_oracle_agree_on_histories_with_downtimes(fresh, history: History) -> None:
    check(history, fresh())


@pytest.mark.nightly
@pytest.mark.timeout(0)
@profile(max_examples=500, phases=_PHASES, suppress_health_check=_SHARED)
@given(history=histories(verbs=EVERYTHING, kinds=KINDS), seed=st.integers(0, 2**32))
def test_what_the_engine_says_of_messages_is_true_whatever_goes_wrong(fresh, history: History, seed: int) -> None:
    check_truth(history, fresh(), Faults(seed, BAD_DAY))
