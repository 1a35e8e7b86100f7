"""Rows for people and for programs: a table on a terminal, tab separated values in a pipe, JSON lines on request.

A command hands in rows (NamedTuples, or anything with attributes) and says once what each column holds. Nothing is
cut: a table folds what is too wide, a pipe gets everything. What others wrote (names, texts) cannot steer a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from sopd.cli import instants
from sopd.cli.desk import Desk
from sopd.cli.taming import escaped, tame
from sopd.cli.words import Words

if TYPE_CHECKING:
    from rich.text import Text

Kind = Literal["text", "number", "instant", "state", "reason", "channel", "kind", "cause", "flag"]

UNFOLDED = 4000
"""Columns of a page that is not for a terminal."""

COLOURS: dict[str, str] = {
    "running": "green", "sent": "green", "done": "green", "normal_end": "green", "settled": "green", "active": "green",
    "early_end": "cyan", "confirmed": "cyan", "requested": "cyan", "planned": "cyan", "handed": "cyan",
    "paused": "yellow", "waiting": "yellow", "expired": "yellow", "skipped": "yellow", "uncertain": "yellow",
    "unsure": "yellow", "held": "yellow", "stopping": "yellow", "cancelling": "yellow", "rereading": "yellow",
    "manual_end": "yellow",
    "failed": "red", "needs_operator": "red", "set_aside": "red", "lost": "red", "stopped": "red",
    "ended": "dim", "cancelled": "dim", "draft": "dim", "to come": "dim", "never came": "dim",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column: `key` is its name in JSON and TSV and leads to its heading; `wide` ones are left out of tables."""

    key: str
    kind: Kind = "text"
    wide: bool = False


def listing(desk: Desk, columns: Sequence[Column], rows: Iterable[Any]) -> int:
    """Print rows as they come, in the form of this call; returns how many."""
    if desk.output == "json":
        return _json_lines(desk, columns, rows)
    if desk.output == "tsv":
        return _tsv(desk, columns, rows)
    return _table(desk, columns, rows)


def document(desk: Desk, value: dict[str, Any]) -> None:
    """Print one JSON object."""
    click.echo(json.dumps(value, ensure_ascii=False))


def _zone(desk: Desk, columns: Sequence[Column]) -> str:
    """The company's zone where an instant is to be shown; without one, rows are printed even if no settings are to be
    had, as `doctor` must."""
    return desk.zone if any(column.kind == "instant" for column in columns) else ""


def _json_lines(desk: Desk, columns: Sequence[Column], rows: Iterable[Any]) -> int:
    count, zone = 0, _zone(desk, columns)
    for row in rows:
        click.echo(json.dumps(plain(columns, row, zone), ensure_ascii=False))
        count += 1
    return count


def plain(columns: Sequence[Column], row: Any, zone: str) -> dict[str, Any]:
    """A row as JSON has it: keys and states as they are stored, instants as ISO 8601 with the zone's offset."""
    return {column.key: _plain(column, getattr(row, column.key), zone) for column in columns}


def _plain(column: Column, value: Any, zone: str) -> Any:
    if value is None:
        return None
    if column.kind == "instant":
        return instants.iso(value, zone)
    return bool(value) if column.kind == "flag" else value


def _tsv(desk: Desk, columns: Sequence[Column], rows: Iterable[Any]) -> int:
    words, zone, count = desk.column_words, _zone(desk, columns), 0
    click.echo("\t".join(column.key if not words.is_chinese else words.heading(column.key) for column in columns))
    for row in rows:
        click.echo("\t".join(_field(column, getattr(row, column.key), words, zone) for column in columns))
        count += 1
    return count


def _field(column: Column, value: Any, words: Words, zone: str) -> str:
    if value is None:
        return ""
    if column.kind == "instant":
        return instants.iso(value, zone)
    if column.kind == "flag":
        return "yes" if value else "no"
    text = _worded(column.kind, value, words) if words.is_chinese else _text(value)
    return escaped(text)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _worded(kind: Kind, value: Any, words: Words) -> str:
    text = _text(value)
    by_kind = {
        "state": words.state, "reason": words.reason, "channel": words.channel, "kind": words.kind,
        "cause": words.cause,
    }  # fmt: skip
    return by_kind[kind](text) if kind in by_kind else text


# -- for people ------------------------------------------------------------------------------------------------------


def draw(drawable: Any) -> None:
    """Print something of rich: as wide as the terminal, or as wide as it needs to be if that is more.

    In a pipe nothing is folded and no line ends in blanks.
    """
    from rich.console import Console
    from rich.measure import Measurement

    if not sys.stdout.isatty():
        console = Console(width=UNFOLDED, highlight=False, emoji=False, color_system=None, force_terminal=False)
        with console.capture() as captured:
            console.print(drawable)
        click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
        return
    console = Console(highlight=False, emoji=False)
    least = Measurement.get(console, console.options.update(width=UNFOLDED), drawable).minimum
    console.print(drawable, width=max(console.width, least), crop=False)


def cell(column: Column, value: Any, words: Words, zone: str) -> Text:
    """One value as people read it."""
    from rich.text import Text

    if value is None or value == "":
        return Text("–", style="dim")
    if column.kind == "instant":
        return Text(instants.shown(value, zone))
    if column.kind == "flag":
        return Text(words.say("yes") if value else words.say("no"))
    style = COLOURS.get(str(value), "") if column.kind == "state" else ""
    return Text(tame(_worded(column.kind, value, words)), style=style)


def table(columns: Sequence[Column], rows: Iterable[Any], words: Words, zone: str) -> Any:
    """A rich table of these rows, without the wide columns."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    kept = [column for column in columns if not column.wide]
    for column in kept:
        right = column.kind == "number"
        made.add_column(
            words.heading(column.key),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=column.kind in ("number", "instant", "state"),
        )
    for row in rows:
        made.add_row(*(cell(column, getattr(row, column.key), words, zone) for column in kept))
    return made


def _table(desk: Desk, columns: Sequence[Column], rows: Iterable[Any]) -> int:
    listed = list(rows)
    if not listed:
        click.echo(desk.words.say("nothing matches"), err=True)
        return 0
    draw(table(columns, listed, desk.words, _zone(desk, columns)))
    return len(listed)


def note(desk: Desk, english: str, /, **values: object) -> None:
    """A sentence beside the rows, on standard error, so that a pipe gets rows only."""
    click.echo(_said(desk, english, values), err=True)


def say(desk: Desk, english: str, /, **values: object) -> None:
    """A sentence that is itself the answer, on standard output."""
    click.echo(_said(desk, english, values))


def _said(desk: Desk, english: str, values: Mapping[str, object]) -> str:
    """A sentence; names in it cannot steer the terminal."""
    return desk.words.say(
        english, **{key: tame(value) if isinstance(value, str) else value for key, value in values.items()}
    )
