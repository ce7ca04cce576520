//! What can go wrong, and what callers are told.

use proto::reason;
use runtime::{Code, Problem, database};
use uuid::Uuid;

use crate::policy::{Policy, PolicyId};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not valid, or another process said why not.
    #[error(transparent)]
    Refused(Problem),
    /// The database did not do what it was asked.
    #[error("a statement failed")]
    Database(#[source] sqlx::Error),
    /// A stored value cannot be read or written as JSON.
    #[error("a stored value is not what it should be")]
    Json(#[source] serde_json::Error),
    /// There is no such policy.
    #[error("there is no policy `{0}`; `slipway policy list` shows them")]
    PolicyNotFound(PolicyId),
    /// The policy's name is taken.
    #[error("there is a policy named `{0}` already; choose another name")]
    PolicyExists(String),
    /// A rollout of the policy is under way.
    #[error("the rollout `{rollout}` of this policy is under way; cancel it first")]
    PolicyHasRollouts {
        /// The rollout.
        rollout: Uuid,
    },
    /// There is no such rollout.
    #[error("there is no rollout `{0}`; `slipway rollout list` shows them")]
    RolloutNotFound(String),
    /// The rollout is in a state that does not allow the command.
    #[error("{message}")]
    WrongState {
        /// For programs.
        reason: &'static str,
        /// The state it is in.
        state: &'static str,
        /// For people.
        message: String,
    },
    /// Another batch is next.
    #[error("batch {asked} cannot begin now; {}", next.map_or_else(|| "all batches have begun".to_owned(), |next| format!("batch {next} is next")))]
    BatchNotNext {
        /// The batch that was named.
        asked: i32,
        /// The batch that is next.
        next: Option<u32>,
    },
    /// The thing changed since it was read.
    #[error("it changed since you read it; read it again and repeat")]
    StaleEtag,
    /// The same request id came with another request.
    #[error("the request id `{0}` was used for another request; make a new one")]
    RequestIdReused(Uuid),
    /// There is no such device.
    #[error("there is no device `{0}`; `slipway device list` shows them")]
    DeviceNotFound(String),
    /// The fleet has a device of that name.
    #[error("the fleet `{fleet}` has a device named `{name}` already; choose another name")]
    DeviceExists {
        /// The fleet.
        fleet: String,
        /// The name.
        name: String,
    },
    /// There is no such fleet.
    #[error("there is no fleet `{0}`; `slipway fleet list` shows them")]
    FleetNotFound(String),
    /// There is no such enrolment key.
    #[error("there is no enrolment key `{0}`; `GET /api/v1/enrolment-keys` lists them")]
    KeyNotFound(Uuid),
    /// An enrolment key of that name is there already.
    #[error("there is an enrolment key named `{0}` already; choose another name")]
    KeyExists(String),
    /// The enrolment key does not open anything.
    #[error("{message}")]
    KeyRefused {
        /// For programs.
        reason: &'static str,
        /// For people.
        message: &'static str,
    },
    /// Another replica works on the rollout, or a command changed it meanwhile.
    #[error("the lease on the rollout was lost to another replica or a command")]
    LeaseLost,
}

impl Error {
    /// The name of a policy is unique.
    pub(crate) fn policy_exists(error: sqlx::Error, policy: &Policy) -> Self {
        match database::constraint(&error) {
            Some("image_update_policies_name_key") => {
                Self::PolicyExists(policy.name.clone().unwrap_or_default())
            }
            _ => Self::Database(error),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let told = |code, reason| Self::new(code, reason, message.clone());
        match error {
            Error::Refused(problem) => problem,
            Error::Database(error) => database::problem(&error),
            Error::Json(error) => Self::internal(&error),
            Error::PolicyNotFound(_) => told(Code::NotFound, reason::POLICY_NOT_FOUND),
            Error::PolicyExists(name) => {
                told(Code::AlreadyExists, reason::POLICY_EXISTS).with("name", name)
            }
            Error::PolicyHasRollouts { rollout } => {
                told(Code::FailedPrecondition, reason::POLICY_HAS_ROLLOUTS)
                    .with("rollout_id", rollout)
            }
            Error::RolloutNotFound(_) => told(Code::NotFound, reason::ROLLOUT_NOT_FOUND),
            Error::WrongState { reason, state, .. } => {
                told(Code::FailedPrecondition, reason).with("state", state)
            }
            Error::BatchNotNext { next, .. } => {
                let problem = told(Code::FailedPrecondition, reason::BATCH_NOT_NEXT);
                match next {
                    Some(next) => problem.with("next_batch", next),
                    None => problem,
                }
            }
            Error::StaleEtag => told(Code::Aborted, reason::STALE_ETAG),
            Error::RequestIdReused(_) => told(Code::FailedPrecondition, reason::REQUEST_ID_REUSED),
            Error::DeviceNotFound(_) => told(Code::NotFound, reason::DEVICE_NOT_FOUND),
            Error::DeviceExists { .. } => told(Code::AlreadyExists, reason::DEVICE_EXISTS),
            Error::FleetNotFound(_) => told(Code::NotFound, reason::FLEET_NOT_FOUND),
            Error::KeyNotFound(_) => told(Code::NotFound, reason::ENROLMENT_KEY_NOT_FOUND),
            Error::KeyExists(_) => told(Code::AlreadyExists, reason::ENROLMENT_KEY_EXISTS),
            Error::KeyRefused { reason: reason::ENROLMENT_QUOTA_USED, .. } => {
                told(Code::ResourceExhausted, reason::ENROLMENT_QUOTA_USED)
            }
            Error::KeyRefused { reason, .. } => told(Code::Unauthenticated, reason),
            Error::LeaseLost => Self::unavailable(
                reason::ROLLOUT_UNREACHABLE,
                "the rollout changed in the same moment; try again",
            ),
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}
