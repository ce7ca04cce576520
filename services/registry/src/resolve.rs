//! Asks registries elsewhere what a tag is now.
//!
//! - One question per (upstream, repository, version) is under way at a time. Whoever asks meanwhile
//!   waits and shares the answer, or, when it wants a fresh one, shares the next question's: an
//!   answer under way may be older than the push that made somebody ask.
//! - A good answer is given again for [`ANSWER_FRESH`], except to those who want a fresh one.
//! - What a digest holds never changes, so it is fetched once: registries count the manifests that
//!   are fetched, and not those that are only looked at.

mod answer;
mod challenge;
mod http;
mod manifest;
mod session;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use imageref::{Digest, Repository};
use runtime::Clock;

use crate::upstream::{Upstream, UpstreamUrl};

pub(crate) use answer::{Contact, ResolveError, Resolved};
use http::Http;
use manifest::Contents;
use session::Session;

/// How long a good answer is given again.
const ANSWER_FRESH: TimeDelta = TimeDelta::seconds(5);
/// How many questions are remembered before those that are over make room.
const SLOTS: usize = 1_024;
/// Of how many digests it is remembered what they hold.
const CONTENTS: usize = 1_024;

/// Asks registries elsewhere.
#[derive(Debug)]
pub(crate) struct Resolver {
    http: Http,
    /// How long one question may take in all.
    timeout: Duration,
    clock: Clock,
    /// Orders questions and those who ask them.
    order: AtomicU64,
    slots: Mutex<HashMap<Question, Arc<Slot>>>,
    contents: Mutex<Remembered>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    url: UpstreamUrl,
    path: String,
    version: String,
}

/// The place where those who ask the same meet: who holds the lock asks the registry.
type Slot = tokio::sync::Mutex<Option<Answer>>;

#[derive(Debug, Clone)]
struct Answer {
    result: Result<Resolved, ResolveError>,
    begun: u64,
    ended: u64,
    time: DateTime<Utc>,
}

#[derive(Debug, Default)]
struct Remembered {
    contents: HashMap<(String, Digest), Contents>,
    oldest_first: VecDeque<(String, Digest)>,
}

impl Resolver {
    /// Makes it; nothing is connected yet.
    pub(crate) fn new(clock: Clock, timeout: Duration) -> Self {
        Self {
            http: Http::new(timeout),
            timeout,
            clock,
            order: AtomicU64::new(0),
            slots: Mutex::default(),
            contents: Mutex::default(),
        }
    }

    /// Asks which digest a tag (or digest) has now and what it holds.
    pub(crate) async fn resolve(
        &self,
        upstream: &Upstream,
        repository: &Repository,
        version: &str,
        fresh: bool,
    ) -> Result<Resolved, ResolveError> {
        let arrived = self.tick();
        let question = Question {
            url: self.url(upstream)?,
            path: repository.path().to_owned(),
            version: version.to_owned(),
        };
        let slot = self.slot(&question);
        let mut last = slot.lock().await;
        if let Some(answer) = last.as_ref()
            && self.may_share(answer, arrived, fresh)
        {
            return answer.result.clone();
        }
        let begun = self.tick();
        let result = self.ask(upstream, &question).await;
        let (ended, time) = (self.tick(), self.clock.now());
        *last = Some(Answer { result: result.clone(), begun, ended, time });
        result
    }

    /// Asks whether a repository exists.
    pub(crate) async fn find_repository(
        &self,
        upstream: &Upstream,
        repository: &Repository,
    ) -> Result<(), ResolveError> {
        let url = self.url(upstream)?;
        let session = Session::new(&self.http, &upstream.host, &url, repository.path());
        self.in_time(&upstream.host, session.find_repository()).await
    }

    /// Asks whether an upstream speaks the distribution API.
    pub(crate) async fn contact(&self, upstream: &Upstream) -> Contact {
        let started = Instant::now();
        let outcome = match self.url(upstream) {
            Ok(url) => {
                let session = Session::new(&self.http, &upstream.host, &url, "");
                self.in_time(&upstream.host, session.contact()).await
            }
            Err(error) => Err(error),
        };
        Contact::new(outcome, started.elapsed())
    }

    fn tick(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    fn url(&self, upstream: &Upstream) -> Result<UpstreamUrl, ResolveError> {
        UpstreamUrl::parse(&upstream.url).map_err(|error| ResolveError::Unreachable {
            host: upstream.host.clone(),
            detail: format!("its URL {error}"),
        })
    }

    fn slot(&self, question: &Question) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= SLOTS {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots.entry(question.clone()).or_default().clone()
    }

    fn may_share(&self, answer: &Answer, arrived: u64, fresh: bool) -> bool {
        if answer.begun > arrived {
            return true;
        }
        if fresh {
            return false;
        }
        let age = self.clock.now() - answer.time;
        answer.ended > arrived
            || answer.result.is_ok() && age >= TimeDelta::zero() && age < ANSWER_FRESH
    }

    async fn ask(
        &self,
        upstream: &Upstream,
        question: &Question,
    ) -> Result<Resolved, ResolveError> {
        let started = Instant::now();
        let session = Session::new(&self.http, &upstream.host, &question.url, &question.path);
        let result = self.in_time(&upstream.host, self.look_up(&session, question)).await;
        let outcome = match &result {
            Ok(_) => "resolved",
            Err(error) => error.word(),
        };
        metrics::histogram!("registry_resolve_seconds", "result" => outcome)
            .record(started.elapsed().as_secs_f64());
        result
    }

    async fn look_up(
        &self,
        session: &Session<'_>,
        question: &Question,
    ) -> Result<Resolved, ResolveError> {
        let (digest, contents) = match session.digest_of(&question.version).await? {
            Some(digest) => match self.remembered(question, &digest) {
                Some(contents) => (digest, contents),
                None => {
                    let contents = session.contents_of(&digest).await?;
                    (digest, contents)
                }
            },
            None => session.contents_of_version(&question.version).await?,
        };
        self.remember(question, &digest, &contents);
        Ok(Resolved {
            digest,
            media_type: contents.media_type.clone(),
            platforms: contents.platforms.clone(),
        })
    }

    async fn in_time<T>(
        &self,
        host: &str,
        question: impl Future<Output = Result<T, ResolveError>>,
    ) -> Result<T, ResolveError> {
        tokio::time::timeout(self.timeout, question).await.unwrap_or_else(|_| {
            let detail = format!("it did not answer within {:?}", self.timeout);
            Err(ResolveError::Unreachable { host: host.to_owned(), detail })
        })
    }

    fn remembered(&self, question: &Question, digest: &Digest) -> Option<Contents> {
        let remembered = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.contents.get(&(question.path.clone(), digest.clone())).cloned()
    }

    fn remember(&self, question: &Question, digest: &Digest, contents: &Contents) {
        if contents.platforms.is_empty() {
            // The configuration could not be had; the next question may have more luck.
            return;
        }
        let key = (question.path.clone(), digest.clone());
        let mut remembered = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.contents.insert(key.clone(), contents.clone()).is_some() {
            return;
        }
        remembered.oldest_first.push_back(key);
        if remembered.oldest_first.len() > CONTENTS
            && let Some(oldest) = remembered.oldest_first.pop_front()
        {
            remembered.contents.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
