//! The chain: how entries hold on to one another, and how to find where they no longer do.
//!
//! Every entry carries the hash of the one before it and its own: SHA-256 over the previous hash (32
//! bytes), the sequence (8 bytes, big-endian), the source, a zero byte, and the envelope. The first
//! entry follows 32 zero bytes. The head, a row of its own, names the last sequence and its hash.

use sha2::{Digest, Sha256};

use crate::entry::{Columns, Entry};

/// SHA-256 of an entry.
pub(crate) type Hash = [u8; 32];

/// An end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last sequence; 0 = there is none yet.
    pub(crate) sequence: i64,
    /// Its hash.
    pub(crate) hash: Hash,
}

impl Head {
    /// Before the first entry.
    pub(crate) const GENESIS: Self = Self { sequence: 0, hash: [0; 32] };

    /// The head after one more entry.
    pub(crate) fn follow(&self, source: &str, envelope: &str) -> Self {
        let sequence = self.sequence + 1;
        Self { sequence, hash: hash(&self.hash, sequence, source, envelope) }
    }
}

fn hash(previous: &Hash, sequence: i64, source: &str, envelope: &str) -> Hash {
    Sha256::new()
        .chain_update(previous)
        .chain_update(sequence.to_be_bytes())
        .chain_update(source)
        .chain_update([0])
        .chain_update(envelope)
        .finalize()
        .into()
}

/// Where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Break {
    /// The first entry that is wrong.
    pub(crate) at: i64,
    /// What is wrong with it, in a sentence.
    pub(crate) problem: String,
}

impl Break {
    fn new(at: i64, problem: impl Into<String>) -> Self {
        Self { at, problem: problem.into() }
    }
}

/// Goes along the chain, entry by entry.
#[derive(Debug)]
pub(crate) struct Verifier {
    at: Head,
    checked: i64,
}

impl Verifier {
    /// Begins after this head.
    pub(crate) fn after(head: Head) -> Self {
        Self { at: head, checked: 0 }
    }

    /// The last sequence checked.
    pub(crate) fn checked_to(&self) -> i64 {
        self.at.sequence
    }

    /// How many entries were checked.
    pub(crate) fn checked(&self) -> i64 {
        self.checked
    }

    /// Checks the next entry that is stored.
    pub(crate) fn check(&mut self, entry: &Entry) -> Result<(), Break> {
        let next = self.at.follow(&entry.source, &entry.envelope);
        let expected = next.sequence;
        if entry.sequence != expected {
            return Err(Break::new(expected, format!("entry {expected} is missing")));
        }
        if entry.hash != next.hash {
            let problem = if entry.previous_hash == self.at.hash {
                format!(
                    "entry {expected} is not as it was written: its hash does not fit its content"
                )
            } else {
                format!(
                    "entry {expected} does not follow the one before it: it was moved or replaced"
                )
            };
            return Err(Break::new(expected, problem));
        }
        if entry.previous_hash != self.at.hash {
            let problem = format!("entry {expected} names another entry before it than there is");
            return Err(Break::new(expected, problem));
        }
        if let Some(column) = entry.columns.first_difference(&Columns::of(&entry.envelope)) {
            let problem = format!(
                "the column `{column}` of entry {expected} says something else than its event"
            );
            return Err(Break::new(expected, problem));
        }
        self.at = next;
        self.checked += 1;
        Ok(())
    }

