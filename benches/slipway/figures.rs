//! How figures are taken and shown.

use std::time::Duration;

/// Durations, of which percentiles are asked.
#[derive(Debug, Default)]
pub struct Durations(Vec<Duration>);

impl Durations {
    /// Sorts them.
    pub fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// The duration that this share of them, 0 to 1, does not exceed.
    pub fn at(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index below the length"
        )]
        let index = (share * self.0.len().saturating_sub(1) as f64).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }

    /// Median, 99th percentile and the longest, for people.
    pub fn shown(&self) -> String {
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| shown(self.at(share)));
        format!("p50 {p50}, p99 {p99}, max {most}")
    }
}

/// A duration in milliseconds.
pub fn shown(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

/// How many a second.
pub fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64()
}

/// One line of the report.
pub fn line(what: &str, figure: &str) {
    println!("  {what:<44} {figure}");
}

/// The head of a measurement.
pub fn head(what: &str, goal: &str) {
    println!("\n{what}  (goal: {goal})");
}
