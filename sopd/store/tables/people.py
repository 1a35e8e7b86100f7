"""Who: members, customers, their relations, tags and audiences, as WeCom tells them and as we changed them."""

from __future__ import annotations

from peewee import BigAutoField, BigIntegerField, BooleanField, CompositeKey, IntegerField, TextField

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
    muted_at = UtcField(null=True)
    seen_at = UtcField()

    class Meta:
        table_name = "customer"


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
    missing_at = UtcField(null=True)  # absent in a complete read but held (SPEC 15.1)

    class Meta:
        table_name = "relation"
        indexes = ((("customer_id", "member_id"), True), (("member_id",), False))


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
