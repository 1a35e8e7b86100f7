"""What a rule means (SPEC 3, 4, 8, D4): judged on `About`, everything that can be known of a subject at one instant.

Rules are the trees of the YAML file. Tags belong to relations: all tag conditions inside one `all` are asked of the
same relation; a `not` asks all of them anew. A literal is a condition with its sign; an inherited one reads false.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.oracle.definition import duration, names

Literal = tuple[bool, str]
"""A condition as text, with its sign."""
NONE: frozenset[Literal] = frozenset()


@dataclass(frozen=True)
class Happening:
    """An event of a customer: its name, when, with which properties."""

    name: str
    at: int
    properties: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class About:
    """A subject at `now`. `tags`: a set for each relation in scope. `ended`: (SOP, how). `events`: those that count.

    `said`: what the customer wrote since the beginning of the run (None) and since each step that was sent.
    """

    now: int
    tags: tuple[frozenset[str], ...] = (frozenset(),)
    source: str = ""
    add_way: int = 1
    member: str = ""
    lost: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    audiences: frozenset[str] = frozenset()
    events: tuple[Happening, ...] = ()
    said: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    inside: frozenset[str] = frozenset()
    ended: frozenset[tuple[str, str]] = frozenset()
    added: int | None = None
    talked: int | None = None
    zone: str = "Asia/Shanghai"


def holds(rule: Any, about: About, inherited: frozenset[Literal] = NONE) -> bool:
    """Whether a rule is true; no rule is always true."""
    return rule is None or _is(rule, True, about, about.tags, inherited)


def _is(rule: Any, sign: bool, about: About, tags: tuple[frozenset[str], ...], inherited: frozenset[Literal]) -> bool:
    """The truth of a rule, or of its contrary, with tag conditions asked of these relations."""
    ((word, value),) = rule.items()
    if word == "not":
        return _is(value, not sign, about, about.tags, inherited)
    every, some = (all, any) if sign else (any, all)
    if word == "any":
        return some(_is(part, sign, about, tags, inherited) for part in value)
    if word == "all":
        return some(every(_is(part, sign, about, (one,), inherited) for part in value) for one in tags or _NOBODY)
    return _condition(word, value, about, tags) == sign and (sign, _text(rule)) not in inherited


_NOBODY = (frozenset(),)


def _condition(word: str, value: Any, about: About, tags: tuple[frozenset[str], ...]) -> bool:
    return {
        "tag": lambda: any(one & set(names(value)) for one in tags),
        "source": lambda: _came_by(value, about),
        "member": lambda: about.member in names(value),
        "lost": lambda: about.lost == value,
        "audience": lambda: bool(about.audiences & set(names(value))),
        "attribute": lambda: _compares(value, about.attributes),
        "event": lambda: any(is_asked_for(value, one, about.now) for one in about.events),
        "replied": lambda: _replied(value, about),
        "talked": lambda: about.talked is not None and about.now - about.talked < duration(value["within"]),
        "silent": lambda: (last := _last_talk(about)) is not None and about.now - last >= duration(value),
        "added": lambda: about.added is not None and about.now - about.added >= duration(value["older_than"]),
        "date_of": lambda: _is_today(about.attributes.get(value), about),
        "in_sop": lambda: bool(about.inside & set(names(value))),
        "ended_sop": lambda: _has_ended(value, about),
    }[word]()


def _came_by(value: Any, about: About) -> bool:
    if not isinstance(value, dict):
        return about.source in names(value)
    states, ways = value.get("state"), value.get("add_way")
    return (states is None or about.source in names(states)) and (ways is None or about.add_way in names(ways))


def is_asked_for(value: Any, event: Happening, now: int | None = None) -> bool:
    """Whether an `event` condition asks for this one; `within` only if `now` is given."""
    wanted = {"name": value} if isinstance(value, str) else value
    within = duration(wanted["within"]) if "within" in wanted else None
    fresh = now is None or within is None or now - event.at < within
    return event.name == wanted["name"] and fresh and _compares(wanted.get("where") or {}, dict(event.properties))


def _compares(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(_passes(asked, found.get(name)) for name, asked in wanted.items())


def _passes(asked: Any, found: Any) -> bool:
    """A missing value, or one of another type, fails every comparison but `exists: false`."""
    if not isinstance(asked, dict):
        return _same(found, asked)
    if "exists" in asked and asked["exists"] != (found is not None):
        return False
    tests = {
        "is": _same,
        "one_of": lambda one, wanted: any(_same(one, other) for other in names(wanted)),
        "at_least": lambda one, wanted: _is_number(one) and one >= wanted,
        "below": lambda one, wanted: _is_number(one) and one < wanted,
    }
    return all(found is not None and tests[word](found, wanted) for word, wanted in asked.items() if word != "exists")


def _same(one: Any, other: Any) -> bool:
    return (one == other and isinstance(one, bool) == isinstance(other, bool)) or (
        isinstance(other, dt.date) and one == other.isoformat()
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _replied(value: Any, about: About) -> bool:
    """False, `none` too, if the step asked about was not sent."""
    asked = {} if value == "any" else {"none": True} if value == "none" else value
    said = about.said.get(asked.get("since"))
    if said is None:
        return False
    if asked.get("keywords"):
        return any(word.casefold() in text.casefold() for text in said for word in names(asked["keywords"]))
    return bool(said) != asked.get("none", False)


def _last_talk(about: About) -> int | None:
    return about.added if about.talked is None else about.talked


def _has_ended(value: Any, about: About) -> bool:
    wanted = value if isinstance(value, dict) else {"sop": value}
    keys, ways = names(wanted["sop"]), wanted.get("by")
    return any(sop in keys and (ways is None or how in names(ways)) for sop, how in about.ended)


# -- literals --------------------------------------------------------------------------------------------------------


def literals(rule: Any, sign: bool = True) -> Iterator[tuple[str, Any, bool]]:
    """Every condition of the rule: its word, its value, and whether it stands under an even number of `not`."""
    ((word, value),) = rule.items()
    if word == "not":
        yield from literals(value, not sign)
    elif word in ("all", "any"):
        for part in value:
            yield from literals(part, sign)
    else:
        yield word, value, sign


def holding(rule: Any, about: About) -> frozenset[Literal]:
    """The literals that are true now."""
    return frozenset(
        (sign, _text({word: value}))
        for word, value, sign in literals(rule)
        if _condition(word, value, about, about.tags) == sign
    )


def occurring(rule: Any, came: frozenset[str], went: frozenset[str], event: Happening | None) -> frozenset[Literal]:
    """The literals that this very change makes occur, although they may have been true before."""
    return frozenset(
        (sign, _text({word: value}))
        for word, value, sign in literals(rule)
        if (word == "tag" and set(names(value)) & (came if sign else went))
        or (word == "event" and sign and event is not None and is_asked_for(value, event))
    )


def positive_tags(rule: Any) -> set[str]:
    """The tags that somebody must have (owner rule `tagged_by`)."""
    found = [] if rule is None else literals(rule)
    return {name for word, value, sign in found if word == "tag" and sign for name in names(value)}


def _text(condition: Any) -> str:
    return json.dumps(condition, sort_keys=True, default=str)


# -- what a rule looks at --------------------------------------------------------------------------------------------


def mentions(rule: Any) -> set[str]:
    """Everything that may change a rule, as words such as `tag r/bought`, `event paid`, `talk`."""
    return set() if rule is None else {one for word, value, _ in literals(rule) for one in _mentioned(word, value)}


def _mentioned(word: str, value: Any) -> list[str]:
    if word in ("tag", "audience"):
        return [f"{word} {name}" for name in names(value)]
    if word == "attribute":
        return [f"attribute {name}" for name in value]
    if word == "date_of":
        return [f"attribute {value}"]
    if word == "event":
        return [f"event {value if isinstance(value, str) else value['name']}"]
    if word in ("in_sop", "ended_sop"):
        return [f"sop {key}" for key in names(value["sop"] if isinstance(value, dict) else value)]
    return {"talked": ["talk"], "silent": ["talk", "added"]}.get(word, [word])


# -- time ------------------------------------------------------------------------------------------------------------


def next_flip(rule: Any, about: About) -> int | None:
    """The next instant at which time alone may change the rule."""
    found = [] if rule is None else [at for word, value, _ in literals(rule) for at in _edges(word, value, about)]
    return min((at for at in found if at > about.now), default=None)


def _edges(word: str, value: Any, about: About) -> list[int]:
    if word == "talked" and about.talked is not None:
        return [about.talked + duration(value["within"])]
    if word == "silent" and (last := _last_talk(about)) is not None:
        return [last + duration(value)]
    if word == "added" and about.added is not None:
        return [about.added + duration(value["older_than"])]
    if word == "event" and isinstance(value, dict) and "within" in value:
        return [one.at + duration(value["within"]) for one in about.events if is_asked_for(value, one)]
    if word == "date_of":
        return _midnights(about.attributes.get(value), about)
    return []


def as_date(value: Any) -> dt.date | None:
    """The date an attribute holds, if it holds one."""
    try:
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _is_today(value: Any, about: About) -> bool:
    day = as_date(value)
    today = dt.datetime.fromtimestamp(about.now / 1000, ZoneInfo(about.zone)).date()
    return day is not None and today == _remembered(day, today.year)


def _midnights(value: Any, about: About) -> list[int]:
    day, zone = as_date(value), ZoneInfo(about.zone)
    if day is None:
        return []
    year = dt.datetime.fromtimestamp(about.now / 1000, zone).year
    days = [_remembered(day, one) for one in (year, year + 1)]
    days += [one + dt.timedelta(days=1) for one in days]
    return [round(dt.datetime.combine(one, dt.time(0), zone).timestamp() * 1000) for one in days]


def _remembered(day: dt.date, year: int) -> dt.date:
    """29 February is remembered on the 28th in other years."""
    try:
        return day.replace(year=year)
    except ValueError:
        return dt.date(year, 2, 28)


def at(about: About, now: int) -> About:
    """The same subject at another instant."""
    return replace(about, now=now)
