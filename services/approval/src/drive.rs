//! Drives pushes until they rest: for a sender who waits, and for the worker.

use std::time::Duration;

use runtime::context::{self, Context};
use runtime::worker::Progress;
use runtime::{database, id};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::decide::Next;
use crate::moment::Moment;
use crate::push::{Push, PushId};
use crate::store::push::When;
use crate::{App, Error, advance, store};

/// How long a registry elsewhere may take when nobody waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The least it may take, also when its sender's time is nearly over: it goes on without the sender.
const LEAST: Duration = Duration::from_millis(500);
/// How soon to look again at a lane in which somebody else works.
const BUSY: Duration = Duration::from_millis(25);

/// Whose the claims on pushes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claims {
    /// The caller's: it has just stored them.
    Own,
    /// Nobody's, or somebody else's.
    Others,
}

/// Drives pushes for a sender who waits: until they rest, at the most for the time that the settings
/// give. What is not at rest by then goes on by itself. Returns the pushes as they stand.
pub(crate) async fn for_sender(
    app: &App,
    pushes: Vec<Push>,
    claims: Claims,
    moment: &Moment,
) -> Vec<Push> {
    let end = Instant::now() + app.settings.inline;
    let tasks: Vec<_> = pushes
        .iter()
        .filter(|push| push.is_moving())
        .map(|push| in_background(app, push.clone(), claims, moment, end))
        .collect();
    let mut complete = true;
    let mut stood = pushes;
    for task in tasks {
        match tokio::time::timeout_at(end, task).await {
            Ok(Ok(Some(done))) => {
                if let Some(place) = stood.iter_mut().find(|push| push.id == done.id) {
                    *place = done;
                }
            }
            Ok(Ok(None) | Err(_)) | Err(_) => complete = false,
        }
    }
    if complete {
        return stood;
    }
    app.wakes.pushes.ring();
    let ids: Vec<_> = stood.iter().map(|push| push.id).collect();
    match read(app, &ids).await {
        Ok(now) if now.len() == stood.len() => now,
        Ok(_) | Err(_) => stood,
    }
}

async fn read(app: &App, ids: &[PushId]) -> Result<Vec<Push>, Error> {
    let mut db = app.pool.acquire().await?;
    store::push::find_all(&mut db, ids).await
}

/// Drives a push in a task of its own, so that it goes on when the sender hangs up.
fn in_background(
    app: &App,
    push: Push,
    claims: Claims,
    moment: &Moment,
    end: Instant,
) -> tokio::task::JoinHandle<Option<Push>> {
    let (app, moment) = (app.clone(), moment.clone());
    let scope = Context { request_id: context::request_id(), traceparent: context::traceparent() };
    let work = async move {
        let cut_off = app.lifecycle.clone();
        tokio::select! {
            done = to_rest(&app, push, claims, &moment, end) => done,
            () = cut_off.cut_off() => None,
        }
    };
    tokio::spawn(context::scope(scope, work).in_current_span())
}

/// Drives a push until it rests. While somebody else works in its lane, that is waited for until
/// `end`. `None` = it does not rest yet.
async fn to_rest(
    app: &App,
    push: Push,
    claims: Claims,
    moment: &Moment,
    end: Instant,
) -> Option<Push> {
    let (id, lane) = (push.id, push.lane.clone());
    let mut committed = app.outbox.committed();
    let mut own = Some(push).filter(|push| claims == Claims::Own && push.claim.is_some());
    // Who holds the claim already must not wait behind those who want it.
    let _turn = match &own {
        Some(_) => app.lanes.try_turn(&lane),
        None => Some(app.lanes.turn(&lane).await),
    };
    loop {
        committed.mark_unchanged();
        let claimed = match own.take() {
            Some(push) => Some(push),
            None => claim(app, id, &lane, When::Asked, moment).await.ok()?,
        };
        if let Some(claimed) = claimed {
            let patience = end.saturating_duration_since(Instant::now());
            let rested = run(app, claimed, moment, patience.max(LEAST)).await.ok()?;
            if rested.id == id {
                return Some(rested);
            }
            continue;
        }
        let now = read(app, &[id]).await.ok()?.pop()?;
        if !now.is_moving() {
            return Some(now);
        }
        if Instant::now() >= end {
            return None;
        }
        let _ = tokio::time::timeout(BUSY, committed.changed()).await;
    }
}

