"""`sopd inbox`: callbacks as they were accepted. Declarations only; the work is in `inbox_pages`."""

from __future__ import annotations

from typing import Any

import click

from sopd.cli import states
from sopd.cli.desk import Desk
from sopd.cli.paging import page_options, since_option
from sopd.cli.verbs import noun, output_options, pass_desk, person_option

inbox = noun("inbox", "The inbox: every callback that WeCom was answered 200 for, and what became of it.")


@inbox.verb(
    "list",
    """
    sopd inbox list --state set_aside
    sopd inbox list --customer wmAAA --since 2d
    sopd inbox list --state new --json
    """,
)
@click.option("--state", "wanted", multiple=True, type=click.Choice(states.INBOX), help="In this state (repeatable).")
@click.option("--member", help="About this member, by user id.")
@click.option("--customer", help="About this customer, by external_userid.")
@since_option("Received since then")
@page_options
@output_options
@pass_desk
def list_(desk: Desk, limit: int, before: int | None, **chosen: Any) -> None:
    """Callbacks, the latest first. What they say is not shown: it may be personal."""
    from sopd.cli import inbox_pages

    inbox_pages.show_list(desk, limit, before, **chosen)


@inbox.verb(
    "replay",
    """
    sopd inbox replay 17 18
    sopd inbox replay --set-aside
    """,
)
@click.argument("inbox_ids", type=click.IntRange(min=1), nargs=-1, metavar="[ID]...")
@click.option("--set-aside", is_flag=True, help="All that were set aside.")
@person_option
@pass_desk
def replay(desk: Desk, inbox_ids: tuple[int, ...], set_aside: bool) -> None:
    """Let callbacks be handled once more, those that were set aside too.

    Harmless: a repeated addition or deletion acts once.
    """
    from sopd.cli import inbox_pages

    if bool(inbox_ids) == set_aside:
        raise click.UsageError("give either ids or --set-aside")
    inbox_pages.replay(desk, inbox_ids, set_aside)
