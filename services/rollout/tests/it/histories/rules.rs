//! What must always hold.

use super::*;

impl World {
    pub(super) fn check_batch_may_start(&self, number: u32) {
        let Some(before) = number.checked_sub(2).map(|index| &self.batches[index as usize]) else {
            return;
        };
        let promoted = self.batches[number as usize - 1].promoted_at.is_some();
        let tally = before.tally;
        assert_eq!(tally.queued, 0, "the batch before was sent");
        let completed = before.completed_at.expect("the batch before is complete");
        if promoted {
            return;
        }
        assert!(!before.manual_gate, "nobody opened the gate");
        assert!(completed + before.soak <= self.now, "the batch before has not soaked");
        // What it gave to earlier batches speaks there.
        let begun = &self.batches[..number as usize - 1];
        let planned: u32 = begun.iter().map(|batch| batch.size).sum();
        assert!(plan::total(begun).devices() >= planned, "devices only move to earlier batches");
        let speaking = before.size.min(tally.devices()).saturating_sub(tally.left_out());
        let needed = if speaking == 0 { 0 } else { speaking.min(5) };
        assert!(tally.succeeded >= needed, "{} of {needed} show that it works", tally.succeeded);
    }

    pub(super) fn check_end(&self, state: State) {
        let all = plan::total(&self.batches);
        let carried = |state: &str| {
            let release = self.release();
            let carries = |device: &Device| device.target.services[0].runs.is(&release);
            assert!(!self.devices.iter().any(carries), "{state}, and a device keeps the release");
        };
        match state {
            State::Succeeded => {
                assert_eq!(all.active + all.queued + all.returning, 0, "somebody is still moving");
                assert!(all.succeeded + all.failures() > 0 || all.deferred == 0, "nobody had it");
            }
            State::RolledBack => {
                assert_eq!(all.succeeded + all.active + all.queued + all.returning, 0);
                assert_eq!(all.revert_failed, 0);
                carried("rolled back");
            }
            State::RollbackIncomplete => assert!(all.revert_failed > 0),
            State::Cancelled if self.rollout.cancel_reverts => carried("cancelled"),
            _ => {}
        }
    }

    pub(super) fn check(&mut self) {
        self.count();
        let all = plan::total(&self.batches);
        assert_eq!(all.devices(), self.rollout.device_count, "sizes add up");
        assert!(
            all.in_flight() <= self.rollout.max_in_flight(),
            "{} in flight, {} allowed",
            all.in_flight(),
            self.rollout.max_in_flight()
        );
        assert_eq!(self.wrong_offers, 0, "nothing is sent after a trip");
        if matches!(self.rollout.state, State::Running | State::Settling) {
            let tripped = plan::trip(&self.view());
            assert_eq!(tripped, None, "it has to stop, and goes on");
        }
        if let Some(ended) = self.terminal {
            assert_eq!(self.rollout.state, ended, "terminal is final");
        }
        if self.rollout.state.is_terminal() {
            self.terminal = Some(self.rollout.state);
        }
        for pair in self.batches.windows(2) {
            if pair[1].started_at.is_some() {
                assert!(pair[0].completed_at.is_some() || pair[1].promoted_at.is_some());
            }
        }
        for (seat, device) in self.seats.iter().zip(&self.devices) {
            let carries = device.target.services[0].runs.is(&self.release());
            if matches!(seat.try_.state, Try::Cancelled | Try::Superseded | Try::Reverting) {
                assert!(!carries, "{:?} keeps the release", seat.try_.state);
            }
            if seat.try_.state == Try::Succeeded {
                assert!(carries, "an updated device lost the release");
            }
        }
    }
}
