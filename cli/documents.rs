//! What commands read of the API's documents. What a command does not show is not here: `--json`
//! prints the document itself.

pub mod device;
pub mod image;
pub mod policy;
pub mod push;
pub mod review;
pub mod rollout;

use serde::Deserialize;

/// Who did something.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Actor {
    kind: String,
    id: String,
    name: String,
}

impl Actor {
    /// The name; the id where there is none.
    pub fn shown(&self) -> &str {
        match (self.name.as_str(), self.id.as_str()) {
            ("", "") => &self.kind,
            ("", id) => id,
            (name, _) => name,
        }
    }
}

/// Why something is so.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// The constant.
    pub code: String,
    /// The sentence.
    pub message: String,
}

/// A rule or condition that was asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Check {
    /// What was asked.
    pub name: String,
    /// How it came out.
    pub result: String,
    /// What was found.
    pub detail: String,
}
