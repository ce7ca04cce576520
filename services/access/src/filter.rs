//! Which entries somebody asks for.

use chrono::{DateTime, Utc};
use runtime::Problem;

/// How long a filter may be.
const MOST_BYTES: usize = 1_000;
/// How many type patterns a live log takes.
const MOST_TYPES: usize = 100;
/// What the types of events about credentials begin with.
const CREDENTIALS: &str = "token.";

/// An event type, or the beginning of some: a range of texts in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypePattern {
    /// The first text in it.
    pub(crate) low: String,
    /// The last one.
    pub(crate) high: String,
}

impl TypePattern {
    /// Reads a type, which may end with `*`.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let text = bounded(field, text)?;
        let (stem, open) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        if stem.contains('*') || text.is_empty() {
            return Err(Problem::invalid(
                field,
                "is no event type; write one such as `image.tag.added`, or its beginning and a `*`",
            ));
        }
        let high = if open { format!("{stem}{}", char::MAX) } else { stem.to_owned() };
        Ok(Self { low: stem.to_owned(), high })
    }

    /// Whether a type is in it.
    pub(crate) fn matches(&self, kind: &str) -> bool {
        (self.low.as_str()..=self.high.as_str()).contains(&kind)
    }
}

/// Entries of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Whose: an id or a name.
    pub(crate) actor: Option<String>,
    /// Of which type.
    pub(crate) kind: Option<TypePattern>,
    /// At or after this time.
    pub(crate) start: Option<DateTime<Utc>>,
    /// Before this time.
    pub(crate) end: Option<DateTime<Utc>>,
    /// About what: an id or a name.
    pub(crate) resource: Option<String>,
}

impl Filter {
    /// Whether it takes every entry.
    pub(crate) fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// A text that is the same for the same filter only.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

/// Entries of a live log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    types: Vec<TypePattern>,
    credentials: bool,
}

impl Selection {
    /// Every entry.
    pub(crate) fn all() -> Self {
        Self { types: Vec::new(), credentials: true }
    }

    /// Reads patterns, none of which is every type; `credentials` says whether entries about
    /// credentials are shown.
    pub(crate) fn parse(types: &[String], credentials: bool) -> Result<Self, Problem> {
        if types.len() > MOST_TYPES {
            return Err(Problem::invalid("types", "are more than 100; use a `*` for several"));
        }
        let pattern =
            |(index, text): (usize, &String)| TypePattern::parse(&format!("types[{index}]"), text);
        let types = types.iter().enumerate().map(pattern).collect::<Result<_, _>>()?;
        Ok(Self { types, credentials })
    }

    /// Whether an event of this type is in it.
    pub(crate) fn takes(&self, kind: &str) -> bool {
        (self.credentials || !kind.starts_with(CREDENTIALS))
            && (self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(kind)))
    }

    /// The ranges of types it takes; none = every type.
    pub(crate) fn ranges(&self) -> (Vec<String>, Vec<String>) {
        self.types.iter().map(|pattern| (pattern.low.clone(), pattern.high.clone())).unzip()
    }

    /// The beginning of types it leaves out; `None` = it leaves none out.
    pub(crate) fn hidden(&self) -> Option<&'static str> {
        (!self.credentials).then_some(CREDENTIALS)
    }
}

/// Refuses a filter that is too long to be one.
pub(crate) fn bounded<'a>(field: &str, text: &'a str) -> Result<&'a str, Problem> {
    if text.len() > MOST_BYTES {
        return Err(Problem::invalid(field, "is longer than 1,000 bytes; shorten it"));
    }
    if text.contains('\0') {
        return Err(Problem::invalid(field, "holds a zero byte; leave it out"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trailing_star_takes_what_begins_so() {
        for (pattern, kind, taken) in [
            ("image.tag.added", "image.tag.added", true),
            ("image.tag.added", "image.tag.added.twice", false),
            ("image.*", "image.tag.added", true),
            ("image.*", "image.", true),
            ("image.*", "images.added", false),
            ("image.rollout_*", "image.rollout_created", true),
            ("image.rollout_*", "image.rolloutXcreated", false),
            ("*", "anything", true),
            ("*", "", true),
        ] {
            let parsed = TypePattern::parse("type", pattern).unwrap();
            assert_eq!(parsed.matches(kind), taken, "{pattern} {kind}");
        }
        for bad in ["", "im*ge", "**", "a\0", &"x".repeat(1_001)] {
            assert!(TypePattern::parse("type", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn entries_about_credentials_are_left_out_of_every_pattern() {
        let selection = |types: &[&str], credentials| {
            let types: Vec<_> = types.iter().map(|text| (*text).to_owned()).collect();
            Selection::parse(&types, credentials).unwrap()
        };
        for types in [&[][..], &["*"], &["token.create"], &["token.*", "image.*"]] {
            assert!(selection(types, true).takes("token.create"), "{types:?}");
            assert!(!selection(types, false).takes("token.create"), "{types:?}");
        }
        assert!(selection(&["image.*"], false).takes("image.tag.added"));
        assert!(!selection(&["image.*"], false).takes("policy.created"));
    }

    proptest! {
        #[test]
        fn a_pattern_takes_exactly_what_begins_with_its_stem(
            stem in "[a-z._]{0,4}", kind in "[a-z._]{0,6}",
        ) {
            let open = TypePattern::parse("type", &format!("{stem}*")).unwrap();
            prop_assert_eq!(open.matches(&kind), kind.starts_with(&stem));
        }
    }
}
