"""The two languages of the command line: nothing said without a translation, no state without a word."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import sopd.cli
from machines import cards, dispatch, enrollment, lifecycle, push
from sopd.cli import states, token, words
from sopd.cli.output import Column
from sopd.cli.sentences import SENTENCES
from sopd.cli.words import HEADINGS, STATES, Words
from sopd.handlers import pruning, tokens
from sopd.store.queries import pushes

SAYERS = {"say", "note", "agree", "section", "with_progress", "_with_step"}
FOLDER = Path(sopd.cli.__file__).parent
# The heading of a help text, a weekday's key, and the beginning of a length of time.
NOT_SAID = {"Commands", "next", "{n} "}


def texts(only_said: bool) -> Iterator[tuple[str, str]]:
    """(file, text) of every string in the package, or of those handed to something that says them."""
    for path in sorted(FOLDER.glob("*.py")):
        if path.name.startswith("sentences"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = node.args if isinstance(node, ast.Call) and _name(node) in SAYERS else ()
            for part in parts if only_said else (node,):
                for leaf in ast.walk(part):
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                        yield path.name, leaf.value


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def test_every_sentence_has_its_chinese() -> None:
    missing = {(file, text) for file, text in texts(only_said=True) if text not in SENTENCES and text not in NOT_SAID}

    assert not missing


def test_no_chinese_sentence_is_left_over() -> None:
    used = {text for _, text in texts(only_said=False)}
    # Lengths of time and weekdays are put together from parts.
    parts = {f"{{n}} {unit}" for unit in ("d", "h", "min", "s")} | {
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
    }  # fmt: skip

    assert set(SENTENCES) - used - parts == set()


@pytest.mark.parametrize("english", SENTENCES)
def test_both_languages_name_the_same_things(english: str) -> None:
    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert names(SENTENCES[english]) == names(english)


def test_every_column_has_a_chinese_heading() -> None:
    keys = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node) == Column.__name__ and node.args:
                assert isinstance(node.args[0], ast.Constant)
                keys.add(node.args[0].value)

    assert keys - set(HEADINGS) - {"msgid"} == set()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (states.SOP, lifecycle.STATES),
        (states.ENROLLMENT_ENDS, enrollment.ENDS),
        (states.PUSH_OPEN, push.OPEN),
        (states.PUSH_FINAL, push.FINAL),
        (pushes.FINAL, push.FINAL),
        (states.DISPATCH, (*dispatch.STATES, *cards.STATES)),
        (states.DISPATCH_OVER, dispatch.FINAL),
        (states.DISPATCH_OVER, cards.FINAL),
    ],
)
def test_states_written_out_are_those_of_the_machines(ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    assert set(ours) == set(theirs)
    assert set(ours) <= set(STATES)


def test_reasons_are_explained_in_the_language_asked_for() -> None:
    assert Words("zh").reason("same content via bob") == "同一内容已由该成员发送给客户: bob"
    assert Words("en").reason("same content via bob") == "same content via bob"
    assert Words("zh").say("{count} ended by {who}", count=3, who="mei") == "已由 mei 结束 3 个执行"


def test_chinese_terms_are_those_of_the_specification() -> None:
    assert words.KINDS == {
        "new_customer": "新客户SOP", "nurture": "客户培育SOP", "stage": "旅程阶段SOP", "group": "客户群SOP"
    }  # fmt: skip
    assert (HEADINGS["sop"], HEADINGS["step"], HEADINGS["push"], HEADINGS["enrollment"], HEADINGS["task"]) == (
        "客户SOP", "推送配置", "推送", "执行", "任务"
    )  # fmt: skip
    assert (STATES["early_end"], STATES["normal_end"], STATES["manual_end"]) == ("提前结束", "正常结束", "手动结束")


def test_kinds_of_rows_in_options_are_those_that_pruning_knows() -> None:
    assert states.PRUNED == pruning.KINDS


def test_scopes_in_options_are_those_that_tokens_know() -> None:
    assert tuple(tokens.SCOPES) == token.SCOPES
