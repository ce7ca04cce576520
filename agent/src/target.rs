//! What should run, as the device has accepted it.

use std::sync::Arc;
use std::time::Duration;

use proto::rollout::v1 as pb;
use serde::{Deserialize, Serialize};
use workload::{Config, DevicePolicy, ServiceName, Violation, check_group};

use crate::image::{Image, ImageError};
use crate::recipe::Recipe;

/// The largest target that is accepted: it has to fit the journal.
pub const MAX_TARGET_BYTES: usize = 192 * 1024;

/// Everything a device should run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Grows with every change; from 1.
    pub generation: i64,
    /// Equal etags mean equal targets.
    pub etag: String,
    /// The services, each after those it depends on.
    pub services: Vec<Wanted>,
    /// `traceparent` of what caused the newest change.
    pub traceparent: String,
}

/// A service that should run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The image as named, for reports.
    pub reference: String,
    /// What to make its container from, or why that cannot be done.
    pub recipe: Result<Recipe, String>,
    /// The update under way.
    pub attempt: Option<Attempt>,
}

/// The update under way for a service. Its deadline is known as the time left: the device's clock may
/// be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The rollout, and which try it is.
    pub key: AttemptKey,
    /// What to go back to.
    pub fallback: Option<Image>,
    /// How long it may take from running to healthy.
    pub verify: Option<Duration>,
    /// How long it must stay healthy.
    pub soak: Option<Duration>,
    /// How long to wait for the server after the swap.
    pub dead_man: Option<Duration>,
    /// How long the attempt had as a whole when the target was sent.
    pub time_left: Option<Duration>,
}

/// Names an attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The rollout.
    pub rollout: String,
    /// Which try, from 1.
    pub number: i32,
}

/// Why a target is not accepted at all. What is wrong with one service refuses that service alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is meant for another device.
    #[error("the target is meant for device `{0}`")]
    OtherDevice(String),
    /// Its generation or etag is none.
    #[error("the target has no generation or no etag")]
    Unnamed,
    /// Two services have one name.
    #[error("the target names service `{0}` twice")]
    Twice(String),
    /// It would not fit the journal.
    #[error("the target has {0} bytes; the device stores at most {MAX_TARGET_BYTES}")]
    TooLarge(usize),
}

impl Target {
    /// Reads a target and checks every service of it, also against what the device's owner allows.
    ///
    /// # Errors
    ///
    /// When the target as a whole cannot be used.
    pub fn parse(
        message: &pb::TargetState,
        device_id: &str,
        policy: &DevicePolicy,
    ) -> Result<Self, TargetError> {
        if message.device_id != device_id {
            return Err(TargetError::OtherDevice(message.device_id.clone()));
        }
        if message.generation < 1 || message.etag.is_empty() {
            return Err(TargetError::Unnamed);
        }
        let size = prost::Message::encoded_len(message);
        if size > MAX_TARGET_BYTES {
            return Err(TargetError::TooLarge(size));
        }
        let mut services: Vec<Wanted> =
            message.services.iter().map(|one| Wanted::parse(one, policy)).collect();
        services.sort_by(|one, other| one.name.cmp(&other.name));
        if let Some(pair) = services.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(TargetError::Twice(pair[0].name.clone()));
        }
        Ok(Self {
            generation: message.generation,
            etag: message.etag.clone(),
            services: in_start_order(services),
            traceparent: message.traceparent.clone(),
        })
    }

    /// The service of this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Wanted> {
        self.services.iter().find(|wanted| wanted.name == name)
    }
}

impl Wanted {
    fn parse(service: &pb::Service, policy: &DevicePolicy) -> Self {
        Self {
            name: service.name.clone(),
            reference: service.image.clone(),
            recipe: recipe(service, policy),
            attempt: service.rollout.as_ref().map(Attempt::parse),
        }
    }

    /// The attempt's name, where an update is under way.
    #[must_use]
    pub fn attempt_key(&self) -> Option<&AttemptKey> {
        self.attempt.as_ref().map(|attempt| &attempt.key)
    }

    /// The hash of what it is made from; empty when that cannot be done.
    #[must_use]
    pub fn spec(&self) -> &str {
        self.recipe.as_ref().map_or("", Recipe::spec)
    }

    /// Says whether this one belongs to the group of that one: to the same rollout.
    #[must_use]
    pub fn is_grouped_with(&self, other: &Self) -> bool {
        match (&self.attempt, &other.attempt) {
            (Some(one), Some(other)) => one.key.rollout == other.key.rollout,
            (None, _) | (_, None) => self.name == other.name,
        }
    }
}

impl Attempt {
    fn parse(rollout: &pb::ServiceRollout) -> Self {
        let fallback = rollout.fallback.as_ref().and_then(|fallback| {
            Image::parse(&fallback.image, &fallback.digest, &fallback.release_id).ok()
        });
        Self {
            key: AttemptKey { rollout: rollout.id.clone(), number: rollout.attempt },
            fallback,
            verify: duration(rollout.verify),
            soak: duration(rollout.soak),
            dead_man: duration(rollout.dead_man),
            time_left: duration(rollout.time_left),
        }
    }
}

fn duration(message: Option<prost_types::Duration>) -> Option<Duration> {
    message.and_then(|message| Duration::try_from(message).ok())
}

fn recipe(service: &pb::Service, policy: &DevicePolicy) -> Result<Recipe, String> {
    ServiceName::parse(&service.name).map_err(|error| format!("name: {error}"))?;
    let image = Image::parse(&service.image, &service.digest, &service.release_id)
        .map_err(|error: ImageError| format!("image: {error}"))?;
    let config = Config::parse(&service.config).map_err(|violations| listed(&violations))?;
    config.allowed_by(policy).map_err(|violations| listed(&violations))?;
    Ok(Recipe::new(image, Arc::new(config)))
}

