//! Times and durations on their way to and from the wire.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::Problem;

/// A time as the wire carries it.
#[must_use]
pub fn to_timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(999_999_999),
    }
}

/// A time from the wire.
///
/// # Errors
///
/// A violation of `field` when it is no time that can be told.
pub fn from_timestamp(field: &str, time: prost_types::Timestamp) -> Result<DateTime<Utc>, Problem> {
    u32::try_from(time.nanos)
        .ok()
        .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos))
        .ok_or_else(|| Problem::invalid(field, "is no valid time"))
}

/// A duration as the wire carries it.
#[must_use]
pub fn to_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A duration from the wire.
///
/// # Errors
///
/// A violation of `field` when it is negative or malformed.
pub fn from_duration(field: &str, duration: prost_types::Duration) -> Result<Duration, Problem> {
    let seconds = u64::try_from(duration.seconds);
    let nanos = u32::try_from(duration.nanos);
    match (seconds, nanos) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => Err(Problem::invalid(field, "is negative; give a duration of 0 s or more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_come_back_as_they_went() {
        let time = DateTime::from_timestamp(1_700_000_000, 123_456_000).expect("a time");
        assert_eq!(from_timestamp("t", to_timestamp(time)), Ok(time));
        let long = Duration::new(7 * 86_400, 5);
        assert_eq!(from_duration("d", to_duration(long)), Ok(long));
    }

    #[test]
    fn a_negative_duration_names_its_field() {
        let problem = from_duration("soak", prost_types::Duration { seconds: -1, nanos: 0 });
        assert_eq!(problem.expect_err("refused").field_violations()[0].field, "soak");
    }
}
