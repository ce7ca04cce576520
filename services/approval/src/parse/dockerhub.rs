//! Docker Hub's webhook: one push of one tag.
//!
//! It carries no id, no signature and no digest: the time of the push, with repository and tag, is
//! what tells one delivery from the next. `push_data.images` and `callback_url` are left overs of
//! an older service and mean nothing.

use chrono::{DateTime, Utc};
use imageref::{DOCKER_HUB, Repository, Tag};
use serde_json::Value;

use super::{Action, Event, Parsed, person, shown, text};
use crate::headers::Headers;

/// Whether a body is of this shape.
pub(super) fn recognise(body: &Value) -> bool {
    body.get("push_data").is_some_and(Value::is_object)
        && body.get("repository").is_some_and(Value::is_object)
}

/// Reads a body. Docker Hub speaks for itself: a name with another host is refused.
pub(crate) fn parse(_: &Headers, body: &Value) -> Parsed {
    read(body, |name| {
        Repository::from_parts(Some(DOCKER_HUB), None, name).map_err(|error| match error {
            imageref::Error::TwoHosts { .. } => {
                format!("{error}; send it to a receiver of the vendor `generic`")
            }
            error => error.to_string(),
        })
    })
}

/// Reads a body of this shape whose name may begin with the host of another registry, as scripts
/// write it that tell of pushes wherever they are.
pub(super) fn parse_any_host(body: &Value) -> Parsed {
    read(body, |name| Repository::parse(name).map_err(|error| error.to_string()))
}

fn read(body: &Value, named: impl Fn(&str) -> Result<Repository, String>) -> Parsed {
    if !recognise(body) {
        return Parsed::reject(
            "the body has no `repository` and `push_data` as Docker Hub sends them",
        );
    }
    let (repository, push) = (&body["repository"], &body["push_data"]);
    if let Some(kind) = text(push, "media_type").filter(|kind| !is_image(kind)) {
        return Parsed::ignore(format!("{} is not a container image", shown(kind)));
    }
    let repository = match read_repository(repository, named) {
        Ok(repository) => repository,
        Err(problem) => return Parsed::reject(problem),
    };
    let Some(tag) = text(push, "tag") else {
        return Parsed::reject("`push_data.tag` is missing");
    };
    let tag = match Tag::parse(tag) {
        Ok(tag) => tag,
        Err(error) => return Parsed::reject(format!("`push_data.tag`: {error}")),
    };
    let occurred_at = pushed_at(push);
    let key = occurred_at.map(|time| format!("dockerhub {repository}|{tag}|{}", time.timestamp()));
    let event = Event {
        action: Action::Push,
        repository,
        tag: Some(tag),
        digest: None,
        media_type: text(push, "media_type").map(str::to_owned),
        occurred_at,
        pusher: text(push, "pusher").map(person),
    };
    Parsed::events(vec![event]).keyed(key)
}

/// A push of a chart says so here.
fn is_image(media_type: &str) -> bool {
    ["application/vnd.docker.", "application/vnd.oci."]
        .iter()
        .any(|prefix| media_type.starts_with(prefix))
}

fn read_repository(
    repository: &Value,
    named: impl Fn(&str) -> Result<Repository, String>,
) -> Result<Repository, String> {
    let read = match (text(repository, "repo_name"), text(repository, "name")) {
        (Some(name), _) => named(name),
        // Another vendor's body looks alike and names its own registry by region only.
        (None, Some(_)) if repository.get("repo_full_name").is_some() => {
            return Err("`repository.repo_name` is missing; is this from Docker Hub?".to_owned());
        }
        (None, Some(name)) => {
            Repository::from_parts(Some(DOCKER_HUB), text(repository, "namespace"), name)
                .map_err(|error| error.to_string())
        }
        (None, None) => return Err("`repository.repo_name` is missing".to_owned()),
    };
    read.map_err(|error| format!("`repository.repo_name`: {error}"))
}

/// Seconds since 1970, formerly as a float.
fn pushed_at(push: &Value) -> Option<DateTime<Utc>> {
    let number = push.get("pushed_at")?;
    let seconds = number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| (0.0..1e12).contains(float))?;
        #[expect(clippy::cast_possible_truncation, reason = "fractions of a second do not count")]
        Some(float as i64)
    })?;
    if seconds <= 0 {
        return None;
    }
    DateTime::from_timestamp(seconds, 0)
}
