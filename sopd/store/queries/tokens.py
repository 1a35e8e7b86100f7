"""Statements about bearer tokens. Only hashes are here."""

from __future__ import annotations

from typing import NamedTuple

from sopd.store.tables import Token
from sopd.store.transaction import Transaction


class Held(NamedTuple):
    """A live token, as the API checks it."""

    name: str
    hash: str
    scopes: str


class TokenRow(NamedTuple):
    """A token as people see it."""

    id: int
    name: str
    scopes: str
    created_at: int
    created_by: str
    revoked_at: int | None


def insert(tx: Transaction, name: str, hashed: str, scopes: str, who: str) -> bool:
    """Write a token; False if its name is taken."""
    row = {"name": name, "hash": hashed, "scopes": scopes, "created_at": tx.now, "created_by": who}
    return bool(tx.insert(Token, [row], on_conflict="(name) do nothing"))


def revoke(tx: Transaction, name: str) -> bool:
    """Revoke a token, keeping the first instant; False if there is none of that name."""
    return bool(tx.run("update token set revoked_at = coalesce(revoked_at, ?) where name = ?", (tx.now, name)))


def by_hash(tx: Transaction, hashed: str) -> Held | None:
    """The live token of this hash."""
    row = tx.one("select name, hash, scopes from token where hash = ? and revoked_at is null", (hashed,))
    return None if row is None else Held(*row)


def page(tx: Transaction, before: int | None, limit: int) -> list[TokenRow]:
    """Tokens, the newest first: those with an id below `before`."""
    rows = tx.rows(
        "select id, name, scopes, created_at, created_by, revoked_at from token where id < ? order by id desc limit ?",
        (before if before is not None else 2**62, limit),
    )
    return [TokenRow(*row) for row in rows]


def names(tx: Transaction) -> list[str]:
    """The names of all tokens."""
    return [row[0] for row in tx.rows("select name from token order by name")]
