"""`member list` on both databases: who can send, who cannot and why, and what is held."""

from __future__ import annotations

from sopd.store import Store
from sopd.store.tables import Member
from tests.support.factories import T0, add, befriend, enrol, publish
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell
from tests.support.stores import *  # noqa: F403


def test_members_are_listed_with_what_they_may_and_have(shell: Shell, store: Store) -> None:
    add(store, Member, userid="alice", name="Alice", read_at=T0)
    add(store, Member, userid="bob", name="Bob", can_send=False, reason="no customer-contact permission")
    add(store, Member, userid="carol", name="Carol", in_scope=False, can_send=False, reason="out of sight")
    sop = publish(store)
    enrol(store, sop, befriend(store, "alice"))
    enrol(store, sop, befriend(store, "alice"), closed_at=T0, state="lost")
    befriend(store, "alice", state="lost")
    befriend(store, "bob", missing_at=T0)

    rows = shell.objects("member", "list")

    assert rows == [
        {"userid": "alice", "name": "Alice", "in_scope": True, "can_send": True, "reason": None, "relations": 2,
         "open": 1, "held": 0, "read_at": "2026-11-18T19:06:40+08:00"},
        {"userid": "bob", "name": "Bob", "in_scope": True, "can_send": False,
         "reason": "no customer-contact permission", "relations": 1, "open": 0, "held": 1, "read_at": None},
        {"userid": "carol", "name": "Carol", "in_scope": False, "can_send": False, "reason": "out of sight",
         "relations": 0, "open": 0, "held": 0, "read_at": None},
    ]  # fmt: skip


def test_members_are_filtered_and_printed_for_programs(shell: Shell, store: Store) -> None:
    add(store, Member, userid="alice")
    add(store, Member, userid="bob", can_send=False, reason="left")
    befriend(store, "alice", missing_at=T0)

    assert [row["userid"] for row in shell.rows("member", "list", "--unable")] == ["bob"]
    assert [row["userid"] for row in shell.rows("member", "list", "--held")] == ["alice"]
    assert shell.rows("member", "list")[1]["can_send"] == "no"
    assert "对账" in shell("--lang", "zh", "member", "list", "--format", "table").stdout
