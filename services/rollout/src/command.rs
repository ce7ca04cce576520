//! Commands of operators to rollouts: guarded by the state, told in an event, done in one
//! transaction, so that what a command has answered holds from then on.

use chrono::{DateTime, Utc};
use proto::reason;
use runtime::event::Event;
use runtime::{Caller, database};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::App;
use crate::assignment::State as Try;
use crate::change::Targets;
use crate::drive::{Look, commit_targets, plain, resource, turn};
use crate::error::Error;
use crate::plan::{self, Trip};
use crate::rollout::{Command, Rollout, RolloutId, State};
use crate::store::batch::Mark;
use crate::store::{self};

/// A command as it was sent.
#[derive(Debug, Clone)]
pub struct Order {
    /// The rollout.
    pub rollout: RolloutId,
    /// What to do.
    pub command: Command,
    /// Why.
    pub why: String,
    /// Makes a repeat recognisable.
    pub request_id: Option<Uuid>,
    /// The version the caller has seen.
    pub version: Option<i64>,
}

/// Carries an order out.
pub async fn execute(app: &App, caller: &Caller, order: &Order) -> Result<(), Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    if let Some(request) = order.request_id {
        let fingerprint = format!("{} {:?} {}", order.rollout, order.command, order.why);
        if !store::rollout::remember_command(&mut tx, request, &fingerprint, now).await? {
            return Ok(());
        }
    }
    let rollout = store::rollout::lock(&mut tx, order.rollout).await?;
    if order.version.is_some_and(|seen| seen != rollout.version) {
        return Err(Error::StaleEtag);
    }
    let look = Look::at(&mut tx, order.rollout, app.heard_since(now), now).await?;
    let targets = carry_out(app, &mut tx, &look, order, caller, now).await?;
    let kind = event_kind(order.command);
    let event = Event::by(caller, kind, resource(&rollout), now)
        .before(json!({"state": rollout.state.as_str()}))
        .after(json!({"command": word(order.command), "why": order.why}));
    app.outbox.append(&mut tx, &event).await?;
    store::lease::wake(&mut tx, &[order.rollout.0], now).await?;
    commit_targets(app, tx, targets, now).await?;
    app.driver.ring();
    Ok(())
}

async fn carry_out(
    app: &App,
    db: &mut PgConnection,
    look: &Look,
    order: &Order,
    caller: &Caller,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let rollout = &look.rollout;
    let by = Trip { reason: reason::OPERATOR, detail: by_whom(order, caller) };
    allowed(order.command, look)?;
    match order.command {
        Command::Start => {
            store::rollout::request_start(db, rollout.id).await?;
            if !look.view().older_turning {
                store::rollout::set_state(db, rollout.id, State::Running, &plain(), now).await?;
            }
        }
        Command::Promote(number) => {
            store::batch::mark(db, rollout.id, number, Mark::Promoted, now).await?;
        }
        Command::Pause => {
            store::rollout::set_state(db, rollout.id, State::Paused, &by, now).await?;
        }
        Command::Resume => resume(db, look, now).await?,
        Command::Cancel { revert } => {
            return turn(app, db, look, State::Cancelling, revert, &by, now).await;
        }
        Command::RollBack => {
            return turn(app, db, look, State::RollingBack, true, &by, now).await;
        }
        Command::Retry => retry(db, rollout, now).await?,
    }
    Ok(Targets::new())
}

fn by_whom(order: &Order, caller: &Caller) -> String {
    let word = match order.command {
        Command::Pause => "paused",
        Command::Cancel { .. } => "cancelled",
        Command::RollBack => "rolled back",
        Command::Start | Command::Promote(_) | Command::Resume | Command::Retry => {
            word(order.command)
        }
    };
    match &*order.why {
        "" => format!("{word} by {}", caller.person()),
        why => format!("{word} by {}: {why}", caller.person()),
    }
}

