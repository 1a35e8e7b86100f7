"""The calls about mass sends and welcomes (WeCom 5.1, 5.3, 5.4). Only chat_type `single` is imitated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from machines.calendar import DAY_MS
from sopd.sandbox.asks import Ask, Call, Reply, page
from sopd.sandbox.contents import read_content, shown_attachments
from sopd.sandbox.records import Assignment, MassSend, Recipient, Relation
from sopd.sandbox.refusals import Refusal
from sopd.sandbox.world import World

_MOST_RECIPIENTS = 10_000
_MOST_TAGS = 100
_MOST_TASKS, _DEFAULT_TASKS = 100, 50
_MOST_ROWS, _DEFAULT_ROWS = 1_000, 500
_LONGEST_SPAN_S = 31 * 86_400
_REMINDERS_A_DAY = 3


def add_msg_template(world: World, ask: Ask) -> Reply:
    """Make a task for members to confirm; nothing is delivered. Nobody left to send to: 41048 and no task."""
    _check_single(ask)
    content = read_content(world, ask)
    sender = ask.optional("sender")
    asked = ask.ids("external_userid", most=_MOST_RECIPIENTS)
    tags = _tag_filter(world, ask)
    if not asked and not tags and sender is None:
        raise Refusal(40063, "sender, external_userid and tag_filter are all empty")
    userid = None if sender is None else _sender(world, sender)
    wanted, failed = _named(world, asked, userid) if asked else (_all_customers(world, userid, tags), [])
    if world.config.quota_at_creation:
        full = {row.customer for row in wanted if not world.quota.allows(row.customer, ask.now)}
        wanted = [row for row in wanted if row.customer not in full]
        failed += [customer for customer in asked if customer in full]
    if not wanted:
        raise Refusal(41048, "no external contact can be sent to")
    allow_select = ask.fields.get("allow_select") is True
    task = world.create_mass_send(wanted, content, now=ask.now, allow_select=allow_select)
    return {"fail_list": failed, "msgid": task.msgid}


def get_groupmsg_list_v2(world: World, ask: Ask) -> Reply:
    """Tasks created in a span of at most a month, oldest first; cancelled ones look like any other."""
    _check_single(ask, required=True)
    start, end = ask.number("start_time"), ask.number("end_time")
    if end < start or end - start > _LONGEST_SPAN_S:
        raise Refusal(40035, "invalid start_time or end_time, at most one month")
    kinds = {0: (0,), 1: (1,), 2: (0, 1)}.get(ask.number("filter_type", 2))
    if kinds is None:
        raise Refusal(40035, "invalid filter_type")
    creator = ask.optional("creator")
    found = [
        task
        for task in world.tasks.values()
        if start <= task.created_at // 1000 <= end and task.create_type in kinds and creator in (None, task.creator)
    ]
    size = ask.limit(_DEFAULT_TASKS, _MOST_TASKS, world.config.page_cap)
    part, cursor = page(found, lambda task: (task.created_at, task.msgid), ask.cursor(), size)
    return {"group_msg_list": [_shown_task(task) for task in part], "next_cursor": cursor}


def get_groupmsg_task(world: World, ask: Ask) -> Reply:
    """Members of a task: status 0 not sent, 2 confirmed. A cancelled task nobody confirmed: 41093."""
    task = _dispatched(world, ask)
    shares = list(task.assignments.values())
    if task.cancelled_at is not None and all(share.confirmed_at is None for share in shares):
        raise Refusal(41093, "group message canceled")
    size = ask.limit(_DEFAULT_ROWS, _MOST_ROWS, world.config.page_cap)
    part, cursor = page(shares, lambda share: (share.member,), ask.cursor(), size)
    return {"task_list": [_shown_share(share) for share in part], "next_cursor": cursor}


def get_groupmsg_send_result(world: World, ask: Ask) -> Reply:
    """Recipients of one member's share with their status; 41093 if it was cancelled before he confirmed."""
    task = _dispatched(world, ask)
    member = world.find_member(ask.text("userid"))
    share = task.assignments.get(member.userid) if member is not None else None
    if share is None:
        raise Refusal(40003, "invalid userid, not a sender of this message")
    if task.cancelled_at is not None and share.confirmed_at is None:
        raise Refusal(41093, "group message canceled")
    size = ask.limit(_DEFAULT_ROWS, _MOST_ROWS, world.config.page_cap)
    part, cursor = page(share.recipients.values(), lambda row: (row.customer,), ask.cursor(), size)
    rows = [_shown_recipient(world, task, share, recipient, ask) for recipient in part]
    return {"send_list": rows, "next_cursor": cursor}


def remind_groupmsg_send(world: World, ask: Ask) -> Reply:
    """Notify the members again: three times in 24 h per task; more is refused as out of frequency."""
    task = _dispatched(world, ask)
    if task.cancelled_at is not None:
        raise Refusal(41093, "group message canceled")
    recent = [at for at in task.reminded_at if ask.now - at < DAY_MS]
    if len(recent) >= _REMINDERS_A_DAY:
        raise Refusal(45009, "reach max remind limit of this message")
    task.reminded_at.append(ask.now)
    return {}


