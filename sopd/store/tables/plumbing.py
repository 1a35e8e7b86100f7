"""What keeps the engine honest: inbox, relations to re-read, outside acts, long jobs, counters, audit, the clock."""

from __future__ import annotations

from peewee import (
    SQL,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CompositeKey,
    IntegerField,
    TextField,
)

from .fields import Row, UtcField


class Clock(Row):
    """One row, only in a rehearsal: the sandbox's time, which then replaces the database's own."""

    id = IntegerField(primary_key=True)
    now = UtcField()

    class Meta:
        table_name = "clock"


class Inbox(Row):
    """A callback as it arrived, decrypted; written before WeCom gets its 200. A repeated push has the same fingerprint.

    `body` is emptied by pruning, never logged. state: new | done | set_aside.
    """

    id = BigAutoField()
    fingerprint = TextField(unique=True)
    received_at = UtcField()
    last_at = UtcField()
    times = IntegerField(default=1)  # how often WeCom pushed these very bytes
    event = TextField()
    change_type = TextField(default="")
    userid = TextField(default="")
    external_userid = TextField(default="")
    happened_at = UtcField()  # the event's CreateTime
    fast = BooleanField(default=False)  # carries a welcome code: 20 s
    body = TextField()
    state = TextField(default="new")
    reason = TextField(null=True)
    handled_at = UtcField(null=True)

    class Meta:
        table_name = "inbox"


Inbox.add_index(Inbox.fast, Inbox.id, name="inbox_new", where=SQL("state = 'new'"))


class Dirty(Row):
    """A relation to re-read. One row per pair however many edits arrived; `mark` is raised by each of them.

    A finished re-read deletes the row only if `mark` is still what it was when the re-read began.
    """

    userid = TextField()
    external_userid = TextField()
    mark = BigIntegerField(default=1)
    marked_at = UtcField()
    cause = TextField()  # added | half_added | edited | result | local
    added_at = UtcField(null=True)  # CreateTime of the add event, if one is behind it
    channel = TextField(null=True)
    welcome_code = TextField(null=True)
    welcome_until = UtcField(null=True)
    fast = BooleanField(default=False)
    act_at = UtcField(null=True)
    lease_until = UtcField(null=True)
    attempts = IntegerField(default=0)
    reason = TextField(null=True)

    class Meta:
        table_name = "dirty"
        primary_key = CompositeKey("userid", "external_userid")


Dirty.add_index(Dirty.fast, Dirty.act_at, name="dirty_act", where=SQL("act_at is not null"))


class Outbox(Row):
    """One outside act other than a mass-send task: welcome | mark_tag. The row exists before the act happens.

    `key` makes it unique per cause. state: pending | sending | done | failed | uncertain.
    """

    id = BigAutoField()
    kind = TextField()
    key = TextField(unique=True)
    relation_id = BigIntegerField()
    push_id = BigIntegerField(null=True)
    payload = TextField()  # JSON
    state = TextField(default="pending")
    reason = TextField(null=True)
    fast = BooleanField(default=False)
    act_at = UtcField(null=True)
    give_up_at = UtcField(null=True)
    lease_until = UtcField(null=True)
    attempts = IntegerField(default=0)
    created_at = UtcField()
    done_at = UtcField(null=True)

    class Meta:
        table_name = "outbox"


Outbox.add_index(Outbox.fast, Outbox.act_at, name="outbox_act", where=SQL("act_at is not null"))
Outbox.add_index(Outbox.relation_id, Outbox.id, name="outbox_relation", where=SQL("state in ('pending','sending')")
)


class Job(Row):
    """A long, resumable piece of work: reconciliation, initialisation. `cursor` is where it goes on (JSON)."""

    id = BigAutoField()
    kind = TextField()
    key = TextField()
    state = TextField(default="running")  # running | done | failed | held
    cursor = TextField(null=True)
    done = BigIntegerField(default=0)
    total = BigIntegerField(null=True)
    started_at = UtcField()
    act_at = UtcField(null=True)
    lease_until = UtcField(null=True)
    attempts = IntegerField(default=0)
    ended_at = UtcField(null=True)
    reason = TextField(null=True)

    class Meta:
        table_name = "job"


Job.add_index(Job.kind, Job.key, name="job_one_running", unique=True, where=SQL("ended_at is null"))
Job.add_index(Job.act_at, name="job_act", where=SQL("act_at is not null"))
Job.add_index(Job.kind, Job.key, Job.id, name="job_kind")


class WecomWindow(Row):
    """Until when an API path must not be called (45009 and friends), shared by all processes.

    `hit_at` is the last time WeCom said so: a second hit within the hour closes the path for longer (WeCom 9).
    """

    path = TextField(primary_key=True)
    until_at = UtcField()
    hits = IntegerField(default=1)
    hit_at = UtcField()
    reason = TextField()

    class Meta:
        table_name = "wecom_window"


class SetAside(Row):
    """A poison row: it failed alone after its batch was halved down to it. Listed and retryable (SPEC 15.3)."""

    kind = TextField()  # the table's name
    row_key = TextField()
    at = UtcField()
    reason = TextField()
    due_at = UtcField(null=True)  # what its due column held, to be put back by a retry

    class Meta:
        table_name = "set_aside"
        primary_key = CompositeKey("kind", "row_key")


class Counter(Row):
    """A folded sum that survives pruning, e.g. sop/7/entered."""

    key = TextField(primary_key=True)
    n = BigIntegerField(default=0)

    class Meta:
        table_name = "counter"


class CounterDelta(Row):
    """Appended by batches, folded into Counter by the ticker: no hot row."""

    id = BigAutoField()
    key = TextField()
    n = BigIntegerField()

    class Meta:
        table_name = "counter_delta"


class Token(Row):
    """A bearer token of the HTTP API: only its hash is kept. `scopes` are separated by blanks, e.g. `signals:write`."""

    id = BigAutoField()
    name = TextField(unique=True)
    hash = TextField(unique=True)  # hex SHA-256 of the token
    scopes = TextField()
    created_at = UtcField()
    created_by = TextField()
    revoked_at = UtcField(null=True)

    class Meta:
        table_name = "token"


class Audit(Row):
    """Who did what through CLI or API."""

    id = BigAutoField()
    at = UtcField()
    who = TextField()
    verb = TextField()
    target = TextField()
    detail = TextField(null=True)

    class Meta:
        table_name = "audit"
