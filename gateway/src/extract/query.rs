//! Queries: filters and pages.

use axum::extract::FromRequestParts;
use http::request::Parts;
use runtime::{Problem, page};
use serde::de::DeserializeOwned;

use super::refusal;
use crate::App;
use crate::error::Fault;

/// The parameters of a list. Ones that it does not have are refused by name, because a misspelt
/// filter would show everything.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Fault> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(refused(&rejection.body_text()).into()),
        }
    }
}

/// `Failed to deserialize query string: limit: invalid digit found in string`
fn refused(text: &str) -> Problem {
    let (_, text) = text.split_once(": ").unwrap_or(("", text));
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match text.split_once(": ").filter(|(name, _)| is_name(name)) {
        Some((name, why)) => refusal::told(name, of_text(why)),
        None => refusal::told("query", text),
    }
}

/// What does not parse, as the readers of other values tell it.
fn of_text(why: &str) -> &str {
    match why {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "is no whole number"
        }
        "number too large to fit in target type" => "is too large a number",
        "provided string was not `true` or `false`" => "is neither `true` nor `false`",
        why => why,
    }
}

/// A part of a list: how many, from where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most this many.
    pub size: i32,
    /// Leave out this many.
    pub skip: i32,
    /// Where the page before ended; empty = the beginning.
    pub token: String,
}

impl Page {
    /// Reads `limit`, `offset` and `page_token`. A limit above the most is the most.
    ///
    /// # Errors
    ///
    /// When a number is out of its range, or both ways to move on are given.
    pub fn read(
        (limit, offset, token): (Option<i64>, Option<i64>, Option<String>),
        (usual, most): (i32, i32),
    ) -> Result<Self, Fault> {
        let token = token.unwrap_or_default();
        if !token.is_empty() && offset.unwrap_or(0) != 0 {
            let message = "and `page_token` exclude each other; follow one of them";
            return Err(Problem::invalid("offset", message).into());
        }
        Ok(Self {
            size: size("limit", limit, (usual, most))?,
            skip: skip("offset", offset.unwrap_or(0))?,
            token,
        })
    }

    /// Reads a page that is counted from 1.
    ///
    /// # Errors
    ///
    /// When a number is out of its range.
    pub fn numbered(
        (name, number): (&str, Option<i64>),
        (size_name, asked): (&str, Option<i64>),
        (usual, most): (i32, i32),
    ) -> Result<Self, Fault> {
        let number = number.unwrap_or(1);
        if number < 1 {
            return Err(Problem::invalid(name, "is not 1 or more; pages are counted from 1").into());
        }
        let size = size(size_name, asked, (usual, most))?;
        let before = (number - 1).checked_mul(i64::from(size)).unwrap_or(i64::MAX);
        Ok(Self { size, skip: skip(name, before)?, token: String::new() })
    }

    /// The number of the page, counted from 1.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.skip / self.size.max(1) + 1
    }
}

fn size(name: &str, asked: Option<i64>, (usual, most): (i32, i32)) -> Result<i32, Fault> {
    match asked {
        None => Ok(usual),
        Some(..1) => {
            Err(Problem::invalid(name, "is not 1 or more; leave it out for the usual number")
                .into())
        }
        Some(asked) => Ok(i32::try_from(asked).map_or(most, |asked| asked.min(most))),
    }
}

fn skip(name: &str, asked: i64) -> Result<i32, Fault> {
    i32::try_from(asked).ok().filter(|asked| (0..=page::MAX_SKIP).contains(asked)).ok_or_else(
        || {
            let message = format!(
                "leaves out less than 0 or more than {} items; filter, or follow `page_token`",
                page::MAX_SKIP
            );
            Problem::invalid(name, message).into()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_usual_and_a_largest_size() {
        let read = |limit| Page::read((limit, None, None), (50, 500)).unwrap().size;
        assert_eq!((read(None), read(Some(7)), read(Some(9_999_999_999))), (50, 7, 500));
    }

    #[test]
    fn what_is_out_of_range_is_named_as_it_was_written() {
        let field = |result: Result<Page, Fault>| {
            result.expect_err("refused").problem().field_violations()[0].field.clone()
        };
        assert_eq!(field(Page::read((Some(0), None, None), (50, 500))), "limit");
        assert_eq!(field(Page::read((None, Some(-1), None), (50, 500))), "offset");
        assert_eq!(field(Page::read((None, Some(1), Some("t".to_owned())), (50, 500))), "offset");
        let page = |n| Page::numbered(("pageNum", Some(n)), ("pageSize", None), (10, 500));
        assert_eq!(field(page(0)), "pageNum");
        assert_eq!(field(page(1_002)), "pageNum");
        assert_eq!(page(3).unwrap(), Page { size: 10, skip: 20, token: String::new() });
        assert_eq!(page(3).unwrap().number(), 3);
    }

    #[test]
    fn what_is_wrong_with_a_parameter_is_one_sentence() {
        let told = |text: &str| {
            let problem = refused(&format!("Failed to deserialize query string: {text}"));
            problem.message().to_owned()
        };
        for (text, sentence) in [
            (
                "statsu: unknown field `statsu`, expected one of `limit`, `status`",
                "`statsu`: is not known here; did you mean `status`? give `limit` or `status`",
            ),
            ("duplicate field `limit`", "`limit`: is given twice; give it once"),
            (
                "limit: invalid digit found in string",
                "`limit`: is no whole number; correct it or leave it out",
            ),
            (
                "status: unknown variant `a: b`, expected `new` or `done`",
                "`status`: does not take `a: b`; give `new` or `done`",
            ),
        ] {
            assert_eq!(told(text), sentence);
        }
    }
}
