//! How simulated devices behave: a pace, and what goes wrong on some of them.
//!
//! A profile is written as words with commas between them. A word is a bundle (`good`, `slow`,
//! `flaky`, `offline`) or a fault with its share of the devices and the image it is about:
//!
//! ```text
//! flaky
//! good,offline:20%
//! good,unhealthy:50%@docker.io/acme/sensor:2.0-bad
//! ```
//!
//! A fault without an image hits every update, but not what is installed first.

use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;

use crate::chance::Chance;
use crate::engine::simulated::{Fault, FaultKind, Pace};

/// How a group of simulated devices behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// How long things take.
    pub pace: Pace,
    /// What goes wrong on some of them.
    pub quirks: Vec<Quirk>,
}

/// Something that goes wrong on a share of the devices.
#[derive(Debug, Clone, PartialEq)]
pub struct Quirk {
    /// What.
    pub kind: QuirkKind,
    /// On how many of the devices, 0 to 1.
    pub share: f64,
    /// With which image, where it is about one.
    pub reference: Option<String>,
}

/// What can go wrong on a simulated device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuirkKind {
    /// Something with an image, as often as this; none = always.
    Image(FaultKind, Option<u32>),
    /// The network comes and goes.
    Offline(Spells),
    /// The device starts anew in the middle of an update.
    Reboots(Reboots),
    /// The device is silent for ever once it has swapped.
    NeverReturns,
    /// The wall clock is wrong by this, either way.
    ClockSkew(TimeDelta),
}

/// How long the network is there, and how long it is not: each from the first to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spells {
    /// With network.
    pub online: (Duration, Duration),
    /// Without.
    pub offline: (Duration, Duration),
}

/// When a device starts anew in the middle of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reboots {
    /// Never.
    #[default]
    Never,
    /// Once in every update.
    Once,
    /// Whenever the new version runs.
    Always,
}

/// What goes wrong on one device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fate {
    /// With images.
    pub faults: Vec<Fault>,
    /// With the network.
    pub spells: Option<Spells>,
    /// With the power.
    pub reboots: Reboots,
    /// Whether it is silent for ever once it has swapped.
    pub never_returns: bool,
    /// How wrong its wall clock is.
    pub skew: TimeDelta,
}

/// Why a text names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A word is not known.
    #[error(
        "`{0}` is no profile; use good, slow, flaky, offline, or faults such as `{example}`",
        example = "unhealthy:10%@docker.io/acme/sensor:2.0"
    )]
    Word(String),
    /// A share is none.
    #[error("`{0}` is no share of the devices; write a percentage such as `10%`")]
    Share(String),
    /// The word is about devices, not about images.
    #[error("`{0}` is about no image; leave out what stands behind the `@`")]
    NoImage(String),
}

impl Profile {
    /// Devices on which nothing goes wrong.
    #[must_use]
    pub fn good() -> Self {
        let pace = Pace { pull: (millis(300), millis(1_500)), healthy: (millis(200), millis(800)) };
        Self { pace, quirks: Vec::new() }
    }

    /// The same with a further fault of an image on all devices.
    #[must_use]
    pub fn with_fault(mut self, reference: &str, kind: FaultKind) -> Self {
        self.quirks.push(Quirk {
            kind: QuirkKind::Image(kind, None),
            share: 1.0,
            reference: Some(reference.to_owned()),
        });
        self
    }

    /// The same, faster or slower by a factor: everything that takes time takes so much more.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        let scale = |span: &mut (Duration, Duration)| {
            *span = (span.0.mul_f64(factor), span.1.mul_f64(factor));
        };
        scale(&mut self.pace.pull);
        scale(&mut self.pace.healthy);
        for quirk in &mut self.quirks {
            match &mut quirk.kind {
                QuirkKind::Image(FaultKind::CrashAfter(after) | FaultKind::Flap(after), _) => {
                    *after = after.mul_f64(factor);
                }
                QuirkKind::Offline(spells) => {
                    scale(&mut spells.online);
                    scale(&mut spells.offline);
                }
                QuirkKind::Image(..)
                | QuirkKind::Reboots(_)
                | QuirkKind::NeverReturns
                | QuirkKind::ClockSkew(_) => {}
            }
        }
        self
    }

    /// Draws what goes wrong on one device.
    #[must_use]
    pub fn draw(&self, chance: &mut Chance) -> Fate {
        let mut fate = Fate::default();
        for quirk in &self.quirks {
            if !chance.hits(quirk.share) {
                continue;
            }
            match quirk.kind {
                QuirkKind::Image(kind, times) => {
                    fate.faults.push(Fault { kind, reference: quirk.reference.clone(), times });
                }
                QuirkKind::Offline(spells) => fate.spells = Some(spells),
                QuirkKind::Reboots(reboots) => fate.reboots = reboots,
                QuirkKind::NeverReturns => fate.never_returns = true,
                QuirkKind::ClockSkew(by) => fate.skew = if chance.hits(0.5) { by } else { -by },
            }
        }
        fate
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let mut profile = Self::good();
        for word in text.split(',').map(str::trim) {
            match word {
                "good" => {}
                "slow" => {
                    profile.pace.pull = (seconds(20), seconds(120));
                    profile.pace.healthy = (seconds(3), seconds(15));
                }
                "flaky" => profile.quirks.extend(flaky()),
                _ => profile.quirks.push(word.parse()?),
            }
        }
        Ok(profile)
    }
}

