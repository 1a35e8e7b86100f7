"""`sop resume`: shows what a pause left behind, asks what is to become of it, and goes on."""

from __future__ import annotations

from sopd.cli import finding
from sopd.cli.asking import agree, choose
from sopd.cli.desk import Desk
from sopd.cli.output import note, say
from sopd.commands import ResumeSop
from sopd.handlers import sops
from sopd.handlers.resuming import POLICIES
from sopd.store.queries.resuming import Waiting


def resume(desk: Desk, key: str, missed: str | None, admit: bool | None, yes: bool) -> None:
    """Count, ask what was not said already, and resume. `missed` and `admit` None: not said."""
    with desk.reading() as tx:
        finding.sop(tx, key)
    waiting = sops.waiting(desk.app, key)
    _tell(desk, key, waiting)
    if missed is None:
        missed = POLICIES[0]
        if not yes and (waiting.missed or waiting.pushes):
            missed = choose(desk, "What is to become of what was missed?", POLICIES)
    if admit is None:
        admit = False
        if not yes and waiting.recorded:
            admit = choose(desk, "Let those in who would have entered?", ("no", "yes")) == "yes"
    agree(desk, yes, "Resume {sop}?", sop=key)
    moved = sops.resume(desk.app, ResumeSop(key, desk.person, missed, admit))
    say(desk, _DONE[missed], sop=moved.key)
    if admit:
        say(desk, "  those who would have entered are judged again: {people}", people=waiting.recorded)


_DONE = {
    "skip": "{sop} is running again; moments that passed are being skipped",
    "shift": "{sop} is running again; everybody inside goes on later by the days of the pause",
    "catch_up": "{sop} is running again; the latest of the moments that passed goes out now",
}


def _tell(desk: Desk, key: str, waiting: Waiting) -> None:
    note(desk, "{sop}: open runs: {runs}", sop=key, runs=waiting.runs)
    note(desk, "  of these with a step that fell due during the pause: {runs}", runs=waiting.missed)
    note(desk, "  pushes that wait: {pushes}", pushes=waiting.pushes)
    note(desk, "  people who would have entered: {people}", people=waiting.recorded)
