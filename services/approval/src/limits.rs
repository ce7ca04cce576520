//! How fast receivers may be sent to, and how often an address may fail.
//!
//! Buckets live in the memory of one process: with several replicas each has its own.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::receiver::ReceiverId;

/// How fast, and how much at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Sustained, per second.
    pub per_second: f64,
    /// At once.
    pub burst: f64,
}

/// What is kept of one key: how full its bucket was, and when.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: DateTime<Utc>,
}

/// Token buckets by key.
#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    buckets: Mutex<HashMap<K, Bucket>>,
}

/// More keys than this are not remembered at once; full buckets make room first.
const CAPACITY: usize = 10_000;

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// How long it takes until there is one.
    fn take(&self, key: K, now: DateTime<Utc>) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CAPACITY {
            buckets.retain(|_, bucket| self.filled(bucket, now) < self.rate.burst);
        }
        let full = Bucket { tokens: self.rate.burst, at: now };
        let tokens = self.filled(buckets.get(&key).unwrap_or(&full), now);
        let left = if tokens >= 1.0 { tokens - 1.0 } else { tokens };
        if buckets.len() < CAPACITY || buckets.contains_key(&key) {
            buckets.insert(key, Bucket { tokens: left, at: now });
        }
        if tokens >= 1.0 { Ok(()) } else { Err(self.until_one(tokens)) }
    }

    /// Says whether a token is left, without taking it.
    fn check(&self, key: &K, now: DateTime<Utc>) -> Result<(), Duration> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = buckets.get(key).map_or(self.rate.burst, |bucket| self.filled(bucket, now));
        if tokens >= 1.0 { Ok(()) } else { Err(self.until_one(tokens)) }
    }

    fn filled(&self, bucket: &Bucket, now: DateTime<Utc>) -> f64 {
        let passed = (now - bucket.at).to_std().unwrap_or_default().as_secs_f64();
        (bucket.tokens + passed * self.rate.per_second).min(self.rate.burst)
    }

    fn until_one(&self, tokens: f64) -> Duration {
        Duration::try_from_secs_f64((1.0 - tokens) / self.rate.per_second)
            .unwrap_or(Duration::from_secs(60))
    }
}

/// The limits of all receivers.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    deliveries: Arc<Buckets<ReceiverId>>,
    failures: Arc<Buckets<IpAddr>>,
}

impl Limits {
    pub(crate) fn new(deliveries: Rate, failures: Rate) -> Self {
        Self {
            deliveries: Arc::new(Buckets::new(deliveries)),
            failures: Arc::new(Buckets::new(failures)),
        }
    }

    /// Counts a delivery to a receiver.
    ///
    /// # Errors
    ///
    /// How long to wait.
    pub(crate) fn deliver(&self, receiver: ReceiverId, now: DateTime<Utc>) -> Result<(), Duration> {
        self.deliveries.take(receiver, now)
    }

    /// Whether an address has failed too often of late.
    ///
    /// # Errors
    ///
    /// How long to wait.
    pub(crate) fn may_try(&self, peer: Option<IpAddr>, now: DateTime<Utc>) -> Result<(), Duration> {
        peer.map_or(Ok(()), |peer| self.failures.check(&peer, now))
    }

    /// Counts a failure of an address.
    pub(crate) fn failed(&self, peer: Option<IpAddr>, now: DateTime<Utc>) {
        if let Some(peer) = peer {
            let _ = self.failures.take(peer, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    #[test]
    fn a_burst_is_taken_then_the_rate_and_the_wait_is_told() {
        let buckets = Buckets::new(Rate { per_second: 50.0, burst: 200.0 });
        assert!((0..200).all(|_| buckets.take(1, at(0)).is_ok()));
        let wait = buckets.take(1, at(0)).expect_err("empty");
        assert_eq!(wait.as_millis(), 20);
        assert!(buckets.take(2, at(0)).is_ok(), "every key has its own");
        assert!(buckets.take(1, at(20)).is_ok());
        assert!(buckets.take(1, at(20)).is_err());
        assert!((0..200).all(|_| buckets.take(1, at(60_000)).is_ok()), "it fills to the burst");
        assert!(buckets.take(1, at(60_000)).is_err(), "and no further");
        assert!(buckets.take(1, at(0)).is_err(), "a clock that goes back gives nothing");
    }

    #[test]
    fn twenty_failures_a_minute_close_the_door_to_that_address_alone() {
        let rate = Rate { per_second: 20.0 / 60.0, burst: 20.0 };
        let limits = Limits::new(Rate { per_second: 1.0, burst: 1.0 }, rate);
        let (bad, good) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        for _ in 0..20 {
            assert!(limits.may_try(bad, at(0)).is_ok());
            limits.failed(bad, at(0));
        }
        assert!(limits.may_try(bad, at(0)).is_err());
        assert!(limits.may_try(good, at(0)).is_ok() && limits.may_try(None, at(0)).is_ok());
        assert!(limits.may_try(bad, at(3_100)).is_ok(), "one more after three seconds");
    }

    #[test]
    fn many_keys_do_not_fill_the_memory() {
        let buckets = Buckets::new(Rate { per_second: 1.0, burst: 2.0 });
        for key in 0..3 * CAPACITY {
            let _ = buckets.take(key, at(0));
        }
        assert!(buckets.buckets.lock().unwrap().len() <= CAPACITY);
        assert!(buckets.take(usize::MAX, at(10_000)).is_ok());
        assert!(buckets.buckets.lock().unwrap().len() < 10, "full buckets are forgotten");
    }
}
