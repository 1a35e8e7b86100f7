"""`sopd doctor`: what is wrong, and what to do about it. The checks: `checks_ground`, `checks_work`, `checks_wecom`."""

from __future__ import annotations

import click

from sopd.cli.desk import Desk
from sopd.cli.verbs import Verb, output_options, pass_desk


@click.command(
    "doctor",
    cls=Verb,
    examples="""
    sopd doctor
    sopd doctor --offline --json
    sopd doctor --callback-url https://sopd.example.com/wecom/callback
    sopd doctor --settings
    """,
)
@click.option("--offline", is_flag=True, help="Do not call WeCom, nor the daemon on this machine.")
@click.option("--callback-url", metavar="URL", help="Try the URL check there, as WeCom would from outside.")
@click.option("--settings", is_flag=True, help="Only show what is in force and where it comes from.")
@output_options
@pass_desk
def doctor(desk: Desk, offline: bool, callback_url: str | None, settings: bool) -> None:
    """Look at settings, database, WeCom, clocks, and at all that waits for a person. Exit code 1 if anything is wrong.

    Each line says what was found and, if something is wrong, what to do. Nothing is changed.
    """
    from sopd.cli import checks

    if settings:
        checks.show_settings(desk)
    else:
        checks.run(desk, offline=offline, callback_url=callback_url)
