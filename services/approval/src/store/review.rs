//! Reviews in the database.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use runtime::{Actor, ActorKind};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::review::{FollowUp, Question, Review, ReviewId, ReviewState, Scope, Vote};

/// Takes the line of a repository until the transaction ends: its questions are asked and answered
/// one at a time.
pub(crate) async fn lock_repository(db: &mut PgConnection, repository: &str) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('reviews ' || $1, 0))", repository)
        .fetch_one(db)
        .await?;
    Ok(())
}

/// What a question is held against: the repository's open reviews, those the registry is being told
/// about, and the last decided one about the same tag and digest.
pub(crate) async fn near(db: &mut PgConnection, question: &Question) -> Result<Vec<Review>, Error> {
    let reviews = sqlx::query_as!(
        Review,
        "select * from approval.image_approval_requests \
         where repository = $1 and ( \
             state = 'pending' or follow_up is not null \
             or id = (select last.id from approval.image_approval_requests as last \
                 where last.repository = $1 and last.tag = $2 and last.digest = $3 \
                     and last.scope = 'tag' and last.state in ('approved', 'rejected') \
                 order by last.id desc limit 1) \
         ) \
         order by id desc",
        question.repository,
        question.tag,
        question.digest,
    )
    .fetch_all(db)
    .await?;
    Ok(reviews)
}

/// The reviews of a repository that nobody has decided, locked.
pub(crate) async fn pending(db: &mut PgConnection, repository: &str) -> Result<Vec<Review>, Error> {
    let reviews = sqlx::query_as!(
        Review,
        "select * from approval.image_approval_requests \
         where repository = $1 and state = 'pending' order by id for update",
        repository,
    )
    .fetch_all(db)
    .await?;
    Ok(reviews)
}

