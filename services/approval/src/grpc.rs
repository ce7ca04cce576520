//! The services of this process.

pub(crate) mod pushes;
pub(crate) mod receivers;
pub(crate) mod reviews;
pub(crate) mod targets;

use imageref::Repository;
use runtime::Problem;
use uuid::Uuid;

use crate::Error;

/// The key of a page token as an id.
fn before(key: Option<String>) -> Result<Option<Uuid>, Problem> {
    key.map(|key| runtime::id::parse_uuid("page_token", &key)).transpose()
}

/// The repository that a request filters by, in its one spelling; `None` = any.
fn repository_filter(text: &str) -> Result<Option<String>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    match Repository::parse(text) {
        Ok(repository) => Ok(Some(repository.to_string())),
        Err(error) => {
            let (field, cause) = ("repository".to_owned(), error.to_string());
            Err(Error::InvalidReference { field, cause })
        }
    }
}

fn total(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
