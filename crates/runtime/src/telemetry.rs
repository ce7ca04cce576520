//! Logs and traces.
//!
//! Logs go to standard error, for people or as JSON lines. Spans go to an OTLP collector when one is
//! named; without one no trace is made, and one that came in is handed on as it is.

use std::io::IsTerminal as _;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::args::{LogFormat, TelemetryArgs};

/// Keeps telemetry running; the last spans are sent when it is dropped.
#[must_use = "spans that are still waiting are lost when this is dropped too early"]
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Why telemetry does not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("--log `{0}` is no log filter; use for instance `info` or `info,approval=debug`")]
    Filter(String),
    /// The collector's address cannot be used.
    #[error("--otlp-endpoint `{0}` cannot be used: {1}")]
    Endpoint(String, String),
}

impl Telemetry {
    /// Starts logs and traces for the whole process. Called once, inside the tokio runtime.
    ///
    /// # Errors
    ///
    /// When the filter or the collector's address is wrong.
    pub fn start(service: &'static str, args: &TelemetryArgs) -> Result<Self, TelemetryError> {
        let filter = EnvFilter::try_new(&args.log)
            .map_err(|_| TelemetryError::Filter(args.log.clone()))?
            .add_directive("opentelemetry=warn".parse().expect("a fixed directive"));
        let provider = args
            .otlp_endpoint
            .as_deref()
            .map(|endpoint| tracer_provider(service, endpoint))
            .transpose()?;
        let spans = provider
            .as_ref()
            .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("slipway")))
            // What is logged and what is traced are two questions.
            .map(|spans| spans.with_filter(LevelFilter::INFO));
        let ansi = std::io::stderr().is_terminal();
        let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        let logs = match args.log_format {
            LogFormat::Pretty => logs.with_ansi(ansi).boxed(),
            LogFormat::Json => logs.json().flatten_event(true).with_current_span(true).boxed(),
        };
        // A process starts its telemetry once; in tests the first one wins.
        let _ =
            tracing_subscriber::registry().with(spans).with(logs.with_filter(filter)).try_init();
        Ok(Self(provider))
    }

    /// Sends the spans that are still waiting.
    pub fn flush(&self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.force_flush()
        {
            tracing::warn!("the last spans could not be sent: {error}");
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            let _ = provider.shutdown();
        }
    }
}

fn tracer_provider(service: &str, endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| TelemetryError::Endpoint(endpoint.to_owned(), error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name(format!("slipway-{service}"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}
