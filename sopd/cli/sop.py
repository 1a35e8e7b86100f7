"""`sopd sop`: definitions and their lives. Declarations only; the work is in `sop_files`, `sop_pages`, `sop_life`."""

from __future__ import annotations

import click

from sopd.cli import states
from sopd.cli.completing import sop_keys
from sopd.cli.desk import Desk
from sopd.cli.instants import MOMENT
from sopd.cli.verbs import noun, output_options, pass_desk, person_option, yes_option

sop = noun("sop", "Customer SOPs (客户SOP): a definition file is linted, applied as a numbered version, started.")

a_key = click.argument("key", shell_complete=sop_keys)
a_file = click.Path(exists=False, dir_okay=False, allow_dash=True)


@sop.verb(
    "list",
    """
    sopd sop list
    sopd sop list --state running --state paused
    sopd sop list --json | jq -r 'select(.open > 0).key'
    """,
)
@click.option("--state", "wanted", type=click.Choice(states.SOP), multiple=True, help="Only those (repeatable).")
@output_options
@pass_desk
def list_(desk: Desk, wanted: tuple[str, ...]) -> None:
    """Every SOP with its state, its version and how many customers are inside."""
    from sopd.cli import sop_pages

    sop_pages.show_list(desk, wanted)


@sop.verb(
    "show",
    """
    sopd sop show welcome-30d
    sopd sop show welcome-30d --source > welcome-30d.yaml
    sopd sop show welcome-30d --version 2 --source | diff - welcome-30d.yaml
    """,
)
@a_key
@click.option("--version", "number", type=click.IntRange(min=1), help="That version instead of the present one.")
@click.option("--source", is_flag=True, help="Print the file as it was applied, and nothing else.")
@output_options
@pass_desk
def show(desk: Desk, key: str, number: int | None, source: bool) -> None:
    """What a SOP does, who is where in it, what became of its pushes, and who was not let in."""
    from sopd.cli import sop_pages

    if source:
        sop_pages.show_source(desk, key, number)
    else:
        sop_pages.show_page(desk, key, number)


@sop.verb(
    "lint",
    """
    sopd sop lint welcome-30d.yaml
    sopd sop lint sops/*.yaml && echo fit to apply
    """,
)
@click.argument("files", nargs=-1, required=True, type=a_file)
@pass_desk
def lint(desk: Desk, files: tuple[str, ...]) -> None:
    """Check definition files: every fault as file:line:column, exit code 1 if there is any.

    Warnings, and what this version does not run yet, do not count. Needs no database; with one whose tag library was
    read, tag names are checked too.
    """
    from sopd.cli import sop_files

    sop_files.lint(desk, files)


@sop.verb(
    "diff",
    """
    sopd sop diff welcome-30d.yaml
    sopd sop diff welcome-30d.yaml --version 2
    """,
)
@click.argument("file", type=a_file)
@click.option("--version", "number", type=click.IntRange(min=1), help="Against that version, not the present one.")
@pass_desk
def diff(desk: Desk, file: str, number: int | None) -> None:
    """What applying a file would change."""
    from sopd.cli import sop_files

    sop_files.diff(desk, file, number)


@sop.verb(
    "apply",
    """
    sopd sop apply welcome-30d.yaml
    sopd sop apply sops/*.yaml
    generate-sop | sopd sop apply - --as pipeline
    """,
)
@click.argument("files", nargs=-1, required=True, type=a_file)
@output_options
@person_option
@pass_desk
def apply(desk: Desk, files: tuple[str, ...]) -> None:
    """Publish definitions as the next versions of their SOPs, and say what changed.

    All files are checked before the first is applied. Customers inside a running SOP stay in their version; who enters
    from now on gets the new one.
    """
    from sopd.cli import sop_files

    sop_files.apply(desk, files)


