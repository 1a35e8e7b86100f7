"""How the engine learns what happened: letters, their repetitions, and the daily full read (SPEC 4, 15.1, D2, D24)."""

from __future__ import annotations

import datetime as dt

from tests.support.oracle import entry, handovers
from tests.support.oracle.chains import begun, tag_news
from tests.support.oracle.company import Company
from tests.support.oracle.definition import DAY, SECOND
from tests.support.oracle.follow import follow
from tests.support.oracle.people import SHANGHAI_MS, Letter, Relation

REPEATED_AFTER = (0, 5 * SECOND, 10 * SECOND, 15 * SECOND)
CODE_LIVES = 20 * SECOND
DAILY_READ = dt.timedelta(hours=3, minutes=30)


def write(company: Company, relation: Relation, now: int, *, code: bool = False, ended_by: str = "") -> None:
    """Something happened between the two: a reason to read them again. Of an end the letter says whose it was."""
    company.letters.append(Letter(relation, now, now, code, ended_by, relation.half))


def lose_undelivered(company: Company, now: int) -> None:
    """Back from a downtime at `now`: each letter comes with its next repetition, or was given up."""
    for letter in list(company.letters):
        tries = [letter.written + after for after in REPEATED_AFTER if letter.written + after >= now]
        if tries:
            letter.arrives = tries[0]
        else:
            company.letters.remove(letter)


def read(company: Company, now: int) -> bool:
    """Read again whomever a letter that has come is about."""
    come = [letter for letter in company.letters if letter.arrives <= now]
    for letter in come:
        company.letters.remove(letter)
        if letter.half:
            company.half_known.add(letter.relation.customer)
        learn(company, letter, now, code=letter.code and now <= letter.written + CODE_LIVES)
    return bool(come)


def reconcile(company: Company, now: int) -> bool:
    """The daily read of everybody at 03:30, made up for after a downtime."""
    if company.reconcile_at > now:
        return False
    for relation in list(company.relations.values()):
        learn(company, Letter(relation, now, now, ended_by="reading"), now, code=False)
    local = dt.datetime.fromtimestamp((now + SHANGHAI_MS) / 1000, dt.UTC)
    today = local.replace(hour=0, minute=0, second=0, microsecond=0) + DAILY_READ
    company.reconcile_at = round(today.timestamp() * 1000) - SHANGHAI_MS
    while company.reconcile_at <= now:
        company.reconcile_at += DAY
    return True


def learn(company: Company, letter: Letter, now: int, *, code: bool) -> None:
    """Make the engine's picture of a relation true; a later createtime is a new beginning (D24)."""
    relation = letter.relation
    if relation.known and not (relation.friends and relation.known_since == relation.began):
        handovers.lose(company, relation, now, by=letter.ended_by or "reading", at=letter.written)
    if relation.friends and not relation.known:
        relation.known, relation.known_since, relation.seen_tags = True, relation.began, set(relation.tags)
        relation.learned = now
        over = handovers.take_over(company, relation, now)
        entered = entry.admit(company, relation, now, code=code)
        follow(company, [begun(relation), *handovers.ended(over), *entered], now, left=over)
    elif relation.known:
        before, relation.seen_tags = relation.seen_tags, set(relation.tags)
        follow(company, tag_news(relation, relation.seen_tags - before, before - relation.seen_tags), now)


def take_back(company: Company, now: int) -> bool:
    """WeCom refused tags of ours, because the relation is over: they do not hold any more (SPEC 8)."""
    refused, company.refused_tags = company.refused_tags, []
    for relation, tags in refused:
        gone = tags & relation.seen_tags if not relation.friends else set()
        relation.seen_tags -= gone
        follow(company, tag_news(relation, set(), gone), now)
    return bool(refused)
