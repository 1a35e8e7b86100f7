"""What customers do and write, handled one after another: news for rules, actions of an answer (SPEC 4, 10)."""

from __future__ import annotations

from tests.support.oracle import ends
from tests.support.oracle.chains import OUTSIDE, News
from tests.support.oracle.company import Company
from tests.support.oracle.definition import DAY
from tests.support.oracle.follow import follow
from tests.support.oracle.people import Relation, Signal
from tests.support.oracle.rules import Happening
from tests.support.oracle.run import Run

LISTENS = 7 * DAY


def receive(
    company: Company, kind: str, customer: str, now: int, *, name: str = "", text: str = "",
    properties: tuple[tuple[str, object], ...] = (), relation: Relation | None = None,
) -> None:  # fmt: skip
    """Write a signal down; it is handled when the daemon works."""
    number = len(company.signals) + 1
    company.signals.append(Signal(number, kind, customer, now, name, properties, relation, text))


def handle(company: Company, now: int) -> bool:
    """Every signal not handled yet, in the order of arrival."""
    fresh = company.signals[company.handled :]
    for signal in fresh:
        company.handled += 1
        follow(company, _news(company, signal, now), now)
    return bool(fresh)


def _news(company: Company, signal: Signal, now: int) -> list[News]:
    if signal.kind == "event":
        event = Happening(signal.name, signal.at, signal.properties)
        words = frozenset({f"event {signal.name}"})
        return [News(signal.customer, words, event=event, signal=signal.number)]
    relation = signal.relation
    relation.talked = max(relation.talked or 0, signal.at)
    if signal.kind == "message":
        return [News(signal.customer, frozenset({"talk"}), relation, signal=signal.number)]
    words = frozenset({"talk", "replied"})
    news = [News(signal.customer, words, relation, signal=signal.number)]
    for run in _listening(company, signal, now):
        news += _answered(company, run, signal, now)
    return news


def _listening(company: Company, signal: Signal, now: int) -> list[Run]:
    """Runs that an answer speaks to: open ones, and for a week those that have come to their normal end."""
    return [
        run
        for run in company.runs
        if run.customer == signal.customer
        and (run.is_open or (run.state == "normal_end" and run.closed >= now - LISTENS))
        and (not run.sop.plan.is_for_new or run.relation is signal.relation)
    ]


def _answered(company: Company, run: Run, signal: Signal, now: int) -> list[News]:
    """`on_reply` of the latest sent step that has one: its keywords found in the text, and what any answer does."""
    asking = [
        push for push in run.pushes
        if push.state == "sent" and push.step.on_reply is not None and push.sent_at // 1000 * 1000 <= signal.at
    ]  # fmt: skip
    if not asking:
        return []
    reply = max(asking, key=lambda push: (push.sent_at, push.step.index)).step.on_reply
    found = [written for word, written in reply.keywords if word.casefold() in signal.text.casefold()]
    found += [reply.always] if reply.always is not None else []
    if found:
        company.told(run, now, "an answer acts")
    return [one for written in found for one in ends.write(company, run.relation, written, OUTSIDE.further())]


def set_by_crm(company: Company, customer: str, values: dict[str, object], now: int) -> None:
    """An integrator changed attributes."""
    follow(company, ends.set_attributes(company, customer, values, OUTSIDE), now)


