"""What the command line tells of cards, and what an operator does with one."""

from __future__ import annotations

from sopd.store import Store
from tests.support.desk_of_cards import CALL, HANDED_AT, REMIND, CardDesk
from tests.support.rig import at
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell


def desk_of(store: Store, sop: str = REMIND) -> CardDesk:
    desk = CardDesk(store, sop=sop)
    desk.add("wmMei")
    desk.run_until(HANDED_AT)
    return desk


def test_cards_stand_among_the_tasks(store: Store, shell: Shell) -> None:
    desk = desk_of(store)
    (task,) = shell.objects("dispatch", "list", "--state", "open")
    assert (task["channel"], task["state"], task["to_userid"], task["card_no"]) == ("remind", "handed", "alice", 1)

    page = shell("dispatch", "show", 1).stdout
    assert "handed" in page
    assert "{{customer}}" in page, "the words of the definition"
    assert "alice" in shell("push", "show", 1).stdout

    desk.presses("done")
    assert shell.objects("dispatch", "list", "--state", "settled")[0]["id"] == 1


def test_the_story_of_a_run_says_that_the_member_did_it(store: Store, shell: Shell) -> None:
    desk = desk_of(store, CALL)
    desk.presses("later")
    desk.run_until(at("2026-03-04 08:01"))
    desk.presses("reached")

    page = " ".join(shell("enrollment", "show", 1).stdout.split())
    assert "the member put it off and is asked again" in page
    assert "was done by the member: the member reached the customer" in page


def test_an_operator_says_what_became_of_a_card_nobody_knows_of(store: Store, shell: Shell) -> None:
    desk = CardDesk(store)
    desk.add("wmMei")
    desk.fails("send_app_message", "drop", after=True, times=10_000)
    desk.run_until(at("2026-03-03 15:00"))
    assert [one["state"] for one in shell.objects("dispatch", "list")] == ["needs_operator"]

    shell("dispatch", "resolve", 1, "--not-sent", "--yes")

    assert desk.push("wmMei") == ("failed", "not sent")
    assert desk.dispatches() == ["settled"]


def test_an_operator_takes_a_card_back(store: Store, shell: Shell) -> None:
    desk = desk_of(store)
    shell("dispatch", "cancel", 1, "--yes")
    desk.settle()

    assert (desk.push("wmMei"), desk.cards[0].replaced) == (("cancelled", "by operator"), "已无需处理")
