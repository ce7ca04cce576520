//! What an event is good for when it comes. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use imageref::Repository;
use proto::reason;

use crate::finding::{Check, CheckResult, Reason};
use crate::parse::Event;
use crate::receiver::Receiver;

/// The rule about senders, as it is called in checks.
pub(crate) const SENDER: &str = "sender may speak for it";

/// What is to be done with an event that has just come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is decided.
    Evaluate,
    /// It is kept and nothing is decided.
    Observe(Reason),
    /// Its receiver may not speak for it.
    Refuse(Reason),
}

/// Decides what an event is good for.
pub(crate) fn arrived(
    event: &Event,
    receiver: &Receiver,
    now: DateTime<Utc>,
    max_age: Option<TimeDelta>,
) -> (Arrival, Check) {
    let name = receiver.name.as_str();
    if !receiver.may_speak_for(&event.repository) {
        let detail = format!(
            "receiver `{name}` may not speak for `{}`; send it to a receiver whose `registries` and \
             `repositories` hold it",
            event.repository
        );
        let why = Reason::new(reason::SOURCE_NOT_AUTHORISED, detail.clone());
        return (Arrival::Refuse(why), Check::new(SENDER, CheckResult::Fail, detail));
    }
    let sender = sender_speaks(receiver, &event.repository);
    if event.tag.is_none() {
        let why = Reason::new(reason::NO_TAG, "the event names a manifest without a tag");
        return (Arrival::Observe(why), sender);
    }
    if let (Some(at), Some(most)) = (event.occurred_at, max_age)
        && now - at > most
    {
        let why = Reason::new(
            reason::EVENT_TOO_OLD,
            format!(
                "the event is of {}, older than {} h, and is only kept; retry the push to decide it anyway",
                at.format("%Y-%m-%d"),
                most.num_hours()
            ),
        );
        return (Arrival::Observe(why), sender);
    }
    (Arrival::Evaluate, sender)
}

/// The check of a receiver that may speak for a repository.
pub(crate) fn sender_speaks(receiver: &Receiver, repository: &Repository) -> Check {
    let detail = format!("receiver `{}` speaks for `{repository}`", receiver.name);
    Check::new(SENDER, CheckResult::Pass, detail)
}

#[cfg(test)]
mod tests;
