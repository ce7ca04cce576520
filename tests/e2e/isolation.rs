//! Each process's role reaches its own schema and nothing else; the reader's role only looks.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use testbed::{Database, SERVICES};

/// What Postgres says when somebody may not.
const DENIED: &str = "42501";

/// What the reader does not see: secrets, sealed or hashed as they are.
const SECRETS: [&str; 4] = [
    "access.token_hashes",
    "approval.receiver_secrets",
    "rollout.device_credentials",
    "rollout.enrolment_keys",
];

/// The tables of a schema, as the owner sees them.
async fn tables(owner: &mut PgConnection, schema: &str) -> Vec<String> {
    let rows = sqlx::query(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables \
         where table_schema = $1 and table_type = 'BASE TABLE' order by 1",
    )
    .bind(schema)
    .fetch_all(owner)
    .await
    .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What a statement is answered with: nothing, or the code of the refusal.
async fn tried(role: &mut PgConnection, statement: String) -> Option<String> {
    let error = sqlx::query(AssertSqlSafe(statement)).execute(role).await.err()?;
    let code =
        error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    Some(code.unwrap_or_else(|| error.to_string()))
}

async fn assert_denied(role: &mut PgConnection, statement: String) {
    let answer = tried(role, statement.clone()).await;
    assert_eq!(answer.as_deref(), Some(DENIED), "{statement}");
}

/// Ways to change a table.
fn changes(table: &str) -> [String; 4] {
    [
        format!("insert into {table} default values"),
        format!("delete from {table} where false"),
        format!("truncate {table}"),
        format!("drop table {table}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_can_read_or_write_anothers_schema() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    for process in SERVICES {
        let mut role = PgConnection::connect(&database.url_of(process)).await.unwrap();
        for schema in SERVICES {
            let tables = tables(&mut owner, schema).await;
            assert!(tables.len() > 2, "{schema} has {tables:?}");
            for table in tables {
                let read = format!("select from {table}");
                if schema == process {
                    assert_eq!(tried(&mut role, read).await, None, "{table}");
                    continue;
                }
                assert_denied(&mut role, read).await;
                for change in changes(&table) {
                    // Only an owner may drop, also in a schema of one's own.
                    let answer = tried(&mut role, change.clone()).await;
                    assert_eq!(answer.as_deref(), Some(DENIED), "{process}: {change}");
                }
            }
            assert_denied(&mut role, format!("create table {schema}.mine (id int)")).await;
        }
        assert_denied(&mut role, "create table public.mine (id int)".to_owned()).await;
        assert_denied(&mut role, "create schema mine".to_owned()).await;
        assert_denied(&mut role, "create role mine".to_owned()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_looks_at_everything_but_secrets_and_changes_nothing() {
    let database = Database::create().await;
    let mut owner = database.owner().await;
    let mut reader = PgConnection::connect(&database.reader_url()).await.unwrap();
    for schema in SERVICES {
        for table in tables(&mut owner, schema).await {
            let hidden = SECRETS.contains(&table.as_str()).then_some(DENIED);
            let read = tried(&mut reader, format!("select from {table}")).await;
            assert_eq!(read.as_deref(), hidden, "{table}");
            for change in changes(&table) {
                assert_denied(&mut reader, change).await;
            }
        }
        assert_denied(&mut reader, format!("create table {schema}.mine (id int)")).await;
    }
    assert_denied(&mut reader, "create table public.mine (id int)".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_cannot_change_what_says_which_version_its_schema_has() {
    let database = Database::create().await;
    for process in SERVICES {
        let mut role = PgConnection::connect(&database.url_of(process)).await.unwrap();
        let [insert, delete, truncate, drop] = changes(&format!("{process}._migrations"));
        for change in [insert, delete, truncate, drop] {
            assert_denied(&mut role, change).await;
        }
    }
}
