"""Rows by the hundred: insert, rows as a table, claims under a lease, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sopd.store import BadStatement, BadValue, Conflict, Store
from sopd.store.tables import Customer, Dirty, Dispatch, Member, Outbox, Push, RelationTag
from tests.support.factories import T0, add, add_many, all_rows
from tests.support.plans import hearing, plan_of

MINUTE = 60_000


def test_any_number_of_rows_goes_in_at_once(store: Store) -> None:
    rows = [{"external_userid": f"wm{n}", "seen_at": T0 + n} for n in range(12_000)]
    with store.transaction() as tx:
        ids = tx.insert(Customer, rows)
    assert len(set(ids)) == 12_000
    with store.reading() as tx:
        assert tx.one("select count(*), min(seen_at), max(seen_at) from customer") == (12_000, T0, T0 + 11_999)


def test_columns_that_no_row_names_get_their_defaults(store: Store) -> None:
    with store.transaction() as tx:
        (row,) = tx.insert(
            Customer, [{"external_userid": "wm", "seen_at": T0}], returning=("kind", "attributes", "name", "muted_at")
        )
    assert row == (1, "{}", "", None)


def test_rows_may_name_different_columns(store: Store) -> None:
    with store.transaction() as tx:
        tx.insert(
            Member,
            [{"userid": "a", "seen_at": T0}, {"userid": "b", "seen_at": T0, "can_send": False, "reason": "scope"}],
            returning=(),
        )
    assert all_rows(store, Member, "userid", "can_send", "reason") == [("a", 1, None), ("b", 0, "scope")]


def test_no_rows_are_no_error(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.insert(Member, []) == []
        assert tx.rows(f"select id from {(none := tx.ids([])).sql} g", none.params) == []
        none = tx.table({"id": "bigint", "name": "text", "yes": "bool"}, [])
        assert tx.rows(f"select * from {none.sql} g", none.params) == []


def test_a_second_row_is_ignored_updated_or_refused_as_asked(store: Store) -> None:
    first = {"userid": "a", "external_userid": "wm", "marked_at": T0, "cause": "edited"}
    again = "(userid, external_userid) do update set mark = dirty.mark + 1, cause = excluded.cause"
    with store.transaction() as tx:
        assert tx.insert(Dirty, [first], returning=("mark",)) == [(1,)]
        assert tx.insert(Dirty, [first], returning=("mark",), on_conflict="ignore") == []
        changed = tx.insert(Dirty, [{**first, "cause": "local"}], returning=("mark", "cause"), on_conflict=again)
        assert changed == [(2, "local")]
    with pytest.raises(Conflict), store.transaction() as tx:
        tx.insert(Dirty, [first], returning=())


def test_columns_named_like_words_of_sql_go_in_and_out(store: Store) -> None:
    with store.transaction() as tx:
        given_rows = tx.table({"window": "text", "at": "bigint"}, [("D2026-11-21", 1)])
        assert tx.rows(f'select "window", "at" from {given_rows.sql} g', given_rows.params) == [("D2026-11-21", 1)]


def test_many_rows_are_updated_in_one_statement(store: Store) -> None:
    made = add_many(store, Member, [{"userid": f"m{n}"} for n in range(50)])
    wanted = [(row.id, f"name {row.id}", None, row.id % 2 == 0) for row in made]
    with store.transaction() as tx:
        rows = tx.table({"id": "bigint", "name": "text", "read_at": "bigint", "can_send": "bool"}, wanted)
        changed = tx.run(
            "update member set name = n.name, read_at = n.read_at, can_send = n.can_send"
            f" from {rows.sql} n where member.id = n.id",
            rows.params,
        )
    assert changed == 50
    assert all_rows(store, Member, "id", "name", "read_at", "can_send") == wanted


def test_an_update_may_return_what_it_changed(store: Store) -> None:
    a, b = add_many(store, Member, [{"userid": "a"}, {"userid": "b"}])
    with store.transaction() as tx:
        rows = tx.table({"id": "bigint", "seen_at": "bigint"}, [(a.id, T0 + 1), (b.id, T0 + 2), (99_999, T0)])
        changed = tx.rows(
            f"update member set seen_at = n.seen_at from {rows.sql} n where member.id = n.id"
            " returning member.id, member.seen_at",
            rows.params,
        )
    assert sorted(changed) == [(a.id, T0 + 1), (b.id, T0 + 2)]


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_ids_may_be_more_than_a_statement_takes_parameters(store: Store, size: int) -> None:
    members = add_many(store, Member, [{"userid": "a"}, {"userid": "b"}])
    with store.reading() as tx:
        ids = tx.ids(range(members[0].id, members[0].id + size))
        found = tx.rows(f"select id from member where id in (select id from {ids.sql} g) order by id", ids.params)
    assert found == [(row.id,) for row in members[:size]]


@pytest.mark.parametrize("size", [9_999, 10_001, 70_000])
def test_rows_may_be_more_than_a_statement_takes_parameters(store: Store, size: int) -> None:
    with store.reading() as tx:
        rows = tx.table({"id": "bigint", "name": "text", "odd": "bool"}, [(n, str(n), n % 2) for n in range(size)])
        counted = tx.one(
            "select count(*), cast(sum(id) as bigint), max(name), sum(case when odd then 1 else 0 end)"
            f" from {rows.sql} g",
            rows.params,
        )
    assert counted == (size, size * (size - 1) // 2, max(map(str, range(size))), size // 2)


_texts = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
_rows = st.lists(st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), _texts, st.none() | st.booleans()))


@given(rows=_rows, beside=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_back_as_they_went_in(store: Store, rows: list[tuple], beside: bool) -> None:
    columns = {"a": "bigint", "b": "text", "c": "bool"}
    with store.reading() as tx:
        if beside and store.dialect.name == "sqlite":  # the form for more rows than a statement takes
            given_rows = _beyond_parameters(store, columns, rows)
        else:
            given_rows = tx.table(columns, rows)
        back = tx.rows(f"select a, b, c from {given_rows.sql} g", given_rows.params)
    assert sorted(map(repr, back)) == sorted(map(repr, ((a, b, _as(store, c)) for a, b, c in rows)))


def _as(store: Store, flag: bool | None) -> object:
    return flag if flag is None or store.dialect.name == "postgres" else int(flag)


def _beyond_parameters(store: Store, columns: dict[str, str], rows: list[tuple]):
    small = type(store.dialect)(f"sqlite:///{store.dialect.place}")
    small.most_params = 0
    return small.given(columns, rows)


def test_a_number_given_as_text_is_not_taken_for_a_number(store: Store) -> None:
    with pytest.raises((TypeError, BadValue)), store.transaction() as tx:
        tx.insert(Member, [{"userid": "a", "seen_at": "2026-11-21"}])


def test_a_type_that_is_none_is_named(store: Store) -> None:
    with store.reading() as tx, pytest.raises(ValueError, match="bigint, int, text, bool"):
        tx.table({"id": "serial"}, [])


def test_a_column_that_is_none_is_named(store: Store) -> None:
    with store.transaction() as tx, pytest.raises(BadStatement, match="table member has no column nmae"):
        tx.insert(Member, [{"userid": "a", "seen_at": T0, "nmae": "x"}])


# -- claims --------------------------------------------------------------------------------------------------------


def due(store: Store, limit: int = 10, lease_ms: int = MINUTE) -> list[tuple]:
    with store.transaction() as tx:
        return tx.claim(
            Dispatch, "act_at is not null and act_at <= ?", (tx.now,), order="act_at, id", limit=limit,
            lease_ms=lease_ms, returning=("id", "lease_until", "attempts"),
        )  # fmt: skip


def test_a_claim_takes_the_first_rows_that_are_due(store: Store) -> None:
    store.set_clock(T0)
    made = add_many(store, Dispatch, [{"act_at": T0 - n} for n in (1, 3, 2)] + [{"act_at": T0 + 1}, {"act_at": None}])
    assert sorted(due(store, limit=2)) == [(made[1].id, T0 + MINUTE, 1), (made[2].id, T0 + MINUTE, 1)]
    assert due(store) == [(made[0].id, T0 + MINUTE, 1)]
    assert due(store) == []


def test_a_row_whose_lease_ran_out_is_claimed_again(store: Store) -> None:
    store.set_clock(T0)
    made = add(store, Dispatch, act_at=T0)
    due(store)
    store.set_clock(T0 + MINUTE - 1)
    assert due(store) == []
    store.set_clock(T0 + MINUTE)
    assert due(store) == [(made.id, T0 + 2 * MINUTE, 2)]


def test_a_table_with_a_key_of_several_columns_is_claimed_too(store: Store) -> None:
    for n, fast in enumerate((False, True, False)):
        add(store, Dirty, userid="a", external_userid=f"wm{n}", act_at=T0, fast=fast)
    with store.transaction() as tx:
        claimed = tx.claim(
            Dirty, "act_at is not null and act_at <= ?", (T0,), order="fast desc, act_at", limit=1, lease_ms=MINUTE,
            key=("userid", "external_userid"),
        )  # fmt: skip
    assert claimed == [("a", "wm1")]


def test_two_claimers_at_once_never_get_the_same_row(emptied_postgres: Callable[[], str]) -> None:
    both = Store.open(emptied_postgres()), Store.open(emptied_postgres())
    add_many(both[0], Outbox, [{"act_at": T0} for _ in range(20)])
    with both[0].transaction() as mine, both[1].transaction() as yours:
        claims = [
            tx.claim(Outbox, "act_at is not null and act_at <= ?", (T0,), order="act_at", limit=12, lease_ms=MINUTE)
            for tx in (mine, yours)
        ]
    assert [len(claim) for claim in claims] == [12, 8]
    assert len(set(claims[0]) | set(claims[1])) == 20
    for one in both:
        one.close()


def test_claiming_goes_through_the_index_of_due_rows(store: Store) -> None:
    with hearing(store) as told:
        due(store)
    (claim,) = [sql for sql in told if sql.startswith("with picked")]
    assert "dispatch_act" in plan_of(store, claim, (T0,) * claim.count("?"))


# -- what the promises rest on -------------------------------------------------------------------------------------


def test_settled_pushes_do_not_hold_a_customers_place(store: Store) -> None:
    for settled_at in (T0, T0, None):
        add(store, Push, customer_id=7, takes_quota=True, state="planned", settled_at=settled_at)
    with pytest.raises(Conflict):
        add(store, Push, customer_id=7, takes_quota=True, state="requested")
    add(store, Push, customer_id=7, takes_quota=False, state="requested")
    add(store, Push, customer_id=7, takes_quota=True, state="waiting")


def test_a_tag_is_kept_once_per_relation(store: Store) -> None:
    add(store, RelationTag, relation_id=1, tag_id="t")
    add(store, RelationTag, relation_id=2, tag_id="t")
    with pytest.raises(Conflict):
        add(store, RelationTag, relation_id=1, tag_id="t")
