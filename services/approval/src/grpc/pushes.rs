//! `slipway.approval.v1.Pushes`.

use proto::approval::v1 as pb;
use proto::approval::v1::pushes_server::Pushes;
use runtime::{Caller, page};
use tonic::{Request, Response, Status, async_trait};

use super::{before, repository_filter, total};
use crate::intake::{self, Taken};
use crate::push::PushId;
use crate::receiver::ReceiverId;
use crate::store::push::Filter;
use crate::{App, Error, by_hand, convert, explain, store};

/// Serves the pushes.
#[derive(Debug, Clone)]
pub(crate) struct PushesRpc(pub(crate) App);

#[async_trait]
impl Pushes for PushesRpc {
    async fn submit_delivery(
        &self,
        request: Request<pb::SubmitDeliveryRequest>,
    ) -> Result<Response<pb::SubmitDeliveryResponse>, Status> {
        let request = request.into_inner();
        let request = intake::Request {
            token: request.receiver_token,
            headers: convert::delivery::headers(request.headers),
            body: request.body.into(),
            peer: request.peer_ip.parse().ok(),
        };
        let taken = intake::take(&self.0, request).await?;
        Ok(Response::new(taken.into()))
    }

    async fn submit_push(
        &self,
        request: Request<pb::SubmitPushRequest>,
    ) -> Result<Response<pb::Push>, Status> {
        let caller = Caller::of(&request);
        let wish = by_hand::Wish::try_from(request.into_inner())?;
        let push = by_hand::submit(&self.0, caller.person(), wish).await?;
        Ok(Response::new(push.into()))
    }

    async fn get_push(
        &self,
        request: Request<pb::GetPushRequest>,
    ) -> Result<Response<pb::Push>, Status> {
        let id = PushId::parse("id", &request.get_ref().id)?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let push = store::push::find(&mut db, id).await?.ok_or(Error::PushNotFound(id))?;
        Ok(Response::new(push.into()))
    }

    async fn list_pushes(
        &self,
        request: Request<pb::ListPushesRequest>,
    ) -> Result<Response<pb::ListPushesResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let filter = filter(&request)?;
        let filters = format!("pushes {filter:?}");
        let before = before(page::key(&request.page_token, &filters)?)?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let rows = store::push::list(&mut db, &filter, before, size + 1).await?;
        let count = store::push::count(&mut db, &filter).await?;
        let (rows, next_page_token) = page::cut(rows, size, &filters, |push| push.id.to_string());
        Ok(Response::new(pb::ListPushesResponse {
            pushes: rows.into_iter().map(Into::into).collect(),
            next_page_token,
            total_size: total(count),
        }))
    }

    async fn retry_push(
        &self,
        request: Request<pb::RetryPushRequest>,
    ) -> Result<Response<pb::Push>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let id = PushId::parse("id", &request.id)?;
        let request_id = by_hand::request_id(&request.request_id)?;
        let push = by_hand::retry(&self.0, caller.person(), id, request_id).await?;
        Ok(Response::new(push.into()))
    }

    async fn explain_push(
        &self,
        request: Request<pb::ExplainPushRequest>,
    ) -> Result<Response<pb::ExplainPushResponse>, Status> {
        let id = PushId::parse("id", &request.get_ref().id)?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let push = store::push::find(&mut db, id).await?.ok_or(Error::PushNotFound(id))?;
        let review = match push.review_id {
            Some(review) => store::review::find(&mut db, review).await?,
            None => None,
        };
        let told = explain::explain(&push, review.as_ref());
        Ok(Response::new(pb::ExplainPushResponse {
            push: Some(push.into()),
            summary: told.summary,
            next_step: told.next_step,
        }))
    }
}

fn filter(request: &pb::ListPushesRequest) -> Result<Filter, Error> {
    let receiver = match request.receiver_id.as_str() {
        "" => None,
        id => Some(ReceiverId::parse("receiver_id", id)?),
    };
    let state = convert::push::state_filter(request.state());
    Ok(Filter { receiver, state, repository: repository_filter(&request.repository)? })
}

impl From<Taken> for pb::SubmitDeliveryResponse {
    fn from(taken: Taken) -> Self {
        Self {
            delivery_id: taken.delivery.to_string(),
            decision: pb::Decision::from(taken.decision).into(),
            pushes: taken.pushes.into_iter().map(Into::into).collect(),
            response_mode: pb::ResponseMode::from(taken.response_mode).into(),
            replayed: taken.replayed,
            note: taken.note,
        }
    }
}
