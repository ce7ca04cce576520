//! Acts on what happens to images and tags in `registry`.
//!
//! An event is only a hint that something changed: what is so now is read, and what follows from it
//! is done in the transaction that moves the cursor. So events may come twice, late, or out of date.

use std::time::Duration;

use chrono::{DateTime, Utc};
use imageref::Reference;
use proto::event::v1::Event as PbEvent;
use proto::reason;
use proto::registry::v1::{ApprovalStatus, Image};
use runtime::backoff::Backoff;
use runtime::event::{Event, Resource};
use runtime::{Actor, database, id};
use serde_json::Value;
use sqlx::PgConnection;

use crate::answer::{Admitted, Ruling};
use crate::close::{self, End, Which};
use crate::peers::Admission;
use crate::review::{Question, Scope};
use crate::store::feed::News;
use crate::{App, Error, ask, store};

/// How long one stream is read. Beginning anew tells the registry how far its events were acted on.
const STREAM: Duration = Duration::from_secs(300);
const AWAY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));

/// Reads the registry's events until the process stops.
pub(crate) async fn run(app: App) {
    let mut failures = 0;
    while !app.lifecycle.is_stopping() {
        let read = tokio::select! {
            () = app.lifecycle.stopping() => return,
            read = tokio::time::timeout(STREAM, follow(&app, &mut failures)) => read,
        };
        let Ok(Err(problem)) = read else { continue };
        failures += 1;
        if failures == 1 {
            tracing::warn!("the registry's events are read again later: {problem}");
        }
        tokio::select! {
            () = app.lifecycle.stopping() => return,
            () = tokio::time::sleep(AWAY.wait(failures)) => {}
        }
    }
}

/// Reads one stream.
async fn follow(app: &App, failures: &mut u32) -> Result<(), Error> {
    let mut db = app.pool.acquire().await?;
    let cursor = store::feed::cursor(&mut db).await?;
    drop(db);
    let mut stream = app.peers.watch_registry(cursor).await?;
    while let Some(batch) = stream.message().await.map_err(runtime::Problem::from)? {
        *failures = 0;
        let last = batch.events.last().map(|event| event.sequence);
        for event in batch.events {
            handle(app, &event).await?;
        }
        if let Some(last) = last {
            pass(app, last).await?;
        }
    }
    Err(runtime::Problem::unavailable(reason::REGISTRY_UNREACHABLE, "the stream ended").into())
}

/// Moves the cursor over events that nothing follows from.
async fn pass(app: &App, sequence: i64) -> Result<(), Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    store::feed::advance(&mut tx, sequence, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Acts on one event.
async fn handle(app: &App, event: &PbEvent) -> Result<(), Error> {
    let kind = event.r#type.as_str();
    // What this process wrote there it has acted on itself.
    let own = event.actor.as_ref().is_some_and(|actor| actor.id == crate::SCHEMA.name);
    if kind.starts_with("image.registry.") {
        return image_changed(app, event).await;
    }
    if matches!(kind, "image.tag.added" | "image.tag.updated") && !own {
        return tag_changed(app, event).await;
    }
    if kind.starts_with("upstream.") {
        return upstreams_changed(app).await;
    }
    Ok(())
}

/// What an event says it is about.
fn subject(event: &PbEvent) -> Option<(String, Reference)> {
    let resource = event.resource.as_ref()?;
    Some((resource.id.clone(), Reference::parse(&resource.name).ok()?))
}

/// Who wanted the change.
fn person(event: &PbEvent) -> Actor {
    event
        .on_behalf_of
        .clone()
        .or_else(|| event.actor.clone())
        .and_then(|actor| Actor::try_from(actor).ok())
        .unwrap_or_else(|| Actor::system("registry"))
}

async fn image_changed(app: &App, event: &PbEvent) -> Result<(), Error> {
    let Some((id, reference)) = subject(event) else { return Ok(()) };
    let Ok(id) = id.parse() else { return Ok(()) };
    let image = app.peers.image(id).await?;
    let (repository, by) = (reference.repository().as_str(), person(event));
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    store::review::lock_repository(&mut tx, repository).await?;
    if !store::feed::advance(&mut tx, event.sequence, now).await? {
        return Ok(());
    }
    let end = |which, why| End { repository, which, by: &by, why };
    match image.as_ref().map(Image::approval_status) {
        Some(ApprovalStatus::Approved) => {
            store::feed::tell(&mut tx, &news(repository, "", "", now), now).await?;
            close::approve(&mut tx, app, end(Which::Image, ""), now).await?;
        }
        Some(ApprovalStatus::Rejected) => {
            revoke(&mut tx, app, event, repository, "", "the image was rejected").await?;
            close::reject(&mut tx, app, end(Which::All, "the image was rejected"), now).await?;
        }
        Some(ApprovalStatus::Pending | ApprovalStatus::Unspecified) => {
            if event.r#type != "image.registry.added" {
                revoke(&mut tx, app, event, repository, "", "the image waits for approval").await?;
            }
            ask_about(&mut tx, app, repository, &by).await?;
        }
        None => {
            revoke(&mut tx, app, event, repository, "", "the image was removed").await?;
            close::cancel(&mut tx, app, end(Which::All, ""), now).await?;
        }
    }
    app.outbox.commit(tx).await?;
    // Only now can the worker find what was written down.
    app.wakes.news.ring();
    Ok(())
}

