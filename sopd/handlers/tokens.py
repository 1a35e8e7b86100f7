"""Bearer tokens of the HTTP API: made for an integrator, shown once, kept as a hash only (SPEC 12, 15.6).

Commands of the CLI, and `bearer`, which the API asks at every request. A token is 256 random bits, so its plain SHA-256
cannot be searched; it is looked up by that hash, and the hashes are compared in constant time all the same.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import NamedTuple

from sopd.commands import CreateToken, RevokeToken
from sopd.errors import Refused, no_such
from sopd.handlers.app import App
from sopd.store import Store
from sopd.store.queries import audit
from sopd.store.queries import tokens as queries

PREFIX = "sopd_"
"""By this a secret scanner knows one that has leaked."""

SCOPES = {
    "events:write": "bring behaviour events",
    "messages:write": "bring messages between members and customers",
    "customers:write": "set attributes of customers",
}


class Bearer(NamedTuple):
    """Who calls."""

    name: str
    scopes: frozenset[str]


def create(app: App, command: CreateToken) -> str:
    """Make a token; returns it, for the only time. Refused for a name that is taken or scopes that do not exist."""
    unknown = [scope for scope in command.scopes if scope not in SCOPES]
    if unknown or not command.scopes:
        raise Refused(f"there is no scope {', '.join(unknown) or 'named'}", f"scopes are {', '.join(SCOPES)}")
    secret = PREFIX + secrets.token_urlsafe(32)
    with app.store.transaction() as tx:
        scopes = " ".join(sorted(set(command.scopes)))
        if not queries.insert(tx, command.name, hash_of(secret), scopes, command.who):
            raise Refused(f'a token is named "{command.name}" already', "`sopd token list` shows revoked ones too")
        audit.write(tx, command.who, "token create", command.name, f'{{"scopes": "{scopes}"}}')
    return secret


def revoke(app: App, command: RevokeToken) -> None:
    """Let a token open nothing any more, from the next request on. NotFound if there is none of that name."""
    with app.store.transaction() as tx:
        if not queries.revoke(tx, command.name):
            raise no_such("token", f'"{command.name}"')
        audit.write(tx, command.who, "token revoke", command.name)


def bearer(store: Store, secret: str) -> Bearer | None:
    """Whose token this is; None if it is nobody's, or was revoked."""
    wanted = hash_of(secret)
    with store.reading() as tx:
        found = queries.by_hash(tx, wanted)
    if found is None or not hmac.compare_digest(found.hash, wanted):
        return None
    return Bearer(found.name, frozenset(found.scopes.split()))


def hash_of(secret: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
