//! Target states: what a device should run, and how a rollout changes it.
//!
//! A change touches only the services of the rollout's repository, and never adds one. Taking it
//! back touches only those that still carry the release: an operator's later edit wins.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use imageref::{Reference, Repository};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a service runs: an image, pinned by digest or told apart by its push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The canonical reference with its tag, for instance `docker.io/library/redis:7-alpine`.
    pub image: String,
    /// The digest; `None` = not pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Tells an unpinned release from the one before of the same tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_id: Option<String>,
}

impl Image {
    /// Whether both are the same bits: the same digest, or, unpinned, the same push of the same tag.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (&self.digest, &other.digest) {
            (Some(one), Some(two)) => one == two,
            (None, None) => self.image == other.image && self.release_id == other.release_id,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The canonical repository; `None` when the reference is none, which no writer stores.
    #[must_use]
    pub fn repository(&self) -> Option<Repository> {
        Reference::parse(&self.image).ok().map(|reference| reference.repository().clone())
    }
}

/// The newest update of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The rollout.
    pub rollout: Uuid,
    /// The try, from 1.
    pub attempt: i32,
    /// What to go back to.
    pub fallback: Image,
    /// How long it may take to be healthy.
    pub verify: Duration,
    /// How long it must stay healthy.
    pub soak: Duration,
    /// How long to wait for the server after the swap.
    pub dead_man: Duration,
    /// When the attempt must be done.
    pub deadline: DateTime<Utc>,
}

/// One service of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name on the device.
    pub name: String,
    /// What it runs.
    #[serde(flatten)]
    pub runs: Image,
    /// The container's configuration, as JSON text.
    #[serde(default)]
    pub config: String,
    /// The newest update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
}

/// Everything a device should run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Grows with every change.
    pub generation: i64,
    /// Hash of what is to run and of the attempts.
    pub etag: String,
    /// The services, by name.
    pub services: Vec<Service>,
    /// Per service, what was last seen to work.
    pub good: BTreeMap<String, Image>,
    /// Trace of what caused the newest change.
    pub traceparent: Option<String>,
}

/// What a rollout brings to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer<'a> {
    /// The repository whose services change.
    pub repository: &'a str,
    /// What they will run.
    pub image: &'a Image,
    /// The rollout.
    pub rollout: Uuid,
    /// The try.
    pub attempt: i32,
    /// How long it may take to be healthy.
    pub verify: Duration,
    /// How long it must stay healthy.
    pub soak: Duration,
    /// How long a device waits for the server.
    pub dead_man: Duration,
    /// When the attempt must be done.
    pub deadline: DateTime<Utc>,
}

impl Target {
    /// Replaces the services: an operator's word.
    #[must_use]
    pub fn replaced(&self, services: Vec<Service>) -> Self {
        self.changed(services)
    }

    /// The target with the services of the offer's repository updated, and what each of them goes
    /// back to; `None` when no service is of that repository.
    ///
    /// The fallback is what was last seen to work; without that, what the service ran before.
    #[must_use]
    pub fn offered(&self, offer: &Offer<'_>) -> Option<(Self, BTreeMap<String, Image>)> {
        let mut fallbacks = BTreeMap::new();
        let mut services = self.services.clone();
        for service in &mut services {
            let repository = service.runs.repository();
            if repository.is_none_or(|repository| repository.as_str() != offer.repository) {
                continue;
            }
            let fallback = self.fallback(service, offer);
            fallbacks.insert(service.name.clone(), fallback.clone());
            service.runs = offer.image.clone();
            service.update = Some(Update {
                rollout: offer.rollout,
                attempt: offer.attempt,
                fallback,
                verify: offer.verify,
                soak: offer.soak,
                dead_man: offer.dead_man,
                deadline: offer.deadline,
            });
        }
        (!fallbacks.is_empty()).then(|| (self.changed(services), fallbacks))
    }

    fn fallback(&self, service: &Service, offer: &Offer<'_>) -> Image {
        let before = match &service.update {
            Some(update) if update.rollout == offer.rollout => &update.fallback,
            Some(_) | None => &service.runs,
        };
        self.good.get(&service.name).filter(|good| !good.is(offer.image)).unwrap_or(before).clone()
    }

    /// The target with the services that still carry this rollout's release set back; `None` when
    /// none does.
    #[must_use]
    pub fn restored(&self, rollout: Uuid, release: &Image) -> Option<Self> {
        let mut services = self.services.clone();
        let mut restored = false;
        for service in &mut services {
            if !service.runs.is(release) {
                continue;
            }
            let Some(update) = service.update.take_if(|update| update.rollout == rollout) else {
                continue;
            };
            service.runs = update.fallback;
            restored = true;
        }
        restored.then(|| self.changed(services))
    }

