//! Bodies and what they say: ours under `tests/fixtures`, and, where `SLIPWAY_VECTORS` names a folder,
//! the recorded ones there.

use std::path::{Path, PathBuf};

use runtime::secret::Secret;
use serde_json::Value;

use super::{Disposition, Parsed, parse};
use crate::headers::Headers;
use crate::vendor::Vendor;
use crate::verify;

fn ours(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn headers(case: &Value) -> Headers {
    let pairs = case["headers"].as_object().into_iter().flatten();
    Headers::new(pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().into())))
}

fn word(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Evaluate => "evaluate",
        Disposition::Observe => "observe",
        Disposition::Ignore => "ignore",
        Disposition::Reject => "reject",
    }
}

/// Compares what was read with what is expected; what is not named there may be anything.
fn agrees(name: &str, parsed: &Parsed, expected: &Value) {
    let note = &parsed.note;
    assert_eq!(word(parsed.disposition), expected["disposition"], "{name}: {note}");
    if let Some(key) = expected.get("key") {
        assert_eq!(parsed.delivery_key.as_deref(), key.as_str(), "{name}");
    }
    let events = expected["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(parsed.events.len(), events.len(), "{name}: {:?}", parsed.events);
    for (read, expected) in parsed.events.iter().zip(events) {
        let found = serde_json::json!({
            "action": "push",
            "registry": read.repository.registry(),
            "repository": read.repository.path(),
            "tag": read.tag.as_ref().map(imageref::Tag::as_str),
            "digest": read.digest.as_ref().map(imageref::Digest::as_str),
            "occurred_at": read.occurred_at.map(|time| time.timestamp()),
            "pusher": read.pusher,
            "actor": read.pusher,
        });
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(&found[member], value, "{name}: {member}");
        }
    }
}

#[test]
fn every_vendors_bodies_are_read_as_they_are_meant() {
    for word in Vendor::words() {
        let vendor = Vendor::from_word(word).unwrap();
        let cases = ours(&format!("{word}.json"));
        assert!(!cases.is_empty(), "vendor `{word}` has no fixtures");
        for case in cases {
            let body = match case["raw"].as_str() {
                Some(raw) => raw.to_owned(),
                None => case["body"].to_string(),
            };
            let parsed = parse(vendor, &headers(&case), body.as_bytes());
            agrees(&format!("{word}: {}", case["name"]), &parsed, &case["expect"]);
        }
    }
}

#[test]
fn one_address_for_all_reads_the_same_as_the_vendors_own() {
    let generic = Vendor::from_word("generic").unwrap();
    for word in ["dockerhub", "github"] {
        let all = ours(&format!("{word}.json"));
        for case in all.into_iter().filter(|case| case["own_only"] != true) {
            let body = case["body"].to_string();
            let vendor = Vendor::from_word(word).unwrap();
            let own = parse(vendor, &headers(&case), body.as_bytes());
            let mut common = parse(generic, &headers(&case), body.as_bytes());
            if own.disposition == Disposition::Reject {
                common.note.clone_from(&own.note);
            }
            assert_eq!(common, own, "{}", case["name"]);
        }
    }
}

/// The folder of recorded bodies, where there is one.
fn vectors() -> Option<(PathBuf, Value)> {
    let folder = PathBuf::from(std::env::var_os("SLIPWAY_VECTORS")?).join("webhooks");
    let index = std::fs::read_to_string(folder.join("index.json")).unwrap();
    Some((folder, serde_json::from_str(&index).unwrap()))
}

#[test]
fn recorded_bodies_are_read_as_expected() {
    let Some((folder, index)) = vectors() else { return };
    let secret = index["_about"]["test_secret"].as_str().unwrap();
    let mut seen = 0;
    for case in index["payloads"].as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let family = file.split('-').next().unwrap();
        let vendors: &[&str] = match family {
            "dockerhub" => &["dockerhub", "generic"],
            "github" => &["github", "generic"],
            "malformed" | "generic" => &["generic"],
            _ => continue,
        };
        seen += 1;
        let body = std::fs::read(folder.join(file)).unwrap();
        let headers = headers(case);
        if case["auth"] == "github" {
            let check =
                |secret: &str| verify::hub_signature(&headers, &body, &[Secret::new(secret)]);
            assert_eq!(check(secret), Ok(()), "{file}");
            assert_eq!(check("another secret"), Err(verify::Refusal::Mismatch), "{file}");
        }
        for word in vendors {
            let parsed = parse(Vendor::from_word(word).unwrap(), &headers, &body);
            agrees(&format!("{word}: {file}"), &parsed, &case["expect"]);
        }
    }
    assert!(seen > 10, "only {seen} bodies are there");
}

#[test]
fn recorded_bodies_of_other_vendors_start_nothing_at_an_address_for_all() {
    let Some((folder, index)) = vectors() else { return };
    let generic = Vendor::from_word("generic").unwrap();
    for case in index["payloads"].as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let family = file.split('-').next().unwrap();
        if ["dockerhub", "github", "malformed", "generic"].contains(&family) {
            continue;
        }
        let body = std::fs::read(folder.join(file)).unwrap();
        let parsed = parse(generic, &headers(case), &body);
        assert_eq!(parsed.disposition, Disposition::Reject, "{file}: {parsed:?}");
    }
}
