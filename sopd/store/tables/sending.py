"""What goes out: pushes, the tasks that carry them, slots, quota reservations and once-per-customer claims."""

from __future__ import annotations

from peewee import SQL, BigAutoField, BigIntegerField, BooleanField, CompositeKey, IntegerField, TextField

from .fields import Row, UtcField


class Slot(Row):
    """A member's sending slot over all SOPs (D12). It opens with its first push."""

    id = BigAutoField()
    member_id = BigIntegerField()
    opens_at = UtcField()
    closes_at = UtcField()
    used = IntegerField(default=0)

    class Meta:
        table_name = "slot"
        indexes = ((("member_id", "opens_at"), True),)


class Dispatch(Row):
    """One task handed to one member, carrying many pushes (D14). `act_at` is when somebody must look at it next.

    state of a task (machines.dispatch): planned | sending | requested | confirmed | settled | failed | uncertain |
    stopping | cancelling | rereading | cancelled | needs_operator. What `act_at` means follows from the state: send,
    look up, poll, end of gathering, cancel, read again. `memory` is the JSON the machine keeps between two acts (reads
    done so far, stop cause), never facts about customers.

    A card for a member (channel remind or call; machines.cards): planned | handing | unsure | handed | settled | failed
    | cancelled | needs_operator. `act_at`: hand it out, ask again, expire, or tell the member that it is over.
    """

    id = BigAutoField()
    member_id = BigIntegerField()
    sop_id = BigIntegerField()
    version_id = BigIntegerField()
    step_id = TextField()
    channel = TextField()
    content_hash = TextField()
    state = TextField(default="planned")
    reason = TextField(null=True)
    send_at = UtcField()  # where in its slot the task is created
    slot_at = UtcField()  # its slot's beginning; a part of its identity (D14)
    expires_at = UtcField()
    act_at = UtcField(null=True)
    lease_until = UtcField(null=True)
    attempts = IntegerField(default=0)
    attempted_at = UtcField(null=True)
    msgid = TextField(null=True)
    requested_at = UtcField(null=True)
    confirmed_at = UtcField(null=True)
    settled_at = UtcField(null=True)
    stop_at = UtcField(null=True)  # the first end that asked for the cancellation (D17)
    reissue_of = BigIntegerField(null=True)
    nags = IntegerField(default=0)  # how often its member was nagged, the task it stands for included (D17, D19)
    nag_at = UtcField(null=True)  # the next nag; only while it is `requested`
    polls = IntegerField(default=0)
    size = IntegerField(default=0)
    memory = TextField(null=True)
    to_userid = TextField(null=True)  # of a card: who was handed it, the owner or whom the step is assigned to
    card_no = IntegerField(default=0)  # of a card: how many were handed out for it, one more for each `later`
    rev = IntegerField(default=0)

    class Meta:
        table_name = "dispatch"


Dispatch.add_index(
    # By state first: each loop asks for the earliest of its own states, and that must be one seek.
    Dispatch.state, Dispatch.act_at, name="dispatch_act", where=SQL("act_at is not null")
)
Dispatch.add_index(Dispatch.msgid, name="dispatch_msgid", unique=True, where=SQL("msgid is not null"))
Dispatch.add_index(
    Dispatch.member_id,
    Dispatch.content_hash,
    name="dispatch_one_create",
    unique=True,
    where=SQL("state in ('sending','uncertain')"),
)
Dispatch.add_index(Dispatch.sop_id, Dispatch.state, name="dispatch_sop")
Dispatch.add_index(Dispatch.member_id, Dispatch.slot_at, name="dispatch_planned", where=SQL("state = 'planned'"))
Dispatch.add_index(Dispatch.reissue_of, name="dispatch_reissue", where=SQL("reissue_of is not null"))
Dispatch.add_index(Dispatch.to_userid, Dispatch.attempted_at, name="dispatch_pace", where=SQL("to_userid is not null"))
Dispatch.add_index(Dispatch.nag_at, name="dispatch_nag", where=SQL("nag_at is not null"))
Dispatch.add_index(
    Dispatch.state, name="dispatch_doubtful", where=SQL("state in ('uncertain','unsure','needs_operator')")
)


