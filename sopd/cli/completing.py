"""What the shell offers for an argument: names out of the database, or nothing at all if it cannot be read."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from sopd.cli.desk import Desk


def sop_keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Keys of SOPs, with their states."""
    desk = ctx.ensure_object(Desk)
    try:
        with desk.reading() as tx:
            found = tx.rows("select key, state, title from sop order by key")
    except Exception:  # a shell that completes must not be told of a missing database, whatever is wrong with it
        return []
    finally:
        desk.close()
    return [CompletionItem(key, help=f"{state} {title}") for key, state, title in found if key.startswith(incomplete)]
