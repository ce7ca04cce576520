//! Images.

use imageref::Repository;
use proto::registry::v1 as pb;
use proto::rollout::v1::MatchRepositoryRequest;
use runtime::{Caller, client, page};
use sqlx::PgConnection;

use crate::event::Teller;
use crate::image::{Decision, Image, ImageId};
use crate::store::image::Key;
use crate::{App, Error, convert, lookup, store};

/// How many images one page holds at the most.
const MAX_PAGE: i32 = 1_000;

pub(super) async fn create(
    app: &App,
    caller: &Caller,
    request: pb::CreateImageRequest,
) -> Result<pb::Image, Error> {
    let mut new = convert::new_image(request)?;
    let gate = {
        let mut db = app.pool.acquire().await?;
        refuse_existing(&mut db, &new.repository).await?;
        store::gate::read(&mut db).await?
    };
    let verification = lookup::verify_repository(app, &gate, &new.repository).await?;
    new.verified = verification.verified;
    if caller.may("images.approve") {
        new.decision = Decision::Approve { by: caller.person().to_string() };
    }
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    store::queue_for(&mut tx, new.repository.as_str()).await?;
    refuse_existing(&mut tx, &new.repository).await?;
    let image = store::image::insert(&mut tx, new, now).await?;
    app.outbox.append_all(&mut tx, &Teller { caller, now }.image_added(&image, None)).await?;
    app.outbox.commit(tx).await?;
    Ok(pb::Image { warnings: verification.warnings, ..image.into() })
}

pub(super) async fn get(app: &App, request: pb::GetImageRequest) -> Result<pb::Image, Error> {
    let mut db = app.pool.acquire().await?;
    Ok(store::image::require(&mut db, ImageId(request.id)).await?.into())
}

pub(super) async fn list(
    app: &App,
    request: pb::ListImagesRequest,
) -> Result<pb::ListImagesResponse, Error> {
    let filter = convert::image_filter(&request)?;
    let size = page::size(request.page_size, MAX_PAGE)?;
    let skip = page::skip(request.skip)?;
    let list = format!("images {filter:?}");
    let after = convert::page_key(&request.page_token, &list)?;
    let mut db = app.pool.acquire().await?;
    let images = store::image::list(&mut db, &filter, after, skip, size).await?;
    let total = store::image::count(&mut db, &filter).await?;
    let (images, next_page_token) =
        page::cut(images, size, &list, |image: &Image| image.id.to_string());
    Ok(pb::ListImagesResponse {
        images: images.into_iter().map(pb::Image::from).collect(),
        next_page_token,
        total_size: i32::try_from(total).unwrap_or(i32::MAX),
    })
}

pub(super) async fn update(
    app: &App,
    caller: &Caller,
    request: pb::UpdateImageRequest,
) -> Result<pb::Image, Error> {
    let paths = request.update_mask.map(|mask| mask.paths);
    let (asked, change) = convert::image_change(request.image, paths)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let before = lock(&mut tx, ImageId(asked.id)).await?;
    before.require_etag(&asked.etag)?;
    let Some(after) = before.changed(change, now) else { return Ok(before.into()) };
    let after = store::image::update(&mut tx, &after).await?;
    let event = Teller { caller, now }.image_updated(&before, &after);
    app.outbox.append(&mut tx, &event).await?;
    app.outbox.commit(tx).await?;
    Ok(after.into())
}

pub(super) async fn delete(
    app: &App,
    caller: &Caller,
    request: pb::DeleteImageRequest,
) -> Result<pb::Image, Error> {
    let id = ImageId(request.id);
    let image = {
        let mut db = app.pool.acquire().await?;
        store::image::require(&mut db, id).await?
    };
    image.require_etag(&request.etag)?;
    require_no_policies(app, caller, &image).await?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let image = lock(&mut tx, id).await?;
    image.require_etag(&request.etag)?;
    store::image::delete(&mut tx, id).await?;
    app.outbox.append(&mut tx, &Teller { caller, now }.image_deleted(&image)).await?;
    app.outbox.commit(tx).await?;
    Ok(image.into())
}

pub(super) async fn categories(app: &App) -> Result<pb::ListCategoriesResponse, Error> {
    let mut db = app.pool.acquire().await?;
    let categories = store::image::categories(&mut db).await?;
    Ok(pb::ListCategoriesResponse { categories: categories.into_iter().map(Into::into).collect() })
}

/// Locks an image that must be there.
pub(super) async fn lock(db: &mut PgConnection, id: ImageId) -> Result<Image, Error> {
    store::image::lock(db, &Key::Id(id)).await?.ok_or(Error::ImageNotFound(id))
}

async fn refuse_existing(db: &mut PgConnection, repository: &Repository) -> Result<(), Error> {
    match store::image::find(db, &Key::Repository(repository.to_string())).await? {
        Some(image) => Err(Error::ImageExists { id: image.id, repository: image.repository }),
        None => Ok(()),
    }
}

/// Refuses to let an image go that an update policy still rolls out. When that cannot be known, it
/// stays.
async fn require_no_policies(app: &App, caller: &Caller, image: &Image) -> Result<(), Error> {
    let matched = client::retried(|| {
        let mut policies = app.policies.clone();
        let request = MatchRepositoryRequest { repository: image.repository.clone() };
        let request = client::on_behalf_of(request, caller.person());
        async move { policies.match_repository(request).await }
    });
    let policies = matched.await.map_err(Error::RolloutUnreachable)?.policies;
    if policies.is_empty() {
        return Ok(());
    }
    let shown = |policy: &proto::rollout::v1::Policy| match policy.name.as_str() {
        "" => policy.image_pattern.clone(),
        name => name.to_owned(),
    };
    Err(Error::ImageHasPolicies {
        repository: image.repository.clone(),
        policies: policies.iter().map(shown).collect::<Vec<_>>().join(", "),
        ids: policies.iter().map(|policy| policy.id.as_str()).collect::<Vec<_>>().join(","),
    })
}
