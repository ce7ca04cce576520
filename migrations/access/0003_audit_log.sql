-- Every event of every process in one chain. The role of the process may add entries and read them;
-- nothing removes them.
create table access.audit_log (
    -- Dense, from 1, across all sources.
    sequence bigint not null constraint audit_log_pkey primary key
        constraint audit_log_sequence_check check (sequence >= 1),
    -- The process the event came from.
    source text not null,
    -- Its number in that process's outbox. A note for people: the chain does not cover it.
    source_sequence bigint not null,
    -- The event as canonical JSON, as its process wrote it. All columns down to `resource_name` are
    -- taken from it, for filters; verification compares them with it.
    envelope text not null,
    event_id uuid not null constraint audit_log_event_id_key unique,
    -- Compared byte by byte, so that `image.*` is a range.
    type text collate "C" not null,
    created_at timestamptz not null,
    actor_kind text not null,
    actor_id text not null,
    actor_name text not null,
    -- For whom the actor acted; null = for nobody else.
    on_behalf_of_id text,
    on_behalf_of_name text,
    resource_kind text not null,
    resource_id text not null,
    resource_name text not null,
    -- The hash of the entry before; 32 zero bytes at the first.
    previous_hash bytea not null,
    -- SHA-256 over previous_hash, sequence (8 bytes, big-endian), source, a zero byte, envelope.
    hash bytea not null
);

create index audit_log_type_idx on access.audit_log (type, sequence);
create index audit_log_created_at_idx on access.audit_log (created_at);
create index audit_log_actor_id_idx on access.audit_log (actor_id, sequence);
create index audit_log_actor_name_idx on access.audit_log (actor_name, sequence);
create index audit_log_on_behalf_of_id_idx on access.audit_log (on_behalf_of_id, sequence)
    where on_behalf_of_id is not null;
create index audit_log_on_behalf_of_name_idx on access.audit_log (on_behalf_of_name, sequence)
    where on_behalf_of_name is not null;
create index audit_log_resource_id_idx on access.audit_log (resource_id, sequence);
create index audit_log_resource_name_idx on access.audit_log (resource_name, sequence);

-- The end of the chain. Who appends locks it, so entries become visible in the order of their
-- numbers; verification sees by it that entries were cut off.
create table access.audit_head (
    only_row boolean not null default true constraint audit_head_pkey primary key
        constraint audit_head_only_row_check check (only_row),
    last_sequence bigint not null,
    hash bytea not null
);

insert into access.audit_head (last_sequence, hash) values (0, decode(repeat('00', 32), 'hex'));

-- How far each process's events are in the log. Who appends events of a source locks its row.
create table access.audit_sources (
    source text not null constraint audit_sources_pkey primary key,
    cursor bigint not null,
    -- The event at the cursor: tells a source that was set back to an older state. Null = none yet.
    last_event_id uuid,
    updated_at timestamptz not null
);
