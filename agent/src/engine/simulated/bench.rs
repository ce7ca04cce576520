//! The containers and images of one simulated device, at any moment, without waiting.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fault::{Fault, FaultKind};
use crate::chance::Chance;
use crate::engine::{Container, ContainerState, EngineError, Health, LocalImage, NewContainer};
use crate::image::Image;
use crate::moment::{Moment, earlier};
use crate::platform::Platform;

/// How long things take on a simulated device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// The shortest and the longest pull.
    pub pull: (Duration, Duration),
    /// The shortest and the longest time from running to healthy.
    pub healthy: (Duration, Duration),
}

/// What a simulated device has. It is what [`Simulated`](super::Simulated) answers from, and what
/// tests without a runtime use.
#[derive(Debug)]
pub struct Bench {
    platform: Platform,
    pace: Pace,
    faults: Vec<Fault>,
    chance: Chance,
    images: Vec<LocalImage>,
    boxes: Vec<Boxed>,
    looked: Moment,
}

/// A container, and how it behaves while it runs.
#[derive(Debug, Clone)]
struct Boxed {
    container: Container,
    /// Whether another version ran when this one was made, so that faults of updates hit it.
    is_update: bool,
    started: Moment,
    course: Course,
}

/// What becomes of a container that was started.
#[derive(Debug, Clone, Copy, Default)]
struct Course {
    healthy_after: Duration,
    exits: Option<(Duration, i32)>,
    flaps: Option<Duration>,
    unhealthy: bool,
    fails: bool,
    hangs: bool,
}

/// How a pull will go.
#[derive(Debug, Clone, PartialEq)]
pub struct PullCourse {
    /// How long it takes; none = it stands still.
    pub takes: Option<Duration>,
    /// What comes of it.
    pub brings: Result<LocalImage, EngineError>,
}

/// What is stored of a bench.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    images: Vec<LocalImage>,
    containers: Vec<(Container, bool)>,
}

impl Bench {
    /// An empty device.
    #[must_use]
    pub fn new(platform: Platform, pace: Pace, faults: Vec<Fault>, chance: Chance) -> Self {
        let (images, boxes) = (Vec::new(), Vec::new());
        Self { platform, pace, faults, chance, images, boxes, looked: Moment::START }
    }

    /// What to store.
    #[must_use]
    pub fn stored(&self) -> Vec<u8> {
        let containers = self.boxes.iter();
        let containers = containers.map(|one| (one.container.clone(), one.is_update)).collect();
        let stored = Stored { images: self.images.clone(), containers };
        serde_json::to_vec(&stored).expect("a bench has only string keys")
    }

    /// Takes up what was stored; what ran runs on.
    pub fn restore(&mut self, bytes: &[u8], now: Moment) {
        let Ok(stored) = serde_json::from_slice::<Stored>(bytes) else { return };
        self.images = stored.images;
        self.boxes.clear();
        for (container, is_update) in stored.containers {
            let course = self.course(&container.image, is_update);
            self.boxes.push(Boxed { container, is_update, started: now, course });
        }
    }

    /// What it runs images of.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The images.
    #[must_use]
    pub fn images(&self) -> &[LocalImage] {
        &self.images
    }

    /// The containers as they are now.
    pub fn containers(&mut self, now: Moment) -> Vec<Container> {
        self.looked = now;
        self.boxes.iter_mut().map(|one| one.look(now).clone()).collect()
    }

    /// When a container changes next after it was last looked at; that may be past.
    #[must_use]
    pub fn next_change(&self) -> Option<Moment> {
        self.boxes.iter().map(|one| one.next_change(self.looked)).fold(None, earlier)
    }

