"""What has happened and is not followed yet: news that rules look at, flows to other SOPs, and the cause of each.

Values only. A chain is everything that follows from one thing outside: it may enter a SOP once for one subject, and
after ten hops it is cut (SPEC 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.support.oracle.people import Relation
from tests.support.oracle.rules import Happening
from tests.support.oracle.run import Cause, Run, Sop

MOST_HOPS = 10
OUTSIDE = Cause()


@dataclass(frozen=True)
class News:
    """Something has become different for a customer. `words`: what it touches, as `rules.mentions` says it.

    `relation`: if it is about one only; `came` and `went` are its tags. `begins`: a relation has begun, through which
    every condition may read differently. `only`: a flip of time concerns one SOP's entry, or one run.
    """

    customer: str
    words: frozenset[str]
    relation: Relation | None = None
    came: frozenset[str] = frozenset()
    went: frozenset[str] = frozenset()
    event: Happening | None = None
    signal: int | None = None
    begins: bool = False
    cause: Cause = field(default=OUTSIDE)
    only: Sop | Run | None = None


@dataclass(frozen=True)
class Flow:
    """A run that has ended goes on in another SOP."""

    run: Run
    target: str
    cause: Cause


def tag_news(relation: Relation, came: set[str], went: set[str], cause: Cause = OUTSIDE) -> list[News]:
    """News of a change of tags; none if nothing changed."""
    if not came and not went:
        return []
    words = frozenset(f"tag {name}" for name in came | went)
    return [News(relation.customer, words, relation, frozenset(came), frozenset(went), cause=cause)]


def begun(relation: Relation) -> News:
    """A relation has begun."""
    words = {"source", "member", "added", "lost", *(f"tag {name}" for name in relation.seen_tags)}
    return News(relation.customer, frozenset(words), relation, came=frozenset(relation.seen_tags), begins=True)


def net(news: list[News]) -> list[News]:
    """A tag that came and went within one round did neither."""
    found: list[News] = []
    for one in news:
        same = next((other for other in found if other.came | other.went and other.relation is one.relation), None)
        if same is None or not one.came | one.went:
            found.append(one)
            continue
        came = (same.came - one.went) | (one.came - same.went)
        went = (same.went - one.came) | (one.went - same.came)
        words = frozenset(f"tag {name}" for name in came | went) | {
            word for word in same.words | one.words if not word.startswith("tag ")
        }
        found[found.index(same)] = replace(same, words=words, came=came, went=went, begins=same.begins or one.begins)
    return [one for one in found if one.words or one.only is not None]
