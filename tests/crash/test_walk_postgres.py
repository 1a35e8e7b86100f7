"""Whoever is killed at whatever statement: on PostgreSQL every story ends as if nothing had happened (SPEC 15.2)."""

from __future__ import annotations

from tests.crash.walked import *  # noqa: F403 - its tests and fixtures

DATABASE = "postgres"
