"""`sopd token`: who may use the HTTP API. Declarations only; the work is in `tokens`."""

from __future__ import annotations

import click

from sopd.cli.desk import Desk
from sopd.cli.paging import page_options
from sopd.cli.verbs import noun, output_options, pass_desk, person_option, yes_option

SCOPES = ("events:write", "messages:write", "customers:write")

token = noun("token", "Bearer tokens of the HTTP API (/api/v1): each with a name and with scopes.")


@token.verb(
    "create",
    """
    sopd token create crm --scope events:write --scope customers:write
    TOKEN=$(sopd token create archive --scope messages:write)
    """,
)
@click.argument("name", metavar="NAME")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES),
              help="What it may do (repeatable).")  # fmt: skip
@output_options
@person_option
@pass_desk
def create(desk: Desk, name: str, scopes: tuple[str, ...]) -> None:
    """Make a token and print it: this once, for only a hash of it is kept.

    Send it as `Authorization: Bearer TOKEN`. What the API takes is described at /api/v1/openapi.json.
    """
    from sopd.cli import tokens

    tokens.create(desk, name, scopes)


@token.verb(
    "list",
    """
    sopd token list
    sopd token list --json | jq -r 'select(.revoked_at == null) | .name'
    """,
)
@page_options
@output_options
@pass_desk
def list_(desk: Desk, limit: int, before: int | None) -> None:
    """Tokens, the newest first: names, scopes, who made them; revoked ones too."""
    from sopd.cli import tokens

    tokens.show_list(desk, limit, before)


@token.verb(
    "revoke",
    """
    sopd token revoke crm
    sopd token revoke crm --yes
    """,
)
@click.argument("name", metavar="NAME")
@yes_option
@person_option
@pass_desk
def revoke(desk: Desk, name: str, yes: bool) -> None:
    """Let a token open nothing any more, from the next request on. It cannot be taken back."""
    from sopd.cli import tokens

    tokens.revoke(desk, name, yes)
