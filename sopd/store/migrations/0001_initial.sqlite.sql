-- Every table of the first release on SQLite; what they mean stands in sopd/store/tables.

create table clock (
    id integer not null primary key,
    now integer not null
) strict;

create table member (
    id integer not null primary key,
    userid text not null,
    name text not null,
    supervisor text,
    in_scope integer not null,
    can_send integer not null,
    reason text,
    seen_at integer not null,
    read_at integer
) strict;
create unique index member_userid on member (userid);

create table customer (
    id integer not null primary key,
    external_userid text not null,
    name text not null,
    unionid text,
    kind integer not null,
    gender integer not null,
    attributes text not null,
    crm_id text,
    phone_hash text,
    muted_at integer,
    seen_at integer not null
) strict;
create unique index customer_external_userid on customer (external_userid);
create index customer_unionid on customer (unionid) where unionid is not null;
create unique index customer_crm_id on customer (crm_id) where crm_id is not null;
create index customer_phone on customer (phone_hash) where phone_hash is not null;

create table forgotten (
    hash text not null primary key,
    at integer not null
) strict;

create table relation (
    id integer not null primary key,
    member_id integer not null,
    customer_id integer not null,
    state text not null,
    channel text not null,
    add_way integer not null,
    began_at integer not null,
    lost_at integer,
    lost_by text,
    generation integer not null,
    learned_at integer not null,
    last_talk_at integer,
    handover_until integer,
    missing_at integer
) strict;
create unique index relation_customer_id_member_id on relation (customer_id, member_id);
create index relation_member_id on relation (member_id);
create index relation_missing on relation (member_id) where missing_at is not null;
create index relation_handover on relation (handover_until) where handover_until is not null;

create table tag (
    id integer not null primary key,
    tag_id text not null,
    name text not null,
    group_id text not null,
    group_name text not null,
    deleted_at integer
) strict;
create unique index tag_tag_id on tag (tag_id);

create table relation_tag (
    relation_id integer not null,
    tag_id text not null,
    in_wecom integer not null,
    wanted integer,
    since integer not null,
    primary key (relation_id, tag_id)
) strict;
create index relation_tag_tag_id_relation_id on relation_tag (tag_id, relation_id);

create table audience (
    id integer not null primary key,
    name text not null,
    imported_at integer not null
) strict;
create unique index audience_name on audience (name);

create table audience_member (
    audience_id integer not null,
    customer_id integer not null,
    primary key (audience_id, customer_id)
) strict;
create index audience_member_customer_id on audience_member (customer_id);

create table signal (
    id integer not null primary key,
    ref text not null,
    kind text not null,
    name text not null,
    customer_id integer not null,
    relation_id integer,
    at integer not null,
    properties text not null,
    text text,
    received_at integer not null,
    handled_at integer
) strict;
create unique index signal_ref on signal (ref);
create index signal_customer_id_id on signal (customer_id, id);
create index signal_new on signal (id) where handled_at is null;

create table sop (
    id integer not null primary key,
    key text not null,
    title text not null,
    kind text not null,
    state text not null,
    version_id integer,
    started_at integer,
    paused_at integer,
    ended_at integer,
    created_at integer not null
) strict;
create unique index sop_key on sop (key);

create table sop_version (
    id integer not null primary key,
    sop_id integer not null,
    number integer not null,
    source_name text not null,
    source text not null,
    program text not null,
    created_at integer not null,
    created_by text not null
) strict;
create unique index sop_version_sop_id_number on sop_version (sop_id, number);

