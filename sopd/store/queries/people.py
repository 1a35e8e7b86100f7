"""Statements about customers and their relations: whole pages in, whole pages out. Called by handlers only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sopd.store.queries import locks
from sopd.store.tables import Customer, Relation
from sopd.store.transaction import Transaction

Pair = tuple[str, str]
"""(userid, external_userid)"""


class OpenRun(NamedTuple):
    """An open enrollment, as far as it must be known to end it."""

    id: int
    relation_id: int
    version_id: int


class Known(NamedTuple):
    """A relation as we know it."""

    id: int
    userid: str
    external_userid: str
    member_id: int
    customer_id: int
    state: str
    channel: str
    add_way: int
    began_at: int
    learned_at: int
    lost_at: int | None
    lost_by: str | None
    missing_at: int | None
    generation: int

    @property
    def pair(self) -> Pair:
        """The ids WeCom knows it by."""
        return self.userid, self.external_userid


class Named(NamedTuple):
    """A customer as WeCom names it; empty texts and None mean "not told"."""

    external_userid: str
    name: str = ""
    unionid: str | None = None
    kind: int = 1
    gender: int = 0


_BEHIND_PAIR = (
    "r.member_id, r.customer_id, r.state, r.channel, r.add_way, r.began_at, r.learned_at, r.lost_at, r.lost_by,"
    " r.missing_at, r.generation"
)
_KNOWN = f"r.id, m.userid, c.external_userid, {_BEHIND_PAIR}"
_JOINED = "relation r join member m on m.id = r.member_id join customer c on c.id = r.customer_id"
_WRITTEN = {
    "id": "bigint", "state": "text", "channel": "text", "add_way": "int", "began_at": "bigint",
    "learned_at": "bigint", "lost_at": "bigint", "lost_by": "text", "missing_at": "bigint",
}  # fmt: skip


# -- customers -------------------------------------------------------------------------------------------------------


class Customers(NamedTuple):
    """Ids of customers by external_userid, all of them locked; `new`: those nobody knew, so they have no relations."""

    ids: dict[str, int]
    new: frozenset[str]


def customers(tx: Transaction, people: Sequence[Named]) -> Customers:
    """These customers, each once among `people`; new ones and new names are written.

    What WeCom did not tell is never taken for a change.
    """
    held = {row[1]: row for row in locks.named(tx, [one[0] for one in people])}
    ids = {external_userid: row[0] for external_userid, row in held.items()}
    unknown = sorted([one for one in people if one[0] not in held])
    made = dict(_write_customers(tx, unknown, "(external_userid) do nothing"))
    # Of those unknown a moment ago another transaction may have written some meanwhile.
    told = [one for one in people if one[0] in held and _tells(held[one[0]], one)]
    told += [one for one in unknown if one[0] not in made]
    ids |= made | dict(_write_customers(tx, sorted(told), _TOLD))
    if len(ids) < len(people):
        ids |= _ids_of(tx, "customer", "external_userid", [one[0] for one in people])
    tx.new.update(made.values())
    tx.held.update(ids.values())
    return Customers(ids, frozenset(made))


_TOLD = (
    "(external_userid) do update set name = excluded.name, kind = excluded.kind,"
    " gender = excluded.gender, unionid = coalesce(excluded.unionid, customer.unionid), seen_at = excluded.seen_at"
    " where excluded.name <> '' and (excluded.name <> customer.name or excluded.kind <> customer.kind"
    " or excluded.gender <> customer.gender"
    " or coalesce(excluded.unionid, customer.unionid, '') <> coalesce(customer.unionid, ''))"
)


def _write_customers(tx: Transaction, people: Sequence[Named], on_conflict: str) -> list[tuple[str, int]]:
    now = tx.now
    columns, returning = (*Named._fields, "seen_at"), ("external_userid", "id")
    rows = [(*one, now) for one in people]
    return tx.insert(Customer, rows, columns=columns, returning=returning, on_conflict=on_conflict)


def _tells(held: tuple[Any, ...], told: Named) -> bool:
    """Whether this is new to us; `held` is the row as `locks.named` gives it."""
    _, name, unionid, kind, gender = told
    return name != "" and (held[2:5] != (name, kind, gender) or unionid not in (None, held[5]))


def _ids_of(tx: Transaction, table: str, name: str, wanted: Sequence[str]) -> dict[str, int]:
    given = tx.table({name: "text"}, [(one,) for one in wanted])
    return dict(tx.rows(f"select {name}, id from {table} where {name} in (select {name} from {given.sql} g)",
                        given.params))  # fmt: skip


def customer_id(tx: Transaction, external_userid: str) -> int | None:
    """The id of one customer, None if there is none."""
    found: int | None = tx.value("select id from customer where external_userid = ?", (external_userid,))
    return found


def mute(tx: Transaction, external_userids: Sequence[str], at: int | None) -> dict[str, int]:
    """Set or clear 免打扰, keeping the first instant; returns the ids of those who exist."""
    locks.named(tx, external_userids)
    given = tx.table({"external_userid": "text"}, [(one,) for one in external_userids])
    return dict(tx.rows(
        "update customer set muted_at = case when cast(? as bigint) is null then null else coalesce(muted_at, ?) end"
        f" where external_userid in (select external_userid from {given.sql} g) returning external_userid, id",
        (at, at, *given.params),
    ))  # fmt: skip


# -- relations -------------------------------------------------------------------------------------------------------


def known(tx: Transaction, pairs: Iterable[Pair]) -> dict[Pair, Known]:
    """What we know of these pairs, not locked."""
    return _of_pairs(tx, pairs, "")


def lock_known(tx: Transaction, pairs: Iterable[Pair]) -> dict[Pair, Known]:
    """What we know of these pairs, locked by id; their customers first."""
    pairs = list(pairs)
    locks.named(tx, sorted({external_userid for _, external_userid in pairs}))
    return lock_known_of(tx, pairs)


def lock_known_of(tx: Transaction, pairs: Collection[Pair]) -> dict[Pair, Known]:
    """What we know of these pairs, locked by id; the caller holds their customers."""
    return _of_pairs(tx, pairs, tx.for_update("r")) if pairs else {}


def lock_between(tx: Transaction, pairs: Mapping[tuple[int, int], Pair]) -> dict[Pair, Known]:
    """As `lock_known_of` for pairs whose ids are known, given by (member, customer)."""
    if not pairs:
        return {}
    given = tx.table({"member_id": "bigint", "customer_id": "bigint"}, list(pairs))
    rows = tx.rows(
        f"select r.id, {_BEHIND_PAIR} from {given.sql} g join relation r on r.customer_id = g.customer_id"
        f" and r.member_id = g.member_id order by r.id{tx.for_update('r')}",
        given.params,
    )
    tx.customer_of.update([(row[0], row[2]) for row in rows])
    return {pair: Known(row[0], *pair, *row[1:]) for row in rows if (pair := pairs[row[1], row[2]])}


def lock_ids(tx: Transaction, relation_ids: Iterable[int]) -> list[Known]:
    """These relations, locked by id; their customers first."""
    relation_ids = list(relation_ids)
    locks.of_relations(tx, relation_ids)
    given = tx.ids(relation_ids)
    rows = tx.rows(
        f"select {_KNOWN} from {_JOINED} where r.id in (select id from {given.sql} g)"
        f" order by r.id{tx.for_update('r')}",
        given.params,
    )
    return [Known(*row) for row in rows]


def of_member(tx: Transaction, userid: str) -> list[Known]:
    """Every relation of a member, lost ones too."""
    return [Known(*row) for row in tx.rows(f"select {_KNOWN} from {_JOINED} where m.userid = ?", (userid,))]


class NewRelation(NamedTuple):
    """A relation that nobody knew."""

    member_id: int
    customer_id: int
    state: str
    began_at: int
    learned_at: int
    channel: str = ""
    add_way: int = 0
    lost_at: int | None = None
    lost_by: str | None = None


def insert(tx: Transaction, rows: Sequence[NewRelation]) -> dict[tuple[int, int], int]:
    """Write new relations; returns the id of each by (member, customer). One that another has written is left out."""
    made = tx.insert(
        Relation,
        sorted(rows, key=itemgetter(1, 0)),
        columns=NewRelation._fields,
        returning=("member_id", "customer_id", "id"),
        on_conflict="(customer_id, member_id) do nothing",
    )
    return {(member_id, customer_id): relation_id for member_id, customer_id, relation_id in made}


def write(tx: Transaction, rows: Sequence[Known]) -> None:
    """Write locked relations as they are to be, and raise their generation."""
    if not rows:
        return
    given = tx.table(_WRITTEN, [tuple(getattr(row, column) for column in _WRITTEN) for row in rows])
    columns = ", ".join(f"{column} = n.{column}" for column in _WRITTEN if column != "id")
    tx.run(
        f"update relation set {columns}, generation = relation.generation + 1 from {given.sql} n"
        " where relation.id = n.id",
        given.params,
    )


def set_missing(tx: Transaction, relation_ids: Iterable[int]) -> None:
    """Note since when these active relations are absent from WeCom's list although nothing says that they ended."""
    given = tx.ids(relation_ids)
    tx.run(
        "update relation set missing_at = ? where missing_at is null and state = 'active'"
        f" and id in (select id from {given.sql} g)",
        (tx.now, *given.params),
    )


