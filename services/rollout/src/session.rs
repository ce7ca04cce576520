//! The streams that this replica holds: one slot per device, the newest target wins.
//!
//! What is put into a slot is only the newest word, never a queue: a device that reads slowly, or
//! whose target changes often, costs no memory and misses nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::rollout::v1::TargetState;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A newer stream of the same device took its place.
    Superseded,
    /// The device's credentials were ended.
    Revoked,
    /// The process ends.
    Draining,
}

/// What a stream has to say.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// The newest target.
    pub target: Option<Arc<TargetState>>,
    /// That it ends.
    pub end: Option<End>,
}

struct Slot {
    epoch: i64,
    /// The generation last put in, so that a late writer does not bring an older one.
    generation: i64,
    mail: watch::Sender<Mail>,
}

/// The streams of this replica.
#[derive(Clone)]
pub struct Sessions {
    slots: Arc<Mutex<HashMap<Uuid, Slot>>>,
    closed: mpsc::UnboundedSender<(Uuid, i64)>,
}

/// One stream's end of its slot. Dropping it closes the session.
pub struct Session {
    /// The device.
    pub device: Uuid,
    /// The epoch.
    pub epoch: i64,
    /// What there is to say.
    pub mail: watch::Receiver<Mail>,
    sessions: Sessions,
}

impl Sessions {
    /// Makes an empty set. Closed sessions are told to the receiver.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<(Uuid, i64)>) {
        let (closed, receiver) = mpsc::unbounded_channel();
        (Self { slots: Arc::default(), closed }, receiver)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Uuid, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a slot; an older stream of the same device ends.
    #[must_use]
    pub fn open(&self, device: Uuid, epoch: i64, generation: i64) -> Session {
        let (sender, mail) = watch::channel(Mail::default());
        let mut slots = self.slots();
        match slots.get(&device) {
            Some(newer) if newer.epoch > epoch => end(&sender, End::Superseded),
            Some(_) | None => {
                let slot = Slot { epoch, generation, mail: sender };
                if let Some(older) = slots.insert(device, slot) {
                    end(&older.mail, End::Superseded);
                }
            }
        }
        metrics::gauge!("device_streams_open").set(count(slots.len()));
        Session { device, epoch, mail, sessions: self.clone() }
    }

    /// Puts targets into the slots of the devices that have one here.
    pub fn deliver(&self, targets: impl IntoIterator<Item = TargetState>) {
        let slots = &mut *self.slots();
        for target in targets {
            let Some(slot) =
                Uuid::try_parse(&target.device_id).ok().and_then(|id| slots.get_mut(&id))
            else {
                continue;
            };
            if target.generation > slot.generation {
                slot.generation = target.generation;
                let target = Arc::new(target);
                slot.mail.send_modify(|mail| mail.target = Some(target));
            }
        }
    }

    /// Ends the stream of a device, when it is older than `epoch` or `why` is not about epochs.
    pub fn end(&self, device: Uuid, epoch: i64, why: End) {
        let slots = self.slots();
        if let Some(slot) = slots.get(&device)
            && (why != End::Superseded || slot.epoch < epoch)
        {
            end(&slot.mail, why);
        }
    }

    /// Ends every stream: the process ends. Returns how many there were.
    pub fn drain(&self) -> usize {
        let slots = self.slots();
        for slot in slots.values() {
            end(&slot.mail, End::Draining);
        }
        slots.len()
    }

    /// Of these devices and generations, those that a stream here has not been told.
    #[must_use]
    pub fn behind(&self, targets: &[(Uuid, i64)]) -> Vec<Uuid> {
        let slots = self.slots();
        targets
            .iter()
            .filter(|(device, generation)| {
                slots.get(device).is_some_and(|slot| slot.generation < *generation)
            })
            .map(|(device, _)| *device)
            .collect()
    }

    /// The devices that have a stream here.
    #[must_use]
    pub fn devices(&self) -> Vec<Uuid> {
        self.slots().keys().copied().collect()
    }

    fn close(&self, device: Uuid, epoch: i64) {
        let mut slots = self.slots();
        if slots.get(&device).is_some_and(|slot| slot.epoch == epoch) {
            slots.remove(&device);
        }
        metrics::gauge!("device_streams_open").set(count(slots.len()));
        // The receiver is gone only when the process ends.
        let _ = self.closed.send((device, epoch));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.close(self.device, self.epoch);
    }
}

fn end(mail: &watch::Sender<Mail>, why: End) {
    mail.send_modify(|mail| mail.end = mail.end.or(Some(why)));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of streams is exact far beyond any fleet")]
fn count(streams: usize) -> f64 {
    streams as f64
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sessions({})", self.slots().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(device: Uuid, generation: i64) -> TargetState {
        TargetState { device_id: device.to_string(), generation, ..TargetState::default() }
    }

    #[test]
    fn the_newest_target_wins_and_a_late_one_is_dropped() {
        let (sessions, _closed) = Sessions::new();
        let device = Uuid::from_u128(1);
        let session = sessions.open(device, 1, 4);
        sessions.deliver([target(device, 6)]);
        sessions.deliver([target(device, 5)]);
        let mail = session.mail.borrow();
        assert_eq!(mail.target.as_ref().map(|target| target.generation), Some(6));
    }

    #[test]
    fn a_newer_stream_ends_the_older_and_its_late_close_changes_nothing() {
        let (sessions, mut closed) = Sessions::new();
        let device = Uuid::from_u128(1);
        let older = sessions.open(device, 1, 0);
        let newer = sessions.open(device, 2, 0);
        assert_eq!(older.mail.borrow().end, Some(End::Superseded));
        drop(older);
        assert_eq!(sessions.devices(), [device]);
        sessions.deliver([target(device, 1)]);
        assert!(newer.mail.borrow().target.is_some());
        assert_eq!(closed.try_recv().ok(), Some((device, 1)));

        let late = sessions.open(device, 1, 0);
        assert_eq!(late.mail.borrow().end, Some(End::Superseded), "an older epoch comes too late");
        assert_eq!(newer.mail.borrow().end, None);
    }

    #[test]
    fn only_streams_that_are_behind_are_named() {
        let (sessions, _closed) = Sessions::new();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let _one = sessions.open(one, 1, 3);
        let _two = sessions.open(two, 1, 3);
        let elsewhere = Uuid::from_u128(3);
        assert_eq!(sessions.behind(&[(one, 3), (two, 4), (elsewhere, 9)]), [two]);
    }
}
