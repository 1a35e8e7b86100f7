"""Instants for people and for programs, in the company's zone; and what people may write for one.

Only arithmetic of `machines.calendar`; the present instant comes from the store.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import click

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Instant, instant_of, local_datetime

_AGO = re.compile(r"(\d{1,5})\s*([mhdw])")
_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def shown(at: Instant, zone: str, *, seconds: bool = False) -> str:
    """`2026-03-02 10:00`, with seconds where the order within a minute matters."""
    return local_datetime(at, zone).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def iso(at: Instant, zone: str) -> str:
    """`2026-03-02T10:00:00+08:00`, milliseconds only where there are any."""
    return local_datetime(at, zone).isoformat(timespec="milliseconds" if at % SECOND_MS else "seconds")


def parts_of_span(ms: int) -> tuple[int, str]:
    """A length of time in its largest unit: (2, "d"), (5, "h"), (12, "min"), (45, "s")."""
    size = abs(ms)
    for unit, name in ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min")):
        if size >= unit:
            return size // unit, name
    return size // SECOND_MS, "s"


def span(ms: int) -> str:
    """A length of time, roughly: `45 s`, `12 min`, `5 h`, `3 d`."""
    n, unit = parts_of_span(ms)
    return f"{n} {unit}"


class MomentType(click.ParamType[Any]):
    """A moment: `2d` (that long ago), `2026-03-01`, or `2026-03-01T10:00`; local times are the company's.

    Converted to ("ago", ms), ("on", date) or ("at", datetime); `instant` makes an instant of it once zone and present
    are known.
    """

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See the class."""
        if not isinstance(value, str):
            return value
        text = value.strip()
        if ago := _AGO.fullmatch(text):
            return "ago", int(ago[1]) * _UNITS[ago[2]]
        try:
            if _DAY.fullmatch(text):
                return "on", dt.date.fromisoformat(text)
            return "at", dt.datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{value!r} is no moment; write 90m, 12h, 3d, 2w, 2026-03-01 or 2026-03-01T10:00", param, ctx)


MOMENT = MomentType()


def instant(moment: tuple[str, Any] | None, zone: str, now: Instant) -> Instant | None:
    """The instant of a converted moment; None stays None."""
    if moment is None:
        return None
    kind, value = moment
    if kind == "ago":
        return now - int(value)
    if kind == "on":
        return instant_of(value, dt.time(), zone)
    if value.tzinfo is not None:
        return round(value.timestamp() * 1000)
    return instant_of(value.date(), value.time(), zone)
