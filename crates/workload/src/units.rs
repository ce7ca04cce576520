//! Durations and sizes as people write them.

use std::time::Duration;

use crate::node::Node;
use crate::violation::show;

/// The longest duration that makes sense in a configuration.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Units of time in milliseconds, in the order in which they may follow each other.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size in bytes; the long spellings mean the same.
const SIZES: [(&str, u64); 7] = [
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1 << 30),
];

/// Reads a duration such as `10s` or `1m30s`, up to a day.
pub(crate) fn duration(node: &Node<'_>) -> Option<Duration> {
    node.parsed(parse_duration)
}

/// Reads a duration of at least one second.
pub(crate) fn at_least_a_second(node: &Node<'_>) -> Option<Duration> {
    let found = duration(node)?;
    if found >= Duration::from_secs(1) {
        return Some(found);
    }
    node.refuse("this is too short; use at least `1s`")
}

/// Reads a size such as `64m`, or a whole number of bytes, of at least `least` bytes.
pub(crate) fn size(node: &Node<'_>, least: u64) -> Option<u64> {
    let found = if node.is_number() {
        node.integer(0..=i64::MAX).and_then(|bytes| u64::try_from(bytes).ok())?
    } else {
        node.parsed(parse_size)?
    };
    if found >= least {
        return Some(found);
    }
    node.refuse(format!("{found} bytes are too few; use at least {least}"))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let malformed =
        || format!("{} is not a duration; write one such as `10s` or `1m30s`", show(text));
    let (mut rest, mut units) = (text, TIMES.iter());
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit, after) = split_quantity(rest).ok_or_else(malformed)?;
        let (_, milliseconds) = units.find(|(name, _)| *name == unit).ok_or_else(malformed)?;
        let part = number.checked_mul(*milliseconds).map(Duration::from_millis);
        total = part.and_then(|part| total.checked_add(part)).unwrap_or(Duration::MAX);
        rest = after;
    }
    match text {
        "" => Err(malformed()),
        _ if total > LONGEST => Err(format!("{} is too long; use at most `24h`", show(text))),
        _ => Ok(total),
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let malformed = || {
        let text = show(text);
        format!("{text} is not a size; write one such as `64m` or `1g`, or a number of bytes")
    };
    let Some((number, unit, "")) = split_quantity(text) else { return Err(malformed()) };
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(malformed)?;
    // Engines keep sizes in 64 bits with a sign.
    let size = number.checked_mul(*bytes).filter(|size| i64::try_from(*size).is_ok());
    size.ok_or_else(|| format!("{} is too large; no device has as much", show(text)))
}

/// Splits a number, the letters behind it, and the rest.
fn split_quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, rest))
}
