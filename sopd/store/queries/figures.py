"""What Prometheus and `doctor` are told of all the work at once. Each is one statement of index seeks.

Nothing here may grow with the enrollments that wait: backlogs are counted up to `MOST` and no further.
"""

from __future__ import annotations

from typing import NamedTuple

from sopd.store.transaction import Transaction

MOST = 10_000
IN_DOUBT = ("uncertain", "unsure", "needs_operator")
"""Tasks and cards whose outcome is looked up, and those that only a person can judge (index dispatch_doubtful)."""


class Backlog(NamedTuple):
    """Rows that wait, counted up to MOST, and when the oldest came (None: none waits)."""

    count: int
    oldest_at: int | None


def callbacks(tx: Transaction) -> Backlog:
    """Accepted callbacks that nobody has handled. Ids are given in the order of arrival."""
    oldest = " union all ".join(
        "select * from (select received_at from inbox"
        f" where state = 'new' and fast = {fast} order by id limit 1) {name}"
        for fast, name in (("true", "f"), ("false", "s"))
    )
    return _backlog(tx, "select 1 from inbox where state = 'new'", f"select min(received_at) from ({oldest}) o")


def signals(tx: Transaction) -> Backlog:
    """Signals that no rule has seen."""
    oldest = "select received_at from signal where handled_at is null order by id limit 1"
    return _backlog(tx, "select 1 from signal where handled_at is null", oldest)


def rereads(tx: Transaction) -> Backlog:
    """Contacts to be read again, those that are tried again later among them."""
    return _backlog(tx, "select 1 from dirty where act_at is not null", "select null")


def acts(tx: Transaction) -> Backlog:
    """Welcomes and tag writes that are to be made."""
    return _backlog(tx, "select 1 from outbox where act_at is not null", "select null")


def _backlog(tx: Transaction, rows: str, oldest: str) -> Backlog:
    count, oldest_at = tx.one(f"select (select count(*) from ({rows} limit {MOST}) r), ({oldest})") or (0, None)
    return Backlog(int(count), oldest_at)


def in_doubt(tx: Transaction) -> dict[str, int]:
    """Tasks and cards in doubt by state, zeros too."""
    states = "', '".join(IN_DOUBT)
    found = tx.rows(f"select state, count(*) from dispatch where state in ('{states}') group by state")
    return dict.fromkeys(IN_DOUBT, 0) | dict(found)


def held(tx: Transaction) -> tuple[int, int]:
    """(contacts held back, counted up to MOST; members they belong to), SPEC 15.1."""
    row = tx.one(
        "select count(*), count(distinct member_id) from (select member_id from relation"
        f" where missing_at is not null and state = 'active' limit {MOST}) h"
    )
    return (int(row[0]), int(row[1])) if row else (0, 0)


def set_aside(tx: Transaction) -> dict[str, int]:
    """Poison rows by table."""
    return dict(tx.rows("select kind, count(*) from set_aside group by kind"))


def jobs(tx: Transaction) -> dict[str, int]:
    """Jobs that are not over by state, zeros too."""
    found = tx.rows("select state, count(*) from job where ended_at is null group by state")
    return dict.fromkeys(("running", "failed", "held"), 0) | dict(found)


def resting(tx: Transaction) -> dict[str, int]:
    """Until when each path of WeCom's may not be called."""
    return dict(tx.rows("select path, until_at from wecom_window where until_at > ?", (tx.now,)))
