//! Verdicts.

use proto::registry::v1 as pb;
use runtime::Caller;
use sqlx::PgConnection;

use crate::admit::{Effect, decide};
use crate::convert::{Answer, Asked};
use crate::event::Teller;
use crate::nearest::nearest;
use crate::store::image::Key;
use crate::{App, Error, store};

/// Most verdicts change nothing: they cost one round trip and no transaction.
pub(super) async fn admit(
    app: &App,
    caller: &Caller,
    request: pb::AdmitReferenceRequest,
) -> Result<pb::Verdict, Error> {
    let asked = Asked::try_from(request)?;
    let mut db = app.pool.acquire().await?;
    let (mut answer, effect) = judge(&mut db, &asked).await?;
    if asked.record && !matches!(effect, Effect::Nothing) {
        drop(db);
        answer = record(app, caller, &asked).await?;
        return Ok(asked.told(answer));
    }
    if let Some(image) = answer.known.image.as_ref().filter(|_| answer.verdict.refuses_version()) {
        answer.nearest_approved = nearest(store::tag::candidates(&mut db, image.id).await?);
    }
    Ok(asked.told(answer))
}

/// Decides once more with the image held, and writes what that leaves to write.
async fn record(app: &App, caller: &Caller, asked: &Asked) -> Result<Answer, Error> {
    let now = app.clock.now();
    let teller = Teller { caller, now };
    let mut tx = app.pool.begin().await?;
    let repository = asked.reference.repository().to_string();
    store::image::lock(&mut tx, &Key::Repository(repository)).await?;
    let (mut answer, effect) = judge(&mut tx, asked).await?;
    let Some(image) = &mut answer.known.image else { return Ok(answer) };
    let (tag, event) = match effect {
        Effect::Nothing => return Ok(answer),
        Effect::AddTag(new) => {
            let tag = store::tag::insert(&mut tx, image.id, &new, now).await?;
            image.tag_count += 1;
            let event = teller.tag_added(image, &tag);
            (tag, event)
        }
        Effect::PinTag(before, after) => {
            let mut after = *after;
            after.updated_at = now;
            let after = store::tag::update(&mut tx, &after).await?;
            let event = teller.tag_updated(image, &before, &after);
            (after, event)
        }
    };
    answer.known.tag = Some(tag);
    app.outbox.append(&mut tx, &event).await?;
    app.outbox.commit(tx).await?;
    Ok(answer)
}

async fn judge(db: &mut PgConnection, asked: &Asked) -> Result<(Answer, Effect), Error> {
    let known = store::admission::read(db, &asked.reference).await?;
    let question = asked.question(&known);
    let verdict = decide(&question);
    let effect = verdict.effect(&question, &asked.platforms);
    Ok((Answer { known, verdict, nearest_approved: String::new() }, effect))
}
