"""The root of the command line: what there is, in sections, with examples, exit codes and completion.

Nothing of the engine is imported here; `sopd --help` has to be there at once (a test measures it).
"""

from __future__ import annotations

from typing import Any

import click

from sopd import __version__
from sopd.cli.desk import Desk
from sopd.cli.lazy import Entry, LazyGroup
from sopd.cli.verbs import shared_options

SECTIONS = {
    "Set up and run": {
        "init": Entry("init:init", "Write a commented sopd.toml and make the database."),
        "run": Entry("run:run", "Run the daemon: ticker, workers and web in one process."),
        "worker": Entry("worker:worker", "Work beside other processes, on any number of hosts."),
        "doctor": Entry("doctor:doctor", "Say what is wrong and what to do about it."),
        "db": Entry("db:db", "The database: migrate, status, backup, restore, retry, prune."),
    },
    "Customer SOPs": {
        "sop": Entry(
            "sop:sop", "Definitions: lint, diff, apply, start, pause, resume, stop, list, show, graph, preview."
        ),
        "enrollment": Entry("enrollment:enrollment", "Runs of customers: list, show, start, transfer, end."),
        "customer": Entry("customer:customer", "Customers: list, show, import, tag, mute, forget."),
        "member": Entry("member:member", "Members: who can send to customers, and who cannot and why."),
        "push": Entry("push:push", "Pushes: one step for one customer, and why it is where it is."),
        "dispatch": Entry("dispatch:dispatch", "Tasks given to members: list, show, remind, cancel, resolve."),
        "inbox": Entry("inbox:inbox", "Callbacks from WeCom: list, replay."),
    },
    "From outside": {
        "event": Entry("event:event", "What customers did and said: send one, import a file."),
        "audience": Entry("audience:audience", "Imported lists of customers: import, list, show."),
        "token": Entry("token:token", "Who may use the HTTP API: create, list, revoke."),
    },
    "Without a real WeCom": {
        "demo": Entry("demo:demo", "Lead some hundred customers through the shipped SOPs, against the sandbox."),
        "sandbox": Entry("sandbox:sandbox", "Imitate WeCom, with people who add, tag, buy and confirm."),
    },
}

EPILOGS = (
    """
Examples:
  sopd demo                                     see it work, without a WeCom of your own
  sopd init && sopd doctor && sopd run          the first day
  sopd sop apply welcome.yaml && sopd sop start welcome-30d
  sopd enrollment list --sop welcome-30d --state open
  sopd enrollment show 128                      the whole story of one customer's run
  sopd push list --state failed --json | jq .reason
""",
    """
Output:
  A table on a terminal, tab separated values in a pipe (header line, nothing cut, tabs and line ends as
  \\t and \\n), one JSON object a line with --json. `show` prints a page for people, or one JSON object.
  Times are the company's. Everything works while the daemon runs, which sees what you do within a second.
""",
    """
Exit codes:
  0  done                      2  the call itself was wrong: see --help
  1  refused, or failed        3  what you named does not exist, or nothing matches
""",
    """
Completion (SOP keys too): put one of these into your shell's start file
  bash  eval "$(_SOPD_COMPLETE=bash_source sopd)"
  zsh   eval "$(_SOPD_COMPLETE=zsh_source sopd)"
  fish  _SOPD_COMPLETE=fish_source sopd | source
""",
)


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    epilogs=EPILOGS,
    params=shared_options(),
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="sopd")
@click.pass_context
def root(ctx: click.Context, **_: Any) -> None:
    """The customer SOP engine for WeCom (企业微信): the right content, at the right moment after each customer's own
    beginning, through the right person."""
    ctx.ensure_object(Desk)
