"""Questions before a dangerous verb, and progress while a long one works. Both on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click

from sopd.cli.desk import Desk
from sopd.cli.failure import Told

T = TypeVar("T")


def agree(desk: Desk, yes: bool, english: str, /, **values: object) -> None:
    """Go on only after a yes, on the terminal or as --yes; else end with exit code 1, nothing having been changed."""
    if yes:
        return
    try:
        agreed = click.confirm(desk.words.say(english, **values), err=True)
    except click.Abort:
        raise Told([desk.words.say("nothing was changed; in a script, --yes answers the question")]) from None
    if not agreed:
        raise Told([desk.words.say("nothing was changed")])


def choose(desk: Desk, english: str, options: Sequence[str]) -> str:
    """Ask for one of some words, of which the first is the default; without a terminal nothing is changed."""
    try:
        asked = click.prompt(
            desk.words.say(english), type=click.Choice(tuple(options)), default=options[0], err=True
        )
    except click.Abort:
        raise Told([desk.words.say("nothing was changed; in a script, --yes answers the question")]) from None
    return str(asked)


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items in lists of at most `size`."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def with_progress(desk: Desk, title: str, items: Sequence[T], size: int, act: Callable[[list[T]], object]) -> None:
    """Do `act` on batches of items; on a terminal a bar shows how far it is."""
    done = 0
    with measured(desk, title, len(items) if len(items) > size else 0) as show:
        for batch in in_batches(items, size):
            act(batch)
            done += len(batch)
            show(done)


@contextmanager
def measured(desk: Desk, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives what to call with how much is done: on a terminal it moves a bar, elsewhere and for a total of 0 nothing.

    Its title is one of the sentences.
    """
    if not sys.stderr.isatty() or not total:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(desk.words.say(title), total=total)
        yield lambda done: progress.update(task, completed=done)
