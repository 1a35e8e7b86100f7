"""What the documents say is so: settings, commands, floors, links, files; both READMEs tell the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sopd.cli.root import root
from sopd.config import all_settings, variable_of
from tests.meta.sources import ROOT
from tests.meta.test_floors import FLOORS
from tests.support.logs import own_logging

README, README_ZH = ROOT / "README.md", ROOT / "README.zh-CN.md"
CONNECT, CONNECT_ZH = ROOT / "docs/connect-wecom.md", ROOT / "docs/connect-wecom.zh-CN.md"
INSTALL, INSTALL_ZH = ROOT / "docs/install.md", ROOT / "docs/install.zh-CN.md"
ARCHITECTURE = ROOT / "docs/architecture.md"
PAGES = sorted([README, README_ZH, ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
PAIRS = [(README, README_ZH), (CONNECT, CONNECT_ZH), (INSTALL, INSTALL_ZH)]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
PATH = re.compile(r"(?:machines|sopd|config|docs|systemd|tests|\.ci)/[\w./-]*")
SHELL = ("sh", "console")


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text_of(page))


def table(page: Path, *heads: str) -> list[list[str]]:
    """The rows of the table with exactly these column heads; cells without their outer blanks."""
    lines = text_of(page).splitlines()
    start = lines.index("| " + " | ".join(heads) + " |") + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


# -- the command line ----------------------------------------------------------------------------------------------


def commands(group: click.Group = root, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """(words, command) of every command that does something."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def typed_lines(page: Path) -> Iterator[str]:
    """Every line of a page's blocks that people type: the `$ ` lines of transcripts, all lines of shell blocks."""
    for kind, block in FENCE.findall(text_of(page)):
        if kind in SHELL:
            lines = block.replace("\\\n", " ").splitlines()
            prompted = [line[2:] for line in lines if line.startswith("$ ")]
            yield from prompted if kind == "console" else lines


def quoted_lines(page: Path) -> Iterator[str]:
    """Every command that a page's prose quotes."""
    yield from (span for span in SPAN.findall(prose_of(page)) if span.startswith(("sopd ", "make ")))


def calls(lines: Iterable[str], program: str) -> Iterator[tuple[str, ...]]:
    """The words after `program` of every call of it in these lines, whoever it is called as."""
    for line in lines:
        for part in re.split(r"&&|\||;", re.sub(r"(^|\s)#.*", "", line)):
            words = shlex.split(part)
            if words[:2] == ["sudo", "-u"]:
                words = words[3:]
            while words and (words[0] in ("sudo", "env") or "=" in words[0]):
                words = words[1:]
            if words and Path(words[0]).name == program:
                yield tuple(words[1:])


