//! The tag to use instead of one that was refused.

use std::cmp::Ordering;

/// A tag that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub tag: String,
    pub is_recommended: bool,
}

/// The recommended tag, else the highest version, else the highest name; empty = there is none.
pub(crate) fn nearest(candidates: Vec<Candidate>) -> String {
    candidates
        .into_iter()
        .max_by(|a, b| {
            (a.is_recommended.cmp(&b.is_recommended))
                .then_with(|| is_version(&a.tag).cmp(&is_version(&b.tag)))
                .then_with(|| natural(&a.tag, &b.tag))
        })
        .map(|candidate| candidate.tag)
        .unwrap_or_default()
}

/// Whether a tag counts up (`7.4-alpine`, `v2.1.0`), unlike `latest`.
fn is_version(tag: &str) -> bool {
    tag.strip_prefix('v').unwrap_or(tag).starts_with(|first: char| first.is_ascii_digit())
}

/// Compares as people do: runs of digits by their value, all else letter by letter.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (a_part, a_next) = part(a_rest);
        let (b_part, b_next) = part(b_rest);
        if a_part.is_empty() || b_part.is_empty() {
            return a_part.len().cmp(&b_part.len()).then_with(|| a.cmp(b));
        }
        let by_part = match (value(a_part), value(b_part)) {
            (Some(a), Some(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
            (Some(_), None) | (None, Some(_)) | (None, None) => a_part.cmp(b_part),
        };
        if by_part != Ordering::Equal {
            return by_part;
        }
        (a_rest, b_rest) = (a_next, b_next);
    }
}

/// The first run of digits, or of anything else, and the rest.
fn part(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|first: char| first.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

/// The digits that count in a run of digits.
fn value(part: &str) -> Option<&str> {
    part.starts_with(|first: char| first.is_ascii_digit()).then(|| part.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn among(tags: &[&str]) -> String {
        let candidate = |tag: &&str| Candidate { tag: (*tag).to_owned(), is_recommended: false };
        nearest(tags.iter().map(candidate).collect())
    }

    #[test]
    fn the_recommended_tag_wins() {
        let recommended = Candidate { tag: "7-alpine".to_owned(), is_recommended: true };
        let newer = Candidate { tag: "9-alpine".to_owned(), is_recommended: false };
        assert_eq!(nearest(vec![newer, recommended]), "7-alpine");
    }

    #[test]
    fn the_highest_version_is_found_as_people_count() {
        assert_eq!(among(&["7.9", "7.10", "7.2"]), "7.10");
        assert_eq!(among(&["v1.9.0", "v1.10.0", "edge"]), "v1.10.0");
        assert_eq!(among(&["latest", "7.2-alpine", "stable"]), "7.2-alpine");
        assert_eq!(among(&["edge", "latest"]), "latest");
        assert_eq!(among(&["007", "8"]), "8");
        assert_eq!(among(&[]), "");
    }

    proptest! {
        #[test]
        fn the_order_is_total(mut tags in prop::collection::vec("[a-z0-9.]{0,8}", 0..8)) {
            tags.sort_by(|a, b| natural(a, b));
            for pair in tags.windows(2) {
                prop_assert_ne!(natural(&pair[0], &pair[1]), Ordering::Greater);
                prop_assert_eq!(natural(&pair[0], &pair[1]), natural(&pair[1], &pair[0]).reverse());
            }
        }
    }
}
