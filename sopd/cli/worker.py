"""`sopd worker`: a process that only works, as systemd starts it."""

from __future__ import annotations

import click

from sopd.cli.desk import Desk
from sopd.cli.verbs import Verb, pass_desk


@click.command(
    "worker",
    cls=Verb,
    examples="""
    sopd worker
    sopd worker --config /etc/sopd/sopd.toml
    env SOPD_HEALTH_PORT=9101 sopd worker
    """,
)
@pass_desk
def worker(desk: Desk) -> None:
    """Work beside other processes until SIGTERM or SIGINT; any number of workers, on any number of hosts.

    Needs PostgreSQL and Redis, and a process that ticks: `sopd run`. Has engine.worker_threads threads. Killed at any
    moment it loses nothing; told to stop, it finishes what it has begun. Health checks and metrics are answered at
    health.port, if that is set.
    """
    from sopd import log
    from sopd import worker as process

    settings = desk.settings
    log.configure("debug" if desk.debug else settings.log.level)
    process.run(settings)
