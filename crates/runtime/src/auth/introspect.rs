//! Who bears an access token: asked of `access`, remembered for a while.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::access::v1::tokens_client::TokensClient;
use proto::access::v1::{IntrospectRequest, Principal as PbPrincipal};
use proto::reason;
use tokio::time::Instant;
use tonic::async_trait;

use super::{Actor, Principal};
use crate::client::Outbound;
use crate::secret::Hash;
use crate::{Code, Problem, time};

/// Knows who bears an access token.
#[async_trait]
pub trait Introspect: Send + Sync {
    /// Returns the bearer of the token with this hash.
    async fn introspect(&self, token: Hash) -> Result<Principal, Problem>;
}

/// How long an answer is waited for. It takes milliseconds, but much less than this would take
/// `access` on a busy machine for one that is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between a connection that failed and the one other try.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks the process `access`.
#[derive(Debug, Clone)]
pub struct RemoteIntrospection(TokensClient<Outbound>);

impl RemoteIntrospection {
    /// Asks over this channel.
    #[must_use]
    pub fn new(channel: Outbound) -> Self {
        Self(TokensClient::new(channel))
    }
}

#[async_trait]
impl Introspect for RemoteIntrospection {
    async fn introspect(&self, token: Hash) -> Result<Principal, Problem> {
        let asked = async {
            match self.ask(token).await {
                Err(problem) if problem.code() == Code::Unavailable => {
                    tokio::time::sleep(PAUSE).await;
                    self.ask(token).await
                }
                answered => answered,
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
            Err(Problem::unavailable(reason::ACCESS_UNREACHABLE, "`access` does not answer"))
        })
    }
}

impl RemoteIntrospection {
    async fn ask(&self, token: Hash) -> Result<Principal, Problem> {
        let mut request = tonic::Request::new(IntrospectRequest { token_hash: token.0.to_vec() });
        request.set_timeout(PATIENCE);
        principal(self.0.clone().introspect(request).await?.into_inner())
    }
}

fn principal(answer: PbPrincipal) -> Result<Principal, Problem> {
    let role = answer.role();
    let actor = answer
        .actor
        .ok_or_else(|| Problem::invalid("actor", "is missing in the answer of `access`"))?;
    Ok(Principal {
        actor: Actor::try_from(actor)?,
        role: Some(role),
        permissions: Some(Arc::new(BTreeSet::from_iter(answer.permissions))),
        expires: answer
            .expire_time
            .map(|expires| time::from_timestamp("expire_time", expires))
            .transpose()?,
    })
}

/// Remembers answers: a fresh one is used as it is, an old one only while `access` is down.
///
/// The fresh time bounds how long a revoked token still works; the stale time bounds how long
/// Slipway goes on without `access`.
pub struct CachedIntrospection<I> {
    source: I,
    fresh: Duration,
    stale: Duration,
    answers: Mutex<HashMap<Hash, (Principal, Instant)>>,
}

/// More tokens than this are not remembered at once; the oldest answers make room.
const CAPACITY: usize = 10_000;

impl<I: Introspect> CachedIntrospection<I> {
    /// Remembers the answers of `source` with the times that the contract settles: 10 s fresh,
    /// 5 min stale.
    #[must_use]
    pub fn new(source: I) -> Self {
        Self::with_times(source, Duration::from_secs(10), Duration::from_secs(300))
    }

    /// Remembers answers for other times.
    #[must_use]
    pub fn with_times(source: I, fresh: Duration, stale: Duration) -> Self {
        Self { source, fresh, stale, answers: Mutex::default() }
    }

    fn remembered(&self, token: &Hash) -> Option<(Principal, Duration)> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(token).map(|(principal, at)| (principal.clone(), at.elapsed()))
    }

    fn remember(&self, token: Hash, principal: Principal) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= CAPACITY {
            answers.retain(|_, (_, at)| at.elapsed() < self.fresh);
        }
        if answers.len() < CAPACITY {
            answers.insert(token, (principal, Instant::now()));
        }
    }

    fn forget(&self, token: &Hash) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

#[async_trait]
impl<I: Introspect> Introspect for CachedIntrospection<I> {
    async fn introspect(&self, token: Hash) -> Result<Principal, Problem> {
        let remembered = self.remembered(&token);
        if let Some((principal, age)) = &remembered
            && *age < self.fresh
        {
            return Ok(principal.clone());
        }
        match self.source.introspect(token).await {
            Ok(principal) => {
                self.remember(token, principal.clone());
                Ok(principal)
            }
            Err(problem) if problem.is_transient() => match remembered {
                Some((principal, age)) if age < self.stale => Ok(principal),
                Some(_) | None => Err(Problem::unavailable(
                    reason::ACCESS_UNREACHABLE,
                    "the caller cannot be checked, because `access` does not answer; try again soon",
                )),
            },
            Err(problem) => {
                self.forget(&token);
                Err(match problem.code() {
                    Code::Unauthenticated => problem,
                    _ => Problem::internal(&problem),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::ActorKind;

    /// Answers what it was told to, and counts how often it was asked.
    struct Scripted(Mutex<(Result<Principal, Problem>, u32)>);

    impl Scripted {
        fn answer(&self, answer: Result<Principal, Problem>) {
            self.0.lock().unwrap().0 = answer;
        }
        fn asked(&self) -> u32 {
            self.0.lock().unwrap().1
        }
    }

    #[async_trait]
    impl Introspect for Arc<Scripted> {
        async fn introspect(&self, _: Hash) -> Result<Principal, Problem> {
            let mut script = self.0.lock().unwrap();
            script.1 += 1;
            script.0.clone()
        }
    }

    fn ops() -> Principal {
        Principal {
            actor: Actor::new(ActorKind::User, "ops", "ops"),
            role: None,
            permissions: Some(Arc::default()),
            expires: None,
        }
    }

    fn down() -> Problem {
        Problem::unavailable(reason::PEER_UNREACHABLE, "down")
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_fresh_for_ten_seconds_and_stale_for_five_minutes() {
        let source = Arc::new(Scripted(Mutex::new((Ok(ops()), 0))));
        let cache = CachedIntrospection::new(source.clone());
        let token = Hash::of("t");
        assert_eq!(cache.introspect(token).await, Ok(ops()));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(cache.introspect(token).await, Ok(ops()));
        assert_eq!(source.asked(), 1, "a fresh answer is not asked for again");

        source.answer(Err(down()));
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(cache.introspect(token).await, Ok(ops()), "access is down, the answer is stale");
        tokio::time::advance(Duration::from_secs(100)).await;
        let problem = cache.introspect(token).await.expect_err("too old");
        assert_eq!(problem.reason(), reason::ACCESS_UNREACHABLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_token_ends_when_its_answer_is_no_longer_fresh() {
        let source = Arc::new(Scripted(Mutex::new((Ok(ops()), 0))));
        let cache = CachedIntrospection::new(source.clone());
        let token = Hash::of("t");
        cache.introspect(token).await.expect("known");
        source.answer(Err(Problem::new(Code::Unauthenticated, reason::TOKEN_REVOKED, "revoked")));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(cache.introspect(token).await.expect_err("revoked").reason(), "TOKEN_REVOKED");
        source.answer(Err(down()));
        let problem = cache.introspect(token).await.expect_err("not remembered either");
        assert_eq!(problem.reason(), reason::ACCESS_UNREACHABLE);
    }
}
