"""Definition files: every fault at once by line and column, schema, warnings, differences, tag names (SPEC 3, D25)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.calendar import QuietHours
from machines.moments import OnDay
from machines.sop import Problem, Sop, compile_program, not_run_yet, tag_names
from machines.workdays import NO_WORKDAYS
from sopd.config.settings import Company
from sopd.definitions import (
    DefinitionFaults,
    TagLibrary,
    bind,
    diff,
    json_schema,
    key_position,
    lint,
    parse_sop,
    placed,
    position,
    read,
)

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "config" / "sops").glob("*.yaml"))
HEAD = "sop: care\ntitle: Care\nkind: new_customer\n"
STEPS = 'steps:\n  - {id: a, day: 1, at: "10:00", by: mass_send, text: hi}\n'
WHOLE = HEAD + STEPS
TOP = (
    "sop, title, kind, strategy, pace, priority, members, owner, stage, entry, anchor, steps, batch, late_at_entry, "
    "outage_grace, quota_full, calendar, off_day, quiet, early_end, normal_end, goal, once_per"
)
STEP = "id, by, day, at, after, next, on, text, attachments, only_if, on_reply, assign, wait, at_most, to"
CONDITIONS = (
    "all, any, not, tag, stage, lost, source, member, audience, attribute, event, replied, talked, in_sop, ended_sop, "
    "added, silent, date_of"
)
CHANNELS = "welcome, mass_send, remind, call, moment, group_send, webhook"


def faults(text: str | bytes, **company: Any) -> list[str]:
    """The faults of a file called f.yaml, without its name."""
    try:
        parse_sop(read(text, "f.yaml"), **company)
    except DefinitionFaults as found:
        return [str(fault).removeprefix("f.yaml:") for fault in found.faults]
    return []


# -- files that are no YAML, or none that is read ----------------------------------------------------------------------

UNREADABLE: list[tuple[str, str | bytes, list[str]]] = [
    ("nothing", "", ["1:1: is empty; a definition begins with `sop: its-key`"]),
    ("a comment only", "# later\n", ["1:1: is empty; a definition begins with `sop: its-key`"]),
    ("a word", "hello", ["1:1: is no definition; it begins with `sop: its-key`"]),
    ("a list", "- sop: x", ["1:1: is no definition; it begins with `sop: its-key`"]),
    ("two documents", "sop: x\n---\nsop: y\n---\n", ["2:1: begins a second document; write one definition per file"]),
    ("a tab", "sop: x\nsteps:\n\t- id: a", ["3:1: is indented with a tab; YAML takes blanks only"]),
    ("a stray colon", "sop: x\ntitle: a: b",
     ["2:9: has a colon where none may stand; put a text with `: ` in quotes, or check the indentation"]),
    ("an open quote", 'sop: "x', ["1:8: ends inside a quoted text; add the closing quote"]),
    ("an open list", "a: [1\nb: 2", ["2:2: breaks off a list; add `,` or `]` (while parsing a flow sequence, line 1)"]),
    ("an open mapping", "a: {b: 1\n",
     ["2:1: breaks off a mapping; add `,` or `}` (while parsing a flow mapping, line 1)"]),
    ("a mapping in a list", "- a\nb: c",
     ["2:1: is no list item; begin it with `- ` or check the indentation (while parsing a block collection, line 1)"]),
    ("a bad dedent", "a: |\n    x\n  y\n",
     ["3:3: is not `key: value` here; check quotes and indentation (while parsing a block mapping, line 1)"]),
    ("a line that is no pair", "a: 1\nhello\nb: 2\n", ["2:1: is a key without a colon; write `key: value`"]),
    ("a reserved sign", "a: @x", ["1:4: begins with a character that needs quotes around the text"]),
    ("an alias bomb", "a: &a [x, x]\nb: &b [*a, *a]\n", [
        "1:4: &a names a value for repetition; take it away, anchors are not allowed",
        "2:4: &b names a value for repetition; take it away, anchors are not allowed",
        "2:8: *a repeats another value; write it out, aliases are not allowed",
        "2:12: *a repeats another value; write it out, aliases are not allowed",
    ]),
    ("a tag of Python", "a: !!python/object:os.system {}",
     ["1:4: !!python/object:os.system changes the type of a value; take it away, tags are not allowed"]),
    ("too deep", "[" * 5000, ["1:41: is nested too deeply for a definition"]),
    ("too many", "[" + "1," * 100_001 + "]", ["1:200000: holds too many values for a definition"]),
    ("too large", "x" * (1 << 20) + "x", ["1:1: is larger than 1024 KiB; a definition holds one SOP or journey"]),
    ("Latin-1", "sop: x\ntitle: Gr\xfc\xdfe".encode("latin-1"),
     ["2:10: is not UTF-8 from here on; save the file as UTF-8"]),
    ("UTF-16", "sop: x".encode("utf-16"), ["1:1: is written in UTF-16; save it as UTF-8"]),
    ("a lone surrogate", "sop: \udc80", ["1:6: is not UTF-8 from here on; save the file as UTF-8"]),
    ("a control character", "sop: x\ntitle: 标\x07", ["2:9: holds the control character U+0007; take it away"]),
]


@pytest.mark.parametrize(
    ("text", "expected"), [case[1:] for case in UNREADABLE], ids=[case[0] for case in UNREADABLE]
)
def test_unreadable_file_is_refused_in_its_place(text: str | bytes, expected: list[str]) -> None:
    assert faults(text) == expected


def test_missing_file_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(DefinitionFaults) as found:
        read(tmp_path / "none.yaml")

    assert str(found.value) == f"{tmp_path}/none.yaml:1:1: cannot be read: No such file or directory"


def test_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert faults(b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode()) == []


# -- files with faults -------------------------------------------------------------------------------------------------

FAULTY: list[tuple[str, str, list[str]]] = [
    ("nothing required", "priority: 3\n", [
        "1:1: key `sop` is missing; it is the SOP's own key, such as `sop: new-customer-30d`",
        "1:1: key `title` is missing; it is what people see, such as `title: 新客户30天`",
        "1:1: key `kind` is missing; write new_customer, nurture, stage or group",
        "1:1: key `steps` is missing; a SOP has at least one step",
    ]),
    ("a misspelt key", WHOLE.replace("title", "titel"),
     [f"2:1: unknown key `titel`; did you mean `title`? allowed here: {TOP}"]),
    ("a key of YAML's own", WHOLE + "on: true\n7: x\n",
     [f"6:1: unknown key `on`; allowed here: {TOP}", f"7:1: unknown key `7`; allowed here: {TOP}"]),
    ("a key twice", WHOLE + "priority: 101\npriority: 5\n", [
        "6:11: priority: 101 is too large; at most 100 is allowed",
        "7:1: key `priority` is given twice, first on line 6; keep one of both",
    ]),
    ("a merge key", WHOLE + "batch:\n  <<: {size: 3}\n",
     ["7:3: << merges another mapping; write its keys out, merging is not allowed"]),
    ("no key at all", WHOLE + '"": 1\n? [a, b]\n: 2\n',
     ["6:1: is no key; a key is one word", "7:3: is no key; a key is one word"]),
    ("a key without a value", WHOLE + "normal_end:\ngoal: ~\n", [
        "6:12: normal_end: has no value; give one, or take the line away",
        "7:7: goal: has no value; give one, or take the line away",
    ]),
    ("an unquoted time", HEAD + "steps:\n  - {id: a, day: 1, at: 9:05, by: call, text: x}\n",
     ['5:25: at: 9:05 without quotes is a number in YAML; quote the time: "09:05"']),
    ("a time that is none", HEAD + 'steps:\n  - {id: a, day: 1, at: "25:00", by: call, text: x}\n',
     ['5:25: at: "25:00" is not a time of day; write it in quotes as "HH:MM", for example "09:30"']),
    ("yes and no", WHOLE.replace("hi", "yes") + "early_end: {when: {lost: on}}\n", [
        '5:55: text: yes means true or false in YAML; write true or false, or "yes" in quotes if it is a text',
        '6:26: lost: on means true or false in YAML; write true or false, or "on" in quotes if it is a text',
    ]),
    ("odd numbers", WHOLE + "priority: 010\nbatch: {size: 1_000}\n", [
        '6:11: priority: 010 is read as an unusual number in YAML; write a plain one, or "010" in quotes for text',
        '7:15: size: 1_000 is read as an unusual number in YAML; write a plain one, or "1_000" in quotes for text',
    ]),
    ("numbers for texts", WHOLE.replace("Care", "2026") + "members: [7, 2026-01-01]\n", [
        '2:8: title: 2026 is no text; write "2026" in quotes',
        '6:11: members: 7 is no text; write "7" in quotes',
        '6:14: members: 2026-01-01 is no text; write "2026-01-01" in quotes',
    ]),
    ("texts for numbers", WHOLE + 'priority: "50"\nbatch: {size: 2.5}\n', [
        '6:11: priority: "50" is not a whole number; write for example 5, without quotes',
        "7:15: size: 2.5 is not a whole number; write for example 5, without quotes",
    ]),
    ("a key with blanks", WHOLE.replace("sop: care", "sop: My Care"), [
        '1:6: sop: "My Care" is no key; use small letters, digits, - and _, at most 64, such as new-customer-30d']),
    ("unknown words", WHOLE.replace("new_customer", "new-customer") + "calendar: china\nowner: first\n", [
        '3:7: kind: "new-customer" is unknown; did you mean new_customer? allowed: new_customer, nurture, stage, group',
        '6:11: calendar: "china" is unknown; allowed: every_day, weekdays, china_workday',
        '7:8: owner: "first" is unknown; did you mean first_added? allowed: first_added, last_added, tagged_by',
    ]),
    ("a word or a mapping", WHOLE + "quota_full: defer\nlate_at_entry: {wthin: 3h}\nanchor: {attribut: x}\n", [
        '6:13: quota_full: "defer" is unknown; allowed: remind, skip, {defer: ...}',
        "7:17: unknown key `wthin`; did you mean `within`? allowed here: within",
        "8:10: unknown key `attribut`; did you mean `attribute`? allowed here: attribute",
    ]),
    ("durations", WHOLE + "quota_full: {defer: 3h}\nbatch: {every: 2d}\noutage_grace: {within: 2}\n", [
        '6:21: defer: "3h" is not whole days; write for example 3d',
        "7:16: every: 2d is too long; at most 1d are allowed",
        "8:24: within: 2 is not a duration; write a number and m, h or d: 30m, 2h, 3d",
    ]),
    ("spans of the day", WHOLE + 'quiet: ["8-9", "21:00-21:00", 5]\n', [
        '6:9: quiet: "8" is not a time of day; write it in quotes as "HH:MM", for example "09:30"',
        '6:16: quiet: "21:00-21:00" begins and ends at the same time; a whole day cannot be quiet',
        '6:31: quiet: 5 is not a span of the day; write it as "21:00-08:00"',
    ]),
    ("wrong shapes", HEAD + "steps: {}\nbatch: 200\nmembers: {a: 1}\nentry: [x]\n", [
        "4:8: steps: a mapping is no list; write `[a, b]`, or lines that begin with `- `",
        "5:8: batch: 200 is no mapping; write `key: value` lines below it",
        "6:10: members: a mapping is no list; write `[a, b]`, or lines that begin with `- `",
        "7:8: entry: a list is no mapping; write `key: value` lines below it",
    ]),
    ("no steps", HEAD + "steps: []\n", ["4:8: steps: is empty; at least one is needed"]),
    ("steps that are none", HEAD + "steps:\n  - a\n  - {id: b, by: call, text: x}\n", [
        '5:5: step 1: "a" is no mapping; write `key: value` lines below it',
        "6:5: step 2: says no time; give `day: N`, `after: 2h` or `next: monday`",
    ]),
    ("an unknown condition", WHOLE + "entry: {when: {any: [{tga: [x]}, {}, {tag: a, lost: true}, word]}}\n", [
        f"6:22: any: `tga` is not a condition; did you mean `tag`? allowed here: {CONDITIONS}",
        "6:34: any: is empty; write a condition such as {tag: [组/名]}",
        "6:38: any: a condition has one key, and here are 2: tag, lost; put several under `all` or `any`",
        '6:60: any: "word" is not a condition; write one such as {tag: [组/名]}',
    ]),
    ("conditions of the wrong kind", WHOLE +
     "early_end:\n  when:\n    all:\n    - tag: []\n    - source: {states: a}\n"
     "    - attribute: {level: {abve: 3, above: '3'}, paid: {before: 2026-02-30}}\n"
     "    - event: {name: x, where: {a: [1]}}\n    - ended_sop: {sop: x, by: finished}\n"
     "    - replied: {none: true, keywords: [a]}\n    - stage: {journey: x}\n", [
        "9:12: tag: is empty; at least one is needed",
        "10:16: unknown key `states`; did you mean `state`? allowed here: state, add_way",
        "11:27: unknown key `abve`; did you mean `above`? allowed here: exists, is, is_not, one_of, contains, above, "
        "at_least, below, at_most, before, after",
        '11:43: above: "3" is not a number; write for example 100 or 9.5, without quotes',
        "11:64: before: 2026-02-30 is not in the calendar; write a date as 2026-12-24",
        "12:35: a: a list is not a value; write a text, a number, true or false",
        '13:31: by: "finished" is unknown; allowed: normal_end, early_end, manual_end, lost, stopped, merged',
        "14:16: replied: asks for keywords and for no reply at all; give one of `keywords` and `none`",
        "15:14: key `one_of` is missing; it is required here",
    ]),
    ("a rule that is missing", WHOLE + "early_end: {add_tags: [a]}\ngoal: {within: 7d}\n", [
        "6:12: key `when` is missing; write the rule, such as `when: {tag: [组/名]}`",
        "7:7: key `when` is missing; write the rule, such as `when: {tag: [组/名]}`",
    ]),
    ("names with blanks", WHOLE + "normal_end: {add_tags: [' a', ''], set: {x: [1]}}\n", [
        '6:25: add_tags: " a" begins or ends with a blank; take it away',
        "6:31: add_tags: must not be empty",
        "6:45: x: a list is not a value; write a text, a number, true or false",
    ]),
    ("attachments", HEAD + "steps:\n  - id: a\n    day: 1\n    at: '10:00'\n    by: mass_send\n    attachments:\n"
     "    - {image: a.gif}\n    - {link: {url: example.test, title: x}}\n"
     "    - {image: {file: a.png, url: 'https://e.test'}}\n    - {video: a.mov, file: x}\n"
     "    - {lnk: 1}\n    - {file: 'https://e.test/x.pdf'}\n    - {link: {title: '" + "字" * 43
     + "', url: 'https://e.test'}}\n", [
        '10:15: image: "a.gif" is of no kind that WeCom takes; allowed are .jpg, .jpeg, .png',
        '11:20: url: "example.test" is not a web address; it begins with https:// or http:// and has no blanks',
        "12:15: image: needs exactly one of `file` and `url`",
        "13:7: attachments: an attachment has one key, and here are 2: video, file; make each an item of the list",
        "14:7: attachments: `lnk` is not an attachment; did you mean `link`? allowed here: image, link, miniprogram, "
        "video, file",
        '15:14: file: "https://e.test/x.pdf" is a web address; name a file, relative to the definition',
        "16:22: title: has 129 bytes; at most 128 are allowed (a Chinese character counts three)",
    ]),
    ("ten attachments", HEAD + 'steps:\n  - {id: a, day: 1, at: "10:00", by: mass_send, attachments: ['
     + ", ".join(["{file: x}"] * 10) + "]}\n", ["5:62: attachments: has too many items; at most 9 are allowed"]),
    ("faults of shape and contradictions together", HEAD + "steps:\n"
     "  - {id: a, day: 5, at: \"10:00\", by: mass_send, text: 'Dear {{name}}'}\n"
     "  - {id: a, day: 3, at: \"10:00\", by: mass-send, txt: x}\n"
     "  - {id: settling, by: welcome}\n"
     "  - {day: 9, at: \"10:00\", by: mass_send, text: x, only_if: {all: [{tga: x}, {replied: {since: zzz}}]}}\n"
     "early_end: {when: {tag: []}, add_tags: [x], remove_tags: [x], flow_to: care}\n", [
        "5:55: text: mass_send text has no per-customer variables: {{name}} would be sent as it stands; take it out, "
        "or use `by: remind`",
        '6:10: id: "a" is the id of step 1 already; every step needs an id of its own',
        '6:18: day: day 3 at 10:00 lies before step "a" (day 5 at 10:00); steps fire in the order of the list, so move '
        "the step up or its time back",
        f'6:38: by: "mass-send" is unknown; did you mean mass_send? allowed: {CHANNELS}',
        f"6:49: unknown key `txt`; did you mean `text`? allowed here: {STEP}",
        "7:5: step 3: welcome says nothing; give text, attachments or both",
        '7:10: id: "settling" is the name of a state; a step may be called anything but early_end, enrolled, lost, '
        "manual_end, merged, normal_end, settling, stopped",
        "7:24: by: welcome is possible for the first step only: its code lives 20 seconds",
        "8:5: key `id` is missing; every step has one of its own, such as `id: welcome`",
        f"8:67: all: `tga` is not a condition; did you mean `tag`? allowed here: {CONDITIONS}",
        '8:95: since: "zzz" is not the id of a step before this; allowed here: a, settling',
        "9:25: tag: is empty; at least one is needed",
        '9:59: remove_tags: "x" is added and removed at once; keep one of both',
        "9:72: flow_to: is this SOP itself; name another one of kind nurture",
    ]),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in FAULTY], ids=[case[0] for case in FAULTY])
def test_every_fault_is_told_at_once_and_in_its_place(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_what_only_follows_from_a_spoiled_value_is_not_told() -> None:
    spoiled_time = HEAD + "steps:\n  - {id: a, day: one, at: 10:00, by: mass_send, text: 5}\n"
    spoiled_kind = WHOLE.replace("new_customer", "neww") + "once_per: relation\n"
    spoiled_channel = HEAD + "steps:\n  - {id: a, by: sms}\n"

    assert [fault.partition(": ")[0] for fault in faults(spoiled_time)] == ["5:18", "5:27", "5:55"]
    assert [fault.partition(": ")[0] for fault in faults(spoiled_kind)] == ["3:7"]
    assert [fault.partition(": ")[0] for fault in faults(spoiled_channel)] == ["5:17"]


def test_endless_faults_are_cut_short() -> None:
    found = faults(HEAD + "steps:\n" + "  - {id: A, by: sms, day: x, foo: 1}\n" * 5000)

    assert len(found) == 301
    assert found[-1].endswith("19701 more faults follow; correct these first")


def test_company_decides_on_days_and_quiet_hours() -> None:
    twice = WHOLE + '  - {id: b, day: 1, at: "11:00", by: mass_send, text: hi}\nquiet: "08:00-21:00"\n'

    assert len(faults(twice)) == 1
    assert faults(twice, quota_mode="month:days") == []
    assert faults(twice, quota_mode="month:days", company_quiet=Company().quiet_hours)[0].startswith("7:8: quiet: ")


def test_columns_count_characters_not_bytes() -> None:
    document = read("标题: {值: 一, x: 二}\n", "f.yaml")

    assert position(document, ("标题", "x")) == (1, 15)
    assert key_position(document, ("标题", "x")) == (1, 12)
    assert position(document, ("标题", "missing", "deeper")) == (1, 5)


# -- what is found later -----------------------------------------------------------------------------------------------


def test_what_does_not_run_yet_is_told_by_line() -> None:
    document = read(WHOLE + "goal: {when: {tag: [结果/已下单]}, within: 7d}\n", "f.yaml")
    found = placed(document, not_run_yet(parse_sop(document)))

    line = document.text.splitlines().index("goal: {when: {tag: [结果/已下单]}, within: 7d}") + 1
    assert [str(fault) for fault in found] == [
        f"f.yaml:{line}:7: goal: this key is not run by this version yet; leave it out"
    ]


LIBRARY = TagLibrary.of([
    ("et1", "结果", "已下单"), ("et2", "渠道", "直播"), ("et3", "结果", "直播"), ("et4", "渠道", "展会"),
])


def test_tag_names_are_bound_to_the_one_tag_they_mean() -> None:
    end = "early_end: {when: {tag: [结果/已下单, 展会]}, add_tags: [直播, 渠道/直播, 已下但]}\n"
    document = read(WHOLE + end, "f.yaml")
    binding = bind(parse_sop(document), LIBRARY)

    assert binding.tag_ids == {"结果/已下单": "et1", "展会": "et4", "渠道/直播": "et2"}
    assert [str(fault) for fault in placed(document, binding.problems)] == [
        'f.yaml:6:51: add_tags: "直播" may be any of 渠道/直播, 结果/直播; write its group too, as 组/名',
        'f.yaml:6:62: add_tags: there is no tag "已下但"; did you mean 已下单? make it in WeCom first, or write the '
        "name of one as 组/名",
    ]


def warnings(text: str, **known: Any) -> list[Problem]:
    return list(lint(parse_sop(read(text, "f.yaml")), **known))


def test_lint_warns_of_what_is_likely_not_meant() -> None:
    text = (
        "sop: care\ntitle: Care\nkind: new_customer\nsteps:\n"
        '  - {id: a, after: 2h, by: mass_send, text: hi}\n  - {id: b, after: 9h, by: mass_send, text: hi}\n'
        '  - {id: c, day: 3, at: "22:30", by: call, text: hi}\n'
        '  - {id: d, day: 3, at: "22:30", by: mass_send, text: hi}\n'
        "normal_end: {add_tags: [nobody]}\n"
    )
    quiet = QuietHours(Company().quiet_hours.windows)

    found = warnings(text, library=LIBRARY, company_quiet=quiet)

    assert [problem.path for problem in found] == [
        ("normal_end", "add_tags", 0), ("entry", "when"), ("sop",), ("steps", 2, "at"), ("steps", 3, "at"),
        ("steps", 3, "at"), ("steps", 1, "after"),
    ]
    assert "22:30 lies in the quiet hours 21:00-08:00" in found[3].message
    assert "very moment of step c" in found[5].message
    assert ("steps", 1, "after") not in [problem.path for problem in warnings(text, quota_mode="week:7")]


def test_nurture_that_nobody_enters_is_warned_of() -> None:
    said = "has no entry: nobody enters by rule, only by flow or by hand"
    nurture = WHOLE.replace("new_customer", "nurture")
    assert said in [problem.message for problem in warnings(nurture)]
    assert said not in [problem.message for problem in warnings(nurture + "entry: {reenter: after_end}\n")]


def test_difference_of_two_versions_reads_as_lines() -> None:
    old = parse_sop(read(WHOLE + "early_end: {when: {tag: [x]}, add_tags: [a, b]}\n"))
    new = parse_sop(read(
        HEAD.replace("Care", "Caring") + 'steps:\n  - {id: n, day: 0, at: "10:00", by: call, text: ring}\n'
        '  - {id: a, day: 2, at: "10:00", by: mass_send, text: hello}\nbatch: {size: 5}\n'
        "early_end: {when: {any: [{tag: [x]}, {lost: true}]}, add_tags: [b, c]}\n"
    ))

    assert diff(old, old) == []
    assert diff(old, new) == [
        'title: "Care" → "Caring"',
        "step n: added (day 0 10:00 by call)",
        "step a: day: 1 → 2",
        'step a: text: "hi" → "hello"',
        "batch.size: 200 → 5",
        "early_end.add_tags: + c, - a",
        'early_end.when: {"tag": ["x"]} → {"any": [{"tag": ["x"]}, {"lost": true}]}',
    ]
    assert diff(new, old)[1] == "step n: removed (day 0 10:00 by call)"


def test_new_order_of_steps_is_one_line() -> None:
    step = '  - {{id: {}, day: 1, at: "10:00", by: call, text: x}}\n'
    one, other = (HEAD + "steps:\n" + "".join(step.format(name) for name in names) for names in ("abc", "bca"))

    assert diff(parse_sop(read(one)), parse_sop(read(other))) == ["steps: order a, b, c → b, c, a"]


# -- schema and shipped files ------------------------------------------------------------------------------------------


def test_shipped_schema_is_the_generated_one() -> None:
    shipped = (ROOT / "config" / "schema" / "sop.schema.json").read_text(encoding="utf-8")

    assert shipped == json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n", (
        "write json_schema() to config/schema/sop.schema.json again"
    )
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_definition_is_sound(path: Path) -> None:
    document = read(path)
    sop = parse_sop(document, company_quiet=Company().quiet_hours)

    assert sop.sop == path.stem
    assert lint(sop, company_quiet=Company().quiet_hours) == ()
    jsonschema.Draft202012Validator(json_schema()).validate(document.data)
    ids = {name: name for name in tag_names(sop)}
    compile_program(sop, zone="Asia/Shanghai", company_quiet=Company().quiet_hours, workdays=NO_WORKDAYS, tag_ids=ids)


def test_shipped_programme_runs_for_thirty_days() -> None:
    sop = parse_sop(read(ROOT / "config" / "sops" / "new-customer-30d.yaml"))

    assert not_run_yet(sop) == ()
    assert sop.steps[0].by == "welcome"
    assert max(step.day or 0 for step in sop.steps) == 30
    program = compile_program(sop, zone="Asia/Shanghai", company_quiet=Company().quiet_hours, workdays=NO_WORKDAYS,
                              tag_ids={name: name for name in tag_names(sop)})
    assert isinstance(program.steps[-1].moment, OnDay) and program.early_end_rule is not None


@pytest.mark.parametrize("text", [text for _, text, _ in FAULTY[:3]])
def test_schema_refuses_what_an_editor_can_see(text: str) -> None:
    data = yaml.safe_load(text)

    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(data))


# -- anything at all -------------------------------------------------------------------------------------------------

GOOD = SHIPPED[-1].read_text(encoding="utf-8")
VALUES = st.sampled_from([
    None, True, 0, -1, 3.5, "", " ", "x", "10:00", "30m", [], {}, [1], ["a"], {"a": 1}, {"tag": ["a"]}, {"all": []},
    "mass_send", {"within": "1d"}, [{"id": "a"}], "字" * 2000, 10**30, "{{x}}",
])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_to_a_file_ever_crashes_the_reader(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    cut = data.draw(st.integers(0, 30))
    put = data.draw(st.text("{}[]:,-#&*!|>'\"%@`\n\t \x00\ufeffa1", max_size=4))
    text = GOOD[:at] + put + GOOD[at + cut:]

    for fault in faults(text):
        line, column, said = fault.split(":", 2)
        assert int(line) >= 1 and int(column) >= 1 and said.strip()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_a_definition_or_a_fault(data: st.DataObject) -> None:
    shape = yaml.safe_load(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        holder = shape
        while True:
            key = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
            if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(st.booleans()):
                break
            holder = holder[key]
        holder[key] = copy.deepcopy(data.draw(VALUES))
    text = yaml.safe_dump(shape, allow_unicode=True, sort_keys=False)

    if not faults(text):
        sop = parse_sop(read(text))
        assert Sop.model_validate(sop.model_dump(mode="json")) == sop


MANY = """\
sop: many
title: many
kind: nurture
entry: {}
early_end: {when: {lost: true}}
steps:
"""


def test_a_definition_that_hands_a_member_more_tasks_a_day_than_people_confirm_is_warned_of() -> None:
    """D12: customers who entered on different days stand at different steps on the same day."""

    def warnings_of(count: int) -> list[str]:
        steps = "".join(f"  - {{id: s{n}, day: {n}, at: '10:00', by: mass_send, text: x}}\n" for n in range(count))
        return [warning.message for warning in lint(parse_sop(read(MANY + steps, "f.yaml")))]

    assert warnings_of(10) == []
    (warning,) = warnings_of(11)
    assert "11 tasks" in warning
