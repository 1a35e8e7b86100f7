"""`sopd customer`: who they are, what they have and get. Declarations only; the work is in `customers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sopd.cli.desk import Desk
from sopd.cli.paging import page_options, since_option
from sopd.cli.taking import a_file, skip_option
from sopd.cli.verbs import noun, output_options, pass_desk, person_option, yes_option

customer = noun("customer", "Customers (客户): named by external_userid, or by a name that nobody else has.")

a_customer = click.argument("reference", metavar="CUSTOMER")


@customer.verb(
    "list",
    """
    sopd customer list --name 王
    sopd customer list --member alice --since 7d
    sopd customer list --tag 结果/已下单 --limit 0 --json
    """,
)
@click.option("--name", help="A part of the name.")
@click.option("--member", help="Friends of this member, by user id.")
@click.option("--tag", help="Tagged so on any relation: group/name, or a name that only one tag has.")
@click.option("--muted/--not-muted", "is_muted", default=None, help="Only those with, or without, 免打扰.")
@since_option("Added to anybody since then")
@page_options
@output_options
@pass_desk
def list_(desk: Desk, limit: int, before: int | None, **chosen: Any) -> None:
    """Customers, the latest known first."""
    from sopd.cli import customers

    customers.show_list(desk, limit, before, **chosen)


@customer.verb(
    "show",
    """
    sopd customer show wmAAA
    sopd customer show 王小雨 --json
    """,
)
@a_customer
@output_options
@pass_desk
def show(desk: Desk, reference: str) -> None:
    """One customer: relations and tags, attributes, runs past and present, pushes, signals, refused entries."""
    from sopd.cli import customers

    customers.show_page(desk, reference)


@customer.verb(
    "import",
    """
    sopd customer import crm.csv
    sopd customer import crm.csv --skip-unknown --clear
    """,
)
@a_file
@click.option("--clear", is_flag=True, help="An empty field takes the attribute away. Default: it says nothing.")
@skip_option
@output_options
@person_option
@pass_desk
def import_(desk: Desk, file: Path, clear: bool, skip_unknown: bool) -> None:
    """Take attributes of customers from a table (CSV); a file with one fault is not taken at all.

    The columns external_userid, unionid, crm_id and phone say who is meant, the surest that is filled in; crm_id and
    phone beside it are remembered, the phone only as a hash. Every other column is an attribute: level, amount:number,
    vip:truth, paid_on:date. Rules see what differs.
    """
    from sopd.cli import customer_import

    customer_import.import_(desk, file, clear, skip_unknown)


@customer.verb(
    "tag",
    """
    sopd customer tag wmAAA --add 阶段/考虑价格
    sopd customer tag 王小雨 --member alice --add 结果/已下单 --remove 阶段/考虑价格
    """,
)
@a_customer
@click.option("--add", multiple=True, metavar="TAG", help="Put on (repeatable): group/name, or a name of one tag.")
@click.option("--remove", multiple=True, metavar="TAG", help="Take off (repeatable).")
@click.option("--member", help="On whose relation; needed if the customer has several.")
@person_option
@pass_desk
def tag(desk: Desk, reference: str, add: tuple[str, ...], remove: tuple[str, ...], member: str | None) -> None:
    """Tag a customer at one member, in WeCom too. SOPs react to it like to any other tag.

    It holds here at once; a running daemon writes it to WeCom within seconds.
    """
    from sopd.cli import customers

    if not add and not remove:
        raise click.UsageError("nothing to do: give --add or --remove")
    customers.tag(desk, reference, member, add, remove)


@customer.verb(
    "mute",
    """
    sopd customer mute wmAAA
    sopd customer mute wmAAA wmBBB --off
    """,
)
@click.argument("references", metavar="CUSTOMER...", nargs=-1, required=True)
@click.option("--off", is_flag=True, help="Let them be written to again.")
@person_option
@pass_desk
def mute(desk: Desk, references: tuple[str, ...], off: bool) -> None:
    """Do-not-disturb (免打扰): muted customers enter no SOP and are sent nothing.

    Runs go on without sending; pushes are `skipped: muted`.
    """
    from sopd.cli import customers

    customers.mute(desk, references, not off)


@customer.verb(
    "forget",
    """
    sopd customer forget wmAAA --dry-run
    sopd customer forget 王小雨
    sopd customer forget wmAAA --yes
    """,
)
@a_customer
@click.option("--dry-run", is_flag=True, help="Only count what there is.")
@yes_option
@person_option
@pass_desk
def forget(desk: Desk, reference: str, dry_run: bool, yes: bool) -> None:
    """Erase a person for good; sums stay.

    Open runs end, tasks that are out are stopped, and once WeCom has nothing to answer any more, name, ids, attributes,
    tags, what was said and callbacks go. Friends in WeCom stay friends: sopd passes over what it shows of them until
    they add a member anew. Backups made before keep everything.
    """
    from sopd.cli import customer_forget

    customer_forget.forget(desk, reference, dry_run, yes)