def missed_members(tx: Transaction, read_since: int, left_out: Sequence[str], limit: int) -> list[str]:
    """Members in sight, read since then, of whom active relations are missing; some of them, by userid."""
    given = tx.table({"userid": "text"}, [(userid,) for userid in left_out])
    rows = tx.rows(
        "select userid from member where in_scope and read_at >= ? and id in"
        " (select member_id from relation where missing_at is not null and state = 'active')"
        f" and userid not in (select userid from {given.sql} g) order by userid limit ?",
        (read_since, *given.params, limit),
    )
    return [row[0] for row in rows]


def not_missing(tx: Transaction, userid: str, external_userids: Sequence[str]) -> None:
    """These customers of a member are listed after all."""
    given = tx.table({"external_userid": "text"}, [(one,) for one in external_userids])
    tx.run(
        "update relation set missing_at = null where missing_at is not null"
        " and member_id = (select id from member where userid = ?) and customer_id in"
        f" (select id from customer where external_userid in (select external_userid from {given.sql} g))",
        (userid, *given.params),
    )


def missing(tx: Transaction, userid: str, *, before: int | None = None, limit: int | None = None) -> list[Known]:
    """The active relations of a member that are missing (since before an instant, at most so many), by id."""
    rows = tx.rows(
        f"select {_KNOWN} from {_JOINED} where m.userid = ? and r.missing_at is not null and r.state = 'active'"
        " and r.missing_at < coalesce(cast(? as bigint), r.missing_at + 1) order by r.id limit coalesce(?, 1000000000)",
        (userid, before, limit),
    )
    return [Known(*row) for row in rows]


