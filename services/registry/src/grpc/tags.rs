//! Tags.

use imageref::Repository;
use proto::registry::v1 as pb;
use runtime::event::Event;
use runtime::{Caller, page};
use sqlx::PgConnection;

use super::images::lock;
use crate::event::Teller;
use crate::image::{Image, ImageId};
use crate::store::tag::Key;
use crate::tag::{Tag, TagId};
use crate::{App, Error, convert, lookup, store};

/// How many tags one page holds at the most.
const MAX_PAGE: i32 = 1_000;

pub(super) async fn create(
    app: &App,
    caller: &Caller,
    request: pb::CreateTagRequest,
) -> Result<pb::Tag, Error> {
    let id = ImageId(request.image_id);
    let mut new = convert::new_tag(request.tag)?;
    let (repository, gate) = {
        let mut db = app.pool.acquire().await?;
        let image = store::image::require(&mut db, id).await?;
        auto_added(&mut db, id, new.tag.as_str()).await?;
        (repository_of(&image)?, store::gate::read(&mut db).await?)
    };
    let verification = lookup::verify_tag(app, &gate, &repository, &mut new).await?;
    let now = app.clock.now();
    let teller = Teller { caller, now };
    let mut tx = app.pool.begin().await?;
    let image = lock(&mut tx, id).await?;
    let there = auto_added(&mut tx, id, new.tag.as_str()).await?;
    let mut events = Vec::new();
    if new.is_recommended {
        events.extend(take_mark(&mut tx, &teller, &image).await?);
    }
    let tag = match there {
        Some(before) => {
            let tag = store::tag::update(&mut tx, &before.taken_over(&new, now)).await?;
            events.push(teller.tag_updated(&image, &before, &tag));
            tag
        }
        None => {
            let tag = store::tag::insert(&mut tx, id, &new, now).await?;
            events.push(teller.tag_added(&image, &tag));
            tag
        }
    };
    app.outbox.append_all(&mut tx, &events).await?;
    app.outbox.commit(tx).await?;
    Ok(pb::Tag { warnings: verification.warnings, ..tag.into() })
}

pub(super) async fn list(
    app: &App,
    request: pb::ListTagsRequest,
) -> Result<pb::ListTagsResponse, Error> {
    let id = ImageId(request.image_id);
    let size = page::size(request.page_size, MAX_PAGE)?;
    let list = format!("tags of {id}");
    let after = convert::page_key(&request.page_token, &list)?;
    let mut db = app.pool.acquire().await?;
    let image = store::image::require(&mut db, id).await?;
    let tags = store::tag::list(&mut db, id, after, size).await?;
    let (tags, next_page_token) = page::cut(tags, size, &list, |tag: &Tag| tag.id.to_string());
    Ok(pb::ListTagsResponse {
        tags: tags.into_iter().map(pb::Tag::from).collect(),
        next_page_token,
        total_size: i32::try_from(image.tag_count).unwrap_or(i32::MAX),
    })
}

pub(super) async fn update(
    app: &App,
    caller: &Caller,
    request: pb::UpdateTagRequest,
) -> Result<pb::Tag, Error> {
    let paths = request.update_mask.map(|mask| mask.paths);
    let (asked, change) = convert::tag_change(request.tag, paths)?;
    let now = app.clock.now();
    let teller = Teller { caller, now };
    let mut tx = app.pool.begin().await?;
    let image = lock(&mut tx, ImageId(asked.image_id)).await?;
    let before = store::tag::require(&mut tx, image.id, TagId(asked.id)).await?;
    before.require_etag(&asked.etag)?;
    let Some(after) = before.changed(change, now) else { return Ok(before.into()) };
    let mut events = Vec::new();
    if after.is_recommended && !before.is_recommended {
        events.extend(take_mark(&mut tx, &teller, &image).await?);
    }
    let after = store::tag::update(&mut tx, &after).await?;
    events.push(teller.tag_updated(&image, &before, &after));
    app.outbox.append_all(&mut tx, &events).await?;
    app.outbox.commit(tx).await?;
    Ok(after.into())
}

pub(super) async fn delete(
    app: &App,
    caller: &Caller,
    request: pb::DeleteTagRequest,
) -> Result<pb::Tag, Error> {
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let image = lock(&mut tx, ImageId(request.image_id)).await?;
    let tag = store::tag::require(&mut tx, image.id, TagId(request.id)).await?;
    store::tag::delete(&mut tx, tag.id).await?;
    app.outbox.append(&mut tx, &Teller { caller, now }.tag_deleted(&image, &tag)).await?;
    app.outbox.commit(tx).await?;
    Ok(tag.into())
}

/// Takes the mark of the recommended tag from the one that has it.
async fn take_mark(
    db: &mut PgConnection,
    teller: &Teller<'_>,
    image: &Image,
) -> Result<Option<Event>, Error> {
    let Some(before) = store::tag::find(db, image.id, Key::Recommended).await? else {
        return Ok(None);
    };
    let after = store::tag::update(db, &before.no_longer_recommended(teller.now)).await?;
    Ok(Some(teller.tag_updated(image, &before, &after)))
}

/// The tag of this name where a push added it: whoever adds it takes it over. Any other is refused.
async fn auto_added(
    db: &mut PgConnection,
    image: ImageId,
    tag: &str,
) -> Result<Option<Tag>, Error> {
    match store::tag::find(db, image, Key::Name(tag)).await? {
        Some(tag) if !tag.is_auto_added => Err(Error::TagExists { id: tag.id, tag: tag.tag }),
        there => Ok(there),
    }
}

fn repository_of(image: &Image) -> Result<Repository, Error> {
    convert::repository("image.repository", &image.repository)
}
