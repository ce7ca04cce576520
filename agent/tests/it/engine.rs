//! An engine that stops answering.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent::board::Board;
use agent::chance::Chance;
use agent::engine::simulated::{Bench, Pace, Simulated};
use agent::engine::{Answer, Container, Engine, EngineInfo, LocalImage, NewContainer, Progress};
use agent::enrolment::Enrolment;
use agent::image::Image;
use agent::link::Connector;
use agent::moment::Time;
use agent::platform::Platform;
use agent::storage::InMemory;
use agent::{Device, DeviceConfig, Timing};
use futures_util::future::BoxFuture;
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::Clock;
use runtime::secret::Secret;

use crate::server::Scripted;
use crate::targets::{digest, service, target, with};

/// An engine that answers nothing while it hangs.
struct Hanging {
    engine: Simulated,
    hangs: AtomicBool,
}

impl Hanging {
    fn unless_hung<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.hangs.load(Ordering::Relaxed) { Box::pin(std::future::pending()) } else { answer }
    }
}

impl Engine for Hanging {
    fn info(&self) -> Answer<'_, EngineInfo> {
        self.unless_hung(self.engine.info())
    }

    fn containers(&self) -> Answer<'_, Vec<Container>> {
        self.unless_hung(self.engine.containers())
    }

    fn images(&self) -> Answer<'_, Vec<LocalImage>> {
        self.unless_hung(self.engine.images())
    }

    fn inspect<'a>(&'a self, image: &'a Image) -> Answer<'a, Option<LocalImage>> {
        self.unless_hung(self.engine.inspect(image))
    }

    fn pull<'a>(&'a self, image: &'a Image, progress: &'a Progress) -> Answer<'a, ()> {
        self.unless_hung(self.engine.pull(image, progress))
    }

    fn create<'a>(&'a self, container: &'a NewContainer) -> Answer<'a, ()> {
        self.unless_hung(self.engine.create(container))
    }

    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.unless_hung(self.engine.start(id))
    }

    fn stop<'a>(&'a self, id: &'a str, grace: Duration) -> Answer<'a, ()> {
        self.unless_hung(self.engine.stop(id, grace))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.unless_hung(self.engine.remove(id))
    }

    fn remove_image<'a>(&'a self, identity: &'a str) -> Answer<'a, ()> {
        self.unless_hung(self.engine.remove_image(identity))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.engine.changed()
    }
}

#[tokio::test]
async fn an_engine_that_hangs_is_told_while_the_link_lives_and_work_goes_on_when_it_is_back() {
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let (platform, mut timing) = (Platform::new("linux", "amd64"), Timing::fast());
    timing.observe = Duration::from_millis(100);
    timing.engine_read = Duration::from_millis(100);
    let (timing, mut chance) = (Arc::new(timing), Chance::seeded(1));
    let time = Time::new(Clock::system());
    let storage = Arc::new(InMemory::default());
    let none = (Duration::ZERO, Duration::ZERO);
    let pace = Pace { pull: none, healthy: none };
    let bench = Bench::new(platform.clone(), pace, Vec::new(), chance.fork());
    let engine = Arc::new(Hanging {
        engine: Simulated::open(bench, time.clone(), storage.clone()),
        hangs: AtomicBool::new(false),
    });
    let connector = Connector::own(&server.url(), &timing.link, &mut chance).unwrap();
    let enrolment = Enrolment {
        connector: connector.clone(),
        key: Secret::new("key"),
        name: "one".to_owned(),
        any_name: false,
        labels: Default::default(),
        platform: platform.clone(),
        timing: Arc::clone(&timing),
        time: time.clone(),
    };
    let identity = enrolment.run(&mut chance, |problem| panic!("{problem}")).await;
    let device = Device::open(DeviceConfig {
        identity,
        boot_id: "boot".to_owned(),
        platform,
        policy: Arc::default(),
        engine: engine.clone(),
        storage,
        connector,
        timing,
        time,
        chance,
        board: Board::default(),
    });
    let work = tokio::spawn(device.unwrap().run());
    server.wait_for("version 1", |state| state.running("web", &digest("web", "1")) == 1).await;

    engine.hangs.store(true, Ordering::Relaxed);
    server
        .wait_for("the trouble", |state| {
            let row = state.newest().map(|report| report.services[0].clone());
            row.is_some_and(|row| !row.healthy && row.reason == reason::ENGINE_HUNG)
        })
        .await;
    // Targets are still taken.
    server.send(with(target(2), vec![service("web", "1"), service("zoo", "1")]));
    server
        .wait_for("generation 2", |state| state.newest().is_some_and(|one| one.generation == 2))
        .await;
    engine.hangs.store(false, Ordering::Relaxed);
    server.wait_for("both", |state| state.says("zoo", pb::Phase::Running, "")).await;
    work.abort();
}
