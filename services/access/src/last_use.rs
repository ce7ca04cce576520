//! When tokens were last used: gathered here, written once a minute.
//!
//! A call never writes for this. What is gathered since the last writing is lost when the process is
//! killed; the next call says it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use runtime::worker::Progress;
use sqlx::PgPool;

use crate::Error;
use crate::store;
use crate::token::TokenId;

/// The uses that are not written yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastUses(Arc<Mutex<HashMap<TokenId, DateTime<Utc>>>>);

impl LastUses {
    /// Notes a use.
    pub(crate) fn note(&self, token: TokenId, now: DateTime<Utc>) {
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = uses.entry(token).or_insert(minute);
        *known = minute.max(*known);
    }

    fn take(&self) -> HashMap<TokenId, DateTime<Utc>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes what was gathered; keeps it when the database does not take it.
    pub(crate) async fn write(&self, pool: &PgPool) -> Result<Progress, Error> {
        let uses = self.take();
        if uses.is_empty() {
            return Ok(Progress::Idle);
        }
        let (ids, times): (Vec<_>, Vec<_>) = uses.iter().map(|(token, at)| (token.0, *at)).unzip();
        let written = async {
            let mut db = pool.acquire().await?;
            store::token::note_uses(&mut db, &ids, &times).await
        };
        if let Err(error) = written.await {
            uses.into_iter().for_each(|(token, at)| self.note(token, at));
            return Err(error);
        }
        Ok(Progress::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_uses_of_a_token_are_one_and_the_latest_minute_counts() {
        let at = |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap();
        let uses = LastUses::default();
        for seconds in [70, 0, 10, 75, 30] {
            uses.note(TokenId(7), at(seconds));
        }
        uses.note(TokenId(8), at(0));
        let taken = uses.take();
        assert_eq!(taken.len(), 2);
        // 1,700,000,000 is 20 s into a minute.
        assert_eq!(taken[&TokenId(7)], at(40));
        assert_eq!(taken[&TokenId(8)], at(-20));
        assert!(uses.take().is_empty());
    }
}
