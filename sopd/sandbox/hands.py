"""Deeds done by hand: `POST /sandbox/people/<deed>` with JSON arguments, for operators who try things out.

One table of what people can be told to do; arguments are checked against the deed's own signature. Called by `web`
under the gateway's lock.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from machines.calendar import Instant
from sopd.sandbox.refusals import ImpossibleDeed
from sopd.sandbox.world import World

DEEDS: Mapping[str, Callable[..., object]] = {
    "hire": World.hire,
    "add": World.customer_adds,
    "confirm_half": World.confirm_half,
    "customer_delete": World.customer_deletes,
    "member_delete": World.member_deletes,
    "transfer": World.transfer,
    "refuse_transfer": World.transfer_refused,
    "chat": World.chat,
    "do": World.customer_does,
    "remark": World.member_remarks,
    "make_tag": World.admin_makes_tag,
    "rename_tag": World.admin_renames_tag,
    "delete_tag": World.admin_deletes_tag,
    "delete_tag_group": World.admin_deletes_group,
    "tag": World.member_tags,
    "untag": World.member_untags,
    "confirm": World.member_confirms,
    "click": World.member_clicks,
    "send_own": World.member_sends_own,
}


def arguments(deed: str) -> dict[str, bool]:
    """Arguments of a deed by name, with whether each is required."""
    parameters = inspect.signature(DEEDS[deed]).parameters.values()
    empty = inspect.Parameter.empty
    return {one.name: one.default is empty for one in parameters if one.name not in ("self", "now")}


def perform(world: World, deed: str, given: Mapping[str, Any], now: Instant) -> None:
    """Do the deed at `now`; raises ImpossibleDeed, with what is allowed, and then nothing was changed."""
    if deed not in DEEDS:
        raise ImpossibleDeed(f"there is no deed {deed!r}", f"deeds: {', '.join(DEEDS)}")
    faults = _faults(deed, given)
    if faults:
        raise ImpossibleDeed(f"{deed}: {', '.join(faults)}", f"arguments: {', '.join(arguments(deed))}")
    has_clock = "now" in inspect.signature(DEEDS[deed]).parameters
    DEEDS[deed](world, **given, **({"now": now} if has_clock else {}))


def _faults(deed: str, given: Mapping[str, Any]) -> list[str]:
    known, kinds = arguments(deed), get_type_hints(DEEDS[deed])
    missing = [f"{name} is missing" for name, is_required in known.items() if is_required and name not in given]
    unknown = [f"{name} is unknown" for name in given if name not in known]
    wrong = [f"{name} is of the wrong kind" for name in known if name in given and not _fits(given[name], kinds[name])]
    return [*missing, *unknown, *wrong]


def _fits(value: Any, kind: Any) -> bool:
    """Whether a JSON value fits an annotation; collections are lists of text."""
    if kind in (str, int, bool):
        return type(value) is kind
    if value is None:
        return type(None) in get_args(kind)
    if get_origin(kind) is Mapping:
        return isinstance(value, dict)
    if get_origin(kind) is UnionType:
        return any(_fits(value, one) for one in get_args(kind))
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
