-- Fleets: groups of devices, with what their devices run when they have no target of their own.
create table rollout.fleets (
    name text primary key,
    -- Services as in `device_target_state`; empty = nothing.
    template jsonb not null default '[]',
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- Devices, as operators define them.
create table rollout.devices (
    id uuid primary key,
    name text not null,
    fleet text not null constraint devices_fleet_fkey references rollout.fleets (name),
    labels jsonb not null default '{}',
    -- As the device says; null = it has not said.
    os text,
    architecture text,
    variant text,
    agent_version text not null default '',
    -- Rollouts leave a pinned device out.
    pinned boolean not null default false,
    pin_reason text not null default '',
    revoked_at timestamptz,
    request_id uuid constraint devices_request_id_key unique,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version bigint not null default 1,
    constraint devices_fleet_name_key unique (fleet, name)
);

create index devices_labels_idx on rollout.devices using gin (labels jsonb_path_ops);

-- Tokens of devices, as SHA-256.
create table rollout.device_credentials (
    -- The order in which tokens were made.
    id bigint generated always as identity constraint device_credentials_id_key unique,
    token_hash bytea primary key,
    device_id uuid not null
        constraint device_credentials_device_fkey references rollout.devices (id) on delete cascade,
    created_at timestamptz not null,
    -- When a newer token was made: this one ends with the newer one's first use, or then.
    ends_at timestamptz
);

create index device_credentials_device_idx on rollout.device_credentials (device_id);

-- What a device should run.
create table rollout.device_target_state (
    device_id uuid primary key
        constraint device_target_state_device_fkey references rollout.devices (id) on delete cascade,
    -- Grows with every change, never used twice; 0 = never had a target.
    generation bigint not null default 0,
    etag text not null default '',
    services jsonb not null default '[]',
    -- The canonical repositories of the services, to find the devices that run an image.
    repositories text[] not null default '{}',
    -- Per service, what was last seen to work.
    good jsonb not null default '{}',
    traceparent text,
    -- Database time: what other replicas look for.
    changed_at timestamptz not null default now()
) with (fillfactor = 70);

create index device_target_state_repositories_idx
    on rollout.device_target_state using gin (repositories);
create index device_target_state_changed_at_idx on rollout.device_target_state (changed_at);

-- What a device was last heard to be. Updated by every report, so it stands apart and has no index
-- on what changes.
create table rollout.device_status (
    device_id uuid primary key
        constraint device_status_device_fkey references rollout.devices (id) on delete cascade,
    -- Grows with every stream; the highest one is the device's session.
    session_epoch bigint not null default 0,
    -- It holds streams: it is there while it has one. Otherwise it polls: it is there while it was
    -- heard of lately.
    streams boolean not null default false,
    -- The replica that holds the stream; null = no stream.
    replica uuid,
    boot_id text not null default '',
    -- The highest report sequence stored.
    last_seq bigint not null default 0,
    last_seen_at timestamptz,
    reported_generation bigint not null default 0,
    reported_etag text not null default '',
    -- Services as last reported.
    services jsonb not null default '[]',
    in_sync boolean not null default false,
    -- Database time of the last change that other replicas must see: session, revocation.
    changed_at timestamptz not null default now()
) with (fillfactor = 50);

create index device_status_changed_at_idx on rollout.device_status (changed_at);

-- Processes that hold streams; one that stops beating holds none.
create table rollout.replicas (
    id uuid primary key,
    seen_at timestamptz not null
);

-- Reports that changed something, for a week.
create table rollout.device_reports (
    id bigint generated always as identity primary key,
    device_id uuid not null,
    seq bigint not null,
    received_at timestamptz not null,
    services jsonb not null
);

create index device_reports_received_at_idx on rollout.device_reports using brin (received_at);

-- Keys that devices enrol with, as SHA-256.
create table rollout.enrolment_keys (
    id uuid primary key,
    name text not null constraint enrolment_keys_name_key unique,
    key_hash bytea not null constraint enrolment_keys_hash_key unique,
    fleet text not null constraint enrolment_keys_fleet_fkey references rollout.fleets (name),
    -- 0 = any number.
    quota integer not null default 0,
    used integer not null default 0,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null
);
