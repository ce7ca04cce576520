//! Shapes that several routes share: actors, reasons, platforms, times.
//!
//! What a source document names is always there, `null` when there is nothing to show. Times are RFC
//! 3339 in UTC.

use chrono::{DateTime, Utc};
use proto::types::v1 as pb;
use runtime::{Problem, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who does a thing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Actor {
    /// `user`, `service_account`, `system`, `device`, `receiver` or `anonymous`.
    #[schema(example = "user")]
    pub kind: String,
    /// The id within the kind.
    #[schema(example = "alice")]
    pub id: String,
    /// What to show.
    #[schema(example = "alice")]
    pub name: String,
}

impl From<pb::Actor> for Actor {
    fn from(actor: pb::Actor) -> Self {
        let kind = match actor.kind() {
            pb::actor::Kind::Unspecified => "unknown",
            pb::actor::Kind::User => "user",
            pb::actor::Kind::ServiceAccount => "service_account",
            pb::actor::Kind::System => "system",
            pb::actor::Kind::Device => "device",
            pb::actor::Kind::Receiver => "receiver",
            pb::actor::Kind::Anonymous => "anonymous",
        };
        Self { kind: kind.to_owned(), id: actor.id, name: actor.name }
    }
}

/// Why something is so.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Reason {
    /// A constant in UPPER_SNAKE.
    #[schema(example = "IMAGE_APPROVED")]
    pub code: String,
    /// A sentence for people.
    #[schema(example = "Image 'redis' is approved")]
    pub message: String,
}

impl From<pb::Reason> for Reason {
    fn from(reason: pb::Reason) -> Self {
        Self { code: reason.code, message: reason.message }
    }
}

/// One rule asked on the way to a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Check {
    /// The rule.
    #[schema(example = "image approved")]
    pub name: String,
    /// How it came out: `pass`, `fail` (it decided), `waiting` or `skipped`.
    #[schema(example = "pass")]
    pub result: String,
    /// What was found, in a sentence.
    pub detail: String,
}

impl From<pb::Check> for Check {
    fn from(check: pb::Check) -> Self {
        let result = match check.result() {
            pb::check::Result::Unspecified | pb::check::Result::Skipped => "skipped",
            pb::check::Result::Pass => "pass",
            pb::check::Result::Fail => "fail",
            pb::check::Result::Waiting => "waiting",
        };
        Self { name: check.name, result: result.to_owned(), detail: check.detail }
    }
}

/// One image of a multi-platform index.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Platform {
    /// Operating system.
    #[schema(example = "linux")]
    pub os: String,
    /// Processor.
    #[schema(example = "arm64")]
    pub architecture: String,
    /// Processor variant.
    #[schema(example = "v8")]
    pub variant: Option<String>,
    /// The digest of this platform's manifest.
    pub digest: String,
    /// Compressed size in bytes; `null` = not known.
    pub size_bytes: Option<i64>,
}

impl From<pb::Platform> for Platform {
    fn from(platform: pb::Platform) -> Self {
        Self {
            os: platform.os,
            architecture: platform.architecture,
            variant: text(platform.variant),
            digest: platform.digest,
            size_bytes: number(platform.size_bytes),
        }
    }
}

/// A member that only the server writes: passed over where it is sent back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// A text that may not be there.
#[must_use]
pub fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A number that may not be known.
#[must_use]
pub fn number(number: i64) -> Option<i64> {
    (number != 0).then_some(number)
}

/// A time as JSON shows it.
#[must_use]
pub fn shown(stamp: Option<prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    stamp.and_then(|stamp| time::from_timestamp("time", stamp).ok())
}

/// A time as RPCs take it.
#[must_use]
pub fn stamp(time: Option<DateTime<Utc>>) -> Option<prost_types::Timestamp> {
    time.map(time::to_timestamp)
}

/// A duration as whole seconds.
#[must_use]
pub fn seconds(duration: Option<prost_types::Duration>) -> Option<u64> {
    duration.and_then(|duration| u64::try_from(duration.seconds).ok())
}

/// Whole seconds as RPCs take them.
#[must_use]
pub fn duration(seconds: Option<u64>) -> Option<prost_types::Duration> {
    seconds.map(|seconds| prost_types::Duration {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: 0,
    })
}

/// The part of an answer that a process left out.
///
/// # Errors
///
/// `INTERNAL`, because no process leaves it out.
pub fn whole<T>(noun: &'static str, part: Option<T>) -> Result<T, Problem> {
    part.ok_or_else(|| {
        tracing::error!("an answer came without its {noun}");
        Problem::new(
            runtime::Code::Internal,
            proto::reason::INTERNAL,
            "something went wrong on our side; the request id finds it in the logs",
        )
    })
}