fn listed(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Checks the services against each other and puts each behind those it depends on. What one of
/// them makes impossible is refused, and then what depends on it, until the rest fits together.
fn in_start_order(mut services: Vec<Wanted>) -> Vec<Wanted> {
    loop {
        let names = usable_names(&services);
        let group: Vec<workload::Service<'_>> = names
            .iter()
            .filter_map(|(place, name)| {
                let config = services[*place].recipe.as_ref().ok()?.config()?;
                Some(workload::Service { name, config })
            })
            .collect();
        match check_group(&group) {
            Ok(order) => {
                let order: Vec<String> = order.into_iter().map(ToString::to_string).collect();
                let rank = |wanted: &Wanted| order.iter().position(|name| *name == wanted.name);
                services.sort_by_key(|wanted| rank(wanted).unwrap_or(usize::MAX));
                return services;
            }
            Err(violations) => refuse(&mut services, &names, &violations),
        }
    }
}

/// The services that can be made, each with its place.
fn usable_names(services: &[Wanted]) -> Vec<(usize, ServiceName)> {
    let usable = services.iter().enumerate().filter(|(_, wanted)| wanted.recipe.is_ok());
    usable
        .filter_map(|(place, wanted)| Some((place, ServiceName::parse(&wanted.name).ok()?)))
        .collect()
}

/// Refuses the services that the violations name, or all when they name none.
fn refuse(services: &mut [Wanted], names: &[(usize, ServiceName)], violations: &[Violation]) {
    let named = |place: usize| {
        let prefix = format!("services[{place}]");
        let of_it: Vec<Violation> =
            violations.iter().filter(|one| one.path.starts_with(&prefix)).cloned().collect();
        (!of_it.is_empty()).then(|| listed(&of_it))
    };
    let nobody_named = (0..names.len()).all(|place| named(place).is_none());
    for (place, (index, _)) in names.iter().enumerate() {
        if let Some(why) = named(place) {
            services[*index].recipe = Err(why);
        } else if nobody_named {
            services[*index].recipe = Err(listed(violations));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, config: &str) -> pb::Service {
        pb::Service {
            name: name.to_owned(),
            image: "docker.io/library/redis:7".to_owned(),
            digest: format!("sha256:{}", "a".repeat(64)),
            config: config.to_owned(),
            ..pb::Service::default()
        }
    }

    fn parse(message: &pb::TargetState) -> Result<Target, TargetError> {
        Target::parse(message, "d", &DevicePolicy::default())
    }

    fn message(services: Vec<pb::Service>) -> pb::TargetState {
        pb::TargetState {
            device_id: "d".to_owned(),
            generation: 3,
            etag: "e".to_owned(),
            services,
            ..pb::TargetState::default()
        }
    }

    #[test]
    fn services_stand_behind_those_they_depend_on() {
        let needs =
            |name: &str| format!(r#"{{"depends_on":{{"{name}":{{"condition":"started"}}}}}}"#);
        let target =
            message(vec![service("a", &needs("c")), service("b", ""), service("c", &needs("b"))]);
        let target = parse(&target).unwrap();
        let names: Vec<_> = target.services.iter().map(|wanted| wanted.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "a"]);
    }

    #[test]
    fn a_bad_configuration_refuses_its_service_and_what_depends_on_it() {
        let target = message(vec![
            service("bad", r#"{"privileged":true}"#),
            service("good", ""),
            service("host", r#"{"network_mode":"host"}"#),
            service("late", r#"{"depends_on":{"bad":{"condition":"started"}}}"#),
        ]);
        let target = parse(&target).unwrap();
        let refusal = |name: &str| target.service(name).unwrap().recipe.clone().err();
        assert!(refusal("bad").unwrap().contains("privileged"));
        assert!(refusal("late").unwrap().contains("`bad`"));
        assert!(refusal("host").unwrap().contains("policy"));
        assert_eq!(refusal("good"), None);
    }

    #[test]
    fn a_circle_refuses_its_services_alone() {
        let needs =
            |name: &str| format!(r#"{{"depends_on":{{"{name}":{{"condition":"started"}}}}}}"#);
        let target =
            message(vec![service("a", &needs("b")), service("b", &needs("a")), service("c", "")]);
        let target = parse(&target).unwrap();
        assert!(target.service("a").unwrap().recipe.is_err());
        assert!(target.service("c").unwrap().recipe.is_ok());
    }

    #[test]
    fn a_target_for_another_device_or_without_a_name_is_not_accepted() {
        let good = message(vec![service("a", "")]);
        let other = pb::TargetState { device_id: "other".to_owned(), ..good.clone() };
        assert_eq!(parse(&other), Err(TargetError::OtherDevice("other".to_owned())));
        let unnamed = pb::TargetState { generation: 0, ..good.clone() };
        assert_eq!(parse(&unnamed), Err(TargetError::Unnamed));
        let twice = message(vec![service("a", ""), service("a", "")]);
        assert_eq!(parse(&twice), Err(TargetError::Twice("a".to_owned())));
        let long = "x".repeat(MAX_TARGET_BYTES);
        let large = message(vec![service("a", &long)]);
        assert!(matches!(parse(&large), Err(TargetError::TooLarge(_))));
    }

    #[test]
    fn an_unreadable_image_refuses_its_service() {
        let mut bad = service("a", "");
        bad.digest = "sha256:short".to_owned();
        let target = parse(&message(vec![bad])).unwrap();
        assert!(target.services[0].recipe.as_ref().unwrap_err().starts_with("image: "));
    }
}
