"""Tokens of the HTTP API: made, listed, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sopd.cli import output, paging
from sopd.cli.asking import agree
from sopd.cli.desk import Desk
from sopd.cli.failure import unknown
from sopd.cli.output import Column, note, say
from sopd.commands import CreateToken, RevokeToken
from sopd.handlers import tokens
from sopd.store.queries import tokens as queries
from sopd.store.queries.tokens import TokenRow

if TYPE_CHECKING:
    from sopd.store import Transaction

LIST = (
    Column("name"), Column("scopes"), Column("created_at", "instant"), Column("created_by"),
    Column("revoked_at", "instant"), Column("id", "number", wide=True),
)  # fmt: skip


def create(desk: Desk, name: str, scopes: Sequence[str]) -> None:
    """`token create`: the token alone on standard output, so that a script can catch it."""
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > 100:
        raise click.BadParameter("write 1 to 100 visible characters", param_hint="NAME")
    secret = tokens.create(desk.app, CreateToken(name, tuple(scopes), desk.person))
    if desk.output == "json":
        output.document(desk, {"name": name, "scopes": sorted(set(scopes)), "token": secret})
        return
    click.echo(secret)
    note(desk, "keep it: it is not shown again, only a hash of it is kept")


def show_list(desk: Desk, limit: int, before: int | None) -> None:
    """`token list`."""

    def fetch(tx: Transaction, below: int | None, count: int) -> Sequence[TokenRow]:
        return queries.page(tx, below, count)

    paging.listing(desk, LIST, fetch, limit, before)


def revoke(desk: Desk, name: str, yes: bool) -> None:
    """`token revoke`."""
    with desk.reading() as tx:
        names = queries.names(tx)
    if name not in names:
        raise unknown("token", name, names, "`sopd token list` shows them")
    agree(desk, yes, "Revoke the token {name}? Whoever uses it is let in no more.", name=name)
    tokens.revoke(desk.app, RevokeToken(name, desk.person))
    say(desk, "the token {name} is revoked", name=name)
