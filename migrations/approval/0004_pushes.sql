-- Pushes: what a registry, or a person, says is new, and what became of it.
create table approval.pushes (
    id uuid constraint pushes_pkey primary key,
    -- The order in which pushes of one lane are decided.
    observed_seq bigint generated always as identity,
    -- Pushes of one repository and tag are decided one after the other.
    lane text not null,
    -- Null = asked by hand.
    delivery_id uuid,
    receiver_id uuid,
    -- Its place in the delivery.
    position integer not null default 0,
    retry_of uuid,
    -- Of a push asked by hand, when the caller gave one, with a hash of all it asked for.
    request_id uuid,
    request_hash bytea,
    -- Canonical, `host/path`.
    repository text not null,
    -- Null = by digest only.
    tag text,
    -- What the event said; null = nothing.
    event_digest text,
    -- True = this very digest was asked for by hand, whatever the tag is now.
    digest_asked boolean not null default false,
    -- What the registry says, else what the event said.
    digest text,
    pinned boolean not null default false,
    platforms jsonb not null default '[]',
    -- The receiver, or the person who asked by hand.
    actor jsonb not null,
    -- Who pushed, as the sender says.
    pusher text not null default '',
    policy_id text not null default '',
    -- Null = all devices of the policy.
    device_selector jsonb,
    -- True = where no upstream lists the host, the sender's word is enough.
    trusted boolean not null,
    state text not null
        constraint pushes_state_check
            check (state in ('received', 'waiting', 'held', 'denied', 'done', 'ignored')),
    -- What is done next while it is received or waiting. `review` = its review is decided and goes
    -- on by itself.
    step text not null
        constraint pushes_step_check check (step in ('resolve', 'admit', 'create', 'review')),
    decision text
        constraint pushes_decision_check
            check (decision in ('allow', 'hold', 'deny', 'ignored', 'rejected')),
    outcome text
        constraint pushes_outcome_check
            check (outcome in ('rollout', 'no_policy', 'no_target', 'unchanged', 'quarantined')),
    reasons jsonb not null default '[]',
    checks jsonb not null default '[]',
    tag_added boolean not null default false,
    review_id uuid,
    rollout_id text not null default '',
    -- When the event happened, as the sender says.
    occurred_at timestamptz,
    -- Failed tries of the present step.
    attempts integer not null default 0,
    -- When the present step is tried.
    due_at timestamptz not null,
    -- Who works on it, until when.
    claim uuid,
    claimed_until timestamptz,
    -- W3C trace context of the delivery.
    traceparent text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version bigint not null default 1,
    constraint pushes_request_id_key unique (request_id),
    constraint pushes_names_version_check check (tag is not null or event_digest is not null),
    constraint pushes_digest_asked_check check (not digest_asked or event_digest is not null),
    constraint pushes_done_check check ((state = 'done') = (outcome is not null)),
    constraint pushes_pinned_check check (not pinned or digest is not null)
);

create index pushes_delivery_idx on approval.pushes (delivery_id, position);
create index pushes_receiver_idx on approval.pushes (receiver_id, id);
create index pushes_repository_idx on approval.pushes (repository, id);
create index pushes_lane_idx on approval.pushes (lane, observed_seq)
    where state in ('received', 'waiting');
create index pushes_due_idx on approval.pushes (due_at)
    where state in ('received', 'waiting') and step <> 'review';
create index pushes_review_idx on approval.pushes (review_id) where review_id is not null;
