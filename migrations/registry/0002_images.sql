-- Images, their tags, and what a tag's index holds.
create table registry.images (
    id bigint generated always as identity constraint images_pkey primary key,
    -- The identity: the canonical repository, `host/path`. The three columns after it are its parts.
    repository text not null constraint images_repository_key unique,
    registry text not null,
    -- The path without its last component; empty = it has one component only.
    namespace text not null,
    image_name text not null,
    description text not null default '',
    -- A free word; empty = none.
    category text not null default '',
    is_official boolean not null default false,
    approval_status text not null
        constraint images_approval_status_check
            check (approval_status in ('pending', 'approved', 'rejected')),
    approved_by text,
    approved_at timestamptz,
    -- Why it was rejected, for whoever pushes it; empty = nobody said.
    rejection_reason text not null default '',
    -- What this image does with unknown tags; null = as the gate says.
    unknown_tag text
        constraint images_unknown_tag_check check (unknown_tag in ('auto_add', 'request', 'deny')),
    -- True = the upstream confirmed that it exists when it was added.
    verified boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- Counts changes: the etag.
    version bigint not null default 1,
    constraint images_parts_check
        check (repository = concat_ws('/', registry, nullif(namespace, ''), image_name)),
    constraint images_approved_check
        check ((approval_status = 'approved') = (approved_by is not null)
            and (approved_by is null) = (approved_at is null)),
    constraint images_rejection_reason_check
        check (approval_status = 'rejected' or rejection_reason = '')
);

create index idx_images_name on registry.images (image_name);
create index idx_images_status on registry.images (approval_status);

create table registry.image_tags (
    id bigint generated always as identity constraint image_tags_pkey primary key,
    image_id bigint not null
        constraint image_tags_image_id_fkey references registry.images (id) on delete cascade,
    tag text not null,
    -- Of the manifest or index; null = not known.
    digest text,
    -- Compressed; null = not known.
    size_bytes bigint constraint image_tags_size_bytes_check check (size_bytes >= 0),
    architecture text not null default 'amd64',
    os text not null default 'linux',
    -- Null = not known.
    pushed_at timestamptz,
    is_recommended boolean not null default false,
    is_deprecated boolean not null default false,
    -- A note; it opens nothing.
    security_scan_status text not null default 'unscanned'
        constraint image_tags_security_scan_status_check check (security_scan_status in
            ('unscanned', 'queued', 'passed', 'warned', 'failed', 'stale', 'error')),
    vulnerabilities_count integer not null default 0
        constraint image_tags_vulnerabilities_count_check check (vulnerabilities_count >= 0),
    -- True = the upstream confirmed it when it was added.
    verified boolean not null default false,
    -- True = a push added it, and no person has added or changed it since.
    is_auto_added boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- Counts changes: the etag.
    version bigint not null default 1,
    constraint image_tags_image_id_tag_key unique (image_id, tag)
);

create index idx_image_tags_image_id on registry.image_tags (image_id);
create index idx_image_tags_tag on registry.image_tags (tag);
create index image_tags_digest_idx on registry.image_tags (image_id, digest)
    where digest is not null;
create unique index image_tags_one_recommended_idx on registry.image_tags (image_id)
    where is_recommended;

create table registry.image_tag_platforms (
    tag_id bigint not null constraint image_tag_platforms_tag_id_fkey
        references registry.image_tags (id) on delete cascade,
    -- Place in the index, from 0.
    place integer not null,
    os text not null,
    architecture text not null,
    -- Empty = none.
    variant text not null default '',
    digest text not null,
    -- 0 = not known.
    size_bytes bigint not null default 0,
    constraint image_tag_platforms_pkey primary key (tag_id, place)
);

create index image_tag_platforms_digest_idx on registry.image_tag_platforms (digest);

-- Reviews whose decision was carried out here: a resent one must not undo what came after it.
create table registry.image_decisions (
    request_id uuid not null,
    decision text not null constraint image_decisions_decision_check
        check (decision in ('pending', 'approved', 'rejected')),
    repository text not null,
    created_at timestamptz not null,
    constraint image_decisions_pkey primary key (request_id, decision)
);

create index image_decisions_created_at_idx on registry.image_decisions (created_at);
