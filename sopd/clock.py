"""Instants at the doors of the shell: an int of milliseconds inside, an aware datetime outside.

Work takes its `now` from the store (the database's time); a host's clock is read through `HostClock` only for things
that are this process's own, like the age of a token. Nothing here converts to local dates: `machines.calendar` does.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from machines.calendar import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """Anything that knows what time it is."""

    def now(self) -> Instant:
        """The present instant."""
        ...


class HostClock:
    """This machine's clock. It decides nothing about customers."""

    def now(self) -> Instant:
        """The present instant, as this machine has it."""
        return time.time_ns() // 1_000_000


def instant_from(moment: datetime) -> Instant:
    """The instant of an aware datetime, parts of a millisecond cut off; ValueError for a naive one."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{moment!r} is naive: an instant needs a zone")
    return (moment - _EPOCH) // _MILLISECOND


def utc_datetime(at: Instant) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + at * _MILLISECOND


def iso_utc(at: Instant) -> str:
    """An instant for machines to read: `2026-03-01T02:00:00.000Z`."""
    return utc_datetime(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant_from_iso(text: str) -> Instant:
    """The instant of an ISO 8601 text with a zone. ValueError, saying what is missing, for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time like 2026-03-01T10:00:00+08:00") from None
    return instant_from(moment)
