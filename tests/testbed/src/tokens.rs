//! What processes, and the administrator, make themselves known with.

use std::collections::BTreeMap;

use access::bootstrap_admin_token;
use runtime::auth::Peers;
use runtime::secret::Secret;
use runtime::{Clock, database};

use crate::Database;

/// The processes that know one another.
pub const PROCESSES: [&str; 5] = ["registry", "approval", "rollout", "access", "gateway"];

/// One token for each process, and the administrator's.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The administrator's.
    pub admin: Secret,
    processes: BTreeMap<&'static str, Secret>,
}

impl Tokens {
    /// Makes them, and makes the administrator's known.
    ///
    /// # Panics
    ///
    /// When the database does not answer.
    pub async fn create(database: &Database) -> Self {
        let admin = Secret::generate(access::TOKEN_PREFIX);
        let options = database.url_of("access").parse().unwrap();
        let pool = database::pool("access", options, 1);
        bootstrap_admin_token(&pool, &Clock::system(), &admin).await.unwrap();
        pool.close().await;
        let processes = PROCESSES.map(|name| (name, Secret::generate("slw_"))).into();
        Self { admin, processes }
    }

    /// A process's own.
    ///
    /// # Panics
    ///
    /// When there is no process of this name.
    #[must_use]
    pub fn of(&self, process: &str) -> Secret {
        self.processes.get(process).unwrap().clone()
    }

    /// All of them, as processes know each other.
    #[must_use]
    pub fn peers(&self) -> Peers {
        let known = self.processes.iter();
        known.fold(Peers::default(), |peers, (name, token)| peers.with(name, token.hash()))
    }

    /// The same as the lines of a file.
    #[must_use]
    pub fn peers_file(&self) -> String {
        self.processes.iter().map(|(name, token)| Peers::line(name, &token.hash())).collect()
    }
}
