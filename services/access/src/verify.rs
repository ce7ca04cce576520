//! Recomputing the chain, some entries at a time.

use proto::access::v1 as pb;
use runtime::Problem;
use sqlx::PgPool;

use crate::chain::{Break, Head, Verifier};
use crate::filter::Selection;
use crate::{Error, store};

/// How many entries are held at once.
const CHUNK: i64 = 1_000;

/// Recomputes the whole chain; says where it first does not hold, or nothing when it does. Reading is
/// enough for it.
///
/// # Errors
///
/// When the database does not answer.
pub async fn verify_chain(pool: &PgPool) -> Result<Option<String>, Error> {
    let mut verifier = Verifier::after(Head::GENESIS);
    Ok(follow(pool, &mut verifier).await?.err().map(|broken| broken.problem))
}

/// Checks the chain from a sequence on; 0 = from the first.
pub(crate) async fn verify(pool: &PgPool, from: i64) -> Result<pb::VerifyChainResponse, Error> {
    if from < 0 {
        return Err(Problem::invalid("from_sequence", "is negative; 0 checks everything").into());
    }
    let (verifier, broken) = match anchor(pool, from).await? {
        Ok(head) => {
            let mut verifier = Verifier::after(head);
            let broken = follow(pool, &mut verifier).await?.err();
            (verifier, broken)
        }
        Err(broken) => (Verifier::after(Head::GENESIS), Some(broken)),
    };
    let checked = verifier.checked();
    Ok(pb::VerifyChainResponse {
        intact: broken.is_none(),
        checked_to: if checked == 0 { 0 } else { verifier.checked_to() },
        checked_count: checked,
        broken_at: broken.as_ref().map_or(0, |broken| broken.at),
        problem: broken.map(|broken| broken.problem).unwrap_or_default(),
    })
}

/// The end of the part that is not checked: its last entry has to be there.
async fn anchor(pool: &PgPool, from: i64) -> Result<Result<Head, Break>, Error> {
    if from <= 1 {
        return Ok(Ok(Head::GENESIS));
    }
    let sequence = from - 1;
    let mut db = pool.acquire().await?;
    let hash = store::entry::hash(&mut db, sequence).await?;
    Ok(match hash.and_then(|hash| hash.try_into().ok()) {
        Some(hash) => Ok(Head { sequence, hash }),
        None => {
            let head = store::audit::head(&mut db).await?.sequence;
            let at = sequence.min(head + 1);
            Err(Break { at, problem: format!("entry {sequence} is missing") })
        }
    })
}

/// Follows the chain to its end, and beyond when it grows meanwhile.
async fn follow(pool: &PgPool, verifier: &mut Verifier) -> Result<Result<(), Break>, Error> {
    loop {
        let mut db = pool.acquire().await?;
        let after = verifier.checked_to();
        let chunk = store::entry::range(&mut db, &Selection::all(), after, i64::MAX, CHUNK).await?;
        if chunk.is_empty() {
            let (head, stored) = store::audit::ends(&mut db).await?;
            if stored > verifier.checked_to() && head.sequence >= stored {
                continue;
            }
            return Ok(verifier.finish(&head, stored));
        }
        drop(db);
        for entry in &chunk {
            if let Err(broken) = verifier.check(entry) {
                return Ok(Err(broken));
            }
        }
    }
}
