//! The first administrator's token, for whom there is nobody yet to ask for it.
//!
//! Slipway has no default token and no default password. Whoever sets it up (`slipway up`, `slipway
//! migrate`) makes a secret, keeps it in a file that only its owner can read, and hands it here:
//!
//! ```text
//! let secret = Secret::generate(access::TOKEN_PREFIX);
//! secret.write(&data_dir.join("admin-token"))?;
//! access::bootstrap_admin_token(&pool, &Clock::system(), &secret).await?;
//! ```
//!
//! It works on the migrated database, as its owner or as the role of this process, also while the
//! process runs. Calling it again with the same secret changes nothing, so it belongs into every
//! start.

use runtime::event::{Event, Resource};
use runtime::outbox::Outbox;
use runtime::secret::Secret;
use runtime::{Actor, ActorKind, Clock};
use sqlx::{PgConnection, PgPool};

use crate::role::Role;
use crate::store::token::NewToken;
use crate::token::{self, Token};
use crate::{Error, SCHEMA, create, store};

/// The user whose token it is, and what the token is called.
const ADMIN: &str = "admin";
/// A shorter secret cannot be one that [`Secret::generate`] made.
const LEAST_LENGTH: usize = 40;

/// What the bootstrap found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// The token is made.
    Created,
    /// The secret is that of a live administrator's token already.
    Present,
    /// The secret is that of a token that was revoked, has ended, or is no administrator's: it stays
    /// so. Make a new secret.
    Ended,
}

/// Makes the token that `secret` is the secret of: named `admin`, of the user `admin`, with the role
/// admin and without an end. Where another live token has the name, as after the loss of the first
/// secret, it is named `admin 2` and so on.
///
/// # Errors
///
/// When the secret is none, or the database does not do it.
pub async fn bootstrap_admin_token(
    pool: &PgPool,
    clock: &Clock,
    secret: &Secret,
) -> Result<Bootstrap, Error> {
    if !secret.expose().starts_with(token::PREFIX) || secret.expose().len() < LEAST_LENGTH {
        return Err(Error::WeakSecret);
    }
    let outbox = Outbox::new(SCHEMA.name);
    let now = clock.now();
    let mut tx = pool.begin().await?;
    store::token::lock(&mut tx).await?;
    if let Some(token) = store::token::find_by_hash(&mut tx, secret.hash()).await? {
        let holds = token.role == Role::Admin && token.check(now).is_ok();
        return Ok(if holds { Bootstrap::Present } else { Bootstrap::Ended });
    }
    let token = insert(&mut tx, clock, secret).await?;
    let resource = Resource::new("token", token.id, &token.name);
    let event =
        Event::of(Actor::system(SCHEMA.name), "token.create", resource, now).after(token.to_json());
    outbox.append(&mut tx, &event).await?;
    outbox.commit(tx).await?;
    Ok(Bootstrap::Created)
}

async fn insert(db: &mut PgConnection, clock: &Clock, secret: &Secret) -> Result<Token, Error> {
    let subject = Actor::new(ActorKind::User, ADMIN, ADMIN);
    for number in 1.. {
        let name = if number == 1 { ADMIN.to_owned() } else { format!("{ADMIN} {number}") };
        let new = NewToken {
            name: &name,
            subject: &subject,
            role: Role::Admin,
            prefix: &token::prefix(secret.expose()),
            created_at: clock.now(),
            expires_at: None,
            created_by: &Actor::system(SCHEMA.name),
            request: None,
        };
        match create::insert(db, &new, secret).await {
            Err(Error::TokenExists { .. }) => {}
            made => return made,
        }
    }
    unreachable!("some number is free")
}
