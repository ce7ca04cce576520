//! How attempts ended, kept until the server has heard it.
//!
//! What runs is reported anew each time; only an end that a newer target has overtaken would be
//! lost. It is kept here: little, since a device may stay offline for long, and the newest of each
//! attempt, since an older one says nothing more.

use serde::{Deserialize, Serialize};

use crate::row::Row;
use crate::target::AttemptKey;

/// The most entries.
pub const MAX_ENTRIES: usize = 64;
/// The most bytes of all entries together, as they are stored.
pub const MAX_BYTES: usize = 64 * 1024;

/// Ends of attempts, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    entries: Vec<Ending>,
    dropped: i32,
}

/// How an attempt ended on the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// The attempt.
    pub attempt: AttemptKey,
    /// Its services, as they stood then.
    pub rows: Vec<Row>,
    /// `traceparent` of the target it was about.
    pub traceparent: String,
}

impl Outbox {
    /// Adds an end in place of an older one of the same attempt. What is too much goes, oldest
    /// first, and is counted.
    pub fn push(&mut self, ending: Ending) {
        self.entries.retain(|entry| entry.attempt != ending.attempt);
        self.entries.push(ending);
        while self.entries.len() > MAX_ENTRIES
            || (self.entries.len() > 1 && self.size() > MAX_BYTES)
        {
            self.entries.remove(0);
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// The oldest end.
    #[must_use]
    pub fn first(&self) -> Option<&Ending> {
        self.entries.first()
    }

    /// How many ends wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Says whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many were dropped and not yet told.
    #[must_use]
    pub fn dropped(&self) -> i32 {
        self.dropped
    }

    /// The attempts whose end a report with these rows tells.
    #[must_use]
    pub fn told_by(&self, rows: &[Row]) -> Vec<AttemptKey> {
        let is_told = |said: &Row| {
            rows.iter().any(|row| {
                row.service == said.service
                    && row.attempt == said.attempt
                    && row.standing == said.standing
            })
        };
        let told = self.entries.iter().filter(|entry| entry.rows.iter().all(is_told));
        told.map(|entry| entry.attempt.clone()).collect()
    }

    /// Forgets an end that the server has heard, and as many dropped ones as it was told of.
    /// Returns whether anything changed.
    pub fn settle(&mut self, attempts: &[AttemptKey], dropped: i32) -> bool {
        let before = (self.entries.len(), self.dropped);
        self.entries.retain(|entry| !attempts.contains(&entry.attempt));
        self.dropped = (self.dropped - dropped).max(0);
        before != (self.entries.len(), self.dropped)
    }

    fn size(&self) -> usize {
        self.entries.iter().map(Ending::size).sum()
    }
}

impl Ending {
    fn size(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Standing;

    fn ending(rollout: usize, message_bytes: usize) -> Ending {
        let attempt = AttemptKey { rollout: format!("r{rollout}"), number: 1 };
        let row = Row {
            service: "web".to_owned(),
            reference: "docker.io/library/redis:7".to_owned(),
            digest: String::new(),
            release_id: String::new(),
            standing: Standing::Failed,
            healthy: false,
            reason: proto::reason::PULL_FAILED.to_owned(),
            message: "x".repeat(message_bytes),
            attempt: Some(attempt.clone()),
            progress: 0,
            restarts: 0,
        };
        Ending { attempt, rows: vec![row], traceparent: String::new() }
    }

    #[test]
    fn two_hundred_changes_offline_leave_the_newest_and_a_count() {
        let mut outbox = Outbox::default();
        (0..200).for_each(|rollout| outbox.push(ending(rollout, 10)));
        assert_eq!((outbox.len(), outbox.dropped()), (MAX_ENTRIES, 200 - 64));
        assert_eq!(outbox.first().map(|first| first.attempt.rollout.as_str()), Some("r136"));
    }

    #[test]
    fn long_messages_never_make_it_larger_than_it_may_be() {
        let mut outbox = Outbox::default();
        (0..64).for_each(|rollout| outbox.push(ending(rollout, 4_000)));
        assert!(outbox.size() <= MAX_BYTES && outbox.len() > 10);
        assert_eq!(outbox.len() + usize::try_from(outbox.dropped()).unwrap(), 64);
    }

    #[test]
    fn the_newest_end_of_an_attempt_wins() {
        let mut outbox = Outbox::default();
        outbox.push(ending(1, 1));
        outbox.push(ending(2, 1));
        outbox.push(ending(1, 9));
        assert_eq!((outbox.len(), outbox.dropped()), (2, 0));
        assert_eq!(outbox.entries[1].rows[0].message.len(), 9);
    }

    #[test]
    fn what_the_server_has_heard_is_forgotten() {
        let mut outbox = Outbox::default();
        (0..70).for_each(|rollout| outbox.push(ending(rollout, 1)));
        let heard = outbox.first().unwrap().attempt.clone();
        assert!(outbox.settle(std::slice::from_ref(&heard), 6));
        assert_eq!((outbox.len(), outbox.dropped()), (63, 0));
        assert!(!outbox.settle(&[heard], 0));
    }
}
