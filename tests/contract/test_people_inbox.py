"""Callbacks on their way through the inbox, on both databases (SPEC 15.1, 15.3)."""

from __future__ import annotations

import pytest

from machines.calendar import Instant
from sopd.commands import ReplayInbox
from sopd.errors import NotFound
from sopd.handlers import inbox
from sopd.store import Store
from sopd.store.tables import Dirty, Inbox, Job, SetAside
from sopd.wecom.callbacks import CallbackEvent, parse
from tests.support.caller import NEW_YEAR
from tests.support.factories import all_rows
from tests.support.plans import hearing
from tests.support.town import Town


def event(change: str, customer: str = "wm1", at: Instant = NEW_YEAR, *, member: str = "alice", **extra: str):
    """A change_external_contact callback, parsed."""
    fields = {"ChangeType": change, "UserID": member, "ExternalUserID": customer, **extra}
    return callback("change_external_contact", at, **fields)


def callback(name: str, at: Instant = NEW_YEAR, **fields: str) -> CallbackEvent:
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    return parse(f"<xml><FromUserName>sys</FromUserName><CreateTime>{at // 1000}</CreateTime>"
                 f"<MsgType>event</MsgType><Event>{name}</Event>{inner}</xml>".encode())  # fmt: skip


@pytest.fixture
def town(store: Store) -> Town:
    return Town(store)


def digest(town: Town) -> None:
    while inbox.digest(town.app, fast=True) + inbox.digest(town.app, fast=False):
        pass


def states(town: Town) -> list[tuple]:
    return all_rows(town.store, Inbox, "change_type", "state", "times", order="id")


def test_callbacks_that_arrive_together_are_one_insert(town: Town) -> None:
    with hearing(town.store) as statements:
        inbox.accept(town.app, [event("edit_external_contact", f"wm{n}") for n in range(300)])

    assert len([sql for sql in statements if sql.startswith("insert")]) == 1
    assert len(all_rows(town.store, Inbox)) == 300


def test_a_repeated_add_is_handled_once_and_counted(town: Town) -> None:
    add = event("add_external_contact", WelcomeCode="WC-1")
    inbox.accept(town.app, [add, add])
    digest(town)
    inbox.accept(town.app, [add])

    assert states(town) == [("add_external_contact", "done", 3)]


def test_a_repeated_delete_is_handled_once(town: Town) -> None:
    gone = event("del_follow_user")
    inbox.accept(town.app, [gone])
    digest(town)
    inbox.accept(town.app, [gone])

    assert states(town) == [("del_follow_user", "done", 2)]


def test_an_edit_with_known_bytes_marks_its_relation_again(town: Town) -> None:
    edit = event("edit_external_contact")
    inbox.accept(town.app, [edit])
    digest(town)
    before = all_rows(town.store, Dirty, "mark")
    inbox.accept(town.app, [edit])
    digest(town)

    assert (before, all_rows(town.store, Dirty, "mark")) == ([(1,)], [(2,)])


def test_adds_with_a_code_take_the_fast_lane(town: Town) -> None:
    rung: list[str] = []
    object.__setattr__(town.app, "ring", rung.append)

    inbox.accept(town.app, [event("add_external_contact", WelcomeCode="WC-1")])
    inbox.accept(town.app, [event("edit_external_contact")])

    assert rung == ["fast", "intake"]
    assert (inbox.digest(town.app, fast=True), inbox.digest(town.app, fast=True)) == (1, 0)
    assert all_rows(town.store, Dirty, "fast", "welcome_code", "welcome_until") == [(1, "WC-1", NEW_YEAR + 20_000)]


def test_many_edits_of_one_relation_are_one_row_to_read(town: Town) -> None:
    inbox.accept(town.app, [event("edit_external_contact", at=NEW_YEAR + n * 1000) for n in range(5)])
    digest(town)

    assert all_rows(town.store, Dirty, "userid", "external_userid", "mark", "cause") == [("alice", "wm1", 5, "edited")]


def test_the_latest_add_tells_channel_and_code_and_an_edit_takes_nothing_away(town: Town) -> None:
    first = event("add_external_contact", at=NEW_YEAR, State="live", WelcomeCode="WC-1")
    second = event("add_external_contact", at=NEW_YEAR + 9000, State="expo2026", WelcomeCode="WC-2")
    for one in (second, first, event("edit_external_contact", at=NEW_YEAR + 10_000)):
        inbox.accept(town.app, [one])
        digest(town)

    columns = ("cause", "added_at", "channel", "welcome_code", "mark")
    assert all_rows(town.store, Dirty, *columns) == [("added", NEW_YEAR + 9000, "expo2026", "WC-2", 3)]


def test_the_code_of_a_half_add_is_not_kept(town: Town) -> None:
    inbox.accept(town.app, [event("add_half_external_contact", State="live", WelcomeCode="WC-1")])
    digest(town)

    assert all_rows(town.store, Dirty, "cause", "welcome_code", "fast") == [("half_added", None, 0)]


