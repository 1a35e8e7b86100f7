"""Flow tests run over SQLite and PostgreSQL."""

from tests.support.stores import *  # noqa: F403
