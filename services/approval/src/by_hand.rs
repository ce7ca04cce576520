//! Pushes that a person asks for: the same gate, the same rollout.

use imageref::Reference;
use proto::approval::v1 as pb;
use runtime::{Actor, Problem, database, id};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::close::push_event;
use crate::drive::Claims;
use crate::moment::Moment;
use crate::push::{DeviceSelector, NewPush, Push, PushId, State};
use crate::{App, Error, drive, store};

/// What a person asks for.
#[derive(Debug)]
pub(crate) struct Wish {
    pub reference: Reference,
    pub policy_id: String,
    pub device_selector: Option<DeviceSelector>,
    pub request_id: Option<Uuid>,
}

impl TryFrom<pb::SubmitPushRequest> for Wish {
    type Error = Error;

    fn try_from(request: pb::SubmitPushRequest) -> Result<Self, Error> {
        let refused =
            |cause: String| Error::InvalidReference { field: "reference".to_owned(), cause };
        let reference =
            Reference::parse(&request.reference).map_err(|error| refused(error.to_string()))?;
        if reference.tag().is_none() && reference.digest().is_none() {
            let cause =
                format!("names no version; write for instance `{}:latest`", request.reference);
            return Err(refused(cause));
        }
        if !request.policy_id.is_empty() {
            id::parse_uuid("policy_id", &request.policy_id)?;
        }
        Ok(Self {
            reference,
            policy_id: request.policy_id,
            device_selector: request.device_selector.map(Into::into),
            request_id: request_id(&request.request_id)?,
        })
    }
}

/// A request's id; `None` = the caller gave none.
pub(crate) fn request_id(text: &str) -> Result<Option<Uuid>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    id::parse_uuid("request_id", text).map(Some)
}

/// Asks for a push and drives it for as long as the person waits.
pub(crate) async fn submit(app: &App, person: &Actor, wish: Wish) -> Result<Push, Error> {
    let asked = format!("{} {} {:?}", wish.reference, wish.policy_id, wish.device_selector);
    let (repository, tag, digest) = wish.reference.into_parts();
    let new = |id| NewPush {
        id,
        delivery_id: None,
        receiver_id: None,
        retry_of: None,
        request: wish.request_id.map(|request| (request, Sha256::digest(&asked).into())),
        repository,
        tag: tag.map(|tag| tag.to_string()),
        digest_asked: digest.is_some(),
        event_digest: digest.map(|digest| digest.to_string()),
        actor: person.clone(),
        pusher: String::new(),
        policy_id: wish.policy_id,
        device_selector: wish.device_selector,
        // An operator's word counts like that of a signed receiver.
        trusted: true,
        state: State::Received,
        decision: None,
        reasons: Vec::new(),
        checks: Vec::new(),
        occurred_at: None,
    };
    store_and_drive(app, new).await
}

/// Decides a push anew, as a push of its own.
pub(crate) async fn retry(
    app: &App,
    person: &Actor,
    old: PushId,
    request: Option<Uuid>,
) -> Result<Push, Error> {
    let mut db = app.pool.acquire().await?;
    let old = store::push::find(&mut db, old).await?.ok_or(Error::PushNotFound(old))?;
    drop(db);
    let repository = imageref::Repository::parse(&old.repository).map_err(|_| {
        Error::UnexpectedRow { table: "pushes", column: "repository", key: old.id.to_string() }
    })?;
    let asked = format!("retry {}", old.id);
    let new = |id| NewPush {
        id,
        delivery_id: None,
        receiver_id: None,
        retry_of: Some(old.id),
        request: request.map(|request| (request, Sha256::digest(&asked).into())),
        repository,
        tag: old.tag,
        event_digest: old.event_digest,
        digest_asked: old.digest_asked,
        actor: person.clone(),
        pusher: old.pusher,
        policy_id: old.policy_id,
        device_selector: old.device_selector.map(|selector| selector.0),
        trusted: true,
        state: State::Received,
        decision: None,
        reasons: Vec::new(),
        checks: Vec::new(),
        occurred_at: old.occurred_at,
    };
    store_and_drive(app, new).await
}

async fn store_and_drive(app: &App, new: impl FnOnce(PushId) -> NewPush) -> Result<Push, Error> {
    let mut db = app.pool.acquire().await?;
    let moment = Moment::new(database::now(&mut db, &app.clock).await?, &app.clock);
    drop(db);
    let new = new(PushId::new(moment.now()));
    let (push, claims) = match store_new(app, &new, &moment).await {
        Ok(push) => (push, Claims::Own),
        Err(Error::RequestIdReused) => (asked_before(app, &new).await?, Claims::Others),
        Err(error) => return Err(error),
    };
    let mut pushes = drive::for_sender(app, vec![push], claims, &moment).await;
    pushes.pop().ok_or(Error::PushNotFound(new.id))
}

async fn store_new(app: &App, new: &NewPush, moment: &Moment) -> Result<Push, Error> {
    let now = moment.now();
    let mut tx = app.pool.begin().await?;
    store::push::lock_lane(&mut tx, &new.lane()).await?;
    let push = store::push::insert(&mut tx, new, 0, id::uuid_v7(now), now).await?;
    app.outbox.append(&mut tx, &push_event("image.webhook_received", &push, now)).await?;
    app.outbox.commit(tx).await?;
    Ok(push)
}

/// The push that the same request id made, when it asked for the same.
async fn asked_before(app: &App, new: &NewPush) -> Result<Push, Error> {
    let (request, hash) = new.request.ok_or(Error::RequestIdReused)?;
    let mut db = app.pool.acquire().await?;
    let before = store::push::of_request(&mut db, request).await?;
    before
        .filter(|push| push.request_hash.as_deref() == Some(hash.as_slice()))
        .ok_or(Error::RequestIdReused)
}
