//! `slipway.approval.v1.Reviews`.

use proto::approval::v1 as pb;
use proto::approval::v1::reviews_server::Reviews;
use proto::types::v1::Reason as PbReason;
use runtime::{Caller, Problem, database, page};
use sqlx::PgConnection;
use tonic::{Request, Response, Status, async_trait};

use super::{before, repository_filter, total};
use crate::push::PushId;
use crate::review::{Review, ReviewId, ReviewState};
use crate::store::review::Filter;
use crate::vote::{self, Ballot};
use crate::{App, Error, convert, redrive, store};

/// The longest note or reason.
const COMMENT_LENGTH: usize = 2_000;
/// The most reviews decided at once.
const BATCH: usize = 500;

/// Serves the reviews.
#[derive(Debug, Clone)]
pub(crate) struct ReviewsRpc(pub(crate) App);

#[async_trait]
impl Reviews for ReviewsRpc {
    async fn get_review(
        &self,
        request: Request<pb::GetReviewRequest>,
    ) -> Result<Response<pb::Review>, Status> {
        let id = ReviewId::parse("id", &request.get_ref().id)?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let review = store::review::find(&mut db, id).await?.ok_or(Error::ReviewNotFound(id))?;
        let mut shown = self.shown(&mut db, vec![review]).await?;
        Ok(Response::new(shown.remove(0)))
    }

    async fn list_reviews(
        &self,
        request: Request<pb::ListReviewsRequest>,
    ) -> Result<Response<pb::ListReviewsResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let state = convert::review::state_filter(request.state());
        let filter = Filter { state, repository: repository_filter(&request.repository)? };
        let filters = format!("reviews {filter:?}");
        let before = before(page::key(&request.page_token, &filters)?)?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let now = database::now(&mut db, &self.0.clock).await.map_err(Error::from)?;
        let rows = store::review::list(&mut db, &filter, before, size + 1, now).await?;
        let count = store::review::count(&mut db, &filter, now).await?;
        let (rows, next_page_token) = page::cut(rows, size, &filters, |row| row.id.to_string());
        let reviews = self.shown(&mut db, rows).await?;
        let total_size = total(count);
        Ok(Response::new(pb::ListReviewsResponse { reviews, next_page_token, total_size }))
    }

    async fn approve_review(
        &self,
        request: Request<pb::ApproveReviewRequest>,
    ) -> Result<Response<pb::ReviewDecision>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let ballot = Ballot {
            review: ReviewId::parse("id", &request.id)?,
            approve: true,
            comment: comment("notes", request.notes)?,
            digest: request.digest,
            evidence_hash: request.evidence_hash,
        };
        Ok(Response::new(self.decide(&caller, &ballot).await?))
    }

    async fn reject_review(
        &self,
        request: Request<pb::RejectReviewRequest>,
    ) -> Result<Response<pb::ReviewDecision>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let ballot = Ballot {
            review: ReviewId::parse("id", &request.id)?,
            approve: false,
            comment: reason(request.reason)?,
            digest: request.digest,
            evidence_hash: request.evidence_hash,
        };
        Ok(Response::new(self.decide(&caller, &ballot).await?))
    }

    async fn batch_decide_reviews(
        &self,
        request: Request<pb::BatchDecideReviewsRequest>,
    ) -> Result<Response<pb::BatchDecideReviewsResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        if request.ids.len() > BATCH {
            let told = format!("has {} ids; decide at most {BATCH} at once", request.ids.len());
            return Err(Problem::invalid("ids", told).into());
        }
        let comment = match request.approve {
            true => comment("notes", request.notes)?,
            false => reason(request.reason)?,
        };
        let mut results = Vec::with_capacity(request.ids.len());
        for id in request.ids {
            let decided = self.decide_one(&caller, &id, request.approve, &comment, request.dry_run);
            results.push(result(id.clone(), decided.await));
        }
        Ok(Response::new(pb::BatchDecideReviewsResponse { results }))
    }
}

impl ReviewsRpc {
    /// Decides, then does what follows for as long as the voter waits.
    async fn decide(&self, caller: &Caller, ballot: &Ballot) -> Result<pb::ReviewDecision, Error> {
        let (review, held) = vote::cast(&self.0, caller, ballot).await?;
        // The decision stands, whatever comes of the rest: the worker goes on with it.
        if let Err(error) = redrive::for_voter(&self.0, review.id, &held).await {
            let id = review.id;
            self.0.wakes.reviews.ring();
            tracing::warn!(review.id = %id, "what follows from review `{id}` is done later: {error}");
        }
        let mut db = self.0.pool.acquire().await?;
        let review = store::review::find(&mut db, review.id)
            .await?
            .ok_or(Error::ReviewNotFound(review.id))?;
        let redriven = pushes(&mut db, &held).await?;
        let review = self.shown(&mut db, vec![review]).await?.pop();
        Ok(pb::ReviewDecision { review, redriven })
    }

    /// Decides one of many; what follows is done by the worker.
    async fn decide_one(
        &self,
        caller: &Caller,
        id: &str,
        approve: bool,
        comment: &str,
        dry_run: bool,
    ) -> Result<ReviewState, Error> {
        let ballot = Ballot {
            review: ReviewId::parse("ids", id)?,
            approve,
            comment: comment.to_owned(),
            digest: String::new(),
            evidence_hash: String::new(),
        };
        if dry_run {
            return vote::rehearse(&self.0, caller, &ballot).await;
        }
        let (review, _) = vote::cast(&self.0, caller, &ballot).await?;
        self.0.wakes.reviews.ring();
        Ok(review.state)
    }

    async fn shown(
        &self,
        db: &mut PgConnection,
        reviews: Vec<Review>,
    ) -> Result<Vec<pb::Review>, Error> {
        let ids: Vec<_> = reviews.iter().map(|review| review.id).collect();
        let now = database::now(db, &self.0.clock).await?;
        let mut votes = store::review::votes(db, &ids).await?;
        let held = store::review::held(db, &ids).await?;
        Ok(reviews
            .into_iter()
            .map(|review| {
                let votes = votes.remove(&review.id).unwrap_or_default();
                let held = held.get(&review.id).copied().unwrap_or(0);
                convert::review::review(review, votes, held, now)
            })
            .collect())
    }
}

async fn pushes(db: &mut PgConnection, ids: &[PushId]) -> Result<Vec<pb::Push>, Error> {
    let pushes = store::push::find_all(db, ids).await?;
    Ok(pushes.into_iter().map(Into::into).collect())
}

fn result(
    id: String,
    decided: Result<ReviewState, Error>,
) -> pb::batch_decide_reviews_response::Result {
    let (state, error) = match decided {
        Ok(state) => (pb::review::State::from(state), None),
        Err(error) => {
            let problem = Problem::from(error);
            let (code, message) = (problem.reason().to_owned(), problem.message().to_owned());
            (pb::review::State::Unspecified, Some(PbReason { code, message }))
        }
    };
    pb::batch_decide_reviews_response::Result { id, state: state.into(), error }
}

fn comment(field: &str, text: String) -> Result<String, Problem> {
    if text.chars().count() > COMMENT_LENGTH || text.contains('\0') {
        return Err(Problem::invalid(field, "is longer than 2,000 characters"));
    }
    Ok(text)
}

fn reason(text: String) -> Result<String, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::invalid("reason", "is empty; say why, whoever pushed will read it"));
    }
    comment("reason", text)
}