/// Claims a push, or an older one of its lane that must go first.
async fn claim(
    app: &App,
    push: PushId,
    lane: &str,
    when: When,
    moment: &Moment,
) -> Result<Option<Push>, Error> {
    let now = moment.now();
    let mut tx = app.pool.begin().await?;
    store::push::lock_lane(&mut tx, lane).await?;
    let claimed = store::push::claim(&mut tx, push, lane, id::uuid_v7(now), when, now).await?;
    tx.commit().await?;
    Ok(claimed)
}

/// Takes steps of a claimed push until there is nothing to do at once.
async fn run(
    app: &App,
    mut push: Push,
    moment: &Moment,
    patience: Duration,
) -> Result<Push, Error> {
    let id = push.id;
    loop {
        let next = match advance::step(app, push, moment, patience).await {
            Ok((stepped, next)) => {
                push = stepped;
                next
            }
            Err(Error::ClaimLost) => {
                tracing::info!(push.id = %id, "somebody else took push `{id}` over");
                return Err(Error::ClaimLost);
            }
            Err(error) => {
                tracing::warn!(push.id = %id, "push `{id}` is tried again by itself: {error}");
                return Err(error);
            }
        };
        match next {
            Next::Go | Next::Ask(_) => {}
            Next::Wait(_) => {
                app.wakes.pushes.ring();
                return Ok(push);
            }
            Next::Settled => return Ok(push),
        }
    }
}

/// Drives one push that is due: the worker's step.
pub(crate) async fn drive_one(app: &App) -> Result<Progress, Error> {
    let mut committed = app.outbox.committed();
    committed.mark_unchanged();
    let mut db = app.pool.acquire().await?;
    let moment = Moment::new(database::now(&mut db, &app.clock).await?, &app.clock);
    let Some((id, lane)) = store::push::due(&mut db, moment.now()).await? else {
        let next = store::push::next_due(&mut db).await?;
        drop(db);
        return Ok(match next {
            None => Progress::Idle,
            Some(next) if next > moment.now() => Progress::Until(next),
            // Somebody else works in its lane; a commit may be the end of that.
            Some(_) => {
                let _ = tokio::time::timeout(BUSY * 10, committed.changed()).await;
                Progress::More
            }
        });
    };
    drop(db);
    let Some(push) = claim(app, id, &lane, When::Due, &moment).await? else {
        return Ok(Progress::More);
    };
    let span = tracing::info_span!("push", push.id = %push.id, push.step = ?push.step);
    context::link_trace(&span, push.traceparent.as_deref());
    let scope =
        Context { request_id: format!("push-{}", push.id), traceparent: push.traceparent.clone() };
    match context::scope(scope, run(app, push, &moment, PATIENCE).instrument(span)).await {
        Ok(_) | Err(Error::ClaimLost) => Ok(Progress::More),
        Err(error) => Err(error),
    }
}

/// Makes everything due that waits for another process, because one is back.
pub(crate) async fn hurry(app: &App) -> Result<Progress, Error> {
    let mut db = app.pool.acquire().await?;
    let now = database::now(&mut db, &app.clock).await?;
    store::push::hurry(&mut db, &[proto::reason::PEER_UNREACHABLE], now).await?;
    store::follow_up::hurry(&mut db, now).await?;
    store::feed::hurry(&mut db, now).await?;
    app.wakes.ring_all();
    Ok(Progress::Idle)
}
