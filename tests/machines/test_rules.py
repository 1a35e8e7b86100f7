"""The algebra of rules: every condition, signs and inheritance, relations, dependencies, flips (SPEC 3, 4, 8, D4)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from machines import rules
from machines.facts import Answer, EventFact, Facts, answers, attributes
from machines.rules import depends_on, evaluate, flips_at, holding, literals, parse, released

DAY = 86_400_000
HOUR = 3_600_000
NOW = 1_800_000_000_000


def facts(**given: Any) -> Facts:
    return Facts(**({"now": NOW} | given))


def tags(*names: str) -> frozenset[str]:
    return frozenset(names)


# -- one condition at a time -----------------------------------------------------------------------------------------


def _named(value: object) -> str:
    """An id that is the same in every process: sets print their members in any order."""
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(map(_named, value))) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_named(each)}" for key, each in value.items()) + "}"
    return str(value)


BOUGHT = EventFact("order_paid", NOW - 2 * DAY, attributes({"amount": 120, "channel": "shop"}))
CONDITIONS: list[tuple[Any, dict[str, Any], bool]] = [
    ({"tag": ["a", "b"]}, {"tags": tags("b")}, True),
    ({"tag": "a"}, {"tags": tags("b")}, False),
    ({"tag": "a"}, {"relation_tag_sets": (tags(), tags("a"))}, True),
    ({"lost": True}, {"lost": True}, True),
    ({"lost": False}, {"lost": True}, False),
    ({"source": ["expo2026", "live"]}, {"source": "live"}, True),
    ({"source": ["expo2026"]}, {}, False),
    ({"source": {"add_way": [1, 3]}}, {"add_way": 3}, True),
    ({"source": {"state": "live", "add_way": 1}}, {"source": "live", "add_way": 2}, False),
    ({"member": ["alice"]}, {"member": "alice"}, True),
    ({"member": "bob"}, {"member": "alice"}, False),
    ({"audience": "vip"}, {"audiences": tags("vip", "x")}, True),
    ({"stage": {"journey": "teeth", "one_of": ["拔牙"]}}, {"stages": frozenset({("teeth", "拔牙")})}, True),
    ({"stage": {"journey": "cars", "one_of": ["拔牙"]}}, {"stages": frozenset({("teeth", "拔牙")})}, False),
    ({"in_sop": "care"}, {"in_sops": tags("care")}, True),
    ({"ended_sop": "care"}, {"ended_sops": frozenset({("care", "lost")})}, True),
    ({"ended_sop": {"sop": "care", "by": "early_end"}}, {"ended_sops": frozenset({("care", "lost")})}, False),
    ({"event": "order_paid"}, {"events": (BOUGHT,)}, True),
    ({"event": "visited"}, {"events": (BOUGHT,)}, False),
    ({"event": {"name": "order_paid", "where": {"amount": {"at_least": 100}}}}, {"events": (BOUGHT,)}, True),
    ({"event": {"name": "order_paid", "where": {"channel": "web"}}}, {"events": (BOUGHT,)}, False),
    ({"event": {"name": "order_paid", "within": "2d"}}, {"events": (BOUGHT,)}, False),
    ({"event": {"name": "order_paid", "within": "3d"}}, {"events": (BOUGHT,)}, True),
    ({"talked": {"within": "2h"}}, {"last_talk_at": NOW - 2 * HOUR + 1}, True),
    ({"talked": {"within": "2h"}}, {"last_talk_at": NOW - 2 * HOUR}, False),
    ({"talked": {"within": "2h"}}, {}, False),
    ({"added": {"older_than": "30d"}}, {"added_at": NOW - 30 * DAY}, True),
    ({"added": {"older_than": "30d"}}, {"added_at": NOW - 30 * DAY + 1}, False),
    ({"added": {"older_than": "30d"}}, {}, False),
    ({"silent": "14d"}, {"added_at": NOW - 20 * DAY}, True),
    ({"silent": "14d"}, {"added_at": NOW - 20 * DAY, "last_talk_at": NOW - DAY}, False),
    ({"silent": "14d"}, {}, False),
]


@pytest.mark.parametrize(("shape", "known", "expected"), CONDITIONS, ids=_named)
def test_condition_reads_its_fact(shape: Any, known: dict[str, Any], expected: bool) -> None:
    assert evaluate(parse(shape), facts(**known)) is expected
    assert evaluate(parse({"not": shape}), facts(**known)) is not expected


COMPARISONS: list[tuple[Any, Any, bool]] = [
    ("gold", "gold", True), ("gold", "silver", False), ({"is_not": "gold"}, "silver", True), (1, 1.0, True),
    (1, True, False), (True, 1, False), ("1", 1, False), ({"one_of": ["a", 2]}, 2, True),
    ({"contains": "ONG"}, "long", True),
    ({"above": 10}, 10, False), ({"at_least": 10}, 10, True), ({"below": 10}, 9.5, True), ({"at_most": 9}, 10, False),
    ({"above": 10}, "11", False), ({"above": 0}, True, False), ({"at_least": 1, "below": 3}, 2, True),
    ({"at_least": 1, "below": 3}, 3, False), ({"before": "2026-05-01"}, date(2026, 4, 30), True),
    ({"after": "2026-05-01"}, date(2026, 5, 1), False), ({"after": "2026-05-01"}, "2026-05-02", True),
    ({"before": "2026-05-01"}, "soon", False), ("2026-05-01", date(2026, 5, 1), True), ({"exists": True}, "", True),
    ({"exists": False}, "", False),
]


@pytest.mark.parametrize(("test", "value", "expected"), COMPARISONS, ids=_named)
def test_comparison_is_typed(test: Any, value: Any, expected: bool) -> None:
    rule = parse({"attribute": {"it": test}})

    assert evaluate(rule, facts(attributes=attributes({"it": value}))) is expected


@pytest.mark.parametrize("test", ["x", {"is_not": "x"}, {"above": 1}, {"before": "2026-01-01"}, {"exists": True}])
def test_missing_attribute_fails_every_comparison_but_that_of_its_absence(test: Any) -> None:
    assert not evaluate(parse({"attribute": {"it": test}}), facts())
    assert evaluate(parse({"attribute": {"it": {"exists": False}}}), facts())


def test_true_and_one_are_two_values_in_facts_and_in_literals() -> None:
    assert facts(attributes=attributes({"x": 1})) != facts(attributes=attributes({"x": True}))
    assert literals(parse({"attribute": {"x": 1}})) != literals(parse({"attribute": {"x": True}}))


def test_replies_since_a_step() -> None:
    said = [(5, "请问多少钱?"), (9, "OK")]
    known = facts(replies=answers(said, {None: 0, "a": 4, "b": 7, "c": 10}, ["多少钱", "ok"]))
    truth = {
        "any": ({"since": "a"}, True), "later": ({"since": "c"}, False), "not sent": ({"since": "d"}, False),
        "word": ({"since": "a", "keywords": ["多少钱"]}, True),
        "word too early": ({"since": "b", "keywords": "多少钱"}, False),
        "case": ({"since": "b", "keywords": ["ok"]}, True), "none": ({"since": "c", "none": True}, True),
        "none, but there is one": ({"since": "b", "none": True}, False),
        "none since a step that was not sent": ({"since": "d", "none": True}, False),
    }

    assert {name: evaluate(parse({"replied": asked}), known) for name, (asked, _) in truth.items()} == {
        name: expected for name, (_, expected) in truth.items()
    }
    assert evaluate(parse({"replied": "any"}), known)
    assert not evaluate(parse({"replied": "none"}), known)


def test_anniversary_holds_on_the_local_day_and_flips_at_its_midnights() -> None:
    rule = parse({"date_of": "birthday"})
    born = facts(attributes=attributes({"birthday": date(1990, 5, 1)}))
    eve, noon = (int(datetime(2026, 4, 30, hour, tzinfo=UTC).timestamp() * 1000) for hour in (15, 20))

    days = [evaluate(rule, born.at(at)) for at in (eve, eve + HOUR, noon, eve + 25 * HOUR)]
    assert days == [False, True, True, False]
    assert flips_at(rule, born, eve) == eve + HOUR
    assert flips_at(rule, born, noon) == eve + 25 * HOUR
    assert flips_at(rule, born, eve + 25 * HOUR) == eve + HOUR + 365 * DAY
    assert flips_at(rule, facts(), eve) is None


@pytest.mark.parametrize(
    ("day", "expected"), [(date(2027, 2, 28), True), (date(2028, 2, 28), False), (date(2028, 2, 29), True)]
)
def test_leap_day_is_remembered_on_the_28th_in_other_years(day: date, expected: bool) -> None:
    noon = int(datetime(day.year, day.month, day.day, 4, tzinfo=UTC).timestamp() * 1000)

    assert evaluate(parse({"date_of": "b"}), facts(now=noon, attributes=attributes({"b": "2000-02-29"}))) is expected


# -- relations (SPEC 8) ----------------------------------------------------------------------------------------------


def test_tag_conditions_of_one_and_must_meet_on_one_relation() -> None:
    both = parse({"all": [{"tag": "a"}, {"tag": "b"}]})
    apart, together = (tags("a"), tags("b")), (tags(), tags("a", "b"))

    assert not evaluate(both, facts(relation_tag_sets=apart))
    assert evaluate(both, facts(relation_tag_sets=together))
    assert evaluate(parse({"any": [{"tag": "a"}, {"tag": "b"}]}), facts(relation_tag_sets=apart))


def test_alternatives_inside_an_and_are_asked_of_the_same_relation() -> None:
    listed = parse({"all": [{"tag": "a"}, {"tag": ["b", "c"]}]})
    spelt = parse({"all": [{"tag": "a"}, {"any": [{"tag": "b"}, {"tag": "c"}]}]})

    for sets in ((tags("a"), tags("b")), (tags("a", "c"), tags("b"))):
        assert evaluate(listed, facts(relation_tag_sets=sets)) is evaluate(spelt, facts(relation_tag_sets=sets))


def test_under_not_no_relation_may_have_the_tag() -> None:
    rule = parse({"all": [{"tag": "bought"}, {"not": {"tag": "again"}}]})

    assert not evaluate(rule, facts(relation_tag_sets=(tags("bought"), tags("again"))))
    assert evaluate(rule, facts(relation_tag_sets=(tags("bought"), tags())))


# -- literals and inheritance (SPEC 4, D4) ---------------------------------------------------------------------------


def test_inherited_tag_reads_false_until_it_was_seen_false_once() -> None:
    rule, tagged, bare = parse({"tag": "bought"}), facts(tags=tags("bought")), facts()
    inherited = holding(rule, tagged)

    assert not evaluate(rule, tagged, inherited)
    assert released(rule, tagged, inherited) == inherited
    freed = released(rule, bare, inherited)
    assert evaluate(rule, tagged, freed)


def test_inherited_tag_under_not_does_not_end_a_run_at_once() -> None:
    rule, tagged, bare = parse({"not": {"tag": "vip"}}), facts(tags=tags("vip")), facts()

    assert holding(rule, tagged) == frozenset()
    assert not evaluate(rule, tagged, holding(rule, tagged))
    assert evaluate(rule, bare, holding(rule, tagged))
    assert not evaluate(rule, bare, holding(rule, bare)), "an absence that was there before is inherited as well"


def test_other_parts_of_the_rule_work_at_once() -> None:
    rule = parse({"any": [{"tag": "bought"}, {"event": "order_paid"}]})
    inherited = holding(rule, facts(tags=tags("bought")))

    assert evaluate(rule, facts(tags=tags("bought"), events=(BOUGHT,)), inherited)


def test_what_occurs_anew_is_no_longer_inherited() -> None:
    rule = parse({"any": [{"tag": ["a", "b"]}, {"event": {"name": "order_paid", "where": {"amount": {"above": 100}}}}]})
    known = facts(tags=tags("a"), events=(BOUGHT,))
    inherited = holding(rule, known)
    small = BOUGHT._replace(properties=attributes({"amount": 5}))

    anew = rules.occurring(rule, added_tags=tags("b"), events=[small])
    assert released(rule, known, inherited, anew) == inherited - literals(parse({"tag": ["a", "b"]}))
    assert rules.occurring(rule, removed_tags=tags("a")) == frozenset()
    assert rules.occurring(rule, events=[BOUGHT]) == inherited - literals(parse({"tag": ["a", "b"]}))
    assert rules.occurring(parse({"not": {"tag": "a"}}), removed_tags=tags("a")) == {'-{"tag":["a"]}'}


def test_literal_is_a_stable_text_whatever_the_order_of_names() -> None:
    assert literals(parse({"not": {"tag": ["b", "a"]}})) == literals(parse({"not": {"tag": ["a", "b"]}})) == {
        '-{"tag":["a","b"]}'
    }


# -- shape -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [
    {}, {"tga": "a"}, {"tag": "a", "lost": True}, {"tag": []}, {"tag": [""]}, {"all": []}, {"not": []}, {"lost": "yes"},
    {"source": {}}, {"attribute": {}}, {"attribute": {"a": {}}}, {"silent": 14}, {"silent": "0d"}, {"silent": "99999d"},
    {"replied": {"none": True, "keywords": ["a"]}}, {"replied": "never"}, {"event": {"within": "1d"}}, "tag", None, [],
    {"ended_sop": {"sop": "a", "by": "settling"}},
])
def test_what_is_no_rule_is_refused(shape: Any) -> None:
    with pytest.raises(ValidationError):
        parse(shape)


def test_rule_is_hashable_and_binds_tag_names() -> None:
    rule = parse({"all": [{"tag": ["组/甲", "乙"]}, {"any": [{"not": {"tag": "组/甲"}}, {"lost": True}]}]})

    bound = rules.bind_tags(rule, {"组/甲": "et1", "乙": "et2"})

    assert bound == parse({"all": [{"tag": ["et1", "et2"]}, {"any": [{"not": {"tag": "et1"}}, {"lost": True}]}]})
    assert hash(bound) != hash(rule) and depends_on(bound).tags == {"et1", "et2"}
    assert rules.mentions_tag(bound, "et1") and not rules.mentions_tag(bound, "组/甲")
    with pytest.raises(KeyError, match="乙"):
        rules.bind_tags(rule, {"组/甲": "et1"})


# -- random rules and facts ------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
SOME = st.lists(NAMES, min_size=1, max_size=2, unique=True)
SPANS = st.integers(1, 5)
INSTANTS = st.integers(-6, 1).map(lambda days: NOW + days * DAY)
MAYBE_AT = st.none() | INSTANTS

ATOMS = st.one_of(
    st.builds(lambda n: {"tag": n}, SOME),
    st.builds(lambda n: {"tag": n}, SOME),
    st.builds(lambda n: {"source": n}, SOME),
    st.builds(lambda n: {"source": {"add_way": [n]}}, st.integers(0, 2)),
    st.builds(lambda n: {"member": n}, SOME),
    st.builds(lambda n: {"audience": n}, SOME),
    st.builds(lambda b: {"lost": b}, st.booleans()),
    st.builds(lambda j, s: {"stage": {"journey": j, "one_of": s}}, NAMES, SOME),
    st.builds(lambda n: {"in_sop": n}, SOME),
    st.builds(lambda n: {"ended_sop": {"sop": n, "by": ["early_end"]}}, SOME),
    st.builds(lambda n, v: {"attribute": {n: {"at_least": v}}}, NAMES, st.integers(0, 2)),
    st.builds(
        lambda n, v, d: {"event": {"name": n, "where": {"n": v}, "within": f"{d}d"}}, NAMES, st.integers(0, 1), SPANS
    ),
    st.builds(lambda n: {"event": n}, NAMES),
    st.builds(lambda s, w: {"replied": {"since": s, "keywords": w}}, NAMES, SOME),
    st.builds(lambda s: {"replied": {"since": s, "none": True}}, NAMES),
    st.builds(lambda d: {"talked": {"within": f"{d}d"}}, SPANS),
    st.builds(lambda d: {"silent": f"{d}d"}, SPANS),
    st.builds(lambda d: {"added": {"older_than": f"{d}d"}}, SPANS),
    st.builds(lambda n: {"date_of": n}, NAMES),
)
SHAPES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda p: {"all": p}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda p: {"any": p}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda p: {"not": p}, inner),
    ),
    max_leaves=8,
)
SUBSETS = st.frozensets(NAMES)
PROPERTIES = st.dictionaries(st.sampled_from(["n", "m"]), st.integers(0, 1)).map(attributes)
FACTS = st.builds(
    Facts,
    now=st.just(NOW), tags=SUBSETS, relation_tag_sets=st.lists(SUBSETS, max_size=3).map(tuple), lost=st.booleans(),
    source=st.none() | NAMES, add_way=st.none() | st.integers(0, 2), member=st.none() | NAMES, audiences=SUBSETS,
    attributes=st.dictionaries(
        NAMES, st.integers(0, 2) | st.just("x") | st.just(date(1999, 1, 14)) | st.just(date(1999, 1, 17)),
    ).map(attributes),
    events=st.lists(st.builds(EventFact, NAMES, INSTANTS, PROPERTIES), max_size=3).map(tuple),
    replies=st.lists(
        st.builds(Answer, NAMES, st.booleans(), SUBSETS), max_size=3, unique_by=lambda answer: answer.since
    ).map(tuple),
    stages=st.frozensets(st.tuples(NAMES, NAMES)), in_sops=SUBSETS,
    ended_sops=st.frozensets(st.tuples(NAMES, st.sampled_from(["early_end", "lost"]))),
    added_at=MAYBE_AT, last_talk_at=MAYBE_AT,
)


def _days(text: str) -> int:
    return int(text[:-1]) * DAY


def naive(shape: Any, f: Facts, sets: list[frozenset[str]], everywhere: list[frozenset[str]]) -> bool:
    """The SPEC once more, slow and obvious, over the shape in the file."""
    ((key, asked),) = shape.items()
    match key:
        case "all":
            return any(all(naive(part, f, [one], everywhere) for part in asked) for one in sets)
        case "any":
            return any(naive(part, f, sets, everywhere) for part in asked)
        case "not":
            return not naive(asked, f, everywhere, everywhere)
        case "tag":
            return any(name in one for name in asked for one in sets)
        case "source":
            return f.source in asked if isinstance(asked, list) else f.add_way in asked["add_way"]
        case "member":
            return f.member in asked
        case "audience":
            return any(name in f.audiences for name in asked)
        case "lost":
            return f.lost == asked
        case "stage":
            return any((asked["journey"], name) in f.stages for name in asked["one_of"])
        case "in_sop":
            return any(name in f.in_sops for name in asked)
        case "ended_sop":
            return any((name, "early_end") in f.ended_sops for name in asked["sop"])
        case "attribute":
            ((name, test),) = asked.items()
            values = [found.value for found in f.attributes if found.name == name]
            return any(isinstance(value, int) and value >= test["at_least"] for value in values)
        case "event":
            if isinstance(asked, str):
                return any(event.name == asked for event in f.events)
            fresh = [event for event in f.events if event.at > f.now - _days(asked["within"])]
            wanted = ("n", "number", asked["where"]["n"])
            return any(event.name == asked["name"] and wanted in event.properties for event in fresh)
        case "replied":
            found = [answer for answer in f.replies if answer.since == asked["since"]]
            if asked.get("none"):
                return bool(found) and not found[0].replied
            return bool(found) and any(word in found[0].words for word in asked["keywords"])
        case "talked":
            return f.last_talk_at is not None and f.last_talk_at > f.now - _days(asked["within"])
        case "silent":
            since = f.last_talk_at if f.last_talk_at is not None else f.added_at
            return since is not None and since <= f.now - _days(asked)
        case "added":
            return f.added_at is not None and f.added_at <= f.now - _days(asked["older_than"])
        case "date_of":
            today = datetime.fromtimestamp(f.now / 1000, UTC) + timedelta(hours=8)
            days = [found.value for found in f.attributes if found.name == asked and found.kind == "date"]
            return any((day.month, day.day) == (today.month, today.day) for day in days)
    raise AssertionError(key)


@settings(max_examples=120, deadline=None)
@given(SHAPES, FACTS)
def test_evaluation_agrees_with_a_naive_one(shape: Any, known: Facts) -> None:
    sets = list(known.relation_tag_sets or (known.tags,))
    rule = parse(shape)

    assert evaluate(rule, known) is naive(shape, known, sets, sets)
    assert evaluate(parse({"not": shape}), known) is not evaluate(rule, known)


@settings(max_examples=120, deadline=None)
@given(SHAPES, FACTS, FACTS)
def test_facts_outside_the_dependencies_never_count(shape: Any, known: Facts, other: Facts) -> None:
    rule = parse(shape)
    needs = depends_on(rule)
    mixed = {name: getattr(other, name) for name in ("lost", "member") if not getattr(needs, name)}
    if not needs.source:
        mixed |= {"source": other.source, "add_way": other.add_way}
    if not needs.added:
        mixed["added_at"] = other.added_at
    if not needs.talk and not needs.added:
        mixed["last_talk_at"] = other.last_talk_at
    unmentioned = frozenset("abc") - needs.tags
    changed = Facts(**{name: getattr(known, name) for name in Facts.__slots__} | mixed | {
        "tags": known.tags | unmentioned,
        "relation_tag_sets": tuple(one - unmentioned for one in known.relation_tag_sets),
        "audiences": known.audiences | (frozenset("abc") - needs.audiences),
        "in_sops": known.in_sops | (frozenset("abc") - needs.sops),
        "stages": known.stages | {(journey, "a") for journey in frozenset("abc") - needs.stages},
        "events": known.events + tuple(event for event in other.events if event.name not in needs.events),
    })

    assert evaluate(rule, changed) is evaluate(rule, known)
    assert changed.restricted_to(needs) == known.restricted_to(needs)


@settings(max_examples=120, deadline=None)
@given(SHAPES, FACTS)
def test_restricted_facts_give_the_same_truth_and_the_same_literals(shape: Any, known: Facts) -> None:
    rule = parse(shape)
    fewer = known.restricted_to(depends_on(rule))

    assert evaluate(rule, fewer) is evaluate(rule, known)
    assert holding(rule, fewer) == holding(rule, known)
    inherited = holding(rule, known)
    assert evaluate(rule, fewer, inherited) is evaluate(rule, known, inherited)


@settings(max_examples=120, deadline=None)
@given(SHAPES, FACTS, st.floats(0, 1, exclude_max=True))
def test_nothing_changes_by_time_before_the_flip(shape: Any, known: Facts, fraction: float) -> None:
    rule = parse(shape)
    flip = flips_at(rule, known, NOW)
    later = NOW + int(((flip or NOW + 40 * DAY) - NOW) * fraction)

    assert flip is None or flip > NOW
    assert holding(rule, known.at(later)) == holding(rule, known)
    if not depends_on(rule).time:
        assert flip is None


@settings(max_examples=60, deadline=None)
@given(ATOMS.filter(lambda shape: parse(shape).flips_at.__func__ is not rules.Atom.flips_at), FACTS)
def test_a_condition_of_time_changes_at_its_flip(shape: Any, known: Facts) -> None:
    rule = parse(shape)
    one = Facts(**{name: getattr(known, name) for name in Facts.__slots__} | {"events": known.events[:1]})
    flip = flips_at(rule, one, NOW)

    if flip is not None:
        assert evaluate(rule, one.at(flip)) is not evaluate(rule, one.at(flip - 1))


@settings(max_examples=60, deadline=None)
@given(SHAPES)
def test_a_rule_reads_back_as_itself(shape: Any) -> None:
    rule = parse(shape)

    assert parse(rule.model_dump(mode="json")) == rule
    assert literals(parse(rule.model_dump(mode="json", exclude_none=True))) == literals(rule)


@settings(max_examples=60, deadline=None)
@given(SHAPES, FACTS)
def test_all_that_holds_at_entry_is_inherited_and_holds_back_the_end(shape: Any, known: Facts) -> None:
    rule = parse(shape)

    assert not evaluate(rule, known, holding(rule, known))


def test_thousands_of_customers_share_one_value_of_facts() -> None:
    rule = parse({"all": [{"tag": "a"}, {"added": {"older_than": "30d"}}, {"event": {"name": "e", "within": "7d"}}]})
    crowd = [
        facts(tags=tags("a", f"own-{n}"), member=f"m{n}", added_at=NOW - 40 * DAY - n, last_talk_at=NOW - n,
              events=(EventFact("e", NOW - n, attributes({"order": n})), EventFact(f"other-{n}", NOW)))
        for n in range(2000)
    ]

    assert len({one.restricted_to(depends_on(rule)) for one in crowd}) == 1


def test_flips_of_rounded_facts_are_refused() -> None:
    rule = parse({"added": {"older_than": "30d"}})

    with pytest.raises(ValueError, match="exact"):
        flips_at(rule, facts(added_at=NOW).restricted_to(depends_on(rule)), NOW)
