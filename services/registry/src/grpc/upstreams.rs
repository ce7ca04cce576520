//! Upstreams.

use proto::registry::v1 as pb;
use runtime::event::Event;
use runtime::{Caller, page};
use sqlx::PgConnection;

use crate::event::Teller;
use crate::store::upstream::Key;
use crate::upstream::{Upstream, UpstreamId};
use crate::{App, Error, convert, lookup, store};

/// What those who change upstreams queue for: their names, URLs and hosts exclude one another.
const QUEUE: &str = "registry.upstreams";

pub(super) async fn create(
    app: &App,
    caller: &Caller,
    request: pb::CreateUpstreamRequest,
) -> Result<pb::Upstream, Error> {
    let settings = convert::new_upstream(request.upstream)?;
    let now = app.clock.now();
    let teller = Teller { caller, now };
    let mut tx = app.pool.begin().await?;
    store::queue_for(&mut tx, QUEUE).await?;
    store::upstream::require_unique(&mut tx, &settings, None).await?;
    let mut events = Vec::new();
    if settings.is_default {
        events.extend(take_mark(&mut tx, &teller).await?);
    }
    let upstream = store::upstream::insert(&mut tx, &settings, now).await?;
    events.push(teller.upstream_created(&upstream));
    app.outbox.append_all(&mut tx, &events).await?;
    app.outbox.commit(tx).await?;
    Ok(upstream.into())
}

pub(super) async fn get(app: &App, request: pb::GetUpstreamRequest) -> Result<pb::Upstream, Error> {
    let mut db = app.pool.acquire().await?;
    Ok(store::upstream::require(&mut db, UpstreamId(request.id)).await?.into())
}

pub(super) async fn list(
    app: &App,
    request: pb::ListUpstreamsRequest,
) -> Result<pb::ListUpstreamsResponse, Error> {
    let size = page::size(request.page_size, page::MAX_SIZE)?;
    let skip = page::skip(request.skip)?;
    let list = "upstreams";
    let after = convert::page_key(&request.page_token, list)?;
    let mut db = app.pool.acquire().await?;
    let upstreams = store::upstream::list(&mut db, after, skip, size).await?;
    let total = store::upstream::count(&mut db).await?;
    let (upstreams, next_page_token) =
        page::cut(upstreams, size, list, |upstream: &Upstream| upstream.id.to_string());
    Ok(pb::ListUpstreamsResponse {
        upstreams: upstreams.into_iter().map(pb::Upstream::from).collect(),
        next_page_token,
        total_size: i32::try_from(total).unwrap_or(i32::MAX),
    })
}

pub(super) async fn update(
    app: &App,
    caller: &Caller,
    request: pb::UpdateUpstreamRequest,
) -> Result<pb::Upstream, Error> {
    let paths = request.update_mask.map(|mask| mask.paths);
    let (asked, change) = convert::upstream_change(request.upstream, paths)?;
    let now = app.clock.now();
    let teller = Teller { caller, now };
    let mut tx = app.pool.begin().await?;
    store::queue_for(&mut tx, QUEUE).await?;
    let before = store::upstream::require(&mut tx, UpstreamId(asked.id)).await?;
    before.require_etag(&asked.etag)?;
    let settings = before.settings_with(change)?;
    if settings.are_those_of(&before) {
        return Ok(before.into());
    }
    store::upstream::require_unique(&mut tx, &settings, Some(before.id)).await?;
    let mut events = Vec::new();
    if settings.is_default && !before.is_default {
        events.extend(take_mark(&mut tx, &teller).await?);
    }
    let after = store::upstream::update(&mut tx, before.id, &settings, now).await?;
    events.push(teller.upstream_updated(&before, &after));
    app.outbox.append_all(&mut tx, &events).await?;
    app.outbox.commit(tx).await?;
    Ok(after.into())
}

pub(super) async fn delete(
    app: &App,
    caller: &Caller,
    request: pb::DeleteUpstreamRequest,
) -> Result<pb::Upstream, Error> {
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    store::queue_for(&mut tx, QUEUE).await?;
    let upstream = store::upstream::require(&mut tx, UpstreamId(request.id)).await?;
    store::upstream::delete(&mut tx, upstream.id).await?;
    let event = Teller { caller, now }.upstream_deleted(&upstream);
    app.outbox.append(&mut tx, &event).await?;
    app.outbox.commit(tx).await?;
    Ok(upstream.into())
}

pub(super) async fn test(
    app: &App,
    request: pb::TestUpstreamRequest,
) -> Result<pb::TestUpstreamResponse, Error> {
    let upstream = {
        let mut db = app.pool.acquire().await?;
        store::upstream::require(&mut db, UpstreamId(request.id)).await?
    };
    Ok(app.resolver.contact(&upstream).await.into())
}

/// A tag is asked for even when a digest stands beside it: the answer is what the tag is now.
pub(super) async fn resolve_tag(
    app: &App,
    request: pb::ResolveTagRequest,
) -> Result<pb::ResolveTagResponse, Error> {
    let reference = convert::reference("reference", &request.reference)?;
    let version = match (reference.tag(), reference.digest()) {
        (Some(tag), _) => tag.to_string(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => imageref::Tag::latest().to_string(),
    };
    let resolved = lookup::resolve(app, reference.repository(), &version, request.fresh).await?;
    let reference = reference.without_digest().to_string();
    Ok(pb::ResolveTagResponse { reference, ..resolved.into() })
}

/// Takes the mark of the default from the upstream that has it.
async fn take_mark(db: &mut PgConnection, teller: &Teller<'_>) -> Result<Option<Event>, Error> {
    let Some(before) = store::upstream::find(db, Key::Default).await? else { return Ok(None) };
    let after = store::upstream::clear_default(db, before.id, teller.now).await?;
    Ok(Some(teller.upstream_updated(&before, &after)))
}
