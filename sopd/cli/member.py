"""`sopd member`: the staff that customers know. Declarations only; the work is in `members`."""

from __future__ import annotations

import click

from sopd.cli.desk import Desk
from sopd.cli.verbs import noun, output_options, pass_desk, person_option, yes_option

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
    later read believes it or shows them again, or `sopd member accept` says that they are lost.
    """
    from sopd.cli import members

    members.show_list(desk, only_unable, only_held)


@member.verb(
    "accept",
    """
    sopd member accept alice
    sopd member accept alice --yes --as mei
    """,
)
@click.argument("userid", metavar="USERID")
@yes_option
@person_option
@pass_desk
def accept(desk: Desk, userid: str, yes: bool) -> None:
    """Take a member's held customers for lost: so many were missing at once that the full read did not believe it.

    Look into WeCom first. Their runs go on through other members, or end as lost; nobody is told anything.
    """
    from sopd.cli import members

    members.accept(desk, userid, yes)
