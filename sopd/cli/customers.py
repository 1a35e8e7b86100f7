"""Customers: the list, the page of one, tagging and muting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from sopd.cli import describing, finding, output, paging, push_pages, runs
from sopd.cli.desk import Desk
from sopd.cli.output import Column, plain, say
from sopd.cli.page import Page, joined
from sopd.commands import MuteCustomers, TagRelation
from sopd.errors import Refused
from sopd.store.queries import audiences, views_people, views_runs, views_sending, views_signals
from sopd.store.queries.views_people import CustomerFilter, CustomerRow, HeldTag, RefusalRow, RelationRow
from sopd.store.queries.views_runs import RunFilter
from sopd.store.queries.views_sending import Place, PushFilter
from sopd.store.queries.views_signals import SignalRow

if TYPE_CHECKING:
    from sopd.store import Transaction

LATEST = 20

LIST = (
    Column("external_userid"), Column("name"), Column("relations", "number"), Column("open", "number"),
    Column("muted_at", "instant"), Column("seen_at", "instant"), Column("id", "number", wide=True),
)  # fmt: skip

RELATIONS = (
    Column("member"), Column("state", "state"), Column("began_at", "instant"), Column("source"), Column("tags"),
    Column("last_talk_at", "instant"), Column("lost_at", "instant"), Column("lost_by", "cause"),
    Column("add_way", "number", wide=True),
    Column("missing_at", "instant", wide=True),
)  # fmt: skip

PLACES = (Column("window"), Column("place", "number"), Column("push", "number"), Column("at", "instant"))

SIGNALS = (
    Column("at", "instant"), Column("signal", "state"), Column("name"), Column("member"), Column("properties"),
    Column("ref", wide=True), Column("received_at", "instant", wide=True), Column("handled_at", "instant", wide=True),
)  # fmt: skip

REFUSALS = (
    Column("sop"), Column("reason", "reason"), Column("times", "number"), Column("first_at", "instant"),
    Column("last_at", "instant"),
)  # fmt: skip


def show_list(
    desk: Desk,
    limit: int,
    before: int | None,
    name: str | None,
    member: str | None,
    tag: str | None,
    is_muted: bool | None,
    since: Any,
) -> None:
    """`customer list`."""
    with desk.reading() as tx:
        wanted = CustomerFilter(
            member_id=finding.member_id(tx, member),
            name=name,
            tag_id=finding.tag_id(tx, tag),
            is_muted=is_muted,
            since=paging.instant_of(desk, tx, since),
        )

    def fetch(tx: Transaction, below: int | None, count: int) -> Sequence[CustomerRow]:
        return views_people.customers(tx, wanted, below, count)

    paging.listing(desk, LIST, fetch, limit, before)


# -- the page of one ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RelationLine:
    """A relation with its tags; one that WeCom has not taken yet is marked with what is pending."""

    member: str
    state: str
    began_at: int
    source: str
    tags: tuple[str, ...]
    last_talk_at: int | None
    lost_at: int | None
    lost_by: str | None
    add_way: int
    missing_at: int | None


@dataclass(frozen=True)
class SignalLine:
    """Something the customer did or said; what was said is shown to nobody."""

    at: int
    signal: str
    name: str
    member: str | None
    properties: str
    ref: str
    received_at: int
    handled_at: int | None


@dataclass(frozen=True)
class Seen:
    """All that the page of one customer shows."""

    customer: CustomerRow
    relations: list[RelationLine]
    runs: list[runs.Listed]
    pushes: list[push_pages.PushLine]
    places: list[Place]
    refusals: list[RefusalRow]
    signals: list[SignalLine]
    audiences: list[str]
    crm_id: str | None
    has_phone: bool


def show_page(desk: Desk, reference: str) -> None:
    """`customer show`."""
    seen = _seen(desk, reference)
    if desk.output == "json":
        output.document(desk, _as_json(desk, seen))
        return
    page = Page(desk)
    customer = seen.customer
    page.title(customer.name or customer.external_userid, customer.external_userid if customer.name else "")
    muted = Text(page.at(customer.muted_at), style="yellow") if customer.muted_at else None
    attributes = joined([f"{key}={describing.plain(value)}" for key, value in sorted(customer.attributes.items())])
    phone = desk.words.say("yes") if seen.has_phone else ""
    page.facts([
        ("muted_at", muted), ("crm_id", seen.crm_id or ""), ("phone", phone), ("attributes", attributes),
        ("audiences", joined(seen.audiences)), ("seen_at", page.at(customer.seen_at)),
    ])  # fmt: skip
    for title, columns, rows in (
        ("Relations", RELATIONS, seen.relations),
        ("Runs", _without(runs.COLUMNS, "customer", "name"), seen.runs),
        ("Latest pushes", _without(push_pages.LIST, "customer", "name"), seen.pushes),
        ("Latest signals", SIGNALS, seen.signals),
        ("Quota windows booked", PLACES, seen.places),
        ("Not let in", REFUSALS, seen.refusals),
    ):
        if rows:
            page.section(title)
            page.table(columns, rows)
    page.print()


def _without(columns: Sequence[Column], *keys: str) -> list[Column]:
    return [column for column in columns if column.key not in keys]


def _seen(desk: Desk, reference: str) -> Seen:
    with desk.reading() as tx:
        customer = finding.customer(tx, reference)
        held = views_people.tags_of(tx, customer.id)
        talks = views_signals.last_talks(tx, customer.id)
        crm_id, _, has_phone = views_signals.called(tx, customer.id)
        return Seen(
            customer,
            [_relation(row, held, talks) for row in views_people.relations_of(tx, customer.id)],
            runs.listed(tx, views_runs.runs(tx, RunFilter(customer_id=customer.id), None, LATEST)),
            push_pages.lines(views_sending.pushes(tx, PushFilter(customer_id=customer.id), None, LATEST)),
            views_sending.places_of_customer(tx, customer.id, LATEST),
            views_people.refusals_of(tx, customer.id),
            [_signal(row) for row in views_signals.of_customer(tx, customer.id, LATEST)],
            audiences.of_customer(tx, customer.id),
            crm_id,
            has_phone,
        )


def _relation(row: RelationRow, held: Sequence[HeldTag], talks: Mapping[int, int]) -> RelationLine:
    tags = tuple(_tag(tag) for tag in held if tag.relation_id == row.id)
    return RelationLine(
        row.member, row.state, row.began_at, row.channel, tags, talks.get(row.id), row.lost_at, row.lost_by,
        row.add_way, row.missing_at,
    )  # fmt: skip


def _signal(row: SignalRow) -> SignalLine:
    properties = ", ".join(f"{name}={value}" for name, value in json.loads(row.properties).items())
    return SignalLine(
        row.at, row.kind, row.name, row.member, properties, row.ref, row.received_at, row.handled_at
    )


def _tag(tag: HeldTag) -> str:
    """`组/名`; one that is being added or removed has a mark that says so."""
    pending = {1: " (+)", 0: " (-)"}.get(tag.wanted) if tag.wanted is not None else ""
    return f"{tag.name}{pending}"


def _as_json(desk: Desk, seen: Seen) -> dict[str, Any]:
    zone = desk.zone
    return {
        **plain(LIST, seen.customer, zone),
        "attributes": seen.customer.attributes,
        "crm_id": seen.crm_id,
        "phone": seen.has_phone,
        "audiences": seen.audiences,
        "relations": [plain(RELATIONS, row, zone) for row in seen.relations],
        "enrollments": [plain(runs.COLUMNS, row, zone) for row in seen.runs],
        "pushes": [plain(push_pages.LIST, row, zone) for row in seen.pushes],
        "quota": [plain(PLACES, row, zone) for row in seen.places],
        "signals": [plain(SIGNALS, row, zone) for row in seen.signals],
        "refusals": [plain(REFUSALS, row, zone) for row in seen.refusals],
    }


# -- what an operator does ---------------------------------------------------------------------------------------------


def tag(desk: Desk, reference: str, member: str | None, add: Sequence[str], remove: Sequence[str]) -> None:
    """`customer tag`."""
    from sopd.handlers import customers as handlers

    with desk.reading() as tx:
        customer = finding.customer(tx, reference)
        userid = _member_of(tx, customer, member)
        for name in (*add, *remove):
            finding.tag_id(tx, name)
    handlers.tag(desk.app, TagRelation(customer.external_userid, userid, desk.person, tuple(add), tuple(remove)))
    said = " ".join([*(f"+{name}" for name in add), *(f"-{name}" for name in remove)])
    say(desk, "{customer} at {member}: {tags}", customer=customer.name or customer.external_userid,
        member=userid, tags=said)  # fmt: skip


def _member_of(tx: Transaction, customer: CustomerRow, member: str | None) -> str:
    """On whose relation; the only active one if nobody is named."""
    if member is not None:
        finding.member_id(tx, member)
        return member
    active = [row.member for row in views_people.relations_of(tx, customer.id) if row.state == "active"]
    if len(active) == 1:
        return active[0]
    known = f"knows {', '.join(active)}" if active else "is no friend of any member"
    raise Refused(f"{customer.external_userid} {known}", "say on whose relation with --member" if active else "")


def mute(desk: Desk, references: Sequence[str], muted: bool) -> None:
    """`customer mute`: all of them, or none."""
    from sopd.handlers import customers as handlers

    with desk.reading() as tx:
        found = finding.customers(tx, references)
    handlers.mute(desk.app, MuteCustomers(tuple(one.external_userid for one in found), muted, desk.person))
    for customer in found:
        name = customer.name or customer.external_userid
        say(desk, "{customer} is muted" if muted else "{customer} is not muted any more", customer=name)
