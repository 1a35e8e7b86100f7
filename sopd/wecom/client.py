"""WeCom as the engine sees it: one method per call, typed results, Instants instead of unix seconds.

Called by the relay, intake, collector and reconciliation, always outside a transaction. It holds no state of customers
and decides nothing; every failure is a `WeComFailure` (see `errors`). Limits are checked before anything is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import httpx

from machines.calendar import DAY_MS, SECOND_MS, Instant
from sopd.wecom import content, fields, media, notices, people, sends
from sopd.wecom.calls import Calls
from sopd.wecom.content import Attachment, MassSend
from sopd.wecom.endpoints import ENDPOINTS
from sopd.wecom.errors import ContentTooLong, InvalidContent, Unreachable, WeComError
from sopd.wecom.windows import BackoffWindows, InMemoryWindows
from sopd.wecom.wire import Request

T = TypeVar("T")

_NOT_A_CUSTOMER = 84061
_TAG_NAME_CHARACTERS = 30
_LONGEST_SPAN_MS = 30 * DAY_MS  # "a month" in WeCom's words
_MEMBERS_A_CALL = ENDPOINTS["contacts_of"].max_items or 1


class WeCom:
    """One self-built app of one enterprise. Threads share it; `close` it when the process ends.

    `now` is the engine's time, read once per call. `windows` keeps resting paths (in memory unless given).
    """

    def __init__(
        self,
        base_url: str,
        corp_id: str,
        secret: str,
        agent_id: int,
        *,
        now: Callable[[], Instant],
        windows: BackoffWindows | None = None,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agent_id = agent_id
        self._calls = Calls(
            base_url,
            corp_id,
            secret,
            now=now,
            windows=windows or InMemoryWindows(),
            transport=transport,
            monotonic=monotonic,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._calls.close()

    # --- enterprise ---

    def callback_ips(self) -> tuple[str, ...]:
        """Addresses callbacks come from; entries may end in `.*` (WeCom 2.5)."""
        return self._calls.ask("callback_ips", Request(), lambda reply: fields.names(reply, "ip_list"))

    def member(self, user_id: str) -> people.Member:
        """One member in the app's scope (WeCom 14.1)."""
        return self._calls.ask("member", Request({"userid": user_id}), people.read_member)

    # --- customers ---

    def follow_users(self) -> tuple[str, ...]:
        """Members who may use customer contact; those outside the app's scope are silently missing."""
        return self._calls.ask("follow_users", Request(), lambda reply: fields.names(reply, "follow_user"))

    def customers_of(self, user_id: str) -> tuple[str, ...]:
        """Ids of all customers of a member; a member without any is answered with 84061, which is read as none."""
        request = Request({"userid": user_id})
        try:
            return self._calls.ask("customers_of", request, lambda reply: fields.names(reply, "external_userid"))
        except WeComError as error:
            if error.errcode == _NOT_A_CUSTOMER:
                return ()
            raise

    def contact(self, external_user_id: str) -> people.Contact:
        """A customer with every relation the app may see, all pages of them."""
        pages = self._pages("contact", {"external_userid": external_user_id}, people.read_contact)
        first, *rest = pages
        return people.Contact(first.profile, tuple(follow for page in (first, *rest) for follow in page.follows))

    def contacts_of(self, user_ids: Sequence[str], cursor: str = "") -> people.ContactPage:
        """One page of the customers of at most 100 members, one row per relation."""
        self._at_most("contacts_of", "the list of members", user_ids)
        body = {"userid_list": list(user_ids), "limit": ENDPOINTS["contacts_of"].page_size}
        return self._calls.ask("contacts_of", Request(body=_with_cursor(body, cursor)), people.read_contact_page)

    def iter_contacts(self, user_ids: Iterable[str]) -> Iterator[people.ContactPage]:
        """Every page of the customers of these members, however many. Ends normally only if all pages were read."""
        members = list(user_ids)
        for start in range(0, len(members), _MEMBERS_A_CALL):
            some = members[start : start + _MEMBERS_A_CALL]
            body = {"userid_list": some, "limit": ENDPOINTS["contacts_of"].page_size}
            yield from self._pages("contacts_of", body, people.read_contact_page)

    # --- tags ---

    def tag_library(self, tag_ids: Iterable[str] | None = None) -> tuple[people.TagGroup, ...]:
        """The enterprise's tags, or only these. Asked by id, deleted ones come too, marked so (WeCom 4.2)."""
        body: dict[str, Any] = {} if tag_ids is None else {"tag_id": list(tag_ids)}
        return self._calls.ask("tag_library", Request(body=body), _tag_groups)

    def add_tags(self, group: str, names: Sequence[str]) -> people.TagGroup:
        """Make tags in the group of this name, which comes into being if it is new; equal names are made once."""
        for name in (group, *names):
            if len(name) > _TAG_NAME_CHARACTERS:
                raise ContentTooLong(
                    ENDPOINTS["add_tags"].path, "the tag name", len(name), _TAG_NAME_CHARACTERS, "characters"
                )
        body = {"group_name": group, "tag": [{"name": name} for name in names]}
        return self._calls.ask(
            "add_tags", Request(body=body), lambda reply: people.read_tag_group(fields.row(reply, "tag_group"))
        )

    def mark_tags(
        self, user_id: str, external_user_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Put tag ids on one relation and take others off; repeating it changes nothing (WeCom 4.2)."""
        if not add and not remove:
            raise InvalidContent(ENDPOINTS["mark_tags"].path, "neither a tag to add nor one to remove")
        body: dict[str, Any] = {"userid": user_id, "external_userid": external_user_id}
        body |= {key: list(ids) for key, ids in (("add_tag", add), ("remove_tag", remove)) if ids}
        self._calls.tell("mark_tags", Request(body=body, alone=(user_id, external_user_id)))

    # --- mass sends ---

    def create_mass_send(self, send: MassSend) -> sends.Created:
        """Give one member a task; nothing reaches a customer before the member confirms it (WeCom 5.1).

        Never repeated: if the failure says `may_have_happened`, look the task up (D16). 41048 = no task exists (D8).
        """
        path = ENDPOINTS["create_mass_send"].path
        if not send.sender or not send.recipients:
            raise InvalidContent(path, "a mass send needs a sender and at least one recipient")
        self._at_most("create_mass_send", "the list of recipients", send.recipients)
        content.check_content(path, send.text, send.attachments)
        body = {"chat_type": "single", "sender": send.sender, "external_userid": list(send.recipients)}
        request = Request(body=body | content.message(send.text, send.attachments))
        return self._calls.ask("create_mass_send", request, sends.read_created)

    def mass_sends(
        self, start: Instant, end: Instant, cursor: str = "", create_type: int = sends.CreateType.ALL
    ) -> sends.MassSendPage:
        """One page of the tasks created from `start` to `end` (at most 30 days), whole seconds around both."""
        body = _with_cursor(self._span_body(start, end, create_type), cursor)
        return self._calls.ask("mass_sends", Request(body=body), sends.read_mass_send_page)

    def iter_mass_sends(
        self, start: Instant, end: Instant, create_type: int = sends.CreateType.ALL
    ) -> Iterator[sends.MassSendRecord]:
        """Every task of the span. Ends normally only after the last page: that is a complete read (D16)."""
        body = self._span_body(start, end, create_type)
        for page in self._pages("mass_sends", body, sends.read_mass_send_page):
            yield from page.records

    def mass_send_tasks(self, msgid: str) -> tuple[sends.MemberTask, ...]:
        """Whom a task was given to and who confirmed it. 41063 = not dispatched yet, 41093 = cancelled."""
        body = {"msgid": msgid, "limit": ENDPOINTS["mass_send_tasks"].page_size}
        pages = self._pages("mass_send_tasks", body, sends.read_member_tasks)
        return tuple(task for page in pages for task in page)

    def mass_send_results(self, msgid: str, user_id: str) -> tuple[sends.SendResult, ...]:
        """What each customer of this member received of a task."""
        body = {"msgid": msgid, "userid": user_id, "limit": ENDPOINTS["mass_send_results"].page_size}
        pages = self._pages("mass_send_results", body, sends.read_send_results)
        return tuple(result for page in pages for result in page)

    def remind_mass_send(self, msgid: str) -> None:
        """Let WeCom remind the members of an unconfirmed task; three times in 24 h at most (WeCom 5.3)."""
        self._calls.tell("remind_mass_send", Request(body={"msgid": msgid}))

    def cancel_mass_send(self, msgid: str) -> None:
        """Stop what is not confirmed yet; what was sent stays, and repeating it is harmless."""
        self._calls.tell("cancel_mass_send", Request(body={"msgid": msgid}))

    # --- other messages ---

    def send_welcome(self, code: str, text: str, attachments: Sequence[Attachment] = ()) -> None:
        """Greet a new customer at once; the code lives 20 s and works once. 41051 = welcomed already (D21)."""
        content.check_content(ENDPOINTS["send_welcome"].path, text, attachments)
        self._calls.tell("send_welcome", Request(body={"welcome_code": code, **content.message(text, attachments)}))

    def send_app_message(
        self, user_ids: Sequence[str], notice: notices.Notice, *, once_in_ms: int = 0
    ) -> notices.Receipt:
        """Tell members something, each the same. 81013 = nobody of them can be told.

        `once_in_ms` (at most 4 h): WeCom does not deliver the very same message again within that time, so a call whose
        answer was lost may be repeated with it.
        """
        self._at_most("send_app_message", "the list of members", user_ids)
        notice.check(ENDPOINTS["send_app_message"].path)
        body = {"touser": "|".join(user_ids), "agentid": self._agent_id, **notice.wire()}
        if once_in_ms:
            body |= {"enable_duplicate_check": 1, "duplicate_check_interval": once_in_ms // SECOND_MS}
        return self._calls.ask(
            "send_app_message", Request(body=body), lambda reply: notices.read_receipt(reply, user_ids)
        )

    def update_card(self, user_id: str, response_code: str, shown: str | notices.ButtonNotice) -> None:
        """Change a card at its member: a text that replaces the buttons, or a whole new card.

        A response code, of the card's receipt or of a click, works once and for a day at least (WeCom 5.7).
        """
        body: dict[str, Any] = {"userids": [user_id], "agentid": self._agent_id, "response_code": response_code}
        if isinstance(shown, str):
            body["button"] = {"replace_name": shown}
        else:
            shown.check(ENDPOINTS["update_card"].path)
            body["template_card"] = shown.wire()["template_card"]
        self._calls.tell("update_card", Request(body=body))

    def upload_media(self, kind: media.Kind, filename: str, data: bytes) -> media.Media:
        """Upload a file for welcomes and mass sends (not for Moments)."""
        media.check_media(ENDPOINTS["upload_media"].path, kind, data)
        return self._calls.ask("upload_media", Request({"type": kind}, media=(filename, data)), media.read_media)

    # --- shared ---

    def _pages(self, name: str, asked: dict[str, Any], read: Callable[[fields.Row], T]) -> Iterator[T]:
        """Every page, until WeCom names no further cursor. A cursor that repeats would never end: Unreachable."""
        cursor, seen = "", {""}
        while True:
            sent = _with_cursor(asked, cursor)
            request = Request(sent) if ENDPOINTS[name].method == "GET" else Request(body=sent)
            page, cursor = self._calls.ask(name, request, lambda row: (read(row), fields.text(row, "next_cursor")))
            yield page
            if not cursor:
                return
            if cursor in seen:
                raise Unreachable(ENDPOINTS[name].path, "the page cursor repeats")
            seen.add(cursor)

    def _at_most(self, name: str, what: str, items: Sequence[str]) -> None:
        endpoint = ENDPOINTS[name]
        if not items:
            raise InvalidContent(endpoint.path, f"{what} is empty")
        if endpoint.max_items is not None and len(items) > endpoint.max_items:
            raise ContentTooLong(endpoint.path, what, len(items), endpoint.max_items, "entries")

    def _span_body(self, start: Instant, end: Instant, create_type: int) -> dict[str, Any]:
        endpoint = ENDPOINTS["mass_sends"]
        if not 0 <= end - start <= _LONGEST_SPAN_MS:
            raise InvalidContent(endpoint.path, "the span must run forward and cover at most 30 days")
        return {
            "chat_type": "single",
            "start_time": start // SECOND_MS,
            "end_time": -(-end // SECOND_MS),
            "filter_type": int(create_type),
            "limit": endpoint.page_size,
        }


def _with_cursor(asked: dict[str, Any], cursor: str) -> dict[str, Any]:
    # An empty string is refused in some fields (40058), so the first page names no cursor.
    return {**asked, "cursor": cursor} if cursor else asked


def _tag_groups(reply: fields.Row) -> tuple[people.TagGroup, ...]:
    return tuple(people.read_tag_group(row) for row in fields.rows(reply, "tag_group"))
