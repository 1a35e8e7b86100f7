"""Conversation data behind one interface (SPEC 10): whatever keeps a company's messages is an adapter that says them.

Shipped: `Pushed` (our own shape, over HTTP or in a file), `Archived` (a record of WeCom's message archive, as its own
library decrypts it; WeCom 6) and `Either` for files that may hold both. The sandbox writes archive records. No native
library is called here: whoever runs the archive's puller hands its records in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import Field, field_validator, model_validator

from sopd.clock import utc_datetime
from sopd.incoming.shapes import Arrival, Moment, Name

LONGEST_TEXT = 10_000
"""Characters of a message that are kept: rules look for keywords in it, nobody reads it here."""


class Ignored(ValueError):
    """A record that says nothing about a customer and a member: of a group, recalled, from a robot."""


class Message(Arrival):
    """One message between a member and a customer, whoever of the two wrote it. A picture's text is empty."""

    sender: Annotated[Name, Field(alias="from", description="userid or external_userid of who wrote")]
    receiver: Annotated[Name, Field(alias="to", description="userid or external_userid of who was written to")]
    at: Annotated[Moment | None, Field(description="When it was written; left out: now")] = None
    text: Annotated[str, Field(description=f"What was written; {LONGEST_TEXT} characters of it are kept")] = ""

    @field_validator("text", mode="before")
    @classmethod
    def _kept(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return value[:LONGEST_TEXT].encode("utf-8", "replace").decode().replace("\x00", "")

    @model_validator(mode="after")
    def _between_two(self) -> Message:
        if self.sender == self.receiver:
            raise ValueError("`from` and `to` are the same")
        return self


class Adapter(Protocol):
    """How one kind of source says its messages."""

    def message(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """The record as the fields of `Message`. Raises Ignored for one that is none between two people."""
        ...


class Pushed:
    """Our own shape: ref, from, to, at, text."""

    def message(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """As it is."""
        return record


class Archived:
    """A decrypted record of WeCom's message archive: msgid, action, from, tolist, roomid, msgtime, msgtype."""

    def message(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Only what was sent from one person to another; recalls, groups and robots are ignored."""
        if record.get("action", "send") != "send":
            raise Ignored("not a message")
        receivers = record.get("tolist")
        if record.get("roomid") or not isinstance(receivers, list) or len(receivers) != 1:
            raise Ignored("of a group")
        if str(record.get("from", "")).startswith("wb"):
            raise Ignored("from a robot")
        body, written_at = record.get("text"), record.get("msgtime")
        if isinstance(written_at, bool) or not isinstance(written_at, int):
            raise ValueError("msgtime must be a whole number of milliseconds")
        text = body.get("content", "") if record.get("msgtype") == "text" and isinstance(body, Mapping) else ""
        return {
            "ref": f"archive/{record.get('msgid', '')}", "from": record.get("from"), "to": receivers[0],
            "at": utc_datetime(written_at).isoformat(), "text": text,
        }  # fmt: skip


class Either:
    """A record of the archive if it looks like one, else our own shape."""

    def message(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """See the class."""
        return (Archived() if "msgid" in record and "tolist" in record else Pushed()).message(record)

