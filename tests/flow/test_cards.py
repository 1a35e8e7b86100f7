"""Cards from due step to the member's word, on both databases: reminders, phone tasks, and what stops them."""

from __future__ import annotations

from sopd.store import Store
from tests.support.desk_of_cards import HANDED_AT, CardDesk


def desk_with(store: Store, *names: str, **more: object) -> CardDesk:
    """Customers have added alice, and the cards of their first step are with her."""
    desk = CardDesk(store, **more)  # type: ignore[arg-type]
    desk.add(*names)
    desk.run_until(HANDED_AT)
    return desk


def test_a_reminder_is_done_with_one_click(store: Store) -> None:
    desk = desk_with(store, "wmMei")

    assert desk.push("wmMei") == ("requested", None)
    assert desk.said() == {
        "title": "联系客户:wmMei", "text": "请联系wmMei,他在意—", "keys": ("done", "later"), "客户": "wmMei",
        "截止": "03-04 23:59",
    }  # fmt: skip

    desk.presses("done")

    assert (desk.push("wmMei"), desk.dispatches()) == (("sent", None), ["settled"])
    assert desk.cards[0].replaced == "已完成"
    assert desk.received("wmMei") == []
