//! Before the swap: pulling and making what is to run, beside what runs.

use proto::reason;

use super::group::settle;
use super::view::View;
use super::{Call, Step};
use crate::engine::EngineError;
use crate::image::Image;
use crate::journal::Change;
use crate::moment::{Moment, earlier};
use crate::row::Standing;
use crate::transaction::{Cause, Leg, Phase, Transaction};

/// Pulls what is missing, one image at a time.
pub(super) fn fetch(view: &View<'_>, transaction: &Transaction) -> Step {
    if let Some(step) = out_of_time(view, transaction) {
        return step;
    }
    for leg in &transaction.legs {
        let image = leg.to.image();
        if view.container(&leg.service, leg.to.spec()).is_some() || view.has_image(image) {
            continue;
        }
        return match pull(view, image) {
            Ok(Step::Wait(until)) => Step::Wait(earlier(until, limit(transaction))),
            Ok(step) => step,
            Err(error) => {
                let (standing, reason) = verdict(&error);
                let cause = Cause::new(reason, format!("service `{}`: {error}", leg.service));
                Step::Note(settle(view, transaction, standing, &cause, false))
            }
        };
    }
    Step::Note(Change::Advance(Phase::Staged))
}

/// Makes the containers, and lets the swap begin once the server was heard lately.
pub(super) fn stage(view: &View<'_>, transaction: &Transaction) -> Step {
    if let Some(step) = out_of_time(view, transaction) {
        return step;
    }
    for leg in &transaction.legs {
        if view.container(&leg.service, leg.to.spec()).is_none() {
            return create(view, transaction, leg);
        }
    }
    let heard = view.memory.contact.map(|contact| view.now.since(contact));
    if heard.is_some_and(|ago| ago <= view.timing.contact) {
        return Step::Note(Change::Advance(Phase::Swapping));
    }
    Step::Wait(limit(transaction))
}

/// The next step of a pull, or why the image cannot be had.
pub(super) fn pull(view: &View<'_>, image: &Image) -> Result<Step, EngineError> {
    let call = Call::Pull(image.clone());
    if let Some(pull) = &view.observed.pull {
        if pull.identity != image.identity() {
            // One at a time; a pull that nobody wants any more is cancelled elsewhere.
            return Ok(Step::Wait(None));
        }
        let stalled = pull.moved + view.timing.pull_stall;
        if stalled <= view.now {
            return Ok(Step::Call(Call::CancelPull));
        }
        return Ok(Step::Wait(Some(stalled)));
    }
    if let Some(trouble) = view.memory.trouble(&call.key()) {
        let over = match &trouble.error {
            EngineError::NoSpace(_)
            | EngineError::DigestMismatch(_)
            | EngineError::WrongPlatform(_) => true,
            EngineError::PullFailed(_) | EngineError::Missing(_) | EngineError::StartFailed(_) => {
                trouble.tries > view.timing.pull_retries
            }
            EngineError::Hung | EngineError::Away(_) => false,
        };
        if over {
            return Err(trouble.error.clone());
        }
    }
    if view.has_bad_image(image) {
        return Ok(view.when_due(Call::RemoveImage(image.identity())));
    }
    Ok(view.when_due(call))
}

fn create(view: &View<'_>, transaction: &Transaction, leg: &Leg) -> Step {
    let Some(call) = view.create(&leg.service, &leg.to) else {
        let cause = Cause::new(reason::BAD_CONFIG, "the configuration is not known");
        return Step::Note(settle(view, transaction, Standing::Rejected, &cause, false));
    };
    let Some(error) = view.failure(&call) else { return view.when_due(call) };
    if matches!(error, EngineError::Missing(_)) {
        // The image was removed meanwhile.
        return Step::Note(Change::Advance(Phase::Fetching));
    }
    let reason = match error {
        EngineError::NoSpace(_) => reason::DISK_FULL,
        EngineError::Hung
        | EngineError::Away(_)
        | EngineError::Missing(_)
        | EngineError::PullFailed(_)
        | EngineError::DigestMismatch(_)
        | EngineError::WrongPlatform(_)
        | EngineError::StartFailed(_) => reason::START_FAILED,
    };
    let cause = Cause::new(reason, format!("service `{}`: {error}", leg.service));
    Step::Note(settle(view, transaction, Standing::Failed, &cause, false))
}

fn verdict(error: &EngineError) -> (Standing, &'static str) {
    match error {
        EngineError::WrongPlatform(_) => (Standing::Rejected, reason::WRONG_PLATFORM),
        EngineError::DigestMismatch(_) => (Standing::Failed, reason::DIGEST_MISMATCH),
        EngineError::NoSpace(_) => (Standing::Failed, reason::DISK_FULL),
        EngineError::Hung
        | EngineError::Away(_)
        | EngineError::Missing(_)
        | EngineError::PullFailed(_)
        | EngineError::StartFailed(_) => (Standing::Failed, reason::PULL_FAILED),
    }
}

fn out_of_time(view: &View<'_>, transaction: &Transaction) -> Option<Step> {
    let end = limit(transaction)?;
    (end <= view.now).then(|| {
        let cause = Cause::new(
            reason::TIMED_OUT,
            "the attempt's time was over before the swap; what ran before still runs",
        );
        Step::Note(settle(view, transaction, Standing::Failed, &cause, false))
    })
}

fn limit(transaction: &Transaction) -> Option<Moment> {
    Some(transaction.when(transaction.terms.limit?))
}
