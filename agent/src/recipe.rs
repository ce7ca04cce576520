//! What a container is made from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use workload::{Condition, Config, Restart, ServiceName, spec_hash};

use crate::image::Image;

/// An image, its configuration, and the hash of both.
///
/// The configuration is missing only where it was never known: of what ran before this agent had a
/// journal. Such a container can be started and stopped, but not made anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    image: Image,
    spec: String,
    config: Option<Arc<Config>>,
}

impl Recipe {
    /// The recipe of an image with its configuration.
    #[must_use]
    pub fn new(image: Image, config: Arc<Config>) -> Self {
        let spec = spec_hash(&image.identity(), &config);
        Self { image, spec, config: Some(config) }
    }

    /// What an existing container was made from, as far as its labels say.
    #[must_use]
    pub fn found(image: Image, spec: String) -> Self {
        Self { image, spec, config: None }
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The hash that tells containers apart.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The configuration, where it is known.
    #[must_use]
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    /// When a container that ended is started again.
    #[must_use]
    pub fn restart(&self) -> Restart {
        self.config.as_ref().map_or_else(Restart::default, |config| config.container().restart)
    }

    /// How many restarts while verifying are borne.
    #[must_use]
    pub fn restart_limit(&self) -> u32 {
        self.config.as_ref().map_or(2, |config| config.container().update.restart_limit)
    }

    /// How long a container has to end by itself.
    #[must_use]
    pub fn stop_grace(&self) -> Duration {
        let default = Duration::from_secs(10);
        self.config.as_ref().map_or(default, |config| config.container().stop_grace_period)
    }

    /// The services that must be there before this one starts.
    #[must_use]
    pub fn depends_on(&self) -> Option<&BTreeMap<ServiceName, Condition>> {
        self.config.as_ref().map(|config| &config.container().depends_on)
    }
}

/// How a recipe is stored. A configuration that this version cannot read any more is left out: the
/// container is still known by its spec, and the target brings a new one.
#[derive(Serialize, Deserialize)]
struct Stored<I, S> {
    image: I,
    spec: S,
    config: Option<S>,
}

impl Serialize for Recipe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let config = self.config.as_deref().map(Config::canonical_json);
        Stored { image: &self.image, spec: self.spec.as_str(), config }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::<Image, String>::deserialize(deserializer)?;
        let config = stored.config.and_then(|json| Config::parse(&json).ok()).map(Arc::new);
        Ok(Self { image: stored.image, spec: stored.spec, config })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_keeps_its_spec_through_the_journal() {
        let image = Image::parse("docker.io/library/redis:7", "", "r1").unwrap();
        let config = Config::parse(r#"{"restart":"on-failure","x-slipway":{"restart_limit":5}}"#);
        let recipe = Recipe::new(image, Arc::new(config.unwrap()));
        let json = serde_json::to_string(&recipe).unwrap();
        let back: Recipe = serde_json::from_str(&json).unwrap();
        assert_eq!(back, recipe);
        assert_eq!((back.restart(), back.restart_limit()), (Restart::OnFailure, 5));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_any_more_costs_only_itself() {
        let json = r#"{"image":{"reference":"docker.io/library/redis:7","digest":"",
            "release_id":""},"spec":"abc","config":"{\"privileged\":true}"}"#;
        let recipe: Recipe = serde_json::from_str(json).unwrap();
        assert_eq!((recipe.spec(), recipe.config()), ("abc", None));
    }
}
