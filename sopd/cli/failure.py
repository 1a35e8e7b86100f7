"""The command line's edge: what goes wrong becomes one line and a hint on standard error, and an exit code.

Everything below raises errors of `sopd.errors`; only here are they caught. A traceback is shown to nobody who did not
ask for it with --debug. Exit codes are documented in `sopd --help`.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from sopd.cli.taming import tame
from sopd.errors import ConfigError, NotFound, SopdError

FAILED, USAGE, NOT_FOUND = 1, 2, 3


class Told(click.ClickException):
    """Lines for standard error and the exit code that goes with them."""

    def __init__(self, lines: Iterable[str], exit_code: int = FAILED) -> None:
        self.lines = tuple(lines)
        super().__init__(self.lines[0])
        self.exit_code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the lines."""
        for line in self.lines:
            click.echo(line, err=True, file=file)


@contextmanager
def edge(debug: bool) -> Iterator[None]:
    """Turn errors of the engine, and faults of this program, into `Told`."""
    try:
        yield
    except SopdError as error:
        raise Told(lines_of(error), NOT_FOUND if isinstance(error, NotFound) else FAILED) from error
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:  # the edge itself: a fault of the program is told like any other, without a traceback
        raise Told(_of_a_bug(error, debug)) from error


def lines_of(error: SopdError) -> list[str]:
    """An error as a person reads it: every fault on a line of its own, then one sentence, then what to do."""
    faults = [str(fault) for fault in getattr(error, "faults", ())]
    lines = [*faults, f"sopd: {error.message}"]
    if isinstance(error, ConfigError):
        lines = [f"sopd: {error.message}", *(f"  {fault}" for fault in faults)]
    return [tame(line) for line in ([*lines, f"  {error.hint}"] if error.hint else lines)]


def _of_a_bug(error: Exception, debug: bool) -> list[str]:
    if debug:
        return ["".join(traceback.format_exception(error)).rstrip()]
    what = " ".join(str(error).split())[:200]
    return [
        f"sopd: this should not happen: {type(error).__name__}: {what}",
        "  run it again with --debug for a report to send in",
    ]


def unknown(what: str, name: str, known: Iterable[str], hint: str = "") -> NotFound:
    """`there is no SOP "x"`, with the one that was probably meant."""
    names = list(known)
    near = difflib.get_close_matches(name.casefold(), [each.casefold() for each in names], n=1, cutoff=0.5)
    meant = next((each for each in names if near and each.casefold() == near[0]), None)
    return NotFound(f'there is no {what} "{name}"', f"did you mean {meant}?" if meant else hint)
