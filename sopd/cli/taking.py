"""Files that are taken whole or not at all: reading them, telling every fault, saying what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from sopd.cli import output
from sopd.cli.desk import Desk
from sopd.cli.output import Column
from sopd.errors import NotFound, Refused

A_BATCH = 500
MOST_FAULTS = 1000

a_file = click.argument("file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE")


def skip_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--skip-unknown."""
    return click.option(
        "--skip-unknown", is_flag=True, help="Leave out lines of people whom sopd does not know, and count them."
    )(command)


def bytes_of(file: Path) -> tuple[str, bytes]:
    """(what the file is called in faults, all of it); `-` is standard input."""
    if str(file) == "-":
        return "standard input", sys.stdin.buffer.read()
    try:
        return str(file), file.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}", "`-` reads standard input") from None
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None


def require(name: str, faults: Iterable[tuple[int, str]]) -> None:
    """Raise with all faults, each with its line; without any, go on."""
    from sopd.incoming.files import BadFile

    told = [f"{name}:{line}: {sentence}" for line, sentence in sorted(faults)]
    if told:
        raise BadFile(name, told)


def outcome(desk: Desk, columns: Sequence[Column], row: Any, english: str, /, **values: object) -> None:
    """What came of it: a sentence for people, one row for programs."""
    if desk.output == "table":
        output.say(desk, english, **values)
    else:
        output.listing(desk, columns, [row])
