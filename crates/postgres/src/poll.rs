//! Waiting for something that tells nobody: asked again and again, with an end.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer or `timeout` has passed; asks at least once.
pub(crate) fn until<T>(timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// Waits for the end of a child, and kills it when it takes longer than `timeout`.
pub(crate) fn exit(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let status = until(timeout, || child.try_wait().ok().flatten());
    if status.is_none() {
        // Both fail only for a child that has ended in between.
        let _ = child.kill();
        let _ = child.wait();
    }
    status
}
