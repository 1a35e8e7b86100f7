-- Every table of the first release on PostgreSQL; what they mean stands in sopd/store/tables.

create table clock (
    id integer not null primary key,
    now bigint not null
);

create table member (
    id bigserial not null primary key,
    userid text not null,
    name text not null,
    supervisor text,
    in_scope boolean not null,
    can_send boolean not null,
    reason text,
    seen_at bigint not null,
    read_at bigint
);
create unique index member_userid on member (userid);

create table customer (
    id bigserial not null primary key,
    external_userid text not null,
    name text not null,
    unionid text,
    kind integer not null,
    gender integer not null,
    attributes text not null,
    crm_id text,
    phone_hash text,
    muted_at bigint,
    seen_at bigint not null
);
create unique index customer_external_userid on customer (external_userid);
create index customer_unionid on customer (unionid) where unionid is not null;
create unique index customer_crm_id on customer (crm_id) where crm_id is not null;
create index customer_phone on customer (phone_hash) where phone_hash is not null;

create table forgotten (
    hash text not null primary key,
    at bigint not null
);

create table relation (
    id bigserial not null primary key,
    member_id bigint not null,
    customer_id bigint not null,
    state text not null,
    channel text not null,
    add_way integer not null,
    began_at bigint not null,
    lost_at bigint,
    lost_by text,
    generation bigint not null,
    learned_at bigint not null,
    last_talk_at bigint,
    handover_until bigint,
    missing_at bigint
);
create unique index relation_customer_id_member_id on relation (customer_id, member_id);
create index relation_member_id on relation (member_id);
create index relation_missing on relation (member_id) where missing_at is not null;
create index relation_handover on relation (handover_until) where handover_until is not null;

create table tag (
    id bigserial not null primary key,
    tag_id text not null,
    name text not null,
    group_id text not null,
    group_name text not null,
    deleted_at bigint
);
create unique index tag_tag_id on tag (tag_id);

create table relation_tag (
    relation_id bigint not null,
    tag_id text not null,
    in_wecom boolean not null,
    wanted integer,
    since bigint not null,
    primary key (relation_id, tag_id)
);
create index relation_tag_tag_id_relation_id on relation_tag (tag_id, relation_id);

create table audience (
    id bigserial not null primary key,
    name text not null,
    imported_at bigint not null
);
create unique index audience_name on audience (name);

create table audience_member (
    audience_id bigint not null,
    customer_id bigint not null,
    primary key (audience_id, customer_id)
);
create index audience_member_customer_id on audience_member (customer_id);

create table signal (
    id bigserial not null primary key,
    ref text not null,
    kind text not null,
    name text not null,
    customer_id bigint not null,
    relation_id bigint,
    at bigint not null,
    properties text not null,
    text text,
    received_at bigint not null,
    handled_at bigint
);
create unique index signal_ref on signal (ref);
create index signal_customer_id_id on signal (customer_id, id);
create index signal_new on signal (id) where handled_at is null;

create table sop (
    id bigserial not null primary key,
    key text not null,
    title text not null,
    kind text not null,
    state text not null,
    version_id bigint,
    started_at bigint,
    paused_at bigint,
    ended_at bigint,
    created_at bigint not null
);
create unique index sop_key on sop (key);

create table sop_version (
    id bigserial not null primary key,
    sop_id bigint not null,
    number integer not null,
    source_name text not null,
    source text not null,
    program text not null,
    created_at bigint not null,
    created_by text not null
);
create unique index sop_version_sop_id_number on sop_version (sop_id, number);

