//! The time of a piece of work.

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Clock;
use tokio::time::Instant;

/// The database's time, read once and carried on by a clock that cannot be set: replicas with wrong
/// clocks agree, and no query is spent on it. With a test's hand-cranked clock, that one's.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    at: DateTime<Utc>,
    since: Instant,
    clock: Clock,
}

impl Moment {
    /// Begins at a time that the database has just told.
    pub(crate) fn new(database: DateTime<Utc>, clock: &Clock) -> Self {
        Self { at: database, since: Instant::now(), clock: clock.clone() }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        if self.clock.is_manual() {
            return self.clock.now();
        }
        self.at + TimeDelta::from_std(self.since.elapsed()).unwrap_or_default()
    }
}
