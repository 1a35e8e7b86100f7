"""`sopd dispatch`: tasks given to members. Declarations only; the work is in `task_pages`."""

from __future__ import annotations

from typing import Any

import click

from sopd.cli import states
from sopd.cli.completing import sop_keys
from sopd.cli.desk import Desk
from sopd.cli.paging import page_options, since_option
from sopd.cli.verbs import noun, output_options, pass_desk, person_option, yes_option

dispatch = noun("dispatch", "Dispatches (任务): a mass-send task or a card of one member, for many customers.")


@dispatch.verb(
    "list",
    """
    sopd dispatch list --state open
    sopd dispatch list --state needs_operator
    sopd dispatch list --member alice --since 7d --json
    """,
)
@click.option("--sop", "sops", multiple=True, metavar="KEY", shell_complete=sop_keys, help="Of this SOP (repeatable).")
@click.option(
    "--state", "wanted", multiple=True, type=click.Choice(("open", *states.DISPATCH)),
    help="In this state; open: not over yet (repeatable).",
)  # fmt: skip
@click.option("--member", help="Given to this member, by user id.")
@since_option("To be created since then")
@page_options
@output_options
@pass_desk
def list_(desk: Desk, limit: int, before: int | None, **chosen: Any) -> None:
    """Tasks, the latest first."""
    from sopd.cli import task_pages

    task_pages.show_list(desk, limit, before, **chosen)


@dispatch.verb(
    "show",
    """
    sopd dispatch show 51
    sopd dispatch show 51 --json | jq '.pushes[].customer'
    """,
)
@click.argument("dispatch_id", type=click.IntRange(min=1), metavar="ID")
@output_options
@pass_desk
def show(desk: Desk, dispatch_id: int) -> None:
    """One task: its life, its content, and what became of each customer in it."""
    from sopd.cli import task_pages

    task_pages.show_page(desk, dispatch_id)


@dispatch.verb(
    "remind",
    """
    sopd dispatch remind 51
    sopd dispatch remind 51 --as mei
    """,
)
@click.argument("dispatch_id", type=click.IntRange(min=1), metavar="ID")
@person_option
@pass_desk
def remind(desk: Desk, dispatch_id: int) -> None:
    """Have WeCom remind the member of a task that waits for a confirmation, now.

    At most three reminders for a task, three for a member on one day, and none in quiet hours; else it says which of
    them speaks against it. sopd reminds by itself two, five and eight hours after a task was made.
    """
    from sopd.cli import task_pages

    task_pages.remind(desk, dispatch_id)


@dispatch.verb(
    "cancel",
    """
    sopd dispatch cancel 51
    sopd dispatch cancel 51 --yes --as mei
    """,
)
@click.argument("dispatch_id", type=click.IntRange(min=1), metavar="ID")
@yes_option
@person_option
@pass_desk
def cancel(desk: Desk, dispatch_id: int, yes: bool) -> None:
    """Withdraw a task that the member has not confirmed. Its pushes end `cancelled`, the runs go on.

    It is cancelled in WeCom and read again before the pushes are told, which takes a minute or two. What the member had
    confirmed before is sent. `sopd push retry` brings single pushes back.
    """
    from sopd.cli import task_pages

    task_pages.cancel(desk, dispatch_id, yes)


@dispatch.verb(
    "resolve",
    """
    sopd dispatch resolve 51 --sent
    sopd dispatch resolve 51 --not-sent --yes --as mei
    """,
)
@click.argument("dispatch_id", type=click.IntRange(min=1), metavar="ID")
@click.option("--sent/--not-sent", "sent", required=True, default=None, help="What you found in WeCom.")
@yes_option
@person_option
@pass_desk
def resolve(desk: Desk, dispatch_id: int, sent: bool, yes: bool) -> None:
    """Say what became of a task in `needs_operator`: ask the member, or look at it in WeCom's console.

    It corrects the pushes of the task. Nothing is sent again.
    """
    from sopd.cli import task_pages

    task_pages.resolve(desk, dispatch_id, sent, yes)