create table enrollment (
    id bigserial not null primary key,
    sop_id bigint not null,
    version_id bigint not null,
    subject_id bigint not null,
    run_no integer not null,
    customer_id bigint not null,
    relation_id bigint not null,
    member_id bigint not null,
    state text not null,
    anchor_at bigint not null,
    entered_at bigint not null,
    cause text not null,
    inherited text,
    chain text,
    after_signal bigint not null,
    anchor_moves_ms bigint not null,
    rule_false_at bigint,
    counts_from bigint,
    waits_reply boolean not null,
    due_at bigint,
    mass_at bigint,
    parked_at bigint,
    hop integer not null,
    closed_at bigint,
    reason text,
    ended_by text,
    pruned_at bigint,
    rev integer not null
);
create unique index enrollment_one_open on enrollment (sop_id, subject_id) where closed_at is null;
create unique index enrollment_runs on enrollment (sop_id, subject_id, run_no);
create index enrollment_due on enrollment (due_at) where due_at is not null;
create index enrollment_open_customer on enrollment (customer_id) where closed_at is null;
create index enrollment_open_relation on enrollment (relation_id) where closed_at is null;
create index enrollment_open_member on enrollment (member_id) where closed_at is null;
create index enrollment_parked on enrollment (sop_id) where parked_at is not null;

create table flip (
    purpose text not null,
    sop_id bigint not null,
    ref_id bigint not null,
    customer_id bigint not null,
    at bigint,
    primary key (purpose, sop_id, ref_id)
);
create index flip_customer_id on flip (customer_id);
create index flip_due on flip (at) where at is not null;

create table journal (
    id bigserial not null primary key,
    enrollment_id bigint not null,
    at bigint not null,
    kind text not null,
    state_from text,
    state_to text,
    reason text,
    detail text
);
create index journal_enrollment_id_id on journal (enrollment_id, id);

create table refusal (
    sop_id bigint not null,
    subject_id bigint not null,
    reason text not null,
    customer_id bigint not null,
    relation_id bigint,
    detail text,
    first_at bigint not null,
    last_at bigint not null,
    times integer not null,
    primary key (sop_id, subject_id, reason)
);
create index refusal_customer_id on refusal (customer_id);

create table slot (
    id bigserial not null primary key,
    member_id bigint not null,
    opens_at bigint not null,
    closes_at bigint not null,
    used integer not null
);
create unique index slot_member_id_opens_at on slot (member_id, opens_at);

create table dispatch (
    id bigserial not null primary key,
    member_id bigint not null,
    sop_id bigint not null,
    version_id bigint not null,
    step_id text not null,
    channel text not null,
    content_hash text not null,
    state text not null,
    reason text,
    send_at bigint not null,
    slot_at bigint not null,
    expires_at bigint not null,
    act_at bigint,
    lease_until bigint,
    attempts integer not null,
    attempted_at bigint,
    msgid text,
    requested_at bigint,
    confirmed_at bigint,
    settled_at bigint,
    stop_at bigint,
    reissue_of bigint,
    nags integer not null,
    nag_at bigint,
    polls integer not null,
    size integer not null,
    memory text,
    to_userid text,
    card_no integer not null,
    rev integer not null
);
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
    id bigserial not null primary key,
    dispatch_id bigint not null,
    member_id bigint not null,
    at bigint not null,
    state text not null,
    wanted_by text,
    reason text
);
create index nag_member_id_at on nag (member_id, at);
create index nag_dispatch_id on nag (dispatch_id);

create table push (
    id bigserial not null primary key,
    enrollment_id bigint not null,
    step_id text not null,
    sop_id bigint not null,
    version_id bigint not null,
    customer_id bigint not null,
    relation_id bigint not null,
    member_id bigint not null,
    channel text not null,
    takes_quota boolean not null,
    state text not null,
    reason text,
    mark text,
    due_at bigint not null,
    fired_at bigint not null,
    next_due_at bigint,
    plan_at bigint,
    deferred integer not null,
    expires_at bigint,
    dispatch_id bigint,
    settled_at bigint,
    sent_at bigint,
    stopped_at bigint
);
create unique index push_step on push (enrollment_id, step_id);
create index push_plan on push (plan_at, member_id) where plan_at is not null;
create index push_dispatch on push (dispatch_id) where dispatch_id is not null;
create unique index push_one_open_mass_send on push (customer_id)
    where takes_quota and settled_at is null and state in ('planned','requested','confirmed');
