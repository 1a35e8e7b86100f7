"""WeCom's error codes as data (WeCom 9): what each means, what the engine does with it, what a person can do.

`errors` turns a reply into an error with the help of this table; nothing else looks codes up. A code that is not here
is `UNKNOWN`: permanent for its request, and worth an alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from machines.calendar import DAY_MS, SECOND_MS


class Klass(StrEnum):
    """What may be done after a failure."""

    RETRYABLE = "retryable"  # the same call may work later
    TOKEN = "token"  # the client renews its token and repeats once
    BACKOFF = "backoff"  # nothing on this path until the window ends
    CONFIGURATION = "configuration"  # a person must change a setting, here or in the admin console
    PERMANENT = "permanent"  # this request never works
    STATE = "state"  # not an error: it says how things stand


@dataclass(frozen=True, slots=True)
class Rule:
    """How one code is read. `action` is for people; `wait_ms` is a hint when a retryable call is worth another try."""

    klass: Klass
    meaning: str
    action: str
    wait_ms: int | None = None


UNKNOWN = Rule(Klass.PERMANENT, "a code this version does not know", "look it up with the vendor's trace number")

_R, _T, _B = Klass.RETRYABLE, Klass.TOKEN, Klass.BACKOFF
_C, _P, _S = Klass.CONFIGURATION, Klass.PERMANENT, Klass.STATE

_BUG = "please report it: the request itself was wrong"
_RESYNC = "re-sync the tag library"
_SECRET = "compare CorpID and secret with the admin console"
_SCOPE = "add the object to the app's visible scope in the admin console"
_LICENCE = "check agent id, owner app and licences in the admin console"

_ROWS: tuple[tuple[tuple[int, ...], Rule], ...] = (
    # WeCom answers 0 with a warning when it half understood us (WeCom 1.2).
    ((0,), Rule(_P, "it could not read all of our JSON", _BUG)),
    ((-1,), Rule(_R, "WeCom is busy", "it is tried again", 2 * SECOND_MS)),
    ((6000,), Rule(_R, "data changed meanwhile", "it is tried again", 2 * SECOND_MS)),
    ((40001,), Rule(_C, "the secret is wrong", _SECRET)),
    ((40003, 60111), Rule(_P, "unknown member", "the member has left or never existed; take him out of the SOP")),
    ((40004, 40005, 40006, 40009, 40011, 45001), Rule(_P, "media type or size not allowed", "replace the file")),
    ((40007,), Rule(_P, "the media id is bad or expired", "the file is uploaded anew once")),
    ((40008, 40035, 40058, 40063, 44004), Rule(_P, "a parameter is empty or wrong", _BUG)),
    ((40013, 41002, 41004), Rule(_C, "CorpID or secret missing or wrong", _SECRET)),
    ((50003,), Rule(_C, "the app is disabled", "enable it in the admin console")),
    ((40014, 42001), Rule(_T, "the access token is no longer valid", "it is renewed")),
    ((40031, 40032), Rule(_P, "bad list of members", _BUG)),
    ((40050, 86001, 86003), Rule(_P, "bad or missing customer group id", "re-read the customer groups")),
    ((40066,), Rule(_P, "unknown department", "re-read the departments")),
    ((40068,), Rule(_P, "unknown tag or tag group", _RESYNC)),
    ((40071,), Rule(_P, "the tag name exists already", _RESYNC)),
    ((40072,), Rule(_P, "the tag name is too long", "at most 30 characters are allowed")),
    ((40096,), Rule(_P, "unknown customer, or an id of another enterprise", "end the customer's runs")),
    ((40097,), Rule(_P, "the member has not left", "use the transfer for members in service")),
    ((40098,), Rule(_P, "the member is not verified by real name", "ask the member to verify")),
    ((40099,), Rule(_P, "the member's contacts are full", "choose another member")),
    ((40100, 40129), Rule(_P, "the customer is being transferred", "try again tomorrow", DAY_MS)),
    ((41001,), Rule(_P, "the token was missing from the call", _BUG)),
    ((41035,), Rule(_P, "the customer's id was missing from the call", _BUG)),
    ((41046, 41047), Rule(_P, "the mass send's id is missing or unknown", "look at the task in WeCom")),
    ((41048,), Rule(_S, "no customer can receive it now", "it is planned again after the quota window")),
    ((41049, 41050), Rule(_P, "the welcome code is missing, unknown or expired", "a code lives 20 s and works once")),
    ((41051,), Rule(_S, "already chatting, or welcomed before", "nothing is left to do")),
    ((41053,), Rule(_P, "the customer has not agreed to archiving", "the customer must agree first")),
    ((41054,), Rule(_C, "the member is not activated", "ask the member to log in to WeCom")),
    ((41055,), Rule(_P, "too many group welcome templates", "delete some in the admin console")),
    ((41058,), Rule(_P, "this group welcome template cannot be edited", "edit it where it was made")),
    ((41056,), Rule(_P, "wrong kind of external contact", "only WeChat customers can be addressed")),
    ((41059, 41060, 41061), Rule(_P, "the Moment's id is missing, unknown or of another member", _BUG)),
    ((41062,), Rule(_S, "the Moment is not published yet", "wait until the member publishes it")),
    ((41063,), Rule(_R, "the mass send is still being dispatched", "it is read again", 30 * SECOND_MS)),
    ((41064,), Rule(_P, "too many attachments", "at most 9 are allowed")),
    ((41065,), Rule(_P, "attachment type not allowed", "use image, link, miniprogram, video or file")),
    ((41067,), Rule(_P, "wrong kind of Moment id", _BUG)),
    ((41078,), Rule(_B, "too many Moments created", "the limit is per minute and per month")),
    ((41079,), Rule(_R, "the Moment is still being dispatched", "it is read again", 30 * SECOND_MS)),
    ((41089,), Rule(_P, "the Moment has neither text nor attachment", "give it one")),
    ((41093,), Rule(_S, "the mass send was cancelled", "nothing is left to do")),
    ((41096,), Rule(_R, "another app is sending the welcome", "it is tried again within the 20 s", 2 * SECOND_MS)),
    ((42014, 42015, 42016, 42017, 42018), Rule(_P, "card task id, key or app do not fit", _BUG)),
    ((45002,), Rule(_P, "the content is too long", "shorten it")),
    ((45009,), Rule(_B, "called too often", "the path rests for a minute, then for an hour")),
    ((45033,), Rule(_R, "too many calls at a time", "it is tried again", 5 * SECOND_MS)),
    ((45035,), Rule(_R, "two writes met on one customer", "it is tried again", 5 * SECOND_MS)),
    ((48001, 48002, 48004, 48005), Rule(_C, "the app may not use this API", "admin console: apps that may call it")),
    ((48009,), Rule(_C, "this secret may not use this API", "use the secret of the app, not of directory sync")),
    ((60011, 50002), Rule(_C, "member, department or tag outside the app's scope", _SCOPE)),
    ((60020, 301042), Rule(_C, "this server's address is not trusted", "add it to the trusted IPs", 90 * SECOND_MS)),
    ((81011,), Rule(_C, "the app may not use this tag", _SCOPE)),
    ((81013,), Rule(_P, "no recipient is valid", "tell the member's supervisor")),
    ((81017,), Rule(_P, "too many members in scope without an owner filter", _BUG)),
    ((84061,), Rule(_S, "not a customer of that member", "the pair's runs end")),
    ((84074,), Rule(_P, "the member may not use customer contact", "admin console: customer contact, usage scope")),
    ((84084,), Rule(_P, "the member does not follow the customer", "re-read the customer")),
    ((90206, 90207, 90208), Rule(_P, "the mini program is not linked or its appid is wrong", "correct the content")),
    ((90500,), Rule(_P, "the group's owner has not left", "use the transfer for owners in service")),
    ((90501,), Rule(_P, "not a customer group", "choose a customer group")),
    ((90502,), Rule(_P, "the group's owner has left", "use the transfer for owners who left")),
    ((301002,), Rule(_C, "agent or object does not belong to this app", _LICENCE)),
    ((301021,), Rule(_P, "bad member id, or a tag name given twice", _BUG)),
    ((610004,), Rule(_P, "not a customer", "re-read the customer")),
    ((610016,), Rule(_C, "the enterprise is not verified", "verify it in the admin console")),
    ((701008,), Rule(_C, "no member is licensed", _LICENCE)),
)  # fmt: skip

CODES: dict[int, Rule] = {code: rule for codes, rule in _ROWS for code in codes}

#: Codes that a fresh token may cure. 40001 means a bad secret today, in old tables also a bad token (WeCom 1.1).
RENEWABLE = frozenset({40014, 42001, 40001})

#: Codes that say nothing but that we call too much (WeCom 9); those of class BACKOFF close the path besides.
THROTTLING = frozenset({45033})

#: Codes after which a creating call may have worked all the same (WeCom 9).
DOUBTFUL = frozenset({-1})
