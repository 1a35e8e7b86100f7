"""`enrollment show`: a run's story as a page for people, or as one JSON object.

Every instant is shown in the company's zone. `story` knows the facts; here they become words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.text import Text

from sopd.cli import customers, describing, instants, output, runs, story
from sopd.cli.desk import Desk
from sopd.cli.output import Column, plain
from sopd.cli.page import Page, joined
from sopd.cli.story import Event, Inherited, StepLine, Story
from sopd.cli.taming import tame
from sopd.cli.words import Words

STEPS = (
    Column("no", "number"), Column("step"), Column("channel", "channel"), Column("state", "state"),
    Column("due_at", "instant"), Column("may_send_at", "instant", wide=True), Column("sent_at", "instant"),
    Column("task", "number"), Column("reason", "reason"), Column("mark", "reason", wide=True),
    Column("push", "number", wide=True), Column("waits_until", "instant", wide=True), Column("task_state", wide=True),
    Column("task_at", "instant", wide=True), Column("expires_at", "instant", wide=True),
)  # fmt: skip
MARK = Column("mark", "reason")


def show(desk: Desk, enrollment_id: int) -> None:
    """Read and print it."""
    with desk.reading() as tx:
        told = story.read(tx, desk.programs, enrollment_id)
        steps = runs.listed(tx, [told.run])[0]
    if desk.output == "json":
        output.document(desk, _as_json(desk, told, steps))
        return
    page = Page(desk)
    page.title(f"#{told.run.id}", told.run.name, told.run.customer)
    page.facts(_facts(page, told))
    page.section("Steps")
    page.table([*STEPS, MARK] if any(line.mark for line in told.steps) else STEPS, told.steps)
    page.section("What happened")
    _past(page, told)
    if told.run.closed_at is None:
        page.section("What is to come, as things stand at {now}", now=page.at(told.now))
        _future(page, told)
    if told.refusals:
        page.section("Not let in")
        page.table(customers.REFUSALS, told.refusals)
    page.print()


# -- the head ----------------------------------------------------------------------------------------------------------


def _facts(page: Page, told: Story) -> list[tuple[str, str | Text | None]]:
    run, words, definition = told.run, page.words, told.definition
    early = definition.get("early_end")
    version = words.say("version {number}", number=run.version)
    run_no = words.say("run {no}", no=run.run_no) if run.run_no > 1 else None
    entered = page.at(run.entered_at)
    anchor = page.at(run.anchor_at)
    return [
        ("sop", joined([f"{run.sop} {told.title}", version, page.state(run.sop_state)])),
        ("member", joined([run.member, _relation(page, told)])),
        ("state", joined([_state(page, told), words.say("muted") if told.is_muted else None, run_no])),
        ("entered_at", joined([entered, words.cause(run.cause)])),
        ("anchor_at", anchor if anchor != entered else None),
        ("chain", joined([" → ".join(told.chain), words.say("hop {hop}", hop=run.hop)]) if told.chain else None),
        ("closed_at", _end(page, told)),
        ("pruned_at", page.at(run.pruned_at) if run.pruned_at is not None else None),
        ("push", joined([_open_push(page, told, line) for line in told.steps if line.is_open], "; ") or None),
        ("next_step", _next(page, told)),
        ("early_end", joined([describing.rule(early["when"]), describing.end(early)]) if early else None),
        ("inherited", joined([literal(told, one) for one in told.inherited], ", ")),
    ]


def literal(told: Story, one: Inherited) -> str:
    """A condition with its sign, as it would stand in a definition."""
    shape = dict(one.condition)
    if "tag" in shape:
        shape["tag"] = [told.tag_names.get(tag, tag) for tag in shape["tag"]]
    return describing.rule(shape if one.holds else {"not": shape})


def _relation(page: Page, told: Story) -> Text | None:
    relation, words = told.relation, page.words
    if relation is None:
        return None
    source = words.say("source {source}", source=relation.channel) if relation.channel else None
    lost = None
    if relation.lost_at is not None:
        by = words.cause(relation.lost_by or "")
        lost = words.say("lost {at} ({by})", at=page.at(relation.lost_at), by=by)
    return joined([words.say("added {at}", at=page.at(relation.began_at)), source, lost])


def _state(page: Page, told: Story) -> Text:
    if told.run.state in story.step_places(told.steps):
        return Text(step_label(page.words, told, told.run.state))
    return page.state(told.run.state)


def _end(page: Page, told: Story) -> Text | None:
    run = told.run
    if run.closed_at is None:
        return None
    by = page.words.say("by {who}", who=run.ended_by) if run.ended_by else None
    return joined([page.at(run.closed_at), page.words.sentence(run.reason), by])


def _open_push(page: Page, told: Story, line: StepLine) -> Text:
    """The push that is under way: its state and why it is there."""
    reason = page.words.sentence(line.reason)
    task = page.words.say("task {task}", task=line.task) if line.task is not None else None
    return joined([step_label(page.words, told, line.step), page.state(line.state), reason, task])


def _next(page: Page, told: Story) -> str | None:
    words, following = page.words, told.next
    step = step_label(words, told, following.step) if following.step else ""
    match following.what:
        case "step":
            assert following.at is not None  # a step to come has its instant
            key = "{step} on {at}, in {span}" if following.at > told.now else "{step}, due since {at}"
            return words.say(key, step=step, at=page.at(following.at), span=words.span(following.at - told.now))
        case "waits":
            return words.say("{step} waits for the open push to settle", step=step)
        case "reply":
            until = page.at(following.at) if following.at is not None else words.heading("parked_at")
            return words.say("{step} once the customer answers, at the latest {until}", step=step, until=until)
        case "settling":
            return words.say("normal end, once {step} has settled", step=step) if step else words.say("normal end")
        case "paused":
            return words.say("nothing until `sopd sop resume {sop}`", sop=told.run.sop)
    return None


# -- past and future ---------------------------------------------------------------------------------------------------


def step_label(words: Words, told: Story, step: str) -> str:
    """`step 3/7 favourites`."""
    place = story.step_places(told.steps).get(step, "")
    return words.say("step {place} {step}", place=place, step=step) if place else step


def _past(page: Page, told: Story) -> None:
    for event in told.events:
        line = Text(page.at(event.at, seconds=True), style="dim").append("  ", style="")
        page.line(line.append_text(sentence_of(page, told, event)))


def sentence_of(page: Page, told: Story, event: Event) -> Text:
    """One event in words."""
    say = _SAID.get(event.what)
    text = say(page, told, event) if say else f"{event.what} {event.reason or ''}"
    return Text(tame(text), style="" if event.what in ("entered", "fired", "sent", "ended") else "dim")


def _label(page: Page, told: Story, event: Event) -> str:
    return step_label(page.words, told, event.step) if event.step else ""


def _with_step(english: str) -> Callable[[Page, Story, Event], str]:
    def say(page: Page, told: Story, event: Event) -> str:
        reason = page.words.sentence(event.reason)
        return page.words.say(english, **{**event.detail, "step": _label(page, told, event), "reason": reason})

    return say


def _entered(page: Page, told: Story, event: Event) -> str:
    words, detail = page.words, event.detail
    said = words.say("entered: {cause}", cause=words.cause(detail.get("cause", told.run.cause)))
    by = [words.say("by {who}", who=detail["who"])] if detail.get("who") else []
    more = ", ".join([*by, *([detail["why"]] if detail.get("why") else [])])
    return f"{said} ({more})" if more else said


def _push_waits(page: Page, told: Story, event: Event) -> str:
    values = {"step": _label(page, told, event), "reason": page.words.sentence(event.reason)}
    until = event.detail.get("until")
    if until is None:
        return page.words.say("{step} waits: {reason}", **values)
    return page.words.say("{step} waits until {until}: {reason}", until=page.at(until), **values)


def _planned(page: Page, told: Story, event: Event) -> str:
    at = page.at(event.detail["at"]) if event.detail.get("at") else ""
    task = event.detail.get("task")
    return page.words.say("{step} is planned: task {task} at {at}", step=_label(page, told, event), task=task, at=at)


def _settled(page: Page, told: Story, event: Event) -> str:
    words = page.words
    state = words.state(str(event.detail.get("push") or ""))
    parts = [part for part in (state, words.sentence(event.reason)) if part]
    return f"{_label(page, told, event)}: {', '.join(parts)}"


def _sent(page: Page, told: Story, event: Event) -> str:
    said = page.words.say("{step} was sent", step=_label(page, told, event))
    mark = event.detail.get("mark")
    return f"{said} ({page.words.sentence(mark)})" if mark else said


def _done(page: Page, told: Story, event: Event) -> str:
    said = page.words.say("{step} was done by the member", step=_label(page, told, event))
    return f"{said}: {page.words.sentence(event.reason)}" if event.reason else said


def _ended(page: Page, told: Story, event: Event) -> str:
    words, state = page.words, str(event.detail.get("state") or "")
    why = words.sentence(event.reason)
    by = f" ({words.say('by {who}', who=told.run.ended_by)})" if told.run.ended_by else ""
    return (f"{words.state(state)}: {why}" if why and why != words.state(state) else words.state(state)) + by


def _tags(page: Page, told: Story, event: Event) -> str:
    named = [f"+{told.tag_names.get(tag, tag)}" for tag in event.detail["add"]]
    named += [f"-{told.tag_names.get(tag, tag)}" for tag in event.detail["remove"]]
    key = {
        "done": "tags written to WeCom: {tags}",
        "failed": "tags could not be written: {tags}: {reason}",
    }.get(event.detail["state"], "tags wait to be written to WeCom: {tags}")
    return page.words.say(key, tags=" ".join(named), reason=event.reason or "")


def _note(page: Page, told: Story, event: Event) -> str:
    words, detail, reason = page.words, event.detail, page.words.sentence(event.reason)
    if "into" in detail:
        return words.say("flows into {sop}: run {id}", sop=detail["flow"], id=detail["into"])
    if "flow" in detail:
        return words.say("does not flow into {sop}: {reason}", sop=detail["flow"], reason=reason)
    if "sop" in detail:
        return words.say("does not enter {sop}: {reason}", sop=detail["sop"], reason=reason)
    keywords = words.say("keywords {words}", words=detail["keywords"]) if "keywords" in detail else ""
    hop = words.say("hop {hop}", hop=detail["hop"]) if "hop" in detail else ""
    told_by = ", ".join(part for part in (reason, keywords, hop) if part)
    return " ".join(part for part in (_label(page, told, event), told_by) if part)


_SAID: dict[str, Callable[[Page, Story, Event], str]] = {
    "entered": _entered,
    "passed": _with_step("{step} is passed over: {reason}"),
    "fired": _with_step("{step} fell due"),
    "step waits": _with_step("{step} is due: {reason}"),
    "push waits": _push_waits,
    "planned": _planned,
    "push settled": _settled,
    "task created": _with_step("{step}: {member} was given task {task} ({size} in it)"),
    "task confirmed": _with_step("{step}: {member} confirmed task {task}"),
    "task stopped": _with_step("{step}: task {task} is being withdrawn"),
    "task cancelled": _with_step("{step}: task {task} was cancelled in WeCom"),
    "task failed": _with_step("{step}: task {task} failed: {reason}"),
    "task needs_operator": _with_step("{step}: task {task} needs an operator: {reason}"),
    "sent": _sent,
    "done": _done,
    "tags": _tags,
    "ended": _ended,
    "note": _note,
}


def _future(page: Page, told: Story) -> None:
    held = told.next.what == "paused"
    lines = [(line.due_at, _coming(page, told, line, held)) for line in told.steps if line.state in story.AHEAD]
    lines += [found for line in told.steps if line.is_open and (found := _under_way(page, told, line))]
    for _, text in sorted(lines, key=lambda each: (each[0] is None, each[0] or 0)):
        page.line(text)
    actions = describing.end(told.definition.get("normal_end"))
    last = page.words.say("then the normal end: {actions}" if actions else "then the normal end", actions=actions)
    page.line(Text(last, style="dim"))


def _under_way(page: Page, told: Story, line: StepLine) -> tuple[int, Text] | None:
    """What an open push waits for, and until when; None if nobody can say."""
    words, label = page.words, step_label(page.words, told, line.step)
    if line.waits_until is not None:
        at, text = line.waits_until, words.say("{step} is looked at again", step=label)
    elif line.state == "planned" and line.task_at is not None:
        member = told.run.member
        at, text = line.task_at, words.say("{step}: {member} is given task {task}", step=label, member=member,
                                           task=line.task)  # fmt: skip
    elif line.state == "requested" and line.expires_at is not None:
        at, text = line.expires_at, words.say("{step} expires unless {member} confirms task {task}", step=label,
                                              member=told.run.member, task=line.task)  # fmt: skip
    else:
        return None
    return at, Text(page.at(at)).append(f"     {text}")


def _coming(page: Page, told: Story, line: StepLine, held: bool) -> Text:
    words = page.words
    due = page.words.say("after the step before it") if line.due_at is None else page.at(line.due_at)
    said = Text(due).append("     ")
    said.append(f"{step_label(words, told, line.step)}, {words.channel(line.channel)}")
    if line.may_send_at is not None:
        said.append(f", {words.say('not before {at}', at=page.at(line.may_send_at))}", style="dim")
    condition = told.definition["steps"][line.no - 1].get("only_if")
    if condition:
        said.append(f", {words.say('if {rule}', rule=describing.rule(condition))}", style="dim")
    if held and line.due_at is not None and line.due_at <= told.now:
        said.append(f", {words.say('skipped when resumed')}", style="yellow")
    return said


# -- for programs ------------------------------------------------------------------------------------------------------


def _as_json(desk: Desk, told: Story, row: runs.Listed) -> dict[str, Any]:
    zone = desk.zone
    return {
        **plain(runs.COLUMNS, row, zone),
        "name": told.run.name,
        "sop_state": told.run.sop_state,
        "anchor_at": instants.iso(told.run.anchor_at, zone),
        "now": instants.iso(told.now, zone),
        "chain": list(told.chain),
        "hop": told.run.hop,
        "inherited": [literal(told, one) for one in told.inherited],
        "refusals": [plain(customers.REFUSALS, refusal, zone) for refusal in told.refusals],
        "next": {**asdict(told.next), "at": None if told.next.at is None else instants.iso(told.next.at, zone)},
        "steps": [plain(STEPS, line, zone) for line in told.steps],
        "story": [_event_as_json(event, zone) for event in told.events],
    }


def _event_as_json(event: Event, zone: str) -> dict[str, Any]:
    detail = {
        key: instants.iso(value, zone) if key in ("at", "until") and isinstance(value, int) else value
        for key, value in event.detail.items()
    }
    return {"at": instants.iso(event.at, zone), "what": event.what, "step": event.step, "reason": event.reason, **(
        {"detail": detail} if detail else {}
    )}  # fmt: skip
