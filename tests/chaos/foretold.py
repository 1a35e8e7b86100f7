"""What the independent oracle foretells of a round, as far as faults leave it foretellable: who gets in.

Instants, messages and ends follow from when members confirm and when callbacks come, and under attack nobody knows
that beforehand. Whether somebody who adds a member gets into the SOP for new customers hangs on the people alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from sopd.sandbox.people import Errand, Population
from tests.chaos.plot import Plot
from tests.support.oracle.account import predicted
from tests.support.oracle.history import Deed, History
from tests.support.oracle.replay import replay

CARDS = ("call", "remind")
LIVED = ("add", "half_add", "confirm_half", "customer_delete", "member_delete", "transfer", "tag", "untag")

Entry = tuple[str, str, str]
"""(SOP, member, customer)."""


def entries(plot: Plot, population: Population) -> frozenset[Entry]:
    """Everybody whom the SOPs for new customers must let in. To be asked before anybody has acted."""
    deeds = tuple(deed for errand in population.intended for deed in _deed(errand))
    habits = tuple((member, (30,)) for member in plot.plan.members)
    texts = tuple(_without_cards(path) for path in plot.sops)
    history = History(plot.began_at, plot.until, texts, deeds, habits, plot.sandbox.quota)
    return frozenset((sop, member, customer) for sop, member, customer, _ in predicted(replay(history)).runs if member)


def _deed(errand: Errand) -> list[Deed]:
    if errand.verb in LIVED:
        return [Deed(errand.at, errand.verb, errand.member, errand.customer, errand.detail)]
    if errand.verb == "do":
        return [Deed(errand.at, "event", errand.member, errand.customer, json.loads(errand.detail)["name"])]
    return []  # what members do with tasks, and what is said, lets nobody in here


def _without_cards(path: Path) -> str:
    """The oracle knows no cards; they let nobody in."""
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    definition["steps"] = [step for step in definition["steps"] if step["by"] not in CARDS]
    return yaml.safe_dump(definition, allow_unicode=True, sort_keys=False)
