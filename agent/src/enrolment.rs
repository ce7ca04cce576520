//! How a device becomes one of a fleet's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::rollout::v1 as pb;
use runtime::secret::Secret;
use runtime::{Code, Problem};

use crate::chance::Chance;
use crate::identity::Identity;
use crate::link::{Connector, Reconnect, ending_of, enroll};
use crate::moment::Time;
use crate::platform::Platform;
use crate::timing::Timing;

/// What a device enrols with.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// How to reach the server.
    pub connector: Connector,
    /// The fleet's key.
    pub key: Secret,
    /// What the device wants to be called; empty = as the server likes.
    pub name: String,
    /// Whether another name will do when that one is taken.
    pub any_name: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is.
    pub platform: Platform,
    /// Its durations.
    pub timing: Arc<Timing>,
    /// Its time.
    pub time: Time,
}

impl Enrolment {
    /// Enrols, however long that takes. Each refusal is told, and the next try waits as it asks for.
    pub async fn run(mut self, chance: &mut Chance, mut refused: impl FnMut(&Problem)) -> Identity {
        let mut reconnect = Reconnect::default();
        loop {
            let request = pb::EnrollRequest {
                enrolment_key: self.key.expose().to_owned(),
                name: self.name.clone(),
                labels: self.labels.clone().into_iter().collect(),
                platform: Some(self.platform.clone().into()),
            };
            let problem = match enroll(&self.connector, &self.time, &self.timing, request).await {
                Ok(identity) => return identity,
                Err(problem) => problem,
            };
            let is_taken = problem.code() == Code::AlreadyExists;
            if is_taken && self.any_name && !self.name.is_empty() {
                self.name.clear();
                continue;
            }
            refused(&problem);
            let (ending, timing) = (ending_of(&problem), &self.timing.link);
            let wait = reconnect.after(&ending, Duration::ZERO, timing, chance);
            self.time.sleep(wait).await;
        }
    }
}
