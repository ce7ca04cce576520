//! One step of one claimed push: ask whoever must be asked, decide, write it down.
//!
//! The same function serves the sender who waits for an answer and the worker who goes on later.
//! Others are asked between transactions, never inside of one, and every question may be asked
//! again: a process that dies anywhere leaves a push that goes on from its last step.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::backoff::Backoff;
use runtime::crash;
use runtime::event::Event;

use crate::answer::{Admitted, Created, Resolved};
use crate::close::push_event;
use crate::decide::{self, Next, Pause};
use crate::moment::Moment;
use crate::peers::Admission;
use crate::push::{Decision, Push, State, Step};
use crate::review::{Question, Scope};
use crate::store::push::LEASE;
use crate::{App, Error, ask, meter, store, webhook_log};

/// Waits while another process is away: up to a second at first, up to half a minute in the end.
const AWAY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// Takes the next step of a push that the caller has claimed. The claim goes on while there is
/// something to do at once, and ends otherwise.
pub(crate) async fn step(
    app: &App,
    push: Push,
    moment: &Moment,
    patience: Duration,
) -> Result<(Push, Next), Error> {
    match push.step {
        Step::Resolve => resolve(app, push, moment, patience).await,
        Step::Admit => admit(app, push, moment).await,
        Step::Create => create(app, push, moment).await,
        Step::Review => Ok((push, Next::Settled)),
    }
}

async fn resolve(
    app: &App,
    push: Push,
    moment: &Moment,
    patience: Duration,
) -> Result<(Push, Next), Error> {
    let asked = tokio::time::Instant::now();
    let answer = app.peers.resolve(push.to_resolve(), true, patience).await;
    meter::resolved(asked.elapsed());
    app.outages.registry(matches!(answer, Resolved::Away(_)));
    let by_payload = answer == Resolved::NotConfigured;
    let now = moment.now();
    let (push, next) = decide::resolved(push, answer, now);
    if by_payload && next == Next::Go {
        // All that follows stands in the row already: there is nothing to write down.
        return Ok((push, next));
    }
    let push = save(app, push, next, now).await?;
    if next == Next::Go {
        crash::point("tag_resolved");
    }
    Ok((push, next))
}

async fn admit(app: &App, push: Push, moment: &Moment) -> Result<(Push, Next), Error> {
    let answer = app.peers.admit(Admission::of(&push, &push.to_admit())).await;
    app.outages.registry(matches!(answer, Admitted::Away(_)));
    let mut image_is_pending = false;
    if let Admitted::Verdict(verdict) = &answer {
        webhook_log::verdict(&push, verdict);
        let first = verdict.reasons.first().map(|why| why.code.as_str());
        image_is_pending = first == Some(proto::reason::IMAGE_PENDING);
    }
    let now = moment.now();
    let (push, next) = match decide::admitted(push, answer) {
        (push, Next::Ask(scope)) => {
            let question = question(&push, scope, image_is_pending);
            hold(app, push, &question, now).await?
        }
        (push, next) => (save(app, push, next, now).await?, next),
    };
    if next == Next::Go {
        crash::point("admitted");
    }
    Ok((push, next))
}

/// Asks a person, and writes down what that means for the push, in one transaction.
async fn hold(
    app: &App,
    push: Push,
    question: &Question,
    now: DateTime<Utc>,
) -> Result<(Push, Next), Error> {
    let mut tx = app.pool.begin().await?;
    let asked = ask::ask(&mut tx, app, question, now).await?;
    let held_before = push.review_id.is_some() && push.review_id == asked.review();
    let (push, next) = decide::asked(push, &asked.placement, asked.opened);
    let push = store::push::save(&mut tx, &claimed(push, next, now), now).await?;
    if !(held_before && push.state == State::Held) {
        app.outbox.append_all(&mut tx, &told(&push, now)).await?;
    }
    app.outbox.commit(tx).await?;
    meter::decided(&push, now);
    Ok((push, next))
}

fn question(push: &Push, scope: Scope, image_is_pending: bool) -> Question {
    let digest = if push.pinned { push.digest.clone() } else { None };
    Question {
        scope,
        repository: push.repository.clone(),
        tag: push.tag.clone().unwrap_or_default(),
        digest: digest.unwrap_or_default(),
        platforms: push.platforms.0.clone(),
        requester: push.actor.0.clone(),
        image_is_pending,
    }
}

async fn create(app: &App, push: Push, moment: &Moment) -> Result<(Push, Next), Error> {
    let answer = app.peers.create_rollout(&push).await;
    app.outages.rollout(matches!(answer, Created::Away(_)));
    let now = moment.now();
    let (push, next) = decide::created(push, answer);
    Ok((save(app, push, next, now).await?, next))
}

/// Writes a push down after a step, with the event that tells of its decision.
async fn save(app: &App, push: Push, next: Next, now: DateTime<Utc>) -> Result<Push, Error> {
    let events = match (next, push.step) {
        // A step that leaves the decision to the next one tells nothing yet.
        (Next::Go, Step::Admit) | (Next::Wait(_), _) => Vec::new(),
        (Next::Settled, _) if push.state == State::Done => Vec::new(),
        (Next::Go | Next::Ask(_) | Next::Settled, _) => told(&push, now),
    };
    let push = claimed(push, next, now);
    let push = if events.is_empty() {
        let mut db = app.pool.acquire().await?;
        store::push::save(&mut db, &push, now).await?
    } else {
        let mut tx = app.pool.begin().await?;
        let push = store::push::save(&mut tx, &push, now).await?;
        app.outbox.append_all(&mut tx, &events).await?;
        app.outbox.commit(tx).await?;
        push
    };
    if !events.is_empty() {
        meter::decided(&push, now);
    }
    Ok(push)
}

/// The push as its claim stands after a step.
fn claimed(mut push: Push, next: Next, now: DateTime<Utc>) -> Push {
    match next {
        Next::Go | Next::Ask(_) => push.claimed_until = Some(now + LEASE),
        Next::Wait(pause) => {
            push.due_at = now + pause_of(pause, push.attempts);
            (push.claim, push.claimed_until) = (None, None);
        }
        Next::Settled => (push.claim, push.claimed_until) = (None, None),
    }
    push
}

fn pause_of(pause: Pause, attempts: i32) -> TimeDelta {
    let wait = match pause {
        Pause::Backoff => AWAY.wait(u32::try_from(attempts).unwrap_or(u32::MAX)),
        Pause::For(wait) => wait,
    };
    TimeDelta::from_std(wait).unwrap_or(TimeDelta::hours(1))
}

/// The event that tells of a decision.
fn told(push: &Push, now: DateTime<Utc>) -> Vec<Event> {
    let kind = match push.decision {
        Some(Decision::Allow) => "image.webhook_approved",
        Some(Decision::Deny | Decision::Rejected) => "image.webhook_rejected",
        Some(Decision::Hold) => "image.webhook_held",
        Some(Decision::Ignored) | None => return Vec::new(),
    };
    vec![push_event(kind, push, now)]
}
