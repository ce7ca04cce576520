//! Metrics, on a listener of their own.
//!
//! Names follow Prometheus: base units, `_total` for counters. No label ever holds an image, a tag
//! or a device.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::Lifecycle;

const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The text of all metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts recording for the whole process. `None` when something else records already, as in a
    /// test that runs several services in one process.
    #[must_use]
    pub fn start() -> Option<Self> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .expect("the buckets are not empty")
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        Some(Self(handle))
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Serves `GET /metrics`, and `GET /live` for supervisors that speak no gRPC.
    ///
    /// # Errors
    ///
    /// When the listener breaks.
    pub async fn serve(self, listener: TcpListener, lifecycle: Lifecycle) -> std::io::Result<()> {
        let upkeep = tokio::spawn({
            let metrics = self.clone();
            async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    metrics.0.run_upkeep();
                }
            }
        });
        let router = Router::new()
            .route("/metrics", get(move || std::future::ready(self.render())))
            .route("/live", get(|| std::future::ready("live\n")));
        let stop = lifecycle.soft_token();
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await;
        upkeep.abort();
        served
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}
