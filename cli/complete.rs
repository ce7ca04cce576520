//! Names for the shell's completion, asked of the server while a person waits for the Tab key.

use std::time::Duration;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use serde_json::Value;

use crate::client::{Client, Request, Target, read};
use crate::context::{Contexts, Entry};
use crate::documents::image::Image;
use crate::options::{Colour, Options};

/// How long a person waits at most.
const PATIENCE: Duration = Duration::from_millis(200);
/// How many names are offered.
const NAMES: usize = 200;

/// A kind of thing whose names the server knows.
pub struct Names {
    path: &'static [&'static str],
    items: &'static str,
    name: fn(&Value) -> Option<String>,
    about: &'static str,
}

/// Images, by name.
pub const IMAGES: Names = Names {
    path: &["images"],
    items: "images",
    name: |item| Some(read::<Image>(item).ok()?.familiar()),
    about: "description",
};
/// Rollouts that have not ended, by id.
pub const ROLLOUTS: Names =
    Names { path: &["rollouts", "active"], items: "rollouts", name: id, about: "image" };
/// Reviews, by id.
pub const REVIEWS: Names = Names {
    path: &["approval-requests"],
    items: "approval_requests",
    name: id,
    about: "image_name",
};
/// Devices, by name.
pub const DEVICES: Names = Names { path: &["devices"], items: "devices", name, about: "fleet" };
/// Fleets, by name.
pub const FLEETS: Names = Names { path: &["fleets"], items: "fleets", name, about: "" };
/// Policies, by name.
pub const POLICIES: Names =
    Names { path: &["policies"], items: "policies", name, about: "image_pattern" };
/// Receivers, by name.
pub const RECEIVERS: Names =
    Names { path: &["receivers"], items: "receivers", name, about: "vendor" };
/// Upstream registries, by name.
pub const REGISTRIES: Names = Names { path: &["image-registries"], items: "", name, about: "url" };

fn name(item: &Value) -> Option<String> {
    item.get("name")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

fn id(item: &Value) -> Option<String> {
    item.get("id")?.as_str().map(str::to_owned)
}

/// The contexts.
pub fn contexts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let contexts = Contexts::load().unwrap_or_default();
        let candidate = |(name, entry): (&String, &Entry)| {
            CompletionCandidate::new(name).help(Some(entry.url.clone().into()))
        };
        contexts.contexts.iter().map(candidate).collect()
    })
}

/// The names of a kind of thing.
pub fn of(names: &'static Names) -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let about = |item: &Value| Some(item.get(names.about)?.as_str()?.to_owned().into());
        ask(names)
            .iter()
            .filter_map(|item| {
                Some(CompletionCandidate::new((names.name)(item)?).help(about(item)))
            })
            .collect()
    })
}

/// What the server lists; nothing where it does not answer in time.
fn ask(names: &Names) -> Vec<Value> {
    let options = Options {
        context: std::env::var("SLIPWAY_CONTEXT").ok(),
        url: std::env::var("SLIPWAY_URL").ok(),
        json: None,
        color: Colour::Never,
        verbose: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), Ok(client)) = (runtime, Target::choose(&options).and_then(Client::new))
    else {
        return Vec::new();
    };
    runtime.block_on(async {
        let list = client.list(Request::get(names.path.iter().copied()), names.items, NAMES);
        match tokio::time::timeout(PATIENCE, list).await {
            Ok(Ok(page)) => page.items().to_vec(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    })
}
