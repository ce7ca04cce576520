-- Update policies: which images go to which devices, in which steps.
create table rollout.image_update_policies (
    id uuid primary key,
    name text constraint image_update_policies_name_key unique,
    priority integer not null default 0,
    image_pattern text not null,
    update_strategy text not null
        constraint image_update_policies_strategy_check
        check (update_strategy in ('auto', 'staged', 'manual', 'scheduled')),
    batch_size integer,
    batch_delay_seconds integer,
    batch_delay_minutes numeric
        generated always as (round(batch_delay_seconds / 60.0, 2)) stored,
    enabled boolean not null default true,
    -- Everything else that a policy says, as the struct `Rules` serialises it.
    rules jsonb not null,
    -- Counts the changes; rollouts keep the revision they began with.
    revision bigint not null default 1,
    request_id uuid constraint image_update_policies_request_id_key unique,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
