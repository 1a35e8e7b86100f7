"""Mass sends that members made themselves: read every four hours and counted in the customers' windows (D9)."""

from __future__ import annotations

import datetime as dt

from tests.support.oracle.company import Company, OwnSend
from tests.support.oracle.definition import HOUR, MINUTE
from tests.support.oracle.people import SENT, SHANGHAI_MS, Relation, window

EVERY = 4 * HOUR
#: A round begins so long before the end of the last one, for clocks differ.
OVERLAP = 10 * MINUTE


def send(company: Company, relation: Relation, now: int) -> None:
    """A member mass-sends something of his own: at once, and it uses up the customer's window."""
    status = company.wecom.deliver(relation, relation.customer, now)
    company.own_sends.append(OwnSend(relation, now, status == SENT))


def count(company: Company, now: int) -> bool:
    """One round, if it is due: what was made since the last one by members who act for somebody inside. It waits for a
    later round while there is nobody inside at all."""
    if company.own_sends_at > now:
        return False
    company.own_sends_at = (now + SHANGHAI_MS) // EVERY * EVERY + EVERY - SHANGHAI_MS
    members = {run.relation.member for run in company.open_runs()}
    if not members:
        return True
    here = window(company.mode, now)
    since = company.listed_until if company.listed_until is not None else _begins(here)
    for one in company.own_sends:
        is_shown = since - OVERLAP <= one.at <= now and one.relation.member in members
        counts = one.was_sent and window(company.mode, one.at) >= here and company.is_known(one.relation.customer)
        one.booked = one.booked or (is_shown and counts)
    company.listed_until = now
    return True


def _begins(first: dt.date) -> int:
    return (first - dt.date(1970, 1, 1)).days * 24 * HOUR - SHANGHAI_MS
