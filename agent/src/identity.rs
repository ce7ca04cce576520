//! Who a device is to the server.

use runtime::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What enrolment gave the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub device_id: String,
    /// Its token.
    #[serde(serialize_with = "expose", deserialize_with = "hide")]
    pub token: Secret,
    /// What it is called.
    pub name: String,
    /// The fleet it joined.
    pub fleet: String,
}

/// The file that holds an identity is its owner's alone.
fn expose<S: Serializer>(token: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

fn hide<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}
