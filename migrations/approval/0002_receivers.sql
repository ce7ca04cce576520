-- Receivers: the addresses that registries send webhooks to.
create table approval.receivers (
    id uuid constraint receivers_pkey primary key,
    name text not null constraint receivers_name_key unique,
    -- A vendor that the program knows. No check, so that a further vendor needs no migration.
    vendor text not null,
    -- SHA-256 of the token in its URL.
    token_hash bytea not null constraint receivers_token_hash_key unique,
    allow_unauthenticated boolean not null,
    -- Hosts it may speak for, or `*`.
    registries text[] not null,
    -- Globs of the repositories it may speak for.
    repositories text[] not null,
    response_mode text not null
        constraint receivers_response_mode_check check (response_mode in ('strict', 'ack')),
    payload_trust boolean not null,
    is_default boolean not null,
    created_at timestamptz not null
);

create unique index receivers_one_default_idx on approval.receivers (is_default) where is_default;

-- What requests are signed with. The reader role cannot see it.
create table approval.receiver_secrets (
    receiver_id uuid not null
        constraint receiver_secrets_receiver_id_fkey references approval.receivers (id) on delete cascade,
    -- Up to three are live at once, so that a secret changes without a lost delivery.
    position smallint not null
        constraint receiver_secrets_position_check check (position between 1 and 3),
    sealed bytea not null,
    created_at timestamptz not null,
    constraint receiver_secrets_pkey primary key (receiver_id, position)
);

-- Requests refused for their credentials. A row of its own, so that deliveries never write a row
-- that all of them share.
create table approval.receiver_refusals (
    receiver_id uuid constraint receiver_refusals_pkey primary key
        constraint receiver_refusals_receiver_id_fkey references approval.receivers (id) on delete cascade,
    -- How many since the last delivery that was taken.
    refused integer not null,
    last_refusal text not null,
    refused_at timestamptz not null
);
