"""The parts that shapes of what comes in have in common, and their faults as sentences with their places.

Bad input gets a precise error and changes nothing (SPEC 15.5): all faults of a batch are told at once.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)

from machines.calendar import Instant, instant_of
from sopd.clock import instant_from

MOST_FAULTS = 100
"""So many are told; the rest is counted."""

EARLIEST = instant_from(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
AUDIENCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""The name of an audience, as rules write it."""

_LONE_HALF = re.compile(r"[\ud800-\udfff]")

Plain = str | bool | int | float


def clean(text: str) -> str:
    """A text that every database takes; ValueError for one that none does."""
    if "\x00" in text or _LONE_HALF.search(text):
        raise ValueError("holds a NUL or half a character")
    return text


def _moment(value: Any, info: ValidationInfo) -> Instant:
    """ISO 8601; without an offset it is the company's time where the context has a `zone`, else a fault."""
    if isinstance(value, str):
        try:
            found = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("is no time; write 2026-03-01T10:00:00+08:00") from None
    else:
        raise ValueError("must be a text such as 2026-03-01T10:00:00+08:00")
    zone = (info.context or {}).get("zone")
    if found.tzinfo is None and zone is None:
        raise ValueError("has no offset; write 2026-03-01T10:00:00+08:00")
    at = instant_from(found) if found.tzinfo is not None else instant_of(found.date(), found.time(), str(zone))
    if at < EARLIEST:
        raise ValueError("lies before the year 2000")
    return at


def _plain(value: Any) -> Plain:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("is no number")
    if not isinstance(value, bool | int | float):
        raise ValueError("must be a text, a number, true or false")
    return value


def _named(value: str) -> str:
    if value != value.strip() or not value.isprintable():
        raise ValueError("must be visible characters, without a blank at its ends")
    return clean(value)


Name = Annotated[str, Strict(), Field(min_length=1, max_length=200), AfterValidator(_named)]
Ref = Annotated[str, Strict(), Field(min_length=1, max_length=200, pattern=r"^[!-~]+$",
                                     description="Your own id of it; a second delivery changes nothing")]  # fmt: skip
Moment = Annotated[
    Instant, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
Value = Annotated[
    Plain, BeforeValidator(_plain),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}),
]  # fmt: skip
Values = dict[Name, Value]


class Shape(BaseModel):
    """An object that comes in: no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Arrival(Shape):
    """One that acts once, by its ref."""

    ref: Ref


class Fault(NamedTuple):
    """What is wrong with one item: its index, the field (`""`: the item itself), and the sentence."""

    index: int
    field: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.field}: {self.sentence}" if self.field else self.sentence


A = TypeVar("A", bound=Shape)


class Read(NamedTuple, Generic[A]):
    """Items by their index, and every fault; whoever has faults takes nothing."""

    items: list[tuple[int, A]]
    faults: list[Fault]


def read(shape: type[A], items: Sequence[Any], *, zone: str | None = None) -> Read[A]:
    """Check items of one batch. `zone`: in which times without an offset are meant; None refuses them."""
    found: Read[A] = Read([], [])
    for index, item in enumerate(items):
        try:
            found.items.append((index, shape.model_validate(item, context={"zone": zone})))
        except ValidationError as error:
            found.faults.extend(Fault(index, *_told(one, shape)) for one in error.errors(include_url=False))
    return found


def _told(error: Mapping[str, Any], shape: type[Shape]) -> tuple[str, str]:
    """(field, sentence) of one of pydantic's errors; values are shortened, and those of phones never shown."""
    place = [str(part) for part in error["loc"] if part != "[key]"]
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        sentence = str(context["error"])
    elif kind == "extra_forbidden":
        known = (field.alias or name for name, field in shape.model_fields.items())
        sentence = f"is unknown; allowed here: {', '.join(known)}"
    elif kind in _SAID:
        sentence = _SAID[kind].format(**context)
    else:
        sentence = str(error["msg"])
    return ".".join(place)[:200], sentence


_SAID = {
    "missing": "is missing",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "may hold visible ASCII characters only, without blanks",
    "too_long": "has more than {max_length} entries",
    "dict_type": "must be an object",
    "model_type": "must be an object",
}
