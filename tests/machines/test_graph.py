"""What may lead from one SOP into another by itself, and the cycles in it (SPEC 4, chains)."""

from __future__ import annotations

from typing import Any

from machines.graph import Bound, Edge, cycles_through, edges
from machines.sop import Sop

STEP = {"id": "one", "by": "mass_send", "day": 1, "at": "10:00", "text": "one"}


def sop(
    key: str, when: Any = None, *, kind: str = "nurture", ids: dict[str, str] | None = None, **end: Any
) -> Bound:
    entry = {} if when is None else {"entry": {"when": when}}
    written = {"sop": key, "title": key, "kind": kind, "steps": [STEP], "normal_end": end, **entry}
    return Bound(Sop.model_validate(written), ids or {})


def drawn(*members: Bound) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(edge.source, edge.target, edge.vias) for edge in edges(members)}


def test_a_flow_leads_into_its_target() -> None:
    assert drawn(sop("a", flow_to="b"), sop("b")) == {("a", "b", ("flow_to",))}


def test_a_flow_to_a_key_that_does_not_exist_leads_nowhere() -> None:
    assert drawn(sop("a", flow_to="gone")) == set()


def test_a_tag_that_is_written_leads_to_who_waits_for_it() -> None:
    writes = sop("a", add_tags=["done"])

    assert drawn(writes, sop("b", {"tag": "done"})) == {("a", "b", ("tag done",))}
    assert drawn(writes, sop("b", {"any": [{"lost": True}, {"all": [{"tag": ["done", "x"]}, {"source": "s"}]}]}))
    assert drawn(writes, sop("b", {"not": {"tag": "done"}})) == set()
    assert drawn(writes, sop("b", {"tag": "other"})) == set()


def test_a_tag_that_is_taken_off_leads_to_who_waits_for_its_absence() -> None:
    writes = sop("a", remove_tags=["done"])

    assert drawn(writes, sop("b", {"not": {"tag": "done"}})) == {("a", "b", ("tag done removed",))}
    assert drawn(writes, sop("b", {"tag": "done"})) == set()


def test_tags_are_told_apart_by_their_ids_where_these_are_known() -> None:
    writes = sop("a", ids={"结果/已购": "et1"}, add_tags=["结果/已购"])

    assert drawn(writes, sop("b", {"tag": "已购"}, ids={"已购": "et1"})) == {("a", "b", ("tag 结果/已购",))}
    assert drawn(writes, sop("b", {"tag": "已购"}, ids={"已购": "et2"})) == set()


def test_an_attribute_leads_on_only_with_a_value_that_is_asked_for() -> None:
    writes = sop("a", set={"level": 3})

    assert drawn(writes, sop("b", {"attribute": {"level": {"at_least": 2}}})) == {("a", "b", ("attribute level",))}
    assert drawn(writes, sop("b", {"attribute": {"level": {"at_least": 4}}})) == set()
    assert drawn(writes, sop("b", {"not": {"attribute": {"level": {"at_least": 4}}}}))


def test_whoever_asks_for_people_of_a_sop_is_led_into_by_it() -> None:
    assert drawn(sop("a"), sop("b", {"ended_sop": "a"})) == {("a", "b", ("ended_sop",))}
    assert drawn(sop("a"), sop("b", {"in_sop": "a"})) == {("a", "b", ("in_sop",))}
    assert drawn(sop("a"), sop("b", {"not": {"in_sop": "a"}})) == {("a", "b", ("not in_sop",))}


def test_new_customers_enter_by_adding_alone() -> None:
    assert drawn(sop("a", add_tags=["done"]), sop("b", {"tag": "done"}, kind="new_customer")) == set()


def test_several_ways_between_two_are_one_edge_at_the_first_of_them() -> None:
    found = edges([sop("a", add_tags=["x", "done"], flow_to="b"), sop("b", {"tag": "done"})])

    assert found == (Edge("a", "b", ("flow_to", "tag done"), ("normal_end", "flow_to")),)


def test_a_cycle_is_named_from_the_sop_that_was_asked_for() -> None:
    graph = edges([
        sop("care", flow_to="winback"), sop("winback", add_tags=["new"]),
        sop("spring", {"tag": "new"}, flow_to="care"), sop("aside", flow_to="care"),
    ])  # fmt: skip

    assert [str(cycle) for cycle in cycles_through("winback", graph)] == [
        "winback -> spring (tag new) -> care (flow_to) -> winback (flow_to)"
    ]
    assert cycles_through("aside", graph) == ()
    assert cycles_through("unknown", graph) == ()


def test_a_sop_that_writes_what_it_waits_for_is_a_cycle_of_its_own() -> None:
    graph = edges([sop("a", {"tag": "again"}, add_tags=["again"])])

    assert [str(cycle) for cycle in cycles_through("a", graph)] == ["a -> a (tag again)"]


def test_the_shortest_way_back_is_told_and_every_way_out_once() -> None:
    graph = edges([
        sop("a", add_tags=["x"], flow_to="b"), sop("b", flow_to="c"), sop("c", {"tag": "x"}, flow_to="a"),
    ])  # fmt: skip

    assert sorted(str(cycle) for cycle in cycles_through("a", graph)) == [
        "a -> b (flow_to) -> c (flow_to) -> a (flow_to)",
        "a -> c (tag x) -> a (flow_to)",
    ]


def test_a_thousand_sops_are_drawn_at_once() -> None:
    ring = [sop(f"s{n}", {"tag": f"t{n}"}, add_tags=[f"t{(n + 1) % 1000}"]) for n in range(1000)]

    assert len(cycles_through("s0", edges(ring))[0].edges) == 1000
