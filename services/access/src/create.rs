//! Making a token, in the caller's transaction.

use runtime::Caller;
use runtime::event::{Event, Resource};
use runtime::secret::{Hash, Secret};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::token::NewToken;
use crate::token::{self, Token, Wish};
use crate::{App, Error, store};

/// What came of a request for a token.
#[derive(Debug)]
pub(crate) enum Created {
    /// A new token, known by the secret that was given.
    New(Token),
    /// The token that the same request made before; its secret is gone.
    Before(Token),
}

/// Stores the token that is wished for, known by `secret`, and writes its event. A request that was
/// made before, as `repeatable` tells, makes none.
pub(crate) async fn token(
    db: &mut PgConnection,
    app: &App,
    caller: &Caller,
    wish: &Wish,
    repeatable: Option<(Uuid, Hash)>,
    secret: &Secret,
) -> Result<Created, Error> {
    let now = app.clock.now();
    let created_by = caller.person();
    store::token::lock(db).await?;
    if let Some((id, hash)) = repeatable
        && let Some((token, known)) = store::token::find_by_request(db, created_by, id).await?
    {
        if known != hash {
            return Err(Error::RequestIdReused);
        }
        let token = store::token::find(db, token).await?.ok_or(Error::TokenNotFound(token))?;
        return Ok(Created::Before(token));
    }
    let subject = wish.subject(caller, now)?;
    let new = NewToken {
        name: &wish.name,
        subject: &subject,
        role: wish.role,
        prefix: &token::prefix(secret.expose()),
        created_at: now,
        expires_at: wish.expires_at,
        created_by,
        request: repeatable,
    };
    let token = insert(db, &new, secret).await?;
    let resource = Resource::new("token", token.id, &token.name);
    let event = Event::by(caller, "token.create", resource, now).after(token.to_json());
    app.outbox.append(db, &event).await?;
    Ok(Created::New(token))
}

/// Stores a token under a name that none of its subject's live tokens has.
pub(crate) async fn insert(
    db: &mut PgConnection,
    new: &NewToken<'_>,
    secret: &Secret,
) -> Result<Token, Error> {
    store::token::release_name(db, new.subject, new.name, new.created_at).await?;
    if store::token::is_name_held(db, new.subject, new.name).await? {
        let (subject, name) = (new.subject.clone(), new.name.to_owned());
        return Err(Error::TokenExists { subject, name });
    }
    store::token::insert(db, new, secret.hash()).await
}
