//! One step of a staged rollout.

use proto::rollout::v1 as pb;
use proto::rollout::v1::batch_rule;
use runtime::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::quantity::plain_number;
use crate::error::Fault;
use crate::shape::duration;

/// One step of a staged rollout: `percent` or `count`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"percent": 10, "soak_seconds": 1800}))]
pub struct BatchRule {
    /// Up to this share of all devices, cumulative: 10, 50, 100.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain_number")]
    percent: Option<f64>,
    /// This many devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i32>,
    /// How long the complete batch is watched before the next one begins.
    soak_seconds: Option<u64>,
    /// The share of the batch that must have succeeded for it to count as complete; 1 when it is left
    /// out.
    success_threshold: Option<f64>,
    /// `manual` = a person promotes the next batch.
    gate: Option<Gate>,
}

/// What opens the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BatchGate)]
enum Gate {
    /// Time and success.
    Auto,
    /// A person.
    Manual,
}

impl BatchRule {
    /// As RPCs take it; `at` is its place in the list.
    ///
    /// # Errors
    ///
    /// When it is neither a share nor a number, or both.
    pub fn into_pb(self, at: usize) -> Result<pb::BatchRule, Fault> {
        let size = match (self.percent, self.count) {
            (Some(_), Some(_)) => {
                let message = "and `percent` exclude each other; give one of them";
                return Err(Problem::invalid(format!("batches[{at}].count"), message).into());
            }
            (Some(percent), None) => Some(batch_rule::Size::Percent(percent)),
            (None, Some(count)) => Some(batch_rule::Size::Count(count)),
            (None, None) => None,
        };
        Ok(pb::BatchRule {
            size,
            soak: duration(self.soak_seconds),
            success_threshold: self.success_threshold.unwrap_or_default(),
            manual_gate: self.gate == Some(Gate::Manual),
        })
    }
}

impl From<pb::BatchRule> for BatchRule {
    fn from(batch: pb::BatchRule) -> Self {
        let (percent, count) = match batch.size {
            Some(batch_rule::Size::Percent(percent)) => (Some(percent), None),
            Some(batch_rule::Size::Count(count)) => (None, Some(count)),
            None => (None, None),
        };
        Self {
            percent,
            count,
            soak_seconds: crate::shape::seconds(batch.soak),
            success_threshold: Some(batch.success_threshold),
            gate: Some(if batch.manual_gate { Gate::Manual } else { Gate::Auto }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_share_or_a_number_and_not_both() {
        let both = BatchRule { percent: Some(10.0), count: Some(1), ..BatchRule::default() };
        let fault = both.into_pb(2).expect_err("refused");
        assert_eq!(fault.problem().field_violations()[0].field, "batches[2].count");
    }
}
