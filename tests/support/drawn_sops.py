"""Random definitions for hypothesis: new-customer and nurture SOPs, their rules, steps and ends.

They stay within what `apply` accepts and what SPEC says one thing about; see `_steps` for what is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

MEMBERS = ("alice", "bob", "carol")
KEYS = ("one", "two", "three", "four")
TAGS = ("r/bought", "r/price", "r/done", "r/out")
EVENTS = ("paid", "visit")
LEVELS = ("gold", "silver")

_CLOCKS = ("08:00", "09:15", "10:00", "10:10", "10:10", "14:30", "18:00", "20:45", "22:00")
_BY_DAY = tuple(clock for clock in _CLOCKS if clock != "22:00")
_AGES = ("30m", "5h", "26h", "3d")

Rule = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """One SOP to be drawn: `kinds` are those of all by key; `is_plain`: no other SOPs, signals or time."""

    key: str
    kinds: tuple[tuple[str, str], ...]
    members: tuple[str, ...]
    quota: str
    is_plain: bool

    @property
    def kind(self) -> str:
        return dict(self.kinds)[self.key]

    @property
    def others(self) -> list[str]:
        return [key for key, _ in self.kinds if key != self.key]

    @property
    def targets(self) -> list[str]:
        """Where its ends may flow to."""
        return [key for key, kind in self.kinds if kind == "nurture" and key != self.key]


@st.composite
def sops(draw: st.DrawFn, draft: Draft) -> dict[str, Any]:
    """One definition."""
    sop: dict[str, Any] = {"sop": draft.key, "title": draft.key, "kind": draft.kind}
    sop |= draw(
        st.fixed_dictionaries(
            {"priority": st.sampled_from((50, 50, 30, 70))},
            optional={
                "batch": st.fixed_dictionaries(
                    {"size": st.sampled_from((1, 2, 200)), "every": st.sampled_from(("10m", "30m", "2h"))}
                ),
                "late_at_entry": st.sampled_from(("skip", "next_day", {"within": "3h"})),
                "outage_grace": st.sampled_from(("same_day", "none", {"within": "2h"})),
                "quota_full": st.sampled_from(("skip", {"defer": "1d"}, {"defer": "3d"})),
            },
        )
    )
    if draft.kind == "new_customer" and draw(st.booleans()):
        sop["once_per"] = draw(st.sampled_from(("customer", "relation")))
    for name, values in _SELDOM.items():
        if draw(st.integers(0, 4)) == 4:
            sop[name] = draw(values)
    sop |= draw(_entries(draft))
    if draw(st.integers(0, 3)):
        sop["early_end"] = draw(_early_ends(draft))
    if draw(st.booleans()):
        sop["normal_end"] = draw(_ends(draft, ("r/done", "r/bought")))
    if draw(st.integers(0, 4)) == 4:
        sop["members"] = draw(st.lists(st.sampled_from(draft.members), min_size=1, unique=True))
    if not draft.is_plain:
        sop |= draw(st.sampled_from(({}, {}, {}, {"pace": "stepwise"}, {"strategy": "timed"})))
    if sop.get("strategy") == "timed":
        sop.pop("anchor", None)
    sop["steps"] = draw(_steps(draft, sop))
    return sop


_SELDOM: dict[str, st.SearchStrategy[Any]] = {
    "calendar": st.sampled_from(("weekdays", "china_workday")),
    "off_day": st.sampled_from(("next", "previous", "keep")),
    "quiet": st.just("12:00-14:00"),
}


# -- entries and ends ------------------------------------------------------------------------------------------------


@st.composite
def _entries(draw: st.DrawFn, draft: Draft) -> dict[str, Any]:
    """Whom it is for, and from when it counts."""
    if draft.kind == "new_customer":
        reenter = {} if draft.is_plain else draw(st.sampled_from(({}, {}, {"reenter": "after_end"})))
        when = {"when": draw(_rules())} if draw(st.integers(0, 4)) == 4 else {}
        return {"entry": when | reenter} if when or reenter else {}
    entry = {"reenter": draw(st.sampled_from(("never", "after_end", "after_end", {"after": "1d"})))}
    if draw(st.integers(0, 5)):
        entry["when"] = draw(_wide_rules(draft, _TIME))
    anchors = ["entry", "entry", "entry", "added", {"attribute": "paid_on"}]
    if "event" in str(entry.get("when", "")):
        anchors += ["event", "event"]
    owner = draw(st.sampled_from(({}, {"owner": "last_added"}, {"owner": "tagged_by"})))
    return {"entry": entry, "anchor": draw(st.sampled_from(anchors))} | owner


@st.composite
def _early_ends(draw: st.DrawFn, draft: Draft) -> dict[str, Any]:
    tag = {"tag": [draw(st.sampled_from(("r/bought", "r/bought", *TAGS)))]}
    other = {"tag": [draw(st.sampled_from(TAGS))]}
    plain = (tag, tag, {"any": [tag, other]}, {"all": [tag, {"not": other}]})
    wide = (tag,) if draft.is_plain else (draw(_wide_rules(draft, [*_TIME, *_ANSWERS])), {"event": "paid"})
    return {"when": draw(st.sampled_from((*plain, *wide)))} | draw(_ends(draft, ("r/out",), ("r/price",)))


@st.composite
def _ends(
    draw: st.DrawFn, draft: Draft, adds: Sequence[str], removes: Sequence[str] = ()
) -> dict[str, Any]:
    end: dict[str, Any] = {}
    if draw(st.booleans()):
        end["add_tags"] = [draw(st.sampled_from(adds))]
    if removes and draw(st.booleans()):
        end["remove_tags"] = [draw(st.sampled_from(removes))]
    if not draft.is_plain and draw(st.integers(0, 3)) == 3:
        end["set"] = {"level": draw(st.sampled_from(LEVELS))}
    if not draft.is_plain and draft.targets and draw(st.integers(0, 2)) == 2:
        end["flow_to"] = draw(st.sampled_from(draft.targets))
    return end


# -- rules -----------------------------------------------------------------------------------------------------------


def _tag(least: int = 1) -> st.SearchStrategy[Rule]:
    return st.lists(st.sampled_from(TAGS), min_size=least, max_size=2, unique=True).map(lambda names: {"tag": names})


_SOURCE = st.lists(st.sampled_from(("expo", "live")), min_size=1, unique=True).map(lambda names: {"source": names})
_MEMBER = st.sampled_from(MEMBERS).map(lambda name: {"member": name})
_ATTRIBUTE = st.sampled_from(
    ({"attribute": {"level": "gold"}}, {"attribute": {"amount": {"at_least": 100}}},
     {"attribute": {"level": {"exists": False}}})
)  # fmt: skip
_EVENT = st.sampled_from(
    ({"event": "paid"}, {"event": "visit"}, {"event": {"name": "paid", "where": {"amount": {"at_least": 100}}}})
)

_TIME: list[st.SearchStrategy[Rule]] = [
    st.sampled_from(_AGES).map(lambda age: {"added": {"older_than": age}}),
    st.sampled_from(_AGES).map(lambda age: {"silent": age}),
    st.sampled_from(_AGES).map(lambda age: {"talked": {"within": age}}),
]
_ANSWERS: list[st.SearchStrategy[Rule]] = [
    st.just({"replied": "any"}),
    st.just({"replied": {"keywords": ["price"]}}),
    st.sampled_from(_AGES).map(lambda age: {"event": {"name": "visit", "within": age}}),
]


def _rules() -> st.SearchStrategy[Rule]:
    """Rules over the relation alone, the same before and after the entry."""
    plain = st.one_of(_SOURCE, _tag().map(lambda rule: {"not": rule}), _MEMBER)
    return st.one_of(plain, _two_of(plain))


def _two_of(parts: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    return st.lists(parts, min_size=2, max_size=2).flatmap(
        lambda two: st.sampled_from(("all", "any")).map(lambda word: {word: two})
    )


def _wide_rules(draft: Draft, more: Sequence[st.SearchStrategy[Rule]]) -> st.SearchStrategy[Rule]:
    """Rules over all that is known of a customer."""
    parts = [_tag(), _tag(), _ATTRIBUTE, _EVENT, _SOURCE, _MEMBER, *more]
    if draft.others:
        others = st.sampled_from(draft.others)
        parts += [others.map(lambda key: {"in_sop": [key]}), others.map(lambda key: {"ended_sop": [key]})]
    one = st.one_of(*parts)
    signed = st.one_of(one, one, one.map(lambda rule: {"not": rule}))
    return st.one_of(one, one, _two_of(signed), st.tuples(one, _two_of(signed)).map(lambda two: {"all": list(two)}))


# -- steps -----------------------------------------------------------------------------------------------------------


@st.composite
def _steps(draw: st.DrawFn, draft: Draft, sop: dict[str, Any]) -> list[dict[str, Any]]:
    """A welcome perhaps, then one to four mass sends in the order of their moments."""
    if sop.get("strategy") == "timed":
        moments = draw(_dates())
    elif sop.get("pace") == "stepwise":
        moments = draw(_gaps())
    else:
        moments = draw(_moments(draft, sop))
    greets = draft.kind == "new_customer" and draw(st.booleans())
    steps = [{"id": "hello", "by": "welcome", "text": f"{draft.key}/hello"}] if greets else []
    for nth, moment in enumerate(moments):
        name = f"s{nth + 1}"
        step = {"id": name, **moment, "by": "mass_send", "text": f"{draft.key}/{name}"}
        if draw(st.integers(0, 4)) == 4:
            step["only_if"] = draw(_conditions(draft, [one["id"] for one in steps]))
        if not draft.is_plain and draw(st.integers(0, 4)) == 4:
            step["on_reply"] = draw(_ON_REPLY)
        if sop.get("pace") == "stepwise" and nth < len(moments) - 1 and draw(st.booleans()):
            step |= {"wait": "reply", "at_most": draw(st.sampled_from(("5h", "1d", "3d")))}
        steps.append(step)
    return steps


_ON_REPLY = st.sampled_from(
    (
        {"keywords": {"price": {"add_tags": ["r/price"]}}},
        {"any": {"add_tags": ["r/done"], "set": {"level": "silver"}}},
        {"keywords": {"yes": {"add_tags": ["r/bought"], "remove_tags": ["r/price"]}}, "any": {"set": {"amount": 120}}},
    )
)


def _conditions(draft: Draft, before: list[str]) -> st.SearchStrategy[Rule]:
    if draft.is_plain:
        return _rules()
    asked = [st.just({"replied": "any"}), *_TIME]
    if before:
        since = st.sampled_from(before)
        asked += [since.map(lambda step: {"replied": {"since": step}}),
                  since.map(lambda step: {"replied": {"since": step, "none": True}})]  # fmt: skip
    return st.one_of(_rules(), _wide_rules(draft, asked))


@st.composite
def _dates(draw: st.DrawFn) -> list[dict[str, Any]]:
    days = draw(st.lists(st.integers(8, 30), min_size=1, max_size=4, unique=True).map(sorted))
    return [{"on": f"2026-09-{day:02}", "at": draw(st.sampled_from(_BY_DAY))} for day in days]


@st.composite
def _gaps(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Each step some time after the one before."""
    moments = []
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.sampled_from(("day", "day", "after", "next")))
        if shape == "after":
            moments.append({"after": draw(st.sampled_from(("10m", "2h", "26h")))})
        else:
            when = {"day": draw(st.integers(1, 2))} if shape == "day" else {"next": draw(st.sampled_from(_WEEKDAYS))}
            moments.append({**when, "at": draw(st.sampled_from(_BY_DAY))})
    return moments


