"""A page about one thing, for people: a title, facts, sections with tables. Plain and unfolded in a pipe.

The `show` verbs collect lines here and print once. Whatever others wrote is tamed on its way in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from sopd.cli import instants, output
from sopd.cli.desk import Desk
from sopd.cli.output import COLOURS, Column
from sopd.cli.taming import tame
from sopd.cli.words import Words

INDENT = 2


class Page:
    """Collects what is to be shown; `print` shows it."""

    def __init__(self, desk: Desk) -> None:
        self.words: Words = desk.words
        self.zone = desk.zone
        self._parts: list[Any] = []

    def title(self, *parts: str) -> None:
        """The first line; the first part stands out."""
        line = Text(tame(parts[0]), style="bold")
        for part in parts[1:]:
            line.append("  ").append(tame(part), style="")
        self._parts.append(line)

    def facts(self, facts: Iterable[tuple[str, str | Text | None]]) -> None:
        """`heading  value` lines with aligned values; those without a value are left out."""
        kept = [(self.words.heading(key), value) for key, value in facts if value is not None and str(value) != ""]
        widest = max((cell_len(heading) for heading, _ in kept), default=0)
        for heading, value in kept:
            line = Text(" " * INDENT).append(heading, style="dim").append(" " * (widest - cell_len(heading) + 2))
            self._parts.append(line.append_text(value if isinstance(value, Text) else Text(tame(value))))

    def section(self, english: str, /, **values: object) -> None:
        """The heading of a part of the page."""
        self._parts += [Text(), Text(self.words.say(english, **values), style="bold")]

    def table(self, columns: Sequence[Column], rows: Iterable[Any]) -> None:
        """Rows below each other."""
        self._parts.append(Padding(output.table(columns, rows, self.words, self.zone), (0, 0, 0, INDENT)))

    def line(self, text: str | Text, indent: int = INDENT) -> None:
        """One more line."""
        told = Text(tame(text)) if isinstance(text, str) else text
        self._parts.append(Text(" " * indent).append_text(told))

    def lines(self, text: str) -> None:
        """A text of several lines."""
        for line in text.splitlines() or ["–"]:
            self.line(line)

    def say(self, english: str, /, **values: object) -> None:
        """One more line, from the sentences."""
        self.line(self.words.say(english, **values))

    def state(self, name: str) -> Text:
        """A state in its colour."""
        return Text(self.words.state(name), style=COLOURS.get(name, ""))

    def at(self, at: int, *, seconds: bool = False) -> str:
        """An instant."""
        return instants.shown(at, self.zone, seconds=seconds)

    def print(self) -> None:
        """Show it."""
        output.draw(Group(*self._parts))


def joined(parts: Iterable[str | Text | None], between: str = " · ") -> Text:
    """Parts of one value in a row; empty ones are left out."""
    made = Text()
    for part in parts:
        if part is None or str(part) == "":
            continue
        if made:
            made.append(between, style="dim")
        made.append_text(part if isinstance(part, Text) else Text(tame(part)))
    return made
