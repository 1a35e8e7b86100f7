"""Cards for members: handed out once per task id, pressed by members, changed by codes that work once (WeCom 5.7, 3.5).

The duplicate check is imitated as the vendor tells it: the very same message within the interval is answered like the
first and delivered to nobody. A task id that another message has used is refused. Called by `api_staff`, by the
people's script and by tests.
"""

from __future__ import annotations

from typing import Any

from machines.calendar import DAY_MS, Instant
from sopd.sandbox import chance
from sopd.sandbox.ground import Ground
from sopd.sandbox.records import Card, ResponseCode
from sopd.sandbox.refusals import ImpossibleDeed, Refusal

BUTTONS = "button_interaction"
CODE_LIFE_MS = 3 * DAY_MS


class Cards(Ground):
    """The facet of cards."""

    def hand_card(self, body: dict[str, Any], members: list[str], *, now: Instant) -> str:
        """Put a card with buttons before these members; returns the response code. 42014: the task id was used."""
        task_id = str(body["task_id"])
        if any(known == task_id for known, _ in self.cards):
            raise Refusal(42014, "task_id already exists")
        for member in members:
            self.cards[task_id, member] = Card(task_id, member, now, body)
        return self._code(self.cards[task_id, members[0]], now) if members else ""

    def member_clicks(self, member: str, task_id: str, key: str, *, now: Instant) -> None:
        """The member presses a button; its event carries a fresh code. He may press as long as the buttons are there.

        ImpossibleDeed if he has no such card, or no such button on it.
        """
        card = self.cards.get((task_id, self.member(member).userid))
        if card is None:
            raise ImpossibleDeed(f"{member} has no card {task_id!r}")
        if key not in card.keys:
            raise ImpossibleDeed(f"card {task_id} has no button {key!r}", f"buttons: {', '.join(card.keys) or 'none'}")
        card.clicks.append((now, key))
        self.emit(
            "template_card_event",
            ("EventKey", key),
            ("TaskId", task_id),
            ("CardType", str(card.shown["card_type"])),
            ("ResponseCode", self._code(card, now)),
            ("AgentID", str(self.config.agent_id)),
            now=now,
            sender=card.member,
        )

    def change_card(
        self, code: str, members: list[str], *, replaced: str | None, shown: dict[str, Any] | None, now: Instant
    ) -> None:
        """Use a code up: the buttons become a text, or the card another one. 42016: no such code, used, or too old."""
        known = self.response_codes.get(code)
        if known is None or known.used_at is not None or now - known.issued_at > CODE_LIFE_MS:
            raise Refusal(42016, "invalid response_code")
        if known.card.member not in members:
            raise Refusal(40031, "invalid userids")
        known.used_at = now
        known.card.replaced = replaced
        if shown is not None:
            known.card.shown = shown

    def _code(self, card: Card, now: Instant) -> str:
        nth = self.ordinal("response code", card.task_id, card.member)
        code = f"RC{chance.name(self.seed, 'response code', card.task_id, card.member, nth, size=10)}"
        self.response_codes[code] = ResponseCode(card, now)
        return code
