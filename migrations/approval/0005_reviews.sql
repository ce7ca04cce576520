-- Reviews: questions to a person whether an image or a tag may run.
create table approval.image_approval_requests (
    id uuid constraint image_approval_requests_pkey primary key,
    image_name text not null,
    registry text not null,
    requested_by text not null,
    requested_at timestamptz not null,
    -- The state in three words.
    status text not null
        constraint image_approval_requests_status_check
            check (status in ('pending', 'approved', 'rejected')),
    reviewed_by text,
    reviewed_at timestamptz,
    notes text not null default '',
    rejection_reason text not null default '',
    state text not null
        constraint image_approval_requests_state_check
            check (state in ('pending', 'approved', 'rejected', 'expired', 'cancelled', 'superseded')),
    scope text not null
        constraint image_approval_requests_scope_check check (scope in ('image', 'tag')),
    -- Canonical, `host/path`.
    repository text not null,
    -- The path without its last component.
    namespace text not null,
    -- What asked: empty = the image as a whole, or the digest alone.
    tag text not null,
    -- Empty = not known.
    digest text not null,
    platforms jsonb not null,
    -- Who asked first.
    requester jsonb not null,
    -- Hex SHA-256 over repository, tag, digest and platforms: what a vote is bound to.
    evidence_hash text not null,
    expires_at timestamptz not null,
    -- How many pushes asked.
    occurrences integer not null,
    last_seen_at timestamptz not null,
    superseded_by uuid,
    -- Whom the registry's part of the decision is done for; null = not decided by a vote.
    voter jsonb,
    -- What the registry has yet to be told; null = nothing.
    follow_up text
        constraint image_approval_requests_follow_up_check check (follow_up in ('approve', 'reject')),
    follow_up_at timestamptz,
    follow_up_attempts integer not null default 0,
    -- Why the last try failed; empty = there was none.
    follow_up_error text not null default '',
    claim uuid,
    claimed_until timestamptz,
    updated_at timestamptz not null,
    version bigint not null default 1,
    constraint image_approval_requests_words_check
        check (status = case state when 'pending' then 'pending' when 'approved' then 'approved' else 'rejected' end),
    constraint image_approval_requests_decided_check
        check ((state in ('approved', 'rejected')) = (reviewed_at is not null)
            and (reviewed_at is null) = (reviewed_by is null)),
    constraint image_approval_requests_superseded_check
        check ((state = 'superseded') = (superseded_by is not null)),
    constraint image_approval_requests_follow_up_at_check
        check ((follow_up is null) = (follow_up_at is null))
);

-- One open question about one thing.
create unique index image_approval_requests_open_idx
    on approval.image_approval_requests (repository, tag, digest) where state = 'pending';
create index image_approval_requests_repository_idx
    on approval.image_approval_requests (repository, id);
create index image_approval_requests_expires_at_idx
    on approval.image_approval_requests (expires_at) where state = 'pending';
create index image_approval_requests_follow_up_idx
    on approval.image_approval_requests (follow_up_at) where follow_up is not null;

-- What was said; one vote a person.
create table approval.review_votes (
    review_id uuid not null
        constraint review_votes_review_id_fkey
            references approval.image_approval_requests (id) on delete cascade,
    voter_kind text not null,
    voter_id text not null,
    voter_name text not null,
    approve boolean not null,
    comment text not null,
    created_at timestamptz not null,
    constraint review_votes_pkey primary key (review_id, voter_kind, voter_id)
);