    /// Checks the end: the head that is noted, and the last sequence that is stored.
    pub(crate) fn finish(&self, noted: &Head, stored: i64) -> Result<(), Break> {
        let last = self.at.sequence;
        if noted.sequence > last {
            let problem =
                format!("the log ends at entry {last}, but {} were written", noted.sequence);
            return Err(Break::new(last + 1, problem));
        }
        if stored > noted.sequence {
            let at = noted.sequence + 1;
            return Err(Break::new(at, format!("entry {at} was not written by the log itself")));
        }
        if noted.hash != self.at.hash {
            let problem = format!("entry {last} is not the one that was written last");
            return Err(Break::new(last, problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOURCES: [&str; 3] = ["registry", "approval", "access"];

    fn envelope(number: usize, text: &str) -> String {
        serde_json::json!({
            "actor": {"id": text, "kind": "user", "name": text},
            "id": uuid::Uuid::from_u128(number as u128 + 1),
            "resource": {"id": number.to_string(), "kind": "image", "name": text},
            "time": "2026-01-02T03:04:05.000000Z",
            "type": "image.registry.added",
        })
        .to_string()
    }

    fn log(texts: &[String]) -> (Vec<Entry>, Head) {
        let mut head = Head::GENESIS;
        let mut entries = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let source = SOURCES[number % SOURCES.len()];
            let envelope = envelope(number, text);
            let next = head.follow(source, &envelope);
            entries.push(Entry {
                sequence: next.sequence,
                source: source.to_owned(),
                source_sequence: 1,
                columns: Columns::of(&envelope),
                envelope,
                previous_hash: head.hash.to_vec(),
                hash: next.hash.to_vec(),
            });
            head = next;
        }
        (entries, head)
    }

    fn verify(entries: &[Entry], noted: &Head) -> Result<i64, Break> {
        let mut verifier = Verifier::after(Head::GENESIS);
        for entry in entries {
            verifier.check(entry)?;
        }
        let stored = entries.last().map_or(0, |entry| entry.sequence);
        verifier.finish(noted, stored).map(|()| verifier.checked())
    }

    /// Writes every hash anew, as one would who can write to the table but not to the head.
    fn forge(entries: &mut [Entry]) {
        let mut head = Head::GENESIS;
        for entry in entries {
            entry.columns = Columns::of(&entry.envelope);
            entry.previous_hash = head.hash.to_vec();
            head = head.follow(&entry.source, &entry.envelope);
            entry.hash = head.hash.to_vec();
        }
    }

    #[test]
    fn the_hash_is_the_one_that_is_documented() {
        let head = Head::GENESIS.follow("registry", "{}");
        let mut bytes = vec![0_u8; 32];
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend(b"registry\0{}");
        assert_eq!(head.hash, <[u8; 32]>::from(Sha256::digest(bytes)));
    }

    #[test]
    fn the_source_and_the_envelope_cannot_lend_each_other_a_letter() {
        let head = Head::GENESIS;
        assert_ne!(head.follow("ab", "c").hash, head.follow("a", "bc").hash);
    }

    #[test]
    fn an_empty_log_holds() {
        assert_eq!(verify(&[], &Head::GENESIS), Ok(0));
    }

    #[test]
    fn a_log_written_anew_from_some_entry_on_is_told_by_its_head() {
        let texts: Vec<_> = (0..5).map(|n| n.to_string()).collect();
        let (mut entries, head) = log(&texts);
        entries[2].envelope = envelope(2, "forged");
        forge(&mut entries);
        assert_eq!(verify(&entries, &head).unwrap_err().at, 5);
    }

    #[test]
    fn an_entry_behind_the_head_is_told() {
        let texts: Vec<_> = (0..5).map(|n| n.to_string()).collect();
        let (entries, _) = log(&texts);
        let (_, shorter) = log(&texts[..4]);
        assert_eq!(verify(&entries, &shorter).unwrap_err().at, 5);
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("\\PC{0,8}", 1..20)
    }

    proptest! {
        #[test]
        fn a_log_as_it_was_written_holds(texts in texts()) {
            let (entries, head) = log(&texts);
            prop_assert_eq!(verify(&entries, &head), Ok(texts.len() as i64));
        }

        #[test]
        fn a_changed_entry_is_named(texts in texts(), at: prop::sample::Index, what in 0..8) {
            let (mut entries, head) = log(&texts);
            let at = at.index(entries.len());
            let entry = &mut entries[at];
            match what {
                0 => entry.envelope = envelope(at, "something else entirely"),
                1 => entry.source = "rollout".to_owned(),
                2 => entry.hash[7] ^= 1,
                3 => entry.previous_hash[7] ^= 1,
                4 => entry.columns.actor_id.push('x'),
                5 => entry.columns.kind.push('x'),
                6 => entry.columns.on_behalf_of_id = Some("eve".to_owned()),
                _ => entry.hash.truncate(31),
            }
            prop_assert_eq!(verify(&entries, &head).unwrap_err().at, at as i64 + 1);
        }

        #[test]
        fn a_missing_entry_is_named(texts in texts(), at: prop::sample::Index) {
            let (mut entries, head) = log(&texts);
            let at = at.index(entries.len());
            entries.remove(at);
            prop_assert_eq!(verify(&entries, &head).unwrap_err().at, at as i64 + 1);
        }

        #[test]
        fn a_log_cut_off_is_told(texts in texts(), keep: prop::sample::Index) {
            let (mut entries, head) = log(&texts);
            let keep = keep.index(entries.len());
            entries.truncate(keep);
            prop_assert_eq!(verify(&entries, &head).unwrap_err().at, keep as i64 + 1);
        }

        #[test]
        fn the_first_of_two_swapped_entries_is_named(
            texts in texts(), one: prop::sample::Index, other: prop::sample::Index,
        ) {
            let (mut entries, head) = log(&texts);
            let (one, other) = (one.index(entries.len()), other.index(entries.len()));
            prop_assume!(one != other);
            let (low, high) = (one.min(other), one.max(other));
            entries.swap(low, high);
            entries[low].sequence = low as i64 + 1;
            entries[high].sequence = high as i64 + 1;
            prop_assert_eq!(verify(&entries, &head).unwrap_err().at, low as i64 + 1);
        }
    }
}
