"""`sopd demo`: the real daemon against the sandbox, weeks in a minute or two, and two accounts that must agree."""

from __future__ import annotations

from pathlib import Path

import click

from sopd.cli.desk import Desk
from sopd.cli.verbs import Verb


@click.command(
    "demo",
    cls=Verb,
    examples="""
    sopd demo
    sopd demo --members 2 --customers-per-day 5 --days 10
    sopd demo --seed friday --folder /tmp/demo && sopd --config /tmp/demo/sopd.toml enrollment list
    """,
)
@click.option("--members", type=click.IntRange(1, 8), default=4, show_default=True, help="Members of the company.")
@click.option(
    "--customers-per-day", type=click.IntRange(1, 1000), default=15, show_default=True, help="Who adds them each day."
)
@click.option("--days", type=click.IntRange(1, 365), default=20, show_default=True, help="Days on which people come.")
@click.option("--seed", default="sopd", show_default=True, help="The same seed, the same people and faults.")
@click.option("--faults/--no-faults", default=True, show_default=True, help="Let WeCom and the network misbehave.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep database and log here.")
@click.pass_context
def demo(
    ctx: click.Context, members: int, customers_per_day: int, days: int, seed: str, faults: bool, folder: Path | None
) -> None:
    """Lead some hundred customers through the shipped SOPs, with additions, tags, orders, answers, hand-overs,
    deletions, confirmations, silences and faults.

    At the end WeCom's own account and the engine's are compared customer by customer; exit code 1 if they differ.
    Nothing outside a folder of its own is touched.
    """
    from rich.console import Console

    from sopd import log, rehearsal

    log.configure("debug" if ctx.ensure_object(Desk).debug else "error")
    options = rehearsal.DemoOptions(
        members=members, customers_per_day=customers_per_day, days=days, seed=seed, faults=faults, folder=folder
    )
    ctx.exit(rehearsal.demo(options, Console()))
