"""`sopd run`: the daemon in the foreground, as systemd starts it."""

from __future__ import annotations

import click

from sopd.cli.desk import Desk
from sopd.cli.verbs import Verb, pass_desk


@click.command(
    "run",
    cls=Verb,
    examples="""
    sopd run
    sopd run --config /etc/sopd/sopd.toml
    sopd run --debug 2>&1 | tee sopd.log
    """,
)
@pass_desk
def run(desk: Desk) -> None:
    """Run the daemon in the foreground until SIGTERM or SIGINT: ticker, workers and web in one process.

    The database is brought to this program's schema first. Logs go to standard error, as JSON unless that is a
    terminal. What has begun is finished before it ends.
    """
    from sopd import daemon, log

    settings = desk.settings
    log.configure("debug" if desk.debug else settings.log.level)
    daemon.run(settings)
