"""The enterprise's tag library as we know it: read from WeCom, and asked for the ids behind names (D25).

`sync` is a command and calls WeCom, outside any transaction. Definitions are bound to ids when applied, so renaming a
tag is harmless, and a deleted one stays here, marked, so that it can be shown. Nobody else writes the table of tags.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from sopd.handlers import refusals, tags
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.store import Transaction
from sopd.store.queries import tags as queries
from sopd.store.queries.tags import LibraryTag
from sopd.wecom.errors import WeComError
from sopd.wecom.people import TagGroup

IDS_A_CALL = 100
DROPPED_A_TIME = 500


@dataclass(frozen=True)
class Resolved:
    """Names and what they stand for: every name is in exactly one of the two.

    tag_ids: name to tag id. faults: name to what is wrong with it and what is allowed, for people.
    """

    tag_ids: dict[str, str]
    faults: dict[str, str]


def resolve(tx: Transaction, names: Iterable[str]) -> Resolved:
    """The ids of tags named as group/name, by a bare name that only one tag has, or by their id (D25)."""
    live: defaultdict[str, list[LibraryTag]] = defaultdict(list)
    deleted: set[str] = set()
    for tag in queries.library(tx):
        for name in {tag.tag_id, tag.path, tag.name}:
            if tag.deleted_at is None:
                live[name].append(tag)
            else:
                deleted.add(name)
    found = Resolved({}, {})
    for name in dict.fromkeys(names):
        matches = live.get(name, [])
        exact = [tag for tag in matches if name == tag.tag_id] or [tag for tag in matches if name == tag.path]
        if len(exact or matches) == 1:
            found.tag_ids[name] = (exact or matches)[0].tag_id
        else:
            found.faults[name] = _fault(name, matches, name in deleted, live)
    return found


def is_synced(tx: Transaction) -> bool:
    """Whether the library was ever read, so that `resolve` can be believed."""
    return queries.is_synced(tx)


def sync(app: App) -> int:
    """Read the whole library from WeCom; returns how many tags it has. Relations then lose deleted tags, runs react.

    A tag that the list leaves out is asked for by its id, and only WeCom's own "deleted" counts. Raises WeComFailure;
    what was written before that is right and stays.
    """
    read = _flat(app.wecom.tag_library())
    with app.store.transaction() as tx:
        queries.put_library(tx, read)
        seen = {tag.tag_id for tag in read}
        missing = [tag.tag_id for tag in queries.library(tx) if tag.deleted_at is None and tag.tag_id not in seen]
    gone = _gone(app, missing)
    if gone:
        with app.store.transaction() as tx:
            queries.mark_deleted(tx, gone)
    while _drop(app):
        pass
    return len(read)


def _flat(groups: Iterable[TagGroup]) -> list[LibraryTag]:
    return [
        LibraryTag(tag.tag_id, tag.name, group.group_id, group.name, None)
        for group in groups
        if not group.deleted
        for tag in group.tags
        if not tag.deleted
    ]


def _gone(app: App, tag_ids: Sequence[str]) -> list[str]:
    """Those of the tags that WeCom calls deleted. One unknown id fails a whole call, so then each is asked alone."""
    gone: list[str] = []
    parts = [list(tag_ids[start : start + IDS_A_CALL]) for start in range(0, len(tag_ids), IDS_A_CALL)]
    while parts:
        asked = parts.pop()
        try:
            groups = app.wecom.tag_library(asked)
        except WeComError as error:
            if error.errcode != refusals.UNKNOWN_TAG:
                raise
            if len(asked) == 1:
                gone += asked
            else:
                parts += [[tag_id] for tag_id in asked]
            continue
        gone += [tag.tag_id for group in groups for tag in group.tags if tag.deleted or group.deleted]
    return gone


def _drop(app: App) -> int:
    """Take dropped tags from some relations, and let runs react."""
    with app.store.transaction() as tx:
        count, changes = tags.drop_deleted(tx, limit=DROPPED_A_TIME)
        follow(tx, app, Consequences(tag_changes=tuple(changes)))
    return count


def _fault(name: str, matches: Sequence[LibraryTag], is_deleted: bool, known: Iterable[str]) -> str:
    if matches:
        paths = ", ".join(sorted(f"{tag.path} ({tag.tag_id})" for tag in matches))
        return f"several tags are called {name!r}: {paths}; write group/name or the id"
    if is_deleted:
        return f"the tag {name!r} was deleted in WeCom; make it anew there or use another one"
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    guess = f"did you mean {near[0]}? Else " if near else ""
    return f"there is no tag {name!r} in WeCom's library; {guess}make it there first (written group/name)"