create table enrollment (
    id integer not null primary key,
    sop_id integer not null,
    version_id integer not null,
    subject_id integer not null,
    run_no integer not null,
    customer_id integer not null,
    relation_id integer not null,
    member_id integer not null,
    state text not null,
    anchor_at integer not null,
    entered_at integer not null,
    cause text not null,
    inherited text,
    chain text,
    after_signal integer not null,
    anchor_moves_ms integer not null,
    rule_false_at integer,
    counts_from integer,
    waits_reply integer not null,
    due_at integer,
    mass_at integer,
    parked_at integer,
    hop integer not null,
    closed_at integer,
    reason text,
    ended_by text,
    pruned_at integer,
    rev integer not null
) strict;
create unique index enrollment_one_open on enrollment (sop_id, subject_id) where closed_at is null;
create unique index enrollment_runs on enrollment (sop_id, subject_id, run_no);
create index enrollment_due on enrollment (due_at) where due_at is not null;
create index enrollment_open_customer on enrollment (customer_id) where closed_at is null;
create index enrollment_open_relation on enrollment (relation_id) where closed_at is null;
create index enrollment_open_member on enrollment (member_id) where closed_at is null;
create index enrollment_parked on enrollment (sop_id) where parked_at is not null;

create table flip (
    purpose text not null,
    sop_id integer not null,
    ref_id integer not null,
    customer_id integer not null,
    at integer,
    primary key (purpose, sop_id, ref_id)
) strict;
create index flip_customer_id on flip (customer_id);
create index flip_due on flip (at) where at is not null;

create table journal (
    id integer not null primary key,
    enrollment_id integer not null,
    at integer not null,
    kind text not null,
    state_from text,
    state_to text,
    reason text,
    detail text
) strict;
create index journal_enrollment_id_id on journal (enrollment_id, id);

create table refusal (
    sop_id integer not null,
    subject_id integer not null,
    reason text not null,
    customer_id integer not null,
    relation_id integer,
    detail text,
    first_at integer not null,
    last_at integer not null,
    times integer not null,
    primary key (sop_id, subject_id, reason)
) strict;
create index refusal_customer_id on refusal (customer_id);

create table slot (
    id integer not null primary key,
    member_id integer not null,
    opens_at integer not null,
    closes_at integer not null,
    used integer not null
) strict;
create unique index slot_member_id_opens_at on slot (member_id, opens_at);

create table dispatch (
    id integer not null primary key,
    member_id integer not null,
    sop_id integer not null,
    version_id integer not null,
    step_id text not null,
    channel text not null,
    content_hash text not null,
    state text not null,
    reason text,
    send_at integer not null,
    slot_at integer not null,
    expires_at integer not null,
    act_at integer,
    lease_until integer,
    attempts integer not null,
    attempted_at integer,
    msgid text,
    requested_at integer,
    confirmed_at integer,
    settled_at integer,
    stop_at integer,
    reissue_of integer,
    nags integer not null,
    nag_at integer,
    polls integer not null,
    size integer not null,
    memory text,
    to_userid text,
    card_no integer not null,
    rev integer not null
) strict;
create index dispatch_act on dispatch (state, act_at) where act_at is not null;
create unique index dispatch_msgid on dispatch (msgid) where msgid is not null;
create unique index dispatch_one_create on dispatch (member_id, content_hash)
    where state in ('sending','uncertain');
create index dispatch_sop on dispatch (sop_id, state);
create index dispatch_planned on dispatch (member_id, slot_at) where state = 'planned';
create index dispatch_reissue on dispatch (reissue_of) where reissue_of is not null;
create index dispatch_pace on dispatch (to_userid, attempted_at) where to_userid is not null;
create index dispatch_nag on dispatch (nag_at) where nag_at is not null;
create index dispatch_doubtful on dispatch (state) where state in ('uncertain','unsure','needs_operator');

create table nag (
    id integer not null primary key,
    dispatch_id integer not null,
    member_id integer not null,
    at integer not null,
    state text not null,
    wanted_by text,
    reason text
) strict;
create index nag_member_id_at on nag (member_id, at);
create index nag_dispatch_id on nag (dispatch_id);

create table push (
    id integer not null primary key,
    enrollment_id integer not null,
    step_id text not null,
    sop_id integer not null,
    version_id integer not null,
    customer_id integer not null,
    relation_id integer not null,
    member_id integer not null,
    channel text not null,
    takes_quota integer not null,
    state text not null,
    reason text,
    mark text,
    due_at integer not null,
    fired_at integer not null,
    next_due_at integer,
    plan_at integer,
    deferred integer not null,
    expires_at integer,
    dispatch_id integer,
    settled_at integer,
    sent_at integer,
    stopped_at integer
) strict;
create unique index push_step on push (enrollment_id, step_id);
create index push_plan on push (plan_at, member_id) where plan_at is not null;
create index push_dispatch on push (dispatch_id) where dispatch_id is not null;
create unique index push_one_open_mass_send on push (customer_id)
    where takes_quota and settled_at is null and state in ('planned','requested','confirmed');
