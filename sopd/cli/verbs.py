"""What every verb has in common: examples in its help, the shared options, the edge that tells errors.

`Noun` makes a group of verbs; `noun.verb(...)` declares one. Light to import: nothing of the engine is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from sopd.cli.desk import FORMS, Desk
from sopd.cli.failure import edge

SHARED = ("config", "lang", "debug", "help")

pass_desk = click.make_pass_decorator(Desk, ensure=True)


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Lay an option's value on the desk, unless it was not given here: then one given earlier counts."""
    if value is not None:
        setattr(ctx.ensure_object(Desk), str(param.name), value)


def _kept(*names: str, **attributes: Any) -> click.Option:
    return click.Option(names, expose_value=False, callback=_keep, default=None, **attributes)


def shared_options() -> list[click.Parameter]:
    """Options that stand before the noun as well as after the verb."""
    return [
        _kept(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="The settings. Default: SOPD_CONFIG, ./sopd.toml, /etc/sopd/sopd.toml.",
        ),
        _kept("--lang", type=click.Choice(["en", "zh"]), help="Language of what is shown. Default: that of LANG."),
        _kept("--debug", is_flag=True, help="Log to standard error, and a traceback where this program fails."),
    ]


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--format and --json: a table on a terminal, tab separated values in a pipe, JSON lines on request."""
    form = click.option(
        "--format",
        "form",
        type=click.Choice(FORMS),
        default=None,
        expose_value=False,
        callback=_keep,
        help="Default: table on a terminal, tsv in a pipe.",
    )
    json = click.option(
        "--json", "form", flag_value="json", default=None, expose_value=False, callback=_keep,
        help="One JSON object a line.",
    )  # fmt: skip
    return json(form(command))


def person_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--as: who does it, for the audit."""
    return click.option(
        "--as", "who", metavar="NAME", default=None, expose_value=False, callback=_keep,
        help="Who does it, for the audit. Default: the user of this system.",
    )(command)  # fmt: skip


def _said(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("is empty; say why, it is kept with the run", ctx, param)
    return value.strip()


def why_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--why: the reason of an end by hand, which may not be empty (SPEC 8)."""
    return click.option("--why", required=True, callback=_said, help="The reason, kept with the run.")(command)


def yes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--yes: do not ask."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


class Verb(click.Command):
    """A command with examples below its help, the shared options and the edge around it."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params = [*self.params, *shared_options()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options first, the shared ones apart."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                (shared if param.name in SHARED else own).append(record)
        for title, records in (("Options", own), ("Options of every command", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, as they are written."""
        if self.examples:
            lines = "\n".join(f"  {line.strip()}" for line in self.examples.strip().splitlines())
            formatter.write(f"\nExamples:\n{lines}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; errors are told, what it opened is closed."""
        desk = ctx.ensure_object(Desk)
        ctx.call_on_close(desk.close)
        with edge(desk.debug):
            return super().invoke(ctx)


class Noun(click.Group):
    """A group of verbs on one thing, in the order in which they are declared."""

    command_class = Verb

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of declaration."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each verb with the first sentence of its help, whole."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(verb.help or "")) for name, verb in self.commands.items()])

    def verb(self, name: str, examples: str, **attributes: Any) -> Callable[[Callable[..., Any]], Verb]:
        """Declare a verb; its docstring is its help."""
        return self.command(name, examples=examples, **attributes)  # type: ignore[return-value]


def _first_sentence(help: str) -> str:
    return " ".join(help.split("\n\n")[0].split()).partition(". ")[0].rstrip(".") + "."


def noun(name: str, help: str) -> Noun:
    """A new group of verbs."""
    return Noun(name, help=help, params=shared_options())


def chosen(names: Sequence[str]) -> click.Choice[str]:
    """One of these words."""
    return click.Choice(list(names), case_sensitive=True)
