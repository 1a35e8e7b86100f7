"""Short histories told in words, and what the oracle says of them. `checking` plays them on the engine as well."""

from __future__ import annotations

from tests.support.oracle.company import Company
from tests.support.oracle.history import Deed, History, at
from tests.support.oracle.replay import replay
from tests.support.oracle.run import Push, Run

START = at("2026-09-14 08:00")
DAY = 86_400_000


def sop(key: str = "care", *steps: str, kind: str = "new_customer", **more: str) -> str:
    """A definition: steps such as `first day: 1, at: "10:00"`, further keys as YAML."""
    listed = "\n".join(
        f"  - {{id: {step.split()[0]}, by: mass_send, text: {key}/{step.split()[0]}, {step.split(' ', 1)[1]}}}"
        for step in steps
    )
    extra = "\n".join(f"{name}: {value}" for name, value in more.items())
    return f"sop: {key}\ntitle: {key}\nkind: {kind}\n{extra}\nsteps:\n{listed}\n"


def nurture(key: str, *steps: str, when: str = "", reenter: str = "", **more: str) -> str:
    """A definition of kind nurture; without `when` people come by flow or by hand only."""
    entry = [f"when: {when}"] * bool(when) + [f"reenter: {reenter}"] * bool(reenter)
    return sop(key, *steps, kind="nurture", **{"entry": f"{{{', '.join(entry)}}}", **more} if entry else more)


def history(
    *sops: str,
    deeds: list[tuple[str, str]],
    days: int = 14,
    habits: dict[str, tuple[int | None, ...]] | None = None,
    quota: str = "day:1",
    later: tuple[str, ...] = (),
) -> History:
    """Deeds such as ("09-14 15:00", "add alice mei"), with `-` for no member; members confirm after 10 minutes unless
    `habits` differ."""
    made = []
    for when, words in deeds:
        verb, *rest = words.split()
        no_person = verb in ("start", "pause", "resume", "stop", "down", "up")
        member, customer, *said = ["", "", *rest] if no_person else [*rest, ""]
        member, detail = "" if member == "-" else member, " ".join(said).strip()
        made.append(Deed(at(f"2026-{when}"), verb, member, customer, detail))
    habits = {"alice": (10,), "bob": (10,)} | (habits or {})
    return History(START, START + days * DAY, sops, tuple(made), tuple(habits.items()), quota, later)


def told(*sops: str, **history_of: object) -> Company:
    """What the oracle says of a short history."""
    return replay(history(*sops, **history_of))


def run(company: Company, key: str = "care", member: str = "alice", customer: str = "mei", run_no: int = 1) -> Run:
    """The oracle's run of a SOP, a member who acts, and a customer."""
    (found,) = [
        run
        for run in company.runs
        if (run.sop.plan.key, run.relation.member, run.customer, run.run_no) == (key, member, customer, run_no)
    ]
    return found


def outcome(run: Run) -> list[str]:
    """Each push as `id state reason`, sent ones with their moment."""
    return [_shown(push, run) for push in run.pushes]


def _shown(push: Push, run: Run) -> str:
    when = f" {run.sop.calendar.local(push.sent_at):%m-%d %H:%M}" if push.sent_at else ""
    return f"{push.step.id} {push.state} {push.reason}".rstrip() + when


def refused(company: Company) -> list[tuple[str, str, set[str]]]:
    """Who was not let in: SOP, customer, what spoke against it."""
    return [(one.sop, one.customer, set(one.reasons)) for one in company.refusals]