impl FromStr for Quirk {
    type Err = ProfileError;

    fn from_str(word: &str) -> Result<Self, ProfileError> {
        let (rest, reference) = match word.split_once('@') {
            Some((rest, reference)) => (rest, Some(reference.to_owned())),
            None => (word, None),
        };
        let (name, share) = match rest.split_once(':') {
            Some((name, share)) => (name, parse_share(share)?),
            None => (rest, default_share(rest)),
        };
        let kind = kind(name).ok_or_else(|| ProfileError::Word(word.to_owned()))?;
        if reference.is_some() && !matches!(kind, QuirkKind::Image(..)) {
            return Err(ProfileError::NoImage(name.to_owned()));
        }
        Ok(Self { kind, share, reference })
    }
}

/// A little of everything that happens in the field.
fn flaky() -> Vec<Quirk> {
    let image =
        |kind, times, share| Quirk { kind: QuirkKind::Image(kind, times), share, reference: None };
    vec![
        image(FaultKind::PullFails, Some(1), 0.15),
        image(FaultKind::Stall, Some(1), 0.02),
        image(FaultKind::NoSpace, None, 0.01),
        image(FaultKind::ExitAtOnce, None, 0.01),
        image(FaultKind::CrashAfter(millis(700)), None, 0.02),
        image(FaultKind::Flap(millis(500)), None, 0.01),
        image(FaultKind::Unhealthy, None, 0.03),
        Quirk { kind: offline(), share: 0.1, reference: None },
        Quirk { kind: QuirkKind::Reboots(Reboots::Once), share: 0.02, reference: None },
    ]
}

fn kind(name: &str) -> Option<QuirkKind> {
    let always = |kind| Some(QuirkKind::Image(kind, None));
    match name {
        "pull-fails" => always(FaultKind::PullFails),
        "stall" => always(FaultKind::Stall),
        "corrupt" => always(FaultKind::Corrupt),
        "no-space" => always(FaultKind::NoSpace),
        "wrong-platform" => always(FaultKind::WrongPlatform),
        "start-fails" => always(FaultKind::StartFails),
        "hang" => always(FaultKind::Hang),
        "exit-at-once" => always(FaultKind::ExitAtOnce),
        "crash-after" => always(FaultKind::CrashAfter(millis(700))),
        "flap" => always(FaultKind::Flap(millis(500))),
        "unhealthy" => always(FaultKind::Unhealthy),
        "offline" => Some(offline()),
        "reboot" => Some(QuirkKind::Reboots(Reboots::Once)),
        "boot-loop" => Some(QuirkKind::Reboots(Reboots::Always)),
        "never-returns" => Some(QuirkKind::NeverReturns),
        "clock-skew" => Some(QuirkKind::ClockSkew(TimeDelta::days(3_650))),
        _ => None,
    }
}

fn offline() -> QuirkKind {
    QuirkKind::Offline(Spells {
        online: (seconds(20), seconds(60)),
        offline: (seconds(10), seconds(40)),
    })
}

/// Of the devices of profile `offline` half are away now and then; other faults hit all.
fn default_share(name: &str) -> f64 {
    if name == "offline" { 0.5 } else { 1.0 }
}

fn parse_share(text: &str) -> Result<f64, ProfileError> {
    let refused = || ProfileError::Share(text.to_owned());
    let number = text.strip_suffix('%').ok_or_else(refused)?;
    let percent: f64 = number.parse().map_err(|_| refused())?;
    if (0.0..=100.0).contains(&percent) { Ok(percent / 100.0) } else { Err(refused()) }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_from_words() {
        assert_eq!("good".parse(), Ok(Profile::good()));
        let bad = "good,unhealthy:25%@docker.io/acme/sensor:2.0-bad".parse::<Profile>().unwrap();
        let quirk = Quirk {
            kind: QuirkKind::Image(FaultKind::Unhealthy, None),
            share: 0.25,
            reference: Some("docker.io/acme/sensor:2.0-bad".to_owned()),
        };
        assert_eq!(bad.quirks, [quirk]);
        assert!("slow".parse::<Profile>().unwrap().pace.pull.0 >= seconds(10));
        assert!(!"flaky, clock-skew".parse::<Profile>().unwrap().quirks.is_empty());
        assert_eq!("offline".parse::<Profile>().unwrap().quirks[0].share, 0.5);
    }

    #[test]
    fn what_is_no_profile_says_what_is_one() {
        let refused = |text: &str| text.parse::<Profile>().unwrap_err();
        assert_eq!(refused("godo"), ProfileError::Word("godo".to_owned()));
        assert!(refused("godo").to_string().contains("use good, slow, flaky"));
        assert_eq!(refused("stall:10"), ProfileError::Share("10".to_owned()));
        assert_eq!(refused("stall:101%"), ProfileError::Share("101%".to_owned()));
        assert_eq!(refused("reboot@x"), ProfileError::NoImage("reboot".to_owned()));
        assert_eq!(refused(""), ProfileError::Word(String::new()));
    }

    #[test]
    fn a_share_of_the_devices_is_hit_and_always_the_same_ones() {
        let profile: Profile = "unhealthy:30%".parse().unwrap();
        let fates = |seed: u64| profile.draw(&mut Chance::seeded(seed)).faults.len();
        let hit = (0..10_000).map(fates).sum::<usize>();
        assert!((2_800..3_200).contains(&hit), "{hit}");
        assert!((0..100).all(|seed| fates(seed) == fates(seed)));
    }
}
