//! A webhook request on its way in: limits, credentials, reading, storing, deciding.
//!
//! Everything a request says is stored in one transaction before anything is decided; what cannot be
//! stored leaves nothing behind, so that the sender's next try counts as the first.

use std::net::IpAddr;

use proto::reason;
use runtime::event::{Event, Resource};
use runtime::id;
use runtime::secret::{Hash, Secret};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::arrive::{self, Arrival};
use crate::close::push_event;
use crate::decide;
use crate::delivery::{Delivery, DeliveryId, Key};
use crate::error::BadSignature;
use crate::finding::{Check, Reason};
use crate::headers::Headers;
use crate::moment::Moment;
use crate::parse::{self, Disposition, Parsed};
use crate::push::{Decision, NewPush, Push, PushId, State};
use crate::receiver::Receiver;
use crate::store::receiver::Door;
use crate::vendor::{ResponseMode, Scheme};
use crate::{App, Error, drive, meter, redeliver, store, verify};

/// The largest body that is taken.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// A webhook request as the gateway hands it on.
#[derive(Debug)]
pub(crate) struct Request {
    /// Of the receiver's URL; empty = the default receiver.
    pub token: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// `None` = not known.
    pub peer: Option<IpAddr>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub delivery: DeliveryId,
    pub decision: Decision,
    pub pushes: Vec<Push>,
    pub response_mode: ResponseMode,
    /// Whether it came before and this is its answer.
    pub replayed: bool,
    /// Why nothing was decided; empty = something was.
    pub note: String,
}

/// Takes a request.
pub(crate) async fn take(app: &App, request: Request) -> Result<Taken, Error> {
    let door = open_door(app, &request).await?;
    let moment = Moment::new(door.now, &app.clock);
    let receiver = &door.receiver;
    believe(app, &door, &request, &moment).await?;
    let parsed = parse::parse(receiver.vendor, &request.headers, &request.body);
    let key = Key::of(&parsed, &request.body, moment.now(), app.settings.keep.keys);
    let taken = match store_new(app, receiver, &request, &parsed, &key, &moment).await? {
        Some((delivery, pushes)) => {
            runtime::crash::point("delivery_stored");
            let pushes = drive::for_sender(app, pushes, drive::Claims::Own, &moment).await;
            answer(receiver, delivery, &parsed, pushes)
        }
        None => redeliver::again(app, receiver, &parsed, &key, &moment).await,
    };
    meter::delivered(receiver.vendor, outcome(&taken));
    taken
}

fn outcome(taken: &Result<Taken, Error>) -> &'static str {
    match taken {
        Ok(taken) => meter::word(taken.decision),
        Err(Error::MalformedBody { .. }) => "malformed",
        Err(_) => "failed",
    }
}

/// Finds the receiver, unless the request is too large or too many came.
async fn open_door(app: &App, request: &Request) -> Result<Door, Error> {
    if request.body.len() > MAX_BODY {
        return Err(Error::BodyTooLarge(request.body.len()));
    }
    let limited = |who| move |wait| Error::TooManyDeliveries { who, wait };
    let now = app.clock.now();
    app.limits.may_try(request.peer, now).map_err(limited("the sender's address"))?;
    let token = (!request.token.is_empty()).then(|| Hash::of(&request.token));
    let mut db = app.pool.acquire().await?;
    let Some(mut door) = store::receiver::door(&mut db, token).await? else {
        // Whoever guesses at tokens is slowed down like whoever guesses at secrets.
        app.limits.failed(request.peer, now);
        return Err(Error::ReceiverNotFound("at this address".to_owned()));
    };
    if app.clock.is_manual() {
        door.now = now;
    }
    app.limits.deliver(door.receiver.id, now).map_err(limited("the receiver"))?;
    Ok(door)
}

/// Checks the request's credentials against the receiver's secrets.
async fn believe(app: &App, door: &Door, request: &Request, moment: &Moment) -> Result<(), Error> {
    let receiver = &door.receiver;
    let checked = match receiver.scheme() {
        Scheme::UrlToken => return Ok(()),
        Scheme::HubSignature => {
            let secrets = open_secrets(app, door)?;
            verify::hub_signature(&request.headers, &request.body, &secrets)
        }
    };
    let Err(refusal) = checked else { return Ok(()) };
    meter::refused(receiver.vendor);
    app.limits.failed(request.peer, app.clock.now());
    let mut db = app.pool.acquire().await?;
    let why = refusal.to_string();
    store::receiver::refuse(&mut db, receiver.id, &why, moment.now()).await?;
    Err(Error::BadSignature(BadSignature(refusal)))
}

fn open_secrets(app: &App, door: &Door) -> Result<Vec<Secret>, Error> {
    let place = secret_place(door.receiver.id.0);
    door.sealed
        .iter()
        .map(|sealed| app.sealer.open(&place, sealed).map_err(Error::Sealed))
        .collect()
}

/// What a receiver's secrets are sealed for.
pub(crate) fn secret_place(receiver: Uuid) -> String {
    format!("approval.receiver_secrets/sealed/{receiver}")
}