create index push_unsettled on push (customer_id, sop_id) where settled_at is null;
create index push_parked on push (sop_id) where plan_at is null and state in ('due','waiting');

create table claim (
    sop_id bigint not null,
    step_id text not null,
    customer_id bigint not null,
    push_id bigint not null,
    sent_by bigint,
    primary key (sop_id, step_id, customer_id)
);
create index claim_push_id on claim (push_id);

create table reservation (
    customer_id bigint not null,
    "window" text not null,
    place integer not null,
    push_id bigint,
    msgid text,
    at bigint not null,
    primary key (customer_id, "window", place)
);
create index reservation_push_id on reservation (push_id);

create table outside_send (
    msgid text not null primary key,
    create_type integer not null,
    creator text not null,
    created_at bigint not null,
    act_at bigint,
    reads integer not null,
    reason text
);
create index outside_send_created_at on outside_send (created_at);
create index outside_send_act on outside_send (act_at) where act_at is not null;

create table inbox (
    id bigserial not null primary key,
    fingerprint text not null,
    received_at bigint not null,
    last_at bigint not null,
    times integer not null,
    event text not null,
    change_type text not null,
    userid text not null,
    external_userid text not null,
    happened_at bigint not null,
    fast boolean not null,
    body text not null,
    state text not null,
    reason text,
    handled_at bigint
);
create unique index inbox_fingerprint on inbox (fingerprint);
create index inbox_new on inbox (fast, id) where state = 'new';

create table dirty (
    userid text not null,
    external_userid text not null,
    mark bigint not null,
    marked_at bigint not null,
    cause text not null,
    added_at bigint,
    channel text,
    welcome_code text,
    welcome_until bigint,
    fast boolean not null,
    act_at bigint,
    lease_until bigint,
    attempts integer not null,
    reason text,
    primary key (userid, external_userid)
);
create index dirty_act on dirty (fast, act_at) where act_at is not null;

create table outbox (
    id bigserial not null primary key,
    kind text not null,
    key text not null,
    relation_id bigint not null,
    push_id bigint,
    payload text not null,
    state text not null,
    reason text,
    fast boolean not null,
    act_at bigint,
    give_up_at bigint,
    lease_until bigint,
    attempts integer not null,
    created_at bigint not null,
    done_at bigint
);
create unique index outbox_key on outbox (key);
create index outbox_act on outbox (fast, act_at) where act_at is not null;
create index outbox_relation on outbox (relation_id, id) where state in ('pending','sending');

create table job (
    id bigserial not null primary key,
    kind text not null,
    key text not null,
    state text not null,
    cursor text,
    done bigint not null,
    total bigint,
    started_at bigint not null,
    act_at bigint,
    lease_until bigint,
    attempts integer not null,
    ended_at bigint,
    reason text
);
create unique index job_one_running on job (kind, key) where ended_at is null;
create index job_act on job (act_at) where act_at is not null;
create index job_kind on job (kind, key, id);

create table wecom_window (
    path text not null primary key,
    until_at bigint not null,
    hits integer not null,
    hit_at bigint not null,
    reason text not null
);

create table set_aside (
    kind text not null,
    row_key text not null,
    at bigint not null,
    reason text not null,
    due_at bigint,
    primary key (kind, row_key)
);

create table counter (
    key text not null primary key,
    n bigint not null
);

create table counter_delta (
    id bigserial not null primary key,
    key text not null,
    n bigint not null
);

create table token (
    id bigserial not null primary key,
    name text not null,
    hash text not null,
    scopes text not null,
    created_at bigint not null,
    created_by text not null,
    revoked_at bigint
);
create unique index token_name on token (name);
create unique index token_hash on token (hash);

create table audit (
    id bigserial not null primary key,
    at bigint not null,
    who text not null,
    verb text not null,
    target text not null,
    detail text
);