_WEEKDAYS = ("monday", "thursday", "saturday")


@st.composite
def _moments(draw: st.DrawFn, draft: Draft, sop: dict[str, Any]) -> list[dict[str, Any]]:
    """Moments in their order, all counted from the anchor, `after` and `next` among them.

    Day 0 stays by day and does not meet `previous`, nor follow an `after` under `next_day`: what a missed moment may
    hold up is left open by SPEC 5.
    """
    moments: list[dict[str, Any]] = []
    day, clock = (0 if sop.get("off_day") == "previous" else -1), ""
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.sampled_from(("day", "day", "day", "after", "next")))
        if shape == "after":
            moments.append({"after": draw(st.sampled_from(("10m", "2h", "26h", "3d")))})
            day = max(day, 0) if sop.get("late_at_entry") == "next_day" else day
        elif shape == "next":
            moments.append({"next": draw(st.sampled_from(_WEEKDAYS)), "at": draw(st.sampled_from(_BY_DAY))})
            break
        else:
            later = [one for one in _CLOCKS if one > clock] if draft.quota != "day:1" and day > 0 else []
            if later and draw(st.booleans()):
                clock = draw(st.sampled_from(later))
            else:
                day += draw(st.sampled_from((1, 1, 2)))
                clock = draw(st.sampled_from(_CLOCKS if day > 0 else _BY_DAY))
            moments.append({"day": day, "at": clock})
    if "day" in moments[-1] and moments[-1]["day"] == 0:  # so that no run ends at the very instant of its entry
        moments.append({"day": 1, "at": draw(st.sampled_from(_BY_DAY))})
    return moments
