//! Databases that are prepared once and copied for each test.

use std::fmt::Display;
use std::time::Duration;

use sqlx::PgConnection;

use super::Error;
use super::server::Server;
use super::session::{self, Lock};
use crate::fingerprint::fingerprint;

const PREFIX: &str = "slipway_template_";

/// What a template is called until it is whole.
pub(super) const BUILDING: &str = "slipway_building_";

/// A database that is prepared, and that nobody can connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    name: String,
}

impl Template {
    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Finds the template, or builds it.
pub(super) async fn ensure<F, E>(server: &Server, key: &str, prepare: F) -> Result<Template, Error>
where
    F: AsyncFnOnce(String) -> Result<(), E>,
    E: Display,
{
    let name = name(key);
    if !claim(server, &name).await? {
        // A connection of its own: closed with this future, it gives back the lock however that ends.
        let mut db = session::connect(&server.cluster.superuser_url("postgres")?).await?;
        Lock::Build(&name).take(&mut db).await?;
        if !claim(server, &name).await? {
            build(server, &mut db, key, &name, prepare).await?;
            claim(server, &name).await?;
            prune(&mut db).await?;
        }
    }
    Ok(Template { name })
}

/// Takes this process's share in a template that exists, so that nobody drops it, and notes that it
/// is in use.
async fn claim(server: &Server, name: &str) -> Result<bool, Error> {
    let mut session = server.session.lock().await;
    Lock::Use(name).share(&mut session).await?;
    if session::exists(&mut session, name).await? {
        note_use(&mut session, name).await?;
        return Ok(true);
    }
    Lock::Use(name).give_back_share(&mut session).await?;
    Ok(false)
}

/// Builds the template under another name and gives it its own once it is whole.
async fn build<F, E>(
    server: &Server,
    db: &mut PgConnection,
    key: &str,
    name: &str,
    prepare: F,
) -> Result<(), Error>
where
    F: AsyncFnOnce(String) -> Result<(), E>,
    E: Display,
{
    let building = name.replacen(PREFIX, BUILDING, 1);
    session::drop_database(db, &building).await?;
    let create = format!("create database {building} template template0");
    session::run(db, "create a database", &create).await?;
    if let Err(error) = prepare(server.cluster.superuser_url(&building)?).await {
        session::drop_database(db, &building).await?;
        return Err(Error::Prepare { key: key.to_owned(), reason: error.to_string() });
    }
    // Nobody may be connected to a database that is renamed or copied. The connections of `prepare`
    // may still be closing.
    let shut = format!("alter database {building} with allow_connections false");
    session::run(db, "shut a template", &shut).await?;
    let end =
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1");
    end.bind(&building).execute(&mut *db).await.map_err(Error::database("shut a template"))?;
    note_use(db, name).await?;
    let rename = format!("alter database {building} rename to {name}");
    run_until_free(db, "name a template", &rename).await
}

/// Runs a statement again that PostgreSQL refuses while somebody else has the database in hand. It
/// waits some seconds by itself before it refuses.
pub(super) async fn run_until_free(
    db: &mut PgConnection,
    what: &'static str,
    statement: &str,
) -> Result<(), Error> {
    const OBJECT_IN_USE: &str = "55006";
    const ATTEMPTS: u32 = 10;
    for _ in 1..ATTEMPTS {
        match session::run(db, what, statement).await {
            Err(Error::Database { cause: sqlx::Error::Database(cause), .. })
                if cause.code().is_some_and(|code| code == OBJECT_IN_USE) =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            result => return result,
        }
    }
    session::run(db, what, statement).await
}

/// Drops the templates that were not used for a day, and all but the twenty used last, except those
/// that some process has a share in.
async fn prune(db: &mut PgConnection) -> Result<(), Error> {
    let stale = sqlx::query_scalar::<_, String>(
        "select name from (
             select name, used_at, row_number() over (order by used_at desc) as rank
             from public.slipway_templates
         ) as templates
         where rank > 20 or used_at < now() - interval '1 day'
         order by name",
    );
    for name in stale.fetch_all(&mut *db).await.map_err(Error::database("list templates"))? {
        let lock = Lock::Use(&name);
        if !lock.try_take(db).await? {
            continue;
        }
        session::drop_database(db, &name).await?;
        let forget =
            sqlx::query("delete from public.slipway_templates where name = $1").bind(&name);
        forget.execute(&mut *db).await.map_err(Error::database("forget a template"))?;
        lock.give_back(db).await?;
    }
    Ok(())
}

async fn note_use(db: &mut PgConnection, name: &str) -> Result<(), Error> {
    let note = sqlx::query(
        "insert into public.slipway_templates (name, used_at) values ($1, now())
         on conflict (name) do update set used_at = excluded.used_at",
    );
    note.bind(name).execute(db).await.map(drop).map_err(Error::database("note a template"))
}

/// Names the template of a key: readable, a valid identifier, and another for every key.
fn name(key: &str) -> String {
    let readable: String = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .take(24)
        .collect();
    format!("{PREFIX}{readable}_{}", fingerprint(key.as_bytes()))
}

/// The template that a half-built one was to become.
pub(super) fn name_of_building(building: &str) -> String {
    building.replacen(BUILDING, PREFIX, 1)
}

#[cfg(test)]
mod tests {
    use super::{BUILDING, PREFIX, name, name_of_building};

    #[test]
    fn every_key_has_a_valid_name_of_its_own() {
        let long = "registry ".repeat(20);
        let names = ["registry", "Registry", "registry-7f", "regis\"; drop", "", &long].map(name);
        for name in &names {
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            );
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_half_built_template_leads_back_to_its_name() {
        let name = name("slipway_template_");
        assert_eq!(name_of_building(&name.replacen(PREFIX, BUILDING, 1)), name);
    }
}
