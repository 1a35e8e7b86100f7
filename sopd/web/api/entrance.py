"""Who may do what: the bearer token of a request against the scope that its route asks for."""

from __future__ import annotations

from http import HTTPStatus

from sopd.handlers import tokens
from sopd.handlers.tokens import Bearer
from sopd.store import Store
from sopd.web.api.problems import Problem

MOST_CHARACTERS = 200


def let_in(store: Store, authorization: str | None, scope: str) -> Bearer:
    """The token's owner. A Problem: 401 without a token that lives, 403 for one without the scope."""
    kind, _, secret = (authorization or "").strip().partition(" ")
    secret = secret.strip()
    if kind.lower() != "bearer" or not secret or len(secret) > MOST_CHARACTERS:
        raise Problem(
            HTTPStatus.UNAUTHORIZED, "no-token", "send `Authorization: Bearer TOKEN`; `sopd token create` makes one",
            headers={"WWW-Authenticate": 'Bearer realm="sopd"'},
        )  # fmt: skip
    found = tokens.bearer(store, secret)
    if found is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED, "bad-token", "this token opens nothing: it is unknown or was revoked",
            headers={"WWW-Authenticate": 'Bearer realm="sopd", error="invalid_token"'},
        )  # fmt: skip
    if scope not in found.scopes:
        raise Problem(
            HTTPStatus.FORBIDDEN, "scope", f"this token lacks the scope {scope}",
            headers={"WWW-Authenticate": f'Bearer realm="sopd", error="insufficient_scope", scope="{scope}"'},
        )  # fmt: skip
    return found
