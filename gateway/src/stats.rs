//! The figures of this process that `GET /api/v1/metrics` shows.
//!
//! Prometheus reads finer ones on a port of its own; these are few and cost an atomic each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the latency buckets grow by a fifth each, from 0.1 ms to about 80 s.
const BUCKETS: usize = 75;
const FIRST_BOUND: f64 = 0.000_1;
const GROWTH: f64 = 1.2;

/// Counts answered requests and how long they took.
#[derive(Debug)]
pub struct Stats {
    success: AtomicU64,
    errors: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// The figures at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Answered with less than 400.
    pub success: u64,
    /// Answered with 400 or more.
    pub errors: u64,
    /// The mean latency, in milliseconds.
    pub mean_ms: f64,
    /// What 95 of 100 requests stayed below, in milliseconds, exact to a fifth.
    pub p95_ms: f64,
    /// What 99 of 100 requests stayed below.
    pub p99_ms: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            success: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            micros: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Stats {
    /// Counts an answer.
    pub fn record(&self, status: u16, took: Duration) {
        let counter = if status < 400 { &self.success } else { &self.errors };
        counter.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        let bound = (0..BUCKETS - 1).find(|index| took.as_secs_f64() <= bound(*index));
        self.buckets[bound.unwrap_or(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// The figures now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let success = self.success.load(Ordering::Relaxed);
        let errors = self.errors.load(Ordering::Relaxed);
        let counts: Vec<u64> =
            self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let micros = self.micros.load(Ordering::Relaxed);
        let mean_ms = if total == 0 { 0.0 } else { micros as f64 / total as f64 / 1_000.0 };
        Figures {
            success,
            errors,
            mean_ms: rounded(mean_ms),
            p95_ms: quantile(&counts, total, 0.95),
            p99_ms: quantile(&counts, total, 0.99),
        }
    }
}

fn bound(index: usize) -> f64 {
    FIRST_BOUND * GROWTH.powi(i32::try_from(index).unwrap_or(i32::MAX))
}

fn quantile(counts: &[u64], total: u64, share: f64) -> f64 {
    let wanted = (total as f64 * share).ceil() as u64;
    let mut seen = 0;
    for (index, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= wanted && seen > 0 {
            return rounded(bound(index) * 1_000.0);
        }
    }
    0.0
}

fn rounded(millis: f64) -> f64 {
    (millis * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_a_fifth() {
        let stats = Stats::default();
        for millis in 1..=100 {
            stats.record(if millis > 90 { 500 } else { 200 }, Duration::from_millis(millis));
        }
        let figures = stats.figures();
        assert_eq!((figures.success, figures.errors, figures.mean_ms), (90, 10, 50.5));
        assert!((95.0..=95.0 * GROWTH).contains(&figures.p95_ms), "{figures:?}");
        assert!((99.0..=99.0 * GROWTH).contains(&figures.p99_ms), "{figures:?}");
    }

    #[test]
    fn without_requests_there_are_no_latencies() {
        let figures = Stats::default().figures();
        assert_eq!((figures.success, figures.mean_ms, figures.p99_ms), (0, 0.0, 0.0));
    }

    #[test]
    fn what_takes_for_ever_is_counted_too() {
        let stats = Stats::default();
        stats.record(200, Duration::from_secs(3_600));
        assert!(stats.figures().p95_ms > 60_000.0);
    }
}
