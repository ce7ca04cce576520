-- Access tokens: opaque bearer strings, known by their hash only.
create table access.tokens (
    id bigint generated always as identity constraint tokens_pkey primary key,
    name text not null
        constraint tokens_name_check check (char_length(name) between 1 and 100),
    -- Whose it is: the actor of everything done with it.
    subject_kind text not null
        constraint tokens_subject_kind_check
            check (subject_kind in ('user', 'service_account', 'anonymous')),
    subject_id text not null,
    subject_name text not null,
    role text not null
        constraint tokens_role_check check (role in ('viewer', 'operator', 'approver', 'admin')),
    -- The first characters of the bearer string, to recognise it by.
    prefix text not null,
    created_at timestamptz not null,
    -- Null = it does not end.
    expires_at timestamptz,
    -- Null = it was not revoked.
    revoked_at timestamptz,
    -- To the minute; null = never.
    last_used_at timestamptz,
    -- Whether it keeps its name from other tokens of its subject: true until it is revoked, or until
    -- a new one takes the name after it has expired.
    holds_name boolean not null default true,
    -- Who asked for it, by which request: a repeated request finds the token it made.
    created_by_kind text not null,
    created_by_id text not null,
    request_id uuid,
    -- SHA-256 of the request, to tell a repetition from another one; null without request_id.
    request_hash bytea,
    constraint tokens_request_key unique (created_by_kind, created_by_id, request_id),
    constraint tokens_request_hash_check check ((request_id is null) = (request_hash is null))
);

create unique index tokens_name_key on access.tokens (subject_kind, subject_id, name)
    where holds_name;

-- Apart from the tokens, so that the reader's role sees those and not these.
create table access.token_hashes (
    token_id bigint not null constraint token_hashes_pkey primary key
        constraint token_hashes_token_fkey references access.tokens (id) on delete cascade,
    -- SHA-256 of the bearer string, which is random enough for a fast hash.
    hash bytea not null constraint token_hashes_hash_key unique
        constraint token_hashes_hash_check check (octet_length(hash) = 32)
);
