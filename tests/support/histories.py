"""Random histories for hypothesis: one to four SOPs, a few members and customers, and what all of them do over days.

Every deed happens at a second of its own (odd ones; dues lie on whole minutes, confirmations on half seconds), so that
nothing hangs on the order of two things at one instant: SPEC promises nothing about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.support.oracle.history import Deed, History, at

DAY = 86_400_000
MINUTE = 60_000

MEMBERS = ("alice", "bob", "carol")
KEYS = ("one", "two", "three", "four")
SOURCES = ("expo", "live", "")
TAGS = ("r/bought", "r/price", "r/done", "r/out")
#: Mondays to Sundays with a make-up Sunday and a holiday near, and a plain week.
STARTS = ("2026-09-07 08:00", "2026-09-17 08:00", "2026-09-23 13:00")

PEOPLE = (
    *("tag",) * 6, *("untag",) * 2, *("own_send",) * 2, "customer_delete", "member_delete", "end", "chat", "add",
    "half_add",
    "confirm_half",
)  # fmt: skip
OPERATORS = ("mute", "unmute", "pause", "pause", "resume", "resume", "stop")
DOWNTIMES = ("down",)

#: Minutes of the day around which much happens: before, just after and well after the usual moments of steps.
_BUSY = (
    1, 545, 570, 602, 604, 608, 612, 618, 622, 630, 640, 655, 700, 870, 872, 880, 1_081, 1_090, 1_246, 1_259, 1_330,
)  # fmt: skip
_CLOCKS = ("08:00", "09:15", "10:00", "10:10", "10:10", "14:30", "18:00", "20:45", "22:00")
_BY_DAY = tuple(clock for clock in _CLOCKS if clock != "22:00")


@st.composite
def histories(draw: st.DrawFn, *, verbs: Sequence[str] = PEOPLE, most_sops: int = 3, days: int = 8) -> History:
    """Histories with deeds of these verbs beside the adds that begin them."""
    quota = draw(st.sampled_from(("day:1", "day:1", "day:1", "week:7", "month:days")))
    members = MEMBERS[: draw(st.integers(1, 3))]
    sops = tuple(
        yaml.safe_dump(draw(_sops(key, members, quota)), allow_unicode=True, sort_keys=False)
        for key in KEYS[: draw(st.integers(1, most_sops))]
    )
    start = at(draw(st.sampled_from(STARTS)))
    until = start + draw(st.integers(2, days)) * DAY + draw(st.integers(0, 1_439)) * MINUTE
    return History(
        start=start,
        until=until + 30_100,
        sops=sops,
        deeds=tuple(draw(_deeds(members, len(sops), start, until, tuple(verbs)))),
        habits=tuple((member, draw(_habits())) for member in members),
        quota=quota,
    )


def _habits() -> st.SearchStrategy[tuple[int | None, ...]]:
    """Minutes until a task is confirmed: at once, within hours, over night, the day after; or never."""
    delays = st.sampled_from((2, 12, 45, 45, 200, 700, 1_100, 1_600, None))
    return st.lists(delays, min_size=1, max_size=4).map(tuple)


# -- deeds -----------------------------------------------------------------------------------------------------------


@st.composite
def _deeds(
    draw: st.DrawFn, members: tuple[str, ...], sops: int, start: int, until: int, verbs: tuple[str, ...]
) -> list[Deed]:
    span = (until - start) // MINUTE
    adds = [
        ("add", minute, member, customer, draw(st.sampled_from(SOURCES)))
        for customer in [f"wm{nth}" for nth in range(1, draw(st.integers(1, 4)) + 1)]
        for member in draw(st.lists(st.sampled_from(members), min_size=1, max_size=2, unique=True))
        for minute in [draw(st.one_of(st.integers(0, min(span, 1_440)), st.integers(0, 180)))]
    ]
    pairs = [(member, customer) for _, _, member, customer, _ in adds]
    wanted = list(adds)
    for verb in draw(st.lists(st.sampled_from(verbs), max_size=14)):
        when = draw(_minutes(start, span))
        if verb == "down":
            back = min(when + draw(st.sampled_from((1, 20, 90, 400, 1_000, 1_500))), span)
            wanted += [("down", when, "", "", ""), ("up", back, "", "", "")]
        else:
            wanted.append((verb, when, *draw(_who(verb, pairs, sops))))
    wanted.sort(key=lambda deed: deed[1])
    return [
        Deed(start + minute * MINUTE + (2 * nth + 1) % 60 * 1_000, verb, member, customer, detail)
        for nth, (verb, minute, member, customer, detail) in enumerate(wanted)
    ]


def _minutes(start: int, span: int) -> st.SearchStrategy[int]:
    """Minutes of the history, many of them at busy hours."""
    first = (start - at("2026-09-07 00:00")) // MINUTE % 1_440
    days = st.integers(0, max(span // 1_440, 0))
    busy = st.builds(lambda day, minute: max(0, min(day * 1_440 + minute - first, span)), days, st.sampled_from(_BUSY))
    return st.one_of(busy, busy, st.integers(0, span))


@st.composite
def _who(draw: st.DrawFn, verb: str, pairs: list[tuple[str, str]], sops: int) -> tuple[str, str, str]:
    """Whom a deed is about: member, customer, detail."""
    key = KEYS[draw(st.integers(0, sops - 1))]
    if verb in ("pause", "resume", "stop"):
        return "", "", key
    member, customer = draw(st.sampled_from(pairs))
    if verb in ("mute", "unmute"):
        return "", customer, ""
    if verb in ("tag", "untag"):
        return member, customer, draw(st.sampled_from(("r/bought", "r/bought", *TAGS)))
    detail = st.sampled_from(SOURCES) if verb in ("add", "half_add") else st.just(key if verb == "end" else "")
    return member, customer, draw(detail)


# -- definitions -----------------------------------------------------------------------------------------------------


@st.composite
def _sops(draw: st.DrawFn, key: str, members: tuple[str, ...], quota: str) -> dict[str, Any]:
    sop: dict[str, Any] = {"sop": key, "title": key, "kind": "new_customer"}
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
                "once_per": st.sampled_from(("customer", "relation")),
                "normal_end": st.fixed_dictionaries({"add_tags": st.sampled_from((["r/done"], ["r/bought"]))}),
            },
        )
    )
    for name, values in _SELDOM.items():
        if draw(st.integers(0, 4)) == 4:
            sop[name] = draw(values)
    if draw(st.integers(0, 3)):
        sop["early_end"] = draw(_early_ends())
    if draw(st.integers(0, 4)) == 4:
        sop["members"] = draw(st.lists(st.sampled_from(members), min_size=1, unique=True))
    sop["steps"] = draw(_steps(key, quota, sop))
    return sop


def _rules() -> st.SearchStrategy[dict[str, Any]]:
    """Rules over what a new-customer SOP of this version may ask for."""
    tags = st.lists(st.sampled_from(TAGS), min_size=1, max_size=2, unique=True).map(lambda names: {"tag": names})
    sources = st.lists(st.sampled_from(("expo", "live")), min_size=1, unique=True).map(lambda names: {"source": names})
    owners = st.sampled_from(MEMBERS).map(lambda name: {"member": name})
    plain = st.one_of(sources, tags.map(lambda rule: {"not": rule}), owners)
    both = st.lists(plain, min_size=2, max_size=2).flatmap(
        lambda parts: st.sampled_from(("all", "any")).map(lambda word: {word: parts})
    )
    return st.one_of(plain, both)


_SELDOM: dict[str, st.SearchStrategy[Any]] = {
    "calendar": st.sampled_from(("weekdays", "china_workday")),
    "off_day": st.sampled_from(("next", "previous", "keep")),
    "quiet": st.just("12:00-14:00"),
    "entry": st.fixed_dictionaries({"when": _rules()}),
}


@st.composite
def _early_ends(draw: st.DrawFn) -> dict[str, Any]:
    tag = {"tag": [draw(st.sampled_from(("r/bought", "r/bought", *TAGS)))]}
    other = {"tag": [draw(st.sampled_from(TAGS))]}
    rule = draw(st.sampled_from((tag, tag, {"any": [tag, other]}, {"all": [tag, {"not": other}]})))
    end: dict[str, Any] = {"when": rule}
    if draw(st.booleans()):
        end["add_tags"] = ["r/out"]
    if draw(st.booleans()):
        end["remove_tags"] = ["r/price"]
    return end


@st.composite
def _steps(draw: st.DrawFn, key: str, quota: str, sop: dict[str, Any]) -> list[dict[str, Any]]:
    """A welcome perhaps, then one to four mass sends in the order of their moments, `after` and `next` among them.

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
            weekday = draw(st.sampled_from(("monday", "thursday", "saturday")))
            moments.append({"next": weekday, "at": draw(st.sampled_from(_BY_DAY))})
            break
        else:
            later = [one for one in _CLOCKS if one > clock] if quota != "day:1" and day > 0 else []
            if later and draw(st.booleans()):
                clock = draw(st.sampled_from(later))
            else:
                day += draw(st.sampled_from((1, 1, 2)))
                clock = draw(st.sampled_from(_CLOCKS if day > 0 else _BY_DAY))
            moments.append({"day": day, "at": clock})
    if "day" in moments[-1] and moments[-1]["day"] == 0:  # so that no run ends at the very instant of its entry
        moments.append({"day": 1, "at": draw(st.sampled_from(_BY_DAY))})
    steps = [{"id": "hello", "by": "welcome", "text": f"{key}/hello"}] if draw(st.booleans()) else []
    for nth, moment in enumerate(moments):
        name = f"s{nth + 1}"
        step = {"id": name, **moment, "by": "mass_send", "text": f"{key}/{name}"}
        if draw(st.integers(0, 4)) == 4:
            step["only_if"] = draw(_rules())
        steps.append(step)
    return steps
