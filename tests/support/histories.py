"""Random histories for hypothesis: one to four SOPs, a few members and customers, and what all of them do over days.

Every deed happens at a second of its own (odd ones; dues lie on whole minutes, confirmations on half seconds), so that
nothing hangs on the order of two things at one instant: SPEC promises nothing about it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.support.drawn_sops import KEYS, MEMBERS, TAGS, Draft, sops
from tests.support.oracle.history import Deed, History, at

DAY = 86_400_000
MINUTE = 60_000

SOURCES = ("expo", "live", "")
#: Mondays to Sundays with a make-up Sunday and a holiday near, and a plain week.
STARTS = ("2026-09-07 08:00", "2026-09-17 08:00", "2026-09-23 13:00")

PEOPLE = (
    *("tag",) * 6, *("untag",) * 2, *("own_send",) * 2, "customer_delete", "member_delete", "end", "chat", "add",
    "half_add",
    "confirm_half",
)  # fmt: skip
OPERATORS = ("mute", "unmute", "pause", "pause", "resume", "resume", "stop")
DOWNTIMES = ("down",)
SIGNALS = ("event", "event", "event", "reply", "reply", "message", "attribute", "attribute")
HANDS = ("enter", "move", "start")
HANDOVERS = ("transfer",)

RESUMING = ("", "", " shift", " catch_up", " admit", " catch_up admit")
ATTRIBUTES = (
    "level=gold", "level=silver", "amount=50", "amount=150", "paid_on='2026-09-08'", "paid_on='2026-09-20'",
    "paid_on=soon",
)  # fmt: skip

#: Minutes of the day around which much happens: before, just after and well after the usual moments of steps.
_BUSY = (
    1, 545, 570, 602, 604, 608, 612, 618, 622, 630, 640, 655, 700, 870, 872, 880, 1_081, 1_090, 1_246, 1_259, 1_330,
)  # fmt: skip


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    verbs: Sequence[str] = PEOPLE,
    kinds: Sequence[str] = ("new_customer",),
    most_sops: int = 3,
    days: int = 8,
) -> History:
    """Histories with deeds of these verbs beside the adds that begin them. With one kind alone they are plain."""
    quota = draw(st.sampled_from(("day:1", "day:1", "day:1", "week:7", "month:days")))
    members = MEMBERS[: draw(st.integers(1, 3))]
    keys = KEYS[: draw(st.integers(1, most_sops))]
    kind_of = tuple((key, draw(st.sampled_from(kinds))) for key in keys)
    drafts = [Draft(key, kind_of, members, quota, is_plain=len(set(kinds)) == 1) for key in keys]
    texts = tuple(_text(draw(sops(draft))) for draft in drafts)
    start = at(draw(st.sampled_from(STARTS)))
    until = start + draw(st.integers(2, days)) * DAY + draw(st.integers(0, 1_439)) * MINUTE
    later = draw(st.lists(st.sampled_from(keys), max_size=1)) if "start" in verbs else []
    return History(
        start=start,
        until=until + 30_100,
        sops=texts,
        deeds=tuple(draw(_deeds(members, keys, start, until, tuple(verbs)))),
        habits=tuple((member, draw(_habits())) for member in members),
        quota=quota,
        later=tuple(later),
    )


def _text(sop: dict[str, Any]) -> str:
    """As an operator would write it: values that are the same object are written out each."""
    return yaml.safe_dump(json.loads(json.dumps(sop)), allow_unicode=True, sort_keys=False)


def _habits() -> st.SearchStrategy[tuple[int | None, ...]]:
    """Minutes until a task is confirmed: at once, within hours, over night, the day after; or never."""
    delays = st.sampled_from((2, 12, 45, 45, 200, 700, 1_100, 1_600, None))
    return st.lists(delays, min_size=1, max_size=4).map(tuple)


# -- deeds -----------------------------------------------------------------------------------------------------------


@st.composite
def _deeds(
    draw: st.DrawFn, members: tuple[str, ...], keys: tuple[str, ...], start: int, until: int, verbs: tuple[str, ...]
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
            wanted.append((verb, when, *draw(_who(verb, pairs, members, keys))))
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
def _who(
    draw: st.DrawFn, verb: str, pairs: list[tuple[str, str]], members: tuple[str, ...], keys: tuple[str, ...]
) -> tuple[str, str, str]:
    """Whom a deed is about: member, customer, detail."""
    key = draw(st.sampled_from(keys))
    if verb in ("start", "pause", "stop"):
        return "", "", key
    if verb == "resume":
        return "", "", key + draw(st.sampled_from(RESUMING))
    member, customer = draw(st.sampled_from(pairs))
    if verb in ("mute", "unmute"):
        return "", customer, ""
    details: dict[str, st.SearchStrategy[str]] = {
        "tag": st.sampled_from(("r/bought", "r/bought", *TAGS)),
        "untag": st.sampled_from(("r/bought", "r/bought", *TAGS)),
        "add": st.sampled_from(SOURCES),
        "half_add": st.sampled_from(SOURCES),
        "end": st.just(key),
        "enter": st.just(key),
        "move": st.sampled_from(keys).map(lambda to: f"{key}>{to}"),
        "transfer": st.sampled_from(members),
        "event": st.sampled_from(("paid", "visit", "visit", "paid:amount=150", "paid:amount=50")),
        "reply": st.sampled_from(("hello", "what is the Price?", "yes")),
        "attribute": st.sampled_from(ATTRIBUTES),
    }
    return member, customer, draw(details[verb]) if verb in details else ""
