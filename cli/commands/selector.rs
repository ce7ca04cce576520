//! Flags that choose devices.

use serde_json::{Map, Value, json};

use super::device;
use crate::complete::{self, DEVICES, FLEETS};
use crate::failure::{Failure, Result};
use crate::session::Session;

/// Which devices; all conditions given must hold.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Selector {
    /// Only devices of this fleet
    #[arg(long, add = complete::of(&FLEETS))]
    fleet: Option<String>,
    /// Only devices with this label
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Only this device, by name or id; may be given several times
    #[arg(long = "device", value_name = "DEVICE", add = complete::of(&DEVICES))]
    devices: Vec<String>,
    /// But not this device
    #[arg(long = "without", value_name = "DEVICE", add = complete::of(&DEVICES))]
    without: Vec<String>,
}

impl Selector {
    /// As the API takes it; nothing when nothing was given.
    pub async fn body(&self, session: &Session) -> Result<Option<Value>> {
        let mut body = Map::new();
        if let Some(fleet) = &self.fleet {
            body.insert("fleet".to_owned(), json!(fleet));
        }
        if !self.labels.is_empty() {
            let labels: Map<_, _> =
                self.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            body.insert("labels".to_owned(), Value::Object(labels));
        }
        for (member, typed) in [("ids", &self.devices), ("exclude", &self.without)] {
            if !typed.is_empty() {
                body.insert(member.to_owned(), json!(resolved(session, typed).await?));
            }
        }
        if body.keys().all(|member| member == "exclude") && !body.is_empty() {
            return Err(Failure::usage("`--without` alone chooses no devices")
                .hint("add --fleet, --label or --device"));
        }
        Ok((!body.is_empty()).then_some(Value::Object(body)))
    }
}

async fn resolved(session: &Session, typed: &[String]) -> Result<Vec<String>> {
    let mut ids = Vec::with_capacity(typed.len());
    for typed in typed {
        ids.push(device::KIND.resolve(session, typed).await?);
    }
    Ok(ids)
}

/// Reads `name=value`.
pub fn parse_label(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("`{text}` is no label; write NAME=VALUE")),
    }
}
