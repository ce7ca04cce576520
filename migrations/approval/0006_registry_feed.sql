-- How far the events of another process were acted on.
create table approval.feed_cursors (
    feed text constraint feed_cursors_pkey primary key,
    sequence bigint not null,
    updated_at timestamptz not null
);

-- Approvals taken back that `rollout` has yet to be told.
create table approval.revocations (
    id uuid constraint revocations_pkey primary key,
    repository text not null,
    -- Empty = any.
    tag text not null,
    reason text not null,
    attempts integer not null default 0,
    due_at timestamptz not null,
    claim uuid,
    claimed_until timestamptz,
    created_at timestamptz not null,
    constraint revocations_release_key unique (repository, tag)
);

create index revocations_due_at_idx on approval.revocations (due_at);
