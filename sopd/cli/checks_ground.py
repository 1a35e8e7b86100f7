"""Checks of `sopd doctor` on what the engine stands on: calendar, database and its disk, clocks, broker."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from sopd.cli import instants
from sopd.cli.desk import Desk
from sopd.cli.diagnosis import Finding, voice
from sopd.errors import ConfigError, SopdError
from sopd.store.errors import StoreError

LEAST_FREE_BYTES = 200 * 1024 * 1024
MOST_SKEW_MS = 2_000
MOST_WAKE_UPS = 200
"""Wake-ups of one kind fall together, so that many wait only while nobody takes any."""


def calendar_years(desk: Desk) -> Iterator[Finding]:
    """Years of the calendar that nobody has told the days off of."""
    from machines.calendar import local_date
    from sopd import holidays

    say = voice(desk).say
    try:
        table = holidays.workdays(desk.settings.company.holidays_file)
    except ConfigError as error:
        yield from (Finding("calendar", "wrong", fault, error.hint) for fault in error.faults or (error.message,))
        return
    today = local_date(_now(desk), desk.zone)
    missing = holidays.missing_years(table, today)
    if missing:
        yield Finding(
            "calendar", "note",
            say("no days off and make-up days are known for {years}: plain weekdays are used",
                years=", ".join(map(str, missing))),
            say("update sopd, or write them into a file and name it in company.holidays_file"),
        )  # fmt: skip
    else:
        yield Finding("calendar", "ok", say("{year} is known", year=today.year))


def _now(desk: Desk) -> int:
    """The engine's time; while there is no database, this machine's."""
    try:
        with desk.reading() as tx:
            return tx.now
    except SopdError:
        return time.time_ns() // 1_000_000


def database(desk: Desk) -> Iterator[Finding]:
    """Reachable, at this program's schema, writable, with room on the disk. Raises what keeps it from being so."""
    say, store = voice(desk).say, desk.store
    with store.transaction() as tx:  # begins, and so proves that writing is possible; writes nothing
        tx.value("select 1")
    yield Finding("database", "ok", say("{place} can be written", place=store.dialect.place))
    file = desk.database_file
    if file is not None:
        yield from _room(desk, file)
    if file is not None and not os.access(file.parent, os.W_OK):
        yield Finding(
            "database", "wrong", say("{folder} cannot be written", folder=file.parent),
            say("SQLite keeps its log beside the file"),
        )  # fmt: skip


def _room(desk: Desk, file: Path) -> Iterator[Finding]:
    say, disk = voice(desk).say, os.statvfs(file.parent)
    free = disk.f_bavail * disk.f_frsize
    if free < LEAST_FREE_BYTES:
        what = say("{free} MB are free on the disk of {folder}", free=free // 1_048_576, folder=file.parent)
        yield Finding("disk", "wrong", what, say("make room before it is full"))


def clocks(desk: Desk) -> Iterator[Finding]:
    """The database's clock decides; this machine's is held against it. A rehearsal's clock has no place in earnest."""
    from sopd.store.queries import views_health

    words = voice(desk)
    say = words.say
    try:
        with desk.reading() as tx:
            theirs, rehearsed = views_health.database_time(tx), views_health.rehearsal_clock(tx)
    except StoreError as error:
        yield Finding("clock", "wrong", error.message, error.hint)
        return
    skew = time.time_ns() // 1_000_000 - theirs
    if abs(skew) > MOST_SKEW_MS:
        span = words.span(skew)
        what = (
            say("this machine's clock is {span} ahead of the database's", span=span) if skew > 0
            else say("this machine's clock is {span} behind the database's", span=span)
        )  # fmt: skip
        yield Finding(
            "clock", "wrong", what,
            say("let both follow the same time server; the database's time decides when something is due"),
        )  # fmt: skip
    elif rehearsed is not None and not desk.settings.wecom.is_local:
        at = instants.shown(rehearsed, desk.zone)
        yield Finding(
            "clock", "wrong", say("time stands at {at}: a rehearsal's clock was left here", at=at),
            say("this is the database of a rehearsal; use another one for the real WeCom"),
        )  # fmt: skip
    else:
        at = instants.shown(theirs, desk.zone, seconds=True)
        yield Finding("clock", "ok", say("database {at}, no skew", at=at))


def broker(desk: Desk) -> Iterator[Finding]:
    """Database and broker fit each other; Redis answers, and somebody takes the wake-ups out of it."""
    say, settings = voice(desk).say, desk.settings
    if settings.broker.in_memory:
        if desk.database_file is not None:
            yield Finding("broker", "ok", say("inside this process"))
            return
        yield Finding(
            "broker", "note", say("memory:// wakes nobody outside a process, and PostgreSQL lets several work"),
            say("with one process this is fine; for more, set broker.url to redis://HOST:PORT/DATABASE"),
        )  # fmt: skip
        return
    if desk.database_file is not None:
        yield Finding(
            "broker", "note", say("Redis wakes several processes, but a SQLite file has exactly one daemon"),
            say("set store.url to postgresql://USER@HOST/NAME, or broker.url to memory://"),
        )  # fmt: skip
    yield _redis(desk)


def _redis(desk: Desk) -> Finding:
    from sopd import broker

    words, url = voice(desk), desk.settings.broker.url
    say, parts = words.say, urlsplit(url)
    place = f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path  # never the password
    queue, _ = broker.open_broker(desk.settings.broker)
    try:
        depths = broker.depths(queue)
    finally:
        queue.close()
    if not depths:
        return Finding(
            "broker", "wrong", say("Redis does not answer on {place}", place=place),
            say("start it, or correct broker.url; until then tickers do all the work, a tick late"),
        )  # fmt: skip
    waiting = sum(depths.values())
    if waiting > MOST_WAKE_UPS:
        return Finding(
            "broker", "wrong",
            say("{wakeups} wait in Redis on {place}: nobody takes them", wakeups=words.counted(waiting, "wake-up"),
                place=place),
            say("start workers: `sopd worker`; if they run, see their log"),
        )  # fmt: skip
    wakeups = words.counted(waiting, "wake-up")
    return Finding("broker", "ok", say("Redis answers on {place}, {wakeups} wait", place=place, wakeups=wakeups))
