//! What the roles may do in the database.

use sqlx::{AssertSqlSafe, PgPool};

use crate::support::Database;

/// Whether the role may run a statement; any other failure is one of the test.
async fn may(pool: &PgPool, statement: &str) -> bool {
    match sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(pool).await {
        Ok(_) => true,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => false,
        Err(error) => panic!("{statement}: {error}"),
    }
}

#[tokio::test]
async fn the_process_adds_to_the_log_and_changes_nothing_in_it() {
    let database = Database::create().await;
    let pool = database.pool();
    for forbidden in [
        "update access.audit_log set actor_id = 'nobody'",
        "delete from access.audit_log",
        "truncate access.audit_log",
        "delete from access.audit_head",
        "truncate access.audit_head",
        "insert into access.audit_head (last_sequence, hash) values (0, '')",
        "update access._migrations set version = 0",
        "drop table access.audit_log",
        "alter table access.audit_log disable trigger all",
        "create table access.other ()",
        "create schema other",
    ] {
        assert!(!may(&pool, forbidden).await, "{forbidden}");
    }
    for allowed in [
        "select * from access.audit_log",
        "update access.audit_head set last_sequence = 0",
        "update access.tokens set last_used_at = now()",
    ] {
        assert!(may(&pool, allowed).await, "{allowed}");
    }
}

#[tokio::test]
async fn the_reader_sees_tokens_but_not_what_they_are_known_by() {
    let database = Database::create().await;
    let reader = database.reader();
    for allowed in ["tokens", "audit_log", "audit_head", "audit_sources", "outbox"] {
        assert!(may(&reader, &format!("select * from access.{allowed}")).await, "{allowed}");
    }
    for forbidden in [
        "select * from access.token_hashes",
        "select count(*) from access.token_hashes",
        "update access.tokens set role = 'admin'",
        "delete from access.audit_log",
        "insert into access.outbox (id, type, created_at, envelope)
            values (gen_random_uuid(), 'x', now(), '{}')",
    ] {
        assert!(!may(&reader, forbidden).await, "{forbidden}");
    }
}