def test_a_tag_event_wants_the_library_read_and_again_while_it_is_being_read(town: Town) -> None:
    inbox.accept(town.app, [callback("change_external_tag", Id="et1", TagType="tag", ChangeType="delete")])
    digest(town)
    inbox.accept(town.app, [callback("change_external_tag", Id="et2", TagType="tag", ChangeType="create")])
    digest(town)

    assert all_rows(town.store, Job, "kind", "cursor", where="kind = 'tags'") == [("tags", "2")]


@pytest.mark.parametrize(
    ("strange", "reason"),
    [
        (callback("change_external_chat", ChatId="wr1"), "sopd has no use for change_external_chat"),
        (event("transfer_fail"), "sopd has no use for transfer_fail"),
        (parse(b'{"event_type": "hit_keyword", "timestamp": 1767225600}'), "sopd has no use for hit_keyword"),
        (parse(b"<xml><a>1</a></xml>"), "sopd has no use for a push that is no event"),
    ],
)
def test_what_nobody_uses_is_kept_and_says_so(town: Town, strange: CallbackEvent, reason: str) -> None:
    inbox.accept(town.app, [strange])
    digest(town)

    assert all_rows(town.store, Inbox, "state", "reason") == [("done", reason)]


def test_a_contact_event_without_ids_is_set_aside_and_the_rest_goes_on(town: Town) -> None:
    inbox.accept(town.app, [event("edit_external_contact", "", member=""), event("edit_external_contact")])
    digest(town)

    reason = "edit_external_contact names no UserID and no ExternalUserID"
    assert sorted(all_rows(town.store, Inbox, "state", "reason")) == [("done", None), ("set_aside", reason)]
    assert all_rows(town.store, SetAside, "kind", "reason") == [("inbox", reason)]
    assert len(all_rows(town.store, Dirty)) == 1


def test_a_row_that_cannot_be_read_is_set_aside_alone(town: Town) -> None:
    inbox.accept(town.app, [event("edit_external_contact", f"wm{n}") for n in range(7)])
    with town.store.transaction() as tx:
        tx.run("update inbox set body = '{' where external_userid = 'wm3'")

    digest(town)

    assert [row[0] for row in all_rows(town.store, Inbox, "state", where="external_userid = 'wm3'")] == ["set_aside"]
    assert len(all_rows(town.store, Inbox, where="state = 'done'")) == 6
    assert len(all_rows(town.store, Dirty)) == 6


def test_bytes_no_database_takes_do_not_come_back_for_ever(town: Town) -> None:
    strange = parse(b'{"event_type": "a\\u0000b\\ud800", "UserID": "x\\u0000", "note": "\\u0000\\udfff"}')

    inbox.accept(town.app, [strange])
    digest(town)

    assert all_rows(town.store, Inbox, "event", "state") == [("ab?", "done")]


def test_a_replayed_callback_is_handled_once_more(town: Town) -> None:
    inbox.accept(town.app, [event("edit_external_contact")])
    with town.store.transaction() as tx:
        body = tx.value("select body from inbox")
        tx.run("update inbox set body = '{'")
    digest(town)
    (inbox_id, state), = all_rows(town.store, Inbox, "id", "state")
    with town.store.transaction() as tx:
        tx.run("update inbox set body = ?", (body,))

    inbox.replay(town.app, ReplayInbox((inbox_id,), "mei"))
    digest(town)

    assert state == "set_aside"
    assert states(town) == [("edit_external_contact", "done", 1)]
    assert all_rows(town.store, SetAside) == []


def test_replaying_what_does_not_exist_names_it_and_changes_nothing(town: Town) -> None:
    inbox.accept(town.app, [event("edit_external_contact")])
    digest(town)
    (inbox_id,), = all_rows(town.store, Inbox, "id")

    with pytest.raises(NotFound, match="the inbox has no callback 77, 99"):
        inbox.replay(town.app, ReplayInbox((inbox_id, 99, 77), "mei"))

    assert states(town) == [("edit_external_contact", "done", 1)]


@pytest.mark.parametrize("size", [1, 200])
def test_a_page_costs_the_same_statements_whatever_its_size(town: Town, size: int) -> None:
    changes = ("add_external_contact", "edit_external_contact", "del_follow_user")
    events = [event(changes[n % 3], f"wm{n}", NEW_YEAR + n * 1000) for n in range(3 * size)]
    inbox.accept(town.app, events)

    with hearing(town.store) as statements:
        inbox.digest(town.app, fast=False)

    counted = [sql for sql in statements if "order by c.id for update" not in sql]  # only PostgreSQL needs these
    assert len(counted) <= 21, statements


@pytest.mark.parametrize("size", [1, 40])
def test_callbacks_that_name_nobody_are_set_aside_with_one_statement(town: Town, size: int) -> None:
    inbox.accept(town.app, [event("edit_external_contact", "", NEW_YEAR + n * 1000, member="") for n in range(size)])

    with hearing(town.store) as statements:
        inbox.digest(town.app, fast=False)

    assert len([sql for sql in statements if "set_aside" in sql]) == 1
    assert len(all_rows(town.store, SetAside)) == size
