"""The algebra of rules: `all`, `any` and `not` over conditions, evaluated on facts that are handed in (SPEC 3, D4).

A rule is an immutable, hashable value with the shape it has in a file. Nothing here fetches facts or knows a clock.
A *literal* is a condition with its sign; inheritance is about literals, so an inherited tag under `not` does not end
a run at once (D4). Negation is pushed down to the literals before anything is judged.

Tags belong to relations. All tag conditions inside one `all` are asked of the same relation; under `not` no relation
in scope may have the tag (SPEC 8). With one relation (new_customer) the two readings are one.

Callers: `machines.sop` (shape, programs), `machines.enrollment` and `machines.entry` (evaluation), the sweep (flips).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Field, TypeAdapter
from pydantic import Tag as Kind

from machines.facts import Dependencies, EventFact, Facts
from machines.rules.atom import Atom, Relations
from machines.rules.atoms import (
    AttributeIs,
    Audience,
    EndedSop,
    Event,
    InSop,
    Lost,
    Member,
    Replied,
    Source,
    Stage,
    Tag,
)
from machines.rules.scalars import Block
from machines.rules.times import Added, DateOf, Silent, Talked

Literal = str
"""A condition with its sign, as a stable text: `+{"tag":["et1"]}`; it is stored with an enrollment."""
Path = tuple[str | int, ...]
"""Where something stands in a definition: keys and list positions."""
NOTHING: frozenset[Literal] = frozenset()


class All(Block):
    """Every part holds; an `all` is true only if one relation fulfils all its tag conditions."""

    all: Annotated[tuple[Rule, ...], Field(min_length=1)]


class AnyOf(Block):
    """At least one part holds."""

    any: Annotated[tuple[Rule, ...], Field(min_length=1)]


class Not(Block):
    """The part does not hold."""

    part: Rule = Field(alias="not")


BLOCKS: dict[str, type[Block]] = {
    "all": All, "any": AnyOf, "not": Not, "tag": Tag, "stage": Stage, "lost": Lost, "source": Source, "member": Member,
    "audience": Audience, "attribute": AttributeIs, "event": Event, "replied": Replied, "talked": Talked,
    "in_sop": InSop, "ended_sop": EndedSop, "added": Added, "silent": Silent, "date_of": DateOf,
}
"""What a rule may be, by the one key it has in a file."""


def _kind(value: Any) -> str | None:
    """The name of the block that a value is meant to be; None unless it has exactly one known key."""
    if isinstance(value, BaseModel):
        return f"<{type(value).__name__}>"
    keys = list(value) if isinstance(value, dict) else []
    block = BLOCKS.get(str(keys[0])) if len(keys) == 1 else None
    return None if block is None else f"<{block.__name__}>"


Rule = Annotated[
    Annotated[All, Kind("<All>")]
    | Annotated[AnyOf, Kind("<AnyOf>")]
    | Annotated[Not, Kind("<Not>")]
    | Annotated[Tag, Kind("<Tag>")]
    | Annotated[Stage, Kind("<Stage>")]
    | Annotated[Lost, Kind("<Lost>")]
    | Annotated[Source, Kind("<Source>")]
    | Annotated[Member, Kind("<Member>")]
    | Annotated[Audience, Kind("<Audience>")]
    | Annotated[AttributeIs, Kind("<AttributeIs>")]
    | Annotated[Event, Kind("<Event>")]
    | Annotated[Replied, Kind("<Replied>")]
    | Annotated[Talked, Kind("<Talked>")]
    | Annotated[InSop, Kind("<InSop>")]
    | Annotated[EndedSop, Kind("<EndedSop>")]
    | Annotated[Added, Kind("<Added>")]
    | Annotated[Silent, Kind("<Silent>")]
    | Annotated[DateOf, Kind("<DateOf>")],
    Discriminator(_kind, custom_error_type="not_a_rule", custom_error_message="is not a condition"),
]
for _block in (All, AnyOf, Not):
    _block.model_rebuild()
_RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


def parse(shape: Any) -> Rule:
    """A rule from the shape it has in a file or in a stored definition; pydantic's ValidationError lists all faults."""
    return _RULE.validate_python(shape)


def evaluate(rule: Rule, facts: Facts, inherited: frozenset[Literal] = NOTHING) -> bool:
    """Whether the rule is true of the facts; a literal in `inherited` reads false."""
    return _true(rule, True, facts, facts.relations, inherited)


def _true(rule: Rule, sign: bool, facts: Facts, relations: Relations, inherited: frozenset[Literal]) -> bool:
    """The truth of `rule` (sign True) or of its negation, its tag conditions asked of `relations`."""
    if isinstance(rule, Not):
        return _true(rule.part, not sign, facts, facts.relations, inherited)
    if isinstance(rule, AnyOf):
        parts = (_true(part, sign, facts, relations, inherited) for part in rule.any)
        return any(parts) if sign else all(parts)
    if isinstance(rule, All):
        each = (_every(rule, sign, facts, (relation,), inherited) for relation in relations)
        return any(each) if sign else all(each)
    holds = rule.holds(facts, relations) is sign
    return holds and not (inherited and literal(rule, sign) in inherited)


