"""The one table of WeCom calls: path, limits, retry class, deadline. A changed vendor limit is one edited line here.

Numbers are of WeCom 4-5 and 14 (`reference` dates there). Deadlines are ours: the whole call, token included, ends
within them, and the relay keeps its lease above twice the longest one it uses (ARCHITECTURE 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Retry(StrEnum):
    """May a call be repeated when its answer was lost?"""

    READ = "read"  # changes nothing: repeated once at once
    WRITE_IDEMPOTENT = "write_idempotent"  # may be repeated, later, by whoever owns the due column
    CREATE = "create"  # never repeated: what became of it is looked up (WeCom 5.1)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One WeCom call."""

    name: str
    method: str
    path: str
    retry: Retry
    deadline_seconds: float = 10.0
    page_size: int | None = None  # rows asked for per page; above the vendor's maximum it falls back to the default
    max_items: int | None = None  # ids in one request


_EXTERNAL = "/cgi-bin/externalcontact/"

ENDPOINTS: dict[str, Endpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint("gettoken", "GET", "/cgi-bin/gettoken", Retry.READ, 5.0),
        Endpoint("callback_ips", "GET", "/cgi-bin/getcallbackip", Retry.READ),
        Endpoint("member", "GET", "/cgi-bin/user/get", Retry.READ),
        # contacts and tags (WeCom 4)
        Endpoint("follow_users", "GET", _EXTERNAL + "get_follow_user_list", Retry.READ),
        Endpoint("customers_of", "GET", _EXTERNAL + "list", Retry.READ, 20.0),
        Endpoint("contact", "GET", _EXTERNAL + "get", Retry.READ),
        Endpoint("contacts_of", "POST", _EXTERNAL + "batch/get_by_user", Retry.READ, page_size=100, max_items=100),
        Endpoint("tag_library", "POST", _EXTERNAL + "get_corp_tag_list", Retry.READ, 20.0),
        Endpoint("add_tags", "POST", _EXTERNAL + "add_corp_tag", Retry.CREATE),
        Endpoint("mark_tags", "POST", _EXTERNAL + "mark_tag", Retry.WRITE_IDEMPOTENT),
        # sending (WeCom 5)
        Endpoint(
            "create_mass_send", "POST", _EXTERNAL + "add_msg_template", Retry.CREATE, 20.0, max_items=10_000
        ),
        Endpoint("mass_sends", "POST", _EXTERNAL + "get_groupmsg_list_v2", Retry.READ, page_size=100),
        Endpoint("mass_send_tasks", "POST", _EXTERNAL + "get_groupmsg_task", Retry.READ, page_size=1000),
        Endpoint("mass_send_results", "POST", _EXTERNAL + "get_groupmsg_send_result", Retry.READ, page_size=1000),
        # Repeating a reminder uses up one of three a day and buzzes the member again.
        Endpoint("remind_mass_send", "POST", _EXTERNAL + "remind_groupmsg_send", Retry.CREATE),
        Endpoint("cancel_mass_send", "POST", _EXTERNAL + "cancel_groupmsg_send", Retry.WRITE_IDEMPOTENT),
        # The code lives 20 s: a longer wait could only hear that it is over.
        Endpoint("send_welcome", "POST", _EXTERNAL + "send_welcome_msg", Retry.CREATE, 3.0),
        Endpoint("send_app_message", "POST", "/cgi-bin/message/send", Retry.CREATE, max_items=1000),
        # A response code works once: repeating the call can do no harm, and may hear that it has worked (WeCom 5.7).
        Endpoint("update_card", "POST", "/cgi-bin/message/update_template_card", Retry.WRITE_IDEMPOTENT),
        # A second upload costs bandwidth, nothing else.
        Endpoint("upload_media", "POST", "/cgi-bin/media/upload", Retry.WRITE_IDEMPOTENT, 60.0),
    )
}

#: Calls to one path that may be under way at a time in this process (WeCom 1.3: 45033 above an unpublished number).
IN_FLIGHT_PER_PATH = 6