class Nag(Row):
    """One reminder to the member of an unconfirmed task (D19), written before WeCom is asked for it.

    state: wanted (an operator asked for it) | asking | done | doubtful (no answer; it counts) | refused | needless (the
    member had confirmed). Only wanted, asking, done and doubtful ones count against the limits.
    """

    id = BigAutoField()
    dispatch_id = BigIntegerField()
    member_id = BigIntegerField()
    at = UtcField()
    state = TextField(default="asking")
    wanted_by = TextField(null=True)  # the operator; null: its time had come
    reason = TextField(null=True)

    class Meta:
        table_name = "nag"
        indexes = ((("member_id", "at"), False), (("dispatch_id",), False))


class Push(Row):
    """One step of one enrollment. `plan_at` is when the planner must look at it; null once planned or settled.

    state (machines.push): due | waiting | planned | requested | confirmed | sent | failed | skipped | expired |
    cancelled. Unsettled means `settled_at is null`; a needs_operator task settles its pushes for order only (D20).
    """

    id = BigAutoField()
    enrollment_id = BigIntegerField()
    step_id = TextField()
    sop_id = BigIntegerField()
    version_id = BigIntegerField()
    customer_id = BigIntegerField()
    relation_id = BigIntegerField()
    member_id = BigIntegerField()
    channel = TextField()
    takes_quota = BooleanField(default=False)
    state = TextField(default="due")
    reason = TextField(null=True)
    mark = TextField(null=True)  # could not stop
    due_at = UtcField()
    fired_at = UtcField()
    next_due_at = UtcField(null=True)  # the next step's due: the cap of the expiry (D11)
    plan_at = UtcField(null=True)
    deferred = IntegerField(default=0)  # days already given up to a full quota
    expires_at = UtcField(null=True)
    dispatch_id = BigIntegerField(null=True)
    settled_at = UtcField(null=True)
    sent_at = UtcField(null=True)
    stopped_at = UtcField(null=True)  # its enrollment ended while the task was out

    class Meta:
        table_name = "push"


Push.add_index(Push.enrollment_id, Push.step_id, name="push_step", unique=True)
Push.add_index(Push.plan_at, Push.member_id, name="push_plan", where=SQL("plan_at is not null"))
Push.add_index(Push.dispatch_id, name="push_dispatch", where=SQL("dispatch_id is not null"))
Push.add_index(
    Push.customer_id,
    name="push_one_open_mass_send",
    unique=True,
    where=SQL("takes_quota and settled_at is null and state in ('planned','requested','confirmed')"),
)
Push.add_index(Push.customer_id, Push.sop_id, name="push_unsettled", where=SQL("settled_at is null"))
Push.add_index(Push.sop_id, name="push_parked", where=SQL("plan_at is null and state in ('due','waiting')"))


class Claim(Row):
    """`once_per: customer`: who may send this step to this customer (D5).

    `sent_by` is set once the push, which was sent, has been pruned: the member it went through. The claim outlives it.
    """

    sop_id = BigIntegerField()
    step_id = TextField()
    customer_id = BigIntegerField()
    push_id = BigIntegerField()
    sent_by = BigIntegerField(null=True)

    class Meta:
        table_name = "claim"
        primary_key = CompositeKey("sop_id", "step_id", "customer_id")
        indexes = ((("push_id",), False),)


class Reservation(Row):
    """A place in one of a customer's quota windows. `push_id` null: a member's own send that we read (D9)."""

    customer_id = BigIntegerField()
    window = TextField()  # D2026-11-21 | W2026-11-16 | M2026-11
    place = IntegerField()
    push_id = BigIntegerField(null=True)
    msgid = TextField(null=True)
    at = UtcField()

    class Meta:
        table_name = "reservation"
        primary_key = CompositeKey("customer_id", "window", "place")
        indexes = ((("push_id",), False),)


class OutsideSend(Row):
    """A mass send that is not ours, seen in WeCom's list: a member's own, or a task made elsewhere (D9).

    `act_at` is when its results are read next; null once they are known. Kept a month, so that no list shows it anew.
    """

    msgid = TextField(primary_key=True)
    create_type = IntegerField()  # WeCom: 0 enterprise, 1 personal
    creator = TextField(default="")
    created_at = UtcField()
    act_at = UtcField(null=True)
    reads = IntegerField(default=0)
    reason = TextField(null=True)

    class Meta:
        table_name = "outside_send"
        indexes = ((("created_at",), False),)


OutsideSend.add_index(OutsideSend.act_at, name="outside_send_act", where=SQL("act_at is not null"))
