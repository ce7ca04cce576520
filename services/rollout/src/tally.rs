//! How devices stand, counted.

use std::ops::AddAssign;

use crate::assignment::{Standing, State};

/// The devices of a batch, or of a rollout, by how they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Not sent.
    pub queued: u32,
    /// Sent and not decided, and those that wait for their next try.
    pub active: u32,
    /// Of the active ones, those that wait for their next try: nothing moves there.
    pub waiting: u32,
    /// Works.
    pub succeeded: u32,
    /// Does not work, wherever the device is on its way back.
    pub failed: u32,
    /// Put off.
    pub deferred: u32,
    /// Left out.
    pub skipped: u32,
    /// Withdrawn or superseded.
    pub cancelled: u32,
    /// Goes back although it worked.
    pub reverting: u32,
    /// Went back although it worked.
    pub reverted: u32,
    /// Could not go back.
    pub revert_failed: u32,
    /// Of the failed and reverting ones, those that are still on their way back.
    pub returning: u32,
    /// Failures that nobody has acknowledged by resuming.
    pub fresh_failures: u32,
}

impl Tally {
    /// Counts devices of one state.
    pub fn add(&mut self, state: State, failed: bool, attempt: i32, fresh: bool, count: u32) {
        let place = match state.standing(failed) {
            Standing::Queued if attempt > 1 => {
                self.waiting += count;
                &mut self.active
            }
            Standing::Queued => &mut self.queued,
            Standing::Active => &mut self.active,
            Standing::Succeeded => &mut self.succeeded,
            Standing::Failed => &mut self.failed,
            Standing::Deferred => &mut self.deferred,
            Standing::Skipped => &mut self.skipped,
            Standing::Cancelled => &mut self.cancelled,
            Standing::Reverting => &mut self.reverting,
            Standing::Reverted => &mut self.reverted,
            Standing::RevertFailed => &mut self.revert_failed,
        };
        *place += count;
        if state == State::Reverting {
            self.returning += count;
        }
        if failed && fresh {
            self.fresh_failures += count;
        }
    }

    /// All devices.
    #[must_use]
    pub fn devices(&self) -> u32 {
        self.queued
            + self.active
            + self.succeeded
            + self.failed
            + self.deferred
            + self.skipped
            + self.cancelled
            + self.reverting
            + self.reverted
            + self.revert_failed
    }

    /// F of the advance rule: devices on which the release failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failed + self.revert_failed
    }

    /// K of the advance rule: devices that say nothing about the release.
    #[must_use]
    pub fn left_out(&self) -> u32 {
        self.skipped + self.cancelled
    }

    /// E of the advance rule: devices that are expected to say something.
    #[must_use]
    pub fn expected(&self) -> u32 {
        self.devices() - self.left_out() - self.deferred
    }

    /// Devices that move forward now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.active - self.waiting
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.queued += other.queued;
        self.active += other.active;
        self.waiting += other.waiting;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.deferred += other.deferred;
        self.skipped += other.skipped;
        self.cancelled += other.cancelled;
        self.reverting += other.reverting;
        self.reverted += other.reverted;
        self.revert_failed += other.revert_failed;
        self.returning += other.returning;
        self.fresh_failures += other.fresh_failures;
    }
}
