"""Whatever happens to callbacks and calls, in the end we know what WeCom knows (SPEC 15.1).

People act at random; letters are lost, doubled and overtaken; calls fail; our own tag writes go on meanwhile; intake
runs now and then. When all is quiet and everybody has been read, relations and tags are as WeCom has them, nobody new
was missed, and no run is open without a relation.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sopd.commands import TagRelation
from sopd.errors import Refused
from sopd.handlers import customers
from sopd.sandbox.faults import BAD_DAY
from sopd.sandbox.letters import PostHabits
from sopd.sandbox.refusals import ImpossibleDeed
from sopd.store import Store
from sopd.store.tables import TABLES
from tests.support.town import MEMBERS, TAGS, Town

CUSTOMERS = ("wm1", "wm2", "wm3")
PEOPLE = st.tuples(st.sampled_from(MEMBERS), st.sampled_from(CUSTOMERS))
DEEDS = st.one_of(
    st.tuples(st.just("add"), PEOPLE, st.booleans()),
    st.tuples(st.sampled_from(["confirm_half", "customer_deletes", "member_deletes", "transfer"]), PEOPLE, st.none()),
    st.tuples(st.sampled_from(["member_tags", "member_untags", "write", "unwrite"]), PEOPLE, st.sampled_from(TAGS)),
    st.tuples(st.sampled_from(["listen", "write_tags", "read_all", "wait"]), st.none(), st.none()),
    st.tuples(st.just("delete_tag"), st.none(), st.sampled_from(TAGS)),
)  # fmt: skip
CALLS = st.sampled_from(["get", "get_by_user", "list", "mark_tag", "get_corp_tag_list"])
STORIES = st.lists(st.tuples(st.none() | CALLS, DEEDS), min_size=3, max_size=30)
"""Deeds in order; one with a call happens while the next answer to such a call is on its way."""


def do(town: Town, verb: str, pair: tuple[str, str] | None, detail: Any) -> None:
    """One deed, a second after the one before it, if the world allows it."""
    town.pass_time(seconds=1)
    world, now = town.world, town.now
    try:
        if pair is None:
            if verb == "delete_tag":
                world.admin_deletes_tag(detail, now=now)
            elif verb == "wait":
                town.pass_time(minutes=7)
            else:
                getattr(town, verb)()
        elif verb == "add":
            world.customer_adds(*pair, now=now, state="live", half=detail)
        elif verb == "transfer":
            world.transfer(pair[0], next(one for one in MEMBERS if one != pair[0]), pair[1], now=now)
        elif verb in ("write", "unwrite"):
            wish = {"add" if verb == "write" else "remove": (detail,)}
            customers.tag(town.app, TagRelation(pair[1], pair[0], "mei", **wish))
        elif detail is None:
            getattr(world, verb)(*pair, now=now)
        else:
            getattr(world, verb)(*pair, detail, now=now)
    except (ImpossibleDeed, Refused):
        pass


def quiet(town: Town) -> None:
    """Let every letter arrive that is still on its way, every call work, and everybody be read."""
    town.faults.clear()
    town.meanwhile.clear()
    town.world.mailbox.habits = PostHabits()
    for _ in range(4):
        town.pass_time(minutes=61)
        town.listen()
        town.write_tags()
        town.read_all()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(story=STORIES, seed=st.integers(0, 10**6), echo=st.booleans())
def test_in_the_end_we_know_what_wecom_knows(store: Store, story: list[Any], seed: int, echo: bool) -> None:
    with store.transaction() as tx:
        for table in TABLES:
            tx.run(f"delete from {table._meta.table_name}")
    habits = PostHabits(lost=0.2, duplicated=0.2, overtaken=0.3)
    town = Town(store, habits=habits, seed=f"{seed}", echo=echo, page_cap=2)
    town.read_all()
    town.run()
    town.faults.rates = BAD_DAY
    for call, deed in story:
        if call is None:
            do(town, *deed)
        else:
            town.meanwhile[call] = partial(do, town, *deed)

    quiet(town)

    assert town.friends() == town.true_friends()
    assert missed(town) == set()
    assert town.rows("select e.id from enrollment e join relation r on r.id = e.relation_id"
                     " where e.closed_at is null and r.state <> 'active'") == []  # fmt: skip
    assert town.rows("select * from dirty") == []
    assert town.rows("select * from set_aside") == []


def missed(town: Town) -> set[tuple[str, str]]:
    """Friends who should have been looked at when they came, and were not."""
    judged = {row[:2] for row in town.rows(
        "select m.userid, c.external_userid from relation r join member m on m.id = r.member_id"
        " join customer c on c.id = r.customer_id where exists (select 1 from enrollment e where e.relation_id = r.id)"
        " or exists (select 1 from refusal f where f.relation_id = r.id)")}  # fmt: skip
    return set(town.true_friends()) - judged
