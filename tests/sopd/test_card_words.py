"""What a card says: names, variables, links, lengths, both languages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.sop.content import VARIABLE
from sopd.handlers.card_words import Person, Said, over, put_off
from tests.support.programs import program
from tests.support.rig import at

ZONE = "Asia/Shanghai"


def said(text: str = "Hi", people: tuple[Person, ...] = (Person("Mei", {}),), **more: Any) -> Said:
    written = {
        "id": "a", "day": 1, "at": "10:00", "by": more.pop("channel", "remind"), "text": text,
        "attachments": more.pop("attachments", []),
    }  # fmt: skip
    known = {
        "step": program(steps=[written]).steps[0], "channel": written["by"], "title": "Care", "people": people,
        "owner": "Alice", "is_owner": True, "until": at("2026-03-05 00:00"), "zone": ZONE, "language": "en",
    }  # fmt: skip
    return Said(**{**known, **more})


def text_of(one: Said) -> str:
    return one.card("t1", may_wait=True).text


def test_variables_are_filled_in_for_one_customer() -> None:
    mei = Person.of("Mei", "wm1", '{"topic": "price", "orders": 3}')
    text = "{{customer}} of {{ member }}: {{attribute.topic}}, {{attribute.orders}}, {{attribute.size}}"

    assert text_of(said(text, (mei,))) == "Mei of Alice: price, 3, —"


def test_a_card_for_several_says_what_would_stand_there() -> None:
    people = tuple(Person(f"C{number}", {"topic": "x"}) for number in range(5))
    card = said("{{customer}}: {{attribute.topic}}, {{member}}", people).card("t1", may_wait=True)

    assert card.text == "[customer]: [topic], Alice\nCustomers: C0, C1, C2, C3, C4"
    assert card.title == "Contact 5 customers"
    assert card.lines == (("Customer", "C0, C1, C2 and others, 5 in all"), ("By", "03-04 23:59"))


def test_links_stand_below_the_text() -> None:
    link = {"link": {"title": "Guide", "url": "https://example.test/g"}}

    assert text_of(said("Hi", attachments=[link])) == "Hi\nGuide: https://example.test/g"


def test_buttons_are_those_of_the_channel() -> None:
    keys = {
        (channel, may_wait): [one.key for one in said(channel=channel).card("t1", may_wait=may_wait).buttons]
        for channel in ("remind", "call")
        for may_wait in (True, False)
    }

    assert keys["remind", True] == ["done", "later"]
    assert keys["remind", False] == ["done"]
    assert keys["call", True] == ["reached", "not_reached", "later"]
    assert keys["call", False] == ["reached", "not_reached"]


def test_whose_customers_they_are_is_said_to_others_alone() -> None:
    assert ("Member", "Alice") in said(is_owner=False).card("t1", may_wait=True).lines
    assert ("Member", "Alice") not in said().card("t1", may_wait=True).lines


@pytest.mark.parametrize(
    ("state", "reason", "channel", "zh", "en"),
    [
        ("settled", None, "remind", "已完成", "Done"),
        ("settled", "reached", "call", "已接通", "Reached"),
        ("settled", "not reached", "call", "未接通", "Not reached"),
        ("settled", "by operator", "call", "已完成", "Done"),
        ("cancelled", "not confirmed", "remind", "已过期", "Expired"),
        ("cancelled", "not needed any more", "remind", "已无需处理", "Not needed any more"),
    ],
)
def test_what_stands_for_the_buttons_when_it_is_over(
    state: str, reason: str | None, channel: str, zh: str, en: str
) -> None:
    assert (over(state, reason, channel, "zh"), over(state, reason, channel, "en")) == (zh, en)


def test_who_puts_off_reads_until_when() -> None:
    assert put_off(at("2026-03-04 08:01"), ZONE, "en") == "Later: 03-04 08:01"


def test_a_name_from_outside_is_one_short_line() -> None:
    assert Person.of(" 梅\n\u202e小姐\t" + "x" * 40, "wm1", "{}").name == "梅 小姐 " + "x" * 14 + "…"
    assert Person.of("\u200b", "wm1", "{}").name == "wm1"


NAMES = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=50)
@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=60), st.text(st.characters(codec="utf-8"), max_size=900))
def test_whatever_stands_in_it_wecom_takes_the_card(people: list[tuple[str, str]], text: str) -> None:
    if not text.strip() or "{{" in text:
        text = f"Hi {{{{customer}}}} {{{{attribute.a}}}} {VARIABLE.sub('', text).replace('{', '')}"
    text = text.encode()[:2000].decode(errors="ignore")
    some = tuple(Person.of(name, "wm1", "{}") for name, _ in people)
    card = said(text, tuple(Person(one.name, {"a": value}) for one, (_, value) in zip(some, people, strict=True))).card(
        "sopd-1-1-1", may_wait=True
    )

    card.check("/cgi-bin/message/send")
