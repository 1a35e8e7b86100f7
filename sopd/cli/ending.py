"""Ending runs by hand, by id or by filter: counted, asked, then done in batches with progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sopd.cli import choosing
from sopd.cli.asking import agree, with_progress
from sopd.cli.desk import Desk
from sopd.cli.output import note, say
from sopd.commands import EndEnrollments
from sopd.handlers import endings

A_BATCH = 200


@dataclass(frozen=True)
class Wish:
    """Why, and which tags on the way."""

    why: str
    add_tags: tuple[str, ...]
    remove_tags: tuple[str, ...]


def end(desk: Desk, ids: Sequence[int], chosen: Mapping[str, Any], wish: Wish, yes: bool) -> None:
    """`enrollment end`."""
    wanted = choosing.open_runs(desk, ids, chosen)
    agree(desk, yes, "End {count} by hand?", count=len(wanted))
    ended = 0

    def act(batch: list[int]) -> None:
        nonlocal ended
        command = EndEnrollments(tuple(batch), desk.person, wish.why, wish.add_tags, wish.remove_tags)
        ended += len(endings.end_by_operator(desk.app, command).ended)

    with_progress(desk, "ending runs", wanted, A_BATCH, act)
    if ended < len(wanted):
        note(desk, "{count} had ended already", count=len(wanted) - ended)
    say(desk, "{count} ended by {who}", count=ended, who=desk.person)
