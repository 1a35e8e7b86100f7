"""Which relation acts for a customer in SOPs that are entered per customer (SPEC 4, 8): the owner rules.

A part: it reads inside the caller's transaction and writes nothing. Asked at entry, and again when the owner's relation
is lost. Whether the owner's member may send is no part of the rule: entry and planning say so with a reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from machines.rules import signed
from machines.rules.atoms import Tag
from machines.sop import Program
from sopd.store import Transaction
from sopd.store.queries import facts as fact_queries
from sopd.store.queries import owners as queries

NO_TAGS: frozenset[str] = frozenset()


class Owner(NamedTuple):
    """A relation of a customer, as far as it may own runs. `able`: its member may send to customers.

    `tags` are those that hold, empty unless they were asked for. State: active | half | lost | handed_over: lost,
    and its runs wait for somebody who takes over.
    """

    relation_id: int
    customer_id: int
    member_id: int
    userid: str
    able: bool
    state: str
    channel: str
    add_way: int
    began_at: int
    last_talk_at: int | None
    learned_at: int
    tags: frozenset[str] = NO_TAGS


def candidates(
    tx: Transaction, customer_ids: Collection[int], *, with_tags: bool = False
) -> dict[int, tuple[Owner, ...]]:
    """Every relation of these customers, lost ones too, by customer, in the order of their ids.

    A customer without any is left out. One statement, two with tags. `tagged_by` needs the tags.
    """
    if not customer_ids:
        return {}
    rows = queries.relations(tx, customer_ids)
    tags = fact_queries.held_tags(tx, [row[0] for row in rows]) if with_tags and rows else {}
    found: defaultdict[int, list[Owner]] = defaultdict(list)
    for relation_id, customer_id, member_id, userid, able, *rest in rows:
        one = Owner(relation_id, customer_id, member_id, userid, able == 1, *rest, tags.get(relation_id, NO_TAGS))
        found[customer_id].append(one)
    return {customer_id: tuple(some) for customer_id, some in found.items()}


def in_scope(program: Program, relations: Iterable[Owner]) -> tuple[Owner, ...]:
    """Those that take part in the SOP now: active, and of a member it is for."""
    return tuple(one for one in relations if one.state == "active" and program.in_scope(one.userid))


def choose(program: Program, relations: Sequence[Owner], *, prefer: int | None = None) -> Owner | None:
    """The one of a customer's relations that acts for it, None if none is in scope.

    `prefer`: the relation to be taken if it is in scope (the one that a flow comes from, the one an operator named).
    """
    left = in_scope(program, relations)
    wished = next((one for one in left if one.relation_id == prefer), None)
    if wished is not None or not left:
        return wished
    if program.owner == "last_added":
        return max(left, key=_age)
    if program.owner == "tagged_by":
        left = tuple(one for one in left if not one.tags.isdisjoint(entry_tags(program))) or left
    return min(left, key=_age)


@lru_cache(maxsize=1024)
def entry_tags(program: Program) -> frozenset[str]:
    """The tags that somebody enters for: those in the entry rule that are not under `not`."""
    if program.entry_rule is None:
        return NO_TAGS
    return frozenset(
        tag for atom, sign in signed(program.entry_rule) if sign and isinstance(atom, Tag) for tag in atom.tag
    )


def _age(one: Owner) -> tuple[int, int]:
    """Earliest first; of those that began together, the lower id is the earlier."""
    return one.began_at, one.relation_id
