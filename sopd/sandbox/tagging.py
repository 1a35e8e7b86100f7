"""The tag library and the tags on relations.

Administrators and members change tags in the client, which always raises events without a diff; the API's own writes
raise them only with `config.echo` (WeCom 3.1, 3.2). Deleting a tag takes it from every customer without one event
each. Called by the people's script, by hand, by tests, and by `api_tags`.
"""

from __future__ import annotations

from collections.abc import Collection

from machines.calendar import Instant
from sopd.sandbox import chance
from sopd.sandbox.ground import Ground
from sopd.sandbox.records import Relation, Tag, TagGroup
from sopd.sandbox.refusals import ImpossibleDeed


class Tagging(Ground):
    """The facet of tags."""

    def tag_path(self, tag: Tag) -> str:
        """The tag as people write it: group/name."""
        return f"{self.tag_groups[tag.group_id].name}/{tag.name}"

    def tag_names(self) -> dict[str, str]:
        """tag_id -> "group/name" of every tag in the library."""
        return {tag.tag_id: self.tag_path(tag) for tag in self.tags.values() if not tag.deleted}

    def find_tag(self, path: str) -> Tag | None:
        """The tag called "group/name", or by its id; None if the library has none."""
        found = self.tags.get(path)
        if found is not None and not found.deleted:
            return found
        return next((tag for tag in self.tags.values() if not tag.deleted and self.tag_path(tag) == path), None)

    def live_tags(self, group_id: str) -> list[Tag]:
        """Tags of a group, in the library's order."""
        found = [tag for tag in self.tags.values() if tag.group_id == group_id and not tag.deleted]
        return sorted(found, key=lambda tag: -tag.order)

    def find_group(self, name: str) -> TagGroup | None:
        """The live group of this name."""
        return next((group for group in self.tag_groups.values() if group.name == name and not group.deleted), None)

    def stock_tag(self, path: str, *, now: Instant) -> Tag:
        """Put "group/name" into the library, with its group if that is new, and tell nobody; returns what is there."""
        group_name, slash, name = path.partition("/")
        if not slash or not group_name or not name:
            raise ImpossibleDeed(f"{path!r} is no tag", "write group/name")
        return self.find_tag(path) or self.make_tag(group_name, name, now=now)

    def make_tag(self, group_name: str, name: str, *, now: Instant, by_app: bool = False, order: int = 0) -> Tag:
        """A new tag in the live group of this name, which is made if there is none; the name must be free."""
        group = self.find_group(group_name) or self._new_group(group_name, now, by_app)
        nth = self.ordinal("tag", group.group_id, name)
        tag_id = f"et{chance.name(self.seed, 'tag', group.group_id, name, nth)}"
        self.tags[tag_id] = Tag(tag_id, group.group_id, name, now, order=order, by_app=by_app)
        return self.tags[tag_id]

    def admin_makes_tag(self, path: str, *, now: Instant) -> Tag:
        """An administrator makes a tag in the console."""
        tag = self.stock_tag(path, now=now)
        self.emit_tag("create", "tag", tag.tag_id, now)
        return tag

    def admin_renames_tag(self, path: str, name: str, *, now: Instant) -> Tag:
        """An administrator renames a tag; its id stays."""
        tag = self._tag(path)
        tag.name = name
        self.emit_tag("update", "tag", tag.tag_id, now)
        return tag

    def admin_deletes_tag(self, path: str, *, now: Instant) -> None:
        """An administrator deletes a tag from the library and so from every customer."""
        tag = self._tag(path)
        self.drop_tag(tag)
        self.emit_tag("delete", "tag", tag.tag_id, now)

    def admin_deletes_group(self, name: str, *, now: Instant) -> None:
        """An administrator deletes a group: one event, none for its tags (WeCom 3.2)."""
        group = self.find_group(name)
        if group is None:
            raise ImpossibleDeed(f"there is no tag group {name!r}")
        self.drop_group(group)
        self.emit_tag("delete", "tag_group", group.group_id, now)

    def member_tags(self, member: str, customer: str, path: str, *, now: Instant) -> None:
        """The member tags the customer in the client; the event carries no diff."""
        relation = self._friend(member, customer)
        relation.tag_ids.add(self._tag(path).tag_id)
        self.emit_contact("edit_external_contact", relation, now=now)

    def member_untags(self, member: str, customer: str, path: str, *, now: Instant) -> None:
        """The member takes a tag off in the client; the event carries no diff."""
        relation = self._friend(member, customer)
        relation.tag_ids.discard(self._tag(path).tag_id)
        self.emit_contact("edit_external_contact", relation, now=now)

    def member_tags_privately(self, member: str, customer: str, path: str, *, now: Instant) -> None:
        """The member uses a tag of his own, which has no id (type 2, WeCom 4.1)."""
        relation = self._friend(member, customer)
        group, _, name = path.partition("/")
        relation.own_tags.add((group, name))
        self.emit_contact("edit_external_contact", relation, now=now)

    def write_tags(self, relation: Relation, add: Collection[str], remove: Collection[str], now: Instant) -> None:
        """Apply an API write of tag ids; adding and removing are idempotent (WeCom 4.2)."""
        relation.tag_ids.update(add)
        relation.tag_ids.difference_update(remove)
        if self.config.echo:
            self.emit_contact("edit_external_contact", relation, now=now)

    def drop_tag(self, tag: Tag) -> None:
        """Take a tag from the library and from everybody; a group left empty disappears."""
        tag.deleted = True
        for relation in self.relations.values():
            relation.tag_ids.discard(tag.tag_id)
        if not self.live_tags(tag.group_id):
            self.tag_groups[tag.group_id].deleted = True

    def drop_group(self, group: TagGroup) -> None:
        """Take a group with all its tags from the library."""
        for tag in self.live_tags(group.group_id):
            self.drop_tag(tag)

    def emit_tag(self, change: str, kind: str, identity: str, now: Instant) -> None:
        """Write a change_external_tag event; `kind` is tag or tag_group."""
        self.emit("change_external_tag", ("Id", identity), ("TagType", kind), ("ChangeType", change), now=now)

    def _new_group(self, name: str, now: Instant, by_app: bool) -> TagGroup:
        nth = self.ordinal("tag group", name)
        group = TagGroup(f"et{chance.name(self.seed, 'tag group', name, nth)}", name, now, by_app=by_app)
        self.tag_groups[group.group_id] = group
        return group

    def _tag(self, path: str) -> Tag:
        tag = self.find_tag(path)
        if tag is None:
            raise ImpossibleDeed(f"there is no tag {path!r}", f"tags: {', '.join(self.tag_names().values()) or 'none'}")
        return tag

    def _friend(self, member: str, customer: str) -> Relation:
        relation = self.relations.get((self.member(member).userid, customer))
        if relation is None or not relation.is_open:
            raise ImpossibleDeed(f"{customer} is no friend of {member}")
        return relation
