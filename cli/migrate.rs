//! `slipway migrate`: makes roles and schemas as the owner of the database.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use runtime::migrate::{READER, Schema, ensure_role};
use runtime::secret::{self, Secret};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::secrets;

/// Every process that owns a schema.
pub const SCHEMAS: [&Schema; 4] =
    [&registry::SCHEMA, &approval::SCHEMA, &rollout::SCHEMA, &access::SCHEMA];

/// Flags of `slipway migrate`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// File with the connection URL of the database's owner, who may create roles
    #[arg(long, value_name = "FILE", env = "MIGRATE_DATABASE_URL_FILE")]
    database_url_file: PathBuf,
    /// Folder for the connection URLs of the processes' roles, one file each; roles whose file is
    /// there keep their password
    #[arg(long, value_name = "DIR", env = "MIGRATE_ROLES_DIR")]
    roles_dir: PathBuf,
    /// Folder for what the processes know each other by, for the sealing key and for the
    /// administrator's token; what is missing is made
    #[arg(long, value_name = "DIR", env = "MIGRATE_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
}

/// Reads the reader's connection URL, from a file that was named or out of the data of `up`.
pub fn reader_url(file: &Path) -> Result<Secret> {
    Secret::read(file).with_context(|| {
        format!(
            "`{}` cannot be read; name the data folder of `slipway up` with --data-dir, or a file with the \
             connection URL of `{READER}` with --database-url-file",
            file.display()
        )
    })
}

/// Makes roles and schemas, and says what there is.
pub async fn run(args: &Args) -> Result<()> {
    let url = Secret::read(&args.database_url_file).with_context(|| {
        format!("--database-url-file `{}` cannot be read", args.database_url_file.display())
    })?;
    apply(&url, &args.roles_dir).await?;
    for schema in SCHEMAS {
        println!("{}: schema and role `{}` are up to date", schema.name, schema.role);
    }
    println!("connection URLs of the roles: {}/<process>.url", args.roles_dir.display());
    if let Some(folder) = &args.secrets_dir {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
        secrets::prepare(folder)?;
        let admin = folder.join("admin-token");
        secrets::admin_token(&args.roles_dir, &admin).await?;
        println!("administrator's token: {}", admin.display());
    }
    Ok(())
}

/// Makes roles and schemas. Each role's connection URL is kept in a file of its own.
pub async fn apply(owner_url: &Secret, roles_dir: &Path) -> Result<()> {
    std::fs::create_dir_all(roles_dir)
        .with_context(|| format!("the folder `{}` cannot be made", roles_dir.display()))?;
    let options: PgConnectOptions = owner_url.expose().parse().map_err(|_| {
        anyhow::anyhow!(
            "the connection URL is none; write `postgres://owner:password@host/database`"
        )
    })?;
    let mut owner = PgConnection::connect_with(&options)
        .await
        .context("the database does not answer; is it running, and is the URL right?")?;
    for (name, role) in roles() {
        let password = role_password(roles_dir, name, role, owner_url)?;
        ensure_role(&mut owner, role, &password).await?;
    }
    for schema in SCHEMAS {
        schema.migrate(&mut owner).await?;
    }
    owner.close().await.context("the connection could not be closed")?;
    Ok(())
}

/// The roles, each with the name of its file.
fn roles() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCHEMAS.into_iter().map(|schema| (schema.name, schema.role)).chain([("reader", READER)])
}

/// The file with a role's connection URL.
pub fn url_file(roles_dir: &Path, name: &str) -> PathBuf {
    roles_dir.join(format!("{name}.url"))
}

/// The role's password out of its file; where there is none, a new one and its file. A file whose
/// URL leads elsewhere is made anew with the same password: the database has moved.
fn role_password(roles_dir: &Path, name: &str, role: &str, owner_url: &Secret) -> Result<Secret> {
    let path = url_file(roles_dir, name);
    let password = match Secret::read(&path) {
        Ok(url) => match password_of(url.expose()) {
            Some(password) => password,
            None => {
                bail!("`{}` holds no connection URL with a password; remove it", path.display())
            }
        },
        Err(_) => Secret::generate(""),
    };
    let url = as_role(owner_url.expose(), role, &password)?;
    secret::write_private(&path, url.as_bytes())
        .with_context(|| format!("`{}` cannot be written", path.display()))?;
    Ok(password)
}

/// The password in a connection URL.
pub fn password_of(url: &str) -> Option<Secret> {
    let (_, rest) = url.split_once("://")?;
    let (userinfo, _) = rest.split_once('@')?;
    userinfo.split_once(':').map(|(_, password)| Secret::new(password))
}

/// The owner's URL with another role in it. Passwords made here need no escaping.
fn as_role(url: &str, role: &str, password: &Secret) -> Result<String> {
    let (scheme, rest) = url.split_once("://").context("the connection URL has no `://`")?;
    let place = match rest.split_once('@') {
        Some((_, place)) => place,
        None => rest,
    };
    Ok(format!("{scheme}://{role}:{}@{place}", password.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roles_url_leads_where_the_owners_does() {
        let owner = "postgres://owner:secret@localhost/slipway?host=/run/x&sslmode=disable";
        let url = as_role(owner, "slipway_registry", &Secret::new("pw")).unwrap();
        assert_eq!(
            url,
            "postgres://slipway_registry:pw@localhost/slipway?host=/run/x&sslmode=disable"
        );
        assert_eq!(password_of(&url), Some(Secret::new("pw")));
    }

    #[test]
    fn a_role_keeps_its_password() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Secret::new("postgres://owner:secret@localhost/slipway");
        let first = role_password(folder.path(), "registry", "slipway_registry", &owner).unwrap();
        let again = role_password(folder.path(), "registry", "slipway_registry", &owner).unwrap();
        assert_eq!(first, again);
    }
}
