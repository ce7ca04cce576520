//! Numbers that a policy writes in its own way.

use std::fmt;

use proto::rollout::v1 as pb;
use proto::rollout::v1::device_quota;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of devices, or a share of them: `50` or `"20%"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quota {
    /// A share.
    Percent(f64),
    /// A number.
    Count(i32),
}

impl From<Quota> for pb::DeviceQuota {
    fn from(quota: Quota) -> Self {
        Self {
            quota: Some(match quota {
                Quota::Percent(percent) => device_quota::Quota::Percent(percent),
                Quota::Count(count) => device_quota::Quota::Count(count),
            }),
        }
    }
}

impl Quota {
    /// What the wire says.
    pub fn of(quota: pb::DeviceQuota) -> Option<Self> {
        quota.quota.map(|quota| match quota {
            device_quota::Quota::Percent(percent) => Self::Percent(percent),
            device_quota::Quota::Count(count) => Self::Count(count),
        })
    }
}

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Percent(percent) => serializer.serialize_str(&format!("{percent}%")),
            Self::Count(count) => serializer.serialize_i32(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuotaVisitor)
    }
}

struct QuotaVisitor;

impl Visitor<'_> for QuotaVisitor {
    type Value = Quota;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of devices such as `50`, or a share such as `\"20%\"`")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Quota, E> {
        i32::try_from(count)
            .map(Quota::Count)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(count), &self))
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Quota, E> {
        Err(E::invalid_value(de::Unexpected::Signed(count), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quota, E> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        percent
            .filter(|percent| percent.is_finite())
            .map(Quota::Percent)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// A duration in minutes, whole or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minutes(pub prost_types::Duration);

impl Serialize for Minutes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = self.0.seconds as f64 + f64::from(self.0.nanos) / 1e9;
        plain_number(&Some(seconds / 60.0), serializer)
    }
}

impl<'de> Deserialize<'de> for Minutes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let minutes = f64::deserialize(deserializer)?;
        // More than this is refused by the policy's own rules anyhow.
        let longest = 1e9;
        if !(0.0..=longest).contains(&minutes) {
            return Err(de::Error::custom("is negative, or no number of minutes at all"));
        }
        let millis = (minutes * 60_000.0).round() as i64;
        let nanos = i32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
        Ok(Self(prost_types::Duration { seconds: millis / 1_000, nanos }))
    }
}

/// Writes whole numbers without a fraction.
///
/// # Errors
///
/// What the serializer refuses.
pub fn plain_number<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        None => serializer.serialize_none(),
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            serializer.serialize_i64(*number as i64)
        }
        Some(number) => serializer.serialize_f64(*number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_number_or_a_share() {
        let read = serde_json::from_str::<Quota>;
        assert_eq!(read("50").unwrap(), Quota::Count(50));
        assert_eq!(read("\"20%\"").unwrap(), Quota::Percent(20.0));
        assert_eq!(read("\"12.5 %\"").unwrap(), Quota::Percent(12.5));
        for odd in ["\"20\"", "0.2", "-1", "\"%\"", "\"NaN%\"", "[]", "99999999999"] {
            let error = read(odd).expect_err(odd).to_string();
            assert!(error.contains("such as"), "{odd}: {error}");
        }
        let shown = [Quota::Percent(20.0), Quota::Percent(12.5), Quota::Count(50)];
        assert_eq!(serde_json::to_string(&shown).unwrap(), "[\"20%\",\"12.5%\",50]");
    }

    #[test]
    fn minutes_may_have_a_fraction_and_come_back_as_they_went() {
        for text in ["5", "0.5", "0", "1440"] {
            let minutes: Minutes = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&minutes).unwrap(), text);
        }
        let half = serde_json::from_str::<Minutes>("0.5").unwrap();
        assert_eq!(half.0, prost_types::Duration { seconds: 30, nanos: 0 });
        assert!(serde_json::from_str::<Minutes>("-1").is_err());
    }
}
