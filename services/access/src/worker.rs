//! What this process does by itself.

use std::convert::Infallible;
use std::time::Duration;

use runtime::process::Process;
use runtime::worker::Worker;
use runtime::{Lifecycle, Wake};

use crate::app::Sources;
use crate::pull::Puller;
use crate::source::Source;
use crate::{App, retention};

/// Starts the workers; they end with the lifecycle.
pub(crate) fn start(app: &App, process: &Process, sources: &Sources) {
    let own = Source::own(app.outbox.clone(), app.pool.clone());
    let peer = |name, address| Source::peer(name, process.connect(address));
    let sources = [
        ("pull-access", own),
        ("pull-registry", peer("registry", &sources.registry)),
        ("pull-approval", peer("approval", &sources.approval)),
        ("pull-rollout", peer("rollout", &sources.rollout)),
    ];
    let lifecycle = &app.lifecycle;
    for (name, source) in sources {
        let puller = Puller {
            pool: app.pool.clone(),
            clock: app.clock.clone(),
            lifecycle: lifecycle.clone(),
            source,
            appended: app.tail.appended.clone(),
        };
        lifecycle.spawn(name, puller.run());
    }
    lifecycle.spawn("tail", app.tail.clone().run(app.pool.clone(), lifecycle.clone()));
    lifecycle.spawn("last-use", note_uses(app.clone(), lifecycle.clone()));
    lifecycle.spawn("retention", sweep(app.clone(), lifecycle.clone()));
}

async fn note_uses(app: App, lifecycle: Lifecycle) -> Result<(), Infallible> {
    let worker = Worker { name: "last-use", wake: Wake::new(), period: Duration::from_secs(60) };
    worker.run(&lifecycle, &app.clock, || app.uses.write(&app.pool)).await;
    if let Err(error) = app.uses.write(&app.pool).await {
        tracing::debug!("the last uses of tokens are not noted: {error}");
    }
    Ok(())
}

async fn sweep(app: App, lifecycle: Lifecycle) -> Result<(), Infallible> {
    let worker =
        Worker { name: "retention", wake: Wake::new(), period: Duration::from_secs(3_600) };
    worker.run(&lifecycle, &app.clock, || retention::sweep(&app)).await;
    Ok(())
}
