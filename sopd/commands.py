"""What an operator may ask for: one frozen dataclass per command, made by a face, carried out by a handler.

`who` is the person as the face knows them; it goes into the audit and, where it ends something, into the row.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ApplySop:
    """Publish a definition as the next version of its SOP. `name` is the file's name, for file:line:column."""

    name: str
    text: str
    who: str


@dataclass(frozen=True)
class StartSop:
    """Let a draft SOP take customers from now on."""

    key: str
    who: str


@dataclass(frozen=True)
class PauseSop:
    """Stop planning and cancel unconfirmed tasks; ends, losses and results still act (D23)."""

    key: str
    who: str


@dataclass(frozen=True)
class ResumeSop:
    """Go on after a pause (SPEC 12). `missed` says what happens to moments that passed: skip | shift | catch_up.

    admit: those who would have entered meanwhile are judged again, as if they came now.
    """

    key: str
    who: str
    missed: str = "skip"
    admit: bool = False


@dataclass(frozen=True)
class StopSop:
    """End the SOP for good: open runs end `stopped`, without tags and flow (SPEC 8)."""

    key: str
    who: str


@dataclass(frozen=True)
class EndEnrollments:
    """End open runs by hand, with optional tags on the owner's relation."""

    enrollment_ids: tuple[int, ...]
    who: str
    why: str
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class StartEnrollments:
    """Pull customers into a SOP by hand (SPEC 4). `member`: the wished-for owner, taken if it is in scope."""

    key: str
    external_userids: tuple[str, ...]
    who: str
    why: str
    member: str | None = None


@dataclass(frozen=True)
class TransferEnrollments:
    """End open runs by hand and let their customers flow into another SOP, in one transaction (SPEC 8).

    `all_relations`: together with each run, all others that its customer has open in the same SOP.
    """

    enrollment_ids: tuple[int, ...]
    to: str
    who: str
    why: str
    all_relations: bool = False
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class AcceptAbsences:
    """Take a member's customers who are missing in WeCom, and whom a full read held, for lost (SPEC 15.1)."""

    userid: str
    who: str


@dataclass(frozen=True)
class MuteCustomers:
    """免打扰 on or off for some customers, all or none of them."""

    external_userids: tuple[str, ...]
    muted: bool
    who: str


@dataclass(frozen=True)
class TagRelation:
    """Add or remove tags (names or ids) of one customer at one member, in WeCom too."""

    external_userid: str
    userid: str
    who: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResolveDispatch:
    """An operator's word on a `needs_operator` task: was it sent or not? It only corrects the pushes (D20)."""

    dispatch_id: int
    sent: bool
    who: str


@dataclass(frozen=True)
class RemindDispatch:
    """Have the member of an unconfirmed task reminded of it now (D19)."""

    dispatch_id: int
    who: str


@dataclass(frozen=True)
class CancelDispatch:
    """Stop a task that is not confirmed yet; its pushes end `cancelled: by operator` (D15)."""

    dispatch_id: int
    who: str


@dataclass(frozen=True)
class RetryPushes:
    """Plan pushes anew that failed, expired, were skipped or cancelled while their runs go on."""

    push_ids: tuple[int, ...]
    who: str


@dataclass(frozen=True)
class ReplayInbox:
    """Handle these stored callbacks once more (set-aside ones included)."""

    inbox_ids: tuple[int, ...]
    who: str


@dataclass(frozen=True)
class RetrySetAside:
    """Give every row that was set aside another try."""

    who: str


@dataclass(frozen=True)
class ForgetCustomer:
    """Erase a person; sums stay."""

    external_userid: str
    who: str


@dataclass(frozen=True)
class PruneRows:
    """What an operator had pruned: the kinds of rows that were asked for, and how many went, by table."""

    kinds: tuple[str, ...]
    rows: tuple[tuple[str, int], ...]
    who: str


@dataclass(frozen=True)
class CreateToken:
    """Make a bearer token of the HTTP API with these scopes."""

    name: str
    scopes: tuple[str, ...]
    who: str


@dataclass(frozen=True)
class RevokeToken:
    """Let a bearer token open nothing any more."""

    name: str
    who: str


@dataclass(frozen=True)
class ImportAudience:
    """Make an audience what a list says. keep: those who are not on the list stay."""

    name: str
    who: str
    keep: bool = False
