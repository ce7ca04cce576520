//! `slipway.approval.v1.Receivers`.

use proto::approval::v1 as pb;
use proto::approval::v1::receivers_server::Receivers;
use runtime::event::{Event, Resource};
use runtime::secret::Secret;
use runtime::{Caller, page};
use sqlx::PgConnection;
use tonic::{Request, Response, Status, async_trait};

use super::{before, total};
use crate::intake::secret_place;
use crate::receiver::{Activity, Receiver, ReceiverId, Wish};
use crate::{App, Error, convert, store};

/// Serves the receivers.
#[derive(Debug, Clone)]
pub(crate) struct ReceiversRpc(pub(crate) App);

#[async_trait]
impl Receivers for ReceiversRpc {
    async fn create_receiver(
        &self,
        request: Request<pb::CreateReceiverRequest>,
    ) -> Result<Response<pb::CreateReceiverResponse>, Status> {
        let caller = Caller::of(&request);
        let wish = Wish::try_from(request.into_inner())?;
        let now = self.0.clock.now();
        let receiver = Receiver::create(ReceiverId::new(now), &wish, now)?;
        let token = Secret::generate("");
        let mut tx = self.0.pool.begin().await.map_err(Error::from)?;
        store::receiver::insert(&mut tx, &receiver, token.hash()).await?;
        if let Some(secret) = &wish.secret {
            let sealed = self.0.sealer.seal(&secret_place(receiver.id.0), secret);
            store::receiver::insert_secret(&mut tx, receiver.id, 1, &sealed, now).await?;
        }
        let resource = Resource::new("receiver", receiver.id, &receiver.name);
        let event = Event::by(&caller, "receiver.created", resource, now).after(receiver.to_json());
        self.0.outbox.append(&mut tx, &event).await.map_err(Error::from)?;
        self.0.outbox.commit(tx).await.map_err(Error::from)?;
        Ok(Response::new(pb::CreateReceiverResponse {
            receiver: Some(convert::receiver::receiver(receiver, Activity::default())),
            url_token: token.expose().to_owned(),
        }))
    }

    async fn get_receiver(
        &self,
        request: Request<pb::GetReceiverRequest>,
    ) -> Result<Response<pb::Receiver>, Status> {
        let id = ReceiverId::parse("id", &request.get_ref().id)?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let receiver = find(&mut db, id).await?;
        Ok(Response::new(shown(&mut db, receiver).await?))
    }

    async fn list_receivers(
        &self,
        request: Request<pb::ListReceiversRequest>,
    ) -> Result<Response<pb::ListReceiversResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let after = page::key(&request.page_token, "receivers")?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let rows = store::receiver::list(&mut db, after.as_deref(), size + 1).await?;
        let count = store::receiver::count(&mut db).await?;
        let (rows, next_page_token) =
            page::cut(rows, size, "receivers", |receiver| receiver.name.clone());
        let mut receivers = Vec::with_capacity(rows.len());
        for receiver in rows {
            receivers.push(shown(&mut db, receiver).await?);
        }
        let total_size = total(count);
        Ok(Response::new(pb::ListReceiversResponse { receivers, next_page_token, total_size }))
    }

    async fn delete_receiver(
        &self,
        request: Request<pb::DeleteReceiverRequest>,
    ) -> Result<Response<pb::Receiver>, Status> {
        let caller = Caller::of(&request);
        let id = ReceiverId::parse("id", &request.get_ref().id)?;
        let now = self.0.clock.now();
        let mut tx = self.0.pool.begin().await.map_err(Error::from)?;
        let receiver = find(&mut tx, id).await?;
        let resource = Resource::new("receiver", id, &receiver.name);
        let event =
            Event::by(&caller, "receiver.deleted", resource, now).before(receiver.to_json());
        let receiver = shown(&mut tx, receiver).await?;
        store::receiver::delete(&mut tx, id).await?;
        self.0.outbox.append(&mut tx, &event).await.map_err(Error::from)?;
        self.0.outbox.commit(tx).await.map_err(Error::from)?;
        Ok(Response::new(receiver))
    }

    async fn list_deliveries(
        &self,
        request: Request<pb::ListDeliveriesRequest>,
    ) -> Result<Response<pb::ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let id = ReceiverId::parse("receiver_id", &request.receiver_id)?;
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let filters = format!("deliveries {id}");
        let before = before(page::key(&request.page_token, &filters)?)?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        find(&mut db, id).await?;
        let rows = store::delivery::list(&mut db, id, before, size + 1).await?;
        let count = store::delivery::count(&mut db, id).await?;
        let (rows, next_page_token) = page::cut(rows, size, &filters, |row| row.id.to_string());
        Ok(Response::new(pb::ListDeliveriesResponse {
            deliveries: rows.into_iter().map(Into::into).collect(),
            next_page_token,
            total_size: total(count),
        }))
    }
}

async fn find(db: &mut PgConnection, id: ReceiverId) -> Result<Receiver, Error> {
    let found = store::receiver::find(db, id).await?;
    found.ok_or_else(|| Error::ReceiverNotFound(id.to_string()))
}

async fn shown(db: &mut PgConnection, receiver: Receiver) -> Result<pb::Receiver, Error> {
    let activity = store::receiver::activity(db, receiver.id).await?;
    Ok(convert::receiver::receiver(receiver, activity))
}
