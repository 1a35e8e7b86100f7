"""The calls about members and customers (WeCom 4.1, 4.4). Members outside the scope are silently absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sopd.sandbox import chance
from sopd.sandbox.asks import Ask, Call, Reply, page
from sopd.sandbox.records import Relation
from sopd.sandbox.refusals import Refusal
from sopd.sandbox.world import World

_MOST_FOLLOWERS = 500
_MOST_BATCH, _DEFAULT_BATCH = 100, 50


def get_follow_user_list(world: World, ask: Ask) -> Reply:
    """Members who may use customer contact, as far as the app sees them."""
    return {"follow_user": [member.userid for member in world.members.values() if member.is_visible]}


def list_customers(world: World, ask: Ask) -> Reply:
    """All customers of one member, unpaged; 84061 for none (WeCom 4.1, switchable)."""
    userid = _userid(world, ask.text("userid"))
    found = [relation.customer for relation in _relations_of(world, userid)]
    if not found and world.config.empty_list_is_84061:
        raise Refusal(84061, "not external contact")
    return {"external_userid": found}


def get(world: World, ask: Ask) -> Reply:
    """One customer with every member who follows him; paged above 500 followers."""
    external_userid = ask.text("external_userid", code_if_missing=41035)
    _known(world, external_userid)
    followers = [row for row in world.pairs_of_customer[external_userid].values() if world.is_visible(row)]
    if not followers:
        raise Refusal(84061, "not external contact")
    size = min(_MOST_FOLLOWERS, world.config.page_cap or _MOST_FOLLOWERS)
    part, cursor = page(followers, _by_age, ask.cursor(), size)
    return {
        "external_contact": _profile(world, external_userid),
        "follow_user": [_follower(world, relation) for relation in part],
        "next_cursor": cursor,
    }


def batch_get_by_user(world: World, ask: Ask) -> Reply:
    """Relations of up to 100 members, one row per (member, customer); unlicensed members are named, not failed."""
    asked = ask.ids("userid_list", most=100)
    if not asked:
        raise Refusal(40031, "invalid userid_list, empty")
    members = [world.members[_userid(world, userid)] for userid in asked]
    unlicensed = [member.userid for member in members if not member.licensed]
    if len(unlicensed) == len(members):
        raise Refusal(701008, "no licensed user")
    rows = [row for member in members if member.licensed for row in _relations_of(world, member.userid)]
    size = ask.limit(_DEFAULT_BATCH, _MOST_BATCH, world.config.page_cap)
    part, cursor = page(rows, lambda row: row.pair, ask.cursor(), size)
    reply: Reply = {"external_contact_list": [_batch_row(world, row) for row in part], "next_cursor": cursor}
    return {**reply, "fail_info": {"unlicensed_userid_list": unlicensed}} if unlicensed else reply


def add_contact_way(world: World, ask: Ask) -> Reply:
    """A "contact me" QR code; its state comes back in the add event (WeCom 4.4)."""
    if ask.number("type") not in (1, 2) or ask.number("scene") not in (1, 2):
        raise Refusal(40035, "invalid type or scene, 1 or 2 is expected")
    if len(ask.optional("state") or "") > 30 or len(ask.optional("remark") or "") > 30:
        raise Refusal(45002, "state or remark too long")
    users = ask.ids("user", most=100)
    for userid in users:
        _userid(world, userid)
    config_id = chance.name(world.seed, "contact way", world.ordinal("contact way"), size=16)
    return {"config_id": config_id, "qr_code": f"https://example.test/qr/{config_id}"}


def _userid(world: World, userid: str) -> str:
    member = world.find_member(userid)
    if member is None:
        raise Refusal(60111, "userid not found")
    return member.userid


def _known(world: World, external_userid: str) -> None:
    if external_userid not in world.customers:
        raise Refusal(40096, "invalid external userid")


def _relations_of(world: World, userid: str) -> list[Relation]:
    return [relation for relation in world.pairs_of_member[userid].values() if world.is_visible(relation)]


def _by_age(relation: Relation) -> tuple[int, str]:
    return relation.created_at, relation.member


def _profile(world: World, external_userid: str) -> dict[str, Any]:
    customer = world.customers[external_userid]
    profile = {"external_userid": external_userid, "name": customer.name, "type": customer.kind}
    return {**profile, "avatar": f"https://example.test/avatar/{external_userid}.png", "gender": customer.gender}


def _facts(relation: Relation) -> dict[str, Any]:
    facts: dict[str, Any] = {"userid": relation.member, "remark": relation.remark, "description": ""}
    facts |= {"createtime": relation.created_at // 1000, "remark_mobiles": [], "add_way": relation.add_way}
    facts["oper_userid"] = relation.opened_by
    return facts | ({"state": relation.state} if relation.state else {})


def _follower(world: World, relation: Relation) -> dict[str, Any]:
    """An element of `follow_user`: tags with names, the member's own ones without id (type 2)."""
    shared = [
        {"group_name": world.tag_groups[tag.group_id].name, "tag_name": tag.name, "tag_id": tag.tag_id, "type": 1}
        for tag in (world.tags[tag_id] for tag_id in sorted(relation.tag_ids))
    ]
    own = [{"group_name": group, "tag_name": name, "type": 2} for group, name in sorted(relation.own_tags)]
    return {**_facts(relation), "tags": [*shared, *own]}


def _batch_row(world: World, relation: Relation) -> dict[str, Any]:
    """An element of `external_contact_list`: one object `follow_info` with enterprise tag ids only."""
    info = {**_facts(relation), "tag_id": sorted(relation.tag_ids)}
    return {"external_contact": _profile(world, relation.customer), "follow_info": info}


_ROOT = "/cgi-bin/externalcontact/"
CALLS: Mapping[str, Call] = {
    f"{_ROOT}get_follow_user_list": Call(get_follow_user_list, {"follow_user": []}),
    f"{_ROOT}list": Call(list_customers, {"external_userid": []}),
    f"{_ROOT}get": Call(get, {"follow_user": []}),
    f"{_ROOT}batch/get_by_user": Call(batch_get_by_user, {"external_contact_list": []}),
    f"{_ROOT}add_contact_way": Call(add_contact_way),
}
