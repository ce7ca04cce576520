//! A database of one test, with the schemas and roles of all processes.

use postgres::testing::{self, ROLE_PASSWORD, TestDatabase};
use runtime::migrate::{self, READER, Schema};
use runtime::secret::Secret;
use sqlx::{Connection as _, PgConnection};

/// Every schema.
pub const SCHEMAS: [&Schema; 4] =
    [&registry::SCHEMA, &approval::SCHEMA, &rollout::SCHEMA, &access::SCHEMA];

/// A database with everything that `slipway migrate` makes.
#[derive(Debug)]
pub struct Database(TestDatabase);

impl Database {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// When there is no Postgres.
    pub async fn create() -> Self {
        let versions = SCHEMAS.iter().flat_map(|schema| {
            let steps = schema.migrator.iter().map(|step| format!("{:?}", step.checksum));
            steps.chain([schema.grants.to_owned()])
        });
        let key = format!("slipway {}", versions.collect::<Vec<_>>().join(" "));
        let template = testing::template(&key, prepare).await.unwrap();
        Self(testing::create_database(&template).await.unwrap())
    }

    /// The owner's URL.
    #[must_use]
    pub fn owner_url(&self) -> &str {
        self.0.url()
    }

    /// The URL of a process's role.
    ///
    /// # Panics
    ///
    /// When no process of this name keeps data.
    #[must_use]
    pub fn url_of(&self, process: &str) -> String {
        let schema = SCHEMAS.iter().find(|schema| schema.name == process).unwrap();
        self.0.url_as(schema.role, ROLE_PASSWORD)
    }

    /// The URL of the role that reads everything and writes nothing.
    #[must_use]
    pub fn reader_url(&self) -> String {
        self.0.url_as(READER, ROLE_PASSWORD)
    }

    /// A connection of the owner, to look at rows.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn owner(&self) -> PgConnection {
        PgConnection::connect(self.owner_url()).await.unwrap()
    }
}

async fn prepare(url: String) -> Result<(), Box<dyn std::error::Error>> {
    let mut owner = PgConnection::connect(&url).await?;
    let password = Secret::new(ROLE_PASSWORD);
    migrate::ensure_role(&mut owner, READER, &password).await?;
    for schema in SCHEMAS {
        schema.ensure_role(&mut owner, &password).await?;
        schema.migrate(&mut owner).await?;
    }
    owner.close().await?;
    Ok(())
}
