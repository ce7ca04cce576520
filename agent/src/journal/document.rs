//! The journal as bytes: a line that says how long and what hash, then JSON.

use sha2::{Digest, Sha256};

use super::{Journal, SCHEMA};

/// No journal is as long as this.
const MAX_BYTES: usize = 4 * 1024 * 1024;

const NAME: &str = "slipway-journal";

/// Why bytes are no journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// They are not whole, or not what was written.
    #[error("the journal is damaged: {0}")]
    Damaged(&'static str),
    /// A newer version wrote them.
    #[error(
        "the journal has schema {0} and this version reads {SCHEMA}; start the version that wrote it"
    )]
    Newer(u32),
}

/// Writes a journal.
#[must_use]
pub fn encode(journal: &Journal) -> Vec<u8> {
    let json = serde_json::to_vec(journal).expect("a journal has only string keys");
    let hash = hex::encode(Sha256::digest(&json));
    let mut bytes = format!("{NAME} {} {hash}\n", json.len()).into_bytes();
    bytes.extend_from_slice(&json);
    bytes
}

/// Reads a journal.
///
/// # Errors
///
/// When anything is missing or different from what was written, or a newer version wrote it.
pub fn decode(bytes: &[u8]) -> Result<Journal, DocumentError> {
    let damaged = |what| DocumentError::Damaged(what);
    if bytes.len() > MAX_BYTES {
        return Err(damaged("it is too long"));
    }
    let end =
        bytes.iter().position(|byte| *byte == b'\n').ok_or(damaged("it has no first line"))?;
    let (line, json) = (&bytes[..end], &bytes[end + 1..]);
    let line = std::str::from_utf8(line).map_err(|_| damaged("its first line is no text"))?;
    let mut words = line.split(' ');
    let (Some(NAME), Some(length), Some(hash), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(damaged("its first line is not one of a journal"));
    };
    if length.parse() != Ok(json.len()) {
        return Err(damaged("it is not as long as it says"));
    }
    if hash != hex::encode(Sha256::digest(json)) {
        return Err(damaged("its hash is another one"));
    }
    let schema = schema(json).ok_or(damaged("it has no schema"))?;
    if schema > SCHEMA {
        return Err(DocumentError::Newer(schema));
    }
    serde_json::from_slice(json).map_err(|_| damaged("it is not what its schema says"))
}

fn schema(json: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Schema {
        schema: u32,
    }
    serde_json::from_slice::<Schema>(json).ok().map(|found| found.schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_comes_back_as_it_went() {
        let journal = Journal { seq_reserved: 64, ..Journal::default() };
        assert_eq!(decode(&encode(&journal)), Ok(journal));
    }

    #[test]
    fn no_prefix_of_a_journal_is_taken_for_one() {
        let bytes = encode(&Journal::default());
        for length in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..length]), Err(DocumentError::Damaged(_))));
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let bytes = encode(&Journal::default());
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(decode(&changed).is_err(), "byte {place}");
        }
    }

    #[test]
    fn the_journal_of_a_newer_version_is_left_alone() {
        let newer = Journal { schema: SCHEMA + 1, ..Journal::default() };
        assert_eq!(decode(&encode(&newer)), Err(DocumentError::Newer(SCHEMA + 1)));
    }
}
