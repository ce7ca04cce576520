//! What never changes about a rollout, remembered: reports come by the thousand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::policy::Rules;
use crate::rollout::{Rollout, RolloutId};
use crate::store;
use crate::target::Image;

/// The parts of a rollout that were fixed when it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Frozen {
    /// The rollout.
    pub id: RolloutId,
    /// The repository whose services it changes.
    pub repository: String,
    /// What they will run.
    pub image: Image,
    /// What to show.
    pub title: String,
    /// The rules it follows.
    pub rules: Rules,
}

impl From<&Rollout> for Frozen {
    fn from(rollout: &Rollout) -> Self {
        Self {
            id: rollout.id,
            repository: rollout.release.repository.clone(),
            image: rollout.release.image(),
            title: rollout.release.title(),
            rules: rollout.policy.rules.clone(),
        }
    }
}

/// Rollouts read before.
#[derive(Debug, Clone, Default)]
pub struct Cache(Arc<Mutex<HashMap<Uuid, Arc<Frozen>>>>);

/// More are not kept at once; then all are read anew.
const CAPACITY: usize = 1_000;

impl Cache {
    /// Reads what is fixed of a rollout, from memory when it was read before.
    pub async fn get(&self, db: &mut PgConnection, id: Uuid) -> Result<Arc<Frozen>, Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(frozen) = known {
            return Ok(frozen);
        }
        let rollout = store::rollout::get(db, RolloutId(id)).await?;
        let frozen = Arc::new(Frozen::from(&rollout));
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CAPACITY {
            cache.clear();
        }
        cache.insert(id, frozen.clone());
        Ok(frozen)
    }
}
