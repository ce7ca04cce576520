-- Registries elsewhere that may be asked for digests.
create table registry.upstreams (
    id bigint generated always as identity constraint upstreams_pkey primary key,
    name text not null constraint upstreams_name_key unique,
    -- In normal form: scheme, lower-case host, no default port, no trailing slash, no `/v1`, `/v2`.
    url text not null constraint upstreams_url_key unique,
    -- The host that references name.
    host text not null constraint upstreams_host_key unique,
    allow_plain_http boolean not null default false,
    is_default boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- Counts changes: the etag.
    version bigint not null default 1
);

create unique index upstreams_one_default_idx on registry.upstreams (is_default) where is_default;
