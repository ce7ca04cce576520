//! A delivery that came before.
//!
//! What was allowed, ignored or malformed gets its answer again. What was held or denied is decided
//! anew, as the push it already is: something may have changed since. What is still under way is
//! waited for.

use crate::decide;
use crate::delivery::Key;
use crate::intake::{self, Taken};
use crate::moment::Moment;
use crate::parse::Parsed;
use crate::push::{Decision, Push, State, Step};
use crate::receiver::Receiver;
use crate::store::delivery::Before;
use crate::{App, Error, drive, meter, store};

/// Answers a delivery whose key is taken.
pub(crate) async fn again(
    app: &App,
    receiver: &Receiver,
    parsed: &Parsed,
    key: &Key,
    moment: &Moment,
) -> Result<Taken, Error> {
    meter::repeated(receiver.vendor);
    let mut db = app.pool.acquire().await?;
    // Between the try to store it and this look the key may have ended.
    let before = store::delivery::before(&mut db, receiver.id, &key.text)
        .await?
        .ok_or(Error::DeliveryBusy)?;
    drop(db);
    if before.events_hash != key.events_hash {
        return Err(reused(app, receiver, key, moment).await?);
    }
    if before.decision == Some(Decision::Rejected) {
        let (note, delivery) = (parsed.note.clone(), before.delivery);
        return Err(Error::MalformedBody { note, delivery, replayed: true });
    }
    decided(app, receiver, before, moment).await
}

async fn reused(
    app: &App,
    receiver: &Receiver,
    key: &Key,
    moment: &Moment,
) -> Result<Error, Error> {
    let mut tx = app.pool.begin().await?;
    intake::tell_reused(&mut tx, app, receiver, key, moment).await?;
    app.outbox.commit(tx).await?;
    Ok(Error::DeliveryIdReused(key.text.clone()))
}

async fn decided(
    app: &App,
    receiver: &Receiver,
    before: Before,
    moment: &Moment,
) -> Result<Taken, Error> {
    let mut db = app.pool.acquire().await?;
    let mut pushes = store::push::of_delivery(&mut db, before.delivery).await?;
    drop(db);
    let replayed = pushes.iter().all(decide::is_final);
    for push in &mut pushes {
        if let Some(reopened) = reopen(app, receiver, push, moment).await? {
            *push = reopened;
        }
    }
    let pushes = drive::for_sender(app, pushes, drive::Claims::Others, moment).await;
    Ok(Taken {
        delivery: before.delivery,
        decision: decide::worst(pushes.iter().map(|push| push.decision)),
        pushes,
        response_mode: receiver.response_mode,
        replayed,
        note: before.note,
    })
}

/// Lets a push that rests without a yes begin anew. `None` = it does not, or somebody did it.
async fn reopen(
    app: &App,
    receiver: &Receiver,
    push: &Push,
    moment: &Moment,
) -> Result<Option<Push>, Error> {
    let rests = match push.state {
        State::Held | State::Denied => push.step != Step::Review,
        State::Received | State::Waiting | State::Done | State::Ignored => false,
    };
    if !rests {
        return Ok(None);
    }
    let mut anew = decide::restart(push.clone(), moment.now());
    if push.decision == Some(Decision::Rejected) {
        // The receiver may have been given the repository since.
        let Some(check) = intake::sender_check(receiver, push) else { return Ok(None) };
        anew.checks.0 = vec![check];
    }
    let mut db = app.pool.acquire().await?;
    match store::push::save(&mut db, &anew, moment.now()).await {
        Ok(push) => Ok(Some(push)),
        Err(Error::ClaimLost) => store::push::find(&mut db, push.id).await,
        Err(error) => Err(error),
    }
}