    fn changed(&self, mut services: Vec<Service>) -> Self {
        services.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            generation: self.generation + 1,
            etag: etag(&services),
            services,
            good: self.good.clone(),
            // What has no trace of its own, such as a device's failure, belongs to what came before.
            traceparent: runtime::context::traceparent().or_else(|| self.traceparent.clone()),
        }
    }

    /// The canonical repositories of the services, sorted, each once.
    #[must_use]
    pub fn repositories(&self) -> Vec<String> {
        let mut repositories: Vec<_> = self
            .services
            .iter()
            .filter_map(|service| service.runs.repository())
            .map(|repository| repository.as_str().to_owned())
            .collect();
        repositories.sort();
        repositories.dedup();
        repositories
    }
}

/// Hash of the services, their configuration, rollouts and attempts: not of generation and
/// deadlines, so that the same work has the same etag and a new try another one.
#[must_use]
pub fn etag(services: &[Service]) -> String {
    let facts: Vec<_> = services
        .iter()
        .map(|service| {
            json!([
                service.name,
                service.runs.image,
                service.runs.digest,
                service.runs.release_id,
                service.config,
                service.update.as_ref().map(|update| (update.rollout, update.attempt)),
            ])
        })
        .collect();
    hex::encode(Sha256::digest(json!(facts).to_string()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn pinned(image: &str, digit: char) -> Image {
        let digest = format!("sha256:{}", digit.to_string().repeat(64));
        Image { image: image.to_owned(), digest: Some(digest), release_id: None }
    }

    fn service(name: &str, runs: Image) -> Service {
        Service { name: name.to_owned(), runs, config: "{}".to_owned(), update: None }
    }

    fn offer(image: &Image, attempt: i32) -> Offer<'_> {
        Offer {
            repository: "docker.io/library/redis",
            image,
            rollout: Uuid::nil(),
            attempt,
            verify: Duration::from_secs(300),
            soak: Duration::from_secs(60),
            dead_man: Duration::from_secs(900),
            deadline: DateTime::UNIX_EPOCH,
        }
    }

    fn target() -> Target {
        let services = vec![
            service("cache", pinned("docker.io/library/redis:7", '1')),
            service("web", pinned("docker.io/library/nginx:1", '2')),
        ];
        Target::default().replaced(services)
    }

    #[test]
    fn an_offer_touches_only_its_repository_and_can_be_taken_back() {
        let before = target();
        let new = pinned("docker.io/library/redis:8", '3');
        let (after, fallbacks) = before.offered(&offer(&new, 1)).unwrap();
        assert_eq!(after.generation, 2);
        assert_eq!(after.services[0].runs, new);
        assert_eq!(after.services[1], before.services[1]);
        assert_eq!(fallbacks["cache"], before.services[0].runs);

        let back = after.restored(Uuid::nil(), &new).unwrap();
        assert_eq!((back.generation, &back.services), (3, &before.services));
        assert_eq!(back.etag, before.etag, "the same work has the same etag");
        assert!(back.restored(Uuid::nil(), &new).is_none());
    }

    #[test]
    fn a_retry_keeps_the_fallback_and_has_a_new_etag() {
        let new = pinned("docker.io/library/redis:8", '3');
        let (first, _) = target().offered(&offer(&new, 1)).unwrap();
        let (second, fallbacks) = first.offered(&offer(&new, 2)).unwrap();
        assert_eq!(fallbacks["cache"].image, "docker.io/library/redis:7");
        assert_ne!(first.etag, second.etag);
    }

    #[test]
    fn a_release_that_never_worked_is_no_fallback() {
        let mut device = target();
        let good = device.services[0].runs.clone();
        device.good.insert("cache".to_owned(), good.clone());
        device.services[0].runs = pinned("docker.io/library/redis:8", '3');
        let (_, fallbacks) =
            device.offered(&offer(&pinned("docker.io/library/redis:9", '4'), 1)).unwrap();
        assert_eq!(fallbacks["cache"], good);
    }

    #[test]
    fn an_operators_later_edit_is_not_taken_back() {
        let new = pinned("docker.io/library/redis:8", '3');
        let (mut after, _) = target().offered(&offer(&new, 1)).unwrap();
        after.services[0].runs = pinned("docker.io/library/redis:9", '4');
        assert!(after.restored(Uuid::nil(), &new).is_none());
    }

    #[test]
    fn a_device_without_the_image_gets_no_offer() {
        let new = pinned("docker.io/library/redis:8", '3');
        let nginx_only = Target::default()
            .replaced(vec![service("web", pinned("docker.io/library/nginx:1", '2'))]);
        assert!(nginx_only.offered(&offer(&new, 1)).is_none());
    }

    #[test]
    fn unpinned_images_are_the_same_only_for_the_same_push() {
        let push = |release: &str| Image {
            image: "docker.io/library/redis:7".to_owned(),
            digest: None,
            release_id: Some(release.to_owned()),
        };
        assert!(push("a").is(&push("a")));
        assert!(!push("a").is(&push("b")));
        assert!(!push("a").is(&pinned("docker.io/library/redis:7", '1')));
    }
}
