"""When is the next work of each kind due? One statement of index seeks, whatever waits in the tables."""

from __future__ import annotations

from sopd.store.transaction import Transaction

_EARLIEST = {
    "intake": "select received_at from inbox where state = 'new' and {slow} order by id limit 1",
    "intake_fast": "select received_at from inbox where state = 'new' and {fast} order by id limit 1",
    "reread": "select min(act_at) from dirty where act_at is not null and {slow}",
    "reread_fast": "select min(act_at) from dirty where act_at is not null and {fast}",
    "sweep": "select min(at) from flip where at is not null",
    "signals": "select received_at from signal where handled_at is null order by id limit 1",
    "handover": "select min(handover_until) from relation where handover_until is not null",
    "fire": "select min(due_at) from enrollment where due_at is not null",
    "plan": "select min(plan_at) from push where plan_at is not null",
    "outbox": "select min(act_at) from outbox where act_at is not null and {slow}",
    "outbox_fast": "select min(act_at) from outbox where act_at is not null and {fast}",
    "nag": "select min(nag_at) from dispatch where nag_at is not null",
    "jobs": "select min(act_at) from job where act_at is not null",
}

DISPATCH_LOOPS = {
    "relay": ("planned",),
    "lookup": ("sending", "uncertain"),
    "collect": ("requested", "confirmed", "stopping", "cancelling", "rereading", "failed"),
    "cards": ("handing", "unsure", "handed", "settled", "cancelled"),
}
"""Which loop looks at a dispatch is in its state; `act_at` says when (index dispatch_act is by state, then act_at)."""

CARDS = "channel in ('remind', 'call')"
"""What tells cards from tasks while both are planned. Of what is over only cards are ever due: to be shown as over."""


def _statement() -> tuple[tuple[str, ...], str]:
    parts = {
        name: sql.format(slow="fast = false", fast="fast = true") for name, sql in _EARLIEST.items()
    }
    for loop, states in DISPATCH_LOOPS.items():
        seeks = " union all ".join(
            f"select min(act_at) as at from dispatch where state = '{state}' and act_at is not null"
            for state in states
        )
        parts[loop] = f"select min(at) from ({seeks}) s"
    columns = ", ".join(f"({sql})" for sql in parts.values())
    return tuple(parts), f"select {columns}"


NAMES, _SQL = _statement()


def earliest(tx: Transaction) -> dict[str, int | None]:
    """The next due instant of each kind of work, None where nothing waits. What was received is due since then."""
    return dict(zip(NAMES, tx.one(_SQL) or (), strict=True))
