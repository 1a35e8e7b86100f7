"""Reminding, withdrawing and trying again from the command line, on both databases."""

from __future__ import annotations

from machines.calendar import MINUTE_MS
from sopd.store import Store
from tests.support.sending import CREATED, Desk
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell


def desk_with_task(store: Store) -> Desk:
    desk = Desk(store)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED + MINUTE_MS)
    return desk


def test_a_reminder_is_granted_or_says_why_not(store: Store, shell: Shell) -> None:
    desk = desk_with_task(store)

    said = shell("dispatch", "remind", 1, "--as", "mei")
    desk.settle()

    assert said.stdout == "alice is being reminded of task 1\n"
    assert len(desk.tasks[0].reminded_at) == 1
    shown = shell.objects("dispatch", "show", 1)[0]
    assert [(one["state"], one["by"]) for one in shown["reminders"]] == [("done", "mei")]
    assert shown["nags"] == 1
    assert "mei" in shell("dispatch", "show", 1, "--format", "table").stdout

    for _ in range(2):
        shell("dispatch", "remind", 1)
        desk.settle()
    refused = shell("dispatch", "remind", 1, code=1)
    assert "three times" in refused.stderr
    assert "no dispatch 9" in shell("dispatch", "remind", 9, code=3).stderr


def test_a_withdrawal_is_counted_and_asked_first(store: Store, shell: Shell) -> None:
    desk = desk_with_task(store)

    declined = shell("dispatch", "cancel", 1, code=1, text="n\n")
    assert "2 in it" in declined.stderr
    assert desk.dispatches() == ["requested"]

    assert "being withdrawn, pushes: 2" in shell("dispatch", "cancel", 1, "--yes").stdout
    desk.run_for(minutes=5)
    assert desk.push("wmMei") == ("cancelled", "by operator")
    assert "can be stopped" in shell("dispatch", "cancel", 1, "--yes", code=1).stderr


def test_pushes_are_tried_again_one_by_one_with_reasons(store: Store, shell: Shell) -> None:
    desk = desk_with_task(store)
    shell("dispatch", "cancel", 1, "--yes")
    desk.run_for(minutes=5)
    desk.buys("wmBo")

    mei, bo = (desk.push_id(name) for name in ("wmMei", "wmBo"))
    said = shell("push", "retry", mei, bo, code=1)

    assert said.stdout == f"push {mei} is tried again\n"
    assert said.stderr == f"push {bo} is not tried again: the customer's run had ended\n"
    desk.run_for(minutes=5)
    assert desk.push("wmMei") == ("requested", None)


def test_the_answers_come_in_chinese_too(store: Store, shell: Shell) -> None:
    desk_with_task(store)

    assert shell("--lang", "zh", "dispatch", "remind", 1).stdout == "正在提醒 alice 处理任务 1\n"
