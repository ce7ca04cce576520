//! Between the wire and the vocabulary.

mod gate;
mod image;
mod tag;
mod upstream;
mod verdict;

use imageref::{Digest, Reference, Repository};
use runtime::id::parse_uuid;
use runtime::{Problem, page};
use uuid::Uuid;

use crate::Error;

pub(crate) use gate::gate_change;
pub(crate) use image::{image_change, image_filter, new_image};
pub(crate) use tag::{new_tag, platforms, tag_change, tag_to_add};
pub(crate) use upstream::{new_upstream, upstream_change};
pub(crate) use verdict::{Answer, Asked};

/// The most characters that a description, or a person's reason, may have.
const MAX_DESCRIPTION: usize = 2_000;
/// The most characters that a category, or a word to search for, may have.
const MAX_WORD: usize = 100;

/// Reads a repository.
pub(crate) fn repository(field: &'static str, text: &str) -> Result<Repository, Error> {
    Repository::parse(text).map_err(|cause| Error::InvalidReference { field, cause })
}

/// Reads a reference; without tag and digest it is the tag that engines mean.
pub(crate) fn reference(field: &'static str, text: &str) -> Result<Reference, Error> {
    let reference =
        Reference::parse(text).map_err(|cause| Error::InvalidReference { field, cause })?;
    if reference.tag().is_none() && reference.digest().is_none() {
        return Ok(reference.to_pull());
    }
    Ok(reference)
}

/// Reads a digest; empty = it is not known.
pub(crate) fn digest(field: &'static str, text: &str) -> Result<Option<Digest>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    Digest::parse(text).map(Some).map_err(|cause| Error::InvalidReference { field, cause })
}

/// Reads the id of a review; empty = there was none.
pub(crate) fn review_id(text: &str) -> Result<Option<Uuid>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    parse_uuid("request_id", text).map(Some)
}

/// Reads the number after which a page begins; 0 = the first page.
pub(crate) fn page_key(token: &str, list: &str) -> Result<i64, Problem> {
    let key = page::key(token, list)?.map(|key| key.parse::<i64>()).transpose();
    // A token that carries our fingerprint and no number was not made here.
    key.map(Option::unwrap_or_default)
        .map_err(|_| Problem::invalid("page_token", "is not of this list; begin again without one"))
}

/// Reads a text of several lines.
pub(crate) fn description(field: &str, text: String) -> Result<String, Problem> {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().count() > MAX_DESCRIPTION {
        let message = format!("is longer than {MAX_DESCRIPTION} characters; shorten it");
        return Err(Problem::invalid(field, message));
    }
    if text.chars().any(is_odd) {
        return Err(Problem::invalid(field, "holds a control character; remove it"));
    }
    Ok(text)
}

/// Reads a word or two.
fn word(field: &str, text: String) -> Result<String, Problem> {
    if text.chars().count() > MAX_WORD {
        let message = format!("is longer than {MAX_WORD} characters; shorten it");
        return Err(Problem::invalid(field, message));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "holds a control character; remove it"));
    }
    Ok(text)
}

/// The paths of an update mask.
fn mask(paths: Option<Vec<String>>) -> Result<Vec<String>, Problem> {
    paths.filter(|paths| !paths.is_empty()).ok_or_else(|| {
        Problem::invalid("update_mask", "is empty; name the fields that are to change")
    })
}

fn unknown_path(path: &str, known: &str) -> Problem {
    Problem::invalid("update_mask", format!("names `{path}`, which cannot change; name of {known}"))
}

/// What a required message holds.
fn required<T>(field: &str, message: Option<T>) -> Result<T, Problem> {
    message.ok_or_else(|| Problem::invalid(field, "is missing; give it"))
}

/// A value that the enum of the wire does not have.
fn unknown_value(field: &str) -> Problem {
    Problem::invalid(field, "is none of the values; see the comment of its type")
}
