"""`sopd run`: the daemon in the foreground, as systemd starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sopd.cli.desk import Desk
from sopd.cli.verbs import Verb, chosen, pass_desk

if TYPE_CHECKING:
    from sopd.daemon import Role


@click.command(
    "run",
    cls=Verb,
    examples="""
    sopd run
    sopd run --config /etc/sopd/sopd.toml
    sopd run --workers 0
    sopd run --role ticker
    sopd run --debug 2>&1 | tee sopd.log
    """,
)
@click.option(
    "--role", type=chosen(("all", "ticker", "web")), default="all", show_default=True,
    help="What this process does: everything, only the clock, or only callbacks and API.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(0, 4), metavar="N",
    help="Worker threads in this process, 0 to 4. Default: engine.worker_threads; 0 leaves the work to `sopd worker`.",
)  # fmt: skip
@pass_desk
def run(desk: Desk, role: Role, workers: int | None) -> None:
    """Run the daemon in the foreground until SIGTERM or SIGINT: ticker, workers and web in one process.

    With PostgreSQL and Redis any number of processes share the work, on any number of hosts, without a leader:
    `--role ticker` and `--role web` are its parts, `sopd worker` works. The database is brought to this program's
    schema first. Logs go to standard error, as JSON unless that is a terminal. What has begun is finished before it
    ends.
    """
    from sopd import daemon, log

    settings = desk.settings
    log.configure("debug" if desk.debug else settings.log.level)
    daemon.run(settings, role, workers)