@sop.verb(
    "start",
    """
    sopd sop start welcome-30d
    sopd sop start winback --as mei
    sopd sop start winback --no-wait
    """,
)
@a_key
@click.option("--no-wait", is_flag=True, help="Return at once; the daemon goes on, `sop show` says how far it is.")
@person_option
@pass_desk
def start(desk: Desk, key: str, no_wait: bool) -> None:
    """Let a draft take customers.

    A new-customer SOP takes whoever is added from now on. A nurture SOP first judges everybody there is, and shows how
    far it is: whoever its entry rule holds for enters with today as entry date, and nothing is sent until all are
    judged. Cut off in the middle, it goes on by itself.

    Refused, by file and line, for what this version does not run yet.
    """
    from sopd.cli import sop_life

    sop_life.start(desk, key, wait=not no_wait)


@sop.verb(
    "pause",
    """
    sopd sop pause welcome-30d
    sopd sop pause welcome-30d --yes --as mei
    """,
)
@a_key
@yes_option
@person_option
@pass_desk
def pause(desk: Desk, key: str, yes: bool) -> None:
    """Stop sending. Says first how much is under way.

    Tasks that no member has confirmed are cancelled in WeCom, their pushes wait. Ends, losses and results still count.
    """
    from sopd.cli import sop_life

    sop_life.pause(desk, key, yes)


@sop.verb(
    "resume",
    """
    sopd sop resume welcome-30d
    sopd sop resume welcome-30d --missed shift --admit
    sopd sop resume welcome-30d --missed skip --no-admit --yes
    """,
)
@a_key
@click.option(
    "--missed",
    type=click.Choice(["skip", "shift", "catch_up"]),
    help="What passed: skip it (default), shift everybody inside by whole days, or send the latest now.",
)
@click.option(
    "--admit/--no-admit", default=None, help="Judge those again who would have entered meanwhile (default: no)."
)
@yes_option
@person_option
@pass_desk
def resume(desk: Desk, key: str, missed: str | None, admit: bool | None, yes: bool) -> None:
    """Go on after a pause. Says first how much waited, and asks what is to become of it.

    skip: what passed is `skipped: paused`. shift: dates move by the days of the pause, pushes that waited go out.
    catch_up: of what passed the latest goes out now. Fixed dates (`strategy: timed`) cannot be shifted.
    """
    from sopd.cli import sop_resume

    sop_resume.resume(desk, key, missed, admit, yes)


@sop.verb(
    "stop",
    """
    sopd sop stop welcome-30d
    sopd sop stop welcome-30d --yes --as mei
    """,
)
@a_key
@yes_option
@person_option
@pass_desk
def stop(desk: Desk, key: str, yes: bool) -> None:
    """End a SOP for good. Says first whom that ends.

    Open runs end as `stopped`, without tags and flow; unconfirmed tasks are cancelled in WeCom.
    """
    from sopd.cli import sop_life

    sop_life.stop(desk, key, yes)


@sop.verb(
    "graph",
    """
    sopd sop graph welcome-30d > welcome-30d.mmd
    sopd sop graph welcome-30d --version 2
    """,
)
@a_key
@click.option("--version", "number", type=click.IntRange(min=1), help="Only the runs of that version.")
@pass_desk
def graph(desk: Desk, key: str, number: int | None) -> None:
    """The SOP's machine as a Mermaid state diagram, with how many customers are in each state."""
    from sopd.cli import sop_pages

    sop_pages.show_graph(desk, key, number)


@sop.verb(
    "preview",
    """
    sopd sop preview welcome-30d --customer wmAAA
    sopd sop preview welcome-30d --customer 王小雨 --member alice
    sopd sop preview welcome-30d --customer wmAAA --at 2026-03-01T09:30
    """,
)
@a_key
@click.option("--customer", required=True, help="The external_userid, or a name that only one customer has.")
@click.option("--member", help="Through which member; needed for new-customer SOPs if the customer knows several.")
@click.option("--at", "moment", type=MOMENT, help="As if entered then. Default: when the relation began; nurture: now.")
@output_options
@pass_desk
def preview(desk: Desk, key: str, customer: str, member: str | None, moment: object) -> None:
    """What one customer would get: would they enter, when does each step fall due, and what would planning say now.

    Nothing is written and nothing is sent. Of a customer who is inside, the steps still to come are shown.
    """
    from sopd.cli import sop_preview

    sop_preview.show(desk, key, customer, member, moment)
