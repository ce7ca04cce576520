//! The tables of the schema: one function per statement, in the caller's transaction.

pub(crate) mod admission;
pub(crate) mod decision;
pub(crate) mod gate;
pub(crate) mod image;
pub(crate) mod tag;
pub(crate) mod upstream;

use sqlx::PgConnection;

/// Makes those who would add the same thing wait in line until the transaction ends, so that who
/// comes late sees what is there, and no number is used up by an insert that fails.
pub(crate) async fn queue_for(db: &mut PgConnection, thing: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", thing)
        .execute(db)
        .await?;
    Ok(())
}
