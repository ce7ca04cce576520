//! Tokens and keys that are made once and kept in files that only their owner can read.

use std::path::Path;

use access::Bootstrap;
use anyhow::{Context as _, Result};
use runtime::auth::Peers;
use runtime::seal::Sealer;
use runtime::secret::{self, Secret};
use runtime::{Clock, database};

use crate::migrate;

/// The processes that know each other.
const PROCESSES: [&str; 5] = ["registry", "approval", "rollout", "access", "gateway"];

/// Makes what is missing in a folder: a token for each process, the list of all of them, and what
/// receivers' secrets are sealed with.
pub fn prepare(folder: &Path) -> Result<()> {
    let mut peers =
        String::from("# The processes that may call one another: name, SHA-256 of the token.\n");
    for name in PROCESSES {
        let path = folder.join(format!("{name}.token"));
        let token = match Secret::read(&path) {
            Ok(token) => token,
            Err(_) => {
                let token = Secret::generate("slw_");
                write(&token, &path)?;
                token
            }
        };
        peers.push_str(&Peers::line(name, &token.hash()));
    }
    let path = folder.join("peers");
    secret::write_private(&path, peers.as_bytes()).with_context(|| no_room(&path))?;
    let path = folder.join("sealing-key");
    Sealer::open_or_create(&path)
        .with_context(|| format!("`{}` cannot be used as a sealing key", path.display()))?;
    Ok(())
}

/// The administrator's token, made where it is missing. One that was revoked makes room for a new
/// one.
pub async fn admin_token(roles: &Path, path: &Path) -> Result<Secret> {
    let known = Secret::read(path).ok();
    if let Some(token) = known
        && make_known(roles, &token).await? != Bootstrap::Ended
    {
        return Ok(token);
    }
    let token = Secret::generate(access::TOKEN_PREFIX);
    make_known(roles, &token).await?;
    write(&token, path)?;
    Ok(token)
}

async fn make_known(roles: &Path, token: &Secret) -> Result<Bootstrap> {
    let url = Secret::read(&migrate::url_file(roles, "access"))
        .context("the connection URL of `access` cannot be read")?;
    let options = url.expose().parse().context("the connection URL of `access` is none")?;
    let pool = database::pool("bootstrap", options, 1);
    let found = access::bootstrap_admin_token(&pool, &Clock::system(), token).await?;
    pool.close().await;
    Ok(found)
}

fn write(secret: &Secret, path: &Path) -> Result<()> {
    secret.write(path).with_context(|| no_room(path))
}

fn no_room(path: &Path) -> String {
    format!("`{}` cannot be written; is there room?", path.display())
}
