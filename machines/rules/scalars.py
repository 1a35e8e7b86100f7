"""The small values of a definition file: durations, times of day, dates, names and lists of names.

Used by the pydantic models of `machines.rules` and `machines.sop` only. Each type says in one sentence what is allowed
and is written back in the form it is read in, so that a stored definition reads like the file.
"""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
)

from machines.errors import DefinitionError

UNITS = {"m": 60, "h": 3600, "d": 86_400}
LONGEST = timedelta(days=3650)

DURATION = re.compile(r"(\d{1,6})([mhd])")
CLOCK_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
QUIET = re.compile(r"(?P<start>[^-\s]+)\s*-\s*(?P<end>[^-\s]+)")


class Block(BaseModel):
    """A mapping of a definition file: immutable, hashable where its values are, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


def refuse(message: str) -> DefinitionError:
    """A fault of one value, whose sentence is shown to people after the value's key; pydantic gathers them all."""
    return DefinitionError(message)


def shown(value: object) -> str:
    """A value as an operator wrote it, cut to a readable length."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def milliseconds(duration: timedelta) -> int:
    """A duration in milliseconds."""
    return duration // timedelta(milliseconds=1)


def _to_duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise refuse(f"{shown(value)} is not a duration; write a number and m, h or d: 30m, 2h, 3d")
    duration = timedelta(seconds=int(found[1]) * UNITS[found[2]])
    if duration > LONGEST:
        raise refuse(f"{value} is too long; at most 3650d are allowed")
    return duration


def _from_duration(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    unit, size = next(found for found in reversed(UNITS.items()) if seconds % found[1] == 0)
    return f"{seconds // size}{unit}"


def _not_zero(value: Any) -> timedelta:
    duration = _to_duration(value)
    if not duration:
        raise refuse("must be longer than nothing, for example 30m, 2h or 3d")
    return duration


def _whole_days(value: Any) -> timedelta:
    duration = _not_zero(value)
    if duration % timedelta(days=1):
        raise refuse(f"{shown(value)} is not whole days; write for example 3d")
    return duration


_WRITTEN = PlainSerializer(_from_duration, return_type=str)
_PATTERN = Field(pattern=f"^{DURATION.pattern}$", examples=["30m", "2h", "3d"])
Elapsed = Annotated[timedelta, BeforeValidator(_to_duration, Annotated[str, _PATTERN]), _WRITTEN]
"""A duration that may be nothing (`0m`)."""
Duration = Annotated[timedelta, BeforeValidator(_not_zero, Annotated[str, _PATTERN]), _WRITTEN]
"""A duration of at least a minute."""
WholeDays = Annotated[
    timedelta, BeforeValidator(_whole_days, Annotated[str, Field(pattern=r"^\d{1,6}d$", examples=["3d"])]), _WRITTEN
]
"""A duration of one or more whole days."""


def to_time(value: Any) -> time:
    """`"10:00"` as a time of day; raises a fault that says how to write it."""
    if isinstance(value, time):
        return value
    found = CLOCK_TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise refuse(f'{shown(value)} is not a time of day; write it in quotes as "HH:MM", for example "09:30"')
    return time(int(found[1]), int(found[2]))


ClockTime = Annotated[
    time,
    BeforeValidator(to_time, Annotated[str, Field(pattern=f"^{CLOCK_TIME.pattern}$", examples=["10:00"])]),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str),
]


def _to_window(value: Any) -> tuple[time, time]:
    if isinstance(value, tuple) and len(value) == 2:
        return value
    found = QUIET.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise refuse(f'{shown(value)} is not a span of the day; write it as "21:00-08:00"')
    start, end = to_time(found["start"]), to_time(found["end"])
    if start == end:
        raise refuse(f"{shown(value)} begins and ends at the same time; a whole day cannot be quiet")
    return start, end


Window = Annotated[
    tuple[time, time],
    BeforeValidator(_to_window, Annotated[str, Field(examples=["21:00-08:00"])]),
    PlainSerializer(lambda value: f"{value[0]:%H:%M}-{value[1]:%H:%M}", return_type=str),
]
"""A span of the day that may reach over midnight."""


def _to_date(value: Any) -> date:
    try:
        if isinstance(value, str) and ISO_DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        raise refuse(f"{value} is not in the calendar; write a date as 2026-12-24") from None
    if isinstance(value, date):
        return value
    raise refuse(f"{shown(value)} is not a date; write it as 2026-12-24")


Day = Annotated[
    date, BeforeValidator(_to_date, Annotated[str, Field(pattern=f"^{ISO_DATE.pattern}$", examples=["2026-12-24"])])
]

Text = Annotated[str, Strict()]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]


def _to_number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(f"{shown(value)} is not a number; write for example 100 or 9.5, without quotes")
    return value


def _to_plain(value: Any) -> str | bool | int | float:
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str | bool | int | float):
        raise refuse(f"{shown(value)} is not a value; write a text, a number, true or false")
    return value


Number = Annotated[int | float, PlainValidator(_to_number, int | float)]
Plain = Annotated[str | bool | int | float, PlainValidator(_to_plain, str | bool | int | float)]
"""A text, a number, true or false. A date is kept as the text 2026-12-24."""


def _named(value: str) -> str:
    if not value.strip():
        raise refuse("must not be empty")
    if value != value.strip():
        raise refuse(f"{shown(value)} begins or ends with a blank; take it away")
    return value


Name = Annotated[Text, Field(min_length=1, max_length=200), AfterValidator(_named)]
"""A name that is shown to people or comes from WeCom: a tag, a stage, an event, a member."""
KEY = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Key = Annotated[Text, Field(pattern=KEY)]
"""The key of a SOP, a journey or a step: it stands in rows, commands and file names."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _once(names: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(names))


Names = Annotated[
    tuple[Name, ...], Field(min_length=1, max_length=1000), BeforeValidator(_listed, Name | list[Name]),
    AfterValidator(_once),
]
"""One name or a list of them, kept in the order of the file and each only once."""
NameList = Annotated[tuple[Name, ...], Field(max_length=1000), BeforeValidator(_listed, Name | list[Name]),
                     AfterValidator(_once)]
"""As `Names`, but it may be empty."""
Keys = Annotated[
    tuple[Key, ...], Field(min_length=1, max_length=100), BeforeValidator(_listed, Key | list[Key]),
    AfterValidator(_once),
]
"""One key or a list of them."""
Numbers = Annotated[
    tuple[Whole, ...], Field(min_length=1, max_length=100),
    BeforeValidator(lambda value: [value] if isinstance(value, int) else value, Whole | list[Whole]),
]
"""One whole number or a list of them."""


def by_shape(word: str, block: str) -> Discriminator:
    """Tells a plain word from a mapping, so that only the faults of what was meant are reported."""
    return Discriminator(lambda value: f"<{block}>" if isinstance(value, dict | BaseModel) else f"<{word}>")