create index push_unsettled on push (customer_id, sop_id) where settled_at is null;
create index push_parked on push (sop_id) where plan_at is null and state in ('due','waiting');

create table claim (
    sop_id integer not null,
    step_id text not null,
    customer_id integer not null,
    push_id integer not null,
    sent_by integer,
    primary key (sop_id, step_id, customer_id)
) strict;
create index claim_push_id on claim (push_id);

create table reservation (
    customer_id integer not null,
    "window" text not null,
    place integer not null,
    push_id integer,
    msgid text,
    at integer not null,
    primary key (customer_id, "window", place)
) strict;
create index reservation_push_id on reservation (push_id);

create table outside_send (
    msgid text not null primary key,
    create_type integer not null,
    creator text not null,
    created_at integer not null,
    act_at integer,
    reads integer not null,
    reason text
) strict;
create index outside_send_created_at on outside_send (created_at);
create index outside_send_act on outside_send (act_at) where act_at is not null;

create table inbox (
    id integer not null primary key,
    fingerprint text not null,
    received_at integer not null,
    last_at integer not null,
    times integer not null,
    event text not null,
    change_type text not null,
    userid text not null,
    external_userid text not null,
    happened_at integer not null,
    fast integer not null,
    body text not null,
    state text not null,
    reason text,
    handled_at integer
) strict;
create unique index inbox_fingerprint on inbox (fingerprint);
create index inbox_new on inbox (fast, id) where state = 'new';

create table dirty (
    userid text not null,
    external_userid text not null,
    mark integer not null,
    marked_at integer not null,
    cause text not null,
    added_at integer,
    channel text,
    welcome_code text,
    welcome_until integer,
    fast integer not null,
    act_at integer,
    lease_until integer,
    attempts integer not null,
    reason text,
    primary key (userid, external_userid)
) strict;
create index dirty_act on dirty (fast, act_at) where act_at is not null;

create table outbox (
    id integer not null primary key,
    kind text not null,
    key text not null,
    relation_id integer not null,
    push_id integer,
    payload text not null,
    state text not null,
    reason text,
    fast integer not null,
    act_at integer,
    give_up_at integer,
    lease_until integer,
    attempts integer not null,
    created_at integer not null,
    done_at integer
) strict;
create unique index outbox_key on outbox (key);
create index outbox_act on outbox (fast, act_at) where act_at is not null;
create index outbox_relation on outbox (relation_id, id) where state in ('pending','sending');

create table job (
    id integer not null primary key,
    kind text not null,
    key text not null,
    state text not null,
    cursor text,
    done integer not null,
    total integer,
    started_at integer not null,
    act_at integer,
    lease_until integer,
    attempts integer not null,
    ended_at integer,
    reason text
) strict;
create unique index job_one_running on job (kind, key) where ended_at is null;
create index job_act on job (act_at) where act_at is not null;
create index job_kind on job (kind, key, id);

create table wecom_window (
    path text not null primary key,
    until_at integer not null,
    hits integer not null,
    hit_at integer not null,
    reason text not null
) strict;

create table set_aside (
    kind text not null,
    row_key text not null,
    at integer not null,
    reason text not null,
    due_at integer,
    primary key (kind, row_key)
) strict;

create table counter (
    key text not null primary key,
    n integer not null
) strict;

create table counter_delta (
    id integer not null primary key,
    key text not null,
    n integer not null
) strict;

create table token (
    id integer not null primary key,
    name text not null,
    hash text not null,
    scopes text not null,
    created_at integer not null,
    created_by text not null,
    revoked_at integer
) strict;
create unique index token_name on token (name);
create unique index token_hash on token (hash);

create table audit (
    id integer not null primary key,
    at integer not null,
    who text not null,
    verb text not null,
    target text not null,
    detail text
) strict;