    /// How a pull that begins now will go.
    pub fn begin_pull(&mut self, image: &Image) -> PullCourse {
        let (low, high) = self.pace.pull;
        let takes = Some(self.chance.between(low, high));
        let local = LocalImage {
            identity: image.identity(),
            digest: digest_of(image),
            platform: self.platform.clone(),
        };
        let name = image.reference.clone();
        let is_update = self.boxes.iter().any(|one| {
            let other = &one.container.image;
            one.container.starts > 0
                && repository(&other.reference) == repository(&image.reference)
                && !other.is_same(image)
        });
        let brings = match self.next_fault(image, is_update, true) {
            None => Ok(local),
            Some(FaultKind::Stall) => return PullCourse { takes: None, brings: Ok(local) },
            Some(FaultKind::PullFails) => {
                Err(EngineError::PullFailed(format!("the registry broke off while sending {name}")))
            }
            Some(FaultKind::NoSpace) => Err(EngineError::NoSpace(name)),
            Some(FaultKind::Corrupt) => {
                let digest = format!("sha256:{}", hex::encode(Sha256::digest("corrupt")));
                Ok(LocalImage { digest, ..local })
            }
            Some(FaultKind::WrongPlatform) => {
                let other = if self.platform.architecture == "arm64" { "amd64" } else { "arm64" };
                Ok(LocalImage { platform: Platform::new(&self.platform.os, other), ..local })
            }
            Some(
                FaultKind::StartFails
                | FaultKind::Hang
                | FaultKind::ExitAtOnce
                | FaultKind::CrashAfter(_)
                | FaultKind::Flap(_)
                | FaultKind::Unhealthy,
            ) => Ok(local),
        };
        PullCourse { takes, brings }
    }

    /// Adds the image that a pull brought.
    ///
    /// # Errors
    ///
    /// When the pull failed.
    pub fn end_pull(&mut self, course: PullCourse) -> Result<(), EngineError> {
        let image = course.brings?;
        self.images.retain(|known| known.identity != image.identity);
        self.images.push(image);
        Ok(())
    }

    /// Makes a container.
    ///
    /// # Errors
    ///
    /// When its image is not there.
    pub fn create(&mut self, new: &NewContainer) -> Result<(), EngineError> {
        let (id, image) = (new.name(), new.recipe.image());
        if self.boxes.iter().any(|one| one.container.id == id) {
            return Ok(());
        }
        let identity = image.identity();
        let local = self.images.iter().find(|local| local.identity == identity);
        let Some(local) = local else {
            return Err(EngineError::Missing(format!("image {}", image.reference)));
        };
        let container = Container {
            id,
            service: new.service.clone(),
            spec: new.recipe.spec().to_owned(),
            image: image.clone(),
            digest: local.digest.clone(),
            state: ContainerState::Created,
            health: Health::Starting,
            starts: 0,
        };
        let is_update = self
            .boxes
            .iter()
            .any(|one| one.container.service == new.service && one.container.starts > 0);
        let course = Course::default();
        self.boxes.push(Boxed { container, is_update, started: Moment::START, course });
        Ok(())
    }

    /// Starts a container. None = the call never returns.
    ///
    /// # Errors
    ///
    /// When there is no such container, or it does not start.
    pub fn start(&mut self, id: &str, now: Moment) -> Option<Result<(), EngineError>> {
        let Some(place) = self.place(id) else { return Some(Err(missing(id))) };
        if self.boxes[place].look(now).is_running() {
            return Some(Ok(()));
        }
        let (image, is_update) =
            (self.boxes[place].container.image.clone(), self.boxes[place].is_update);
        let course = self.course(&image, is_update);
        if course.hangs {
            return None;
        }
        if course.fails {
            let why = "the port is taken".to_owned();
            return Some(Err(EngineError::StartFailed(why)));
        }
        let one = &mut self.boxes[place];
        (one.started, one.course) = (now, course);
        one.container.starts += 1;
        (one.container.state, one.container.health) = (ContainerState::Running, Health::Starting);
        Some(Ok(()))
    }

    /// Stops a container.
    ///
    /// # Errors
    ///
    /// When there is no such container.
    pub fn stop(&mut self, id: &str, now: Moment) -> Result<(), EngineError> {
        let place = self.place(id).ok_or_else(|| missing(id))?;
        if self.boxes[place].look(now).is_running() {
            self.boxes[place].container.state =
                ContainerState::Exited { code: 143, oom_killed: false };
        }
        Ok(())
    }

    /// Removes a container.
    ///
    /// # Errors
    ///
    /// When it runs.
    pub fn remove(&mut self, id: &str, now: Moment) -> Result<(), EngineError> {
        let Some(place) = self.place(id) else { return Ok(()) };
        if self.boxes[place].look(now).is_running() {
            return Err(EngineError::StartFailed(format!("container {id} runs")));
        }
        self.boxes.remove(place);
        Ok(())
    }

