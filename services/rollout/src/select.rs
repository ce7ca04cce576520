//! Which devices a rollout takes, and why others are left out.

use proto::reason;
use uuid::Uuid;

use crate::device::Hardware;
use crate::rollout::{Platform, Release};
use crate::target::Service;

/// A device that a policy selects.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The device.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is.
    pub hardware: Hardware,
    /// Whether it is held.
    pub pinned: bool,
    /// The label that says who goes first: lower numbers before higher ones.
    pub order: Option<i32>,
    /// What it should run.
    pub services: Vec<Service>,
}

/// The devices of a rollout in their order, and those left out with the reason.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    /// In the order in which they are sent the release.
    pub taken: Vec<Candidate>,
    /// The others.
    pub excluded: Vec<(Candidate, &'static str)>,
}

impl Selection {
    /// Whether some device runs the image and every one that could take the release has it.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.taken.is_empty()
            && self.excluded.iter().any(|(_, reason)| *reason == reason::ALREADY_RUNNING)
    }
}

/// Sorts candidates into those who are taken and those who are not. `seed` makes the order.
#[must_use]
pub fn select(candidates: Vec<Candidate>, release: &Release, seed: Uuid) -> Selection {
    let mut selection = Selection::default();
    for candidate in candidates {
        match exclusion(&candidate, release) {
            None => selection.taken.push(candidate),
            Some(reason) => selection.excluded.push((candidate, reason)),
        }
    }
    selection.taken.sort_by_cached_key(|candidate| {
        let order = candidate.order.unwrap_or(i32::MAX);
        (order, crate::batch::order_key(seed, candidate.id))
    });
    selection
}

/// Why a device is left out; `None` = it is taken.
#[must_use]
pub fn exclusion(candidate: &Candidate, release: &Release) -> Option<&'static str> {
    let wanted = release.image();
    let mut services = candidate
        .services
        .iter()
        .filter(|service| {
            service.runs.repository().is_some_and(|known| known.as_str() == release.repository)
        })
        .peekable();
    if services.peek().is_none() {
        return Some(reason::NO_MATCHING_SERVICE);
    }
    if services.all(|service| service.runs.is(&wanted)) {
        return Some(reason::ALREADY_RUNNING);
    }
    if candidate.pinned {
        return Some(reason::PINNED);
    }
    (!fits(&candidate.hardware, &release.platforms)).then_some(reason::INCOMPATIBLE)
}

/// Whether the release has something for the hardware. What is not known does not exclude.
fn fits(hardware: &Hardware, platforms: &[Platform]) -> bool {
    if platforms.is_empty() || hardware.architecture.is_empty() {
        return true;
    }
    platforms.iter().any(|platform| {
        (hardware.os.is_empty() || platform.os == hardware.os)
            && platform.architecture == hardware.architecture
            && (platform.variant.is_empty()
                || hardware.variant.is_empty()
                || platform.variant == hardware.variant)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::tests::pinned;

    fn release() -> Release {
        Release {
            repository: "docker.io/library/redis".to_owned(),
            tag: "8".to_owned(),
            digest: pinned("docker.io/library/redis:8", '3').digest,
            platforms: Vec::new(),
            push: Uuid::nil(),
        }
    }

    fn candidate(id: u128, image: crate::target::Image) -> Candidate {
        Candidate {
            id: Uuid::from_u128(id),
            name: format!("device-{id}"),
            hardware: Hardware::default(),
            pinned: false,
            order: None,
            services: vec![Service {
                name: "cache".to_owned(),
                runs: image,
                config: String::new(),
                update: None,
            }],
        }
    }

    #[test]
    fn each_reason_to_be_left_out() {
        let old = || pinned("docker.io/library/redis:7", '1');
        let why = |candidate: &Candidate| exclusion(candidate, &release());
        assert_eq!(why(&candidate(1, old())), None);
        let nginx = candidate(1, pinned("docker.io/library/nginx:1", '2'));
        assert_eq!(why(&nginx), Some(reason::NO_MATCHING_SERVICE));
        let same = candidate(1, pinned("docker.io/library/redis:other-tag", '3'));
        assert_eq!(why(&same), Some(reason::ALREADY_RUNNING), "the digest counts, not the tag");
        let mut held = candidate(1, old());
        held.pinned = true;
        assert_eq!(why(&held), Some(reason::PINNED));
    }

    #[test]
    fn a_look_alike_name_is_another_image() {
        let other = candidate(1, pinned("docker.io/evil/redis:7", '1'));
        assert_eq!(exclusion(&other, &release()), Some(reason::NO_MATCHING_SERVICE));
    }

    #[test]
    fn a_device_must_find_its_platform() {
        let mut index = release();
        let platform = |architecture: &str, variant: &str| Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
            digest: String::new(),
            size_bytes: 0,
        };
        index.platforms = vec![platform("amd64", ""), platform("arm", "v7")];
        let mut device = candidate(1, pinned("docker.io/library/redis:7", '1'));
        for (architecture, variant, fits) in [
            ("amd64", "", true),
            ("arm", "v7", true),
            ("arm", "v6", false),
            ("arm64", "", false),
            ("", "", true),
        ] {
            device.hardware.os = "linux".to_owned();
            architecture.clone_into(&mut device.hardware.architecture);
            variant.clone_into(&mut device.hardware.variant);
            assert_eq!(exclusion(&device, &index).is_none(), fits, "{architecture}/{variant}");
        }
    }

    #[test]
    fn the_order_is_stable_within_a_rollout_and_labels_come_first() {
        let devices = || -> Vec<_> {
            (1..=20).map(|id| candidate(id, pinned("docker.io/library/redis:7", '1'))).collect()
        };
        let ids = |selection: &Selection| -> Vec<_> {
            selection.taken.iter().map(|candidate| candidate.id).collect()
        };
        let seed = Uuid::from_u128(1);
        let once = select(devices(), &release(), seed);
        let mut shuffled = devices();
        shuffled.reverse();
        assert_eq!(ids(&once), ids(&select(shuffled, &release(), seed)));
        assert_ne!(ids(&once), ids(&select(devices(), &release(), Uuid::from_u128(2))));
        let mut first = devices();
        first[13].order = Some(1);
        assert_eq!(select(first, &release(), seed).taken[0].id, Uuid::from_u128(14));
    }
}
