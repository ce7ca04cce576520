-- Rollouts: one release on its way to the devices of one policy.
create table rollout.image_update_rollouts (
    id uuid primary key,
    -- The push that asked for it.
    request_id uuid not null constraint image_update_rollouts_request_id_key unique,
    policy_id uuid not null,
    -- The policy as it was.
    policy jsonb not null,
    repository text not null,
    tag text not null default '',
    -- Null = not pinned; then `release_id` tells this push of the tag from the one before.
    digest text,
    release_id text,
    platforms jsonb not null default '[]',
    state text not null
        constraint image_update_rollouts_state_check
        check (state in ('pending', 'running', 'paused', 'settling', 'succeeded', 'rolling_back',
            'rolled_back', 'rollback_incomplete', 'cancelling', 'cancelled', 'superseded', 'failed')),
    -- UPPER_SNAKE; empty = plain.
    state_reason text not null default '',
    -- The same for people.
    state_detail text not null default '',
    -- A person started it.
    start_requested boolean not null default false,
    -- Cancel: whether updated devices go back.
    cancel_reverts boolean not null default false,
    -- Since when devices go back, or a cancel waits.
    turned_at timestamptz,
    -- Failures up to here no longer count: a person resumed.
    acknowledged_at timestamptz,
    -- The release's approval was taken back; empty = it was not.
    revoked_reason text not null default '',
    device_count integer not null,
    excluded_count integer not null default 0,
    actor jsonb not null,
    traceparent text,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    updated_at timestamptz not null,
    version bigint not null default 1,
    -- When somebody has to look at it; null = nothing is due.
    wake_at timestamptz,
    -- Database time until which one replica works on it.
    lease_until timestamptz,
    -- Grows with every lease: a replica that lost its lease cannot write.
    fence bigint not null default 0
);

create index image_update_rollouts_wake_at_idx
    on rollout.image_update_rollouts (wake_at) where wake_at is not null;
create index image_update_rollouts_repository_idx on rollout.image_update_rollouts (repository);
-- One live rollout per scope; one more may wait until an older one has gone back.
create unique index image_update_rollouts_live_key
    on rollout.image_update_rollouts (policy_id, repository)
    where state in ('pending', 'running', 'paused', 'settling');

-- The steps of a rollout.
create table rollout.rollout_batches (
    rollout_id uuid not null
        constraint rollout_batches_rollout_fkey
        references rollout.image_update_rollouts (id) on delete cascade,
    number integer not null,
    size integer not null,
    soak_seconds integer not null,
    success_threshold double precision not null,
    manual_gate boolean not null,
    promoted_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    primary key (rollout_id, number)
);

-- One try of one device in one rollout.
create table rollout.assignments (
    id bigint generated always as identity primary key,
    rollout_id uuid not null
        constraint assignments_rollout_fkey
        references rollout.image_update_rollouts (id) on delete cascade,
    device_id uuid not null,
    device_name text not null,
    repository text not null,
    batch_number integer not null,
    -- The order within the rollout.
    position integer not null,
    attempt integer not null default 1,
    -- The newest try of the device; the others are history.
    is_current boolean not null default true,
    state text not null
        constraint assignments_state_check
        check (state in ('queued', 'offered', 'acked', 'downloading', 'staged', 'installing',
            'verifying', 'succeeded', 'failed', 'timed_out', 'rejected', 'deferred', 'skipped',
            'superseded', 'cancelled', 'reverting', 'reverted', 'revert_failed')),
    reason text not null default '',
    message text not null default '',
    -- Counts as a failure of the release, whatever happens to the device afterwards.
    failed boolean not null default false,
    -- Per service: what it ran before and how far it is.
    services jsonb not null default '[]',
    -- The target generation that brought the offer, or took it back; null = never sent.
    generation bigint,
    step_deadline timestamptz,
    total_deadline timestamptz,
    healthy_since timestamptz,
    decided_at timestamptz,
    retry_at timestamptz,
    deferred_at timestamptz,
    -- The next moment at which somebody has to look at it; null = none.
    due_at timestamptz,
    updated_at timestamptz not null,
    constraint assignments_attempt_key unique (rollout_id, device_id, attempt)
) with (fillfactor = 70);

create unique index assignments_current_key on rollout.assignments (rollout_id, device_id)
    where is_current;
-- One rollout at a time changes a service.
create unique index assignments_active_key on rollout.assignments (device_id, repository)
    where state in ('offered', 'acked', 'downloading', 'staged', 'installing', 'verifying', 'reverting');
create index assignments_rollout_idx on rollout.assignments (rollout_id, batch_number, position);
create index assignments_device_idx on rollout.assignments (device_id);
create index assignments_due_idx on rollout.assignments (rollout_id, due_at) where due_at is not null;
create index assignments_decided_idx on rollout.assignments (rollout_id, decided_at)
    where decided_at is not null;

-- Releases that were rolled back and are not tried again.
create table rollout.quarantined_releases (
    repository text not null,
    digest text not null,
    rollout_id uuid not null,
    created_at timestamptz not null,
    primary key (repository, digest)
);

-- Commands that came with a request id, so that a repeat is recognised; kept for a day.
create table rollout.commands (
    request_id uuid primary key,
    -- What was asked: a repeat with another request is refused.
    fingerprint text not null,
    created_at timestamptz not null
);
