"""`sopd member`: the staff that customers know. Declarations only; the work is in `members`."""

from __future__ import annotations

import click

from sopd.cli.desk import Desk
from sopd.cli.verbs import noun, output_options, pass_desk

member = noun("member", "Members (成员): staff with customer contact, as WeCom shows them to the app.")


@member.verb(
    "list",
    """
    sopd member list
    sopd member list --unable
    sopd member list --held --json | jq -r .userid
    """,
)
@click.option("--unable", "only_unable", is_flag=True, help="Only those who cannot send to customers, with the reason.")
@click.option("--held", "only_held", is_flag=True,
              help="Only those with contacts that a full read did not show and that are held, not believed.")
@output_options
@pass_desk
def list_(desk: Desk, only_unable: bool, only_held: bool) -> None:
    """Members: whether they are in the app's sight, whether they can send and why not, how many customers they have.

    When too many of a member's customers are missing at once, the full read holds them: they count as friends until a
    later read believes it or shows them again.
    """
    from sopd.cli import members

    members.show_list(desk, only_unable, only_held)
