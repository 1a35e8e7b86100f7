"""By what a customer is named from outside: external_userid, unionid, CRM id, or a phone number (SPEC 10).

A phone number becomes its hash right here, in the function that reads it: it is never kept, logged or shown.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

PHONE_HASH = "phone_hash"
COLUMNS = {"external_userid": "external_userid", "unionid": "unionid", "crm_id": "crm_id", PHONE_HASH: PHONE_HASH}
"""Kinds of identities, the surest first, and the column of `customer` each is looked up in."""

KEYS = ("external_userid", "unionid", "crm_id", "phone", PHONE_HASH)
"""What a person may write: the kinds, and `phone`, which becomes a hash."""

MOST_CHARACTERS = 200
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_CHINESE = re.compile(r"1[3-9]\d{9}")
_HEX = re.compile(r"[0-9a-f]{64}")


class Identity(NamedTuple):
    """One name of a customer. `kind` is a key of COLUMNS."""

    kind: str
    value: str

    def __str__(self) -> str:
        """For people: a hash is shortened, for it stands for a phone number."""
        return f"phone hash {self.value[:8]}…" if self.kind == PHONE_HASH else f"{self.kind} {self.value}"


def phone_hash(number: str) -> str:
    """The hex SHA-256 of a phone number in E.164 (`+8613800138000`).

    Blanks, dashes, dots and brackets do not matter, `00` stands for `+`, and a Chinese mobile number needs no country
    code. ValueError, which does not repeat the number, for anything else.
    """
    digits = re.sub(r"[\s().\-/]", "", unicodedata.normalize("NFKC", number))
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    if _CHINESE.fullmatch(digits):
        digits = f"+86{digits}"
    elif digits.startswith("86") and _CHINESE.fullmatch(digits[2:]):
        digits = f"+{digits}"
    if not _E164.fullmatch(digits):
        raise ValueError("is no phone number; write it with its country code (+8613800138000), or a Chinese mobile's 11"
                         " digits")  # fmt: skip
    return hashlib.sha256(digits.encode()).hexdigest()


def identity(key: str, value: str) -> Identity:
    """One identity as it is written; ValueError says what is allowed."""
    text = value.strip()
    if key not in KEYS:
        raise ValueError(f"is unknown; allowed here: {', '.join(KEYS)}")
    if key == "phone":
        return Identity(PHONE_HASH, phone_hash(text))
    if key == PHONE_HASH and not _HEX.fullmatch(text.lower()):
        raise ValueError("is no hash; write the 64 hex digits of the SHA-256 of the number in E.164")
    if not text or len(text) > MOST_CHARACTERS or not text.isprintable():
        raise ValueError(f"must be 1 to {MOST_CHARACTERS} visible characters")
    return Identity(key, text.lower() if key == PHONE_HASH else text)


def named(value: Any) -> Identity:
    """A customer as JSON names it: a text is the external_userid, `{"crm_id": "42"}` says what it is."""
    if isinstance(value, str):
        return identity("external_userid", value)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError(f"must be an external_userid, or an object with one of {', '.join(KEYS)}")
    key, text = next(iter(value.items()))
    if not isinstance(text, str):
        raise ValueError(f"{key} must be a text")
    try:
        return identity(str(key), text)
    except ValueError as fault:
        raise ValueError(f"{key} {fault}") from None
