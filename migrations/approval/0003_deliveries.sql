-- Deliveries: webhook requests as they came. They outlive their receiver.
create table approval.deliveries (
    id uuid constraint deliveries_pkey primary key,
    receiver_id uuid not null,
    peer_ip text not null,
    -- Pairs of name and value, in order; credentials are masked.
    headers jsonb not null,
    -- Null = no longer kept.
    body bytea,
    -- Of a delivery without pushes; null = the worst of its pushes counts.
    decision text
        constraint deliveries_decision_check check (decision in ('ignored', 'rejected')),
    -- Why nothing was decided; empty = something was.
    note text not null default '',
    created_at timestamptz not null
);

create index deliveries_receiver_idx on approval.deliveries (receiver_id, id);
create index deliveries_body_idx on approval.deliveries (created_at) where body is not null;

-- What tells a delivery that was sent again from a new one.
create table approval.delivery_keys (
    receiver_id uuid not null,
    -- The vendor's id, or a hash of the body.
    key text not null,
    delivery_id uuid not null,
    -- SHA-256 over the events that were read: the same id with other events is no repetition.
    events_hash bytea not null,
    expires_at timestamptz not null,
    constraint delivery_keys_pkey primary key (receiver_id, key)
);

create index delivery_keys_expires_at_idx on approval.delivery_keys (expires_at);
