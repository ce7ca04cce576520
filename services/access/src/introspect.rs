//! Who bears a token: what other processes ask, and what this one's own listener asks.

use runtime::auth::{Introspect, Principal};
use runtime::secret::Hash;
use runtime::{Clock, Problem};
use sqlx::PgPool;
use tonic::async_trait;

use crate::last_use::LastUses;
use crate::{Error, store};

/// Finds the bearer of a token in the database, and notes the use.
#[derive(Debug, Clone)]
pub(crate) struct Introspection {
    pool: PgPool,
    clock: Clock,
    uses: LastUses,
}

impl Introspection {
    pub(crate) fn new(pool: PgPool, clock: Clock, uses: LastUses) -> Self {
        Self { pool, clock, uses }
    }

    /// Returns the bearer of a token that holds.
    pub(crate) async fn bearer(&self, hash: Hash) -> Result<Principal, Error> {
        let mut db = self.pool.acquire().await?;
        let token = store::token::find_by_hash(&mut db, hash).await?.ok_or(Error::TokenUnknown)?;
        let now = self.clock.now();
        token.check(now)?;
        self.uses.note(token.id, now);
        Ok(token.principal())
    }
}

/// Nothing is remembered: a revoked token ends here at once.
#[async_trait]
impl Introspect for Introspection {
    async fn introspect(&self, token: Hash) -> Result<Principal, Problem> {
        Ok(self.bearer(token).await?)
    }
}
