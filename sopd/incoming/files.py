"""Files of rows: a table with a head line (CSV, by commas, semicolons or tabs), or JSON lines; told apart by content.

Every row keeps the number of its line, every fault is told as `file:line: column: what is wrong`, and a file with one
fault is not taken at all (SPEC 15.5). Tables saved by a Chinese spreadsheet (GB 18030) are read as well.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sopd.errors import SopdError
from sopd.incoming.shapes import Plain, clean

MOST_BYTES = 256 * 1024 * 1024
LONGEST_FIELD = 1024 * 1024
MOST_TOLD = 200
_ZIP = b"PK\x03\x04"

TYPES = ("text", "number", "truth", "date")
_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")
_TRUTHS = {"true": True, "yes": True, "1": True, "是": True, "false": False, "no": False, "0": False, "否": False}


class BadFile(SopdError):
    """A file that is not taken. `faults` lists what is wrong, each with its place; of very many only the first."""

    def __init__(self, name: str, faults: Sequence[str]) -> None:
        count = len(faults)
        super().__init__(f"{count} fault{'' if count == 1 else 's'} in {name}; nothing was taken")
        more = [f"{name}: and {count - MOST_TOLD} more"] if count > MOST_TOLD else []
        self.faults = (*faults[:MOST_TOLD], *more)


class Line(NamedTuple):
    """One row: the number of its line, and its fields by name."""

    number: int
    fields: dict[str, Any]


@dataclass
class Rows:
    """What a file holds. `is_table`: the fields are texts by column; else they are what JSON makes of them."""

    name: str
    is_table: bool
    columns: tuple[str, ...]
    lines: list[Line]
    faults: list[tuple[int, str]] = field(default_factory=list)

    def blame(self, line: int, sentence: str) -> None:
        """Remember a fault of a line."""
        self.faults.append((line, sentence))

    def require(self) -> None:
        """Raise BadFile if there is any fault, with all of them in the order of the file."""
        if self.faults:
            raise BadFile(self.name, [f"{self.name}:{line}: {sentence}" for line, sentence in sorted(self.faults)])


def read(name: str, data: bytes) -> Rows:
    """The rows of a file. Raises BadFile for one that cannot be read at all; lines that cannot are blamed."""
    if len(data) > MOST_BYTES:
        raise BadFile(name, [f"{name}: has {len(data)} bytes, at most {MOST_BYTES} are read; split it"])
    if data.startswith(_ZIP):
        raise BadFile(name, [f"{name}: is a workbook or an archive; save the sheet as CSV and import that"])
    text = _decoded(name, data)
    if text.lstrip()[:1] in ("{", ""):
        return _json_lines(name, text)
    return _table(name, text)


def _decoded(name: str, data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadFile(name, [f"{name}: is no text in UTF-8 (or GB 18030)"])


def _json_lines(name: str, text: str) -> Rows:
    rows = Rows(name, False, (), [])
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            rows.blame(number, f"is not JSON: {getattr(error, 'msg', 'nested too deep')}")
            continue
        if isinstance(found, dict):
            rows.lines.append(Line(number, found))
        else:
            rows.blame(number, "is no JSON object")
    return rows


def _table(name: str, text: str) -> Rows:
    head, _, _ = text.partition("\n")
    delimiter = next((one for one in ("\t", ",", ";") if one in head), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    csv.field_size_limit(LONGEST_FIELD)
    columns: tuple[str, ...] = ()
    rows = Rows(name, True, (), [])
    began = 1
    try:
        for fields in reader:
            number, began = began, reader.line_num + 1
            if not any(one.strip() for one in fields):
                continue
            if not columns:
                rows.columns = columns = _columns(rows, number, fields)
            elif len(fields) != len(columns):
                rows.blame(number, f"has {len(fields)} fields, the head has {len(columns)}")
            else:
                rows.lines.append(Line(number, dict(zip(columns, (one.strip() for one in fields), strict=True))))
    except csv.Error as error:
        rows.blame(reader.line_num, f"is no row of a table: {error}")
    return rows


def _columns(rows: Rows, number: int, fields: Iterable[str]) -> tuple[str, ...]:
    columns = tuple(one.strip() for one in fields)
    for name in dict.fromkeys(columns):
        if not name:
            rows.blame(number, "a column has no name")
        elif columns.count(name) > 1:
            rows.blame(number, f"column {name} is there twice")
    return columns


# -- typed columns ---------------------------------------------------------------------------------------------------


class Typed(NamedTuple):
    """A column `amount:number`: its whole heading, the name of the value, and its type."""

    heading: str
    name: str
    kind: str


def typed_columns(rows: Rows, others: Iterable[str]) -> list[Typed]:
    """The columns that hold values: all but `others`. Without a type they are texts."""
    known, found = set(others), []
    for heading in rows.columns:
        if heading in known:
            continue
        name, _, kind = heading.rpartition(":") if ":" in heading else (heading, "", "text")
        if kind not in TYPES or not name.strip():
            rows.blame(1, f"column {heading}: write NAME:TYPE with one of {', '.join(TYPES)}, such as amount:number")
        else:
            found.append(Typed(heading, name.strip(), kind))
    return found


def values(line: Line, columns: Iterable[Typed]) -> Iterator[tuple[str, Plain | None, str | None]]:
    """(name, value, fault) of each value of a line; an empty field is None."""
    for column in columns:
        text = line.fields[column.heading]
        if not text:
            yield column.name, None, None
            continue
        try:
            yield column.name, typed(text, column.kind), None
        except ValueError as fault:
            yield column.name, None, f"{column.heading}: {fault}"


def typed(text: str, kind: str) -> Plain:
    """A text as a value of this type; ValueError says how to write one."""
    if kind == "number":
        return _number(text)
    if kind == "truth":
        found = _TRUTHS.get(text.casefold())
        if found is None:
            raise ValueError("is neither yes nor no")
        return found
    return _date(text) if kind == "date" else clean(text)


def _date(text: str) -> str:
    """2026-12-24, and 2026/1/2 as spreadsheets write it."""
    parts = _DATE.fullmatch(text)
    try:
        return dt.date(*map(int, parts.groups())).isoformat() if parts else dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("is no date; write 2026-12-24") from None


def _number(text: str) -> int | float:
    try:
        return int(text) if text.lstrip("+-").isdecimal() else _finite(float(text))
    except ValueError:
        raise ValueError("is no number; write 100 or 9.5") from None


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    return number
