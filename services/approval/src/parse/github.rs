//! GitHub's `package` and `registry_package` events, as GHCR causes them.
//!
//! The two events carry the same object under different names, and both have changed over the
//! years: the tag stands in `container_metadata.tag`, in `package_url`, or, in the oldest form, in
//! `package_version.version` while the image is the source repository. `package_version.name` is a
//! digest and never the tag. A multi-platform push sends one event per manifest; only that of the
//! index has a tag.

use chrono::{DateTime, Utc};
use imageref::{Digest, Repository, Tag};
use serde_json::Value;

use super::{Action, Event, Parsed, person, shown, text};
use crate::headers::Headers;

const GHCR: &str = "ghcr.io";
const EVENT: &str = "X-GitHub-Event";
const DELIVERY: &str = "X-GitHub-Delivery";
const OBJECTS: [&str; 2] = ["package", "registry_package"];

/// Whether a body is of this shape.
pub(super) fn recognise(headers: &Headers, body: &Value) -> bool {
    headers.has(EVENT) || OBJECTS.iter().any(|name| body.get(name).is_some_and(Value::is_object))
}

/// Reads a body.
pub(crate) fn parse(headers: &Headers, body: &Value) -> Parsed {
    let plain =
        |id: &&str| (1..=100).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let key = headers.get(DELIVERY).filter(plain);
    read(headers, body).keyed(key.map(|id| format!("github {id}")))
}

fn read(headers: &Headers, body: &Value) -> Parsed {
    let object = match headers.get(EVENT) {
        None if headers.has(EVENT) => return Parsed::reject("`X-GitHub-Event` cannot be read"),
        Some(event) if !OBJECTS.contains(&event) => {
            return Parsed::ignore(format!("the event {} is not about a package", shown(event)));
        }
        Some(event) => body.get(event),
        None => OBJECTS.iter().find_map(|name| body.get(name)),
    };
    let Some(object) = object.filter(|object| object.is_object()) else {
        return Parsed::reject(
            "the body has no `package` or `registry_package` as GitHub sends them",
        );
    };
    match text(body, "action") {
        Some("published" | "updated" | "create") => {}
        Some(action) => {
            return Parsed::ignore(format!("the action {} is not a push", shown(action)));
        }
        None => return Parsed::reject("`action` is missing"),
    }
    if !is_container(object) {
        return Parsed::ignore("the package is not a container image");
    }
    match read_event(body, object) {
        Ok(Some(event)) => Parsed::events(vec![event]),
        Ok(None) => Parsed::ignore("the package names neither a tag nor a digest"),
        Err(problem) => Parsed::reject(problem),
    }
}

/// `package_type` says what a package is; `ecosystem` is believed only where that is absent, because
/// it says `docker` for packages that are none.
fn is_container(object: &Value) -> bool {
    text(object, "package_type").or_else(|| text(object, "ecosystem")).is_some_and(|kind| {
        ["container", "docker"].iter().any(|own| kind.eq_ignore_ascii_case(own))
    })
}

/// Reads what was pushed; `None` = it has no name to act on.
fn read_event(body: &Value, object: &Value) -> Result<Option<Event>, String> {
    let version = &object["package_version"];
    let metadata = &version["container_metadata"];
    let (url_repository, url_tag) = split_url(text(version, "package_url").unwrap_or_default());
    let oldest = !metadata.is_object() && url_repository.is_empty();
    let tag = text(&metadata["tag"], "name")
        .or(url_tag)
        .or_else(|| text(version, "version").filter(|version| oldest && !is_digest(version)));
    let digest = text(&metadata["tag"], "digest")
        .or_else(|| text(&metadata["manifest"], "digest"))
        .or_else(|| text(version, "version").filter(|version| is_digest(version)));
    if tag.is_none() && digest.is_none() {
        return Ok(None);
    }
    let repository = if !url_repository.is_empty() {
        Repository::parse(&url_repository.to_ascii_lowercase())
    } else {
        let path = path(body, object, oldest)?.to_ascii_lowercase();
        Repository::from_parts(Some(GHCR), None, &path)
    };
    Ok(Some(Event {
        action: Action::Push,
        repository: repository.map_err(|error| format!("the package's name: {error}"))?,
        tag: tag.map(Tag::parse).transpose().map_err(|error| format!("the tag: {error}"))?,
        digest: digest
            .map(Digest::parse)
            .transpose()
            .map_err(|error| format!("the digest: {error}"))?,
        media_type: text(&metadata["manifest"], "media_type").map(str::to_owned),
        occurred_at: happened_at(version),
        pusher: text(&body["sender"], "login").map(person),
    }))
}

/// Repository and tag of `ghcr.io/owner/name:tag`; the tag may be empty, the scheme is sometimes there.
fn split_url(url: &str) -> (&str, Option<&str>) {
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    let name = url.rfind('/').map_or(0, |slash| slash + 1);
    match url[name..].split_once(':') {
        Some((last, tag)) => {
            (&url[..name + last.len()], Some(tag).filter(|tag| !tag.is_empty() && !is_digest(tag)))
        }
        None => (url, None),
    }
}

/// The image's path: the owner and the package's name, or, in the oldest form, the source repository.
fn path(body: &Value, object: &Value, oldest: bool) -> Result<String, String> {
    if oldest && let Some(source) = text(&body["repository"], "full_name") {
        return Ok(source.to_owned());
    }
    let name = text(object, "name").ok_or("the package has no `name`")?;
    let owner = text(&object["owner"], "login")
        // The namespace is the owner, or owner and name.
        .or_else(|| text(object, "namespace").and_then(|names| names.split('/').next()))
        .or_else(|| text(&body["organization"], "login"))
        .ok_or("the package has no `owner`")?;
    Ok(format!("{owner}/{name}"))
}

fn is_digest(text: &str) -> bool {
    text.starts_with("sha256:") || text.starts_with("sha512:")
}

/// When the version changed. The package's own times are those of its first version, and a zero time
/// is none.
fn happened_at(version: &Value) -> Option<DateTime<Utc>> {
    let text = text(version, "updated_at").or_else(|| text(version, "created_at"))?;
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (time.timestamp() > 0).then_some(time)
}
