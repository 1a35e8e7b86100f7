"""What customers and members do to their relation: add, half-add, delete, hand over, chat.

Each deed changes the world, writes the books and queues the callbacks of WeCom 3.1. Called by the population script,
by hand through the server, and by tests. A deed the world does not allow raises ImpossibleDeed and changes nothing.
"""

from __future__ import annotations

from machines.calendar import Instant
from sopd.sandbox import chance
from sopd.sandbox.ground import Ground
from sopd.sandbox.records import Customer, Member, Relation, WelcomeCode
from sopd.sandbox.refusals import ImpossibleDeed

#: add_way of a relation allocated by an administrator (WeCom 4.1, 7).
ALLOCATED = 202


class Contacts(Ground):
    """The facet of members, customers and their relations."""

    def hire(self, userid: str, name: str = "", *, leader: str | None = None, in_scope: bool = True) -> Member:
        """Put a member into the enterprise; no event reaches an ordinary app's callback (WeCom 14.3)."""
        if self.find_member(userid) is not None:
            raise ImpossibleDeed(f"member {userid!r} exists already")
        self.members[userid] = Member(userid, name or userid.title(), in_scope=in_scope, leader=leader)
        return self.members[userid]

    def customer_adds(
        self,
        member: str,
        customer: str,
        *,
        now: Instant,
        state: str = "",
        add_way: int = 1,
        half: bool = False,
        name: str = "",
        kind: int = 1,
    ) -> Relation:
        """The customer adds the member; with `half` the member still has to confirm (WeCom 3.1).

        Unknown customers come into being. With a member outside the scope nothing is told to anybody.
        """
        userid = self.member(member).userid
        known = self.relations.get((userid, customer))
        if known is not None and known.ended_at is None:
            raise ImpossibleDeed(f"{customer} already added {member}")
        self.customers.setdefault(customer, Customer(customer, name or customer, kind=kind))
        relation = Relation(userid, customer, now, add_way, state, opened_by=customer, confirmed=not half)
        self.keep_relation(relation)
        if not half:
            self.books.added(relation, now)
        change = "add_half_external_contact" if half else "add_external_contact"
        self.emit_contact(change, relation, *self._add_fields(relation, now), now=now)
        return relation

    def confirm_half(self, member: str, customer: str, *, now: Instant) -> Relation:
        """The member confirms a half-add: from now on they are friends."""
        relation = self._present(member, customer)
        if relation.confirmed:
            raise ImpossibleDeed(f"{customer} and {member} are friends already")
        relation.confirmed = True
        relation.created_at = now
        self.books.added(relation, now)
        self.emit_contact("add_external_contact", relation, *self._add_fields(relation, now), now=now)
        return relation

    def customer_deletes(self, member: str, customer: str, *, now: Instant) -> None:
        """The customer deletes the member."""
        relation = self._present(member, customer)
        self._end(relation, "customer", now)
        self.emit_contact("del_follow_user", relation, now=now)

    def member_deletes(self, member: str, customer: str, *, now: Instant) -> None:
        """The member deletes the customer."""
        relation = self._present(member, customer)
        self._end(relation, "member", now)
        self.emit_contact("del_external_contact", relation, now=now)

    def transfer(self, handover: str, takeover: str, customer: str, *, now: Instant) -> Relation:
        """A customer goes from one member to another and does not refuse (WeCom 7); the new or existing relation.

        Of a member who has left the app's sight nobody is told that the old relation ended.
        """
        old, taker = self._present(handover, customer), self._taker(handover, takeover)
        self._end(old, "transfer", now)
        self.emit_contact("del_external_contact", old, ("Source", "DELETE_BY_TRANSFER"), now=now)
        known = self.relations.get((taker.userid, customer))
        if known is not None and known.is_open:
            return known
        kept = set(old.tag_ids) if self.config.transfer_keeps_tags else set()
        new = Relation(taker.userid, customer, now, ALLOCATED, remark=old.remark, opened_by="admin", tag_ids=kept)
        self.keep_relation(new)
        self.books.added(new, now)
        self.emit_contact("add_external_contact", new, now=now)
        return new

    def transfer_refused(
        self, handover: str, takeover: str, customer: str, *, now: Instant, reason: str = "customer_refused"
    ) -> None:
        """The customer does not want to go, or the taker has too many: the old relation stays (WeCom 3.1, 7).

        reason: customer_refused | customer_limit_exceed.
        """
        if reason not in ("customer_refused", "customer_limit_exceed"):
            raise ImpossibleDeed(f"no transfer fails for {reason!r}", "customer_refused or customer_limit_exceed")
        kept, taker = self._present(handover, customer), self._taker(handover, takeover)
        told = (("ChangeType", "transfer_fail"), ("UserID", taker.userid), ("ExternalUserID", kept.customer))
        self.emit("change_external_contact", *told, ("FailReason", reason), now=now)

    def chat(self, member: str, customer: str, *, now: Instant, text: str = "", by_member: bool = False) -> None:
        """One writes to the other: a pending welcome is too late (41051). No callback exists for it (WeCom 6).

        The message archive has it, as a record that its puller brings to the company.
        """
        relation = self._present(member, customer)
        relation.chatting = True
        relation.last_chat_at = now
        writer, reader = relation.pair if by_member else relation.pair[::-1]
        nth = self.ordinal("message of", *relation.pair)
        record = {
            "msgid": f"{relation.member}/{relation.customer}/{nth}_external", "action": "send", "from": writer,
            "tolist": [reader], "roomid": "", "msgtime": now, "msgtype": "text", "text": {"content": text},
        }  # fmt: skip
        self.tidings.tell("messages", record, now)

    def member_remarks(self, member: str, customer: str, remark: str, *, now: Instant) -> None:
        """The member edits the remark in the client: an edit event like any other."""
        relation = self._present(member, customer)
        relation.remark = remark
        self.emit_contact("edit_external_contact", relation, now=now)

    def _taker(self, handover: str, takeover: str) -> Member:
        taker = self.member(takeover)
        if taker.userid == self.member(handover).userid or not taker.is_visible:
            raise ImpossibleDeed(f"{takeover} cannot take over", "another active member whom the app sees")
        return taker

    def _present(self, member: str, customer: str) -> Relation:
        relation = self.relations.get((self.member(member).userid, customer))
        if relation is None or relation.ended_at is not None:
            raise ImpossibleDeed(f"{customer} and {member} are not in contact")
        return relation

    def _end(self, relation: Relation, by: str, now: Instant) -> None:
        relation.ended_at = now
        if relation.confirmed:
            self.books.deleted(relation.pair, by, now)

    def _add_fields(self, relation: Relation, now: Instant) -> tuple[tuple[str, str], ...]:
        return ("State", relation.state), ("WelcomeCode", self._welcome_code(relation, now))

    def _welcome_code(self, relation: Relation, now: Instant) -> str:
        """A fresh code, or "" where WeCom gives none (WeCom 3.1)."""
        earlier = self.welcome_codes.get(relation.welcome_code)
        spent = earlier is not None and earlier.used_at is not None
        foreign = self.customers[relation.customer].kind == 2
        if spent or foreign or relation.chatting or self.members[relation.member].console_welcome:
            return ""
        nth = self.ordinal("welcome", *relation.pair)
        code = f"WC-{chance.name(self.seed, 'welcome', *relation.pair, nth, size=12)}"
        self.welcome_codes[code] = WelcomeCode(code, relation.member, relation.customer, now)
        relation.welcome_code = code
        return code
