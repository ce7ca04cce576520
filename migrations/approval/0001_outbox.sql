-- Events, written in the transaction of the change they tell about and numbered afterwards.
create table approval.outbox (
    -- Handed out while the writer holds its row locks: the order in which one thing changed.
    position bigint generated always as identity primary key,
    -- Dense, from 1, given by a reader after the row is visible; null = not yet.
    sequence bigint constraint outbox_sequence_key unique,
    id uuid not null constraint outbox_id_key unique,
    type text not null,
    created_at timestamptz not null,
    -- Canonical JSON: the bytes that the audit chain hashes.
    envelope text not null,
    -- W3C trace context of the change; null = it was not traced.
    traceparent text
);

create index outbox_unnumbered_idx on approval.outbox (position) where sequence is null;
create index outbox_created_at_idx on approval.outbox (created_at);

-- The last number given. One row; only the reader that numbers touches it.
create table approval.outbox_head (
    only_row boolean primary key default true check (only_row),
    last_sequence bigint not null
);

insert into approval.outbox_head (last_sequence) values (0);

-- How far each reader has stored the events: what retention waits for.
create table approval.outbox_readers (
    reader text primary key,
    sequence bigint not null,
    updated_at timestamptz not null default now()
);
