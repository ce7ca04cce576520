//! The outbox: events written in the business transaction, numbered afterwards, served as a feed.
//!
//! Rows commit unnumbered, so that writers never wait for one another. A reader gives the visible
//! rows without a number the next ones, densely, in one short transaction under an advisory lock,
//! in the order of their position, which Postgres hands out while the writer holds its row locks: two
//! changes of one thing are numbered in the order in which they happened. A cursor over the position
//! alone would lose a row that commits late; a counter in the business transaction would make all
//! writers wait in line.
//!
//! Every schema has the same three tables: `outbox` (the rows), `outbox_head` (the last number given)
//! and `outbox_readers` (how far each reader has stored them, which is what retention waits for).

mod feed;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Row as _, Transaction};

use crate::context;
use crate::event::Event;

pub use feed::Feed;

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number: dense, from 1.
    pub sequence: i64,
    /// Its id.
    pub id: uuid::Uuid,
    /// Its type.
    pub kind: String,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// Its canonical JSON.
    pub envelope: String,
}

/// The outbox of one schema.
#[derive(Debug, Clone)]
pub struct Outbox {
    schema: &'static str,
    wake: tokio::sync::watch::Sender<()>,
}

impl Outbox {
    /// The outbox of this schema.
    #[must_use]
    pub fn new(schema: &'static str) -> Self {
        Self { schema, wake: tokio::sync::watch::channel(()).0 }
    }

    /// Writes an event in the caller's transaction.
    ///
    /// # Errors
    ///
    /// When the database does not take it.
    pub async fn append(&self, db: &mut PgConnection, event: &Event) -> Result<(), sqlx::Error> {
        self.append_all(db, std::slice::from_ref(event)).await
    }

    /// Writes events in the caller's transaction, in this order.
    ///
    /// # Errors
    ///
    /// When the database does not take them.
    pub async fn append_all(
        &self,
        db: &mut PgConnection,
        events: &[Event],
    ) -> Result<(), sqlx::Error> {
        if events.is_empty() {
            return Ok(());
        }
        let statement = format!(
            "insert into {}.outbox (id, type, created_at, envelope, traceparent) \
             select id, type, created_at, envelope, $5 \
             from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[]) \
                 with ordinality as new (id, type, created_at, envelope, place) order by place",
            self.schema
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.kind).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.time).collect::<Vec<_>>())
            .bind(events.iter().map(Event::envelope).collect::<Vec<_>>())
            .bind(context::traceparent())
            .execute(db)
            .await?;
        Ok(())
    }

    /// Commits a transaction that wrote events and wakes who reads them.
    ///
    /// # Errors
    ///
    /// When the database does not commit.
    pub async fn commit(&self, tx: Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
        tx.commit().await?;
        self.wake.send_replace(());
        Ok(())
    }

    /// Wakes who reads events after every commit of this process.
    #[must_use]
    pub fn committed(&self) -> tokio::sync::watch::Receiver<()> {
        self.wake.subscribe()
    }

    /// Gives numbers to the visible rows that have none.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn number(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let schema = self.schema;
        let waiting = format!("select exists (select from {schema}.outbox where sequence is null)");
        if !sqlx::query_scalar::<_, bool>(AssertSqlSafe(waiting)).fetch_one(pool).await? {
            return Ok(());
        }
        let mut tx = pool.begin().await?;
        sqlx::query("select pg_advisory_xact_lock(hashtext($1))")
            .bind(format!("{schema}.outbox"))
            .execute(&mut *tx)
            .await?;
        let statement = format!(
            "with fresh as (\
                 select position, row_number() over (order by position) as place \
                 from {schema}.outbox where sequence is null order by position limit 10000\
             ), numbered as (\
                 update {schema}.outbox as row \
                 set sequence = head.last_sequence + fresh.place \
                 from fresh, {schema}.outbox_head as head \
                 where row.position = fresh.position \
                 returning row.sequence\
             ) \
             update {schema}.outbox_head set last_sequence = (select max(sequence) from numbered) \
             where exists (select from numbered)"
        );
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Reads numbered events after a sequence, oldest first, and the last number given.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn read(
        &self,
        pool: &PgPool,
        after: i64,
        limit: i64,
    ) -> Result<(Vec<Stored>, i64), sqlx::Error> {
        self.number(pool).await?;
        let schema = self.schema;
        let rows = format!(
            "select sequence, id, type, created_at, envelope from {schema}.outbox \
             where sequence > $1 order by sequence limit $2"
        );
        let events = sqlx::query(AssertSqlSafe(rows))
            .bind(after)
            .bind(limit)
            .fetch_all(pool)
            .await?
            .into_iter()
            .map(|row| {
                Ok(Stored {
                    sequence: row.try_get(0)?,
                    id: row.try_get(1)?,
                    kind: row.try_get(2)?,
                    time: row.try_get(3)?,
                    envelope: row.try_get(4)?,
                })
            })
            .collect::<Result<Vec<_>, sqlx::Error>>()?;
        let head = format!("select last_sequence from {schema}.outbox_head");
        let last = sqlx::query_scalar(AssertSqlSafe(head)).fetch_one(pool).await?;
        Ok((events, last))
    }

    /// Remembers that a reader has stored everything up to a sequence.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn acknowledge(
        &self,
        pool: &PgPool,
        reader: &str,
        sequence: i64,
    ) -> Result<(), sqlx::Error> {
        let statement = format!(
            "insert into {}.outbox_readers as known (reader, sequence) values ($1, $2) \
             on conflict (reader) do update set sequence = excluded.sequence, updated_at = now() \
             where known.sequence < excluded.sequence",
            self.schema
        );
        sqlx::query(AssertSqlSafe(statement)).bind(reader).bind(sequence).execute(pool).await?;
        Ok(())
    }

    /// Removes events that every reader has stored and that are older than `before`. Without a
    /// reader nothing is removed.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn sweep(&self, pool: &PgPool, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
        let schema = self.schema;
        let statement = format!(
            "delete from {schema}.outbox where created_at < $1 \
             and sequence <= (select min(sequence) from {schema}.outbox_readers)"
        );
        let done = sqlx::query(AssertSqlSafe(statement)).bind(before).execute(pool).await?;
        Ok(done.rows_affected())
    }

    /// The schema it belongs to.
    #[must_use]
    pub fn schema(&self) -> &'static str {
        self.schema
    }
}
