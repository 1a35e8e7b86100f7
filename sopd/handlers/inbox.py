"""The inbox: callbacks are written before WeCom gets its 200, and handled afterwards, in pages (SPEC 15.1).

Commands. `accept` is called by the callback's gatherer with all that arrived together; `digest` by intake, one page of
one lane at a time; `replay` by the CLI. A callback that cannot be handled is set aside with its reason; the rest goes
on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

from sopd.commands import ReplayInbox
from sopd.errors import NotFound
from sopd.handlers import card_clicks, customers
from sopd.handlers.app import App
from sopd.handlers.card_clicks import Click
from sopd.handlers.consequences import follow
from sopd.handlers.customers import Loss
from sopd.handlers.inbox_reading import Faulty, LibraryChanged, Unused, Wish, read
from sopd.store import Transaction
from sopd.store.batch import in_halves, put_aside, put_each_aside, take_back
from sopd.store.queries import audit, reading_jobs
from sopd.store.queries import inbox as queries
from sopd.store.queries.inbox import Mark
from sopd.wecom.callbacks import CallbackEvent

PAGE = 500


def accept(app: App, events: Iterable[CallbackEvent]) -> None:
    """Write callbacks that arrived together, with one INSERT. Once it returns they survive anything.

    `events` is looked at only when the transaction has begun: those that arrive while it waits for its turn go along.
    Bytes that we have seen are counted; an edit among them is handled again, an add or a delete is not.
    """
    with app.store.transaction(urgent=True) as tx:
        merged: dict[str, dict[str, object]] = {}
        for event in events:
            row = merged.setdefault(event.fingerprint, _row(event, tx.now))
            row["times"] = int(str(row["times"])) + 1
        # In one order, so that two batches with common callbacks cannot lock each other's rows crosswise.
        queries.insert(tx, [merged[fingerprint] for fingerprint in sorted(merged)])
        for name in {"fast" if row["fast"] else "intake" for row in merged.values()}:
            tx.after_commit(partial(app.ring, name))


def digest(app: App, *, fast: bool) -> int:
    """Handle one page of one lane; returns how many callbacks were looked at. `fast`: those with a welcome code."""
    with app.store.reading() as tx:
        ids = queries.new_ids(tx, fast, app.store.portion(PAGE))
    done = in_halves(ids, partial(_digest, app), partial(_set_aside, app))
    return sum(done.results) + len(done.aside)


def replay(app: App, command: ReplayInbox) -> None:
    """Let stored callbacks be handled once more, set-aside ones too. NotFound names the ids that do not exist."""
    with app.store.transaction() as tx:
        found = queries.reopen(tx, command.inbox_ids)
        unknown = sorted(set(command.inbox_ids) - found)
        if unknown:
            raise NotFound(f"the inbox has no callback {', '.join(map(str, unknown))}", "`sopd inbox list` shows them")
        take_back(tx, "inbox", [str(inbox_id) for inbox_id in found])
        audit.write(tx, command.who, "inbox replay", ",".join(map(str, sorted(found))))
        tx.after_commit(partial(app.ring, "fast"))
        tx.after_commit(partial(app.ring, "intake"))


# -- inside ----------------------------------------------------------------------------------------------------------


def _row(event: CallbackEvent, now: int) -> dict[str, object]:
    named = {
        "state": event.state, "welcome_code": event.welcome_code, "source": event.source,
        "fail_reason": event.fail_reason, "tag_id": event.tag_id, "tag_type": event.tag_type, "chat_id": event.chat_id,
    }  # fmt: skip
    fields = {name: value for name, value in named.items() if value}
    return {
        "fingerprint": event.fingerprint, "received_at": now, "last_at": now, "times": 0,
        "event": _clean(event.event), "change_type": _clean(event.change_type), "userid": _clean(event.user_id),
        "external_userid": _clean(event.external_user_id),
        "happened_at": now if event.created_at is None else event.created_at, "fast": bool(event.welcome_code),
        "body": json.dumps({"fields": fields, "raw": event.raw}),
    }  # fmt: skip


def _clean(text: str) -> str:
    """What neither database takes in a text, half characters and NUL, must not make WeCom send it for ever."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def _digest(app: App, ids: Sequence[int]) -> int:
    """First what asks for a reading, then what ended, each in its own transaction.

    Re-reads are marked without holding anything else, so they can wait for nobody who waits for them.
    """
    with app.store.transaction() as tx:
        wishes = [(row.id, read(row)) for row in queries.lock_new(tx, ids)]
        _note(tx, app, [(inbox_id, wish) for inbox_id, wish in wishes if not isinstance(wish, Loss | Click)])
    clicked = [inbox_id for inbox_id, wish in wishes if isinstance(wish, Click)]
    if clicked:
        _click(app, clicked)
    ended = [inbox_id for inbox_id, wish in wishes if isinstance(wish, Loss)]
    if ended:
        _end(app, ended)
    return len(wishes)


def _note(tx: Transaction, app: App, wishes: Sequence[tuple[int, Wish]]) -> None:
    put_each_aside(
        tx, "inbox", [(str(inbox_id), wish.reason) for inbox_id, wish in wishes if isinstance(wish, Faulty)]
    )
    queries.close(tx, [(inbox_id, *_outcome(wish)) for inbox_id, wish in wishes])
    queries.mark(tx, _merged(wish for _, wish in wishes if isinstance(wish, Mark)))
    if any(isinstance(wish, LibraryChanged) for _, wish in wishes):
        reading_jobs.want(tx, "tags")
        tx.after_commit(partial(app.ring, "jobs"))


def _end(app: App, ids: Sequence[int]) -> None:
    with app.store.transaction() as tx:
        wishes = [(row.id, read(row)) for row in queries.lock_new(tx, ids)]
        queries.close(tx, [(inbox_id, "done", None) for inbox_id, _ in wishes])
        follow(tx, app, customers.lost(tx, app, [wish for _, wish in wishes if isinstance(wish, Loss)]))


def _click(app: App, ids: Sequence[int]) -> None:
    """What members pressed on their cards; before what ended, for a click of the same second came first."""
    with app.store.transaction() as tx:
        wishes = [(row.id, read(row)) for row in queries.lock_new(tx, ids)]
        queries.close(tx, [(inbox_id, "done", None) for inbox_id, _ in wishes])
        follow(tx, app, card_clicks.clicked(tx, app, [wish for _, wish in wishes if isinstance(wish, Click)]))


def _outcome(wish: Wish) -> tuple[str, str | None]:
    if isinstance(wish, Faulty):
        return "set_aside", wish.reason
    return "done", wish.reason if isinstance(wish, Unused) else None


def _merged(marks: Iterable[Mark]) -> list[Mark]:
    """One mark per relation: the latest add's if there is one, else that of a half-add, else any."""
    by_pair: defaultdict[tuple[str, str], list[Mark]] = defaultdict(list)
    for mark in marks:
        by_pair[mark.pair].append(mark)
    return [max(some, key=_strength)._replace(times=len(some)) for some in by_pair.values()]


def _strength(mark: Mark) -> tuple[int, int]:
    return {"added": 2, "half_added": 1}.get(mark.cause, 0), mark.added_at or 0


def _set_aside(app: App, inbox_id: int, reason: str) -> None:
    with app.store.transaction() as tx:
        queries.close(tx, [(inbox_id, "set_aside", reason)])
        put_aside(tx, "inbox", str(inbox_id), reason)
