"""What WeCom tells about mass sends (WeCom 5.1-5.3), and how replies become it. Only values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from machines.calendar import Instant
from sopd.wecom import fields
from sopd.wecom.content import content_hash
from sopd.wecom.fields import Row


class SendStatus(IntEnum):
    """`SendResult.status` of WeCom 5.3; compare with it, since unknown numbers are kept as they come."""

    PENDING = 0
    SENT = 1
    NOT_FRIEND = 2
    WINDOW_FULL = 3


class CreateType(IntEnum):
    """Who made a mass send; also the filter of `mass_sends`."""

    ENTERPRISE = 0
    PERSONAL = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Created:
    """A task was made. `fail_list`: customers who cannot be sent to and are not in it (D8)."""

    msgid: str
    fail_list: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MassSendRecord:
    """One task in WeCom's list. API-made ones have no `creator`; a cancelled one looks like any other (WeCom 5.3)."""

    msgid: str
    created_at: Instant
    create_type: int
    content_hash: str  # comparable with `content.content_hash`
    creator: str = ""
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class MassSendPage:
    """One page of `mass_sends`. `next_cursor` is '' on the last one."""

    records: tuple[MassSendRecord, ...]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class MemberTask:
    """How one member stands to a task. `sent_at` only once confirmed."""

    user_id: str
    status: int
    sent_at: Instant | None = None

    @property
    def confirmed(self) -> bool:
        return self.status != 0  # the vendor's text says 2, its sample 1 (WeCom 5.3)


@dataclass(frozen=True, slots=True)
class SendResult:
    """What one customer received of a task; see SendStatus."""

    user_id: str
    external_user_id: str
    status: int
    sent_at: Instant | None = None


def read_created(reply: Row) -> Created:
    return Created(fields.identity(reply, "msgid"), fields.optional_names(reply, "fail_list"))


def read_mass_send_page(reply: Row) -> MassSendPage:
    records = tuple(_record(row) for row in fields.rows(reply, "group_msg_list"))
    return MassSendPage(records, fields.text(reply, "next_cursor"))


def read_member_tasks(reply: Row) -> tuple[MemberTask, ...]:
    return tuple(
        MemberTask(fields.identity(row, "userid"), fields.number(row, "status"), fields.instant(row, "send_time"))
        for row in fields.rows(reply, "task_list")
    )


def read_send_results(reply: Row) -> tuple[SendResult, ...]:
    return tuple(
        SendResult(
            fields.identity(row, "userid"),
            fields.identity(row, "external_userid"),
            fields.number(row, "status"),
            fields.instant(row, "send_time"),
        )
        for row in fields.rows(reply, "send_list")
    )


def _record(row: Row) -> MassSendRecord:
    text = fields.text(row.get("text") or {}, "content")
    attachments = [] if row.get("attachments") is None else fields.rows(row, "attachments")
    return MassSendRecord(
        msgid=fields.identity(row, "msgid"),
        created_at=fields.required_instant(row, "create_time"),
        create_type=fields.number(row, "create_type"),
        content_hash=content_hash(text, attachments),
        creator=fields.text(row, "creator"),
        text=text,
    )
