//! A rollout for logs: a line for every change, and one every 30 s when nothing changes.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Picture, stage};
use crate::documents::rollout::{Part, Rollout, Tally};
use crate::failure::Result;
use crate::output::{Output, text, time};

/// How long nothing may be said.
const SILENCE: Duration = Duration::from_secs(30);

/// What was said so far.
#[derive(Debug, Default)]
pub struct Lines {
    last: Option<(String, Instant)>,
    told: BTreeSet<(String, u64, String)>,
}

impl Lines {
    /// Prints what changed.
    pub fn show(&mut self, out: &Output, picture: &Picture) -> Result {
        let at = time::clock(picture.now);
        if self.last.is_none() {
            out.say(&format!("{at} {}", head(&picture.rollout)))?;
        }
        for part in &picture.failing {
            let key = (part.device_id.clone(), part.attempt, part.why());
            if self.told.insert(key) {
                out.say(&format!("{at} {}", device(part, picture)))?;
            }
        }
        let line = progress(picture);
        let is_known = self
            .last
            .as_ref()
            .is_some_and(|(last, since)| *last == line && since.elapsed() < SILENCE);
        if !is_known {
            out.say(&format!("{at} {line}"))?;
            self.last = Some((line, Instant::now()));
        }
        Ok(())
    }
}

fn head(rollout: &Rollout) -> String {
    let line = format!(
        "rollout={} image={} devices={}",
        rollout.id,
        rollout.image(),
        rollout.device_count
    );
    text::clean(&line).into_owned()
}

/// How it stands, in words that programs can part.
fn progress(picture: &Picture) -> String {
    let Picture { rollout, now, .. } = picture;
    let next = stage::next(rollout, *now);
    let (word, _) = rollout.word();
    let state = match rollout.status.as_str() {
        "in_progress" if !rollout.goes_back() => String::new(),
        _ => format!(" state={}", word.replace(' ', "-")),
    };
    let line = match stage::current(rollout, *now) {
        Some(_) | None if rollout.goes_back() => {
            format!("restored={}{} next={next}{state}", rollout.tally.reverted, back(rollout.tally))
        }
        Some(batch) => format!("batch={}{} next={next}{state}", batch.number, onward(batch.tally)),
        None => format!("batch=0 next={next}{state}"),
    };
    text::clean(&line).into_owned()
}

fn onward(tally: Tally) -> String {
    let mut line = String::new();
    for (name, count, is_always_told) in [
        ("ok", tally.succeeded, true),
        ("failed", tally.failures(), true),
        ("moving", tally.active + tally.reverting, true),
        ("waiting", tally.queued, true),
        ("deferred", tally.deferred, false),
        ("skipped", tally.skipped, false),
        ("withdrawn", tally.cancelled, false),
        ("restored", tally.reverted, false),
    ] {
        if is_always_told || count > 0 {
            line += &format!(" {name}={count}");
        }
    }
    line
}

fn back(tally: Tally) -> String {
    let untouched = tally.queued + tally.deferred + tally.skipped + tally.cancelled;
    format!(
        " moving={} failed={} untouched={untouched}",
        tally.reverting + tally.active + tally.succeeded,
        tally.failures(),
    )
}

fn device(part: &Part, picture: &Picture) -> String {
    let retry = match part.retry_at {
        Some(at) => format!("; tried again {}", time::until(at, picture.now)),
        None => String::new(),
    };
    let line = format!(
        "device={} batch={} attempt={} failed: {}{retry}",
        part.name(),
        part.batch_number,
        part.attempt,
        part.why()
    );
    text::clean(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::documents::rollout::Batch;

    fn picture(state: &str) -> Picture {
        let tally = Tally {
            succeeded: 204,
            failed: 8,
            active: 41,
            queued: 221,
            deferred: 6,
            ..Tally::default()
        };
        let batch = |number, state: &str, tally| Batch {
            number,
            size: 480,
            state: state.to_owned(),
            tally,
            ..Batch::default()
        };
        let rollout = Rollout {
            status: "in_progress".to_owned(),
            state: state.to_owned(),
            tally,
            batches: vec![
                batch(2, "complete", Tally::default()),
                batch(3, "running", tally),
                batch(4, "waiting", Tally::default()),
            ],
            ..Rollout::default()
        };
        Picture {
            rollout,
            failing: Vec::new(),
            document: serde_json::Value::Null,
            now: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn a_line_tells_the_batch_that_is_on() {
        assert_eq!(
            progress(&picture("running")),
            "batch=3 ok=204 failed=8 moving=41 waiting=221 deferred=6 next=soak"
        );
    }

    #[test]
    fn on_the_way_back_a_line_tells_the_whole_rollout() {
        let mut picture = picture("rolling_back");
        picture.rollout.tally = Tally {
            reverted: 71,
            reverting: 48,
            revert_failed: 1,
            queued: 600,
            ..Tally::default()
        };
        assert_eq!(
            progress(&picture),
            "restored=71 moving=48 failed=1 untouched=600 next=rolled-back state=rolling-back"
        );
    }

    #[test]
    fn a_failing_device_is_told_with_its_reason() {
        let part = Part {
            device_name: "hall-7-0412".to_owned(),
            status: "failed".to_owned(),
            batch_number: 3,
            attempt: 2,
            reason: "PULL_FAILED".to_owned(),
            ..Part::default()
        };
        assert_eq!(
            device(&part, &picture("running")),
            "device=hall-7-0412 batch=3 attempt=2 failed: pull failed"
        );
    }
}
