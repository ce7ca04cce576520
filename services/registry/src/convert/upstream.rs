//! Upstreams on the wire.

use proto::registry::v1 as pb;
use runtime::{Problem, time};

use super::{mask, required, unknown_path};
use crate::resolve::{Contact, Resolved};
use crate::upstream::{Settings, Upstream, UpstreamChange};

impl From<Upstream> for pb::Upstream {
    fn from(upstream: Upstream) -> Self {
        Self {
            etag: upstream.etag(),
            id: upstream.id.0,
            name: upstream.name,
            url: upstream.url,
            host: upstream.host,
            allow_plain_http: upstream.allow_plain_http,
            is_default: upstream.is_default,
            create_time: Some(time::to_timestamp(upstream.created_at)),
            update_time: Some(time::to_timestamp(upstream.updated_at)),
        }
    }
}

impl From<Contact> for pb::TestUpstreamResponse {
    fn from(contact: Contact) -> Self {
        let latency_ms = i64::try_from(contact.latency.as_millis()).unwrap_or(i64::MAX);
        Self { ok: contact.ok, detail: contact.detail, latency_ms }
    }
}

impl From<Resolved> for pb::ResolveTagResponse {
    fn from(resolved: Resolved) -> Self {
        Self {
            digest: resolved.digest.to_string(),
            media_type: resolved.media_type,
            platforms: resolved.platforms.into_iter().map(Into::into).collect(),
            reference: String::new(),
        }
    }
}

/// Reads a new upstream.
pub(crate) fn new_upstream(upstream: Option<pb::Upstream>) -> Result<Settings, Problem> {
    let upstream = required("upstream", upstream)?;
    Settings::new(UpstreamChange {
        name: Some(upstream.name),
        url: Some(upstream.url),
        host: Some(upstream.host),
        allow_plain_http: Some(upstream.allow_plain_http),
        is_default: Some(upstream.is_default),
    })
}

/// Reads what of an upstream is to change.
pub(crate) fn upstream_change(
    upstream: Option<pb::Upstream>,
    paths: Option<Vec<String>>,
) -> Result<(pb::Upstream, UpstreamChange), Problem> {
    let upstream = required("upstream", upstream)?;
    let mut change = UpstreamChange::default();
    for path in mask(paths)? {
        match path.as_str() {
            "name" => change.name = Some(upstream.name.clone()),
            "url" => change.url = Some(upstream.url.clone()),
            "host" => change.host = Some(upstream.host.clone()),
            "allow_plain_http" => change.allow_plain_http = Some(upstream.allow_plain_http),
            "is_default" => change.is_default = Some(upstream.is_default),
            other => {
                let known = "`name`, `url`, `host`, `allow_plain_http`, `is_default`";
                return Err(unknown_path(other, known));
            }
        }
    }
    Ok((upstream, change))
}
