//! Watching a rollout: as it is, then after every change, until it has ended.

use std::time::Duration;

use proto::rollout::v1 as pb;
use tokio::sync::mpsc;
use tonic::Status;

use super::rollouts::{load, picture};
use crate::app::App;
use crate::assignment::State as Try;
use crate::convert;
use crate::error::Error;
use crate::rollout::RolloutId;
use crate::store::{self};

/// Frames come at most so often.
const PACE: Duration = Duration::from_millis(200);
/// Another replica may have driven it: look again.
const PERIOD: Duration = Duration::from_secs(1);
/// The most failing devices a frame names.
const FAILING: i64 = 100;

/// What a watcher receives.
pub type Sender = mpsc::Sender<Result<pb::WatchRolloutResponse, Status>>;

/// Sends frames until the rollout has ended, the watcher leaves or the process stops.
pub async fn watch(app: &App, id: RolloutId, sender: Sender) {
    if let Err(error) = send_frames(app, id, &sender).await {
        let _ = sender.send(Err(error.into())).await;
    }
}

async fn send_frames(app: &App, id: RolloutId, sender: &Sender) -> Result<(), Error> {
    let mut changes = app.rollout_changes();
    let mut last = None;
    loop {
        changes.mark_unchanged();
        let (frame, ended) = frame(app, id).await?;
        if last.as_ref() != Some(&frame) {
            last = Some(frame.clone());
            if sender.send(Ok(frame)).await.is_err() {
                return Ok(());
            }
        }
        if ended {
            return Ok(());
        }
        tokio::select! {
            () = app.lifecycle.stopping() => return Ok(()),
            () = sender.closed() => return Ok(()),
            () = tokio::time::sleep(PERIOD) => {}
            _ = changes.changed() => tokio::time::sleep(PACE).await,
        }
    }
}

async fn frame(app: &App, id: RolloutId) -> Result<(pb::WatchRolloutResponse, bool), Error> {
    let look = load(app, id).await?;
    let bad = [
        Try::Failed,
        Try::TimedOut,
        Try::Rejected,
        Try::Reverting,
        Try::Reverted,
        Try::RevertFailed,
    ];
    let mut db = app.pool.acquire().await?;
    let (failing, _) = store::assignment::list(&mut db, id, &bad, None, None, FAILING).await?;
    let frame = pb::WatchRolloutResponse {
        rollout: Some(picture(&look)),
        failing: failing.iter().map(convert::assignment_to_pb).collect(),
    };
    Ok((frame, look.rollout.state.is_terminal()))
}
