"""What customers do outside of WeCom: they order, read, visit, ask. Told to the company through `tidings`.

A facet of the world, and the words and wishes of the people's script: every choice hangs on the seed and the customer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Instant
from sopd.clock import iso_utc
from sopd.sandbox import chance
from sopd.sandbox.ground import Ground
from sopd.sandbox.refusals import ImpossibleDeed

PHRASES = ("在吗", "价格多少?", "怎么用?", "谢谢,收到了", "有优惠吗", "好的", "多少钱", "再考虑一下")
PRODUCTS = ("防晒", "保湿", "精华")
_SHANGHAI_MS = 8 * HOUR_MS


class Doing(NamedTuple):
    """Something a customer will do: when, what it is called, and its properties."""

    at: Instant
    name: str
    properties: dict[str, Any]


class Doings(Ground):
    """The facet of behaviour."""

    def customer_does(
        self, customer: str, event: str, *, now: Instant, properties: Mapping[str, Any] | None = None
    ) -> None:
        """The customer does something the company's own systems notice: `order_paid`, `article_read`."""
        if customer not in self.customers:
            raise ImpossibleDeed(f"there is no customer {customer!r}")
        nth = self.ordinal("event of", customer)
        body = {
            "ref": f"{customer}/{nth}", "name": event, "customer": customer, "at": iso_utc(now),
            "properties": dict(properties or {}),
        }  # fmt: skip
        self.tidings.tell("events", body, now)


def phrase(seed: chance.Seed, *key: object) -> str:
    """What somebody says."""
    return chance.choose(PHRASES, seed, "says", *key)


def order(seed: chance.Seed, customer: str, at: Instant) -> Doing:
    """What somebody who buys has ordered."""
    amount = chance.between(49, 899, seed, customer, "amount")
    return Doing(at, "order_paid", {"amount": amount, "product": chance.choose(PRODUCTS, seed, customer, "product")})


def idle_doings(
    seed: chance.Seed, customer: str, added_at: Instant, *, reads: float, visits: float, discusses: float
) -> Iterator[Doing]:
    """What somebody does without buying; the odds are per customer."""
    if chance.happens(reads, seed, customer, "reads"):
        at = added_at + chance.between(HOUR_MS, 20 * DAY_MS, seed, customer, "reads at")
        yield Doing(at, "article_read", {"topic": chance.choose(("case", "news"), seed, customer, "topic")})
    if chance.happens(visits, seed, customer, "visits"):
        at = added_at + chance.between(HOUR_MS, 20 * DAY_MS, seed, customer, "visits at")
        yield Doing(at, "shop_opened", {"weekday": _weekday(at)})
    if chance.happens(discusses, seed, customer, "discusses"):
        at = added_at + chance.between(10 * MINUTE_MS, 10 * DAY_MS, seed, customer, "discusses at")
        yield Doing(at, "product_discussed", {"product": chance.choose(PRODUCTS, seed, customer, "discussed")})


def _weekday(at: Instant) -> str:
    """The weekday in Shanghai; the first day of 1970 was a Thursday."""
    names = ("thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday")
    return names[(at + _SHANGHAI_MS) // DAY_MS % 7]