/// Opens a review for an image that waits for approval, unless one is open.
async fn ask_about(
    db: &mut PgConnection,
    app: &App,
    repository: &str,
    by: &Actor,
) -> Result<(), Error> {
    let now = database::now(db, &app.clock).await?;
    let open = store::review::pending(db, repository).await?;
    if open.iter().any(|review| review.scope == Scope::Image && review.expires_at > now) {
        return Ok(());
    }
    let question = Question {
        scope: Scope::Image,
        repository: repository.to_owned(),
        tag: String::new(),
        digest: String::new(),
        platforms: Vec::new(),
        requester: by.clone(),
        image_is_pending: true,
    };
    ask::ask(db, app, &question, now).await?;
    Ok(())
}

async fn tag_changed(app: &App, event: &PbEvent) -> Result<(), Error> {
    let Some((_, reference)) = subject(event) else { return Ok(()) };
    let Some(tag) = reference.tag() else { return Ok(()) };
    let (repository, by) = (reference.repository().as_str(), person(event));
    let tagged = format!("{repository}:{tag}");
    let system = Actor::system(crate::SCHEMA.name);
    let question =
        Admission { reference: &tagged, digest: "", platforms: &[], record: false, actor: &system };
    let verdict = match app.peers.admit(question).await {
        Admitted::Verdict(verdict) => verdict,
        Admitted::Malformed(_) => return Ok(()),
        Admitted::Away(message) => {
            return Err(runtime::Problem::unavailable(reason::REGISTRY_UNREACHABLE, message).into());
        }
    };
    let deprecated = verdict.reasons.first().is_some_and(|why| why.code == reason::TAG_DEPRECATED);
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    store::review::lock_repository(&mut tx, repository).await?;
    if !store::feed::advance(&mut tx, event.sequence, now).await? {
        return Ok(());
    }
    let end = |why| End { repository, which: Which::Tag(tag.as_str()), by: &by, why };
    match verdict.ruling {
        Ruling::Allow => {
            store::feed::tell(&mut tx, &news(repository, tag.as_str(), "", now), now).await?;
            close::approve(&mut tx, app, end(""), now).await?;
        }
        Ruling::Deny if deprecated => {
            let why = "the tag is marked as deprecated";
            revoke(&mut tx, app, event, repository, tag.as_str(), why).await?;
            close::reject(&mut tx, app, end(why), now).await?;
        }
        Ruling::Deny | Ruling::Hold(_) => {}
    }
    app.outbox.commit(tx).await?;
    // Only now can the worker find what was written down.
    app.wakes.news.ring();
    Ok(())
}

/// Notes that `rollout` must be told, and tells that an approval was lost, where one was.
async fn revoke(
    db: &mut PgConnection,
    app: &App,
    event: &PbEvent,
    repository: &str,
    tag: &str,
    why: &str,
) -> Result<(), Error> {
    let now = database::now(db, &app.clock).await?;
    store::feed::tell(db, &news(repository, tag, why, now), now).await?;
    if had_approval(event) {
        let name =
            if tag.is_empty() { repository.to_owned() } else { format!("{repository}:{tag}") };
        let told = Event::of(
            person(event),
            "image.approval.revoked",
            Resource::new("release", &name, name.clone()),
            now,
        )
        .after(serde_json::json!({"repository": repository, "tag": tag, "reason": why}));
        app.outbox.append(db, &told).await?;
    }
    Ok(())
}

/// What `rollout` must hear about a release: why it lost its approval; empty = it has it again.
fn news(repository: &str, tag: &str, lost: &str, now: DateTime<Utc>) -> News {
    News {
        id: id::uuid_v7(now),
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        lost: lost.to_owned(),
        attempts: 0,
    }
}

/// Whether what the event is about was approved before it.
fn had_approval(event: &PbEvent) -> bool {
    let envelope: Value = serde_json::from_str(&event.envelope).unwrap_or_default();
    let before = &envelope["before"];
    before["approval_status"] == "approved" || before["is_deprecated"] == false
}

/// Looks again for what no registry could be asked about.
async fn upstreams_changed(app: &App) -> Result<(), Error> {
    let mut db = app.pool.acquire().await?;
    let now = database::now(&mut db, &app.clock).await?;
    let waiting =
        [reason::UPSTREAM_NOT_CONFIGURED, reason::UPSTREAM_REFUSED, reason::UPSTREAM_UNREACHABLE];
    store::push::hurry(&mut db, &waiting, now).await?;
    app.wakes.pushes.ring();
    Ok(())
}
