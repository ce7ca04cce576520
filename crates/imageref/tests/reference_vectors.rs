//! `parse` against the reference implementation, case by case.
//!
//! The cases lie outside the project: `SLIPWAY_VECTORS` names their folder. `tests/names.rs` holds
//! the project's own.
//!
//! One difference is intended. The cases were computed with SHA-256 as the only registered
//! algorithm, so a well-formed `sha512` digest is "unsupported" there. The image specification
//! registers both, and so does [`imageref::Digest`]. For such a case the test asks that the name
//! is read as it would be with a SHA-256 digest in that place.

use std::path::Path;

use imageref::{Algorithm, AnyReference, Digest, parse, parse_any};
use serde_json::Value;

#[test]
fn parse_agrees_with_every_case_of_the_reference_implementation() {
    let Some(folder) = std::env::var_os("SLIPWAY_VECTORS") else {
        eprintln!("SLIPWAY_VECTORS is not set: the reference implementation's cases are not run");
        return;
    };
    let file = Path::new(&folder).join("image-references.json");
    let text = std::fs::read_to_string(&file).expect("SLIPWAY_VECTORS has image-references.json");
    let document: Value = serde_json::from_str(&text).expect("the cases are JSON");
    let cases = document["vectors"].as_array().expect("the cases are a list");
    assert!(cases.len() > 200, "only {} cases", cases.len());

    let deviations: Vec<String> = cases.iter().filter_map(deviation).collect();
    assert!(
        deviations.is_empty(),
        "{} of {} cases deviate:\n{}",
        deviations.len(),
        cases.len(),
        deviations.join("\n")
    );
}

fn deviation(case: &Value) -> Option<String> {
    let input = case["input"].as_str().expect("an input is text");
    if let Some(twin) = sha512_twin(case, input) {
        return sha512_deviation(input, &twin);
    }
    let found = match parse(input) {
        Ok(parsed) => serde_json::json!({
            "valid": true,
            "domain": parsed.host(),
            "path": parsed.path(),
            "tag": parsed.tag(),
            "digest": parsed.digest(),
            "normalised": parsed.to_string(),
            "familiar": parsed.familiar(),
            "docker_ref": parsed.to_pull().to_string(),
            "any_reference": any_reference(input),
        }),
        Err(_) => serde_json::json!({ "valid": false, "any_reference": any_reference(input) }),
    };
    let wrong: Vec<String> = found
        .as_object()
        .expect("an object was built")
        .iter()
        .filter(|(field, value)| case[field.as_str()] != **value)
        .map(|(field, value)| format!("{field} is {value}, not {}", case[field.as_str()]))
        .collect();
    (!wrong.is_empty()).then(|| format!("{input:?}: {}", wrong.join("; ")))
}

fn any_reference(input: &str) -> Option<String> {
    match parse_any(input).ok()? {
        AnyReference::Content(digest) => Some(digest.to_string()),
        AnyReference::Named(parsed) => Some(parsed.to_string()),
    }
}

/// Returns the same input with a SHA-256 digest, where only SHA-512 made the case fail.
fn sha512_twin(case: &Value, input: &str) -> Option<String> {
    if case["error"] != "unsupported digest algorithm" {
        return None;
    }
    let (name, digest) = input.split_once('@')?;
    let digest = Digest::parse(digest).ok()?;
    (digest.algorithm() == Algorithm::Sha512)
        .then(|| format!("{name}@sha256:{}", &digest.hex()[..64]))
}

fn sha512_deviation(input: &str, twin: &str) -> Option<String> {
    let (read, twin) = (parse(input).ok(), parse(twin).ok());
    let same = read.zip(twin).is_some_and(|(read, twin)| {
        (read.host(), read.path(), read.tag()) == (twin.host(), twin.path(), twin.tag())
    });
    (!same).then(|| format!("{input:?}: not read as with a SHA-256 digest"))
}