def cancel_groupmsg_send(world: World, ask: Ask) -> Reply:
    """Stop what is not confirmed; calling it again succeeds."""
    world.cancel(_dispatched(world, ask), ask.now)
    return {}


def send_welcome_msg(world: World, ask: Ask) -> Reply:
    """Send a welcome through the member at once: 20 s, once (41050, 41051)."""
    code = ask.text("welcome_code", code_if_missing=41049)
    world.welcome(code, read_content(world, ask), now=ask.now)
    return {}


def _check_single(ask: Ask, *, required: bool = False) -> None:
    chat_type = ask.text("chat_type") if required else ask.optional("chat_type") or "single"
    if chat_type != "single":
        raise Refusal(40035, f"invalid chat_type {chat_type}: this sandbox imitates single only")


def _sender(world: World, userid: str) -> str:
    member = world.find_member(userid)
    if member is None or member.status == 5:
        raise Refusal(40003, "invalid userid of sender")
    if not member.in_scope:
        raise Refusal(60011, "no privilege to access the sender")
    if member.status != 1:
        raise Refusal(41054, "sender is not activated")
    return member.userid


def _tag_filter(world: World, ask: Ask) -> list[set[str]]:
    """Sets of tag ids: OR inside one set, AND between them (WeCom 5.1)."""
    field = ask.fields.get("tag_filter")
    if field is None:
        return []
    groups = field.get("group_list") if isinstance(field, dict) else None
    if not isinstance(groups, list):
        raise Refusal(40035, "invalid tag_filter.group_list")
    found = [_tag_list(group) for group in groups]
    unknown = [tag_id for tags in found for tag_id in tags if tag_id not in world.tags]
    if unknown:
        raise Refusal(40068, "invalid tagid")
    return found


def _tag_list(group: Any) -> set[str]:
    tags = group.get("tag_list") if isinstance(group, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag_id, str) for tag_id in tags):
        raise Refusal(40035, "invalid tag_filter.tag_list")
    if len(tags) > _MOST_TAGS:
        raise Refusal(40032, "invalid tag_list size")
    return set(tags)


def _named(world: World, asked: list[str], sender: str | None) -> tuple[list[Relation], list[str]]:
    """The relations through which the named customers are reached, and those who cannot be."""
    found = {
        customer: world.friends(sender, customer) if sender is not None else world.last_chatter(customer)
        for customer in asked
    }
    wanted = [relation for relation in found.values() if relation is not None]
    return wanted, [customer for customer, relation in found.items() if relation is None]


def _all_customers(world: World, sender: str | None, tags: list[set[str]]) -> list[Relation]:
    if sender is not None:
        rows = [row for row in world.pairs_of_member[sender].values() if world.is_visible(row)]
    else:
        latest = [world.last_chatter(customer) for customer in world.customers]
        rows = [row for row in latest if row is not None]
    return [row for row in rows if all(row.tag_ids & any_of for any_of in tags)]


def _task(world: World, ask: Ask) -> MassSend:
    task = world.tasks.get(ask.text("msgid", code_if_missing=41046))
    if task is None:
        raise Refusal(41047, "invalid msgid")
    return task


def _dispatched(world: World, ask: Ask) -> MassSend:
    task = _task(world, ask)
    if ask.now < task.ready_at:
        raise Refusal(41063, "group message is being dispatched, please retry later")
    return task


def _shown_task(task: MassSend) -> dict[str, Any]:
    row: dict[str, Any] = {"msgid": task.msgid, "create_time": task.created_at // 1000, "create_type": task.create_type}
    row |= {"text": {"content": task.content.text}, "attachments": shown_attachments(task.content)}
    return row if task.creator is None else {**row, "creator": task.creator}


def _shown_share(share: Assignment) -> dict[str, Any]:
    if share.confirmed_at is None:
        return {"userid": share.member, "status": 0}
    return {"userid": share.member, "status": 2, "send_time": share.confirmed_at // 1000}


def _shown_recipient(world: World, task: MassSend, share: Assignment, recipient: Recipient, ask: Ask) -> dict[str, Any]:
    status = world.status_shown(task, recipient, share.member, ask.now)
    row: dict[str, Any] = {"external_userid": recipient.customer, "userid": share.member, "status": status}
    if status == 1 and share.confirmed_at is not None:
        row["send_time"] = share.confirmed_at // 1000
    return row


_ROOT = "/cgi-bin/externalcontact/"
CALLS: Mapping[str, Call] = {
    f"{_ROOT}add_msg_template": Call(add_msg_template, {"fail_list": []}),
    f"{_ROOT}get_groupmsg_list_v2": Call(get_groupmsg_list_v2, {"group_msg_list": []}),
    f"{_ROOT}get_groupmsg_task": Call(get_groupmsg_task, {"task_list": []}),
    f"{_ROOT}get_groupmsg_send_result": Call(get_groupmsg_send_result, {"send_list": []}),
    f"{_ROOT}remind_groupmsg_send": Call(remind_groupmsg_send),
    f"{_ROOT}cancel_groupmsg_send": Call(cancel_groupmsg_send),
    f"{_ROOT}send_welcome_msg": Call(send_welcome_msg),
}
