"""Which plain words of a YAML file are numbers, dates, true and false, and which are only mistaken for such.

YAML 1.1 reads `10:00` as 600, `010` as 8 and `yes` as true, without a word. Here each of them is refused with the way
to write what was meant. Only `sopd.definitions.document` calls this.
"""

from __future__ import annotations

import re
from datetime import date

import yaml

TAG = "tag:yaml.org,2002:"
QUOTED = ("'", '"', "|", ">")
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
FRACTION = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Odd(ValueError):
    """A value that is not what it looks like; its text says what to write instead."""


def value_of(node: yaml.ScalarNode) -> str | int | float | bool | date:
    """The value of one scalar; raises Odd. Whatever is quoted, or a block, is text."""
    if node.style in QUOTED or node.tag == f"{TAG}str":
        return str(node.value)
    kind, raw = node.tag.removeprefix(TAG), node.value
    if kind == "null":
        raise Odd("has no value; give one, or take the line away")
    if kind == "bool":
        if raw.lower() not in ("true", "false"):
            raise Odd(f'{raw} means true or false in YAML; write true or false, or "{raw}" in quotes if it is a text')
        return raw.lower() == "true"
    if kind == "int" and DECIMAL.fullmatch(raw):
        return int(raw)
    if kind == "float" and FRACTION.fullmatch(raw):
        return float(raw)
    if kind == "timestamp":
        return _day(raw)
    if TIME.fullmatch(raw):
        raise Odd(f'{raw} without quotes is a number in YAML; quote the time: "{raw.rjust(5, "0")}"')
    raise Odd(f'{raw[:40]} is read as an unusual number in YAML; write a plain one, or "{raw[:40]}" in quotes for text')


def _day(raw: str) -> date | str:
    if not DAY.fullmatch(raw):
        return raw
    try:
        return date.fromisoformat(raw)
    except ValueError:
        raise Odd(f"{raw} is not in the calendar; write a date as 2026-12-24") from None
