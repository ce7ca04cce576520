//! Any of the vendors that are understood, told apart by headers and members.
//!
//! For receivers whose one address is given to several registries. What belongs to a vendor that is
//! not understood is refused, even where its body looks like another's. In a body of Docker Hub's
//! shape the name may have a host; whether the receiver may speak for it is decided like any other.

use serde_json::Value;

use super::{Parsed, dockerhub, github};
use crate::headers::Headers;

/// A vendor that sends another one's headers beside its own.
const GITEA: &str = "X-Gitea-Event";

/// Reads a body.
pub(crate) fn parse(headers: &Headers, body: &Value) -> Parsed {
    if headers.has(GITEA) {
        return Parsed::reject("this is from Gitea or Forgejo, whose events are not read here");
    }
    if github::recognise(headers, body) {
        return github::parse(headers, body);
    }
    if dockerhub::recognise(body) {
        return dockerhub::parse_any_host(body);
    }
    Parsed::reject(
        "the body has no fields of a webhook that is read here: Docker Hub's or GitHub's",
    )
}
