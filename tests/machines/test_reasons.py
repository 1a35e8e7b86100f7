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


@pytest.mark.parametrize(
    ("happened", "chinese"),
    [
        ("tag 结果/已下单", "标签 结果/已下单"),
        ("tag 结果/已下单 removed (hop 2)", "标签 结果/已下单 被移除 (第 2 跳)"),
        ("a reply, event order_paid", "客户回复, 事件 order_paid"),
        ("attribute paid_on, vip", "属性 paid_on, vip"),
        ("a message of the member", "成员消息"),
        ("the time has come", "时间条件成立"),
        ("joined audience vip", "加入人群包 vip"),
        ("left audience vip", "移出人群包 vip"),
        ("entered winback", "进入SOP winback"),
        ("left winback", "离开SOP winback"),
        ("contact with bob ended", "与 bob 解除好友"),
        ("of a newer version", "of a newer version"),
    ],
)
def test_what_ended_a_run_early_is_told_in_chinese(happened: str, chinese: str) -> None:
    assert reasons.explain(f"early end: {happened}", "zh") == f"满足提前结束条件: {chinese}"
