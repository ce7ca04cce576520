//! Pushes on the wire.

use proto::approval::v1 as pb;
use proto::rollout::v1 as rollout;
use runtime::time::to_timestamp;

use crate::answer::Created;
use crate::finding::Reason;
use crate::push::{Decision, DeviceSelector, Outcome, Push, State};

impl From<State> for pb::push::State {
    fn from(state: State) -> Self {
        match state {
            State::Received => Self::Received,
            State::Waiting => Self::Waiting,
            State::Held => Self::Held,
            State::Denied => Self::Denied,
            State::Done => Self::Done,
            State::Ignored => Self::Ignored,
        }
    }
}

/// The state that a request filters by; `None` = any.
pub(crate) fn state_filter(state: pb::push::State) -> Option<State> {
    match state {
        pb::push::State::Unspecified => None,
        pb::push::State::Received => Some(State::Received),
        pb::push::State::Waiting => Some(State::Waiting),
        pb::push::State::Held => Some(State::Held),
        pb::push::State::Denied => Some(State::Denied),
        pb::push::State::Done => Some(State::Done),
        pb::push::State::Ignored => Some(State::Ignored),
    }
}

impl From<Decision> for pb::Decision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow => Self::Allow,
            Decision::Hold => Self::Hold,
            Decision::Deny => Self::Deny,
            Decision::Ignored => Self::Ignored,
            Decision::Rejected => Self::Rejected,
        }
    }
}

impl From<Outcome> for pb::push::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Rollout => Self::Rollout,
            Outcome::NoPolicy => Self::NoPolicy,
            Outcome::NoTarget => Self::NoTarget,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Quarantined => Self::Quarantined,
        }
    }
}

impl From<Push> for pb::Push {
    fn from(push: Push) -> Self {
        let id = |id: Option<String>| id.unwrap_or_default();
        let familiar_repository = push.familiar_repository();
        let registry = push.repository.split('/').next().unwrap_or_default().to_owned();
        let waits = push.state == State::Waiting && push.is_moving();
        let decision = push.decision.map_or(pb::Decision::Unspecified, Into::into);
        let outcome = push.outcome.map_or(pb::push::Outcome::Unspecified, Into::into);
        Self {
            id: push.id.to_string(),
            delivery_id: id(push.delivery_id.map(|id| id.to_string())),
            receiver_id: id(push.receiver_id.map(|id| id.to_string())),
            retry_of: id(push.retry_of.map(|id| id.to_string())),
            repository: push.repository,
            registry,
            tag: push.tag.unwrap_or_default(),
            digest: push.digest.unwrap_or_default(),
            pinned: push.pinned,
            platforms: push.platforms.0.into_iter().map(Into::into).collect(),
            actor: Some((&push.actor.0).into()),
            pusher: push.pusher,
            state: pb::push::State::from(push.state).into(),
            decision: decision.into(),
            outcome: outcome.into(),
            reasons: push.reasons.0.into_iter().map(Into::into).collect(),
            review_id: id(push.review_id.map(|id| id.to_string())),
            rollout_id: push.rollout_id,
            create_time: Some(to_timestamp(push.created_at)),
            update_time: Some(to_timestamp(push.updated_at)),
            checks: push.checks.0.into_iter().map(Into::into).collect(),
            retry_time: waits.then(|| to_timestamp(push.due_at)),
            familiar_repository,
            tag_added: push.tag_added,
        }
    }
}

impl From<rollout::DeviceSelector> for DeviceSelector {
    fn from(selector: rollout::DeviceSelector) -> Self {
        let rollout::DeviceSelector { fleet, labels, ids, exclude } = selector;
        Self { fleet, labels: labels.into_iter().collect(), ids, exclude }
    }
}

impl From<DeviceSelector> for rollout::DeviceSelector {
    fn from(selector: DeviceSelector) -> Self {
        let DeviceSelector { fleet, labels, ids, exclude } = selector;
        Self { fleet, labels: labels.into_iter().collect(), ids, exclude }
    }
}

/// What is asked of `rollout` for a push that may run. It never changes for one push: a repeated
/// call must not ask for something else.
pub(crate) fn create_rollout(push: &Push) -> rollout::CreateRolloutRequest {
    let digest = if push.pinned { push.digest.clone() } else { None };
    rollout::CreateRolloutRequest {
        request_id: push.id.to_string(),
        release: Some(rollout::Release {
            repository: push.repository.clone(),
            tag: push.tag.clone().unwrap_or_default(),
            digest: digest.unwrap_or_default(),
            platforms: push.platforms.0.iter().cloned().map(Into::into).collect(),
            push_id: push.id.to_string(),
        }),
        policy_id: push.policy_id.clone(),
        device_selector: push.device_selector.clone().map(|selector| selector.0.into()),
        by_hand: push.is_by_hand(),
    }
}

/// What `rollout` answered.
pub(crate) fn created(answer: rollout::CreateRolloutResponse) -> Created {
    use rollout::create_rollout_response::Outcome as Answer;
    match answer.outcome {
        Some(Answer::Rollout(rollout)) => Created::Rollout { id: rollout.id },
        Some(Answer::NoPolicy(none)) => Created::NoPolicy { disabled: none.disabled },
        Some(Answer::NoTarget(none)) => Created::NoTarget { excluded: none.excluded_count },
        Some(Answer::Unchanged(same)) => Created::Unchanged { rollout_id: same.rollout_id },
        Some(Answer::Quarantined(bad)) => Created::Quarantined { rollout_id: bad.rollout_id },
        None => Created::Refused(Reason::new(
            proto::reason::INTERNAL,
            "`rollout` answered without an outcome",
        )),
    }
}
