//! Paging: how many, from where.
//!
//! A page token is the sort key of the last row shown and a hash of the filters, so that a token
//! brought to another list, or to the same list under other filters, is refused instead of
//! answered with nonsense.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::reason;
use sha2::{Digest, Sha256};

use crate::{Code, Problem};

/// How many items a list returns when the caller does not say.
pub const DEFAULT_SIZE: i32 = 50;
/// How many items a list returns at the most, unless its comment says otherwise.
pub const MAX_SIZE: i32 = 500;
/// How many items a caller that pages by number may leave out.
pub const MAX_SKIP: i32 = 10_000;

/// Reads a page size: 0 = the default, too large = the most, negative = refused.
///
/// # Errors
///
/// A violation of `page_size` when it is negative.
pub fn size(asked: i32, most: i32) -> Result<i64, Problem> {
    match asked {
        ..0 => Err(Problem::invalid("page_size", "is negative; leave it out for the default")),
        0 => Ok(i64::from(DEFAULT_SIZE.min(most))),
        _ => Ok(i64::from(asked.min(most))),
    }
}

/// Reads the number of items to leave out.
///
/// # Errors
///
/// A violation of `skip` when it is negative or too large.
pub fn skip(asked: i32) -> Result<i64, Problem> {
    if (0..=MAX_SKIP).contains(&asked) {
        return Ok(i64::from(asked));
    }
    Err(Problem::invalid(
        "skip",
        format!("is not between 0 and {MAX_SKIP}; follow `next_page_token` instead"),
    ))
}

/// Makes the token of the page after the row with this key. `filters` is any text that tells one
/// list from another.
#[must_use]
pub fn token(key: &str, filters: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{key}", fingerprint(filters)))
}

/// Reads the key out of a token; empty = the first page.
///
/// # Errors
///
/// `INVALID_PAGE_TOKEN` when the token is not of this list.
pub fn key(token: &str, filters: &str) -> Result<Option<String>, Problem> {
    if token.is_empty() {
        return Ok(None);
    }
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix(&fingerprint(filters)).map(str::to_owned))
        .map(Some)
        .ok_or_else(|| {
            Problem::new(
                Code::InvalidArgument,
                reason::INVALID_PAGE_TOKEN,
                "the page token is not of this list; begin again without one",
            )
            .at("page_token")
        })
}

fn fingerprint(filters: &str) -> String {
    hex::encode(&Sha256::digest(filters.as_bytes())[..4])
}

/// Cuts the extra row off that was fetched to see whether there is a next page, and makes its token.
#[must_use]
pub fn cut<T>(
    mut rows: Vec<T>,
    size: i64,
    filters: &str,
    key: impl Fn(&T) -> String,
) -> (Vec<T>, String) {
    let size = usize::try_from(size).unwrap_or(0);
    if rows.len() <= size {
        return (rows, String::new());
    }
    rows.truncate(size);
    let next = rows.last().map(|row| token(&key(row), filters)).unwrap_or_default();
    (rows, next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_coerced_and_negative_ones_refused() {
        assert_eq!(size(0, MAX_SIZE), Ok(50));
        assert_eq!(size(7, MAX_SIZE), Ok(7));
        assert_eq!(size(9_999, MAX_SIZE), Ok(500));
        assert!(size(-1, MAX_SIZE).is_err());
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let token = token("41", "images status=approved");
        assert_eq!(key(&token, "images status=approved"), Ok(Some("41".to_owned())));
        let problem = key(&token, "images status=pending").expect_err("other filters");
        assert_eq!(problem.reason(), reason::INVALID_PAGE_TOKEN);
    }

    #[test]
    fn the_extra_row_tells_that_there_is_more() {
        let (rows, next) = cut(vec![1, 2, 3], 2, "f", ToString::to_string);
        assert_eq!((rows, key(&next, "f")), (vec![1, 2], Ok(Some("2".to_owned()))));
        let (rows, next) = cut(vec![1, 2], 2, "f", ToString::to_string);
        assert_eq!((rows.len(), next.as_str()), (2, ""));
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_refused_without_panic(text in ".*") {
            let _ = key(&text, "f");
            prop_assert_eq!(key(&token(&text, "f"), "f"), Ok(Some(text)));
        }
    }
}