/// Refuses a command in a state that does not allow it, and says what would.
fn allowed(command: Command, look: &Look) -> Result<(), Error> {
    let rollout = &look.rollout;
    let state = rollout.state;
    let wrong = |reason, hint: &str| {
        let is = if state.is_terminal() { "has ended as" } else { "is" };
        Err(Error::WrongState {
            reason,
            state: state.as_str(),
            message: format!("the rollout `{}` {is} {}; {hint}", rollout.id, words(state)),
        })
    };
    if state.is_terminal() {
        let hint = match command {
            Command::RollBack => "to undo it, roll out the version that ran before",
            Command::Start
            | Command::Pause
            | Command::Resume
            | Command::Promote(_)
            | Command::Cancel { .. }
            | Command::Retry => "push the image again to begin a new one",
        };
        return wrong(reason::ROLLOUT_ENDED, hint);
    }
    match command {
        Command::Start if state != State::Pending => {
            wrong(reason::ROLLOUT_NOT_PENDING, "only a pending rollout can be started")
        }
        Command::Pause if !matches!(state, State::Running | State::Settling) => {
            wrong(reason::ROLLOUT_NOT_RUNNING, "only a running rollout can be paused")
        }
        Command::Resume if state != State::Paused => {
            wrong(reason::ROLLOUT_NOT_PAUSED, "only a paused rollout can be resumed")
        }
        Command::Resume if !rollout.revoked_reason.is_empty() => wrong(
            reason::APPROVAL_LOST,
            "its release is no longer approved; approve it again, or cancel the rollout",
        ),
        Command::Cancel { .. } if !state.is_live() => {
            wrong(reason::ROLLOUT_NOT_RUNNING, "it is ending already")
        }
        Command::RollBack if !matches!(state, State::Running | State::Paused | State::Settling) => {
            wrong(reason::ROLLOUT_NOT_RUNNING, "only a rollout that has begun can be rolled back")
        }
        Command::Retry if !matches!(state, State::Running | State::Paused | State::Settling) => {
            wrong(reason::ROLLOUT_NOT_RUNNING, "only a rollout that has begun can try again")
        }
        Command::Retry if plan::total(&look.batches).failures() == 0 => {
            wrong(reason::NOTHING_TO_RETRY, "no device failed")
        }
        Command::Promote(asked) => {
            let next = next_number(look);
            if next == Some(asked) && state.is_live() {
                return Ok(());
            }
            Err(Error::BatchNotNext { asked: i32::try_from(asked).unwrap_or(i32::MAX), next })
        }
        Command::Start
        | Command::Pause
        | Command::Resume
        | Command::Cancel { .. }
        | Command::RollBack
        | Command::Retry => Ok(()),
    }
}

/// The batch that would begin next.
fn next_number(look: &Look) -> Option<u32> {
    match plan::current_batch(&look.batches) {
        Some(current) => plan::next_batch(&look.batches, current).map(|next| next.number),
        None => look.batches.first().map(|first| first.number),
    }
}

/// Goes on: the failures so far no longer count, and where evidence was missing the person answers
/// for it.
async fn resume(db: &mut PgConnection, look: &Look, now: DateTime<Utc>) -> Result<(), Error> {
    let rollout = &look.rollout;
    store::rollout::acknowledge(db, rollout.id, now).await?;
    if rollout.state_reason == reason::NO_EVIDENCE
        && let Some(next) = next_number(look)
    {
        store::batch::mark(db, rollout.id, next, Mark::Promoted, now).await?;
    }
    store::rollout::set_state(db, rollout.id, State::Running, &plain(), now).await
}

async fn retry(db: &mut PgConnection, rollout: &Rollout, now: DateTime<Utc>) -> Result<(), Error> {
    let over = [Try::Failed, Try::TimedOut, Try::Rejected, Try::Reverted, Try::RevertFailed];
    let tries = store::assignment::lock_in(db, rollout.id, &over, i64::MAX).await?;
    let again: Vec<_> =
        tries.iter().filter(|stored| stored.try_.failed).map(|stored| (stored.id, now)).collect();
    store::assignment::try_again(db, &again, now).await
}

fn event_kind(command: Command) -> &'static str {
    match command {
        Command::Start => "image.rollout_started",
        Command::Promote(_) => "image.rollout_promoted",
        Command::Pause => "image.rollout_paused",
        Command::Resume => "image.rollout_resumed",
        Command::Cancel { .. } => "image.rollout_cancel_requested",
        Command::RollBack => "image.rollout_rollback_requested",
        Command::Retry => "image.rollout_retried",
    }
}

fn word(command: Command) -> &'static str {
    match command {
        Command::Start => "start",
        Command::Promote(_) => "promote",
        Command::Pause => "pause",
        Command::Resume => "resume",
        Command::Cancel { revert: false } => "cancel",
        Command::Cancel { revert: true } => "cancel and revert",
        Command::RollBack => "roll back",
        Command::Retry => "retry",
    }
}

fn words(state: State) -> String {
    state.as_str().replace('_', " ")
}
