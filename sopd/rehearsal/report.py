"""What a rehearsal shows: a line of progress while it runs, and the report at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from machines.calendar import DAY_MS, local_datetime
from machines.enrollment import ENDS
from machines.push import is_settled
from sopd.rehearsal.accounts import Verdict
from sopd.rehearsal.scene import Scene
from sopd.store.queries import account as queries

MOST_DIFFERENCES = 20
PUSH_STATES = ("open", "sent", "skipped", "expired", "cancelled", "failed")
RUN_STATES = ("inside", *ENDS)
FAULT_WORDS = {
    "errcode": "an error code",
    "http_502": "HTTP 502",
    "drop": "a broken connection",
    "wrong_json": "a half-read request",
}


@dataclass(frozen=True)
class Outcome:
    """Everything the report says, read once when the clock has stopped."""

    enrollments: Mapping[str, Mapping[str, int]]
    steps: Mapping[str, Mapping[str, Mapping[str, int]]]
    reasons: Mapping[str, int]
    census: Mapping[str, int]
    faults: Mapping[str, int]
    calls: int
    verdict: Verdict
    seconds: float
    kills: int


def progress_line(scene: Scene, zone: str) -> str:
    """One line about the present: the day, how many are inside, what was sent."""
    with scene.store.reading() as tx:
        enrollments, pushes = queries.by_state(tx, "enrollment"), queries.by_state(tx, "push")
    now = scene.now
    day = min((now - scene.options.began_at) // DAY_MS + 1, scene.options.days)
    inside = sum(count for state, count in enrollments.items() if state not in ENDS)
    early = enrollments.get("early_end", 0)
    return (
        f"day {day:>2}/{scene.options.days}  {local_datetime(now, zone):%m-%d %H:%M}  "
        f"entered {sum(enrollments.values()):>4}  inside {inside:>4}  ended early {early:>3}  "
        f"sent {pushes.get('sent', 0):>5}"
    )


def gather(scene: Scene, verdict: Verdict, seconds: float, kills: int = 0) -> Outcome:
    """Read everything the report needs."""
    enrollments: dict[str, dict[str, int]] = {}
    steps: dict[str, dict[str, dict[str, int]]] = {}
    reasons: dict[str, int] = {}
    with scene.store.reading() as tx:
        for sop, state, count in queries.by_sop(tx):
            stands = state if state in ENDS else "inside"
            of_sop = enrollments.setdefault(sop, {})
            of_sop[stands] = of_sop.get(stands, 0) + count
        for sop, step, state, reason, count in queries.by_step(tx):
            counts = steps.setdefault(sop, {}).setdefault(step, {})
            stands = state if is_settled(state) else "open"
            counts[stands] = counts.get(stands, 0) + count
            if stands not in ("open", "sent"):
                words = f"{state}: {reason}" if reason else state
                reasons[words] = reasons.get(words, 0) + count
    gateway = scene.sandbox.stage.gateway
    return Outcome(
        enrollments, steps, reasons, scene.world.census(), _by_kind(gateway.faults.happened), gateway.served, verdict,
        seconds, kills,
    )  # fmt: skip


def _by_kind(happened: Mapping[str, int]) -> dict[str, int]:
    """Faults summed over the paths they hit; the books have `path kind`."""
    kinds: dict[str, int] = {}
    for name, count in happened.items():
        kind = FAULT_WORDS.get(name.rpartition(" ")[2], name)
        kinds[kind] = kinds.get(kind, 0) + count
    return kinds


def show(outcome: Outcome, console: Console) -> None:
    """The report, for people."""
    console.print()
    for title, table in (
        ("Steps", _steps_table(outcome.steps)),
        ("How enrollments stand", _counts_table("SOP", list(outcome.enrollments.items()), RUN_STATES)),
        ("Why a push was not sent", _pairs_table("reason", outcome.reasons)),
    ):
        console.print(f"[bold]{title}[/]")  # not the table's own title, which is folded to the table's width
        console.print(table)
    census = outcome.census
    console.print(
        f"WeCom saw {outcome.calls} calls, {census['tasks']} tasks, {census['messages']} messages, "
        f"{census['own_sends']} sends of the members' own; lost {census['letters_lost']} callbacks on purpose."
    )
    console.print(f"Faults put in its way: {_listed(outcome.faults)}.")
    if outcome.kills:
        console.print(f"The daemon was killed {outcome.kills} times with SIGKILL.")
    _show_verdict(outcome, console)


def _show_verdict(outcome: Outcome, console: Console) -> None:
    verdict = outcome.verdict
    console.print()
    if verdict.differences:
        console.print(f"[bold red]The accounts differ in {len(verdict.differences)} places:[/]")
        for difference in verdict.differences[:MOST_DIFFERENCES]:
            console.print(f"  {difference}", highlight=False)
    else:
        console.print(
            f"[bold green]The two accounts agree[/]: {verdict.customers} customers, {verdict.compared} relations, "
            f"{verdict.deliveries} deliveries, 0 differences."
        )
    if verdict.doubtful:
        told = "`sopd dispatch list`, and of welcomes `sopd push list`"
        console.print(f"{verdict.doubtful} pushes cannot be known and wait for an operator: {told}.")
    console.print(f"{outcome.seconds:.0f} seconds.")


def _steps_table(steps: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Table:
    """The steps of each SOP below its name: two columns of names would not fit beside the counts."""
    rows: list[tuple[str, Mapping[str, int]]] = []
    for sop, of_sop in steps.items():
        rows.append((f"[bold]{sop}[/]", {}))
        rows += [(f"  {step}", counts) for step, counts in of_sop.items()]
    return _counts_table("SOP, step", rows, PUSH_STATES)


def _counts_table(head: str, rows: Sequence[tuple[str, Mapping[str, int]]], order: tuple[str, ...]) -> Table:
    """One row per name, one column per state that occurs, in this order; unknown ones last."""
    found = {state for _, counts in rows for state in counts}
    states = [*(state for state in order if state in found), *sorted(found - set(order))]
    table = Table()
    table.add_column(head)
    for state in states:
        table.add_column(state.replace("_", " "), justify="right")
    for name, counts in rows:
        table.add_row(name, *(str(counts.get(state, "")) for state in states))
    return table


def _pairs_table(head: str, pairs: Mapping[str, int]) -> Table:
    table = Table()
    table.add_column(head, overflow="fold")
    table.add_column("", justify="right")
    for name, count in sorted(pairs.items(), key=lambda pair: -pair[1]):
        table.add_row(name, str(count))
    return table


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(counts.items())) or "none"

