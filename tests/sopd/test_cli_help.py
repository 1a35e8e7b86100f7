"""Every command teaches by examples, and the examples are calls that the command line understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from sopd.cli.root import EPILOGS, SECTIONS, root
from sopd.cli.verbs import Verb


def leaves(group: click.Group = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(leaves())


def calls(text: str) -> Iterator[list[str]]:
    """Every call of sopd in a text, as words: pipes, redirections and substitutions are cut off."""
    for line in text.splitlines():
        for part in re.split(r"&&|\||;", line):
            if part.strip().startswith("sopd "):
                words = shlex.split(part, comments=True)[1:]
                end = next((place for place, word in enumerate(words) if word[0] in "><2" and ">" in word), len(words))
                yield [word for word in words[:end] if not word.startswith(">")]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_sentence_examples_and_all_options_explained(name: str) -> None:
    command = COMMANDS[name]
    answer = CliRunner().invoke(root, [*name.split(), "--help"])

    assert answer.exit_code == 0 and "Examples:" in answer.stdout
    assert isinstance(command, Verb) and len(command.examples.strip().splitlines()) >= 2
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help] == []
    explained = answer.stdout.partition("Options:")[2].partition("Options of every command:")[0]
    assert all(line.startswith(("  -", "    ")) for line in explained.splitlines() if line.strip())


@pytest.mark.parametrize(
    "words",
    [call for command in COMMANDS.values() for call in calls(getattr(command, "examples", ""))]
    + [call for text in EPILOGS for call in calls(re.sub(r"  +[a-z ].*$", "", text, flags=re.MULTILINE))],
    ids=" ".join,
)
def test_an_example_is_understood(words: list[str]) -> None:
    """Names, options and values are parsed as in earnest; nothing is run."""
    context = root.make_context("sopd", list(words), resilient_parsing=False)
    rest = [*context._protected_args, *context.args]
    group: click.Group = root
    while rest:
        name, command, rest = group.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, list(rest), parent=context)
        if not isinstance(command, click.Group):
            return
        group, rest = command, [*context._protected_args, *context.args]


@pytest.mark.parametrize("noun", [name for entries in SECTIONS.values() for name in entries])
def test_a_noun_that_names_verbs_in_its_line_names_them_all(noun: str) -> None:
    summary = next(entries[noun].summary for entries in SECTIONS.values() if noun in entries)
    verbs = {name.split()[1] for name in COMMANDS if name.startswith(f"{noun} ")}

    assert verbs & set(re.findall(r"\w+", summary.lower())) in (set(), verbs)


def test_exit_codes_and_completion_are_in_the_help() -> None:
    text = CliRunner().invoke(root, ["--help"]).stdout

    assert "3  what you named does not exist" in text
    assert "_SOPD_COMPLETE=zsh_source" in text
