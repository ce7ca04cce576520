//! Schemas: made and changed by their owner, checked by the processes.
//!
//! Each process owns one schema and has one role that can touch only that schema. `slipway migrate`
//! (and `up`) run as the owner of the database: they make roles and schemas, apply what is missing,
//! and set the grants anew. A process only looks whether the schema is the one it was built for.

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

use crate::secret::Secret;

/// A process's schema.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its name, which is the process's.
    pub name: &'static str,
    /// Its role.
    pub role: &'static str,
    /// What makes it, in order.
    pub migrator: &'static Migrator,
    /// What its role and the reader may do, applied after every migration.
    pub grants: &'static str,
}

/// The role that `slipway psql` uses: it reads, and no secrets.
pub const READER: &str = "slipway_reader";

/// Why a schema cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Postgres refused.
    #[error("the schema `{schema}` could not be migrated")]
    Failed {
        /// The schema.
        schema: &'static str,
        /// Why.
        #[source]
        cause: sqlx::migrate::MigrateError,
    },
    /// Postgres refused a statement around the migrations.
    #[error("the database could not be prepared")]
    Prepare(#[source] sqlx::Error),
    /// The connection is that of another role.
    #[error(
        "the database's role may not read the schema `{schema}`; name the URL of `{role}`, which `slipway migrate` makes"
    )]
    WrongRole {
        /// The schema.
        schema: &'static str,
        /// The role that may.
        role: &'static str,
    },
    /// It was never made, or not to the end.
    #[error(
        "the schema `{schema}` is at version {found}, this program needs {needed}; run `slipway migrate`"
    )]
    Older {
        /// The schema.
        schema: &'static str,
        /// The version it has; 0 = none.
        found: i64,
        /// The version it should have.
        needed: i64,
    },
    /// A newer program made it.
    #[error(
        "the data is of a newer version: schema `{schema}` is at version {found}, this program knows {known}; \
         start the newer program"
    )]
    Newer {
        /// The schema.
        schema: &'static str,
        /// The version it has.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
}

impl Schema {
    fn newest(&self) -> i64 {
        self.migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
    }

    /// Makes the role when it is missing and sets its password.
    ///
    /// # Errors
    ///
    /// When Postgres refuses.
    pub async fn ensure_role(
        &self,
        owner: &mut PgConnection,
        password: &Secret,
    ) -> Result<(), MigrateError> {
        ensure_role(owner, self.role, password).await
    }

    /// Makes the schema and applies what is missing, as the owner.
    ///
    /// # Errors
    ///
    /// When Postgres refuses, or the data is of a newer program.
    pub async fn migrate(&self, owner: &mut PgConnection) -> Result<(), MigrateError> {
        let name = self.name;
        let create = format!("create schema if not exists {name}");
        owner.execute(AssertSqlSafe(create)).await.map_err(MigrateError::Prepare)?;
        let found = self.version(owner).await?;
        if found > self.newest() {
            return Err(MigrateError::Newer { schema: name, found, known: self.newest() });
        }
        self.migrator
            .run(&mut *owner)
            .await
            .map_err(|cause| MigrateError::Failed { schema: name, cause })?;
        owner.execute(self.grants).await.map_err(MigrateError::Prepare)?;
        Ok(())
    }

    /// Looks whether the schema is the one this program was built for.
    ///
    /// # Errors
    ///
    /// When it is older or newer, or the database does not answer.
    pub async fn check(&self, pool: &PgPool) -> Result<(), MigrateError> {
        let mut db = pool.acquire().await.map_err(MigrateError::Prepare)?;
        let found = self.version(&mut db).await.map_err(|error| self.wrong_role(error))?;
        let needed = self.newest();
        match found.cmp(&needed) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => {
                Err(MigrateError::Older { schema: self.name, found, needed })
            }
            std::cmp::Ordering::Greater => {
                Err(MigrateError::Newer { schema: self.name, found, known: needed })
            }
        }
    }

    /// What may not be read is another role's.
    fn wrong_role(&self, error: MigrateError) -> MigrateError {
        match error {
            MigrateError::Prepare(sqlx::Error::Database(cause))
                if cause.code().as_deref() == Some("42501") =>
            {
                MigrateError::WrongRole { schema: self.name, role: self.role }
            }
            error => error,
        }
    }

    async fn version(&self, db: &mut PgConnection) -> Result<i64, MigrateError> {
        let table = format!("{}._migrations", self.name);
        let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
            .bind(&table)
            .fetch_one(&mut *db)
            .await
            .map_err(MigrateError::Prepare)?;
        if !exists {
            return Ok(0);
        }
        let newest = format!("select coalesce(max(version), 0) from {table} where success");
        sqlx::query_scalar(AssertSqlSafe(newest)).fetch_one(db).await.map_err(MigrateError::Prepare)
    }
}

/// Makes a role that may log in when it is missing, and sets its password.
///
/// # Errors
///
/// When Postgres refuses.
pub async fn ensure_role(
    owner: &mut PgConnection,
    role: &str,
    password: &Secret,
) -> Result<(), MigrateError> {
    let mut tx = owner.begin().await.map_err(MigrateError::Prepare)?;
    // Roles belong to the whole server: two databases may be prepared at once.
    sqlx::query("select pg_advisory_xact_lock(hashtext('slipway roles'))")
        .execute(&mut *tx)
        .await
        .map_err(MigrateError::Prepare)?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
            .bind(role)
            .fetch_one(&mut *tx)
            .await
            .map_err(MigrateError::Prepare)?;
    let verb = if exists { "alter" } else { "create" };
    // A password of ours holds no quote, and `format` of Postgres quotes it all the same.
    let statement: String =
        sqlx::query_scalar("select format('%s role %I login password %L', $1, $2, $3)")
            .bind(verb)
            .bind(role)
            .bind(password.expose())
            .fetch_one(&mut *tx)
            .await
            .map_err(MigrateError::Prepare)?;
    tx.execute(AssertSqlSafe(statement)).await.map_err(MigrateError::Prepare)?;
    tx.commit().await.map_err(MigrateError::Prepare)
}
