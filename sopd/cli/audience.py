"""`sopd audience`: imported lists of customers. Declarations only; the work is in `audiences`."""

from __future__ import annotations

from pathlib import Path

import click

from sopd.cli.desk import Desk
from sopd.cli.paging import page_options
from sopd.cli.taking import a_file, skip_option
from sopd.cli.verbs import noun, output_options, pass_desk, person_option, yes_option

audience = noun("audience", "Audiences (人群包): imported lists of customers, which rules ask for by name.")


@audience.verb(
    "import",
    """
    sopd audience import vip vip.csv
    sopd audience import vip more.csv --keep --skip-unknown
    cut -f1 segment.tsv | sopd audience import spring-2026 -
    """,
)
@click.argument("name", metavar="NAME")
@a_file
@click.option("--keep", is_flag=True, help="Only let more join: who is in it and not in the file stays.")
@skip_option
@yes_option
@output_options
@person_option
@pass_desk
def import_(desk: Desk, name: str, file: Path, keep: bool, skip_unknown: bool, yes: bool) -> None:
    """Make an audience what a file says: who is new joins, who is missing leaves.

    The file is a list of external_userids, one a line, or a table (CSV) with a column external_userid, unionid, crm_id
    or phone. SOPs whose rules ask for the audience react to those who join or leave. Leaving an audience ends nothing
    by itself. A file with one fault is not taken at all, and one that names nobody is asked about.
    """
    from sopd.cli import audiences

    audiences.import_(desk, name, file, keep, skip_unknown, yes)


@audience.verb(
    "list",
    """
    sopd audience list
    sopd audience list --json | jq -r .name
    """,
)
@page_options
@output_options
@pass_desk
def list_(desk: Desk, limit: int, before: int | None) -> None:
    """Audiences, the newest first: how many customers are in each, and when it was imported last."""
    from sopd.cli import audiences

    audiences.show_list(desk, limit, before)


@audience.verb(
    "show",
    """
    sopd audience show vip
    sopd audience show vip --limit 0 > vip.tsv
    """,
)
@click.argument("name", metavar="NAME")
@page_options
@output_options
@pass_desk
def show(desk: Desk, name: str, limit: int, before: int | None) -> None:
    """The customers of one audience, the latest known first."""
    from sopd.cli import audiences

    audiences.show_page(desk, name, limit, before)