def count_missing(tx: Transaction, userid: str, before: int | None = None) -> int:
    """How many of a member's active relations are missing (since before an instant)."""
    return int(tx.value(
        "select count(*) from relation where missing_at is not null and state = 'active'"
        " and missing_at < coalesce(cast(? as bigint), missing_at + 1)"
        " and member_id = (select id from member where userid = ?)", (before, userid)
    ))  # fmt: skip


def count_active(tx: Transaction, userid: str) -> int:
    """How many customers a member has."""
    return int(tx.value(
        "select count(*) from relation where state = 'active'"
        " and member_id = (select id from member where userid = ?)", (userid,)
    ))  # fmt: skip


def open_runs(tx: Transaction, relation_ids: Iterable[int]) -> list[OpenRun]:
    """The open enrollments that these relations own, by id."""
    given = tx.ids(relation_ids)
    rows = tx.rows(
        "select id, relation_id, version_id from enrollment where closed_at is null"
        f" and relation_id in (select id from {given.sql} g) order by id",
        given.params,
    )
    return [OpenRun(*row) for row in rows]


def runs_of_customers(tx: Transaction, customer_ids: Iterable[int]) -> list[int]:
    """The open enrollments of customers, through whichever relation."""
    given = tx.ids(customer_ids)
    return [row[0] for row in tx.rows("select id from enrollment where closed_at is null"
                                      f" and customer_id in (select id from {given.sql} g)", given.params)]  # fmt: skip


def _of_pairs(tx: Transaction, pairs: Iterable[Pair], locking: str) -> dict[Pair, Known]:
    given = tx.table({"userid": "text", "external_userid": "text"}, sorted(set(pairs)))
    rows = tx.rows(
        f"select {_KNOWN} from {given.sql} g join member m on m.userid = g.userid"
        " join customer c on c.external_userid = g.external_userid"
        f" join relation r on r.customer_id = c.id and r.member_id = m.id order by r.id{locking}",
        given.params,
    )
    tx.customer_of.update([(row[0], row[4]) for row in rows])
    return {one.pair: one for one in map(Known._make, rows)}
