"""The calls about tags (WeCom 4.2): the library of the enterprise, and marking a relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sopd.sandbox.asks import Ask, Call, Reply
from sopd.sandbox.records import Tag, TagGroup
from sopd.sandbox.refusals import Refusal
from sopd.sandbox.world import World

_LONGEST_NAME = 30
_MOST_TAGS_OF_RELATION = 3_000


def get_corp_tag_list(world: World, ask: Ask) -> Reply:
    """The library; by tag_id, else by group_id, also what was deleted. Both given: tag_id is ignored."""
    group_ids, tag_ids = ask.ids("group_id"), ask.ids("tag_id")
    if group_ids:
        groups = [_group(world, group_id) for group_id in group_ids]
        return {"tag_group": [_shown(group, _tags_of(world, group), by_id=True) for group in groups]}
    if tag_ids:
        tags = [_tag(world, tag_id) for tag_id in tag_ids]
        groups = [world.tag_groups[group_id] for group_id in dict.fromkeys(tag.group_id for tag in tags)]
        shown = [[tag for tag in tags if tag.group_id == group.group_id] for group in groups]
        return {"tag_group": [_shown(group, part, by_id=True) for group, part in zip(groups, shown, strict=True)]}
    live = [group for group in world.tag_groups.values() if not group.deleted]
    return {"tag_group": [_shown(group, world.live_tags(group.group_id), by_id=False) for group in live]}


def add_corp_tag(world: World, ask: Ask) -> Reply:
    """Make tags; an existing group is reused, same names in one request become one tag, a name in use is 40071."""
    wanted = dict(_new_tag(entry) for entry in _tag_list(ask))
    has_id = "group_id" in ask.fields
    group_name = _group(world, ask.text("group_id"), live=True).name if has_id else ask.text("group_name")
    taken = [name for name in wanted if world.find_tag(f"{group_name}/{name}") is not None]
    if taken:
        raise Refusal(40071, f"tag name exists: {taken[0]}")
    made = [world.make_tag(group_name, name, now=ask.now, by_app=True, order=order) for name, order in wanted.items()]
    if world.config.echo:
        for tag in made:
            world.emit_tag("create", "tag", tag.tag_id, ask.now)
    return {"tag_group": _shown(world.tag_groups[made[0].group_id], made, by_id=False)}


def edit_corp_tag(world: World, ask: Ask) -> Reply:
    """Rename a tag or group made by this app."""
    identity = ask.text("id")
    found = world.tags.get(identity) or world.tag_groups.get(identity)
    if found is None or found.deleted:
        raise Refusal(40068, "invalid tagid")
    _check_ours(found)
    name = ask.optional("name")
    if name is not None:
        _check_free(world, found, name)
        found.name = name
    found.order = ask.number("order", found.order)
    if world.config.echo:
        world.emit_tag("update", "tag" if isinstance(found, Tag) else "tag_group", identity, ask.now)
    return {}


def del_corp_tag(world: World, ask: Ask) -> Reply:
    """Delete tags and whole groups made by this app; customers then simply no longer show them."""
    tags = [_tag(world, tag_id) for tag_id in ask.ids("tag_id")]
    groups = [_group(world, group_id) for group_id in ask.ids("group_id")]
    if not tags and not groups:
        raise Refusal(40063, "tag_id and group_id are both empty")
    ours: list[Tag | TagGroup] = [*tags, *groups]
    for found in ours:
        _check_ours(found)
    for group in groups:
        world.drop_group(group)
    for tag in tags:
        world.drop_tag(tag)
    if world.config.echo:
        for tag in tags:
            world.emit_tag("delete", "tag", tag.tag_id, ask.now)
        for group in groups:
            world.emit_tag("delete", "tag_group", group.group_id, ask.now)
    return {}


def mark_tag(world: World, ask: Ask) -> Reply:
    """Add and remove enterprise tags on one relation; repeating it is harmless."""
    userid, external_userid = ask.text("userid"), ask.text("external_userid", code_if_missing=41035)
    add, remove = ask.ids("add_tag"), ask.ids("remove_tag")
    if not add and not remove:
        raise Refusal(40063, "add_tag and remove_tag are both empty")
    member = world.find_member(userid)
    if member is None:
        raise Refusal(60111, "userid not found")
    relation = world.friends(member.userid, external_userid)
    if relation is None:
        raise Refusal(84061, "not external contact")
    for tag_id in (*add, *remove):
        _tag(world, tag_id, live=True)
    if len(relation.tag_ids | set(add)) > _MOST_TAGS_OF_RELATION:
        raise Refusal(40035, "too many tags on one external contact")
    world.write_tags(relation, add, remove, ask.now)
    return {}


def _tag(world: World, tag_id: str, *, live: bool = False) -> Tag:
    tag = world.tags.get(tag_id)
    if tag is None or (live and tag.deleted):
        raise Refusal(40068, "invalid tagid")
    return tag


def _group(world: World, group_id: str, *, live: bool = False) -> TagGroup:
    group = world.tag_groups.get(group_id)
    if group is None or (live and group.deleted):
        raise Refusal(40068, "invalid tag group id")
    return group


def _tags_of(world: World, group: TagGroup) -> list[Tag]:
    return [tag for tag in world.tags.values() if tag.group_id == group.group_id]


def _check_ours(found: Tag | TagGroup) -> None:
    if not found.by_app:
        raise Refusal(81011, "no permission on the tag: it was not made by this app")


def _check_free(world: World, found: Tag | TagGroup, name: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise Refusal(40072, "tag name too long")
    if isinstance(found, Tag):
        rival: Tag | TagGroup | None = world.find_tag(f"{world.tag_groups[found.group_id].name}/{name}")
    else:
        rival = world.find_group(name)
    if rival is not None and rival is not found:
        raise Refusal(40071, "tag name exists")


def _tag_list(ask: Ask) -> list[Any]:
    found = ask.fields.get("tag")
    if not isinstance(found, list) or not found:
        raise Refusal(40063, "tag is empty: there are no empty groups")
    return found


def _new_tag(entry: Any) -> tuple[str, int]:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        raise Refusal(40035, "invalid parameter tag.name")
    if len(name) > _LONGEST_NAME:
        raise Refusal(40072, "tag name too long")
    order = entry.get("order", 0)
    return name, order if isinstance(order, int) else 0


def _shown(group: TagGroup, tags: list[Tag], *, by_id: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"group_id": group.group_id, "group_name": group.name}
    row |= {"create_time": group.created_at // 1000, "order": group.order}
    row["tag"] = [_shown_tag(tag, by_id) for tag in tags]
    return row | ({"deleted": group.deleted} if by_id else {})


def _shown_tag(tag: Tag, by_id: bool) -> dict[str, Any]:
    row = {"id": tag.tag_id, "name": tag.name, "create_time": tag.created_at // 1000, "order": tag.order}
    return row | ({"deleted": tag.deleted} if by_id else {})


_ROOT = "/cgi-bin/externalcontact/"
CALLS: Mapping[str, Call] = {
    f"{_ROOT}get_corp_tag_list": Call(get_corp_tag_list, {"tag_group": []}),
    f"{_ROOT}add_corp_tag": Call(add_corp_tag),
    f"{_ROOT}edit_corp_tag": Call(edit_corp_tag),
    f"{_ROOT}del_corp_tag": Call(del_corp_tag),
    f"{_ROOT}mark_tag": Call(mark_tag),
}
