//! The devices on which a release failed.
//!
//! A device that failed goes back, and stands among those that go back because the whole rollout
//! does. What tells them apart is the reason, which only a failure has.

use crate::client::Request;
use crate::documents::rollout::{Batch, Part, Rollout};
use crate::failure::Result;
use crate::session::Session;

/// How many failing devices are read.
const FAILING: usize = 100;
/// How many devices of a batch that went back are looked through for those that failed.
const LOOKED_THROUGH: usize = 1_000;
/// Where a device that failed can stand, with how many of those are read.
const STANDS: [(&str, usize); 3] =
    [("failed", FAILING), ("reverting", LOOKED_THROUGH), ("rolled_back", LOOKED_THROUGH)];

/// The failing devices of a rollout, the first of them, whether or not they have gone back.
pub async fn failing(session: &Session, rollout: &Rollout) -> Result<Vec<Part>> {
    let mut failing = Vec::new();
    for batch in rollout.batches.iter().filter(|batch| batch.tally.failures() > 0) {
        if failing.len() >= FAILING {
            break;
        }
        failing.extend(failing_of(session, &rollout.id, batch).await?);
    }
    failing.truncate(FAILING);
    Ok(failing)
}

async fn failing_of(session: &Session, id: &str, batch: &Batch) -> Result<Vec<Part>> {
    let mut failing = Vec::new();
    for (status, limit) in STANDS {
        if failing.len() as u64 >= batch.tally.failures() {
            break;
        }
        let request = Request::get(["rollouts", id, "devices"])
            .query("status", status)
            .query("batch", batch.number.to_string());
        let parts: Vec<Part> = session.api.list(request, "devices", limit).await?.read_items()?;
        failing.extend(parts.into_iter().filter(Part::has_failed));
    }
    Ok(failing)
}
