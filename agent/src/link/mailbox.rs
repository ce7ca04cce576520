//! What lies between the link and the device: the newest of everything, never a queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::rollout::v1 as pb;
use runtime::Problem;
use tokio::sync::Notify;

use crate::machine::SessionTerms;

/// What the link has for the device.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Whether the server can be reported to, when that changed.
    pub session: Option<Option<SessionTerms>>,
    /// Whether the server said anything.
    pub heard: bool,
    /// Whether the server said that the device knows its target.
    pub known: bool,
    /// The newest target that came.
    pub target: Option<pb::TargetState>,
    /// The answer to a report, by its number.
    pub answer: Option<(i64, Result<pb::ReportResponse, Problem>)>,
}

/// What the device has for the link.
#[derive(Debug)]
pub(super) enum Work {
    Report(Box<pb::ReportRequest>),
    Ask,
}

/// What the device has accepted, for the link to say.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) generation: i64,
    pub(super) etag: String,
}

/// The mailbox of one device. Clones are the same mailbox.
#[derive(Debug, Clone, Default)]
pub(super) struct Mailbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    for_device: Notify,
    for_link: Notify,
    plug: Notify,
}

#[derive(Debug, Default)]
struct State {
    inbox: Inbox,
    report: Option<Box<pb::ReportRequest>>,
    ask: bool,
    known: Known,
    unplugged: bool,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what the device will find.
    pub(super) fn deliver(&self, change: impl FnOnce(&mut Inbox)) {
        change(&mut self.lock().inbox);
        self.0.for_device.notify_one();
    }

    /// Delivers a target, unless a newer one lies there.
    pub(super) fn deliver_target(&self, target: pb::TargetState) {
        self.deliver(|inbox| {
            inbox.heard = true;
            let newest = inbox.target.as_ref().map_or(0, |lying| lying.generation);
            if target.generation >= newest {
                inbox.target = Some(target);
            }
        });
    }

    pub(super) fn take_inbox(&self) -> Inbox {
        std::mem::take(&mut self.lock().inbox)
    }

    pub(super) async fn delivered(&self) {
        self.0.for_device.notified().await;
    }

    pub(super) fn post_report(&self, report: pb::ReportRequest) {
        self.lock().report = Some(Box::new(report));
        self.0.for_link.notify_one();
    }

    pub(super) fn post_ask(&self) {
        self.lock().ask = true;
        self.0.for_link.notify_one();
    }

    /// Waits for something to send.
    pub(super) async fn next_work(&self) -> Work {
        loop {
            {
                let mut state = self.lock();
                if let Some(report) = state.report.take() {
                    return Work::Report(report);
                }
                if std::mem::take(&mut state.ask) {
                    return Work::Ask;
                }
            }
            self.0.for_link.notified().await;
        }
    }

    /// Forgets what was to be sent: the connection is gone, and the device will say what is true
    /// then.
    pub(super) fn forget_work(&self) {
        let mut state = self.lock();
        state.report = None;
        state.ask = false;
    }

    pub(super) fn set_known(&self, known: Known) {
        self.lock().known = known;
    }

    pub(super) fn known(&self) -> Known {
        self.lock().known.clone()
    }

    pub(super) fn set_plugged(&self, plugged: bool) {
        self.lock().unplugged = !plugged;
        self.0.plug.notify_one();
    }

    /// Waits until the network is there, or is not.
    pub(super) async fn plugged(&self, plugged: bool) {
        while self.lock().unplugged == plugged {
            self.0.plug.notified().await;
        }
    }
}
