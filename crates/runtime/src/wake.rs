//! A signal that carries nothing: something may have changed, look again.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes who waits. A signal sent while nobody waits is kept for the next one; many are one.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Makes a signal that nobody has sent yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the one who waits, or the next who will.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for a signal.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}