    /// Removes an image.
    ///
    /// # Errors
    ///
    /// When a container uses it.
    pub fn remove_image(&mut self, identity: &str) -> Result<(), EngineError> {
        if self.boxes.iter().any(|one| one.container.image.identity() == identity) {
            return Err(EngineError::StartFailed(format!("a container uses {identity}")));
        }
        self.images.retain(|image| image.identity != identity);
        Ok(())
    }

    /// Takes the power away: whatever ran does not any more.
    pub fn cut_power(&mut self, now: Moment) {
        for one in &mut self.boxes {
            if one.look(now).is_running() {
                one.container.state = ContainerState::Exited { code: 255, oom_killed: false };
            }
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.boxes.iter().position(|one| one.container.id == id)
    }

    fn course(&mut self, image: &Image, is_update: bool) -> Course {
        let (low, high) = self.pace.healthy;
        let mut course =
            Course { healthy_after: self.chance.between(low, high), ..Course::default() };
        match self.next_fault(image, is_update, false) {
            Some(FaultKind::StartFails) => course.fails = true,
            Some(FaultKind::Hang) => course.hangs = true,
            Some(FaultKind::ExitAtOnce) => course.exits = Some((Duration::ZERO, 1)),
            Some(FaultKind::CrashAfter(after)) => course.exits = Some((after, 139)),
            Some(FaultKind::Flap(period)) => course.flaps = Some(period),
            Some(FaultKind::Unhealthy) => course.unhealthy = true,
            Some(
                FaultKind::PullFails
                | FaultKind::Stall
                | FaultKind::Corrupt
                | FaultKind::NoSpace
                | FaultKind::WrongPlatform,
            )
            | None => {}
        }
        course
    }

    /// The next fault that hits an image, counted as one of its times.
    fn next_fault(&mut self, image: &Image, is_update: bool, of_pull: bool) -> Option<FaultKind> {
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.kind.is_of_pull() == of_pull && fault.hits(image, is_update))?;
        fault.times = fault.times.map(|times| times.saturating_sub(1));
        Some(fault.kind)
    }
}

impl Boxed {
    /// The container as it is now.
    fn look(&mut self, now: Moment) -> &Container {
        if !self.container.is_running() {
            return &self.container;
        }
        let ran = now.since(self.started);
        if let Some((after, code)) = self.course.exits
            && ran >= after
        {
            self.container.state = ContainerState::Exited { code, oom_killed: false };
            return &self.container;
        }
        self.container.health = if ran < self.course.healthy_after {
            Health::Starting
        } else if self.course.unhealthy || self.is_ill_turn(ran) {
            Health::Unhealthy
        } else {
            Health::Healthy
        };
        &self.container
    }

    fn is_ill_turn(&self, ran: Duration) -> bool {
        let Some(period) = self.course.flaps else { return false };
        turns(ran - self.course.healthy_after, period) % 2 == 1
    }

    fn next_change(&self, looked: Moment) -> Option<Moment> {
        if !self.container.is_running() {
            return None;
        }
        let ran = looked.since(self.started);
        let mut changes = vec![self.course.healthy_after];
        changes.extend(self.course.exits.map(|(after, _)| after));
        if let Some(period) = self.course.flaps {
            let turn = turns(ran.saturating_sub(self.course.healthy_after), period) + 1;
            let turn = u32::try_from(turn).unwrap_or(u32::MAX);
            changes.push(self.course.healthy_after + period.saturating_mul(turn));
        }
        let next = changes.into_iter().filter(|after| *after > ran).min()?;
        Some(self.started + next)
    }
}

fn turns(passed: Duration, period: Duration) -> u128 {
    passed.as_nanos() / period.as_nanos().max(1)
}

fn missing(id: &str) -> EngineError {
    EngineError::Missing(format!("container {id}"))
}

/// The digest of an image: the pinned one, else one that stays the same for the same release.
fn digest_of(image: &Image) -> String {
    if image.digest.is_empty() {
        return format!("sha256:{}", hex::encode(Sha256::digest(image.identity())));
    }
    image.digest.clone()
}

/// A reference without its tag.
fn repository(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        Some(_) | None => reference,
    }
}
