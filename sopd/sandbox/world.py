"""The imitated enterprise as one object: every deed of its people, and the account of what came of them.

`World` joins the facets; `api.Api` lets the client act on it, `people.Population` lets it live by itself. Everything
takes `now`; nothing here reads a clock. Not thread-safe by itself: the gateway's lock guards it.
"""

from __future__ import annotations

from typing import Any

from sopd.sandbox.cards import Cards
from sopd.sandbox.contacts import Contacts
from sopd.sandbox.doings import Doings
from sopd.sandbox.records import Pair
from sopd.sandbox.sending import Sending
from sopd.sandbox.tagging import Tagging


class World(Contacts, Tagging, Sending, Cards, Doings):
    """One enterprise: members, customers, tags, tasks, callbacks and books."""

    def account(self) -> dict[Pair, dict[str, Any]]:
        """What really happened, per (member, external_userid); the fields are listed in `books.Books.account`."""
        return self.books.account(self.relations, self.tasks, self.tag_names())

    def census(self) -> dict[str, int]:
        """How many of everything there are, for progress lines and `/sandbox/state`."""
        relations = self.relations.values()
        return {
            "members": len(self.members),
            "customers": len(self.customers),
            "friends": sum(relation.is_open for relation in relations),
            "ended": sum(relation.ended_at is not None for relation in relations),
            "tasks": sum(task.creator is None for task in self.tasks.values()),
            "own_sends": sum(task.creator is not None for task in self.tasks.values()),
            "cards": len(self.cards),
            "messages": sum(len(page.messages) for page in self.books.pages.values()),
            "welcomes": sum(len(page.welcomes) for page in self.books.pages.values()),
            "reports": self.tidings.taken,
            "letters_waiting": len(self.mailbox.waiting),
            "letters_lost": len(self.mailbox.lost) + len(self.mailbox.given_up),
        }
