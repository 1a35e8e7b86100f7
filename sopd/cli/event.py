"""`sopd event`: what customers did, brought by hand or from files. Declarations only; the work is in `events`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sopd.cli.desk import Desk
from sopd.cli.instants import MOMENT
from sopd.cli.taking import a_file, skip_option
from sopd.cli.verbs import noun, output_options, pass_desk, person_option

event = noun("event", "Behaviour events and messages: what customers did and said, for rules to look at.")


@event.verb(
    "send",
    """
    sopd event send order_paid --customer wmAAA --prop amount:number=99 --ref ORDER-17
    sopd event send discussed_product --customer 王小雨 --prop product=X
    sopd event send article_read --customer wmAAA --at 2026-03-01T20:15
    """,
)
@click.argument("name", metavar="NAME")
@click.option("--customer", required=True, help="Who did it: external_userid, or a name that nobody else has.")
@click.option("--at", type=MOMENT, metavar="MOMENT", help="When (2h, 2026-03-01T10:00). Default: now.")
@click.option("--prop", "props", multiple=True, metavar="NAME[:TYPE]=VALUE",
              help="A property (repeatable); TYPE is text, number, truth or date.")  # fmt: skip
@click.option("--ref", help="Your own id of it: a second sending with the same ref changes nothing.")
@output_options
@person_option
@pass_desk
def send(desk: Desk, **given: Any) -> None:
    """Let an event happen to one customer. A running daemon lets rules see it within a second."""
    from sopd.cli import events

    events.send(desk, **given)


@event.verb(
    "import",
    """
    sopd event import orders.csv
    sopd event import events.jsonl --skip-unknown
    zcat archive.jsonl.gz | sopd event import - --messages
    """,
)
@a_file
@click.option("--messages", is_flag=True, help="The lines are messages between members and customers, not events.")
@skip_option
@output_options
@person_option
@pass_desk
def import_(desk: Desk, file: Path, messages: bool, skip_unknown: bool) -> None:
    """Take events, or messages, from a table (CSV) or JSON lines; a file with one fault is not taken at all.

    A table of events has the columns name, at, and one that names the customer: external_userid, unionid, crm_id or
    phone. Every other column is a property, amount:number for instance. JSON lines look as POST /api/v1/events takes
    them. Messages have ref, from, to, at and text, or are decrypted records of WeCom's message archive (会话内容存档).
    Importing a file again changes nothing.
    """
    from sopd.cli import events

    events.import_(desk, file, messages, skip_unknown)
