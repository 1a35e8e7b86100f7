"""Short histories told in words, for tests of the oracle and of what engine and oracle once disagreed on."""

from __future__ import annotations

from sopd.store import Store
from tests.support.oracle.account import compare, predicted, tell
from tests.support.oracle.history import Deed, History, at
from tests.support.oracle.replay import replay
from tests.support.played import disbelieved, played
from tests.support.playing import play

START = at("2026-09-14 08:00")
DAY = 86_400_000


def sop(key: str = "care", *steps: str, **more: str) -> str:
    """A definition: steps such as `first day: 1, at: "10:00"`, further keys as YAML."""
    listed = "\n".join(
        f"  - {{id: {step.split()[0]}, by: mass_send, text: {key}/{step.split()[0]}, {step.split(' ', 1)[1]}}}"
        for step in steps
    )
    extra = "\n".join(f"{name}: {value}" for name, value in more.items())
    return f"sop: {key}\ntitle: {key}\nkind: new_customer\n{extra}\nsteps:\n{listed}\n"


def history(
    *sops: str,
    deeds: list[tuple[str, str]],
    days: int = 14,
    habits: dict[str, tuple[int | None, ...]] | None = None,
    quota: str = "day:1",
) -> History:
    """Deeds such as ("09-14 15:00", "add alice mei"); members confirm after 10 minutes unless `habits` differ."""
    made = []
    for when, words in deeds:
        verb, *rest = words.split()
        no_person = verb in ("pause", "resume", "stop", "down", "up")
        member, customer, detail = ("", "", *rest, "")[:3] if no_person else (*rest, "", "")[:3]
        made.append(Deed(at(f"2026-{when}"), verb, member, customer, detail))
    habits = {"alice": (10,), "bob": (10,)} | (habits or {})
    return History(START, START + days * DAY, sops, tuple(made), tuple(habits.items()), quota)


def check(history: History, url: str) -> None:
    """Play it on the database at `url` and fail with a story if engine and oracle differ."""
    store = Store.open(url, pool=4)
    try:
        rig = play(history, store)
        engine, oracle = played(rig), predicted(replay(history))
        differences = compare(engine, oracle)
        assert not differences, tell(history, differences, engine, oracle)
        assert not disbelieved(rig, engine)
    finally:
        store.close()
