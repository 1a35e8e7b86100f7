"""A SOP's life by hand: start, pause, stop; counts and asks first. `sop_resume` resumes, `sopd.handlers` act."""

from __future__ import annotations

import time

from sopd.cli import finding
from sopd.cli.asking import agree, measured
from sopd.cli.desk import Desk
from sopd.cli.output import note, say
from sopd.commands import PauseSop, StartSop, StopSop
from sopd.handlers import initialising, links, sops
from sopd.handlers.initialising import Progress

A_MOMENT_SECONDS = 0.2


def start(desk: Desk, key: str, *, wait: bool) -> None:
    """Start a draft; `wait` until everybody there is has been judged, if the SOP is of such a kind."""
    _known(desk, key)
    moved = sops.start(desk.app, StartSop(key, desk.person))
    with desk.reading() as tx:
        asleep = links.asleep(tx, key)
    for target in asleep:
        say(desk, "warning: {target} is a draft; until it is started nobody flows into it", target=target)
    begun = initialising.progress(desk.app, key)
    if begun is None:
        with desk.reading() as tx:
            is_new = finding.sop(tx, key).kind == "new_customer"
        meant = "{sop} is running: whoever is added from now on enters" if is_new else (
            "{sop} is running: people enter by flow or by hand"
        )  # fmt: skip
        say(desk, meant, sop=moved.key)
    elif not wait:
        say(desk, "{sop} is being initialised; `sopd sop show {sop}` says how far it is", sop=moved.key)
    else:
        _lead_on(desk, key, begun)


def _lead_on(desk: Desk, key: str, progress: Progress) -> None:
    """Lead the initialisation on, beside a daemon or alone, until it is over."""
    with measured(desk, "judging customers", progress.total) as show:
        while not progress.is_over:
            if not initialising.run_once(desk.app):  # a daemon is at it
                time.sleep(A_MOMENT_SECONDS)
            progress = initialising.progress(desk.app, key) or progress
            show(progress.done)
    say(desk, "{sop} is running: of {total} customers {entered} entered", sop=key, total=progress.total,
        entered=progress.entered)  # fmt: skip


def pause(desk: Desk, key: str, yes: bool) -> None:
    """Pause, after showing what is under way."""
    _count(desk, key)
    agree(desk, yes, "Pause {sop}?", sop=key)
    moved = sops.pause(desk.app, PauseSop(key, desk.person))
    say(desk, "{sop} is paused; `sopd sop resume {sop}` goes on", sop=moved.key)


def stop(desk: Desk, key: str, yes: bool) -> None:
    """Stop for good, after showing whom that ends."""
    _count(desk, key)
    agree(desk, yes, "Stop {sop} for good? It cannot be started again.", sop=key)
    moved = sops.stop(desk.app, StopSop(key, desk.person))
    say(desk, "{sop} has ended; runs being ended: {runs}", sop=moved.key, runs=moved.before.runs)


def _known(desk: Desk, key: str) -> None:
    """Answer a misspelt key with the one that was meant."""
    with desk.reading() as tx:
        finding.sop(tx, key)


def _count(desk: Desk, key: str) -> None:
    _known(desk, key)
    inside = sops.inside(desk.app, key)
    note(desk, "{sop}: open runs: {runs}", sop=key, runs=inside.runs)
    if inside.tasks:
        note(
            desk, "  tasks with members, not confirmed yet: {tasks}, with pushes: {pushes}",
            tasks=inside.tasks, pushes=inside.pushes_in_tasks,
        )  # fmt: skip
    if inside.pushes_waiting:
        note(desk, "  pushes that wait for a slot, quota or the end of quiet hours: {pushes}",
             pushes=inside.pushes_waiting)  # fmt: skip
