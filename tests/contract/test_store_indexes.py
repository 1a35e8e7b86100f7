"""The indexes that carry the promises (ARCHITECTURE 5): each refuses the second row, and only that."""

from __future__ import annotations

from typing import Any

import pytest

from sopd.store import Conflict, Store
from sopd.store.tables import (
    TABLES,
    AudienceMember,
    Claim,
    Customer,
    Dispatch,
    Enrollment,
    Flip,
    Inbox,
    Job,
    Member,
    Outbox,
    OutsideSend,
    Push,
    Refusal,
    Relation,
    Reservation,
    Row,
    SetAside,
    Signal,
    Slot,
    Sop,
    SopVersion,
    Token,
)
from tests.support.factories import T0, add
from tests.support.plans import assert_uses_index, plan_of

OPEN_CREATE = {"member_id": 1, "content_hash": "h", "state": "sending"}
OPEN_SEND = {"customer_id": 1, "takes_quota": True, "state": "planned"}
RUN = {"sop_id": 1, "subject_id": 2}

# (the promise, table, a row, what makes the second row a different one)
PROMISES: list[tuple[str, type[Row], dict[str, Any], dict[str, Any]]] = [
    ("a member is one row", Member, {"userid": "a"}, {"userid": "b"}),
    ("a customer is one row", Customer, {"external_userid": "a"}, {"external_userid": "b"}),
    ("a friendship is one row", Relation, {"customer_id": 1, "member_id": 2}, {"member_id": 3}),
    ("a SOP's key is its own", Sop, {"key": "a"}, {"key": "b"}),
    ("a version's number is its own", SopVersion, {"sop_id": 1, "number": 1}, {"number": 2}),
    ("one open enrollment per SOP and subject", Enrollment, {**RUN, "run_no": 1}, {"closed_at": T0, "run_no": 2}),
    ("runs are numbered", Enrollment, {**RUN, "run_no": 1, "closed_at": T0}, {"run_no": 2}),
    ("one push per enrollment and step", Push, {"enrollment_id": 1, "step_id": "hello"}, {"step_id": "bye"}),
    ("one open mass send per customer", Push, OPEN_SEND, {"settled_at": T0}),
    ("one open mass send, also asked for", Push, {**OPEN_SEND, "state": "confirmed"}, {"takes_quota": False}),
    ("one create outstanding per content", Dispatch, OPEN_CREATE, {"state": "requested"}),
    ("a doubtful create is outstanding too", Dispatch, {**OPEN_CREATE, "state": "uncertain"}, {"content_hash": "i"}),
    ("a task is one dispatch", Dispatch, {"msgid": "m"}, {"msgid": None}),
    ("one claim per SOP, step, customer", Claim, {"sop_id": 1, "step_id": "a", "customer_id": 1}, {"sop_id": 2}),
    ("one reservation per place", Reservation, {"customer_id": 1, "window": "D", "place": 1}, {"place": 2}),
    ("a mass send of others is one row", OutsideSend, {"msgid": "m"}, {"msgid": "n"}),
    ("a member's slots do not begin together", Slot, {"member_id": 1, "opens_at": T0}, {"opens_at": T0 + 1}),
    ("a callback is one row", Inbox, {"fingerprint": "f"}, {"fingerprint": "g"}),
    ("an act has one cause", Outbox, {"key": "welcome/1"}, {"key": "welcome/2"}),
    ("a job runs once", Job, {"kind": "reconcile", "key": "a"}, {"ended_at": T0}),
    ("a refusal is counted, not repeated", Refusal, {"sop_id": 1, "subject_id": 1, "reason": "r"}, {"reason": "s"}),
    ("a row is set aside once", SetAside, {"kind": "push", "row_key": "1"}, {"row_key": "2"}),
    ("a signal acts once", Signal, {"ref": "crm/1"}, {"ref": "crm/2"}),
    ("a rule of a subject has one next flip", Flip, {"purpose": "entry", "sop_id": 1, "ref_id": 1}, {"ref_id": 2}),
    ("a token's hash is its own", Token, {"name": "crm", "hash": "a"}, {"name": "erp", "hash": "b"}),
    ("an audience has a customer once", AudienceMember, {"audience_id": 1, "customer_id": 1}, {"customer_id": 2}),
]


@pytest.mark.parametrize(("promise", "table", "row", "other"), PROMISES, ids=[each[0] for each in PROMISES])
def test_the_second_row_is_refused(
    store: Store, promise: str, table: type[Row], row: dict[str, Any], other: dict[str, Any]
) -> None:
    add(store, table, **row)
    with pytest.raises(Conflict):
        add(store, table, **row)
    add(store, table, **{**row, **other})


def test_every_unique_index_has_its_promise_tested() -> None:
    unique = {table for table in TABLES for index in table._meta.fields_to_index() if index._unique}
    tested = {table for _, table, _, _ in PROMISES}
    untested = sorted(table._meta.table_name for table in unique - tested)
    assert untested == ["audience", "tag"], "name their promise above: both are only names from outside"


def test_the_plan_of_a_query_names_its_index(store: Store) -> None:
    assert_uses_index(store, "select id from customer where external_userid = ?", ("wm",), "customer_external_userid")
    assert_uses_index(store, "select name from customer where id = ?", (1,), "customer_pkey")
    assert_uses_index(store, "update customer set name = 'x' where id = ?", (1,), "customer_pkey")
    assert_uses_index(
        store, "select place from reservation where customer_id = ? and \"window\" = ?", (1, "D"), "reservation_pkey"
    )
    with pytest.raises(AssertionError, match="customer_pkey is not in"):
        assert_uses_index(store, "select id from customer where name = ?", ("x",), "customer_pkey")
    assert "enrollment_due" in plan_of(store, "select id from enrollment where due_at <= ? order by due_at", (T0,))
