"""What every condition is: a mapping with one key that holds or not, and knows what it looks at."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from machines.facts import Dependencies, Facts
from machines.rules.scalars import Block

Relations = tuple[frozenset[str], ...]


class Atom(Block):
    """A condition without parts."""

    @cached_property
    def text(self) -> str:
        """The condition as stable text, the order of the names in a list aside.

        Kept on the condition itself and not in a cache by equality, because `{is: 1}` and `{is: true}` are equal.
        """
        shape = _sorted(self.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
        return json.dumps(shape, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @abstractmethod
    def holds(self, facts: Facts, relations: Relations) -> bool:
        """Whether the condition is true; tag conditions are asked of `relations` only."""

    @abstractmethod
    def needs(self) -> Dependencies:
        """The facts the condition looks at."""

    def flips_at(self, facts: Facts) -> int | None:
        """The earliest instant after `facts.now` at which time alone changes the condition, or None."""
        return None


def _sorted(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {key: _sorted(value) for key, value in shape.items()}
    return sorted(shape, key=repr) if isinstance(shape, list) else shape


def first_after(now: int, instants: Iterable[int]) -> int | None:
    """The earliest of `instants` that is later than `now`, or None."""
    return min((instant for instant in instants if instant > now), default=None)
