"""What a chaos run says at its end: a table for people, JSON for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from tests.chaos.rounds import Played


def line(one: Played) -> str:
    """One round in one line, and its differences below."""
    judged = one.judgement
    head = (
        f"round {one.seed}: {one.seconds:.0f} s, {judged.customers} customers, {judged.runs} runs, "
        f"{judged.deliveries} deliveries, {sum(one.attacks.values())} attacks, {len(judged.doubtful)} doubtful, "
        f"{len(one.differences)} differences"
    )
    return "\n".join([head, *(f"    {difference}" for difference in one.differences)])


def table(played: Sequence[Played], seconds: float) -> str:
    """The whole run, summed up."""
    judged = [one.judgement for one in played]
    where = "network namespaces" if all(one.alone for one in played) else "processes on one network"
    rows = [
        ("minutes", f"{seconds / 60:.1f}"),
        ("rounds", len(played)),
        ("hosts", f"3, as {where}"),
        ("customers", sum(one.customers for one in judged)),
        ("relations compared", sum(one.relations for one in judged)),
        ("entries foretold by the oracle", sum(one.foretold for one in judged)),
        ("runs of SOPs", sum(one.runs for one in judged)),
        ("deliveries", sum(one.deliveries for one in judged)),
        ("callbacks lost for good", sum(one.census["letters_lost"] for one in played)),
        ("processes killed", sum(one.kills for one in played)),
        ("processes that fell by themselves", sum(len(codes) for one in played for codes in one.fell.values())),
        *((f"attack: {name}", count) for name, count in _summed(one.attacks for one in played)),
        *((f"WeCom: {name}", count) for name, count in _summed(one.faults for one in played)),
        *((f"not sent, {name}", count) for name, count in _summed(one.why_not for one in judged)),
        ("doubtful (needs_operator)", sum(len(one.doubtful) for one in judged)),
        ("differences", sum(len(one.differences) for one in played)),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value:>12}" for name, value in rows]
    lines += [f"doubtful: {one}" for each in judged for one in each.doubtful]
    lines += [f"DIFFERENCE in round {one.seed}: {difference}" for one in played for difference in one.differences]
    return "\n".join(lines)


def as_json(played: Sequence[Played], stuck: str, seconds: float) -> str:
    """Everything, round by round."""
    rounds = [{**asdict(one), "differences": one.differences} for one in played]
    return json.dumps({"seconds": seconds, "stuck": stuck, "rounds": rounds}, ensure_ascii=False, indent=2)


def _summed(counts: Iterable[Mapping[str, int]]) -> list[tuple[str, int]]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total.most_common()
