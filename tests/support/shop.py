"""A company whose customers are tagged, buy, write and are moved between SOPs: one line a happening.

For tests of entries, flows and early ends. Everything goes through the doors that CLI, API and callbacks use, and every
happening is worked off at once, flips of time included.
"""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace
from typing import Any, NamedTuple

from machines.calendar import Instant
from sopd import sweep
from sopd.commands import EndEnrollments, StartEnrollments, TagRelation, TransferEnrollments
from sopd.handlers import attributes, customers, endings, entries_by_hand, initialising, signals, transfers
from sopd.handlers.attributes import Change
from sopd.handlers.consequences import follow
from sopd.handlers.entries_by_hand import Pulled
from sopd.handlers.happened import Consequences
from sopd.handlers.transfers import Transferred
from sopd.incoming.conversation import Message
from sopd.incoming.events import EventIn
from sopd.store import Store
from tests.support.company import WHO, TestCompany


class Inside(NamedTuple):
    """One run of a customer, for readable comparisons: (SOP, state, reason)."""

    sop: str
    state: str
    reason: str | None


class Shop(TestCompany):
    """Alice and bob, and the tags that a test names."""

    __test__ = False

    def __init__(self, store: Store, *tags: str, start: str = "2026-03-02 09:00", **company: Any) -> None:
        super().__init__(store, start, **company)
        self.refs = itertools.count()
        for path in tags:
            self.tag(path)

    # -- what happens ----------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Whatever is due, initialisations and flips of time among it."""
        while initialising.run_once(self.app) + sweep.run_once(self.app) + signals.digest(self.app):
            pass
        super().work()

    def start(self, text: str) -> str:
        """Apply, start and initialise."""
        key = super().start(text)
        self.work()
        return key

    def meets(self, userid: str, customer: str, *tags: str, **columns: Any) -> SimpleNamespace:
        """A relation that is there already, with these tags; nobody is told."""
        relation = self.befriend(userid, customer, **columns)
        relation.customer = customer
        for path in tags:
            self.put_tag(relation, f"et-{path.split('/')[1]}")
        return relation

    def tagged(self, relation: SimpleNamespace, *tags: str) -> None:
        """Somebody tags the customer, through the command line."""
        customers.tag(self.app, TagRelation(self.name_of(relation), relation.userid, WHO, add=tags))

    def untagged(self, relation: SimpleNamespace, *tags: str) -> None:
        """Somebody takes tags away."""
        customers.tag(self.app, TagRelation(self.name_of(relation), relation.userid, WHO, remove=tags))

    def event(self, customer: str, name: str, *, at: str | None = None, **properties: Any) -> None:
        """The customer does something (at a Shanghai time), and we hear of it now."""
        when = None if at is None else f"{at.replace(' ', 'T')}:00+08:00"
        seen = EventIn(ref=f"e{next(self.refs)}", name=name, customer=customer, at=when, properties=properties)
        signals.take_events(self.app, [(0, seen)])
        signals.digest(self.app)

    def says(self, relation: SimpleNamespace, text: str) -> None:
        """The customer writes to the member."""
        said = {"ref": f"m{next(self.refs)}", "from": self.name_of(relation), "to": relation.userid, "text": text}
        signals.take_messages(self.app, [(0, Message.model_validate(said))])
        signals.digest(self.app)

    def set(self, customer: str, **values: Any) -> None:
        """An attribute changes."""
        customer_id = self.customer(customer).id
        with self.store.transaction() as tx:
            news = attributes.write(tx, [Change(customer_id, values)])
            follow(tx, self.app, Consequences(news=tuple(news)))

    def pull(self, key: str, *names: str, member: str | None = None, dry: bool = False) -> list[Pulled]:
        """An operator pulls customers in."""
        command = StartEnrollments(key, names, WHO, "asked for it", member)
        return list(entries_by_hand.start(self.app, command, dry=dry))

    def end(self, customer: str, key: str) -> None:
        """An operator ends the customer's run."""
        endings.end_by_operator(self.app, EndEnrollments(self.open_ids(customer, key), WHO, "no longer needed"))

    def transfer(
        self, customer: str, key: str, to: str, *, dry: bool = False, **command: Any
    ) -> list[Transferred]:
        """An operator moves the customer's run."""
        wish = TransferEnrollments(self.open_ids(customer, key), to, WHO, "better there", **command)
        return list(transfers.transfer(self.app, wish, dry=dry))

    # -- what became of them ---------------------------------------------------------------------------------------

    def name_of(self, relation: SimpleNamespace) -> str:
        return str(self.rows("select external_userid from customer where id = ?", relation.customer_id)[0][0])

    def open_ids(self, customer: str, key: str) -> tuple[int, ...]:
        rows = self.rows(
            "select e.id from enrollment e join sop s on s.id = e.sop_id join customer c on c.id = e.customer_id"
            " where c.external_userid = ? and s.key = ? and e.closed_at is null order by e.id",
            customer, key,
        )  # fmt: skip
        return tuple(row[0] for row in rows)

    def story(self, customer: str) -> list[Inside]:
        """Every run of the customer, in the order of entry."""
        rows = self.rows(
            "select s.key, e.state, e.reason from enrollment e join sop s on s.id = e.sop_id"
            " join customer c on c.id = e.customer_id where c.external_userid = ? order by e.id",
            customer,
        )
        return [Inside(*row) for row in rows]

    def run_of(self, customer: str, key: str) -> SimpleNamespace:
        """The customer's last run in a SOP."""
        names = (
            "id state reason cause hop chain inherited anchor_at entered_at after_signal run_no rule_false_at"
        ).split()
        columns = ", ".join(f"e.{name}" for name in names)
        row = self.rows(
            f"select {columns}, m.userid from enrollment e join sop s on s.id = e.sop_id"
            " join customer c on c.id = e.customer_id join member m on m.id = e.member_id"
            " where c.external_userid = ? and s.key = ? order by e.id desc limit 1",
            customer, key,
        )[0]  # fmt: skip
        return SimpleNamespace(**dict(zip([*names, "owner"], row, strict=True)))

    def refusals(self, customer: str) -> list[tuple[str, str, int]]:
        """Every refusal as (SOP, reason, times)."""
        return self.rows(
            "select s.key, r.reason, r.times from refusal r join sop s on s.id = r.sop_id"
            " join customer c on c.id = r.customer_id where c.external_userid = ? order by s.key, r.reason",
            customer,
        )

    def journal(self, customer: str, key: str) -> list[tuple[str, str | None, dict[str, Any]]]:
        """(kind, reason, detail) of every row of the customer's last run in a SOP."""
        run = self.run_of(customer, key)
        rows = self.rows("select kind, reason, detail from journal where enrollment_id = ? order by id", run.id)
        return [(kind, reason, json.loads(detail) if detail else {}) for kind, reason, detail in rows]

    def flips(self) -> list[tuple[str, Instant]]:
        """Every flip that is to come, as (purpose, instant)."""
        return self.rows("select purpose, at from flip where at is not null order by at, purpose")
