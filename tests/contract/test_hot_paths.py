"""No hot path reads a growing table from end to end, on either database (ARCHITECTURE 5, SPEC 15.4).

The stories of the crash walk, which lead every loop to where it has work, are played once more beside a large company
at rest (`tests.support.throng`); then operators ask and command. Every statement is held against the plan that the
database makes for it, with the figures ANALYZE gave it and with its own settings.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sopd import jobs
from sopd.actors import LOOPS
from sopd.handlers import figures, resuming, sop_jobs
from sopd.store import Store
from sopd.store.migrate import migrate
from sopd.store.tables import TABLES
from tests.crash.crowds import with_customers
from tests.crash.player import Player, Unit
from tests.crash.stories import HANDS, STOPPING, STORIES, Story
from tests.support import throng
from tests.support.plans import Heard, overhearing, walks
from tests.support.rig import Rig
from tests.support.servers import Postgres
from tests.support.shell import SETTINGS, Shell
from tests.support.stores import BOTH
from tests.support.throng import FIRST, KEY

FULL_PAGES = {"sqlite": (with_customers(STOPPING, 60),), "postgres": ()}
"""A story whose pages are full, for SQLite, whose plans depend on how many rows are handed to a statement."""

LOOPS_MAY: Mapping[str, str] = {
    "figures._backlog": "counts up to 10,000 rows and no further",
    "forgetting.any_marks": "one row: whether anybody ever was forgotten",
    "initialising.count": "once a start of a SOP: everybody will be looked at, page by page",
    "links.userids": "once a day: which members' contacts were never read",
    "members.set_sight": "once a day: every member is held against WeCom's list",
    "members.unread_members": "once a day: members, until a page of them has not been read",
    "outside_sends.members_with_runs": "from one member to the next, however many runs they have",
    "resuming.park_all": "once a resume: everybody inside is laid aside",
    "sops.inside": "once a pause, resume or stop: how many are inside",
    "sops.pushes_in_tasks": "once a pause or stop: all tasks of the SOP are called off",
}
"""What the engine itself may read from end to end, by the function that asks, and why."""

PEOPLE_MAY: Mapping[str, str] = {
    "resuming.waiting": "how many are inside, before a person says yes",
    **dict.fromkeys(
        ("views.sop", "views.sops", "views.states_of_runs", "views.versions", "views._open_pushes", "views.refusals_of",
         "views_members.members", "audiences.page"),
        "counts of everybody, for a page that a person asks for",
    ),
    **dict.fromkeys(
        ("views_runs.runs", "views_sending.pushes", "views_sending.tasks", "views_people._customers",
         "views_health.inbox"),
        "the newest first, until the page is full, whatever it is filtered by",
    ),
    **dict.fromkeys(
        ("views_health._waiting", "views_health.blocked_tasks", "views_health.doubtful_tasks",
         "views_health.failed_tag_writes", "views_health.held_losses", "views_health.jobs", "views_health.members"),
        "`doctor`, which a person calls",
    ),
    **dict.fromkeys(("preview.userids", "forgetting.erase"), "every member, for one customer whom a person names"),
}  # fmt: skip
"""The same of commands that a person types, and of nothing else."""

SMALL_INDEXES: Mapping[str, str] = {
    "inbox_new": "callbacks that nobody has handled",
    "signal_new": "signals that no rule has seen",
    "dispatch_one_create": "tasks that WeCom is being asked for",
    "dispatch_doubtful": "tasks in doubt",
    "relation_missing": "relations held back after a full read",
    "relation_handover": "relations handed over within a day",
    "job_one_running": "jobs at work",
}
"""Partial indexes of what is under way, which no time fills."""

ASKED = (
    "sop list", f"sop show {KEY}", f"sop graph {KEY}", f"sop preview {KEY} --customer wmOLD{FIRST + 1}",
    "enrollment list", f"enrollment list --sop {KEY} --state open", "enrollment list --member alice",
    f"enrollment show {FIRST + 1}",
    "customer list", "customer list --member alice", f"customer show wmOLD{FIRST + 1}",
    "push list", f"push list --sop {KEY} --state waiting", "push list --member alice", f"push show {FIRST + 1}",
    "dispatch list", "dispatch list --state needs_operator", "dispatch list --member alice",
    f"dispatch show {FIRST + 1}",
    "inbox list", "inbox list --state set_aside", "member list", "audience list",
    "db status", "db prune --dry-run",
)  # fmt: skip
JUDGED = ("doctor", f"enrollment transfer {FIRST + 8} --to nurse --why better --yes")
"""These end with 1: something is wrong, and nobody may go there."""
COMMANDED = (
    f"customer mute wmOLD{FIRST + 5}", f"enrollment end {FIRST + 6} --why asked --yes",
    f"customer forget wmOLD{FIRST + 1} --yes",
    f"sop pause {KEY} --yes", f"sop resume {KEY} --missed shift --yes", f"sop stop {KEY} --yes", "db prune --yes",
)  # fmt: skip


@dataclass
class Played:
    """What was heard while everything was played, and how often each loop handled something."""

    store: Store
    by_engine: dict[str, Heard] = field(default_factory=dict)
    by_people: dict[str, Heard] = field(default_factory=dict)
    worked: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module", params=BOTH)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("throng")
    server: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgres" else None
    name = server.create() if server else f"{folder}/base.db"
    url = server.url(name) if server else f"sqlite:///{name}"
    large = Store.open(url)
    migrate(large)
    throng.fill(large)
    large.close()
    made = Played(large)
    for story in (*STORIES, *FULL_PAGES[request.param]):
        with _copied(name, server) as copy:
            store = Store.open(copy, pool=12)
            with overhearing(made.by_engine):
                rig = _play(made, story, store)
            if story is HANDS:
                _operate(made, rig, copy, folder)
            store.close()
    yield made
    large.close()
    if server:
        server.drop(name)


@contextmanager
def _copied(name: str, server: Postgres | None) -> Iterator[str]:
    """The address of a copy of a database to which nobody is connected; it is gone at the end."""
    if server:
        copy = server.create(name)
        yield server.url(copy)
        server.drop(copy)
        return
    copy = shutil.copy(name, f"{name}.copy")
    yield f"sqlite:///{copy}"
    for each in Path(copy).parent.glob("*.copy*"):
        each.unlink()


def _play(played: Played, story: Story, store: Store) -> Rig:
    rig = story.rig(store)
    player = Player(rig, story.orders)

    def perform(unit: Unit) -> object:
        found = unit.run(rig)
        played.worked[unit.name] += bool(found)
        return found

    player.perform = perform
    player.run_until(story.ends_at)
    return rig


def _operate(played: Played, rig: Rig, url: str, folder: Path) -> None:
    """What people ask and command, and the first steps of the jobs this begins, on pages as small as the company."""
    (folder / "sopd.toml").write_text(SETTINGS.format(url=url), encoding="utf-8")
    shell = Shell(folder)
    with overhearing(played.by_engine):
        figures.show(rig.app)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sop_jobs, "BATCH", 4)
        patch.setattr(resuming, "PAGE", 4)
        for words in (*ASKED, *JUDGED, *COMMANDED):
            with overhearing(played.by_people):
                answer = shell(*words.split(), code=int(words in JUDGED))
            assert "should not happen" not in answer.output
            with overhearing(played.by_engine):
                _ = [jobs.run_once(rig.app) for _ in range(6)]


def test_every_table_that_grows_is_large() -> None:
    assert {table._meta.table_name for table in TABLES} == {*throng.ROWS, *throng.SMALL}


def test_every_loop_had_work(played: Played) -> None:
    assert [loop.name for loop in LOOPS if not played.worked[loop.name]] == []


def test_no_growing_table_is_read_from_end_to_end(played: Played) -> None:
    faults = _faults(played.store, played.by_engine, LOOPS_MAY) | _faults(
        played.store, played.by_people, {**LOOPS_MAY, **PEOPLE_MAY}
    )
    assert not faults, "\n".join(f"{by} reads {found}" for by, found in sorted(faults.items()))


def test_nobody_is_excused_who_is_not_heard(played: Played) -> None:
    heard = {one.by for one in (*played.by_engine.values(), *played.by_people.values())}
    assert {*LOOPS_MAY, *PEOPLE_MAY} - heard == set()


def _is_about_many(one: Heard) -> bool:
    """Whether it is about so large a part of a table here that reading the table is right. SQLite believes in more."""
    return any(isinstance(value, str) and value.count(",") > throng.MANY / 20 for value in one.params)


def _faults(store: Store, heard: Mapping[str, Heard], excused: Mapping[str, str]) -> dict[str, str]:
    """What each function that is not excused reads from end to end."""
    faults: dict[str, str] = {}
    for sql, one in heard.items():
        if one.by in excused or not sql.startswith(("select", "insert", "update", "delete", "with")):
            continue
        if store.dialect.name == "postgres" and _is_about_many(one):
            continue
        found = sorted(
            index
            for table, index in walks(store, sql, one.params)
            if table in throng.ROWS and index not in SMALL_INDEXES
        )
        if found:
            faults[one.by] = f"{', '.join(found)}: {sql[:600]}"
    return faults
