"""What runs: SOPs, their immutable versions, enrollments, the journal of decisions, refusals."""

from __future__ import annotations

from peewee import SQL, BigAutoField, BigIntegerField, BooleanField, CompositeKey, IntegerField, TextField

from .fields import Row, UtcField


class Sop(Row):
    """A SOP by its key. state: draft | initialising | running | paused | ended (machines.lifecycle)."""

    id = BigAutoField()
    key = TextField(unique=True)
    title = TextField(default="")
    kind = TextField()
    state = TextField(default="draft")
    version_id = BigIntegerField(null=True)  # the published version new entries get
    started_at = UtcField(null=True)  # a new customer is one whose relation began at or after this (SPEC 4)
    paused_at = UtcField(null=True)
    ended_at = UtcField(null=True)
    created_at = UtcField()

    class Meta:
        table_name = "sop"


class SopVersion(Row):
    """A published, immutable, numbered definition: the file's text and the program compiled from it (JSON)."""

    id = BigAutoField()
    sop_id = BigIntegerField()
    number = IntegerField()
    source_name = TextField()  # file name, for file:line:column later
    source = TextField()
    program = TextField()  # JSON of machines.sop.Sop with the bound tag ids
    created_at = UtcField()
    created_by = TextField(default="")

    class Meta:
        table_name = "sop_version"
        indexes = ((("sop_id", "number"), True),)


class Enrollment(Row):
    """One run of one subject through one SOP version. `state` is the machine's own state name.

    `subject_id` is the relation's id in new-customer SOPs, else the customer's. `due_at` is when the next step falls
    due (null: nothing to wait for, or parked while the SOP is paused, or waiting for a doubtful push). `mass_at` is the
    due instant of the next mass send, for the look-ahead among rivals (D10).
    """

    id = BigAutoField()
    sop_id = BigIntegerField()
    version_id = BigIntegerField()
    subject_id = BigIntegerField()
    run_no = IntegerField(default=1)
    customer_id = BigIntegerField()
    relation_id = BigIntegerField()  # the owner's relation
    member_id = BigIntegerField()  # the owner
    state = TextField(default="enrolled")
    anchor_at = UtcField()
    entered_at = UtcField()
    cause = TextField()  # added | reconciliation | initialised | rule | event:<name> | resumed | manual | flow:<sop>
    inherited = TextField(null=True)  # JSON list of inherited literals (D4)
    chain = TextField(null=True)  # JSON list of the SOP ids entered in this chain, this one included (SPEC 4)
    after_signal = BigIntegerField(default=0)  # signals up to this id were before the entry: the creating one too
    anchor_moves_ms = BigIntegerField(default=0)  # by how much `resume --missed shift` moved the anchor in all
    rule_false_at = UtcField(null=True)  # of an ended run: since when the entry rule has been false again (SPEC 4)
    counts_from = UtcField(null=True)  # `pace: stepwise`: the settlement (or answer) the next step counts from (D13)
    waits_reply = BooleanField(default=False)  # `wait: reply`: due_at is the latest instant, an answer comes first
    due_at = UtcField(null=True)
    mass_at = UtcField(null=True)
    parked_at = UtcField(null=True)  # fell due while its SOP was paused
    hop = IntegerField(default=0)
    closed_at = UtcField(null=True)
    reason = TextField(null=True)  # why it ended, for people
    ended_by = TextField(null=True)  # who
    pruned_at = UtcField(null=True)  # when its journal and pushes were pruned
    rev = IntegerField(default=0)  # raised by every decision

    class Meta:
        table_name = "enrollment"


Enrollment.add_index(
    Enrollment.sop_id, Enrollment.subject_id, name="enrollment_one_open", unique=True, where=SQL("closed_at is null")
)
Enrollment.add_index(Enrollment.sop_id, Enrollment.subject_id, Enrollment.run_no, name="enrollment_runs", unique=True)
Enrollment.add_index(Enrollment.due_at, name="enrollment_due", where=SQL("due_at is not null"))
Enrollment.add_index(Enrollment.customer_id, name="enrollment_open_customer", where=SQL("closed_at is null")
)
Enrollment.add_index(Enrollment.relation_id, name="enrollment_open_relation", where=SQL("closed_at is null")
)
Enrollment.add_index(Enrollment.member_id, name="enrollment_open_member", where=SQL("closed_at is null")
)
Enrollment.add_index(Enrollment.sop_id, name="enrollment_parked", where=SQL("parked_at is not null")
)


class Flip(Row):
    """When time alone next changes what a rule says of somebody: the sweep turns it into news (SPEC 3).

    One row per rule and subject, the earliest flip of all its time atoms, made anew whenever the rule is judged.
    purpose: entry | end. `ref_id`: the subject (as in enrollment.subject_id) for entry, the enrollment for end.
    `at` is null while the row is set aside.
    """

    purpose = TextField()
    sop_id = BigIntegerField()
    ref_id = BigIntegerField()
    customer_id = BigIntegerField()
    at = UtcField(null=True)

    class Meta:
        table_name = "flip"
        primary_key = CompositeKey("purpose", "sop_id", "ref_id")
        indexes = ((("customer_id",), False),)


Flip.add_index(Flip.at, name="flip_due", where=SQL("at is not null"))


class Journal(Row):
    """One row per enrollment and decision, append only. `detail` is a JSON object."""

    id = BigAutoField()
    enrollment_id = BigIntegerField()
    at = UtcField()
    kind = TextField()  # entered | step | wait | end | task | note
    state_from = TextField(null=True)
    state_to = TextField(null=True)
    reason = TextField(null=True)
    detail = TextField(null=True)

    class Meta:
        table_name = "journal"
        indexes = ((("enrollment_id", "id"), False),)


class Refusal(Row):
    """Who was not let in and why: one row per (SOP, subject, reason) with first, last and count (SPEC 4)."""

    sop_id = BigIntegerField()
    subject_id = BigIntegerField()
    reason = TextField()
    customer_id = BigIntegerField()
    relation_id = BigIntegerField(null=True)
    detail = TextField(null=True)
    first_at = UtcField()
    last_at = UtcField()
    times = IntegerField(default=1)

    class Meta:
        table_name = "refusal"
        primary_key = CompositeKey("sop_id", "subject_id", "reason")
        indexes = ((("customer_id",), False),)
