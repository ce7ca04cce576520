//! What Slipway costs, each figure beside the limit it is compared with, in one run:
//!
//! ```sh
//! cargo bench --bench slipway
//! cargo bench --bench slipway -- reports fan-out
//! ```
//!
//! The processes are the real ones, on a durable Postgres of their own; load and devices run in this
//! process, on the same machine. `docs/PERFORMANCE.md` keeps what was measured.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

mod device;
mod devices;
mod figures;
mod raw;
mod webhooks;

use testbed::{Database, Processes};

/// The measurements by name.
const NAMES: [&str; 6] = ["webhooks", "commit", "streams", "reports", "fan-out", "batches"];

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|name| name != "--bench").collect();
    if let Some(unknown) = asked.iter().find(|name| !NAMES.contains(&name.as_str())) {
        eprintln!("there is no measurement `{unknown}`; there are: {}", NAMES.join(", "));
        std::process::exit(64);
    }
    let wants = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let slipway = start().await;
        if wants("webhooks") {
            webhooks::measure(&slipway).await;
        }
        if wants("commit") {
            devices::commit_to_device(&slipway).await;
        }
        if wants("batches") {
            devices::report_to_next_batch(&slipway).await;
        }
        if ["streams", "reports", "fan-out"].into_iter().any(wants) {
            devices::at_scale(&slipway, wants("reports"), wants("fan-out")).await;
        }
    });
}

/// The processes with every limit out of the way that only protects.
async fn start() -> Processes {
    let database = Database::with_own_server().await;
    let raised = [
        ("approval", "APPROVAL_RECEIVER_RATE", "1000000"),
        ("approval", "APPROVAL_RECEIVER_BURST", "1000000"),
        ("rollout", "ROLLOUT_CONNECTS_PER_SECOND", "100000"),
        // As `slipway up` sets it.
        ("rollout", "_RJEM_MALLOC_CONF", "narenas:2,dirty_decay_ms:2000,muzzy_decay_ms:0"),
        ("approval", "APPROVAL_LOG", "warn"),
        ("rollout", "ROLLOUT_LOG", "warn"),
        ("registry", "REGISTRY_LOG", "warn"),
        ("access", "ACCESS_LOG", "warn"),
        ("gateway", "GATEWAY_LOG", "warn"),
    ];
    Processes::start_on(database, env!("CARGO_BIN_EXE_slipway"), &raised).await
}
