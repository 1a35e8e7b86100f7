"""Fixtures for every test: servers from wheels, one set per test process, a fresh database per module.

Servers start when the first test asks for one. Under xdist every process has its own, so nothing is shared.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers import Postgres, Valkey, running_postgres, running_valkey

settings.register_profile("default", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))


def pytest_configure(config: pytest.Config) -> None:
    """Long searches (`-m nightly`) draw many more examples than the everyday suite."""
    settings.load_profile("nightly" if config.option.markexpr == "nightly" else "default")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have noted for people (`record_property("note", ..)`), e.g. how many crash points were walked."""
    reports = [one for some in terminalreporter.stats.values() for one in some if isinstance(one, pytest.TestReport)]
    notes = [value for report in reports for name, value in report.user_properties if name == "note"]
    for note in dict.fromkeys(notes):
        terminalreporter.write_line(str(note))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL cluster of this test process."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def pg_database(postgres: Postgres) -> Iterator[str]:
    """URL of an empty database that only this test module uses."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """The Valkey of this test process."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """URL of an empty Redis database."""
    return valkey.fresh_url()
