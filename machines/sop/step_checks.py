"""What the values of one step say together: its moment, its channel's limits, who acts (SPEC 5, 6, WeCom 5).

Called for every step by `machines.sop.checks`; it looks at the SOP only for what steps have in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from machines.rules import Path
from machines.sop.content import CHANNELS, LinkAttachment, kind_of, link_lines, variables_in
from machines.sop.definition import Sop, Step
from machines.sop.variables import ALLOWED, is_known

MOMENT_KEYS = ("day", "after", "next", "on")


class Problem(NamedTuple):
    """One fault: the path of the value to change, and what is wrong and allowed, without the key's name."""

    path: Path
    message: str


def step_problems(sop: Sop, index: int, step: Step) -> Iterator[Problem]:
    """Every contradiction inside one step."""
    path: Path = ("steps", index)
    yield from _channel(sop, path, index, step)
    if step.by == "welcome":
        yield from _no_moment(path, step)
    else:
        yield from _moment(sop, path, step)
    yield from _waiting(sop, path, index, step)
    yield from _text(path, step)
    yield from _attachments(path, step)


def _channel(sop: Sop, path: Path, index: int, step: Step) -> Iterator[Problem]:
    by: Path = (*path, "by")
    if step.by == "welcome" and sop.kind != "new_customer":
        yield Problem(by, f"welcome greets who has just added a member; a SOP of kind {sop.kind} has none")
    elif step.by == "welcome" and index:
        yield Problem(by, "welcome is possible for the first step only: its code lives 20 seconds")
    if (step.by == "group_send") != (sop.kind == "group") and step.by not in ("remind", "webhook"):
        allowed = "group_send, remind and webhook" if sop.kind == "group" else "any other channel"
        yield Problem(by, f"{step.by} is not possible in a SOP of kind {sop.kind}; allowed here: {allowed}")
    if step.assign is not None and not CHANNELS[step.by].assigned:
        yield Problem((*path, "assign"), f"{step.by} is always the owner's; only remind and call are assigned")
    if step.by == "webhook" and step.to is None:
        yield Problem(path, "webhook needs `to`: the name of an address in the settings")
    if step.by != "webhook" and step.to is not None:
        yield Problem((*path, "to"), f"{step.by} goes to the customer; only webhook has an address")


def _no_moment(path: Path, step: Step) -> Iterator[Problem]:
    for key in ("day", "at", "after", "next", "on"):
        if getattr(step, key) is not None:
            yield Problem((*path, key), "welcome goes out at the moment of adding; it has no day and no time")


def _moment(sop: Sop, path: Path, step: Step) -> Iterator[Problem]:
    given = [key for key in MOMENT_KEYS if getattr(step, key) is not None]
    allowed = ("on",) if sop.strategy == "timed" else ("day", "after", "next")
    wrong = [key for key in given if key not in allowed]
    for key in wrong:
        other = "has fixed dates: write `on: 2026-12-24`" if sop.strategy == "timed" else (
            "counts from each customer's anchor: write day, after or next; fixed dates need strategy timed")
        yield Problem((*path, key), f"a {sop.strategy} SOP {other}")
    if not given:
        choice = "`on: 2026-12-24`" if sop.strategy == "timed" else "`day: N`, `after: 2h` or `next: monday`"
        yield Problem(path, f"says no time; give {choice}")
    elif len(given) > 1 and not wrong:
        yield Problem((*path, given[1]), f"says the time twice; keep one of {' and '.join(given)}")
    elif step.after is not None and step.at is not None:
        yield Problem((*path, "at"), "after counts elapsed time and has no time of day; take `at` or `after` away")
    elif step.after is None and step.at is None:
        yield Problem(path, f'{given[0]} needs a time of day; add `at: "10:00"`')


def _waiting(sop: Sop, path: Path, index: int, step: Step) -> Iterator[Problem]:
    if sop.pace != "stepwise":
        for key in ("wait", "at_most"):
            if getattr(step, key) is not None:
                yield Problem((*path, key), "waiting for an answer needs `pace: stepwise`")
    elif step.wait is not None and step.at_most is None:
        yield Problem((*path, "wait"), "needs an end; add `at_most: 7d`")
    elif step.at_most is not None and step.wait is None:
        yield Problem((*path, "at_most"), "limits a `wait: reply`, and this step has none")
    elif step.wait is not None and step is sop.steps[-1]:
        yield Problem((*path, "wait"), "no step follows that could wait for the answer; take the line away")


def _text(path: Path, step: Step) -> Iterator[Problem]:
    channel, here = CHANNELS[step.by], (*path, "text")
    size = len(step.text.encode())
    if not step.text.strip() and channel.must_speak:
        yield Problem(here if step.text else path, f"{step.by} needs a text")
    elif not step.text.strip() and not step.attachments and step.by != "webhook":
        yield Problem(here if step.text else path, f"{step.by} says nothing; give text, attachments or both")
    if channel.characters is not None and len(step.text) > channel.characters:
        yield Problem(here, f"has {len(step.text)} characters; {step.by} takes at most {channel.characters}")
    elif channel.bytes is not None and size > channel.bytes:
        yield Problem(here, f"has {size} bytes; {step.by} takes at most {channel.bytes} "
                            "(a Chinese character counts three)")
    variables = variables_in(step.text)
    if variables and not channel.variables:
        yield Problem(here, f"{step.by} text has no per-customer variables: {{{{{variables[0]}}}}} would be sent as it "
                            "stands; take it out, or use `by: remind`")
    elif channel.variables and ("" in variables or step.text.count("{{") != len(variables)):
        yield Problem(here, "has a variable that is not closed or has no name; write it as {{customer}}")
    elif step.by in ("remind", "call"):
        for name in variables:
            if not is_known(name):
                yield Problem(here, f"{{{{{name}}}}} is unknown; allowed are {ALLOWED}")
        size += sum(len(line.encode()) + 1 for line in link_lines(step.attachments))
        if step.attachments and channel.bytes is not None and size > channel.bytes:
            yield Problem(here, f"has {size} bytes with its links; {step.by} takes at most {channel.bytes}")


def _attachments(path: Path, step: Step) -> Iterator[Problem]:
    channel = CHANNELS[step.by]
    kinds = [kind_of(one) for one in step.attachments]
    for index, (one, kind) in enumerate(zip(step.attachments, kinds, strict=True)):
        here: Path = (*path, "attachments", index)
        if kind not in channel.attachments:
            allowed = ", ".join(channel.attachments) or "no attachments at all"
            yield Problem(here, f"{step.by} takes no {kind}; allowed: {allowed}")
        elif isinstance(one, LinkAttachment) and one.link.picture is not None:
            if (one.link.picture.file is None) is (step.by == "moment"):
                wanted = "a file" if step.by == "moment" else "a web address"
                yield Problem((*here, "link", "picture"), f"the picture of a link is {wanted} in {step.by}")
        elif isinstance(one, LinkAttachment) and step.by == "moment":
            yield Problem((*here, "link"), "the link of a moment needs a `picture`: a file")
    if step.by == "moment" and len(kinds) > 1 and set(kinds) != {"image"}:
        yield Problem((*path, "attachments"), "a moment takes up to 9 images, or one video, or one link; no mixture")
