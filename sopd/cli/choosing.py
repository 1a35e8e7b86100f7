"""Which runs a verb is about: those given by id, or all open ones that a filter meets, counted by SOP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from sopd.cli import finding
from sopd.cli.desk import Desk
from sopd.cli.output import note
from sopd.cli.runs import run_filter
from sopd.errors import NotFound, Refused
from sopd.store.queries import views_runs
from sopd.store.queries.views_runs import RunFilter

A_PAGE = 5000


def open_runs(desk: Desk, ids: Sequence[int], chosen: Mapping[str, Any]) -> list[int]:
    """The open runs that are meant, by ids or by the options of a filter, after saying how many there are.

    Raises a usage error for both or neither, NotFound if nothing matches, Refused if all have ended.
    """
    by_filter = any(chosen.values())
    if bool(ids) == by_filter:
        raise click.UsageError("give either ids or a filter (--sop, --state, --member, --customer, --since)")
    return _by_filter(desk, chosen) if by_filter else _by_ids(desk, ids)


def _by_ids(desk: Desk, ids: Sequence[int]) -> list[int]:
    """The runs of these ids; all of them must exist. Those that have ended are said and left out."""
    wanted = list(dict.fromkeys(ids))
    with desk.reading() as tx:
        found = [finding.run(tx, each) for each in wanted]
    over = [run for run in found if run.closed_at is not None]
    for run in over:
        note(desk, "{id} has ended already: {reason}", id=run.id, reason=desk.words.reason(run.reason))
    still = [run.id for run in found if run.closed_at is None]
    if not still:
        raise Refused("none of these runs is open", "nothing was changed")
    return still


def _by_filter(desk: Desk, chosen: Mapping[str, Any]) -> list[int]:
    """The open runs that a filter meets, after saying how many there are in each SOP."""
    with desk.reading() as tx:
        wanted = run_filter(desk, tx, **chosen)
        counted = views_runs.count_open(tx, wanted)
    if not counted:
        raise NotFound("no open run matches", "nothing was changed")
    for sop, count in counted.items():
        note(desk, "{sop}: open runs: {count}", sop=sop, count=count)
    return list(_open_ids(desk, wanted))


def _open_ids(desk: Desk, wanted: RunFilter) -> Iterator[int]:
    after = 0
    while True:
        with desk.reading() as tx:
            page = views_runs.open_ids(tx, wanted, after, A_PAGE)
        yield from page
        if len(page) < A_PAGE:
            return
        after = page[-1]
