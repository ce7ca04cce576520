//! A short name for a long text.

/// Hashes `text` to 16 hexadecimal digits that stay the same on every machine and in every build
/// (FNV-1a), so that two processes derive the same name from the same path.
pub(crate) fn fingerprint(text: &[u8]) -> String {
    format!("{:016x}", hash(text))
}

/// The same hash as a number.
pub(crate) fn hash(text: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    text.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn the_published_values_of_the_hash_are_met() {
        assert_eq!(fingerprint(b""), "cbf29ce484222325");
        assert_eq!(fingerprint(b"a"), "af63dc4c8601ec8c");
        assert_eq!(fingerprint(b"foobar"), "85944171f73967e8");
    }
}
