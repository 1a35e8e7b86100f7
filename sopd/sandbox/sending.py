"""Mass sends and welcomes: what is created, what a member confirms, what then really arrives.

At creation customers who cannot be reached are sorted out; at confirmation each recipient gets his status: no friend
2, window full 3, else 1, which is counted (WeCom 5.1-5.4, 11). Nothing arrives without a member's deed, welcomes
excepted. Called by the people's script, by tests and by `api_sends`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from machines.calendar import Instant
from sopd.sandbox import chance
from sopd.sandbox.ground import Ground
from sopd.sandbox.records import Assignment, Content, MassSend, Recipient, Relation
from sopd.sandbox.refusals import ImpossibleDeed, Refusal


class Sending(Ground):
    """The facet of mass sends and welcomes."""

    def create_mass_send(
        self,
        wanted: Iterable[Relation],
        content: Content,
        *,
        now: Instant,
        creator: str | None = None,
        allow_select: bool = False,
    ) -> MassSend:
        """Make a task for the members of these relations; it becomes readable after `dispatch_ms`."""
        shares: defaultdict[str, dict[str, Recipient]] = defaultdict(dict)
        for relation in wanted:
            shares[relation.member][relation.customer] = Recipient(relation.customer)
        assignments = {member: Assignment(member, recipients) for member, recipients in shares.items()}
        owner = creator or "+".join(sorted(assignments))
        nth = self.ordinal("mass send", owner)
        msgid = f"msg{chance.name(self.seed, 'mass send', owner, nth, size=10)}"
        delay = 0 if creator else self.config.dispatch_ms
        task = MassSend(msgid, now, now + delay, content, assignments, creator=creator, allow_select=allow_select)
        self.tasks[msgid] = task
        return task

    def can_confirm(self, task: MassSend, member: str, now: Instant) -> bool:
        """Whether the member has this task open in his helper."""
        share = task.assignments.get(member)
        is_open = share is not None and share.confirmed_at is None and task.cancelled_at is None
        return is_open and now >= task.ready_at and self.members[member].status == 1

    def member_confirms(
        self, msgid: str, member: str, *, now: Instant, only: Collection[str] | None = None
    ) -> dict[str, int]:
        """The member taps "send": returns the status of every recipient (1 sent, 2 no friend, 3 window full).

        With `only` he re-selects recipients; those left out vanish from the task. Needs allow_select.
        """
        task = self.tasks.get(msgid)
        if task is None or not self.can_confirm(task, member, now):
            raise ImpossibleDeed(f"{member} has no open task {msgid!r}")
        if only is not None and not task.allow_select:
            raise ImpossibleDeed(f"task {msgid} does not let the member select recipients")
        share = task.assignments[member]
        if only is not None:
            share.recipients = {customer: row for customer, row in share.recipients.items() if customer in only}
        share.confirmed_at = now
        for recipient in share.recipients.values():
            recipient.status = self._deliver(task, member, recipient.customer, now)
        return {recipient.customer: recipient.status for recipient in share.recipients.values()}

    def member_sends_own(self, member: str, customers: Iterable[str], text: str, *, now: Instant) -> MassSend:
        """The member mass-sends something of his own: sent at once, and it uses up the customers' windows."""
        userid = self.member(member).userid
        friends = [self.friends(userid, customer) for customer in customers]
        wanted = [relation for relation in friends if relation is not None]
        if not wanted:
            raise ImpossibleDeed(f"none of these customers is a friend of {member}")
        task = self.create_mass_send(wanted, Content(text), now=now, creator=userid)
        self.member_confirms(task.msgid, userid, now=now)
        return task

    def cancel(self, task: MassSend, now: Instant) -> None:
        """Stop what is not confirmed yet; what was sent stays; repeating it is harmless (WeCom 5.3)."""
        if task.cancelled_at is None:
            task.cancelled_at = now

    def status_shown(self, task: MassSend, recipient: Recipient, member: str, now: Instant) -> int:
        """The recipient's status as send_result tells it: 0 until `report_lag_ms` after the confirmation."""
        confirmed_at = task.assignments[member].confirmed_at
        is_reported = confirmed_at is not None and now >= confirmed_at + self.config.report_lag_ms
        return recipient.status if is_reported else 0

    def last_chatter(self, customer: str) -> Relation | None:
        """The relation that gets a task without sender: the member who last chatted with the customer (WeCom 5.1)."""
        relations = [relation for relation in self.pairs_of_customer[customer].values() if self.is_visible(relation)]
        return max(relations, key=lambda relation: relation.last_chat_at or relation.created_at, default=None)

    def welcome(self, code: str, content: Content, *, now: Instant) -> None:
        """Send a welcome at once, within 20 s and once (WeCom 5.4); raises Refusal 41050 or 41051."""
        known = self.welcome_codes.get(code)
        if known is None:
            raise Refusal(41050, "invalid or expired welcome code")
        relation = self.relations[known.member, known.customer]
        if known.used_at is not None or relation.chatting:
            raise Refusal(41051, "already chatting or welcome message sent")
        if now - known.issued_at > self.config.welcome_life_ms or relation.ended_at is not None:
            raise Refusal(41050, "invalid or expired welcome code")
        known.used_at = now
        self.books.welcomed(relation.pair, content, now)

    def _deliver(self, task: MassSend, member: str, customer: str, now: Instant) -> int:
        pair = (member, customer)
        relation = self.relations.get(pair)
        if relation is None or not relation.is_open:
            self.books.not_delivered(pair, task, 2, now)
            return 2
        if not self.quota.allows(customer, now):
            self.books.not_delivered(pair, task, 3, now)
            return 3
        self.quota.take(customer, now)
        self.books.delivered(pair, task, now)
        return 1
