"""Chance without a generator: every choice is a hash of (seed, entity, ordinal).

So a seed reproduces people and faults whatever happens elsewhere and in whatever order (SPEC 14).
Called by everything in the sandbox that varies; holds no state and must never use `random`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

Choice = TypeVar("Choice")
Seed = int | str

#: One key part per name; a part may hold any text, so the separator is a control character.
_SEPARATOR = "\x1f"


def digest(seed: Seed, *key: object, size: int = 8) -> bytes:
    """Hash of the seed and the key parts, `size` bytes long."""
    text = _SEPARATOR.join([str(seed), *(str(part) for part in key)])
    return blake2b(text.encode(), digest_size=size).digest()


def roll(seed: Seed, *key: object) -> float:
    """A number in [0, 1), the same for the same seed and key."""
    return int.from_bytes(digest(seed, *key), "big") / 2**64


def happens(chance: float, seed: Seed, *key: object) -> bool:
    """Whether something of probability `chance` happens to this key."""
    return roll(seed, *key) < chance


def between(low: int, high: int, seed: Seed, *key: object) -> int:
    """A whole number with both ends included."""
    return low + int(roll(seed, *key) * (high - low + 1))


def choose(options: Sequence[Choice], seed: Seed, *key: object) -> Choice:
    """One of the options, all equally likely; an empty sequence is an IndexError."""
    return options[int(roll(seed, *key) * len(options))]


def name(seed: Seed, *key: object, size: int = 6) -> str:
    """A short hexadecimal id (2 x size characters) for the key."""
    return digest(seed, *key, size=size).hex()
