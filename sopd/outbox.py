"""The loops that carry welcomes and tag writes to WeCom (D21, SPEC 8). No transaction is open while WeCom is called."""

from __future__ import annotations

from functools import partial

from sopd.handlers import greetings, outbox
from sopd.handlers.app import App
from sopd.handlers.greetings import Greeting
from sopd.handlers.outbox import Write
from sopd.wecom.errors import WeComFailure
from sopd.wecom.parallel import read_many


def run_once(app: App) -> int:
    """Make a page of tag writes, a few at a time; returns how many were claimed."""
    writes = outbox.claim(app)
    if writes:
        made = read_many(partial(_write, app), writes).values.values()
        outbox.record(app, [one for one in made if one is not None])
    return len(writes)


def run_fast(app: App) -> int:
    """Send a page of welcomes, a few at a time; returns how many were claimed."""
    claimed = greetings.claim(app)
    if claimed:
        greetings.record(app, list(read_many(partial(_greet, app), claimed).values.values()))
    return len(claimed)


def _write(app: App, write: Write) -> outbox.Outcome | None:
    """One call, or None if the lease may run out meanwhile: then a younger write of the relation could come before."""
    if app.store.now() > write.until:
        return None
    act, tags = write.act, write.payload
    try:
        app.wecom.mark_tags(act.userid, act.external_userid, tags.add, tags.remove)
    except WeComFailure as failure:
        return outbox.Outcome(write, failure)
    return outbox.Outcome(write)


def _greet(app: App, greeting: Greeting) -> greetings.Outcome:
    if greeting.objection is not None:
        return greetings.Outcome(greeting)
    if app.store.now() > greeting.until:
        return greetings.Outcome(greeting, begun=False)
    try:
        app.wecom.send_welcome(greeting.code, greeting.content.text, greeting.content.attachments)
    except WeComFailure as failure:
        return greetings.Outcome(greeting, failure)
    return greetings.Outcome(greeting)