def _every(rule: All, sign: bool, facts: Facts, relation: Relations, inherited: frozenset[Literal]) -> bool:
    parts = (_true(part, sign, facts, relation, inherited) for part in rule.all)
    return all(parts) if sign else any(parts)


def literal(atom: Atom, sign: bool) -> Literal:
    """The stable text of a condition with its sign; the order of the names in a list does not matter."""
    return ("+" if sign else "-") + atom.text


def signed(rule: Rule, sign: bool = True) -> Iterator[tuple[Atom, bool]]:
    """Every condition of the rule with its sign: False under an odd number of `not`."""
    if isinstance(rule, Not):
        yield from signed(rule.part, not sign)
    elif isinstance(rule, All | AnyOf):
        for part in rule.all if isinstance(rule, All) else rule.any:
            yield from signed(part, sign)
    else:
        yield rule, sign


def located(rule: Rule, path: Path = ()) -> Iterator[tuple[Path, Atom]]:
    """Every condition of the rule with its path in the definition, in the order of the file."""
    if isinstance(rule, Not):
        yield from located(rule.part, (*path, "not"))
    elif isinstance(rule, All | AnyOf):
        key, parts = ("all", rule.all) if isinstance(rule, All) else ("any", rule.any)
        for index, part in enumerate(parts):
            yield from located(part, (*path, key, index))
    else:
        yield path, rule


def atoms(rule: Rule) -> Iterator[Atom]:
    """Every condition of the rule, without its sign."""
    return (atom for atom, _ in signed(rule))


def literals(rule: Rule) -> frozenset[Literal]:
    """The stable keys of all literals of the rule."""
    return frozenset(literal(atom, sign) for atom, sign in signed(rule))


def holding(rule: Rule, facts: Facts) -> frozenset[Literal]:
    """The literals that are true now: what is inherited at flow-in and at manual entry (SPEC 4)."""
    relations = facts.relations
    return frozenset(literal(atom, sign) for atom, sign in signed(rule) if atom.holds(facts, relations) is sign)


def released(
    rule: Rule, facts: Facts, inherited: frozenset[Literal], anew: frozenset[Literal] = NOTHING
) -> frozenset[Literal]:
    """The literals still inherited after these facts: one seen false, or occurring anew (see `occurring`), is free."""
    return (inherited & holding(rule, facts)) - anew if inherited else inherited


def occurring(
    rule: Rule,
    *,
    added_tags: frozenset[str] = frozenset(),
    removed_tags: frozenset[str] = frozenset(),
    events: Iterable[EventFact] = (),
) -> frozenset[Literal]:
    """The literals that a change makes occur anew, although they may have been true all along (SPEC 4)."""
    happened = tuple(events)
    return frozenset(
        literal(atom, sign)
        for atom, sign in signed(rule)
        if (isinstance(atom, Tag) and not (added_tags if sign else removed_tags).isdisjoint(atom.tag))
        or (sign and isinstance(atom, Event) and any(atom.matches(event) for event in happened))
    )


@lru_cache(maxsize=1024)
def depends_on(rule: Rule) -> Dependencies:
    """Everything the rule looks at."""
    return reduce(or_, (atom.needs() for atom in atoms(rule)), Dependencies())


def needs_of(rule: Rule | None) -> Dependencies:
    """What a rule looks at that may be left out: nothing, if there is none."""
    return Dependencies() if rule is None else depends_on(rule)


def flips_at(rule: Rule, facts: Facts, now: int) -> int | None:
    """The earliest instant after `now` at which time alone may change the rule; until then it stays as it is.

    Needs the full facts: those of `Facts.restricted_to` have rounded instants and are refused with ValueError.
    """
    if not facts.exact:
        raise ValueError("flips need exact instants; these facts were restricted for grouping")
    then = facts.at(now)
    return min((flip for atom in atoms(rule) if (flip := atom.flips_at(then)) is not None), default=None)


def mentions_tag(rule: Rule, tag: str) -> bool:
    """Whether the tag (its id once bound, else its name) stands in the rule."""
    return tag in depends_on(rule).tags


def bind_tags(rule: Rule, tag_ids: Mapping[str, str]) -> Rule:
    """The rule with tag names replaced by tag ids (D25); raises KeyError with the first name that has no id."""
    if isinstance(rule, Not):
        return Not.model_construct(part=bind_tags(rule.part, tag_ids))
    if isinstance(rule, All):
        return All.model_construct(all=tuple(bind_tags(part, tag_ids) for part in rule.all))
    if isinstance(rule, AnyOf):
        return AnyOf.model_construct(any=tuple(bind_tags(part, tag_ids) for part in rule.any))
    return Tag(tag=tuple(tag_ids[name] for name in rule.tag)) if isinstance(rule, Tag) else rule
