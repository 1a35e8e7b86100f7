"""Reasons: each has a text in both languages, and a detail survives the way into a row and out again."""

from __future__ import annotations

import pytest

from machines import reasons

CONSTANTS = {
    name: value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str) and name[0] != "_"
}


def test_every_reason_has_one_constant_and_a_text_in_both_languages() -> None:
    assert sorted(CONSTANTS.values()) == sorted(reasons.TEXTS)
    assert len(set(CONSTANTS.values())) == len(CONSTANTS)
    assert all(text.en and text.zh and text.en != text.zh for text in reasons.TEXTS.values())


@pytest.mark.parametrize(
    ("stored", "family", "en"),
    [
        (reasons.OVERTAKEN, "overtaken", "the next step fell due before this one was asked for"),
        (
            reasons.with_detail(reasons.SAME_CONTENT, "bob"),
            "same content via",
            "the customer gets the same content through this member: bob",
        ),
        ("early end: tag 已复购", "early end", "the early-end rule became true: tag 已复购"),
        ("refused by WeCom 45002", "refused by WeCom", "WeCom refused it: 45002"),
        ("of a newer version", "of a newer version", "of a newer version"),
    ],
)
def test_a_stored_reason_can_be_counted_and_explained(stored: str, family: str, en: str) -> None:
    assert reasons.family(stored) == family
    assert reasons.explain(stored) == en


def test_chinese_is_chinese() -> None:
    assert reasons.explain("quiet hours", "zh") == "等待免打扰时段结束"
    assert reasons.explain("welcome used by care", "zh") == "欢迎语机会已被该SOP使用: care"
