"""Who was forgotten is not let back in by what WeCom still shows: a part of taking over readings and losses.

A relation that began before the forgetting, or that was only handed over since, is passed over, as if WeCom had not
shown it. Whoever adds a member anew afterwards does so of her own will and is a new customer. Remembered is only a
hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from machines.calendar import Instant
from sopd.handlers.entries import INHERITED_ADD_WAY
from sopd.handlers.observe_verdicts import Sighting
from sopd.store import Transaction
from sopd.store.queries import forgetting as queries
from sopd.store.queries import people
from sopd.store.queries.people import Pair


def hash_of(external_userid: str) -> str:
    """The hex SHA-256 by which somebody forgotten is known again. WeCom's ids are too long to be guessed."""
    return hashlib.sha256(external_userid.encode()).hexdigest()


def unwanted(tx: Transaction, sightings: Sequence[Sighting]) -> set[Pair]:
    """The pairs among these that are not to be taken over. One statement, up to two more if anybody was forgotten."""
    known = _unknown_again(tx, [(one.userid, one.external_userid) for one in sightings])
    return {one.pair for one in sightings if one.pair in known and _is_old(one, known[one.pair])} if known else set()


def losses(tx: Transaction, pairs: Sequence[Pair]) -> set[Pair]:
    """The pairs among these whose end is nobody's any more."""
    return set(_unknown_again(tx, pairs))


def _unknown_again(tx: Transaction, pairs: Sequence[Pair]) -> dict[Pair, Instant]:
    """Those of whom we know nothing, because the customer was forgotten, and when."""
    if not queries.any_marks(tx):
        return {}
    hashes = {external_userid: hash_of(external_userid) for _, external_userid in pairs}
    marks = queries.marks(tx, hashes.values())
    if not marks:
        return {}
    found = {pair: marks[hashes[pair[1]]] for pair in pairs if hashes[pair[1]] in marks}
    known = people.known(tx, found)
    return {pair: at for pair, at in found.items() if pair not in known}


def _is_old(one: Sighting, forgotten_at: Instant) -> bool:
    if one.follow is None:
        return one.added_at is None or one.added_at <= forgotten_at
    return one.follow.created_at <= forgotten_at or one.follow.add_way == INHERITED_ADD_WAY
