"""One company whose members get cards, for tests of reminders and phone tasks (SPEC 6).

Time starts on Monday 2 March 2026, 09:00; the step of who adds then falls due on Tuesday at 10:00, its card is handed
out at 10:01, and it expires on Wednesday at the end of the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sopd.sandbox.records import Card
from sopd.store import Store
from tests.support.rig import at
from tests.support.sending import BOUGHT, Desk

REMIND = f"""
sop: care
title: 回访
kind: new_customer
steps:
  - {{id: first, day: 1, at: "10:00", by: remind, text: "请联系{{{{customer}}}},他在意{{{{attribute.topic}}}}"}}
  - {{id: second, day: 9, at: "10:00", by: mass_send, text: 第九天}}
early_end: {{when: {{tag: [{BOUGHT}]}}}}
"""
CALL = REMIND.replace("by: remind", "by: call")
HANDED_AT = at("2026-03-03 10:01")


class CardDesk(Desk):
    """A desk that reads cards."""

    def __init__(self, store: Store, *, sop: str = REMIND, **more: Any) -> None:
        super().__init__(store, sop=sop, **more)

    @property
    def cards(self) -> list[Card]:
        """The cards that members got, oldest first."""
        return list(self.world.cards.values())

    @property
    def cards_open(self) -> list[Card]:
        """Those whose buttons can be pressed."""
        return [card for card in self.cards if card.replaced is None]

    def presses(self, key: str, card: Card | None = None) -> None:
        """A member presses a button on the newest card, or on this one; the callback arrives at once."""
        card = card or self.cards[-1]
        self.world.member_clicks(card.member, card.task_id, key, now=self.now)
        self.settle()

    def said(self, card: Card | None = None) -> Mapping[str, Any]:
        """What a card shows, in short."""
        shown = (card or self.cards[-1]).shown
        return {
            "title": shown["main_title"]["title"],
            "text": shown.get("sub_title_text", ""),
            "keys": tuple(one["key"] for one in shown["button_list"]),
            **{line["keyname"]: line["value"] for line in shown["horizontal_content_list"]},
        }