/// Stores a delivery with its pushes and events in one transaction. `None` = it came before.
async fn store_new(
    app: &App,
    receiver: &Receiver,
    request: &Request,
    parsed: &Parsed,
    key: &Key,
    moment: &Moment,
) -> Result<Option<(DeliveryId, Vec<Push>)>, Error> {
    let now = moment.now();
    let delivery = delivery(receiver, request, parsed, moment);
    let pushes = new_pushes(app, receiver, request, parsed, delivery.id, moment);
    let mut lanes: Vec<_> = pushes.iter().map(NewPush::lane).collect();
    lanes.sort();
    lanes.dedup();
    let mut tx = app.pool.begin_with(store::delivery::BEGIN).await?;
    if !store::delivery::insert(&mut tx, &delivery, key).await? {
        return Ok(None);
    }
    for lane in &lanes {
        store::push::lock_lane(&mut tx, lane).await?;
    }
    let mut stored = Vec::with_capacity(pushes.len());
    for (position, push) in (0..).zip(&pushes) {
        let claim = id::uuid_v7(now);
        stored.push(store::push::insert(&mut tx, push, position, claim, now).await?);
    }
    let events = events(receiver, &delivery, &stored, moment);
    app.outbox.append_all(&mut tx, &events).await?;
    app.outbox.commit(tx).await?;
    Ok(Some((delivery.id, stored)))
}

fn delivery(receiver: &Receiver, request: &Request, parsed: &Parsed, moment: &Moment) -> Delivery {
    let decision = match parsed.disposition {
        Disposition::Evaluate | Disposition::Observe => None,
        Disposition::Ignore => Some(Decision::Ignored),
        Disposition::Reject => Some(Decision::Rejected),
    };
    Delivery {
        id: DeliveryId::new(moment.now()),
        receiver_id: receiver.id,
        peer_ip: request.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        headers: request.headers.masked(),
        body: Some(request.body.clone()),
        decision,
        note: parsed.note.clone(),
        created_at: moment.now(),
        pushes: Vec::new(),
    }
}

fn new_pushes(
    app: &App,
    receiver: &Receiver,
    request: &Request,
    parsed: &Parsed,
    delivery: DeliveryId,
    moment: &Moment,
) -> Vec<NewPush> {
    let now = moment.now();
    let trusted = receiver.trusts(request.peer);
    let new = |event: &parse::Event| {
        let (arrival, check) = arrive::arrived(event, receiver, now, app.settings.max_event_age);
        let (state, decision, reasons) = at_arrival(arrival);
        NewPush {
            id: PushId::new(now),
            delivery_id: Some(delivery),
            receiver_id: Some(receiver.id),
            retry_of: None,
            request: None,
            repository: event.repository.clone(),
            tag: event.tag.as_ref().map(ToString::to_string),
            event_digest: event.digest.as_ref().map(ToString::to_string),
            digest_asked: false,
            actor: receiver.actor(),
            pusher: event.pusher.clone().unwrap_or_default(),
            policy_id: String::new(),
            device_selector: None,
            trusted,
            state,
            decision,
            reasons,
            checks: Vec::from([check]),
            occurred_at: event.occurred_at,
        }
    };
    parsed.events.iter().map(new).collect()
}

/// How a push begins.
pub(crate) fn at_arrival(arrival: Arrival) -> (State, Option<Decision>, Vec<Reason>) {
    match arrival {
        Arrival::Evaluate => (State::Received, None, Vec::new()),
        Arrival::Observe(why) => (State::Ignored, Some(Decision::Ignored), vec![why]),
        Arrival::Refuse(why) => (State::Denied, Some(Decision::Rejected), vec![why]),
    }
}

/// What is told about a delivery: each push, and each that is refused at once.
fn events(
    receiver: &Receiver,
    delivery: &Delivery,
    pushes: &[Push],
    moment: &Moment,
) -> Vec<Event> {
    let now = moment.now();
    let received = |push: &Push| {
        let refused = push.decision == Some(Decision::Rejected);
        let kind = if refused { "image.webhook_rejected" } else { "image.webhook_received" };
        push_event(kind, push, now).from_ip(delivery.peer_ip.clone())
    };
    let mut events: Vec<_> = pushes.iter().map(received).collect();
    if delivery.decision == Some(Decision::Rejected) {
        let resource = Resource::new("delivery", delivery.id, &receiver.name);
        events.push(
            Event::of(receiver.actor(), "image.webhook_rejected", resource, now)
                .from_ip(delivery.peer_ip.clone())
                .after(delivery.to_json()),
        );
    }
    events
}

/// The answer to a delivery as its pushes stand.
fn answer(
    receiver: &Receiver,
    delivery: DeliveryId,
    parsed: &Parsed,
    pushes: Vec<Push>,
) -> Result<Taken, Error> {
    if parsed.disposition == Disposition::Reject {
        let note = parsed.note.clone();
        return Err(Error::MalformedBody { note, delivery, replayed: false });
    }
    Ok(Taken {
        delivery,
        decision: decide::worst(pushes.iter().map(|push| push.decision)),
        pushes,
        response_mode: receiver.response_mode,
        replayed: false,
        note: parsed.note.clone(),
    })
}

/// Tells that a delivery id came with other events than before.
pub(crate) async fn tell_reused(
    db: &mut PgConnection,
    app: &App,
    receiver: &Receiver,
    key: &Key,
    moment: &Moment,
) -> Result<(), Error> {
    let resource = Resource::new("receiver", receiver.id, &receiver.name);
    let event = Event::of(receiver.actor(), "image.webhook_rejected", resource, moment.now())
        .after(serde_json::json!({"reason": reason::DELIVERY_ID_REUSED, "delivery_key": key.text}));
    app.outbox.append(db, &event).await?;
    Ok(())
}

/// The check of the sender, as a receiver stands now.
pub(crate) fn sender_check(receiver: &Receiver, push: &Push) -> Option<Check> {
    let repository = imageref::Repository::parse(&push.repository).ok()?;
    receiver.may_speak_for(&repository).then(|| arrive::sender_speaks(receiver, &repository))
}
