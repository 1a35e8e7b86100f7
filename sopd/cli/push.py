"""`sopd push`: one step for one customer. Declarations only; the work is in `push_pages`."""

from __future__ import annotations

from typing import Any

import click

from sopd.cli import states
from sopd.cli.completing import sop_keys
from sopd.cli.desk import Desk
from sopd.cli.paging import page_options, since_option
from sopd.cli.verbs import noun, output_options, pass_desk, person_option

push = noun("push", "Pushes (推送): one step of one run, from due to sent, failed, skipped, expired or cancelled.")


@push.verb(
    "list",
    """
    sopd push list --sop welcome-30d --state open
    sopd push list --state failed --state expired --since 1d
    sopd push list --sop welcome-30d --step coupon --reason quota --json
    """,
)
@click.option("--sop", "sops", multiple=True, metavar="KEY", shell_complete=sop_keys, help="Of this SOP (repeatable).")
@click.option(
    "--state", "wanted", multiple=True, type=click.Choice(("open", *states.PUSH_OPEN, *states.PUSH_FINAL)),
    help="In this state; open: not settled yet (repeatable).",
)  # fmt: skip
@click.option("--step", help="Of this step, by its id.")
@click.option("--reason", help="With this reason, e.g. quota, overtaken, not confirmed.")
@click.option("--member", help="Through this member, by user id.")
@click.option("--customer", help="To this customer.")
@since_option("Fell due and fired since then")
@page_options
@output_options
@pass_desk
def list_(desk: Desk, limit: int, before: int | None, **chosen: Any) -> None:
    """Pushes, the latest first, each with its state and the reason for it."""
    from sopd.cli import push_pages

    push_pages.show_list(desk, limit, before, **chosen)


@push.verb(
    "show",
    """
    sopd push show 4711
    sopd push show 4711 --json
    """,
)
@click.argument("push_id", type=click.IntRange(min=1), metavar="ID")
@output_options
@pass_desk
def show(desk: Desk, push_id: int) -> None:
    """One push: what it says, why it is where it is, the task it is in, the quota it holds."""
    from sopd.cli import push_pages

    push_pages.show_page(desk, push_id)


@push.verb(
    "retry",
    """
    sopd push retry 4711
    sopd push list --state failed --since 1d --json | jq .id | xargs sopd push retry
    """,
)
@click.argument("push_ids", type=click.IntRange(min=1), metavar="ID...", nargs=-1, required=True)
@person_option
@pass_desk
def retry(desk: Desk, push_ids: tuple[int, ...]) -> None:
    """Try pushes again that failed, expired, were skipped or cancelled: they are planned anew, with a new expiry.

    The run must be open and no later step may have fired. What was sent, is on its way or is in doubt is refused, each
    with its reason; then the exit code is 1, and the others are tried all the same.
    """
    from sopd.cli import push_pages

    push_pages.retry(desk, push_ids)