def fault_of(words: Sequence[str]) -> str | None:
    """What is wrong with a call of sopd; a call may stop after a noun (`sopd sop`) and use `FILE` for anything."""
    command: click.Command = root
    shared = {option for param in root.params for option in param.opts} | {"--help", "-h", "--version"}
    while words and isinstance(command, click.Group):
        if words[0].startswith("-"):
            if words[0] not in shared:
                return f"no option {words[0]}"
            words = words[2 if words[0] in ("--config", "--lang") else 1 :]
            continue
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    known = shared | {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    unknown = [word for word in words if word.startswith("-") and word != "-" and word.partition("=")[0] not in known]
    return f"no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_command_line_of_a_page_exists(page: Path) -> None:
    said = calls([*typed_lines(page), *quoted_lines(page)], "sopd")
    wrong = [f"sopd {' '.join(words)}: {fault}" for words in said if (fault := fault_of(words))]

    assert not wrong


@pytest.mark.parametrize("page", [README, README_ZH], ids=by_name)
def test_the_faults_that_a_readme_shows_are_what_lint_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [shown] = [block for _, block in FENCE.findall(text_of(page)) if block.startswith("$ sopd sop lint mine.yaml")]
    shipped = text_of(ROOT / "config/sops/new-customer-30d.yaml")
    mine = shipped.replace('at: "19:40"', "at: 19:40").replace("quota_full:", "quota_ful:")
    (tmp_path / "mine.yaml").write_text(mine, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    with own_logging():
        said = CliRunner().invoke(root, ["sop", "lint", "mine.yaml"]).output

    assert shown == f"$ sopd sop lint mine.yaml\n{said}"


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_make_target_of_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    said = calls([*typed_lines(page), *quoted_lines(page)], "make")
    named = {word for words in said for word in words if "=" not in word}

    assert named <= targets


@pytest.mark.parametrize(
    ("page", "heads"), [(README, ("command", "verbs", "for")), (README_ZH, ("命令", "动词", "用途"))]
)
def test_readme_names_every_command(page: Path, heads: tuple[str, ...]) -> None:
    named = set()
    for first, verbs, _ in table(page, *heads):
        words = tuple(SPAN.findall(first)[0].split()[1:])
        named |= {(*words, verb) for verb in SPAN.findall(verbs)} or {words}

    assert named == set(COMMANDS)


# -- settings ------------------------------------------------------------------------------------------------------


def test_install_page_lists_every_setting_with_its_default() -> None:
    told = [(SPAN.findall(setting)[0], (SPAN.findall(default) or [""])[0])
            for setting, default, _ in table(INSTALL, "setting", "default", "meaning")]

    assert told == [(f"{section}.{item.name}", str(item.metadata["default"])) for section, item in all_settings()]


@pytest.mark.parametrize("page", [CONNECT, CONNECT_ZH], ids=by_name)
def test_connecting_names_every_setting_of_wecom(page: Path) -> None:
    spans = set(SPAN.findall(text_of(page)))

    assert {f"wecom.{item.name}" for section, item in all_settings() if section == "wecom"} <= spans


@pytest.mark.parametrize("page", [page for page in PAGES if page != ARCHITECTURE], ids=by_name)
def test_every_setting_and_variable_a_page_names_exists(page: Path) -> None:
    settings = {f"{section}.{item.name}" for section, item in all_settings()}
    sections = {section for section, _ in all_settings()}
    variables = {variable_of(section, item.name) for section, item in all_settings()} | {"SOPD_CONFIG"}
    spans = SPAN.findall(prose_of(page))
    named = {span for span in spans if re.fullmatch(r"[a-z]+\.[a-z_]+", span) and span.partition(".")[0] in sections}

    assert named <= settings
    assert set(re.findall(r"\bSOPD_[A-Z_]+\b", text_of(page))) <= variables


# -- architecture --------------------------------------------------------------------------------------------------


def test_floor_table_is_the_one_that_is_checked() -> None:
    told = []
    for _, package, modules, _ in table(
        ARCHITECTURE, "floor", "package", "modules, left to right", "what they are for"
    ):
        prefix = SPAN.findall(package)[0]
        rooms = [prefix if name == "__init__" else f"{prefix}.{name}" for name in SPAN.findall(modules)]
        told.append(tuple(rooms))

    assert tuple(reversed(told)) == FLOORS


def test_rooms_in_italics_are_those_that_do_not_exist() -> None:
    modules = [row[2] for row in table(ARCHITECTURE, "floor", "package", "modules, left to right", "what they are for")]
    missing = {name for row in modules for name in re.findall(r"\*`([\w.]+)`\*", row)}
    rooms = [room for row in FLOORS for room in row]

    assert missing == {room.partition(".")[2] for room in rooms if find_spec(room) is None}


def test_indexes_that_carry_promises_exist_on_both_databases() -> None:
    named = [SPAN.findall(index)[0] for _, index in table(ARCHITECTURE, "promise", "index")]
    schemas = sorted((ROOT / "sopd/store/migrations").glob("*.sql"))

    assert {path.suffixes[0] for path in schemas} == {".postgres", ".sqlite"}
    for dialect in ("postgres", "sqlite"):
        schema = "".join(text_of(path) for path in schemas if dialect in path.name)
        assert [name for name in named if name.rpartition(".")[2] not in schema] == []


# -- pages ---------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    heads = (re.sub(r"[`*]", "", head).strip().lower() for _, head in HEADING.findall(prose_of(page)))
    return {re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for found in LINK.finditer(prose_of(page)):
        target, _, anchor = (found[1] or found[2]).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(found[0])

    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_file_a_page_names_exists(page: Path) -> None:
    named = {span for span in SPAN.findall(prose_of(page)) if PATH.fullmatch(span)}

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=by_name)
def test_both_languages_have_the_same_sections_commands_and_links(english: Path, chinese: Path) -> None:
    def shape(page: Path) -> list[str]:
        return [level for level, _ in HEADING.findall(prose_of(page))]

    def links(page: Path) -> list[str]:
        targets = [(a or b).partition("#")[0] for a, b in LINK.findall(prose_of(page))]
        return [target.replace(".zh-CN.md", ".md") for target in targets]

    assert shape(chinese) == shape(english)
    assert sorted(links(chinese)) == sorted(links(english))
    spoken = [line.replace(" --lang zh", "") for line in typed_lines(chinese)]
    assert list(calls(spoken, "sopd")) == list(calls(typed_lines(english), "sopd"))
    assert set(calls(quoted_lines(chinese), "sopd")) == set(calls(quoted_lines(english), "sopd"))
