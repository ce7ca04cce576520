//! What a webhook body says, vendor by vendor.
//!
//! A parser is a pure function of headers and JSON. It says what the body reports and nothing about
//! whether that is believed: binding, age and approval are decided by others.

pub(crate) mod dockerhub;
#[cfg(test)]
mod fixtures;
pub(crate) mod generic;
pub(crate) mod github;

use chrono::{DateTime, Utc};
use imageref::{Digest, Repository, Tag};
use serde_json::Value;
use sha2::Sha256;

use crate::headers::Headers;
use crate::strict_json;
use crate::vendor::Vendor;

/// What a body is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It reports pushes of tags: each is decided.
    Evaluate,
    /// It reports digests without a tag: they are kept, nothing is decided.
    Observe,
    /// It is of no interest: a ping, a chart, a removal.
    Ignore,
    /// It cannot be what the vendor sends.
    Reject,
}

/// What a body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub disposition: Disposition,
    /// In the order of the body.
    pub events: Vec<Event>,
    /// The vendor's id of the delivery, or what stands for it; `None` = it has none.
    pub delivery_key: Option<String>,
    /// Why nothing is decided, or what is wrong; empty = neither.
    pub note: String,
}

/// What happened at the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Something was pushed.
    Push,
}

/// One thing that a body reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub action: Action,
    /// Registry and repository, in their one spelling.
    pub repository: Repository,
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
    pub media_type: Option<String>,
    pub occurred_at: Option<DateTime<Utc>>,
    /// Who pushed, as the sender says.
    pub pusher: Option<String>,
}

/// Reads a body of a vendor.
pub(crate) fn parse(vendor: Vendor, headers: &Headers, body: &[u8]) -> Parsed {
    match strict_json::parse(body) {
        Ok(value) => vendor.parse(headers, &value),
        Err(_) if body.starts_with(b"payload=") => Parsed::reject(
            "the body is a web form; set the webhook's content type to `application/json`",
        ),
        Err(problem) => Parsed::reject(problem),
    }
}

impl Parsed {
    /// A body that reports events, at least one.
    pub(crate) fn events(events: Vec<Event>) -> Self {
        let tagged = events.iter().any(|event| event.tag.is_some());
        let disposition = if tagged { Disposition::Evaluate } else { Disposition::Observe };
        Self { disposition, events, delivery_key: None, note: String::new() }
    }

    /// A body of no interest.
    pub(crate) fn ignore(note: impl Into<String>) -> Self {
        let disposition = Disposition::Ignore;
        Self { disposition, events: Vec::new(), delivery_key: None, note: note.into() }
    }

    /// A body that cannot be what the vendor sends.
    pub(crate) fn reject(note: impl Into<String>) -> Self {
        let disposition = Disposition::Reject;
        Self { disposition, events: Vec::new(), delivery_key: None, note: note.into() }
    }

    /// Names the delivery.
    pub(crate) fn keyed(mut self, key: Option<String>) -> Self {
        self.delivery_key = key;
        self
    }

    /// Tells two readings apart that come under one delivery key. Who pushed, and when, does not
    /// count: it decides nothing.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        use sha2::Digest as _;
        let mut hash = Sha256::new();
        hash.update(format!("{:?}", self.disposition));
        for event in &self.events {
            let tag = event.tag.as_ref().map_or("", Tag::as_str);
            let digest = event.digest.as_ref().map_or("", Digest::as_str);
            hash.update(format!("\n{:?} {} {tag} {digest}", event.action, event.repository));
        }
        hash.finalize().into()
    }
}

/// A text member that is there and not empty.
fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The name of a person at the sender's, fit to be stored and shown.
fn person(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(100).collect()
}

/// The first characters of a text that comes from outside, fit for a sentence.
fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    let cut: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    format!("`{cut}{}`", if text.chars().nth(SHOWN).is_some() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers::new(
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())),
        )
    }

    #[test]
    fn a_web_form_is_told_how_to_become_json() {
        let vendor = Vendor::from_word("github").expect("known");
        let parsed = parse(vendor, &headers(&[]), b"payload=%7B%7D");
        assert_eq!(parsed.disposition, Disposition::Reject);
        assert!(parsed.note.contains("application/json"), "{}", parsed.note);
    }

    #[test]
    fn only_what_decides_tells_two_readings_apart() {
        let vendor = Vendor::from_word("dockerhub").expect("known");
        let read = |body: &str| parse(vendor, &headers(&[]), body.as_bytes()).fingerprint();
        let one = r#"{"repository":{"repo_name":"redis"},"push_data":{"tag":"7","pusher":"a"}}"#;
        let same =
            r#"{"push_data":{"pusher":"b","tag":"7"},"repository":{"repo_name":"library/redis"}}"#;
        let other = r#"{"repository":{"repo_name":"redis"},"push_data":{"tag":"8","pusher":"a"}}"#;
        assert_eq!(read(one), read(same));
        assert_ne!(read(one), read(other));
    }

    /// JSON that looks like what vendors send, with anything in every place.
    fn alike() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec![
            "repository",
            "push_data",
            "repo_name",
            "name",
            "namespace",
            "tag",
            "digest",
            "pushed_at",
            "media_type",
            "pusher",
            "package",
            "registry_package",
            "action",
            "package_type",
            "ecosystem",
            "package_version",
            "container_metadata",
            "manifest",
            "package_url",
            "owner",
            "login",
            "version",
            "updated_at",
            "full_name",
            "sender",
            "registry",
            "url",
            "repo_full_name",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            prop::sample::select(vec![
                "redis",
                "ghcr.io/acme/agent:",
                "published",
                "container",
                "sha256:00",
                "a/b:c",
                "",
                "0001-01-01T00:00:00Z",
                "CONTAINER",
                "latest",
            ])
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| members
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect()),
            ]
        })
    }

    fn looks_right(parsed: &Parsed) {
        match parsed.disposition {
            Disposition::Evaluate => assert!(parsed.events.iter().any(|event| event.tag.is_some())),
            Disposition::Observe => {
                assert!(!parsed.events.is_empty());
                assert!(parsed.events.iter().all(|event| event.digest.is_some()));
            }
            Disposition::Ignore | Disposition::Reject => {
                assert!(parsed.events.is_empty() && !parsed.note.is_empty());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body: Vec<u8>, event in "[a-z_]{0,20}") {
            for word in Vendor::words() {
                let vendor = Vendor::from_word(word).expect("known");
                looks_right(&parse(vendor, &headers(&[("X-GitHub-Event", &event)]), &body));
            }
        }

        #[test]
        fn anything_in_any_place_is_read_without_panic(
            body in alike(),
            event in prop::sample::select(vec!["package", "registry_package", "ping", "push", ""]),
        ) {
            for word in Vendor::words() {
                let vendor = Vendor::from_word(word).expect("known");
                let headers = headers(&[("X-GitHub-Event", event), ("X-GitHub-Delivery", "1")]);
                looks_right(&vendor.parse(&headers, &body));
                looks_right(&vendor.parse(&Headers::default(), &body));
            }
        }
    }
}
