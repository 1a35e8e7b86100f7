"""Cards in the sandbox: one per task id, none by the duplicate check, codes that work once, clicks as events."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from sopd.sandbox.people import Plan, Population
from sopd.sandbox.refusals import ImpossibleDeed
from tests.support.caller import DAY, HOUR, Caller

CARD: dict[str, Any] = {
    "card_type": "button_interaction",
    "task_id": "sopd-1-1",
    "main_title": {"title": "Follow up Mei"},
    "button_list": [{"text": "Done", "style": 1, "key": "done"}, {"text": "Later", "style": 2, "key": "later"}],
}


class Office(Caller):
    """A caller that hands out cards."""

    def send(self, touser: str = "alice", card: dict[str, Any] = CARD, **extra: Any) -> dict[str, Any]:
        body = {"touser": touser, "msgtype": "template_card", "agentid": 1000002, "template_card": card, **extra}
        return self.post_raw("/cgi-bin/message/send", json.dumps(body).encode())

    def update(self, code: str, **what: Any) -> int:
        body = {"userids": ["alice"], "agentid": 1000002, "response_code": code, **what}
        return int(self.post_raw("/cgi-bin/message/update_template_card", json.dumps(body).encode())["errcode"])

    def letter(self) -> dict[str, str]:
        xml = self.world.mailbox.waiting[-1].xml.decode()
        return dict(re.findall(r"<(\w+)><!\[CDATA\[(.*?)]]></\1>", xml))


def test_a_task_id_makes_one_card_and_the_duplicate_check_makes_no_second() -> None:
    office = Office()
    first = office.send(enable_duplicate_check=1)

    again = office.send(enable_duplicate_check=1)
    plain = office.send()

    assert (again["errcode"], again["msgid"]) == (0, first["msgid"])
    assert plain["errcode"] == 42014
    assert len(office.world.staff_messages) == len(office.world.cards) == 1


def test_the_duplicate_check_looks_back_as_long_as_asked() -> None:
    office = Office()
    office.send(enable_duplicate_check=1)
    office.pass_time(3 * HOUR)

    assert office.send(enable_duplicate_check=1)["errcode"] == 42014, "half an hour unless asked otherwise"
    assert office.send(enable_duplicate_check=1, duplicate_check_interval=14_400)["errcode"] == 0


def test_a_click_comes_as_an_event_of_the_member_with_a_fresh_code() -> None:
    office = Office()
    given = office.send()["response_code"]

    office.world.member_clicks("alice", "sopd-1-1", "later", now=office.now)

    letter = office.letter()
    assert (letter["FromUserName"], letter["Event"]) == ("alice", "template_card_event")
    assert (letter["TaskId"], letter["EventKey"]) == ("sopd-1-1", "later")
    assert letter["ResponseCode"] not in ("", given)


def test_a_code_works_once_and_not_after_three_days() -> None:
    office = Office()
    code = office.send()["response_code"]
    old = office.send(card={**CARD, "task_id": "sopd-2-1"})["response_code"]

    assert office.update(code, button={"replace_name": "Done"}) == 0
    assert office.update(code, button={"replace_name": "Done"}) == 42016
    office.pass_time(4 * DAY)
    assert office.update(old, button={"replace_name": "Done"}) == 42016


def test_an_update_takes_the_buttons_away_or_brings_others() -> None:
    office = Office()
    one = office.send()["response_code"]
    two = office.send(card={**CARD, "task_id": "sopd-2-1"})["response_code"]
    fewer = {**CARD, "task_id": "sopd-2-1", "button_list": CARD["button_list"][:1]}

    assert office.update(one, button={"replace_name": "Not needed"}) == 0
    assert office.update(two, template_card=fewer) == 0

    with pytest.raises(ImpossibleDeed, match="buttons: none"):
        office.world.member_clicks("alice", "sopd-1-1", "done", now=office.now)
    with pytest.raises(ImpossibleDeed, match="buttons: done"):
        office.world.member_clicks("alice", "sopd-2-1", "later", now=office.now)


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"task_id": "a b"}, 42014),
        ({"button_list": []}, 40035),
        ({"button_list": [{"text": "x"}]}, 42017),
        ({"horizontal_content_list": [{}] * 7}, 40035),
        ({"card_type": None}, 40058),
    ],
)
def test_a_card_that_wecom_would_not_show_is_refused(change: dict[str, Any], errcode: int) -> None:
    assert Office().send(card={**CARD, **change})["errcode"] == errcode


def test_members_press_buttons_by_themselves_and_some_stay_silent() -> None:
    office = Office()
    population = Population(office.world, Plan(members=("alice", "bob"), customers_per_day=0, days=1, silent=0.3))
    for number in range(60):
        office.send(card={**CARD, "task_id": f"sopd-{number}-1"})
        office.pass_time(2 * HOUR)
    while (at := population.next_at()) is not None:
        population.act(at)

    pressed = Counter(key for card in office.world.cards.values() for _, key in card.clicks)
    assert pressed["done"] > 20
    assert pressed["later"] > 0
    assert 5 < 60 - pressed.total() < 40
