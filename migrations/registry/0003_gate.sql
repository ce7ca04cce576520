-- The rules by which references are admitted: one row.
create table registry.gate (
    only_row boolean constraint gate_pkey primary key default true
        constraint gate_only_row_check check (only_row),
    unknown_tag text not null
        constraint gate_unknown_tag_check check (unknown_tag in ('auto_add', 'request', 'deny')),
    verify_upstream text not null
        constraint gate_verify_upstream_check check (verify_upstream in ('off', 'warn', 'require')),
    -- A list of {"host", "namespace"}: what lies below is admitted unasked.
    internal_namespaces jsonb not null,
    repin text not null constraint gate_repin_check check (repin in ('auto')),
    updated_at timestamptz not null,
    -- Counts changes: the etag.
    version bigint not null default 1
);

insert into registry.gate (unknown_tag, verify_upstream, internal_namespaces, repin, updated_at)
values (
    'auto_add',
    'warn',
    '[{"host": "docker.io", "namespace": "iotistic"}, {"host": "ghcr.io", "namespace": "dsamborschi"}]',
    'auto',
    now()
);
