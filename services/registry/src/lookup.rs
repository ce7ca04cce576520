//! Questions to the upstream of a repository's host. No transaction is open while one is under way.

use imageref::{Repository, Tag as TagName};

use crate::gate::{Gate, VerifyUpstream};
use crate::resolve::{ResolveError, Resolved};
use crate::store;
use crate::tag::NewTag;
use crate::upstream::Upstream;
use crate::verify::{Verification, judge};
use crate::{App, Error};

/// Asks what a version of a repository is now.
pub(crate) async fn resolve(
    app: &App,
    repository: &Repository,
    version: &str,
    fresh: bool,
) -> Result<Resolved, Error> {
    let upstream = upstream_of(app, repository).await?;
    Ok(app.resolver.resolve(&upstream, repository, version, fresh).await?)
}

/// Asks whether a repository exists, when the gate wants that.
pub(crate) async fn verify_repository(
    app: &App,
    gate: &Gate,
    repository: &Repository,
) -> Result<Verification, Error> {
    if gate.verify_upstream == VerifyUpstream::Off {
        return Ok(Verification::default());
    }
    let answer = match upstream_of(app, repository).await {
        Ok(upstream) => app.resolver.find_repository(&upstream, repository).await,
        Err(Error::Resolve(error)) => Err(error),
        Err(other) => return Err(other),
    };
    judge(gate.verify_upstream, Some(answer))
}

/// Asks whether a tag exists, when the gate wants that, and completes it with what it is now.
pub(crate) async fn verify_tag(
    app: &App,
    gate: &Gate,
    repository: &Repository,
    new: &mut NewTag,
) -> Result<Verification, Error> {
    if gate.verify_upstream == VerifyUpstream::Off {
        return Ok(Verification::default());
    }
    let answer = match resolve(app, repository, new.tag.as_str(), true).await {
        Ok(resolved) => complete(repository, new, resolved),
        Err(Error::Resolve(error)) => Err(error),
        Err(other) => return Err(other),
    };
    let verification = judge(gate.verify_upstream, Some(answer))?;
    new.verified = verification.verified;
    Ok(verification)
}

/// Puts what the registry says into a tag. It must not contradict what is said of the tag.
fn complete(
    repository: &Repository,
    new: &mut NewTag,
    resolved: Resolved,
) -> Result<(), ResolveError> {
    if new.digest.as_ref().is_some_and(|digest| *digest != resolved.digest) {
        return Err(elsewhere(repository, &new.tag, &resolved));
    }
    new.digest = Some(resolved.digest);
    new.platforms = resolved.platforms;
    Ok(())
}

fn elsewhere(repository: &Repository, tag: &TagName, resolved: &Resolved) -> ResolveError {
    ResolveError::NotFound {
        host: repository.registry().to_owned(),
        what: format!("{}:{tag} with this digest, but with {}", repository.path(), resolved.digest),
    }
}

async fn upstream_of(app: &App, repository: &Repository) -> Result<Upstream, Error> {
    let host = repository.registry();
    let mut db = app.pool.acquire().await?;
    let upstream = store::upstream::find(&mut db, store::upstream::Key::Host(host)).await?;
    Ok(upstream.ok_or_else(|| ResolveError::NotConfigured { host: host.to_owned() })?)
}
