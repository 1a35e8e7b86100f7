"""`sopd enrollment`: runs of customers through SOPs. Declarations only; the work is in `runs`, `story`, `ending`,
`entering` and `transferring`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sopd.cli.completing import sop_keys
from sopd.cli.desk import Desk
from sopd.cli.paging import page_options, since_option
from sopd.cli.verbs import noun, output_options, pass_desk, person_option, why_option, yes_option

enrollment = noun("enrollment", "Enrollments (执行): one run of one customer through one version of a SOP.")


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--sop, --state, --member, --customer, --since."""
    for option in (
        since_option("Entered since then"),
        click.option("--customer", help="One customer: external_userid, or a name that nobody else has."),
        click.option("--member", help="One member's, by user id."),
        click.option(
            "--state", "wanted", multiple=True, metavar="STATE",
            help="open, ended, enrolled, settling, a step's id, or normal_end, early_end, manual_end, lost, stopped, "
            "merged (repeatable).",
        ),
        click.option("--sop", "sops", multiple=True, metavar="KEY", shell_complete=sop_keys,
                     help="Runs of this SOP (repeatable)."),
    ):  # fmt: skip
        command = option(command)
    return command


@enrollment.verb(
    "list",
    """
    sopd enrollment list --sop welcome-30d --state open
    sopd enrollment list --member alice --since 7d --state early_end
    sopd enrollment list --sop welcome-30d --limit 0 > runs.tsv
    """,
)
@filter_options
@page_options
@output_options
@pass_desk
def list_(desk: Desk, limit: int, before: int | None, **chosen: Any) -> None:
    """Runs, the latest entered first, with the step they are at and when the next one falls due."""
    from sopd.cli import runs

    runs.show_list(desk, limit, before, **chosen)


@enrollment.verb(
    "show",
    """
    sopd enrollment show 128
    sopd enrollment show 128 --lang zh
    sopd enrollment show 128 --json | jq .steps
    """,
)
@click.argument("enrollment_id", type=click.IntRange(min=1), metavar="ID")
@output_options
@pass_desk
def show(desk: Desk, enrollment_id: int) -> None:
    """The whole story of one run, past and planned: every decision and push with its reason, tags written, what is to
    come and when."""
    from sopd.cli import story_page

    story_page.show(desk, enrollment_id)


@enrollment.verb(
    "start",
    """
    sopd enrollment start winback wmAAA
    sopd enrollment start winback wmAAA 王小雨 --member alice --why "asked at the counter"
    sopd customer list --tag 阶段/沉默 --limit 0 --json | jq -r .external_userid | xargs sopd enrollment start winback
    """,
)
@click.argument("key", metavar="SOP", shell_complete=sop_keys)
@click.argument("references", metavar="CUSTOMER...", nargs=-1, required=True)
@click.option("--member", help="Through this member, if it is one of the SOP's. Default: the SOP's owner rule.")
@click.option("--why", default="", help="The reason, kept with the run.")
@output_options
@person_option
@pass_desk
def start(desk: Desk, key: str, references: tuple[str, ...], member: str | None, why: str) -> None:
    """Pull customers into a SOP by hand: the entry rule is not asked, everything else holds.

    Conditions of the early end that are true already are inherited: they count only once they occur anew. Whoever is
    refused is told with the reason. Exit code 1 if nobody was let in.
    """
    from sopd.cli import entering

    entering.start(desk, key, references, member, why)


@enrollment.verb(
    "transfer",
    """
    sopd enrollment transfer 128 --to winback --why "silent for a month"
    sopd enrollment transfer 128 --to winback --why "silent" --all-relations
    sopd enrollment transfer --sop welcome-30d --member bob --to winback --why "bob has left" --yes
    """,
)
@click.argument("enrollment_ids", type=click.IntRange(min=1), nargs=-1, metavar="[ID]...")
@filter_options
@click.option("--to", required=True, metavar="SOP", shell_complete=sop_keys, help="The nurture SOP to go to.")
@why_option
@click.option("--all-relations", is_flag=True, help="With whatever else the same customers have open in the same SOPs.")
@click.option("--add-tag", "add_tags", multiple=True, metavar="TAG", help="Put on the owner's relation (repeatable).")
@click.option("--remove-tag", "remove_tags", multiple=True, metavar="TAG", help="Taken off it (repeatable).")
@yes_option
@output_options
@person_option
@pass_desk
def transfer(
    desk: Desk,
    enrollment_ids: tuple[int, ...],
    to: str,
    why: str,
    all_relations: bool,
    add_tags: tuple[str, ...],
    remove_tags: tuple[str, ...],
    yes: bool,
    **chosen: Any,
) -> None:
    """End runs by hand and let their customers go on in another SOP, in one step: by id, or all open ones that a filter
    meets. Says first how many would go, and who would not and why.

    Whom the other SOP refuses stays where they are, untouched. Of several runs of one customer all end and one goes on.
    """
    from sopd.cli import transferring

    wish = transferring.Wish(to, why, all_relations, add_tags, remove_tags)
    transferring.transfer(desk, enrollment_ids, chosen, wish, yes)


@enrollment.verb(
    "end",
    """
    sopd enrollment end 128 --why "asked not to be written to"
    sopd enrollment end 128 129 --why "bought in the shop" --add-tag 结果/已下单
    sopd enrollment end --sop welcome-30d --member bob --why "bob has left" --yes
    """,
)
@click.argument("enrollment_ids", type=click.IntRange(min=1), nargs=-1, metavar="[ID]...")
@filter_options
@why_option
@click.option("--add-tag", "add_tags", multiple=True, metavar="TAG", help="Put on the owner's relation (repeatable).")
@click.option("--remove-tag", "remove_tags", multiple=True, metavar="TAG", help="Taken off it (repeatable).")
@yes_option
@person_option
@pass_desk
def end(
    desk: Desk,
    enrollment_ids: tuple[int, ...],
    why: str,
    add_tags: tuple[str, ...],
    remove_tags: tuple[str, ...],
    yes: bool,
    **chosen: Any,
) -> None:
    """End runs by hand: those given by id, or all open ones that a filter meets, counted first.

    What is left of them is cancelled; tasks that no member has confirmed are withdrawn for them.
    """
    from sopd.cli import ending

    ending.end(desk, enrollment_ids, chosen, ending.Wish(why, add_tags, remove_tags), yes)
