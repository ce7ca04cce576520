//! Turns within one process: who waits for a lane waits in line here, so that only the first in line
//! asks the database again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Line = tokio::sync::Mutex<()>;

/// One line for each lane in which somebody works or waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes(Arc<Mutex<HashMap<String, Weak<Line>>>>);

/// Lines that nobody stands in are forgotten when there are more than this.
const REMEMBERED: usize = 1_000;

impl Lanes {
    /// Waits for a turn, first come, first served.
    pub(crate) async fn turn(&self, lane: &str) -> OwnedMutexGuard<()> {
        self.line(lane).lock_owned().await
    }

    /// Takes the turn when nobody has it.
    pub(crate) fn try_turn(&self, lane: &str) -> Option<OwnedMutexGuard<()>> {
        self.line(lane).try_lock_owned().ok()
    }

    fn line(&self, lane: &str) -> Arc<Line> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(lane).and_then(Weak::upgrade) {
            return line;
        }
        if lines.len() >= REMEMBERED {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let line = Arc::new(Line::new(()));
        lines.insert(lane.to_owned(), Arc::downgrade(&line));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_works_in_a_lane_and_others_are_free() {
        let lanes = Lanes::default();
        let turn = lanes.turn("a").await;
        assert!(lanes.try_turn("a").is_none());
        assert!(lanes.try_turn("b").is_some());
        drop(turn);
        assert!(lanes.try_turn("a").is_some());
    }

    #[test]
    fn lines_that_nobody_stands_in_are_forgotten() {
        let lanes = Lanes::default();
        let kept = lanes.try_turn("kept");
        for lane in 0..3 * REMEMBERED {
            let _ = lanes.try_turn(&lane.to_string());
        }
        assert!(lanes.0.lock().unwrap().len() <= REMEMBERED);
        assert!(kept.is_some() && lanes.try_turn("kept").is_none());
    }
}
