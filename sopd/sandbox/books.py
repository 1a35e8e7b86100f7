"""The sandbox's own account: what really happened to every customer, by relation.

Written at the moment of each effect (a message that arrived, a friend that left), never worked out from the engine's
calls, so that comparing it with the engine's account means something (SPEC 14). Read by rehearsals and tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from machines.calendar import Instant
from sopd.sandbox.records import Content, MassSend, Pair, Relation


@dataclass
class Page:
    """Everything that happened between one member and one customer, in order."""

    adds: list[dict[str, Any]] = field(default_factory=list)
    deletes: list[dict[str, Any]] = field(default_factory=list)
    welcomes: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)


class Books:
    """One page per relation that ever began."""

    def __init__(self) -> None:
        self.pages: dict[Pair, Page] = {}

    def page(self, pair: Pair) -> Page:
        """The page of a relation, opened on first use."""
        return self.pages.setdefault(pair, Page())

    def added(self, relation: Relation, at: Instant) -> None:
        """A two-way relation began (a half-add counts when it is confirmed)."""
        self.page(relation.pair).adds.append({"at": at, "add_way": relation.add_way, "state": relation.state})

    def deleted(self, pair: Pair, by: str, at: Instant) -> None:
        """A relation ended; `by` is member, customer or transfer."""
        self.page(pair).deletes.append({"at": at, "by": by})

    def welcomed(self, pair: Pair, content: Content, at: Instant) -> None:
        self.page(pair).welcomes.append({"at": at, **_said(content)})

    def delivered(self, pair: Pair, task: MassSend, at: Instant) -> None:
        """A mass send arrived."""
        kind = "enterprise" if task.creator is None else "personal"
        self.page(pair).messages.append({"at": at, "msgid": task.msgid, "kind": kind, **_said(task.content)})

    def not_delivered(self, pair: Pair, task: MassSend, status: int, at: Instant) -> None:
        """A confirmed mass send did not arrive: status 2 (no friend) or 3 (window full)."""
        self.page(pair).failed.append({"at": at, "msgid": task.msgid, "status": status})

    def account(
        self, relations: Mapping[Pair, Relation], tasks: Mapping[str, MassSend], tag_names: Mapping[str, str]
    ) -> dict[Pair, dict[str, Any]]:
        """What is true now, JSON-able but for its keys, per (member, external_userid).

        adds[{at, add_way, state}] · deletes[{at, by}] · friends · tags ["group/name"] sorted · tag_ids sorted ·
        welcomes[{at, text, sha256}] · messages[{at, msgid, kind, text, sha256}] · failed[{at, msgid, status}] ·
        cancelled [msgid] (never delivered and never will be) · unconfirmed [msgid] (still open).
        """
        account = {pair: self._row(pair, relations.get(pair), tag_names) for pair in {*self.pages, *relations}}
        for task in tasks.values():
            for assignment in task.assignments.values():
                if assignment.confirmed_at is not None:
                    continue
                list_name = "unconfirmed" if task.cancelled_at is None else "cancelled"
                for customer in assignment.recipients:
                    account[assignment.member, customer][list_name].append(task.msgid)
        return dict(sorted(account.items()))

    def _row(self, pair: Pair, relation: Relation | None, tag_names: Mapping[str, str]) -> dict[str, Any]:
        page = self.pages.get(pair, Page())
        is_open = relation is not None and relation.is_open
        tag_ids = sorted(relation.tag_ids) if relation is not None and is_open else []
        return {
            "adds": list(page.adds),
            "deletes": list(page.deletes),
            "friends": is_open,
            "tags": sorted(tag_names[tag_id] for tag_id in tag_ids),
            "tag_ids": tag_ids,
            "welcomes": list(page.welcomes),
            "messages": list(page.messages),
            "failed": list(page.failed),
            "cancelled": [],
            "unconfirmed": [],
        }


def rows(account: Mapping[Pair, dict[str, Any]]) -> list[dict[str, Any]]:
    """The account as a list of objects with `member` and `customer`, for JSON."""
    return [{"member": member, "customer": customer, **row} for (member, customer), row in account.items()]


def _said(content: Content) -> dict[str, str]:
    return {"text": content.text, "sha256": content.sha256}
