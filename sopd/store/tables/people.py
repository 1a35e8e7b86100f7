"""Who: members, customers, their relations, tags and audiences, as WeCom tells them and as we changed them."""

from __future__ import annotations

from peewee import SQL, BigAutoField, BigIntegerField, BooleanField, CompositeKey, IntegerField, TextField

from .fields import Row, UtcField


class Member(Row):
    """An enterprise member (企业成员). `can_send` is false without customer-contact permission or outside the scope."""

    id = BigAutoField()
    userid = TextField(unique=True)
    name = TextField(default="")
    supervisor = TextField(null=True)
    in_scope = BooleanField(default=True)
    can_send = BooleanField(default=True)
    reason = TextField(null=True)  # why it cannot send
    seen_at = UtcField()
    read_at = UtcField(null=True)  # last complete, error-free read of all its customers (SPEC 15.1)

    class Meta:
        table_name = "member"


class Customer(Row):
    """A customer, one row per external_userid. `muted_at` is 免打扰. `attributes` is a JSON object."""

    id = BigAutoField()
    external_userid = TextField(unique=True)
    name = TextField(default="")
    unionid = TextField(null=True)
    kind = IntegerField(default=1)  # WeCom: 1 WeChat user, 2 WeCom user
    gender = IntegerField(default=0)
    attributes = TextField(default="{}")
    crm_id = TextField(null=True)
    phone_hash = TextField(null=True)  # hex SHA-256 of the number in E.164; the number itself is never kept
    muted_at = UtcField(null=True)
    seen_at = UtcField()

    class Meta:
        table_name = "customer"


Customer.add_index(Customer.unionid, name="customer_unionid", where=SQL("unionid is not null"))
Customer.add_index(Customer.crm_id, name="customer_crm_id", unique=True, where=SQL("crm_id is not null"))
Customer.add_index(Customer.phone_hash, name="customer_phone", where=SQL("phone_hash is not null"))


class Forgotten(Row):
    """Somebody who was erased, known by a hash alone: relations that began before `at` do not bring her back."""

    hash = TextField(primary_key=True)  # hex SHA-256 of the external_userid
    at = UtcField()

    class Meta:
        table_name = "forgotten"


class Relation(Row):
    """好友关系: one member and one customer, reopened in place by a later add (D24).

    `generation` is raised by every local write: a re-read begun at an older generation is thrown away (ARCHITECTURE 5).
    state: active | half | lost.
    """

    id = BigAutoField()
    member_id = BigIntegerField()
    customer_id = BigIntegerField()
    state = TextField(default="active")
    channel = TextField(default="")  # WeCom's `state`: the channel string of the QR code
    add_way = IntegerField(default=0)
    began_at = UtcField()  # WeCom's createtime
    lost_at = UtcField(null=True)
    lost_by = TextField(null=True)  # member | customer | transfer | reconciliation
    generation = BigIntegerField(default=0)
    learned_at = UtcField()  # when we first heard of this beginning
    last_talk_at = UtcField(null=True)  # the last message either side wrote
    handover_until = UtcField(null=True)  # inherited: its open runs wait until then for the member who takes over
    missing_at = UtcField(null=True)  # absent in a complete read but held (SPEC 15.1)

    class Meta:
        table_name = "relation"
        indexes = ((("customer_id", "member_id"), True), (("member_id",), False))


Relation.add_index(Relation.member_id, name="relation_missing", where=SQL("missing_at is not null"))
Relation.add_index(Relation.handover_until, name="relation_handover", where=SQL("handover_until is not null"))


class Tag(Row):
    """An enterprise tag of the library. A deleted one stays, with `deleted_at`: definitions are bound to ids."""

    id = BigAutoField()
    tag_id = TextField(unique=True)
    name = TextField()
    group_id = TextField()
    group_name = TextField()
    deleted_at = UtcField(null=True)

    class Meta:
        table_name = "tag"


class RelationTag(Row):
    """A tag on a relation: WeCom's last word (`in_wecom`) and our pending write (`wanted`) kept apart.

    It holds now if `wanted` is 1, or if `wanted` is null and `in_wecom` is true.
    """

    relation_id = BigIntegerField()
    tag_id = TextField()
    in_wecom = BooleanField(default=True)
    wanted = IntegerField(null=True)  # 1 add pending, 0 remove pending, null nothing pending
    since = UtcField()

    class Meta:
        table_name = "relation_tag"
        primary_key = CompositeKey("relation_id", "tag_id")
        indexes = ((("tag_id", "relation_id"), False),)


class Audience(Row):
    """人群包: an imported list of customers."""

    id = BigAutoField()
    name = TextField(unique=True)
    imported_at = UtcField()

    class Meta:
        table_name = "audience"


class AudienceMember(Row):
    """One customer of an audience."""

    audience_id = BigIntegerField()
    customer_id = BigIntegerField()

    class Meta:
        table_name = "audience_member"
        primary_key = CompositeKey("audience_id", "customer_id")
        indexes = ((("customer_id",), False),)


class Signal(Row):
    """Something a customer did: a behaviour event, a reply, a message (SPEC 4, 10). Append only.

    kind: event | reply (the customer wrote) | message (the member wrote). `ref` makes a repeated delivery act once.
    `handled_at` is null until rules have seen it; a customer's signals are judged one after another, in id order.
    `text` is what a reply said: rules look for keywords in it. It never reaches a log.
    """

    id = BigAutoField()
    ref = TextField(unique=True)
    kind = TextField()
    name = TextField(default="")
    customer_id = BigIntegerField()
    relation_id = BigIntegerField(null=True)
    at = UtcField()
    properties = TextField(default="{}")
    text = TextField(null=True)
    received_at = UtcField()
    handled_at = UtcField(null=True)

    class Meta:
        table_name = "signal"
        indexes = ((("customer_id", "id"), False),)


Signal.add_index(Signal.id, name="signal_new", where=SQL("handled_at is null"))
