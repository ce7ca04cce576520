//! Appending a source's events to the log: one transaction for the entries, the head of the chain,
//! and the source's cursor. Either all of it is there or nothing is.

use std::collections::HashSet;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::chain::Head;
use crate::entry::{Columns, Entry};
use crate::store::audit::Cursor;
use crate::{Error, store};

/// An event as its source tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its number in the source's outbox.
    pub(crate) sequence: i64,
    /// Its canonical JSON.
    pub(crate) envelope: String,
}

/// What came of some arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// All of them are in the log now, this many by this call; the cursor stands here.
    Done {
        /// How many entries were added.
        added: usize,
        /// The number of the source's last event in the log.
        cursor: i64,
    },
    /// Another replica is appending events of this source.
    Busy,
    /// What follows the cursor is not among them; ask the source again.
    Gap,
}

/// Appends what follows the source's cursor and is not in the log yet. With `whole` the arrivals are
/// all that the source has after the cursor, so that numbers missing among them are missing there.
pub(crate) async fn append(
    pool: &PgPool,
    source: &str,
    arrivals: &[Arrival],
    whole: bool,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Appended, Error> {
    let mut tx = pool.begin().await?;
    let Some(cursor) = store::audit::claim_cursor(&mut tx, source).await? else {
        return Ok(Appended::Busy);
    };
    let news = match following(cursor, arrivals, whole) {
        Following::Events(news) => news,
        Following::Gap => return Ok(Appended::Gap),
    };
    let Some(last) = news.last() else { return Ok(Appended::Done { added: 0, cursor }) };
    let last =
        Cursor { sequence: last.sequence, event_id: Some(Columns::of(&last.envelope).event_id) };
    let added = add_entries(&mut tx, source, &news).await?;
    store::audit::move_cursor(&mut tx, source, last, now).await?;
    tx.commit().await?;
    Ok(Appended::Done { added, cursor: last.sequence })
}

async fn add_entries(
    db: &mut PgConnection,
    source: &str,
    news: &[&Arrival],
) -> Result<usize, Error> {
    let columns: Vec<_> = news.iter().map(|arrival| Columns::of(&arrival.envelope)).collect();
    let ids: Vec<_> = columns.iter().map(|columns| columns.event_id).collect();
    let head = store::audit::claim_head(db).await?;
    // With the head in hand nobody else appends, so what is not known here is new.
    let known = store::audit::known_events(db, &ids).await?;
    let (entries, head) = link(head, source, news.iter().copied().zip(columns), known);
    if !entries.is_empty() {
        store::audit::insert(db, &entries).await?;
        store::audit::move_head(db, &head).await?;
    }
    Ok(entries.len())
}

/// Makes entries of the events that are not known, and the head that they end in.
fn link<'a>(
    mut head: Head,
    source: &str,
    news: impl Iterator<Item = (&'a Arrival, Columns)>,
    mut known: HashSet<Uuid>,
) -> (Vec<Entry>, Head) {
    let mut entries = Vec::new();
    for (arrival, columns) in news {
        if !known.insert(columns.event_id) {
            continue;
        }
        let next = head.follow(source, &arrival.envelope);
        entries.push(Entry {
            sequence: next.sequence,
            source: source.to_owned(),
            source_sequence: arrival.sequence,
            envelope: arrival.envelope.clone(),
            columns,
            previous_hash: head.hash.to_vec(),
            hash: next.hash.to_vec(),
        });
        head = next;
    }
    (entries, head)
}

#[derive(Debug, PartialEq, Eq)]
enum Following<'a> {
    Events(Vec<&'a Arrival>),
    Gap,
}

/// The arrivals after the cursor, each once, in the order of their numbers. Where a number is missing
/// they end before it; when it is the first, there is a gap.
fn following(cursor: i64, arrivals: &[Arrival], whole: bool) -> Following<'_> {
    let mut news = Vec::new();
    let mut last = cursor;
    for arrival in arrivals {
        if arrival.sequence <= last {
            continue;
        }
        if arrival.sequence > last + 1 && !whole {
            return if news.is_empty() { Following::Gap } else { Following::Events(news) };
        }
        last = arrival.sequence;
        news.push(arrival);
    }
    Following::Events(news)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Verifier;

    fn arrivals(numbers: &[i64]) -> Vec<Arrival> {
        let arrival = |number: &i64| Arrival {
            sequence: *number,
            envelope: format!(r#"{{"id":"{}"}}"#, Uuid::from_u128(*number as u128)),
        };
        numbers.iter().map(arrival).collect()
    }

    fn numbers(following: Following<'_>) -> Option<Vec<i64>> {
        match following {
            Following::Events(news) => Some(news.iter().map(|arrival| arrival.sequence).collect()),
            Following::Gap => None,
        }
    }

    #[test]
    fn what_follows_the_cursor_is_taken_once_and_in_order() {
        for (cursor, came, whole, taken) in [
            (0, &[1, 2, 3][..], false, Some(vec![1, 2, 3])),
            (2, &[1, 2, 3], false, Some(vec![3])),
            (3, &[1, 2, 3], false, Some(vec![])),
            (0, &[1, 2, 1, 2, 3], false, Some(vec![1, 2, 3])),
            (0, &[1, 3], false, Some(vec![1])),
            (0, &[2, 3], false, None),
            (0, &[2, 3], true, Some(vec![2, 3])),
            (0, &[1, 5, 4, 6], true, Some(vec![1, 5, 6])),
            (7, &[], false, Some(vec![])),
        ] {
            let came = arrivals(came);
            assert_eq!(numbers(following(cursor, &came, whole)), taken, "{cursor} {came:?}");
        }
    }

    #[test]
    fn entries_that_are_known_or_come_twice_are_left_out_and_the_rest_is_a_chain() {
        let mut came = arrivals(&[1, 2, 3, 4]);
        came.push(Arrival { sequence: 5, envelope: came[3].envelope.clone() });
        let known = HashSet::from([Uuid::from_u128(2)]);
        let columns = came.iter().map(|arrival| Columns::of(&arrival.envelope));
        let (entries, head) = link(Head::GENESIS, "registry", came.iter().zip(columns), known);
        let taken: Vec<_> = entries.iter().map(|entry| entry.source_sequence).collect();
        assert_eq!(taken, [1, 3, 4]);
        let mut verifier = Verifier::after(Head::GENESIS);
        assert!(entries.iter().all(|entry| verifier.check(entry).is_ok()));
        assert_eq!(verifier.finish(&head, 3), Ok(()));
    }
}
