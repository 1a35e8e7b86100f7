"""The loop that reminds silent members of their tasks (D19). No transaction is open while WeCom is called."""

from __future__ import annotations

from functools import partial

from sopd.handlers import nags, refusals
from sopd.handlers.app import App
from sopd.handlers.nags import Answer, Nag
from sopd.wecom.errors import WeComFailure
from sopd.wecom.parallel import read_many


def run_once(app: App) -> int:
    """Make the nags that are due; returns how many tasks were looked at."""
    wanted, looked_at = nags.claim(app)
    if wanted:
        nags.answered(app, list(read_many(partial(_ask, app), wanted).values.values()))
    return looked_at


def _ask(app: App, nag: Nag) -> Answer:
    """Remind one member, unless he has confirmed since the task was last polled. A failure is an answer."""
    try:
        shares = app.wecom.mass_send_tasks(nag.msgid)
        if any(share.user_id == nag.userid and share.confirmed for share in shares):
            return Answer(nag, needless=True)
        app.wecom.remind_mass_send(nag.msgid)
    except WeComFailure as failure:
        if refusals.errcode_of(failure) == refusals.CANCELLED:
            return Answer(nag, needless=True)
        return Answer(nag, failure=failure)
    return Answer(nag)