/// Stores a new review.
pub(crate) async fn insert(db: &mut PgConnection, review: &Review) -> Result<(), Error> {
    sqlx::query!(
        "insert into approval.image_approval_requests ( \
             id, image_name, registry, requested_by, requested_at, status, state, scope, repository, \
             namespace, tag, digest, platforms, requester, evidence_hash, expires_at, occurrences, \
             last_seen_at, updated_at \
         ) values ($1, $2, $3, $4, $5, 'pending', 'pending', $6, $7, $8, $9, $10, $11, $12, $13, $14, \
             $15, $16, $17)",
        review.id.0,
        review.image_name,
        review.registry,
        review.requested_by,
        review.requested_at,
        review.scope as Scope,
        review.repository,
        review.namespace,
        review.tag,
        review.digest,
        &review.platforms as _,
        &review.requester as _,
        review.evidence_hash,
        review.expires_at,
        review.occurrences,
        review.last_seen_at,
        review.updated_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes what may change of a review, if nobody has written it since it was read.
///
/// # Errors
///
/// [`Error::ClaimLost`] when somebody has.
pub(crate) async fn save(
    db: &mut PgConnection,
    review: &Review,
    now: DateTime<Utc>,
) -> Result<Review, Error> {
    let status = match review.state {
        ReviewState::Pending => "pending",
        ReviewState::Approved => "approved",
        ReviewState::Rejected
        | ReviewState::Expired
        | ReviewState::Cancelled
        | ReviewState::Superseded => "rejected",
    };
    sqlx::query_as!(
        Review,
        "update approval.image_approval_requests set \
             status = $3, state = $4, reviewed_by = $5, reviewed_at = $6, notes = $7, \
             rejection_reason = $8, occurrences = $9, last_seen_at = $10, superseded_by = $11, \
             voter = $12, follow_up = $13, follow_up_at = $14, follow_up_attempts = $15, \
             follow_up_error = $16, claim = $17, claimed_until = $18, updated_at = $19, \
             version = version + 1 \
         where id = $1 and version = $2 \
         returning *",
        review.id.0,
        review.version,
        status,
        review.state as ReviewState,
        review.reviewed_by,
        review.reviewed_at,
        review.notes,
        review.rejection_reason,
        review.occurrences,
        review.last_seen_at,
        review.superseded_by.map(|id| id.0),
        &review.voter as _,
        review.follow_up as Option<FollowUp>,
        review.follow_up_at,
        review.follow_up_attempts,
        review.follow_up_error,
        review.claim,
        review.claimed_until,
        now,
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::ClaimLost)
}

/// Stores one person's word.
pub(crate) async fn insert_vote(
    db: &mut PgConnection,
    review: ReviewId,
    vote: &Vote,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into approval.review_votes \
             (review_id, voter_kind, voter_id, voter_name, approve, comment, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7)",
        review.0,
        vote.voter.kind.as_str(),
        vote.voter.id,
        vote.voter.name,
        vote.approve,
        vote.comment,
        vote.at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A review that nobody decided in time.
pub(crate) async fn overdue(
    db: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<(ReviewId, String)>, Error> {
    let overdue = sqlx::query!(
        "select id, repository from approval.image_approval_requests \
         where state = 'pending' and expires_at <= $1 order by expires_at limit 1",
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(overdue.map(|row| (row.id, row.repository)))
}

/// When the next review ends undecided.
pub(crate) async fn next_expiry(db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Error> {
    let next = sqlx::query_scalar!(
        "select min(expires_at) from approval.image_approval_requests where state = 'pending'"
    )
    .fetch_one(db)
    .await?;
    Ok(next)
}

pub(crate) async fn find(db: &mut PgConnection, id: ReviewId) -> Result<Option<Review>, Error> {
    let review = sqlx::query_as!(
        Review,
        "select * from approval.image_approval_requests where id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(review)
}

/// A review, locked.
pub(crate) async fn find_for_update(
    db: &mut PgConnection,
    id: ReviewId,
) -> Result<Option<Review>, Error> {
    let review = sqlx::query_as!(
        Review,
        "select * from approval.image_approval_requests where id = $1 for update",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(review)
}

/// Which reviews a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub state: Option<ReviewState>,
    pub repository: Option<String>,
}

/// Reviews before a place, newest first. An overdue review counts as expired.
pub(crate) async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Review>, Error> {
    let reviews = sqlx::query_as!(
        Review,
        "select * from approval.image_approval_requests \
         where ($1::text is null \
                 or $1 = case when state = 'pending' and expires_at <= $5 then 'expired' else state end) \
             and ($2::text is null or repository = $2) and ($3::uuid is null or id < $3) \
         order by id desc limit $4",
        filter.state as _,
        filter.repository,
        before,
        limit,
        now,
    )
    .fetch_all(db)
    .await?;
    Ok(reviews)
}

/// How many reviews match.
pub(crate) async fn count(
    db: &mut PgConnection,
    filter: &Filter,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from approval.image_approval_requests \
         where ($1::text is null \
                 or $1 = case when state = 'pending' and expires_at <= $3 then 'expired' else state end) \
             and ($2::text is null or repository = $2)",
        filter.state as _,
        filter.repository,
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}

/// What was said about reviews, in the order in which it was said.
pub(crate) async fn votes(
    db: &mut PgConnection,
    reviews: &[ReviewId],
) -> Result<HashMap<ReviewId, Vec<Vote>>, Error> {
    let raw: Vec<_> = reviews.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        "select * from approval.review_votes where review_id = any ($1) order by created_at, voter_id",
        &raw,
    )
    .fetch_all(db)
    .await?;
    let mut votes: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        let kind = ActorKind::from_word(&row.voter_kind).ok_or_else(|| Error::UnexpectedRow {
            table: "review_votes",
            column: "voter_kind",
            key: row.review_id.to_string(),
        })?;
        let voter = Actor::new(kind, row.voter_id, row.voter_name);
        let vote = Vote { voter, approve: row.approve, comment: row.comment, at: row.created_at };
        votes.entry(ReviewId(row.review_id)).or_default().push(vote);
    }
    Ok(votes)
}

/// How many pushes wait for each review.
pub(crate) async fn held(
    db: &mut PgConnection,
    reviews: &[ReviewId],
) -> Result<HashMap<ReviewId, i64>, Error> {
    let raw: Vec<_> = reviews.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        "select review_id as \"review_id!: ReviewId\", count(*) as \"count!\" from approval.pushes \
         where review_id = any ($1) and state = 'held' group by review_id",
        &raw,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.review_id, row.count)).collect())
}

/// How many reviews wait for somebody, for the gauge.
pub(crate) async fn open(db: &mut PgConnection, now: DateTime<Utc>) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from approval.image_approval_requests \
         where state = 'pending' and expires_at > $1",
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}

/// Lets a review hold the pushes of others.
pub(crate) async fn take_over(
    db: &mut PgConnection,
    from: &[ReviewId],
    to: ReviewId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let raw: Vec<_> = from.iter().map(|id| id.0).collect();
    sqlx::query!(
        "update approval.pushes set review_id = $2, updated_at = $3, version = version + 1 \
         where review_id = any ($1) and state = 'held'",
        &raw,
        to.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
