//! Tokens and keys that `up` makes once and keeps in files that only their owner can read.

use access::Bootstrap;
use anyhow::{Context as _, Result};
use runtime::auth::Peers;
use runtime::secret::Secret;
use runtime::{Clock, database};

use super::data_dir::DataDir;
use crate::migrate;

/// The processes that know each other.
const PROCESSES: [&str; 5] = ["registry", "approval", "rollout", "access", "gateway"];

/// Makes what is missing: a token for each process, the list of all of them, and the
/// administrator's token, which it returns.
pub async fn prepare(data: &DataDir) -> Result<Secret> {
    let folder = data.folder("secrets")?;
    let mut peers =
        String::from("# The processes that may call one another: name, SHA-256 of the token.\n");
    for name in PROCESSES {
        let path = folder.join(format!("{name}.token"));
        let token = match Secret::read(&path) {
            Ok(token) => token,
            Err(_) => {
                let token = Secret::generate("slw_");
                token.write(&path).with_context(|| {
                    format!("`{}` cannot be written; is there room?", path.display())
                })?;
                token
            }
        };
        peers.push_str(&Peers::line(name, &token.hash()));
    }
    data.write("secrets/peers", &peers)?;
    admin_token(data).await
}

/// The administrator's token. One that was revoked makes room for a new one.
async fn admin_token(data: &DataDir) -> Result<Secret> {
    let path = data.admin_token();
    let known = Secret::read(&path).ok();
    if let Some(token) = known
        && make_known(data, &token).await? != Bootstrap::Ended
    {
        return Ok(token);
    }
    let token = Secret::generate(access::TOKEN_PREFIX);
    make_known(data, &token).await?;
    token
        .write(&path)
        .with_context(|| format!("`{}` cannot be written; is there room?", path.display()))?;
    Ok(token)
}

async fn make_known(data: &DataDir, token: &Secret) -> Result<Bootstrap> {
    let url = Secret::read(&migrate::url_file(&data.roles(), "access"))
        .context("the connection URL of `access` cannot be read")?;
    let options = url.expose().parse().context("the connection URL of `access` is none")?;
    let pool = database::pool("up", options, 1);
    let found = access::bootstrap_admin_token(&pool, &Clock::system(), token).await?;
    pool.close().await;
    Ok(found)
}
