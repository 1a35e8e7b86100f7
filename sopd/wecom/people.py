"""Members, customers, relations and tags as WeCom tells them (WeCom 4.1, 4.2, 14.2), and how replies become them.

Only values: no calls. Names, remarks and numbers stay out of `repr`, so that they do not reach logs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from machines.calendar import Instant
from sopd.wecom import fields
from sopd.wecom.fields import Row

#: Tag type of a member's own tags: they have no id and cannot be marked through the API (WeCom 4.1).
PERSONAL_TAG = 2
#: `status` of a member who can work; 2 disabled, 4 not activated, 5 left (WeCom 14.2).
ACTIVE = 1


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a customer is, apart from any member."""

    external_user_id: str
    name: str = field(default="", repr=False)
    kind: int = 1  # 1 WeChat, 2 WeCom of another company
    gender: int = 0  # 0 unknown, 1 male, 2 female
    union_id: str = ""
    corp_name: str = field(default="", repr=False)
    avatar: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Follow:
    """One relation: how a member stands to a customer."""

    user_id: str
    external_user_id: str
    created_at: Instant
    add_way: int = 0  # unknown numbers are kept
    state: str = ""  # channel string of the code or link the customer came by
    tag_ids: tuple[str, ...] = ()  # enterprise and rule-group tags, sorted; personal ones have no id
    remark: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    remark_mobiles: tuple[str, ...] = field(default=(), repr=False)
    opened_by: str = ""  # who started the add: member, customer, or the administrator who allocated


@dataclass(frozen=True, slots=True)
class Contact:
    """A customer with relations: all of them from `contact`, exactly one in a row of `contacts_of`."""

    profile: Profile
    follows: tuple[Follow, ...]


@dataclass(frozen=True, slots=True)
class ContactPage:
    """One page of `contacts_of`: one row per relation. `next_cursor` is '' on the last page."""

    contacts: tuple[Contact, ...]
    next_cursor: str
    unlicensed: tuple[str, ...]  # members whose customers WeCom left out, so the read is not complete for them


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the staff. Only an active one can confirm a task."""

    user_id: str
    name: str = field(default="", repr=False)
    status: int = ACTIVE
    departments: tuple[int, ...] = ()
    main_department: int = 0
    leads: tuple[int, ...] = ()  # the departments among them that he leads
    direct_leaders: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        return self.status == ACTIVE


@dataclass(frozen=True, slots=True)
class Tag:
    """One enterprise tag."""

    tag_id: str
    name: str
    order: int = 0
    deleted: bool = False  # told only when asked by id


@dataclass(frozen=True, slots=True)
class TagGroup:
    """A group of the tag library with its tags."""

    group_id: str
    name: str
    tags: tuple[Tag, ...]
    order: int = 0
    deleted: bool = False


def read_contact(reply: Row) -> Contact:
    """A page of `externalcontact/get`."""
    profile = read_profile(fields.row(reply, "external_contact"))
    follows = fields.rows(reply, "follow_user")
    return Contact(profile, tuple(read_follow(row, profile.external_user_id) for row in follows))


def read_contact_page(reply: Row) -> ContactPage:
    """A page of `batch/get_by_user`."""
    listed = fields.rows(reply, "external_contact_list")
    fail_info = reply.get("fail_info") or {}
    return ContactPage(
        tuple(_listed_contact(row) for row in listed),
        fields.text(reply, "next_cursor"),
        fields.optional_names(fail_info, "unlicensed_userid_list"),
    )


def read_profile(row: Row) -> Profile:
    return Profile(
        external_user_id=fields.identity(row, "external_userid"),
        name=fields.text(row, "name"),
        kind=fields.number(row, "type", 1),
        gender=fields.number(row, "gender"),
        union_id=fields.text(row, "unionid"),
        corp_name=fields.text(row, "corp_name"),
        avatar=fields.text(row, "avatar"),
    )


def read_follow(row: Row, external_user_id: str) -> Follow:
    """A relation from `follow_user[]` (tags with names) or from `follow_info` (`tag_id[]`)."""
    return Follow(
        user_id=fields.identity(row, "userid"),
        external_user_id=external_user_id,
        created_at=fields.required_instant(row, "createtime"),
        add_way=fields.number(row, "add_way"),
        state=fields.text(row, "state"),
        tag_ids=_tag_ids(row),
        remark=fields.text(row, "remark"),
        description=fields.text(row, "description"),
        remark_mobiles=fields.optional_names(row, "remark_mobiles"),
        opened_by=fields.text(row, "oper_userid"),
    )


def read_member(reply: Row) -> Member:
    """The reply of `user/get`; `is_leader_in_dept` runs parallel to `department` (WeCom 14.2)."""
    departments = tuple(_numbers(reply, "department"))
    leader_flags = _numbers(reply, "is_leader_in_dept")
    return Member(
        user_id=fields.identity(reply, "userid"),
        name=fields.text(reply, "name"),
        status=fields.number(reply, "status", ACTIVE),
        departments=departments,
        main_department=fields.number(reply, "main_department"),
        leads=tuple(place for place, flag in zip(departments, leader_flags, strict=False) if flag),
        direct_leaders=fields.optional_names(reply, "direct_leader"),
    )


def read_tag_group(row: Row) -> TagGroup:
    return TagGroup(
        group_id=fields.identity(row, "group_id"),
        name=fields.text(row, "group_name"),
        tags=tuple(_tag(tag) for tag in fields.rows(row, "tag")),
        order=fields.number(row, "order"),
        deleted=bool(row.get("deleted")),
    )


def _tag(row: Row) -> Tag:
    order = fields.number(row, "order")
    return Tag(fields.identity(row, "id"), fields.text(row, "name"), order, bool(row.get("deleted")))


def _listed_contact(row: Row) -> Contact:
    profile = read_profile(fields.row(row, "external_contact"))
    return Contact(profile, (read_follow(fields.row(row, "follow_info"), profile.external_user_id),))


def _tag_ids(row: Row) -> tuple[str, ...]:
    if row.get("tags") is None:  # WeCom leaves an empty list out, so absence means none here
        return tuple(sorted(fields.optional_names(row, "tag_id")))
    marked = (tag for tag in fields.rows(row, "tags") if fields.number(tag, "type", 1) != PERSONAL_TAG)
    return tuple(sorted(fields.identity(tag, "tag_id") for tag in marked))


def _numbers(reply: Row, key: str) -> list[int]:
    found = reply.get(key) or []
    if not isinstance(found, list) or not all(isinstance(number, int) for number in found):
        raise fields.Malformed(f"{key} is not a list of numbers")
    return found
