//! Decisions about images.

use imageref::Repository;
use proto::registry::v1 as pb;
use runtime::event::Event;
use runtime::{Caller, Problem};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::event::Teller;
use crate::image::{Decision, Image, ImageId, NewImage};
use crate::store::image::Key;
use crate::tag::NewTag;
use crate::{App, Error, convert, store};

/// What somebody decides, and about what.
struct Asked {
    subject: Subject,
    decision: Decision,
    tags: Vec<NewTag>,
    review: Option<Uuid>,
    etag: String,
}

enum Subject {
    Id(ImageId),
    Repository(Repository),
}

pub(super) async fn approve(
    app: &App,
    caller: &Caller,
    request: pb::ApproveImageRequest,
) -> Result<pb::Image, Error> {
    let asked = Asked {
        subject: subject(request.id, &request.repository)?,
        decision: Decision::Approve { by: caller.person().to_string() },
        tags: request.tags.into_iter().map(convert::tag_to_add).collect::<Result<_, _>>()?,
        review: convert::review_id(&request.request_id)?,
        etag: request.etag,
    };
    let image = decide(app, caller, asked).await?;
    runtime::crash::point("image_approved");
    Ok(image)
}

pub(super) async fn reject(
    app: &App,
    caller: &Caller,
    request: pb::RejectImageRequest,
) -> Result<pb::Image, Error> {
    let reason = convert::description("reason", request.reason)?;
    let asked = Asked {
        subject: subject(request.id, &request.repository)?,
        decision: if request.pending { Decision::Pend } else { Decision::Reject { reason } },
        tags: Vec::new(),
        review: convert::review_id(&request.request_id)?,
        etag: request.etag,
    };
    decide(app, caller, asked).await
}

async fn decide(app: &App, caller: &Caller, asked: Asked) -> Result<pb::Image, Error> {
    let now = app.clock.now();
    let teller = Teller { caller, now };
    let mut tx = app.pool.begin().await?;
    let before = lock(&mut tx, &asked.subject).await?;
    if let Some(review) = asked.review {
        let repository = asked.subject.repository(before.as_ref())?;
        let status = asked.decision.status();
        let fresh = store::decision::remember(&mut tx, review, status, repository, now).await?;
        if !fresh {
            let removed = || Error::ImageRemoved(repository.to_owned());
            return Ok(before.clone().ok_or_else(removed)?.into());
        }
    }
    require_etag(&asked, before.as_ref())?;
    let (image, mut events) = match (before, asked.subject) {
        (Some(before), _) => settle(&mut tx, &teller, before, asked.decision, asked.review).await?,
        (None, Subject::Id(id)) => return Err(Error::ImageNotFound(id)),
        (None, Subject::Repository(repository)) => {
            let image =
                store::image::insert(&mut tx, made(repository, asked.decision), now).await?;
            let events = teller.image_added(&image, asked.review);
            (image, events)
        }
    };
    events.extend(add_missing(&mut tx, &teller, &image, &asked.tags).await?);
    app.outbox.append_all(&mut tx, &events).await?;
    let image = store::image::require(&mut tx, image.id).await?;
    app.outbox.commit(tx).await?;
    Ok(image.into())
}

/// Decides about an image that is there; what was decided so before stays as it is.
async fn settle(
    db: &mut PgConnection,
    teller: &Teller<'_>,
    before: Image,
    decision: Decision,
    review: Option<Uuid>,
) -> Result<(Image, Vec<Event>), Error> {
    let Some(after) = before.decided(decision, teller.now) else {
        return Ok((before, Vec::new()));
    };
    let after = store::image::update(db, &after).await?;
    let event = teller.image_decided(&before, &after, review);
    Ok((after, vec![event]))
}

async fn add_missing(
    db: &mut PgConnection,
    teller: &Teller<'_>,
    image: &Image,
    tags: &[NewTag],
) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    for new in tags {
        let key = store::tag::Key::Name(new.tag.as_str());
        if store::tag::find(db, image.id, key).await?.is_none() {
            let tag = store::tag::insert(db, image.id, new, teller.now).await?;
            events.push(teller.tag_added(image, &tag));
        }
    }
    Ok(events)
}

async fn lock(db: &mut PgConnection, subject: &Subject) -> Result<Option<Image>, Error> {
    match subject {
        Subject::Id(id) => store::image::lock(db, &Key::Id(*id)).await,
        Subject::Repository(repository) => {
            store::queue_for(db, repository.as_str()).await?;
            store::image::lock(db, &Key::Repository(repository.to_string())).await
        }
    }
}

fn made(repository: Repository, decision: Decision) -> NewImage {
    NewImage {
        repository,
        description: String::new(),
        category: String::new(),
        is_official: false,
        unknown_tag: None,
        verified: false,
        decision,
    }
}

/// What was seen with an etag must be there, and be the same.
fn require_etag(asked: &Asked, image: Option<&Image>) -> Result<(), Error> {
    match (image, &asked.subject) {
        (Some(image), _) => image.require_etag(&asked.etag),
        (None, Subject::Repository(repository)) if !asked.etag.is_empty() => {
            let name = repository.to_string();
            Err(Error::StaleEtag { noun: "image", name, etag: String::new() })
        }
        (None, Subject::Repository(_) | Subject::Id(_)) => Ok(()),
    }
}

fn subject(id: i64, repository: &str) -> Result<Subject, Error> {
    match (id, repository) {
        (0, "") => Err(Problem::invalid("id", "is missing; give it or `repository`").into()),
        (0, text) => Ok(Subject::Repository(convert::repository("repository", text)?)),
        (id, "") => Ok(Subject::Id(ImageId(id))),
        (_, _) => Err(Problem::invalid("repository", "comes with `id`; give one of them").into()),
    }
}

impl Subject {
    fn repository<'a>(&'a self, image: Option<&'a Image>) -> Result<&'a str, Error> {
        match (image, self) {
            (Some(image), _) => Ok(&image.repository),
            (None, Self::Repository(repository)) => Ok(repository.as_str()),
            (None, Self::Id(id)) => Err(Error::ImageNotFound(*id)),
        }
    }
}
